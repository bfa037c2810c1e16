/** The URLs of a configuration, checked: each has one meaning and one spelling. */
import { quotationMark, refuseUnreplaced, refuseUnseen } from './configuration.ts';
import { ConfigurationMistake } from './errors.ts';
import { own } from './json.ts';
import { isLoopback } from './loopback.ts';

/**
 * A URL of the configuration, checked (R22): absolute, https (http for loopback only, unless allowed), without
 * credentials and fragment, and meaning what it looks like: `https:host` and `https://host\path` are forgiven by the URL
 * parser, and are mistakes.
 *
 * @param option The option's name, for the message.
 * @throws {TypeError} with the fix in the sentence; user name, password and query are not quoted, as they may be secret.
 */
export function checkedURL(value: unknown, option: string, options: { allowInsecureHTTP?: boolean } = {}): URL {
  if (typeof value !== 'string' || value === '') {
    throw new ConfigurationMistake(
      option,
      'is missing; give the absolute URL as a string, such as https://powerfolder.example.com',
    );
  }
  if (/\s/.test(value)) throw new ConfigurationMistake(option, 'has white space in it; remove it');
  refuseUnseen(option, value);
  refuseUnreplaced(option, value, /\$\{[^}]*\}/);
  if (new RegExp(`^${quotationMark}|${quotationMark}$`).test(value)) {
    throw new ConfigurationMistake(option, 'has quotation marks around it; remove them');
  }
  const url = parsedURL(value);
  if (!url) {
    throw new ConfigurationMistake(
      option,
      'is not an absolute URL; write it in full, such as https://powerfolder.example.com',
    );
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new ConfigurationMistake(option, `has the scheme ${url.protocol} but must be an https URL`);
  }
  // Empty ones are dropped by the URL parser.
  if (url.username !== '' || url.password !== '' || /^https?:[/\\]*[^/\\?#]*@/i.test(value)) {
    throw new ConfigurationMistake(option, 'must not hold a user name or password; remove the part before the @');
  }
  if (url.hash !== '' || value.includes('#')) {
    throw new ConfigurationMistake(option, 'must not have a fragment; remove everything from the # on');
  }
  refuseSecretsInQuery(url, option);
  refuseOtherMeaning(value, url, option);
  if (url.protocol === 'http:' && own(options, 'allowInsecureHTTP') !== true && !isLoopback(url.hostname)) {
    const problem = `must be https, since passwords and tokens travel there; use https://${url.host}`;
    throw new ConfigurationMistake(option, problem, 'allowInsecureHTTP');
  }
  return url;
}

/** Not by `URL.canParse`, which in Node 20, after some thousand calls, says no to each text with an umlaut. */
function parsedURL(value: string): URL | undefined {
  try {
    return new URL(value);
  } catch {
    return undefined;
  }
}

function refuseSecretsInQuery({ searchParams }: URL, option: string): void {
  const secret = ['client_secret', 'access_token', 'refresh_token', 'password'].find((name) => searchParams.has(name));
  if (secret === undefined) return;
  throw new ConfigurationMistake(option, `must not have ${secret} in its query, where access logs keep it; remove it`);
}

/** Refuses what the URL parser makes something else of than people do. */
function refuseOtherMeaning(value: string, url: URL, option: string): void {
  const { hostname, port } = url;
  // This one, and the next, are made of an environment variable that is not set, or of one that has the scheme already.
  if (/^\.|\.\./.test(hostname)) {
    throw new ConfigurationMistake(option, 'has an empty part in its host; check where the value comes from');
  }
  if (['undefined', 'null', 'https', 'http'].includes(hostname)) {
    throw new ConfigurationMistake(option, `has "${hostname}" for its host; check where the value comes from`);
  }
  if (hostname.endsWith('.')) {
    throw new ConfigurationMistake(option, `has a dot at the end of its host; write ${plainURL(url)}`);
  }
  if (port === '0')
    throw new ConfigurationMistake(option, "has the port 0, which nobody can connect to; give the server's");
  const [, host = ''] = /^https?:\/\/(\[[^\]]*\]|[^/?\\:]+)/i.exec(value) ?? [];
  // An IDN is no other host. In brackets is an IPv6 address, however long it is written.
  const sameHost = /[^!-~]|^\[/.test(host) || host.toLowerCase() === hostname;
  if (host === '' || value.includes('\\') || !sameHost) {
    throw new ConfigurationMistake(
      option,
      `means something else than it looks like; if this is meant, write ${plainURL(url)}`,
    );
  }
}

