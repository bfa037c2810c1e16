/** The page about what went wrong. */
import type { ErrorRequestHandler } from 'express';
import { returnPath } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { dropSession, SessionEnded } from './session-store.ts';
import { signInURL } from './sign-in.ts';
import { StorageError } from './storage.ts';
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
    const { retryAfter, contentRange, state } = error as Partial<WebDAVError> & { state?: unknown };
    const { status, ...page } = explain(error);
    if (status >= 500) req.log.error({ err: error }, 'failed');
    if (status === 503 && typeof retryAfter === 'number') res.set('Retry-After', String(Math.ceil(retryAfter / 1000)));
    if (status === 416 && contentRange) res.set('Content-Range', contentRange);
    // What could not be written is not tried again under the page that says so.
    if (error instanceof StorageError || error instanceof SessionEnded) dropSession(req);
    // The callback cannot be repeated, its code is used; other pages can, but for what is not there or not allowed.
    const final = error instanceof WebDAVError && status < 500;
    const retry = req.method === 'GET' && !final && (returnPath(req.originalUrl, base) ?? signInURL(base, state));
    const locals = { ...page, retry, reference: req.id };
    res.status(status).render('error', locals, (renderingFailed: Error | null, html?: string) => {
      if (renderingFailed) req.log.error({ err: renderingFailed }, 'the error page failed');
      res.send(html ?? page.title);
    });
  };
}

/** What PowerFolder's WebDAV may refuse for reasons that the visitor can understand. */
const refusals = new Map(
  [
    {
      status: 403,
      title: 'You may not open this',
      message: 'PowerFolder does not let you see this folder or file.',
    },
    {
      status: 404,
      title: 'This is not there',
      message: 'The folder or file was moved, renamed or deleted, or is no longer shared with you.',
    },
    {
      status: 412,
      title: 'This has changed',
      message: 'The file is not the one any more that was asked for.',
    },
    {
      status: 416,
      title: 'This part is not there',
      message: 'The file is shorter than what was asked for.',
    },
    {
      status: 423,
      title: 'This is locked',
      message: 'Somebody is working on this folder or file at the moment. Please come back later.',
    },
  ].map((refusal) => [refusal.status, refusal]),
);

function explain(error: unknown): { status: number; title: string; message: string } {
  if (error instanceof StorageError) {
    return {
      status: 503,
      title: 'Please come back in a moment',
      message: 'We cannot tell at present who is signed in. Nothing is lost; please try again soon.',
    };
  }
  const refusal = error instanceof WebDAVError ? refusals.get(error.status) : undefined;
  if (refusal) return refusal;
  const status = Number((error as { status?: unknown }).status);
  if (status === 502 || status === 503 || status === 504) {
    return {
      status,
      title: 'PowerFolder does not answer as it should',
      message: 'This app works, but the PowerFolder server could not be used just now. Please try again in a while.',
    };
  }
  if (status >= 400 && status < 500) {
    return { status, title: 'This request was not understood', message: 'Please check the address and try again.' };
  }
  return {
    status: 500,
    title: 'Something went wrong',
    message: 'The mistake is ours. It was noted; please try again.',
  };
}
