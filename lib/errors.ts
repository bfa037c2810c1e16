/**
 * What can go wrong. Four kinds of mistakes have four answers:
 * - the programmer's: a `TypeError` at construction, with the fix in the sentence; for an option a {@link ConfigurationMistake};
 * - the visitor's (declined, stale, forged): a failure, see failures.ts, handed to Passport's `fail`;
 * - the server's refusal with an OAuth error: passport-oauth2's `AuthorizationError` and `TokenError`;
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
    this.status = statusOf(code, serverStatus);
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

function statusOf(code: PowerFolderErrorCode, serverStatus: number | undefined): number {
  if (applicationsMistakes.has(code)) return 500;
  return code === 'timeout' ? 504 : statusToAnswer(serverStatus);
}

/**
 * A mistake in a configuration: a TypeError that knows which option it is about. The command line calls the options by
 * other names, and says the same of them.
 */
export class ConfigurationMistake extends TypeError {
  readonly option: string;
  /** The sentence without the option's name at its beginning, and without {@link allowedBy}. */
  readonly problem: string;
  /** An option by which the value would be allowed, if that is meant: `allowInsecureHTTP`. */
  declare readonly allowedBy?: string;

  constructor(option: string, problem: string, allowedBy?: string) {
    super(`${option} ${problem}${allowedBy ? `, or, in a closed network only, set ${allowedBy}: true` : ''}`);
    this.option = option;
    this.problem = problem;
    if (allowedBy !== undefined) this.allowedBy = allowedBy;
  }
}

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
  const wait = millisecondsUntil(after);
  return wait >= 0 && wait <= longestTimer ? { serverStatus: status, retryAfter: wait } : { serverStatus: status };
}

/** @param after `Retry-After`: seconds or an HTTP-date. @returns NaN for anything else. */
function millisecondsUntil(after: string): number {
  if (/^\d+$/.test(after)) return Number(after) * 1000;
  // Date.parse alone would find a date in nearly everything.
  const isDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*, .+ GMT$/.test(after);
  return isDate ? Date.parse(after) - Date.now() : Number.NaN;
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
