/** The form that uploads files into a folder, with a script and without. */
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import busboy from 'busboy';
import { type Request, type RequestHandler, Router } from 'express';
import { type FolderAccess, namesIn } from './folder-access.ts';
import { textsOf } from './language.ts';
import { type Ask, largestFile, longestPause, NewFile, type Outcome, type SentFile } from './new-file.ts';

const mostFiles = 200;

/** What is answered when a file came to this. */
const statuses: Record<Outcome, number> = {
  uploaded: 201,
  name: 400,
  forbidden: 403,
  missing: 404,
  exists: 409,
  folder: 409,
  large: 413,
  many: 413,
  locked: 423,
  incomplete: 502,
  unavailable: 502,
  uncertain: 502,
  full: 507,
};

export function uploadRoutes(access: FolderAccess): Router {
  const { webDAV } = access;

  const upload: RequestHandler = async (req, res) => {
    const folder = namesIn(req);
    const ask: Ask = (call, options) => access.ask(req, call, options);
    req.setTimeout(longestPause, () => req.destroy());
    const files = await readForm(req, async (file) => {
      const outcome = await new NewFile(file, folder, { webDAV, ask }).save(req.log);
      req.log.info({ event: 'upload', code: outcome }, 'upload');
      return { name: file.name, outcome };
    });
    const told = files.map((file) => ({ ...file, message: textsOf(res).upload.outcomes[file.outcome] }));
    const failed = files.find(({ outcome }) => outcome !== 'uploaded');
    const status = files.length === 0 ? 400 : statuses[failed?.outcome ?? 'uploaded'];
    if (req.accepts(['html', 'json']) === 'json') res.status(status).json({ files: told });
    else if (status === 201) res.redirect(303, `${access.link('folders', folder)}?uploaded=${files.length}`);
    else res.status(status).render('upload-failed', { files: told, parent: access.trail(folder, res).at(-1) });
  };

  /** For the script, which asks the visitor before it sends a large file for nothing. */
  const find: RequestHandler = async (req, res) => {
    const found = await access.ask(req, (accessToken) => webDAV.find(accessToken, namesIn(req)));
    res.json({ found: found !== undefined });
  };

  const routes = Router();
  routes.post('/folders/*path', access.handle(upload));
  routes.get('/find/*path', access.handle(find));
  return routes;
}

interface SavedFile {
  name: string;
  outcome: Outcome;
}

/** Has the files of a form saved as they arrive, one after the other. What stands before a file in the form is about it. */
async function readForm(req: Request, save: (file: SentFile) => Promise<SavedFile>): Promise<SavedFile[]> {
  // At its limit the parser says that there was more, whether there was or not.
  const limits = { fileSize: largestFile + 1, files: mostFiles, fields: 2 * mostFiles, fieldSize: 100 };
  let parser: busboy.Busboy;
  try {
    parser = busboy({ headers: req.headers, defParamCharset: 'utf8', limits });
  } catch (error) {
    throw Object.assign(new Error('no form with files', { cause: error }), { status: 400 });
  }
  const files: SavedFile[] = [];
  let size: number | undefined;
  let replace = false;
  let saving = Promise.resolve();
  let tooMany = false;
  parser.on('field', (name, value) => {
    if (name === 'replace') replace = value === 'yes';
    if (name === 'size') size = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
  });
  parser.on('file', (_field, content: Readable, { filename }) => {
    // So it ends as well when the visitor goes away.
    content.on('error', () => {});
    // Without a name where nothing was chosen.
    const file = { name: filename ?? '', content, size, replace };
    size = undefined;
    const last = saving;
    saving = (async () => {
      await last;
      if (file.name) files.push(await save(file));
    })().finally(() => content.resume());
    saving.catch(() => {});
  });
  parser.on('filesLimit', () => {
    tooMany = true;
  });
  const reading = await pipeline(req, parser).catch((error) => ({ error }));
  // What is the matter with all files is told rather than that the visitor went away meanwhile.
  await saving;
  if (reading) throw Object.assign(new Error('the form was broken off', { cause: reading.error }), { status: 400 });
  return tooMany ? [...files, { name: '…', outcome: 'many' }] : files;
}
