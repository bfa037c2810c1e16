import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import {
  PowerFolderError,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  TokenError,
} from 'passport-powerfolder';
import { type PowerFolderFault, type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Agent, buildConnector } from 'undici';
import { startTestApp, type TestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { impatientForProfile, patience, timeout } from '../support/deadlines.ts';
import {
  bodyFaults,
  type FaultRow,
  profileFaults,
  redirectFaults,
  tokenFaults,
  wireFaults,
} from '../support/faults.ts';
import { rounds } from '../support/rounds.ts';
import { until } from '../support/until.ts';

/** Where somebody signs in: an application, and its server. */
interface Scene {
  server: PowerFolderServer;
  app: TestApp;
}

let server: PowerFolderServer;
let app: TestApp;
/** Where redirects lead: it must see nothing. */
let elsewhere: { url: string; connections: number; server: Server };

beforeAll(async () => {
  server = await startPowerFolderServer();
  const { url: serverURL, clientID, clientSecret } = server;
  app = await startTestApp({ options: { serverURL, clientID, clientSecret, timeout: patience } });
  const listener = createServer((socket) => {
    elsewhere.connections++;
    socket.destroy();
  });
  elsewhere = { url: await listening(listener), connections: 0, server: listener };
});
afterAll(async () => {
  await app.close();
  await server.close();
  elsewhere.server.close();
});
/** What a test started, to be ended also when it fails. */
const started: { close(): unknown }[] = [];
afterEach(async () => {
  app.errors.length = 0;
  for (const each of started.splice(0)) await each.close();
});

async function listening(listener: Server): Promise<string> {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return `127.0.0.1:${(listener.address() as AddressInfo).port}`;
}

function strategyFor(options: Partial<PowerFolderStrategyOptions> = {}): PowerFolderStrategy {
  const { url: serverURL, clientID, clientSecret } = server;
  const callbackURL = 'http://localhost/oauth';
  return new PowerFolderStrategy(
    { serverURL, clientID, clientSecret, callbackURL, timeout: patience, ...options },
    () => false,
  );
}

/**
 * For a deadline that has to pass. It has a server of its own: on a busy machine the deadline passes before the request
 * is there, and the fault would be waiting for the next one.
 */
async function startImpatientScene(strategy?: typeof impatientForProfile): Promise<Scene> {
  const own = await startPowerFolderServer();
  const { url: serverURL, clientID, clientSecret } = own;
  const options = { serverURL, clientID, clientSecret, timeout };
  const impatient = await startTestApp({ options, ...(strategy && { strategy }) });
  started.push(impatient, own);
  return { server: own, app: impatient };
}

interface SignedIn {
  error?: unknown;
  user?: { tokens: object; profile: Record<string, unknown> };
}

/** A sign-in up to the answer, which is not the server's own: any code will do, as its token endpoint is spoilt. */
async function signIn(at = app): Promise<SignedIn> {
  const browser = new Browser();
  const start = await browser.stay(`${at.url}/auth/powerfolder`);
  const state = new URL(String(start.headers['location'])).searchParams.get('state');
  const page = await browser.visit(`${at.callbackURL}/code=any&state=${state}`);
  const [error] = at.errors.splice(0);
  return error ? { error } : { user: JSON.parse(page.text).user };
}

const goodTokens = { body: { access_token: '1a-b', refresh_token: '1c-d', expires_in: 60 } };
const goodAccount = { body: { ID: 'x', username: 'ada' } };

type Ask = (fault: PowerFolderFault, scene?: Scene) => Promise<unknown>;

/** How each endpoint is asked, with the fault as its answer, which gives the error; and a scene in which it is late. */
const endpoints: [string, Ask, () => Promise<Scene>][] = [
  [
    'the token endpoint',
    async (fault, scene = { server, app }) => {
      scene.server.failNext('token', fault);
      return (await signIn(scene.app)).error;
    },
    startImpatientScene,
  ],
  [
    'the profile endpoint',
    async (fault, scene = { server, app }) => {
      scene.server.failNext('token', goodTokens);
      scene.server.failNext('accounts', fault);
      return (await signIn(scene.app)).error;
    },
    () => startImpatientScene(impatientForProfile),
  ],
  [
    'the refresh',
    async (fault, scene = { server, app }) => {
      scene.server.failNext('refresh', fault);
      return await scene.app.strategy.refreshAccessToken('1refresh').catch((error: unknown) => error);
    },
    startImpatientScene,
  ],
];

/** All that is asked of an error, and of what is left of the connection. */
async function expectRow(ask: Ask, { fault, code, status }: FaultRow, scene: Scene = { server, app }) {
  const error = await ask(fault, scene);
  expect(error).toBeInstanceOf(PowerFolderError);
  const { code: actual, serverStatus: upstream, message, cause } = error as PowerFolderError;
  expect({ code: actual, ...(status && { status: upstream }) }).toEqual({ code, ...(status && { status }) });
  expect(message).toMatch(/^The .*PowerFolder server .*\.$/);
  // What happened below the answer has a cause, which undici or Node gave.
  if (code === 'connection_lost' || code === 'not_http') expect(cause).toHaveProperty('message');
  await until(() => scene.server.openSockets === 0);
}

describe.each(endpoints)('%s', (name, ask, startLateScene) => {
  const rows = [...wireFaults, ...bodyFaults, ...(name === 'the profile endpoint' ? profileFaults : tokenFaults)];
  it.each(rows)('R25, R26, R27, R28: survives $name: $code', async (row) => {
    await expectRow(ask, row, row.code === 'timeout' ? await startLateScene() : undefined);
  });

  it('R24: follows no redirect, absolute, relative, or to nowhere', async () => {
    for (const location of [
      `http://${elsewhere.url}/oauth/token`,
      `//${elsewhere.url}/`,
      '/oauth/token',
      '',
      'http://',
    ]) {
      for (const row of redirectFaults(location)) await expectRow(ask, row);
    }
    server.requests.length = 0;
    await ask({ status: 307, headers: { Location: '/oauth/allow' } });
    expect(server.requests.map(({ endpoint }) => endpoint)).not.toContain('allow');
    expect(elsewhere.connections).toBe(0);
  });

  it('R25: has one deadline, which bytes that arrive do not put off', async () => {
    // If they did, there would be an answer after 20 s.
    const fault = { drip: { everyMs: timeout / 3, from: 'body' as const }, body: 'x'.repeat(200) };
    const error = await ask(fault, await startLateScene());
    expect(error).toMatchObject({ code: 'timeout', message: expect.stringContaining(`within ${timeout} ms`) });
  });
});

describe('a reset or a close at any byte', () => {
  const headers = { 'Content-Type': 'application/json' };
  const body = '{"access_token":"1abc-def","refresh_token":"1ghi-jkl","expires_in":60}';

  it.each(['resetAfter', 'closeAfter'] as const)('R27: %s is one error, or the whole answer', async (how) => {
    // A status line, four headers, the body.
    const longest = 340;
    const strategy = strategyFor();
    for (let start = 0; start < longest; start += 50) {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, async (_, index) => {
          server.failNext('refresh', { [how]: start + index, headers, body } as PowerFolderFault);
          return await strategy.refreshAccessToken(`1refresh-${index}`).then(
            ({ accessToken }) => accessToken,
            (error: PowerFolderError) => `${error.name} ${error.code}`,
          );
        }),
      );
      const lost = 'PowerFolderError connection_lost';
      for (const outcome of outcomes) expect([lost, '1abc-def']).toContain(outcome);
      if (start === 0) expect(new Set(outcomes)).toEqual(new Set([lost]));
      if (start + 50 >= longest) expect(outcomes).toContain('1abc-def');
    }
    await until(() => server.openSockets === 0);
  });
});

