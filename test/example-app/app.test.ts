import { createHmac } from 'node:crypto';
import { CookieStateStore } from 'passport-powerfolder';
import type { PowerFolderServerOptions } from 'passport-powerfolder/testing';
import { Browser, type Page } from '../support/browser.ts';
import {
  authorizationResponse,
  type Example,
  logInAndAllow,
  type StoredSession,
  sameOrigin,
  sessionCookieOf,
  sessionSecret,
  signedIn,
  startExample,
} from '../support/example.ts';
import { CookieBrowser, setCookies as setCookiesOf } from '../support/state-stores.ts';
import { until } from '../support/until.ts';

const minute = 60_000;
const hour = 60 * minute;

const running: Example[] = [];
async function example(server?: PowerFolderServerOptions, environment?: Record<string, string>): Promise<Example> {
  const started = await startExample({ ...(server && { server }), ...(environment && { environment }) });
  running.push(started);
  return started;
}

afterEach(async () => {
  jest.restoreAllMocks();
  await Promise.all(running.splice(0).map((each) => each.close()));
});

/** The value of a session's cookie, as express-session writes it. */
function signed(id: string, secret: string): string {
  return encodeURIComponent(`s:${id}.${createHmac('sha256', secret).update(id).digest('base64').replace(/=+$/, '')}`);
}

/** Lets so much time pass, for the app and its session store. */
function wait(milliseconds: number): void {
  const now = Date.now();
  jest.spyOn(Date, 'now').mockImplementation(() => now + milliseconds);
}

function theSession(app: Example): StoredSession {
  const sessions = app.sessions.all();
  expect(sessions).toHaveLength(1);
  return sessions[0] as StoredSession;
}

const setCookies = ({ headers }: Page) => [headers['set-cookie'] ?? []].flat();

describe('the home page', () => {
  it('offers the sign-in, and tells who is signed in afterwards', async () => {
    const app = await example();
    const browser = app.browser();
    const before = await browser.visit(app.url);
    expect(before.status).toBe(200);
    expect(before.text).toContain('href="/auth/powerfolder">Sign in with PowerFolder</a>');
    expect(before.text).not.toContain('Sign out');

    await logInAndAllow(browser, await browser.visit(`${app.url}/auth/powerfolder`), app.powerFolder);
    const after = await browser.visit(app.url);
    expect(after.text).toContain('Welcome, <bdi>Ada Schäfer-Yıldız</bdi>.');
    expect(after.text).toContain('Sign out');
    expect(after.text).not.toContain('Sign in with PowerFolder');
  });

  it('leaves no session behind for somebody who only looks (R47)', async () => {
    const app = await example();
    const page = await app.browser().visit(app.url);
    expect(setCookies(page)).toEqual([]);
    expect(app.sessions.all()).toEqual([]);
  });
});

