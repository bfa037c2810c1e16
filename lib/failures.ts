/** Why a sign-in did not succeed although nothing is broken: the visitor declined, came late, or began elsewhere. */

/** Passport's `info`, and `challenge`, of a failure. */
export interface PowerFolderFailure {
  code: PowerFolderFailureCode;
  /** A sentence for the visitor; it holds nothing that came with the request. */
  message: string;
  /** The application's state, where the pending sign-in was found that had one: `access_denied`, `invalid_grant`, `verify_refused`. */
  state?: unknown;
}

const failures = {
  access_denied: [403, 'You chose not to allow access to your PowerFolder account.'],
  invalid_grant: [401, 'The confirmation from PowerFolder has expired or was used already. Please sign in again.'],
  invalid_callback: [400, 'This is not a valid answer from PowerFolder. Please start the sign-in again.'],
  session_missing: [403, 'Your browser sent no session with the answer from PowerFolder. Please sign in again.'],
  state_missing: [403, 'The answer from PowerFolder does not say which sign-in it belongs to. Please sign in again.'],
  state_unknown: [403, 'This sign-in was not started in this browser, or is over already. Please sign in again.'],
  state_expired: [403, 'The sign-in took too long. Please sign in again.'],
  state_used: [403, 'This sign-in was completed already. Please sign in again if you are not signed in.'],
  state_mismatch: [403, 'This sign-in was started for another server. Please sign in again.'],
  verify_refused: [401, 'This PowerFolder account may not sign in here.'],
} as const satisfies Record<string, readonly [status: number, message: string]>;

/** The codes of {@link PowerFolderFailure}; the README says what to do about each. */
export type PowerFolderFailureCode = keyof typeof failures;

/** The `info` of a failure. */
export function failure(code: PowerFolderFailureCode): PowerFolderFailure {
  return { code, message: failures[code][1] };
}

/** The HTTP status that goes with a failure. */
export function failureStatus(code: PowerFolderFailureCode): number {
  return failures[code][0];
}

/**
 * What an application gave as the reason of a failure, as Passport's `info`: it would take a number for the HTTP status to
 * answer with, and put a text into a header.
 *
 * @param code Of the failure, where the reason is a sentence.
 */
export function givenReason(info: unknown, code: PowerFolderFailureCode): unknown {
  if (typeof info === 'string') return { ...failure(code), message: info };
  return typeof info === 'object' && info !== null ? info : undefined;
}
