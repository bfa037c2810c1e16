/** How an attempt to sign in ends, and what goes along. */
import { AuthorizationError, TokenError } from 'passport-oauth2';
import { PowerFolderError } from './errors.ts';
import { failure, failureStatus, type PowerFolderFailureCode } from './failures.ts';
import type { Language } from './language.ts';
import type { TakenSignIn } from './state-store.ts';

/** Why a sign-in failed: a code of ours, to be told in the visitor's language, or the application's own `info`. */
type Failed = {
  end: 'fail';
  reason: PowerFolderFailureCode | object;
  /** The application's sentence, in the place of ours. */
  message?: string | undefined;
  state?: unknown;
  status: number | undefined;
};
/** How an attempt ends: in one of Passport's actions, or in a page. */
export type Outcome =
  | { end: 'success'; user: unknown; info: object }
  | Failed
  | { end: 'redirect'; url: string }
  | { end: 'page'; page: { html: string; headers: Record<string, string> } }
  | { end: 'error'; error: unknown };

/** A failure of the visitor's. */
export function failed(code: PowerFolderFailureCode, status = failureStatus(code)): Failed {
  return { end: 'fail', reason: code, status };
}

/** Once the pending sign-in is known, its state is handed back with a failure as well: for a link to try again. */
export function failedHere(code: PowerFolderFailureCode, { state }: TakenSignIn): Failed {
  return { ...failed(code), state };
}

/** Passport's `info` of a failure. */
export function infoOf({ reason, message, state }: Failed, language: Language): object {
  if (typeof reason === 'object') return reason;
  return {
    ...failure(reason, language),
    ...(message !== undefined && { message }),
    ...(state !== undefined && { state }),
  };
}

/**
 * Passport hands an error to `next`, for which undefined is no error at all and 'route' a command: a verify function
 * that rejects with either must not open the route.
 */
export function asError(reason: unknown): object {
  if (typeof reason === 'object' && reason !== null) return reason;
  return new Error('The sign-in failed for a reason that is no Error', { cause: reason });
}

/**
 * An error of the package's own classes has the application's state as a failure has it: so that a link to try again can
 * lead to where the visitor wanted to go. Not for what `verify` throws: that may be other requests' error as well.
 */
export function withState(error: unknown, { state }: TakenSignIn): unknown {
  const ours = error instanceof PowerFolderError || error instanceof TokenError || error instanceof AuthorizationError;
  return ours && state !== undefined ? Object.assign(error, { state }) : error;
}