describe('signing in', () => {
  it.each([
    ['GET', 'path'],
    ['GET', 'query'],
    ['POST', 'path'],
    ['POST', 'query'],
  ] as const)('works page by page with the request by %s and the answer as a %s', async (method, callbackStyle) => {
    const app = await example({ callbackStyle, allowMethods: [method] }, { POWERFOLDER_AUTHORIZATION_METHOD: method });
    const browser = app.browser();
    let page = await browser.visit(`${app.url}/auth/powerfolder`);
    if (method === 'POST') page = await browser.submit(page, 'Continue to PowerFolder');
    expect(page.url.startsWith(app.powerFolder.url)).toBe(true);
    page = await logInAndAllow(browser, page, app.powerFolder);
    expect([page.status, page.url]).toEqual([200, `${app.url}/`]);
    expect(page.text).toContain('Welcome, <bdi>Ada');
  });

  it('begins at a protected page, and ends there with its query', async () => {
    const app = await example();
    const browser = app.browser();
    const login = await browser.visit(`${app.url}/account?from=mail&q=%C3%BC+1%2B1`);
    expect(login.trail[1]).toBe(
      `${app.url}/auth/powerfolder?returnTo=%2Faccount%3Ffrom%3Dmail%26q%3D%25C3%25BC%2B1%252B1`,
    );
    const page = await logInAndAllow(browser, login, app.powerFolder);
    expect([page.status, page.url]).toEqual([200, `${app.url}/account?from=mail&q=%C3%BC+1%2B1`]);
  });

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example/',
    '/%5cevil.example/',
    '/%2fevil.example',
    '/\t/evil.example/',
    '/auth/powerfolder',
    '/oauth',
    '/logout',
  ])('ends at home when the return path is %j (R39)', async (returnTo) => {
    const app = await example({ autoApprove: 'ada' });
    const page = await app.browser().visit(`${app.url}/auth/powerfolder?returnTo=${encodeURIComponent(returnTo)}`);
    expect([page.status, page.url]).toEqual([200, `${app.url}/`]);
    expect(page.text).toContain('Welcome, <bdi>Ada');
  });

  it('ends at home when two return paths are given (R39)', async () => {
    const app = await example({ autoApprove: 'ada' });
    const page = await app.browser().visit(`${app.url}/auth/powerfolder?returnTo=/account&returnTo=//evil.example`);
    expect([page.status, page.url]).toEqual([200, `${app.url}/`]);
  });

  it('keeps no return path that leads elsewhere (R39)', async () => {
    const app = await example();
    const led = async (returnTo: string) => {
      const browser = app.browser();
      const login = await browser.visit(`${app.url}/auth/powerfolder?returnTo=${encodeURIComponent(returnTo)}`);
      return (await logInAndAllow(browser, login, app.powerFolder)).url;
    };
    expect(await led('/account?x')).toBe(`${app.url}/account?x`);
    expect(await led('//evil.example')).toBe(`${app.url}/`);
  });

  it('checks the return path again when it is used (R39)', async () => {
    const app = await example({ autoApprove: 'ada' });
    // Sealed with the app's own secret, as by an older version that did not check.
    const request = new CookieBrowser().request();
    const callbackURL = `${app.url}/oauth`;
    const { url, clientID } = app.powerFolder;
    const [authorizationURL, tokenURL] = [`${url}/oauth/allow`, `${url}/oauth/token`];
    const state = new CookieStateStore({ secret: sessionSecret }).pendingSignIns(minute).begin(
      request,
      undefined,
      { returnTo: '//evil.example' },
      {
        strategy: 'powerfolder',
        authorizationURL,
        tokenURL,
        clientID,
        callbackURL,
      },
    ) as string;
    const browser = app.browser();
    browser.setCookies(app.url, String(setCookiesOf(request)[0]).split(';')[0] ?? '');
    const query = { state, response_type: 'code', redirect_uri: callbackURL, client_id: clientID };
    const allowed = await browser.stay(`${authorizationURL}?${new URLSearchParams(query)}`);
    const page = await browser.stay(String(allowed.headers['location']));
    expect([page.status, page.headers['location']]).toEqual([302, '/']);
  });

  it('redirects to a clean address, and says no-store and no-referrer (R40)', async () => {
    const app = await example();
    const browser = app.browser();
    const page = await browser.stay(await authorizationResponse(browser, app));
    expect(page.status).toBe(302);
    expect(page.headers['location']).toBe('/');
    expect(page.headers['cache-control']).toBe('no-store');
    expect(page.headers['referrer-policy']).toBe('no-referrer');
  });

  it('is not completed by a HEAD, which leaves the code for the GET (R13)', async () => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    const { status } = await browser.stay(response, { method: 'HEAD' });
    expect(status).toBeGreaterThanOrEqual(400);
    expect((await browser.visit(response)).text).toContain('Welcome, <bdi>Ada');
  });

  it('works in two tabs, finished in either order (R8)', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const app = await example();
      const browser = app.browser();
      const responses = [await authorizationResponse(browser, app)];
      const [again] = [await browser.visit(`${app.url}/auth/powerfolder`)];
      const atServer = (location: URL) => location.origin === new URL(app.powerFolder.url).origin;
      responses.push(String((await browser.submit(again, 'Allow', {}, { follow: atServer })).headers['location']));

      const first = await browser.visit(responses[order[0]] as string);
      expect(first.text).toContain('Welcome, <bdi>Ada');
      const second = await browser.visit(responses[order[1]] as string);
      expect([second.status, second.url]).toEqual([200, `${app.url}/`]);
      expect(second.text).toContain('Welcome, <bdi>Ada');
    }
  });

  it('sends a stale answer home when somebody is signed in', async () => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    await browser.visit(response);
    const requests = app.powerFolder.requests.length;
    for (const stale of [response, `${app.url}/oauth`, `${app.url}/oauth/`, `${app.url}/oauth/code=x&state=forged`]) {
      const page = await browser.stay(stale);
      expect([stale, page.status, page.headers['location']]).toEqual([stale, 302, '/']);
    }
    expect(app.powerFolder.requests).toHaveLength(requests);
  });
});

