/** Where the authorization response arrives, `/oauth/code=X&state=Y`, and which requests are one. */
import { plainPath } from './url.ts';

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
