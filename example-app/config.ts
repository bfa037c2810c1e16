/** The environment as a typed configuration. What is unsafe or cannot work is refused before anything starts. */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { PowerFolderStrategy } from 'passport-powerfolder';

/** The name that visitors read. */
export const appName = 'Folder Desk';

export interface Config {
  production: boolean;
  /** 0 for any free port. */
  port: number;
  /** The address to listen at; undefined for every address of this machine. */
  host: string | undefined;
  /** The file of the Unix domain socket to listen at, in place of an address and a port. */
  socketPath: string | undefined;
  /** Where browsers find this app, without a slash at the end. May have a path: `https://example.com/my-app`. */
  baseURL: string;
  /** The path of {@link baseURL}, without a slash at the end: '' or '/my-app'. */
  basePath: string;
  /** The PowerFolder server and this app's registration there; undefined when a simulated server is to be started. */
  powerFolder: PowerFolderConfig | undefined;
  authorizationMethod: 'GET' | 'POST';
  /** The first signs session cookies, all are accepted. */
  sessionSecrets: string[];
  /** Sessions live in this Redis; without it, in the memory of this process. */
  redisURL: string | undefined;
  /** Users and tokens live in this file of SQLite; without it, in memory. */
  databaseFile: string | undefined;
  /** Express's `trust proxy`: how many proxies, or which, may say who the visitor is and whether https was used. */
  trustProxy: false | number | string[];
  /** Sign-in requests that one address may make in a minute. A sign-in takes two. */
  signInLimit: number;
}

export interface PowerFolderConfig {
  serverURL: string;
  clientID: string;
  clientSecret: string;
}

/** The configuration once it is known which server to use. */
export interface AppConfig extends Config {
  powerFolder: PowerFolderConfig;
}

/** Everything that is wrong with the environment, one sentence a line. */
export class ConfigurationError extends Error {
  override name = 'ConfigurationError';
}

