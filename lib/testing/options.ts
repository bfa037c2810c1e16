import { randomBytes } from 'node:crypto';
import {
  exampleAdministrator,
  exampleClient,
  exampleUser,
  type PowerFolderAccount,
  type PowerFolderClient,
} from './accounts.ts';

/** How the simulated server shall be. All of it is optional. */
export interface PowerFolderServerOptions {
  /** The port on 127.0.0.1; nothing else is ever listened on. @default 0, any free port */
  port?: number;
  /**
   * The host name in `url`. Browsers keep cookies apart by host name and not by port, so say `localhost` here when
   * the application is at 127.0.0.1, or the other way round. @default '127.0.0.1'
   */
  hostname?: string;
  /** The path that the server lives under. @default '' @example '/powerfolder' */
  contextPath?: string;
  /** Key and certificate, PEM: with these the server speaks https. @default none: http */
  tls?: { key: string | Buffer; cert: string | Buffer };
  /**
   * How the authorization response comes: as documented, `<redirect_uri>/code=…&state=…` without any `?`, or as the
   * deployed client reads it, `<redirect_uri>?code=…&state=…`. @default 'path'
   */
  callbackStyle?: 'path' | 'query';
  /** The methods of the authorization request: documented is POST, deployed is GET. @default both */
  allowMethods?: ('GET' | 'POST')[];
  /** The registered clients. @default one, with a random id and secret */
  clients?: PowerFolderClient[];
  /** Who can log in. An administrator is added when there is none. @default a user `ada` with files, and an administrator */
  accounts?: PowerFolderAccount[];
  /**
   * Whom `api/accounts?action=getInfo` answers: everybody about themselves; administrators only (others: 403); or
   * nobody who comes with a Bearer token (401). @default 'self'
   */
  accountsAPI?: 'self' | 'admin-only' | 'basic-only';
  /** What is around the account there: nothing, `{"account":…}` or `{"ResultSet":{"Result":[…]}}`. @default 'flat' */
  accountShape?: 'flat' | 'account' | 'resultset';
  /** Whom `api/folders?action=getAll` answers: everybody, or nobody who comes with a Bearer token (401). @default 'self' */
  foldersAPI?: 'self' | 'basic-only';
  /** Whether tokens are taken at all, by the API and by WebDAV: servers can switch that off. @default true */
  tokenLogin?: boolean;
  /** Whether the user name with an access token as the password is taken for HTTP Basic, as deployed clients do it. @default true */
  tokenAsPassword?: boolean;
  /** What becomes of a client ID that is registered again: it gets the new secret, or has both. Not known of PowerFolder. @default 'replace' */
  knownClient?: 'replace' | 'add';
  /** How long a code can be redeemed, in milliseconds. @default 60_000 */
  codeLifetime?: number;
  /** How long an access token lives, in milliseconds. @default 86_400_000, 24 hours */
  accessTokenLifetime?: number;
  /** Whether there are refresh tokens at all. @default true */
  refreshTokens?: boolean;
  /** The unit of `expires_in`, which is not documented, or `none` for an answer without it. @default 'seconds' */
  expiresIn?: 'seconds' | 'milliseconds' | 'none';
  /** The body of a refused token request, which is not documented: RFC 6749's JSON, a page, or nothing. @default 'json' */
  tokenErrors?: 'json' | 'page' | 'empty';
  /** Whether a refresh gives a new refresh token and ends the old; else its answer has none. @default false */
  rotateRefreshTokens?: boolean;
  /** How to refresh: by POST as the token request, and by the old `GET <PF>/oauth?grant_type=…`. @default ['POST'] */
  refreshMethods?: ('GET' | 'POST')[];
  /** Makes the codes, whose real alphabet is unknown. @default 32 random hexadecimal digits */
  code?: () => string;
  /** Whether the values in the authorization response are percent-encoded. @default true */
  encodeCode?: boolean;
  /** Names of parameters to accept besides the documented, in authorization requests and token requests. @default none */
  tolerate?: string[];
  /** Whether RFC 7636 is spoken, S256 only; else its parameters are unknown ones. @default false */
  pkce?: boolean;
  /** The user name of somebody who is always logged in and allows everything at once: no pages. @default nobody */
  autoApprove?: string;
  /**
   * Whether WebDAV gives parts of files, with `Content-Length`; webdav-servlet, on which PowerFolder's is probably built,
   * ignores `Range`. @default false
   */
  webdavRanges?: boolean;
  /** Whether people are asked each time, or not any more for a client that they have allowed once. @default 'always' */
  consent?: 'always' | 'once';
  /** What comes of Decline, which is not documented: RFC 6749's error goes back, or nothing does. @default 'error' */
  decline?: 'error' | 'nothing';
  /**
   * Whether people log in at an identity provider, as at universities: another origin, several redirects, and a form that
   * comes back by POST. @default false
   */
  identityProvider?: boolean;
  /**
   * Whether the server is a node of a cluster that leads requests to the API and to WebDAV to another node, by a redirect to
   * another origin, which no client may follow with a token. @default false
   */
  cluster?: boolean;
  /**
   * `form-action` in the policy of its pages. With `'self'` browsers hold the redirect after Allow back.
   * @default none @example "'self' https://app.example.com"
   */
  formAction?: string;
  /** What the passwords of the accounts are made of that are there by default: the same ones each time. @default random ones */
  passwordSeed?: string;
  /** Whether the login page shows a user name and its password, for a developer at a browser. @default false */
  hints?: boolean;
  /** The clock, in epoch milliseconds. @default Date.now */
  now?: () => number;
  /** How far the `Date` header is ahead of the clock, in milliseconds. @default 0 */
  clockSkew?: number;
}

