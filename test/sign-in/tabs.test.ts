/** Several tabs of one browser, and what they leave behind: with each of the stores of pending sign-ins. */
import session from 'express-session';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { expressVersions, startTestApp, type TestApp, type TestAppOptions } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { koaApp } from '../support/koa-app.ts';
import { authorize, startNeighbour, startNeighbourProcess } from '../support/neighbour.ts';
import { stateSecret, stateStores } from '../support/state-stores.ts';

const [[, inSession], [, inCookies]] = stateStores as [(typeof stateStores)[0], (typeof stateStores)[0]];

let server: PowerFolderServer;
let app: TestApp | undefined;
beforeAll(async () => {
  server = await startPowerFolderServer({ autoApprove: 'ada' });
});
afterEach(() => app?.close());
afterAll(() => server.close());

async function start(store: typeof inCookies, more: Partial<TestAppOptions> = {}): Promise<TestApp> {
  const { url: serverURL, clientID, clientSecret } = server;
  app = await startTestApp({ callback: {}, ...more, options: { serverURL, clientID, clientSecret, ...store() } });
  return app;
}

/** Begins in tabs at once: all their requests bring the cookies that the browser has before. @returns their answers' addresses. */
async function beginAtOnce(url: string, browser: Browser, tabs: number): Promise<string[]> {
  const cookies = browser.cookies(url);
  const begun = Array.from({ length: tabs }, async () => {
    const tab = new Browser();
    tab.setCookies(url, cookies);
    const location = await authorize(tab, `${url}/auth/powerfolder`);
    browser.setCookies(url, tab.cookies(url));
    return location;
  });
  return await Promise.all(begun);
}

describe.each(expressVersions)('tabs that begin at the same moment, in %s', (_, express) => {
  it.each([[1], [2], [5]])('all end signed in with CookieStateStore: %d, without any cookie before', async (tabs) => {
    const { url } = await start(inCookies, { express });
    const browser = new Browser();
    const locations = await beginAtOnce(url, browser, tabs);
    for (const location of locations.reverse()) {
      const page = await browser.visit(location);
      expect([page.status, JSON.parse(page.text).user.profile.username]).toEqual([200, 'ada']);
    }
    expect(browser.cookies(url)).not.toContain('powerfolder-');
  });

  it('are all answered at once, too', async () => {
    const { url } = await start(inCookies, { express });
    const browser = new Browser();
    const locations = await beginAtOnce(url, browser, 5);
    const pages = await Promise.all(locations.map((location) => browser.visit(location)));
    expect(pages.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });
});

describe('a tab that ends after another one has signed in', () => {
  it('is signed in as well with CookieStateStore, and with the session fails', async () => {
    for (const [store, expected] of [
      [inCookies, 200],
      [inSession, 403],
    ] as const) {
      const { url, close } = await start(store, { callback: {}, routes: signInRoutes });
      const browser = new Browser();
      const [first = '', second = ''] = [
        await authorize(browser, `${url}/auth/powerfolder`),
        await authorize(browser, `${url}/auth/powerfolder`),
      ];
      // Where Passport itself logs the visitor in, it makes a new session.
      expect((await browser.visit(first.replace('/oauth', '/login'))).status).toBe(200);
      const page = await browser.visit(second.replace('/oauth', '/login'));
      expect(page.status).toBe(expected);
      await close();
    }
  });
});

/** `/login` is a second route of the callback, behind a proxy that cuts paths, at which Passport keeps visitors signed in. */
const signInRoutes: NonNullable<TestAppOptions['routes']> = (host, strategy) => {
  const { Passport } = jest.requireActual('passport');
  const passport = new Passport().use(strategy);
  passport.serializeUser((user: object, done: (error: null, user: object) => void) => done(null, user));
  host.get(/^\/login(?:\/|$)/, passport.authenticate('powerfolder'), (_req, res) => {
    res.send('signed in');
  });
};

describe('an abandoned sign-in', () => {
  it.each(expressVersions)('leaves nothing in the session store with CookieStateStore, in %s', async (_, express) => {
    const sessions = new session.MemoryStore();
    const set = jest.spyOn(sessions, 'set');
    const { url } = await start(inCookies, { express, sessions });
    const page = await new Browser().stay(`${url}/auth/powerfolder`);
    expect([page.headers['set-cookie']].flat()).toEqual([expect.stringMatching(/^powerfolder-/)]);
    expect(set).not.toHaveBeenCalled();
  });

  it('takes at most 2 KiB of the session, however long the paths are', async () => {
    const sessions = new session.MemoryStore();
    let longest = 0;
    const set = sessions.set.bind(sessions);
    jest.spyOn(sessions, 'set').mockImplementation((id, data, done) => {
      longest = Math.max(longest, JSON.stringify(data).length);
      set(id, data, done);
    });
    const { url } = await start(inSession, { sessions, start: { state: { returnTo: `/${'x'.repeat(600)}` } } });
    const browser = new Browser();
    for (let n = 0; n < 9; n++) await browser.stay(`${url}/auth/powerfolder`);
    expect(longest).toBeGreaterThan(1500);
    expect(longest).toBeLessThan(2600);
    const page = await browser.visit(`${url}/auth/powerfolder`);
    expect(JSON.parse(page.text).info.state.returnTo).toHaveLength(601);
  });
});

describe('CookieStateStore', () => {
  it('needs no sessions where nobody stays signed in', async () => {
    const { url } = await start(inCookies, { sessions: false, callback: { session: false } });
    expect((await new Browser().visit(`${url}/auth/powerfolder`)).status).toBe(200);
  });

  it('goes with the page of authorizationMethod POST, and with cookies that the application sets', async () => {
    const { url } = await start(() => ({ ...inCookies(), authorizationMethod: 'POST' }) as never, {
      before: (_req, res, next) => {
        res.setHeader('Set-Cookie', 'theme=dark');
        next();
      },
    });
    const browser = new Browser();
    const page = await browser.visit(`${url}/auth/powerfolder`);
    expect([page.headers['set-cookie']].flat()).toEqual(['theme=dark', expect.stringMatching(/^powerfolder-/)]);
    expect((await browser.submit(page, 'Continue to PowerFolder')).status).toBe(200);
  });

  it.each([
    ['koa-passport', () => startNeighbour(koaApp(), { stateSecret })],
    ['@nestjs/passport', () => startNeighbourProcess('nest-app.mts', { stateSecret })],
  ])('signs in tabs that begin at the same moment in %s', async (_, begin) => {
    const neighbour = await begin();
    const browser = new Browser();
    const [first = '', second = ''] = await beginAtOnce(neighbour.url, browser, 2);
    const pages = [await browser.visit(second), await browser.visit(first)];
    expect(pages.map(({ status }) => status)).toEqual([200, 200]);
    await neighbour.close();
  });

  it('is refused in @fastify/passport, which gives a strategy no response, in a sentence that says what to do', async () => {
    const neighbour = await startNeighbourProcess('fastify-app.mts', { stateSecret });
    const page = await new Browser().visit(`${neighbour.url}/auth/powerfolder`);
    expect([page.status, JSON.parse(page.text).message]).toEqual([
      500,
      'CookieStateStore needs the response, as Express, NestJS and koa-passport give it to a strategy; with this framework leave the option store out, and pending sign-ins wait in the session',
    ]);
    await neighbour.close();
  });
});
