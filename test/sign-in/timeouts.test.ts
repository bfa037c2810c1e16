/** What is left of exchanges that took too long: no request, no connection, and none that opens again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createProxy } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { PowerFolderStrategy } from 'passport-powerfolder';
import { Agent, ProxyAgent } from 'undici';

const timeout = 400;

/** A server that counts its connections. */
interface Counted {
  server: Server;
  port: number;
  connections: number;
  open: Set<Socket>;
  /** What came, over all connections. */
  received: string;
}

const started: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of started.splice(0)) await end();
});

type Behaviour = (socket: Socket) => unknown;

async function count(behave: Behaviour): Promise<Counted> {
  const server = createServer((socket) => {
    counted.connections++;
    counted.open.add(socket);
    socket.on('close', () => counted.open.delete(socket));
    socket.on('error', () => {});
    let request = '';
    socket.on('data', (chunk) => {
      counted.received += chunk;
      request += chunk;
      if (request.endsWith('}')) {
        request = '';
        behave(socket);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const counted: Counted = { server, port, connections: 0, open: new Set(), received: '' };
  started.push(() => {
    for (const socket of counted.open) socket.destroy();
    server.close();
  });
  return counted;
}

function strategyFor(port: number, options: object = {}): PowerFolderStrategy {
  const client = { clientID: 'app', clientSecret: 'a-secret', callbackURL: 'https://app.example.com/oauth' };
  const serverURL = `http://127.0.0.1:${port}`;
  return new PowerFolderStrategy({ serverURL, ...client, timeout, ...options }, () => false);
}

/** Simultaneous refreshes; gives what came of them, each outcome once. */
async function refreshAll(strategy: PowerFolderStrategy, times: number): Promise<string[]> {
  const outcomes = await Promise.all(
    Array.from({ length: times }, (_, index) =>
      strategy.refreshAccessToken(`1refresh-${index}`).then(
        () => 'refreshed',
        ({ code }: { code: string }) => code,
      ),
    ),
  );
  return [...new Set(outcomes)];
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 1000 && !condition(); tries++) await wait(10);
  expect(condition()).toBe(true);
}

/** All connections end, and then stay so. */
async function expectNothingLeft(counted: Counted, most: number): Promise<void> {
  await eventually(() => counted.open.size === 0);
  await wait(2 * timeout);
  expect(counted.open.size).toBe(0);
  expect(counted.connections).toBeLessThanOrEqual(most);
}

const drip = (socket: Socket, start: string) => {
  socket.write(start);
  const dripping = setInterval(() => socket.write('x'), timeout / 5);
  socket.on('close', () => clearInterval(dripping));
};
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n';
const slow: [string, Behaviour][] = [
  ['accepts and never answers', () => {}],
  ['drips the headers', (socket) => drip(socket, `${ok}X-Header: `)],
  ['drips the body', (socket) => drip(socket, `${ok}\r\n`)],
  ['drips the body, with a short keep-alive', (socket) => drip(socket, `${ok}Keep-Alive: timeout=2\r\n\r\n`)],
];
const answer = '{"access_token":"1access","refresh_token":"1refresh","expires_in":86400}';
const answered = (keepAlive = '') => `HTTP/1.1 200 OK\r\n${keepAlive}Content-Length: ${answer.length}\r\n\r\n${answer}`;

describe('R56: 100 simultaneous timeouts', () => {
  it.each(slow)('make at most 100 connections to a server that %s, and none remains', async (_, behave) => {
    const counted = await count(behave);
    expect(await refreshAll(strategyFor(counted.port), 100)).toEqual(['timeout']);
    await expectNothingLeft(counted, 100);
  });

  it('make at most 100 connections to a server that never completes the TLS handshake, and none remains', async () => {
    const counted = await count(() => {});
    const strategy = strategyFor(counted.port, { serverURL: `https://127.0.0.1:${counted.port}` });
    expect(await refreshAll(strategy, 100)).toEqual(['timeout']);
    await expectNothingLeft(counted, 100);
  });

  it.each(['', 'Keep-Alive: timeout=2\r\n'])(
    'on connections that were kept (%j) open no further ones, and none of theirs remains',
    async (keepAlive) => {
      let silent = false;
      const unanswered = new Set<Socket>();
      const counted = await count((socket) => (silent ? unanswered.add(socket) : socket.write(answered(keepAlive))));
      // Enough for the answers, on a slow machine as well.
      const strategy = strategyFor(counted.port, { timeout: 5000 });
      expect(await refreshAll(strategy, 100)).toEqual(['refreshed']);
      silent = true;
      expect(await refreshAll(strategy, 100)).toEqual(['timeout']);
      const { connections } = counted;
      await eventually(() => [...unanswered].every((socket) => !counted.open.has(socket)));
      await wait(2 * timeout);
      expect(counted.connections).toBe(connections);
      expect(connections).toBeLessThanOrEqual(200);
      expect(unanswered.size).toBe(100);
    },
    30_000,
  );

  it('leave the process without a socket where the TCP handshake is never completed', async () => {
    // It listens, with a short queue, and then does nothing at all any more.
    const script = `
      const { createServer } = require('node:net');
      const server = createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
        require('node:fs').writeSync(1, String(server.address().port));
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 120_000);
      });`;
    const stuck: ChildProcess = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(() => stuck.kill('SIGKILL'));
    const [port] = await once(stuck.stdout as NodeJS.ReadableStream, 'data');
    expect(await refreshAll(strategyFor(Number(port)), 100)).toEqual(['timeout']);
    const connecting = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPConnectWrap').length;
    await eventually(() => connecting() === 0);
    await wait(2 * timeout);
    expect(connecting()).toBe(0);
  });
});

describe("R56: with the application's own dispatcher, a refresh that took too long", () => {
  const sent = (counted: Counted) => counted.received.match(/1refresh-\d+/g) ?? [];

  it('is not sent when it was still waiting for its turn', async () => {
    const waiting: Socket[] = [];
    const counted = await count((socket) => waiting.push(socket));
    const dispatcher = new Agent({ connections: 1 });
    started.push(() => dispatcher.destroy());
    // It has the only connection until the others have given up.
    const patient = strategyFor(counted.port, { dispatcher, timeout: 20_000 }).refreshAccessToken('1first');
    await eventually(() => waiting.length === 1);
    expect(await refreshAll(strategyFor(counted.port, { dispatcher }), 20)).toEqual(['timeout']);
    waiting[0]?.write(answered());
    expect(await patient).toMatchObject({ accessToken: '1access' });
    await wait(2 * timeout);
    expect(counted.received).toContain('1first');
    expect(sent(counted)).toEqual([]);
  });

  it('is not sent when the proxy lets it through later', async () => {
    const counted = await count(() => {});
    const tunnels: (() => unknown)[] = [];
    const proxy = createProxy();
    proxy.on('connect', (_req, socket: Socket) => {
      socket.on('error', () => {});
      tunnels.push(() => {
        const through = connect(counted.port, '127.0.0.1', () => socket.write('HTTP/1.1 200 OK\r\n\r\n'));
        through.on('error', () => {}).on('close', () => socket.destroy());
        through.pipe(socket).pipe(through);
      });
    });
    proxy.listen(0, '127.0.0.1');
    await once(proxy, 'listening');
    const { port } = proxy.address() as AddressInfo;
    const dispatcher = new ProxyAgent({ uri: `http://127.0.0.1:${port}`, proxyTunnel: true });
    started.push(
      () => dispatcher.destroy(),
      () => proxy.closeAllConnections(),
      () => proxy.close(),
    );
    expect(await refreshAll(strategyFor(counted.port, { dispatcher }), 5)).toEqual(['timeout']);
    expect(tunnels).not.toEqual([]);
    for (const open of tunnels) open();
    await wait(2 * timeout);
    expect(sent(counted)).toEqual([]);
  });
});

describe('a process', () => {
  it('that has replaced setImmediate, as monitoring does, uses its connections again', async () => {
    const counted = await count((socket) => socket.write(answered()));
    const { setImmediate: nodes } = globalThis;
    globalThis.setImmediate = ((...args: Parameters<typeof nodes>) => nodes(...args)) as typeof nodes;
    try {
      const strategy = strategyFor(counted.port, { timeout: 60_000 });
      for (let i = 0; i < 10; i++) {
        await strategy.refreshAccessToken(`1refresh-${i}`);
        await wait(20);
      }
    } finally {
      globalThis.setImmediate = nodes;
    }
    expect(counted.connections).toBeLessThan(10);
  });

  it('that was busy until the deadline reads what has come meanwhile', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
    const [received, go, sent] = ['received', 'go', 'sent'].map((name) => JSON.stringify(join(folder, name)));
    const script = `const { existsSync, writeFileSync } = require('node:fs');
    require('node:http').createServer((req, res) => {
      writeFileSync(${received}, '');
      const waiting = setInterval(() => {
        if (!existsSync(${go})) return;
        clearInterval(waiting);
        res.end('{"access_token":"1access"}', () => writeFileSync(${sent}, ''));
      }, 5);
    }).listen(0, '127.0.0.1', function () { console.log(this.address().port); })`;
    const child: ChildProcess = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    started.push(
      () => child.kill(),
      () => rmSync(folder, { recursive: true }),
    );
    const [port] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    const outcomes: unknown[] = [];
    // A machine that is too slow to send it before the deadline may try again; by the fault it never gets an answer.
    for (let attempt = 1; attempt <= 5 && !outcomes.includes('refreshed'); attempt++) {
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
      const start = Date.now();
      const answer = refreshAll(strategyFor(Number(port), { timeout: 2000 }), 1);
      while (!existsSync(join(folder, 'received')) && Date.now() < start + 10_000) await wait(5);
      // From here on nothing is read until the server has answered and the deadline is over.
      writeFileSync(join(folder, 'go'), '');
      // After what can be read was read, and before timers run.
      await new Promise((resolve) => setImmediate(resolve));
      while (Date.now() < start + 2100 || (!existsSync(join(folder, 'sent')) && Date.now() < start + 20_000));
      outcomes.push(...(await answer));
    }
    expect(outcomes).toContain('refreshed');
  });
});
