/** The options of a strategy, checked once. */
import type { Dispatcher } from 'undici';
import { authorizationRequests, callbackTest } from './authorization.ts';
import { checkedTransport, checkedURL, milliseconds, refuseMisspelt, serverBase } from './configuration.ts';
import type { Transport } from './http.ts';
import {
  defaultStateTTL,
  type PendingSignIns,
  SessionStateStore,
  type StateMetadata,
  type StateStore,
} from './state.ts';
import { calledStore, type Hook, verifier } from './verify.ts';

/** Options of `PowerFolderStrategy`. */
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

/** The configuration, checked once, with its defaults. */
export interface Settings {
  clientID: string;
  callbackURL: string;
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

/**
 * Checks the options of a strategy.
 *
 * @throws {TypeError} for a mistake, with the fix in its message.
 */
export function checkedSettings(options: PowerFolderStrategyOptions, verify: unknown): Settings {
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
  const stateTTL = milliseconds('stateTTL', options.stateTTL ?? defaultStateTTL);
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
    pendingSignIns: store
      ? calledStore(store as unknown as { store: Hook; verify: Hook }, Boolean(pkce))
      : new SessionStateStore({ key: options.sessionKey, ttl: stateTTL }),
    pkce: Boolean(pkce),
    skipUserProfile: options.skipUserProfile,
    decide: verifier(verify as Hook, options.passReqToCallback === true),
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
