/**
 * The token request and the refresh (RFC 6749 sections 4.1.3 and 6). PowerFolder deviates: the body is JSON, the
 * client's credentials are in it, and the answer has no `token_type`. See docs/powerfolder-oauth2.md.
 */
import { types } from 'node:util';
import { TokenError } from 'passport-oauth2';
import {
  answeredWith,
  isSystemErrorCode,
  PowerFolderError,
  type ServerAnswer,
  serverAnswer,
  statusToAnswer,
} from './errors.ts';
import { unexpectedAnswer } from './exchange-errors.ts';
import { expiryAt } from './expiry.ts';
import { exchange, type HTTPRequest, type HTTPResponse, type Transport } from './http.ts';
import { deepest, isObject, isShallow, jsonObject, member } from './json.ts';
import { maskedJSON, masking, plainText } from './redact.ts';

/** What PowerFolder issued: plain JSON, made to be stored on the server and given back to `freshTokens`. */
export interface PowerFolderTokens {
  /** For `Authorization: Bearer`. PowerFolder's live 24 hours by the vendor's code, if its administrator has not changed that. */
  accessToken: string;
  /** Practically everlasting by the vendor's code, and probably good for all that an access token is: keep it like a password. */
  refreshToken?: string;
  /** Epoch milliseconds; missing when the server did not say, or nothing plausible: see docs/powerfolder-oauth2.md. */
  expiresAt?: number;
}

/** Options of one refresh. */
export interface RefreshOptions {
  /**
   * Further members of the refresh request, such as `{ format: 'json' }`. They do not replace PowerFolder's own, and
   * `refreshMethod: 'GET'` takes none.
   */
  params?: object | undefined;
}

/** Tokens with the members of the token response as they came. */
export interface TokenResponse {
  tokens: PowerFolderTokens;
  params: Record<string, unknown>;
}

/** Who makes token requests, and how. */
export interface TokenClient {
  readonly clientID: string;
  readonly clientSecret: string;
  readonly tokenURL: string;
  readonly transport: Transport;
  /** Where the documented old refresh, a GET, goes; undefined for the JSON POST to the token endpoint. */
  readonly refreshByGET?: string | undefined;
  /** Makes an error of a refusal, or null where the body says nothing. @see parseErrorResponse */
  parseErrorResponse(body: string, status: number): Error | null;
}

/**
 * Exchanges an authorization code for tokens (RFC 6749 section 4.1.3). The request is sent once.
 *
 * @param further Further members of the request; they do not replace PowerFolder's own.
 * @throws {TokenError} The server refused with an OAuth error.
 * @throws {PowerFolderError} Anything else.
 */
export async function requestTokens(client: TokenClient, code: string, further: object = {}): Promise<TokenResponse> {
  const { clientID: client_id, clientSecret: client_secret } = client;
  return await postTokenRequest(client, { grant_type: 'authorization_code', code, client_id, client_secret }, further);
}

/**
 * Gets new tokens for a refresh token (RFC 6749 section 6), which stays in them when the server sends no new one.
 *
 * @param further Further members of the request; they do not replace PowerFolder's own.
 * @throws as {@link requestTokens}.
 */
export async function requestRefresh(
  client: TokenClient,
  refreshToken: string,
  further: object = {},
): Promise<TokenResponse> {
  const { clientID: client_id, clientSecret: client_secret, refreshByGET } = client;
  const grant = { grant_type: 'refresh_token', refresh_token: refreshToken };
  const response =
    refreshByGET === undefined
      ? await postTokenRequest(client, { ...grant, client_id, client_secret }, further)
      : await getRefresh(client, refreshByGET, refreshToken, further);
  // PowerFolder keeps the refresh token and may leave it out of the answer.
  response.tokens.refreshToken ??= refreshToken;
  return response;
}

function postTokenRequest(
  client: TokenClient,
  required: Record<string, string>,
  further: object,
): Promise<TokenResponse> {
  // The required ones twice: to come first, and to be replaced by none.
  const members: Record<string, unknown> = { ...required, ...further, ...required };
  const message: HTTPRequest = {
    endpoint: 'token endpoint',
    method: 'POST',
    url: client.tokenURL,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(members),
  };
  return sendTokenRequest(client, message, members);
}

