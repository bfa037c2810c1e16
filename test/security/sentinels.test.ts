import { inspect } from 'node:util';
import {
  CookieStateStore,
  PowerFolderError,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderVerifyFunction,
  TokenError,
} from 'passport-powerfolder';
import { type PowerFolderFault, type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Agent } from 'undici';
import { startTestApp, type TestApp } from '../support/app.ts';
import { Browser, type Page } from '../support/browser.ts';
import { impatientForProfile, patience, timeout } from '../support/deadlines.ts';
import { bodyFaults, profileFaults, redirectFaults, tokenFaults, wireFaults } from '../support/faults.ts';
import { rounds } from '../support/rounds.ts';
import { until } from '../support/until.ts';

/** Unmistakable, and with characters that each spelling writes in its own way. */
const sentinels = {
  secret: 'kQ7/ZpXw4+"jL2=vHs8Rn\\ü9',
  code: 'mR8/YtVb5+"gN3=cKd6Fq\\ä3',
  accessToken: '1xW4zJrTq8-h2NdLs6FgKjWb',
  refreshToken: '1pM6vCyHn3-c9BxTqPzVuMek',
  newRefreshToken: '1sD8uGfLa2-w5GyHdKfRaJnt',
};
const all = Object.values(sentinels);

/** What a text must not hold: a sentinel, or ten characters of one, in any of the usual spellings. */
function spellings(value: string): string[] {
  const base64 = ['', ' ', '  '].map((before) =>
    Buffer.from(before + value)
      .toString('base64')
      .slice(4, -4),
  );
  const whole = [
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    ...base64,
    Buffer.from(value).toString('hex'),
  ];
  return whole.flatMap((text) => Array.from({ length: text.length - 9 }, (_, at) => text.slice(at, at + 10)));
}
const forbidden = [...new Set(all.flatMap(spellings))];

function leaks(text: string, among = forbidden): string[] {
  return among.filter((part) => text.includes(part));
}

/** Everything that a logger, a debugger or an error page could make of an error, the causes included. */
function views(error: unknown): string {
  const chain: unknown[] = [];
  for (let each: unknown = error; each && chain.length < 9; each = (each as { cause?: unknown }).cause)
    chain.push(each);
  return chain
    .flatMap((each) => [
      String(each),
      (each as Error).message,
      (each as Error).stack,
      inspect(each, { showHidden: true, depth: 9 }),
      JSON.stringify(each),
      JSON.stringify(each, Object.getOwnPropertyNames(each)),
    ])
    .join('\n');
}

/** Where somebody signs in: an application, and its server. */
interface Scene {
  server: PowerFolderServer;
  settings: Omit<PowerFolderStrategyOptions, 'callbackURL'>;
  app: TestApp;
}

async function startScene(deadline: number, strategy?: typeof impatientForProfile): Promise<Scene> {
  const server = await startPowerFolderServer({ clients: [{ id: 'client', secret: sentinels.secret }] });
  const settings = {
    serverURL: server.url,
    clientID: 'client',
    clientSecret: sentinels.secret,
    timeout: deadline,
  };
  const verify: PowerFolderVerifyFunction = ({ profile }) => ({ id: profile.id });
  const app = await startTestApp({ options: settings, verify, ...(strategy && { strategy }) });
  return { server, settings, app };
}

async function closeScene({ app, server }: Scene): Promise<void> {
  await app.close();
  await server.close();
}

let scene: Scene;
let server: PowerFolderServer;
let app: TestApp;
/** Every page and redirect that a visitor saw. */
const pages: Page[] = [];

beforeAll(async () => {
  scene = await startScene(patience);
  ({ server, app } = scene);
});
afterAll(() => closeScene(scene));
beforeEach(() => {
  app.errors.length = 0;
  pages.length = 0;
});

const strategyFor = (options: Partial<PowerFolderStrategyOptions> = {}, { settings } = scene) =>
  new PowerFolderStrategy({ ...settings, callbackURL: 'http://localhost/oauth', ...options }, () => false);

/** A sign-in with the sentinel for a code; gives the state, which is one more. */
async function signIn(path = `code=${encodeURIComponent(sentinels.code)}`, at = app): Promise<string> {
  const browser = new Browser();
  const start = await browser.stay(`${at.url}/auth/powerfolder`);
  const state = new URL(String(start.headers['location'])).searchParams.get('state') ?? '';
  // The one place where the state belongs.
  const headers = { ...start.headers, location: String(start.headers['location']).replace(state, '') };
  pages.push(
    { ...start, headers },
    await browser.visit(`${at.callbackURL}/${path.replace('STATE', state)}&state=${state}`),
  );
  return state;
}