describe('a sign-in that fails', () => {
  /** A clear page: the sentence, a way on, and nothing of what came with the request. */
  function expectClearPage(page: Page, status: number, sentence: string): void {
    expect([page.status, page.text]).toEqual([status, expect.stringContaining(sentence)]);
    expect(page.text).toMatch(/href="\/auth\/powerfolder[^"]*">Try again<\/a>/);
    expect(page.text).not.toMatch(/\bat .*\.[jt]s:\d/);
    expect(page.headers['cache-control']).toBe('no-store');
    expect(page.headers['referrer-policy']).toBe('no-referrer');
  }

  const codes = (app: Example) => app.log.flatMap((line) => /"sign-in failed","code":"(\w+)"/.exec(line)?.[1] ?? []);

  /** The app with a `signIn` of somebody's own. */
  async function signInAs(known: unknown): Promise<[page: Page, app: Example, browser: Browser]> {
    const app = await startExample({
      changeUsers: (users) => Object.assign(Object.create(users), { signIn: async () => known }),
    });
    running.push(app);
    const browser = app.browser();
    return [await browser.visit(await authorizationResponse(browser, app)), app, browser];
  }

  it('tells whom the app’s own users refuse', async () => {
    const [page, app, browser] = await signInAs(false);
    expectClearPage(page, 401, 'This PowerFolder account may not sign in here.');
    expect(codes(app)).toEqual(['verify_refused']);
    expect((await browser.visit(app.url)).text).toContain('Sign in with PowerFolder');
  });

  it.each([undefined, null, true, 1, 'ada', {}, [], { id: '' }, { id: 1, displayName: 'Ada', emails: [] }])(
    'signs nobody in when the app’s own users give %j, and says why in the log',
    async (known) => {
      const [page, app, browser] = await signInAs(known);
      expectClearPage(page, 500, 'Something went wrong');
      expect(app.log.join()).toContain('neither a user nor false');
      expect(app.sessions.all()).toEqual([]);
      expect((await browser.visit(app.url)).text).toContain('Sign in with PowerFolder');
    },
  );

  it.each(['path', 'query'] as const)('says so when the visitor declined, answered as a %s', async (callbackStyle) => {
    const app = await example({ callbackStyle });
    const browser = app.browser();
    const { username, password } = app.powerFolder;
    const login = await browser.visit(`${app.url}/account`);
    const page = await browser.submit(await browser.submit(login, 'Log in', { username, password }), 'Decline');
    expectClearPage(page, 403, 'this app has seen nothing of your account');
    expect(page.text.match(/not allow/g)).toHaveLength(2);
    expect(codes(app)).toEqual(['access_denied']);
    // And the button leads to a sign-in that works, and on to where the visitor wanted to go.
    const [, again = ''] = /href="([^"]*)">Try again/.exec(page.text) ?? [];
    const consent = await browser.visit(app.url + again);
    expect(new URL((await browser.submit(consent, 'Allow')).url).pathname).toBe('/account');
  });

  it.each([
    ['without anything', '/oauth', 400, 'not a valid answer', 'invalid_callback'],
    ['without a state', '/oauth/code=x', 403, 'does not say which sign-in', 'state_missing'],
    ['with a forged state', '/oauth/code=x&state=forged', 403, 'not started in this browser', 'state_unknown'],
    [
      'with a forged state in a query',
      '/oauth?code=x&state=forged',
      403,
      'not started in this browser',
      'state_unknown',
    ],
    ['with a forged error', '/oauth/error=server_error&state=x', 403, 'not started in this browser', 'state_unknown'],
    ['with a broken escape', '/oauth/code=%E0%A4%A&state=x', 400, 'not a valid answer', 'invalid_callback'],
  ])('ends on a page when the answer is %s', async (_, path, status, sentence, code) => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    expectClearPage(await browser.visit(app.url + path), status, sentence);
    expect(codes(app)).toEqual([code]);
    // The sign-in that was begun is not disturbed.
    expect((await browser.visit(response)).text).toContain('Welcome, <bdi>Ada');
  });

  it('ends on a page when the answer comes to another browser', async () => {
    const app = await example();
    const response = await authorizationResponse(app.browser(), app);
    expectClearPage(await app.browser().visit(response), 403, 'sent no session');
    expect(codes(app)).toEqual(['session_missing']);
    expect(app.powerFolder.requests.filter(({ endpoint }) => endpoint === 'token')).toEqual([]);
  });

  it('ends on a page when the answer comes after ten minutes', async () => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    wait(10.1 * minute);
    expectClearPage(await browser.visit(response), 403, 'took too long');
    expect(codes(app)).toEqual(['state_expired']);
  });

  it('ends on a page when the answer is repeated after signing out', async () => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    const home = await browser.visit(response);
    await browser.submit(home, 'Sign out');
    expectClearPage(await browser.visit(response), 403, 'Please sign in again');
  });

  it('ends on a page when the code has expired', async () => {
    let now = Date.now();
    const app = await example({ now: () => now });
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    now += hour;
    expectClearPage(await browser.visit(response), 401, 'has expired or was used already');
    expect(codes(app)).toEqual(['invalid_grant']);
  });

  it('shows a general page when the client secret is wrong, and tells the log (R42, R44)', async () => {
    const wrong = 'wrong-secret-that-nobody-may-see';
    const app = await example({}, { POWERFOLDER_CLIENT_SECRET: wrong });
    const browser = app.browser();
    const page = await browser.visit(await authorizationResponse(browser, app));
    // The application's mistake: by R51 it is no 502.
    expectClearPage(page, 500, 'Something went wrong');
    expect(page.text).not.toContain('client');
    expect(codes(app)).toEqual(['invalid_client']);
    expect(app.log.join('')).not.toContain(wrong);
  });

  it.each([
    ['token', { status: 503, body: '<h1>Down for maintenance</h1>' }, 503],
    ['token', { status: 429, body: { error: 'maintenance' } }, 503],
    ['token', { resetAfter: 0 }, 502],
    ['token', { body: { error: 'server_error', error_description: '<script>alert(1)</script> maintenance' } }, 502],
    ['accounts', { status: 404, body: 'no maintenance' }, 502],
    ['accounts', { status: 500, body: 'Exception in thread "main" maintenance' }, 502],
    ['accounts', { body: 'null' }, 502],
  ] as const)('shows a general page when the %s endpoint answers %j, with status %d (R42, R51)', async (...row) => {
    const [endpoint, fault, status] = row;
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    app.powerFolder.failNext(endpoint, fault);
    const page = await browser.visit(response);
    expectClearPage(page, status, 'PowerFolder does not answer as it should');
    expect(page.text).not.toMatch(/maintenance|<script(?! type)|Exception/);
    const [, reference] = /reference: <code>([\w-]+)<\/code>/.exec(page.text) ?? [];
    expect(page.headers['x-request-id']).toBe(reference);
    const [line] = app.log.map((text) => JSON.parse(text)).filter(({ err }) => err);
    expect(line.req.id).toBe(reference);
    expect(line.err.code).toEqual(expect.any(String));
    expect([line.err.status, line.err.serverStatus]).toEqual([
      status,
      'resetAfter' in fault ? undefined : expect.any(Number),
    ]);
    expect(app.sessions.all()).toEqual([]);
  });

  it('says when to try again where PowerFolder says it, and leads to where the visitor wanted to go (R51)', async () => {
    const app = await example();
    const browser = app.browser();
    const login = await browser.visit(`${app.url}/account`);
    app.powerFolder.failNext('token', { status: 503, headers: { 'Retry-After': '30' } });
    const page = await logInAndAllow(browser, login, app.powerFolder);
    expectClearPage(page, 503, 'PowerFolder does not answer as it should');
    expect(page.headers['retry-after']).toBe('30');
    expect(page.text).toContain('href="/auth/powerfolder?returnTo=%2Faccount">Try again</a>');
    const [line] = app.log.map((text) => JSON.parse(text)).filter(({ err }) => err);
    expect(line.err).toMatchObject({ status: 503, serverStatus: 503 });
  });

  it('answers 504 when PowerFolder is late (R51)', async () => {
    const app = await startExample({ strategy: { timeout: 100 } });
    running.push(app);
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    app.powerFolder.failNext('token', { silence: true });
    expectClearPage(await browser.visit(response), 504, 'PowerFolder does not answer as it should');
  });
});

