/**
 * The token request and the refresh (RFC 6749 sections 4.1.3 and 6). PowerFolder deviates: the body is JSON, the
 * client's credentials are in it, and the answer has no `token_type`. See docs/powerfolder-oauth2.md.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { stringify } from 'node:querystring';
import { types } from 'node:util';
import { type dataCallback, OAuth2, type oauth2tokenCallback } from 'oauth';
import { TokenError } from 'passport-oauth2';
import { checkedTransport, checkedURL } from './configuration.ts';
import {
  answeredWith,
  isSystemErrorCode,
  masking,
  PowerFolderError,
  plainText,
  type ServerAnswer,
  serverAnswer,
  statusToAnswer,
} from './errors.ts';
import {
  deepest,
  exchange,
  type HTTPRequest,
  type HTTPResponse,
  isObject,
  isShallow,
  jsonObject,
  member,
  own,
  redirectRefused,
  type Transport,
  unexpectedAnswer,
} from './http.ts';

/** What PowerFolder issued: plain JSON, made to be stored on the server and given back to `freshTokens`. */
export interface PowerFolderTokens {
  /** For `Authorization: Bearer`. PowerFolder's live 24 hours. */
  accessToken: string;
  /** Practically everlasting: keep it like a password. */
  refreshToken?: string;
  /** Epoch milliseconds; missing when the server did not say. */
  expiresAt?: number;
}

/** Tokens with the members of the token response as they came. */
export interface TokenResponse {
  tokens: PowerFolderTokens;
  params: Record<string, unknown>;
}

/** How a client makes its requests; what is the same for all its tokens. */
export interface TokenClientSettings {
  transport: Transport;
  /** Where the documented old refresh, a GET, goes; undefined for the JSON POST to the token endpoint. */
  refreshByGET?: string | undefined;
  /** The strategy's hook. */
  parseErrorResponse(body: string, status: number): Error | null;
}

/** Milliseconds before the expiry at which {@link PowerFolderOAuth2.freshTokens} refreshes by default. */
const defaultLeeway = 60_000;

/**
 * The client at the token endpoint. It is a node-oauth `OAuth2`, so that what is written for `strategy._oauth2` finds
 * what it knows; but every request goes through our own exchange, with its deadline, its cap and its typed errors.
 */
export class PowerFolderOAuth2 extends OAuth2 {
  readonly #settings: TokenClientSettings;
  #clientSecret: string;
  #customHeaders: OutgoingHttpHeaders;
  /** Where it was checked; `_accessTokenUrl` and `_baseSite` may be set to another. */
  readonly #tokenURL: string;
  /** Refreshes on the way, by refresh token: simultaneous callers share one request. */
  readonly #refreshes = new Map<string, Promise<PowerFolderTokens>>();

  /** The first six parameters are node-oauth's. */
  constructor(
    clientID: string,
    clientSecret: string,
    baseSite: string,
    authorizationURL: string,
    tokenURL: string,
    customHeaders?: OutgoingHttpHeaders,
    settings: TokenClientSettings = { transport: checkedTransport({}), parseErrorResponse },
  ) {
    // Checked once more, as passport-oauth2-refresh takes one of the application's.
    const { href } = checkedURL(baseSite + tokenURL, 'tokenURL', settings.transport);
    super(clientID, '', '', authorizationURL, href);
    this.#settings = settings;
    this.#tokenURL = href;
    this.#clientSecret = clientSecret;
    this.#customHeaders = customHeaders ?? {};
    // node-oauth's names stay, but nothing that walks over the object's members comes upon the values.
    Object.defineProperty(this, '_clientSecret', {
      get: () => this.#clientSecret,
      set: (value: string) => {
        this.#clientSecret = value;
      },
      enumerable: false,
    });
    Object.defineProperty(this, '_customHeaders', {
      get: () => this.#customHeaders,
      set: (value: OutgoingHttpHeaders) => {
        this.#customHeaders = value;
      },
      enumerable: false,
    });
    // node-oauth's methods only set these.
    for (const [name, { value, advice }] of Object.entries(fixed)) {
      const set = (given: unknown) => {
        if (given !== value) throw new TypeError(advice);
      };
      Object.defineProperty(this, name, { get: () => value, set, enumerable: false });
    }
  }

