/** Access to PowerFolder for as long as somebody is signed in: refreshes tokens, and keeps the new ones in the session. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Request } from 'express';
import { PowerFolderError, type PowerFolderStrategy, type PowerFolderTokens } from 'passport-powerfolder';
import { currentUser, type SignedInUser } from './sign-in.ts';

/**
 * Calls `use` with a valid access token; when the server answers 401 all the same, once more with a new one.
 *
 * @throws {PowerFolderError} `sign_in_again` when there is no way to another one.
 */
export async function withAccessToken<T>(
  req: Request,
  strategy: PowerFolderStrategy,
  use: (accessToken: string) => Promise<T>,
): Promise<T> {
  const tokens = await keep(req, (tokens) => strategy.freshTokens(tokens));
  try {
    return await use(tokens.accessToken);
  } catch (error) {
    if ((error as { serverStatus?: unknown }).serverStatus !== 401) throw error;
    const { refreshToken } = tokens;
    if (!refreshToken) throw new PowerFolderError('sign_in_again', 'The access token is not accepted any more.');
    const renewed = await keep(req, () => strategy.refreshAccessToken(refreshToken));
    return await use(renewed.accessToken);
  }
}

async function keep(
  req: Request,
  renew: (tokens: PowerFolderTokens) => Promise<PowerFolderTokens>,
): Promise<PowerFolderTokens> {
  const { tokens } = currentUser(req) as SignedInUser;
  let renewed: PowerFolderTokens;
  try {
    renewed = await renew(tokens);
    if (renewed === tokens) return tokens;
    // Whoever signed out meanwhile stays signed out: the session is read again before it is written.
    await reloadUser(req);
  } catch (error) {
    if (!isSignInAgain(error)) throw error;
    // Another tab, or another instance of this app, may have been first, and its tokens are in the session, or soon will.
    for (let tries = 0; tries < 5; tries++) {
      const { tokens: stored } = await reloadUser(req);
      if (stored.accessToken !== tokens.accessToken) return stored;
      await pause(200);
    }
    throw error;
  }
  (currentUser(req) as SignedInUser).tokens = renewed;
  // At once, not at the end of the answer: a large file may take long.
  await new Promise<void>((resolve, reject) => {
    req.session.save((error) => (error ? reject(error) : resolve()));
  });
  return renewed;
}

export function isSignInAgain(error: unknown): boolean {
  return error instanceof PowerFolderError && error.code === 'sign_in_again';
}

/** Passport's user is an object of the session, so that what is changed in it is saved with the session. */
async function reloadUser(req: Request): Promise<SignedInUser> {
  await new Promise<void>((resolve, reject) => {
    req.session.reload((error?: Error) => {
      if (error?.message === 'failed to load session') reject(signedOut());
      else if (error) reject(error);
      else resolve();
    });
  });
  const { passport } = req.session as { passport?: { user?: SignedInUser } };
  if (!passport?.user) throw signedOut();
  req.user = passport.user;
  return passport.user;
}

function signedOut(): PowerFolderError {
  return new PowerFolderError('sign_in_again', 'The session ended while the request was answered.');
}