describe('/account', () => {
  it('tells who signed in, how long the access lasts, and how full the quota is', async () => {
    const account = {
      ID: 'aB+c/1',
      username: 'ada',
      password: 'pw',
      firstname: 'Ada',
      surname: 'King Lovelace',
      emails: ['ada@example.com', 'countess@example.org'],
      spaceUsed: 4_000_000_000,
      spaceAllowed: 5_000_000_000,
    };
    const app = await example({ accounts: [account] });
    const browser = await signedIn(app);
    const { text } = await browser.visit(`${app.url}/account`);
    for (const shown of ['Ada King Lovelace', 'ada@example.com', 'countess@example.org', 'aB+c/1', '>AL<']) {
      expect(text).toContain(shown);
    }
    expect(text).toContain('4 GB <span class="muted">of 5 GB</span>');
    expect(text).toContain('80% used, 1 GB free');
    expect(text).toMatch(/<meter [^>]*value="80"/);
    expect(text).toContain('While you use this app');
  });

  it('tells when the access ends where it cannot be renewed', async () => {
    const app = await example({ refreshTokens: false });
    const { text } = await (await signedIn(app)).visit(`${app.url}/account`);
    expect(text).toContain('Ends in 24 hours');
    const [, expires = ''] = /<time datetime="([^"]+)"/.exec(text) ?? [];
    expect(Math.abs(Date.parse(expires) - Date.now() - 24 * hour)).toBeLessThan(minute);
  });

  it('tells by how much somebody has more than there is space for', async () => {
    const account = { username: 'ada', password: 'pw', spaceUsed: 5_600_000_000, spaceAllowed: 5_000_000_000 };
    const app = await example({ accounts: [account] });
    const { text } = await (await signedIn(app)).visit(`${app.url}/account`);
    expect(text).toContain('112% used. That is 600 MB more than you have');
    expect(text).toMatch(/<meter [^>]*value="100"/);
  });

  it('does without quota and expiry when the server does not tell them', async () => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    app.powerFolder.failNext('token', { body: { access_token: '1abc-def' } });
    app.powerFolder.failNext('accounts', { body: { ID: 'x', username: 'plain' } });
    await browser.visit(response);
    const { status, text } = await browser.visit(`${app.url}/account`);
    expect(status).toBe(200);
    expect(text).toContain('PowerFolder did not say how much space you have.');
    expect(text).toContain('did not say how long');
  });

  it('shows markup in names as text (R42)', async () => {
    const account = {
      ID: '<script>id</script>',
      username: '"><script>user</script>',
      password: 'pw',
      firstname: '<script>alert(1)</script>',
      surname: "' onload='x",
      emails: ['<img src=x onerror=alert(1)>'],
    };
    const app = await example({ accounts: [account] });
    const browser = await signedIn(app);
    for (const path of ['/', '/account']) {
      const { text } = await browser.visit(app.url + path);
      expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
      expect(text).not.toMatch(/<script(?! type)|<img/);
      expect(text).not.toContain("' onload='x");
    }
  });
});

