/** Files of the user's: opened on a page with a way back, or delivered as they are. */
import { pipeline } from 'node:stream/promises';
import { type RequestHandler, type Response, Router } from 'express';
import { type FolderAccess, namesIn } from './folder-access.ts';
import { WebDAVError } from './webdav-error.ts';

/** How long a file may stand still on its way to the visitor, who may have paused, in ms. */
const longestPause = 120_000;

export function fileRoutes(access: FolderAccess): Router {
  const { webDAV, link } = access;

  const view: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const found = await access.ask(req, (accessToken) => webDAV.find(accessToken, names));
    if (!found) throw new WebDAVError('nothing there', 404);
    if (found.folder) return res.redirect(link('folders', names));
    res.render('view', {
      name: names.at(-1),
      trail: access.trail(names.slice(0, -1), res),
      content: link('files', names),
      download: `${link('files', names)}?download`,
    });
  };

  const send: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const file = await access.ask(req, (accessToken) => webDAV.openFile(accessToken, names, req));
    if (file === 'folder') return res.redirect(link('folders', names));

    res.status(file.status).set(file.headers);
    describeFile(res, { name: names.at(-1) ?? '', contentType: file.contentType, download: 'download' in req.query });
    res.setTimeout(longestPause, () => file.body.destroy(new Error('the visitor does not take the file')));
    await pipeline(file.body, res).catch((error) => {
      // The rest cannot be had, or nobody waits for it. The connection is closed: the visitor must not take it for the end.
      req.log.warn({ err: error }, 'a file was sent in part');
    });
  };

  const routes = Router();
  routes.get('/view/*path', access.handle(view));
  routes.get('/files/*path', access.handle(send));
  return routes;
}

/** Whether browsers can show a file, as far as its name tells. The rest is only downloaded. */
export function isShown(name = ''): boolean {
  return /\.(?:txt|csv|md|pdf|png|jpe?g|gif|webp|avif|mp3|m4a|aac|og[agv]|opus|wav|flac|mp4|m4v|webm|mpe?g|mov)$/i.test(
    name,
  );
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
function describeFile(
  res: Response,
  { name, contentType, download }: { name: string; contentType: string; download: boolean },
): void {
  const [type = ''] = contentType.split(';', 1);
  const shown = download ? undefined : shownTypes.get(type.trim().toLowerCase());
  res.attachment(name);
  if (shown) res.set('Content-Disposition', String(res.get('Content-Disposition')).replace(/^attachment/, 'inline'));
  res.set('Content-Type', shown ?? 'application/octet-stream');
  // A page of this app has it in a frame.
  res.set('X-Frame-Options', 'SAMEORIGIN');
  // Without default-src: browsers bring styles of their own to show a picture with, and a viewer for PDF. Within an origin
  // of its own, a player would not get the sound that it asks for.
  res.set(
    'Content-Security-Policy',
    "sandbox allow-same-origin; script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
  );
}
