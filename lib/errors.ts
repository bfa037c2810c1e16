/**
 * What can go wrong. Four kinds of mistakes have four answers:
 * - the programmer's: a `TypeError` at construction, with the fix in the sentence;
 * - the visitor's (declined, stale, forged): a {@link PowerFolderFailure}, handed to Passport's `fail`;
 * - the server's refusal in OAuth words: passport-oauth2's `AuthorizationError` and `TokenError`;
 * - the server broken, away or misconfigured: a {@link PowerFolderError}.
 */

/** The codes of {@link PowerFolderError}; the README says what to do about each. */
export type PowerFolderErrorCode =
  | 'unreachable'
  | 'tls'
  | 'timeout'
  | 'connection_lost'
  | 'not_http'
  | 'redirected'
  | 'too_large'
  | 'not_json'
  | 'invalid_response'
  | 'refused'
  | 'profile_refused'
  | 'profile_without_id'
  | 'sign_in_again'
  | 'login_refused'
  | 'not_administrator'
  | 'not_powerfolder'
  | 'session_required';

/**
 * The PowerFolder server could not be used as expected: away, slow, misconfigured, or answering nonsense.
 * Neither its message nor its causes hold a secret, a code or a token.
 */
export class PowerFolderError extends Error {
  /** What happened, for programs. */
  readonly code: PowerFolderErrorCode;
  /**
   * HTTP status to answer the visitor with, as http-errors, Express and Koa have it; never the server's own: 500 for
   * mistakes of the application, 504 for `timeout`, 503 where the server says 429 or 503, and 502 for all else.
   */
  readonly status: number;
  /** HTTP status of the PowerFolder server's answer, when there was one. */
  declare readonly serverStatus?: number;
  /** Milliseconds after which to try again, where the server said 429 or 503 and when (RFC 9110 section 10.2.3). */
  declare readonly retryAfter?: number;
  /** The application's state, where the pending sign-in was found and had one. */
  declare readonly state?: unknown;