describe('the session', () => {
  const cookieOf = (app: Example, browser: Browser) => sessionCookieOf(browser, app);
  const cookieName = ({ url }: Example) => `session-${new URL(url).port}`;

  async function isSignedIn(app: Example, cookie: string): Promise<boolean> {
    const page = await new Browser().stay(`${app.url}/account`, { headers: { cookie } });
    return page.status === 200;
  }

  it('has a new id after signing in, and the old id is dead (R34)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const response = await authorizationResponse(browser, app);
    const before = cookieOf(app, browser);
    await browser.visit(response);
    const after = cookieOf(app, browser);
    expect(before).toMatch(/^session-\d+=s%3A/);
    expect(after).not.toBe(before);
    expect(await isSignedIn(app, after)).toBe(true);
    expect(await isSignedIn(app, before)).toBe(false);
    expect(app.sessions.all()).toHaveLength(1);
  });

  it('is dead after signing out (R34)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const cookie = cookieOf(app, browser);
    expect(await isSignedIn(app, cookie)).toBe(true);
    await browser.submit(await browser.visit(app.url), 'Sign out');
    expect(await isSignedIn(app, cookie)).toBe(false);
    expect(app.sessions.all()).toEqual([]);
    expect(cookieOf(app, browser)).toBe('');
  });

  it('never has an id that a client chose, even with a valid signature (R34)', async () => {
    const app = await example();
    const browser = app.browser();
    const chosen = `${cookieName(app)}=${signed('chosen-by-the-attacker', sessionSecret)}`;
    browser.setCookies(app.url, chosen);
    await browser.visit(await authorizationResponse(browser, app));
    expect(cookieOf(app, browser)).not.toBe(chosen);
    expect(cookieOf(app, browser)).toMatch(/^session-\d+=s%3A/);
  });

  it('keeps nothing of what was in it before signing in (R35)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const response = await authorizationResponse(browser, app);
    app.sessions.add({ planted: 'by whoever had the browser before' });
    expect((await browser.visit(response)).text).toContain('Welcome, <bdi>Ada');
    expect(Object.keys(theSession(app)).sort()).toEqual(['passport', 'signedInAt']);
  });

  it('has a cookie that scripts cannot read and other sites do not send (R36)', async () => {
    const app = await example();
    const browser = app.browser();
    const page = await browser.stay(await authorizationResponse(browser, app));
    const [pending = '', cookie = '', ...others] = setCookies(page);
    expect([pending, others]).toEqual([expect.stringMatching(/^powerfolder-[\w-]+=; Max-Age=0; /), []]);
    expect(cookie.replace(/=s%3A[^;]+/, '=…').replace(/Expires=[^;]+/, 'Expires=…')).toBe(
      `${cookieName(app)}=…; Path=/; Expires=…; HttpOnly; SameSite=Lax`,
    );
  });

  it('has a cookie for this host and https only under https (R36)', async () => {
    const app = await example({}, { BASE_URL: 'https://app.example', TRUST_PROXY: 'loopback' });
    const headers = { 'X-Forwarded-Proto': 'https' };
    const browser = new Browser(headers);
    const response = await authorizationResponse(browser, app);
    const local = response.replace('https://app.example', app.url);
    const [, cookie = ''] = setCookies(await browser.stay(local));
    expect(cookie.replace(/=s%3A[^;]+/, '=…').replace(/Expires=[^;]+/, 'Expires=…')).toBe(
      '__Host-session=…; Path=/; Expires=…; HttpOnly; Secure; SameSite=Lax',
    );
    // Over plain http it is not sent at all.
    const other = new Browser(headers);
    const again = (await authorizationResponse(other, app)).replace('https://app.example', app.url);
    const plain = new Browser();
    plain.setCookies(app.url, other.cookies(app.url));
    const page = await plain.stay(again);
    expect([page.status, setCookies(page)]).toEqual([302, [expect.stringMatching(/^__Host-powerfolder-/)]]);
  });

  it('ends after 8 hours without a request, and lasts longer with them (R36)', async () => {
    const app = await example();
    const cookie = cookieOf(app, await signedIn(app));
    wait(7.9 * hour);
    expect(await isSignedIn(app, cookie)).toBe(true);
    wait(7.9 * hour);
    expect(await isSignedIn(app, cookie)).toBe(true);
    wait(8.1 * hour);
    expect(await isSignedIn(app, cookie)).toBe(false);
  });

  it('has a cookie for as long as it may last, which no page sends again (R36, R65)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const response = await authorizationResponse(browser, app);
    const cookie = setCookies(await browser.stay(response)).find((line) => line.startsWith('session')) ?? '';
    const [, expires = ''] = /Expires=([^;]+)/.exec(cookie) ?? [];
    expect(Math.round((Date.parse(expires) - Date.now()) / hour)).toBe(7 * 24);
    wait(3 * hour);
    expect(setCookies(await browser.visit(app.url))).toEqual([]);
  });

  it('ends after 7 days however busy it is (R36)', async () => {
    const app = await example();
    const cookie = cookieOf(app, await signedIn(app));
    for (let hours = 0; hours < 24 * 7 - 7; hours += 7) {
      wait(7 * hour);
      expect(await isSignedIn(app, cookie)).toBe(true);
    }
    wait(7 * hour);
    expect(await isSignedIn(app, cookie)).toBe(false);
  });

  it('is not made for somebody who does not finish signing in (R47)', async () => {
    const app = await example();
    const page = await app.browser().stay(`${app.url}/auth/powerfolder`);
    expect(setCookies(page)).toEqual([expect.stringMatching(/^powerfolder-/)]);
    expect(app.sessions.entries.size).toBe(0);
  });

  it('is accepted with an older secret, and renewed with the newer', async () => {
    const secrets = ['the new secret that signs all cookies', sessionSecret];
    const app = await example({}, { SESSION_SECRET: secrets.join(', ') });
    const browser = await signedIn(app);
    const [id = ''] = decodeURIComponent(cookieOf(app, browser).replace(/^[^=]+=s%3A/, '')).split('.');
    for (const secret of secrets) {
      expect(await isSignedIn(app, `${cookieName(app)}=${signed(id, secret)}`)).toBe(true);
    }
    expect(await isSignedIn(app, `${cookieName(app)}=${signed(id, 'a secret of somebody else')}`)).toBe(false);
    expect(cookieOf(app, browser)).toBe(`${cookieName(app)}=${signed(id, secrets[0] as string)}`);
  });
});

