/** Files by way of the example: what goes to the server, what comes back, what is shown, and what is said when it fails. */
import { gzipSync } from 'node:zlib';
import { type Listener, listen } from '../support/listener.ts';
import {
  type Answer,
  mainLink,
  sentences,
  startWebDAVExample,
  strayRequests,
  type WebDAVExample,
} from '../support/webdav-example.ts';
import { makes, modified, type Reply, type StubRequest, type Tree, tagOf } from '../support/webdav-stub-server.ts';

const digits = '0123456789';
const zipped = gzipSync('What is in it is nobody’s business.');
const tree: Tree = {
  Documents: { 'notes.txt': 'Milk and bread.', Letters: { 'a.txt': 'Dear A' } },
  'digits.txt': digits,
  'empty.txt': '',
  'page.html': '<script>alert(1)</script>',
  'data.gz': zipped,
  'paper.pdf': '%PDF-1.4',
  noending: 'bytes',
};

const running = new Map<string, WebDAVExample>();
beforeAll(async () => {
  for (const make of makes) running.set(make, await startWebDAVExample({ make, tree }));
});
afterAll(() => Promise.all([...running.values()].map((each) => each.close())));

beforeEach(() => {
  for (const { stub } of running.values()) {
    stub.requests.length = 0;
    stub.answer = () => undefined;
  }
});
afterEach(() => {
  for (const { stub } of running.values()) expect(strayRequests(stub)).toEqual([]);
});

const of = (make: string) => running.get(make) as WebDAVExample;
const common = () => of('mod_dav');

/** What a GET or HEAD of a file is answered; all else as usual. */
function answerFile(example: WebDAVExample, reply: Reply | ((request: StubRequest) => Reply | undefined)): void {
  example.stub.answer = (request) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') return undefined;
    return typeof reply === 'function' ? reply(request) : reply;
  };
}

const fileRequests = ({ stub }: WebDAVExample, method = 'GET') =>
  stub.webdavRequests().filter((request) => request.method === method);

/** The file must not seem to have come. */
function expectNotDelivered(answer: Answer): void {
  expect([answer.status, answer.text]).toEqual([expect.any(Number), expect.not.stringContaining('SENTINEL')]);
  expect(answer.status).toBeGreaterThanOrEqual(300);
  expect(answer.headers['content-disposition']).toBeUndefined();
}