/** A URL as it may be shown, in the spelling in which it comes back from browsers, proxies and servers. */
function plainURL({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host.replace(/\.(?=:|$)/, '')}${plainPath(pathname)}`;
}

/** A path of a URL in that spelling. */
export function plainPath(pathname: string): string {
  const path = pathname
    .replace(/\/{2,}/g, '/')
    // RFC 3986 section 6.2.2.2: what needs no escape has none.
    .replace(/%(?:2[de]|3\d|[46][1-9a-f]|[57][\da]|5f|7e)/gi, (escaped) => decodeURIComponent(escaped))
    // RFC 3986 section 3.3: what no path can hold has one.
    .replace(/[^\w.~!$&'()*+,;=:@%/-]/g, encodeURIComponent);
  // Once more, since Node 20 leaves the last dot in `//.x/.`
  return new URL(`http://localhost${path}`).pathname;
}

/**
 * The base of all endpoints: the server's URL with its context path, without the slash at the end.
 *
 * @throws {TypeError} as {@link checkedURL}, and for a query.
 */
export function serverBase(serverURL: unknown, options?: { allowInsecureHTTP?: boolean }): string {
  const url = checkedURL(serverURL, 'serverURL', options);
  if (url.search !== '')
    throw new ConfigurationMistake('serverURL', 'must not have a query; remove everything from the ? on');
  return url.origin + url.pathname.replace(/\/+$/, '');
}

/**
 * As {@link serverBase}, but takes no address of one of the server's pages, which somebody copied from a browser.
 *
 * @throws {TypeError} with the base URL in the sentence.
 */
export function checkedServerBase(serverURL: unknown, options?: { allowInsecureHTTP?: boolean }): string {
  const base = serverBase(serverURL, options);
  const [page] = /\/(?:oauth(?:\/\w+)?|api(?:\/\w+)?|webdav|login)$/i.exec(base.replace(/^https?:\/\//, '')) ?? [];
  if (page === undefined) return base;
  throw new ConfigurationMistake(
    'serverURL',
    `has ${page} at its end, which is a page of the server; write ${base.slice(0, -page.length)}`,
  );
}

/**
 * Where the server sends visitors back to. It is sent to the letter, and comes back through browsers, proxies and
 * frameworks: so only the spelling that all of them keep is accepted.
 *
 * @throws {TypeError} as {@link checkedURL}, and with the right spelling for another one.
 */
export function checkedCallbackURL(value: unknown, transport: { allowInsecureHTTP?: boolean }): URL {
  const url = checkedURL(value, 'callbackURL', transport);
  const { pathname, search } = url;
  if (search !== '' || String(value).includes('?')) {
    throw new ConfigurationMistake('callbackURL', 'must not have a query: PowerFolder appends its answer to the path');
  }
  if (/^\/+$/.test(pathname)) {
    throw new ConfigurationMistake(
      'callbackURL',
      'needs a path of its own, such as /oauth: the strategy knows answers by it',
    );
  }
  if (pathname.length > longestCallbackPath) {
    throw new ConfigurationMistake(
      'callbackURL',
      `has more than ${longestCallbackPath} characters in its path; choose a shorter one`,
    );
  }
  refuseCallbackPath(pathname);
  if (value !== plainURL(url)) {
    throw new ConfigurationMistake(
      'callbackURL',
      `would come back in another spelling than it is sent in; write ${plainURL(url)}`,
    );
  }
  return url;
}

/** The answer has its place behind it, and is read up to 4 KiB in all. */
const longestCallbackPath = 1000;

/** Refuses what the answer, proxies or frameworks would make something else of, however it is spelled. */
function refuseCallbackPath(pathname: string): void {
  let path: string;
  try {
    path = decodeURIComponent(pathname);
  } catch {
    throw new ConfigurationMistake(
      'callbackURL',
      'has a % that begins no character of UTF-8; for a percent sign write %25',
    );
  }
  const [, name] = /\/((?:code|state|error)=)/i.exec(path) ?? [];
  if (name !== undefined) {
    throw new ConfigurationMistake(
      'callbackURL',
      `has ${name} in its path, which is how PowerFolder's answer begins; choose another path`,
    );
  }
  const [, encoded] = /%(2f|5c|[01][\da-f]|7f)/i.exec(pathname) ?? [];
  if (encoded !== undefined) {
    const problem = `has an encoded ${characterOf(encoded)} in its path, which proxies refuse or decode; choose another path`;
    throw new ConfigurationMistake('callbackURL', problem);
  }
  if (path.includes(';')) {
    throw new ConfigurationMistake(
      'callbackURL',
      'has ";" in its path, from where on servers and proxies cut paths off; choose another path',
    );
  }
}

function characterOf(digits: string): string {
  const character = String.fromCharCode(Number.parseInt(digits, 16));
  return character === '/' || character === '\\' ? `"${character}"` : 'control character';
}
