import { once } from 'node:events';
import { connect } from 'node:net';
import type { Request } from 'express';
import session from 'express-session';
import passport from 'passport';
import {
  type CookieStateStore,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderVerifyFunction,
  TokenError,
} from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import passport06 from 'passport06';
import { expressVersions, startTestApp, type TestApp, type TestAppOptions } from '../support/app.ts';
import { Browser, type Page } from '../support/browser.ts';
import { CookieBrowser, placesToWait } from '../support/state-stores.ts';
import { until } from '../support/until.ts';
import { callStrategy } from '../support/without-framework.ts';

let server: PowerFolderServer;
let app: TestApp;
/** Where pending sign-ins wait: undefined for the session. */
let store: CookieStateStore | undefined;

afterEach(async () => {
  await app?.close();
  await server?.close();
  store = undefined;
});

type AppOptions = Omit<Partial<TestAppOptions>, 'options'> & { options?: Partial<PowerFolderStrategyOptions> };

async function start(serverOptions: PowerFolderServerOptions = {}, appOptions: AppOptions = {}) {
  server = await startPowerFolderServer({ autoApprove: 'ada', ...serverOptions });
  const { url: serverURL, clientID, clientSecret } = server;
  const options = { serverURL, clientID, clientSecret, ...(store && { store }), ...appOptions.options };
  app = await startTestApp({ ...appOptions, options });
}

/** Goes as far as the server's answer, and gives the URL that it redirects to, unvisited. */
async function authorize(browser: Browser): Promise<string> {
  const page = await browser.visit(`${app.url}/auth/powerfolder`, {
    follow: ({ href }) => !href.startsWith(app.callbackURL),
  });
  return String(page.headers['location']);
}

async function signIn(browser = new Browser()): Promise<Page> {
  return await browser.visit(`${app.url}/auth/powerfolder`);
}

const json = (page: Page) => JSON.parse(page.text);
const requestsTo = (endpoint: string) => server.requests.filter((request) => request.endpoint === endpoint);

const wholeSignIns = expressVersions.flatMap(([name, express]) =>
  placesToWait.map(([place, makeStore]) => [name, place, express, makeStore] as const),
);
describe.each(wholeSignIns)('the whole sign-in in %s, pending in %s', (_, _place, express, makeStore) => {
  beforeEach(() => {
    store = makeStore();
  });

  describe.each(['path', 'query'] as const)('with a %s callback', (callbackStyle) => {
    it.each(['GET', 'POST'] as const)(
      'by %s authorization, past log-in and consent, ends with tokens and a profile',
      async (authorizationMethod) => {
        await start({ callbackStyle, autoApprove: undefined, allowMethods: [authorizationMethod] } as never, {
          express,
          options: { authorizationMethod },
        });
        const browser = new Browser();
        let page = await browser.visit(`${app.url}/auth/powerfolder`);
        if (authorizationMethod === 'POST') page = await browser.submit(page, 'Continue to PowerFolder');
        page = await browser.submit(page, 'Log in', { username: server.username, password: server.password });
        page = await browser.submit(page, 'Allow');

        expect(page.status).toBe(200);
        expect(new URL(page.url).pathname).toMatch(
          callbackStyle === 'path' ? /^\/oauth\/code=.+&state=.+/ : /^\/oauth$/,
        );
        const { user } = json(page);
        expect(user.profile).toMatchObject({ provider: 'powerfolder', username: 'ada', id: expect.any(String) });
        expect(user.tokens).toEqual({
          accessToken: expect.stringMatching(/^1/),
          refreshToken: expect.any(String),
          expiresAt: expect.any(Number),
        });
        expect(user.tokens.expiresAt - Date.now()).toBeGreaterThan(23 * 3_600_000);
      },
    );

    it('ends in a sentence when the visitor declines', async () => {
      await start({ callbackStyle, autoApprove: undefined } as never, { express });
      const browser = new Browser();
      let page = await browser.visit(`${app.url}/auth/powerfolder`);
      page = await browser.submit(page, 'Log in', { username: server.username, password: server.password });
      page = await browser.submit(page, 'Decline');
      expect(page.status).toBe(403);
      expect(json(page)).toEqual({
        failure: { code: 'access_denied', message: 'You chose not to allow access to your PowerFolder account.' },
      });
      expect(requestsTo('token')).toEqual([]);
    });
  });
});