describe.each(makes)('a file of %s', (make) => {
  it.each(Object.entries(tree).filter(([, content]) => typeof content === 'string' || Buffer.isBuffer(content)))(
    '%s comes byte for byte, with its length or none (R63)',
    async (name, content) => {
      const answer = await of(make).get(`/files/${name}`);
      const bytes = Buffer.from(content as string);
      expect([answer.status, answer.complete, answer.body]).toEqual([200, true, bytes]);
      expect([undefined, String(bytes.length)]).toContain(answer.headers['content-length']);
      // What a browser would unpack is not the file.
      expect(answer.headers['content-encoding']).toBeUndefined();
      expect(answer.headers['etag']).toBe(tagOf(make, bytes));
      expect(answer.headers['last-modified']).toBe(modified);
      for (const { headers } of fileRequests(of(make))) expect(headers['accept-encoding']).toBe('identity');
    },
  );

  it('is asked for by HEAD with its true length, or none (R63)', async () => {
    for (const [name, length] of [
      ['digits.txt', 10],
      ['data.gz', zipped.length],
      ['empty.txt', 0],
    ] as const) {
      const answer = await of(make).get(`/files/${name}`, { method: 'HEAD' });
      expect([answer.status, answer.body.length]).toEqual([200, 0]);
      expect([undefined, String(length)]).toContain(answer.headers['content-length']);
      expect(answer.headers['content-encoding']).toBeUndefined();
    }
  });

  it.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=5-', '56789', 'bytes 5-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
    ['bytes=-99', digits, 'bytes 0-9/10'],
  ])('gives the part %s, or the whole where the server knows no parts (R63)', async (range, part, contentRange) => {
    const answer = await of(make).get('/files/digits.txt', { headers: { Range: range } });
    const whole = make === 'webdav-servlet';
    expect([answer.status, answer.text, answer.headers['content-range']]).toEqual(
      whole ? [200, digits, undefined] : [206, part, contentRange],
    );
    expect([undefined, String(answer.body.length)]).toContain(answer.headers['content-length']);
  });

  it.each(['bytes=', 'bytes=x-y', 'bytes=3-1', 'lines=1-2', 'bytes 0-3', 'bytes=1', '-', 'bytes=--3', '0-3'])(
    'comes whole for the malformed range %s (R63)',
    async (range) => {
      const answer = await of(make).get('/files/digits.txt', { headers: { Range: range } });
      expect([answer.status, answer.text]).toEqual([200, digits]);
    },
  );

  it('has no part beyond its end: 416 with the length, where the server tells it (R63)', async () => {
    const answer = await of(make).get('/files/digits.txt', { headers: { Range: 'bytes=10-' } });
    if (make === 'webdav-servlet') return expect([answer.status, answer.text]).toEqual([200, digits]);
    expect(answer.status).toBe(416);
    if (make === 'nginx') expect(answer.headers['content-range']).toBe('bytes */10');
    expect(answer.text).not.toContain('of the server');
    expect(answer.headers['content-disposition']).toBeUndefined();
  });

  it('comes whole, or in parts with their type and boundary, for several ranges (R63)', async () => {
    const answer = await of(make).get('/files/digits.txt', { headers: { Range: 'bytes=0-1,5-6' } });
    if (answer.status === 206) {
      const [, boundary] =
        /^multipart\/byteranges; ?boundary="?([^"]+)"?$/.exec(answer.headers['content-type'] ?? '') ?? [];
      const parts = answer.text.split(`--${boundary}`).slice(1, -1);
      expect(parts.map((part) => part.trim().split('\r\n\r\n').at(-1))).toEqual(['01', '56']);
    } else expect([answer.status, answer.text]).toEqual([200, digits]);
  });

  it('that the visitor has already is 304 (R63)', async () => {
    const headers = { 'If-None-Match': tagOf(make, digits) };
    const answer = await of(make).get('/files/digits.txt', { headers });
    expect([answer.status, answer.body.length]).toEqual([304, 0]);
    const other = await of(make).get('/files/digits.txt', { headers: { 'If-None-Match': '"old"' } });
    expect([other.status, other.text]).toEqual([200, digits]);
  });

  it('that is a folder leads to the page of the folder (R63)', async () => {
    for (const [path, page] of [
      ['/files/Documents', '/folders/Documents'],
      ['/files/Documents/', '/folders/Documents'],
      ['/files/Documents/Letters', '/folders/Documents/Letters'],
    ] as const) {
      const answer = await of(make).get(path);
      expect([301, 302, 303, 307, 308]).toContain(answer.status);
      expect([path, answer.headers['location']?.replace(/\/$/, '')]).toEqual([path, page]);
      expect(answer.text).not.toContain('Index of the server');
    }
  });

  it('is what the page of a folder leads to when it is no folder (R63)', async () => {
    for (const path of ['digits.txt', 'Documents/notes.txt', 'noending']) {
      for (const slash of ['', '/']) {
        const answer = await of(make).get(`/folders/${path}${slash}`);
        expect([301, 302, 303, 307, 308]).toContain(answer.status);
        // Where it is shown, if browsers can show it.
        expect(answer.headers['location']).toBe(`/${path.endsWith('.txt') ? 'view' : 'files'}/${path}`);
      }
    }
  });

  it('that is not there is 404, and so is a folder (R63)', async () => {
    for (const path of ['/files/nothing.txt', '/folders/nothing', '/files/digits.txt/x', '/folders/digits.txt/x']) {
      const answer = await of(make).get(path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.text).not.toContain('of the server');
    }
  });
});

