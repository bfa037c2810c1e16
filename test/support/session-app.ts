/** An application with log-in sessions, in any version of Express and Passport, with either kind of session. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import type express from 'express';
import expressSession from 'express-session';
import passport from 'passport';
import { callbackRoute, PowerFolderStrategy } from 'passport-powerfolder';
import passport06 from 'passport06';
import { type Neighbour, type NeighbourOptions, startNeighbour } from './neighbour.ts';

const cookieSession = require('cookie-session');

export const passportVersions = [
  ['Passport 0.6', passport06 as unknown as typeof passport],
  ['Passport 0.7', passport],
] as const;

/** What docs/cookie-session.md says to write. */
const page = readFileSync(join(__dirname, '../../docs/cookie-session.md'), 'utf8');
const [, linesOfPage = ''] = /```js\n(app\.use\(cookieSession[\s\S]*?)```/.exec(page) ?? [];

export type UseSession = (app: express.Express) => void;

const useExpressSession: UseSession = (app) => {
  app.use(expressSession({ name: 'session', secret: 'for tests only', resave: false, saveUninitialized: false }));
};
export const useCookieSession: UseSession = (app) => run(linesOfPage, app);
export const useBareCookieSession: UseSession = (app) => run(linesOfPage.split('\n')[0] ?? '', app);

function run(lines: string, app: express.Express): void {
  runInNewContext(lines, { app, cookieSession, process: { env: { SESSION_SECRET: 'for tests only' } } });
}

export const sessionKinds = [
  ['express-session', useExpressSession],
  ['cookie-session, by the lines of its page', useCookieSession],
] as const;

/** Signs in at `/auth/powerfolder`, out at `/sign-out`; `/` says who is signed in. */
export async function startSessionApp(
  makeExpress: typeof express,
  { Passport }: typeof passport,
  useSession: UseSession,
  neighbourOptions: NeighbourOptions = {},
): Promise<Neighbour> {
  return await startNeighbour((options) => {
    const app = makeExpress();
    const authenticator = new Passport();
    authenticator.use(new PowerFolderStrategy(options, async ({ profile }) => ({ name: profile.username })));
    authenticator.serializeUser((user, done) => done(null, user));
    authenticator.deserializeUser((user: Express.User, done) => done(null, user));

    useSession(app);
    app.use(authenticator.session());
    app.get('/auth/powerfolder', authenticator.authenticate('powerfolder', { state: { returnTo: '/reports' } }));
    app.get(callbackRoute('/oauth'), authenticator.authenticate('powerfolder'), (req, res) => {
      res.json(req.authInfo);
    });
    app.get('/', (req, res) => {
      res.json({ user: req.user });
    });
    app.get('/visit', (req, res) => {
      Object.assign((req as { session?: object }).session ?? {}, { visited: true });
      res.end();
    });
    app.get('/sign-out', (req, res, next) => {
      req.logout((error) => (error ? next(error) : res.redirect('/')));
    });
    const answerError: express.ErrorRequestHandler = (error, _req, res, _next) => {
      res.status(error.status ?? error.statusCode ?? 500).json({ message: error.message });
    };
    app.use(answerError);
    return app;
  }, neighbourOptions);
}
