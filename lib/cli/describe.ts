/** What a server sent, described without any of it: for reports. */
import type { AuthorizationResponse } from '../authorization.ts';
import type { HTTPResponse } from '../http.ts';
import { isObject } from '../json.ts';
import type { Answer, Callback, Listing, Report, Shape } from './report.ts';

/** Names that PowerFolder, RFC 6749 and its relatives have, and web frameworks in their errors. */
const knownMembers = new Set(
  `access_token refresh_token expires_in token_type scope id_token error error_description error_uri state
  ID id username firstname surname displayName emails email telephone created lastLogin validTill spaceAllowed spaceUsed nFolder
  custom1 custom2 custom3 notes serverID token password account ResultSet Result name internalName localizedName folderID
  resourceURL page size Pageable maxPages success status message code timestamp path errors exception title detail type
  expires expires_at expiration shibbolethPersistentID permission language organization`.split(/\s+/),
);

const oauthErrors = new Set(
  `invalid_request invalid_client invalid_grant unauthorized_client unsupported_grant_type invalid_scope access_denied
  unsupported_response_type server_error temporarily_unavailable invalid_token insufficient_scope not_found`.split(
    /\s+/,
  ),
);

const mediaTypes = ['application/json', 'text/html', 'text/plain', 'text/xml', 'application/xml', 'text/javascript'];

/** A word of a server's, where it is one of those that are known. */
function word(value: unknown, known: { has(value: string): boolean }): string {
  return typeof value === 'string' && known.has(value) ? value : 'other';
}

const oauthError = (value: unknown): string => word(value, oauthErrors);

