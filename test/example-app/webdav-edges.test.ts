/** WebDAV answers at the edge of what HTTP and XML allow, which somebody tried who had not seen the code. */
import { entries, sentences, startWebDAVExample, type WebDAVExample } from '../support/webdav-example.ts';
import type { Reply } from '../support/webdav-stub-server.ts';

let example: WebDAVExample;
beforeAll(async () => {
  example = await startWebDAVExample({ tree: { 'f.txt': 'x'.repeat(100) } });
});
afterAll(() => example.close());

const resource = (href: string, content = '<D:resourcetype/><D:getcontentlength>100</D:getcontentlength>') =>
  `<D:response><D:href>${href}</D:href><D:propstat><D:prop>${content}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`;
const folder = (...hrefs: string[]) =>
  `<D:multistatus xmlns:D="DAV:">${resource('/pf/webdav/Odd/', '<D:resourcetype><D:collection/></D:resourcetype>')}` +
  `${hrefs.map((href) => resource(href)).join('')}</D:multistatus>`;

async function listed(reply: Reply) {
  example.stub.answer = ({ method }) => (method === 'PROPFIND' ? reply : undefined);
  const page = await example.get('/folders/Odd');
  return { status: page.status, names: entries(page).map(({ path }) => path.at(-1)), said: sentences(page) };
}

const xml = { 'Content-Type': 'application/xml; charset=utf-8' };

describe('a listing', () => {
  it('of names that take long to compare holds up nobody: they are left out (R62, R64)', async () => {
    const marks = '\u0315\u0300\u05ae\u0344'.repeat(7500);
    const hrefs = Array.from({ length: 60 }, (_, i) => `/pf/webdav/Odd/${marks}${i}`);
    const { status, names, said } = await listed({
      status: 207,
      headers: xml,
      body: folder(...hrefs, '/pf/webdav/Odd/a.txt'),
    });
    expect([status, names, said]).toEqual([200, ['a.txt'], expect.stringContaining('60 entries are not shown')]);
  });

  it('keeps the spaces of a name that are none to XML (R64)', async () => {
    const { names } = await listed({ status: 207, headers: xml, body: folder(' \n/pf/webdav/Odd/report\u3000\t') });
    expect(names).toEqual(['report\u3000']);
  });

  it('is in the charset of its byte order mark, whatever the media type says (R64)', async () => {
    const headers = { 'Content-Type': 'text/xml; charset=iso-8859-1' };
    const { names } = await listed({ status: 207, headers, body: `\ufeff${folder('/pf/webdav/Odd/bär.txt')}` });
    expect(names).toEqual(['bär.txt']);
  });

  it.each([
    [
      'declared',
      Buffer.from(`<?xml version="1.0" encoding="iso-8859-1"?>${folder('/pf/webdav/Odd/bär.txt')}`, 'latin1'),
    ],
    ['marked', Buffer.from(`\ufeff${folder('/pf/webdav/Odd/bär.txt')}`, 'utf16le')],
  ])('is in the charset that is %s, when the first byte comes by itself (R64)', async (_, bytes) => {
    async function* pieces() {
      yield bytes.subarray(0, 1);
      // The first piece is on its way before the next is written.
      await new Promise((resolve) => setTimeout(resolve, 50));
      yield bytes.subarray(1);
    }
    const { names } = await listed({ status: 207, headers: { 'Content-Type': 'application/xml' }, body: pieces() });
    expect(names).toEqual(['bär.txt']);
  });
});

describe('a file', () => {
  const get = (reply: Reply | ((headers: Record<string, unknown>) => Reply), headers: Record<string, string> = {}) => {
    example.stub.answer = (request) =>
      request.method === 'GET' ? (typeof reply === 'function' ? reply(request.headers) : reply) : undefined;
    return example.get('/files/f.txt', { headers });
  };

  it('that has not changed is so, also when the answer tells its length (R63)', async () => {
    const raw = 'HTTP/1.1 304 Not Modified\r\nContent-Length: 40\r\nETag: "a"\r\n\r\n';
    const answer = await get({ raw, keepOpen: true }, { 'If-None-Match': '"a"' });
    expect([answer.status, answer.headers['etag'], answer.complete]).toEqual([304, '"a"', true]);
  });

  it('that ends with the connection before its end is not whole (R63)', async () => {
    const raw = `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${'x'.repeat(50)}`;
    expect((await get({ raw })).complete).toBe(false);
    const whole = await get({ raw: raw + 'x'.repeat(50) });
    expect([whole.complete, whole.text]).toEqual([true, 'x'.repeat(100)]);
  });

  it('whose encoding is identity is not encoded (R63)', async () => {
    const answer = await get({ status: 200, headers: { 'Content-Encoding': 'identity' }, body: 'hello' });
    expect([answer.status, answer.text]).toEqual([200, 'hello']);
  });

  it('that has changed comes whole, also from a server that does not know If-Range (R63)', async () => {
    const changed = 'N'.repeat(100);
    const answer = await get(
      ({ range }) =>
        range
          ? { status: 206, headers: { ETag: '"new"', 'Content-Range': 'bytes 50-99/100' }, body: changed.slice(50) }
          : { status: 200, headers: { ETag: '"new"' }, body: changed },
      { Range: 'bytes=50-', 'If-Range': '"old"' },
    );
    expect([answer.status, answer.text]).toEqual([200, changed]);
  });

  it('in another part than was asked for is none (R63)', async () => {
    const headers = { 'Content-Range': 'bytes 0-9/100' };
    expect((await get({ status: 206, headers, body: 'x'.repeat(10) }, { Range: 'bytes=50-59' })).status).toBe(502);
  });
});
