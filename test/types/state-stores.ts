/** Stores that were written for passport-oauth2, in each of their forms. */
import type { Request } from 'express';
import type {
  Metadata,
  StateStore as OAuth2StateStore,
  StateStoreStoreCallback,
  StateStoreVerifyCallback,
} from 'passport-oauth2';
import {
  CookieStateStore,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type StateMetadata,
  type StateStore,
} from 'passport-powerfolder';

declare const options: PowerFolderStrategyOptions;
const use = (store: StateStore) => new PowerFolderStrategy({ ...options, store }, () => false);

type Stored = (error: Error | null, state?: string) => void;
type Found = (error: Error | null, ok?: boolean | string, state?: unknown) => void;

use({
  store(_req: Request, done: Stored) {
    done(null, 'abc');
  },
  verify(_req: Request, state: string, done: Found) {
    done(null, state === 'abc');
  },
});
use({
  store(_req: Request, meta: StateMetadata, done: Stored) {
    done(null, meta.clientID);
  },
  verify(_req: Request, state: string, meta: StateMetadata, done: Found) {
    done(null, state === meta.clientID);
  },
});
use({
  store(_req: Request, _state: unknown, meta: Metadata, done: Stored) {
    done(null, meta.clientID);
  },
  verify(_req: Request, state: string, done: Found) {
    done(null, state === 'abc', { returnTo: '/' });
  },
});
// The longest form needs no annotation.
use({
  store(req, verifier, state, meta, done) {
    done(null, [req.url, verifier, typeof state, meta.strategy].join(''));
  },
  verify(req, state, meta, done) {
    done(null, req.url === state && meta.callbackURL, { returnTo: '/' });
  },
});
use({
  store: async (_req: Request, done: Stored) => done(null, 'abc'),
  verify: async (_req: Request, _state: string, done: Found) => done(null, true),
});

class Store implements StateStore {
  store(_req: Request, _verifier: string | undefined, _state: unknown, _meta: StateMetadata, done: Stored): void {
    done(null, 'abc');
  }
  verify(_req: Request, _state: string, _meta: StateMetadata, done: Found): void {
    done(null, true);
  }
}
use(new Store());
class ShortStore implements StateStore {
  store(_req: Request, done: Stored): void {
    done(null, 'abc');
  }
  verify(_req: Request, _state: string, done: Found): void {
    done(null, true);
  }
}
use(new ShortStore());

/** By the types of passport-oauth2, whose implementation has the callback in either place. */
class TypedStore implements OAuth2StateStore {
  store(req: Request, done: StateStoreStoreCallback): void;
  store(req: Request, meta: Metadata, done: StateStoreStoreCallback): void;
  store(_req: Request, meta: Metadata | StateStoreStoreCallback, done?: StateStoreStoreCallback): void {
    (typeof meta === 'function' ? meta : done)?.(null, 'abc');
  }
  verify(req: Request, state: string, done: StateStoreVerifyCallback): void;
  verify(req: Request, state: string, meta: Metadata, done: StateStoreVerifyCallback): void;
  verify(
    _req: Request,
    _state: string,
    meta: Metadata | StateStoreVerifyCallback,
    done?: StateStoreVerifyCallback,
  ): void {
    (typeof meta === 'function' ? meta : done)?.(null, true, undefined);
  }
}
use(new TypedStore());
declare const oauth2Store: OAuth2StateStore;
use(oauth2Store);
new PowerFolderStrategy({ ...options, store: new CookieStateStore({ secret: 'x'.repeat(32) }) }, () => false);

// @ts-expect-error 'verify' is missing
use({ store: (_req: Request, done: Stored) => done(null, 'abc') });
// @ts-expect-error not assignable
use({ store: (_req: Request, _done: string) => {}, verify: (_req: Request, _state: string, _done: Found) => {} });
