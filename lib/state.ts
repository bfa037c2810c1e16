/** The pending sign-ins of a browser, kept in its session (RFC 6749 section 10.12). */
import { timingSafeEqual } from 'node:crypto';
import type { Request } from 'express';
import { PowerFolderError } from './errors.ts';
import { own } from './json.ts';
import {
  defaultStateTTL,
  isPendingSignIn,
  mostPending,
  type PendingSignIn,
  pendingSignIn,
  randomState,
  take,
  tooLong,
  untaken,
} from './pending-sign-in.ts';
import {
  longestState,
  type PendingSignIns,
  type StateMetadata,
  type TakenSignIn,
  type Untaken,
} from './state-store.ts';

/** Together they are one text of JSON, since express-session goes over each member of a session. */
type SessionEntry = { state: string } & PendingSignIn;

/** Bytes of that text at the most: of a cookie session, a browser keeps 4096 bytes, and the application's are among them. */
const mostBytes = 2048;

/** Pending sign-ins in `req.session`, as JSON: at most 8 and 2 KiB, each for one answer, expiring. */
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

  /**
   * @throws {PowerFolderError} `session_required`
   * @throws {TypeError} when the application's state alone is too long.
   */
  begin(req: Request, verifier: string | undefined, appState: unknown, meta: StateMetadata): string {
    const session = sessionOf(req);
    if (!session) {
      throw new PowerFolderError(
        'session_required',
        'Signing in with PowerFolder needs a session: use express-session (app.use(session(…))) before passport. Without sessions, give the strategy a CookieStateStore as store.',
      );
    }
    const state = randomState();
    const now = Date.now();
    const pending = read(notInherited(session, this.#key)).filter(({ until }) => until > now);
    pending.push({ state, ...pendingSignIn(this.#ttl, verifier, appState, meta) });
    let text = JSON.stringify(pending);
    while (pending.length > 1 && (pending.length > mostPending || Buffer.byteLength(text) > mostBytes)) {
      const spent = pending.findIndex((one) => own(one, 'used'));
      pending.splice(Math.max(spent, 0), 1);
      text = JSON.stringify(pending);
    }
    const bytes = Buffer.byteLength(text);
    if (bytes > mostBytes) throw tooLong(bytes, 'of the session', mostBytes);
    session[this.#key] = text;
    return state;
  }

  /** The sign-in that the state belongs to, which is thereby used. Others stay as they are. */
  take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    if (typeof state !== 'string' || state === '') return untaken('state_missing');
    if (state.length > longestState) return untaken('state_unknown');
    const session = sessionOf(req);
    if (!session) return untaken('session_missing');
    const pending = read(notInherited(session, this.#key));
    const entry = pending.find((one) => equal(one.state, state));
    if (!entry)
      return untaken(pending.length === 0 && isSessionNew(req, session) ? 'session_missing' : 'state_unknown');
    const answer = take(entry.state, entry, meta);
    if (answer.taken) {
      const spent: SessionEntry = { state: entry.state, until: entry.until, for: entry.for, used: true };
      session[this.#key] = JSON.stringify(pending.map((one) => (one === entry ? spent : one)));
    }
    return answer;
  }
}

/** What is in the session under the store's name. It may be another's: whatever does not look like ours is left out. */
function read(text: unknown): SessionEntry[] {
  if (typeof text !== 'string') return [];
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) ? list.filter(isEntry) : [];
  } catch {
    return [];
  }
}

function isEntry(json: unknown): json is SessionEntry {
  return isPendingSignIn(json) && typeof own(json, 'state') === 'string';
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