/** The documented old refresh. It takes not even the secret. */
function getRefresh(
  client: TokenClient,
  endpoint: string,
  refreshToken: string,
  further: object,
): Promise<TokenResponse> {
  if (Object.keys(further).length > 0) {
    throw new TypeError("A refresh by GET takes no further parameters; leave them out, or use refreshMethod: 'POST'");
  }
  const members = { grant_type: 'refresh_token', client_id: client.clientID, refresh_token: refreshToken };
  const message: HTTPRequest = {
    endpoint: 'refresh endpoint',
    method: 'GET',
    url: `${endpoint}?${new URLSearchParams(members)}`,
    headers: { accept: 'application/json' },
  };
  return sendTokenRequest(client, message, members);
}

async function sendTokenRequest(
  client: TokenClient,
  message: HTTPRequest,
  members: Record<string, unknown>,
): Promise<TokenResponse> {
  const sent = Date.now();
  const response = await exchange(message, client.transport);
  const json = jsonObject(response.body);
  const succeeded = response.status >= 200 && response.status <= 299;
  if (!succeeded || (json && member(json, 'error') !== undefined)) throw refusal(client, message, members, response);
  if (!json) {
    throw unexpectedAnswer(message, response, 'Check serverURL with its context path: this may be another server.');
  }
  return { tokens: readTokens(message, response, json, sent), params: json };
}

function invalid(message: HTTPRequest, response: HTTPResponse, what: string): PowerFolderError {
  const text = `The ${message.endpoint} of the PowerFolder server sent ${what}.`;
  return new PowerFolderError('invalid_response', text, serverAnswer(response));
}

/** @param sent When the request was sent, in epoch milliseconds. */
function readTokens(
  message: HTTPRequest,
  response: HTTPResponse,
  json: Record<string, unknown>,
  sent: number,
): PowerFolderTokens {
  if (!isShallow(json)) throw invalid(message, response, `an object of more than ${deepest} levels`);
  const accessToken = member(json, 'access_token');
  const refreshToken = member(json, 'refresh_token') ?? '';
  const tokenType = member(json, 'token_type');
  const expiresIn = member(json, 'expires_in');
  if (!isToken(accessToken)) throw invalid(message, response, 'no usable access_token');
  if (tokenType !== undefined && !(typeof tokenType === 'string' && tokenType.toLowerCase() === 'bearer')) {
    throw invalid(message, response, 'a token_type other than Bearer');
  }
  if (refreshToken !== '' && !isToken(refreshToken)) throw invalid(message, response, 'a refresh_token that is none');
  const tokens: PowerFolderTokens = { accessToken };
  if (refreshToken !== '') tokens.refreshToken = refreshToken;
  if (expiresIn !== undefined) {
    const lifetime = positiveNumber(expiresIn);
    if (lifetime === undefined) throw invalid(message, response, 'an expires_in that is no number above 0');
    // Counted from the request: the server's clock started before the answer arrived.
    const expiresAt = expiryAt(lifetime, accessToken, sent);
    if (expiresAt !== undefined && isTime(expiresAt)) tokens.expiresAt = expiresAt;
  }
  return tokens;
}

/** A number, or a text with one; undefined for what is not above 0. */
export function positiveNumber(expiresIn: unknown): number | undefined {
  const isText = typeof expiresIn === 'string' && /^\d+(?:\.\d+)?$/.test(expiresIn);
  const number = isText ? Number(expiresIn) : expiresIn;
  return typeof number === 'number' && number > 0 ? number : undefined;
}

/** Members of a token request that may not stand in an error message, beside the client's secret. What else an application adds may. */
const secretMembers = ['code', 'code_verifier', 'refresh_token', 'access_token'];

/** The error for an answer that is a refusal, with an OAuth error or by its status. */
function refusal(
  client: TokenClient,
  message: HTTPRequest,
  members: Record<string, unknown>,
  response: HTTPResponse,
): Error {
  const { status, body } = response;
  const answer = serverAnswer(response);
  let error: unknown = null;
  try {
    // The hook makes an error of what it is given, so it is not given what we sent.
    const secrets = [client.clientSecret, ...secretMembers.map((name) => members[name])];
    const mask = masking(secrets.filter((secret) => typeof secret === 'string'));
    error = client.parseErrorResponse(jsonObject(body) ? maskedJSON(body, mask) : mask(body), status);
  } catch {
    // passport-oauth2 lets its hook throw on a body that it cannot read.
  }
  if (error) return answered(error, answer);
  if (status >= 200 && status <= 299) return invalid(message, response, 'an error without a code');
  const advice = 'Check serverURL with its context path, the client ID and the client secret.';
  return unexpectedAnswer(message, response, advice);
}

