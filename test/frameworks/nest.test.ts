/** @nestjs/passport: PassportStrategy and AuthGuard. */
import { Browser } from '../support/browser.ts';
import { authorize, type Neighbour, signIn, startNeighbourProcess } from '../support/neighbour.ts';
import { cookieSecret } from '../support/state-stores.ts';

describe.each([
  ['the session', undefined],
  ['cookies', cookieSecret],
])('@nestjs/passport, pending in %s', (_, secret) => {
  let app: Neighbour;
  beforeAll(async () => {
    app = await startNeighbourProcess('nest-app.mts', { cookieSecret: secret });
  });
  afterAll(() => app?.close());

  it('signs in through AuthGuard with validate(accessToken, refreshToken, profile), and the visitor stays signed in', async () => {
    const browser = new Browser();
    const page = await signIn(app.url, browser);
    const user = {
      username: 'ada',
      accessToken: expect.stringMatching(/^1/),
      refreshToken: expect.stringMatching(/^1/),
    };
    expect([page.status, JSON.parse(page.text)]).toEqual([
      200,
      { user, authInfo: { state: { returnTo: '/reports' } } },
    ]);
    expect(new URL(page.url).pathname).toMatch(/^\/oauth\/code=/);
    expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({ user });
  });

  it('signs in with validate(accessToken, refreshToken, params, profile), where the number of parameters is passed on', async () => {
    const page = await new Browser().visit(`${app.url}/with-params`);
    expect([page.status, JSON.parse(page.text).user]).toEqual([
      200,
      {
        username: 'ada',
        accessToken: expect.stringMatching(/^1/),
        params: expect.objectContaining({ expires_in: 86400, expiresAt: expect.any(Number) }),
      },
    ]);
  });

  it('answers 401 when validate gives false, and when the answer is not for this session', async () => {
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/auth/powerfolder`);
    expect((await new Browser().visit(location)).status).toBe(401);
    app.powerfolder.failNext('accounts', { body: { ID: 'x', username: 'eve' } });
    const page = await browser.visit(location);
    expect([page.status, JSON.parse(page.text)]).toEqual([401, { message: 'Unauthorized', statusCode: 401 }]);
  });

  it.each([
    ['nothing', 401],
    ['a promise of false', 401],
    ['no rows', 401],
    ['a promise in a list', 401],
    ['a function', 500],
    ['a rejection', 500],
    ['a throw', 500],
  ])('R50: signs nobody in when validate gives %s, and answers %d', async (username, status) => {
    const browser = new Browser();
    app.powerfolder.failNext('accounts', { body: { ID: 'x', username } });
    const page = await signIn(app.url, browser);
    expect([page.status, JSON.parse(page.text).user]).toEqual([status, undefined]);
    expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({});
  });

  it('signs in with validate({ tokens, profile, req, state }), and the visitor stays signed in', async () => {
    const browser = new Browser();
    const page = await browser.visit(`${app.url}/one-object`);
    const user = {
      username: 'ada',
      tokens: {
        accessToken: expect.stringMatching(/^1/),
        refreshToken: expect.stringMatching(/^1/),
        expiresAt: expect.any(Number),
      },
      state: { returnTo: '/reports' },
      path: '/one-object/oauth/code',
    };
    expect([page.status, JSON.parse(page.text)]).toEqual([
      200,
      { user, authInfo: { state: { returnTo: '/reports' } } },
    ]);
    expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({ user });
  });

  const failed = { status: 401, code: 'verify_refused', message: 'This PowerFolder account may not sign in here.' };
  const broken = { status: 500, message: 'Internal server error' };
  it.each([
    { gives: 'nothing', ...failed },
    { gives: 'refused', ...failed, message: 'Only Ada may sign in here.' },
    { gives: 'a list', ...broken },
    { gives: 'true', ...broken },
    { gives: 'a number', ...broken },
    { gives: 'a throw', ...broken },
  ])(
    'R50: signs nobody in when the one-object validate gives $gives, and answers $status',
    async ({ gives, status, ...body }) => {
      const browser = new Browser();
      app.powerfolder.failNext('accounts', { body: { ID: 'x', username: gives } });
      const page = await browser.visit(`${app.url}/one-object`);
      expect([page.status, JSON.parse(page.text)]).toEqual([status, expect.objectContaining(body)]);
      expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({});
    },
  );

  it("shows a failure's status, code and sentence where handleRequest hands them on", async () => {
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/one-object`);
    const stranger = await new Browser().visit(location);
    expect([stranger.status, JSON.parse(stranger.text)]).toEqual([
      403,
      { code: 'session_missing', message: expect.stringMatching(/^Your browser sent no session/) },
    ]);
    expect((await browser.visit(location)).status).toBe(200);
    const again = await browser.visit(location);
    expect([again.status, JSON.parse(again.text).code]).toEqual([403, expect.stringMatching(/^state_/)]);
  });

  it('R50: refuses, when it is made, a validate whose form cannot be told, and one that could never answer', async () => {
    expect(JSON.parse((await new Browser().visit(`${app.url}/refusals`)).text)).toEqual([
      expect.stringMatching(
        /^TypeError: validate declares one parameter, .* PassportStrategy\(PowerFolderNestStrategy/,
      ),
      expect.stringMatching(
        /^TypeError: validate declares one parameter, .* PassportStrategy\(PowerFolderNestStrategy/,
      ),
      expect.stringMatching(/^TypeError: The third argument of PassportStrategy .*, or leave it out$/),
      expect.stringMatching(/^TypeError: The third argument of PassportStrategy .*, or leave it out$/),
      expect.stringMatching(/^TypeError: PowerFolderNestStrategy needs a class with a method validate/),
    ]);
  });

  it("R51: answers 503 when the server does, in Nest's words", async () => {
    app.powerfolder.failNext('token', { status: 503, body: 'down for maintenance' });
    const page = await signIn(app.url);
    expect([page.status, JSON.parse(page.text)]).toEqual([503, { message: 'Service Unavailable', statusCode: 503 }]);
  });
});

describe('@nestjs/passport with authorizationMethod POST and a query callback', () => {
  it('signs in', async () => {
    const app = await startNeighbourProcess('nest-app.mts', {
      strategy: { authorizationMethod: 'POST' },
      powerfolder: { allowMethods: ['POST'], callbackStyle: 'query' },
    });
    const page = await signIn(app.url);
    expect([page.status, JSON.parse(page.text).user.username]).toEqual([200, 'ada']);
    await app.close();
  });
});
