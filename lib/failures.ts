/** Why a sign-in did not succeed although nothing is broken: the visitor declined, came late, or began elsewhere. */
import type { Language } from './language.ts';

/** Passport's `info`, and `challenge`, of a failure. */
export interface PowerFolderFailure {
  code: PowerFolderFailureCode;
  /** A sentence for the visitor, in the strategy's `language`; it holds nothing that came with the request. */
  message: string;
  /** The application's state, where the pending sign-in was found that had one: `access_denied`, `invalid_grant`, `verify_refused`. */
  state?: unknown;
}

const statuses = {
  access_denied: 403,
  invalid_grant: 401,
  invalid_callback: 400,
  session_missing: 403,
  state_missing: 403,
  state_unknown: 403,
  state_expired: 403,
  state_used: 403,
  state_mismatch: 403,
  verify_refused: 401,
} as const;

/** The codes of {@link PowerFolderFailure}; the README says what to do about each. */
export type PowerFolderFailureCode = keyof typeof statuses;

const sentences: Record<Language, Record<PowerFolderFailureCode, string>> = {
  en: {
    access_denied: 'You chose not to allow access to your PowerFolder account.',
    invalid_grant: 'The confirmation from PowerFolder has expired or was used already. Please sign in again.',
    invalid_callback: 'This is not a valid answer from PowerFolder. Please start the sign-in again.',
    session_missing: 'Your browser sent no session with the answer from PowerFolder. Please sign in again.',
    state_missing: 'The answer from PowerFolder does not say which sign-in it belongs to. Please sign in again.',
    state_unknown: 'This sign-in was not started in this browser, or is over already. Please sign in again.',
    state_expired: 'The sign-in took too long. Please sign in again.',
    state_used: 'This sign-in was completed already. Please sign in again if you are not signed in.',
    state_mismatch: 'This sign-in was started for another server. Please sign in again.',
    verify_refused: 'This PowerFolder account may not sign in here.',
  },
  de: {
    access_denied: 'Sie haben den Zugriff auf Ihr PowerFolder-Konto nicht erlaubt.',
    invalid_grant:
      'Die Bestätigung von PowerFolder ist abgelaufen oder wurde bereits verwendet. Bitte melden Sie sich erneut an.',
    invalid_callback: 'Das ist keine gültige Antwort von PowerFolder. Bitte beginnen Sie die Anmeldung von vorn.',
    session_missing:
      'Ihr Browser hat mit der Antwort von PowerFolder keine Sitzung übermittelt. Bitte melden Sie sich erneut an.',
    state_missing:
      'Aus der Antwort von PowerFolder geht nicht hervor, zu welcher Anmeldung sie gehört. Bitte melden Sie sich erneut an.',
    state_unknown:
      'Diese Anmeldung wurde nicht in diesem Browser begonnen oder ist bereits beendet. Bitte melden Sie sich erneut an.',
    state_expired: 'Die Anmeldung hat zu lange gedauert. Bitte melden Sie sich erneut an.',
    state_used:
      'Diese Anmeldung wurde bereits abgeschlossen. Falls Sie nicht angemeldet sind, melden Sie sich bitte erneut an.',
    state_mismatch: 'Diese Anmeldung wurde für einen anderen Server begonnen. Bitte melden Sie sich erneut an.',
    verify_refused: 'Mit diesem PowerFolder-Konto können Sie sich hier nicht anmelden.',
  },
};

/** The `info` of a failure. */
export function failure(code: PowerFolderFailureCode, language: Language = 'en'): PowerFolderFailure {
  return { code, message: sentences[language][code] };
}

/** The HTTP status that goes with a failure. */
export function failureStatus(code: PowerFolderFailureCode): number {
  return statuses[code];
}

/**
 * What an application gave as the reason of a failure, as Passport's `info`: it would take a number for the HTTP status to
 * answer with, and put a text into a header.
 *
 * @param code Of the failure, where the reason is a sentence.
 */
export function givenReason(info: unknown, code: PowerFolderFailureCode): object | undefined {
  if (typeof info === 'string') return { ...failure(code), message: info };
  return typeof info === 'object' && info !== null ? info : undefined;
}
