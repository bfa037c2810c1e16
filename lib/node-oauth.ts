/**
 * node-oauth's `OAuth2`, as `strategy._oauth2`: for subclasses' hooks and for passport-oauth2-refresh, which know its methods
 * and members. What they call does what it does there, by our own exchange with its deadline, its cap and its typed errors;
 * or it is refused.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { stringify } from 'node:querystring';
import { type dataCallback, OAuth2, type oauth2tokenCallback } from 'oauth';
import { PowerFolderClient } from './client.ts';
import { checkedTransport } from './configuration.ts';
import { redirectRefused, unexpectedAnswer } from './exchange-errors.ts';
import { exchange, type HTTPRequest, type HTTPResponse, type Transport } from './http.ts';
import { isObject, own } from './json.ts';
import { parseErrorResponse, requestRefresh, requestTokens, type TokenClient, type TokenResponse } from './token.ts';
import { checkedURL } from './url.ts';

/** What node-oauth's six parameters do not tell of a client. */
export type ClientSettings = Pick<TokenClient, 'transport' | 'refreshByGET' | 'parseErrorResponse'>;

/** A client in node-oauth's form. */
export class PowerFolderOAuth2 extends OAuth2 {
  /** The same client in our own form. */
  readonly client: PowerFolderClient;
  readonly #settings: ClientSettings;
  readonly #configuration: TokenClient;
  #clientSecret: string;
  #customHeaders: OutgoingHttpHeaders;
  /** Where it was checked; `_accessTokenUrl` and `_baseSite` may be set to another. */
  readonly #tokenURL: string;

  /** The first six parameters are node-oauth's. */
  constructor(
    clientID: string,
    clientSecret: string,
    baseSite: string,
    authorizationURL: string,
    tokenURL: string,
    customHeaders?: OutgoingHttpHeaders,
    settings: ClientSettings = { transport: checkedTransport({}), parseErrorResponse },
  ) {
    // Checked once more, as passport-oauth2-refresh takes one of the application's.
    const { href } = checkedURL(baseSite + tokenURL, 'tokenURL', settings.transport);
    super(clientID, '', '', authorizationURL, href);
    this.#settings = settings;
    this.#tokenURL = href;
    this.#clientSecret = clientSecret;
    this.#customHeaders = customHeaders ?? {};
    this.#configuration = this.#liveConfiguration();
    this.client = new PowerFolderClient(undefined, this.#configuration);
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
  static with(settings: ClientSettings): typeof PowerFolderOAuth2 {
    return class extends PowerFolderOAuth2 {
      constructor(...[id, secret, site, authorize, token, headers]: ConstructorParameters<typeof PowerFolderOAuth2>) {
        super(id, secret, site, authorize, token, headers, settings);
      }
    };
  }

  /** What this object holds when a request is made: with node-oauth, an application may change it at any time. */
  #liveConfiguration(): TokenClient {
    const oauth2 = this;
    return {
      ...this.#settings,
      get clientID() {
        return oauth2._clientId;
      },
      get clientSecret() {
        return oauth2.#clientSecret;
      },
      get tokenURL() {
        const url = oauth2._getAccessTokenUrl();
        return url === oauth2.#tokenURL ? url : checkedURL(url, 'tokenURL', oauth2.#settings.transport).href;
      },
      get transport() {
        return oauth2.#transport();
      },
    };
  }

  #transport(): Transport {
    return { ...this.#settings.transport, headers: lowerCased(this.#customHeaders) as Record<string, string> };
  }

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
        return await requestTokens(this.#configuration, code, further);
      case 'refresh_token':
        return await requestRefresh(this.#configuration, code, further);
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
    advice: '_oauth2.setAgent has no effect here; give the strategy the options ca and proxy instead, or dispatcher',
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