const goodTokens: PowerFolderFault = {
  body: { access_token: sentinels.accessToken, refresh_token: sentinels.refreshToken, expires_in: 60 },
};
type Ask = (fault: PowerFolderFault, at?: Scene) => Promise<unknown>;
/** How each endpoint is asked, and what is sent to it. */
const endpoints: [string, Ask, string[]][] = [
  [
    'the token endpoint',
    async (fault, at = scene) => {
      at.server.failNext('token', fault);
      return await signIn(undefined, at.app);
    },
    [sentinels.code, sentinels.secret],
  ],
  [
    'the profile endpoint',
    async (fault, at = scene) => {
      at.server.failNext('token', goodTokens);
      at.server.failNext('accounts', fault);
      return await signIn(undefined, at.app);
    },
    all,
  ],
  ...(['POST', 'GET'] as const).map((refreshMethod): (typeof endpoints)[number] => [
    `the refresh by ${refreshMethod}`,
    async (fault, at = scene) => {
      at.server.failNext('refresh', fault);
      await strategyFor({ refreshMethod }, at)
        .refreshAccessToken(sentinels.refreshToken)
        .catch((error: unknown) => at.app.errors.push(error));
    },
    [sentinels.refreshToken, sentinels.secret],
  ]),
  [
    'passport-oauth2-refresh',
    async (fault, at = scene) => {
      at.server.failNext('refresh', fault);
      const strategy = strategyFor({}, at);
      const refresh = jest.requireActual('passport-oauth2-refresh');
      refresh.use('sentinel', strategy);
      await new Promise<void>((resolve) =>
        refresh.requestNewAccessToken('sentinel', sentinels.refreshToken, (error: unknown) => {
          if (error) at.app.errors.push(error);
          resolve();
        }),
      );
    },
    [sentinels.refreshToken, sentinels.secret],
  ],
];

const neverEnds = (fault: PowerFolderFault) => 'silence' in fault || 'drip' in fault || 'everyMs' in fault;

/**
 * Asks patiently, but where no answer comes: there the deadline has to pass. As it may do so before the request is there,
 * and the fault would be waiting for the next one, that is asked of another server.
 */
async function askInTime(name: string, ask: Ask, fault: PowerFolderFault): Promise<unknown> {
  if (!neverEnds(fault)) return await ask(fault);
  const late = await startScene(timeout, name === 'the profile endpoint' ? impatientForProfile : undefined);
  try {
    return await ask(fault, late);
  } finally {
    app.errors.push(...late.app.errors);
    await closeScene(late);
  }
}

function expectNoLeak(state: unknown): void {
  const text = [
    ...app.errors.map(views),
    ...pages.map((page) => inspect({ ...page, url: '', trail: [] }, { depth: 9 })),
  ].join('\n');
  expect(leaks(text, typeof state === 'string' ? [...forbidden, state] : forbidden)).toEqual([]);
}

/** It is the same one for all that goes wrong in a test. */
afterEach(() => {
  expect(leaks(inspect(app.strategy, { showHidden: true, depth: 9 }) + JSON.stringify(app.strategy))).toEqual([]);
});

/** Answers that repeat what was sent, as bodies. */
function echoes(status: number, sent: string[]): [string, PowerFolderFault][] {
  const raw = [
    ...sent,
    JSON.stringify(sent),
    JSON.stringify({ grant: sent[0], client_secret: sent[1] }),
    `Bearer ${sent[0]}`,
  ];
  const spelt: [string, string[]][] = [
    ['as it is', raw],
    ['JSON-escaped', raw.map((text) => JSON.stringify(text))],
    ['JSON-escaped twice', raw.map((text) => JSON.stringify(JSON.stringify(text)))],
    ['URL-encoded', raw.map(encodeURIComponent)],
    ['as a form', raw.map((text) => new URLSearchParams({ text }).toString())],
    ['in base64', raw.map((text) => Buffer.from(text).toString('base64'))],
    ['in base64 within something', raw.map((text) => Buffer.from(`x${text}`).toString('base64'))],
    ['in base64 within more', raw.map((text) => Buffer.from(`xy${text}x`).toString('base64url'))],
    ['in hexadecimal digits', raw.map((text) => Buffer.from(text).toString('hex'))],
    ['the first half', raw.map((text) => text.slice(0, text.length / 2))],
    ['the second half', raw.map((text) => text.slice(text.length / 2))],
    [
      'with every character escaped',
      raw.map((text) => text.replace(/[^\w]/g, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)),
    ],
  ];
  return spelt.flatMap(([name, texts]): [string, PowerFolderFault][] => {
    const text = texts.join(' ');
    return [
      [`in error, ${name}`, { status, body: { error: text } }],
      [`in error_description, ${name}`, { status, body: { error: 'server_error', error_description: text } }],
      [
        `in the middle of error_description, ${name}`,
        { status, body: { error: 'x', error_description: texts.at(-1) } },
      ],
      [`in error_uri, ${name}`, { status, body: { error: 'x', error_uri: `https://pf.example/${texts[0]}` } }],
      [`in members of their own, ${name}`, { status, body: { error: 'x', [text]: text, error_description: [text] } }],
      [`in HTML, ${name}`, { status, body: `<h1>${text}</h1>` }],
      [`in broken JSON, ${name}`, { status, body: `{"error":"x","error_description":${text}` }],
    ];
  });
}

