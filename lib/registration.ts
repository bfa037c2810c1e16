/**
 * Registration of a client, once, by an administrator, before any sign-in. PowerFolder deviates from RFC 7591: its own
 * API, HTTP Basic, and a client is no more than an ID and a secret. See docs/powerfolder-oauth2.md.
 */
import { randomInt } from 'node:crypto';
import { checkedCredential, checkedTransport, type TransportOptions } from './configuration.ts';
import { ConfigurationMistake, PowerFolderError, type PowerFolderErrorCode, serverAnswer } from './errors.ts';
import { exchange, type HTTPRequest, type HTTPResponse, redirectTarget, type Transport } from './http.ts';
import { jsonObject, member } from './json.ts';
import { readOptions } from './option-names.ts';
import { checkedServerBase } from './url.ts';

/** Options of {@link registerClient}. */
export interface RegisterClientOptions extends TransportOptions {
  /**
   * Base URL of the PowerFolder server; a context path and a slash at the end are allowed.
   *
   * @example 'https://powerfolder.example.com'
   */
  serverURL: string;
  /** Who registers: an administrator of that server. The password is sent in the `Authorization` header only. */
  admin: { username: string; password: string };
  /**
   * The ID to register: visible ASCII characters, no spaces. What becomes of one that is registered already is not
   * known: it may get the new secret, or have both. To change a secret, register a new ID.
   *
   * @default `passport-powerfolder-` and ten random letters and digits
   */
  clientID?: string | undefined;
  /**
   * The secret to register: visible ASCII characters, no spaces.
   *
   * @default 44 random letters and digits, which is more than 256 bits
   */
  clientSecret?: string | undefined;
}

/** A registered client: spreads into the options of `PowerFolderStrategy`. */
export interface RegisteredClient {
  clientID: string;
  clientSecret: string;
}

/**
 * Registers an OAuth client at a PowerFolder server. The secret travels in the body of a POST, never in the URL, where
 * access logs would keep it. Registering a known ID again may replace its secret, or add one: which is not known.
 *
 * @example
 * const client = await registerClient({ serverURL, admin: { username: 'admin', password } });
 * new PowerFolderStrategy({ serverURL, ...client, callbackURL: 'https://app.example.com/oauth' }, verify);
 *
 * @returns What was registered; keep the secret like a password.
 * @throws {TypeError} for a mistake in the options, with the fix in its message.
 * @throws {PowerFolderError} `login_refused` when the user name or the password is wrong; `not_administrator`;
 * `not_powerfolder` when something else is at that URL; `redirected` when the server leads from http to https;
 * `refused` for any other reason of the server's; and what an exchange can end in: `unreachable`, `tls`, `timeout`,
 * `connection_lost`, `not_http`, `too_large`, `not_json`. None of them holds the password or the secret.
 * @see PowerFolder wiki, "OAuth2 Implementation"; RFC 7617
 */
export async function registerClient(options: RegisterClientOptions): Promise<RegisteredClient> {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError('registerClient takes an options object: { serverURL, admin: { username, password } }');
  }
  // A misspelt clientId would silently register another client than the one that was meant.
  const read = readOptions(options, optionNames);
  return await register(read, checkedTransport(read));
}

/**
 * The same, for the command line, which has a transport already.
 *
 * @throws as {@link registerClient}.
 */
export async function register(options: RegisterClientOptions, transport: Transport): Promise<RegisteredClient> {
  const { message, client } = checkedRegistration(options, transport);
  const refusal = refusalIn(await exchange(message, transport), message);
  if (refusal) throw refusal;
  return client;
}

const optionNames: (keyof RegisterClientOptions)[] = [
  'serverURL',
  'admin',
  'clientID',
  'clientSecret',
  'timeout',
  'ca',
  'proxy',
  'dispatcher',
  'allowInsecureHTTP',
];

function checkedRegistration(read: RegisterClientOptions, transport: Transport) {
  const base = checkedServerBase(read.serverURL, transport);
  const { username, password } = checkedAdmin(read.admin);
  const { clientID = `passport-powerfolder-${random(10).toLowerCase()}`, clientSecret = random(44) } = read;
  // What is registered has to be what a strategy takes.
  for (const [name, value] of Object.entries({ clientID, clientSecret }))
    checkedCredential(checkedName(name, value), name);
  const message: HTTPRequest = {
    endpoint: 'registration API',
    method: 'POST',
    // `action` stays where the documentation has it, since that may be all that the server dispatches on.
    url: `${base}/api/oauth?action=store`,
    headers: {
      authorization: `Basic ${Buffer.from(`${username}:${password}`, 'utf8').toString('base64')}`,
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    },
    body: new URLSearchParams({ client_id: clientID, client_secret: clientSecret }).toString(),
    redirect: 'manual',
  };
  return { message, client: { clientID, clientSecret } };
}

