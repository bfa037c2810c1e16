/** A visitor of the example app, who chooses for each request which instance gets it, as a balancer would. */
import type { PowerFolderTree } from 'passport-powerfolder/testing';
import { Browser, type Page } from './browser.ts';
import { sameOrigin } from './example.ts';

/**
 * The app's BASE_URL. Nothing listens there: what leads there is taken to an instance. Cookies ignore ports, so the instances
 * at 127.0.0.1 share theirs.
 */
export const baseURL = 'http://127.0.0.1';

export interface Account {
  ID: string;
  username: string;
  password: string;
  firstname: string;
  surname: string;
  files: PowerFolderTree;
}

export function makeAccounts(count: number): Account[] {
  return Array.from({ length: count }, (_, i) => ({
    ID: `id${i}`,
    username: `visitor${i}`,
    password: `pw${i}`,
    firstname: 'Visitor',
    surname: `Number${i}`,
    files: { Documents: {} },
  }));
}

export class Visitor {
  readonly account: Account;
  readonly #headers: Record<string, string>;
  browser: Browser;

  /** @param address Where the requests seem to come from. */
  constructor(account: Account, address = '198.51.100.1') {
    this.account = account;
    this.#headers = { ...sameOrigin, 'X-Forwarded-For': address };
    this.browser = new Browser(this.#headers);
  }

  /** All cookies, as they are sent to the app. */
  get cookies(): string {
    return this.browser.cookies(baseURL);
  }

  /** The same visitor with cookies that are fixed: what this one does with cookies later does not change them. */
  copy(cookies = this.cookies): Visitor {
    const copy = new Visitor(this.account);
    copy.browser = new Browser(this.#headers);
    copy.browser.setCookies(baseURL, cookies);
    return copy;
  }

  /** Where PowerFolder sends the browser after "Allow": path and query, for an instance of one's choice. */
  async beginSignIn(instance: string): Promise<string> {
    const begun = await this.browser.stay(`${instance}/auth/powerfolder`);
    if (begun.status !== 302) throw new Error(`A sign-in cannot begin: ${begun.status} ${begun.text}`);
    return await this.allow(begun);
  }

  /** Goes on from the answer of the start route. */
  async allow(begun: Page): Promise<string> {
    const target = String(begun.headers['location']);
    const atServer = (location: URL) => location.origin === new URL(target).origin;
    let page = await this.browser.visit(target);
    if (page.text.includes('type="password"')) {
      const { username, password } = this.account;
      page = await this.browser.submit(page, 'Log in', { username, password });
    }
    const allowed = await this.browser.submit(page, 'Allow', {}, { follow: atServer });
    const location = String(allowed.headers['location']);
    if (!location.startsWith(`${baseURL}/oauth`)) throw new Error(`PowerFolder leads elsewhere: ${allowed.status}`);
    return location.slice(baseURL.length);
  }

  async signIn(instance: string): Promise<void> {
    const page = await this.browser.stay(instance + (await this.beginSignIn(instance)));
    if (page.status !== 302 || page.headers['location'] !== '/') {
      throw new Error(`The sign-in ended with ${page.status} ${page.headers['location'] ?? page.text}`);
    }
  }

  signOut(instance: string): Promise<Page> {
    return this.browser.stay(`${instance}/logout`, { method: 'POST' });
  }

  /** Whom the app takes this visitor for, by the account's ID; undefined for nobody. Anything else is an error. */
  async signedInAs(instance: string): Promise<string | undefined> {
    const page = await this.browser.stay(`${instance}/account`);
    if (page.status === 302 && String(page.headers['location']).startsWith('/auth/powerfolder')) return undefined;
    const id = /Account ID<\/dt><dd><code>([^<]*)</.exec(page.text)?.[1];
    if (page.status !== 200 || id === undefined) throw new Error(`/account answers ${page.status} ${page.text}`);
    return id;
  }
}

/** The cookies after an answer that was given to whoever sent these. */
export function cookiesAfter(cookies: string, answer: Page): string {
  const jar = new Map(
    cookies
      .split('; ')
      .filter(Boolean)
      .map((pair) => [pair.slice(0, pair.indexOf('=')), pair] as const),
  );
  for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
    const pair = line.split(';', 1)[0] ?? '';
    jar.set(pair.slice(0, pair.indexOf('=')), pair);
  }
  return [...jar.values()].join('; ');
}
