import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectSecurely } from 'node:tls';
import { type PowerFolderFault, type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { authorizationURL, newCode, newTokens, requestToken } from '../support/simulated-sign-in.ts';
import { until } from '../support/until.ts';

let server: PowerFolderServer;

beforeEach(async () => {
  server = await startPowerFolderServer({ autoApprove: 'ada', webdavRanges: true, now: () => Date.UTC(2030, 0, 1) });
});

afterEach(() => server.close());

/** What came over a bare socket, when, and how it ended. */
class Wire {
  first = '';
  text = '';
  ended: 'end' | 'reset' | undefined;
  /** Milliseconds from the request to the last byte. */
  duration = 0;
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
    const start = performance.now();
    socket.on('data', (chunk) => {
      this.first ||= chunk.toString('latin1');
      this.text += chunk.toString('latin1');
      this.duration = performance.now() - start;
    });
    socket.on('end', () => {
      this.ended ??= 'end';
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') this.ended = 'reset';
    });
  }

  get(path: string, headers = ''): this {
    this.socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`);
    return this;
  }

  async end(): Promise<this> {
    await until(() => this.ended !== undefined);
    return this;
  }
}

const dial = () => new Wire(connect(Number(new URL(server.url).port), '127.0.0.1'));

/** Whatever the server had sent before would be here, too, when this is over. */
async function answerOnAnotherConnection(): Promise<void> {
  await dial().get('/login', 'Connection: close\r\n').end();
}

/** Spoils and makes one request to the Folders API. */
function spoilt(fault: PowerFolderFault): Wire {
  server.failNext('folders', fault);
  return dial().get('/api/folders?action=getAll');
}

describe('failNext', () => {
  it('sends another answer, once, and runs no handler', async () => {
    const code = await newCode(server);
    server.failNext('token', { status: 503, headers: { 'Retry-After': '5' }, body: '<h1>Down</h1>' });
    const response = await requestToken(server, { code });
    expect([response.status, response.headers.get('retry-after'), await response.text()]).toEqual([
      503,
      '5',
      '<h1>Down</h1>',
    ]);
    expect((await requestToken(server, { code })).status).toBe(200);
  });

  it('sends objects as JSON, bytes as they are, and nothing for no body', async () => {
    server.failNext('folders', { body: { ä: 1 } });
    server.failNext('folders', { body: Buffer.from([0xff, 0x00]) });
    server.failNext('folders', { status: 418 });
    const get = () => fetch(`${server.url}/api/folders?action=getAll`);
    const object = await get();
    expect(object.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await object.json()).toEqual({ ä: 1 });
    expect([...new Uint8Array(await (await get()).arrayBuffer())]).toEqual([0xff, 0x00]);
    const empty = await get();
    expect([empty.status, await empty.text()]).toEqual([418, '']);
    expect((await get()).status).toBe(401);
  });

  it.each([
    ['allow', () => fetch(authorizationURL(server), { redirect: 'manual' })],
    ['token', () => requestToken(server, { code: 'x' })],
    ['refresh', () => requestToken(server, { grant_type: 'refresh_token', refresh_token: 'x' })],
    ['refresh', () => fetch(`${server.url}/oauth?grant_type=refresh_token`)],
    ['accounts', () => fetch(`${server.url}/api/accounts?action=getInfo`)],
    ['folders', () => fetch(`${server.url}/api/folders?action=getAll`)],
    ['registration', () => fetch(`${server.url}/api/oauth?action=store`)],
    ['webdav', () => fetch(`${server.url}/webdav/Documents`)],
    ['login', () => fetch(`${server.url}/login`)],
  ] as const)('spoils %s, and nothing else', async (endpoint, request) => {
    server.failNext(endpoint, { status: 418 });
    expect((await fetch(`${server.url}/nowhere`)).status).toBe(404);
    expect((await request()).status).toBe(418);
    expect((await request()).status).not.toBe(418);
  });

  it('logs the request all the same', async () => {
    server.failNext('token', { silence: true });
    const controller = new AbortController();
    const request = requestToken(server, { code: 'seen' });
    request.catch(() => {});
    await until(() => server.requests.length === 1);
    expect(server.requests[0]).toMatchObject({ endpoint: 'token', json: { code: 'seen' } });
    controller.abort();
  });

  it('can be silent until the client goes', async () => {
    const wire = spoilt({ silence: true });
    await until(() => server.requests.length === 1);
    await answerOnAnotherConnection();
    await until(() => server.openSockets === 1);
    expect([wire.text, wire.ended]).toEqual(['', undefined]);
    wire.socket.destroy();
    await until(() => server.openSockets === 0);
  });

  it('can be silent until the server closes', async () => {
    const wire = spoilt({ silence: true });
    await until(() => server.requests.length === 1);
    await server.close();
    await wire.end();
    expect(wire.text).toBe('');
  });

  it('can drip a given answer from its first byte', async () => {
    const wire = await spoilt({ body: 'ab', drip: { everyMs: 5, bytes: 10 } }).end();
    expect(wire.text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nab$/s);
    expect(wire.first).toHaveLength(10);
    expect(wire.duration).toBeGreaterThan(4 * (wire.text.length / 10));
  });

  it('can drip only the body, byte by byte', async () => {
    const wire = await spoilt({ body: 'abcdef', drip: { everyMs: 20, from: 'body' } }).end();
    expect(wire.text).toMatch(/\r\n\r\nabcdef$/);
    expect(wire.first).toMatch(/^HTTP.*\r\n\r\n$/s);
    expect(wire.duration).toBeGreaterThan(6 * 19);
  });

  it('can drip the normal answer, which is then made', async () => {
    const code = await newCode(server);
    server.failNext('token', { drip: { everyMs: 1, bytes: 50, from: 'body' } });
    const response = await requestToken(server, { code });
    expect(await response.json()).toMatchObject({ access_token: expect.any(String) });
    expect((await requestToken(server, { code })).status).toBe(400);
  });

  it('stops dripping when the client goes', async () => {
    const wire = spoilt({ body: 'x'.repeat(1000), drip: { everyMs: 5 } });
    await until(() => wire.text.length > 2);
    wire.socket.destroy();
    await until(() => server.openSockets === 0);
  });

  it.each([
    ['resetAfter', 0, 'reset'],
    ['resetAfter', 25, 'reset'],
    ['closeAfter', 0, 'end'],
    ['closeAfter', 25, 'end'],
  ] as const)('can cut the normal answer: %s %i', async (how, length, ended) => {
    const fault = how === 'resetAfter' ? { resetAfter: length } : { closeAfter: length };
    const wire = await spoilt(fault).end();
    expect(wire.text).toBe('HTTP/1.1 401 Unauthorized\r\nDate: Tue, 01 Jan'.slice(0, length));
    expect(wire.ended).toBe(ended);
  });

  it('can cut a given answer in its body', async () => {
    const whole = (await spoilt({ body: 'abcdef' }).end()).text;
    const wire = await spoilt({ body: 'abcdef', closeAfter: whole.length - 2 }).end();
    expect(wire.text).toBe(whole.slice(0, -2));
    expect(wire.text).toMatch(/Content-Length: 6\r\n.*abcd$/s);
  });

  it('can reset over TLS', async () => {
    await server.close();
    const [key, cert, ca] = ['server.key', 'server.pem', 'ca.pem'].map((name) =>
      readFileSync(join(__dirname, '../fixtures/tls', name), 'utf8'),
    ) as [string, string, string];
    server = await startPowerFolderServer({ tls: { key, cert } });
    server.failNext('folders', { resetAfter: 12 });
    const socket = connectSecurely({
      port: Number(new URL(server.url).port),
      host: '127.0.0.1',
      ca,
      servername: 'localhost',
    });
    const wire = await new Wire(socket).get('/api/folders').end();
    expect([wire.text, wire.ended]).toEqual(['HTTP/1.1 401', 'reset']);
  });

  it('can send bytes instead of HTTP', async () => {
    const wire = await spoilt({ raw: Buffer.from('SSH-2.0-\xff\r\n', 'latin1') }).end();
    expect([wire.text, wire.ended]).toEqual(['SSH-2.0-\xff\r\n', 'end']);
    expect((await spoilt({ raw: 'HTTP/1.1 2', resetAfter: 4 }).end()).text).toBe('HTTP');
  });

  it('can flood with well-formed JSON', async () => {
    server.failNext('folders', { flood: 1_000_000 });
    const text = await (await fetch(`${server.url}/api/folders`)).text();
    expect(text).toHaveLength(1_000_000);
    expect(Object.keys(JSON.parse(text))).toEqual(['padding']);
  });

  it('floods no faster than the client reads', async () => {
    const before = process.memoryUsage();
    const wire = spoilt({ flood: 300_000_000 });
    wire.socket.once('data', () => wire.socket.pause());
    await until(() => wire.text !== '');
    await answerOnAnotherConnection();
    const after = process.memoryUsage();
    expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(50_000_000);
    expect(wire.ended).toBeUndefined();
    wire.socket.destroy();
    await until(() => server.openSockets === 0);
  });

  it('can cut a character in two', async () => {
    const chunks = [Buffer.from('{"a":"\xc3', 'latin1'), Buffer.from('\xbc"}', 'latin1')];
    const wire = await spoilt({ chunked: chunks, everyMs: 20 }).end();
    expect(wire.text).toMatch(/\r\n\r\n7\r\n\{"a":"\xc3\r\n3\r\n\xbc"\}\r\n0\r\n\r\n$/);
    expect(wire.duration).toBeGreaterThan(19);
    server.failNext('folders', { chunked: chunks });
    expect(await (await fetch(`${server.url}/api/folders`)).json()).toEqual({ a: 'ü' });
  });

  it('can hold back a body after its headers', async () => {
    const wire = spoilt({ chunked: ['', 'x'], everyMs: 60_000 });
    await until(() => wire.text.endsWith('\r\n\r\n'));
    await answerOnAnotherConnection();
    expect(wire.text).toMatch(/Transfer-Encoding: chunked\r\n\r\n$/);
    wire.socket.destroy();
  });

  it('spoils a download in its middle', async () => {
    const { access_token } = await newTokens(server);
    server.failNext('webdav', { resetAfter: 1_000_000 });
    const path = `${server.url}/webdav/${encodeURIComponent('Shared + 50% #team')}/video.bin`;
    const response = await fetch(path, { headers: { Authorization: `Bearer ${access_token}` } });
    expect(response.headers.get('content-length')).toBe('5000000');
    await expect(response.arrayBuffer()).rejects.toThrow();
  });

  it('refuses what it does not know', () => {
    expect(() => server.failNext('tokens' as 'token', { silence: true })).toThrow(/no endpoint "tokens"/);
    expect(() => server.failNext('token', { stauts: 500 } as object)).toThrow(/no member "stauts"/);
  });
});
