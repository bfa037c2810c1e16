/** The client of a PowerFolder server, for the whole life of its users' tokens (RFC 6749 section 6). */
import { checkedCredential, checkedTransport, oneOf, type TransportOptions } from './configuration.ts';
import { PowerFolderError } from './errors.ts';
import { checkedHeaders, sentHeaders } from './headers.ts';
import { isObject } from './json.ts';
import { type KeepTokensOptions, PowerFolderTokenKeeper, type UserID } from './keeper.ts';
import { readOptions } from './option-names.ts';
import { adviceOnOtherOptions } from './other-strategies.ts';
import {
  areFresh,
  isInvalidGrant,
  type PowerFolderTokens,
  parseErrorResponse,
  type RefreshOptions,
  requestRefresh,
  requestTokens,
  type TokenClient,
  type TokenResponse,
} from './token.ts';
import { checkedServerBase, checkedURL } from './url.ts';

/** Options of {@link PowerFolderClient}: those of the strategy that have to do with the server and its tokens. */
export interface PowerFolderClientOptions extends TransportOptions {
  /**
   * Base URL of the PowerFolder server; a context path and a slash at the end are allowed.
   *
   * @example 'https://powerfolder.example.com'
   */
  serverURL: string;
  /** The client's ID, as registered at the server: without white space, line ends or quotation marks around it. */
  clientID: string;
  /** The client's secret, likewise. It is sent in the body of token requests only. */
  clientSecret: string;
  /** The token endpoint (RFC 6749 section 3.2). @default `<serverURL>/oauth/token` */
  tokenURL?: string | undefined;
  /**
   * How access tokens are refreshed: by a JSON request to the token endpoint (`POST`, server 11.5.593 and newer), or in
   * the documented old form (`GET <serverURL>/oauth?…`), which puts the refresh token into a URL and so into access logs.
   *
   * @default 'POST'
   */
  refreshMethod?: 'POST' | 'GET' | undefined;
  /**
   * Headers for every request to the server, such as `User-Agent`; none that the client or the connection sets, such as
   * `Authorization`, `Content-Type` and `Host`.
   */
  customHeaders?: Record<string, string> | undefined;
}

/** Their names; the compiler asks for each of them. */
export const clientOptions = {
  serverURL: true,
  clientID: true,
  clientSecret: true,
  tokenURL: true,
  refreshMethod: true,
  timeout: true,
  ca: true,
  proxy: true,
  dispatcher: true,
  allowInsecureHTTP: true,
  customHeaders: true,
} as const satisfies Record<keyof PowerFolderClientOptions, true>;

/**
 * Checks what the options of a client and those of a strategy have in common.
 *
 * @throws {TypeError} for a mistake, with the fix in its message.
 */
export function checkedClient(options: PowerFolderClientOptions) {
  const transport = { ...checkedTransport(options), headers: sentHeaders(options.customHeaders ?? {}) };
  const base = checkedServerBase(options.serverURL, transport);
  const clientID = checkedCredential(options.clientID, 'clientID');
  const clientSecret = checkedCredential(options.clientSecret, 'clientSecret');
  const { tokenURL = `${base}/oauth/token`, refreshMethod = 'POST' } = options;
  oneOf('refreshMethod', refreshMethod, ['POST', 'GET']);
  return {
    base,
    clientID,
    clientSecret,
    tokenURL: options.tokenURL === undefined ? tokenURL : checkedURL(tokenURL, 'tokenURL', transport).href,
    transport,
    refreshByGET: refreshMethod === 'GET' ? `${base}/oauth` : undefined,
  };
}

/**
 * A client of a PowerFolder server, as its administrator registered it: for jobs and scripts, which have tokens of users
 * but no requests of theirs. A strategy has one as `strategy.client`.
 *
 * @example
 * const client = new PowerFolderClient({ serverURL: 'https://powerfolder.example.com', clientID, clientSecret });
 * const keeper = client.keepTokens({ load: (id) => db.tokensOf(id), save: (id, tokens) => db.setTokens(id, tokens) });
 */
export class PowerFolderClient {
  readonly #client: TokenClient;
  /** Refreshes on the way, by refresh token: simultaneous callers share one request. */
  readonly #refreshes = new Map<string, Promise<PowerFolderTokens>>();

