/**
 * The pending sign-ins of a browser, kept in its session (RFC 6749 section 10.12). State is PowerFolder's only defence
 * against a forged authorization response: the server checks neither redirect URIs nor PKCE.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { failure, PowerFolderError, type PowerFolderFailureCode } from './errors.ts';
import { isObject, own } from './http.ts';

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
  store(
    req: Request,
    verifier: string | undefined,
    appState: unknown,
    meta: StateMetadata,
    done: (error: unknown, state?: string) => void,
  ): void;
  /**
   * Ends the wait for an answer: gives the PKCE verifier or true, and the application's state; or false and the reason.
   * Nothing else is a yes.
   */
  verify(
    req: Request,
    state: string,
    meta: StateMetadata,
    done: (error: unknown, ok?: string | boolean, appStateOrReason?: unknown) => void,
  ): void;
}

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

/** Why a state was not accepted: the `info` of a failure. */
export interface Untaken {
  taken: false;
  reason: unknown;
}

/**
 * One begun sign-in. In the session it is a line, `<state> <until> <for> <kept>`: every visitor's session carries it, and
 * express-session goes over each member of a session, at every depth, several times in a request.
 */
interface PendingSignIn {
  state: string;
  /** Epoch milliseconds. */
  until: number;
  /** Digest of {@link StateMetadata}. */
  for: string;
  /** JSON of {@link Kept}, or nothing; {@link used} when the answer has come. */
  kept: string;
}

/** What comes back with the answer: the application's state, and the PKCE code verifier. */
interface Kept {
  app?: unknown;
  pkce?: string | undefined;
}

/** A used sign-in stays until it expires, to tell a second answer from an unknown one. */
const used = 'used';

/** Milliseconds in which a sign-in has to be finished by default. */
export const defaultStateTTL = 10 * 60_000;

const mostPending = 8;
/** Characters of a state at the most. */
export const longestState = 512;

/**
 * States that were used in this process, until they would have expired. Requests that arrive together have each their own
 * copy of the session, and a cookie session can be put back, so that the session alone cannot tell the first answer from
 * the second. They are kept and forgotten a generation at a time: in a Map, deleting the oldest one by one leaves ever
 * more gaps to step over.
 */
export class UsedStates {
  readonly #largestGeneration: number;
  readonly #mostGenerations: number;
  #generations: { states: Set<string>; until: number }[] = [];
  #forgottenUntil = 0;

  /** By default at most 1,000,000 are kept: about 75 MB, and 1,600 sign-ins a second for ten minutes. */
  constructor(largestGeneration = 50_000, mostGenerations = 20) {
    this.#largestGeneration = largestGeneration;
    this.#mostGenerations = mostGenerations;
  }

  /**
   * Epoch milliseconds. When there were too many, the oldest were forgotten before they expired: then nothing that expires
   * up to here may be accepted, and those visitors begin again.
   */
  get forgottenUntil(): number {
    return this.#forgottenUntil;
  }

  has(state: string): boolean {
    return this.#generations.some(({ states }) => states.has(state));
  }

  add(state: string, until: number): void {
    let [newest] = this.#generations;
    if (!newest || newest.states.size >= this.#largestGeneration) {
      const now = Date.now();
      newest = { states: new Set(), until: 0 };
      this.#generations = [newest, ...this.#generations.filter((generation) => generation.until > now)];
      for (const forgotten of this.#generations.splice(this.#mostGenerations)) {
        this.#forgottenUntil = Math.max(this.#forgottenUntil, forgotten.until);
      }
    }
    // A copy, as a part of the session's text would keep the whole of it in memory.
    newest.states.add(Buffer.from(state).toString());
    newest.until = Math.max(newest.until, until);
  }
}

/** Of all strategies in this process: states are random, and no two are the same. */
const usedStates = new UsedStates();

/** Pending sign-ins in `req.session`, a line for each: at most 8, each for one answer, expiring. */
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
    const pending = this.#pending(session).filter(({ until }) => until > now);
    while (pending.length >= mostPending) {
      const spent = pending.findIndex(({ kept }) => kept === used);
      pending.splice(Math.max(spent, 0), 1);
    }
    const nothing = appState === undefined && verifier === undefined;
    const kept = nothing ? '' : JSON.stringify({ app: appState, pkce: verifier } satisfies Kept);
    pending.push({ state, until: now + this.#ttl, for: digestOf(meta), kept });
    session[this.#key] = pending.map(written).join('\n');
    return state;
  }

  /** The sign-in that the state belongs to, which is thereby used. Others stay as they are. */
  take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    const no = (code: PowerFolderFailureCode): Untaken => ({ taken: false, reason: failure(code) });
    if (typeof state !== 'string' || state === '') return no('state_missing');
    if (state.length > longestState) return no('state_unknown');
    const session = sessionOf(req);
    if (!session) return no('session_missing');
    const pending = this.#pending(session);
    const entry = pending.find((one) => equal(one.state, state));
    if (!entry) return no(pending.length === 0 && isSessionNew(req, session) ? 'session_missing' : 'state_unknown');
    if (entry.for !== digestOf(meta)) return no('state_mismatch');
    if (entry.until <= Math.max(Date.now(), usedStates.forgottenUntil)) return no('state_expired');
    if (entry.kept === used || usedStates.has(entry.state)) return no('state_used');
    const remembered = readKept(entry.kept);
    if (!remembered) return no('state_unknown');

    usedStates.add(entry.state, entry.until);
    entry.kept = used;
    session[this.#key] = pending.map(written).join('\n');
    return { taken: true, verifier: own(remembered, 'pkce'), state: own(remembered, 'app') };
  }

  #pending(session: Record<string, unknown>): PendingSignIn[] {
    const lines = notInherited(session, this.#key);
    const pending: PendingSignIn[] = [];
    // Whatever else the application keeps under this name is not ours to trip over.
    for (const line of typeof lines === 'string' ? lines.split('\n') : []) {
      const entry = read(line);
      if (entry) pending.push(entry);
    }
    return pending;
  }
}

function written({ state, until, for: bound, kept }: PendingSignIn): string {
  return `${state} ${until} ${bound} ${kept}`;
}

function read(line: string): PendingSignIn | undefined {
  const match = /^(\S+) (\d+) (\S+) (.*)$/s.exec(line);
  if (!match) return undefined;
  const [, state = '', until, bound = '', kept = ''] = match;
  return { state, until: Number(until), for: bound, kept };
}

/** What a pending sign-in holds; undefined when it is not what was written. */
function readKept(kept: string): Kept | undefined {
  if (kept === '') return {};
  try {
    const json: unknown = JSON.parse(kept);
    if (!isObject(json)) return undefined;
    const pkce = own(json, 'pkce');
    return pkce === undefined || typeof pkce === 'string' ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Drawn for many states at once: a draw is a system call, and costs as much as half of what else begins a sign-in. */
let random = { bytes: Buffer.alloc(0), at: 0 };

/** 128 bits of the system's random source, in the alphabet that PowerFolder asks for. */
function randomState(): string {
  if (random.at >= random.bytes.length) random = { bytes: randomBytes(4096), at: 0 };
  random.at += 16;
  return random.bytes.toString('hex', random.at - 16, random.at);
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