export function readConfig(environment: Record<string, string | undefined>): Config {
  const problems: string[] = [];
  const setting = (name: string) => environment[name]?.trim() || undefined;

  const nodeEnv = setting('NODE_ENV') ?? 'development';
  if (!['production', 'development', 'test'].includes(nodeEnv)) {
    problems.push(`NODE_ENV is "${nodeEnv}": set it to production, development or test.`);
  }
  const production = nodeEnv === 'production';

  let port = Number(setting('PORT') ?? 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    problems.push('PORT must be a number from 0 to 65535.');
    port = 0;
  }

  const listenAddress = setting('LISTEN_ADDRESS');
  const socketPath = listenAddress && isAbsolute(listenAddress) ? listenAddress : undefined;
  const host = socketPath ? undefined : listenAddress;
  if (host && host !== 'localhost' && isIP(host) === 0) {
    problems.push(
      'LISTEN_ADDRESS must be an address of this machine, like 127.0.0.1, or localhost, or the path of a Unix domain socket, like /run/folder-desk/1.sock.',
    );
  }

  // What Linux and macOS both take. Node cuts off the rest, and listens elsewhere.
  if (socketPath && Buffer.byteLength(socketPath) > 103) {
    problems.push('LISTEN_ADDRESS must not have more than 103 bytes, as the path of a socket.');
  }

  const baseURL = setting('BASE_URL');
  const base = parseWebURL(baseURL ?? `http://localhost:${port}`);
  const basePath = base ? base.pathname.replace(/\/+$/, '').replace(/%../g, (octet) => octet.toUpperCase()) : '';
  if (!base) {
    problems.push('BASE_URL must be the address of this app, like https://app.example.com, without ? and #.');
  } else if (socketPath && !baseURL) {
    problems.push(
      'BASE_URL is missing: LISTEN_ADDRESS is a socket, which browsers reach by the address of a proxy only.',
    );
  } else if (production && base.protocol !== 'https:') {
    problems.push('BASE_URL must begin with https:// in production: it makes the address PowerFolder sends codes to.');
  } else if (base.protocol !== 'https:' && !isLoopback(base.hostname)) {
    problems.push(
      'BASE_URL must begin with https://, or be on this machine, like http://localhost:3000: codes travel there.',
    );
  } else if (baseURL) {
    const problem = baseProblem(base.origin, basePath);
    if (problem) problems.push(`BASE_URL ${problem}`);
  }

  let trustProxy: Config['trustProxy'] = false;
  try {
    trustProxy = parseTrustProxy(setting('TRUST_PROXY'));
    if (base?.protocol === 'https:' && trustProxy === false) {
      problems.push(
        'TRUST_PROXY is missing: BASE_URL is https and this app speaks http, so a proxy must be in front. ' +
          'Say which: "loopback" when it runs on this machine, else its address or the number of proxies.',
      );
    } else if (socketPath && typeof trustProxy !== 'number' && !(trustProxy || []).includes('loopback')) {
      problems.push(
        'TRUST_PROXY must have "loopback" in it, or be a number: LISTEN_ADDRESS is a socket, and the proxy that uses it is on this machine.',
      );
    }
  } catch (error) {
    problems.push((error as Error).message);
  }

  const redisURL = setting('REDIS_URL');
  if (redisURL && !/^(?:rediss?|unix):\/\/./.test(redisURL)) {
    problems.push('REDIS_URL must begin with redis://, rediss:// or unix://.');
  } else if (redisURL && !isRedisURL(redisURL)) {
    // Without it: it may hold a password, and this goes to the log.
    problems.push(
      'REDIS_URL cannot be read: write redis://user:password@host:6379/0 with / ? # % @ : in the password as %2F %3F %23 %25 %40 %3A, or unix:///path/of/the.sock?db=0.',
    );
  }
  if (production && !redisURL) {
    problems.push('REDIS_URL is missing: in production, sessions must not live in the memory of one process.');
  }

  const databaseFile = setting('DATABASE_FILE');
  if (databaseFile && redisURL) {
    problems.push(
      'DATABASE_FILE and REDIS_URL are both set: with Redis, users and tokens are there for all instances.',
    );
  } else if (databaseFile && !process.getBuiltinModule?.('node:sqlite' as 'node:fs')) {
    problems.push('DATABASE_FILE needs SQLite, which Node has from 22.13 on.');
  }

  let sessionSecrets = (setting('SESSION_SECRET') ?? '').split(',').map((secret) => secret.trim());
  if (!setting('SESSION_SECRET')) {
    if (production || redisURL) {
      problems.push(
        'SESSION_SECRET is missing: set it to 32 random characters or more, the same for every instance (openssl rand -hex 32).',
      );
    }
    sessionSecrets = [randomBytes(32).toString('hex')];
  } else if (sessionSecrets.some((secret) => secret.length < 32)) {
    problems.push(
      'SESSION_SECRET is too short: each secret needs 32 random characters or more (openssl rand -hex 32).',
    );
  }

  const serverURL = setting('POWERFOLDER_URL');
  const clientID = setting('POWERFOLDER_CLIENT_ID');
  const clientSecret = setting('POWERFOLDER_CLIENT_SECRET');
  if (serverURL) {
    const server = parseWebURL(serverURL);
    if (!server) {
      problems.push('POWERFOLDER_URL must be the address of the PowerFolder server, like https://cloud.example.com.');
    } else if (server.protocol !== 'https:' && !isLoopback(server.hostname)) {
      problems.push('POWERFOLDER_URL must begin with https://: the client secret and tokens travel there.');
    }
    if (!clientID) problems.push('POWERFOLDER_CLIENT_ID is missing: it belongs to POWERFOLDER_URL.');
    if (!clientSecret) problems.push('POWERFOLDER_CLIENT_SECRET is missing: it belongs to POWERFOLDER_URL.');
  } else if (production) {
    problems.push('POWERFOLDER_URL is missing: the simulated server is not for production.');
  } else if (clientID || clientSecret) {
    problems.push('POWERFOLDER_URL is missing: POWERFOLDER_CLIENT_ID and POWERFOLDER_CLIENT_SECRET belong to it.');
  }

  const authorizationMethod = setting('POWERFOLDER_AUTHORIZATION_METHOD') ?? 'GET';
  if (authorizationMethod !== 'GET' && authorizationMethod !== 'POST') {
    problems.push('POWERFOLDER_AUTHORIZATION_METHOD must be GET or POST.');
  }

  const signInLimit = Number(setting('SIGN_IN_LIMIT') ?? 100);
  if (!Number.isInteger(signInLimit) || signInLimit < 2) {
    problems.push('SIGN_IN_LIMIT must be a number from 2 on: sign-in requests per minute and address.');
  }

  if (problems.length > 0) throw new ConfigurationError(problems.join('\n'));
  return {
    production,
    port,
    host,
    socketPath,
    // As browsers spell it, since they come back to it.
    baseURL: base ? base.origin + basePath : '',
    basePath,
    powerFolder: serverURL && clientID && clientSecret ? { serverURL, clientID, clientSecret } : undefined,
    authorizationMethod: authorizationMethod as 'GET' | 'POST',
    sessionSecrets,
    redisURL,
    databaseFile,
    trustProxy,
    signInLimit,
  };
}

