/** Access to PowerFolder for as long as somebody is signed in: their tokens are kept beside the session, and fresh. */
import type { RequestHandler } from 'express';
import {
  PowerFolderError,
  type PowerFolderStrategy,
  type PowerFolderTokenKeeper,
  type PowerFolderTokens,
} from 'passport-powerfolder';
import type { SessionStore } from './session-store.ts';
import { leaveSession } from './sessions.ts';
import { requireSignIn } from './sign-in.ts';

/**
 * Keeps the tokens of each session. An application with a database would know them by its users: load and save a row, where
 * a save writes only over the tokens that the new ones were made from.
 */
export function keepTokens(strategy: PowerFolderStrategy, store: SessionStore): PowerFolderTokenKeeper<string> {
  return strategy.client.keepTokens<string>({
    load: (sessionID) => store.loadTokens(sessionID),
    save: (sessionID, tokens, replaced) => store.replaceTokens(sessionID, replaced, tokens),
    lock: (sessionID, work) => store.lockTokens(sessionID, work),
  });
}

/** @throws {PowerFolderError} `sign_in_again` when there are none any more. */
export async function tokensOf(sessionID: string, store: SessionStore): Promise<PowerFolderTokens> {
  const tokens = await store.loadTokens(sessionID);
  if (!tokens) throw new PowerFolderError('sign_in_again', 'The session has ended, or its tokens cannot be read.');
  return tokens;
}

/** When PowerFolder takes no token of this user's any more: a new session, a new sign-in, and back to this page. */
export function orSignInAgain(base: string, handler: RequestHandler): RequestHandler {
  return async (req, res, next) => {
    try {
      await handler(req, res, next);
    } catch (error) {
      if (!(error instanceof PowerFolderError && error.code === 'sign_in_again')) throw error;
      req.log.info({ event: 'signed out', code: 'sign_in_again' }, 'access has ended');
      delete req.user;
      await leaveSession(req);
      requireSignIn(base)(req, res, next);
    }
  };
}
