/** Signing in with PowerFolder, and out: the strategy, its routes, and what a sign-in leaves in the session. */
import type { Request, RequestHandler, Response } from 'express';
import { Router } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import passport from 'passport';
import {
  CookieStateStore,
  callbackRoute,
  type PowerFolderFailure,
  PowerFolderStrategy,
  type PowerFolderTokens,
  returnPath,
} from 'passport-powerfolder';
import type { Logger } from 'pino';
import type { AppConfig } from './config.ts';
import { describeError } from './logging.ts';
import { sessionCookie, sessionCookieName } from './session-cookie.ts';
import { dropSession, SessionEnded, type SessionStore } from './session-store.ts';
import { beginSignedInSession } from './sessions.ts';
import { StorageError } from './storage.ts';

/** Who is signed in, as the session on the server keeps it. */
export interface SignedInUser {
  /** The account's ID at the PowerFolder server. E-mail addresses are unverified and can change: don't identify by them. */
  id: string;
  username: string | undefined;
  displayName: string;
  emails: string[];
  /** Bytes. */
  spaceUsed: number | undefined;
  spaceAllowed: number | undefined;
}

/** Tokens are kept beside the session, so that no request writes back old ones with it. */
type NewlySignedIn = SignedInUser & { tokens: PowerFolderTokens };

export function currentUser(req: Request): SignedInUser | undefined {
  return req.user as SignedInUser | undefined;
}

export function createStrategy(config: AppConfig): PowerFolderStrategy {
  const { baseURL, powerFolder, authorizationMethod, sessionSecrets } = config;
  // Sign-ins that were begun wait in cookies: tabs do not get into each other's way, and nothing is kept for who leaves.
  const store = new CookieStateStore({ secret: sessionSecrets });
  const options = { ...powerFolder, callbackURL: `${baseURL}/oauth`, authorizationMethod, store };
  return new PowerFolderStrategy(options, ({ tokens, profile }): NewlySignedIn => {
    // Here an application with a database would find or create its user, or return false to refuse.
    const { id, username, displayName, emails = [], _json: account } = profile;
    return {
      id,
      username,
      displayName,
      emails: emails.map(({ value }) => value),
      spaceUsed: bytes(account['spaceUsed']),
      spaceAllowed: bytes(account['spaceAllowed']),
      tokens,
    };
  });
}

function isSignedInUser(user: unknown): user is SignedInUser {
  if (typeof user !== 'object' || user === null) return false;
  const { id, username, displayName, emails, spaceUsed, spaceAllowed } = user as Record<string, unknown>;
  return (
    typeof id === 'string' &&
    id !== '' &&
    (username === undefined || typeof username === 'string') &&
    typeof displayName === 'string' &&
    Array.isArray(emails) &&
    emails.every((email) => typeof email === 'string') &&
    [spaceUsed, spaceAllowed].every((space) => space === undefined || bytes(space) !== undefined)
  );
}