  constructor(code: PowerFolderErrorCode, message: string, details: ServerAnswer & { cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    const { serverStatus, retryAfter } = details;
    this.status = applicationsMistakes.has(code) ? 500 : code === 'timeout' ? 504 : statusToAnswer(serverStatus);
    if (serverStatus !== undefined) this.serverStatus = serverStatus;
    if (retryAfter !== undefined) this.retryAfter = retryAfter;
  }

  /** The same as `status`: Fastify and NestJS look here. */
  get statusCode(): number {
    return this.status;
  }

  /** Always false, as http-errors has it for what visitors are not told; NestJS takes no status of errors without it. */
  get expose(): boolean {
    return false;
  }

  static {
    // On the prototype, as the built-in errors have it: a name of its own would be printed as a property.
    Object.defineProperty(PowerFolderError.prototype, 'name', { value: 'PowerFolderError', configurable: true });
  }
}

const applicationsMistakes = new Set<PowerFolderErrorCode>([
  'session_required',
  'login_refused',
  'not_administrator',
  'not_powerfolder',
]);

/** What an error tells of the server's answer. */
export interface ServerAnswer {
  serverStatus?: number | undefined;
  /** Milliseconds. */
  retryAfter?: number | undefined;
}

/** What errors of passport-oauth2's classes have besides, as {@link PowerFolderError} has it. */
interface OAuthErrorAnswer {
  /** The same as `status`: Fastify and NestJS look here. */
  readonly statusCode?: number;
  /** HTTP status of the PowerFolder server's answer, when there was one: a browser that is sent back brings none. */
  readonly serverStatus?: number;
  /** Milliseconds after which to try again, where the server said 429 or 503 and when (RFC 9110 section 10.2.3). */
  readonly retryAfter?: number;
  /** The application's state, where the pending sign-in was found and had one. */
  readonly state?: unknown;
}

declare module 'passport-oauth2' {
  interface TokenError extends OAuthErrorAnswer {}
  interface AuthorizationError extends OAuthErrorAnswer {}
}

/**
 * An error of a class that is not ours, with the status to answer the visitor with by every name that a framework looks
 * at. Whatever it had there may be the server's.
 */
export function answeredWith<E extends Error>(error: E, status: number, answer: ServerAnswer = {}): E {
  const shown = { status, ...answer };
  // Defined, as a class may have them without a setter; and hidden where they would repeat what is shown.
  for (const [name, value] of Object.entries({ ...shown, statusCode: status, expose: false })) {
    Object.defineProperty(error, name, { value, enumerable: name in shown, writable: true, configurable: true });
  }
  return error;
}

/**
 * The status to answer a visitor with when the server answered with another. A status of the server's own would tell the
 * visitor that the application's page is not there, or that all is well.
 */
export function statusToAnswer(serverStatus: number | undefined): number {
  return serverStatus === 429 || serverStatus === 503 ? 503 : 502;
}

/** What an answer's status and headers tell; `Retry-After` counts where the server says that it is busy. */
export function serverAnswer({
  status,
  headers,
}: {
  status: number;
  headers: Record<string, string | string[] | undefined>;
}): ServerAnswer {
  const after = headers['retry-after'];
  if (statusToAnswer(status) !== 503 || typeof after !== 'string') return { serverStatus: status };
  // Seconds or an HTTP-date. Date.parse alone would find a date in nearly everything.
  const wait = /^\d+$/.test(after)
    ? Number(after) * 1000
    : /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .+ GMT$/.test(after)
      ? Date.parse(after) - Date.now()
      : Number.NaN;
  return wait >= 0 && wait <= longestTimer ? { serverStatus: status, retryAfter: wait } : { serverStatus: status };
}

/** Milliseconds. A timer with more than these, 24 days, would run at once. */
const longestTimer = 2 ** 31 - 1;

/**
 * Whether a word of the server's would pass for the code of an error of the system or of a framework, such as `ENOENT`, for
 * which Koa 2 answers 404. OAuth's are in lower case.
 */
export function isSystemErrorCode(word: string): boolean {
  return /^[A-Z][A-Z0-9_]*$/.test(word);
}

/** Why a sign-in did not succeed although nothing is broken: Passport's `info`, and `challenge` of a failure. */
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

const longestText = 200;

/**
 * Text of the server's, made fit for messages and logs: without the given secrets, in one line of plain characters
 * (no control or formatting characters, and none of `<>"\`, as RFC 6749 section 5.2 excludes the last two), and short.
 */
export function plainText(text: string, secrets: readonly string[] = []): string {
  return withoutSecrets(text, secrets)
    .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+|[<>"\\`]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
    .slice(0, longestText)
    .replace(/\p{Cs}$/u, '');
}

/** What stands in the place of a secret. */
const mark = '[hidden]';
/** Characters of a secret that show nowhere together. */
const width = 8;

/** A text in which secrets are hidden; see {@link masking}, which is for several texts. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return masking(secrets)(text);
}

/**
 * Makes a function that hides secrets in the texts of an answer, each in time that is proportional to its length.
 *
 * Of a secret of 8 characters or more, every part of 8 characters is replaced by a mark: as it is, and as it stands in a
 * URL, in JSON, in base64 and in hexadecimal digits. A shorter one is replaced only as a whole word, that is, not within
 * letters and digits: hiding each `e` would make nonsense of a text and tell the secret by what is missing. Signs alone
 * are not replaced at all. A mark stays as it is, so that to hide twice is to hide once.
 */
export function masking(secrets: readonly string[]): (text: string) => string {
  const isLong = (secret: string) => secret.length >= width;
  const parts = partsOf(secrets.filter(isLong).flatMap((secret) => [...inText(secret), ...inBytes(secret)]));
  const words = wholeWords(secrets.filter((secret) => !isLong(secret)).flatMap(inText));
  const hide = (text: string) => {
    const open = withoutParts(text, parts);
    return (words ? open.map((piece) => piece.replace(words, mark)) : open).join(mark);
  };
  // Most strings in an answer of many are short.
  return (text) => (text.length < width && !words ? text : text.split(mark).map(hide).join(mark));
}

function partsOf(spellings: string[]): Set<string> {
  const parts = new Set<string>();
  for (const spelling of new Set(spellings)) {
    for (let at = 0; at + width <= spelling.length; at++) parts.add(spelling.slice(at, at + width));
  }
  return parts;
}

/** What is left of a text between the parts that are hidden. */
function withoutParts(text: string, parts: Set<string>): string[] {
  const open: string[] = [];
  let seen = 0;
  if (parts.size > 0) {
    for (let at = 0; at + width <= text.length; at++) {
      if (!parts.has(text.slice(at, at + width))) continue;
      if (at >= seen) open.push(text.slice(seen, at));
      seen = at + width;
    }
  }
  open.push(text.slice(seen));
  return open;
}

/** Matches any of the words where no letter or digit continues it; undefined if there are none. */
function wholeWords(words: string[]): RegExp | undefined {
  const letter = '[\\p{L}\\p{M}\\p{N}_]';
  const [beginning, end] = [new RegExp(`^${letter}`, 'u'), new RegExp(`${letter}$`, 'u')];
  const patterns = [...new Set(words)]
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    // The longest first, as one may be the beginning of another.
    .sort((one, other) => other.length - one.length)
    .map((word) => {
      const literal = word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      return `${beginning.test(word) ? `(?<!${letter})` : ''}${literal}${end.test(word) ? `(?!${letter})` : ''}`;
    });
  return patterns.length > 0 ? new RegExp(patterns.join('|'), 'gu') : undefined;
}

/** How a text stands in texts: as it is, in URLs, and in JSON, as the usual libraries write them. */
function inText(secret: string): string[] {
  const form = new URLSearchParams({ s: secret }).toString().slice(2);
  const component = form.replaceAll('+', '%20').replace(/%(?:2[1789]|7E)/g, decodeURIComponent);
  const json = JSON.stringify(secret).slice(1, -1);
  const ascii = json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [
    secret,
    ...[form, component].flatMap((url) => [url, url.replace(/%../g, (byte) => byte.toLowerCase())]),
    ...[json, ascii].flatMap((text) => [text, text.replaceAll('/', '\\/')]),
  ];
}

/** How the bytes of a text are written: in base64, in the alphabet for URLs as well, and in hexadecimal digits. */
function inBytes(secret: string): string[] {
  const hex = Buffer.from(secret).toString('hex');
  const base64 = [0, 1, 2].flatMap((before) => {
    // In base64 a text has three spellings, by the place where it begins; its ends depend on what is around it.
    const bytes = Buffer.from(' '.repeat(before) + secret);
    const [start, end] = [Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6)];
    return [bytes.toString('base64').slice(start, end), bytes.toString('base64url').slice(start, end)];
  });
  return [hex, hex.toUpperCase(), ...base64];
}
