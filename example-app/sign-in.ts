/** Signing in with PowerFolder, and out: the strategy, its routes, and what a sign-in leaves in the session. */
import type { Request, RequestHandler } from 'express';
import { Router } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import passport from 'passport';
import {
  callbackRoute,
  type PowerFolderAuthenticateOptions,
  type PowerFolderFailure,
  PowerFolderStrategy,
  type PowerFolderTokens,
} from 'passport-powerfolder';
import type { Logger } from 'pino';
import type { AppConfig } from './config.ts';
import { describeError } from './logging.ts';
import { returnPath } from './return-path.ts';
import { beginSignedInSession, type SessionStore, sessionCookie, sessionCookieName } from './sessions.ts';

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
  tokens: PowerFolderTokens;
}

export function currentUser(req: Request): SignedInUser | undefined {
  return req.user as SignedInUser | undefined;
}

export function createStrategy({ baseURL, powerFolder, authorizationMethod }: AppConfig): PowerFolderStrategy {
  const options = { ...powerFolder, callbackURL: `${baseURL}/oauth`, authorizationMethod };
  return new PowerFolderStrategy(options, ({ tokens, profile }): SignedInUser => {
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

function bytes(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
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
  authenticator.deserializeUser((user: Express.User, done) => done(null, user));
  return authenticator;
}

/** Lets signed-in visitors pass; others sign in and come back. */
export function requireSignIn(base: string): RequestHandler {
  return (req, res, next) => {
    if (req.user) next();
    else res.redirect(`${base}/auth/powerfolder?returnTo=${encodeURIComponent(req.originalUrl)}`);
  };
}

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

  // Each sign-in leaves a session in the store and a question at the server.
  const limit = rateLimit({
    windowMs: 60_000,
    limit: config.signInLimit,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    // One visitor has all addresses of an IPv6 network, by default a /56. Who has left already may have no address any more.
    keyGenerator: ({ ip }) => (ip === undefined ? 'unknown' : ipKeyGenerator(ip)),
    ...(sessionStore.limitStore && { store: sessionStore.limitStore }),
    // While Redis is away nobody can sign in, and the pages that say so do it better than a limit that cannot count.
    passOnStoreError: true,
    logger: log,
    handler: (req, res) => {
      req.log.warn({ event: 'sign-in refused', code: 'rate_limited' }, 'sign-in refused');
      res.status(429).render('error', {
        title: 'Please wait a minute',
        message: 'There were many sign-ins from your network just now. Nothing is wrong with your account.',
        retry: `${base}/auth/powerfolder`,
      });
    },
  });

  routes.get('/auth/powerfolder', limit, async (req, res, next) => {
    // express-session saves at the end of the answer, when it is too late to say that it could not.
    if (!(await sessionStore.ready())) throw new Error('a sign-in cannot begin while the session store is away');
    const returnTo = returnPath(req.query['returnTo'], base);
    const options: PowerFolderAuthenticateOptions = { state: { returnTo } };
    // The types of Passport know `state` as a string only.
    authenticator.authenticate('powerfolder', options as object)(req, res, next);
  });

  routes.get(callbackRoute('/oauth'), limit, (req, res, next) => {
    const done: passport.AuthenticateCallback = (error, user, info, status) => {
      if (error) {
        req.log.warn({ event: 'sign-in failed', code: describeError(error)['code'] ?? 'error' }, 'sign-in failed');
        return next(error);
      }
      if (!user) return fail(info as PowerFolderFailure, Number(status) || 401);
      // Passport gives the session a new id and leaves what was in the old one behind.
      req.logIn(user, (error) => {
        if (error) return next(error);
        req.log.info({ event: 'signed in', user: (user as SignedInUser).id }, 'signed in');
        const { state } = info as { state?: { returnTo?: unknown } };
        res.redirect(returnPath(state?.returnTo, base) ?? `${base}/`);
      });
    };

    const fail = ({ code, message, state }: PowerFolderFailure, status: number) => {
      req.log.warn({ event: 'sign-in failed', code }, 'sign-in failed');
      // A second tab, the back button: whoever is signed in already has nothing to do here.
      const stale = code.startsWith('state_') || (code === 'invalid_callback' && /\/oauth\/?$/i.test(req.originalUrl));
      if (req.user && stale) return res.redirect(`${base}/`);
      const title = code === 'access_denied' ? 'You did not allow access' : 'You are not signed in';
      res.status(status).render('error', { title, message, retry: signInURL(base, state) });
    };

    authenticator.authenticate('powerfolder', done)(req, res, next);
  });

  routes.post('/logout', (req, res, next) => {
    const user = currentUser(req);
    req.session.destroy((error) => {
      if (error) return next(error);
      if (user) req.log.info({ event: 'signed out', user: user.id }, 'signed out');
      res.clearCookie(sessionCookieName(config), sessionCookie(config));
      res.redirect(303, `${base}/signed-out`);
    });
  });

  routes.get('/signed-out', (req, res) => {
    if (req.user) res.redirect(`${base}/`);
    else res.render('signed-out', { powerFolderLogout: `${config.powerFolder.serverURL.replace(/\/+$/, '')}/logout` });
  });

  return routes;
}
