/** What was typed behind a command, read by Node's `parseArgs`, and told in sentences of our own where it is wrong. */
import { parseArgs } from 'node:util';
import { nearest } from '../option-names.ts';
import { plainText } from '../redact.ts';
import { type CommandLine, Mistake } from './terminal.ts';

/** The options of a command, as `parseArgs` takes them. */
type Options = Record<string, { type: 'string' | 'boolean'; short?: string }>;

/** What was given, by the option's name. */
export type Values = Record<string, string | boolean | undefined>;

/** One of the commands. */
export interface Command {
  /** One line for the list of commands. */
  summary: string;
  help: string;
  options: Options;
  /** What the one argument without an option is called, where there is one; its value is `argument`. */
  argument?: string;
  /** @returns The exit status. */
  run(values: Values, io: CommandLine): Promise<number>;
}

/** @throws {Mistake} that quotes no value: it may have been meant to be secret. */
export function parse({ options: own, argument }: Pick<Command, 'options' | 'argument'>, args: string[]): Values {
  const options: Options = { ...own, help: { type: 'boolean', short: 'h' } };
  const allowPositionals = argument !== undefined;
  let parsed: { values: Values; positionals: string[]; tokens: { kind: string; name?: string; rawName?: string }[] };
  try {
    parsed = parseArgs({ args, options, strict: true, allowPositionals, tokens: true }) as typeof parsed;
  } catch {
    throw mistakeIn(args, options);
  }
  const given = new Set<string>();
  for (const { name, rawName } of parsed.tokens) {
    if (name === undefined) continue;
    if (given.has(name)) throw new Mistake(`${rawName} is given more than once.`);
    if (parsed.values[name] === '') throw new Mistake(`${rawName} needs a value after it.`);
    given.add(name);
  }
  const [value, ...more] = parsed.positionals;
  if (more.length > 0) throw new Mistake(`There is more than one ${argument}. See --help.`);
  // As by a variable of the shell that is not set.
  if (value === '') throw new Mistake(`The name of the ${argument} is empty. See --help.`);
  return value === undefined ? parsed.values : { ...parsed.values, argument: value };
}

/** Why `parseArgs` refused: its own messages are for programmers. */
function mistakeIn(args: string[], options: Options): Mistake {
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option) return unknownOption(rawName, Object.keys(options));
    if (option.type === 'boolean' && inlineValue) return new Mistake(`${rawName} takes no value.`);
    if (option.type === 'string' && (!value || (!inlineValue && value.startsWith('-')))) {
      return new Mistake(`${rawName} needs a value after it.`);
    }
  }
  return new Mistake('There is a value without an option before it. See --help for the options.');
}

/** @param known The options that there are. */
export function unknownOption(rawName: string, known: string[]): Mistake {
  const secret = ['password', 'admin-password', 'secret', 'client-secret'];
  const meant = nearest(rawName.replace(/^-+/, ''), [...known, ...secret]);
  if (/pass|secret/i.test(rawName) || (meant && secret.includes(meant))) {
    return new Mistake(
      'Passwords and secrets are not taken as arguments, where the list of processes and the history of the shell show them. Set the environment variable POWERFOLDER_ADMIN_PASSWORD (or type it when asked) and POWERFOLDER_CLIENT_SECRET instead. What was just typed should be changed.',
    );
  }
  return new Mistake(
    `There is no option ${plainText(rawName)}${meant ? `; did you mean --${meant}?` : '. See --help.'}`,
  );
}

/**
 * An option that may stand in the environment instead.
 *
 * @throws {Mistake} when it is in neither.
 */
export function required(values: Values, option: string, env: CommandLine['env'], variable?: string): string {
  const value = values[option] ?? (variable && env[variable]);
  if (typeof value === 'string' && value !== '') return value;
  throw new Mistake(`--${option} is missing${variable ? `, and ${variable} is not set` : ''}. See --help.`);
}