export function shapeOf(text: string): Shape {
  const alphabet: string[] = [];
  if (/\d/.test(text)) alphabet.push('0-9');
  if (/[a-z]/.test(text)) alphabet.push(/[g-z]/.test(text) ? 'a-z' : 'a-f');
  if (/[A-Z]/.test(text)) alphabet.push(/[G-Z]/.test(text) ? 'A-Z' : 'A-F');
  if (/[^!-~]/.test(text)) alphabet.push('others');
  return { length: text.length, alphabet: alphabet.concat([...new Set(text.match(/[!-/:-@[-`{-~]/g))].sort()) };
}

/** The type of a JSON value; of a list, the types in it. */
function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return value === '' ? 'empty text' : 'text';
  if (!Array.isArray(value)) return typeof value;
  const types = [...new Set(value.map((each) => (Array.isArray(each) ? 'list' : typeOf(each))))].sort();
  return types.length === 0 ? 'empty list' : `list of ${types.join(', ')}`;
}

/** @param url What was asked for, to tell where a redirect leads. */
export function describedAnswer({ status, headers, body }: HTTPResponse, url: string): Exclude<Answer, string> {
  const type = String(headers['content-type'] ?? '');
  const [media = '', ...parameters] = type.toLowerCase().split(';');
  const [, charset] = /^\s*charset="?([\w-]+)"?\s*$/.exec(parameters.join(';')) ?? [];
  const json = parsed(body);
  const object = isObject(json) ? json : undefined;
  const names = Object.keys(object ?? {});
  const known = names.filter((name) => knownMembers.has(name)).sort();
  return {
    status,
    type: media === '' ? 'none' : word(media.trim(), new Set(mediaTypes)),
    ...(charset !== undefined && { charset: word(charset, new Set(['utf-8', 'iso-8859-1'])) }),
    framing: headers['transfer-encoding'] ? 'chunked' : headers['content-length'] ? 'Content-Length' : 'neither',
    body: kindOf(body, json),
    ...(object && {
      members: Object.fromEntries(known.map((name) => [name, typeOf(object[name])])),
      otherMembers: names.length - known.length,
      ...(Object.hasOwn(object, 'error') && { error: oauthError(object['error']) }),
    }),
    ...(status === 401 && { challenges: challengesIn(headers['www-authenticate']) }),
    ...(status >= 300 && status <= 399 && { redirect: redirectOf(headers['location'], url) }),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

function kindOf(body: string, json: unknown) {
  if (body.trim() === '') return 'empty';
  if (json !== undefined) return isObject(json) ? 'JSON object' : 'JSON';
  if (/^\s*(<!doctype html|<html|<head|<body)/i.test(body)) return 'page';
  return /^\s*</.test(body) ? 'XML' : 'text';
}

function challengesIn(header: string | string[] | undefined): string[] {
  const schemes = (
    [header ?? []]
      .flat()
      .join(', ')
      .match(/(?:^|,)\s*[\w-]+(?=\s|$|,)/g) ?? []
  ).map((scheme) => scheme.replace(/^[\s,]+/, '').toLowerCase());
  const known = ['bearer', 'basic', 'negotiate', 'digest'];
  return [...new Set(schemes.map((scheme) => word(scheme, new Set(known))))].sort();
}

function redirectOf(location: unknown, url: string) {
  const from = new URL(url);
  try {
    const to = new URL(String(location), from);
    if (typeof location !== 'string' || !/^https?:$/.test(to.protocol)) return 'nowhere';
    if (to.host === from.host && to.protocol === from.protocol) return 'same host';
    return to.hostname === from.hostname && to.protocol === 'https:' && from.protocol === 'http:'
      ? 'to https'
      : 'another host';
  } catch {
    return 'nowhere';
  }
}

/** How far the server's clock is from this one, by the header Date, which has whole seconds. */
export function clockOf({ headers }: HTTPResponse): Report['server']['clock'] {
  const { date } = headers;
  const ahead = typeof date === 'string' && / GMT$/.test(date) ? Date.parse(date) - Date.now() : Number.NaN;
  if (Number.isNaN(ahead)) return 'not told';
  if (Math.abs(ahead) <= 6000) return 'within 5 s';
  if (Math.abs(ahead) <= 301_000) return 'within 5 min';
  return ahead > 0 ? 'ahead' : 'behind';
}

const responseParameters = ['code', 'state', 'error', 'error_description', 'error_uri'];

/**
 * How the browser came back.
 *
 * @param rawURL Path and query, as the server wrote them.
 * @param response What a strategy reads of it.
 * @param state What was sent.
 */
export function callbackOf(
  rawURL: string,
  response: AuthorizationResponse & { kind: 'code' | 'error' },
  state: string,
): Callback {
  const [path = '', ...query] = rawURL.split('?');
  const segment = /\/((?:code|state|error)=.*)$/i.exec(path)?.[1];
  const pairs = [...(segment?.split('&') ?? []), ...query.join('?').split('&').filter(Boolean)].map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return { name, value: value.join('=') };
  });
  const known = pairs.filter(({ name }) => responseParameters.includes(name));
  const raw = known.find(({ name }) => name === 'code')?.value ?? '';
  const isInQuery = known.some(({ name }) =>
    query
      .join('?')
      .split('&')
      .some((pair) => pair.startsWith(`${name}=`)),
  );
  return {
    form: segment === undefined ? 'query' : isInQuery ? 'both' : 'path',
    parameters: known.map(({ name }) => name),
    otherParameters: pairs.length - known.length,
    state: response.state === undefined ? 'missing' : response.state === state ? 'unchanged' : 'changed',
    ...(response.kind === 'error' && { error: oauthError(response.error) }),
    ...(response.kind === 'code' && {
      code: {
        ...shapeOf(response.code),
        escapes: escapesIn(raw),
        bare: [...new Set(raw.replace(/%[\da-f]{2}/gi, '').match(/[^\w.~!'()*-]/g))]
          .filter((sign) => /[!-~]/.test(sign))
          .sort(),
      },
    }),
  };
}

function escapesIn(raw: string) {
  const escapes = raw.match(/%[\da-f]{2}/gi) ?? [];
  if (escapes.length === 0) return 'none';
  const upper = escapes.some((each) => /[A-F]/.test(each));
  const lower = escapes.some((each) => /[a-f]/.test(each));
  if (upper && lower) return 'both cases';
  return lower ? 'lower case' : 'upper case';
}

/** What serves, where it says so in the way that is known of PowerFolder's Jetty. */
export function softwareOf({ headers }: HTTPResponse): string {
  const { server } = headers;
  if (typeof server !== 'string') return 'not told';
  const [, version] = /^Jetty\((\d{1,2})\./.exec(server) ?? [];
  return version ? `Jetty ${version}` : word(server.split('/', 1)[0]?.toLowerCase(), new Set(['nginx', 'apache']));
}

/** The session cookie that a log-in page sets, by its kind. */
export function sessionOf({ headers }: HTTPResponse): string {
  const lines = [headers['set-cookie'] ?? []].flat();
  if (lines.length === 0) return 'none';
  if (lines.some((line) => /^JSESSIONID=node\d/.test(line))) return "JSESSIONID, Jetty's";
  return lines.some((line) => line.startsWith('JSESSIONID=')) ? 'JSESSIONID' : 'other';
}

const webdavProperties = new Set(
  `creationdate displayname getlastmodified getcontentlength getcontenttype getetag resourcetype supportedlock
  lockdiscovery source quota-used-bytes quota-available-bytes getcontentlanguage ishidden`.split(/\s+/),
);

/**
 * A WebDAV listing. Read with less care than one that a user sees: nothing of it goes further than this.
 *
 * @param path Of the folder that was asked for, with a slash at its end.
 */
export function listingOf(xml: string, path: string): Omit<Listing, 'levels'> & { levels: number } {
  const plain = withoutData(xml);
  const [, prefix] = /<(?:(\w{1,20}):)?multistatus\b/.exec(plain) ?? [];
  const responses = elements(plain, 'response');
  const hrefs = responses.map((response) => /<(?:\w{1,20}:)?href>\s*([^<]*)</.exec(response)?.[1]?.trim() ?? '');
  const properties = (of: string[]) => {
    // What is missing stands in a propstat with another status.
    const there = of
      .flatMap((response) => elements(response, 'propstat'))
      .filter((propstat) => /<(?:\w{1,20}:)?status>\s*HTTP\/\S{1,5} 200\b/.test(propstat));
    const names = there.flatMap((propstat) => propstat.match(/(?<=<(?:\w{1,20}:)?)[\w-]{1,40}(?=[\s/>])/g) ?? []);
    return [...new Set(names.filter((name) => webdavProperties.has(name)))].sort();
  };
  const isFolder = (response: string) => /<(?:\w+:)?collection\s*\/?>/.test(response);
  const files = responses.filter((response) => !isFolder(response));
  const [etag] = files.map((file) => /<(?:\w+:)?getetag>\s*(W\/)?/.exec(file)).filter(Boolean);
  const kinds = new Set(
    hrefs.map((href) => (href.startsWith('/') ? 'paths' : /^https?:/.test(href) ? 'URLs' : 'other')),
  );
  const [kind = 'other'] = kinds;
  const below = hrefs.map((href) => pathOf(href)).filter((each) => each?.startsWith(path));
  return {
    prefix: prefix === undefined ? 'none' : word(prefix, new Set(['D', 'd'])),
    hrefs: kinds.size === 1 ? kind : 'other',
    folders: properties(responses.filter(isFolder)),
    files: properties(files),
    etag: etag ? (etag[1] ? 'weak' : 'strong') : 'none',
    levels: Math.min(
      9,
      Math.max(0, ...below.map((each) => (each ?? '').slice(path.length).split('/').filter(Boolean).length)),
    ),
  };
}

/** The contents of the elements of a name. Each in time that is proportional to the text's length, whatever is in it. */
function elements(xml: string, name: string): string[] {
  const parts = xml.split(new RegExp(`<(/?)(?:\\w{1,20}:)?${name}(?=[\\s>])[^<>]*>`));
  // Text, and then by turns the slash of a tag, or none, and the text behind it.
  return parts.filter((_, index) => index > 0 && index % 2 === 0 && parts[index - 1] === '');
}

/** Without comments and CDATA sections: names and lock owners may hold anything there, markup included. */
function withoutData(xml: string): string {
  let plain = '';
  let at = 0;
  for (;;) {
    const start = xml.indexOf('<!', at);
    plain += xml.slice(at, start < 0 ? undefined : start);
    if (start < 0) return plain;
    const end = xml.startsWith('<!--', start) ? '-->' : xml.startsWith('<![CDATA[', start) ? ']]>' : '>';
    const close = xml.indexOf(end, start);
    if (close < 0) return plain;
    at = close + end.length;
  }
}

function pathOf(href: string): string | undefined {
  try {
    return new URL(href, 'http://localhost').pathname;
  } catch {
    return undefined;
  }
}
