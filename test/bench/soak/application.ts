/** An Express application with the strategy, a process of its own: `node --expose-gc application.js <settings as JSON>`. */
import type { AddressInfo } from 'node:net';
import express, { type ErrorRequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import { CookieStateStore, callbackRoute, type PowerFolderFailure, PowerFolderStrategy } from '../../../lib/index.ts';
import { type Measure, measure } from './measure.ts';

export interface ApplicationSettings {
  serverURL: string;
  clientID: string;
  clientSecret: string;
  /** Where pending sign-ins wait; in cookies there are no sessions at all. */
  pending: 'session' | 'cookies';
  skipUserProfile: boolean;
  /** Milliseconds. */
  stateTTL: number;
  timeout: number;
}

export interface ApplicationMeasure extends Measure {
  /** That have not expired. */
  sessions: number;
}

/** Milliseconds. */
const sessionLifetime = 60_000;
const secret = 'a secret of the soak, with more than thirty-two characters';
const { pending, ...options } = JSON.parse(process.argv[2] ?? '{}') as ApplicationSettings;
const withSession = pending === 'session';
const store = new session.MemoryStore();
const app = express();
if (withSession) {
  const cookie = { maxAge: sessionLifetime };
  app.use(session({ secret, resave: false, saveUninitialized: false, store, cookie }), passport.session());
}
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user: Express.User, done) => done(null, user));

app.get('/auth', passport.authenticate('powerfolder', { session: withSession }));
app.get(callbackRoute('/oauth'), (req, res, next) => {
  const done: passport.AuthenticateCallback = (error, user, info, status) => {
    if (error) return next(error);
    if (!user) return void res.status(Number(status)).json({ code: (info as PowerFolderFailure).code });
    if (!withSession) return res.redirect('/');
    req.logIn(user, (error) => (error ? next(error) : res.redirect('/')));
  };
  passport.authenticate('powerfolder', { session: withSession }, done)(req, res, next);
});
app.post('/sign-out', (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.status(204).end()));
});
const answerError: ErrorRequestHandler = (error, _req, res, _next) => {
  res.status(error.status ?? 500).json({ code: error.code ?? String(error) });
};
app.use(answerError);

const server = app.listen(0, '127.0.0.1');
server.keepAliveTimeout = 300_000;
server.once('listening', () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const strategy = new PowerFolderStrategy(
    {
      ...options,
      callbackURL: `${url}/oauth`,
      ...(!withSession && { store: new CookieStateStore({ secret }) }),
    },
    ({ tokens }) => ({ id: tokens.accessToken }),
  );
  passport.use(strategy);
  process.send?.(url);
});
process.on('message', () => {
  // It forgets those that have expired when it is asked for all of them.
  store.all((_error, all) => process.send?.({ ...measure(), sessions: Object.keys(all ?? {}).length }));
});
process.on('disconnect', () => process.exit());
