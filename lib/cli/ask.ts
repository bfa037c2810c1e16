/** Asks for something that nobody else is to see: a password, or an address with a code in it. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { type CommandLine, Mistake } from './terminal.ts';

/** What is asked for, in messages. */
export interface Question {
  /** Such as `password`. */
  what: string;
  /** What is on the terminal before the answer. */
  prompt: string;
  /** What did not happen when there is no answer, such as `nothing was registered`. */
  consequence: string;
  /** Ends the question; its reason is thrown. */
  signal?: AbortSignal;
}

/**
 * The first line of the standard input; on a terminal the answer to a question, typed without echo. It is asked again
 * when the process was stopped meanwhile.
 *
 * @throws {Mistake} when there is no answer.
 */
export async function askHidden(question: Question, io: CommandLine): Promise<string> {
  for (;;) {
    const answer = await ask(question, io);
    if (typeof answer === 'string') return answer;
    // To the whole process group, as the terminal does for Ctrl-Z: npx, which waits for this process, has to stop too.
    // Without job control nothing stops, and the question comes again at once.
    if (answer.stop) process.kill(0, 'SIGTSTP');
  }
}

/** The answer; or that the question has to be asked again, after stopping (Ctrl-Z) or having been stopped. */
async function ask(
  { what, prompt, consequence, signal }: Question,
  { stdin, stderr }: CommandLine,
): Promise<string | { stop: boolean }> {
  const terminal = stdin.isTTY === true;
  // readline does the editing, while what it would show goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal, historySize: 0 });
  let onStop = () => {};
  let onAbort = () => {};
  let onContinue = () => {};
  try {
    return await new Promise((resolve, reject) => {
      const refuse = (why: string) => reject(new Mistake(`${why}; ${consequence}.`));
      const given: string[] = [];
      const decide = () => {
        const [line = ''] = given;
        if (line === '') refuse(`No ${what} was given`);
        // The first line alone may not be what was meant, and the others may be commands.
        else if (terminal && (given.length > 1 || lines.line !== ''))
          refuse(`More than one line was pasted. Give the ${what} alone`);
        else resolve(line);
      };
      onAbort = () => reject(signal?.reason);
      signal?.addEventListener('abort', onAbort);
      if (signal?.aborted) onAbort();
      lines.on('line', (line) => {
        given.push(line);
        if (!terminal) decide();
        // The lines of a paste come at once.
        else if (given.length === 1) setImmediate(decide);
      });
      lines.once('close', () => given.length === 0 && refuse(`No ${what} was given`));
      lines.once('error', () => refuse('The terminal was closed'));
      if (!terminal) return;
      onStop = () => resolve({ stop: true });
      onContinue = () => resolve({ stop: false });
      lines.once('SIGINT', () => refuse('Cancelled'));
      lines.once('SIGTSTP', onStop);
      process.once('SIGTSTP', onStop);
      process.once('SIGCONT', onContinue);
      // Only now: what is typed from here on is not echoed, and a stop is noticed.
      stderr.write(prompt);
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    process.removeListener('SIGTSTP', onStop).removeListener('SIGCONT', onContinue);
    // Gives the terminal its echo back.
    lines.close();
    if (terminal) stderr.write('\n');
  }
}
