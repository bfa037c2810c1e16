/** The sign-in: the room that knows Passport. */
import { hash, randomBytes } from 'node:crypto';
import { inspect, types } from 'node:util';
import type { Request } from 'express';
import type passport from 'passport';
import {
  AuthorizationError,
  Strategy as OAuth2Strategy,
  TokenError,
  type VerifyCallback,
  type VerifyFunction,
} from 'passport-oauth2';
import {
  type AuthorizationResponse,
  authorizationRequestPage,
  readAuthorizationResponse,
  refuseStartUnderCallback,
} from './authorization.ts';
import {
  answeredWith,
  failure,
  failureStatus,
  isSystemErrorCode,
  PowerFolderError,
  type PowerFolderFailureCode,
  plainText,
} from './errors.ts';
import { bare, own } from './http.ts';
import {
  checkedSettings,
  checkRequestOptions,
  type PowerFolderStrategyOptions,
  type Settings,
  strategyOptions,
} from './options.ts';
import { type PowerFolderProfile, requestProfile } from './profile.ts';
import { longestState, type StateMetadata, type TakenSignIn } from './state.ts';
import {
  isInvalidGrant,
  PowerFolderOAuth2,
  type PowerFolderTokens,
  parseErrorResponse,
  type TokenResponse,
} from './token.ts';
import { loadedProfile, type Refusal, skipsProfile } from './verify.ts';

/** What `verify` gets in its form with one parameter. */
export interface PowerFolderSignIn {
  tokens: PowerFolderTokens;
  /** Who signed in; undefined with `skipUserProfile`, and of the subclass's type if that overrides `userProfile`. */
  profile: PowerFolderProfile;
  req: Request;
  /** The object given as `state` to `passport.authenticate` when the sign-in began. */
  state: unknown;
  /** Makes a failure to return, whose `message` is the sentence: it is for the visitor to read. */
  refuse: (sentence: string) => Refusal;
}

/**
 * Finds or creates the application's user, which is an object. `false`, `null`, `undefined` and what `refuse` made mean
 * that this account may not sign in; a thrown error, or a rejected promise, goes to the application's error handling.
 */
export type PowerFolderVerifyFunction = (signIn: PowerFolderSignIn) => VerifyResult | Promise<VerifyResult>;
type VerifyResult = Express.User | Refusal | false | null | undefined;

type TokenParams = TokenResponse['params'];

/**
 * What may stand at each place of the forms of `verify`. One list for all of them, since TypeScript gives a function's
 * parameters their types by the first overload that it tries, and a user's `(accessToken, …) =>` shall not need any.
 */
type VerifyArguments = [
  signInOrAccessToken: PowerFolderSignIn & string,
  refreshToken: string,
  profileOrParams: PowerFolderProfile & TokenParams,
  doneOrProfile: VerifyCallback & PowerFolderProfile,
  done: VerifyCallback,
];
type VerifyArgumentsWithRequest = [
  signInOrReq: PowerFolderSignIn & Request,
  accessToken: string,
  refreshToken: string,
  profileOrParams: PowerFolderProfile & TokenParams,
  doneOrProfile: VerifyCallback & PowerFolderProfile,
  done: VerifyCallback,
];

declare module 'passport' {
  // Without this, TypeScript takes a string only, which is what the strategy refuses.
  interface Authenticator<InitializeRet, AuthenticateRet, AuthorizeRet, AuthorizeOptions> {
    authenticate(
      strategy: string | string[] | passport.Strategy,
      options: Omit<passport.AuthenticateOptions, 'state'> & PowerFolderAuthenticateOptions,
      callback?: passport.AuthenticateCallback,
    ): AuthenticateRet;
  }
}

