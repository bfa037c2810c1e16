import type { Account } from './accounts.ts';
import { type Answer, answer, Refusal } from './answer.ts';
import { File, Folder, find, type PowerFolderFile, read, tagOf, typeOf } from './files.ts';
import { escaped, html } from './markup.ts';
import type { Settings } from './options.ts';
import { refusalPage } from './pages.ts';
import { type PropertyName, type Wanted, wantedBy } from './propfind.ts';
import { namesIn, type ReceivedRequest } from './request.ts';
import { type WebDAVRequest, webdavWrites } from './webdav-writes.ts';

const base = 'OPTIONS, GET, HEAD, POST, DELETE, TRACE, PROPPATCH, COPY, MOVE, LOCK, UNLOCK, PROPFIND';

/**
 * WebDAV (RFC 4918) as webdav-servlet answers it, on which PowerFolder's is probably built: its deviations included. Why a
 * request is refused is in the header `X-Why` where webdav-servlet has no body.
 *
 * @param url The server's base URL.
 */
export function webdavServer(
  settings: Settings,
  caller: (request: ReceivedRequest) => { account: Account },
  url: string,
): (request: ReceivedRequest, content: PowerFolderFile) => Answer {
  const { contextPath, now, webdavRanges } = settings;
  const writes = webdavWrites(url, now);
  const handlers: Record<string, (asked: WebDAVRequest, content: PowerFolderFile) => Answer> = {
    OPTIONS: options,
    PROPFIND: propfind,
    GET: get,
    HEAD: get,
    ...writes,
  };

  return (request, content) => {
    try {
      const handle = Object.hasOwn(handlers, request.method) ? handlers[request.method] : undefined;
      if (!handle) throw new Refusal(501, `There is no method ${request.method}.`);
      // Whether there is something is told to nobody who may not see it.
      if (request.method === 'OPTIONS' && !request.headers.authorization) return options({ node: new Folder({}, 0) });
      const { account } = caller(request);
      const { names, slash } = namesIn(request.path);
      return handle({ request, files: account.files, names, slash, node: find(account.files, names) }, content);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return refused(error, request.method);
    }
  };

  function options({ node }: Pick<WebDAVRequest, 'node'>): Answer {
    const missing = 'OPTIONS, MKCOL, PUT';
    const Allow = node === undefined ? missing : node instanceof File ? base : `${base}, PUT`;
    const headers = { DAV: '1, 2', 'MS-Author-Via': 'DAV', Allow, 'Content-Length': '0' };
    return { status: 200, headers, body: '' };
  }

  function propfind({ request, names, node }: WebDAVRequest): Answer {
    const { headers, body } = request;
    if (node === undefined) throw nothingAt(names);
    if (body === '' && headers['content-length'] !== '0') {
      throw new Refusal(500, 'A PROPFIND needs a body, or Content-Length: 0.');
    }
    const wanted = wantedBy(body);
    const { depth } = headers;
    const levels = depth === '0' ? 0 : depth === '1' ? 1 : 3;
    const responses = [...within(names, node, levels)].map(([path, each], index) =>
      described(path, each, wanted, index === 0),
    );
    const xml = `<?xml version="1.0" encoding="utf-8" ?>\n<D:multistatus xmlns:D="DAV:">\n${responses.join('')}</D:multistatus>\n`;
    return { status: 207, headers: { 'Content-Type': 'text/xml;charset=utf-8' }, body: xml };
  }

  /** @param asked Whether it was asked for itself: the type of a file is known only then. */
  function described(names: string[], node: File | Folder, wanted: Wanted, asked: boolean): string {
    const known = propertiesOf(names.at(-1) ?? '', node, asked);
    const path = ['', 'webdav', ...names.map(escapedName)].join('/') + (node instanceof Folder ? '/' : '');
    const propstat = (properties: string[], status: string) =>
      properties.length === 0
        ? ''
        : `<D:propstat>\n<D:prop>\n${properties.join('\n')}\n</D:prop>\n<D:status>HTTP/1.1 ${status}</D:status>\n</D:propstat>\n`;
    return `<D:response>\n<D:href>${escaped(contextPath + path)}</D:href>\n${propstats(known, wanted, propstat)}</D:response>\n`;
  }

  function get({ request, names, slash, node }: WebDAVRequest): Answer {
    if (node === undefined || (slash && node instanceof File)) throw nothingAt(names);
    const name = names.at(-1) ?? '';
    if (node instanceof Folder) return listing(name, node);
    const headers = {
      'Content-Type': typeOf(name),
      'Last-Modified': new Date(node.modified).toUTCString(),
      ETag: tagOf(node),
    };
    if (request.headers['if-none-match'] === tagOf(node)) return { status: 304, headers, body: '' };
    if (webdavRanges) return part(node, request.headers.range, headers);
    if (request.method === 'HEAD') return { status: 200, headers: { ...headers, 'Content-Length': '0' }, body: '' };
    return { status: 200, headers, body: read(node, 0, node.size) };
  }
}

