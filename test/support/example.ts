/** The example app at a real port, with a simulated server, its logs and its sessions within a test's reach. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { PowerFolderTokens } from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { createApp } from '../../example-app/app.ts';
import { readConfig } from '../../example-app/config.ts';
import { createLogger } from '../../example-app/logging.ts';
import { openSessionStore } from '../../example-app/session-store.ts';
import type { MemoryStorage } from '../../example-app/storage.ts';
import type { SignedInUser } from '../../example-app/user.ts';
import { StoredUsers, type Users } from '../../example-app/users.ts';
import { Browser, type Page } from './browser.ts';
import { type Relay, startRelay } from './relay.ts';

export interface Example {
  /** Where browsers find it, with the path that it is mounted at. */
  url: string;
  powerFolder: PowerFolderServer;
  /** What was logged, a line each. */
  log: string[];
  sessions: StoredSessions;
  /** Holds back what the server answers the app and the browsers, where the app was started with it. */
  relay: Relay | undefined;
  browser(): Browser;
  close(): Promise<void>;
}

export type StoredSession = { signedInAt?: number; passport?: { user: SignedInUser }; [other: string]: unknown };

interface StoredSessions {
  all(): StoredSession[];
  /** The tokens beside them. */
  tokens(): PowerFolderTokens[];
  /** Milliseconds for which each is kept from now on. */
  lifetimes(): number[];
  /** All that is kept, by key. */
  entries: MemoryStorage['entries'];
  /** Puts more into every session. */
  add(data: object): void;
}

/** What a browser sends with the requests of an app's own pages. */
export const sameOrigin = { 'Sec-Fetch-Site': 'same-origin' };

export async function startExample({
  server: serverOptions = {},
  behindRelay = false,
  environment = {},
  strategy = {},
  path = '',
  changeUsers = (users) => users,
}: {
  server?: PowerFolderServerOptions;
  /** The path of BASE_URL. */
  path?: string;
  behindRelay?: boolean;
  environment?: Record<string, string>;
  /** Options of the strategy that the app has no setting for. */
  strategy?: { timeout?: number };
  /** Users of an application's own, made of those that the app has. */
  changeUsers?: (users: Users) => Users;
} = {}): Promise<Example> {
  const started = await startPowerFolderServer(serverOptions);
  const relay = behindRelay ? await startRelay(started.url) : undefined;
  const powerFolder = relay ? { ...started, url: relay.url } : started;
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
  const users = changeUsers(new StoredUsers(sessionStore.storage, logger));
  const powerFolderConfig = { ...config.powerFolder, ...strategy };
  const appConfig = { ...config, powerFolder: powerFolderConfig };
  server.on('request', createApp(appConfig, { sessionStore, users, log: logger }));

  const { entries } = sessionStore.storage as MemoryStorage;
  const stored = (kind: string) =>
    [...entries].filter(([key, { until }]) => key.startsWith(`${kind}:`) && until > Date.now());
  return {
    url: path ? config.baseURL : BASE_URL,
    powerFolder,
    relay,
    log,
    sessions: {
      entries,
      all: () => stored('session').map(([, { value }]) => JSON.parse(value)),
      tokens: () => stored('tokens').map(([, { value }]) => JSON.parse(value)),
      lifetimes: () => stored('session').map(([, { until }]) => until - Date.now()),
      add(data) {
        for (const [key, { value, until }] of stored('session'))
          entries.set(key, { value: JSON.stringify({ ...JSON.parse(value), ...data }), until });
      },
    },
    browser: () => new Browser(sameOrigin),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await Promise.all([closed, powerFolder.close(), relay?.close(), sessionStore.close()]);
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
  // Who is logged in at the server is asked at once.
  const consent = start.text.includes('type="password"')
    ? await browser.submit(start, 'Log in', { username, password })
    : start;
  const atServer = (location: URL) => location.origin === new URL(powerFolder.url).origin;
  const last = await browser.submit(consent, 'Allow', {}, { follow: atServer });
  return String(last.headers['location']);
}
