/** Access to PowerFolder for as long as somebody is signed in: refreshes tokens, and keeps the new ones beside the session. */
import type { Request, RequestHandler } from 'express';
import { PowerFolderError, type PowerFolderStrategy, type PowerFolderTokens } from 'passport-powerfolder';
import { leaveSession, sessionStoreOf } from './sessions.ts';
import { requireSignIn } from './sign-in.ts';

/** Milliseconds for which an access token must still be valid to be used. */
const leeway = 60_000;

/**
 * Calls `use` with a valid access token; when it fails with an error whose `serverStatus` is 401 all the same, once more
 * with a new one.
 *
 * @throws {PowerFolderError} `sign_in_again` when there is no way to another one.
 */
export async function withAccessToken<T>(
  req: Request,
  strategy: PowerFolderStrategy,
  use: (accessToken: string) => Promise<T>,
): Promise<T> {
  let tokens = await tokensOf(req);
  const { expiresAt } = tokens;
  if (expiresAt !== undefined && expiresAt <= Date.now() + leeway) tokens = await renew(req, strategy, tokens);
  try {
    return await use(tokens.accessToken);
  } catch (error) {
    if ((error as { serverStatus?: unknown }).serverStatus !== 401) throw error;
    return await use((await renew(req, strategy, tokens)).accessToken);
  }
}

/** @throws {PowerFolderError} `sign_in_again` when there are none any more. */
export async function tokensOf(req: Request): Promise<PowerFolderTokens> {
  return (await sessionStoreOf(req).loadTokens(req.sessionID)) ?? hasEnded();
}

/** Other tokens than these: those that another request has got meanwhile, or new ones. */
async function renew(req: Request, strategy: PowerFolderStrategy, old: PowerFolderTokens): Promise<PowerFolderTokens> {
  const { sessionID } = req;
  const store = sessionStoreOf(req);
  // A refresh token may be good for one use only, so one request refreshes and saves, and the others wait for what it saves.
  return await store.lockTokens(sessionID, async () => {
    const tokens = await tokensOf(req);
    if (tokens.accessToken !== old.accessToken) return tokens;
    if (!tokens.refreshToken) {
      throw new PowerFolderError('sign_in_again', 'The access token is not accepted any more.');
    }
    const renewed = await strategy.refreshAccessToken(tokens.refreshToken);
    return (await store.replaceTokens(sessionID, tokens, renewed)) ?? hasEnded();
  });
}

function hasEnded(): never {
  throw new PowerFolderError('sign_in_again', 'The session has ended, or its tokens cannot be read.');
}

function isSignInAgain(error: unknown): boolean {
  return error instanceof PowerFolderError && error.code === 'sign_in_again';
}

/** When PowerFolder takes no token of this user's any more: a new session, a new sign-in, and back to this page. */
export function orSignInAgain(base: string, handler: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    try {
      await handler(req, res, next);
    } catch (error) {
      if (!isSignInAgain(error)) throw error;
      req.log.info({ event: 'signed out', code: 'sign_in_again' }, 'access has ended');
      delete req.user;
      await leaveSession(req);
      requireSignIn(base)(req, res, next);
    }
  };
}
