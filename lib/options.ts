/** The options of a strategy, checked once. */
import type { Dispatcher } from 'undici';
import { authorizationRequests, callbackTest } from './authorization.ts';
import {
  type Advice,
  checkedCallbackURL,
  checkedCredential,
  checkedServerBase,
  checkedTransport,
  checkedURL,
  letters,
  milliseconds,
  nearest,
  readOptions,
} from './configuration.ts';
import { plainText } from './errors.ts';
import type { Transport } from './http.ts';
import {
  defaultStateTTL,
  type PendingSignIns,
  SessionStateStore,
  type StateMetadata,
  type StateStore,
} from './state.ts';
import { calledStore, type Hook, verifier } from './verify.ts';

/**
 * Options of `PowerFolderStrategy`. They are read once, at construction; what changes in them later changes nothing. They
 * may be inherited, as in an object of a class. One that is not among these is a `TypeError`, whatever its value: a
 * subclass takes its own out before it calls `super`.
 */
export interface PowerFolderStrategyOptions {
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
  /**
   * Where the server sends the visitor back to: absolute, with a path of its own, without a query, and spelled as a
   * browser's address bar holds it (`https://xn--bcher-kva.example/f%C3%BCr`). It is sent as it is written here; nothing of
   * it is taken from a request, nor from the options of `passport.authenticate`. No sign-in can start under its path.
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
  /**
   * The authorization endpoint (RFC 6749 section 3.1). Its query may hold further parameters, but none that the strategy
   * sends itself.
   *
   * @default `<serverURL>/oauth/allow`
   */
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
   * Whether to sign in without asking who it was: `profile` is then undefined. A function decides each time: by what it
   * returns or resolves to, or, if it declares a second parameter, by that callback alone, as in passport-oauth2.
   *
   * @default false
   */
  skipUserProfile?:
    | boolean
    | (() => boolean | Promise<boolean>)
    | ((accessToken: string, done: (error: unknown, skip?: boolean) => void) => unknown)
    | undefined;
  /**
   * Whether a classic `verify` gets the request as its first argument. The form with one parameter always has it.
   *
   * @default false
   */
  passReqToCallback?: boolean | undefined;
  /** Where pending sign-ins are kept: an object with passport-oauth2's `store` and `verify`. @default the session */
  store?: StateStore | undefined;
  /** Key of the pending sign-ins in the session; none that sessions use themselves. @default 'powerfolder' */
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
  /**
   * Scope to ask for (RFC 6749 section 3.3): a text with spaces between its members, or a list. PowerFolder is not known to
   * have any.
   *
   * @default none
   */
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
  /**
   * Headers for every request to the server, such as `User-Agent`; none that the strategy or the connection sets, such as
   * `Authorization`, `Content-Type` and `Host`.
   */
  customHeaders?: Record<string, string> | undefined;
  /** State is always sent and checked: `false` is refused, `true` changes nothing. */
  state?: true | undefined;
}

/** The configuration, checked once, with its defaults. */
export interface Settings {
  clientID: string;
  callbackURL: string;
  callbackPath: string;
  isCallback: ReturnType<typeof callbackTest>;
  authorizationMethod: 'GET' | 'POST';
  authorizationURL: string;
  authorizationRequest: (state: string, further: object) => string;
  tokenURL: string;
  userProfileURL: string;
  refreshByGET: string | undefined;
  pendingSignIns: PendingSignIns;
  pkce: boolean;
  skipUserProfile: PowerFolderStrategyOptions['skipUserProfile'];
  decide: ReturnType<typeof verifier>;
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

/** What other strategies call our options, without looking at case, `-` and `_`. */
const otherNames: Record<string, keyof PowerFolderStrategyOptions> = {
  baseurl: 'serverURL',
  host: 'serverURL',
  issuer: 'serverURL',
  redirecturi: 'callbackURL',
  redirecturl: 'callbackURL',
  authorizationendpoint: 'authorizationURL',
  tokenendpoint: 'tokenURL',
  profileurl: 'userProfileURL',
  passrequesttocallback: 'passReqToCallback',
  headers: 'customHeaders',
  agent: 'dispatcher',
  ca: 'dispatcher',
  rejectunauthorized: 'dispatcher',
  secret: 'clientSecret',
  usepkce: 'pkce',
};

const furtherParameter =
  'for a further parameter of the authorization request, override authorizationParams in a subclass';
const proxied =
  "remove it: callbackURL is absolute, and nothing of it comes from a request's headers. For an HTTP proxy on the way to the server, give a dispatcher";

/** What to do about options of other strategies that have none here. */
const otherOptions: Record<string, string> = {
  proxy: proxied,
  trustproxy: proxied,
  prompt: furtherParameter,
  accesstype: furtherParameter,
  lang: furtherParameter,
  loginhint: furtherParameter,
  session: "give it to passport.authenticate('powerfolder', { session: false })",
  name: "a subclass has a name of its own by override name = '…'",
  responsetype: 'remove it: the response is always an authorization code',
};

const advice: Advice = (name) => {
  const [meant, todo] = [otherNames, otherOptions].map((list) =>
    Object.hasOwn(list, letters(name)) ? list[letters(name)] : undefined,
  );
  return meant !== undefined ? { meant } : todo !== undefined ? { todo } : undefined;
};

/**
 * Reads the options of a strategy, each once, and copies what is in them: changes afterwards change nothing.
 *
 * @throws {TypeError} for an option that there is not.
 */
export function strategyOptions(given: PowerFolderStrategyOptions): PowerFolderStrategyOptions {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(
      'PowerFolderStrategy takes an options object: { serverURL, clientID, clientSecret, callbackURL }',
    );
  }
  const options = readOptions(given, optionNames, { advice });
  if (Array.isArray(options.scope)) options.scope = [...options.scope];
  if (options.customHeaders !== undefined) options.customHeaders = checkedHeaders(options.customHeaders);
  return options;
}

