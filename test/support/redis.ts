/** A real redis-server on a socket in a folder of its own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { findProgram } from './programs.ts';

export interface Redis {
  url: string;
  /** The path of its socket. */
  socket: string;
  /** The process, which is another one after a restart. */
  process(): ChildProcess;
  /** Starts it again after {@link stop}. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Sends a command by redis-cli. */
  ask(...command: string[]): string;
  /** What a key holds, a text, as it is. */
  read(key: string): Buffer;
  /** Sets a key, which expires as a session does, to a text of any length. */
  write(key: string, text: string | Buffer): void;
  /** Ends it and leaves nothing behind. */
  close(): Promise<void>;
}

/**
 * @param persistent Whether what is in it outlives a restart.
 * @param tcp Whether it is reached by a port of 127.0.0.1 as well, which its URL then tells.
 */
export async function startRedis({ persistent = false, tcp = false } = {}): Promise<Redis> {
  const program = findProgram('redis-server');
  if (!program) throw new Error('redis-server not found');
  const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-redis-'));
  const socket = join(folder, 's.sock');
  const port = tcp ? await freePort() : '0';
  const url = tcp ? `redis://127.0.0.1:${port}` : `unix://${socket}`;
  const settings = ['--port', port, '--bind', '127.0.0.1', '--unixsocket', socket, '--dir', folder, '--save', ''];
  settings.push('--appendonly', persistent ? 'yes' : 'no', '--appendfsync', 'no');
  let child: ChildProcess | undefined;

  async function start(): Promise<void> {
    const redis = spawn(program as string, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
    child = redis;
    let output = '';
    await new Promise<void>((resolve, reject) => {
      redis.once('exit', () => reject(new Error(`redis-server ended: ${output}`)));
      redis.stdout.on('data', (chunk) => {
        output += chunk;
        if (/ready to accept connections/i.test(output)) resolve();
      });
    });
  }

  async function stop(): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode) return;
    const ended = once(child, 'exit');
    // One that was stopped with SIGSTOP hears nothing else.
    child.kill('SIGCONT');
    child.kill('SIGTERM');
    await ended;
  }

  function cli(command: string[], input?: string | Buffer): Buffer {
    const program = findProgram('redis-cli');
    if (!program) throw new Error('redis-cli not found');
    const args = ['-s', socket, '--raw', ...command];
    return execFileSync(program, args, { maxBuffer: 2 ** 26, ...(input !== undefined && { input }) });
  }

  await start();
  return {
    url,
    socket,
    process: () => child as ChildProcess,
    start,
    stop,
    ask: (...command) => cli(command).toString().trim(),
    // It puts a line's end after what it prints.
    read: (key) => cli(['GET', key]).subarray(0, -1),
    write(key, text) {
      const answer = cli(['-x', 'SETEX', key, '3600'], text).toString().trim();
      if (answer !== 'OK') throw new Error(`Redis did not set ${key}: ${answer}`);
    },
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
