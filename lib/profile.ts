/** Who signed in: the account of the access token's owner, in Passport's normalised form. */
import { PowerFolderError, serverAnswer } from './errors.ts';
import { unexpectedAnswer } from './exchange-errors.ts';
import { awaited, calledBack, type Hook, promised } from './hooks.ts';
import { exchange, type Transport } from './http.ts';
import { deepest, isObject, isShallow, jsonObject, member } from './json.ts';

/** Passport's normalised profile of a PowerFolder account. */
export interface PowerFolderProfile {
  provider: 'powerfolder';
  /** The account's `ID`: opaque and case-sensitive. Together with the server it is the identity; an e-mail is not. */
  id: string;
  /** The name to sign in with; it need not be an e-mail address. */
  username?: string;
  /** First name and surname; else the first e-mail; else the user name, as PowerFolder itself has it. */
  displayName: string;
  name?: { givenName?: string; familyName?: string };
  /** PowerFolder does not say whether an address was verified. */
  emails?: { value: string }[];
  /** The body as it came, but for members that are credentials, as in `_json`. */
  _raw: string;
  /**
   * The account as it came, such as `spaceUsed` and `spaceAllowed` (bytes); without what is called a token, a password or a
   * secret, which PowerFolder puts into some of its answers.
   */
  _json: Record<string, unknown>;
}

/**
 * Asks for the account that the access token belongs to. The request names no account, since with an administrator's
 * token it would return somebody else's.
 *
 * @throws {PowerFolderError} `profile_refused` for 401, 403 and 404; those of {@link parseProfile}; those of an exchange.
 */
export async function requestProfile(
  url: string,
  accessToken: string,
  transport: Transport,
): Promise<PowerFolderProfile> {
  const message = {
    endpoint: 'profile endpoint',
    method: 'GET' as const,
    url,
    headers: { accept: 'application/json', authorization: `Bearer ${accessToken}` },
  };
  const response = await exchange(message, transport);
  const advice =
    'Not every PowerFolder server shows the account to an access token. Set userProfileURL to an address that does, or skipUserProfile: true to sign in without a profile.';
  const { status } = response;
  const reason = reasonOf(status);
  if (reason) {
    throw new PowerFolderError(
      'profile_refused',
      `The PowerFolder server refused to say who signed in: ${url.split('?', 1)[0]} ${reason} (status ${status}). ${advice}`,
      serverAnswer(response),
    );
  }
  const json = status >= 200 && status <= 299 ? jsonObject(response.body) : undefined;
  if (!json) throw unexpectedAnswer(message, response, advice);
  if (!isShallow(json)) {
    throw new PowerFolderError(
      'invalid_response',
      `The PowerFolder server sent an account of more than ${deepest} levels. Check userProfileURL.`,
      serverAnswer(response),
    );
  }
  return parseProfile(json, response.body);
}

/** Why a server does not say who signed in; undefined for a status that does not tell. */
function reasonOf(status: number): string | undefined {
  switch (status) {
    case 401:
      return 'did not accept the access token';
    case 403:
      return 'forbids it';
    case 404:
      return 'has no such address';
    default:
      return undefined;
  }
}

/**
 * The profile in an answer of the Accounts API: one flat object, or the same within `account` or `ResultSet.Result`.
 *
 * @throws {PowerFolderError} `profile_without_id` when no `ID` is there, or more than one account: nobody may be signed
 * in by such an answer.
 * @see docs/powerfolder-oauth2.md, "Who signed in"
 */
export function parseProfile(json: Record<string, unknown>, raw: string = JSON.stringify(json)): PowerFolderProfile {
  const account = unwrap(json);
  const id = account && accountID(member(account, 'ID'));
  if (!account || id === undefined) {
    throw new PowerFolderError(
      'profile_without_id',
      'The PowerFolder server sent an account without an ID, so nobody was signed in. Check userProfileURL.',
    );
  }
  const username = text(member(account, 'username'));
  const givenName = text(member(account, 'firstname'));
  const familyName = text(member(account, 'surname'));
  const listed = member(account, 'emails');
  const emails = (Array.isArray(listed) ? listed : [listed]).flatMap((email) => text(email) ?? []);
  const fullName = [givenName, familyName].filter(Boolean).join(' ');
  return {
    provider: 'powerfolder',
    id,
    ...(username && { username }),
    displayName: fullName || emails[0] || username || id,
    ...(fullName && { name: { ...(givenName && { givenName }), ...(familyName && { familyName }) } }),
    ...(emails.length > 0 && { emails: emails.map((value) => ({ value })) }),
    _raw: mayHoldCredentials.test(raw) ? JSON.stringify(withoutCredentials(json)) : raw,
    _json: withoutCredentials(account) as Record<string, unknown>,
  };
}

const credentialName = /token|passw|secret/i;
/** Also by an escape, and in a member that another one of the same name hides. */
const mayHoldCredentials = /token|passw|secret|\\u/i;

/** A copy without the members that are credentials: an account is kept in sessions, and written to logs. */
function withoutCredentials(json: unknown): unknown {
  if (Array.isArray(json)) return json.map(withoutCredentials);
  if (!isObject(json)) return json;
  const kept = Object.entries(json).filter(([name]) => !credentialName.test(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutCredentials(value)]));
}

function unwrap(json: Record<string, unknown>): Record<string, unknown> | undefined {
  if (member(json, 'ID') !== undefined) return json;
  const account = member(json, 'account');
  if (isObject(account)) return account;
  const resultSet = member(json, 'ResultSet');
  const result = isObject(resultSet) ? member(resultSet, 'Result') : undefined;
  const listed = Array.isArray(result) ? result.filter((each) => each !== null) : [result];
  const [only, ...others] = listed;
  return isObject(only) && others.length === 0 ? only : undefined;
}

function accountID(id: unknown): string | undefined {
  return typeof id === 'string' && id.trim() !== '' ? id : undefined;
}

function text(value: unknown): string | undefined {
  const trimmed = typeof value === 'string' ? value.trim() : '';
  return trimmed === '' ? undefined : trimmed;
}

/** Whether to sign in without a profile. A function with a second parameter has a callback, as in passport-oauth2. */
export async function skipsProfile(skip: unknown, accessToken: string): Promise<boolean> {
  if (typeof skip !== 'function') return skip === true;
  const [answer] =
    skip.length > 1
      ? await calledBack('skipUserProfile', (done) => skip(accessToken, done))
      : [await awaited('skipUserProfile', skip())];
  // Nothing is no yes: the profile is asked for.
  if (answer === undefined || answer === null) return false;
  if (typeof answer === 'boolean') return answer;
  throw new TypeError(`skipUserProfile gave a ${typeof answer}; it gives true or false`);
}

/** The profile that a strategy's `userProfile` gives: through its callback, or as a promise where it declares none. */
export async function loadedProfile(
  strategy: {
    userProfile(accessToken: string, done: (error?: unknown, profile?: PowerFolderProfile) => void): unknown;
  },
  accessToken: string,
): Promise<object> {
  const [profile] =
    strategy.userProfile.length === 1
      ? [await promised('userProfile', () => (strategy as { userProfile: Hook }).userProfile(accessToken))]
      : await calledBack('userProfile', (done) => strategy.userProfile(accessToken, done));
  if (typeof profile === 'object' && profile !== null && !Array.isArray(profile)) return profile;
  throw new TypeError(
    'userProfile gave no profile, so nobody was signed in; to sign in without one, set skipUserProfile: true',
  );
}
