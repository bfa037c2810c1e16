/** The page about what went wrong. */
import type { ErrorRequestHandler, Request, Response } from 'express';
import { returnPath } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { textsOf } from './language.ts';
import type { Pair, Texts } from './languages/en.ts';
import { dropSession, SessionEnded } from './session-store.ts';
import { signInURL } from './sign-in.ts';
import { StorageError } from './storage.ts';
import { isAccessEnded } from './tokens.ts';
import { WebDAVError } from './webdav-error.ts';

/** Says in general terms what happened. The details are in the log, under the reference that the page shows. */
export function errorPage({ basePath: base }: AppConfig): ErrorRequestHandler {
  return (error, req, res, next) => {
    // The answer is complete. Only the session could not be written after it.
    if (res.writableEnded) {
      if (!(error instanceof SessionEnded)) req.log.error({ err: error }, 'the session was not written');
      return;
    }
    if (res.headersSent) {
      req.log.error({ err: error }, 'failed while answering');
      return next(error);
    }
    const { retryAfter, contentRange } = error as Partial<WebDAVError>;
    const { status, ...page } = explain(error, req, res, base);
    if (status === 503 && typeof retryAfter === 'number') res.set('Retry-After', String(Math.ceil(retryAfter / 1000)));
    if (status === 416 && contentRange) res.set('Content-Range', contentRange);
    // What could not be written is not tried again under the page that says so.
    if (error instanceof StorageError || error instanceof SessionEnded) dropSession(req);
    res.status(status).render('error', page, (renderingFailed: Error | null, html?: string) => {
      if (renderingFailed) req.log.error({ err: renderingFailed }, 'the error page failed');
      res.send(html ?? page.title);
    });
  };
}

/** What the page about an error says, and its status. It is logged here. */
export function explain(error: unknown, req: Request, res: Response, base: string) {
  const { status, text } = kindOf(error, textsOf(res).errors);
  const [title, message] = text;
  if (status >= 500) req.log.error({ err: error }, 'failed');
  // The callback cannot be repeated, its code is used; other pages can, but for what is not there or not allowed.
  const final = error instanceof WebDAVError && status < 500;
  const { state } = error as { state?: unknown };
  const retry = req.method === 'GET' && !final && (returnPath(req.originalUrl, base) ?? signInURL(base, state));
  return { status, title, message, retry, signIn: isAccessEnded(error), reference: req.id };
}

function kindOf(error: unknown, errors: Texts['errors']): { status: number; text: Pair } {
  if (error instanceof StorageError) return { status: 503, text: errors.storage };
  if (isAccessEnded(error)) return { status: 401, text: errors.accessEnded };
  const status = Number((error as { status?: unknown }).status);
  if (error instanceof WebDAVError && isRefusal(status, errors)) return { status, text: errors[status] };
  if (status === 502 || status === 503 || status === 504) return { status, text: errors.powerFolder };
  if (status >= 400 && status < 500) return { status, text: errors.request };
  return { status: 500, text: errors.ours };
}

function isRefusal(status: number, errors: Texts['errors']): status is 403 | 404 | 412 | 416 | 423 {
  return status in errors;
}
