/** A small application with the strategy in it, as users write it, in Express 4 or 5. */
import type { AddressInfo } from 'node:net';
import express5, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import session from 'express-session';
import express4 from 'express4';
import passport from 'passport';
import {
  callbackRoute,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderVerifyFunction,
} from 'passport-powerfolder';

export const expressVersions = [
  ['Express 4', express4 as unknown as typeof express5],
  ['Express 5', express5],
] as const;

/** An application under test. What passed through it is kept for assertions. */
export interface TestApp {
  url: string;
  callbackURL: string;
  strategy: PowerFolderStrategy;
  /** Errors that reached the application's error handling. */
  errors: unknown[];
  close(): Promise<void>;
}

export interface TestAppOptions {
  express?: typeof express5;
  options: Omit<PowerFolderStrategyOptions, 'callbackURL'>;
  verify?: PowerFolderVerifyFunction;
  /** Makes the strategy; default: a PowerFolderStrategy of the options. */
  strategy?: (options: PowerFolderStrategyOptions, verify: PowerFolderVerifyFunction) => PowerFolderStrategy;
  /** Options of `passport.authenticate` at the start and at the callback. */
  start?: object;
  callback?: object;
  /** Runs before everything else. */
  before?: RequestHandler;
  /** Wires what is to be wired, between the session and the error handling. */
  routes?: (app: Express, strategy: PowerFolderStrategy) => void;
  /** Whether there are sessions, and where they are kept. */
  sessions?: boolean | session.Store;
  /** The session's cookie. */
  cookie?: session.CookieOptions;
  passport?: typeof passport;
}

/**
 * Signs in at `/auth/powerfolder`, calls back at `/oauth`, and answers in JSON: `{ user, info }` of a sign-in,
 * `{ failure, status }` of a failed one, `{ error }` of an error.
 */
export async function startTestApp({
  express = express5,
  options,
  verify = ({ profile, tokens }) => ({ profile, tokens }),
  strategy: make = (all, verified) => new PowerFolderStrategy(all, verified),
  start = {},
  callback = { session: false },
  before,
  routes,
  sessions = true,
  cookie = {},
  passport: { Passport } = passport,
}: TestAppOptions): Promise<TestApp> {
  const app = express();
  const server = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const callbackURL = `${url}/oauth`;
  const strategy = make({ ...options, callbackURL }, verify);
  const authenticator = new Passport();
  authenticator.use(strategy);
  authenticator.serializeUser((user, done) => done(null, user));
  authenticator.deserializeUser((user: Express.User, done) => done(null, user));
  const errors: unknown[] = [];

  if (before) app.use(before);
  if (sessions) {
    const store = sessions === true ? new session.MemoryStore() : sessions;
    app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false, store, cookie }));
  }
  app.get('/auth/powerfolder', authenticator.authenticate('powerfolder', start));
  app.get(callbackRoute('/oauth'), (req, res, next) => {
    const answered: passport.AuthenticateCallback = (error, user, info, status) => {
      if (error) next(error);
      else if (!user) res.status(typeof status === 'number' ? status : 401).json({ failure: info });
      else {
        req.authInfo = (info ?? {}) as Express.AuthInfo;
        res.json({ user, info });
      }
    };
    const handle = authenticator.authenticate('powerfolder', callback, answered) as RequestHandler;
    handle(req, res, next);
  });
  app.get('/', (_req, res) => {
    res.send('home');
  });
  routes?.(app, strategy);
  const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
    errors.push(error);
    const { name, code, message, status, serverStatus, state } = error ?? {};
    // As Express's own error handling: a harness that answers 500 to everything hides what visitors get.
    res
      .status(status ?? error?.statusCode ?? 500)
      .json({ error: { name, code, message, status, serverStatus, state } });
  };
  app.use(answerError);

  return {
    url,
    callbackURL,
    strategy,
    errors,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
