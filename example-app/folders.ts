/** The user's folders and files, by WebDAV with the user's access token. */
import { pipeline } from 'node:stream/promises';
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { PowerFolderTokenKeeper } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { formatBytes, formatDate } from './format.ts';
import { requireSignIn } from './sign-in.ts';
import { orSignInAgain } from './tokens.ts';
import { WebDAV } from './webdav.ts';
import { WebDAVError } from './webdav-error.ts';

/** How long a file may stand still on its way to the visitor, who may have paused, in ms. */
const longestPause = 120_000;

export function folderRoutes(config: AppConfig, keeper: PowerFolderTokenKeeper<string>): Router {
  const base = config.basePath;
  const webDAV = new WebDAV(config.powerFolder.serverURL);
  const link = (route: 'folders' | 'files', names: string[]) =>
    [base, route, ...names.map(encodeURIComponent)].join('/');
  const routes = Router();

  const showFolder: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const folder = await keeper.use(req.sessionID, (accessToken) => webDAV.readFolder(accessToken, names));
    if (folder === 'file') return res.redirect(link('files', names));

    const { entries, omitted, tooMany } = folder;
    res.render('folders', {
      name: names.at(-1) ?? 'Your folders',
      path: names.map((name, i) => ({ name, href: link('folders', names.slice(0, i + 1)) })),
      omitted,
      tooMany,
      entries: entries
        .sort((a, b) => Number(b.folder) - Number(a.folder) || alphabet.compare(a.name, b.name))
        .map(({ name, folder, size, modified }) => ({
          name,
          folder,
          href: link(folder ? 'folders' : 'files', [...names, name]),
          size: size === undefined ? '' : formatBytes(size),
          modified: modified === undefined ? '' : formatDate(modified),
        })),
    });
  };

  const sendFile: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const file = await keeper.use(req.sessionID, (accessToken) => webDAV.openFile(accessToken, names, req));
    if (file === 'folder') return res.redirect(link('folders', names));

    res.status(file.status).set(file.headers);
    describeFile(res, names.at(-1) ?? '', file.contentType);
    res.setTimeout(longestPause, () => file.body.destroy(new Error('the visitor does not take the file')));
    await pipeline(file.body, res).catch((error) => {
      // The rest cannot be had, or nobody waits for it. The connection is closed: the visitor must not take it for the end.
      req.log.warn({ err: error }, 'a file was sent in part');
    });
  };

  /** What goes wrong with a file or folder leads to the folder that it is in. */
  const orToParent =
    (handler: RequestHandler): RequestHandler =>
    async (req, res, next) => {
      try {
        await handler(req, res, next);
      } catch (error) {
        const names = namesIn(req).slice(0, -1);
        const inFolder = namesIn(req).length > 0;
        if (inFolder && error instanceof WebDAVError && [403, 404, 423].includes(error.status)) {
          res.locals['parent'] = { name: names.at(-1) ?? 'Your folders', href: link('folders', names) };
        }
        throw error;
      }
    };

  routes.use(['/folders', '/files'], requireSignIn(base));
  routes.get('/folders{/*path}', orSignInAgain(base, orToParent(showFolder)));
  routes.get('/files/*path', orSignInAgain(base, orToParent(sendFile)));
  return routes;
}

const alphabet = new Intl.Collator('en', { numeric: true });

/** The names in the address, decoded. A slash at its end adds none. */
function namesIn(req: Request): string[] {
  const { path = [] } = req.params as unknown as { path?: string[] };
  return path.filter((name, i) => name !== '' || i < path.length - 1);
}

const shownTypes = new Map([
  ...['text/plain', 'text/csv', 'text/markdown'].map((type) => [type, 'text/plain; charset=utf-8'] as const),
  ...[
    'application/pdf',
    ...['png', 'jpeg', 'gif', 'webp', 'avif'].map((subtype) => `image/${subtype}`),
    ...['mpeg', 'mp4', 'x-m4a', 'aac', 'ogg', 'wav', 'x-wav', 'flac', 'webm'].map((subtype) => `audio/${subtype}`),
    ...['mp4', 'mpeg', 'ogg', 'webm', 'quicktime'].map((subtype) => `video/${subtype}`),
  ].map((type) => [type, type] as const),
]);

/**
 * Others may have put the file there, so nothing in it may act as a page of this app: what browsers show without running
 * it is shown, the rest is downloaded.
 */
function describeFile(res: Response, name: string, contentType: string): void {
  const [type = ''] = contentType.split(';', 1);
  const shown = shownTypes.get(type.trim().toLowerCase());
  res.attachment(name);
  if (shown) res.set('Content-Disposition', String(res.get('Content-Disposition')).replace(/^attachment/, 'inline'));
  res.set('Content-Type', shown ?? 'application/octet-stream');
  // Without default-src: browsers bring styles of their own to show a picture with, and a viewer for PDF. Within an origin
  // of its own, a player would not get the sound that it asks for.
  res.set(
    'Content-Security-Policy',
    "sandbox allow-same-origin; script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  );
}
