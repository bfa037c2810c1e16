/** The options of a strategy: what they are, and how each is checked, once. */
import { authorizationRequests } from './authorization.ts';
import { type AuthorizationPageText, checkedTexts } from './authorization-page.ts';
import { callbackTest } from './callback-route.ts';
import { checkedClient, clientOptions, type PowerFolderClientOptions } from './client.ts';
import { milliseconds, oneOf } from './configuration.ts';
import { CookieStateStore } from './cookie-state.ts';
import { ConfigurationMistake } from './errors.ts';
import { checkedHeaders } from './headers.ts';
import type { Hook } from './hooks.ts';
import type { Transport } from './http.ts';
import { checkLanguage, type Language, type LanguageOption } from './language.ts';
import { readOptions } from './option-names.ts';
import { adviceOnOtherOptions } from './other-strategies.ts';
import { defaultStateTTL } from './pending-sign-in.ts';
import { checkScope } from './scope.ts';
import { SessionStateStore } from './state.ts';
import { calledStore, type PendingSignIns, type StateMetadata, type StateStore } from './state-store.ts';
import { checkedCallbackURL, checkedURL } from './url.ts';
import { verifier } from './verify.ts';
import type { SkipUserProfile } from './verify-forms.ts';

/**
 * Options of `PowerFolderStrategy`. They are read once, at construction; what changes in them later changes nothing. They
 * may be inherited, as in an object of a class. One that is not among these is a `TypeError`, whatever its value: a
 * subclass takes its own out before it calls `super`.
 */
export interface PowerFolderStrategyOptions extends PowerFolderClientOptions {
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
  /**
   * Asked with the access token for the account that signed in.
   *
   * @default `<serverURL>/api/accounts?action=getInfo`
   */
  userProfileURL?: string | undefined;
  /**
   * Whether to sign in without asking who it was: `profile` is then undefined. A function decides each time: by what it
   * returns or resolves to, or, if it declares a second parameter, by that callback alone, as in passport-oauth2.
   *
   * @default false
   */
  skipUserProfile?: SkipUserProfile;
  /**
   * Whether a classic `verify` gets the request as its first argument. The form with one parameter always has it.
   *
   * @default false
   */
  passReqToCallback?: boolean | undefined;
  /**
   * Where pending sign-ins are kept: in cookies by a {@link CookieStateStore}, or by an object with passport-oauth2's `store`
   * and `verify`.
   *
   * @default the session
   */
  store?: CookieStateStore | StateStore | undefined;
  /**
   * Key of the pending sign-ins in the session; none that sessions use themselves. Not beside `store`.
   *
   * @default 'powerfolder'
   */
  sessionKey?: string | undefined;
  /**
   * Milliseconds in which a sign-in has to be finished, in the session and in a {@link CookieStateStore}. A store of the
   * application's has its own.
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
   * The language of what visitors read: the sentences of failures (`info.message`), and the page of `authorizationMethod:
   * 'POST'`. See {@link LanguageOption}.
   *
   * @default 'en'
   * @example (req) => req.acceptsLanguages('en', 'de')
   */
  language?: LanguageOption | undefined;
  /**
   * What the page of `authorizationMethod: 'POST'` says, by language, as plain text; what is left out is ours.
   *
   * @default `Continue to PowerFolder` and a sentence
   * @example { de: { title: 'Weiter zur FAUbox', button: 'Weiter' } }
   */
  authorizationPage?: Partial<Record<Language, AuthorizationPageText>> | undefined;
  /** State is always sent and checked: `false` is refused, `true` changes nothing. */
  state?: true | undefined;
}

/** Their names; the compiler asks for each of them. */
const optionNames = Object.keys({
  ...clientOptions,
  callbackURL: true,
  authorizationMethod: true,
  authorizationURL: true,
  userProfileURL: true,
  skipUserProfile: true,
  passReqToCallback: true,
  store: true,
  sessionKey: true,
  stateTTL: true,
  pkce: true,
  scope: true,
  scopeSeparator: true,
  language: true,
  authorizationPage: true,
  state: true,
} satisfies Record<keyof PowerFolderStrategyOptions, true>) as (keyof PowerFolderStrategyOptions)[];

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
  language: LanguageOption | undefined;
  pageTexts: ReturnType<typeof checkedTexts>;
  decide: ReturnType<typeof verifier>;
  transport: Transport;
  /** What sign-ins are bound to; made for the first one. */
  metadata?: StateMetadata;
}

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
  const options = readOptions(given, optionNames, { advice: adviceOnOtherOptions });
  if (Array.isArray(options.scope)) options.scope = [...options.scope];
  if (options.customHeaders !== undefined) options.customHeaders = checkedHeaders(options.customHeaders);
  return options;
}

/**
 * Checks the options of a strategy, one after the other.
 *
 * @param options As {@link strategyOptions} read them.
 * @throws {TypeError} for a mistake, with the fix in its message.
 */
