/** The options of one request, and what comes back with it. */
import express, { type Request } from 'express';
import passport from 'passport';
import { callbackRoute, type PowerFolderAuthenticateOptions } from 'passport-powerfolder';

const app = express();

app.get('/auth/powerfolder', passport.authenticate('powerfolder', { state: { returnTo: '/reports' } }));
app.get('/connect/powerfolder', passport.authorize('powerfolder', { state: { returnTo: '/reports' } }));
app.get('/all', (req, res, next) => {
  passport.authenticate('powerfolder', { state: { at: req.originalUrl }, failureRedirect: '/', session: false })(
    req,
    res,
    next,
  );
  passport.authenticate(['powerfolder-a', 'powerfolder-b'], { state: { at: 1 } }, (_error, user, info) => [user, info])(
    req,
    res,
    next,
  );
  passport.authorize(['powerfolder-a', 'powerfolder-b'], { state: { at: 1 } }, (_error, user, info) => [user, info])(
    req,
    res,
    next,
  );
});
export const options: PowerFolderAuthenticateOptions = { state: { returnTo: '/' }, scope: ['a'] };
new passport.Passport().authenticate('powerfolder', options);
new passport.Passport().authorize('powerfolder', options);

// Other strategies' options stay as they were.
passport.authenticate('local');
passport.authenticate('local', { state: 'text' });
passport.authenticate('local', { failureRedirect: '/', failureMessage: true, state: undefined });
passport.authenticate('local', (error: unknown, user: unknown) => [error, user]);
passport.authenticate('local', { session: false }, (error: unknown, user: unknown) => [error, user]);
passport.authorize('twitter');
passport.authorize('twitter', { state: 'text' });
passport.authorize('twitter', (error: unknown, user: unknown) => [error, user]);
export const plain: passport.AuthenticateOptions = { state: 'text' };
passport.authenticate('local', plain);
// @ts-expect-error 'failureRedirekt' does not exist
passport.authenticate('local', { failureRedirekt: '/' });
// @ts-expect-error 'failureRedirekt' does not exist
passport.authorize('twitter', { failureRedirekt: '/' });
// @ts-expect-error not assignable
passport.authenticate('local', { state: 42 });
// @ts-expect-error not assignable
passport.authorize('twitter', { state: 42 });
// @ts-expect-error not assignable
export const not: passport.AuthenticateOptions = { state: {} };

app.get(callbackRoute('/oauth'), (req: Request, res) => {
  const { returnTo } = (req.authInfo?.state ?? {}) as { returnTo?: string };
  res.redirect(returnTo ?? '/');
});
app.get('/', (req, res) => {
  const state: unknown = req.authInfo?.state;
  // @ts-expect-error Property 'nonsense' does not exist
  res.json({ state, nonsense: req.authInfo?.nonsense });
});
