/**
 * The pending sign-ins of a browser, kept in its session (RFC 6749 section 10.12). State is PowerFolder's only defence
 * against a forged authorization response: the server checks neither redirect URIs nor PKCE.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { PowerFolderError } from './errors.ts';
import { failure, type PowerFolderFailureCode } from './failures.ts';
import { isObject, own } from './json.ts';
import {
  longestState,
  type PendingSignIns,
  type StateMetadata,
  type TakenSignIn,
  type Untaken,
} from './state-store.ts';
import { UsedStates } from './used-states.ts';

/** One begun sign-in. Together they are one text of JSON, since express-session goes over each member of a session. */
interface PendingSignIn {
  state: string;
  /** Epoch milliseconds. */
  until: number;
  /** Digest of {@link StateMetadata}. */
  for: string;
  /** The application's state. */
  app?: unknown;
  /** The PKCE code verifier. */
  pkce?: string | undefined;
  /** The answer has come. It stays until it expires, to tell a second answer from an unknown one. */
  used?: true;
}

/** Milliseconds in which a sign-in has to be finished by default. */
export const defaultStateTTL = 10 * 60_000;

const mostPending = 8;

/** Pending sign-ins in `req.session`, as JSON: at most 8, each for one answer, expiring. */
export class SessionStateStore implements PendingSignIns {
  readonly #key: string;
  readonly #ttl: number;

  /**
   * @param options.key Their name in the session.
   * @param options.ttl Milliseconds in which a sign-in has to be finished.
   */
  constructor({
    key = 'powerfolder',
    ttl = defaultStateTTL,
  }: { key?: string | undefined; ttl?: number | undefined } = {}) {
    this.#key = key;
    this.#ttl = ttl;
  }

  /** @throws {PowerFolderError} `session_required` */
  begin(req: Request, verifier: string | undefined, appState: unknown, meta: StateMetadata): string {
    const session = sessionOf(req);
    if (!session) {
      throw new PowerFolderError(
        'session_required',
        'Signing in with PowerFolder needs a session: use express-session (app.use(session(…))) before passport.',
      );
    }
    const now = Date.now();
    const state = randomState();
    const pending = read(notInherited(session, this.#key)).filter(({ until }) => until > now);
    while (pending.length >= mostPending) {
      const spent = pending.findIndex((entry) => own(entry, 'used'));
      pending.splice(Math.max(spent, 0), 1);
    }
    pending.push({ state, until: now + this.#ttl, for: digestOf(meta), app: appState, pkce: verifier });
    session[this.#key] = JSON.stringify(pending);
    return state;
  }

  /** The sign-in that the state belongs to, which is thereby used. Others stay as they are. */
  take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    const no = (code: PowerFolderFailureCode): Untaken => ({ taken: false, reason: failure(code) });
    if (typeof state !== 'string' || state === '') return no('state_missing');
    if (state.length > longestState) return no('state_unknown');
    const session = sessionOf(req);
    if (!session) return no('session_missing');
    const pending = read(notInherited(session, this.#key));
    const entry = pending.find((one) => equal(one.state, state));
    if (!entry) return no(pending.length === 0 && isSessionNew(req, session) ? 'session_missing' : 'state_unknown');
    if (entry.for !== digestOf(meta)) return no('state_mismatch');
    if (entry.until <= Math.max(Date.now(), usedStates.forgottenUntil)) return no('state_expired');
    if (own(entry, 'used') || usedStates.has(entry.state)) return no('state_used');

    usedStates.add(entry.state, entry.until);
    const spent: PendingSignIn = { state: entry.state, until: entry.until, for: entry.for, used: true };
    session[this.#key] = JSON.stringify(pending.map((one) => (one === entry ? spent : one)));
    return { taken: true, verifier: own(entry, 'pkce'), state: own(entry, 'app') };
  }
}

/** Of all strategies in this process: states are random, and no two are the same. */
const usedStates = new UsedStates();

/** What is in the session under the store's name. It may be another's: whatever does not look like ours is left out. */
function read(text: unknown): PendingSignIn[] {
  if (typeof text !== 'string') return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter(isPendingSignIn) : [];
  } catch {
    return [];
  }
}

function isPendingSignIn(json: unknown): json is PendingSignIn & Record<string, unknown> {
  if (!isObject(json)) return false;
  const pkce = own(json, 'pkce');
  return (
    typeof own(json, 'state') === 'string' &&
    typeof own(json, 'until') === 'number' &&
    typeof own(json, 'for') === 'string' &&
    (pkce === undefined || typeof pkce === 'string')
  );
}

/** 128 bits of the system's random source, in the alphabet that PowerFolder asks for. */
function randomState(): string {
  return randomBytes(16).toString('hex');
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

/**
 * Whether the browser sent no session. express-session makes one for every request: then its ID is in no cookie that came
 * with the request. Its cookies begin with `s:`, so that a session that was sent and is not known any more is told apart.
 */
function isSessionNew(req: Request, session: Record<string, unknown>): boolean {
  const { cookie } = req.headers ?? {};
  if (cookie === undefined) return true;
  // cookie-session and koa-session say it.
  if (session['isNew'] === true) return true;
  return typeof (req as { sessionID?: unknown }).sessionID === 'string' && !/=s(?::|%3A)/i.test(cookie);
}

function sessionOf(req: Request): Record<string, unknown> | undefined {
  return (notInherited(req, 'session') as Record<string, unknown> | null) ?? undefined;
}

/** Not `Object.hasOwn`: frameworks have getters for it. But what all objects have is no visitor's. */
function notInherited(object: object, member: string): unknown {
  const value: unknown = Reflect.get(object, member);
  return value === Reflect.get(Object.prototype, member) ? undefined : value;
}

/** Compares in constant time for one length, and a state's length is no secret. */
function equal(a: string, b: string): boolean {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length && timingSafeEqual(x, y);
}
