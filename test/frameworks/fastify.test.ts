/** @fastify/passport, with @fastify/session. */
import { Browser } from '../support/browser.ts';
import {
  authorize,
  type Neighbour,
  type NeighbourOptions,
  signIn,
  startNeighbourProcess,
} from '../support/neighbour.ts';
import { cookieSecret } from '../support/state-stores.ts';

let app: Neighbour;
afterEach(() => app?.close());

async function start(options?: NeighbourOptions): Promise<void> {
  app = await startNeighbourProcess('fastify-app.mts', options);
}

async function user(browser: Browser): Promise<unknown> {
  return JSON.parse((await browser.visit(app.url)).text).user;
}

describe('@fastify/passport', () => {
  it.each(['path', 'query'] as const)(
    'signs in with a %s callback, and the visitor stays signed in',
    async (callbackStyle) => {
      // A long code, as Fastify limits the length of route parameters.
      await start({ powerfolder: { callbackStyle, code: () => 'a/b+c='.repeat(50) } });
      const browser = new Browser();
      const page = await signIn(app.url, browser);
      expect([page.status, JSON.parse(page.text)]).toEqual([200, { state: { returnTo: '/reports' } }]);
      expect(new URL(page.url).pathname).toMatch(callbackStyle === 'path' ? /^\/oauth\/code=/ : /^\/oauth$/);
      expect(await user(browser)).toEqual({ name: 'ada', accessToken: expect.stringMatching(/^1/) });
    },
  );

  it('goes to failureRedirect when the answer does not belong to the session, or comes again', async () => {
    await start();
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/auth/powerfolder`);
    expect((await new Browser().stay(location)).headers['location']).toBe('/failed');
    expect((await browser.visit(location)).status).toBe(200);
    expect((await browser.stay(location)).headers['location']).toBe('/failed');
    expect(app.powerfolder.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1);
  });

  it('refuses authorizationMethod POST in a sentence, as a strategy has no way to send a page there', async () => {
    await start({ strategy: { authorizationMethod: 'POST' } });
    const page = await new Browser().visit(`${app.url}/auth/powerfolder`);
    expect([page.status, JSON.parse(page.text).message]).toEqual([
      500,
      "authorizationMethod 'POST' needs req.res, as Express and koa-passport give it; use 'GET' with this framework",
    ]);
  });

  it('refuses a CookieStateStore in a sentence, as a strategy has no way to set a cookie there', async () => {
    await start({ cookieSecret });
    const state = 'a'.repeat(32);
    for (const path of ['/auth/powerfolder', `/oauth?code=1c&state=${state}`]) {
      const page = await new Browser().visit(app.url + path);
      expect([page.status, JSON.parse(page.text).message]).toEqual([
        500,
        'CookieStateStore needs the response in req.res, as Express, NestJS and koa-passport give it. @fastify/passport gives a strategy none: leave the option store out there, and pending sign-ins wait in the session',
      ]);
    }
  });
});
