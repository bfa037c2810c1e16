/** Asks for a password, without echo. */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { type CommandLine, Mistake } from './terminal.ts';

/**
 * The first line of the standard input; on a terminal the answer to a question, typed without echo. It is asked again
 * when the process was stopped meanwhile.
 *
 * @throws {Mistake} when no password is given.
 */
export async function askPassword(question: string, io: CommandLine): Promise<string> {
  for (;;) {
    const answer = await ask(question, io);
    if (typeof answer === 'string') return answer;
    // To the whole process group, as the terminal does for Ctrl-Z: npx, which waits for this process, has to stop too.
    // Without job control nothing stops, and the question comes again at once.
    if (answer.stop) process.kill(0, 'SIGTSTP');
  }
}

/** The answer; or that the question has to be asked again, after stopping (Ctrl-Z) or having been stopped. */
async function ask(question: string, { stdin, stderr }: CommandLine): Promise<string | { stop: boolean }> {
  const terminal = stdin.isTTY === true;
  // readline does the editing, while what it would show goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal, historySize: 0 });
  let onStop = () => {};
  let onContinue = () => {};
  try {
    return await new Promise((resolve, reject) => {
      const refuse = (why: string) => reject(new Mistake(`${why}; nothing was registered.`));
      const given: string[] = [];
      const decide = () => {
        const [line = ''] = given;
        if (line === '') refuse('No password was given');
        // The first line alone may not be what was meant, and the others may be commands.
        else if (terminal && (given.length > 1 || lines.line !== ''))
          refuse('More than one line was pasted. Give the password alone');
        else resolve(line);
      };
      lines.on('line', (line) => {
        given.push(line);
        if (!terminal) decide();
        // The lines of a paste come at once.
        else if (given.length === 1) setImmediate(decide);
      });
      lines.once('close', () => given.length === 0 && refuse('No password was given'));
      lines.once('error', () => refuse('The terminal was closed'));
      if (!terminal) return;
      onStop = () => resolve({ stop: true });
      onContinue = () => resolve({ stop: false });
      lines.once('SIGINT', () => refuse('Cancelled'));
      lines.once('SIGTSTP', onStop);
      process.once('SIGTSTP', onStop);
      process.once('SIGCONT', onContinue);
      // Only now: what is typed from here on is not echoed, and a stop is noticed.
      stderr.write(question);
    });
  } finally {
    process.removeListener('SIGTSTP', onStop).removeListener('SIGCONT', onContinue);
    // Gives the terminal its echo back.
    lines.close();
    if (terminal) stderr.write('\n');
  }
}
