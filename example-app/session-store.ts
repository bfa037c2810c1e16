/** The sessions as they are kept: how they are written and ended, and the tokens beside each. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Request } from 'express';
import { type Session, type SessionData, Store } from 'express-session';
import type { PowerFolderTokens } from 'passport-powerfolder';
import type { Logger } from 'pino';
import type { Config } from './config.ts';
import { sessionCookie } from './session-cookie.ts';
import { type Change, longestText, MemoryStorage, openRedisStorage, type Storage, StorageError } from './storage.ts';

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
export const idleLifetime = 8 * 60 * minute;
/** For how long a request that a session came with may go on after another one has replaced that session. */
const replacedLifetime = 10 * minute;

/** A refresh takes ten seconds at the most. Who holds the lock longer has died, or has stood still. */
const longestRefresh = 30_000;

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

const sessionKey = (id: string) => `session:${id}`;
const tokensKey = (id: string) => `tokens:${id}`;
/** The id of the session that has taken the place of this one. */
const successorKey = (id: string) => `successor:${id}`;
const refreshKey = (id: string) => `refresh:${id}`;

/**
 * express-session's store. A request has a copy of its session, and express-session writes the whole of it back at the
 * end of the answer. So a session is written only where it still exists, and a new id takes the place of the old one
 * in the same moment: a session that has ended stays so, whatever the requests that came with it do afterwards.
 */
export class SessionStore extends Store {
  readonly storage: Storage;
  readonly #cookie: ReturnType<typeof sessionCookie>;
  readonly #log: Logger;
  /** Sessions that were read from the storage or written to it; all others are new. */
  readonly #known = new WeakSet<object>();
  /** By the new session: the id of the one that it takes the place of, as soon as it is written. */
  readonly #replaces = new WeakMap<object, string>();
  /** By the session: tokens that are to be written with it. */
  readonly #newTokens = new WeakMap<object, PowerFolderTokens>();
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

  /** Fails with {@link SessionEnded} when the session, or the one that it is to take the place of, does not exist any more. */
  override set(id: string, data: SessionData, done: (error?: unknown) => void = () => {}): void {
    this.#write(id, data).then(() => done(), done);
  }

  override touch(id: string, data: SessionData, done: (error?: unknown) => void = () => {}): void {
    const ttl = lifetime(data);
    this.storage.change({ key: sessionKey(id), ttl }, { key: tokensKey(id), ttl }).then(() => done(), done);
  }

  /** Ends a session, and those that have taken its place meanwhile. */
  override destroy(id: string, done: (error?: unknown) => void = () => {}): void {
    this.#end(id).then(() => done(), done);
  }

  /**
   * Ends the session that a request came with, or if a sign-in has replaced it on the way of this request, the new one. The
   * browser has not had its cookie then, or will have it only afterwards.
   */
  async signOut(req: Request): Promise<void> {
    const id = this.#lostIDs.get(req) ?? req.sessionID;
    dropSession(req);
    await this.#end(id);
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
    const replaces = this.#known.has(old) ? sessionID : this.#replaces.get(old);
    req.sessionStore.generate(req);
    if (replaces !== undefined) this.#replaces.set(req.session, replaces);
    done();
  }