function bytes(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** A Passport of this app's own, so that two apps in one process (tests) do not share it. */
export function createPassport(strategy: PowerFolderStrategy): passport.Authenticator {
  const authenticator = new passport.Passport();
  authenticator.use(strategy);
  authenticator.serializeUser(
    (req: Request, newlySignedIn: Express.User, done: (error: unknown, user: Express.User) => void) => {
      const { tokens, ...user } = newlySignedIn as NewlySignedIn;
      beginSignedInSession(req, tokens);
      done(null, user);
    },
  );
  authenticator.deserializeUser(
    (req: Request, user: unknown, done: (error: unknown, user: Express.User | false) => void) => {
      // Another version of this app may have written something else.
      const usable = isSignedInUser(user) && req.session.signedInAt !== undefined;
      if (!usable) req.log.warn({ event: 'unreadable', code: 'user' }, 'the user of a session cannot be read');
      done(null, usable && user);
    },
  );
  return authenticator;
}

/** Lets signed-in visitors pass; others sign in and come back. */
export function requireSignIn(base: string): RequestHandler {
  return (req, res, next) => {
    if (req.user) return next();
    requireVisit(req, res, () => {
      res.redirect(`${base}/auth/powerfolder?returnTo=${encodeURIComponent(req.originalUrl)}`);
    });
  };
}

/**
 * Lets pass who will see the page: a sign-in that a script, a picture, a prefetch or a link scanner begins would be for
 * nobody, and push out one that the visitor has begun. Browsers tell by Fetch Metadata; other clients say nothing.
 */
const requireVisit: RequestHandler = (req, res, next) => {
  const { 'sec-fetch-mode': mode = 'navigate', 'sec-fetch-dest': dest = 'document' } = req.headers;
  const purpose = `${req.get('Sec-Purpose')} ${req.get('Purpose')}`;
  const isVisit =
    req.method === 'GET' && mode === 'navigate' && dest === 'document' && !/prefetch|prerender/i.test(purpose);
  if (isVisit) return next();
  res.status(401).render('error', {
    title: 'Please sign in',
    message: 'This is for people who are signed in. Please open it as a page of its own to sign in.',
  });
};

/** Where to begin a sign-in that leads to where another one, with this state, was to lead. */
export function signInURL(base: string, state: unknown): string {
  const returnTo = returnPath((state as { returnTo?: unknown } | undefined)?.returnTo, base);
  return `${base}/auth/powerfolder${returnTo ? `?returnTo=${encodeURIComponent(returnTo)}` : ''}`;
}

export function signInRoutes(
  config: AppConfig,
  authenticator: passport.Authenticator,
  sessionStore: SessionStore,
  log: Logger,
): Router {
  const base = config.basePath;
  const routes = Router();

  // Each sign-in is a question at the server.
  const limit = rateLimit({
    windowMs: 60_000,
    limit: config.signInLimit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // One visitor has all addresses of an IPv6 network, by default a /56. Who has left already may have no address any more.
    keyGenerator: ({ ip }) => (ip === undefined ? 'unknown' : ipKeyGenerator(ip)),
    ...(sessionStore.storage.limitStore && { store: sessionStore.storage.limitStore }),
    // While Redis is away nobody can sign in, and the pages that say so do it better than a limit that cannot count.
    passOnStoreError: true,
    logger: onceAMinute(log),
    handler: (req, res) => {
      req.log.warn({ event: 'sign-in refused', code: 'rate_limited' }, 'sign-in refused');
      res.status(429).render('error', {
        title: 'Please wait a minute',
        message: 'There were many sign-ins from your network just now. Nothing is wrong with your account.',
        retry: `${base}/auth/powerfolder`,
      });
    },
  });

  // Before a sign-in begins, and before an answer uses it up.
  const requireStorage: RequestHandler = async (_req, _res, next) => {
    if (!(await sessionStore.ready())) throw new StorageError('A sign-in needs sessions that can be written');
    next();
  };

  routes.get('/auth/powerfolder', requireVisit, limit, requireStorage, (req, res, next) => {
    const state = { returnTo: returnPath(req.query['returnTo'], base), signedIn: req.user !== undefined };
    authenticator.authenticate('powerfolder', { state })(req, res, next);
  });

  routes.get(callbackRoute('/oauth'), limit, requireStorage, (req, res, next) => {
    const done: passport.AuthenticateCallback = (error, user, info, status) => {
      if (error) {
        req.log.warn({ event: 'sign-in failed', code: describeError(error)['code'] ?? 'error' }, 'sign-in failed');
        return next(error);
      }
      if (!user) return fail(info as PowerFolderFailure, Number(status) || 401);
      const { state } = info as { state?: { returnTo?: unknown; signedIn?: boolean } };
      const { sessionID } = req;
      // Begun by somebody who has signed out since then, in another tab.
      if (state?.signedIn && !req.user) return endedMeanwhile(req, res, sessionID, state).catch(next);
      // Passport gives the session a new id and leaves what was in the old one behind. If the old one has ended meanwhile, it
      // cannot be saved, and nobody is signed in.
      req.logIn(user, (error) => {
        if (error instanceof SessionEnded) return endedMeanwhile(req, res, sessionID, state).catch(next);
        if (error) return next(Object.assign(error, { state }));
        req.log.info({ event: 'signed in', user: (user as SignedInUser).id }, 'signed in');
        res.redirect(returnPath(state?.returnTo, base) ?? `${base}/`);
      });
    };

    const fail = ({ code, message, state }: PowerFolderFailure, status: number) => {
      req.log.warn({ event: 'sign-in failed', code }, 'sign-in failed');
      // A second tab, the back button: whoever is signed in already has nothing to do here.
      const stale =
        code.startsWith('state_') ||
        code === 'session_missing' ||
        (code === 'invalid_callback' && /\/oauth\/?$/i.test(req.originalUrl));
      if (req.user && stale) return res.redirect(`${base}/`);
      const title = code === 'access_denied' ? 'You did not allow access' : 'You are not signed in';
      res.status(status).render('error', { title, message, retry: signInURL(base, state) });
    };

    authenticator.authenticate('powerfolder', done)(req, res, next);
  });

  /** The session that a sign-in belongs to ended on the way: by a sign-out, or by another sign-in of this browser. */
  async function endedMeanwhile(req: Request, res: Response, id: string, state: unknown): Promise<void> {
    dropSession(req);
    const { returnTo } = (state ?? {}) as { returnTo?: unknown };
    if (await sessionStore.isReplaced(id)) return res.redirect(returnPath(returnTo, base) ?? `${base}/`);
    req.log.warn({ event: 'sign-in failed', code: 'signed_out' }, 'sign-in failed');
    res.status(403).render('error', {
      title: 'You have signed out',
      message:
        'You signed out while you were being signed in, so you are not. If you want to be, please sign in again.',
      retry: signInURL(base, state),
    });
  }

  routes.post('/logout', async (req, res) => {
    const user = currentUser(req);
    await sessionStore.signOut(req);
    if (user) req.log.info({ event: 'signed out', user: user.id }, 'signed out');
    res.clearCookie(sessionCookieName(config), sessionCookie(config));
    res.redirect(303, `${base}/signed-out`);
  });

  routes.get('/signed-out', (req, res) => {
    if (req.user) res.redirect(`${base}/`);
    else res.render('signed-out', { powerFolderLogout: `${config.powerFolder.serverURL.replace(/\/+$/, '')}/logout` });
  });

  return routes;
}

/** Each of the messages once a minute: while limits cannot be counted, every request has the same to say. */
function onceAMinute(log: Logger): { error: (error: unknown, message?: string) => void; warn: typeof log.warn } {
  const said = new Map<string | undefined, number>();
  return {
    warn: log.warn.bind(log),
    error(err, message) {
      const now = Date.now();
      if (now - (said.get(message) ?? 0) < 60_000) return;
      said.set(message, now);
      log.error({ err }, message);
    },
  };
}
