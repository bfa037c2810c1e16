/** Where to go after a sign-in (R39): the path comes from a URL that anybody can write, so it must not lead out of the application. */

/** Signing in and out are no places to return to. */
const signInRoutes = ['/auth', '/oauth', '/logout'];

/**
 * Characters of a path at the most: pending sign-ins keep it, in a cookie or in 2 KiB of a session.
 */
const longestPath = 1500;

/**
 * The path if it leads to a page of the application, else undefined. Call it when a path is stored and again when it is used:
 * what it gives stays on the application's own site when a browser is redirected there.
 *
 * Refused are what is no text, what has another host or might seem to (`//host`, `/\\host`, `%2f`, `%5c`, control characters),
 * more than 1,500 characters, and `/auth`, `/oauth` and `/logout` with all that is below them.
 *
 * @example
 * passport.authenticate('powerfolder', { state: { returnTo: returnPath(req.query.returnTo) } })
 *
 * @param value What came with the request: `/account?tab=tokens`.
 * @param base The path that the application is mounted at, as requests have it: `''` or `/my-app`. Nothing outside of it is
 * returned to.
 */
export function returnPath(value: unknown, base = ''): string | undefined {
  if (typeof value !== 'string' || value.length > longestPath) return undefined;
  // Browsers read \ as /, drop tabs and newlines, and a second / would begin a host name.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there.
  if (!/^\/(?![/\\])/.test(value) || /[\\\u0000-\u0020\u007f]|%(?:5c|2f|[01][0-9a-f]|7f)/i.test(value))
    return undefined;
  // Resolved as a browser does it: "/x/../oauth" is "/oauth".
  const nowhere = 'http://app.invalid';
  const url = parsed(value, nowhere);
  if (!url || url.origin !== nowhere || url.pathname.includes('//')) return undefined;
  // As it is spelled, since a proxy may lead other spellings to somebody else.
  if (!isUnder(url.pathname.toLowerCase(), base.toLowerCase())) return undefined;
  const path = decoded(url.pathname.slice(base.length))?.toLowerCase();
  if (path === undefined || signInRoutes.some((route) => isUnder(path, route))) return undefined;
  // Escaped, it may have become longer.
  const whole = url.pathname + url.search + url.hash;
  return whole.length > longestPath ? undefined : whole;
}

function isUnder(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}/`);
}

/** Not by URL.canParse: in Node 20 it says no to umlauts once it has been called some thousand times. */
function parsed(text: string, base: string): URL | undefined {
  try {
    return new URL(text, base);
  } catch {
    return undefined;
  }
}

function decoded(path: string): string | undefined {
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}
