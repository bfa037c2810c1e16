/**
 * A sign-in that was begun (RFC 6749 section 10.12): what is remembered of it, wherever that is kept, and when its answer is
 * accepted. State is PowerFolder's only defence against a forged authorization response: the server checks neither
 * redirect URIs nor PKCE.
 */
import { hash, randomBytes } from 'node:crypto';
import type { PowerFolderFailureCode } from './failures.ts';
import { isObject, own } from './json.ts';
import type { StateMetadata, TakenSignIn, Untaken } from './state-store.ts';
import { UsedStates } from './used-states.ts';

/** What is remembered of a sign-in beside its state. */
export interface PendingSignIn {
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

/** Pending sign-ins of one browser at the most. */
export const mostPending = 8;

/** 128 bits of the system's random source, in the alphabet that PowerFolder asks for. */
export function randomState(): string {
  return randomBytes(16).toString('hex');
}

/** @param ttl Milliseconds in which it has to be finished. */
export function pendingSignIn(
  ttl: number,
  verifier: string | undefined,
  appState: unknown,
  meta: StateMetadata,
): PendingSignIn {
  return { until: Date.now() + ttl, for: digestOf(meta), app: appState, pkce: verifier };
}

/** Whether JSON, which may be another's, is what {@link pendingSignIn} makes. */
export function isPendingSignIn(json: unknown): json is PendingSignIn & Record<string, unknown> {
  if (!isObject(json)) return false;
  const pkce = own(json, 'pkce');
  return (
    typeof own(json, 'until') === 'number' &&
    typeof own(json, 'for') === 'string' &&
    (pkce === undefined || typeof pkce === 'string')
  );
}

/** Takes the sign-in that was remembered for a state, if this is its answer; each is taken once in a process. */
export function take(state: string, pending: PendingSignIn, meta: StateMetadata): TakenSignIn | Untaken {
  if (pending.for !== digestOf(meta)) return untaken('state_mismatch');
  if (pending.until <= Math.max(Date.now(), usedStates.forgottenUntil)) return untaken('state_expired');
  if (own(pending, 'used') || usedStates.has(state)) return untaken('state_used');
  usedStates.add(state, pending.until);
  return { taken: true, verifier: own(pending, 'pkce'), state: own(pending, 'app') };
}

export function untaken(code: PowerFolderFailureCode): Untaken {
  return { taken: false, reason: code };
}

/** Whether an answer with this state was accepted in this process, and not too long ago to be remembered. */
export function wasUsed(state: string): boolean {
  return usedStates.has(state);
}

/** What the application gave cannot wait where the others do. */
export function tooLong(bytes: number, place: string, most: number): TypeError {
  return new TypeError(
    `The state given to passport.authenticate('powerfolder', { state }) is too long: with it, the pending sign-in takes ${bytes} bytes ${place}, where ${most} are the most. Give less, and limit what comes from the visitor, such as a return path`,
  );
}

/** Of all strategies and stores in this process: states are random, and no two are the same. */
const usedStates = new UsedStates();

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
