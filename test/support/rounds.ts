/** Whether everything that is random, large or repeated is tried as often as it can be: `npm run test:thorough`. */
const isThorough = (globalThis as { thorough?: boolean }).thorough === true;

/** How often something is tried, or how large it is: enough to notice a mistake in `npm test`, and all of it when it may take long. */
export function rounds(few: number, all: number): number {
  return isThorough ? all : few;
}