describe('conditions', () => {
  const hour = 3_600_000;
  const before = new Date(Date.parse(modified) - hour).toUTCString();

  it.each<[Record<string, string>, number, string]>([
    [{ 'If-Modified-Since': modified }, 304, ''],
    [{ 'If-Modified-Since': before }, 200, digits],
    [{ 'If-None-Match': '*' }, 304, ''],
    [{ 'If-None-Match': '"a", "b"' }, 200, digits],
    [{ 'If-None-Match': '"a"', 'If-Modified-Since': modified }, 200, digits],
    [{ 'If-Match': '*' }, 200, digits],
    [{ 'If-Match': tagOf('mod_dav', digits) }, 200, digits],
    [{ 'If-Range': '"old"', Range: 'bytes=5-' }, 200, digits],
    [{ 'If-Range': before, Range: 'bytes=5-' }, 200, digits],
    [{ 'If-Range': tagOf('mod_dav', digits), Range: 'bytes=5-' }, 206, '56789'],
    [{ 'If-Range': modified, Range: 'bytes=5-' }, 206, '56789'],
    [{ 'If-None-Match': '"a"', Range: 'bytes=5-' }, 206, '56789'],
  ])('%j go through (R63)', async (headers, status, text) => {
    const answer = await common().get('/files/digits.txt', { headers });
    expect([answer.status, answer.text]).toEqual([status, text]);
    const [sent] = fileRequests(common());
    for (const [name, value] of Object.entries(headers)) expect(sent?.headers[name.toLowerCase()]).toBe(value);
  });

  it('that do not hold are 412, without a file (R63)', async () => {
    const answer = await common().get('/files/digits.txt', { headers: { 'If-Match': '"old"' } });
    expect([answer.status, answer.text]).toEqual([412, expect.not.stringContaining('of the server')]);
    expect(answer.headers['content-disposition']).toBeUndefined();
  });

  it('keep the tag and the policies of a file with 304 (R63, R68)', async () => {
    const tag = tagOf('mod_dav', digits);
    const answer = await common().get('/files/digits.txt', { headers: { 'If-None-Match': tag } });
    expect([answer.status, answer.headers['etag'], answer.body.length]).toEqual([304, tag, 0]);
    expect(answer.headers['content-security-policy']).toContain('sandbox');
  });

  it('and nothing else of the visitor goes to the server (R62)', async () => {
    await common().get('/files/digits.txt', {
      headers: {
        'X-Forwarded-For': '203.0.113.7',
        Authorization: 'Basic eDp5',
        Referer: 'http://x/',
        Depth: 'infinity',
        Destination: 'http://evil/',
        'X-HTTP-Method-Override': 'DELETE',
        Translate: 'f',
      },
    });
    for (const { headers, method } of common().stub.webdavRequests()) {
      expect(['GET', 'PROPFIND', 'HEAD']).toContain(method);
      expect(headers.authorization).toBe(`Bearer ${common().token}`);
      for (const name of [
        'cookie',
        'x-forwarded-for',
        'referer',
        'destination',
        'x-http-method-override',
        'translate',
      ]) {
        expect([name, headers[name]]).toEqual([name, undefined]);
      }
    }
  });
});

