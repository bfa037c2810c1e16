/** The example app at a Unix domain socket, as behind a proxy on the same machine. */
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { type ExampleProcess, startExampleProcess, startRefused } from '../support/example-process.ts';
import { until } from '../support/until.ts';

let folder: string;
let socketPath: string;
let powerFolder: PowerFolderServer;
const started: ExampleProcess[] = [];
beforeAll(async () => {
  powerFolder = await startPowerFolderServer();
});
afterAll(async () => await powerFolder.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
  socketPath = join(folder, 'app.sock');
});
afterEach(async () => {
  await Promise.all(started.splice(0).map((app) => app.stop('SIGKILL')));
  rmSync(folder, { recursive: true, force: true });
});

const behindProxy = { BASE_URL: 'https://app.example/desk', TRUST_PROXY: 'loopback' };

async function start(environment: Record<string, string> = {}): Promise<ExampleProcess> {
  const app = await startExampleProcess(powerFolder, { LISTEN_ADDRESS: socketPath, ...behindProxy, ...environment });
  started.push(app);
  return app;
}

async function get(path: string, headers: Record<string, string | string[]> = {}): Promise<IncomingMessage> {
  const asked = request({ socketPath, path, headers, agent: false }).end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  return answer;
}

const https = { 'X-Forwarded-Proto': 'https' };

describe('LISTEN_ADDRESS with a path', () => {
  it('is where the app listens, for every user who can get at the file, and the file is gone afterwards', async () => {
    const app = await start();
    const [line = ''] = app.output().filter((text) => text.includes('"listening"'));
    expect(JSON.parse(line)).toMatchObject({ socketPath, baseURL: behindProxy.BASE_URL });
    expect((await get('/healthz')).statusCode).toBe(200);
    // The proxy is another user, who has to write.
    expect(statSync(socketPath).mode & 0o777).toBe(0o777);
    expect(await app.stop('SIGTERM')).toBe(0);
    expect(existsSync(socketPath)).toBe(false);
  });

  it.each(['loopback', '1', '10.0.0.0/8, loopback'])(
    'believes the proxy, who has no address, with TRUST_PROXY=%s (R36, R46, R67)',
    async (TRUST_PROXY) => {
      const app = await start({ TRUST_PROXY, SIGN_IN_LIMIT: '2' });
      const statuses: unknown[] = [];
      for (const entry of [
        '203.0.113.8:1',
        '203.0.113.8:2',
        '1.1.1.1, 203.0.113.8:3',
        '203.0.113.9',
        '',
        'unknown',
        '_x',
      ]) {
        const { statusCode, headers } = await get('/desk/auth/powerfolder', { ...https, 'X-Forwarded-For': entry });
        statuses.push([statusCode, /^__Host-powerfolder-.*; Secure/.test(headers['set-cookie']?.[0] ?? '')]);
      }
      const [begun, refused] = [
        [302, true],
        [429, false],
      ];
      // Who is not named is this machine.
      expect(statuses).toEqual([begun, begun, refused, begun, begun, begun, refused]);
      const lines = await until(() => {
        const found = app
          .output()
          .slice(0, -1)
          .filter((line) => line.includes('"request completed"'));
        return found.length === statuses.length ? found : undefined;
      });
      expect(lines.map((line) => JSON.parse(line).req.ip)).toEqual([
        ...Array(3).fill('203.0.113.8'),
        '203.0.113.9',
        ...Array(3).fill('127.0.0.1'),
      ]);
    },
  );

  it('is taken over from a process that was killed', async () => {
    const killed = await start();
    await killed.stop('SIGKILL');
    expect(existsSync(socketPath)).toBe(true);
    await start();
    expect((await get('/healthz')).statusCode).toBe(200);
  });

  it('is not taken from a process that lives', async () => {
    const app = await start();
    const { status, stderr } = await startRefused({ LISTEN_ADDRESS: socketPath, ...behindProxy });
    expect([status, stderr]).toEqual([
      1,
      `Cannot listen at ${socketPath}: listen EADDRINUSE: address already in use ${socketPath}. Choose another with LISTEN_ADDRESS.\n`,
    ]);
    expect((await get('/healthz')).statusCode).toBe(200);
    expect(await app.stop('SIGTERM')).toBe(0);
  });

  it('is no other file, which stays as it is, and no place in a directory that is not there', async () => {
    writeFileSync(socketPath, 'letters');
    const refused = await startRefused({ LISTEN_ADDRESS: socketPath, ...behindProxy });
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('EADDRINUSE')]);
    expect(readFileSync(socketPath, 'utf8')).toBe('letters');
    const nowhere = join(folder, 'nowhere/app.sock');
    const { status, stderr } = await startRefused({ LISTEN_ADDRESS: nowhere, ...behindProxy });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/^Cannot listen at .*Choose another with LISTEN_ADDRESS\.\n$/),
    ]);
  });
});
