/** The sign-in, as Passport knows it: begin, complete, redeem. */
import { hash, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import type { Request } from 'express';
import { Strategy as OAuth2Strategy, type VerifyFunction } from 'passport-oauth2';
import { type AuthorizationResponse, authorizationError, readAuthorizationResponse } from './authorization.ts';
import { authorizationRequestPage } from './authorization-page.ts';
import { refuseStartUnderCallback } from './callback-route.ts';
import type { PowerFolderClient } from './client.ts';
import { PowerFolderError } from './errors.ts';
import type { Hook } from './hooks.ts';
import { bare, own } from './json.ts';
import { type Language, languageOf } from './language.ts';
import { PowerFolderOAuth2 } from './node-oauth.ts';
import { checkedSettings, type PowerFolderStrategyOptions, type Settings, strategyOptions } from './options.ts';
import { asError, failed, failedHere, infoOf, type Outcome, withState } from './outcome.ts';
import { refuseInertMembers, refuseOldPassport } from './passport-guards.ts';
import { loadedProfile, type PowerFolderProfile, requestProfile, skipsProfile } from './profile.ts';
import { applicationState, checkRequestOptions, type PowerFolderAuthenticateOptions } from './request-options.ts';
import { longestState, type StateMetadata, type TakenSignIn } from './state-store.ts';
import { isInvalidGrant, parseErrorResponse, type TokenResponse } from './token.ts';
import { refuseUnclearValidate } from './validate.ts';

/**
 * Signs users in with their PowerFolder account.
 *
 * @example
 * passport.use(new PowerFolderStrategy({
 *   serverURL: 'https://powerfolder.example.com',
 *   clientID, clientSecret,
 *   callbackURL: 'https://app.example.com/oauth',
 * }, async ({ tokens, profile }) => users.findOrCreate(profile.id, tokens)));
 *
 * @see docs/powerfolder-oauth2.md
 */
export class PowerFolderStrategy extends OAuth2Strategy {
  override name = 'powerfolder';
  // Passport runs `authenticate` on an object made from this one for each request, where private (#) members would not
  // be found: so these are plain ones, by passport-oauth2's names where it has them. None holds a secret.
  declare protected _oauth2: PowerFolderOAuth2;
  declare protected readonly _scope: string | string[] | undefined;
  declare protected readonly _scopeSeparator: string;
  declare protected readonly _settings: Settings;

  /**
   * @param given See {@link PowerFolderStrategyOptions}.
   * @param verify With one parameter: {@link PowerFolderVerifyFunction}. With more, or none declared: passport-oauth2's
   * `(accessToken, refreshToken, [params,] profile, done)`, with `req` before them by `passReqToCallback`.
   * @throws {TypeError} for a mistake in the configuration, with the fix in its message.
   */
  constructor(given: PowerFolderStrategyOptions, verify: (...args: never[]) => unknown) {
    const options = strategyOptions(given);
    const settings = checkedSettings(options, verify);
    const { authorizationURL, tokenURL, callbackURL, transport } = settings;
    const { clientID, clientSecret, scope, scopeSeparator } = options;
    // passport-oauth2's own client, store and hooks are not used. Without a session key it would make one by url.parse,
    // which is deprecated.
    const sessionKey = 'not used';
    super(
      bare({ authorizationURL, tokenURL, callbackURL, clientID, clientSecret: '', sessionKey, scope, scopeSeparator }),
      verify as unknown as VerifyFunction,
    );
    // It may hold a proxy's password or a client certificate's key, and requests that are on the way: not for JSON, nor
    // for console.log, which does not look behind a getter.
    Object.defineProperty(this, '_settings', { get: () => settings });
    refuseInertMembers(this);
    refuseUnclearValidate(this, verify as Hook, options.passReqToCallback === true);
    const OAuth2 = PowerFolderOAuth2.with({
      transport,
      refreshByGET: settings.refreshByGET,
      parseErrorResponse: (body, status) => this.parseErrorResponse(body, status),
    });
    this._oauth2 = new OAuth2(clientID, clientSecret, '', authorizationURL, tokenURL, { ...options.customHeaders });
  }

  /**
   * Begins a sign-in, or completes one when the request is the server's answer. Called by Passport.
   *
   * @see RFC 6749 section 4.1
   */
  override authenticate(req: Request, options: PowerFolderAuthenticateOptions = {}): void {
    // Taken now: where the application passes the strategy itself to passport.authenticate, all requests share this
    // object, and by the time an answer is there these would be another request's.
    const { success, fail, redirect, error } = this;
    const end = (outcome: Outcome, language: Language) => {
      switch (outcome.end) {
        case 'success':
          return success.call(this, outcome.user as Express.User, outcome.info);
        case 'fail':
          return fail.call(this, infoOf(outcome, language), outcome.status as number);
        case 'redirect':
          return redirect.call(this, outcome.url);
        case 'page':
          return sendPage(req, outcome.page);
        default:
          return error.call(this, asError(outcome.error));
      }
    };
    void this._attempt(req, options, end);
  }

  /**
   * One attempt, ended once, whatever goes wrong in it.
   *
   * @internal
   */
  protected async _attempt(
    req: Request,
    options: PowerFolderAuthenticateOptions,
    end: (outcome: Outcome, language: Language) => void,
  ): Promise<void> {
    let outcome: Outcome;
    let language: Language = 'en';
    try {
      outcome = await this._signIn(req, options);
      if (outcome.end === 'fail') language = await languageOf(req, this._settings.language);
    } catch (error) {
      outcome = { end: 'error', error };
    }
    try {
      end(outcome, language);
    } catch (thrown) {
      // Thrown in ending, and so by the application, in its callback to passport.authenticate. That is not called once
      // more, and the process goes on: any visitor can make it be called. Express keeps its error handling in req.next.
      if (req.next) req.next(asError(thrown));
      // As a text: anything can be thrown, and emitWarning throws at what is no Error of Node's own.
      else process.emitWarning(`The application's callback to passport.authenticate threw ${inspect(thrown)}`);
    }
  }

  /** @internal */
  protected _signIn(req: Request, options: PowerFolderAuthenticateOptions): Promise<Outcome> {
    refuseOldPassport(req);
    checkRequestOptions(options, this._scopeSeparator);
    const originalUrl = rawURL(req);
    const response = readAuthorizationResponse(originalUrl);
    const { callbackPath, isCallback } = this._settings;
    const routed = { originalUrl, url: req.url, baseUrl: req.baseUrl, route: req.route };
    if (response.kind === 'none') refuseStartUnderCallback(routed, callbackPath);
    // A request at the callback never begins a sign-in: an answer that cannot be read would go round for ever. Elsewhere,
    // `?code=` without a state is the application's own.
    const isAnswer =
      isCallback(routed) || response.kind === 'invalid' || (response.kind !== 'none' && response.state !== undefined);
    return isAnswer ? this._complete(req, options, response) : this._begin(req, options);
  }

  /**
   * The authorization request (RFC 6749 section 4.1.1).
   *
   * @internal
   */
  protected async _begin(req: Request, options: PowerFolderAuthenticateOptions): Promise<Outcome> {
    const { authorizationMethod, authorizationRequest, callbackURL, pageTexts, pendingSignIns, pkce } = this._settings;
    const verifier = pkce ? randomBytes(32).toString('base64url') : undefined;
    if (authorizationMethod === 'POST' && !req.res) {
      throw new TypeError(
        "authorizationMethod 'POST' needs req.res, as Express and koa-passport give it; use 'GET' with this framework",
      );
    }
    const state = await pendingSignIns.begin(req, verifier, applicationState(options), this._metadata());
    if (typeof state !== 'string' || state.length > longestState || !/^[A-Za-z0-9]+$/.test(state)) {
      throw new TypeError('The state store gave no alphanumeric state; PowerFolder takes no other');
    }
    const scope = own(options, 'scope') ?? this._scope;
    const url = authorizationRequest(state, {
      ...(await furtherParams('authorizationParams', this.authorizationParams(options))),
      ...(scope !== undefined && { scope: Array.isArray(scope) ? scope.join(this._scopeSeparator) : scope }),
      ...(verifier && { code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' }),
    });
    if (authorizationMethod === 'GET') return { end: 'redirect', url };
    const language = await languageOf(req, this._settings.language);
    return { end: 'page', page: authorizationRequestPage(url, callbackURL, language, pageTexts[language]) };
  }

  /**
   * The authorization response (RFC 6749 section 4.1.2). The pending sign-in is taken before anything else is believed,
   * an error included.
   *
   * @internal
   */
  protected async _complete(
    req: Request,
    options: PowerFolderAuthenticateOptions,
    response: AuthorizationResponse,
  ): Promise<Outcome> {
    // HEAD reaches routes for GET, sent by whoever looks at links before people do.
    if (req.method !== 'GET') return failed('invalid_callback', 405);
    if (response.kind === 'none' || response.kind === 'invalid') return failed('invalid_callback');
    if (!response.state) return failed('state_missing');
    if (response.state.length > longestState) return failed('state_unknown');

    const pending = await this._settings.pendingSignIns.take(req, response.state, this._metadata());
    if (!pending.taken) return { end: 'fail', reason: pending.reason, status: 403 };
    if (response.kind === 'code') return await this._redeem(req, options, response.code, pending);
    if (response.error === 'access_denied') return failedHere('access_denied', pending);
    throw withState(authorizationError(response), pending);
  }

  /**
   * The token request (RFC 6749 section 4.1.3), and whose account it is.
   *
   * @internal
   */
  protected async _redeem(
    req: Request,
    options: PowerFolderAuthenticateOptions,
    code: string,
    pending: TakenSignIn,
  ): Promise<Outcome> {
    const { state } = pending;
    const further = await furtherParams('tokenParams', this.tokenParams(options));
    const params = { ...further, ...(this._settings.pkce && pending.verifier && { code_verifier: pending.verifier }) };
    if (
      Object.hasOwn(params, 'redirect_uri') &&
      (params as { redirect_uri?: unknown }).redirect_uri !== this._settings.callbackURL
    ) {
      throw new TypeError(
        'tokenParams gave a redirect_uri other than callbackURL; they must be the same to the letter',
      );
    }
    let granted: TokenResponse;
    try {
      granted = await this.client.requestTokens(code, params);
    } catch (error) {
      // The visitor came late, or came back to an old page: not an error of anybody's.
      if (isInvalidGrant(error)) return failedHere('invalid_grant', pending);
      // Not for an error of a subclass's: that may be other requests' error as well.
      const own = this.parseErrorResponse === PowerFolderStrategy.prototype.parseErrorResponse;
      throw own || error instanceof PowerFolderError ? withState(error, pending) : error;
    }

    const { accessToken } = granted.tokens;
    const skip = await skipsProfile(this._settings.skipUserProfile, accessToken);
    const profile = skip ? undefined : await this._profileOf(accessToken, pending);
    const verdict = await this._settings.decide(this, { ...granted, req, profile, state });
    if (verdict.accepted) {
      const info = { ...(verdict.info as object), ...(state !== undefined && { state }) };
      return { end: 'success', user: verdict.user, info };
    }
    const { info } = verdict;
    if (typeof info === 'object') return { end: 'fail', reason: info, status: undefined };
    return { ...failedHere('verify_refused', pending), message: info };
  }

  /** @internal */
  protected async _profileOf(accessToken: string, pending: TakenSignIn): Promise<object> {
    try {
      return await loadedProfile(this, accessToken);
    } catch (error) {
      // Not for an error of a subclass's: that may be other requests' error as well.
      const own = this.userProfile === PowerFolderStrategy.prototype.userProfile;
      throw own ? withState(error, pending) : error;
    }
  }

  /** @internal */
  protected _metadata(): StateMetadata {
    const settings = this._settings;
    // A subclass may give itself another name after construction.
    if (settings.metadata?.strategy !== this.name) {
      const { authorizationURL, tokenURL, clientID, callbackURL } = settings;
      settings.metadata = { strategy: this.name, authorizationURL, tokenURL, clientID, callbackURL };
    }
    return settings.metadata;
  }

  /**
   * Asks who signed in. A subclass may ask elsewhere, and give its profile to `done`; or, where it declares only the access
   * token, as a promise. What a `userProfile` with `done` returns does not count.
   *
   * @param done Called with a {@link PowerFolderError}, or with null and a {@link PowerFolderProfile}.
   */
  override userProfile(accessToken: string, done: (error?: unknown, profile?: PowerFolderProfile) => void): void {
    const { userProfileURL, transport } = this._settings;
    requestProfile(userProfileURL, accessToken, transport).then((profile) => done(null, profile), done);
  }

  /**
   * Further parameters of the authorization request, for subclasses; a promise of them is awaited. They do not replace the
   * strategy's own, and `null` is left out.
   *
   * @param options What was given to `passport.authenticate`.
   */
  override authorizationParams(options: object): object {
    return super.authorizationParams(options);
  }

  /**
   * Further members of the token request, for subclasses; a promise of them is awaited. They do not replace the
   * strategy's own. `redirect_uri`, which PowerFolder's documentation leaves out and RFC 6749 section 4.1.3 asks for, may
   * be given here; it must be `callbackURL` to the letter.
   *
   * @param options What was given to `passport.authenticate`.
   */
  override tokenParams(options: object): object {
    return super.tokenParams(options);
  }

  /**
   * Makes an error of the token endpoint's refusal; a subclass may read other formats. What was secret in the request is
   * already blotted out of `body`.
   *
   * @param status HTTP status of the answer.
   * @returns null when the body says nothing; the caller then makes an error of the status.
   * @see RFC 6749 section 5.2
   */
  override parseErrorResponse(body: string, status: number): Error | null {
    return parseErrorResponse(body, status);
  }

  /**
   * The client of this strategy's server, for the tokens of users who have signed in; also for
   * {@link PowerFolderClient.keepTokens}.
   */
  get client(): PowerFolderClient {
    return this._oauth2.client;
  }

  /** As {@link PowerFolderClient.refreshAccessToken} of {@link client}. */
  async refreshAccessToken(
    ...given: Parameters<PowerFolderClient['refreshAccessToken']>
  ): ReturnType<PowerFolderClient['refreshAccessToken']> {
    return await this.client.refreshAccessToken(...given);
  }

  /** As {@link PowerFolderClient.freshTokens} of {@link client}. */
  async freshTokens(
    ...given: Parameters<PowerFolderClient['freshTokens']>
  ): ReturnType<PowerFolderClient['freshTokens']> {
    return await this.client.freshTokens(...given);
  }
}

/** What a subclass adds to a request; a promise of it as well. */
async function furtherParams(hook: string, given: unknown): Promise<object> {
  const params = (await given) ?? {};
  if (typeof params === 'object' && !Array.isArray(params)) return params;
  throw new TypeError(`${hook} gave no object; it gives the further parameters as the members of one`);
}

function sendPage({ res }: Request, { html, headers }: { html: string; headers: Record<string, string> }): void {
  if (!res) throw new TypeError('There is no response to send the page with');
  res.statusCode = 200;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.end(html);
}

/** As the server sent the browser there; `url` is what frameworks without mounting have. */
function rawURL({ originalUrl, url }: Request): string {
  const raw = originalUrl ?? url;
  if (typeof raw !== 'string') {
    throw new TypeError('PowerFolderStrategy needs a request with originalUrl or url, as Express and Node have it');
  }
  return raw;
}
