/** Sessions: where they live, how long they last, and their cookie. Tokens are in them, so they never leave the server. */
import { createHash } from 'node:crypto';
import { RedisStore } from 'connect-redis';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import session, { MemoryStore, type Store } from 'express-session';
import type { Logger } from 'pino';
import { RedisStore as RedisLimitStore, type RedisReply } from 'rate-limit-redis';
import { createClient } from 'redis';
import type { Config } from './config.ts';

declare module 'express-session' {
  interface SessionData {
    /** Epoch milliseconds. */
    signedInAt: number;
  }
}

const minute = 60_000;
/** A session of somebody who has not signed in holds a sign-in that was begun, and nothing else. */
const anonymousLifetime = 15 * minute;
/** After this time without a request a signed-in session ends … */
const idleLifetime = 8 * 60 * minute;
/** … and after this time in any case. */
const absoluteLifetime = 7 * 24 * 60 * minute;

/** What Redis has not answered after this time, it will not. */
const answerWithin = 3000;

export interface SessionStore {
  store: Store;
  /** Where sign-ins are counted for the rate limit; undefined for the memory of this process. */
  limitStore: RedisLimitStore | undefined;
  /** Whether the store can be reached. */
  ready(): Promise<boolean>;
  close(): Promise<void>;
}

/** Redis when it is configured, so that several instances share the sessions; else the memory of this process. */
export function openSessionStore(config: Config, log: Logger): SessionStore {
  if (!config.redisURL) {
    return { store: new MemoryStore(), limitStore: undefined, ready: async () => true, close: async () => {} };
  }
  const client = createClient({
    url: config.redisURL,
    // While Redis is away, requests are answered at once instead of waiting for it.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: answerWithin,
      socketTimeout: answerWithin,
      reconnectStrategy: (attempts) => Math.min(attempts * 100, 2000),
    },
  });
  client.on('error', (error: Error) => log.error({ err: error }, 'Redis is away'));
  client.on('ready', () => log.info('connected to Redis'));
  // Not awaited: the client keeps trying, and until it succeeds pages and /healthz say 503.
  const connect = () => {
    client.connect().catch((error: Error) => log.error({ err: error }, 'Redis is away'));
  };
  connect();
  // The client waits without end for the answer to a command. The socket's timeout does not help while others are sent.
  const watch = setInterval(() => {
    const late = setTimeout(() => {
      log.error('Redis does not answer');
      client.destroy();
      connect();
    }, answerWithin);
    client
      .ping()
      .catch(() => {})
      .finally(() => clearTimeout(late));
  }, 1000);
  return {
    store: new RedisStore({ client }),
    limitStore: new RedisLimitStore({
      prefix: 'sign-ins:',
      sendCommand: (...command) =>
        client.sendCommand<RedisReply>(command).catch((error) => {
          // The store loads its scripts once, and would not get over it if Redis was away just then. But it knows how to
          // load one that has gone, and the answer to SCRIPT LOAD is the script's SHA-1.
          if (command[0] !== 'SCRIPT') throw error;
          return createHash('sha1').update(String(command[2])).digest('hex');
        }),
    }),
    ready: () =>
      client.ping().then(
        () => true,
        () => false,
      ),
    close: async () => {
      clearInterval(watch);
      client.destroy();
    },
  };
}

export function sessions(config: Config, { store }: SessionStore): RequestHandler[] {
  const readSession = session({
    name: sessionCookieName(config),
    secret: config.sessionSecrets,
    store,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    cookie: { ...sessionCookie(config), maxAge: anonymousLifetime },
  });
  return [readSession, endOldSession];
}

/**
 * Under https the prefix makes browsers refuse such a cookie from another host or over http, and wants `Path=/`. Cookies know
 * no ports either. So port and path are in the name, or apps of one host would overwrite each other's:
 * `__Host-session`, `session-3000`, `__Host-session-8443.my-app`.
 */
export function sessionCookieName({ baseURL, basePath }: Config): string {
  const { protocol, port } = new URL(baseURL);
  // No two paths give one name: readConfig takes no escapes of ASCII characters, so that these stand for themselves alone.
  const path = basePath.replace(/[^\w%-]/g, (character) => (character === '/' ? '.' : escapeOf(character)));
  return `${protocol === 'https:' ? '__Host-' : ''}session${port && `-${port}`}${path}`;
}

function escapeOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** The attributes by which the cookie is set, and cleared at sign-out. */
export function sessionCookie(config: Config) {
  return { path: '/', httpOnly: true, sameSite: 'lax', secure: config.baseURL.startsWith('https:') } as const;
}

/** To be called while somebody signs in, before the new session is saved. */
export function beginSignedInSession(req: Request): void {
  req.session.signedInAt = Date.now();
  req.session.cookie.maxAge = idleLifetime;
}

function endOldSession(req: Request, _res: Response, next: NextFunction): void {
  const { signedInAt } = req.session;
  if (signedInAt !== undefined && Date.now() - signedInAt > absoluteLifetime) req.session.regenerate(next);
  else next();
}
