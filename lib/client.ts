/** The client of a PowerFolder server, for the whole life of its users' tokens (RFC 6749 section 6). */
import { PowerFolderError } from './errors.ts';
import { isObject } from './json.ts';
import {
  isInvalidGrant,
  isTime,
  type PowerFolderTokens,
  requestRefresh,
  requestTokens,
  type TokenClient,
  type TokenResponse,
} from './token.ts';

/** Milliseconds before the expiry at which {@link PowerFolderClient.freshTokens} refreshes by default. */
const defaultLeeway = 60_000;

/** Gets tokens, and keeps them fresh. */
export class PowerFolderClient {
  readonly #client: TokenClient;
  /** Refreshes on the way, by refresh token: simultaneous callers share one request. */
  readonly #refreshes = new Map<string, Promise<PowerFolderTokens>>();

  constructor(client: TokenClient) {
    this.#client = client;
  }

  /** As {@link requestTokens}. */
  requestTokens(code: string, further: object = {}): Promise<TokenResponse> {
    return requestTokens(this.#client, code, further);
  }

  /**
   * Gets new tokens for a refresh token. Simultaneous calls for one refresh token make one request.
   *
   * @throws {PowerFolderError} `sign_in_again` when the server does not accept the refresh token any more.
   * @throws {TokenError} The server refused for another reason.
   */
  async refreshAccessToken(refreshToken: string): Promise<PowerFolderTokens> {
    if (typeof refreshToken !== 'string' || refreshToken === '') {
      throw new TypeError('refreshAccessToken takes the refresh token as a string');
    }
    let refresh = this.#refreshes.get(refreshToken);
    if (!refresh) {
      refresh = this.#refresh(refreshToken).finally(() => this.#refreshes.delete(refreshToken));
      this.#refreshes.set(refreshToken, refresh);
    }
    // To each caller its own: what one of them does to it is not the others'.
    return { ...(await refresh) };
  }

  async #refresh(refreshToken: string): Promise<PowerFolderTokens> {
    try {
      const { tokens } = await requestRefresh(this.#client, refreshToken);
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
   * The same tokens while they are valid for `leeway` milliseconds more; else refreshed ones.
   *
   * @throws as {@link refreshAccessToken}; `sign_in_again` also when they have expired and hold no refresh token.
   */
  async freshTokens(tokens: PowerFolderTokens, leeway = defaultLeeway): Promise<PowerFolderTokens> {
    if (!isObject(tokens) || typeof tokens.accessToken !== 'string') {
      throw new TypeError('freshTokens takes the tokens of a sign-in, as they were given to verify');
    }
    if (!Number.isFinite(leeway)) throw new TypeError('leeway must be a number of milliseconds');
    // A database gives null for what is not there.
    const expiresAt: unknown = tokens.expiresAt ?? undefined;
    if (expiresAt === undefined) return tokens;
    if (typeof expiresAt !== 'number' || !isTime(expiresAt)) {
      throw new TypeError(
        'expiresAt of the tokens must be a number: epoch milliseconds, as it was given to verify; of a Date give getTime(), of text Number(text), and leave it out if it is not known',
      );
    }
    if (expiresAt > Date.now() + leeway) return tokens;
    if (!tokens.refreshToken) {
      throw new PowerFolderError('sign_in_again', 'The access token has expired and there is no refresh token.');
    }
    return await this.refreshAccessToken(tokens.refreshToken);
  }
}