  /**
   * This class with its settings fixed, since passport-oauth2-refresh makes a client of its own from
   * `strategy._oauth2.constructor` and knows of node-oauth's six parameters only.
   */
  static with(settings: TokenClientSettings): typeof PowerFolderOAuth2 {
    return class extends PowerFolderOAuth2 {
      constructor(...[id, secret, site, authorize, token, headers]: ConstructorParameters<typeof PowerFolderOAuth2>) {
        super(id, secret, site, authorize, token, headers, settings);
      }
    };
  }

  /**
   * Exchanges an authorization code for tokens (RFC 6749 section 4.1.3). The request is sent once.
   *
   * @param params Further members of the request; they do not replace PowerFolder's own.
   * @throws {TokenError} The server refused in OAuth words.
   * @throws {PowerFolderError} Anything else.
   */
  requestTokens(code: string, params: object = {}): Promise<TokenResponse> {
    return this.#send(
      { grant_type: 'authorization_code', code, client_id: this._clientId, client_secret: this.#clientSecret },
      params,
    );
  }

  /**
   * Gets new tokens for a refresh token (RFC 6749 section 6), which stays in them when the server sends no new one.
   * Simultaneous calls for one refresh token make one request.
   *
   * @throws {PowerFolderError} `sign_in_again` when the server does not accept the refresh token any more.
   * @throws {TokenError} The server refused for another reason.
   */
  async refresh(refreshToken: string): Promise<PowerFolderTokens> {
    if (typeof refreshToken !== 'string' || refreshToken === '') {
      throw new TypeError('refreshAccessToken takes the refresh token as a string');
    }
    let refresh = this.#refreshes.get(refreshToken);
    if (!refresh) {
      refresh = this.#requestRefresh(refreshToken)
        .then(({ tokens }) => tokens, signInAgain)
        .finally(() => this.#refreshes.delete(refreshToken));
      this.#refreshes.set(refreshToken, refresh);
    }
    // To each caller its own: what one of them does to it is not the others'.
    return { ...(await refresh) };
  }

  /** The same tokens while they are valid for `leeway` milliseconds more; else refreshed ones. */
  async freshTokens(tokens: PowerFolderTokens, leeway = defaultLeeway): Promise<PowerFolderTokens> {
    if (!isObject(tokens) || typeof tokens.accessToken !== 'string') {
      throw new TypeError('freshTokens takes the tokens of a sign-in, as they were given to verify');
    }
    if (!Number.isFinite(leeway)) throw new TypeError('leeway must be a number of milliseconds');
    // A database gives null for what is not there.
    const expiresAt: unknown = tokens.expiresAt ?? undefined;
    if (expiresAt !== undefined && !(typeof expiresAt === 'number' && isTime(expiresAt))) {
      throw new TypeError(
        'expiresAt of the tokens must be a number: epoch milliseconds, as it was given to verify; of a Date give getTime(), of text Number(text), and leave it out if it is not known',
      );
    }
    if (expiresAt === undefined || expiresAt > Date.now() + leeway) return tokens;
    if (!tokens.refreshToken) {
      throw new PowerFolderError('sign_in_again', 'The access token has expired and there is no refresh token.');
    }
    return await this.refresh(tokens.refreshToken);
  }

  async #requestRefresh(refreshToken: string, params: object = {}): Promise<TokenResponse> {
    const grant_type = 'refresh_token';
    const response = await this.#send(
      { grant_type, refresh_token: refreshToken, client_id: this._clientId, client_secret: this.#clientSecret },
      params,
    );
    // PowerFolder keeps the refresh token and may leave it out of the answer.
    response.tokens.refreshToken ??= refreshToken;
    return response;
  }

