/**
 * The authorization request and response (RFC 6749 sections 4.1.1 and 4.1.2). PowerFolder deviates twice: its
 * documentation asks for the request by POST, and it returns the response as a path segment, `/oauth/code=X&state=Y`.
 * See docs/powerfolder-oauth2.md.
 */
import { hash } from 'node:crypto';
import { plainPath } from './configuration.ts';

/**
 * Writes authorization requests: the endpoint's URL with PowerFolder's four parameters in the documented order, and
 * further ones behind them, which replace none of these, and none in the endpoint's own query; undefined and null are left out.
 */
export function authorizationRequests(
  endpoint: string,
  { clientID, callbackURL }: { clientID: string; callbackURL: string },
): (state: string, further: object) => string {
  const start = `${endpoint}${endpoint.includes('?') ? '&' : '?'}state=`;
  // The same for each sign-in, and so written once.
  const own = { response_type: 'code', redirect_uri: callbackURL, client_id: clientID };
  const rest = `&${new URLSearchParams(own)}`;
  const taken = new Set(['state', ...Object.keys(own), ...new URL(endpoint).searchParams.keys()]);
  return (state, further) => {
    let url = start + state + rest;
    for (const [name, value] of Object.entries(further)) {
      if (value === undefined || value === null || taken.has(name)) continue;
      url += `&${new URLSearchParams({ [name]: String(value) })}`;
    }
    return url;
  };
}

const style =
  ':root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{display:grid;min-height:100vh;margin:0;place-content:center;text-align:center}p{margin:1rem}button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#1d5fae;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid;outline-offset:2px}';
const script = 'document.forms[0].submit()';

/**
 * A page that sends the authorization request by POST: by itself, or without JavaScript by its button. Its headers
 * replace what the application set, such as helmet's, under which the form would go nowhere.
 *
 * @param url The authorization request's URL.
 * @param callbackURL Where the server's answer leads, perhaps at once.
 */
export function authorizationRequestPage(
  url: string,
  callbackURL: string,
): { html: string; headers: Record<string, string> } {
  // The page ends with the script. express-session holds an answer's last byte back until the session is saved, so the
  // form is not sent before the state is stored.
  const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Continue to PowerFolder</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Continue to PowerFolder</h1>
<p>You sign in at your PowerFolder server and come back here.</p>
<form method="post" action="${escapeHTML(url)}"><button>Continue to PowerFolder</button></form>
</main>
<script>${script}</script>`;
  // Browsers hold redirects of a form's answer to form-action as well: to the callback, and, where the server leaves
  // the log-in to a university's identity provider, to any https address.
  const formAction = ['https:', new URL(url).origin, new URL(callbackURL).origin];
  return {
    html,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(html)),
      'Cache-Control': 'no-store',
      'Content-Security-Policy': [
        "default-src 'none'",
        `style-src '${cspHash(style)}'`,
        `script-src '${cspHash(script)}'`,
        `form-action ${[...new Set(formAction)].join(' ')}`,
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join('; '),
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

function cspHash(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`;
}

