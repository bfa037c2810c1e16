/** What the properties have in common. */
import { inspect } from 'node:util';
import fc from 'fast-check';

/** Something that holds for every input, tried on the real code. */
export interface FuzzProperty {
  name: string;
  /** What holds. */
  says: string;
  /** Runs in `npm test`. */
  few: number;
  start(): Promise<StartedProperty>;
}

interface StartedProperty {
  property: fc.IAsyncProperty<[unknown]>;
  /** How many inputs the code under test got until now: a run may try several. */
  inputs(): number;
  /** What they ended in, to see that not all of them are refused at the door. */
  ends(): Record<string, number>;
  close(): Promise<unknown>;
}

/** Counts inputs by what they ended in. */
export class Tally {
  readonly #ends = new Map<string, number>();

  add(end: string): void {
    this.#ends.set(end, (this.#ends.get(end) ?? 0) + 1);
  }

  readonly inputs = (): number => [...this.#ends.values()].reduce((sum, count) => sum + count, 0);

  readonly ends = (): Record<string, number> =>
    Object.fromEntries([...this.#ends].sort(([, one], [, other]) => other - one));
}

/** @throws {Error} with what is wrong, and what it was seen in, unless the condition holds. */
export function must(condition: unknown, wrong: string, seenIn: unknown): asserts condition {
  if (condition) return;
  throw new Error(`${wrong}: ${inspect(seenIn, { depth: 8, breakLength: 120, maxStringLength: 4000 })}`);
}

/** Which of the secrets a text has in it: all of one, or 8 characters of it that follow each other. */
export function secretsIn(text: string, secrets: Record<string, string>, width = 8): string[] {
  return Object.entries(secrets).flatMap(([name, secret]) => {
    for (let at = 0; at + width <= secret.length; at++) {
      if (text.includes(secret.slice(at, at + width))) return [name];
    }
    return [];
  });
}

/** A change of a text that knows nothing of what it means; `at` is a part of its length. */
export type TextChange = { at: number; remove: number; insert: string };

export function textChange(mostRemoved: number, ...inserts: string[]): fc.Arbitrary<TextChange> {
  return fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    remove: fc.nat(mostRemoved),
    insert: fc.constantFrom(...inserts),
  });
}

export function changed(text: string, changes: TextChange[]): string {
  return changes.reduce((before, { at, remove, insert }) => {
    const start = Math.floor(at * before.length);
    return before.slice(0, start) + insert + before.slice(start + remove);
  }, text);
}

/** What nobody waited for, and would have ended a user's process. */
const mishaps: string[] = [];
process.on('unhandledRejection', (reason) => mishaps.push(`An unhandled rejection: ${inspect(reason)}`));
process.on('uncaughtException', (error) => mishaps.push(`An uncaught exception: ${inspect(error)}`));

/** The input that is tried now, or was the last. */
let current: Promise<void> = Promise.resolve();

/** What a property holds for, and how it is tried. */
export function holds<T>(
  inputs: fc.Arbitrary<T>,
  predicate: (input: T) => Promise<void>,
): fc.IAsyncProperty<[unknown]> {
  const property = fc.asyncProperty(inputs, async (input: T) => {
    current = predicate(input);
    await current;
    // It may be of an input before this one.
    must(mishaps.length === 0, 'Nobody waited for what went wrong', mishaps.splice(0));
  });
  return property as fc.IAsyncProperty<[unknown]>;
}

/** Waits for the input that was broken off when the time was up. @throws what is wrong with it, or that it never ends. */
export async function lastInput(milliseconds: number): Promise<void> {
  const late = AbortSignal.timeout(milliseconds);
  await Promise.race([
    current,
    new Promise((_, reject) => {
      late.addEventListener('abort', () => reject(new Error(`The last input took more than ${milliseconds} ms`)));
    }),
  ]);
}
