/** Who reads environment files, and what they read. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { findProgram } from './programs.ts';

type Variables = Record<string, string | undefined>;

const print = 'process.stdout.write(JSON.stringify(process.env))';

function run(command: string, args: string[]): Variables {
  const env = { PATH: process.env['PATH'], HOME: '/home/SENTINEL' };
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', env, timeout: 60_000 });
  if (status !== 0 || stderr !== '') throw new Error(`${command} ended with ${status} and said: ${stderr}`);
  return JSON.parse(stdout);
}

const sourcedBy = (shell: string) => (file: string) =>
  run(shell, ['-c', `set -a; . "$1"; exec "$2" -e '${print}'`, shell, file, process.execPath]);

/** Each takes an absolute path. Shells besides sh are there where they are found. */
export const readers: [name: string, read: (file: string) => Variables][] = [
  ...['sh', 'bash', 'dash', 'ksh', 'zsh']
    .filter(findProgram)
    .map((shell): [string, (file: string) => Variables] => [shell, sourcedBy(shell)]),
  ['node --env-file', (file) => run(process.execPath, [`--env-file=${file}`, '-e', print])],
  ['dotenv', (file) => parse(readFileSync(file))],
  // It has a second parser.
  ['dotenv, fast', (file) => parse(readFileSync(file), { fast: true })],
];