function escapeHTML(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** An authorization response as it came: nothing of it is to be trusted. */
export type AuthorizationResponse =
  | { kind: 'code'; code: string; state: string | undefined }
  | {
      kind: 'error';
      error: string;
      description: string | undefined;
      uri: string | undefined;
      state: string | undefined;
    }
  /** Not one that the server sends: malformed, ambiguous, or too long. */
  | { kind: 'invalid' }
  /** Neither a code nor an error. */
  | { kind: 'none' };

const longestURL = 4096;
type ResponseParameter = 'code' | 'state' | 'error' | 'error_description' | 'error_uri';
const responseParameters: ReadonlySet<unknown> = new Set<ResponseParameter>([
  'code',
  'state',
  'error',
  'error_description',
  'error_uri',
]);

/** Where a path turns into parameters: at the first segment that begins like one. */
const pathForm = /\/(?=(?:code|state|error)=)/i;

/**
 * Reads the response from a request's raw URL: from the path, from the query, or from both where they do not repeat
 * each other. Each value is decoded once. Express's `req.query` and `req.params` are not used: they merge duplicates,
 * take `+` for a space, and answer a malformed escape themselves.
 *
 * @param rawURL `req.originalUrl`.
 */
export function readAuthorizationResponse(rawURL: string): AuthorizationResponse {
  const queryStart = rawURL.indexOf('?');
  const path = queryStart < 0 ? rawURL : rawURL.slice(0, queryStart);
  const query = queryStart < 0 ? '' : rawURL.slice(queryStart + 1);
  const pathStart = pathForm.exec(path)?.index;

  if (pathStart === undefined && query === '') return { kind: 'none' };

  const segment = pathStart === undefined ? '' : path.slice(pathStart + 1);
  // Without a prototype, as what is inherited did not come with the request.
  const values: { [name in ResponseParameter]?: string } = Object.create(null);
  // A redirect URI that brought a response of its own: the server's stands behind it.
  let invalid = rawURL.length > longestURL || pathForm.test(rawURL.slice((pathStart ?? queryStart) + 1));
  for (const pair of segment.split('&').concat(query.split('&'))) {
    const equals = pair.indexOf('=');
    const name = decodedName(equals < 0 ? pair : pair.slice(0, equals));
    if (!isResponseParameter(name)) continue;
    if (values[name] !== undefined) {
      invalid = true;
      continue;
    }
    const raw = equals < 0 ? '' : pair.slice(equals + 1);
    // Only prose has spaces. A plus in a code is taken for itself: a server that means a space writes %20.
    const value = decoded(name === 'error_description' ? raw.replaceAll('+', ' ') : raw);
    if (value === undefined || hasControlCharacter(value)) invalid = true;
    values[name] = value ?? '';
  }
  if (pathStart === undefined && values.code === undefined && values.error === undefined) return { kind: 'none' };
  if (invalid) return { kind: 'invalid' };

  const { code, error, state } = values;
  if (code && error === undefined) return { kind: 'code', code, state };
  if (error && code === undefined) {
    return { kind: 'error', error, description: values.error_description, uri: values.error_uri, state };
  }
  return code === undefined && error === undefined ? { kind: 'none' } : { kind: 'invalid' };
}

function isResponseParameter(name: string): name is ResponseParameter {
  return responseParameters.has(name);
}

/** The names that count are ASCII, so what else an escape stands for does not matter, and none can be malformed. */
function decodedName(name: string): string {
  return name.replace(/%([0-7][\da-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function decoded(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** The routes made by {@link callbackRoute}, by which a strategy knows a callback also behind a proxy that cuts paths. */
const callbackRoutes = new WeakSet<object>();

/**
 * The route of the callback, for `app.get` in Express 4 and 5: matches `/oauth`, `/oauth/`, and `/oauth/code=…&state=…`,
 * as PowerFolder appends the response to the path. It has no captures, so Express decodes nothing.
 *
 * @param path The path of `callbackURL` as the application sees it. Default `/oauth`.
 * @throws {TypeError} if the path does not begin with a slash, is `/` alone, has a query, or is not spelled as in requests
 * (`/für` is `/f%C3%BCr` there).
 * @see RFC 6749 section 4.1.2; docs/powerfolder-oauth2.md, "Authorization response"
 */
export function callbackRoute(path = '/oauth'): RegExp {
  if (typeof path !== 'string' || !/^\/[^?#]*[^?#/]\/*$/.test(path)) {
    throw new TypeError("callbackRoute takes the path of the callback URL, such as callbackRoute('/oauth')");
  }
  const asked = withoutSlashesAtEnd(path);
  const right = plainPath(new URL(`http://localhost${asked}`).pathname);
  if (asked !== right) {
    throw new TypeError(
      `callbackRoute takes the path of the callback URL as browsers send it; write callbackRoute('${right}')`,
    );
  }
  const literal = asked.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  const route = new RegExp(`^${literal}(?:[/?]|$)`, 'i');
  callbackRoutes.add(route);
  return route;
}

/** What is read of a request to know its route; all but the first are Express's. */
interface RoutedRequest {
  originalUrl: string;
  /** Without the path that a router is mounted at. */
  url?: string | undefined;
  /** The path that a router is mounted at, as the request has it. */
  baseUrl?: string | undefined;
  route?: { path?: unknown } | undefined;
}

/** Tells whether a request came to the callback: through {@link callbackRoute}, or at or under the callback URL's path. */
export function callbackTest(callbackPath: string): (req: RoutedRequest) => boolean {
  const callback = withoutSlashesAtEnd(callbackPath).toLowerCase();
  return (req) => {
    if (cameByCallbackRoute(req)) return true;
    const path = originForm(req.originalUrl).toLowerCase();
    return path.startsWith(callback) && [undefined, '/', '?', '#'].includes(path[callback.length]);
  };
}

function cameByCallbackRoute({ route, url = '' }: RoutedRequest): boolean {
  const path = route?.path;
  if (typeof path !== 'object' || path === null) return false;
  if (callbackRoutes.has(path)) return true;
  // Of a list, any route may have matched.
  return Array.isArray(path) && path.some((one) => callbackRoutes.has(one) && one.test(originForm(url)));
}

/** As Express finds its routes: behind the host of an absolute request target. */
function originForm(target: string): string {
  return target.startsWith('/') ? target : target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '');
}

/**
 * Refuses to begin a sign-in at a route under the callback's path, such as `/auth/login` with the callback at `/auth`: all
 * that comes there is taken for an answer, so that nobody could ever sign in.
 *
 * Only where that is certain: the request came by a route of Express's with just this path. By a pattern, by mounted
 * middleware or in other frameworks, it may be a path that a visitor made up.
 *
 * @param req A request that holds no answer.
 * @throws {TypeError} with the fix in its message.
 */
export function refuseStartUnderCallback(req: RoutedRequest, callbackPath: string): void {
  const { originalUrl, baseUrl = '', route } = req;
  if (!route || cameByCallbackRoute(req)) return;
  const at = comparable(originForm(originalUrl).replace(/[?#].*/s, ''));
  if (!at.startsWith(`${comparable(callbackPath)}/`)) return;
  const start = [route.path].flat().find((path) => isLiteral(path) && comparable(baseUrl + path) === at);
  if (start === undefined) return;
  throw new TypeError(
    `A sign-in cannot start at ${baseUrl}${start}, which is under the path of callbackURL (${callbackPath}): each request there is taken for an answer of the PowerFolder server. Give one of them another path`,
  );
}

/** Whether a route is a path, and no pattern. `/` alone may be that of a router that is mounted at a pattern. */
function isLiteral(route: unknown): boolean {
  return typeof route === 'string' && /^\/[^:*?+(){}[\]!\\]+$/.test(route);
}

function comparable(path: string): string {
  return path.replace(/\/$/, '').toLowerCase();
}

function withoutSlashesAtEnd(path: string): string {
  // Without the look behind, each of many slashes before something else would be a new beginning.
  return path.replace(/(?<!\/)\/+$/, '');
}
