/** The user's folders and files, by WebDAV with the user's access token. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { PowerFolderStrategy } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { formatBytes, formatDate } from './format.ts';
import { requireSignIn } from './sign-in.ts';
import { orSignInAgain, withAccessToken } from './tokens.ts';

/** How long PowerFolder may take to begin its answer … */
const timeout = 10_000;
/** … and how long a file may stand still on its way to the visitor, who may have paused. */
const longestPause = 120_000;

/** PowerFolder's WebDAV did not give what was asked for. */
export class FolderError extends Error {
  override name = 'FolderError';
  /** HTTP status to answer the visitor with, where the server's does not say that something is not there or not allowed. */
  readonly status: number;
  /** HTTP status of its answer; undefined when there was none, or none that makes sense. */
  readonly serverStatus: number | undefined;

  constructor(serverStatus: number | undefined, cause?: unknown) {
    super(`WebDAV: ${serverStatus ?? 'no sensible answer'}`, { cause });
    this.serverStatus = serverStatus;
    this.status = serverStatus === 429 || serverStatus === 503 ? 503 : 502;
  }
}

export function folderRoutes(config: AppConfig, strategy: PowerFolderStrategy): Router {
  const base = config.basePath;
  const webDAV = `${config.powerFolder.serverURL.replace(/\/+$/, '')}/webdav`;
  const routes = Router();

  const listFolder: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const entries = await withAccessToken(req, strategy, async (accessToken) => {
      const client = await webDAVClient(webDAV, accessToken);
      return await client
        .getDirectoryContents(`/${names.join('/')}`, { signal: AbortSignal.timeout(timeout) })
        .catch(throwFolderError);
    });

    const link = (route: string, path: string[]) => [base, route, ...path.map(encodeURIComponent)].join('/');
    res.render('folders', {
      name: names.at(-1) ?? 'Your folders',
      path: names.map((name, i) => ({ name, href: link('folders', names.slice(0, i + 1)) })),
      entries: entries
        .map(({ basename, type, size, lastmod }) => ({
          name: basename,
          folder: type === 'directory',
          href: link(type === 'directory' ? 'folders' : 'files', [...names, basename]),
          size: type === 'directory' ? '' : formatBytes(size),
          modified: formatDate(Date.parse(lastmod)),
        }))
        .sort((a, b) => Number(b.folder) - Number(a.folder) || alphabet.compare(a.name, b.name)),
    });
  };

  const openFile: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const tooSlow = new AbortController();
    const file = await withAccessToken(req, strategy, async (accessToken) => {
      const client = await webDAVClient(webDAV, accessToken);
      const timer = setTimeout(() => tooSlow.abort(), timeout);
      const range = req.get('Range');
      return await client
        .customRequest(`/${names.join('/')}`, {
          method: req.method,
          headers: { 'Accept-Encoding': 'identity', ...(range && { Range: range }) },
          signal: tooSlow.signal,
        })
        .finally(() => clearTimeout(timer))
        .catch(throwFolderError);
    });

    res.status(file.status);
    for (const name of ['Content-Range', 'Accept-Ranges', 'Last-Modified', 'ETag']) {
      const value = file.headers.get(name);
      if (value) res.set(name, value);
    }
    // A compressed answer is unpacked on the way; its length is not the file's.
    const length = file.headers.get('Content-Encoding') ? null : file.headers.get('Content-Length');
    if (length) res.set('Content-Length', length);
    describeFile(res, names.at(-1) ?? '', file.headers.get('Content-Type'));
    res.setTimeout(longestPause, () => tooSlow.abort());
    await pipeline((file as unknown as { body: Readable }).body, res).catch((error) => {
      // The rest cannot be had, or nobody waits for it. The connection is closed: the visitor must not take it for the end.
      req.log.warn({ err: error }, 'a file was sent in part');
    });
  };

  routes.use(['/folders', '/files'], requireSignIn(base));
  routes.get('/folders{/*path}', orSignInAgain(base, listFolder));
  routes.get('/files/*path', orSignInAgain(base, openFile));
  return routes;
}

const alphabet = new Intl.Collator('en', { numeric: true });

async function webDAVClient(url: string, accessToken: string) {
  // The package is ESM only, which `import` within a function gets in this CommonJS app on every version of Node.
  const { AuthType, createClient } = await import('webdav');
  return createClient(url, { authType: AuthType.Token, token: { access_token: accessToken, token_type: 'Bearer' } });
}

/** The names in the address, decoded. Those that would lead elsewhere are nobody's. */
function namesIn(req: Request): string[] {
  const { path = [] } = req.params as unknown as { path?: string[] };
  const names = path.filter((name, i) => name !== '' || i < path.length - 1);
  if (names.some((name) => /^\.{0,2}$|[/\0]/.test(name))) throw new FolderError(404);
  return names;
}

function throwFolderError(error: unknown): never {
  const { status } = error as { status?: unknown };
  throw new FolderError(typeof status === 'number' ? status : undefined, error);
}

/**
 * Others may have put the file there, so nothing in it may act as a page of this app: what browsers show without running
 * it is shown, the rest is downloaded.
 */
function describeFile(res: Response, name: string, contentType: string | null): void {
  const type = (contentType ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const text = /^text\/(?:plain|csv|markdown)$/.test(type);
  const shown =
    text || type === 'application/pdf' || /^(?:image\/(?:png|jpeg|gif|webp|avif)|audio\/.+|video\/.+)$/.test(type);
  res.attachment(name);
  if (shown) res.set('Content-Disposition', String(res.get('Content-Disposition')).replace(/^attachment/, 'inline'));
  res.set('Content-Type', text ? 'text/plain; charset=utf-8' : shown ? type : 'application/octet-stream');
  // Without default-src: browsers bring styles of their own to show a picture with, and a viewer for PDF.
  res.set('Content-Security-Policy', "script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}