describe('signing out', () => {
  it('says that PowerFolder itself stays open, and where to end that (R38)', async () => {
    const app = await example({ contextPath: '/powerfolder' });
    const browser = await signedIn(app);
    const page = await browser.submit(await browser.visit(app.url), 'Sign out');
    expect([page.status, page.url]).toEqual([200, `${app.url}/signed-out`]);
    expect(page.text).toContain('Your session at PowerFolder itself stays open.');
    expect(page.text).toContain(`href="${app.powerFolder.url}/logout"`);
  });

  it.each([
    ['comes from another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['comes from another host of the same site', { 'Sec-Fetch-Site': 'same-site' }],
    ['comes from nowhere', { 'Sec-Fetch-Site': 'none' }],
    ['comes from another origin', { Origin: 'https://evil.example' }],
    ['comes from an opaque origin', { Origin: 'null' }],
    ['says neither', {}],
  ])('is refused when the request %s (R38)', async (_, headers) => {
    const app = await example();
    const cookies = (await signedIn(app)).cookies(app.url);
    const browser = new Browser();
    browser.setCookies(app.url, cookies);
    const page = await browser.stay(`${app.url}/logout`, { method: 'POST', headers });
    expect(page.status).toBe(403);
    expect(page.text).toContain('came from another site');
    expect((await browser.visit(app.url)).text).toContain('Welcome, <bdi>Ada');
  });

  it('works for a browser that sends Origin only (R38)', async () => {
    const app = await example();
    const browser = new Browser();
    browser.setCookies(app.url, (await signedIn(app)).cookies(app.url));
    const page = await browser.stay(`${app.url}/logout`, { method: 'POST', headers: { Origin: app.url } });
    expect([page.status, page.headers['location']]).toEqual([303, '/signed-out']);
    expect(setCookies(page)).toEqual([
      `session-${new URL(app.url).port}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax`,
    ]);
  });

  it('takes a POST, so that a link or an image does nothing (R38)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    expect((await browser.visit(`${app.url}/logout`)).status).toBe(404);
    expect((await browser.visit(app.url)).text).toContain('Welcome, <bdi>Ada');
  });

  it('lets no cache and no back button show the page again', async () => {
    const app = await example();
    const browser = await signedIn(app);
    for (const path of ['/', '/account']) {
      expect((await browser.visit(app.url + path)).headers['cache-control']).toBe('no-store');
    }
  });
});

describe('the headers', () => {
  const policy = ({ headers }: Page) =>
    Object.fromEntries(
      String(headers['content-security-policy'])
        .split(';')
        .map((directive) => {
          const [name = '', ...sources] = directive.trim().split(' ');
          return [name, sources.join(' ')];
        }),
    );

  it('allow nothing inline and nothing from elsewhere; forms lead to PowerFolder too (R41)', async () => {
    const app = await example({ contextPath: '/pf' });
    for (const path of ['/', '/signed-out', '/nothing', '/oauth']) {
      const page = await app.browser().visit(app.url + path);
      expect(policy(page)).toEqual({
        'default-src': "'none'",
        'style-src': "'self'",
        'script-src': "'self'",
        'img-src': "'self'",
        'connect-src': "'self'",
        'frame-src': "'self'",
        'form-action': `'self' ${new URL(app.powerFolder.url).origin}`,
        'object-src': "'none'",
        'base-uri': "'none'",
        'frame-ancestors': "'none'",
      });
      expect(page.headers['x-content-type-options']).toBe('nosniff');
      expect(page.headers['x-powered-by']).toBeUndefined();
      // What the policy would block is not there.
      expect(page.text).not.toMatch(/<style|<script(?! type="module" src="\/\w+\.mjs"><\/script>)| style=| on\w+=/);
    }
  });

  it('ask for https from now on, under https only (R41)', async () => {
    const plain = await example();
    expect((await plain.browser().visit(plain.url)).headers['strict-transport-security']).toBeUndefined();
    const secure = await example({}, { BASE_URL: 'https://app.example', TRUST_PROXY: 'loopback' });
    const { headers } = await secure.browser().visit(secure.url);
    expect(headers['strict-transport-security']).toBe('max-age=31536000');
  });
});