type WithoutDefault = 'tls' | 'autoApprove' | 'formAction' | 'passwordSeed';

export type Settings = Required<Omit<PowerFolderServerOptions, WithoutDefault>> & {
  [K in WithoutDefault]: PowerFolderServerOptions[K] | undefined;
};

/** The options with their defaults; a programmer's mistake is told at once. */
export function settle(options: PowerFolderServerOptions): Settings {
  const defaults: Settings = {
    port: 0,
    hostname: '127.0.0.1',
    contextPath: '',
    tls: undefined,
    callbackStyle: 'path',
    allowMethods: ['GET', 'POST'],
    clients: [exampleClient()],
    accounts: [exampleUser(options.passwordSeed), exampleAdministrator(options.passwordSeed)],
    accountsAPI: 'self',
    accountShape: 'flat',
    foldersAPI: 'self',
    tokenLogin: true,
    tokenAsPassword: true,
    knownClient: 'replace',
    codeLifetime: 60_000,
    accessTokenLifetime: 86_400_000,
    refreshTokens: true,
    expiresIn: 'seconds',
    tokenErrors: 'json',
    rotateRefreshTokens: false,
    refreshMethods: ['POST'],
    code: () => randomBytes(16).toString('hex'),
    encodeCode: true,
    tolerate: [],
    pkce: false,
    autoApprove: undefined,
    webdavRanges: false,
    consent: 'always',
    decline: 'error',
    identityProvider: false,
    cluster: false,
    formAction: undefined,
    passwordSeed: undefined,
    hints: false,
    now: Date.now,
    clockSkew: 0,
  };
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  for (const [name] of given) {
    if (!Object.hasOwn(defaults, name)) {
      throw new TypeError(
        `startPowerFolderServer has no option "${name}"; it has ${Object.keys(defaults).join(', ')}.`,
      );
    }
  }
  const settings: Settings = { ...defaults, ...Object.fromEntries(given) };
  settings.contextPath = settings.contextPath.replace(/\/+$/, '');
  if (!/^(\/[\w.~-]+)*$/.test(settings.contextPath)) {
    throw new TypeError(`contextPath is "${settings.contextPath}", but must be '' or like '/powerfolder'.`);
  }
  if (!settings.accounts.some((account) => account.admin)) {
    settings.accounts = [...settings.accounts, exampleAdministrator(settings.passwordSeed)];
  }
  if (settings.autoApprove && !settings.accounts.some(({ username }) => username === settings.autoApprove)) {
    throw new TypeError(`autoApprove is "${settings.autoApprove}", but no account has that username.`);
  }
  return settings;
}