  override createSession(req: Request, data: SessionData): Session & SessionData {
    const maxAge = lifetime(data);
    // The cookie is as the configuration says, and not as it once was.
    const cookie = { ...this.#cookie, originalMaxAge: maxAge, expires: new Date(Date.now() + maxAge) };
    const created = super.createSession(req, { ...data, cookie });
    this.#known.add(created);
    return created;
  }

  /** Whether another session has taken the place of this one, and lasts. */
  async isReplaced(id: string): Promise<boolean> {
    const successor = await this.storage.get(successorKey(id));
    return successor !== undefined && (await this.storage.get(sessionKey(successor))) !== undefined;
  }

  /** Has tokens written with a session that is about to be written. */
  addTokens(to: Session, tokens: PowerFolderTokens): void {
    this.#newTokens.set(to, tokens);
  }

  /** @returns the tokens of a session; undefined when it has none, or has ended. */
  async loadTokens(id: string): Promise<PowerFolderTokens | undefined> {
    const text = await this.storage.get(tokensKey(id));
    if (text === undefined) return undefined;
    const tokens = parse(text);
    if (isTokens(tokens)) return tokens;
    this.#log.warn({ event: 'unreadable', code: 'tokens' }, 'the tokens of a session cannot be read');
    return undefined;
  }

  /** Replaces tokens, if they are still the same and the session lasts. @returns whether it did. */
  async replaceTokens(id: string, from: PowerFolderTokens, to: PowerFolderTokens): Promise<boolean> {
    const ttl = idleLifetime;
    return await this.storage.change(
      { key: sessionKey(id), if: 'present', ttl },
      { key: tokensKey(id), is: tokensText(from), value: tokensText(to), ttl },
    );
  }

  /** Does something with the tokens of a session while no other request does, in this instance or another. */
  async lockTokens<T>(id: string, work: () => Promise<T>): Promise<T> {
    const key = refreshKey(id);
    const holder = randomUUID();
    const end = performance.now() + longestRefresh;
    while (!(await this.storage.change({ key, if: 'absent', value: holder, ttl: longestRefresh }))) {
      if (performance.now() > end) throw new StorageError('Another request holds the tokens of this session');
      await pause(50);
    }
    try {
      return await work();
    } finally {
      // Not if it took too long, and another request has it now.
      await this.storage.change({ key, is: holder, value: null }).catch((error) => {
        this.#log.warn({ err: error }, 'a lock stays until it expires');
      });
    }
  }

  async #read(id: string): Promise<SessionData | undefined> {
    const text = await this.storage.get(sessionKey(id));
    if (text === undefined) return undefined;
    const data = parse(text);
    if (isSessionData(data)) return data;
    this.#log.warn({ event: 'unreadable', code: 'session' }, 'a session cannot be read');
    return undefined;
  }

  async #write(id: string, session: SessionData): Promise<void> {
    const { cookie: _, ...data } = session;
    const ttl = lifetime(session);
    const known = this.#known.has(session);
    const tokens = this.#newTokens.get(session);
    const replaces = known ? undefined : this.#replaces.get(session);
    const changes: Change[] = [
      { key: sessionKey(id), if: known ? 'present' : 'absent', value: serialized(data), ttl },
      tokens ? { key: tokensKey(id), value: tokensText(tokens), ttl } : { key: tokensKey(id), ttl },
    ];
    if (replaces !== undefined) {
      changes.push(
        { key: sessionKey(replaces), if: 'present', value: null },
        { key: tokensKey(replaces), value: null },
        { key: successorKey(replaces), value: id, ttl: replacedLifetime },
      );
    }
    if (!(await this.storage.change(...changes))) throw new SessionEnded('The session ended meanwhile');
    this.#known.add(session);
    this.#newTokens.delete(session);
  }

  async #end(id: string): Promise<void> {
    let next: string | undefined = id;
    for (let ended = 0; next !== undefined; ended++) {
      if (ended > 100) throw new Error('The session was replaced again and again');
      // In this order: once it is gone nothing takes its place any more, and what did before is known.
      await this.storage.change({ key: sessionKey(next), value: null }, { key: tokensKey(next), value: null });
      next = await this.storage.get(successorKey(next));
    }
  }
}

function lifetime({ signedInAt }: Partial<SessionData>): number {
  return signedInAt === undefined ? anonymousLifetime : idleLifetime;
}

/** The same tokens have the same text. */
function tokensText({ accessToken, refreshToken, expiresAt }: PowerFolderTokens): string {
  return serialized({ accessToken, refreshToken, expiresAt });
}

/** What is too long is refused here, as it could not be read again. */
function serialized(value: object): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > longestText) throw new RangeError('This is too much to be kept in a session');
  return text;
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

function isTokens(tokens: unknown): tokens is PowerFolderTokens {
  if (typeof tokens !== 'object' || tokens === null) return false;
  const { accessToken, refreshToken, expiresAt } = tokens as Record<string, unknown>;
  const isToken = (token: unknown) => typeof token === 'string' && token !== '';
  return (
    isToken(accessToken) &&
    (refreshToken === undefined || isToken(refreshToken)) &&
    (expiresAt === undefined || (typeof expiresAt === 'number' && Number.isFinite(new Date(expiresAt).getTime())))
  );
}

/** Has the session neither written nor its cookie sent at the end of the answer. */
export function dropSession(req: Request): void {
  delete (req as { session?: unknown }).session;
}
