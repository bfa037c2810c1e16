/** Express 4 and 5, Passport 0.6 and 0.7, express-session and cookie-session, both stores of pending sign-ins, each with each. */
import { expressVersions } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { authorize, type Neighbour, signIn } from '../support/neighbour.ts';
import { passportVersions, sessionKinds, startSessionApp } from '../support/session-app.ts';
import { placesToWait } from '../support/state-stores.ts';

let app: Neighbour;
afterEach(() => app?.close());

const combinations = expressVersions.flatMap(([express, makeExpress]) =>
  passportVersions.flatMap(([passport, version]) =>
    sessionKinds.flatMap(([kind, useSession]) =>
      placesToWait.map(
        ([place, makeStore]) =>
          [express, passport, kind, place, { makeExpress, version, useSession, makeStore }] as const,
      ),
    ),
  ),
);

describe.each(combinations)('%s, %s and %s, pending in %s', (_express, _passport, _kind, _place, parts) => {
  beforeEach(async () => {
    const strategy = { store: parts.makeStore() };
    app = await startSessionApp(parts.makeExpress, parts.version, parts.useSession, { strategy });
  });

  it('sign in, keep the visitor signed in, and sign out', async () => {
    const browser = new Browser();
    const page = await signIn(app.url, browser);
    expect([page.status, JSON.parse(page.text)]).toEqual([200, { state: { returnTo: '/reports' } }]);
    const signedIn = browser.cookies(app.url);
    expect(JSON.parse((await browser.visit(app.url)).text)).toEqual({ user: { name: 'ada' } });
    expect(JSON.parse((await browser.visit(`${app.url}/sign-out`)).text)).toEqual({});
    expect(browser.cookies(app.url)).not.toBe(signedIn);
  });

  it('take an answer once, and only in the session that began', async () => {
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/auth/powerfolder`);
    expect((await new Browser().visit(location)).status).toBe(403);
    const pages = await Promise.all([browser.visit(location), browser.visit(location)]);
    expect(pages.map(({ status }) => status).sort()).toEqual([200, 403]);
    expect(app.powerfolder.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1);
  });

  it('give no cookie to visitors who do not sign in', async () => {
    const browser = new Browser();
    await browser.visit(app.url);
    expect(browser.cookies(app.url)).toBe('');
  });
});
