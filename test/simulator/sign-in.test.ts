/** `signIn` and `CookieJar` of passport-powerfolder/testing, as users' tests have them. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import session from 'express-session';
import passport from 'passport';
import { callbackRoute, PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import {
  CookieJar,
  type PowerFolderServer,
  type PowerFolderServerOptions,
  signIn,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import supertest from 'supertest';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const accounts = [
  { username: 'ada', password: 'ada', firstname: 'Ada' },
  { username: 'bob', password: 'bob', firstname: 'Bob' },
];

/** An application as the README has it. */
function application(
  server: PowerFolderServer,
  callbackURL: string,
  options: Partial<PowerFolderStrategyOptions>,
): Express {
  const { Passport } = passport;
  const authenticator = new Passport();
  const { url: serverURL, clientID, clientSecret } = server;
  const all = { serverURL, clientID, clientSecret, callbackURL, ...options };
  authenticator.use(new PowerFolderStrategy(all, ({ profile }) => ({ name: profile.displayName })));
  authenticator.serializeUser((user, done) => done(null, user));
  authenticator.deserializeUser((user: Express.User, done) => done(null, user));
  const app = express();
  app.use(session({ secret: 'x', resave: false, saveUninitialized: false }));
  app.use(authenticator.session());
  app.get('/auth/powerfolder', authenticator.authenticate('powerfolder'));
  app.get(
    callbackRoute('/oauth'),
    authenticator.authenticate('powerfolder', { failureRedirect: '/failed' }),
    (_req, res) => res.redirect('/me'),
  );
  // With a form of its own, which nobody asked to have sent.
  app.get('/me', (req, res) =>
    res.send(
      `<form method="post" action="/logout"><button>Out</button></form><form method="post" action="http://127.0.0.1:9/pay"><button>Pay</button></form>${JSON.stringify(req.user ?? null)}`,
    ),
  );
  app.get('/failed', (_req, res) =>
    res
      .status(403)
      .send(
        '<form method="post" action="/own"><input name="u"><input name="p" type="password"><button value="decline">Log in</button></form>failed',
      ),
  );
  app.post('/logout', (_req, res) => res.send('out'));
  return app;
}

async function start(serverOptions: PowerFolderServerOptions = {}, options: Partial<PowerFolderStrategyOptions> = {}) {
  const server = await startPowerFolderServer({ accounts, ...serverOptions });
  closers.push(() => server.close());
  const { createServer } = await import('node:http');
  const http = createServer();
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  closers.push(() => new Promise((resolve) => http.close(resolve).closeAllConnections()));
  const url = `http://localhost:${(http.address() as { port: number }).port}`;
  http.on('request', application(server, `${url}/oauth`, options));
  return { server, url };
}

describe('signIn with fetch', () => {
  it.each<[what: string, PowerFolderServerOptions, Partial<PowerFolderStrategyOptions>]>([
    ['as it is', {}, {}],
    ['the answer in a query', { callbackStyle: 'query' }, {}],
    ['an authorization request by POST', { allowMethods: ['POST'] }, { authorizationMethod: 'POST' }],
    ['an identity provider', { identityProvider: true, contextPath: '/pf' }, {}],
    ['an identity provider and a POST', { identityProvider: true }, { authorizationMethod: 'POST' }],
    ['a policy with form-action', { formAction: "'self'" }, {}],
    ['nobody asked', { autoApprove: 'ada' }, {}],
  ])('signs in: %s', async (_, serverOptions, options) => {
    const { url } = await start(serverOptions, options);
    const cookies = new CookieJar();
    const response = await signIn(`${url}/auth/powerfolder`, { cookies });
    expect([response.status, response.url, await response.text()]).toEqual([
      200,
      `${url}/me`,
      expect.stringContaining('"Ada"'),
    ]);
    const me = await fetch(`${url}/me`, { headers: { cookie: cookies.header(url) } });
    expect(await me.text()).toContain('"Ada"');
  });

  it('signs in as somebody else, and not twice where they are logged in', async () => {
    const { server, url } = await start({ consent: 'once' });
    const cookies = new CookieJar();
    for (const pages of [2, 0]) {
      server.requests.length = 0;
      const response = await signIn(`${url}/auth/powerfolder`, { username: 'bob', cookies });
      expect(await response.text()).toContain('"Bob"');
      expect(server.requests.filter(({ method, endpoint }) => method === 'POST' && endpoint !== 'token')).toHaveLength(
        pages,
      );
    }
  });

  it('declines', async () => {
    const { url } = await start();
    const response = await signIn(`${url}/auth/powerfolder`, { decline: true });
    expect([response.status, await response.text()]).toEqual([403, expect.stringMatching(/failed$/)]);
  });

  it('gives the last page of a server from which nobody comes back', async () => {
    const { server, url } = await start({ decline: 'nothing' });
    const response = await signIn(`${url}/auth/powerfolder`, { decline: true });
    expect(response.url).toBe(`${server.url}/oauth/consent`);
    expect(await response.text()).toContain('You declined');
  });

  it.each<[what: string, object, RegExp]>([
    [
      'a wrong password',
      { password: 'wrong' },
      /^The log-in at http:\/\/127\.0\.0\.1:\d+ failed: check username and password$/,
    ],
    ['somebody unknown', { username: 'eve' }, /has no account "eve"$/],
  ])('says what is wrong with %s', async (_, options, words) => {
    const { url } = await start();
    await expect(signIn(`${url}/auth/powerfolder`, options)).rejects.toThrow(words);
  });

  it('comes to an end where redirects go round', async () => {
    const app = express();
    app.get('/round', (_req, res) => res.redirect('/round?secret'));
    const http = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => http.once('listening', resolve));
    closers.push(() => http.close());
    const url = `http://127.0.0.1:${(http.address() as { port: number }).port}/round`;
    await expect(signIn(url)).rejects.toThrow(`no end within 40 steps; the last was at ${url}`);
  });
});

