/** What a real Chromium does with the simulated server's pages: policies, and an identity provider's form that sends itself. */

import { readFileSync } from 'node:fs';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import type { Browser, ConsoleMessage } from 'playwright-core';
import { startTestApp } from '../support/app.ts';
import { launchChromium } from '../support/chromium.ts';
import { tls, tlsFile } from '../support/command-line.ts';
import { describeWith } from '../support/programs.ts';

const accounts = [{ username: 'ada', password: 'ada', firstname: 'Ada' }];
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describeWith('chromium')('the pages of a sign-in in Chromium', () => {
  let chromium: Browser;
  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium?.close());

  /** Somebody at a browser, before an application at another host name. */
  async function begin(options: PowerFolderServerOptions, more: object = {}) {
    const server: PowerFolderServer = await startPowerFolderServer({ accounts, hostname: 'localhost', ...options });
    closers.push(() => server.close());
    const { url: serverURL, clientID, clientSecret } = server;
    const app = await startTestApp({ options: { serverURL, clientID, clientSecret, ...more } });
    closers.push(app.close);
    const page = await chromium.newPage({ ignoreHTTPSErrors: true });
    closers.push(() => page.close());
    const console: string[] = [];
    page.on('console', (message: ConsoleMessage) => console.push(message.text()));
    await page.goto(`${app.url}/auth/powerfolder`, { waitUntil: 'commit' });
    return { app, page, console, server };
  }

  it.each<[what: string, formAction: string | undefined, comesBack: boolean]>([
    ['leads back without a form-action', undefined, true],
    ["leads nowhere with the form-action 'self'", "'self'", false],
  ])('Allow %s', async (_, formAction, comesBack) => {
    const { app, page, console, server } = await begin(formAction ? { formAction } : {});
    await page.fill('#username', 'ada');
    await page.fill('#password', 'ada');
    await page.click('#login_submit');
    await page.click('button[value=allow]');
    if (comesBack) {
      await page.waitForURL(`${app.url}/**`);
      expect(await page.textContent('body')).toContain('"Ada"');
      return;
    }
    // Nothing happens: the console says why, as the README tells.
    while (!console.some((text) => text.includes('form-action'))) await page.waitForEvent('console');
    expect(page.url().startsWith(server.url)).toBe(true);
    expect(app.errors).toEqual([]);
  });

  it('lets Allow lead back where the policy names the application', async () => {
    // The application's port is not known yet.
    const { app, page } = await begin({ formAction: "'self' http://127.0.0.1:*" });
    await page.fill('#username', 'ada');
    await page.fill('#password', 'ada');
    await page.click('#login_submit');
    await page.click('button[value=allow]');
    await page.waitForURL(`${app.url}/**`);
    expect(await page.textContent('body')).toContain('"Ada"');
  });

  it.each<[what: string, server: PowerFolderServerOptions, more: object]>([
    ['a redirect', {}, {}],
    // Its page lets a log-in be anywhere, but not by http.
    ['a POST', { tls: tls('server.pem') }, { authorizationMethod: 'POST', ca: readFileSync(tlsFile('ca.pem')) }],
  ])('comes through an identity provider, whose form sends itself, begun by %s', async (_, options, more) => {
    const { app, page, server } = await begin({ ...options, identityProvider: true, contextPath: '/pf' }, more);
    await page.fill('input[name=j_username]', 'ada');
    await page.fill('input[name=j_password]', 'ada');
    await page.click('button[name=_eventId_proceed]');
    await page.click('button[value=allow]');
    await page.waitForURL(`${app.url}/**`);
    expect(await page.textContent('body')).toContain('"Ada"');
    const endpoints = server.requests.map(({ method, endpoint }) => `${method} ${endpoint}`);
    expect(endpoints).toEqual(expect.arrayContaining(['POST shibboleth', 'POST token']));
  });
});