describe('the requests of a sign-in', () => {
  it('equal the documentation, member for member', async () => {
    await start();
    await signIn();
    const [allow, token, accounts, ...others] = server.requests;
    expect(others).toEqual([]);
    const query = new URLSearchParams(allow?.query);
    expect([allow?.method, allow?.path, [...query.keys()]]).toEqual([
      'GET',
      '/oauth/allow',
      ['state', 'response_type', 'redirect_uri', 'client_id'],
    ]);
    expect(Object.fromEntries(query)).toMatchObject({
      response_type: 'code',
      redirect_uri: app.callbackURL,
      client_id: server.clientID,
    });
    expect(query.get('state')).toMatch(/^[A-Za-z0-9]{32}$/);

    expect([token?.method, token?.path, token?.query]).toEqual(['POST', '/oauth/token', '']);
    expect(JSON.parse(token?.body ?? '')).toEqual({
      grant_type: 'authorization_code',
      code: expect.any(String),
      client_id: server.clientID,
      client_secret: server.clientSecret,
    });
    expect(token?.headers).toMatchObject({ 'content-type': 'application/json', accept: 'application/json' });
    expect(token?.headers).not.toHaveProperty('authorization');

    expect([accounts?.method, accounts?.url]).toEqual(['GET', '/api/accounts?action=getInfo']);
    expect(accounts?.headers['authorization']).toMatch(/^Bearer 1/);
    expect(accounts?.body).toBe('');
  });

  it.each(['/powerfolder', '/a/b'])('go to a server under %s', async (contextPath) => {
    await start({ contextPath });
    expect((await signIn()).status).toBe(200);
    expect(server.requests.map(({ url }) => url.split('?')[0])).toEqual([
      `${contextPath}/oauth/allow`,
      `${contextPath}/oauth/token`,
      `${contextPath}/api/accounts`,
    ]);
  });

  it('carry the headers of customHeaders, which do not replace those of the protocol', async () => {
    await start({}, { options: { customHeaders: { 'User-Agent': 'a-university', Accept: 'text/html' } } });
    await signIn();
    const [, token, accounts] = server.requests;
    for (const request of [token, accounts]) {
      expect(request?.headers).toMatchObject({ 'user-agent': 'a-university', accept: 'application/json' });
    }
  });

  it('carry the PKCE verifier of the challenge', async () => {
    await start({ pkce: true }, { options: { pkce: true } });
    expect((await signIn()).status).toBe(200);
  });

  it('R18: send the code once, to the token endpoint only', async () => {
    await start();
    await signIn();
    const { code } = JSON.parse(requestsTo('token')[0]?.body ?? '');
    const seen = server.requests.filter((request) => JSON.stringify(request).includes(code));
    expect(seen).toEqual(requestsTo('token'));
    expect(seen).toHaveLength(1);
  });

  it('R19: send a redirect_uri of a subclass only if it is that of the authorization request', async () => {
    let redirect_uri = '';
    class Subclass extends PowerFolderStrategy {
      override tokenParams() {
        return { redirect_uri, code: 'evil', client_secret: 'evil' };
      }
    }
    await start({}, { strategy: (options, verify) => new Subclass(options, verify) });
    redirect_uri = app.callbackURL;
    expect((await signIn()).status).toBe(200);
    expect(JSON.parse(requestsTo('token')[0]?.body ?? '')).toMatchObject({
      redirect_uri: app.callbackURL,
      client_secret: server.clientSecret,
    });
    redirect_uri = `${app.callbackURL}/`;
    expect(json(await signIn()).error.message).toBe(
      'tokenParams gave a redirect_uri other than callbackURL; they must be the same to the letter',
    );
    expect(requestsTo('token')).toHaveLength(1);
  });

  it.each(['a/b+c=', 'ü', "%41'", 'a&b?c#d'])('survive the code %p, in both callback forms', async (code) => {
    for (const callbackStyle of ['path', 'query'] as const) {
      await start({ code: () => code, callbackStyle });
      expect((await signIn()).status).toBe(200);
      await app.close();
      await server.close();
    }
  });

  it('survive a code that the server does not escape', async () => {
    await start({ code: () => 'a/b+c==', encodeCode: false });
    expect((await signIn()).status).toBe(200);
  });
});

