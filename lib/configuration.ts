/** What the configurations of a strategy and of a registration share: names of options, texts, URLs, durations, the transport. */
import { plainText } from './errors.ts';
import { bare, defaultTimeout, own, type Transport } from './http.ts';

/**
 * A mistake in a configuration: a TypeError that knows which option it is about. The command line calls the options by
 * other names, and says the same of them.
 */
export class ConfigurationMistake extends TypeError {
  readonly option: string;
  /** The sentence without the option's name, which is its beginning. */
  readonly problem: string;

  constructor(option: string, problem: string) {
    super(`${option} ${problem}`);
    this.option = option;
    this.problem = problem;
  }
}

/** What is said about an option that there is not: which one was meant, or what to do. */
export type Advice = (name: string) => { meant: string } | { todo: string } | undefined;

/**
 * Reads an options object, each option once: what changes in it afterwards changes nothing. Options may be inherited, as
 * in an object of a class; `Object.prototype` has none.
 *
 * @param known The options that there are.
 * @param within What stands before their names in messages, such as `admin.`
 * @returns A copy, without a prototype.
 * @throws {TypeError} for an option that there is not, whatever its value: it would silently be left out.
 */
export function readOptions<T extends object>(
  options: T,
  known: readonly (keyof T & string)[],
  { within = '', advice = () => undefined }: { within?: string; advice?: Advice } = {},
): T {
  const read = Object.create(null);
  for (const name of optionsGiven(options)) {
    if (!known.includes(name as keyof T & string)) throw unknownOption(name, known, within, advice(name));
    read[name] = options[name as keyof T];
  }
  return read;
}

/** The names in an object and in what it inherits from. A class's methods are none, but its accessors are. */
function optionsGiven(options: object): Set<string> {
  const names = new Set<string>();
  let from: object | null = options;
  while (from !== null && !Object.hasOwn(from, 'hasOwnProperty')) {
    for (const [name, { enumerable, get }] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
      if (enumerable || get) names.add(name);
    }
    from = Object.getPrototypeOf(from);
  }
  return names;
}

function unknownOption(name: string, known: readonly string[], within: string, advice: ReturnType<Advice>): TypeError {
  const beginning = `There is no option ${within}${plainText(name) || '""'}`;
  if (advice && 'todo' in advice) return new TypeError(`${beginning}; ${advice.todo}`);
  const meant = advice?.meant ?? nearest(name, known);
  if (meant) return new TypeError(`${beginning}; did you mean ${within}${meant}?`);
  return new TypeError(`${beginning}; remove it. The options are ${known.map((one) => within + one).join(', ')}`);
}

/**
 * The candidate that was probably meant, without looking at case, `-` and `_`.
 *
 * @param share How much of it may be typed differently.
 */
export function nearest(typed: string, candidates: readonly string[], share = 0.4): string | undefined {
  const [best] = candidates
    .map((candidate) => ({ candidate, away: distance(letters(typed), letters(candidate)) }))
    .filter(({ candidate, away }) => away <= Math.max(1, Math.floor(candidate.length * share)))
    .sort((a, b) => a.away - b.away);
  return best?.candidate;
}

/** A name without what people spell differently. */
export function letters(name: string): string {
  return name.slice(0, 50).toLowerCase().replace(/[-_]/g, '');
}

/** Levenshtein's. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + (letter === b[j] ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Characters that show nothing: controls, formatting, fillers, halves of characters, and all white space but the space. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]|[^\S ]/u;

function refuseUnseen(option: string, text: string): void {
  const [character] = unseen.exec(text) ?? [];
  if (character === undefined) return;
  const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  throw new TypeError(
    `${option} has the invisible character U+${code} in it; remove it, best by typing the value anew`,
  );
}

/** Of a file that was meant for a shell or a template. */
function refuseUnreplaced(option: string, text: string, variable: RegExp): void {
  const [name] = variable.exec(text) ?? [];
  if (name === undefined) return;
  throw new TypeError(
    `${option} has ${plainText(name)} in it, which nothing has replaced by its value; check where it comes from`,
  );
}

