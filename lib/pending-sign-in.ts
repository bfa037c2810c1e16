/** A sign-in that was begun: what is remembered of it, and what may end the wait for its answer (RFC 6749 section 10.12). */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { PowerFolderFailureCode } from './failures.ts';
import { isObject, own } from './json.ts';
import { longestState, type StateMetadata } from './state-store.ts';
import { UsedStates } from './used-states.ts';

/** One begun sign-in, as JSON in a session or in a cookie. */
export interface PendingSignIn {
  state: string;
  /** Epoch milliseconds. */
  until: number;
  /** Digest of {@link StateMetadata}. */
  for: string;
  /** The application's state. */
  app?: unknown;
  /** The PKCE code verifier. */
  pkce?: string | undefined;
  /** The answer has come. In a session it stays until it expires, to tell a second answer from an unknown one. */
  used?: true;
}

/** Milliseconds in which a sign-in has to be finished by default. */
export const defaultStateTTL = 10 * 60_000;

/** In one browser, at the most. */
export const mostPending = 8;

/** @param ttl Milliseconds in which it has to be finished. */
export function newPendingSignIn(
  verifier: string | undefined,
  appState: unknown,
  meta: StateMetadata,
  ttl: number,
): PendingSignIn {
  return { state: randomState(), until: Date.now() + ttl, for: digestOf(meta), app: appState, pkce: verifier };
}

/** 128 bits of the system's random source, in the alphabet that PowerFolder asks for. */
function randomState(): string {
  return randomBytes(16).toString('hex');
}

/** Whether JSON looks like a pending sign-in of ours: it may be another's. */
export function isPendingSignIn(json: unknown): json is PendingSignIn & Record<string, unknown> {
  if (!isObject(json)) return false;
  const pkce = own(json, 'pkce');
  return (
    typeof own(json, 'state') === 'string' &&
    typeof own(json, 'until') === 'number' &&
    typeof own(json, 'for') === 'string' &&
    (pkce === undefined || typeof pkce === 'string')
  );
}

/** Whether a state can be looked for at all (R6); else why not. */
export function unfit(state: unknown): PowerFolderFailureCode | undefined {
  if (typeof state !== 'string' || state === '') return 'state_missing';
  return state.length > longestState ? 'state_unknown' : undefined;
}

/** Uses a sign-in up, whose answer has come; or says why this cannot be its answer. */
export function useUp(entry: PendingSignIn, meta: StateMetadata): PowerFolderFailureCode | undefined {
  if (entry.for !== digestOf(meta)) return 'state_mismatch';
  if (entry.until <= Math.max(Date.now(), usedStates.forgottenUntil)) return 'state_expired';
  if (own(entry, 'used') || usedStates.has(entry.state)) return 'state_used';
  usedStates.add(entry.state, entry.until);
  return undefined;
}

/** Whether the answer to a state has come to this process. */
export function isUsed(state: string): boolean {
  return usedStates.has(state);
}

/** Of all strategies in this process: states are random, and no two are the same. */
const usedStates = new UsedStates();

/** Compares in constant time for one length, and a state's length is no secret. */
export function equal(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}

/** A strategy gives the same object each time. */
const digests = new WeakMap<StateMetadata, string>();

function digestOf(meta: StateMetadata): string {
  let digest = digests.get(meta);
  if (digest === undefined) {
    const { strategy, authorizationURL, tokenURL, clientID, callbackURL } = meta;
    // JSON keeps the members apart: no two different lists have the same text.
    const text = JSON.stringify([strategy, authorizationURL, tokenURL, clientID, callbackURL]);
    digest = hash('sha256', text, 'base64url').slice(0, 22);
    digests.set(meta, digest);
  }
  return digest;
}

/** An application's state that is longer than what is kept of a sign-in: for whoever wrote the application. */
export function stateTooLong(bytes: number, most: number): TypeError {
  return new TypeError(
    `The state given to passport.authenticate makes a pending sign-in of ${bytes} bytes, and there may be ${most}; give less, such as a path of at most 1,000 characters`,
  );
}