describe('the page of authorizationMethod POST', () => {
  it('is sent with its own policy, under an application with helmet', async () => {
    await start(
      { allowMethods: ['POST'] },
      {
        options: { authorizationMethod: 'POST' },
        before: (_req, res, next) => {
          res.setHeader('Content-Security-Policy', "default-src 'self'; form-action 'self'");
          next();
        },
      },
    );
    const browser = new Browser();
    const page = await browser.visit(`${app.url}/auth/powerfolder`);
    expect(page.headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining(`form-action https: ${new URL(server.url).origin}`),
    });
    expect(page.text).toContain('method="post"');
    expect(json(await browser.submit(page, 'Continue to PowerFolder')).user.profile.username).toBe('ada');
    expect(requestsTo('allow').map(({ method, body }) => [method, body])).toEqual([['POST', '']]);
  });
});

describe.each(['GET', 'POST'] as const)('the start by %s, on a slow session store', (authorizationMethod) => {
  it('R4: lets the browser go on only when the state is stored', async () => {
    let save: (() => void) | undefined;
    class SlowStore extends session.MemoryStore {
      override set(id: string, data: session.SessionData, done?: (error?: unknown) => void) {
        save = () => super.set(id, data, done);
      }
    }
    await start({}, { sessions: new SlowStore(), options: { authorizationMethod } });
    let received = '';
    const socket = connect(Number(new URL(app.url).port), '127.0.0.1').setEncoding('utf8');
    socket.on('data', (text) => {
      received += text;
    });
    const closed = once(socket, 'close');
    socket.write('GET /auth/powerfolder HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const saving = await until(() => save);
    // What the browser was sent before would be here before this.
    expect((await new Browser().visit(app.url)).text).toBe('home');
    expect(received).not.toMatch(authorizationMethod === 'GET' ? /location/i : /<\/script>/);
    saving();
    await closed;
    expect(received).toMatch(authorizationMethod === 'GET' ? /location: .*state=/i : /<\/script>$/);
  });
});

it.each([
  ['0.6', passport06 as unknown as typeof passport],
  ['0.7', passport],
])('signs in with Passport %s', async (_, version) => {
  await start({}, { passport: version });
  expect(json(await signIn()).user.profile.username).toBe('ada');
});

describe('verify', () => {
  const username = (verify: PowerFolderVerifyFunction) => start({}, { verify });

  it('R12: in its one-parameter form gets tokens, profile, request, and the state of the application', async () => {
    let seen: object = {};
    await start(
      {},
      {
        start: { state: { returnTo: '/x?y=ü' } },
        verify: async (signIn) => {
          seen = signIn;
          return { id: signIn.profile.id };
        },
      },
    );
    const page = await signIn();
    expect(Object.keys(seen)).toEqual(['tokens', 'profile', 'req', 'state', 'refuse']);
    expect((seen as { req: Request }).req.originalUrl).toMatch(/^\/oauth\/code=/);
    expect(seen).toMatchObject({ state: { returnTo: '/x?y=ü' }, profile: { username: 'ada' } });
    expect(json(page).info).toEqual({ state: { returnTo: '/x?y=ü' } });
    expect(requestsTo('allow')[0]?.url).not.toContain('returnTo');
  });

  it.each([
    ['undefined', () => undefined],
    ['null', () => null],
    ['false', () => false as const],
    ['a promise of undefined', async () => undefined],
    ['a promise of false', async () => false as const],
    ['nothing, by mistake', async () => {}],
  ])('R32: that gives %s signs nobody in, also in a classic form without done', async (_, verify) => {
    const forms = [(_: unknown) => verify(), async (_a: unknown, _b: unknown, _c: unknown) => verify()];
    for (const form of forms) {
      await username(form as never);
      const page = await signIn();
      expect(page.status).toBe(401);
      expect(json(page).failure).toEqual({
        code: 'verify_refused',
        message: 'This PowerFolder account may not sign in here.',
      });
      await app.close();
      await server.close();
    }
  });

  const broken = new Error('the database is away');
  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw broken;
      },
    ],
    ['rejects', () => Promise.reject(broken)],
  ])('R32: that %s is an error', async (_, verify) => {
    await username(((_: unknown) => verify()) as never);
    expect((await signIn()).status).toBe(500);
    expect(app.errors).toEqual([broken]);
  });

  it.each(['route', 'router', undefined, null, '', 0, false])(
    'R32: that rejects with %p does not open the route',
    async (reason) => {
      await start(
        {},
        {
          verify: async (_) => {
            throw reason;
          },
          routes: (host, strategy) => {
            const { Passport } = jest.requireActual('passport');
            const passport = new Passport().use(strategy);
            host.get('/open', passport.authenticate('powerfolder', { session: false }));
            host.get('/open', (_req, res) => {
              res.send('opened');
            });
          },
        },
      );
      const browser = new Browser();
      const location = await authorize(browser);
      const page = await browser.visit(`${app.url}/open?${new URL(location).pathname.slice('/oauth/'.length)}`);
      expect(page.status).toBe(500);
      expect(app.errors).toEqual([
        expect.objectContaining({ message: 'The sign-in failed for a reason that is no Error', cause: reason }),
      ]);
    },
  );

  type Classic = (...args: unknown[]) => unknown;
  type Verified = (error?: unknown, user?: unknown, info?: unknown) => void;
  const classic: [string, boolean, (calls: unknown[][]) => Classic, number][] = [
    [
      '(accessToken, refreshToken, profile, done)',
      false,
      (calls) => (a, b, c, done) => {
        calls.push([a, b, c]);
        (done as Verified)(null, { ok: 1 }, { by: 'me' });
      },
      3,
    ],
    [
      '(accessToken, refreshToken, params, profile, done)',
      false,
      (calls) => (a, b, c, d, done) => {
        calls.push([a, b, c, d]);
        (done as Verified)(null, { ok: 1 }, { by: 'me' });
      },
      4,
    ],
    [
      '(req, accessToken, refreshToken, profile, done)',
      true,
      (calls) => (a, b, c, d, done) => {
        calls.push([a, b, c, d]);
        (done as Verified)(null, { ok: 1 }, { by: 'me' });
      },
      4,
    ],
    [
      '(req, accessToken, refreshToken, params, profile, done)',
      true,
      (calls) => (a, b, c, d, e, done) => {
        calls.push([a, b, c, d, e]);
        (done as Verified)(null, { ok: 1 }, { by: 'me' });
      },
      5,
    ],
    [
      '(...args), as NestJS has it',
      false,
      (calls) =>
        (...args) => {
          calls.push(args.slice(0, -1));
          (args.at(-1) as Verified)(null, { ok: 1 }, { by: 'me' });
        },
      3,
    ],
    [
      '(...args) with the request',
      true,
      (calls) =>
        (...args) => {
          calls.push(args.slice(0, -1));
          (args.at(-1) as Verified)(null, { ok: 1 }, { by: 'me' });
        },
      4,
    ],
  ];
  it.each(classic)(
    'in the classic form %s gets what passport-oauth2 gives',
    async (form, passReqToCallback, make, length) => {
      const calls: unknown[][] = [];
      await start({}, { verify: make(calls) as never, options: { passReqToCallback } });
      expect(json(await signIn())).toEqual({ user: { ok: 1 }, info: { by: 'me' } });
      const [args = []] = calls;
      expect(args).toHaveLength(length);
      const rest = passReqToCallback ? args.slice(1) : args;
      if (passReqToCallback) expect((args[0] as Request).originalUrl).toMatch(/^\/oauth/);
      expect(rest.slice(0, 2)).toEqual([expect.stringMatching(/^1/), expect.stringMatching(/./)]);
      expect(rest.at(-1)).toMatchObject({ provider: 'powerfolder', username: 'ada' });
      if (form.includes('params')) expect(rest[2]).toMatchObject({ access_token: rest[0], expires_in: 86400 });
    },
  );

  it.each<[string, Classic]>([
    [
      'calls done twice',
      (_a, _b, _c, done) => {
        (done as Verified)(null, { first: 1 });
        (done as Verified)(null, { second: 1 });
        (done as Verified)(new Error('third'));
      },
    ],
    [
      'calls done and throws',
      (_a, _b, _c, done) => {
        (done as Verified)(null, { first: 1 });
        throw new Error('late');
      },
    ],
    [
      'calls done and rejects',
      async (_a, _b, _c, done) => {
        (done as Verified)(null, { first: 1 });
        throw new Error('late');
      },
    ],
    ['is async and gives the user back', async (_a, _b, _c) => ({ first: 1 })],
    [
      'is async and calls done later',
      async (_a, _b, _c, done) => {
        setTimeout(done as Verified, 5, null, { first: 1 });
      },
    ],
  ])('R32: that %s counts once', async (_, verify) => {
    await username(verify as never);
    expect(json(await signIn())).toEqual({ user: { first: 1 }, info: {} });
    expect(app.errors).toEqual([]);
  });

  it('R32: that refuses with a reason hands it on', async () => {
    await username(((_a: unknown, _b: unknown, _c: unknown, done: Verified) =>
      done(null, false, { message: 'Not you.' })) as never);
    expect(json(await signIn())).toEqual({ failure: { message: 'Not you.' } });
  });

  it('that gives a text as info has it as a message beside the state', async () => {
    await start(
      {},
      {
        start: { state: { x: 1 } },
        verify: ((_a: unknown, _b: unknown, _c: unknown, done: Verified) => done(null, { ok: 1 }, 'hello')) as never,
      },
    );
    expect(json(await signIn()).info).toEqual({ message: 'hello', state: { x: 1 } });
  });
});