  async #send(required: Record<string, string>, params: object): Promise<TokenResponse> {
    const { refreshByGET } = this.#settings;
    const transport = this.#transport();
    // The required ones twice: to come first, and to be replaced by none.
    const request: Record<string, unknown> = { ...required, ...params, ...required };
    const message: HTTPRequest =
      required['refresh_token'] !== undefined && refreshByGET !== undefined
        ? {
            endpoint: 'refresh endpoint',
            method: 'GET',
            url: `${refreshByGET}?${new URLSearchParams({
              grant_type: 'refresh_token',
              client_id: this._clientId,
              refresh_token: required['refresh_token'],
            })}`,
            headers: { accept: 'application/json' },
          }
        : {
            endpoint: 'token endpoint',
            method: 'POST',
            url: this.#tokenEndpoint(),
            headers: { 'content-type': 'application/json', accept: 'application/json' },
            body: JSON.stringify(request),
          };
    const sent = Date.now();
    const response = await exchange(message, transport);
    return readTokenResponse(message, response, sent, request, this.#settings.parseErrorResponse);
  }

  #tokenEndpoint(): string {
    const url = this._getAccessTokenUrl();
    return url === this.#tokenURL ? url : checkedURL(url, 'tokenURL', this.#settings.transport).href;
  }

  #transport(): Transport {
    return { ...this.#settings.transport, headers: lowerCased(this.#customHeaders) as Record<string, string> };
  }

  // node-oauth's face, for subclasses' hooks and passport-oauth2-refresh. What is called does what it does in node-oauth,
  // by our own exchange, or is refused.

  /**
   * The URL of an authorization request. The strategy does not use it; whoever does sends a `state` and checks it.
   *
   * @param params Its parameters; `client_id` is added.
   */
  override getAuthorizeUrl(params?: object): string {
    const url = this._baseSite + this._authorizeUrl;
    const query = stringify({ ...params, client_id: this._clientId });
    return `${url}${url.includes('?') ? '&' : '?'}${query}`;
  }

  /**
   * node-oauth's token request: `code` is the refresh token when `params.grant_type` says so. PowerFolder has no other
   * grants.
   *
   * @throws {TypeError} when there is no callback; all else goes to the callback.
   */
  override getOAuthAccessToken(
    code: string,
    ...rest: [params: unknown, done: oauth2tokenCallback] | [done: oauth2tokenCallback]
  ): void {
    const done = callback(rest.at(-1), 'getOAuthAccessToken');
    this.#requestByGrant(code, rest.length > 1 ? rest[0] : undefined).then(
      ({ tokens, params: { refresh_token: _, ...results } }) =>
        done(null, tokens.accessToken, tokens.refreshToken, results),
      done,
    );
  }

  async #requestByGrant(code: unknown, params: unknown): Promise<TokenResponse> {
    if (typeof code !== 'string' || code === '') {
      throw new TypeError('_oauth2.getOAuthAccessToken takes the code, or the refresh token, as a string');
    }
    if (params !== undefined && params !== null && !isObject(params)) {
      throw new TypeError(
        "_oauth2.getOAuthAccessToken takes params as an object, such as { grant_type: 'refresh_token' }",
      );
    }
    const { grant_type: _, ...further } = params ?? {};
    switch (params ? own(params, 'grant_type') : undefined) {
      case undefined:
      case 'authorization_code':
        return await this.requestTokens(code, further);
      case 'refresh_token':
        return await this.#requestRefresh(code, further);
      default:
        throw new TypeError(
          "PowerFolder has no such grant; give _oauth2.getOAuthAccessToken grant_type: 'authorization_code' or 'refresh_token'",
        );
    }
  }

  /**
   * All of node-oauth's other requests. The token travels in the header, never in the URL; an `Authorization` of the
   * caller's is left as it is.
   *
   * @param body A string or a Buffer.
   * @throws {TypeError} when there is no callback; all else goes to the callback.
   */
  protected override _request(
    method: string,
    url: string,
    headers: OutgoingHttpHeaders | null,
    body: unknown,
    accessToken: string | null,
    done: dataCallback,
  ): void {
    const answered = callback(done, '_request');
    this.#requestResource(method, url, headers, body, accessToken).then(
      (response) =>
        answered(null, response.body, {
          statusCode: response.status,
          headers: response.headers,
        } as unknown as IncomingMessage),
      answered,
    );
  }

  async #requestResource(
    method: string,
    url: string,
    headers: OutgoingHttpHeaders | null,
    body: unknown,
    accessToken: string | null,
  ): Promise<HTTPResponse> {
    const transport = this.#transport();
    const { href } = checkedURL(url, 'The URL of a request with an access token', transport);
    if (typeof method !== 'string' || !/^[a-z]+$/i.test(method) || /^connect$/i.test(method)) {
      throw new TypeError('_oauth2._request takes the method of an HTTP request, such as GET or PROPFIND');
    }
    const hasBody = body !== undefined && body !== null && body !== '';
    if (hasBody && typeof body !== 'string' && !(body instanceof Uint8Array)) {
      throw new TypeError('_oauth2._request takes the body as a string or a Buffer; give it JSON.stringify(body)');
    }
    const message: HTTPRequest = {
      endpoint: 'resource',
      method: method.toUpperCase(),
      url: href,
      headers: {
        ...(accessToken && { authorization: this.buildAuthHeader(accessToken) }),
        ...lowerCased(headers ?? {}),
      },
      ...(hasBody && { body }),
      // An error all the same, but with its status.
      redirect: 'manual',
    };
    const response = await exchange(message, transport);
    // Without node-oauth's `data`, which may repeat the token, and with its `statusCode` as `serverStatus`: frameworks
    // would answer that to the visitor.
    const { status } = response;
    if (status > 299 && status < 400) throw redirectRefused(message, response);
    if (status > 399) throw unexpectedAnswer(message, response, 'Check the access token and the address.');
    return response;
  }

  /** @throws {TypeError} always: there is no HTTP library to choose here. */
  protected override _chooseHttpLibrary(): never {
    throw new TypeError(
      '_oauth2._chooseHttpLibrary has no effect here; give the strategy the option dispatcher instead',
    );
  }

  /** @throws {TypeError} always: requests go through undici, with a deadline and a cap. */
  protected override _executeRequest(): never {
    throw new TypeError('_oauth2._executeRequest has no effect here; call _oauth2._request or _oauth2.get instead');
  }
}

