/** Several PowerFolder servers in one application, one strategy for each. */
import express from 'express';
import session from 'express-session';
import { Passport } from 'passport';
import { callbackRoute, PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import { authorize, type Neighbour, startNeighbour } from '../support/neighbour.ts';
import { placesToWait } from '../support/state-stores.ts';

let app: Neighbour;
let second: PowerFolderServer;
let store: PowerFolderStrategyOptions['store'];
afterEach(async () => {
  await app?.close();
  await second?.close();
});

/** The strategies of both servers, under their names. */
type Use = (
  passport: InstanceType<typeof Passport>,
  a: PowerFolderStrategyOptions,
  b: PowerFolderStrategyOptions,
) => void;

const whoIs = (server: string) => async (signIn: { profile: { username?: string | undefined } }) => ({
  server,
  name: signIn.profile.username,
});

class StrategyA extends PowerFolderStrategy {
  override name = 'powerfolder-a';
}
class StrategyB extends PowerFolderStrategy {
  override name = 'powerfolder-b';
}

const named: [string, Use][] = [
  [
    'passport.use(name, strategy)',
    (passport, a, b) => {
      passport.use('powerfolder-a', new PowerFolderStrategy(a, whoIs('a')));
      passport.use('powerfolder-b', new PowerFolderStrategy(b, whoIs('b')));
    },
  ],
  [
    'a subclass each',
    (passport, a, b) => {
      passport.use(new StrategyA(a, whoIs('a')));
      passport.use(new StrategyB(b, whoIs('b')));
    },
  ],
];

/** Begins at `/a` and `/b`; calls back at a path of each server's own, or at one for both. */
async function start(use: Use, callbacks: 'two callback URLs' | 'one callback URL'): Promise<void> {
  second = await startPowerFolderServer({ autoApprove: 'ada' });
  const { url: serverURL, clientID, clientSecret } = second;
  app = await startNeighbour((options, url) => {
    const two = callbacks === 'two callback URLs';
    const passport = new Passport();
    const a = { ...options, ...(two && { callbackURL: `${url}/a/oauth` }), store };
    const callbackURL = two ? `${url}/b/oauth` : options.callbackURL;
    use(passport, a, { serverURL, clientID, clientSecret, callbackURL, store });
    const server = express();
    server.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
    const complete = (names: string | string[]) =>
      passport.authenticate(names, { session: false, failWithError: true }) as express.RequestHandler;
    const answer: express.RequestHandler = (req, res) => {
      res.json(req.user);
    };
    for (const letter of ['a', 'b']) {
      server.get(`/${letter}`, passport.authenticate(`powerfolder-${letter}`));
      if (two) server.get(callbackRoute(`/${letter}/oauth`), complete(`powerfolder-${letter}`), answer);
    }
    if (!two) server.get(callbackRoute('/oauth'), complete(['powerfolder-a', 'powerfolder-b']), answer);
    return server;
  });
}

const tokenRequests = () =>
  [app.powerfolder, second].map(({ requests }) => requests.filter(({ endpoint }) => endpoint === 'token').length);

const namedAndPending = named.flatMap(([name, use]) =>
  placesToWait.map(([place, makeStore]) => [name, place, use, makeStore] as const),
);
describe.each(namedAndPending)('two servers, named by %s, pending in %s', (_, _place, use, makeStore) => {
  beforeEach(() => {
    store = makeStore();
  });

  it.each(['two callback URLs', 'one callback URL'] as const)(
    'sign in with %s, in two tabs at once, each at its own server',
    async (callbacks) => {
      await start(use, callbacks);
      const browser = new Browser();
      const locations = [await authorize(browser, `${app.url}/a`), await authorize(browser, `${app.url}/b`)];
      for (const [tab, server] of [
        [1, 'b'],
        [0, 'a'],
      ] as const) {
        const page = await browser.visit(locations[tab] ?? '');
        expect([page.status, JSON.parse(page.text)]).toEqual([200, { server, name: 'ada' }]);
      }
      expect(tokenRequests()).toEqual([1, 1]);
    },
  );

  it("never take an answer with the other's state, which stays good for its own", async () => {
    await start(use, 'two callback URLs');
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/a`);
    expect((await browser.visit(location.replace('/a/oauth', '/b/oauth'))).status).toBe(403);
    expect(tokenRequests()).toEqual([0, 0]);
    expect((await browser.visit(location)).status).toBe(200);
  });
});

describe.each(placesToWait)('two strategies of one server, client and callback URL, pending in %s', (_, makeStore) => {
  beforeEach(() => {
    store = makeStore();
  });

  it('are kept apart by the names that subclasses give them', async () => {
    await start((passport, a) => {
      passport.use(new StrategyA(a, whoIs('a')));
      passport.use(new StrategyB(a, whoIs('b')));
    }, 'one callback URL');
    const browser = new Browser();
    const page = await browser.visit(await authorize(browser, `${app.url}/b`));
    expect(JSON.parse(page.text)).toEqual({ server: 'b', name: 'ada' });
  });
});
