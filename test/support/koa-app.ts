/** An application with koa-passport, koa-session and @koa/router. They have no types. */
import { callbackRoute, PowerFolderStrategy } from 'passport-powerfolder';
import type { Make } from './neighbour.ts';
import { serverRequests } from './requests.ts';

const Router = require('@koa/router');
const Koa = require('koa');
const { KoaPassport } = require('koa-passport');
const { createSession } = require('koa-session');

interface Context {
  body: unknown;
  state: { user?: unknown; authInfo?: unknown };
}

/** Keeps sessions as an application would in a database. */
function sessionStore() {
  const sessions = new Map<string, string>();
  return {
    get: async (key: string) => JSON.parse(sessions.get(key) ?? 'null'),
    set: async (key: string, session: object) => void sessions.set(key, JSON.stringify(session)),
    destroy: async (key: string) => void sessions.delete(key),
  };
}

/** @param session koa-session's options. */
export function koaApp(session: object = { store: sessionStore() }): Make {
  return (options) => {
    const koa = new Koa();
    koa.keys = ['for tests only'];
    koa.silent = true;
    const passport = new KoaPassport();
    passport.use(
      new PowerFolderStrategy(options, async ({ profile, tokens }) => ({
        name: profile.username,
        accessToken: tokens.accessToken,
      })),
    );
    passport.serializeUser((user: unknown, done: (error: null, user: unknown) => void) => done(null, user));
    passport.deserializeUser((user: unknown, done: (error: null, user: unknown) => void) => done(null, user));

    const router = new Router();
    const state = { returnTo: '/reports' };
    router.get('/auth/powerfolder', passport.authenticate('powerfolder', { state }));
    router.get(
      callbackRoute('/oauth'),
      passport.authenticate('powerfolder', { failureRedirect: '/failed' }),
      (ctx: Context) => {
        ctx.body = ctx.state.authInfo;
      },
    );
    for (const [name, request] of Object.entries(serverRequests(options))) router.get(`/${name}`, request);
    router.get('/', (ctx: Context) => {
      ctx.body = { user: ctx.state.user ?? null };
    });

    koa.use(createSession(session, koa));
    koa.use(passport.initialize());
    koa.use(passport.session());
    koa.use(router.routes());
    return koa.callback();
  };
}
