import type { Account } from './accounts.ts';
import { type Answer, answer, Refusal } from './answer.ts';
import { find, isFile, type Node, type PowerFolderFile, read, sizeOf, tagOf, typeOf } from './files.ts';
import { escaped } from './markup.ts';
import { decode, type ReceivedRequest } from './request.ts';

/** As much of RFC 4918 as it takes to browse folders and to read files. All of them were last modified at `started`. */
export function webdavServer(
  contextPath: string,
  caller: (request: ReceivedRequest) => { account: Account },
  started: number,
): (request: ReceivedRequest) => Answer {
  const modified = new Date(started).toUTCString();

  function webdav(request: ReceivedRequest): Answer {
    if (request.method === 'OPTIONS') return options();
    const { files } = caller(request).account;
    const names = request.path.split('/').slice(2).filter(Boolean).map(decode);
    const node = find(files, names);
    if (node === undefined) throw new Refusal(404, `There is no "${names.join('/')}".`);
    if (request.method === 'PROPFIND') return propfind(names, node, request.headers['depth']);
    if (isFile(node)) return get(names.at(-1) ?? '', node, request.headers.range);
    throw new Refusal(405, 'This is a folder: PROPFIND lists it.', 'invalid_request', { Allow: 'OPTIONS, PROPFIND' });
  }

  function options(): Answer {
    return answer(200, 'text/plain', '', { DAV: '1', Allow: 'OPTIONS, PROPFIND, GET, HEAD' });
  }

  function propfind(names: string[], node: Node, depth: unknown): Answer {
    if (depth !== '0' && depth !== '1')
      throw new Refusal(403, 'PROPFIND takes Depth 0 or 1; none at all means infinity.');
    const responses = [describe(names, node)];
    if (depth === '1' && !isFile(node)) {
      for (const [name, child] of Object.entries(node)) responses.push(describe([...names, name], child));
    }
    const xml = `<D:multistatus xmlns:D="DAV:">${responses.join('')}\n</D:multistatus>\n`;
    return answer(207, 'application/xml;charset=utf-8', `<?xml version="1.0" encoding="utf-8"?>\n${xml}`);
  }

  function describe(names: string[], node: Node): string {
    const name = names.at(-1) ?? '';
    const file = isFile(node);
    const href = ['', 'webdav', ...names.map(encodeURIComponent)].join('/') + (file ? '' : '/');
    const properties: Record<string, string> = {
      displayname: escaped(name),
      resourcetype: file ? '' : '<D:collection/>',
      getlastmodified: modified,
      ...(file && { getcontentlength: String(sizeOf(node)), getcontenttype: typeOf(name), getetag: tagOf(node) }),
    };
    const prop = Object.entries(properties).map(([key, value]) => `<D:${key}>${value}</D:${key}>`);
    return `
<D:response><D:href>${escaped(contextPath + href)}</D:href>
  <D:propstat><D:prop>${prop.join('')}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
</D:response>`;
  }

  function get(name: string, file: PowerFolderFile, range = ''): Answer {
    const size = sizeOf(file);
    // bytes=a-b, bytes=a-, or bytes=-n for the last n; anything else gets the whole file, as RFC 9110 section 14.2 has it.
    const [, from, to] = /^bytes=(?=.*\d)(\d*)-(\d*)$/.exec(range) ?? [];
    const whole = from === undefined;
    const start = from ? Number(from) : whole ? 0 : Math.max(0, size - Number(to));
    const end = from && to ? Math.min(size, Number(to) + 1) : size;
    if (!whole && start >= end) {
      throw new Refusal(416, `The file has ${size} bytes.`, 'invalid_request', { 'Content-Range': `bytes */${size}` });
    }
    return answer(whole ? 200 : 206, typeOf(name), read(file, start, end), {
      'Content-Length': String(end - start),
      ...(whole ? undefined : { 'Content-Range': `bytes ${start}-${end - 1}/${size}` }),
      'Accept-Ranges': 'bytes',
      'Last-Modified': modified,
      ETag: tagOf(file),
    });
  }

  return webdav;
}
