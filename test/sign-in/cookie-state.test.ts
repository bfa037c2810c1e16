/** Whole sign-ins with a CookieStateStore: what sessions, browsers and tabs have of it. */
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import { CookieStateStore, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { expressVersions, startTestApp, type TestApp, type TestAppOptions } from '../support/app.ts';
import { Browser, type Page } from '../support/browser.ts';
import { authorize, type Neighbour, signIn } from '../support/neighbour.ts';
import { startSessionApp } from '../support/session-app.ts';
import { cookieSecret, placesToWait } from '../support/state-stores.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  jest.restoreAllMocks();
  for (const end of ends.splice(0)) await end();
});

interface Started {
  server: PowerFolderServer;
  app: TestApp;
  browser: Browser;
}

async function start({
  options,
  ...appOptions
}: Omit<Partial<TestAppOptions>, 'options'> & {
  options?: Partial<PowerFolderStrategyOptions>;
} = {}): Promise<Started> {
  const server = await startPowerFolderServer({ autoApprove: 'ada' });
  ends.push(() => server.close());
  const { url: serverURL, clientID, clientSecret } = server;
  const store = new CookieStateStore({ secret: cookieSecret });
  const app = await startTestApp({ ...appOptions, options: { serverURL, clientID, clientSecret, store, ...options } });
  ends.push(() => app.close());
  return { server, app, browser: new Browser() };
}

const begin = ({ app, browser }: Started) => authorize(browser, `${app.url}/auth/powerfolder`);
const codeOf = (page: Page) => JSON.parse(page.text).failure?.code;
const cookieNames = (page: Page) =>
  [page.headers['set-cookie'] ?? []].flat().map((line) => line.slice(0, line.indexOf('=')));

describe.each(expressVersions)('with sessions that are saved when something is in them, in %s', (_, version) => {
  it('nothing is, until somebody is signed in', async () => {
    const sessions = new session.MemoryStore();
    const started = await start({ express: version, sessions, start: { state: { returnTo: '/x' } } });
    const { app, browser } = started;
    const begun = await browser.stay(`${app.url}/auth/powerfolder`);
    expect([begun.status, cookieNames(begun)]).toEqual([302, [expect.stringMatching(/^powerfolder-/)]]);
    for (let i = 0; i < 5; i++) await begin({ ...started, browser: new Browser() });
    expect(await new Promise((resolve) => sessions.all((_error, all) => resolve(all)))).toEqual({});

    const page = await browser.visit(await begin(started));
    expect(JSON.parse(page.text)).toMatchObject({
      user: { profile: { username: 'ada' } },
      info: { state: { returnTo: '/x' } },
    });
  });
});

it('signs in where there are no sessions at all', async () => {
  const started = await start({ sessions: false });
  expect((await started.browser.visit(await begin(started))).status).toBe(200);
  expect(started.browser.cookies(started.app.url)).toMatch(/^$/);
});

describe('with the page of authorizationMethod POST', () => {
  it('sets the cookie beside the headers of the page', async () => {
    const { app, browser } = await start({ options: { authorizationMethod: 'POST' } });
    const page = await browser.stay(`${app.url}/auth/powerfolder`);
    expect(page).toMatchObject({ status: 200, headers: { 'cache-control': 'no-store' } });
    expect(cookieNames(page)).toEqual([expect.stringMatching(/^powerfolder-/)]);
    expect((await browser.submit(page, 'Continue to PowerFolder')).status).toBe(200);
  });
});