const inHeader =
  'the access token travels in the header "Authorization: Bearer …" only, which _oauth2.get and _oauth2._request send by themselves';

/** What node-oauth lets a caller set, but would have no effect here, or put a token where it must not be (R30). */
const fixed = {
  _accessTokenName: {
    value: 'access_token',
    advice: `_oauth2.setAccessTokenName has no effect here: ${inHeader}; remove the call`,
  },
  _authMethod: {
    value: 'Bearer',
    advice: `_oauth2.setAuthMethod takes 'Bearer' only: ${inHeader}; remove the call`,
  },
  _useAuthorizationHeaderForGET: {
    value: true,
    advice: `_oauth2.useAuthorizationHeaderforGET takes true only: ${inHeader}; remove the call`,
  },
  _agent: {
    value: undefined,
    advice:
      "_oauth2.setAgent has no effect here; give the strategy the option dispatcher instead, such as new Agent({ connect: { ca } }) or new ProxyAgent(uri) from 'undici'",
  },
};

/**
 * node-oauth's callback. It is called once, in a promise's reaction: what it throws is the application's own mistake, and
 * an unhandled rejection, which ends the process like the uncaught exception that it is in node-oauth.
 */
function callback(done: unknown, method: string): (error: unknown, ...values: unknown[]) => void {
  if (typeof done === 'function') return done as ReturnType<typeof callback>;
  throw new TypeError(`_oauth2.${method} takes a callback as its last argument: (error, …) => { … }`);
}