/** Options that `passport.authenticate('powerfolder', …)` has for the strategy. */
export interface PowerFolderAuthenticateOptions {
  /** The application's state: an object that comes back in `req.authInfo.state`. It stays in the session. */
  state?: object | undefined;
  scope?: string | string[] | undefined;
}

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
   * @param options See {@link PowerFolderStrategyOptions}.
   * @param verify With one parameter: {@link PowerFolderVerifyFunction}. With more, or none declared: passport-oauth2's
   * `(accessToken, refreshToken, [params,] profile, done)`, with `req` before them by `passReqToCallback`.
   * @throws {TypeError} for a mistake in the configuration, with the fix in its message.
   */
  constructor(
    options: PowerFolderStrategyOptions & { passReqToCallback: true },
    verify: (...args: VerifyArgumentsWithRequest) => unknown,
  );
  constructor(options: PowerFolderStrategyOptions, verify: (...args: VerifyArguments) => unknown);
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
    refuseInert(this);
    const Client = PowerFolderOAuth2.with({
      transport,
      refreshByGET: settings.refreshByGET,
      parseErrorResponse: (body, status) => this.parseErrorResponse(body, status),
    });
    this._oauth2 = new Client(clientID, clientSecret, '', authorizationURL, tokenURL, { ...options.customHeaders });
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
    const end = (outcome: Outcome) => {
      switch (outcome.end) {
        case 'success':
          return success.call(this, outcome.user as Express.User, outcome.info);
        case 'fail':
          return fail.call(this, outcome.info as object, outcome.status as number);
        case 'redirect':
          return redirect.call(this, outcome.url);
        case 'page':
          return sendPage(req, outcome.page);
        default:
          return error.call(this, asError(outcome.error));
      }
    };
    this._signIn(req, options)
      .catch((reason: unknown): Outcome => ({ end: 'error', error: reason }))
      .then(end)
      .catch((thrown: unknown) => {
        // Thrown in ending, and so by the application, in its callback to passport.authenticate. That is not called once
        // more, and the process goes on: any visitor can make it be called. Express keeps its error handling in req.next.
        if (req.next) req.next(asError(thrown));
        // As a text: anything can be thrown, and emitWarning throws at what is no Error of Node's own.
        else process.emitWarning(`The application's callback to passport.authenticate threw ${inspect(thrown)}`);
      });
  }

  /** @internal */
  protected async _signIn(req: Request, options: PowerFolderAuthenticateOptions): Promise<Outcome> {
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
    return isAnswer ? await this._complete(req, options, response) : await this._begin(req, options);
  }

  /**
   * The authorization request (RFC 6749 section 4.1.1).
   *
   * @internal
   */
  protected async _begin(req: Request, options: PowerFolderAuthenticateOptions): Promise<Outcome> {
    const { authorizationMethod, authorizationRequest, callbackURL, pendingSignIns, pkce } = this._settings;
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
    return authorizationMethod === 'POST'
      ? { end: 'page', page: authorizationRequestPage(url, callbackURL) }
      : { end: 'redirect', url };
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
    if (!pending.taken) return { end: 'fail', info: pending.reason, status: 403 };
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
      granted = await this._oauth2.requestTokens(code, params);
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
    return verdict.info === undefined
      ? failedHere('verify_refused', pending)
      : { end: 'fail', info: verdict.info, status: undefined };
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
   * Gets a new access token. Simultaneous calls for one refresh token make one request.
   *
   * @returns The new tokens; with the old refresh token where the server sends none.
   * @throws {PowerFolderError} `sign_in_again` when the refresh token is not accepted any more; others when the server
   * is away or broken.
   * @throws {TokenError} when the server refuses for another reason, such as a wrong client secret.
   * @see RFC 6749 section 6
   */
  async refreshAccessToken(refreshToken: string): Promise<PowerFolderTokens> {
    return await this._oauth2.refresh(refreshToken);
  }

  /**
   * Tokens to use now: the same object while it is valid, refreshed ones otherwise. Store what comes back.
   *
   * @param options `leeway`: milliseconds for which they must still be valid. Default 60_000.
   * @throws as {@link refreshAccessToken}; `sign_in_again` also when they have expired and hold no refresh token.
   */
  async freshTokens(
    tokens: PowerFolderTokens,
    { leeway }: { leeway?: number | undefined } = {},
  ): Promise<PowerFolderTokens> {
    return await this._oauth2.freshTokens(tokens, leeway);
  }
}

type AnyFunction = (...args: unknown[]) => unknown;

type Failed = { end: 'fail'; info: unknown; status: number | undefined };
/** How an attempt ends: in one of Passport's actions, or in a page. */
type Outcome =
  | { end: 'success'; user: unknown; info: object }
  | Failed
  | { end: 'redirect'; url: string }
  | { end: 'page'; page: { html: string; headers: Record<string, string> } }
  | { end: 'error'; error: unknown };

function failed(code: PowerFolderFailureCode, status = failureStatus(code)): Failed {
  return { end: 'fail', info: failure(code), status };
}