function parseWebURL(text: string): URL | undefined {
  // Browsers read `https:host` and `https:\\host` as well; nobody means them.
  if (!/^https?:\/\/[^/?#\\\s][^?#\\\s]*$/i.test(text)) return undefined;
  try {
    // Not URL.canParse: in Node 20 it says no to umlauts once it has been called some thousand times.
    const url = new URL(text);
    return url.username || url.password ? undefined : url;
  } catch {
    return undefined;
  }
}

/**
 * What is wrong with BASE_URL for this app, if anything. Its path becomes part of routes, links, redirects, the callback URL
 * and the cookie's name, so only what means the same in all of them is taken.
 */
function baseProblem(origin: string, path: string): string | undefined {
  if (path.includes('//')) {
    return `must have single slashes in its path: write ${origin}${path.replace(/\/{2,}/g, '/')}.`;
  }
  // What new URL leaves or makes of text. Escapes are for what is not ASCII: the others are slashes, percent signs and the like.
  const taken = /^(?:[\w/.~!$&'()*+,:@-]|%[89A-F][\dA-F])*$/;
  if (!taken.test(path) || !isDecodable(path)) {
    const right = isDecodable(path) ? decodeURIComponent(path) : '';
    const advice =
      right && taken.test(encodeURI(right)) && !right.includes('//') ? `${origin}${encodeURI(right)}` : `${origin}/app`;
    return `may have letters, digits and -._~!$&'()*+,:@ in its path, and ${path} has something else: write ${advice}, for example.`;
  }
  if (path.length > longestBasePath) {
    return `must not have more than ${longestBasePath} characters in its path: write ${origin}/app, for example.`;
  }
  if (/^\/(?:healthz|favicon\.ico)$/i.test(path)) {
    return `must not have the path ${path}, where this app answers something else: write ${origin}/app, for example.`;
  }
  const callbackURL = `${origin}${path}/oauth`;
  try {
    const any = 'any';
    new PowerFolderStrategy({ serverURL: 'https://any', clientID: any, clientSecret: any, callbackURL }, () => false);
  } catch (error) {
    return `makes the callback URL ${callbackURL}, which cannot be used: ${(error as Error).message}.`;
  }
  return undefined;
}

/** It is in the cookie's name, and sent with each request. */
const longestBasePath = 200;

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

/** What the Redis client would throw at, with the URL in its message. */
function isRedisURL(text: string): boolean {
  try {
    const { protocol, hostname, pathname, searchParams, username, password } = new URL(text);
    decodeURIComponent(username + password);
    if (protocol === 'unix:') return pathname !== '' && /^\d*$/.test(searchParams.get('db') ?? '');
    return hostname !== '' && /^\/?\d*$/.test(pathname) && !/[?#]/.test(text);
  } catch {
    return false;
  }
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}

/** A number of proxies, or a comma separated list of addresses, networks (10.0.0.0/8) and Express's names for some. */
function parseTrustProxy(text: string | undefined): Config['trustProxy'] {
  if (!text || text === 'false' || text === '0') return false;
  if (text === 'true') {
    throw new Error(
      'TRUST_PROXY must not be "true", which believes every visitor: name the proxy ("loopback", its address) or the number of proxies.',
    );
  }
  if (/^\d+$/.test(text)) return Number(text);
  const proxies = text.split(',').map((proxy) => proxy.trim());
  for (const proxy of proxies) {
    if (['loopback', 'linklocal', 'uniquelocal'].includes(proxy)) continue;
    const [address = '', bits, ...rest] = proxy.split('/');
    const longest = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
    const validBits = bits === undefined || (/^\d+$/.test(bits) && Number(bits) >= 1 && Number(bits) <= longest);
    if (longest === 0 || !validBits || rest.length > 0) {
      throw new Error(
        `TRUST_PROXY: "${proxy}" is none of loopback, linklocal, uniquelocal, an address, a network like 10.0.0.0/8; or give the number of proxies.`,
      );
    }
  }
  return proxies;
}
