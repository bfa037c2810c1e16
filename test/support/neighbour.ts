/** For tests of the package in applications of other frameworks. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { CookieStateStore, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { Browser, type Page } from './browser.ts';

/** An application with a simulated PowerFolder server. */
export interface Neighbour {
  url: string;
  powerfolder: PowerFolderServer;
  close(): Promise<void>;
}

/** What a test changes: options of the strategy, and of the simulated server. */
export interface NeighbourOptions {
  /** Secret of a CookieStateStore for an application in a process of its own, to which no store can be sent. */
  cookieSecret?: string | undefined;
  strategy?: Partial<PowerFolderStrategyOptions>;
  powerfolder?: PowerFolderServerOptions;
}

/** Makes an application when its address is known, and so its callback URL, `<url>/oauth`. */
export type Make = (options: PowerFolderStrategyOptions, url: string) => RequestListener | Promise<RequestListener>;

export async function startNeighbour(make: Make, { strategy, powerfolder }: NeighbourOptions = {}): Promise<Neighbour> {
  const server = await startPowerFolderServer({ autoApprove: 'ada', ...powerfolder });
  try {
    const app = await serve(make, { ...required(server), ...strategy });
    return {
      url: app.url,
      powerfolder: server,
      async close() {
        await app.close();
        await server.close();
      },
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** The same with an application that jest cannot load, as parts of it are ES modules: `fixture` calls {@link serveHere}. */
export async function startNeighbourProcess(
  fixture: string,
  { strategy, powerfolder, cookieSecret }: NeighbourOptions = {},
): Promise<Neighbour> {
  const server = await startPowerFolderServer({ autoApprove: 'ada', ...powerfolder });
  const options = JSON.stringify({ cookieSecret, ...required(server), ...strategy });
  const child = spawn(process.execPath, ['--import', 'tsx', `test/fixtures/${fixture}`, options], {
    cwd: join(__dirname, '../..'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  async function close() {
    child.kill();
    await ended;
    await server.close();
  }
  try {
    return { url: await addressOf(child), powerfolder: server, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function addressOf({ stdout }: ChildProcess): Promise<string> {
  let output = '';
  for await (const chunk of stdout ?? []) {
    output += chunk;
    const [, url] = /^listening at (\S+)\n/m.exec(output) ?? [];
    if (url) return url;
  }
  throw new Error(`The application ended: ${output}`);
}

/** In a process of its own: serves the application with the options given to the process, and says where. */
export async function serveHere(make: Make): Promise<void> {
  const { cookieSecret, ...options } = JSON.parse(process.argv[2] ?? '{}');
  const store = cookieSecret && new CookieStateStore({ secret: cookieSecret });
  const { url } = await serve(make, { ...options, ...(store && { store }) });
  console.log(`listening at ${url}`);
}

function required({ url: serverURL, clientID, clientSecret }: PowerFolderServer) {
  return { serverURL, clientID, clientSecret };
}

async function serve(make: Make, options: Omit<PowerFolderStrategyOptions, 'callbackURL'>) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  async function close() {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }
  try {
    server.on('request', await make({ ...options, callbackURL: `${url}/oauth` }, url));
    return { url, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Goes as far as the server's answer, and gives the URL that it redirects to, unvisited. */
export async function authorize(browser: Browser, start: string): Promise<string> {
  const { origin } = new URL(start);
  const page = await browser.visit(start, { follow: (location) => location.origin !== origin });
  const { location } = page.headers;
  if (typeof location !== 'string') throw new Error(`No redirect: ${page.status} ${page.text}`);
  return location;
}

/** Signs in at `/auth/powerfolder`; by POST it presses the button. */
export async function signIn(url: string, browser: Browser = new Browser()): Promise<Page> {
  const page = await browser.visit(`${url}/auth/powerfolder`);
  const button = 'Continue to PowerFolder';
  return page.text.includes(`<button>${button}`) ? await browser.submit(page, button) : page;
}