describe('an answer that is unusual but right', () => {
  const answers: [string, PowerFolderFault][] = [
    ['umlauts cut in two', { chunked: cut('{"ID":"x","firstname":"Jürgen","surname":"Yıldız 🦊"}') }],
    ['a byte order mark', { body: '\ufeff{"ID":"x","firstname":"Jürgen","surname":"Yıldız 🦊"}' }],
    [
      'members that nobody knows',
      { body: { ID: 'x', firstname: 'Jürgen', surname: 'Yıldız 🦊', __proto__: null, constructor: 1, toString: 'x' } },
    ],
    ['early hints before it', { raw: `HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${plain()}` }],
    ['HTTP/1.0', { raw: plain().replace('1.1', '1.0') }],
    ['no length', { raw: plain().replace(/Content-Length.*\r\n/, '') }],
    ['more than its Content-Length', { raw: `${plain()}rubbish` }],
    [
      'the most that is taken',
      {
        body:
          plain()
            .split('\r\n\r\n')[1]
            ?.padEnd(256 * 1024 - 8, ' ') ?? '',
      },
    ],
  ];
  function plain(): string {
    const body = '{"ID":"x","firstname":"Jürgen","surname":"Yıldız 🦊"}';
    return `HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }
  function cut(text: string): Buffer[] {
    return [...Buffer.from(text)].map((byte) => Buffer.from([byte]));
  }

  it.each(answers)('R28: with %s is understood', async (_, fault) => {
    server.failNext('token', goodTokens);
    server.failNext('accounts', fault);
    expect((await signIn()).user?.profile).toMatchObject({ id: 'x', displayName: 'Jürgen Yıldız 🦊' });
  });

  it('R26: is too large by one byte more', async () => {
    server.failNext('token', goodTokens);
    server.failNext('accounts', { body: '{"ID":"x"}'.padEnd(256 * 1024 + 1, ' ') });
    expect((await signIn()).error).toMatchObject({ code: 'too_large', status: 502, serverStatus: 200 });
  });

  it.each<[object, object]>([
    [{}, {}],
    [{ token_type: 'bearer' }, {}],
    [{ token_type: 'BEARER', scope: 7 }, {}],
    [{ expires_in: 0.5 }, { expiresAt: expect.any(Number) }],
    [{ expires_in: '86400' }, { expiresAt: expect.any(Number) }],
    [{ refresh_token: '1r-t' }, { refreshToken: '1r-t' }],
    [{ refresh_token: '' }, {}],
    [{ __proto__: null, constructor: 'x' }, {}],
  ])('R28: with the members %j gives tokens', async (members, expected) => {
    server.failNext('token', { body: { access_token: '1a-b', ...members } });
    server.failNext('accounts', goodAccount);
    expect((await signIn()).user?.tokens).toEqual({ accessToken: '1a-b', ...expected });
  });

  it.each(['username', 'firstname', 'surname', 'emails'])(
    'R27: with %s of any type signs in without it',
    async (member) => {
      for (const value of [null, 0, 1, true, '', ' ', [], {}, [null], [[]], [{}], [1], { a: 1 }, { length: 1 }]) {
        server.failNext('token', goodTokens);
        server.failNext('accounts', { body: { ID: 'x', [member]: value } });
        const { profile } = (await signIn()).user ?? {};
        expect(profile).toEqual({
          provider: 'powerfolder',
          id: 'x',
          displayName: 'x',
          _raw: expect.anything(),
          _json: expect.anything(),
        });
      }
    },
  );
});

describe('a server that cannot be reached', () => {
  const refresh = async (serverURL: string, options: Partial<PowerFolderStrategyOptions> = {}) =>
    await strategyFor({ serverURL, ...options })
      .refreshAccessToken('1refresh')
      .catch((error: unknown) => error);
  const tls = (file: string) => readFileSync(join(__dirname, '../fixtures/tls', file));

  it('R27: is unreachable where nobody listens', async () => {
    const listener = createServer();
    const host = await listening(listener);
    listener.close();
    await once(listener, 'close');
    const error = await refresh(`http://${host}`);
    expect(error).toMatchObject({ name: 'PowerFolderError', code: 'unreachable', cause: { code: 'ECONNREFUSED' } });
  });

  it('R27: is unreachable by a name that is none', async () => {
    expect(await refresh('https://powerfolder.invalid')).toMatchObject({
      code: 'unreachable',
      cause: { code: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) },
    });
  });

  it.each(['http', 'https'])(
    'R25: is given up by %s when it accepts and never reads, its socket closed',
    async (scheme) => {
      const sockets: Socket[] = [];
      const listener = createServer({ pauseOnConnect: true }, (socket) => {
        sockets.push(socket);
        socket.on('error', () => {});
      });
      started.push({ close: () => sockets.map((socket) => socket.destroy()) }, listener);
      const host = await listening(listener);
      expect(await refresh(`${scheme}://${host}`, { timeout })).toMatchObject({ code: 'timeout' });
      const socket = await until(() => sockets[0]);
      expect(sockets).toHaveLength(1);
      // Reading, only to learn whether the other end is closed.
      socket.resume();
      await until(() => socket.readableEnded || socket.destroyed);
    },
  );

  it('R18, R25: is sent nothing any more once it was given up, though the connection comes', async () => {
    const connectNow = buildConnector({});
    let connect = async () => {};
    const dispatcher = new Agent({
      connect: (options, callback) => {
        connect = () =>
          new Promise((resolve) =>
            connectNow(options, (...connected) => {
              callback(...connected);
              resolve();
            }),
          );
      },
    });
    started.push(dispatcher);
    server.requests.length = 0;
    expect(await refresh(server.url, { timeout, dispatcher })).toMatchObject({ code: 'timeout' });
    await connect();
    // What was sent by that connection would be there before this.
    await fetch(`${server.url}/login`);
    expect(server.requests.map(({ endpoint }) => endpoint)).toEqual(['login']);
  });

  it('says that the port does not speak TLS', async () => {
    expect(await refresh(server.url.replace('http:', 'https:'))).toMatchObject({ code: 'tls' });
  });

  describe('over TLS', () => {
    let secure: PowerFolderServer;
    beforeAll(async () => {
      secure = await startPowerFolderServer({ tls: { key: tls('server.key'), cert: tls('server.pem') } });
    });
    afterAll(() => secure.close());

    it('says that http does not do', async () => {
      const error = (await refresh(secure.url.replace('https:', 'http:'))) as PowerFolderError;
      expect(['not_http', 'connection_lost', 'refused']).toContain(error.code);
    });

    it('R23: is not trusted with a certificate of its own authority', async () => {
      expect(await refresh(secure.url)).toMatchObject({
        code: 'tls',
        cause: { code: expect.stringMatching(/CERT|VERIFY/) },
      });
      expect(secure.requests).toEqual([]);
    });

    it.each(['expired', 'other-name'])('R23: is not trusted with a certificate that is %s', async (file) => {
      const other = await startPowerFolderServer({ tls: { key: tls('server.key'), cert: tls(`${file}.pem`) } });
      const dispatcher = new Agent({ connect: { ca: tls('ca.pem') } });
      started.push(dispatcher, other);
      expect(await refresh(other.url, { dispatcher })).toMatchObject({ code: 'tls' });
      expect(other.requests).toEqual([]);
    });

    it('R24: is not left for http, which must see nothing', async () => {
      const dispatcher = new Agent({ connect: { ca: tls('ca.pem') } });
      started.push(dispatcher);
      for (const row of redirectFaults(`http://${elsewhere.url}/`)) {
        secure.failNext('refresh', row.fault);
        expect(await refresh(secure.url, { dispatcher })).toMatchObject({
          code: 'redirected',
          status: 502,
          serverStatus: row.status,
        });
      }
      expect(elsewhere.connections).toBe(0);
    });
  });
});

