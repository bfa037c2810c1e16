/** Where a sign-in starts, and where it comes back to: routes that the callback's path covers, in Express 4 and 5. */
import type { AddressInfo } from 'node:net';
import type express5 from 'express';
import type { ErrorRequestHandler, Express, RequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import { callbackRoute, PowerFolderStrategy } from 'passport-powerfolder';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { request } from 'undici';
import { expressVersions, startTestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';

interface Answer {
  status: number;
  location: string | undefined;
  body: string;
}

describe.each(expressVersions)('in %s', (_, express) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
  });

  /** An application whose routes are given; errors end as 500 with their message. */
  async function start(
    callbackPath: string,
    wire: (app: Express, authenticate: RequestHandler, router: () => express5.Router) => void,
    options: { authorize?: boolean; authenticate?: object } = {},
  ): Promise<(path: string, method?: 'GET' | 'POST' | 'HEAD') => Promise<Answer>> {
    const app = express();
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    closing.push(() => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      return closed;
    });
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const authenticator = new passport.Passport();
    const client = { serverURL: 'http://127.0.0.1:9', clientID: 'client', clientSecret: 'secret' };
    authenticator.use(new PowerFolderStrategy({ ...client, callbackURL: url + callbackPath }, () => false));
    app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
    const handler = options.authorize
      ? authenticator.authorize('powerfolder', options.authenticate as object)
      : authenticator.authenticate('powerfolder', options.authenticate ?? {});
    wire(app, handler as RequestHandler, () => express.Router());
    const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
      const status = error.status ?? 500;
      res.status(status).json({ name: error.name, message: error.message });
    };
    app.use(answerError);
    return async (path, method = 'GET') => {
      const { statusCode, headers, body } = await request(url + path, { method, reset: true });
      return { status: statusCode, location: headers['location'] as string | undefined, body: await body.text() };
    };
  }

  const mistake = (at: string, callback: string) => ({
    status: 500,
    location: undefined,
    body: JSON.stringify({
      name: 'TypeError',
      message: `A sign-in cannot start at ${at}, which is under the path of callbackURL (${callback}): each request there is taken for an answer of the PowerFolder server. Give one of them another path`,
    }),
  });

  it('R21: a start route under the callback is told to the developer, and never redirects', async () => {
    const get = await start('/auth', (app, authenticate) => {
      app.get('/auth/login', authenticate);
      app.post('/auth/login', authenticate);
      app.get(callbackRoute('/auth'), authenticate);
    });
    for (const path of ['/auth/login', '/auth/login/', '/auth/login?x=1', '/AUTH/Login']) {
      expect(await get(path)).toEqual(mistake('/auth/login', '/auth'));
    }
    expect((await get('/auth/login', 'POST')).status).toBe(500);
    // What a visitor may think of stays a failure.
    for (const path of ['/auth', '/auth/', '/auth?x=1', '/auth/x', '/auth/login/x', '/auth/loginx', '/auth/state=x']) {
      expect([path, (await get(path)).status]).toEqual([path, 400]);
    }
    expect((await get('/auth/login/code=x&state=y')).status).toBe(403);
  });

  it('R21: so it is in a router, and in a list of paths', async () => {
    const get = await start('/auth/', (app, authenticate, router) => {
      const routes = router();
      routes.get('/login', authenticate);
      routes.get(['/enter', '/start'], authenticate);
      app.use('/auth', routes);
    });
    expect(await get('/auth/login')).toEqual(mistake('/auth/login', '/auth/'));
    expect(await get('/auth/start')).toEqual(mistake('/auth/start', '/auth/'));
  });

  it('R17, R21: what a pattern, a mount or the callback itself let through stays a failure', async () => {
    const get = await start('/oauth', (app, authenticate, router) => {
      app.get('/oauth', authenticate);
      app.get('/oauth/:answer', authenticate);
      app.get(/^\/oauth\/a\//, authenticate);
      const routes = router();
      routes.get('/', authenticate);
      app.use('/oauth/:tenant/b', routes);
      app.use('/oauth', authenticate);
    });
    for (const path of [
      '/oauth',
      '/oauth/',
      '/oauth/x',
      '/oauth/:answer',
      '/oauth/a/b',
      '/oauth/x/b',
      '/oauth/x/y?z',
      '/oauth?foo=bar',
    ]) {
      expect([path, (await get(path)).status, (await get(path)).location]).toEqual([path, 400, undefined]);
    }
  });

  it('R17: a callback in a list of routes is known behind a proxy that cuts the path', async () => {
    const get = await start('/public/oauth', (app, authenticate) => {
      app.get([callbackRoute('/oauth'), callbackRoute('/old')], authenticate);
      app.get(['/begin', callbackRoute('/other')], authenticate);
    });
    for (const path of ['/oauth', '/oauth/', '/old?x=1', '/old/x', '/other']) {
      expect([path, (await get(path)).status, (await get(path)).location]).toEqual([path, 400, undefined]);
    }
    // A start in the same list is none.
    expect((await get('/begin')).location).toMatch(/^http:\/\/127\.0\.0\.1:9\/oauth\/allow\?state=/);
  });

  it('R17: a callback in a router is known behind a proxy that cuts the path', async () => {
    const get = await start('/public/auth/oauth', (app, authenticate, router) => {
      const routes = router();
      routes.get([callbackRoute('/oauth')], authenticate);
      routes.get('/start', authenticate);
      app.use('/auth', routes);
    });
    expect((await get('/auth/oauth/x')).status).toBe(400);
    expect((await get('/auth/oauth')).status).toBe(400);
    expect((await get('/auth/start')).status).toBe(302);
  });

  it.each(['path', 'query'] as const)(
    'R53: a callback URL with a slash at its end completes a sign-in, answered in the %s',
    async (callbackStyle) => {
      const powerFolder = await startPowerFolderServer({ autoApprove: 'ada', callbackStyle });
      closing.push(() => powerFolder.close());
      const { url: serverURL, clientID, clientSecret } = powerFolder;
      const app = await startTestApp({
        express,
        options: { serverURL, clientID, clientSecret },
        strategy: (options, verify) =>
          new PowerFolderStrategy({ ...options, callbackURL: `${options.callbackURL}/` }, verify),
      });
      closing.push(() => app.close());
      const { status, text } = await new Browser().visit(`${app.url}/auth/powerfolder`);
      expect([status, JSON.parse(text).user.profile.username]).toEqual([200, powerFolder.username]);
    },
  );

  it('R21: a callbackURL given to passport.authenticate or passport.authorize is an error, at the start and at the callback', async () => {
    for (const authorize of [false, true]) {
      for (const name of ['callbackURL', 'redirect_uri']) {
        const get = await start(
          '/oauth',
          (app, authenticate) => {
            app.get('/start', authenticate);
            app.get(callbackRoute('/oauth'), authenticate);
          },
          { authorize, authenticate: { [name]: 'https://other.example/oauth' } },
        );
        for (const path of ['/start', '/oauth/code=x&state=y']) {
          const { status, body } = await get(path);
          expect([status, JSON.parse(body).name, JSON.parse(body).message]).toEqual([
            500,
            'TypeError',
            expect.stringMatching(
              `^${name} given to passport.authenticate or passport.authorize changes nothing; remove it`,
            ),
          ]);
        }
      }
    }
  });
});
