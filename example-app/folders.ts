/** Pages of folders: what is in them, in the order and the part that the visitor asks for. */
import { type Request, type RequestHandler, type Response, Router } from 'express';
import type { PowerFolderTokenKeeper } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { explain } from './error-page.ts';
import { fileRoutes, isShown } from './files.ts';
import { FolderAccess, namesIn } from './folder-access.ts';
import { type Format, formatOf } from './language.ts';
import type { Entry, Folder } from './listing.ts';
import { largestFile } from './new-file.ts';
import { requireSignIn } from './sign-in.ts';
import { isAccessEnded } from './tokens.ts';
import { uploadRoutes } from './upload.ts';

export function folderRoutes(config: AppConfig, keeper: PowerFolderTokenKeeper<string>): Router {
  const base = config.basePath;
  const access = new FolderAccess(config, keeper);
  const { link } = access;

  const showFolder: RequestHandler = async (req, res) => {
    const names = namesIn(req);
    const asked = access.ask(req, (accessToken) => access.webDAV.readFolder(accessToken, names));
    asked.catch(() => {});
    const trail = access.trail(names, res);
    Object.assign(res.locals, { name: trail.at(-1)?.name, trail: trail.slice(0, -1) });
    const frame = await rendered(res, 'folder', {});
    // Somebody who looks at the page sees at once where it leads. For them the status is said already when PowerFolder
    // answers, and the page itself says what went wrong; all others get the status.
    const early = isVisit(req);
    if (early) res.type('html').set('X-Accel-Buffering', 'no').write(frame);

    let rest: string;
    try {
      const folder = await asked;
      if (folder === 'file') {
        const href = link(isShown(names.at(-1)) ? 'view' : 'files', names);
        if (!early) return res.redirect(href);
        rest = await rendered(res, 'elsewhere', { href });
      } else {
        rest = await rendered(res, 'listing', partOf(folder, names, req, res));
      }
    } catch (error) {
      if (!early) throw error;
      if (isAccessEnded(error)) await new Promise((resolve) => req.session.destroy(resolve));
      const page = explain(error, req, res, base);
      rest = await rendered(res, 'listing-failed', { ...page, parent: access.parentOf(error, req, res) });
    }
    if (early) res.end(rest);
    else res.send(frame + rest);
  };

  /** The part of a folder that is on one page, as templates show it. */
  function partOf({ entries, omitted, tooMany }: Folder, names: string[], req: Request, res: Response) {
    const format = formatOf(res);
    const view = viewOf(req);
    const wanted = foldedCase(view.filter);
    const found = entries.filter(({ name }) => foldedCase(name).includes(wanted)).sort(order(view, format));
    const pages = Math.max(1, Math.ceil(found.length / entriesOnPage));
    const page = Math.min(view.page, pages);
    const start = (page - 1) * entriesOnPage;
    const address = link('folders', names);
    const within = (route: 'folders' | 'view' | 'files') => `${link(route, names)}/`;
    const [inFolders, inView, inFiles] = [within('folders'), within('view'), within('files')];
    const at = (change: Partial<View>) => address + queryOf({ ...view, page: 1, ...change });
    return {
      ...{ view, page, pages, address, omitted, tooMany, all: entries.length, found: found.length },
      ...{ from: start + 1, to: Math.min(start + entriesOnPage, found.length) },
      // The folder that holds all others is no place for files.
      uploadable: names.length > 0,
      find: link('find', names),
      largestFile,
      uploaded: Number(/^\d{1,3}$/.exec(String(req.query['uploaded']))?.[0] ?? 0),
      columns: sorts.map((sort) => {
        const sorted = view.sort === sort && (view.descending ? 'descending' : 'ascending');
        return { sort, sorted, href: at({ sort, descending: sorted === 'ascending' }) };
      }),
      everything: at({ filter: '' }),
      previous: page > 1 && at({ page: page - 1 }),
      next: page < pages && at({ page: page + 1 }),
      entries: found.slice(start, start + entriesOnPage).map((entry) => {
        const name = encodeURIComponent(entry.name);
        const opens = entry.folder ? inFolders : isShown(entry.name) ? inView : inFiles;
        return {
          name: entry.name,
          folder: entry.folder,
          href: opens + name,
          download: entry.folder ? '' : `${inFiles}${name}?download`,
          size: entry.size === undefined ? '' : format.bytes(entry.size),
          modified: entry.modified === undefined ? '' : format.date(entry.modified),
          at: entry.modified === undefined ? '' : new Date(entry.modified).toISOString(),
        };
      }),
    };
  }

  const routes = Router();
  routes.use(['/folders', '/find', '/view', '/files'], requireSignIn(base));
  routes.get('/folders{/*path}', access.handle(showFolder));
  routes.use(fileRoutes(access));
  routes.use(uploadRoutes(access));
  return routes;
}

async function rendered(res: Response, view: string, locals: object): Promise<string> {
  return await new Promise((resolve, reject) => {
    res.render(view, locals, (error: Error | null, html = '') => (error ? reject(error) : resolve(html)));
  });
}

/** Whether a browser opens this as a page, which it tells by Fetch Metadata. */
function isVisit(req: Request): boolean {
  return req.method === 'GET' && req.get('Sec-Fetch-Mode') === 'navigate' && req.get('Sec-Fetch-Dest') === 'document';
}

const entriesOnPage = 200;
const sorts = ['name', 'size', 'date'] as const;

interface View {
  sort: (typeof sorts)[number];
  descending: boolean;
  /** Names have it in them, whatever the case. */
  filter: string;
  /** From 1 on. */
  page: number;
}

function viewOf({ query }: Request): View {
  const { sort, order, filter, page } = query;
  return {
    sort: sorts.find((each) => each === sort) ?? 'name',
    descending: order === 'desc',
    filter: typeof filter === 'string' ? filter.trim().slice(0, 255) : '',
    page: Number(/^[1-9]\d{0,5}$/.exec(String(page))?.[0] ?? 1),
  };
}

/** What is not said is as usual. */
function queryOf({ sort, descending, filter, page }: View): string {
  const query = new URLSearchParams({
    ...(sort !== 'name' && { sort }),
    ...(descending && { order: 'desc' }),
    ...(filter && { filter }),
    ...(page > 1 && { page: String(page) }),
  });
  return query.size > 0 ? `?${query}` : '';
}

function foldedCase(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** Folders come first, and what has no size or no date comes last, in either direction. */
function order({ sort, descending }: View, format: Format): (a: Entry, b: Entry) => number {
  const direction = descending ? -1 : 1;
  return (a, b) => {
    const folders = Number(b.folder) - Number(a.folder);
    const names = format.compare(a.name, b.name);
    if (folders !== 0 || sort === 'name') return folders || names * direction;
    const [first, second] = sort === 'size' ? [a.size, b.size] : [a.modified, b.modified];
    if (first === undefined || second === undefined || first === second) {
      return Number(first === undefined) - Number(second === undefined) || names;
    }
    return (first - second) * direction;
  };
}
