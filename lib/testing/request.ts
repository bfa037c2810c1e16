import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Refusal } from './answer.ts';
import type { PowerFolderFile } from './files.ts';

/** What a request was for. The same names choose the request that a fault spoils. */
export type PowerFolderEndpoint =
  /** The authorization request, `GET|POST /oauth/allow`. */
  | 'allow'
  /** The token request with `grant_type=authorization_code`, and any token request that says no known grant. */
  | 'token'
  /** The token request with `grant_type=refresh_token`, and the old `GET /oauth?grant_type=refresh_token`. */
  | 'refresh'
  /** `/api/accounts`. */
  | 'accounts'
  /** `/api/folders`. */
  | 'folders'
  /** `/api/oauth`, where an administrator stores a client. */
  | 'registration'
  /** Everything at and below `/webdav`. */
  | 'webdav'
  /** The web pages: home, login, the way to an identity provider and back, logout, the Allow/Decline page after a login and its decision, and everything else. */
  | 'home'
  | 'login'
  | 'shibboleth'
  | 'logout'
  | 'consent'
  | 'unknown';

/** One request, as it came over the wire. */
export interface ReceivedRequest {
  method: string;
  /** The request target, untouched: percent-escapes and all. */
  url: string;
  /** The part of `url` below the context path and before any `?`, untouched; the whole of it outside the context path. */
  path: string;
  /** The part of `url` after the first `?`, untouched; `''` without one. */
  query: string;
  endpoint: PowerFolderEndpoint;
  headers: IncomingHttpHeaders;
  /** The body as text; `''` without one, and what was kept of it (64 KiB) when it was too long. */
  body: string;
  /** The body parsed, when it said `Content-Type: application/json` and was JSON. */
  json?: unknown;
  /** When it had arrived, by the server's clock: epoch milliseconds. */
  at: number;
}

const longestBody = 65_536;
/** More bytes of an upload are only counted. */
const longestUpload = 64 * 1024 * 1024;

/** Reads a request to its end: an answer that overtakes a body would be lost on a client that is still sending. */
export async function receive(
  incoming: IncomingMessage,
  contextPath: string,
  now: () => number,
): Promise<{ received: ReceivedRequest; tooLong: boolean; content: PowerFolderFile }> {
  const { method = '', url = '', headers } = incoming;
  const isUpload = method === 'PUT';
  const longest = isUpload ? longestUpload : longestBody;
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      if (length < longest) chunks.push(chunk.subarray(0, longest - length));
      length += chunk.length;
    }
  } catch (error) {
    // What has come of an upload stays, as in webdav-servlet.
    if (!isUpload) throw error;
  }
  const bytes = Buffer.concat(chunks);
  const body = bytes.subarray(0, longestBody).toString();
  const json = /^application\/json\s*(;|$)/i.test(headers['content-type'] ?? '') ? parse(body) : undefined;
  const [whole = '', ...query] = url.split('?');
  const inside = whole === contextPath || whole.startsWith(`${contextPath}/`);
  const path = inside ? whole.slice(contextPath.length) || '/' : whole;
  const endpoint = inside ? endpointOf(path, json) : 'unknown';
  const received = { method, url, path, query: query.join('?'), endpoint, headers, body, at: now() };
  return {
    received: json === undefined ? received : { ...received, json },
    tooLong: length > longestBody && !(isUpload && endpoint === 'webdav'),
    content: length > longestUpload ? { size: length } : bytes,
  };
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

const endpoints: Record<string, PowerFolderEndpoint> = {
  '/': 'home',
  '/login': 'login',
  '/logout': 'logout',
  '/oauth': 'refresh',
  '/oauth/allow': 'allow',
  '/oauth/consent': 'consent',
  '/oauth/token': 'token',
  '/api/oauth': 'registration',
  '/api/accounts': 'accounts',
  '/api/folders': 'folders',
  '/Shibboleth.sso/Login': 'shibboleth',
  '/Shibboleth.sso/SAML2/POST': 'shibboleth',
};

function endpointOf(path: string, json: unknown): PowerFolderEndpoint {
  // What is below /files is a page for people, whatever the folder.
  const below = /^\/webdav(\/|$)/.test(path) ? 'webdav' : path.startsWith('/files/') ? 'home' : 'unknown';
  const endpoint = endpoints[path] ?? below;
  const { grant_type } = Object(json);
  return endpoint === 'token' && grant_type === 'refresh_token' ? 'refresh' : endpoint;
}

/** Percent-escapes decoded, or a refusal in a sentence. */
function decode(escaped: string): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw new Refusal(400, `Malformed percent-escape in "${escaped}".`);
  }
}

/** The names in a path of WebDAV, as Jetty reads it: `;…` is cut, an escaped slash is one, and `..` goes up. */
export function namesIn(path: string): { names: string[]; slash: boolean } {
  const bare = path.replace(/;[^/]*/g, '');
  if (/%(?![\da-f]{2})/i.test(bare)) throw new Refusal(400, 'Malformed percent-escape in the path.');
  let decoded: string;
  try {
    decoded = decodeURIComponent(bare);
  } catch {
    throw new Refusal(404, 'The path is not UTF-8.');
  }
  const names: string[] = [];
  for (const name of decoded.split('/').slice(2)) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return { names, slash: decoded.endsWith('/') };
}

/**
 * The parameters of a query or of a form, each exactly once and none but the known.
 * `place` says in the refusal where they were found.
 */
export function parameters(encoded: string, known: string[], place: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const pair of encoded.split('&').filter(Boolean)) {
    const [name = '', ...value] = pair.split('=').map((part) => decode(part.replaceAll('+', ' ')));
    if (!known.includes(name)) {
      throw new Refusal(400, `Unknown parameter "${name}" in ${place}; known: ${known.join(', ') || 'none'}.`);
    }
    if (found.has(name)) throw new Refusal(400, `Parameter "${name}" is there more than once in ${place}.`);
    found.set(name, value.join('='));
  }
  return found;
}

/** A parameter that must be there. */
export function required(found: Map<string, string>, name: string): string {
  const value = found.get(name);
  if (!value) throw new Refusal(400, `"${name}" is missing or empty.`);
  return value;
}

/** The fields of a form that a browser posted. */
export function form(request: ReceivedRequest, known: string[]): Map<string, string> {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(request.headers['content-type'] ?? '')) {
    throw new Refusal(415, 'The body must be application/x-www-form-urlencoded.');
  }
  return parameters(request.body, known, 'the form');
}
