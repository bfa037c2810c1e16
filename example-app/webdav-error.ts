/** What PowerFolder's WebDAV did not give, and what that is to a visitor. */
import type { IncomingHttpHeaders } from 'node:http';
import { errors } from 'undici';

/** The server did not give what was asked for. Its own words are not in the message. */
export class WebDAVError extends Error {
  override name = 'WebDAVError';
  /** HTTP status to answer the visitor with. */
  readonly status: number;
  /** HTTP status of the server's answer; undefined when there was none. */
  readonly serverStatus: number | undefined;
  /** When to try again, in ms, where the server says so. */
  readonly retryAfter: number | undefined;
  /** With 416, how long the file is. */
  readonly contentRange: string | undefined;

  constructor(
    message: string,
    status: number,
    server: { status?: number; headers?: IncomingHttpHeaders } = {},
    cause?: unknown,
  ) {
    super(`WebDAV: ${message}`, { cause });
    this.status = status;
    this.serverStatus = server.status;
    this.retryAfter = status === 503 ? retryAfter(server.headers?.['retry-after']) : undefined;
    this.contentRange = field(server.headers?.['content-range'], /^bytes \*\/\d+$/);
  }
}

/** The status to answer the visitor with when the server answered with another. */
export function statusToAnswer(serverStatus: number): number {
  // A name that the server cannot take is the name of nothing.
  if ([400, 404, 410, 414].includes(serverStatus)) return 404;
  if ([403, 412, 416, 423, 503, 504].includes(serverStatus)) return serverStatus;
  return serverStatus === 429 ? 503 : 502;
}

/** The error for an exchange that ended without an answer. */
export function noAnswer(cause: unknown): WebDAVError {
  return isLate(cause) ? new WebDAVError('too late', 504, {}, cause) : new WebDAVError('no answer', 502, {}, cause);
}

/** Whether it ended since something took too long. */
export function isLate(error: unknown): boolean {
  const late = [errors.ConnectTimeoutError, errors.HeadersTimeoutError, errors.BodyTimeoutError];
  return late.some((each) => error instanceof each) || (error as { name?: unknown }).name === 'TimeoutError';
}

/** RFC 9110, 10.2.3: seconds, or a date. */
function retryAfter(value: unknown): number | undefined {
  if (typeof value !== 'string') return undefined;
  const after = /^\s*\d{1,9}\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return after >= 0 ? after : undefined;
}

/** A header field, if it is there once and looks as it should. */
export function field(value: string | string[] | undefined, pattern: RegExp): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined;
}
