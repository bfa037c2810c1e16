/** Both stores of pending sign-ins, and browsers that keep for each what it gives them. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Request } from 'express';
import { CookieStateStore, type CookieStateStoreOptions } from 'passport-powerfolder';
import type { PendingSignIns, StateMetadata } from '../../lib/state-store.ts';

export const meta: StateMetadata = {
  strategy: 'powerfolder',
  authorizationURL: 'https://pf.example/oauth/allow',
  tokenURL: 'https://pf.example/oauth/token',
  clientID: 'client',
  callbackURL: 'https://app.example/oauth',
};

export const cookieSecret = 'a secret of cookies, for tests only';

/** A browser as a store sees it: what it was given is in its next request. */
export interface StoreBrowser {
  request(): Request;
  /** Takes what the response to a request sets. */
  keep(request: Request): void;
  /** The same browser once more, with what it has now. */
  copy(): StoreBrowser;
  /** All that is kept for it, to compare. */
  kept(): unknown;
  /** Pending and used sign-ins that it has. */
  count(): number;
}

class SessionBrowser implements StoreBrowser {
  readonly session: Record<string, unknown>;

  constructor(session: Record<string, unknown> = {}) {
    this.session = session;
  }
  request(): Request {
    return { session: this.session, headers: { cookie: 'connect.sid=s%3Asome' } } as never;
  }
  keep(): void {}
  copy(): StoreBrowser {
    return new SessionBrowser(structuredClone(this.session));
  }
  kept(): unknown {
    return structuredClone(this.session);
  }
  count(): number {
    return JSON.parse(String(this.session['powerfolder'] ?? '[]')).length;
  }
}

/** Its jar does not look at Max-Age, so that the server's own clock decides. It has a cookie of another's, too. */
export class CookieBrowser implements StoreBrowser {
  readonly jar: Map<string, string>;

  constructor(jar: Iterable<[string, string]> = [['lang', 'de']]) {
    this.jar = new Map(jar);
  }
  request(header = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')): Request {
    const request = new IncomingMessage(new Socket());
    if (header !== '') request.headers.cookie = header;
    return Object.assign(request, { res: new ServerResponse(request) }) as never;
  }
  keep(request: Request): void {
    for (const line of setCookies(request)) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/; Max-Age=0(;|$)/.test(line)) this.jar.delete(name);
      else this.jar.set(name, value);
    }
  }
  copy(): CookieBrowser {
    return new CookieBrowser(this.jar);
  }
  kept(): [string, string][] {
    return [...this.jar];
  }
  pending(): [string, string][] {
    return this.kept().filter(([name]) => name.includes('powerfolder-'));
  }
  count(): number {
    return this.pending().length;
  }
}

/** The Set-Cookie lines of the response to a request. */
export function setCookies(request: Request): string[] {
  return [request.res?.getHeader('set-cookie') ?? []].flat().map(String);
}

/** The option `store` for both: for the session there is none. */
export const placesToWait: [place: string, makeStore: () => CookieStateStore | undefined][] = [
  ['the session', () => undefined],
  ['cookies', () => new CookieStateStore({ secret: cookieSecret })],
];

export interface StateStoreKind {
  /** @param module The store's, where it is not to be the one of all tests. */
  make(ttl?: number, module?: unknown): PendingSignIns;
  /** The store's module. */
  file: string;
  browser(): StoreBrowser;
}

const lib = (file: string) => join(__dirname, '../../lib', file);

export function cookieStore(
  ttl = 10 * 60_000,
  options: CookieStateStoreOptions = { secret: cookieSecret },
  module: unknown = require(lib('cookie-state.ts')),
): PendingSignIns {
  const { CookieStateStore: Store } = module as typeof import('../../lib/cookie-state.ts');
  return new Store(options).pendingSignIns(ttl);
}

export const stateStores: [string, StateStoreKind][] = [
  [
    'SessionStateStore',
    {
      make(ttl, module = require(lib('state.ts'))) {
        return new (module as typeof import('../../lib/state.ts')).SessionStateStore({ ttl });
      },
      file: lib('state.ts'),
      browser: () => new SessionBrowser(),
    },
  ],
  [
    'CookieStateStore',
    {
      make: (ttl, module) => cookieStore(ttl, undefined, module),
      file: lib('cookie-state.ts'),
      browser: () => new CookieBrowser(),
    },
  ],
];

export function begin(
  store: PendingSignIns,
  browser: StoreBrowser,
  app?: unknown,
  verifier?: string,
  bound: StateMetadata = meta,
): string {
  const request = browser.request();
  const state = store.begin(request, verifier, app, bound);
  browser.keep(request);
  return state as string;
}

/** What an answer with the state ends in: `ok` and the application's state, or the code of a failure. */
export function take(store: PendingSignIns, browser: StoreBrowser, state: unknown, bound: StateMetadata = meta) {
  const request = browser.request();
  const taken = store.take(request, state as string, bound);
  browser.keep(request);
  if (taken instanceof Promise) throw new Error('Both stores answer at once');
  return taken.taken ? { ok: taken.verifier ?? true, app: taken.state } : taken.reason;
}