describe.each(expressVersions)(
  "an application's mistake in its callback to passport.authenticate, in %s",
  (_, express) => {
    it("R27: reaches Express's error handling, once, and the process lives", async () => {
      const calls: unknown[] = [];
      const mistake = new Error('in the callback');
      await start(
        {},
        {
          express,
          routes: (host, strategy) => {
            const { Passport } = jest.requireActual('passport');
            const passport = new Passport().use(strategy);
            host.get('/mistaken', (req, res, next) => {
              const callback = (...args: unknown[]) => {
                calls.push(args);
                throw mistake;
              };
              passport.authenticate('powerfolder', callback)(req, res, next);
            });
          },
        },
      );
      const browser = new Browser();
      const answer = new URL(await authorize(browser)).pathname.slice('/oauth/'.length);
      for (const query of ['code=x&state=forged', 'error=server_error&state=forged', answer]) {
        expect((await browser.visit(`${app.url}/mistaken?${query}`)).status).toBe(500);
      }
      const state = new URL(
        String((await browser.stay(`${app.url}/auth/powerfolder`)).headers['location']),
      ).searchParams.get('state');
      expect((await browser.visit(`${app.url}/mistaken?error=server_error&state=${state}`)).status).toBe(500);
      expect(calls).toHaveLength(4);
      expect(app.errors).toEqual([mistake, mistake, mistake, mistake]);
    });
  },
);

