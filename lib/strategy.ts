/** The sign-in: the room that knows Passport. */
import { hash, randomBytes } from 'node:crypto';
import type { Request } from 'express';
import type passport from 'passport';
import {
  AuthorizationError,
  type StateStore as OAuth2StateStore,
  Strategy as OAuth2Strategy,
  TokenError,
  type VerifyCallback,
  type VerifyFunctionWithRequest,
} from 'passport-oauth2';
import type { Dispatcher } from 'undici';
import {
  type AuthorizationResponse,
  authorizationRequestPage,
  authorizationRequests,
  callbackTest,
  readAuthorizationResponse,
} from './authorization.ts';
import { failure, failureStatus, type PowerFolderFailureCode, plainText, refuseMisspelt } from './errors.ts';
import { bare, checkedTransport, checkedURL, milliseconds, own, serverBase, type Transport } from './http.ts';
import { type PowerFolderProfile, requestProfile } from './profile.ts';
import { defaultStateTTL, longestState, SessionStateStore, type StateMetadata, type StateStore } from './state.ts';
import { PowerFolderOAuth2, type PowerFolderTokens, parseErrorResponse, type TokenResponse } from './token.ts';

/** Options of {@link PowerFolderStrategy}. */
export interface PowerFolderStrategyOptions {
  /**
   * Base URL of the PowerFolder server; a context path and a slash at the end are allowed.
   *
   * @example 'https://powerfolder.example.com'
   */
  serverURL: string;
  /** The client's ID, as registered at the server. */
  clientID: string;
  /** The client's secret. It is sent in the body of token requests only. */
  clientSecret: string;
  /**
   * Where the server sends the visitor back to: absolute, with a path of its own, without a query. It is sent as it is
   * written here; nothing of it is taken from a request.
   *
   * @example 'https://app.example.com/oauth'
   */
  callbackURL: string;
  /**
   * How the visitor's browser makes the authorization request: by a redirect (`GET`), as deployed clients do, or by a
   * page whose form submits itself (`POST`), as PowerFolder documents it.
   *
   * @default 'GET'
   */
  authorizationMethod?: 'GET' | 'POST' | undefined;
  /** The authorization endpoint (RFC 6749 section 3.1). @default `<serverURL>/oauth/allow` */
  authorizationURL?: string | undefined;
  /** The token endpoint (RFC 6749 section 3.2). @default `<serverURL>/oauth/token` */
  tokenURL?: string | undefined;
  /**
   * Asked with the access token for the account that signed in.
   *
   * @default `<serverURL>/api/accounts?action=getInfo`
   */
  userProfileURL?: string | undefined;
  /**
   * How access tokens are refreshed: by a JSON request to the token endpoint (`POST`, server 11.5.593 and newer), or in
   * the documented old form (`GET <serverURL>/oauth?…`), which puts the refresh token into a URL and so into access logs.
   *
   * @default 'POST'
   */
  refreshMethod?: 'POST' | 'GET' | undefined;
  /**
   * Whether to sign in without asking who it was: `profile` is then undefined. A function decides each time, with a
   * callback as its second parameter if it declares one, as in passport-oauth2.
   *
   * @default false
   */
  skipUserProfile?:
    | boolean
    | (() => boolean)
    | ((accessToken: string, done: (error: unknown, skip?: boolean) => void) => void)
    | undefined;
  /**
   * Whether a classic `verify` gets the request as its first argument. The form with one parameter always has it.
   *
   * @default false
   */
  passReqToCallback?: boolean | undefined;
  /** Where pending sign-ins are kept: an object with passport-oauth2's `store` and `verify`. @default the session */
  store?: StateStore | undefined;
  /** Key of the pending sign-ins in the session. @default 'powerfolder' */
  sessionKey?: string | undefined;
  /**
   * Milliseconds in which a sign-in has to be finished.
   *
   * @default 600_000, ten minutes
   */
  stateTTL?: number | undefined;
  /**
   * Whether to send a PKCE challenge (RFC 7636; S256 only). PowerFolder is not known to check it.
   *
   * @default false
   */
  pkce?: boolean | 'S256' | undefined;
  /** Scope to ask for (RFC 6749 section 3.3). PowerFolder is not known to have any. @default none */
  scope?: string | string[] | undefined;
  /** What joins the members of a list of scopes. @default ' ' */
  scopeSeparator?: string | undefined;
  /**
   * Milliseconds for each request to the server, from connecting to the end of the answer.
   *
   * @default 10_000
   */
  timeout?: number | undefined;
  /**
   * undici's dispatcher for requests to the server: for a private CA or a proxy.
   *
   * @example new Agent({ connect: { ca: readFileSync('university-ca.pem') } })
   */
  dispatcher?: Dispatcher | undefined;
  /**
   * Whether plain http is allowed for URLs that are not on this machine. Passwords and tokens are then readable on the
   * way.
   *
   * @default false
   */
  allowInsecureHTTP?: boolean | undefined;
  /** Headers for every request to the server, such as `User-Agent`. */
  customHeaders?: Record<string, string> | undefined;
  /** State is always sent and checked: `false` is refused, `true` changes nothing. */
  state?: true | undefined;
}

