/** What must hold of sessions wherever they are kept: run for the memory of a process, and for Redis. */

import { Browser, type Page } from './browser.ts';
import { type Example, sameOrigin, signedIn, type startExample } from './example.ts';
import type { Relay } from './relay.ts';
import { until } from './until.ts';

/** Where the sessions of an app are, within a test's reach. */
export interface Kept {
  keys(): string[];
  get(key: string): string;
  /** Puts something else under a key that is there, for as long. */
  put(key: string, value: string): void;
}

type Options = Parameters<typeof startExample>[0];

const account = { username: 'ada', password: 'pw', files: { Documents: {} } };

export function sessionScenes(open: (options: Options) => Promise<{ app: Example; kept: Kept }>): void {
  const running: Example[] = [];
  afterEach(async () => {
    await Promise.all(running.splice(0).map((each) => each.close()));
  });

  async function start(): Promise<{ app: Example; kept: Kept; relay: Relay }> {
    const server = { accounts: [account], rotateRefreshTokens: true };
    const { app, kept } = await open({ behindRelay: true, server });
    running.push(app);
    return { app, kept, relay: app.relay as Relay };
  }

  const of = (kept: Kept, ...kinds: string[]) =>
    kept.keys().filter((key) => kinds.some((kind) => key.startsWith(`${kind}:`)));

  async function isSignedIn({ url }: Example, cookie: string): Promise<boolean> {
    return (await new Browser().stay(`${url}/account`, { headers: { cookie } })).status === 200;
  }

  async function signOut({ url }: Example, cookie: string): Promise<void> {
    const page = await new Browser(sameOrigin).stay(`${url}/logout`, { method: 'POST', headers: { cookie } });
    expect([page.status, page.headers['location']]).toEqual([303, '/signed-out']);
  }

  /** Of one more sign-in, in a browser that is logged in at the server. */
  async function anotherResponse(browser: Browser, { url, powerFolder }: Example, query = ''): Promise<string> {
    const consent = await browser.visit(`${url}/auth/powerfolder${query}`);
    const atServer = (location: URL) => location.origin === new URL(powerFolder.url).origin;
    return String((await browser.submit(consent, 'Allow', {}, { follow: atServer })).headers['location']);
  }

  const requests = ({ powerFolder }: Example, endpoint: string) =>
    powerFolder.requests.filter((each) => each.endpoint === endpoint).length;

  const setCookies = ({ headers }: Page) => [headers['set-cookie'] ?? []].flat();

  describe('signing out', () => {
    it('is final when somebody who was signed in signs in once more meanwhile (R65)', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      const cookie = browser.cookies(app.url);
      const response = await anotherResponse(browser, app);
      const { answered, release } = relay.holdNext(/authorization_code/);
      const late = browser.stay(response);
      await answered;
      await signOut(app, cookie);
      release();
      const page = await late;
      expect([page.status, page.text]).toEqual([403, expect.stringContaining('You have signed out.')]);
      expect(page.text).toContain('href="/auth/powerfolder">Try again</a>');
      expect(setCookies(page).filter((line) => line.startsWith('session'))).toEqual([]);
      expect(of(kept, 'session', 'tokens')).toEqual([]);
      expect(await isSignedIn(app, cookie)).toBe(false);
      expect(app.log.filter((line) => line.includes('"event":"sign-in failed","code":"signed_out"'))).toHaveLength(1);
    });

    it('is final when a sign-in fails afterwards, which changes its session (R65)', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      const cookie = browser.cookies(app.url);
      const response = await anotherResponse(browser, app);
      app.powerFolder.failNext('token', { status: 500, body: 'broken' });
      const { answered, release } = relay.holdNext(/authorization_code/);
      const late = browser.stay(response);
      await answered;
      await signOut(app, cookie);
      release();
      expect((await late).status).toBe(502);
      expect(of(kept, 'session', 'tokens')).toEqual([]);
      expect(await isSignedIn(app, cookie)).toBe(false);
    });

    it('ends the session that a sign-in has made meanwhile, with the cookie of the one before (R65)', async () => {
      const { app, kept } = await start();
      const browser = await signedIn(app);
      const response = await anotherResponse(browser, app);
      const before = browser.cookies(app.url);
      await browser.visit(response);
      const after = browser.cookies(app.url);
      expect(await isSignedIn(app, after)).toBe(true);
      await signOut(app, before);
      expect(await isSignedIn(app, after)).toBe(false);
      expect(of(kept, 'session', 'tokens')).toEqual([]);
    });

    it('ends what came of two sign-ins that ended at once; the second leads on and changes nothing (R8, R65)', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      const responses = [await anotherResponse(browser, app)];
      responses.push(await anotherResponse(browser, app, '?returnTo=/account'));
      const { answered, release } = relay.holdNext(/authorization_code/);
      const second = browser.stay(responses[1] as string);
      await answered;
      const first = await browser.stay(responses[0] as string);
      release();
      const page = await second;
      const sessions = (answer: Page) => setCookies(answer).filter((line) => line.startsWith('session')).length;
      expect([first.status, first.headers['location'], sessions(first)]).toEqual([302, '/', 1]);
      expect([page.status, page.headers['location'], sessions(page)]).toEqual([302, '/account', 0]);
      const cookie = browser.cookies(app.url);
      expect(await isSignedIn(app, cookie)).toBe(true);
      expect(of(kept, 'session', 'tokens')).toHaveLength(2);
      await signOut(app, cookie);
      expect(of(kept, 'session', 'tokens')).toEqual([]);
    });

    it('is final beside sign-ins that begin all the time (R65)', async () => {
      const { app, kept } = await start();
      for (let i = 0; i < 10; i++) {
        const cookie = (await signedIn(app)).cookies(app.url);
        const begin = () => new Browser().stay(`${app.url}/auth/powerfolder`, { headers: { cookie } });
        const [, ...begun] = await Promise.all([signOut(app, cookie), begin(), begin(), begin(), begin()]);
        for (const { status } of begun) expect([302, 403]).toContain(status);
        expect(await isSignedIn(app, cookie)).toBe(false);
        const users = of(kept, 'session').filter((key) => kept.get(key).includes('passport'));
        expect([users, of(kept, 'tokens')]).toEqual([[], []]);
      }
    });

    it('and in again is not undone by an answer that was begun before (R65)', async () => {
      const { app, relay } = await start();
      const browser = await signedIn(app);
      const before = browser.cookies(app.url);
      app.powerFolder.expireTokens();
      const { answered, release } = relay.holdNext(/refresh_token/);
      const late = browser.stay(`${app.url}/folders`);
      await answered;
      await browser.stay(await anotherResponse(browser, app));
      release();
      expect(setCookies(await late)).toEqual([]);
      expect(browser.cookies(app.url)).not.toBe(before);
      expect(await isSignedIn(app, browser.cookies(app.url))).toBe(true);
    });

    it('is final when tokens are refreshed meanwhile: the new ones are not kept (R65)', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      const cookie = browser.cookies(app.url);
      app.powerFolder.expireTokens();
      const { answered, release } = relay.holdNext(/refresh_token/);
      const late = browser.stay(`${app.url}/folders`);
      await answered;
      await signOut(app, cookie);
      release();
      const page = await late;
      expect([page.status, page.headers['location']]).toEqual([302, '/auth/powerfolder?returnTo=%2Ffolders']);
      // Whoever has signed in again meanwhile keeps that cookie.
      expect(setCookies(page)).toEqual([]);
      expect(of(kept, 'session', 'tokens', 'refresh')).toEqual([]);
      expect(await isSignedIn(app, cookie)).toBe(false);
    });
  });

  describe('tokens', () => {
    it('are known by the user, and not in the session (R45)', async () => {
      const { app, kept } = await start();
      await signedIn(app);
      const [session = '', ...others] = of(kept, 'session');
      const [tokens = '', ...more] = of(kept, 'tokens');
      expect([others, more]).toEqual([[], []]);
      expect(tokens).toBe(`tokens:${JSON.parse(kept.get(session)).passport.user.id}`);
      const { accessToken, refreshToken } = JSON.parse(kept.get(tokens));
      for (const token of [accessToken, refreshToken]) {
        expect(token.length).toBeGreaterThan(8);
        expect(kept.get(session)).not.toContain(token);
      }
    });

    it('that were refreshed are not written over by a request that began before (R65)', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      const response = await anotherResponse(browser, app);
      const [key = ''] = of(kept, 'tokens');
      const old = kept.get(key);
      // It has loaded the session, and changes it.
      app.powerFolder.failNext('token', { status: 500, body: 'broken' });
      const { answered, release } = relay.holdNext(/authorization_code/);
      const slow = browser.stay(response);
      await answered;
      app.powerFolder.expireTokens();
      expect((await browser.stay(`${app.url}/folders`)).status).toBe(200);
      const renewed = kept.get(key);
      expect(renewed).not.toBe(old);
      release();
      expect((await slow).status).toBe(502);
      expect(kept.get(key)).toBe(renewed);
      expect((await browser.stay(`${app.url}/folders`)).status).toBe(200);
      expect(requests(app, 'refresh')).toBe(1);
    });

    it('are refreshed by one request, and the others wait for what it saves', async () => {
      const { app, kept, relay } = await start();
      const browser = await signedIn(app);
      app.powerFolder.expireTokens();
      const { answered, release } = relay.holdNext(/refresh_token/);
      const pages = Array.from({ length: 8 }, () => browser.stay(`${app.url}/folders`));
      await answered;
      // All of them have been answered 401.
      await until(() => requests(app, 'webdav') === 8);
      release();
      expect((await Promise.all(pages)).map(({ status }) => status)).toEqual(Array(8).fill(200));
      expect([requests(app, 'refresh'), requests(app, 'webdav')]).toEqual([1, 16]);
      expect(of(kept, 'refresh')).toEqual([]);
    });
  });

  describe('what cannot be read', () => {
    /** Every page answers, nothing gets into the log, and a new sign-in is all that it takes. */
    async function costsASignIn(app: Example, browser: Browser, says: string): Promise<void> {
      for (const path of ['/', '/account', '/folders', '/signed-out', '/healthz']) {
        const page = await browser.stay(app.url + path);
        expect([path, page.status]).toEqual([path, /account|folders/.test(path) ? 302 : 200]);
      }
      const lines = app.log.filter((line) => line.includes('"event":"unreadable"'));
      expect(lines.length).toBeGreaterThan(0);
      expect(lines.join('')).toContain(`"code":"${says}"`);
      expect(app.log.join('')).not.toContain('SENTINEL');
      const page = await browser.visit(`${app.url}/account`);
      const home = page.text.includes('Account ID') ? page : await browser.submit(page, 'Allow');
      expect([home.status, home.url]).toEqual([200, `${app.url}/account`]);
      expect((await browser.stay(`${app.url}/folders`)).status).toBe(200);
    }

    const user = { id: 'x', displayName: 'SENTINEL', emails: [] };
    const session = { signedInAt: Date.now(), passport: { user } };
    const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
    it.each<[string, string, string]>([
      ['no JSON', 'SENTINEL', 'session'],
      ['half of it', JSON.stringify(session).slice(0, -3), 'session'],
      ['null', 'null', 'session'],
      ['a list', '["SENTINEL"]', 'session'],
      ['a text', '"SENTINEL"', 'session'],
      ['JSON of many levels', deep, 'session'],
      ['a time that is none', JSON.stringify({ ...session, signedInAt: 'SENTINEL' }), 'session'],
      ['no time', JSON.stringify({ passport: { user } }), 'user'],
      ['a user without an ID', JSON.stringify({ ...session, passport: { user: { ...user, id: undefined } } }), 'user'],
      [
        'a user without e-mails',
        JSON.stringify({ ...session, passport: { user: { id: 'x', displayName: 'y' } } }),
        'user',
      ],
      ['a user that is a text', JSON.stringify({ ...session, passport: { user: 'SENTINEL' } }), 'user'],
    ])('as a session costs a new sign-in: %s (R69)', async (_, value, says) => {
      const { app, kept } = await start();
      const browser = await signedIn(app);
      kept.put(of(kept, 'session')[0] as string, value);
      await costsASignIn(app, browser, says);
    });

    it.each<[string, string]>([
      ['no member is anybody', '{"passport":5}'],
      ['a user of null', '{"passport":{"user":null},"powerfolder":{"a":1}}'],
      ['cookies are nonsense', '{"cookie":null}'],
      ['names are those of methods', '{"save":1,"req":2,"id":3,"destroy":4,"__proto__":{"user":5}}'],
    ])('in a session does not disturb: %s (R69)', async (_, value) => {
      const { app, kept } = await start();
      const browser = await signedIn(app);
      kept.put(of(kept, 'session')[0] as string, value);
      for (const path of ['/', '/signed-out']) expect((await browser.stay(app.url + path)).status).toBe(200);
      const page = await browser.visit(`${app.url}/account`);
      expect((await browser.submit(page, 'Allow')).url).toBe(`${app.url}/account`);
    });

    it.each<[string, string]>([
      ['no JSON', 'SENTINEL'],
      ['null', 'null'],
      ['no access token', '{"refreshToken":"SENTINEL"}'],
      ['an access token that is none', '{"accessToken":7}'],
      ['a refresh token that is none', '{"accessToken":"SENTINEL","refreshToken":""}'],
      ['a time that is none', '{"accessToken":"SENTINEL","expiresAt":"soon"}'],
      ['a time beyond all', '{"accessToken":"SENTINEL","expiresAt":9e15}'],
    ])('as tokens costs a new sign-in: %s (R69)', async (_, value) => {
      const { app, kept } = await start();
      const browser = await signedIn(app);
      kept.put(of(kept, 'tokens')[0] as string, value);
      await costsASignIn(app, browser, 'tokens');
    });
  });
}