/**
 * Checks the options of a strategy.
 *
 * @param options As {@link strategyOptions} read them.
 * @throws {TypeError} for a mistake, with the fix in its message.
 */
export function checkedSettings(options: PowerFolderStrategyOptions, verify: unknown): Settings {
  const { callbackURL, pkce, store, customHeaders = {}, scope, scopeSeparator = ' ' } = options;
  const transport = { ...checkedTransport(options), headers: sentHeaders(customHeaders) };

  const base = checkedServerBase(options.serverURL, transport);
  const clientID = checkedCredential(options.clientID, 'clientID');
  checkedCredential(options.clientSecret, 'clientSecret');
  const callback = checkedCallbackURL(callbackURL, transport);
  if (typeof verify !== 'function') {
    throw new TypeError(
      'PowerFolderStrategy takes a verify function as its second argument: async ({ tokens, profile }) => user',
    );
  }
  checkState(options.state);
  if (store !== undefined && (typeof store?.store !== 'function' || typeof store.verify !== 'function')) {
    throw new TypeError('store must be an object with the methods store and verify; leave it out to use the session');
  }
  oneOf('pkce', pkce, [undefined, false, true, 'S256']);
  oneOf('passReqToCallback', options.passReqToCallback, [undefined, false, true]);
  if (!['undefined', 'boolean', 'function'].includes(typeof options.skipUserProfile)) {
    throw new TypeError('skipUserProfile must be false, true or a function');
  }
  checkSessionKey(options.sessionKey);
  checkScopeSeparator(scopeSeparator);
  if (scope !== undefined) checkScope(scope, scopeSeparator);
  const url = (name: 'authorizationURL' | 'tokenURL' | 'userProfileURL', path: string): string =>
    options[name] === undefined ? base + path : checkedURL(options[name], name, transport).href;
  const authorizationURL = url('authorizationURL', '/oauth/allow');
  refuseOwnParameters(authorizationURL);
  const { authorizationMethod = 'GET', refreshMethod = 'POST' } = options;
  const { stateTTL = defaultStateTTL } = options;
  milliseconds('stateTTL', stateTTL);
  return {
    clientID,
    callbackURL,
    callbackPath: callback.pathname,
    isCallback: callbackTest(callback.pathname),
    authorizationMethod: oneOf('authorizationMethod', authorizationMethod, ['GET', 'POST']),
    authorizationURL,
    authorizationRequest: authorizationRequests(authorizationURL, { clientID, callbackURL }),
    tokenURL: url('tokenURL', '/oauth/token'),
    userProfileURL: url('userProfileURL', '/api/accounts?action=getInfo'),
    refreshByGET: oneOf('refreshMethod', refreshMethod, ['POST', 'GET']) === 'GET' ? `${base}/oauth` : undefined,
    pendingSignIns: store
      ? calledStore(store as unknown as { store: Hook; verify: Hook }, Boolean(pkce))
      : new SessionStateStore({ key: options.sessionKey, ttl: stateTTL }),
    pkce: Boolean(pkce),
    skipUserProfile: options.skipUserProfile,
    decide: verifier(verify as Hook, options.passReqToCallback === true),
    transport,
  };
}

function checkState(state: unknown): void {
  if (state === undefined || state === true) return;
  throw new TypeError(
    state === false
      ? 'state cannot be turned off: it is the only defence against forged answers; remove state: false'
      : 'state must be true or left out: what goes to the server is random and made by the strategy. An object of the application is given to passport.authenticate',
  );
}

/** What Passport keeps in a session, and what a session has for itself: express-session, cookie-session, koa-session and @fastify/session. */
const sessionMembers =
  'passport messages flash returnTo cookie id req save reload regenerate destroy touch resetMaxAge maxAge isNew isChanged isPopulated populated length inspect get set delete options sessionId encryptedSessionId isModified isSaved toJSON'.split(
    ' ',
  );

function checkSessionKey(key: unknown): void {
  if (key === undefined) return;
  if (typeof key !== 'string' || key === '' || /[^ -~]/.test(key)) {
    throw new TypeError('sessionKey must be a string of visible ASCII characters; leave it out for "powerfolder"');
  }
  // cookie-session and koa-session keep what begins with an underscore to themselves.
  if (key.startsWith('_') || key in {} || sessionMembers.includes(key)) {
    throw new TypeError(`sessionKey must not be ${key}, which is the session's own; leave it out for "powerfolder"`);
  }
}