describe('OAuth errors', () => {
  it.each(['the token endpoint', 'the refresh'])('keep their words at %s', async (name) => {
    const ask = endpoints.find(([each]) => each === name)?.[1];
    for (const status of [200, 400, 401, 503]) {
      const error = await ask?.({
        status,
        body: {
          error: 'invalid_client',
          error_description: `Wrong secret:\r\n\u0000<b>"Jürgen"</b>\u202e ${'🦊'.repeat(200)}`,
          error_uri: 'https://pf.example/errors#1',
        },
      });
      expect(error).toBeInstanceOf(TokenError);
      const { code, message, uri, serverStatus: upstream } = error as TokenError & { serverStatus: number };
      expect({ code, uri, upstream }).toEqual({
        code: 'invalid_client',
        uri: 'https://pf.example/errors#1',
        upstream: status,
      });
      expect(message).toMatch(/^Wrong secret: b Jürgen \/b 🦊+$/u);
      expect(message.length).toBeLessThanOrEqual(200);
      expect(message).not.toMatch(/\p{Cs}/u);
    }
  });

  it('say something where the server says nothing', async () => {
    server.failNext('token', { status: 400, body: { error: 'invalid_client', error_description: '\u0000' } });
    expect((await signIn()).error).toMatchObject({
      message: 'The PowerFolder server refused the token request: invalid_client',
    });
  });

  it.each([200, 400, 401])('of a code that is used up, with status %d, lead to failureRedirect', async (status) => {
    const own = await startTestApp({
      options: { serverURL: server.url, clientID: server.clientID, clientSecret: server.clientSecret },
      routes: (host, strategy) => {
        const { Passport } = jest.requireActual('passport');
        host.use('/auth', new Passport().use(strategy).authenticate('powerfolder', { failureRedirect: '/failed' }));
      },
    });
    started.push(own);
    for (const code of ['any', 'a', 'invalid_grant']) {
      const browser = new Browser();
      const start = await browser.stay(`${own.url}/auth/powerfolder`);
      const state = new URL(String(start.headers['location'])).searchParams.get('state');
      server.failNext('token', { status, body: { error: 'invalid_grant', error_description: 'used' } });
      const page = await browser.stay(`${own.url}/auth/code=${code}&state=${state}`);
      expect([page.status, page.headers['location']]).toEqual([302, '/failed']);
    }
    expect(own.errors).toEqual([]);
  });
});