describe('an answer to GET that is not the file', () => {
  const text = { 'Content-Type': 'text/plain' };
  it.each<[string, Reply]>([
    [
      '206 that nobody asked for',
      { status: 206, headers: { ...text, 'Content-Range': 'bytes 0-7/99' }, body: 'SENTINEL' },
    ],
    ['206 without Content-Range, that nobody asked for', { status: 206, headers: text, body: 'SENTINEL' }],
    ['304 that nobody asked for', { raw: 'HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n' }],
    ['201', { status: 201, headers: text, body: 'SENTINEL' }],
    ['202', { status: 202, headers: text, body: 'SENTINEL' }],
    ['204', { status: 204 }],
    ['205', { status: 205 }],
    ['207', { status: 207, headers: { 'Content-Type': 'application/xml' }, body: '<SENTINEL/>' }],
    ['600', { raw: 'HTTP/1.1 600 Odd\r\nContent-Length: 8\r\nConnection: close\r\n\r\nSENTINEL' }],
    ['999', { raw: 'HTTP/1.1 999 Odd\r\nContent-Length: 8\r\nConnection: close\r\n\r\nSENTINEL' }],
    ['099', { raw: 'HTTP/1.1 099 Odd\r\nContent-Length: 8\r\nConnection: close\r\n\r\nSENTINEL' }],
    ['no HTTP', { raw: 'SENTINEL\r\n' }],
    ['HTTP/0.9', { raw: '<html>SENTINEL</html>' }],
    ['headers without an end', { raw: `HTTP/1.1 200 OK\r\nX: ${'SENTINEL'.repeat(20_000)}` }],
    ['two different lengths', { raw: 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\nSENTINEL' }],
    ['a length that is none', { raw: 'HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nSENTINEL' }],
    ['a closed connection', { raw: '' }],
    ['101', { raw: 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nSENTINEL' }],
  ])('is refused: %s (R63)', async (_, reply) => {
    answerFile(common(), reply);
    const answer = await common().get('/files/digits.txt');
    expectNotDelivered(answer);
    expect([answer.status, sentences(answer)]).toEqual([502, expect.stringContaining('PowerFolder')]);
    // And the next is answered as ever.
    common().stub.answer = () => undefined;
    expect((await common().get('/files/digits.txt')).text).toBe(digits);
  });

  it.each<[string, Record<string, string>]>([
    ['without Content-Range', {}],
    ['with a Content-Range that is none', { 'Content-Range': 'some' }],
    ['with another part', { 'Content-Range': 'bytes 5-8/10' }],
    ['with a part of another length than its own', { 'Content-Range': 'bytes 0-8/10' }],
    ['with a part beyond its own end', { 'Content-Range': 'bytes 0-3/2' }],
    ['in another unit', { 'Content-Range': 'lines 0-3/10' }],
  ])('is refused, or told as it is: 206 %s (R63)', async (_, headers) => {
    answerFile(common(), { status: 206, headers: { ...text, ...headers }, body: '0123' });
    const answer = await common().get('/files/digits.txt', { headers: { Range: 'bytes=0-3' } });
    // A browser that gets another part by name can tell; one that gets a part without a name cannot.
    const told = answer.status === 206 && /^bytes \d+-\d+\/(\d+|\*)$/.test(answer.headers['content-range'] ?? '');
    if (!told) expect(answer.status).toBe(502);
  });

  it('is refused when it is a log-in page that the server redirects to, and its target never sees the token (R62, R63)', async () => {
    const elsewhere: Listener = await listen((_req, res) => res.end('<h1>SENTINEL log-in page</h1>'));
    try {
      const origin = new URL(common().stub.url).origin;
      for (const status of [300, 301, 302, 303, 305, 307, 308, 399]) {
        for (const location of [
          '/pf/login',
          `${origin}/pf/login?next=/webdav/digits.txt`,
          `${elsewhere.url}/pf/webdav/digits.txt`,
          elsewhere.url.replace('http:', ''),
          '/pf/webdav/digits.txt/',
          '/pf/webdav/Documents/notes.txt',
          '',
          'javascript:alert(1)',
        ]) {
          for (const path of ['/files/digits.txt', '/folders/Documents', '/folders']) {
            common().stub.requests.length = 0;
            common().stub.answer = () => ({ status, headers: { Location: location }, body: 'SENTINEL' });
            const answer = await common().get(path);
            const what = [status, location, path];
            expect([...what, answer.text]).toEqual([...what, expect.not.stringContaining('SENTINEL')]);
            // But for the slash that servers add to a folder's path.
            if (location !== '/pf/webdav/digits.txt/') expect([...what, answer.status]).toEqual([...what, 502]);
            if (answer.headers['location']) expect(answer.headers['location']).toMatch(/^\/(folders|files)\//);
            expect(
              common()
                .stub.requests.filter(({ webdav }) => !webdav)
                .map(({ url }) => url),
            ).toEqual([]);
          }
        }
      }
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await elsewhere.close();
    }
  });

  it('is not followed when only the file is redirected (R62, R63)', async () => {
    const elsewhere: Listener = await listen((_req, res) => res.end('SENTINEL'));
    try {
      for (const location of ['/pf/login', `${elsewhere.url}/x`, '/pf/webdav/Documents/notes.txt']) {
        common().stub.requests.length = 0;
        answerFile(common(), { status: 302, headers: { Location: location } });
        const answer = await common().get('/files/digits.txt');
        expectNotDelivered(answer);
        expect(answer.text).not.toContain('Milk');
        expect(fileRequests(common()).map(({ url }) => url)).toEqual(['/pf/webdav/digits.txt']);
      }
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await elsewhere.close();
    }
  });

  it.each<[string, Reply]>([
    ['with a length', { headers: { ...text, 'Content-Length': '1000' }, body: 'x'.repeat(500), cut: true }],
    ['chunked', { headers: text, body: ['x'.repeat(500)], cut: true }],
    [
      'after large parts',
      { headers: { ...text, 'Content-Length': '9000000' }, body: 'x'.repeat(3_000_000), cut: true },
    ],
    ['within a chunk', { raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\n9\r\nxxx' }],
    ['with a broken chunk', { raw: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nxxxxx\r\nZZ\r\nxxx' }],
  ])('that is cut off %s is not a whole file for the visitor (R63)', async (_, reply) => {
    answerFile(common(), reply);
    const answer = await common()
      .get('/files/digits.txt')
      .catch(() => undefined);
    if (answer?.complete) expect(answer.status).toBeGreaterThanOrEqual(500);
    common().stub.answer = () => undefined;
    expect((await common().get('/files/digits.txt')).text).toBe(digits);
  });

  it('ends with its length: what a server sends beyond it is not part of it (R63)', async () => {
    answerFile(common(), { raw: 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789SENTINEL' });
    const answer = await common().get('/files/digits.txt');
    expect(answer.text).not.toContain('SENTINEL');
  });

  it('comes whole without a length, by chunks or by the end of the connection (R63)', async () => {
    const large = Buffer.alloc(3_000_000, 'abcdefg');
    answerFile(common(), {
      headers: text,
      body: [large.subarray(0, 10), large.subarray(10, 2_000_000), large.subarray(2_000_000)],
    });
    expect((await common().get('/files/digits.txt')).body.equals(large)).toBe(true);
    answerFile(common(), { raw: 'HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n0123456789' });
    expect((await common().get('/files/digits.txt')).text).toBe(digits);
  });

  it('and hides nothing: no header of the server that is not about the file comes through (R62)', async () => {
    answerFile(common(), {
      headers: {
        ...text,
        'Set-Cookie': ['session=SENTINEL', '__Host-session=SENTINEL'],
        'X-Secret': 'SENTINEL',
        Server: 'SENTINEL',
        Location: '/SENTINEL',
        Refresh: '0; url=/SENTINEL',
        Link: '</SENTINEL>; rel=preload',
        'Clear-Site-Data': '"SENTINEL"',
        'Access-Control-Allow-Origin': 'https://SENTINEL',
        'Service-Worker-Allowed': '/SENTINEL',
        'Strict-Transport-Security': 'max-age=0; SENTINEL',
        'Content-Security-Policy': 'SENTINEL',
        'Content-Disposition': 'inline; filename="SENTINEL.html"',
        'WWW-Authenticate': 'Basic realm="SENTINEL"',
        'Cache-Control': 'public, max-age=999, SENTINEL',
      },
      body: digits,
    });
    const answer = await common().get('/files/digits.txt');
    expect([answer.status, answer.text, answer.rawHeaders.join('\n')]).toEqual([
      200,
      digits,
      expect.not.stringContaining('SENTINEL'),
    ]);
    expect(answer.headers['cache-control']).toBe('no-store');
  });
});

describe('what is shown in the browser', () => {
  const policiesOf = ({ headers }: Answer) =>
    String(headers['content-security-policy'])
      .split(';')
      .map((each) => each.trim());

  async function typed(type: string | string[] | undefined, name = 'digits.txt'): Promise<Answer> {
    answerFile(common(), { headers: type === undefined ? {} : { 'Content-Type': type }, body: digits });
    return await common().get(`/files/${name}`);
  }

  function expectDownload(answer: Answer): void {
    expect([answer.status, answer.text, answer.headers['content-type']]).toEqual([
      200,
      digits,
      'application/octet-stream',
    ]);
    expect(answer.headers['content-disposition']).toMatch(/^attachment\b/);
    expect(answer.rawHeaders.filter((each) => /^content-type$/i.test(each))).toHaveLength(1);
  }

  it.each(['image/png', 'application/pdf', 'text/plain', 'text/html', 'image/svg+xml', 'odd', undefined])(
    'a file of the type %j has a sandbox, and is not sniffed (R68)',
    async (type) => {
      const answer = await typed(type);
      // With an origin of its own a player can ask for its sound; without scripts and forms that origin is no use to a file.
      expect(policiesOf(answer)).toContainEqual(expect.stringMatching(/^sandbox( allow-same-origin)?$/));
      expect(answer.headers['x-content-type-options']).toBe('nosniff');
    },
  );

  it.each([
    ['image/png', 'image/png'],
    ['image/jpeg', 'image/jpeg'],
    ['image/gif', 'image/gif'],
    ['image/webp', 'image/webp'],
    ['image/avif', 'image/avif'],
    ['IMAGE/PNG', 'image/png'],
    ['image/png; charset=binary', 'image/png'],
    ['audio/mpeg', 'audio/mpeg'],
    ['video/mp4', 'video/mp4'],
    ['application/pdf', 'application/pdf'],
    ['text/plain', 'text/plain; charset=utf-8'],
    ['text/plain;charset=UTF-8', 'text/plain; charset=utf-8'],
  ])('a file of the type %j is, as %j (R68)', async (type, sentAs) => {
    const answer = await typed(type);
    expect(answer.headers['content-type']).toBe(sentAs);
    expect(answer.headers['content-disposition']).toMatch(/^inline\b/);
  });

  it.each([
    [undefined],
    [''],
    [' '],
    [','],
    [';'],
    ['/'],
    ['image'],
    ['image/'],
    ['image/*'],
    ['*/*'],
    ['/png'],
    ['text/html'],
    ['TEXT/HTML'],
    ['text/html; charset=utf-7'],
    ['text/xml'],
    ['text/xsl'],
    ['text/javascript'],
    ['text/css'],
    ['text/vtt,text/html'],
    ['text/cache-manifest'],
    ['application/javascript'],
    ['application/json'],
    ['application/xml'],
    ['application/xhtml+xml'],
    ['application/mathml+xml'],
    ['application/octet-stream'],
    ['application/x-shockwave-flash'],
    ['application/wasm'],
    ['image/svg+xml'],
    ['image/svg'],
    ['image/svg+xml; charset=utf-8'],
    ['image/png,text/html'],
    ['image/png, text/html'],
    ['image/png text/html'],
    ['image/png\ttext/html'],
    ['text/html, image/png'],
    ['video/x,text/html'],
    ['video/mp4,text/html'],
    ['video/svg+xml'],
    ['video/x-unknown'],
    ['audio/x, text/html'],
    ['audio/<script>'],
    ['audio/"'],
    ['audio/(x)'],
    ['audio/mpeg\\text/html'],
    ['audio/\u00e4'],
    ['audio/mpeg/html'],
    ['audio/x-mpegurl+xml'],
    ['multipart/x-mixed-replace; boundary=x'],
    ['multipart/byteranges; boundary=x'],
    ['message/rfc822'],
    ['unknown/unknown'],
    ['application/pdf,text/html'],
    ['application/pdf\ttext/html'],
    ['text/plain,text/html'],
    ['text/plain text/html'],
    ['text/plain/html'],
    [['image/png', 'text/html']],
    [['text/html', 'image/png']],
    [`image/${'x'.repeat(5000)}`],
  ])('a file of the type %j is not: it is downloaded (R68)', async (type) => {
    const answer = await typed(type);
    expectDownload(answer);
  });

  it.each(['page.html', 'image.svg', 'x.xhtml', 'noending', 'x.png.html'])(
    'a file of the name %s is by its type only (R68)',
    async (name) => {
      const answer = await typed('text/html', name);
      if (answer.status === 200) expectDownload(answer);
    },
  );

  it.each([206, 200])('a part of a file is not sniffed either: %d (R68)', async (status) => {
    const range = { 'Content-Range': 'bytes 0-9/10' };
    answerFile(common(), {
      status,
      headers: { 'Content-Type': 'text/html', ...(status === 206 && range) },
      body: digits,
    });
    const answer = await common().get('/files/digits.txt', { headers: { Range: 'bytes=0-9' } });
    expect(answer.headers['content-disposition']).toMatch(/^attachment\b/);
  });

  it.each([
    'with "quotes".txt',
    'über.txt',
    '日本.txt',
    '\u202egpj.txt',
    'a;b=c.txt',
    'a\\b.txt',
    "it's.txt",
    '%41.txt',
    'line\nend.txt',
  ])('has the name %j to be saved under, and no header of its own (R68)', async (name) => {
    common().stub.answer = ({ method }) =>
      method === 'PROPFIND'
        ? {
            status: 207,
            headers: { 'Content-Type': 'application/xml' },
            body: `<D:multistatus xmlns:D="DAV:"><D:response><D:href>/pf/webdav/${encodeURIComponent(name)}</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>10</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>`,
          }
        : { headers: { 'Content-Type': 'text/html' }, body: digits };
    const answer = await common().get(`/files/${encodeURIComponent(name)}`);
    if (answer.status === 404) return;
    const disposition = String(answer.headers['content-disposition']);
    const [, extended] = /filename\*=UTF-8''([^;]+)/i.exec(disposition) ?? [];
    const [, token] = /filename=([^";]+)/.exec(disposition) ?? [];
    const [, quoted = token] = /filename="((?:[^"\\]|\\.)*)"/.exec(disposition) ?? [];
    const saved = extended ? decodeURIComponent(extended) : quoted?.replace(/\\(.)/g, '$1');
    // Browsers take what is before a slash or a backslash for a folder, and leave it out.
    expect(name).toContain(saved?.split('\\').at(-1));
  });
});

describe('what the server refuses', () => {
  const body = '<h1>SENTINEL of the server</h1>';
  const refusal = (status: number, headers: Record<string, string> = {}): Reply => ({
    status,
    reason: 'SENTINEL',
    headers: { 'Content-Type': 'text/html', 'X-Error': 'SENTINEL', ...headers },
    body,
  });

  const rows: [number, number | number[]][] = [
    [400, 404],
    [403, 403],
    [404, 404],
    [410, [404, 410]],
    [423, 423],
  ];

  it.each(rows)('with %d is a page with %j, which leads to the parent folder (R42)', async (serverStatus, status) => {
    const logged = common().app.output().length - 1;
    for (const [path, parent] of [
      ['/folders/Documents/Letters', '/folders/Documents'],
      ['/files/Documents/notes.txt', '/folders/Documents'],
      ['/folders/Documents', '/folders'],
      ['/files/digits.txt', '/folders'],
      ['/files/Documents/a%20b%3F.txt', '/folders/Documents'],
    ] as const) {
      for (const onlyFiles of [false, true]) {
        if (onlyFiles && (path.startsWith('/folders') || path.includes('%20'))) continue;
        if (onlyFiles) answerFile(common(), refusal(serverStatus));
        else common().stub.answer = () => refusal(serverStatus);
        const answer = await common().get(path);
        expect([path, answer.status]).toEqual([path, expect.any(Number)]);
        expect([status].flat()).toContain(answer.status);
        expect([path, mainLink(answer)]).toEqual([path, parent]);
        expect(answer.text).not.toMatch(/SENTINEL|Try again/);
        expect(answer.rawHeaders.join()).not.toContain('SENTINEL');
      }
    }
    expect(common().app.output().slice(logged).join('\n')).not.toContain('SENTINEL');
  });

  it.each([500, 501, 502, 504, 507, 418, 402, 451, 408, 599])(
    'with %d is a page with 502 (R42, R51)',
    async (status) => {
      const logged = common().app.output().length - 1;
      for (const path of ['/folders/Documents', '/files/digits.txt', '/folders']) {
        for (const onlyFiles of [false, true]) {
          if (onlyFiles && path.startsWith('/folders')) continue;
          if (onlyFiles) answerFile(common(), refusal(status));
          else common().stub.answer = () => refusal(status);
          const answer = await common().get(path);
          // 504 and 408 may be told as what they are: late.
          expect(status === 504 || status === 408 ? [502, 504] : [502]).toContain(answer.status);
          expect(sentences(answer)).toContain('PowerFolder');
          expect(answer.text + answer.rawHeaders.join()).not.toContain('SENTINEL');
        }
      }
      expect(common().app.output().slice(logged).join('\n')).not.toContain('SENTINEL');
    },
  );

  it.each([
    [429, '30', 30],
    [503, '30', 30],
    [503, ' 30 ', 30],
    [503, new Date(Date.now() + 3_600_000).toUTCString(), undefined],
    [429, undefined, undefined],
    [503, 'soon', undefined],
    [503, '-5', undefined],
    [503, '1e999', undefined],
  ])('with %d and Retry-After %j is 503 that says when to come back (R51)', async (status, retryAfter, seconds) => {
    for (const path of ['/folders/Documents', '/files/digits.txt']) {
      common().stub.answer = () => refusal(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter });
      const answer = await common().get(path);
      expect(answer.status).toBe(503);
      const told = answer.headers['retry-after'];
      if (seconds !== undefined) expect(Number(told)).toBe(seconds);
      else if (retryAfter?.endsWith('GMT'))
        expect(Number(told) > 3000 || Date.parse(told ?? '') > Date.now()).toBe(true);
      else expect([undefined, '0']).toContain(told);
    }
  });

  it('with 401 costs one refresh, and the visitor sees nothing of it', async () => {
    const { stub, get, token } = of('nginx');
    stub.powerFolder.expireTokens();
    const answer = await get('/files/digits.txt');
    expect([answer.status, answer.text]).toEqual([200, digits]);
    expect(stub.requests.filter(({ url }) => url === '/pf/oauth/token')).toHaveLength(1);
    const tokens = stub.webdavRequests().map(({ headers }) => headers.authorization);
    expect(tokens[0]).toBe(`Bearer ${token}`);
    expect(tokens.at(-1)).not.toBe(`Bearer ${token}`);
    for (const path of ['/folders', '/files/digits.txt']) expect((await get(path)).status).toBe(200);
    expect(stub.requests.filter(({ url }) => url === '/pf/oauth/token')).toHaveLength(1);
  });

  it('with 401 for good ends on a page: a sign-in would end there again', async () => {
    for (const path of ['/files/digits.txt', '/folders/Documents']) {
      const own = await startWebDAVExample({ tree });
      try {
        own.stub.answer = () => refusal(401, { 'WWW-Authenticate': 'Basic realm="SENTINEL"' });
        const answer = await own.get(path);
        expect([answer.status, answer.headers['location']]).toEqual([502, undefined]);
        expect(answer.text + answer.rawHeaders.join()).not.toContain('SENTINEL');
        expect(own.stub.requests.filter(({ url }) => url === '/pf/oauth/token')).toHaveLength(1);
        expect(own.stub.webdavRequests().length).toBeLessThanOrEqual(4);
      } finally {
        await own.close();
      }
    }
  });
});

describe('a server that is silent', () => {
  it('costs a page with 504, and the other pages answer meanwhile (R49, R51)', async () => {
    const { stub, get } = common();
    stub.answer = () => 'silence';
    const waiting = ['/folders', '/folders/Documents', '/files/digits.txt'].map((path) => get(path));
    answerFile(of('nginx'), 'silence');
    waiting.push(of('nginx').get('/files/digits.txt'));
    // The beginning of an answer is none.
    of('webdav-servlet').stub.answer = () => ({ raw: 'HTTP/1.1 207 Multi-Status\r\nContent-', keepOpen: true });
    waiting.push(of('webdav-servlet').get('/folders/Documents'));
    let answered = 0;
    for (const each of waiting) each.then(() => answered++).catch(() => {});
    for (const path of ['/', '/account', '/healthz', '/style.css']) expect((await get(path)).status).toBe(200);
    expect(answered).toBe(0);
    for (const answer of await Promise.all(waiting)) {
      expect([answer.status, sentences(answer)]).toEqual([504, expect.stringContaining('PowerFolder')]);
    }
  });

  it('in the middle of a listing costs a page with 504 too (R49, R51)', async () => {
    const { stub, get } = common();
    stub.answer = ({ method, depth }) =>
      method === 'PROPFIND' && depth !== '0'
        ? {
            raw: 'HTTP/1.1 207 Multi-Status\r\nContent-Length: 5000\r\n\r\n<D:multistatus xmlns:D="DAV:">',
            keepOpen: true,
          }
        : undefined;
    const answer = await get('/folders/Documents');
    expect(answer.status).toBe(504);
  });

  it('or gone is a page with 502, and the other pages answer (R49)', async () => {
    const own = await startWebDAVExample({ tree });
    try {
      await own.stub.close();
      for (const path of ['/folders', '/files/digits.txt'])
        expect([path, (await own.get(path)).status]).toEqual([path, 502]);
      for (const path of ['/', '/account', '/healthz'])
        expect([path, (await own.get(path)).status]).toEqual([path, 200]);
    } finally {
      await own.app.stop('SIGKILL');
    }
  });
});
