/** Reads the options that people give by name, and tells what was meant by one that there is not. */
import { plainText } from './redact.ts';

/** What is said about an option that there is not: which one was meant, or what to do. */
export type Advice = (name: string) => { meant: string } | { todo: string } | undefined;

/**
 * Reads an options object, each option once: what changes in it afterwards changes nothing. Options may be inherited, as
 * in an object of a class; `Object.prototype` has none.
 *
 * @param known The options that there are.
 * @param within What stands before their names in messages, such as `admin.`
 * @returns A copy, without a prototype.
 * @throws {TypeError} for an option that there is not, whatever its value: it would silently be left out.
 */
export function readOptions<T extends object>(
  options: T,
  known: readonly (keyof T & string)[],
  { within = '', advice = () => undefined }: { within?: string; advice?: Advice } = {},
): T {
  const read = Object.create(null);
  for (const name of optionsGiven(options)) {
    if (!known.includes(name as keyof T & string)) throw unknownOption(name, known, within, advice(name));
    read[name] = options[name as keyof T];
  }
  return read;
}

/** The names in an object and in what it inherits from. A class's methods are none, but its accessors are. */
function optionsGiven(options: object): Set<string> {
  const names = new Set<string>();
  let from: object | null = options;
  while (from !== null && !Object.hasOwn(from, 'hasOwnProperty')) {
    for (const [name, { enumerable, get }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (enumerable || get) names.add(name);
    }
    from = Object.getPrototypeOf(from);
  }
  return names;
}

function unknownOption(name: string, known: readonly string[], within: string, advice: ReturnType<Advice>): TypeError {
  const beginning = `There is no option ${within}${plainText(name) || '""'}`;
  if (advice && 'todo' in advice) return new TypeError(`${beginning}; ${advice.todo}`);
  // What every object has was meant for none of them.
  const meant = advice?.meant ?? (name in {} ? undefined : nearest(name, known));
  if (meant) return new TypeError(`${beginning}; did you mean ${within}${meant}?`);
  return new TypeError(`${beginning}; remove it. The options are ${known.map((one) => within + one).join(', ')}`);
}

/**
 * The candidate that was probably meant, without looking at case, `-` and `_`.
 *
 * @param share How much of it may be typed differently.
 */
export function nearest(typed: string, candidates: readonly string[], share = 0.4): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, away: distance(letters(typed), letters(candidate)) }))
    .filter(({ candidate, away }) => away <= Math.max(1, Math.floor(candidate.length * share)))
    .sort((a, b) => a.away - b.away);
  return best?.candidate;
}

/** A name without what people spell differently. */
export function letters(name: string): string {
  return name.slice(0, 50).toLowerCase().replace(/[-_]/g, '');
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + (letter === b[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