export function checkedSettings(options: PowerFolderStrategyOptions, verify: unknown): Settings {
  const { base, clientID, tokenURL, transport, refreshByGET } = checkedClient(options);
  const { callbackURL } = options;
  const callbackPath = checkedCallbackURL(callbackURL, transport).pathname;
  if (typeof verify !== 'function') {
    throw new TypeError(
      'PowerFolderStrategy takes a verify function as its second argument: async ({ tokens, profile }) => user',
    );
  }
  const endpoint = (option: 'authorizationURL' | 'userProfileURL', path: string): string =>
    options[option] === undefined ? base + path : checkedURL(options[option], option, transport).href;
  const { authorizationMethod = 'GET', passReqToCallback = false, pkce = false } = options;
  oneOf('authorizationMethod', authorizationMethod, ['GET', 'POST']);
  const authorizationURL = endpoint('authorizationURL', '/oauth/allow');
  refuseOwnParameters(authorizationURL);
  const userProfileURL = endpoint('userProfileURL', '/api/accounts?action=getInfo');
  const { skipUserProfile } = options;
  if (!['undefined', 'boolean', 'function'].includes(typeof skipUserProfile)) {
    throw new ConfigurationMistake('skipUserProfile', 'must be false, true or a function');
  }
  oneOf('passReqToCallback', passReqToCallback, [false, true]);
  const decide = verifier(verify as Hook, passReqToCallback);
  const pendingSignIns = checkedStore(options, pkce !== false);
  oneOf('pkce', pkce, [false, true, 'S256']);
  const { scope, scopeSeparator = ' ' } = options;
  checkScopeSeparator(scopeSeparator);
  if (scope !== undefined) checkScope(scope, scopeSeparator);
  checkLanguage(options.language);
  const pageTexts = checkedTexts(options.authorizationPage);
  checkState(options.state);
  return {
    clientID,
    callbackURL,
    callbackPath,
    isCallback: callbackTest(callbackPath),
    authorizationMethod,
    authorizationURL,
    authorizationRequest: authorizationRequests(authorizationURL, { clientID, callbackURL }),
    tokenURL,
    userProfileURL,
    refreshByGET,
    pendingSignIns,
    pkce: pkce !== false,
    skipUserProfile,
    language: options.language,
    pageTexts,
    decide,
    transport,
  };
}

function checkState(state: unknown): void {
  if (state === undefined || state === true) return;
  if (state === false) {
    const problem = 'cannot be turned off: it is the only defence against forged answers; remove state: false';
    throw new ConfigurationMistake('state', problem);
  }
  throw new ConfigurationMistake(
    'state',
    'must be true or left out: what goes to the server is random and made by the strategy. An object of the application is given to passport.authenticate',
  );
}

function checkedStore(options: PowerFolderStrategyOptions, pkce: boolean): PendingSignIns {
  const { store, sessionKey, stateTTL = defaultStateTTL } = options;
  checkSessionKey(sessionKey);
  const ttl = milliseconds('stateTTL', stateTTL);
  if (store === undefined) return new SessionStateStore({ key: sessionKey, ttl });
  if (sessionKey !== undefined) {
    throw new ConfigurationMistake('sessionKey', 'has no effect beside store, which keeps nothing there; remove it');
  }
  if (store instanceof CookieStateStore) return store.pendingSignIns(ttl);
  const { store: begin, verify } = Object(store) as Record<string, unknown>;
  if (typeof begin !== 'function' || typeof verify !== 'function') {
    throw new ConfigurationMistake(
      'store',
      'must be an object with the methods store and verify, or new CookieStateStore({ secret }); leave it out to use the session',
    );
  }
  if (options.stateTTL !== undefined) {
    throw new ConfigurationMistake(
      'stateTTL',
      'has no effect beside a store of your own, which decides by itself; remove it',
    );
  }
  return calledStore(store as unknown as { store: Hook; verify: Hook }, pkce);
}

/** What Passport keeps in a session, and what a session has for itself: express-session, cookie-session, koa-session and @fastify/session. */
const sessionMembers = [
  'passport',
  'messages',
  'flash',
  'returnTo',
  'cookie',
  'id',
  'req',
  'save',
  'reload',
  'regenerate',
  'destroy',
  'touch',
  'resetMaxAge',
  'maxAge',
  'isNew',
  'isChanged',
  'isPopulated',
  'populated',
  'length',
  'inspect',
  'get',
  'set',
  'delete',
  'options',
  'sessionId',
  'encryptedSessionId',
  'isModified',
  'isSaved',
  'toJSON',
];

function checkSessionKey(key: unknown): void {
  if (key === undefined) return;
  if (typeof key !== 'string' || key === '' || /[^ -~]/.test(key)) {
    throw new ConfigurationMistake(
      'sessionKey',
      'must be a string of visible ASCII characters; leave it out for "powerfolder"',
    );
  }
  // cookie-session and koa-session keep what begins with an underscore to themselves.
  if (key.startsWith('_') || key in {} || sessionMembers.includes(key)) {
    throw new ConfigurationMistake(
      'sessionKey',
      `must not be ${key}, which is the session's own; leave it out for "powerfolder"`,
    );
  }
}

function checkScopeSeparator(separator: unknown): void {
  if (typeof separator === 'string' && /^[ -~]+$/.test(separator)) return;
  throw new ConfigurationMistake('scopeSeparator', 'must be a string such as " " or ","; leave it out for a space');
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
    throw new ConfigurationMistake('authorizationURL', `must not have ${name} in its query, ${fix}; remove it there`);
  }
}
