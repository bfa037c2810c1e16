/** Requests of other frameworks and of old versions, by what they have and lack. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import passport from 'passport';
import { PowerFolderStrategy } from 'passport-powerfolder';
import { Browser } from './support/browser.ts';
import { type Neighbour, signIn, startNeighbour } from './support/neighbour.ts';

let app: Neighbour | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

const options = { serverURL: 'https://powerfolder.example.com', clientID: 'a', clientSecret: 'b' };

/** How the strategy answers a request, without Passport. */
function answerTo(req: object): Promise<unknown> {
  const strategy = new PowerFolderStrategy({ ...options, callbackURL: 'https://app.example.com/oauth' }, () => false);
  return new Promise((resolve) =>
    Object.assign(Object.create(strategy), { redirect: resolve, fail: resolve, error: resolve }).authenticate(req),
  );
}

describe("Node's own HTTP server, whose requests have no originalUrl", () => {
  it('signs in', async () => {
    app = await startNeighbour((all) => {
      const authenticator = new passport.Passport();
      authenticator.use(new PowerFolderStrategy(all, async ({ profile }) => ({ name: profile.username })));
      const session = {};
      return (req: IncomingMessage, res: ServerResponse) => {
        const handle = authenticator.authenticate('powerfolder', { session: false });
        const done = () => res.end(JSON.stringify((req as { user?: unknown }).user));
        handle(Object.assign(req, { session }), res, done);
      };
    });
    expect(JSON.parse((await signIn(app.url, new Browser())).text)).toEqual({ name: 'ada' });
  });

  it('R27: hears of a mistake in the callback to passport.authenticate as of any other error', async () => {
    const mistake = new Error('in the callback');
    const heard: unknown[] = [];
    app = await startNeighbour((all) => {
      const authenticator = new passport.Passport();
      authenticator.use(new PowerFolderStrategy(all, async () => ({})));
      return (req: IncomingMessage, res: ServerResponse) => {
        const callback = (error: unknown) => {
          heard.push(error);
          if (!error) throw mistake;
          res.writeHead(500).end();
        };
        authenticator.authenticate('powerfolder', callback)(Object.assign(req, { session: {} }), res, () => {});
      };
    });
    expect((await new Browser().visit(`${app.url}/oauth/code=x&state=forged`)).status).toBe(500);
    expect(heard).toEqual([null, mistake]);
  });
});

describe('a request with neither originalUrl nor url', () => {
  it('is an error in words', async () => {
    expect(await answerTo({ method: 'GET', session: {} })).toEqual(
      new TypeError('PowerFolderStrategy needs a request with originalUrl or url, as Express and Node have it'),
    );
  });
});

describe('Passport before 0.6, as its requests tell', () => {
  const sessionManager = { logIn(_req: object, _user: object, _done: () => void) {} };
  it.each([
    ['0.5', { _sessionManager: sessionManager }],
    ['0.4', { _passport: { instance: { _sm: sessionManager } } }],
  ])('is an error in words, at the start: %s', async (_, left) => {
    expect(await answerTo({ method: 'GET', url: '/', session: {}, ...left })).toEqual(
      new TypeError('PowerFolderStrategy needs Passport 0.6 or newer: older ones allow session fixation'),
    );
  });
});
