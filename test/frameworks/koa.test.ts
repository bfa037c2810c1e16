/** koa-passport, with koa-session and @koa/router. */
import { Browser } from '../support/browser.ts';
import { koaApp } from '../support/koa-app.ts';
import { authorize, type Neighbour, type NeighbourOptions, signIn, startNeighbour } from '../support/neighbour.ts';
import { placesToWait } from '../support/state-stores.ts';

let app: Neighbour;
afterEach(() => app?.close());

let store: NonNullable<NeighbourOptions['strategy']>['store'];

async function start({ strategy, ...options }: NeighbourOptions = {}, session?: object): Promise<void> {
  app = await startNeighbour(koaApp(session), { ...options, strategy: { ...strategy, store } });
}

async function user(browser: Browser): Promise<unknown> {
  return JSON.parse((await browser.visit(app.url)).text).user;
}

describe.each(placesToWait)('koa-passport, pending in %s', (place, makeStore) => {
  beforeEach(() => {
    store = makeStore();
  });

  it.each([
    ['GET', 'path'],
    ['GET', 'query'],
    ['POST', 'path'],
    ['POST', 'query'],
  ] as const)(
    'signs in by %s authorization with a %s callback, and the visitor stays signed in',
    async (authorizationMethod, callbackStyle) => {
      await start({
        strategy: { authorizationMethod },
        powerfolder: { allowMethods: [authorizationMethod], callbackStyle },
      });
      const browser = new Browser();
      const page = await signIn(app.url, browser);
      expect([page.status, JSON.parse(page.text)]).toEqual([200, { state: { returnTo: '/reports' } }]);
      expect(new URL(page.url).pathname).toMatch(callbackStyle === 'path' ? /^\/oauth\/code=/ : /^\/oauth$/);
      expect(await user(browser)).toEqual({ name: 'ada', accessToken: expect.stringMatching(/^1/) });
    },
  );

  it('sends the page of authorizationMethod POST with its own headers', async () => {
    await start({ strategy: { authorizationMethod: 'POST' } });
    const page = await new Browser().visit(`${app.url}/auth/powerfolder`);
    expect([page.status, page.headers]).toEqual([
      200,
      expect.objectContaining({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-store',
        'content-security-policy': expect.stringContaining('form-action https: '),
      }),
    ]);
  });

  it('goes to failureRedirect when the answer does not belong to the session, or comes again', async () => {
    await start();
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/auth/powerfolder`);
    expect((await new Browser().stay(location)).headers['location']).toBe('/failed');
    expect((await browser.visit(location)).status).toBe(200);
    expect((await browser.stay(location)).headers['location']).toBe('/failed');
    expect(app.powerfolder.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1);
  });

  it("works with koa-session's default, which keeps the session in the cookie", async () => {
    await start({}, {});
    const browser = new Browser();
    expect((await signIn(app.url, browser)).status).toBe(200);
    expect(await user(browser)).toMatchObject({ name: 'ada' });
  });

  it('ends the cookie of a pending sign-in with the answer, beside that of the session', async () => {
    await start();
    const browser = new Browser();
    await signIn(app.url, browser);
    expect(browser.cookies(app.url)).toMatch(/^koa\.sess=[^;]+; koa\.sess\.sig=[^;]+$/);
    const page = await browser.stay(`${app.url}/auth/powerfolder`);
    const set = [page.headers['set-cookie'] ?? []].flat().map((line) => line.slice(0, line.indexOf('=')));
    expect(set.filter((name) => name.startsWith('powerfolder-'))).toHaveLength(place === 'cookies' ? 1 : 0);
  });
});