describe('the cookie', () => {
  it.each<[string, (started: Started, state: string) => string | Promise<string>, number]>([
    ['is declined', (_, state) => `/oauth?error=access_denied&state=${state}`, 403],
    ['ends in an error of the server', (_, state) => `/oauth?error=server_error&state=${state}`, 502],
    [
      'has a code that is used',
      ({ server }, state) => {
        server.failNext('token', { status: 400, body: { error: 'invalid_grant' } });
        return `/oauth?code=1c&state=${state}`;
      },
      401,
    ],
    [
      'ends in an error at the token endpoint',
      ({ server }, state) => {
        server.failNext('token', { status: 503, body: 'away' });
        return `/oauth?code=1c&state=${state}`;
      },
      503,
    ],
  ])('goes with the answer also where the sign-in %s', async (_, answer, status) => {
    const started = await start();
    const { app, browser } = started;
    const other = await begin(started);
    const kept = browser.cookies(app.url);
    const state = String(/state=(\w+)/.exec(await begin(started))?.[1]);
    expect(browser.cookies(app.url)).not.toBe(kept);
    expect((await browser.visit(app.url + (await answer(started, state)))).status).toBe(status);
    expect(browser.cookies(app.url)).toBe(kept);
    expect((await browser.visit(other)).status).toBe(200);
  });

  it('R7, R10: stays where the state is not its own', async () => {
    const started = await start();
    const { app, browser } = started;
    const location = await begin(started);
    const kept = browser.cookies(app.url);
    for (const path of ['code=x&state=forged', 'error=access_denied&state=forged', 'code=x', 'code=%zz&state=x', '']) {
      const page = await browser.visit(`${app.url}/oauth?${path}`);
      expect([page.status >= 400, cookieNames(page)]).toEqual([true, []]);
    }
    expect(browser.cookies(app.url)).toBe(kept);
    expect((await browser.visit(location)).status).toBe(200);
  });

  it("R5: is not believed for longer than the server's own clock says, though a browser sends it", async () => {
    const started = await start({ options: { stateTTL: 60_000 } });
    const { browser } = started;
    const [early, late] = [await begin(started), await begin(started)];
    const now = Date.now();
    const clock = jest.spyOn(Date, 'now').mockReturnValue(now + 50_000);
    expect((await browser.visit(early)).status).toBe(200);
    clock.mockReturnValue(now + 61_000);
    expect(codeOf(await browser.visit(late))).toBe('state_expired');
  });

  it('is found among whatever else a browser sends, and what cannot be read is no error', async () => {
    const started = await start();
    const { app, browser } = started;
    const location = await begin(started);
    const tossed = Array.from(
      { length: 50 },
      (_, i) => `powerfolder-${String(i).padStart(22, 'x')}=${'A'.repeat(i * 3)}`,
    );
    for (const cookie of [
      `${tossed.join('; ')}; ;;=; %=%`,
      'powerfolder-',
      ';',
      '=',
      `powerfolder-${'x'.repeat(22)}`,
    ]) {
      const strange = await new Browser().visit(location, { headers: { cookie } });
      expect([strange.status, codeOf(strange)]).toEqual([
        403,
        expect.stringMatching(/^(state_unknown|session_missing)$/),
      ]);
      const begun = await new Browser().stay(`${app.url}/auth/powerfolder`, { headers: { cookie } });
      expect([begun.status, cookieNames(begun)]).toEqual([302, [expect.stringMatching(/^powerfolder-/)]]);
    }
    browser.setCookies(app.url, tossed.join('; '));
    expect((await browser.visit(location)).status).toBe(200);
  });

  it('R9: of one application is none of another on the same host, whichever port it has', async () => {
    const [one, other] = [await start({ start: { state: { app: 1 } } }), await start({ start: { state: { app: 2 } } })];
    const browser = one.browser;
    const [mine, others] = [await begin(one), await begin({ ...other, browser })];
    const moved = await browser.visit(mine.replace(one.app.url, other.app.url));
    expect([moved.status, codeOf(moved)]).toEqual([403, 'state_mismatch']);
    expect(JSON.parse((await browser.visit(others)).text).info).toEqual({ state: { app: 2 } });
    expect(JSON.parse((await browser.visit(mine)).text).info).toEqual({ state: { app: 1 } });
  });
});

it('refuses an application’s state that is too long in a sentence, when the sign-in begins', async () => {
  for (const [place, makeStore] of placesToWait) {
    const { app, browser } = await start({
      start: { state: { returnTo: 'x'.repeat(4000) } },
      options: { store: makeStore() },
    });
    const page = await browser.stay(`${app.url}/auth/powerfolder`);
    expect([page.status, JSON.parse(page.text).error.message]).toEqual([
      500,
      expect.stringContaining(place === 'cookies' ? 'as a cookie, where 3072 are' : 'of the session, where 2048 are'),
    ]);
    expect(browser.cookies(app.url)).toBe('');
  }
});

describe('five tabs of a browser without any cookie', () => {
  /** As those in databases: it takes its time, and the later write wins. */
  class SlowStore extends session.MemoryStore {
    override set(id: string, data: session.SessionData, done?: (error?: unknown) => void) {
      setImmediate(() => super.set(id, data, done));
    }
    override get(id: string, done: (error: unknown, data?: session.SessionData | null) => void) {
      setImmediate(() => super.get(id, done));
    }
  }
  let app: Neighbour;
  afterEach(() => app.close());

  it.each([
    ['in turn', [0, 1, 2, 3, 4]],
    ['backwards', [4, 3, 2, 1, 0]],
    ['mixed', [2, 4, 0, 3, 1]],
    ['at once', undefined],
  ])(
    'R8: that begin at the same moment all end signed in, %s, with a session that is new at each sign-in',
    async (_, order) => {
      const secret = 'for tests only';
      app = await startSessionApp(
        express,
        passport,
        (host) => {
          host.use(session({ secret, resave: false, saveUninitialized: false, store: new SlowStore() }));
        },
        { strategy: { store: new CookieStateStore({ secret: cookieSecret }) } },
      );
      const browser = new Browser();
      const tabs = await Promise.all(
        Array.from({ length: 5 }, () => authorize(browser, `${app.url}/auth/powerfolder`)),
      );
      const pages: Page[] = [];
      if (order) for (const tab of order) pages.push(await browser.visit(tabs[tab] ?? ''));
      else pages.push(...(await Promise.all(tabs.map((tab) => browser.visit(tab)))));
      for (const page of pages)
        expect([page.status, JSON.parse(page.text)]).toEqual([200, { state: { returnTo: '/reports' } }]);
      expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({ user: { name: 'ada' } });
      expect(browser.cookies(app.url)).toMatch(/^connect\.sid=[^;]*$/);
    },
  );

  it('R8: also one that is finished after another tab has signed in and out again', async () => {
    app = await startSessionApp(
      express,
      passport,
      (host) => {
        host.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
      },
      { strategy: { store: new CookieStateStore({ secret: cookieSecret }) } },
    );
    const browser = new Browser();
    const late = await authorize(browser, `${app.url}/auth/powerfolder`);
    await signIn(app.url, browser);
    await browser.visit(`${app.url}/sign-out`);
    expect((await browser.visit(late)).status).toBe(200);
    expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({ user: { name: 'ada' } });
  });
});
