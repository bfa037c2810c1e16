/**
 * A server whose WebDAV answers what a test says, and else a small tree in the manner of one of three makes. Everything
 * outside `<context>/webdav` goes on to a simulated PowerFolder server, so that sign-ins, tokens and refreshes are real.
 *
 * What the makes do was seen on Apache 2.4.68 (mod_dav with mod_dir and mod_autoindex), nginx 1.22.1 with
 * libnginx-mod-http-dav-ext, and webdav-servlet 2.0 and 2.1 in Jetty 9.4.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';

export type Make = 'mod_dav' | 'webdav-servlet' | 'nginx';
export const makes: Make[] = ['mod_dav', 'webdav-servlet', 'nginx'];

/** A folder: a file's content or a further folder by name. */
export interface Tree {
  [name: string]: string | Buffer | Tree;
}

export interface StubRequest {
  method: string;
  /** The request target as it came. */
  url: string;
  headers: IncomingHttpHeaders;
  depth: string | undefined;
  body: string;
  /** Whether it is for `<context>/webdav` or what is below it. */
  webdav: boolean;
  /** How many bytes of the answer the connection took so far. */
  readonly sent: number;
}

/** An answer: HTTP made by Node, bytes as they are, or none at all. */
export type Reply =
  | {
      status?: number;
      reason?: string;
      headers?: Record<string, string | string[]>;
      /** Without a Content-Length in the headers it is chunked. */
      body?: string | Buffer | Iterable<string | Buffer> | AsyncIterable<string | Buffer>;
      /** Closes the connection after the body, before the answer is whole. */
      cut?: boolean;
    }
  | { raw: string | Buffer; keepOpen?: boolean }
  | 'silence';

export interface WebDAVStub {
  /** The base URL, context path included. */
  url: string;
  contextPath: string;
  /** Where sign-ins, tokens and the account come from. */
  powerFolder: PowerFolderServer;
  /** Every request that came, oldest first. */
  requests: StubRequest[];
  /** Those for WebDAV. */
  webdavRequests(): StubRequest[];
  /** What WebDAV answers; undefined for the usual. */
  answer: (request: StubRequest) => Reply | undefined;
  /** What the make answers. */
  usual(request: StubRequest): Reply;
  readonly openConnections: number;
  close(): Promise<void>;
}

/** When every file was changed. */
export const modified = 'Tue, 02 Jun 2026 10:00:00 GMT';
const modifiedISO = '2026-06-02T10:00:00Z';

export const smallTree: Tree = {
  Documents: { 'notes.txt': 'Milk, bread and butter.\n', Letters: { 'a.txt': 'Dear A' } },
  Empty: {},
  'readme.txt': 'Read me, please.',
};

