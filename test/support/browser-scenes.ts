/** The example app in a real Chromium: what its scenes have in common. */
import type { PowerFolderServer, PowerFolderServerOptions } from 'passport-powerfolder/testing';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { findChromium, launchChromium, openVisitor, type Visitor } from './chromium.ts';
import { type Example, startExample } from './example.ts';

const notRun = !findChromium() && !process.env['REQUIRE_ALL'];
/** `describe`, where there is a Chromium. */
export const scene = notRun ? describe.skip : describe;

/** The app, always on `localhost`, and its server on `127.0.0.1`: cookies ignore ports. */
export interface Site {
  url: string;
  powerFolder: PowerFolderServer;
}

export type Credentials = { username: string; password: string };

let chromium: Browser;
const sites: Example[] = [];
const visitors: { visitor: Visitor; refusals: number[]; expected: RegExp }[] = [];

/** To be called once in a suite: starts the browser, and ends each scene. Says aloud when there is none. */
export function useChromium(suite: string): void {
  if (notRun) {
    process.stderr.write(
      `NOT RUN: ${suite}, because no Chromium was found. ` +
        'Install it (apt-get install chromium), or say in CHROMIUM where it is.\n',
    );
    return;
  }
  beforeAll(async () => {
    chromium = await launchChromium();
  });
  afterAll(() => chromium?.close());
  afterEach(async () => {
    const seen = visitors.splice(0);
    const found = seen.map(({ visitor, expected }) => ({
      complaints: visitor.complaints().filter((each) => !expected.test(each)),
      refusals: visitor.refusals,
    }));
    await Promise.all(seen.map(({ visitor }) => visitor.close()));
    await Promise.all(sites.splice(0).map((each) => each.close()));
    expect(found).toEqual(seen.map(({ refusals }) => ({ complaints: [], refusals })));
  });
}

/** A visitor whom nothing is expected of at the end. */
export const openBrowser = (origins: string[] = []): Promise<Visitor> => openVisitor(chromium, origins);

export async function site(
  server: PowerFolderServerOptions = {},
  environment: Record<string, string> = {},
  options: { behindRelay?: boolean } = {},
): Promise<Example> {
  const started = await startExample({ server, environment, ...options });
  sites.push(started);
  return started;
}

/** A visitor whose browser shall have nothing to complain about. `refusals`: the scene is about answers like these; `expected`: complaints that belong to it. */
export async function someone(
  { url, powerFolder }: Site,
  {
    refusals = [],
    origins = [],
    expected = /$^/,
    ...options
  }: BrowserContextOptions & { refusals?: number[]; origins?: string[]; expected?: RegExp } = {},
): Promise<Visitor> {
  const visitor = await openVisitor(chromium, [url, new URL(powerFolder.url).origin, ...origins], options);
  visitors.push({ visitor, refusals, expected });
  return visitor;
}

export const textFile = (name: string, text = name) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });

export const press = (page: Page, button: string) => page.getByRole('button', { name: button, exact: true }).click();
export const follow = (page: Page, link: string) => page.getByRole('link', { name: link, exact: true }).click();
export const heading = (page: Page) => page.getByRole('heading', { level: 1 }).innerText();

export async function logIn(page: Page, { username, password }: Credentials): Promise<void> {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
  await press(page, 'Log in');
}

export async function allow(page: Page, { url }: Site, path = '/'): Promise<void> {
  await press(page, 'Allow');
  await page.waitForURL(url + path);
}

export async function signIn(page: Page, at: Site, credentials: Credentials = at.powerFolder): Promise<void> {
  await page.goto(`${at.url}/auth/powerfolder`);
  await logIn(page, credentials);
  await allow(page, at);
}
