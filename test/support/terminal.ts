/** A pseudo-terminal, by `script` of util-linux: npm has none without a compiler. */
import { spawnSync } from 'node:child_process';
import { type Child, cli, start } from './command-line.ts';
import { describeWith } from './programs.ts';

const works =
  process.platform === 'linux' && spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0;

/** `describe` where there is a terminal, and a shell with job control. */
export const describeOnTerminal = works ? describeWith('bash') : describeWith('script of util-linux');

/** Runs a shell's command in a terminal of its own. What is written to its standard input is typed. */
export function onTerminal(command: string): Child {
  return start('script', ['-qec', command, '/dev/null']);
}

/** An interactive shell with job control, in a terminal. */
export async function shellOnTerminal(): Promise<Child> {
  const bash = "PS1='READY> ' exec bash --noprofile --norc -i";
  // No settings of the user's, and nothing that is typed here is kept.
  const shell = start('script', ['-qec', bash, '/dev/null'], { HISTFILE: '', INPUTRC: '/dev/null' });
  await shell.says('READY> ');
  return shell;
}

export function type(child: Child, keys: string): void {
  child.process.stdin?.write(keys);
}

/** The command that asks for an administrator's password, for a shell. */
export function registerCommand(url: string): string {
  return `'${process.execPath}' ${cli.map((arg) => `'${arg}'`).join(' ')} register --server ${url} --admin admin`;
}
