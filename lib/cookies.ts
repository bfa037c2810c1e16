/** Cookies of the package's own: reads them in a request, writes them to its response (RFC 6265). */
import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import { own } from './json.ts';

/**
 * The cookies of a request whose names match, as they came; a name may be there more than once. What cannot be read is left
 * out.
 */
export function requestCookies(req: Request, name: RegExp): [name: string, value: string][] {
  const header = own(req.headers, 'cookie');
  if (typeof header !== 'string') return [];
  return header.split(';').flatMap((pair): [string, string][] => {
    const end = pair.indexOf('=');
    const found = pair.slice(0, end).trim();
    return end > 0 && name.test(found) ? [[found, pair.slice(end + 1).trim()]] : [];
  });
}

/** Bytes that a cookie takes of the requests that bring it. */
export function sizeInRequest(name: string, value: string): number {
  return `${name}=${value}; `.length;
}

/**
 * Sets a cookie that comes back with top-level navigation from other sites, and that scripts do not see, beside the cookies
 * that the response sets already.
 *
 * @param maxAge Seconds; 0 ends the cookie.
 * @param secure Whether it is for https only.
 */
export function setCookie(
  response: ServerResponse,
  name: string,
  value: string,
  { maxAge, secure }: { maxAge: number; secure: boolean },
): void {
  const line = `${name}=${value}; Max-Age=${maxAge}; Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  response.appendHeader('Set-Cookie', line);
}

/**
 * Node's response to a request, to which cookies can still be written. koa-passport has in `req.res` what can only replace
 * headers, and so other cookies; but Koa's own context is there, too.
 *
 * @param who What needs it, for the message.
 * @throws {TypeError} when there is none, or when its headers were sent.
 */
export function responseOf(req: Request, who: string): ServerResponse {
  const { res, ctx } = req as { res?: unknown; ctx?: { res?: unknown } };
  const response = [res, ctx?.res].find(isResponse);
  if (!response) {
    throw new TypeError(
      `${who} needs the response in req.res, as Express, NestJS and koa-passport give it. @fastify/passport gives a strategy none: leave the option store out there, and pending sign-ins wait in the session`,
    );
  }
  if (response.headersSent) {
    throw new TypeError(
      `${who} cannot set its cookie any more: the headers of the response were sent before passport.authenticate was called`,
    );
  }
  return response;
}

function isResponse(value: unknown): value is ServerResponse {
  return typeof (value as Partial<ServerResponse> | null | undefined)?.appendHeader === 'function';
}
