import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds; only against waiting for ever. On a busy machine, what is waited for may take its time. */
const longest = 120_000;

/** Waits until the condition gives something true, and gives that back. Tests may set the clock that `Date` shows. */
export async function until<T>(condition: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = performance.now() + longest;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > end) throw new Error(`Waited in vain for ${condition}`);
    await pause(10);
  }
}