const typographicQuotes = '\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a';
/** Quotation marks that came along with a text. The ASCII ones may be part of a secret, where there is no pair of them. */
const quoted = new RegExp(`^(["'\`]).*\\1$|^[${typographicQuotes}]|[${typographicQuotes}]$`, 's');

/**
 * A client's ID or secret: a text as an administrator registered it, without what pasting, `echo` and configuration files
 * add to it. With a line end, for example, each sign-in would end in `invalid_client`.
 *
 * @param option The option's name, for the message.
 * @throws {TypeError} with the fix in the sentence; the value is not quoted, as it may be secret.
 */
export function checkedCredential(value: unknown, option: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new TypeError(
      `${option} is missing; give what an administrator registered, as a string (see registerClient)`,
    );
  }
  if (/^(undefined|null|NaN|\[object \w+\])$/.test(value)) {
    throw new TypeError(
      `${option} is the text "${value}": the value that it was made of was not there; check where it comes from`,
    );
  }
  if (value !== value.trim()) {
    throw new TypeError(`${option} has white space or a line end around it; remove it, for instance with trim()`);
  }
  refuseUnseen(option, value);
  refuseUnreplaced(option, value, /^\$(?:[A-Z][A-Z0-9_]*|\{[^}]*\})$/);
  if (quoted.test(value)) throw new TypeError(`${option} has quotation marks around it; remove them`);
  return value;
}

/**
 * The transport in a user's options, checked.
 *
 * @throws {TypeError} with the fix in the sentence.
 */
export function checkedTransport(
  options: {
    [K in 'timeout' | 'dispatcher' | 'allowInsecureHTTP']?: Transport[K] | undefined;
  },
): Transport {
  const { timeout = defaultTimeout, dispatcher, allowInsecureHTTP = false } = bare(options);
  if (dispatcher !== undefined && typeof dispatcher?.dispatch !== 'function') {
    throw new TypeError(
      "dispatcher must be one of undici's, such as new Agent({ connect: { ca } }); an http.Agent is not",
    );
  }
  if (typeof allowInsecureHTTP !== 'boolean') throw new TypeError('allowInsecureHTTP must be one of false, true');
  return { timeout: milliseconds('timeout', timeout), headers: {}, dispatcher, allowInsecureHTTP };
}

