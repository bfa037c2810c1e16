/** Access to PowerFolder for as long as somebody is signed in: their tokens are kept by users.ts, and fresh. */
import type { RequestHandler } from 'express';
import {
  PowerFolderError,
  type PowerFolderStrategy,
  type PowerFolderTokenKeeper,
  type PowerFolderTokens,
} from 'passport-powerfolder';
import { leaveSession } from './sessions.ts';
import { requireSignIn } from './sign-in.ts';
import type { Users } from './users.ts';

/** `keeper.use(user.id, (accessToken) => …)` for whatever is asked of PowerFolder. */
export function keepTokens(strategy: PowerFolderStrategy, users: Users): PowerFolderTokenKeeper<string> {
  const { lockTokens } = users;
  return strategy.client.keepTokens<string>({
    load: (id) => users.loadTokens(id),
    save: (id, tokens, replaced) => users.replaceTokens(id, replaced, tokens),
    ...(lockTokens && { lock: (id, work) => lockTokens.call(users, id, work) }),
  });
}

/** @throws {PowerFolderError} `sign_in_again` when there are none any more. */
export async function tokensOf(id: string, users: Users): Promise<PowerFolderTokens> {
  const tokens = await users.loadTokens(id);
  if (!tokens) throw new PowerFolderError('sign_in_again', 'There are no tokens of this user, or they cannot be read.');
  return tokens;
}

export function isAccessEnded(error: unknown): boolean {
  return error instanceof PowerFolderError && error.code === 'sign_in_again';
}

/** When PowerFolder takes no token of this user's any more: a new session, a new sign-in, and back to this page. */
export function orSignInAgain(base: string, handler: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    try {
      await handler(req, res, next);
    } catch (error) {
      if (!isAccessEnded(error)) throw error;
      req.log.info({ event: 'signed out', code: 'sign_in_again' }, 'access has ended');
      delete req.user;
      await leaveSession(req);
      requireSignIn(base)(req, res, next);
    }
  };
}