const line = [
  sentinels.accessToken,
  sentinels.refreshToken,
  encodeURIComponent(sentinels.code),
  encodeURIComponent(sentinels.secret),
].join(' ');
const wireEchoes: [string, PowerFolderFault][] = [
  ['in headers', { status: 400, headers: { 'X-Echo': line, 'WWW-Authenticate': `Bearer error="${line}"` } }],
  ['in Location', { status: 302, headers: { Location: `https://pf.example/?${line.replaceAll(' ', '&')}` } }],
  ['in the reason phrase', { raw: `HTTP/1.1 400 ${line}\r\nContent-Length: 0\r\n\r\n` }],
  ['in a malformed status line', { raw: `HTTP/1.1 ${line}\r\n\r\n` }],
  ['instead of HTTP', { raw: line }],
  ['in a malformed header', { raw: `HTTP/1.1 200 OK\r\n${line}\r\n\r\n` }],
  ['behind NUL', { raw: `HTTP/1.1 200 OK\r\nX-A: \0${line}\r\n\r\n` }],
  ['in a malformed chunk', { raw: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZ${line}\r\n` }],
  ['in a body that is cut', { headers: { 'Content-Length': '9999' }, body: line }],
  ['in a body that stops', { chunked: [line, ''], everyMs: 60_000 }],
  ['in a body that is not UTF-8', { body: Buffer.concat([Buffer.from(line), Buffer.from([0xff])]) }],
  ['in a token_type', { body: { access_token: 'x', token_type: line } }],
  ['in an expires_in', { body: { access_token: 'x', expires_in: line } }],
  ['in an access_token that is none', { body: { access_token: line } }],
  ['in a refresh_token that is none', { body: { access_token: 'x', refresh_token: line } }],
  ['in an account without an ID', { body: { username: line } }],
];

describe.each(endpoints)(
  'R29: after what goes wrong at %s, nothing secret is in errors, pages and the strategy',
  (name, ask, sent) => {
    const faults = [
      ...wireFaults,
      ...redirectFaults('/elsewhere'),
      ...bodyFaults,
      ...(name === 'the profile endpoint' ? profileFaults : tokenFaults),
    ];
    it('for every fault', async () => {
      for (const { fault } of faults) {
        app.errors.length = 0;
        pages.length = 0;
        expectNoLeak(await askInTime(name, ask, fault));
        expect(app.errors).toEqual([expect.any(Error)]);
      }
    });

    it.each([200, 400, 503])('for every echo with status %d', async (status) => {
      // One of two in turn, or all.
      const some = echoes(status, sent).filter((_, index) => index % rounds(2, 1) === 0);
      for (const [, fault] of some) {
        app.errors.length = 0;
        pages.length = 0;
        const state = await ask(fault);
        expectNoLeak(state);
        expect(app.errors).toEqual([expect.any(Error)]);
      }
    });

    it.each(wireEchoes)('for an echo %s', async (_, fault) => {
      expectNoLeak(await askInTime(name, ask, fault));
    });
  },
);

it('R29: leaves the words between what it hides', async () => {
  server.failNext('token', {
    status: 401,
    body: { error: 'invalid_client', error_description: `The secret ${sentinels.secret} of client is wrong` },
  });
  await signIn();
  expect(app.errors).toEqual([expect.any(TokenError)]);
  expect(app.errors[0]).toMatchObject({ message: 'The secret [hidden] of client is wrong', code: 'invalid_client' });
});

it('R29: is true of a server that repeats the state in its error', async () => {
  const state = await signIn(
    'error=server_error&error_description=No+state+STATE+here&error_uri=https://pf.example/STATE',
  );
  expect(app.errors).toEqual([expect.objectContaining({ message: 'No state [hidden] here' })]);
  expectNoLeak(state);
});

it('R29: is true of every failure', async () => {
  for (const path of [
    `code=${encodeURIComponent(sentinels.code)}&state=forged`,
    `code=${encodeURIComponent(sentinels.code)}%00`,
    `error=access_denied&error_description=${encodeURIComponent(sentinels.code)}&error=x`,
    'error=access_denied',
  ]) {
    const state = await signIn(path);
    expectNoLeak(state);
  }
  server.failNext('token', { status: 400, body: { error: 'invalid_grant', error_description: sentinels.code } });
  expectNoLeak(await signIn());
  expect(app.errors).toEqual([]);
});

it('R29: is true of the strategy while its requests are on the way, with a dispatcher of the application', async () => {
  const dispatcher = new Agent();
  const silent = await startScene(patience);
  const strategy = strategyFor({ dispatcher, customHeaders: { 'X-Key': sentinels.secret } }, silent);
  silent.server.failNext('refresh', { silence: true });
  const refresh = strategy.refreshAccessToken(sentinels.refreshToken).catch((error: unknown) => error);
  await until(() => silent.server.requests.length === 1);
  for (const each of [strategy, Object.create(strategy)]) {
    expect(leaks(inspect(each, { showHidden: true, depth: Number.POSITIVE_INFINITY }))).toEqual([]);
  }
  expect(JSON.stringify(strategy)).not.toContain(sentinels.secret);
  await closeScene(silent);
  expect(await refresh).toBeInstanceOf(PowerFolderError);
  await dispatcher.close();
});

it('R12, R29: nothing of a pending sign-in can be read in its cookie', async () => {
  const hidden = {
    returnTo: '/of-the-application/kX5+vLs8"wQ',
    verifier: '',
    secret: 'of-the-cookies/hT2+mBn6"pR-dF9cKz4',
  };
  const store = new CookieStateStore({ secret: hidden.secret });
  const begin = jest.spyOn(store.pendingSignIns(1).constructor.prototype, 'begin');
  const start = { state: { returnTo: hidden.returnTo } };
  const options = { ...scene.settings, store, pkce: true };
  const cookieApp = await startTestApp({ options, start, sessions: false });
  for (let i = 0; i < 20; i++) {
    const page = await new Browser().stay(`${cookieApp.url}/auth/powerfolder`);
    const state = String(new URL(String(page.headers['location'])).searchParams.get('state'));
    hidden.verifier = String(begin.mock.lastCall?.[1]);
    const [line = '', ...others] = [page.headers['set-cookie'] ?? []].flat();
    expect([line, others]).toEqual([expect.stringMatching(/^powerfolder-[\w-]{22}=[\w-]{200,}; /), []]);
    const bytes = Buffer.from(line.slice(line.indexOf('=') + 1, line.indexOf(';')), 'base64url');
    const text = [line, ...(['latin1', 'hex', 'base64'] as const).map((encoding) => bytes.toString(encoding))].join(
      ' ',
    );
    expect(leaks(text, [...forbidden, ...[...Object.values(hidden), state].flatMap(spellings)])).toEqual([]);
  }
  begin.mockRestore();
  await cookieApp.close();
});

it('R30: tokens travel in headers and bodies only, the refresh by GET excepted', async () => {
  server.requests.length = 0;
  server.failNext('token', goodTokens);
  server.failNext('accounts', { body: { ID: 'x' } });
  await signIn();
  for (const refreshMethod of ['POST', 'GET'] as const) {
    server.failNext('refresh', { body: { access_token: 'x', refresh_token: sentinels.newRefreshToken } });
    await strategyFor({ refreshMethod }).refreshAccessToken(sentinels.refreshToken);
  }
  const strategy = strategyFor() as unknown as { _oauth2: { get(...args: unknown[]): void } };
  await new Promise((done) =>
    strategy._oauth2.get(`${server.url}/api/folders?action=getAll`, sentinels.accessToken, done),
  );
  const urls = server.requests.map(({ method, url }) => `${method} ${url}`);
  expect(urls.slice(0, 3)).toEqual(['POST /oauth/token', 'GET /api/accounts?action=getInfo', 'POST /oauth/token']);
  expect(urls[3]).toBe(`GET /oauth?grant_type=refresh_token&client_id=client&refresh_token=${sentinels.refreshToken}`);
  expect(urls[4]).toBe('GET /api/folders?action=getAll');
  const bearers = server.requests.map(({ headers }) => headers['authorization']);
  const bearer = `Bearer ${sentinels.accessToken}`;
  expect(bearers).toEqual([undefined, bearer, undefined, undefined, bearer]);
});