/** A duration of the configuration: within what setTimeout can count. */
export function milliseconds(option: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value < 2 ** 31) return value;
  throw new TypeError(`${option} must be a whole number of milliseconds above 0 and below ${2 ** 31}`);
}

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
    throw new TypeError(
      `${option} is missing; give the absolute URL as a string, such as https://powerfolder.example.com`,
    );
  }
  if (/\s/.test(value)) throw new ConfigurationMistake(option, 'has white space in it; remove it');
  refuseUnseen(option, value);
  refuseUnreplaced(option, value, /\$\{[^}]*\}/);
  if (new RegExp(`^["'\`${typographicQuotes}]|["'\`${typographicQuotes}]$`).test(value)) {
    throw new TypeError(`${option} has quotation marks around it; remove them`);
  }
  const url = parsedURL(value);
  if (!url) {
    throw new TypeError(`${option} is not an absolute URL; write it in full, such as https://powerfolder.example.com`);
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new TypeError(`${option} has the scheme ${url.protocol} but must be an https URL`);
  }
  // Empty ones are dropped by the URL parser.
  if (url.username !== '' || url.password !== '' || /^https?:[/\\]*[^/\\?#]*@/i.test(value)) {
    throw new TypeError(`${option} must not hold a user name or password; remove the part before the @`);
  }
  if (url.hash !== '' || value.includes('#')) {
    throw new TypeError(`${option} must not have a fragment; remove everything from the # on`);
  }
  refuseSecretsInQuery(url, option);
  refuseOtherMeaning(value, url, option);
  if (url.protocol === 'http:' && own(options, 'allowInsecureHTTP') !== true && !isLoopback(url.hostname)) {
    throw new TypeError(
      `${option} must be https, since passwords and tokens travel there; use https://${url.host}, or, in a closed network only, set allowInsecureHTTP: true`,
    );
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
  throw new TypeError(`${option} must not have ${secret} in its query, where access logs keep it; remove it`);
}

/** Refuses what the URL parser makes something else of than people do. */
function refuseOtherMeaning(value: string, url: URL, option: string): void {
  const { hostname, port } = url;
  // This one, and the next, are made of an environment variable that is not set, or of one that has the scheme already.
  if (/^\.|\.\./.test(hostname)) {
    throw new TypeError(`${option} has an empty part in its host; check where the value comes from`);
  }
  if (['undefined', 'null', 'https', 'http'].includes(hostname)) {
    throw new TypeError(`${option} has "${hostname}" for its host; check where the value comes from`);
  }
  if (hostname.endsWith('.')) {
    throw new TypeError(`${option} has a dot at the end of its host; write ${plainURL(url)}`);
  }
  if (port === '0') throw new TypeError(`${option} has the port 0, which nobody can connect to; give the server's`);
  const [, host = ''] = /^https?:\/\/(\[[^\]]*\]|[^/?\\:]+)/i.exec(value) ?? [];
  // An IDN is no other host. In brackets is an IPv6 address, however long it is written.
  const sameHost = /[^!-~]|^\[/.test(host) || host.toLowerCase() === hostname;
  if (host === '' || value.includes('\\') || !sameHost) {
    throw new TypeError(`${option} means something else than it looks like; if this is meant, write ${plainURL(url)}`);
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

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d+){3}$/.test(hostname)
  );
}

/**
 * The base of all endpoints: the server's URL with its context path, without the slash at the end.
 *
 * @throws {TypeError} as {@link checkedURL}, and for a query.
 */
export function serverBase(serverURL: unknown, options?: { allowInsecureHTTP?: boolean }): string {
  const url = checkedURL(serverURL, 'serverURL', options);
  if (url.search !== '') throw new TypeError('serverURL must not have a query; remove everything from the ? on');
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
  throw new TypeError(
    `serverURL has ${page} at its end, which is a page of the server; write ${base.slice(0, -page.length)}`,
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
    throw new TypeError('callbackURL must not have a query: PowerFolder appends its answer to the path');
  }
  if (/^\/+$/.test(pathname)) {
    throw new TypeError('callbackURL needs a path of its own, such as /oauth: the strategy knows answers by it');
  }
  if (pathname.length > longestCallbackPath) {
    throw new TypeError(
      `callbackURL has more than ${longestCallbackPath} characters in its path; choose a shorter one`,
    );
  }
  refuseCallbackPath(pathname);
  if (value !== plainURL(url)) {
    throw new TypeError(`callbackURL would come back in another spelling than it is sent in; write ${plainURL(url)}`);
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
    throw new TypeError('callbackURL has a % that begins no character of UTF-8; for a percent sign write %25');
  }
  const [, name] = /\/((?:code|state|error)=)/i.exec(path) ?? [];
  if (name !== undefined) {
    throw new TypeError(
      `callbackURL has ${name} in its path, which is how PowerFolder's answer begins; choose another path`,
    );
  }
  const [, encoded] = /%(2f|5c|[01][\da-f]|7f)/i.exec(pathname) ?? [];
  if (encoded !== undefined) {
    const character = { '2f': '"/"', '5c': '"\\"' }[encoded.toLowerCase()] ?? 'control character';
    throw new TypeError(
      `callbackURL has an encoded ${character} in its path, which proxies refuse or decode; choose another path`,
    );
  }
  if (path.includes(';')) {
    throw new TypeError(
      'callbackURL has ";" in its path, from where on servers and proxies cut paths off; choose another path',
    );
  }
}
