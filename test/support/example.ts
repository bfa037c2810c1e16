/** The example app at a real port, with a simulated server, its logs and its sessions within a test's reach. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MemoryStore, SessionData } from 'express-session';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { createApp } from '../../example-app/app.ts';
import { readConfig } from '../../example-app/config.ts';
import { createLogger } from '../../example-app/logging.ts';
import { openSessionStore } from '../../example-app/sessions.ts';
import type { SignedInUser } from '../../example-app/sign-in.ts';
import { Browser, type Page } from './browser.ts';

export interface Example {
  /** Where browsers find it, with the path that it is mounted at. */
  url: string;
  powerFolder: PowerFolderServer;
  /** What was logged, a line each. */
  log: string[];
  sessions: StoredSessions;
  browser(): Browser;
  close(): Promise<void>;
}

export type StoredSession = SessionData & { passport?: { user: SignedInUser }; [other: string]: unknown };

interface StoredSessions {
  all(): StoredSession[];
  /** Puts more into every session. */
  add(data: object): void;
}

/** What a browser sends with the requests of an app's own pages. */
export const sameOrigin = { 'Sec-Fetch-Site': 'same-origin' };

export async function startExample({
  server: serverOptions = {},
  environment = {},
  strategy = {},
  path = '',
}: {
  server?: PowerFolderServerOptions;
  /** The path of BASE_URL. */
  path?: string;
  environment?: Record<string, string>;
  /** Options of the strategy that the app has no setting for. */
  strategy?: { timeout?: number };
} = {}): Promise<Example> {
  const powerFolder = await startPowerFolderServer(serverOptions);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const BASE_URL = `http://localhost:${(server.address() as AddressInfo).port}${path}`;
  const config = readConfig({
    NODE_ENV: 'test',
    BASE_URL,
    POWERFOLDER_URL: powerFolder.url,
    POWERFOLDER_CLIENT_ID: powerFolder.clientID,
    POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
    SESSION_SECRET: sessionSecret,
    ...environment,
  });
  if (!config.powerFolder) throw new Error('The example needs a server');
  const log: string[] = [];
  const logger = createLogger({ write: (line) => log.push(line) });
  const sessionStore = openSessionStore(config, logger);
  const powerFolderConfig = { ...config.powerFolder, ...strategy };
  server.on('request', createApp({ ...config, powerFolder: powerFolderConfig }, { sessionStore, log: logger }));

  // express-session's MemoryStore keeps JSON by session id.
  const stored = () => (sessionStore.store as MemoryStore & { sessions: Record<string, string> }).sessions;
  return {
    url: path ? config.baseURL : BASE_URL,
    powerFolder,
    log,
    sessions: {
      all: () => Object.values(stored()).map((json) => JSON.parse(json)),
      add(data) {
        for (const [id, json] of Object.entries(stored()))
          stored()[id] = JSON.stringify({ ...JSON.parse(json), ...data });
      },
    },
    browser: () => new Browser(sameOrigin),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, powerFolder.close(), sessionStore.close()]);
    },
  };
}

/** `name=value` of a session's cookie, as the app sets it; empty when there is none. */
export function sessionCookieOf(browser: Browser, { url }: { url: string }): string {
  const { port } = new URL(url);
  return (
    browser
      .cookies(url)
      .split('; ')
      .find((cookie) => cookie.startsWith(`session-${port}=`)) ?? ''
  );
}

export const sessionSecret = 'a secret for tests that is long enough';

/** Logs in at the server and allows, from its login page on. */
export async function logInAndAllow(
  browser: Browser,
  loginPage: Page,
  { username, password }: { username: string; password: string },
): Promise<Page> {
  const consent = await browser.submit(loginPage, 'Log in', { username, password });
  return await browser.submit(consent, 'Allow');
}

/** A browser in which somebody has signed in. */
export async function signedIn({ url, powerFolder }: Pick<Example, 'url' | 'powerFolder'>): Promise<Browser> {
  const browser = new Browser(sameOrigin);
  const page = await logInAndAllow(browser, await browser.visit(`${url}/auth/powerfolder`), powerFolder);
  if (page.status !== 200 || page.url !== `${url}/`) throw new Error(`Not signed in: ${page.status} ${page.url}`);
  return browser;
}

/** The authorization response that the server sends a browser to, not followed. */
export async function authorizationResponse(browser: Browser, { url, powerFolder }: Example): Promise<string> {
  const start = await browser.visit(`${url}/auth/powerfolder`);
  const { username, password } = powerFolder;
  const consent = await browser.submit(start, 'Log in', { username, password });
  const atServer = (location: URL) => location.origin === new URL(powerFolder.url).origin;
  const last = await browser.submit(consent, 'Allow', {}, { follow: atServer });
  return String(last.headers['location']);
}