describe('the logs', () => {
  it('hide what follows /oauth/, and every query (R43)', async () => {
    const app = await example();
    const paths = [
      '/oauth/code=SENTINEL&state=SENTINEL',
      '/OAuth/code=SENTINEL',
      '/oauth?code=SENTINEL&state=x',
      '/elsewhere/code=SENTINEL&state=x',
      '/account?token=SENTINEL',
      '/%0d%0aSet-Cookie:SENTINEL=1',
    ];
    for (const path of paths) await app.browser().stay(app.url + path);
    const lines = app.log.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request completed');
    expect(lines.map(({ req }) => req.path)).toEqual([
      '/oauth/[hidden]',
      '/OAuth/[hidden]',
      '/oauth',
      '/elsewhere/[hidden]',
      '/account',
      '/[hidden]',
    ]);
    expect(app.log.join('')).not.toContain('SENTINEL');
    // One JSON object a line.
    expect(app.log.every((line) => line.endsWith('}\n') && line.indexOf('\n') === line.length - 1)).toBe(true);
  });

  it('tell who signed in and out, and why somebody did not (R44)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    await browser.submit(await browser.visit(app.url), 'Sign out');
    await browser.visit(`${app.url}/oauth/code=x&state=forged`);
    const events = app.log.map((line) => JSON.parse(line)).filter(({ event }) => event);
    expect(events.map(({ event, user, code }) => [event, user ?? code])).toEqual([
      ['signed in', '4xT9/kQ2+Vb7LmZr'],
      ['signed out', '4xT9/kQ2+Vb7LmZr'],
      // Signing out took the cookie.
      ['sign-in failed', 'session_missing'],
    ]);
  });

  it('hold no token, code, state, cookie or secret (R44), nor do the pages and headers (R45)', async () => {
    const app = await example({ rotateRefreshTokens: true });
    const seen: Page[] = [];
    const browser = app.browser();
    const keep = async (page: Promise<Page>) => {
      seen.push(await page);
      return await page;
    };
    const response = await authorizationResponse(browser, app);
    await keep(browser.stay(response));
    const [tokens] = app.sessions.tokens();
    const cookie = browser.cookies(app.url);
    for (const path of ['/', '/account', '/nothing', '/oauth/code=x&state=y', '/healthz']) {
      await keep(browser.visit(app.url + path));
    }
    const home = await browser.visit(app.url);
    await keep(browser.submit(home, 'Sign out'));
    const failing = await authorizationResponse(app.browser(), app);
    await keep(app.browser().visit(failing));

    const [, code = '', state = ''] = /code=(\w+)&state=(\w+)/.exec(response) ?? [];
    const [, failingCode = ''] = /code=(\w+)/.exec(failing) ?? [];
    const secrets = [tokens?.accessToken, tokens?.refreshToken, app.powerFolder.clientSecret, code, state, failingCode];
    const sessionID = /session-\d+=s%3A([\w-]+)/.exec(cookie)?.[1];
    for (const secret of [...secrets, sessionID]) {
      expect(secret?.length).toBeGreaterThan(8);
      expect(app.log.join('')).not.toContain(secret);
    }
    for (const secret of secrets) {
      for (const page of seen) expect(page.text + JSON.stringify(page.headers)).not.toContain(secret);
    }
  });

  it('name the visitor by address, and believe no header about it (R46)', async () => {
    const app = await example();
    await app.browser().visit(app.url, { headers: { 'X-Forwarded-For': '203.0.113.7' } });
    expect(JSON.parse(app.log[0] as string).req.ip).toMatch(/^(::1|(::ffff:)?127\.0\.0\.1)$/);
  });

  it.each([
    ['loopback', '203.0.113.7', '203.0.113.7'],
    ['1', '198.51.100.1, 203.0.113.7', '203.0.113.7'],
    ['10.0.0.0/8', '203.0.113.7', expect.stringMatching(/^(::1|(::ffff:)?127\.0\.0\.1)$/)],
  ])('name the visitor as the trusted proxy says: TRUST_PROXY=%s (R46)', async (TRUST_PROXY, forwarded, ip) => {
    const app = await example({}, { TRUST_PROXY });
    await app.browser().visit(app.url, { headers: { 'X-Forwarded-For': forwarded } });
    expect(JSON.parse(app.log[0] as string).req.ip).toEqual(ip);
  });
});

