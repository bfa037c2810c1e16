/**
 * The pending sign-ins of a browser, kept in its session (RFC 6749 section 10.12). State is PowerFolder's only defence
 * against a forged authorization response: the server checks neither redirect URIs nor PKCE.
 */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { failure, PowerFolderError, type PowerFolderFailure } from './errors.ts';
import { bare } from './http.ts';

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
 * Stores are called with as many parameters as their methods declare, as passport-oauth2 does.
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
   */
  verify(
    req: Request,
    state: string,
    meta: StateMetadata,
    done: (error: unknown, ok?: string | boolean, appStateOrReason?: unknown) => void,
  ): void;
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
 * copy of the session, so that the session alone cannot tell the first from the second. They are forgotten a generation
 * at a time: in a Map, deleting the oldest one by one leaves ever more gaps to step over.
 */
let usedStates = { states: new Set<string>(), until: 0 };
let olderUsedStates = { states: new Set<string>(), until: 0 };
const largestGeneration = 50_000;

/** Pending sign-ins in `req.session`, a line for each: at most 8, each for one answer, expiring. */
export class SessionStateStore implements StateStore {
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

  store(
    req: Request,
    verifier: string | undefined,
    appState: unknown,
    meta: StateMetadata,
    done: (error: unknown, state?: string) => void,
  ): void {
    const session = sessionOf(req);
    if (!session) {
      done(
        new PowerFolderError(
          'session_required',
          'Signing in with PowerFolder needs a session: use express-session (app.use(session(…))) before passport.',
        ),
      );
      return;
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
    done(null, state);
  }

  verify(
    req: Request,
    state: string,
    meta: StateMetadata,
    done: (error: unknown, ok?: string | boolean, appStateOrReason?: unknown) => void,
  ): void {
    const taken = bare(this.#take(req, state, meta));
    if ('code' in taken) done(null, false, taken);
    else done(null, taken.pkce ?? true, taken.app);
  }

  /** The sign-in that the state belongs to, which is thereby used; or why there is none. Others stay as they are. */
  #take(req: Request, state: unknown, meta: StateMetadata): Kept | PowerFolderFailure {
    if (typeof state !== 'string' || state === '') return failure('state_missing');
    if (state.length > longestState) return failure('state_unknown');
    const session = sessionOf(req);
    if (!session) return failure('session_missing');
    const pending = this.#pending(session);
    const entry = pending.find((one) => equal(one.state, state));
    if (!entry) return failure('state_unknown');
    if (entry.for !== digestOf(meta)) return failure('state_mismatch');
    if (entry.until <= Date.now()) return failure('state_expired');
    if (entry.kept === used || wasUsed(entry)) return failure('state_used');

    rememberUsed(entry);
    const { kept } = entry;
    entry.kept = used;
    session[this.#key] = pending.map(written).join('\n');
    return kept === '' ? {} : (JSON.parse(kept) as Kept);
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

function wasUsed({ state }: PendingSignIn): boolean {
  return usedStates.states.has(state) || olderUsedStates.states.has(state);
}

function rememberUsed({ state, until }: PendingSignIn): void {
  if (olderUsedStates.until <= Date.now() || usedStates.states.size >= largestGeneration) {
    olderUsedStates = usedStates;
    usedStates = { states: new Set(), until: 0 };
  }
  // A copy, as a part of the session's text would keep the whole of it in memory.
  usedStates.states.add(Buffer.from(state).toString());
  usedStates.until = Math.max(usedStates.until, until);
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