/** HTTP's names of headers have no case, but members have: the last of a name wins. */
function lowerCased(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

/** Members of a token request that may not stand in an error message. What else an application adds may. */
const secretMembers = ['code', 'client_secret', 'code_verifier', 'refresh_token', 'access_token'];

function readTokenResponse(
  message: HTTPRequest,
  response: HTTPResponse,
  sent: number,
  request: Record<string, unknown>,
  parseError: TokenClientSettings['parseErrorResponse'],
): TokenResponse {
  const { status } = response;
  const answer = serverAnswer(response);
  const json = jsonObject(response.body);
  const succeeded = status >= 200 && status <= 299;
  const invalid = (what: string) =>
    new PowerFolderError('invalid_response', `The ${message.endpoint} of the PowerFolder server sent ${what}.`, answer);
  if (!succeeded || (json && member(json, 'error') !== undefined)) {
    const secrets = secretMembers.map((name) => request[name]).filter((value) => typeof value === 'string');
    let error: unknown = null;
    try {
      // The hook makes an error of what it is given, so it is not given what we sent.
      const mask = masking(secrets);
      error = parseError(json ? maskedJSON(response.body, mask) : mask(response.body), status);
    } catch {
      // passport-oauth2 lets its hook throw on a body that it cannot read.
    }
    if (error) throw answered(error, answer);
    if (succeeded) throw invalid('an error without a code');
    throw unexpectedAnswer(
      message,
      response,
      'Check serverURL with its context path, the client ID and the client secret.',
    );
  }
  if (!json) {
    throw unexpectedAnswer(message, response, 'Check serverURL with its context path: this may be another server.');
  }
  if (!isShallow(json)) throw invalid(`an object of more than ${deepest} levels`);
  const accessToken = member(json, 'access_token');
  const tokenType = member(json, 'token_type');
  const expiresIn = member(json, 'expires_in');
  const refreshToken = member(json, 'refresh_token') ?? '';
  if (!isToken(accessToken)) throw invalid('no usable access_token');
  if (tokenType !== undefined && !(typeof tokenType === 'string' && tokenType.toLowerCase() === 'bearer')) {
    throw invalid('a token_type other than Bearer');
  }
  if (refreshToken !== '' && !isToken(refreshToken)) throw invalid('a refresh_token that is none');
  const tokens: PowerFolderTokens = { accessToken };
  if (refreshToken !== '') tokens.refreshToken = refreshToken;
  if (expiresIn !== undefined) {
    const seconds = typeof expiresIn === 'string' && /^\d+(?:\.\d+)?$/.test(expiresIn) ? Number(expiresIn) : expiresIn;
    if (typeof seconds !== 'number' || !(seconds > 0))
      throw invalid('an expires_in that is no number of seconds above 0');
    // Counted from the request: the server's clock started before the answer arrived.
    tokens.expiresAt = sent + Math.floor(seconds * 1000);
    if (!isTime(tokens.expiresAt)) throw invalid('an expires_in that ends later than a Date can tell');
  }
  return { tokens, params: json };
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

/** RFC 6749's words (sections 4.1.2.1 and 5.2). They are public, even where one of them is sent for a code. */
const publicWords = new Set(
  'error error_description error_uri invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied unsupported_response_type server_error temporarily_unavailable'.split(
    ' ',
  ),
);

/** Strings and numbers, in a text that is JSON. */
const jsonScalars = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/** A JSON text in which secrets are hidden: in strings, in the names of members, and in numbers, as a code may be one. */
function maskedJSON(json: string, mask: (text: string) => string): string {
  return json.replace(jsonScalars, (scalar) => {
    const inner = scalar.startsWith('"') ? scalar.slice(1, -1) : scalar;
    const text: string = inner.includes('\\') ? JSON.parse(scalar) : inner;
    const masked = publicWords.has(text) ? text : mask(text);
    return masked === text ? scalar : JSON.stringify(masked);
  });
}

/**
 * The error in a token endpoint's refusal (RFC 6749 section 5.2), or null when it does not speak in OAuth words.
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

function signInAgain(error: unknown): never {
  if (isInvalidGrant(error)) {
    throw new PowerFolderError(
      'sign_in_again',
      'PowerFolder does not accept the refresh token any more: the user has to sign in again.',
      { serverStatus: error.serverStatus, cause: error },
    );
  }
  throw error;
}
