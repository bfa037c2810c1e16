/** What the commands share: the streams that they work with, and how a mistake ends them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationMistake } from '../errors.ts';

/** What a command works with; the process's own, but in tests. */
export interface CommandLine {
  env: Record<string, string | undefined>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

/** A mistake of whoever typed the command: its message is what the terminal shows. */
export class Mistake extends Error {}

/** What the options of our functions are called on the command line. */
const flags = new Map([
  ['serverURL', '--server'],
  ['clientID', '--client-id'],
  ['clientSecret', 'POWERFOLDER_CLIENT_SECRET'],
  ['callbackURL', '--callback-url'],
  ['admin.username', '--admin'],
  ['admin.password', "The administrator's password"],
]);

/** The sentence of an error, in which an option is called as it is on the command line. */
export function sentence(error: unknown): string {
  if (!(error instanceof ConfigurationMistake)) return (error as Error).message;
  const { option, problem, allowedBy } = error;
  const unless = allowedBy ? ', or, in a closed network only, give --allow-insecure-http' : '';
  return `${flags.get(option) ?? option} ${problem}${unless}`;
}

const colours = { red: 31, green: 32, yellow: 33 };

/** Coloured text for a terminal that shows colours and may (https://no-color.org). */
export function paint(
  stream: { isTTY?: boolean },
  env: CommandLine['env'],
  colour: keyof typeof colours,
  text: string,
) {
  return stream.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb' ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text;
}

export function packageVersion(): string {
  return JSON.parse(readFileSync(join(__dirname, '../..', 'package.json'), 'utf8')).version;
}