/** What RFC 7617 section 2 can carry. Nothing is quoted: people mistake one field for the other. */
function checkedAdmin(admin: unknown): RegisterClientOptions['admin'] {
  if (typeof admin !== 'object' || admin === null) {
    throw new ConfigurationMistake(
      'admin.username',
      'is missing; give admin: { username, password } of a PowerFolder administrator',
    );
  }
  const { username, password } = readOptions(admin as RegisterClientOptions['admin'], ['username', 'password'], {
    within: 'admin.',
  });
  for (const [name, value] of Object.entries({ username, password })) {
    if (typeof value !== 'string' || value === '') {
      throw new ConfigurationMistake(
        `admin.${name}`,
        'is missing; give admin: { username, password } of a PowerFolder administrator',
      );
    }
    if (/\p{Cc}/u.test(value)) {
      throw new ConfigurationMistake(
        `admin.${name}`,
        'has a line break or another control character in it; remove it, for instance with trim()',
      );
    }
  }
  if (username.includes(':')) {
    throw new ConfigurationMistake(
      'admin.username',
      'has a colon in it, which HTTP Basic cannot carry; use an administrator without one',
    );
  }
  return { username, password };
}

function checkedName(option: string, value: unknown): string {
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value;
  throw new ConfigurationMistake(
    option,
    'must be a string of visible ASCII characters without spaces; leave it out to have one made',
  );
}

/** Letters and digits, almost six bits each. */
function random(length: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/**
 * Why the answer is no success; undefined for a success. What that looks like is not documented: so it is any 2xx that
 * is neither a page nor a JSON object with an error.
 */
function refusalIn(response: HTTPResponse, message: HTTPRequest): PowerFolderError | undefined {
  const { status, body } = response;
  const where = `${message.url.split('?', 1)[0]}, status ${status}`;
  const error = (code: PowerFolderErrorCode, sentences: string) =>
    new PowerFolderError(code, sentences, serverAnswer(response));

  if (status === 401) {
    const sentences = `The PowerFolder server does not accept the administrator's user name or password (${where}). Check both.`;
    return error('login_refused', sentences);
  }
  if (status === 403) {
    const sentences = `The PowerFolder account is no administrator, or may not use the API (${where}). Use an administrator of that server.`;
    return error('not_administrator', sentences);
  }
  // Where a redirect leads is not quoted: it may repeat what was sent.
  if (message.url.startsWith('http:') && redirectTarget(response, message)?.protocol === 'https:') {
    return error('redirected', `The server wants https (${where}). Write serverURL with https://.`);
  }
  if ((status >= 300 && status < 400) || [404, 405, 410, 501].includes(status)) {
    const sentences = `There is no registration API of a PowerFolder server (${where}). Check serverURL: its host, and its context path, such as /powerfolder.`;
    return error('not_powerfolder', sentences);
  }
  const succeeded = status >= 200 && status < 300;
  if (succeeded && isPage(body)) {
    const sentences = `A web page came instead of the registration API of a PowerFolder server (${where}). Check serverURL with its context path; if they are right, it may be the login page, and the administrator's user name or password is wrong.`;
    return error('not_powerfolder', sentences);
  }
  if (succeeded && !saysNo(body)) return undefined;
  // The server's own words are not quoted: they may repeat what was sent, in any spelling.
  const sentences = `The PowerFolder server did not register the client (${where}). Its log may say why.`;
  return error('refused', sentences);
}

/** What success looks like is not documented; what these say is none. */
function saysNo(body: string): boolean {
  if (/^\s*(false\s*$|(<\?xml[^>]*>\s*)?<error\b)/i.test(body)) return true;
  const json = jsonObject(body);
  if (!json) return false;
  const failed = ['error', 'errors'].some((name) => member(json, name));
  return failed || member(json, 'success') === false || /^(error|fail(ed|ure)?)$/i.test(String(member(json, 'status')));
}

function isPage(body: string): boolean {
  return /^\s*</.test(body) && /<(!doctype\s+html|html|head|body)\b/i.test(body);
}