/**
 * An error of a refusal, with what to answer the visitor: 500 where the server does not like what the application sent,
 * as a wrong client secret (passport-oauth2's default), and else by the server's status. A hook may have put the server's
 * own status there, which would tell the visitor that the page is not there.
 */
function answered(error: unknown, answer: ServerAnswer): Error {
  if (!(error instanceof Error)) {
    // That a promise may be rejected must not end the process.
    if (types.isPromise(error)) error.catch(() => {});
    return new TypeError('parseErrorResponse gave no Error; it returns an Error, or null, at once');
  }
  const { serverStatus } = answer;
  const { code } = error as { code?: unknown };
  const status = isAboutRequest({ code, serverStatus }) ? 500 : statusToAnswer(serverStatus);
  // A hook may give a constant.
  return answeredWith(Object.isExtensible(error) ? error : Object.create(error), status, answer);
}

/** RFC 6749 section 5.2's codes: what the application sent was wrong. */
const requestErrors = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
]);

/** Milliseconds before their expiry at which tokens are refreshed by default. */
const defaultLeeway = 60_000;

/**
 * Whether tokens that an application kept can be used without a refresh: for `leeway` milliseconds more, or for want of a
 * refresh token. Where the expiry is not known, they count as expired.
 *
 * @throws {TypeError} for what are no tokens, and for a leeway that is none.
 */
export function areFresh(tokens: PowerFolderTokens, leeway = defaultLeeway): boolean {
  const expiresAt = expiryOf(tokens);
  if (!Number.isFinite(leeway)) throw new TypeError('leeway must be a number of milliseconds');
  return expiresAt === undefined ? !tokens.refreshToken : expiresAt > Date.now() + leeway;
}

/**
 * The expiry of tokens that an application kept, in epoch milliseconds, where it is known.
 *
 * @throws {TypeError} for what are no tokens.
 */
export function expiryOf(tokens: PowerFolderTokens): number | undefined {
  if (!isObject(tokens) || typeof tokens.accessToken !== 'string' || tokens.accessToken === '') {
    throw new TypeError('These are no tokens: there is no accessToken as it was given to verify');
  }
  // A database gives null for what is not there.
  const expiresAt: unknown = tokens.expiresAt ?? undefined;
  if (expiresAt === undefined || (typeof expiresAt === 'number' && isTime(expiresAt))) return expiresAt;
  throw new TypeError(
    'expiresAt of the tokens must be a number: epoch milliseconds, as it was given to verify; of a Date give getTime(), of text Number(text), and leave it out if it is not known',
  );
}

/** Whether a number is one of epoch milliseconds, which a Date can hold. */
function isTime(milliseconds: number): boolean {
  return Math.abs(milliseconds) <= 8.64e15;
}

/**
 * Jetty, on which PowerFolder runs, takes no more in the header of a request, so that a longer access token is of no
 * use. It also bounds what there is to hide in refusals.
 */
const longestToken = 8 * 1024;

/** Visible ASCII only, as a token goes into a header (RFC 6750 section 2.1). */
function isToken(value: unknown): value is string {
  return typeof value === 'string' && value.length <= longestToken && /^[\x21-\x7e]+$/.test(value);
}

/**
 * The error in a token endpoint's refusal (RFC 6749 section 5.2), or null when it holds no OAuth error.
 * `message` is the server's description in plain characters.
 */
export function parseErrorResponse(body: string, _status?: number): Error | null {
  const json = jsonObject(body);
  const text = (name: string) => {
    const value = json && member(json, name);
    return typeof value === 'string' ? plainText(value) : undefined;
  };
  const code = text('error');
  if (!code || isSystemErrorCode(code)) return null;
  return new TokenError(
    text('error_description') || `The PowerFolder server refused the token request: ${code}`,
    code,
    text('error_uri'),
  );
}

/** Whether a code or refresh token is not accepted; a server that is busy or broken says nothing about it. */
export function isInvalidGrant(error: unknown): error is TokenError {
  return error instanceof TokenError && error.code === 'invalid_grant' && isAboutRequest(error);
}

function isAboutRequest({ code, serverStatus = 400 }: { code?: unknown; serverStatus?: number | undefined }): boolean {
  return serverStatus < 500 && serverStatus !== 429 && requestErrors.has(String(code));
}