describe('a protected page with parameters of its own', () => {
  it.each(['/page?code=abc', '/page?error=1', '/page?error=access_denied'])('begins a sign-in at %s', async (path) => {
    await start(
      {},
      {
        routes: (host, strategy) => {
          const { Passport } = jest.requireActual('passport');
          host.get('/page', new Passport().use(strategy).authenticate('powerfolder', { session: false }));
        },
      },
    );
    const page = await new Browser().stay(app.url + path);
    expect([page.status, String(page.headers['location']).split('?')[0]]).toEqual([302, `${server.url}/oauth/allow`]);
  });
});

describe('the hooks of passport-oauth2', () => {
  it('userProfile may be replaced, and _oauth2.get asks with the token in the header', async () => {
    class Subclass extends PowerFolderStrategy {
      override userProfile(accessToken: string, done: (error?: unknown, profile?: never) => void) {
        this._oauth2.get(`${server.url}/api/folders?action=getAll`, accessToken, (error, body) => {
          done(error, { id: 'of-my-own', folders: JSON.parse(String(body)).ResultSet.Result.length } as never);
        });
      }
    }
    await start({}, { strategy: (options, verify) => new Subclass(options, verify) });
    expect(json(await signIn()).user.profile).toEqual({ id: 'of-my-own', folders: expect.any(Number) });
    expect(requestsTo('folders')[0]).toMatchObject({
      url: '/api/folders?action=getAll',
      headers: { authorization: expect.stringMatching(/^Bearer 1/) },
    });
  });

  it('userProfile may be async, and may fail', async () => {
    const failure = new Error('no profile today');
    class Subclass extends PowerFolderStrategy {
      override async userProfile() {
        throw failure;
      }
    }
    await start({}, { strategy: (options, verify) => new Subclass(options, verify) });
    expect((await signIn()).status).toBe(500);
    expect(app.errors).toEqual([failure]);
  });

  it('parseErrorResponse may read other words, with what was secret blotted out', async () => {
    const seen: unknown[] = [];
    class Subclass extends PowerFolderStrategy {
      override parseErrorResponse(body: string, status: number): Error | null {
        seen.push(body, status);
        return new TokenError(JSON.parse(body).why, 'of_my_own');
      }
    }
    await start({}, { strategy: (options, verify) => new Subclass(options, verify) });
    server.failNext('token', { status: 418, body: { why: `teapot ${server.clientSecret}` } });
    expect(json(await signIn()).error).toMatchObject({
      name: 'TokenError',
      code: 'of_my_own',
      message: 'teapot [hidden]',
    });
    expect(seen).toEqual(['{"why":"teapot [hidden]"}', 418]);
  });

  it('R54: what tokenParams added does not show in the words of a refusal as if it were secret', async () => {
    class Subclass extends PowerFolderStrategy {
      override tokenParams(): object {
        return { lang: 'de', hint: 'access' };
      }
    }
    await start({}, { strategy: (options, verify) => new Subclass(options, verify) });
    server.failNext('token', { status: 400, body: { error: 'access_denied', error_description: 'No access (de)' } });
    await signIn();
    expect(app.errors).toEqual([expect.objectContaining({ code: 'access_denied', message: 'No access (de)' })]);
  });

  it.each<[string, unknown]>([
    ['true', true],
    ['a function', () => true],
    ['a function with a callback', (_token: string, done: (error: null, skip: boolean) => void) => done(null, true)],
  ])('skipUserProfile as %s asks nobody', async (_, skipUserProfile) => {
    await start({}, { options: { skipUserProfile: skipUserProfile as boolean } });
    expect(json(await signIn()).user).toEqual({ tokens: expect.anything() });
    expect(requestsTo('accounts')).toEqual([]);
  });
});

