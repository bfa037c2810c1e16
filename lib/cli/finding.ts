/** What the commands find out, and how they say it. */
import { type CommandLine, paint } from './terminal.ts';

/** What was found out, and what to do about it. */
export interface Finding {
  /** `ok` for what was seen to be well, and nothing else; `unclear` where the server does not tell. */
  verdict: 'ok' | 'wrong' | 'unclear';
  about: string;
  text: string;
}

export const wrong = (about: string, text: string): Finding => ({ verdict: 'wrong', about, text });
export const ok = (about: string, text: string): Finding => ({ verdict: 'ok', about, text });
export const unclear = (about: string, text: string): Finding => ({ verdict: 'unclear', about, text });

const marks = { ok: ['green', 'ok   '], wrong: ['red', 'WRONG'], unclear: ['yellow', '?    '] } as const;

/** Writes a finding, in a line of its own. */
export function tell({ stdout, env }: CommandLine, { verdict, about, text }: Finding): void {
  const [colour, mark] = marks[verdict];
  stdout.write(`${paint(stdout, env, colour, mark)}  ${about.padEnd(8)}  ${text}\n`);
}
