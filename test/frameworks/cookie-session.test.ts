/** cookie-session, with the lines of docs/cookie-session.md and without. */
import express from 'express';
import passport from 'passport';
import { Browser } from '../support/browser.ts';
import { authorize, type Neighbour, signIn } from '../support/neighbour.ts';
import { startSessionApp, useBareCookieSession, useCookieSession } from '../support/session-app.ts';
import { placesToWait } from '../support/state-stores.ts';

let app: Neighbour;
afterEach(() => app?.close());

function session(browser: Browser): unknown {
  const [, cookie = ''] = /(?:^|; )session=([^;]*)/.exec(browser.cookies(app.url)) ?? [];
  return cookie && JSON.parse(Buffer.from(cookie, 'base64').toString());
}

describe.each(placesToWait)('cookie-session with the lines of its page, pending in %s', (place, makeStore) => {
  beforeEach(async () => {
    app = await startSessionApp(express, passport, useCookieSession, { strategy: { store: makeStore() } });
  });

  it('is emptied of what was before the sign-in, and by signing out', async () => {
    const browser = new Browser();
    await browser.visit(`${app.url}/visit`);
    expect(session(browser)).toEqual({ visited: true });
    await signIn(app.url, browser);
    expect(session(browser)).toEqual({ passport: { user: { name: 'ada' } } });
    await browser.visit(`${app.url}/sign-out`);
    expect(session(browser)).toEqual({});
  });

  it('does not overflow, however many sign-ins begin', async () => {
    const browser = new Browser();
    await browser.visit(`${app.url}/visit`);
    let location = '';
    for (let i = 0; i < 20; i++) location = await authorize(browser, `${app.url}/auth/powerfolder`);
    const sizes = browser
      .cookies(app.url)
      .split('; ')
      .map((cookie) => cookie.length);
    expect(Math.max(...sizes)).toBeLessThan(4096);
    if (place === 'cookies') expect(session(browser)).toEqual({ visited: true });
    expect((await browser.visit(location)).status).toBe(200);
  });

  it('does not bring an answer back to life when its old cookie is put back', async () => {
    const browser = new Browser();
    const location = await authorize(browser, `${app.url}/auth/powerfolder`);
    const cookies = browser.cookies(app.url);
    expect((await browser.visit(location)).status).toBe(200);
    const again = new Browser();
    again.setCookies(app.url, cookies);
    expect((await again.visit(location)).status).toBe(403);
    expect(app.powerfolder.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(1);
  });
});

describe('cookie-session without these lines', () => {
  it('ends in an error that names what is missing', async () => {
    app = await startSessionApp(express, passport, useBareCookieSession);
    const page = await signIn(app.url);
    expect([page.status, JSON.parse(page.text).message]).toEqual([500, 'req.session.regenerate is not a function']);
  });
});