describe('a process of its own', () => {
  it('R25, R27: gets the same errors, stays alive, and ends by itself with no handle left', async () => {
    const rows = [...wireFaults, ...bodyFaults];
    const options: object[] = [];
    for (const { fault, code } of rows) {
      const scene = code === 'timeout' ? await startImpatientScene() : { server };
      scene.server.failNext('refresh', fault);
      const { url: serverURL, clientID, clientSecret } = scene.server;
      const deadline = code === 'timeout' ? timeout : patience;
      options.push({ serverURL, clientID, clientSecret, callbackURL: 'http://localhost/oauth', timeout: deadline });
    }
    const script = join(__dirname, '../fixtures/refresh-in-turn.mjs');
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      ['--import', 'tsx', script, JSON.stringify(options)],
      { env: { ...process.env, NODE_OPTIONS: '' } },
    );
    expect(stderr).toBe('');
    const actual = (JSON.parse(stdout) as object[]).map((error, index) => ({ name: rows[index]?.name, ...error }));
    const answered = (code: string, status?: number) => (code === 'timeout' ? 504 : status === 503 ? 503 : 502);
    expect(actual).toMatchObject(
      rows.map(({ name, code, status }) => ({
        ...{ name, code, status: answered(code, status) },
        ...(status !== undefined && { serverStatus: status }),
      })),
    );
  });
});