/** Once the pending sign-in is known, its state is handed back with a failure as well: for a link to try again. */
function failedHere(code: PowerFolderFailureCode, { state }: TakenSignIn): Failed {
  const info = { ...failure(code), ...(state !== undefined && { state }) };
  return { end: 'fail', info, status: failureStatus(code) };
}

/**
 * Passport hands an error to `next`, for which undefined is no error at all and 'route' a command: a verify function
 * that rejects with either must not open the route.
 */
function asError(reason: unknown): object {
  if (typeof reason === 'object' && reason !== null) return reason;
  return new Error('The sign-in failed for a reason that is no Error', { cause: reason });
}

/**
 * An error of the package's own classes has the application's state as a failure has it: so that a link to try again can
 * lead to where the visitor wanted to go. Not for what `verify` throws: that may be other requests' error as well.
 */
function withState(error: unknown, { state }: TakenSignIn): unknown {
  const ours = error instanceof PowerFolderError || error instanceof TokenError || error instanceof AuthorizationError;
  return ours && state !== undefined ? Object.assign(error, { state }) : error;
}

/**
 * What passport-oauth2 lets a subclass or an application replace, and would have no effect here: also where it was meant to
 * say no.
 */
function refuseInert(strategy: PowerFolderStrategy): void {
  if (Reflect.get(strategy, '_loadUserProfile') !== Reflect.get(OAuth2Strategy.prototype, '_loadUserProfile')) {
    throw new TypeError(
      '_loadUserProfile has no effect here; override userProfile, or give the option skipUserProfile',
    );
  }
  for (const name of [
    '_verify',
    '_stateStore',
    '_skipUserProfile',
    '_passReqToCallback',
    '_callbackURL',
    '_loadUserProfile',
  ]) {
    const value: unknown = Reflect.get(strategy, name);
    Object.defineProperty(strategy, name, {
      get: () => value,
      set() {
        throw new TypeError(`${name} has no effect here; give PowerFolderStrategy what it is to use when it is made`);
      },
      enumerable: false,
    });
  }
}

/** What a subclass adds to a request; a promise of it as well. */
async function furtherParams(hook: string, given: unknown): Promise<object> {
  const params = (await given) ?? {};
  if (typeof params === 'object' && !Array.isArray(params)) return params;
  throw new TypeError(`${hook} gave no object; it gives the further parameters as the members of one`);
}

/** RFC 6749 section 4.1.2.1's codes, but access_denied: for these passport-oauth2 knows what to answer. */
const authorizationErrors = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
];

/** An error response (RFC 6749 section 4.1.2.1) with a valid state. */
function authorizationError(response: AuthorizationResponse & { kind: 'error' }): AuthorizationError {
  const { error, description, uri, state = '' } = response;
  const plain = (text = '') => plainText(text, [state]);
  const word = plain(error);
  const code = isSystemErrorCode(word) ? 'server_error' : word;
  const text = plain(description) || `The PowerFolder server refused the authorization request: ${word}`;
  const status = authorizationErrors.includes(error) ? undefined : 502;
  const refusal = new AuthorizationError(text, code, uri && plain(uri), status);
  return answeredWith(refusal, refusal.status);
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

/** Passport before 0.6 keeps the session at log-in, and whoever planted it is logged in too (CVE-2022-25896). */
function refuseOldPassport(req: Request): void {
  const passport = req as { _sessionManager?: SessionManager; _passport?: OldPassport };
  const sessionManager = passport._sessionManager ?? passport._passport?.instance?._sm;
  // Since 0.6 it takes options.
  if (sessionManager?.logIn?.length === 3) {
    throw new TypeError('PowerFolderStrategy needs Passport 0.6 or newer: older ones allow session fixation');
  }
}

type SessionManager = { logIn?: AnyFunction };
/** What Passport before 0.5 leaves in requests. */
type OldPassport = { instance?: { _sm?: SessionManager } };

function applicationState(options: PowerFolderAuthenticateOptions): object | undefined {
  const state = own(options, 'state');
  if (state === undefined || state === null) return undefined;
  if (typeof state !== 'object' || types.isMap(state) || types.isSet(state) || types.isPromise(state)) {
    throw new TypeError(
      `passport.authenticate('powerfolder', { state }) takes an object for the application, such as { returnTo: '/x' }, which comes back in req.authInfo.state. The state that goes to the server is random and made by the strategy: it is the only defence against forged answers`,
    );
  }
  return state;
}