export async function startWebDAVStub({
  make = 'mod_dav',
  tree = smallTree,
  contextPath = '/pf',
}: {
  make?: Make;
  tree?: Tree;
  contextPath?: string;
} = {}): Promise<WebDAVStub> {
  const powerFolder = await startPowerFolderServer({ contextPath });
  const requests: StubRequest[] = [];
  const sockets = new Set<Socket>();
  const root = `${contextPath}/webdav`;
  const server = createServer();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).once('close', () => sockets.delete(socket));
  });

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { method = '', url = '', headers, socket } = req;
    const before = socket.bytesWritten;
    let total: number | undefined;
    res.once('close', () => {
      total = socket.bytesWritten - before;
    });
    const received = {
      method,
      url,
      headers,
      depth: headers['depth'] as string | undefined,
      body: '',
      webdav: url === root || url.startsWith(`${root}/`) || url.startsWith(`${root}?`),
      get sent() {
        return total ?? socket.bytesWritten - before;
      },
    };
    requests.push(received);
    received.body = await text(req);
    if (!received.webdav) return await passOn(powerFolder, received, req, res);
    const accepted = await acceptsToken(powerFolder, headers.authorization);
    const reply = accepted ? (stub.answer(received) ?? stub.usual(received)) : refused;
    await send(reply, res);
  }

  server.on('request', (req, res) => {
    // A client that went away, or a body that cannot be read.
    serve(req, res).catch(() => req.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const stub: WebDAVStub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${contextPath}`,
    contextPath,
    powerFolder,
    requests,
    webdavRequests: () => requests.filter(({ webdav }) => webdav),
    answer: () => undefined,
    usual: (request) => answerAs(make, tree, root, request),
    get openConnections() {
      return sockets.size;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await Promise.all([closed, powerFolder.close()]);
    },
  };
  return stub;
}

const refused: Reply = {
  status: 401,
  headers: { 'Content-Type': 'text/html', 'WWW-Authenticate': 'Bearer' },
  body: '<h1>Log in at PowerFolder</h1><form><input type="password"></form>',
};

/** Whether the simulated server knows the token. */
async function acceptsToken({ url }: PowerFolderServer, authorization = ''): Promise<boolean> {
  const asked = request(`${url}/webdav/`, { method: 'PROPFIND', headers: { authorization, depth: '0' }, agent: false });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  answer.resume();
  return answer.statusCode === 207;
}

async function passOn(
  { url }: PowerFolderServer,
  { method, url: path, headers, body }: StubRequest,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { port } = new URL(url);
  const onward = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  req.socket.once('close', () => onward.destroy());
  onward.end(body);
  const [answer] = (await once(onward, 'response')) as [IncomingMessage];
  res.writeHead(answer.statusCode ?? 500, answer.headers);
  await pipeline(answer, res);
}

async function send(reply: Reply, res: ServerResponse): Promise<void> {
  const { socket } = res;
  if (reply === 'silence' || !socket) return;
  if ('raw' in reply) {
    if (reply.keepOpen) socket.write(reply.raw);
    else socket.end(reply.raw);
    return;
  }
  const { status = 200, reason, headers = {}, body = '', cut = false } = reply;
  res.statusCode = status;
  if (reason !== undefined) res.statusMessage = reason;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  const known = typeof body === 'string' || Buffer.isBuffer(body);
  if (known && !cut && !res.hasHeader('Content-Length')) res.setHeader('Content-Length', Buffer.byteLength(body));
  const pieces = known ? [body] : body;
  if (cut) {
    res.flushHeaders();
    for await (const piece of pieces) res.write(piece);
    // What was written is on its way before the connection ends.
    socket.end();
    return;
  }
  await pipeline(pieces, res);
}

const isFolder = (node: string | Buffer | Tree): node is Tree => typeof node === 'object' && !Buffer.isBuffer(node);

function find(tree: Tree, names: string[]): string | Buffer | Tree | undefined {
  let node: string | Buffer | Tree | undefined = tree;
  for (const name of names) {
    if (node === undefined || !isFolder(node) || !Object.hasOwn(node, name)) return undefined;
    node = node[name];
  }
  return node;
}

function errorPage(status: number, headers: Record<string, string> = {}): Reply {
  const body = `<html><head><title>${status}</title></head><body><h1>Error ${status} of the server</h1></body></html>`;
  return { status, headers: { 'Content-Type': 'text/html', ...headers }, body };
}

function answerAs(make: Make, tree: Tree, root: string, request: StubRequest): Reply {
  const path = request.url.split('?', 1)[0]?.slice(root.length) ?? '';
  let names: string[];
  try {
    names = path.split('/').filter(Boolean).map(decodeURIComponent);
  } catch {
    return errorPage(make === 'webdav-servlet' ? 400 : 404);
  }
  const slash = path.endsWith('/') || path === '';
  const node = find(tree, names);
  if (node === undefined) return errorPage(404);
  const toSlash = errorPage(301, { Location: `http://${request.headers.host}${request.url}/` });

  if (request.method === 'PROPFIND') {
    if (isFolder(node) && !slash && make === 'mod_dav') return toSlash;
    if (!isFolder(node) && slash && make !== 'nginx') return errorPage(make === 'mod_dav' ? 400 : 404);
    return propfind(make, root, path, names, node, request);
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') return errorPage(make === 'webdav-servlet' ? 501 : 405);
  if (isFolder(node)) {
    if (!slash && make !== 'webdav-servlet') return toSlash;
    if (make === 'nginx') return errorPage(403);
    const listing = Object.keys(node).map((name) => `<li><a href="${encodeURIComponent(name)}">${name}</a></li>`);
    return {
      headers: { 'Content-Type': 'text/html;charset=UTF-8' },
      body: `<html><head><title>Index of the server</title></head><body><ul>${listing.join('')}</ul></body></html>`,
    };
  }
  if (slash) return errorPage(404);
  return make === 'webdav-servlet' ? servletFile(names, node, request) : file(make, names, node, request);
}

/** A property's name and value by the make's own rules. */
function propertiesOf(make: Make, name: string, node: string | Buffer | Tree): [string, string][] {
  const folder = isFolder(node);
  const type: [string, string] = ['resourcetype', folder ? '<D:collection/>' : ''];
  const length: [string, string][] = folder ? [] : [['getcontentlength', String(Buffer.byteLength(node))]];
  const displayname = name.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  if (make === 'nginx') return [['displayname', displayname], ...length, ['getlastmodified', modified], type];
  if (make === 'mod_dav') {
    const tag: [string, string][] = folder ? [] : [['getetag', tagOf(make, node)]];
    return [type, ['creationdate', modifiedISO], ...length, ['getlastmodified', modified], ...tag];
  }
  const ofFile: [string, string][] = folder
    ? []
    : [['getlastmodified', modified], ...length, ['getetag', tagOf(make, node)]];
  return [
    ['creationdate', modifiedISO],
    ['displayname', `<![CDATA[${name.replaceAll(']]>', '')}]]>`],
    ...ofFile,
    type,
    ['supportedlock', ''],
    ['lockdiscovery', ''],
  ];
}

function propfind(
  make: Make,
  root: string,
  path: string,
  names: string[],
  node: string | Buffer | Tree,
  { depth, body, headers }: StubRequest,
): Reply {
  if (make === 'webdav-servlet') {
    if (body === '' && headers['content-length'] !== '0') return errorPage(500);
    if (body !== '' && !/^\s*</.test(body)) return errorPage(500);
  } else if (depth !== '0' && depth !== '1') return errorPage(403);

  const [, asked] = /<(?:\w+:)?prop\b[^>]*>([\s\S]*?)<\/(?:\w+:)?prop>/.exec(body) ?? [];
  const wanted = asked && [...asked.matchAll(/<(?:\w+:)?(\w+)[^>]*>/g)].map(([, name = '']) => name);
  const responses: string[] = [];
  const describe = (href: string, name: string, child: string | Buffer | Tree) => {
    const all = propertiesOf(make, name, child);
    const found = wanted ? all.filter(([property]) => wanted.includes(property)) : all;
    const missing = wanted ? wanted.filter((property) => !all.some(([each]) => each === property)) : [];
    const propstat = (props: string, status: string) =>
      `<D:propstat>\n<D:prop>\n${props}</D:prop>\n<D:status>HTTP/1.1 ${status}</D:status>\n</D:propstat>\n`;
    const given = found.map(([property, value]) => `<D:${property}>${value}</D:${property}>\n`).join('');
    const lacking = missing.map((property) => `<D:${property}/>\n`).join('');
    responses.push(
      `<D:response>\n<D:href>${href}</D:href>\n${propstat(given, '200 OK')}${
        lacking && make !== 'nginx' ? propstat(lacking, '404 Not Found') : ''
      }</D:response>\n`,
    );
  };
  const levels = depth === '0' ? 0 : depth === '1' ? 1 : 3;
  const walk = (href: string, at: string[], child: string | Buffer | Tree, left: number) => {
    // nginx repeats the path of the request, and writes folders below it without a slash.
    const ownHref = at.length === names.length && make === 'nginx' ? root + path : href;
    describe(ownHref, at.at(-1) ?? '', child);
    if (!isFolder(child) || left === 0) return;
    for (const [name, grandchild] of Object.entries(child)) {
      const below = `${href.replace(/\/$/, '')}/${encoded(make, name)}`;
      walk(isFolder(grandchild) && make !== 'nginx' ? `${below}/` : below, [...at, name], grandchild, left - 1);
    }
  };
  const own = [root, ...names.map((name) => encoded(make, name))].join('/');
  walk(isFolder(node) ? `${own}/` : own, names, node, levels);
  const xml = `<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n${responses.join('')}</D:multistatus>\n`;
  return {
    status: 207,
    headers: { 'Content-Type': 'text/xml; charset="utf-8"' },
    body: make === 'webdav-servlet' ? new Set([xml]) : xml,
  };
}

/** A segment of an href. */
function encoded(make: Make, name: string): string {
  const segment = encodeURIComponent(name);
  if (make !== 'webdav-servlet') return segment;
  return segment.replace(/[!'()~]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

const types: Record<string, string> = {
  txt: 'text/plain',
  html: 'text/html',
  pdf: 'application/pdf',
  png: 'image/png',
  wav: 'audio/wav',
  gz: 'application/gzip',
};

const typeOf = (names: string[]) => types[names.at(-1)?.split('.').at(-1) ?? ''] ?? 'application/octet-stream';

export function tagOf(make: Make, content: string | Buffer): string {
  const length = Buffer.byteLength(content);
  if (make === 'webdav-servlet') return `W/"${length}-${Date.parse(modified)}"`;
  return `"${length.toString(16)}-${(Date.parse(modified) / 1000).toString(16)}"`;
}

/** As Apache and nginx do, by RFC 9110 sections 13 and 14. */
function file(make: Make, names: string[], content: string | Buffer, { method, headers }: StubRequest): Reply {
  const bytes = Buffer.from(content);
  const tag = tagOf(make, content);
  const common: Record<string, string> = {
    'Content-Type': typeOf(names),
    'Last-Modified': modified,
    ETag: tag,
    'Accept-Ranges': 'bytes',
    ...(make === 'mod_dav' && names.at(-1)?.endsWith('.gz') && { 'Content-Encoding': 'x-gzip' }),
  };
  const ifMatch = headers['if-match'];
  if (ifMatch !== undefined && ifMatch !== '*' && !ifMatch.includes(tag)) return errorPage(412);
  const ifNoneMatch = headers['if-none-match'];
  const since = Date.parse(headers['if-modified-since'] ?? '');
  const fresh =
    ifNoneMatch !== undefined ? ifNoneMatch === '*' || ifNoneMatch.includes(tag) : since >= Date.parse(modified);
  if (fresh) return { raw: `HTTP/1.1 304 Not Modified\r\nETag: ${tag}\r\nConnection: close\r\n\r\n` };
  const ifRange = headers['if-range'];
  const ranges = ifRange === undefined || ifRange === tag || ifRange === modified ? headers.range : undefined;
  const parts = rangesOf(ranges, bytes.length);
  if (parts === 'none') {
    return errorPage(416, make === 'nginx' ? { 'Content-Range': `bytes */${bytes.length}` } : {});
  }
  if (parts === undefined || parts.length === 0) return whole(method, 200, common, bytes);
  const range = ([start, end]: [number, number]) => `bytes ${start}-${end}/${bytes.length}`;
  const [only] = parts;
  if (parts.length === 1 && only) {
    const [start, end] = only;
    return whole(method, 206, { ...common, 'Content-Range': range(only) }, bytes.subarray(start, end + 1));
  }
  const multipart = parts.map(
    (part) =>
      `\r\n--3d6b6a416f9b5\r\nContent-Type: ${typeOf(names)}\r\nContent-Range: ${range(part)}\r\n\r\n` +
      bytes.subarray(part[0], part[1] + 1).toString('latin1'),
  );
  return whole(
    method,
    206,
    { ...common, 'Content-Type': 'multipart/byteranges; boundary=3d6b6a416f9b5' },
    Buffer.from(`${multipart.join('')}\r\n--3d6b6a416f9b5--\r\n`, 'latin1'),
  );
}

/** As RFC 9110 section 14.2: undefined when the header is to be ignored, 'none' when no range can be had. */
function rangesOf(header: string | undefined, length: number): [number, number][] | 'none' | undefined {
  const [, list] = /^bytes=(.+)$/.exec(header ?? '') ?? [];
  if (list === undefined) return undefined;
  const found: [number, number][] = [];
  for (const part of list.split(',')) {
    const [, from = '', to = ''] = /^\s*(\d*)-(\d*)\s*$/.exec(part) ?? [];
    if (from === '' && to === '') return undefined;
    const start = from === '' ? Math.max(0, length - Number(to)) : Number(from);
    const end = from === '' || to === '' ? length - 1 : Math.min(length - 1, Number(to));
    if (from !== '' && to !== '' && Number(to) < Number(from)) return undefined;
    if (start <= end) found.push([start, end]);
  }
  return found.length === 0 ? 'none' : found;
}

function whole(method: string, status: number, headers: Record<string, string>, bytes: Buffer): Reply {
  const length = { 'Content-Length': String(bytes.length) };
  return { status, headers: { ...headers, ...length }, body: method === 'HEAD' ? '' : bytes };
}

/** As webdav-servlet does: chunked, no ranges, one condition. */
function servletFile(names: string[], content: string | Buffer, { method, headers }: StubRequest): Reply {
  const tag = tagOf('webdav-servlet', content);
  if (headers['if-none-match'] === tag) return { raw: 'HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n' };
  const common = { 'Content-Type': typeOf(names), 'Last-Modified': modified, ETag: tag };
  if (method === 'HEAD') return { headers: { ...common, 'Content-Length': '0' } };
  return { headers: common, body: new Set([Buffer.from(content)]) };
}
