/** docs/connecting.md, run as it stands. */
import type { AddressInfo } from 'node:net';
import type express from 'express';
import session from 'express-session';
import passport from 'passport';
import type { PowerFolderStrategyOptions, PowerFolderTokens } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import passport06 from 'passport06';
import { expressVersions } from '../support/app.ts';
import { Browser, type Page } from '../support/browser.ts';
import { blocksOf, recipe } from '../support/recipes.ts';
import { placesToWait } from '../support/state-stores.ts';

interface User {
  id: string;
}

/** With a unique constraint on the account's ID. */
class Database {
  readonly rows = new Map<string, { account: string; tokens: PowerFolderTokens }>();

  async userOfPowerFolder(account: string): Promise<User | undefined> {
    for (const [id, row] of this.rows) if (row.account === account) return { id };
    return undefined;
  }
  async connectPowerFolder(id: string, account: string, tokens: PowerFolderTokens): Promise<boolean> {
    for (const [other, row] of this.rows) if (row.account === account && other !== id) return false;
    this.rows.set(id, { account, tokens });
    return true;
  }
  async disconnectPowerFolder(id: string): Promise<void> {
    this.rows.delete(id);
  }
}

const { addPowerFolder } = recipe<{
  addPowerFolder(app: express.Express, passport: unknown, db: Database, options: PowerFolderStrategyOptions): void;
}>('docs/connecting.md', 'addPowerFolder');

let powerfolder: PowerFolderServer;
let closeApp: (() => void) | undefined;
beforeEach(async () => {
  powerfolder = await startPowerFolderServer({
    accounts: [
      { username: 'ada', password: 'ada' },
      { username: 'bob', password: 'bob' },
    ],
  });
});
afterEach(async () => {
  closeApp?.();
  await powerfolder.close();
});

const kinds = expressVersions.flatMap(([version, makeExpress], n) =>
  placesToWait.map(([place, store]) => [version, n === 0 ? '0.6' : '0.7', place, makeExpress, store] as const),
);