function checkScopeSeparator(separator: unknown): void {
  if (typeof separator === 'string' && /^[ -~]+$/.test(separator)) return;
  throw new TypeError('scopeSeparator must be a string such as " " or ","; leave it out for a space');
}

/**
 * Checks a scope (RFC 6749 section 3.3), of the options or of one sign-in.
 *
 * @throws {TypeError} for an empty one as well: it would be sent.
 */
function checkScope(scope: unknown, separator: string): void {
  const texts: unknown[] = Array.isArray(scope) ? scope : typeof scope === 'string' ? scope.split(' ') : [];
  const isToken = (text: unknown) => typeof text === 'string' && /^[!#-[\]-~]+$/.test(text);
  const isSplit = (text: unknown) => Array.isArray(scope) && String(text).includes(separator);
  if (texts.length > 0 && texts.every(isToken) && !texts.some(isSplit)) return;
  throw new TypeError(
    'scope must be a string of scopes with a space between them, or an array of scopes, each of visible ASCII characters; leave it out to ask for none',
  );
}

/** Refuses in the authorization endpoint's query what is sent behind it, which would then be there twice. */
function refuseOwnParameters(authorizationURL: string): void {
  const fixes: Record<string, string> = {
    state: 'which is random',
    response_type: 'which is always code',
    redirect_uri: 'where callbackURL is sent',
    client_id: 'where clientID is sent',
    scope: 'where the option scope is sent',
    code_challenge: 'where the option pkce sends one',
    code_challenge_method: 'where the option pkce sends one',
  };
  const { searchParams } = new URL(authorizationURL);
  for (const [name, fix] of Object.entries(fixes)) {
    if (!searchParams.has(name)) continue;
    throw new TypeError(`authorizationURL must not have ${name} in its query, ${fix}; remove it there`);
  }
}

/** Headers that are the strategy's or the connection's, or that would take a secret along. */
const ownHeaders = new Set(
  'authorization cookie content-type content-length content-encoding accept-encoding host transfer-encoding connection keep-alive proxy-connection proxy-authorization upgrade expect te trailer'.split(
    ' ',
  ),
);

/** A copy of `customHeaders`. No value is quoted in a message, as it may be secret. */
function checkedHeaders(customHeaders: unknown): Record<string, string> {
  const isObject = typeof customHeaders === 'object' && customHeaders !== null && !Array.isArray(customHeaders);
  // A Map and a Headers object have no members, and would silently be empty.
  const isPlain = isObject && !(Symbol.iterator in customHeaders);
  const copy: Record<string, string> = isPlain ? { ...(customHeaders as object) } : {};
  if (!isPlain || Object.values(copy).some((value) => typeof value !== 'string')) throw invalidHeaders();
  if (Object.values(copy).some((value) => value !== value.trim())) {
    throw new TypeError(
      'customHeaders has white space or a line end around a value; remove it, for instance with trim()',
    );
  }
  const names = new Set<string>();
  for (const name of Object.keys(copy)) {
    const header = name.toLowerCase();
    if (ownHeaders.has(header)) {
      throw new TypeError(
        `customHeaders must not have ${header}, which the strategy or its connection sets; remove it`,
      );
    }
    if (names.has(header)) throw new TypeError(`customHeaders has ${plainText(name)} twice; remove one`);
    names.add(header);
  }
  return copy;
}

function sentHeaders(customHeaders: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(customHeaders));
  } catch {
    // The reason quotes the value, which may be secret.
    throw invalidHeaders();
  }
}

function invalidHeaders(): TypeError {
  return new TypeError('customHeaders must be an object of valid header names and values, each value a string');
}

function oneOf<T>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  const list = allowed.filter((one) => one !== undefined).map((one) => JSON.stringify(one));
  throw new TypeError(`${name} must be one of ${list.join(', ')}`);
}

const callbackNames = ['callbackURL', 'callbackURI', 'redirectURL', 'redirectURI'];

/**
 * Checks the options that were given to `passport.authenticate` or `passport.authorize`. Others than these are Passport's
 * or a subclass's.
 *
 * @throws {TypeError} for a callback URL, also in another spelling: it would change nothing; and for a scope that is none.
 */
export function checkRequestOptions(options: { scope?: unknown }, scopeSeparator: string): void {
  for (const name of Object.keys(options)) {
    // By its length first: this is done for each request.
    if (Math.abs(name.length - 11) > 2 || !nearest(name, callbackNames, 0.2)) continue;
    throw new TypeError(
      `${plainText(name)} given to passport.authenticate or passport.authorize changes nothing; remove it. The callback URL is the option callbackURL of PowerFolderStrategy; for another one, make a second strategy with a name of its own`,
    );
  }
  if (options.scope !== undefined && options.scope !== null) checkScope(options.scope, scopeSeparator);
}