describe('any answer', () => {
  /** JSON texts cut and bent; often still near what is right. */
  const bent = (whole: object) =>
    fc
      .tuple(
        fc.constantFrom(JSON.stringify(whole), JSON.stringify({ ...whole, error: 'x' }), JSON.stringify([whole])),
        fc.array(fc.tuple(fc.nat(200), fc.nat(8), fc.uint8Array({ maxLength: 6 })), { maxLength: 3 }),
        fc.option(fc.nat(120), { nil: 1000 }),
      )
      .map(([json, changes, length]) => {
        let bytes = Buffer.from(json);
        for (const [at, gone, put] of changes) {
          bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + gone)]);
        }
        return bytes.subarray(0, length);
      });
  const members = (whole: object) =>
    fc.record(
      Object.fromEntries(Object.keys(whole).map((name) => [name, fc.oneof(fc.jsonValue(), fc.string(), fc.double())])),
      { requiredKeys: [] },
    );
  const anyBody = (whole: object) =>
    fc.oneof(
      bent(whole),
      members(whole),
      fc.jsonValue().map((value) => JSON.stringify(value)),
    );
  const status = fc.constantFrom(200, 200, 200, 201, 400, 401, 500);
  const typed = (error: unknown) => error instanceof PowerFolderError || error instanceof TokenError;

  it('R27, R28: at the token endpoint settles in tokens or a typed error', async () => {
    const strategy = strategyFor();
    const whole = { access_token: '1abc-ü', token_type: 'Bearer', expires_in: 60, refresh_token: '1x', error: 'y' };
    await fc.assert(
      fc.asyncProperty(status, anyBody({ ...whole, access_token: '1abc' }), async (code, body) => {
        server.failNext('refresh', { status: code, body: body as object });
        const outcome = await strategy.refreshAccessToken('1refresh').catch((error: unknown) => error);
        if (typed(outcome)) return;
        const tokens = outcome as { accessToken: string; refreshToken: string; expiresAt?: number };
        expect(tokens).toEqual({
          accessToken: expect.stringMatching(/^[!-~]+$/),
          refreshToken: expect.stringMatching(/^[!-~]+$/),
          ...('expiresAt' in tokens && { expiresAt: expect.any(Number) }),
        });
        expect(Number.isSafeInteger(tokens.expiresAt ?? 0)).toBe(true);
      }),
      { numRuns: rounds(60, 300) },
    );
  });

  it('R27, R31: at the profile endpoint settles in an account with an ID or a typed error', async () => {
    const strategy = strategyFor();
    const whole = { ID: 'x/Y', username: 'ada', firstname: 'Jürgen', surname: 'Y', emails: ['a@b'], account: {} };
    await fc.assert(
      fc.asyncProperty(status, anyBody(whole), async (code, body) => {
        server.failNext('accounts', { status: code, body: body as object });
        const outcome = await new Promise<unknown>((resolve) =>
          strategy.userProfile('1token', (error, profile) => resolve(error ?? profile)),
        );
        if (typed(outcome)) return;
        const { id, displayName } = outcome as { id: unknown; displayName: unknown };
        expect([typeof id, typeof displayName]).toEqual(['string', 'string']);
        expect(`${id}`.trim()).not.toBe('');
      }),
      { numRuns: rounds(60, 300) },
    );
  });
});
