/** The example app as its users run it: a process of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import { compiledExample } from './compiled.ts';

export interface ExampleProcess {
  process: ChildProcess;
  /** Where the app says that it is. */
  url: string;
  /** Where it listens. */
  port: number;
  /** Lines of its standard output so far. */
  output(): string[];
  /** Sends a signal; gives the exit status. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

const root = join(__dirname, '../..');
/** Node's arguments as in the script `start` of package.json. */
export const fromSources = ['--import', 'tsx', 'example-app/server.ts'];

function start(environment: Record<string, string | undefined>, command = [compiledExample]) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, command, {
    cwd: root,
    env: { PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, stdout: () => stdout, stderr: () => stderr, ended: once(child, 'close') };
}

/**
 * Starts the app at any free port; it uses the given server, or without one simulates its own.
 *
 * @param command Node's arguments, where it is not to be the compiled app.
 */
export async function startExampleProcess(
  powerFolder?: PowerFolderServer,
  environment: Record<string, string> = {},
  command?: string[],
): Promise<ExampleProcess> {
  const { child, stdout, stderr, ended } = start(
    {
      PORT: '0',
      ...(powerFolder && {
        POWERFOLDER_URL: powerFolder.url,
        POWERFOLDER_CLIENT_ID: powerFolder.clientID,
        POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
      }),
      ...environment,
    },
    command,
  );
  const output = () => stdout().split('\n');
  // The last line may not be whole yet.
  const listening = () => {
    const line = output()
      .slice(0, -1)
      .find((line) => line.includes('"msg":"listening"'));
    return line === undefined ? undefined : (JSON.parse(line) as { baseURL: string; port: number });
  };
  while (!listening()) {
    const event = await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data'), ended.then(() => 'ended')]);
    if (event === 'ended') throw new Error(`The example app ended: ${stdout()}${stderr()}`);
  }
  const { baseURL, port } = listening() as { baseURL: string; port: number };
  return {
    process: child,
    url: baseURL,
    port,
    output,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      await ended;
      return child.exitCode;
    },
  };
}

/** Starts the app in an environment that it should refuse. */
export async function startRefused(
  environment: Record<string, string>,
): Promise<{ status: number | null; stderr: string }> {
  const { child, stderr, ended } = start(environment);
  await ended;
  return { status: child.exitCode, stderr: stderr() };
}
