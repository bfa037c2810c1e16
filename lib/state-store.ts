/** Where the state of pending sign-ins is kept: what every store does, and how an application's own is called. */
import type { Request } from 'express';
import { ConfigurationMistake } from './errors.ts';
import { givenReason, type PowerFolderFailureCode } from './failures.ts';
import { calledBack, type Hook } from './hooks.ts';

/** What a sign-in is bound to; an answer of another server, client or strategy does not fit. */
export interface StateMetadata {
  /** The strategy's name. */
  strategy: string;
  authorizationURL: string;
  tokenURL: string;
  clientID: string;
  callbackURL: string;
}

/**
 * Where the state of pending sign-ins is kept: passport-oauth2's interface, so that a store written for it can be used.
 * Its methods are called with as many arguments as they declare, as passport-oauth2 does: `store` with
 * `(req, [[[verifier,] state,] meta,] done)`, `verify` with `(req, state, [meta,] done)`. They answer through `done` only;
 * what they return does not count, but a throw and a rejected promise are errors.
 */
export interface StateStore {
  /** Remembers a sign-in and gives its state, which must be alphanumeric. */
  store:
    | ((req: Request, done: StateStored) => void)
    | ((req: Request, meta: StateMetadata, done: StateStored) => void)
    | ((req: Request, appState: unknown, meta: StateMetadata, done: StateStored) => void)
    | ((req: Request, verifier: string | undefined, appState: unknown, meta: StateMetadata, done: StateStored) => void);
  /**
   * Ends the wait for an answer: gives the PKCE verifier or true, and the application's state; or false and the reason.
   * Nothing else is a yes.
   */
  verify:
    | ((req: Request, state: string, done: StateVerified) => void)
    | ((req: Request, state: string, meta: StateMetadata, done: StateVerified) => void);
}
type StateStored = (error: unknown, state?: string) => void;
type StateVerified = (error: unknown, ok?: string | boolean, appStateOrReason?: unknown) => void;

/** Characters of a state at the most. */
export const longestState = 512;

/** Where a strategy keeps the sign-ins that were begun. */
export interface PendingSignIns {
  /** Remembers a sign-in. @returns its state. */
  begin(req: Request, verifier: string | undefined, appState: unknown, meta: StateMetadata): unknown;
  /** Ends the wait for an answer. @returns what was remembered, or why the answer is none that was waited for. */
  take(req: Request, state: string, meta: StateMetadata): TakenSignIn | Untaken | Promise<TakenSignIn | Untaken>;
}

/** A sign-in whose answer has come. */
export interface TakenSignIn {
  taken: true;
  /** The PKCE code verifier. */
  verifier: string | undefined;
  /** The application's state. */
  state: unknown;
}

/** Why a state was not accepted: a code, or the `info` that an application's store gave. */
export interface Untaken {
  taken: false;
  reason: PowerFolderFailureCode | object;
}

/**
 * An application's state store, called as passport-oauth2 does: with as many arguments as its methods declare.
 *
 * @throws {TypeError} when a method declares another number: then it is not known where it expects its callback.
 */
export function calledStore(store: { store: Hook; verify: Hook }, pkce: boolean): PendingSignIns {
  // Read once: a test's spy in a method's place declares nothing.
  const lengths = { store: store.store.length, verify: store.verify.length };
  if (lengths.store < 2 || lengths.store > 5) {
    throw new TypeError(
      `store.store declares ${lengths.store} parameters; it must declare (req, [[[verifier,] state,] meta,] done), since it is called with as many as it declares`,
    );
  }
  if (lengths.verify !== 3 && lengths.verify !== 4) {
    throw new TypeError(
      `store.verify declares ${lengths.verify} parameters; it must declare (req, state, [meta,] done), since it is called with as many as it declares`,
    );
  }
  if (pkce && lengths.store !== 5) {
    throw new ConfigurationMistake('pkce', 'needs a store whose store method takes (req, verifier, state, meta, done)');
  }
  return {
    async begin(req, verifier, appState, meta) {
      const args = [verifier, appState, meta].slice(5 - lengths.store);
      const [state] = await calledBack('store.store', (done) => store.store(req, ...args, done));
      return state;
    },
    async take(req, state, meta) {
      const args = lengths.verify === 4 ? [state, meta] : [state];
      const [ok, value] = await calledBack('store.verify', (done) => store.verify(req, ...args, done));
      if (!ok) return { taken: false, reason: givenReason(value, 'state_unknown') ?? 'state_unknown' };
      if (ok === true || typeof ok === 'string') {
        return { taken: true, verifier: ok === true ? undefined : ok, state: value };
      }
      throw new TypeError('store.verify gave neither true, nor a PKCE verifier, nor false');
    },
  };
}
