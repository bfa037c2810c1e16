/** The session's cookie: its name, and how it is set. */
import type { Config } from './config.ts';

/**
 * Under https the prefix makes browsers refuse such a cookie from another host or over http, and wants `Path=/`. Cookies know
 * no ports either. So port and path are in the name, or apps of one host would overwrite each other's:
 * `__Host-session`, `session-3000`, `__Host-session-8443.my-app`.
 */
export function sessionCookieName({ baseURL, basePath }: Config): string {
  const { protocol, port } = new URL(baseURL);
  // No two paths give one name: readConfig takes no escapes of ASCII characters, so that these stand for themselves alone.
  const path = basePath.replace(/[^\w%-]/g, (character) => (character === '/' ? '.' : escapeOf(character)));
  return `${protocol === 'https:' ? '__Host-' : ''}session${port && `-${port}`}${path}`;
}

function escapeOf(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** The attributes by which the cookie is set, and cleared at sign-out. */
export function sessionCookie(config: Config) {
  return { path: '/', httpOnly: true, sameSite: 'lax', secure: config.baseURL.startsWith('https:') } as const;
}