/** What `verify` gets in its form with one parameter. */
export interface PowerFolderSignIn {
  tokens: PowerFolderTokens;
  /** Who signed in; undefined with `skipUserProfile`, and of the subclass's type if that overrides `userProfile`. */
  profile: PowerFolderProfile;
  req: Request;
  /** The object given as `state` to `passport.authenticate` when the sign-in began. */
  state: unknown;
}

/**
 * Finds or creates the application's user. `false`, `null` and `undefined` mean that this account may not sign in; a
 * thrown error, or a rejected promise, goes to the application's error handling.
 */
export type PowerFolderVerifyFunction = (
  signIn: PowerFolderSignIn,
) => Express.User | false | null | undefined | Promise<Express.User | false | null | undefined>;

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
  declare protected readonly _verify: (...args: unknown[]) => unknown;
  declare protected readonly _stateStore: StateStore;
  declare protected readonly _scope: string | string[] | undefined;
  declare protected readonly _scopeSeparator: string;
  declare protected readonly _passReqToCallback: boolean | undefined;
  declare protected readonly _loadUserProfile: (accessToken: string, done: Done) => unknown;
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
    const options = typeof given === 'object' && given !== null ? bare(given) : given;
    const settings = checkedSettings(options, verify);
    const { authorizationURL, tokenURL, callbackURL, transport } = settings;
    const sessionKey = options.sessionKey ?? 'powerfolder';
    const store = options.store ?? new SessionStateStore({ key: sessionKey, ttl: settings.stateTTL });
    const { clientID, clientSecret, scope, scopeSeparator, passReqToCallback, skipUserProfile } = options;
    super(
      bare({
        ...{ authorizationURL, tokenURL, callbackURL, clientID, sessionKey, scope, scopeSeparator, skipUserProfile },
        // passport-oauth2's own client and store are not used.
        clientSecret: '',
        store: store as unknown as OAuth2StateStore,
        passReqToCallback: passReqToCallback as true,
      }),
      verify as VerifyFunctionWithRequest,
    );
    // It may hold a proxy's password or a client certificate's key, and requests that are on the way: not for JSON, nor
    // for console.log, which does not look behind a getter.
    Object.defineProperty(this, '_settings', { get: () => settings });
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
    const act = (given: Outcome) => {
      const outcome = bare(given);
      if ('user' in outcome) success.call(this, outcome.user as Express.User, outcome.info);
      else if ('failure' in outcome) fail.call(this, outcome.failure as object, outcome.status as number);
      else if ('redirect' in outcome) redirect.call(this, outcome.redirect);
      else if ('page' in outcome) sendPage(req, outcome.page);
      else error.call(this, asError(outcome.error));
    };
    // What is thrown in acting is thrown by the application, in its callback to passport.authenticate: the process does
    // not end, and in Express, which keeps its error handling in req.next, the callback is not called once more.
    const mistaken = (thrown: unknown) => (req.next ?? error.bind(this))(asError(thrown));
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = this._signIn(req, options);
    } catch (reason) {
      outcome = { error: reason };
    }
    if (outcome instanceof Promise) {
      outcome.then(act, (reason: unknown) => act({ error: reason })).catch(mistaken);
      return;
    }
    try {
      act(outcome);
    } catch (thrown) {
      mistaken(thrown);
    }
  }

  /** @internal */
  protected _signIn(req: Request, options: PowerFolderAuthenticateOptions): Outcome | Promise<Outcome> {
    refuseOldPassport(req);
    const originalUrl = rawURL(req);
    const response = readAuthorizationResponse(originalUrl);
    // A request at the callback never begins a sign-in: an answer that cannot be read would go round for ever. Elsewhere,
    // `?code=` without a state is the application's own.
    const isAnswer =
      this._settings.isCallback({ originalUrl, route: req.route }) ||
      response.kind === 'invalid' ||
      (response.kind !== 'none' && response.state !== undefined);
    return isAnswer ? this._complete(req, options, response) : this._begin(req, options);
  }

  /**
   * The authorization request (RFC 6749 section 4.1.1).
   *
   * @internal
   */
  protected _begin(req: Request, options: PowerFolderAuthenticateOptions): Outcome | Promise<Outcome> {
    const { authorizationMethod, authorizationRequest, callbackURL, pkce } = this._settings;
    const verifier = pkce ? randomBytes(32).toString('base64url') : undefined;
    return andThen(this._storeState(req, verifier, applicationState(options)), (state) => {
      const scope = own(options, 'scope') ?? this._scope;
      const url = authorizationRequest(state, {
        ...this.authorizationParams(options),
        ...(scope !== undefined && { scope: Array.isArray(scope) ? scope.join(this._scopeSeparator) : scope }),
        ...(verifier && { code_challenge: hash('sha256', verifier, 'base64url'), code_challenge_method: 'S256' }),
      });
      return authorizationMethod === 'POST' ? { page: authorizationRequestPage(url, callbackURL) } : { redirect: url };
    });
  }

  /**
   * The authorization response (RFC 6749 section 4.1.2). The pending sign-in is taken before anything else is believed,
   * an error included.
   *
   * @internal
   */
  protected _complete(
    req: Request,
    options: PowerFolderAuthenticateOptions,
    response: AuthorizationResponse,
  ): Outcome | Promise<Outcome> {
    // HEAD reaches routes for GET, sent by whoever looks at links before people do.
    if (req.method !== 'GET') return failed('invalid_callback', 405);
    if (response.kind === 'none' || response.kind === 'invalid') return failed('invalid_callback');
    if (!response.state) return failed('state_missing');

    return andThen(this._takeState(req, response.state), (taken) => {
      const pending = bare(taken);
      if ('failure' in pending) return pending;
      if (response.kind === 'code') return this._redeem(req, options, response.code, pending);
      if (response.error === 'access_denied') return failedHere('access_denied', pending);
      throw authorizationError(response);
    });
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
    pending: TakenState,
  ): Promise<Outcome> {
    const params = { ...this.tokenParams(options), ...(pending.verifier && { code_verifier: pending.verifier }) };
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
      if (error instanceof TokenError && error.code === 'invalid_grant') return failedHere('invalid_grant', pending);
      throw error;
    }

    const [profile] = await outcomeOf((done) => this._loadUserProfile(granted.tokens.accessToken, done));
    const [user, info] = await this._callVerify(req, granted, profile, pending.state);
    if (!user) return info === undefined ? failedHere('verify_refused', pending) : { failure: info };
    const details = typeof info === 'string' ? { message: info } : (info as object | undefined);
    return { user, info: { ...details, ...(pending.state !== undefined && { state: pending.state }) } };
  }

  /** @internal */
  protected _storeState(req: Request, verifier: string | undefined, appState: unknown): string | Promise<string> {
    const { store } = this._stateStore as { store: AnyFunction };
    const meta = this._metadata();
    // By the number of parameters, as passport-oauth2 does.
    const args = { 5: [verifier, appState, meta], 4: [appState, meta], 3: [meta] }[store.length] ?? [];
    const stored = outcomeOf((done) => store.call(this._stateStore, req, ...args, done));
    return andThen(stored, ([state]) => {
      if (typeof state !== 'string' || state.length > longestState || !/^[A-Za-z0-9]+$/.test(state)) {
        throw new TypeError('The state store gave no alphanumeric state; PowerFolder takes no other');
      }
      return state;
    });
  }

  /** @internal */
  protected _takeState(req: Request, state: string): TakenState | Failed | Promise<TakenState | Failed> {
    const { verify } = this._stateStore as { verify: AnyFunction };
    const args = verify.length === 3 ? [state] : [state, this._metadata()];
    const taken = outcomeOf((done) => verify.call(this._stateStore, req, ...args, done));
    return andThen(taken, ([ok, stateOrReason]) => {
      if (!ok) return { failure: stateOrReason ?? failure('state_unknown'), status: 403 };
      return { verifier: typeof ok === 'string' ? ok : undefined, state: stateOrReason };
    });
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

  /** @internal */
  protected async _callVerify(
    req: Request,
    { tokens, params }: TokenResponse,
    profile: unknown,
    state: unknown,
  ): Promise<unknown[]> {
    const verify = this._verify;
    if (verify.length === 1) return [await verify.call(this, { tokens, profile, req, state })];

    const { accessToken, refreshToken } = tokens;
    const first = this._passReqToCallback ? [req] : [];
    const withParams = verify.length === first.length + 5;
    const args = [...first, accessToken, refreshToken, ...(withParams ? [params] : []), profile];
    return await outcomeOf((done) => {
      const given = verify.call(this, ...args, done);
      if (verify.length === 0 || verify.length > args.length) return given;
      // It declares parameters, but none for `done`, and will hardly call it: nothing is false, as with one parameter.
      return Promise.resolve(given).then((user) => user ?? false);
    });
  }

  /**
   * Asks who signed in. A subclass may ask elsewhere; it may also return a promise of the profile.
   *
   * @param done Called with a {@link PowerFolderError}, or with null and a {@link PowerFolderProfile}.
   */
  override userProfile(accessToken: string, done: (error?: unknown, profile?: PowerFolderProfile) => void): void {
    const { userProfileURL, transport } = this._settings;
    requestProfile(userProfileURL, accessToken, transport).then(
      (profile) => process.nextTick(done, null, profile),
      (error) => process.nextTick(done, error),
    );
  }

  /**
   * Further parameters of the authorization request, for subclasses. They do not replace the strategy's own.
   *
   * @param options What was given to `passport.authenticate`.
   */
  override authorizationParams(options: object): object {
    return super.authorizationParams(options);
  }

  /**
   * Further members of the token request, for subclasses. They do not replace the strategy's own. `redirect_uri`, which
   * PowerFolder's documentation leaves out and RFC 6749 section 4.1.3 asks for, may be given here; it must be
   * `callbackURL` to the letter.
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
type Done = (error?: unknown, ...values: unknown[]) => void;

type TakenState = { verifier: string | undefined; state: unknown };
type Failed = { failure: unknown; status?: number };
/** How an attempt ends: in one of Passport's actions, or in a page. */
type Outcome =
  | { user: unknown; info: object }
  | Failed
  | { redirect: string }
  | { page: { html: string; headers: Record<string, string> } }
  | { error: unknown };

function failed(code: PowerFolderFailureCode, status = failureStatus(code)): Failed {
  return { failure: failure(code), status };
}

/** Once the pending sign-in is known, its state is handed back with a failure as well: for a link to try again. */
function failedHere(code: PowerFolderFailureCode, { state }: TakenState): Failed {
  return { failure: { ...failure(code), ...(state !== undefined && { state }) }, status: failureStatus(code) };
}

/** Goes on at once where there is nothing to wait for: a promise costs as much as what most steps do. */
function andThen<T, U>(value: T | Promise<T>, next: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}

/**
 * What a function gave to its callback, or returned or rejected as a promise: whichever came first. passport-oauth2's
 * hooks have callbacks, and people write them as async functions all the same.
 */
function outcomeOf(call: (done: Done) => unknown): unknown[] | Promise<unknown[]> {
  let given: Parameters<Done> | undefined;
  let settle: Done | undefined;
  let returned: unknown;
  try {
    returned = call((...outcome) => {
      given ??= outcome;
      settle?.(...given);
    });
  } catch (thrown) {
    given ??= [asError(thrown)];
  }
  if (given && returned === undefined) {
    // At once, as most of them are: there is nothing to wait for.
    if (given[0]) throw given[0];
    return given.slice(1);
  }
  return new Promise((resolve, reject) => {
    settle = (error, ...values) => (error ? reject(error) : resolve(values));
    if (given) settle(...given);
    Promise.resolve(returned).then((value) => value !== undefined && resolve([value]), reject);
  });
}

/**
 * Passport hands an error to `next`, for which undefined is no error at all and 'route' a command: a verify function
 * that rejects with either must not open the route.
 */
function asError(reason: unknown): object {
  if (typeof reason === 'object' && reason !== null) return reason;
  return new Error('The sign-in failed for a reason that is no Error', { cause: reason });
}

/** RFC 6749 section 4.1.2.1's codes, but access_denied. */
const authorizationErrors = new Set(
  'invalid_request unauthorized_client unsupported_response_type invalid_scope server_error temporarily_unavailable'.split(
    ' ',
  ),
);

/** An error response (RFC 6749 section 4.1.2.1) with a valid state. */
function authorizationError(response: AuthorizationResponse & { kind: 'error' }): AuthorizationError {
  const { error, description, uri, state = '' } = response;
  const plain = (text = '') => plainText(text, [state]);
  const code = plain(error);
  const text = plain(description) || `The PowerFolder server refused the authorization request: ${code}`;
  // Whoever holds a valid state may write any error; one that the RFC does not know is not the server's fault.
  return new AuthorizationError(text, code, uri && plain(uri), authorizationErrors.has(error) ? undefined : 400);
}

function sendPage({ res }: Request, { html, headers }: { html: string; headers: Record<string, string> }): void {
  if (!res) {
    throw new TypeError(
      "authorizationMethod 'POST' needs req.res, as Express and koa-passport give it; use 'GET' with this framework",
    );
  }
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
  if (typeof state !== 'object') {
    throw new TypeError(
      `passport.authenticate('powerfolder', { state }) takes an object for the application, such as { returnTo: '/x' }, which comes back in req.authInfo.state. The state that goes to the server is random and made by the strategy: it is the only defence against forged answers`,
    );
  }
  return state;
}

/** The configuration, checked once, with its defaults. */
interface Settings {
  clientID: string;
  callbackURL: string;
  isCallback: ReturnType<typeof callbackTest>;
  authorizationMethod: 'GET' | 'POST';
  authorizationURL: string;
  authorizationRequest: (state: string, further: object) => string;
  tokenURL: string;
  userProfileURL: string;
  refreshByGET: string | undefined;
  stateTTL: number;
  pkce: boolean;
  transport: Transport;
  /** What sign-ins are bound to; made for the first one. */
  metadata?: StateMetadata;
}

const optionNames: (keyof PowerFolderStrategyOptions)[] = [
  'serverURL',
  'clientID',
  'clientSecret',
  'callbackURL',
  'authorizationMethod',
  'authorizationURL',
  'tokenURL',
  'userProfileURL',
  'refreshMethod',
  'skipUserProfile',
  'passReqToCallback',
  'store',
  'sessionKey',
  'stateTTL',
  'pkce',
  'scope',
  'scopeSeparator',
  'timeout',
  'dispatcher',
  'allowInsecureHTTP',
  'customHeaders',
  'state',
];

function checkedSettings(options: PowerFolderStrategyOptions, verify: unknown): Settings {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(
      'PowerFolderStrategy takes an options object: { serverURL, clientID, clientSecret, callbackURL }',
    );
  }
  refuseMisspelt(options, optionNames);
  const { clientID, clientSecret, callbackURL, pkce, store, customHeaders = {} } = options;
  const transport = { ...checkedTransport(options), headers: headers(customHeaders) };

  const base = serverBase(options.serverURL, transport);
  for (const [name, value] of Object.entries({ clientID, clientSecret })) {
    if (typeof value !== 'string' || value === '') {
      throw new TypeError(
        `${name} is missing; give what an administrator registered, as a string (see registerClient)`,
      );
    }
  }
  const callback = checkedURL(callbackURL, 'callbackURL', transport);
  if (callback.search !== '' || callbackURL.includes('?')) {
    throw new TypeError('callbackURL must not have a query: PowerFolder appends its answer to the path');
  }
  if (callback.pathname === '/') {
    throw new TypeError('callbackURL needs a path of its own, such as /oauth: the strategy knows answers by it');
  }
  if (typeof verify !== 'function') {
    throw new TypeError(
      'PowerFolderStrategy takes a verify function as its second argument: async ({ tokens, profile }) => user',
    );
  }
  if ((options as { state?: unknown }).state === false) {
    throw new TypeError(
      'state cannot be turned off: it is the only defence against forged answers; remove state: false',
    );
  }
  if (store !== undefined && (typeof store?.store !== 'function' || typeof store.verify !== 'function')) {
    throw new TypeError('store must be an object with the methods store and verify; leave it out to use the session');
  }
  oneOf('pkce', pkce, [undefined, false, true, 'S256']);
  if (pkce && store && store.store.length !== 5) {
    throw new TypeError('pkce needs a store whose store method takes (req, verifier, state, meta, done)');
  }
  const url = (name: 'authorizationURL' | 'tokenURL' | 'userProfileURL', path: string): string =>
    options[name] === undefined ? base + path : checkedURL(options[name], name, transport).href;
  const authorizationURL = url('authorizationURL', '/oauth/allow');
  return {
    clientID,
    callbackURL,
    isCallback: callbackTest(callback.pathname),
    authorizationMethod: oneOf('authorizationMethod', options.authorizationMethod ?? 'GET', ['GET', 'POST']),
    authorizationURL,
    authorizationRequest: authorizationRequests(authorizationURL, { clientID, callbackURL }),
    tokenURL: url('tokenURL', '/oauth/token'),
    userProfileURL: url('userProfileURL', '/api/accounts?action=getInfo'),
    refreshByGET:
      oneOf('refreshMethod', options.refreshMethod ?? 'POST', ['POST', 'GET']) === 'GET' ? `${base}/oauth` : undefined,
    stateTTL: milliseconds('stateTTL', options.stateTTL ?? defaultStateTTL),
    pkce: Boolean(pkce),
    transport,
  };
}

function headers(customHeaders: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(customHeaders));
  } catch {
    // The reason quotes the value, which may be secret.
    throw new TypeError('customHeaders must be an object of valid header names and values');
  }
}

function oneOf<T>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  const list = allowed.filter((one) => one !== undefined).map((one) => JSON.stringify(one));
  throw new TypeError(`${name} must be one of ${list.join(', ')}`);
}
