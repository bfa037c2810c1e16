/** Lines of environment files, and what the environment gives. */
import { type CommandLine, Mistake } from './terminal.ts';

/**
 * A line of an environment file that sh (`. ./.env`), Node (`--env-file`) and dotenv read alike.
 *
 * Between single quotes all three take everything for itself, and none knows a way to write a single quote there; dotenv
 * takes `\\'` for one. Between double quotes sh replaces `$`, `` ` `` and `\\`, and the others replace `\\n`.
 *
 * @throws {Mistake} for a value that has no such spelling, with what to do.
 */
export function environmentLine(name: string, value: string): string {
  // No ~ here, for which sh puts a home directory.
  if (/^[\w.,:/@%+-]+$/.test(value)) return `${name}=${value}\n`;
  // A lone surrogate cannot be written in UTF-8.
  if (!/[\p{Cc}\p{Cs}]|\\$/u.test(value)) {
    if (!value.includes("'")) return `${name}='${value}'\n`;
    if (!/["$`\\]/.test(value)) return `${name}="${value}"\n`;
  }
  throw new Mistake(
    `${name} cannot be written so that sh, Node and dotenv read it alike: it has a ' together with ", $, a backquote or a backslash, or a backslash at its end, or a control character. Choose another value, such as letters, digits and hyphens; in a URL write %27 for a '.`,
  );
}

/**
 * What comes before these lines where they may be appended to a file: its last line may have no end, and may have a
 * backslash there, with which sh joins the next line to it.
 */
export function beforeLines({ isTTY }: CommandLine['stdout']): string {
  return isTTY ? '' : '\n\n';
}
