/** The sessions as they are kept: how they are written and ended. */
import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import { type Session, type SessionData, Store } from 'express-session';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { sessionCookie } from './session-cookie.ts';
import { type Change, MemoryStorage, openRedisStorage, type Storage, serialized } from './storage.ts';
import { isSignedInUser, type SignedInUser } from './user.ts';

declare module 'express-session' {
  interface SessionData {
    /** Epoch milliseconds; in the sessions of those who are signed in. */
    signedInAt: number;
  }
}

const minute = 60_000;
/** A session of somebody who has not signed in holds a sign-in that was begun, and nothing else. */
export const anonymousLifetime = 15 * minute;
/** After this time without a request a signed-in session ends. */
const idleLifetime = 8 * 60 * minute;
/** A signed-in session ends after this time in any case, and its cookie with it. */
export const absoluteLifetime = 7 * 24 * 60 * minute;
/** Reading pages makes a session last longer, but not each page: that would be a write for every request. */
const renewedAfter = minute;
/** For how long a request that a session came with may go on after another one has replaced that session. */
const replacedLifetime = 10 * minute;

/** A session that was to be written does not exist any more: somebody signed out, or signed in, meanwhile. */
export class SessionEnded extends Error {
  override name = 'SessionEnded';
  readonly status = 403;
}

/** Redis when it is configured, so that several instances share the sessions; else the memory of this process. */
export function openSessionStore(config: Config, log: Logger): SessionStore {
  const storage = config.redisURL ? openRedisStorage(config.redisURL, log) : new MemoryStorage();
  return new SessionStore(storage, sessionCookie(config), log);
}

interface Kept {
  text: string | undefined;
  /** When it ends if nobody renews it, in epoch milliseconds. */
  until: number;
}

const sessionKey = (id: string) => `session:${id}`;
/** The id of the session that has taken the place of this one. */
const successorKey = (id: string) => `successor:${id}`;

/**
 * express-session's store. A request has a copy of its session, and express-session writes the whole of it back at the
 * end of the answer. So a session is written only where it still exists, and a new id takes the place of the old one
 * in the same moment: a session that has ended stays so, whatever the requests that came with it do afterwards.
 */
export class SessionStore extends Store {
  readonly storage: Storage;
  readonly #cookie: ReturnType<typeof sessionCookie>;
  readonly #log: Logger;
  /** Sessions that were read from the storage or written to it, as they are there; all others are new. */
  readonly #kept = new WeakMap<object, Kept>();
  /** By the new session: the id of the one that it takes the place of, as soon as it is written. */
  readonly #replaces = new WeakMap<object, string>();
  /** By the request: the id in its cookie, where there was no session with it. */
  readonly #lostIDs = new WeakMap<object, string>();

  constructor(storage: Storage, cookie: ReturnType<typeof sessionCookie>, log: Logger) {
    super();
    this.storage = storage;
    this.#cookie = cookie;
    this.#log = log;
  }

  /** Whether sessions can be written. */
  async ready(): Promise<boolean> {
    return await this.storage.proveWrite().then(
      () => true,
      () => false,
    );
  }

  async close(): Promise<void> {
    await this.storage.close();
  }

  override get(id: string, done: (error: unknown, data?: SessionData) => void): void {
    this.#read(id).then((data) => done(null, data), done);
  }

  /**
   * Writes what has changed. Fails with {@link SessionEnded} when the session, or the one that it is to take the place of, does
   * not exist any more.
   */
  override set(id: string, data: SessionData, done: (error?: unknown) => void = () => {}): void {
    this.#write(id, data).then(() => done(), done);
  }

  override touch(id: string, data: SessionData, done: (error?: unknown) => void = () => {}): void {
    this.#renew(id, data).then(() => done(), done);
  }

  /** Ends a session, and those that have taken its place meanwhile. */
  override destroy(id: string, done: (error?: unknown) => void = () => {}): void {
    this.#end(id).then(() => done(), done);
  }

  /**
   * Ends the session that a request came with, or if a sign-in has replaced it on the way of this request, the new one. The
   * browser has not had its cookie then, or will have it only afterwards.
   *
   * @returns who was signed in.
   */
  async signOut(req: Request): Promise<SignedInUser[]> {
    const id = this.#lostIDs.get(req) ?? req.sessionID;
    dropSession(req);
    return await this.#end(id);
  }

