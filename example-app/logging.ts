/** Structured logs: one JSON object a line, without tokens, codes or whatever else stands in a sign-in's URLs. */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { Request } from 'express';
import pino, { type DestinationStream, type Logger } from 'pino';
import { pinoHttp } from 'pino-http';

export function createLogger(destination?: DestinationStream): Logger {
  return pino({ serializers: { err: describeError } }, destination ?? pino.destination(1));
}

/** Gives each request an id, `req.log` which carries it, and a line when it has been answered. */
export function accessLog(log: Logger) {
  return pinoHttp({
    logger: log,
    genReqId: (_req, res) => {
      const id = randomUUID();
      res.setHeader('X-Request-Id', id);
      return id;
    },
    serializers: {
      req: (req: Request) => ({ id: req.id, method: req.method, path: loggedPath(req.originalUrl), ip: req.ip }),
      res: (res: ServerResponse) => ({ status: res.statusCode }),
    },
    wrapSerializers: false,
    // The error itself was logged where it was handled.
    customErrorObject: (_req, _res, _error, { err, ...line }) => line,
  });
}

/**
 * The path of a URL for the log. PowerFolder sends codes within the path (`/oauth/code=…&state=…`), so what follows
 * `/oauth/` is hidden like a query, and so is a segment with a parameter wherever a mistaken setting lets it arrive.
 */
function loggedPath(url: string): string {
  const path = url.split(/[?#]/, 1)[0] ?? '';
  return path.replace(/(\/oauth\/|\/(?=[^/]*(?:=|%3d))).+$/i, '$1[hidden]');
}

/**
 * What the log tells about an error and the errors that caused it. The message of an OAuth error is text of the server's
 * and is left out.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { type: typeof error };
  const { name, message, stack, cause } = error;
  const { code, status, serverStatus } = error as { code?: unknown; status?: unknown; serverStatus?: unknown };
  const fromServer = name === 'TokenError' || name === 'AuthorizationError';
  return {
    type: name,
    ...(code !== undefined && { code }),
    ...(status !== undefined && { status }),
    ...(serverStatus !== undefined && { serverStatus }),
    ...(!fromServer && { message, stack }),
    ...(cause instanceof Error && { cause: describeError(cause) }),
  };
}