describe.each(kinds)(
  'connecting an account in %s with Passport %s, pending in %s',
  (_, version, _place, makeExpress, store) => {
    let url: string;
    let db: Database;

    beforeEach(async () => {
      const app = makeExpress();
      const listening = app.listen(0, '127.0.0.1');
      await new Promise((resolve) => listening.once('listening', resolve));
      closeApp = () => {
        listening.close();
        listening.closeAllConnections();
      };
      url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
      db = new Database();
      const { Passport } = version === '0.6' ? (passport06 as unknown as typeof passport) : passport;
      const authenticator = new Passport();
      authenticator.serializeUser((user, done) => done(null, user));
      authenticator.deserializeUser((user: Express.User, done) => done(null, user));
      app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
      app.use(authenticator.session());
      // The application's own log-in.
      app.post('/login/:id', (req, res, next) => {
        req.logIn({ id: req.params['id'] } as Express.User, (error) => (error ? next(error) : res.end()));
      });
      app.post('/leave', (req, res, next) => req.logout((error) => (error ? next(error) : res.end())));
      for (const path of ['/', '/account']) {
        app.get(path, (req, res) => {
          res.send(`${path} of ${(req.user as User | undefined)?.id}`);
        });
      }
      const { url: serverURL, clientID, clientSecret } = powerfolder;
      addPowerFolder(app, authenticator, db, {
        serverURL,
        clientID,
        clientSecret,
        callbackURL: `${url}/oauth`,
        store: store(),
      });
    });

    const browserOf = () => new Browser({ origin: url });
    const post = (browser: Browser, path: string) => browser.stay(url + path, { method: 'POST' });

    async function loggedIn(id: string): Promise<Browser> {
      const browser = browserOf();
      await post(browser, `/login/${id}`);
      return browser;
    }

    /** Goes as far as the server's answer. */
    async function answer(browser: Browser, path: string, button = 'Allow', username = 'ada'): Promise<string> {
      const begun = path.startsWith('/connect') ? await post(browser, path) : await browser.stay(url + path);
      let page = await browser.visit(String(begun.headers['location']));
      if (page.text.includes('type="password"')) {
        page = await browser.submit(page, 'Log in', { username, password: username });
      }
      const atServer = ({ origin }: URL) => origin === new URL(powerfolder.url).origin;
      return String((await browser.submit(page, button, {}, { follow: atServer })).headers['location']);
    }

    const connect = async (browser: Browser, username?: string): Promise<Page> =>
      await browser.visit(await answer(browser, '/connect/powerfolder', 'Allow', username));

    it('keeps the tokens by the user, who stays signed in and can sign in with it from then on', async () => {
      const browser = await loggedIn('user1');
      expect((await connect(browser)).text).toBe('/account of user1');
      expect([...db.rows.keys()]).toEqual(['user1']);
      expect(db.rows.get('user1')?.tokens).toMatchObject({
        accessToken: expect.any(String),
        refreshToken: expect.any(String),
      });
      const elsewhere = browserOf();
      const page = await elsewhere.visit(await answer(elsewhere, '/auth/powerfolder'));
      expect([page.status, page.text]).toEqual([200, '/ of user1']);
    });

    it('takes the same account once more, with new tokens', async () => {
      const browser = await loggedIn('user1');
      await connect(browser);
      const { tokens } = db.rows.get('user1') ?? {};
      expect((await connect(browser)).text).toBe('/account of user1');
      expect(db.rows.get('user1')?.tokens.accessToken).not.toBe(tokens?.accessToken);
    });

    it('refuses, in a sentence, an account that is another user’s, also when both are at it at once', async () => {
      const [one, other] = [await loggedIn('user1'), await loggedIn('user2')];
      const answers = [await answer(one, '/connect/powerfolder'), await answer(other, '/connect/powerfolder')];
      const pages = await Promise.all([one.visit(answers[0] ?? ''), other.visit(answers[1] ?? '')]);
      const refused = pages.filter(({ status }) => status === 401);
      expect(refused.map(({ text }) => text)).toEqual(['This PowerFolder account belongs to another user here.']);
      expect(db.rows.size).toBe(1);
    });

    it.each([
      ['somebody else has signed in', '/login/user2'],
      ['the user has signed out', '/leave'],
    ])('refuses, in a sentence, when %s meanwhile', async (_what, path) => {
      const browser = await loggedIn('user1');
      const location = await answer(browser, '/connect/powerfolder');
      await post(browser, path);
      const page = await browser.visit(location);
      expect([401, 403]).toContain(page.status);
      // A session that was left has left its pending sign-ins behind.
      expect(page.text).toMatch(
        /not signed in any more as the user who began|not started in this browser|sent no session/,
      );
      expect(db.rows.size).toBe(0);
    });

    it('connects nothing when the visitor declines, and answers when PowerFolder is away', async () => {
      const browser = await loggedIn('user1');
      const declined = await browser.visit(await answer(browser, '/connect/powerfolder', 'Decline'));
      expect([declined.status, declined.text]).toEqual([
        403,
        'You chose not to allow access to your PowerFolder account.',
      ]);
      const location = await answer(browser, '/connect/powerfolder');
      powerfolder.failNext('token', { status: 503, body: 'down' });
      expect((await browser.visit(location)).status).toBe(503);
      expect(db.rows.size).toBe(0);
      expect((await browser.visit(url)).text).toBe('/ of user1');
    });

    it('does not take a sign-in for a connecting, nor an answer of another browser', async () => {
      const browser = await loggedIn('user1');
      const signIn = await answer(browser, '/auth/powerfolder');
      const page = await browser.visit(signIn);
      expect([page.status, page.text]).toEqual([401, expect.stringContaining('No user here has connected this')]);
      const attacker = await loggedIn('user2');
      const forged = await answer(attacker, '/connect/powerfolder', 'Allow', 'bob');
      expect([401, 403]).toContain((await browser.visit(forged)).status);
      expect(db.rows.size).toBe(0);
    });

    it('begins by a page of this site only, for those who are signed in, and ends so', async () => {
      const browser = await loggedIn('user1');
      await connect(browser);
      for (const path of ['/connect/powerfolder', '/disconnect/powerfolder']) {
        const foreign = { method: 'POST', headers: { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' } };
        expect((await browser.stay(url + path, foreign)).status).toBe(403);
        expect((await post(browserOf(), path)).status).toBe(403);
        expect((await browser.stay(url + path)).status).toBe(404);
      }
      expect(db.rows.size).toBe(1);
      expect((await post(browser, '/disconnect/powerfolder')).headers['location']).toBe('/account');
      expect(db.rows.size).toBe(0);
    });
  },
);

it('is less than sixty lines', () => {
  const [code = ''] = blocksOf('docs/connecting.md', 'js');
  expect(code.split('\n').length).toBeLessThan(60);
});
