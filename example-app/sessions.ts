/** Sessions of requests: how long they last, and what a sign-in, a page and a sign-out do with them. */
import type { NextFunction, Request, RequestHandler } from 'express';
import session from 'express-session';
import type { Config } from './config.ts';
import { sessionCookie, sessionCookieName } from './session-cookie.ts';
import { absoluteLifetime, anonymousLifetime, dropSession, SessionEnded, type SessionStore } from './session-store.ts';

export function sessions(config: Config, store: SessionStore): RequestHandler[] {
  const readSession = session({
    name: sessionCookieName(config),
    secret: config.sessionSecrets,
    store,
    genid: (req) => store.newID(req),
    resave: false,
    saveUninitialized: false,
    // Only a new session sends a cookie: a slow answer would put the one of an old session over that of a sign-in meanwhile.
    rolling: false,
    cookie: { ...sessionCookie(config), maxAge: anonymousLifetime },
  });
  return [readSession, endOldSession];
}

/** To be called while somebody signs in, before the new session is saved. */
export function beginSignedInSession(req: Request): void {
  req.session.signedInAt = Date.now();
  req.session.cookie.maxAge = absoluteLifetime;
}

/**
 * Saves the session now: express-session does it at the end of an answer, when its head has been sent.
 *
 * @throws {SessionEnded} when it does not exist any more.
 */
async function saveSession(req: Request): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    req.session.save((error) => (error ? reject(error) : resolve()));
  });
}

/** Goes on with a new session; or without any where the old one has ended, as its browser may have another already. */
export async function leaveSession(req: Request): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    req.session.regenerate((error) => (error ? reject(error) : resolve()));
  });
  try {
    await saveSession(req);
  } catch (error) {
    if (!(error instanceof SessionEnded)) throw error;
    dropSession(req);
  }
}

function endOldSession(req: Request, _res: unknown, next: NextFunction): void {
  const { signedInAt } = req.session;
  if (signedInAt !== undefined && Date.now() - signedInAt > absoluteLifetime) req.session.regenerate(next);
  else next();
}