describe.each(placesToWait)('a sign-in that does not succeed, pending in %s', (_, makeStore) => {
  beforeEach(() => {
    store = makeStore();
  });

  it('R17: fails with nothing in the callback, and goes nowhere', async () => {
    await start();
    for (const path of ['/oauth', '/oauth/', '/oauth?state=x', '/oauth/state=x', '/oauth/x', '/oauth?foo=bar']) {
      const page = await new Browser().visit(app.url + path);
      expect([path, page.status, page.trail.length, json(page).failure.code]).toEqual([
        path,
        400,
        1,
        'invalid_callback',
      ]);
    }
    expect(server.requests).toEqual([]);
  });

  it('R3, R11: fails with a forged or missing state, without a request to the server, and spares the pending one', async () => {
    await start();
    const browser = new Browser();
    const location = await authorize(browser);
    for (const [path, code] of [
      [`/oauth/code=x&state=${'0'.repeat(32)}`, 'state_unknown'],
      ['/oauth/code=x', 'state_missing'],
      ['/oauth?code=x&state=', 'state_missing'],
      ['/oauth/error=access_denied', 'state_missing'],
      ['/oauth/error=access_denied&state=forged', 'state_unknown'],
    ]) {
      const page = await browser.visit(app.url + path);
      expect([page.status, json(page).failure.code]).toEqual([403, code]);
    }
    const other = new Browser();
    await authorize(other);
    expect(json(await other.visit(location)).failure.code).toBe('state_unknown');
    expect(json(await new Browser().visit(location)).failure.code).toBe('session_missing');
    expect(requestsTo('token')).toEqual([]);
    expect((await browser.visit(location)).status).toBe(200);
  });

  it('R4: fails the second time', async () => {
    await start();
    const browser = new Browser();
    const location = await authorize(browser);
    expect((await browser.visit(location)).status).toBe(200);
    const again = await browser.visit(location);
    expect([again.status, json(again).failure.code]).toEqual([403, 'state_used']);
    expect(requestsTo('token')).toHaveLength(1);
  });

  it('R4: makes one token request for twenty callbacks at once', async () => {
    await start();
    const browser = new Browser();
    const location = await authorize(browser);
    const pages = await Promise.all(Array.from({ length: 20 }, () => browser.visit(location)));
    expect(pages.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(requestsTo('token')).toHaveLength(1);
  });

  it('R8: completes two tabs in either order', async () => {
    await start();
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const browser = new Browser();
      const tabs = [await authorize(browser), await authorize(browser)];
      for (const tab of order) expect((await browser.visit(tabs[tab] ?? '')).status).toBe(200);
    }
  });

  it('R9: fails with a state that was made for another strategy', async () => {
    await start();
    const mine = app;
    const others = [
      { clientID: 'other' },
      { serverURL: `${server.url}/context` },
      { serverURL: 'http://127.0.0.1:1' },
      { tokenURL: `${server.url}/token` },
    ];
    for (const options of others) {
      const other = new PowerFolderStrategy(
        {
          serverURL: server.url,
          clientID: server.clientID,
          clientSecret: 'x',
          callbackURL: mine.callbackURL,
          ...(store && { store }),
          ...options,
        },
        () => false,
      );
      const session = {};
      const visitor = new CookieBrowser([]);
      const visit = async (strategy: PowerFolderStrategy, originalUrl: string) => {
        const { headers, res } = visitor.request();
        const request = { originalUrl, session, headers, res };
        const end = await callStrategy(strategy, request);
        visitor.keep(request as never);
        return end;
      };
      const begun = await visit(mine.strategy, '/auth/powerfolder');
      const state = new URL(String(begun.given[0])).searchParams.get('state');
      const end = await visit(other, `/oauth/code=x&state=${state}`);
      expect(end).toMatchObject({ action: 'fail', given: [{ code: 'state_mismatch' }, 403] });
    }
    expect(requestsTo('token')).toEqual([]);
  });

  it('R13: fails by another method than GET, and leaves the code and the state as they are', async () => {
    await start(
      {},
      {
        routes: (host, strategy) => {
          const { Passport } = jest.requireActual('passport');
          host.all('/oauth/{*rest}', new Passport().use(strategy).authenticate('powerfolder'));
        },
      },
    );
    const browser = new Browser();
    const location = await authorize(browser);
    for (const method of ['HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      expect([method, (await browser.visit(location, { method })).status]).toEqual([method, 405]);
    }
    expect(requestsTo('token')).toEqual([]);
    expect((await browser.visit(location)).status).toBe(200);
  });

  it('with an expired or used code is a failure, not an error', async () => {
    await start();
    server.failNext('token', { status: 400, body: { error: 'invalid_grant', error_description: 'expired' } });
    const page = await signIn();
    expect(page.status).toBe(401);
    expect(json(page).failure).toEqual({
      code: 'invalid_grant',
      message: 'The confirmation from PowerFolder has expired or was used already. Please sign in again.',
    });
    expect(app.errors).toEqual([]);
  });

  it.each(['access_denied', 'invalid_grant', 'verify_refused', 'a sentence'])(
    'R12: by %s hands the state of the application back, to try again with',
    async (code) => {
      const state = { returnTo: '/x' };
      await start({ autoApprove: undefined } as never, {
        start: { state },
        ...(code === 'verify_refused' && { verify: (_) => false }),
        ...(code === 'a sentence' && { verify: ({ refuse }) => refuse('Only staff.') }),
      });
      if (code === 'invalid_grant') server.failNext('token', { status: 400, body: { error: 'invalid_grant' } });
      const browser = new Browser();
      let page = await browser.visit(`${app.url}/auth/powerfolder`);
      page = await browser.submit(page, 'Log in', { username: server.username, password: server.password });
      page = await browser.submit(page, code === 'access_denied' ? 'Decline' : 'Allow');
      const expected = code === 'a sentence' ? 'verify_refused' : code;
      expect(json(page).failure).toEqual({ code: expected, message: expect.any(String), state });
    },
  );

  it("with a wrong secret is a TokenError in the server's words", async () => {
    await start({}, { options: { clientSecret: 'wrong' } });
    const page = await signIn();
    expect(page.status).toBe(500);
    expect(app.errors).toEqual([expect.any(TokenError)]);
    expect(json(page).error).toMatchObject({
      name: 'TokenError',
      code: 'invalid_client',
      status: 500,
      serverStatus: 401,
    });
  });

  it('R10: hands an error of the server on, in plain characters, after the state is checked', async () => {
    await start({}, { callback: { session: false } });
    const browser = new Browser();
    const state = new URL(
      (await browser.stay(`${app.url}/auth/powerfolder`)).headers['location'] as string,
    ).searchParams.get('state');
    const page = await browser.visit(
      `${app.url}/oauth?error=server_error&error_description=%3Cscript%3E+Out+of+order&state=${state}`,
    );
    expect(json(page).error).toEqual({
      name: 'AuthorizationError',
      code: 'server_error',
      message: 'script Out of order',
      status: 502,
    });
  });

  it.each([
    ['basic-only', 401, 'did not accept the access token'],
    ['admin-only', 403, 'forbids it'],
  ] as const)(
    'with an Accounts API that is %s says what the server refused and what to set',
    async (accountsAPI, status, words) => {
      await start({ accountsAPI });
      const { error } = json(await signIn());
      expect(error).toMatchObject({
        name: 'PowerFolderError',
        code: 'profile_refused',
        status: 502,
        serverStatus: status,
      });
      expect(error.message).toContain(words);
      expect(error.message).toMatch(/Set userProfileURL .* or skipUserProfile: true/);
    },
  );

  it('with a profile address that is not there says so', async () => {
    await start();
    server.failNext('accounts', { status: 404, body: 'no' });
    expect(json(await signIn()).error).toMatchObject({
      code: 'profile_refused',
      status: 502,
      serverStatus: 404,
      message: expect.stringContaining('has no such address'),
    });
  });

  it.each(['accounts', 'token'] as const)(
    'R27: with too deep an answer at %s is an error, as no session could keep it',
    async (endpoint) => {
      await start();
      const deep = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`;
      const answer = (levels: number) =>
        ({
          headers: { 'content-type': 'application/json' },
          body: `{"ID":"x","access_token":"1x","x":${deep(levels)}}`,
        }) as const;
      server.failNext(endpoint, answer(20_000));
      expect(json(await signIn()).error).toMatchObject({ code: 'invalid_response', status: 502 });
      server.failNext(endpoint, answer(64));
      expect(json(await signIn()).error).toMatchObject({ code: 'invalid_response' });
      if (endpoint === 'accounts') {
        server.failNext(endpoint, answer(63));
        expect((await signIn()).status).toBe(200);
      }
    },
  );

  it('takes an account with any status of success', async () => {
    await start();
    for (const status of [201, 203, 299]) {
      server.failNext('accounts', { status, body: { ID: 'x', username: 'ada' } });
      expect((await signIn()).status).toBe(200);
    }
  });

  it.each([429, 500, 503])('R51: takes no invalid_grant from a server that answers %d', async (status) => {
    await start();
    server.failNext('token', { status, body: { error: 'invalid_grant' } });
    const page = await signIn();
    expect([page.status, json(page).error?.code]).toEqual([status === 500 ? 502 : 503, 'invalid_grant']);
  });

  it('R12: gives the state of the application to no error that a subclass shares between requests', async () => {
    const shared = Object.freeze(new TokenError('shared', 'shared'));
    class Subclass extends PowerFolderStrategy {
      override parseErrorResponse() {
        return shared;
      }
    }
    await start(
      {},
      { start: { state: { returnTo: '/x' } }, strategy: (options, verify) => new Subclass(options, verify) },
    );
    server.failNext('token', { status: 404, body: { error: 'x' } });
    const page = await signIn();
    expect([page.status, json(page).error]).toEqual([
      502,
      { name: 'TokenError', code: 'shared', message: 'shared', status: 502, serverStatus: 404 },
    ]);
  });

  it('R31: with an account without an ID is an error', async () => {
    await start();
    server.failNext('accounts', { body: { username: 'ada', emails: ['ada@example.org'] } });
    expect(json(await signIn()).error).toMatchObject({ code: 'profile_without_id' });
  });

  it.each(['account', 'resultset'] as const)('does succeed with an account in the shape %s', async (accountShape) => {
    await start({ accountShape });
    expect(json(await signIn()).user.profile.username).toBe('ada');
  });
});

describe('without a session', () => {
  it('a sign-in says so', async () => {
    await start({}, { sessions: false });
    expect(json(await signIn()).error).toMatchObject({ code: 'session_required' });
    expect(json(await new Browser().visit(`${app.url}/oauth/code=x&state=y`)).failure.code).toBe('session_missing');
  });
});