  /**
   * @param options See {@link PowerFolderClientOptions}. They are read once; what changes in them later changes nothing.
   * @throws {TypeError} for a mistake in the options, with the fix in its message.
   */
  constructor(options: PowerFolderClientOptions);
  /** @internal For the strategy, whose client node-oauth's members may change. */
  constructor(options: undefined, client: TokenClient);
  constructor(options: PowerFolderClientOptions | undefined, client?: TokenClient) {
    this.#client = options === undefined && client ? client : tokenClient(options);
  }

  /** @internal As {@link requestTokens}. */
  requestTokens(code: string, further: object = {}): Promise<TokenResponse> {
    return requestTokens(this.#client, code, further);
  }

  /**
   * Gets new tokens for a refresh token. Simultaneous calls for one refresh token make one request, with the first one's
   * `params`.
   *
   * @returns The new tokens; with the old refresh token where the server sends none.
   * @throws {PowerFolderError} `sign_in_again` when the refresh token is not accepted any more; others when the server
   * is away or broken.
   * @throws {TokenError} when the server refuses for another reason, such as a wrong client secret.
   * @see RFC 6749 section 6
   */
  async refreshAccessToken(refreshToken: string, { params = {} }: RefreshOptions = {}): Promise<PowerFolderTokens> {
    if (typeof refreshToken !== 'string' || refreshToken === '') {
      throw new TypeError('refreshAccessToken takes the refresh token as a string');
    }
    if (!isObject(params)) throw new TypeError('params must be an object: further members of the refresh request');
    let refresh = this.#refreshes.get(refreshToken);
    if (!refresh) {
      refresh = this.#refresh(refreshToken, params).finally(() => this.#refreshes.delete(refreshToken));
      this.#refreshes.set(refreshToken, refresh);
    }
    // To each caller its own: what one of them does to it is not the others'.
    return { ...(await refresh) };
  }

  async #refresh(refreshToken: string, params: object): Promise<PowerFolderTokens> {
    try {
      const { tokens } = await requestRefresh(this.#client, refreshToken, params);
      return tokens;
    } catch (error) {
      if (!isInvalidGrant(error)) throw error;
      throw new PowerFolderError(
        'sign_in_again',
        'PowerFolder does not accept the refresh token any more: the user has to sign in again.',
        { serverStatus: error.serverStatus, cause: error },
      );
    }
  }

  /**
   * Tokens to use now: the same object while it is valid, refreshed ones otherwise. Store what comes back; or let
   * {@link keepTokens} do so. Where the expiry is not known, and there is a refresh token, they count as expired.
   *
   * @param options `leeway`: milliseconds for which they must still be valid. Default 60_000.
   * @throws as {@link refreshAccessToken}; `sign_in_again` also when they have expired and hold no refresh token.
   * @throws {TypeError} for what are no tokens.
   */
  async freshTokens(
    tokens: PowerFolderTokens,
    { leeway, ...refresh }: RefreshOptions & { leeway?: number | undefined } = {},
  ): Promise<PowerFolderTokens> {
    if (areFresh(tokens, leeway)) return tokens;
    if (!tokens.refreshToken) {
      throw new PowerFolderError('sign_in_again', 'The access token has expired and there is no refresh token.');
    }
    return await this.refreshAccessToken(tokens.refreshToken, refresh);
  }

  /**
   * Keeps the tokens of many users in the application's database fresh, in one process or in several.
   *
   * @param options See {@link KeepTokensOptions}.
   * @throws {TypeError} for a mistake in the options, with the fix in its message.
   */
  keepTokens<ID extends UserID>(options: KeepTokensOptions<ID>): PowerFolderTokenKeeper<ID> {
    return new PowerFolderTokenKeeper(this, options);
  }
}

function tokenClient(given: PowerFolderClientOptions | undefined): TokenClient {
  if (!isObject(given)) {
    throw new TypeError('PowerFolderClient takes an options object: { serverURL, clientID, clientSecret }');
  }
  const names = Object.keys(clientOptions) as (keyof PowerFolderClientOptions)[];
  const options = readOptions(given as unknown as PowerFolderClientOptions, names, { advice: adviceOnOtherOptions });
  if (options.customHeaders !== undefined) options.customHeaders = checkedHeaders(options.customHeaders);
  return { ...checkedClient(options), parseErrorResponse };
}
