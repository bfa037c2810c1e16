/**
 * The pending sign-ins of a browser, kept in its session (RFC 6749 section 10.12). State is PowerFolder's only defence
 * against a forged authorization response: the server checks neither redirect URIs nor PKCE.
 */
import type { Request } from 'express';
import { PowerFolderError } from './errors.ts';
import type { PowerFolderFailureCode } from './failures.ts';
import { own } from './json.ts';
import {
  defaultStateTTL,
  equal,
  isPendingSignIn,
  mostPending,
  newPendingSignIn,
  type PendingSignIn,
  stateTooLong,
  unfit,
  useUp,
} from './pending-sign-in.ts';
import type { PendingSignIns, StateMetadata, TakenSignIn, Untaken } from './state-store.ts';

/** Bytes of all pending sign-ins of a session: a session may be in a cookie, which takes 4096 with all that is in it. */
const mostBytes = 2048;

/** Pending sign-ins in `req.session`, as JSON: at most 8, and at most 2 KiB, each for one answer, expiring. */
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
    const entry = newPendingSignIn(verifier, appState, meta, this.#ttl);
    const pending = read(notInherited(session, this.#key)).filter(({ until }) => until > Date.now());
    pending.push(entry);
    let text = JSON.stringify(pending);
    // A sign-in that was used goes first, and then the oldest.
    while (pending.length > mostPending || Buffer.byteLength(text) > mostBytes) {
      if (pending.length === 1) throw stateTooLong(Buffer.byteLength(text), mostBytes);
      const spent = pending.findIndex((one) => own(one, 'used'));
      pending.splice(Math.max(spent, 0), 1);
      text = JSON.stringify(pending);
    }
    session[this.#key] = text;
    return entry.state;
  }

  /** The sign-in that the state belongs to, which is thereby used. Others stay as they are. */
  take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    const no = (code: PowerFolderFailureCode): Untaken => ({ taken: false, reason: code });
    const problem = unfit(state);
    if (problem) return no(problem);
    const session = sessionOf(req);
    if (!session) return no('session_missing');
    const pending = read(notInherited(session, this.#key));
    const entry = pending.find((one) => equal(one.state, state as string));
    if (!entry) return no(pending.length === 0 && isSessionNew(req, session) ? 'session_missing' : 'state_unknown');
    const unusable = useUp(entry, meta);
    if (unusable) return no(unusable);

    const spent: PendingSignIn = { state: entry.state, until: entry.until, for: entry.for, used: true };
    session[this.#key] = JSON.stringify(pending.map((one) => (one === entry ? spent : one)));
    return { taken: true, verifier: own(entry, 'pkce'), state: own(entry, 'app') };
  }
}

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
