/** Requests of other frameworks and of old versions, by what they have and lack. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import passport from 'passport';
import { PowerFolderStrategy } from 'passport-powerfolder';
import { Browser } from '../support/browser.ts';
import { type Neighbour, signIn, startNeighbour } from '../support/neighbour.ts';
import { until } from '../support/until.ts';
import { callStrategy } from '../support/without-framework.ts';

let app: Neighbour | undefined;
afterEach(async () => {
  jest.restoreAllMocks();
  await app?.close();
  app = undefined;
});

const options = { serverURL: 'https://powerfolder.example.com', clientID: 'a', clientSecret: 'b' };

/** How the strategy answers a request, without Passport. */
async function answerTo(req: object): Promise<unknown> {
  const strategy = new PowerFolderStrategy({ ...options, callbackURL: 'https://app.example.com/oauth' }, () => false);
  const { given } = await callStrategy(strategy, req);
  return given[0];
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

  it.each([
    ['an error', new Error('a mistake in the callback')],
    ['an object', { status: 404, text: 'a mistake in the callback' }],
    ['a text', 'a mistake in the callback'],
  ])(
    'R50: makes a warning of %s that the callback to passport.authenticate throws, and goes on',
    async (_, mistake) => {
      const warn = jest.spyOn(process, 'emitWarning');
      const heard: unknown[] = [];
      app = await startNeighbour((all) => {
        const authenticator = new passport.Passport();
        authenticator.use(new PowerFolderStrategy(all, async () => ({})));
        return (req: IncomingMessage, res: ServerResponse) => {
          const callback = (error: unknown) => {
            heard.push(error);
            res.end();
            throw mistake;
          };
          authenticator.authenticate('powerfolder', callback)(Object.assign(req, { session: {} }), res, () => {});
        };
      });
      await new Browser().visit(`${app.url}/oauth/code=x&state=forged`);
      const [warning] = await until(() => warn.mock.calls[0]);
      expect(warning).toMatch(
        /^The application's callback to passport\.authenticate threw .*a mistake in the callback/s,
      );
      expect([heard, warn.mock.results]).toEqual([[null], [expect.objectContaining({ type: 'return' })]]);
    },
  );
});

describe('a request with neither originalUrl nor url', () => {
  it('is an error with a sentence', async () => {
    expect(await answerTo({})).toEqual(
      new TypeError('PowerFolderStrategy needs a request with originalUrl or url, as Express and Node have it'),
    );
  });
});

describe('Passport before 0.6, as its requests tell', () => {
  const sessionManager = { logIn(_req: object, _user: object, _done: () => void) {} };
  it.each([
    ['0.5', { _sessionManager: sessionManager }],
    ['0.4', { _passport: { instance: { _sm: sessionManager } } }],
  ])('is an error with a sentence, at the start: %s', async (_, left) => {
    expect(await answerTo({ url: '/', ...left })).toEqual(
      new TypeError('PowerFolderStrategy needs Passport 0.6 or newer: older ones allow session fixation'),
    );
  });
});
