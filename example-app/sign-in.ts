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
  returnPath,
} from 'passport-powerfolder';
import type { Logger } from 'pino';
import type { AppConfig } from './config.ts';
import { languageOf, textsOf } from './language.ts';
import { describeError } from './logging.ts';
import { sessionCookie, sessionCookieName } from './session-cookie.ts';
import { dropSession, SessionEnded, type SessionStore } from './session-store.ts';
import { beginSignedInSession } from './sessions.ts';
import { bytes, isSignedInUser, type SignedInUser } from './user.ts';
import type { Users } from './users.ts';

export function currentUser(req: Request): SignedInUser | undefined {
  return req.user as SignedInUser | undefined;
}

export function createStrategy(config: AppConfig, users: Users): PowerFolderStrategy {
  const { baseURL, powerFolder, authorizationMethod, sessionSecrets } = config;
  // Sign-ins that were begun wait in cookies: tabs do not get into each other's way, and nothing is kept for who leaves.
  const store = new CookieStateStore({ secret: sessionSecrets });
  const callbackURL = `${baseURL}/oauth`;
  const options = { ...powerFolder, callbackURL, authorizationMethod, store, language: languageOf };
  return new PowerFolderStrategy(options, async ({ tokens, profile }) => {
    const { id, username, displayName, emails = [], _json: account } = profile;
    const user: SignedInUser = {
      id,
      username,
      displayName,
      emails: emails.map(({ value }) => value),
      spaceUsed: bytes(account['spaceUsed']),
      spaceAllowed: bytes(account['spaceAllowed']),
    };
    const known = await users.signIn(user, tokens);
    if (known === false || isSignedInUser(known)) return known;
    throw new TypeError('signIn of the users gave neither a user nor false, so nobody is signed in');
  });
}

/** A Passport of this app's own, so that two apps in one process (tests) do not share it. */
export function createPassport(strategy: PowerFolderStrategy): passport.Authenticator {
  const authenticator = new passport.Passport();
  authenticator.use(strategy);
  authenticator.serializeUser(
    (req: Request, user: Express.User, done: (error: unknown, user: Express.User) => void) => {
      beginSignedInSession(req);
      done(null, user);
    },
  );
  authenticator.deserializeUser(
    (req: Request, user: unknown, done: (error: unknown, user: Express.User | false) => void) => {
      const usable = isSignedInUser(user) && req.session.signedInAt !== undefined;
      if (!usable) req.log.warn({ event: 'unreadable', code: 'user' }, 'the user of a session cannot be read');
      done(null, usable && user);
    },
  );
  return authenticator;
}

/**
 * Lets signed-in visitors pass, and others sign in and come back.
 *
 * @param isAllowed Who may pass, if not everybody: `(user) => user.role === 'admin'`.
 */
export function requireSignIn(base: string, isAllowed: (user: SignedInUser) => boolean = () => true): RequestHandler {
  return (req, res, next) => {
    const user = currentUser(req);
    if (user && isAllowed(user)) return next();
    if (user) {
      const [title, message] = textsOf(res).errors.notAllowed;
      return res.status(403).render('error', { title, message });
    }
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
  const [title, message] = textsOf(res).errors.signInFirst;
  res.status(401).render('error', { title, message });
};

/** Where to begin a sign-in that leads to where another one, with this state, was to lead. */
export function signInURL(base: string, state: unknown): string {
  const returnTo = returnPath((state as { returnTo?: unknown } | undefined)?.returnTo, base);
  return `${base}/auth/powerfolder${returnTo ? `?returnTo=${encodeURIComponent(returnTo)}` : ''}`;
}

export function signInRoutes(
  config: AppConfig,
  authenticator: passport.Authenticator,
  { sessionStore, users, log }: { sessionStore: SessionStore; users: Users; log: Logger },
): Router {
  const base = config.basePath;
  const { limitStore } = sessionStore.storage;
  const routes = Router();

  // Each sign-in is a question at the server.
  const limit = rateLimit({
    windowMs: 60_000,
    limit: config.signInLimit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // One visitor has all addresses of an IPv6 network, by default a /56. Who has left already may have no address any more.
    keyGenerator: ({ ip }) => (ip === undefined ? 'unknown' : ipKeyGenerator(ip)),
    ...(limitStore && { store: limitStore }),
    logger: log,
    handler: (req, res) => {
      req.log.warn({ event: 'sign-in refused', code: 'rate_limited' }, 'sign-in refused');
      const [title, message] = textsOf(res).errors.tooMany;
      res.status(429).render('error', { title, message, retry: `${base}/auth/powerfolder` });
    },
  });

  // Before a sign-in begins, and before an answer uses it up. Where sign-ins are counted in Redis, the count has shown it.
  const requireStorage: RequestHandler = async (_req, _res, next) => {
    if (!limitStore) await sessionStore.storage.proveWrite();
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
      const { id } = user as SignedInUser;
      if (state?.signedIn && !req.user) return endedMeanwhile(req, res, { id, sessionID, state }).catch(next);
      // Passport gives the session a new id and leaves what was in the old one behind. If the old one has ended meanwhile, it
      // cannot be saved, and nobody is signed in.
      req.logIn(user, (error) => {
        if (error instanceof SessionEnded) return endedMeanwhile(req, res, { id, sessionID, state }).catch(next);
        if (error) return next(Object.assign(error, { state }));
        req.log.info({ event: 'signed in', user: id }, 'signed in');
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
      const { declined, notSignedIn } = textsOf(res).errors;
      const [title, text] = code === 'access_denied' ? declined : [notSignedIn[0], message];
      res.status(status).render('error', { title, message: text, retry: signInURL(base, state) });
    };

    authenticator.authenticate('powerfolder', done)(req, res, next);
  });

  /** The session that a sign-in belongs to ended on the way: by a sign-out, or by another sign-in of this browser. */
  async function endedMeanwhile(
    req: Request,
    res: Response,
    { id, sessionID, state }: { id: string; sessionID: string; state: { returnTo?: unknown } | undefined },
  ): Promise<void> {
    dropSession(req);
    delete res.locals['user'];
    if (await sessionStore.isReplaced(sessionID)) return res.redirect(returnPath(state?.returnTo, base) ?? `${base}/`);
    await users.forgetTokens(id);
    req.log.warn({ event: 'sign-in failed', code: 'signed_out' }, 'sign-in failed');
    const [title, message] = textsOf(res).errors.signedOut;
    res.status(403).render('error', { title, message, retry: signInURL(base, state) });
  }

  routes.post('/logout', async (req, res) => {
    for (const { id } of await sessionStore.signOut(req)) {
      // In all browsers in which this user is signed in, the next look at a folder is a new sign-in.
      await users.forgetTokens(id);
      req.log.info({ event: 'signed out', user: id }, 'signed out');
    }
    res.clearCookie(sessionCookieName(config), sessionCookie(config));
    res.redirect(303, `${base}/signed-out`);
  });

  routes.get('/signed-out', (req, res) => {
    if (req.user) res.redirect(`${base}/`);
    else res.render('signed-out', { powerFolderLogout: `${config.powerFolder.serverURL.replace(/\/+$/, '')}/logout` });
  });

  return routes;
}
