/** Where to go after the sign-in. The path comes from a URL that anybody can write, so it must not lead out of this app. */

/** Signing in is not a place to return to. */
const signInRoutes = ['/auth', '/oauth', '/logout'];

/**
 * The path if it leads to a page of this app, else undefined. Used when a path is stored and again when it is used.
 *
 * @param value What came with the request: `/account?tab=tokens`.
 * @param base The path that this app is mounted at, as in requests: '' or `/my-app`.
 */
export function returnPath(value: unknown, base = ''): string | undefined {
  if (typeof value !== 'string' || value.length > 2048) return undefined;
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
  return url.pathname + url.search + url.hash;
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