describe("signIn with supertest's agent", () => {
  it.each<[what: string, PowerFolderServerOptions, Partial<PowerFolderStrategyOptions>]>([
    ['as it is', {}, {}],
    ['an authorization request by POST', { allowMethods: ['POST'] }, { authorizationMethod: 'POST' }],
    ['an identity provider', { identityProvider: true }, {}],
  ])('signs in at an application that listens nowhere: %s', async (_, serverOptions, options) => {
    const server = await startPowerFolderServer({ accounts, ...serverOptions });
    closers.push(() => server.close());
    const agent = supertest.agent(application(server, 'https://app.example.com/oauth', options));
    const response = await signIn('/auth/powerfolder', { agent, username: 'bob' });
    expect([response.status, response.text]).toEqual([200, expect.stringContaining('"Bob"')]);
    expect((await agent.get('/me')).text).toContain('"Bob"');
  });

  it('declines', async () => {
    const server = await startPowerFolderServer({ accounts });
    closers.push(() => server.close());
    const agent = supertest.agent(application(server, 'https://app.example.com/oauth', {}));
    const response = await signIn('/auth/powerfolder', { agent, decline: true });
    expect([response.status, response.text]).toEqual([403, expect.stringMatching(/failed$/)]);
  });
});

describe('CookieJar', () => {
  it('keeps cookies by host name and path, as browsers do', () => {
    const jar = new CookieJar();
    jar.set('http://localhost:1/a/b', [
      'one=1',
      'two=2; Path=/; HttpOnly',
      'three=a=b; Path=/a; Secure',
      'no=x; Max-Age=0',
    ]);
    expect(jar.header('http://localhost:2/a/c')).toBe('one=1; three=a=b; two=2');
    expect(jar.header('http://localhost:2/ab')).toBe('two=2');
    expect(jar.header('http://127.0.0.1:1/a/b')).toBe('');
    jar.set('http://localhost:1/', ['two=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT']);
    expect(jar.header('http://localhost:1/')).toBe('');
    jar.set('http://app.example.com/', ['secure=1; Path=/; Secure']);
    expect([jar.header('http://app.example.com/'), jar.header('https://app.example.com/x')]).toEqual(['', 'secure=1']);
  });
});

it('comes as a browser does that shows pages, so that an application may refuse what does not', async () => {
  const powerFolder = await startPowerFolderServer({ accounts });
  closers.push(() => powerFolder.close());
  const seen: unknown[] = [];
  const outer = express();
  const listener = outer.listen(0, 'localhost');
  closers.push(() => listener.close());
  await once(listener, 'listening');
  const url = `http://localhost:${(listener.address() as AddressInfo).port}`;
  outer.use((req, _res, next) => {
    const { 'sec-fetch-mode': mode, 'sec-fetch-dest': dest, 'sec-fetch-site': site } = req.headers;
    seen.push([req.path.replace(/=[^&]+.*/, '=…'), mode, dest, site]);
    next();
  });
  outer.use(application(powerFolder, `${url}/oauth`, {}));
  const response = await signIn(`${url}/auth/powerfolder`);
  expect([response.status, response.url, (await response.text()).includes('Ada')]).toEqual([200, `${url}/me`, true]);
  expect(seen).toEqual([
    ['/auth/powerfolder', 'navigate', 'document', 'none'],
    ['/oauth/code=…', 'navigate', 'document', 'cross-site'],
    ['/me', 'navigate', 'document', 'cross-site'],
  ]);
});