  /** For express-session, which asks for an id when a request has none, or one of no session. */
  newID(req: Request): string {
    const { sessionID } = req;
    if (sessionID && !req.session) this.#lostIDs.set(req, sessionID);
    return randomBytes(24).toString('base64url');
  }

  /** A session with a new id, which takes the place of the old one when it is written, or fails to. */
  override regenerate(req: Request, done: (error?: unknown) => void): void {
    const { session: old, sessionID } = req;
    const replaces = this.#kept.has(old) ? sessionID : this.#replaces.get(old);
    req.sessionStore.generate(req);
    if (replaces !== undefined) this.#replaces.set(req.session, replaces);
    done();
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    const { signedInAt } = data;
    const maxAge = signedInAt === undefined ? anonymousLifetime : signedInAt + absoluteLifetime - Date.now();
    // The cookie is as the configuration says, and not as it once was.
    const cookie = { ...this.#cookie, originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge) };
    const created = super.createSession(req, { ...data, cookie });
    this.#kept.set(created, this.#kept.get(data) ?? { text: undefined, until: 0 });
    return created;
  }

  /** Whether another session has taken the place of this one, and lasts. */
  async isReplaced(id: string): Promise<boolean> {
    const successor = await this.storage.get(successorKey(id));
    return successor !== undefined && (await this.storage.get(sessionKey(successor))) !== undefined;
  }

  async #read(id: string): Promise<SessionData | undefined> {
    const entry = await this.storage.entry(sessionKey(id));
    if (entry === undefined) return undefined;
    const data = parse(entry.value);
    if (isSessionData(data)) {
      this.#kept.set(data, { text: entry.value, until: Date.now() + entry.ttl });
      return data;
    }
    this.#log.warn({ event: 'unreadable', code: 'session' }, 'a session cannot be read');
    return undefined;
  }

  async #write(id: string, session: SessionData): Promise<void> {
    const { cookie: _, ...data } = session;
    const ttl = lifetime(session);
    const kept = this.#kept.get(session);
    const replaces = kept ? undefined : this.#replaces.get(session);
    const value = serialized(data);
    // Passport has saved it at sign-in, and express-session saves it again at the end of the answer.
    if (kept?.text === value) return await this.#renew(id, session);
    const changes: Change[] = [{ key: sessionKey(id), if: kept ? 'present' : 'absent', value, ttl }];
    if (replaces !== undefined) {
      changes.push(
        { key: sessionKey(replaces), if: 'present', value: null },
        { key: successorKey(replaces), value: id, ttl: replacedLifetime },
      );
    }
    if (!(await this.storage.change(...changes))) throw new SessionEnded('The session ended meanwhile');
    this.#kept.set(session, { text: value, until: Date.now() + ttl });
  }

  async #renew(id: string, session: SessionData): Promise<void> {
    const ttl = lifetime(session);
    const kept = this.#kept.get(session);
    if (kept && kept.until > Date.now() + ttl - renewedAfter) return;
    await this.storage.change({ key: sessionKey(id), ttl });
    if (kept) kept.until = Date.now() + ttl;
  }

  async #end(id: string): Promise<SignedInUser[]> {
    const users: SignedInUser[] = [];
    let next: string | undefined = id;
    for (let ended = 0; next !== undefined; ended++) {
      if (ended > 100) throw new Error('The session was replaced again and again');
      const user = ((await this.#read(next)) as { passport?: { user?: unknown } } | undefined)?.passport?.user;
      if (isSignedInUser(user)) users.push(user);
      // In this order: once it is gone nothing takes its place any more, and what did before is known.
      await this.storage.change({ key: sessionKey(next), value: null });
      next = await this.storage.get(successorKey(next));
    }
    return users;
  }
}

function lifetime({ signedInAt }: Partial<SessionData>): number {
  return signedInAt === undefined ? anonymousLifetime : idleLifetime;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isSessionData(data: unknown): data is SessionData {
  if (typeof data !== 'object' || data === null || Array.isArray(data) || !isShallow(data)) return false;
  const { signedInAt } = data as { signedInAt?: unknown };
  return signedInAt === undefined || Number.isFinite(signedInAt);
}

/** JSON.parse reads deeper texts than JSON.stringify, with which express-session looks for changes, can write. */
function isShallow(value: unknown, levels = 50): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return levels > 0 && Object.values(value).every((each) => isShallow(each, levels - 1));
}

/** Has the session neither written nor its cookie sent at the end of the answer. */
export function dropSession(req: Request): void {
  delete (req as { session?: unknown }).session;
}