function nothingAt(names: string[]): Refusal {
  return new Refusal(404, `There is no "${names.join('/')}".`);
}

/** As webdav-servlet 2.1 writes a name in an href. */
function escapedName(name: string): string {
  return encodeURIComponent(name)
    .replace(/%(?:24|2B|2C)/g, decodeURIComponent)
    .replaceAll('~', '%7E');
}

/** A folder's content, with what is in it, down to a depth. */
function* within(names: string[], node: File | Folder, levels: number): Generator<[string[], File | Folder]> {
  yield [names, node];
  if (levels === 0 || node instanceof File) return;
  for (const [name, child] of node.children) yield* within([...names, name], child, levels - 1);
}

const locks =
  '<D:lockentry>\n<D:lockscope><D:exclusive/></D:lockscope>\n<D:locktype><D:write/></D:locktype>\n</D:lockentry>';

/** In webdav-servlet's order; each with its content. */
function propertiesOf(name: string, node: File | Folder, asked: boolean): Map<string, string> {
  const properties = new Map([
    ['creationdate', new Date(node.created).toISOString().replace(/\.\d+/, '')],
    ['displayname', name === '' ? '' : `<![CDATA[${name.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`],
  ]);
  if (node instanceof File) {
    properties.set('getlastmodified', new Date(node.modified).toUTCString());
    properties.set('getcontentlength', String(node.size));
    if (asked) properties.set('getcontenttype', escaped(typeOf(name)));
    properties.set('getetag', escaped(tagOf(node)));
  }
  properties.set('resourcetype', node instanceof Folder ? '<D:collection/>' : '');
  for (const [property, content] of [
    ['supportedlock', locks],
    ['lockdiscovery', ''],
    ['source', ''],
  ] as const) {
    properties.set(property, content);
  }
  return properties;
}

function propstats(
  known: Map<string, string>,
  wanted: Wanted,
  propstat: (properties: string[], status: string) => string,
): string {
  const element = (name: string, content = '') =>
    content === '' ? `<D:${name}/>` : `<D:${name}>${content}</D:${name}>`;
  if (wanted === 'propname')
    return propstat(
      [...known.keys()].map((name) => element(name)),
      '200 OK',
    );
  if (wanted === 'allprop')
    return propstat(
      [...known].map(([name, content]) => element(name, content)),
      '200 OK',
    );
  const isKnown = ({ namespace, name }: PropertyName) => namespace === 'DAV:' && known.has(name);
  const found = wanted.filter(isKnown).map(({ name }) => element(name, known.get(name)));
  const missing = wanted
    .filter((each) => !isKnown(each))
    .map(({ namespace, name }) => (namespace === 'DAV:' ? element(name) : `<${name} xmlns="${escaped(namespace)}"/>`));
  return propstat(found, '200 OK') + propstat(missing, '404 Not Found');
}

/** A page, as webdav-servlet makes one of a folder. */
function listing(name: string, { children }: Folder): Answer {
  const { text } = html`<html><head><title>Content of folder ${name}</title></head><body><table>
${[...children.keys()].map((child) => html`<tr><td><a href="${escapedName(child)}">${child}</a></td></tr>\n`)}</table></body></html>`;
  return answer(200, 'text/html;charset=UTF-8', text);
}

/** bytes=a-b, bytes=a-, or bytes=-n for the last n; anything else gets the whole file, as RFC 9110 section 14.2 has it. */
function part(file: File, range = '', headers: Answer['headers']): Answer {
  const { size } = file;
  const [, from, to] = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(range) ?? [];
  const whole = from === undefined;
  const start = from ? Number(from) : whole ? 0 : Math.max(0, size - Number(to));
  const end = from && to ? Math.min(size, Number(to) + 1) : size;
  if (!whole && start >= end) {
    throw new Refusal(416, `The file has ${size} bytes.`, 'invalid_request', { 'Content-Range': `bytes */${size}` });
  }
  return {
    status: whole ? 200 : 206,
    headers: {
      ...headers,
      'Content-Length': String(end - start),
      ...(whole ? undefined : { 'Content-Range': `bytes ${start}-${end - 1}/${size}` }),
      'Accept-Ranges': 'bytes',
    },
    body: read(file, start, end),
  };
}

/** A page for GET, and no body otherwise; the words are in a header then. */
function refused(refusal: Refusal, method: string): Answer {
  if (method === 'GET') return refusalPage(refusal);
  const why = encodeURI(refusal.message).replaceAll('%20', ' ');
  return { status: refusal.status, headers: { ...refusal.headers, 'X-Why': why, 'Content-Length': '0' }, body: '' };
}