describe('a request that nobody will see', () => {
  it.each<[string, Record<string, string>, string?]>([
    ['of a script', { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }],
    ['of a script of the same site', { 'Sec-Fetch-Mode': 'same-origin', 'Sec-Fetch-Dest': 'empty' }],
    ['for a picture', { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' }],
    ['for a frame', { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' }],
    ['of a prefetch', { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document', 'Sec-Purpose': 'prefetch' }],
    ['of a prerender', { 'Sec-Fetch-Mode': 'navigate', 'Sec-Purpose': 'prefetch;prerender' }],
    ['of an older prefetch', { Purpose: 'prefetch' }],
    ['of a link scanner', {}, 'HEAD'],
  ])('%s does not begin a sign-in, and spares one that has begun', async (_, headers, method = 'GET') => {
    const app = await example();
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    for (let n = 0; n < 8; n++) {
      for (const path of ['/auth/powerfolder', '/account', '/folders/Documents', '/files/notes.txt']) {
        const page = await browser.stay(app.url + path, { headers, method });
        expect([page.status, page.headers['location'], setCookies(page)]).toEqual([401, undefined, []]);
      }
    }
    expect((await browser.visit(response)).text).toContain('Welcome, <bdi>Ada');
  });

  it('by somebody who is signed in is answered', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const headers = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' };
    expect((await browser.stay(`${app.url}/account`, { headers })).status).toBe(200);
  });
});

describe('what goes wrong elsewhere', () => {
  it('limits sign-ins by address, and nothing else (R47)', async () => {
    const app = await example({}, { SIGN_IN_LIMIT: '5' });
    const statuses: number[] = [];
    for (let i = 0; i < 7; i++) statuses.push((await app.browser().stay(`${app.url}/auth/powerfolder`)).status);
    expect(statuses).toEqual([302, 302, 302, 302, 302, 429, 429]);
    const refused = await app.browser().stay(`${app.url}/oauth/code=x&state=y`);
    expect(refused.status).toBe(429);
    expect(refused.text).toContain('Please wait a minute');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(app.sessions.all()).toEqual([]);
    expect((await app.browser().visit(app.url)).status).toBe(200);
  });

  it('answers its other pages while PowerFolder is down (R49)', async () => {
    const app = await example();
    const browser = await signedIn(app);
    const response = await authorizationResponse(app.browser(), app);
    await app.powerFolder.close();
    for (const path of ['/', '/account', '/healthz', '/signed-out', '/style.css']) {
      expect([path, (await browser.visit(app.url + path)).status]).toEqual([path, 200]);
    }
    expect((await app.browser().visit(response)).status).toBe(403);
  });

  it('answers its other pages while PowerFolder is silent (R49)', async () => {
    const app = await example();
    const other = await signedIn(app);
    const browser = app.browser();
    const response = await authorizationResponse(browser, app);
    app.powerFolder.failNext('token', { silence: true });
    let answered = false;
    const hanging = browser
      .visit(response)
      .catch(() => undefined)
      .finally(() => {
        answered = true;
      });
    await until(() => app.powerFolder.requests.at(-1)?.endpoint === 'token');
    for (const path of ['/', '/account', '/healthz']) {
      expect([path, (await other.visit(app.url + path)).status]).toEqual([path, 200]);
    }
    expect(answered).toBe(false);
    await app.powerFolder.close();
    await hanging;
  });

  it('says that it is well at /healthz', async () => {
    const app = await example();
    const page = await app.browser().visit(`${app.url}/healthz`);
    expect([page.status, JSON.parse(page.text)]).toEqual([200, { status: 'ok' }]);
  });

  it('says 503 in a sentence and at /healthz while Redis is away', async () => {
    const app = await example({}, { REDIS_URL: 'redis://127.0.0.1:9' });
    expect((await app.browser().visit(`${app.url}/healthz`)).status).toBe(503);
    const page = await app.browser().visit(`${app.url}/auth/powerfolder`);
    expect([page.status, page.text]).toEqual([503, expect.stringContaining('Please come back in a moment')]);
  });

  it('answers an unknown address with a page', async () => {
    const app = await example();
    const page = await app.browser().visit(`${app.url}/nothing/<script>`);
    expect([page.status, page.text]).toEqual([404, expect.stringContaining('There is nothing here')]);
    expect(page.text).not.toContain('<script>');
  });

  it('answers an address with a broken escape with a page, without a stack (R42)', async () => {
    const app = await example({ autoApprove: 'ada' });
    const browser = app.browser();
    await browser.visit(`${app.url}/auth/powerfolder`);
    const page = await browser.visit(`${app.url}/folders/%E0%A4%A`);
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('was not understood')]);
    expect(page.text).not.toMatch(/URIError|\bat .*\.[jt]s:\d/);
  });

  it('lives under the path of BASE_URL', async () => {
    const app = await example({}, {});
    const mounted = await example({ autoApprove: 'ada' }, { BASE_URL: `${app.url}/desk/` });
    const browser = mounted.browser();
    const home = await browser.visit(`${mounted.url}/desk/`);
    expect(home.text).toContain('href="/desk/auth/powerfolder"');
    expect(home.text).toContain('href="/desk/style.css"');
    expect((await browser.visit(`${mounted.url}/desk/style.css`)).status).toBe(200);
    const toApp = (location: URL) =>
      location.pathname !== '/desk/oauth' && !location.pathname.startsWith('/desk/oauth/');
    const start = await browser.visit(`${mounted.url}/desk/account`, { follow: toApp });
    const response = String(start.headers['location']).replace(app.url, mounted.url);
    const account = await browser.visit(response);
    expect([account.status, account.url]).toEqual([200, `${mounted.url}/desk/account`]);
    const left = await browser.submit(account, 'Sign out', {}, { headers: sameOrigin });
    expect(left.url).toBe(`${mounted.url}/desk/signed-out`);
  });
});
