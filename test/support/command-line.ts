/** The command line as its tests run it: in this process, or as one of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { main } from '../../lib/cli/index.ts';
import type { CommandLine } from '../../lib/cli/terminal.ts';
import { compiledCommandLine } from './compiled.ts';
import { type Listener, listen } from './listener.ts';

export const root = join(__dirname, '../..');
export const tlsFile = (name: string) => join(root, 'test/fixtures/tls', name);
export const tls = (certificate: string) => ({
  key: readFileSync(tlsFile('server.key')),
  cert: readFileSync(tlsFile(certificate)),
});

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

export const admin = { username: 'admin', password: 'adminSENTINELpassword' };

export async function startServer(options: PowerFolderServerOptions = {}): Promise<PowerFolderServer> {
  const server = await startPowerFolderServer({
    clients: [{ id: 'app', secret: 'clientSENTINELsecret' }],
    accounts: [
      { username: 'ada', password: 'ada' },
      { ...admin, admin: true },
    ],
    ...options,
  });
  closers.push(() => server.close());
  return server;
}

export async function startListener(...args: Parameters<typeof listen>): Promise<Listener> {
  const listener = await listen(...args);
  closers.push(() => listener.close());
  return listener;
}

interface Run {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs a command in this process, and sees to it that nothing secret that it was given comes out again. */
export async function run(
  argv: string[],
  { env = {}, input, terminal = false }: { env?: CommandLine['env']; input?: string; terminal?: boolean } = {},
): Promise<Run> {
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  if (input !== undefined) stdin.end(input);
  const stdout = Object.assign(new PassThrough(), { isTTY: terminal });
  const stderr = Object.assign(new PassThrough(), { isTTY: terminal });
  const output = Promise.all([text(stdout), text(stderr)]);
  const status = await main(argv, { env, stdin, stdout, stderr });
  stdout.end();
  stderr.end();
  const [out, err] = await output;
  expect(out + err).not.toMatch(/SENTINEL|^\s+at /m);
  return { status, stdout: out, stderr: err };
}

export const checkEnv = { POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };

/** What `check` finds, each line as [mark, subject, sentence]. */
export async function findings(argv: string[], env: CommandLine['env'] = checkEnv) {
  const { status, stdout, stderr } = await run(['check', ...argv], { env });
  expect(stderr).toBe('');
  const lines = stdout.trimEnd().split('\n');
  const last = lines.pop();
  return {
    status,
    last,
    found: lines.map((line) => /^(\S+) +(\S+) +(.*)$/.exec(line)?.slice(1) as [string, string, string]),
  };
}

/** The one thing that is wrong, in its sentence. */
export async function problem(argv: string[], env?: CommandLine['env']): Promise<[about: string, sentence: string]> {
  const { status, last, found } = await findings(argv, env);
  const [first, ...more] = found.filter(([mark]) => mark === 'WRONG');
  expect([status, last, more]).toEqual([1, '1 problem found.', []]);
  return [first?.[1] ?? '', first?.[2] ?? ''];
}

/** Node's arguments for the command line in a process of its own. */
export const cli = [compiledCommandLine];

export interface Child {
  process: ChildProcess;
  /** Everything that came out so far, of both streams. */
  output: () => string;
  /** Waits until that has the words in it, so many times. @default 1 */
  says(words: string, times?: number): Promise<void>;
  /** The exit status, or the signal's name. */
  ended: Promise<number | string | null>;
}

/** Starts a process that is ended with the test. */
export function start(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Child {
  const { POWERFOLDER_URL: _, FORCE_COLOR: __, NO_COLOR: ___, ...inherited } = process.env;
  const child = spawn(command, args, { cwd: root, env: { ...inherited, ...env } });
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (data) => {
      output += data;
      for (const listener of listeners) listener();
    });
  }
  const ended = new Promise<number | string | null>((resolve) =>
    child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  closers.push(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return {
    process: child,
    output: () => output,
    ended,
    says: (words, times = 1) =>
      new Promise((resolve, reject) => {
        const look = () => output.split(words).length > times && resolve();
        listeners.add(look);
        look();
        ended.then(() => reject(new Error(`It ended without saying "${words}", but: ${output}`)), reject);
      }),
  };
}
