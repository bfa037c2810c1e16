/** Answers that are too much: what they cost the example, whose process has little memory. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { gzipSync } from 'node:zlib';
import { type Listener, listen } from '../support/listener.ts';
import { rounds } from '../support/rounds.ts';
import { until } from '../support/until.ts';
import {
  type Answer,
  entries,
  pagesOf,
  sentences,
  startWebDAVExample,
  strayRequests,
  type WebDAVExample,
} from '../support/webdav-example.ts';
import { modified, type Reply, type StubRequest } from '../support/webdav-stub-server.ts';

const mebibyte = 1024 ** 2;
/** What the process may take at most: the heap below, what Node needs besides, and buffers. */
const mostMemory = 400 * mebibyte;
/** What may be read of an answer that is too long; what lies in sockets on the way included. */
const mostRead = 64 * mebibyte;

let example: WebDAVExample | undefined;

/** The app; another one when the last answer ended it, or left it so large that the next could not be measured. */
async function running(): Promise<WebDAVExample> {
  const page = await example?.get('/healthz').catch(() => undefined);
  if (example && page?.status === 200 && memory(example, 'VmRSS') < mostMemory / 2) return example;
  await example?.close();
  example = await startWebDAVExample({ environment: { NODE_OPTIONS: '--max-old-space-size=256' } });
  return example;
}

afterAll(() => example?.close());

const linux = existsSync('/proc/self/status');
if (!linux) process.stderr.write('NOT RUN: /proc not found, so memory and descriptors are not looked at\n');

/** Begins to measure: the peak is from now on. */
function forgetPeak({ app }: WebDAVExample): void {
  if (linux) writeFileSync(`/proc/${app.process.pid}/clear_refs`, '5');
}

/** VmRSS: resident now; VmHWM: at most. */
function memory({ app }: WebDAVExample, field: 'VmRSS' | 'VmHWM'): number {
  if (!linux) return 0;
  const status = readFileSync(`/proc/${app.process.pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s*(\\d+)`).exec(status)?.[1]) * 1024;
}

const openFiles = ({ app }: WebDAVExample) => (linux ? readdirSync(`/proc/${app.process.pid}/fd`).length : 0);

const ok = '<D:status>HTTP/1.1 200 OK</D:status>';
const head = '<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">';
const foot = '</D:multistatus>';
const xmlType = { 'Content-Type': 'application/xml; charset=utf-8' };
const itself = `<D:response><D:href>/pf/webdav/Big/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>${ok}</D:propstat></D:response>`;

function entry(name: string, more = ''): string {
  return `<D:response><D:href>/pf/webdav/Big/${name}</D:href><D:propstat><D:prop><D:resourcetype/><D:getcontentlength>5</D:getcontentlength><D:getlastmodified>${modified}</D:getlastmodified>${more}</D:prop>${ok}</D:propstat></D:response>`;
}

/** `count` entries, in pieces. */
function* listing(count: number): Generator<string> {
  yield head + itself;
  for (let i = 0; i < count; ) {
    let piece = '';
    for (const end = Math.min(count, i + 200); i < end; i++) piece += entry(`file${String(i).padStart(7, '0')}.txt`);
    yield piece;
  }
  yield foot;
}

/** Again and again. 512 MiB: more than an application should read, and no danger to the machine when one does. */
function* endless(piece: string | Buffer, first = ''): Generator<string | Buffer> {
  yield first;
  for (let sent = 0; sent < 512 * mebibyte; sent += piece.length) yield piece;
}

const filler = (text: string) => text.repeat(Math.ceil(65_536 / text.length));

interface Outcome {
  app: WebDAVExample;
  page: Answer;
  peak: number;
  /** Of the answer in question. */
  sent: number;
}

/** Asks for a folder whose listing is this, while the other pages are looked at. */
async function ask(reply: Reply | ((request: StubRequest) => Reply), path = '/folders/Big'): Promise<Outcome> {
  const app = await running();
  const { stub } = app;
  stub.requests.length = 0;
  stub.answer = (request) => {
    const { method, depth } = request;
    if (path.startsWith('/folders') && method === 'PROPFIND' && depth === '0') {
      return { status: 207, headers: xmlType, body: head + itself + foot };
    }
    if (path.startsWith('/files') && method === 'PROPFIND') {
      return { status: 207, headers: xmlType, body: head + entry(path.slice('/files/Big/'.length)) + foot };
    }
    return typeof reply === 'function' ? reply(request) : reply;
  };
  forgetPeak(app);
  const page = await app.get(path);
  const peak = memory(app, 'VmHWM');
  // Nothing goes on behind the page.
  await until(() => stub.openConnections <= 16);
  const sent = Math.max(0, ...stub.webdavRequests().map((request) => request.sent));
  expect((await app.get('/healthz')).status).toBe(200);
  expect(strayRequests(stub)).toEqual([]);
  return { app, page, peak, sent };
}

function expectBounded({ peak, sent }: Outcome): void {
  expect(peak).toBeLessThan(mostMemory);
  expect(sent).toBeLessThan(mostRead);
}

function expectRefused({ page }: Outcome): void {
  expect([page.status, sentences(page)]).toEqual([502, expect.stringContaining('PowerFolder')]);
  expect(page.text.length).toBeLessThan(100_000);
}

/** The pages show the first entries, say that there are more, and how many they show. */
async function expectTooMany({ app, page }: Outcome): Promise<void> {
  const [sentence = ''] = /[^.]*too many to show[^.]*\.[^.]*\.?/i.exec(sentences(page)) ?? [];
  expect([page.status, sentence]).toEqual([200, expect.stringMatching(/too many to show/i)]);
  const shown = (await pagesOf(app, '/folders/Big')).flatMap(entries);
  expect(shown.length).toBeGreaterThanOrEqual(1000);
  expect(new Set(shown.map(({ href }) => href)).size).toBe(shown.length);
  expect(sentence.replace(/(?<=\d)[,.\u00a0 ](?=\d{3})/g, '')).toContain(String(shown.length));
}

describe('a long listing', () => {
  it('of 500 entries is shown whole, on pages of 200 (R62)', async () => {
    const { app, page } = await ask(() => ({ status: 207, headers: xmlType, body: listing(500) }));
    const pages = await pagesOf(app, '/folders/Big');
    expect(pages.map((each) => [each.status, entries(each).length])).toEqual([
      [200, 200],
      [200, 200],
      [200, 100],
    ]);
    expect(new Set(pages.flatMap(entries).map(({ href }) => href)).size).toBe(500);
    expect(sentences(page)).not.toMatch(/too many|not shown/i);
  });

  it('of 20,000 entries is shown in part, which the page says with the number (R62)', async () => {
    const outcome = await ask(() => ({ status: 207, headers: xmlType, body: listing(20_000) }));
    await expectTooMany(outcome);
    expectBounded(outcome);
  });

  it('of 1,000,000 entries is not read to its end (R62)', async () => {
    const outcome = await ask(() => ({ status: 207, headers: xmlType, body: listing(1_000_000) }));
    await expectTooMany(outcome);
    expectBounded(outcome);
  });

  it('without an end is not read on (R62)', async () => {
    const outcome = await ask({
      status: 207,
      headers: xmlType,
      body: endless(filler(entry('again.txt')), head + itself),
    });
    expectBounded(outcome);
    expect([200, 502]).toContain(outcome.page.status);
    if (outcome.page.status === 200) expect(sentences(outcome.page)).toMatch(/too many to show/i);
  });

  it('with a length of 512 MiB that it announces is not read (R62)', async () => {
    const headers = { ...xmlType, 'Content-Length': String(512 * mebibyte) };
    const outcome = await ask({ status: 207, headers, body: endless(filler(' '), head + itself) });
    expectBounded(outcome);
    expectRefused(outcome);
  });

  it('that is asked for ten times at once is bounded too (R62)', async () => {
    await ask(() => ({ status: 207, headers: xmlType, body: listing(20_000) }));
    const app = await running();
    app.stub.answer = () => ({ status: 207, headers: xmlType, body: listing(20_000) });
    forgetPeak(app);
    const pages = await Promise.all(Array.from({ length: 10 }, () => app.get('/folders/Big')));
    expect(pages.map(({ status }) => status)).toEqual(Array(10).fill(200));
    expect(memory(app, 'VmHWM')).toBeLessThan(mostMemory);
  });
});

describe('a listing that is nothing but', () => {
  it.each<[string, string, string]>([
    ['white space', head, ' \n'],
    ['white space before the XML', '', ' \n'],
    ['a comment', `${head}<!--`, 'x '],
    ['a text', `${head}${itself}<D:response><D:href>/pf/webdav/Big/`, 'x'],
    ['CDATA', `${head}${itself}<D:response><D:href><![CDATA[`, 'x'],
    [
      'a displayname',
      `${head}${itself}<D:response><D:href>/pf/webdav/Big/a</D:href><D:propstat><D:prop><D:displayname>`,
      'x',
    ],
    ['an attribute', `${head}<D:response x="`, 'x'],
    ['a tag name', `${head}<`, 'x'],
    ['a processing instruction', `${head}<?x `, 'x'],
    ['a DOCTYPE', '<?xml version="1.0"?><!DOCTYPE D:multistatus [<!-- ', 'x'],
    ['depth', head, '<D:response>'],
    ['empty entries', head, '<D:response/>'],
    ['entries that cannot be read', head + itself, '<D:response><D:href>%</D:href></D:response>'],
    ['HTML', '<!doctype html><html><body>', '<p>Hello'],
    ['NUL bytes', '', '\0'],
  ])('%s without an end is refused before it costs much (R62)', async (_, first, piece) => {
    const outcome = await ask({ status: 207, headers: xmlType, body: endless(filler(piece), first) });
    expectBounded(outcome);
    // Entries that cannot be read may be counted up to the cap.
    if (outcome.page.status !== 200) expectRefused(outcome);
    else expect(sentences(outcome.page)).toMatch(/too many to show|not shown/i);
  });
});

describe('a listing of 199 KiB', () => {
  const size = 199 * 1024;
  const fill = (first: string, piece: string, last: string) =>
    first + piece.repeat(Math.floor((size - first.length - last.length) / piece.length)) + last;

  const laughs = (levels: number) =>
    Array.from({ length: levels }, (_, i) => `<!ENTITY l${i + 1} "${`&l${i};`.repeat(10)}">`).join('');

  it.each<[string, string]>([
    ['deep nesting', fill(head, '<a>', '')],
    ['deep nesting that is closed', head + '<a>'.repeat(28_000) + '</a>'.repeat(28_000) + foot],
    [
      'deep nesting within an entry',
      `${head}${itself}<D:response><D:href>/pf/webdav/Big/a</D:href>${'<D:propstat><D:prop>'.repeat(5000)}`,
    ],
    [
      '100,000 attributes',
      `${head}<D:response ${Array.from({ length: 18_000 }, (_, i) => `a${i}="b"`).join(' ')}/>${foot}`,
    ],
    ['the same attribute 25,000 times', fill(`${head}<D:response `, 'a="b" ', `/>${foot}`)],
    ['10,000 namespaces', `${head}${Array.from({ length: 9000 }, (_, i) => `<x xmlns:n${i}="u"/>`).join('')}${foot}`],
    [
      'a million laughs',
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "laugh">${laughs(9)}]><D:multistatus xmlns:D="DAV:">${itself}${entry('&l9;')}${foot}`,
    ],
    [
      'laughs in a quadratic blow-up',
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l "${'laugh'.repeat(20_000)}">]><D:multistatus xmlns:D="DAV:">${itself}${entry('&l;'.repeat(20_000))}${foot}`,
    ],
    [
      'entities that refer to each other',
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "&b;"><!ENTITY b "&a;">]><D:multistatus xmlns:D="DAV:">${itself}${entry('&a;')}${foot}`,
    ],
    [
      'parameter entities',
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY % a "<!ENTITY b 'laugh'>"> %a;]><D:multistatus xmlns:D="DAV:">${itself}${entry('&b;')}${foot}`,
    ],
    [
      'an entity called after a built-in',
      `<?xml version="1.0"?><!DOCTYPE x [<!ENTITY amp "laugh"><!ENTITY lt "laugh"><!ENTITY toString "laugh"><!ENTITY __proto__ "laugh">]><D:multistatus xmlns:D="DAV:">${itself}${entry('&amp;&lt;&__proto__;')}${foot}`,
    ],
    ['60,000 unfinished tags', fill(head, '<a ', '')],
    ['60,000 "<"', fill(head, '<', '')],
    ['200,000 "&"', fill(`${head}${itself}<D:response><D:href>`, '&', '')],
    ['character references', `${head}${itself}${entry('&#x41;'.repeat(30_000))}${foot}`],
    [
      'character references of no character',
      `${head}${itself}${entry('&#xFFFFFFFF;&#0;&#xD800;&#99999999999;')}${foot}`,
    ],
    ['unfinished CDATA', fill(head, '<![CDATA[', '')],
    ['unfinished comments', fill(head, '<!--', '')],
    ['"]]" without end', fill(`${head}<![CDATA[`, ']]', '')],
    ['a DOCTYPE of brackets', fill('<?xml version="1.0"?><!DOCTYPE x [', '[', `]>${head}${foot}`)],
    [
      'a DOCTYPE of 10,000 entities',
      `<?xml version="1.0"?><!DOCTYPE x [${Array.from({ length: 8000 }, (_, i) => `<!ENTITY e${i} "laugh">`).join('')}]><D:multistatus xmlns:D="DAV:">${itself}${entry('&e1;')}${foot}`,
    ],
    [
      'one entry with 15,000 propstats',
      `${head}${itself}<D:response><D:href>/pf/webdav/Big/a</D:href>${'<D:propstat/>'.repeat(15_000)}</D:response>${foot}`,
    ],
    [
      'one entry with 15,000 hrefs',
      `${head}${itself}<D:response>${'<D:href>a</D:href>'.repeat(10_000)}</D:response>${foot}`,
    ],
    ['one href of 190,000 slashes', `${head}${itself}${entry('/'.repeat(190_000))}${foot}`],
    ['one href of 60,000 "%2e"', `${head}${itself}${entry('%2e'.repeat(60_000))}${foot}`],
    ['one href of 190,000 combining marks', `${head}${itself}${entry('e\u0301\u0323'.repeat(38_000))}${foot}`],
    [
      'a length of 190,000 digits',
      `${head}${itself}${entry('a.txt', `<D:getcontentlength>${'1'.repeat(190_000)}</D:getcontentlength>`)}${foot}`,
    ],
    [
      'a date of 190,000 digits',
      `${head}${itself}${entry('a.txt', `<D:getlastmodified>${'1'.repeat(190_000)}</D:getlastmodified>`)}${foot}`,
    ],
  ])('with %s costs a clear page, and no more (R62)', async (_, xml) => {
    const outcome = await ask({ status: 207, headers: xmlType, body: xml });
    expectBounded(outcome);
    expect(outcome.page.text).not.toContain('laugh');
    if (outcome.page.status !== 200) expectRefused(outcome);
    else expect(outcome.page.text.length).toBeLessThan(4 * mebibyte);
  });

  it('with external entities reaches nobody, and no file (R62)', async () => {
    const elsewhere: Listener = await listen((_req, res) => res.end('DRAWN-IN'));
    try {
      for (const doctype of [
        `<!DOCTYPE x SYSTEM "${elsewhere.url}/x.dtd">`,
        `<!DOCTYPE x PUBLIC "-//x" "${elsewhere.url}/x.dtd">`,
        `<!DOCTYPE x [<!ENTITY reached SYSTEM "${elsewhere.url}/x">]>`,
        '<!DOCTYPE x [<!ENTITY reached SYSTEM "file:///etc/passwd">]>',
        `<!DOCTYPE x [<!ENTITY % p SYSTEM "${elsewhere.url}/x"> %p;]>`,
        `<?xml-stylesheet href="${elsewhere.url}/x.xsl"?>`,
      ]) {
        for (const use of [
          'a.txt',
          '&reached;',
          `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="${elsewhere.url}/x"/>`,
        ]) {
          const xml = `<?xml version="1.0"?>${doctype}<D:multistatus xmlns:D="DAV:">${itself}${entry(use)}${foot}`;
          const { page } = await ask({ status: 207, headers: xmlType, body: xml });
          expect([200, 502]).toContain(page.status);
          expect(page.text).not.toMatch(/root:|DRAWN-IN/);
        }
      }
      expect(elsewhere.requests).toEqual([]);
    } finally {
      await elsewhere.close();
    }
  });
});

describe('a packed listing', () => {
  const packed = (xml: string) => gzipSync(xml, { level: 9 });

  it.each(['gzip', 'x-gzip', 'deflate', 'br', 'gzip, gzip'])(
    'with Content-Encoding: %s, although identity was asked for, is not unpacked (R62)',
    async (encoding) => {
      const headers = { ...xmlType, 'Content-Encoding': encoding };
      const outcome = await ask({ status: 207, headers, body: packed(head + itself + entry('a.txt') + foot) });
      expectRefused(outcome);
      for (const { headers } of (await running()).stub.webdavRequests())
        expect(headers['accept-encoding']).toBe('identity');
    },
  );

  it.each([
    ['50 MiB', 1],
    ['200 MiB', 4],
  ])('that would be %s of entries costs nothing (R62)', async (_, times) => {
    // The members of a gzip file follow each other.
    const many = packed(entry('a.txt').repeat(190_000));
    const body = Buffer.concat([packed(head + itself), ...Array<Buffer>(times).fill(many), packed(foot)]);
    expect(body.length).toBeLessThan(mebibyte);
    const outcome = await ask({ status: 207, headers: { ...xmlType, 'Content-Encoding': 'gzip' }, body });
    expectBounded(outcome);
    expectRefused(outcome);
  });

  it('of blanks that would be 64 MiB costs nothing (R62)', async () => {
    const body = packed(' '.repeat(64 * mebibyte));
    for (const path of ['/folders/Big', '/files/Big/a.txt']) {
      const headers = { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip' };
      const outcome = await ask({ status: path.startsWith('/folders') ? 207 : 200, headers, body }, path);
      expectBounded(outcome);
      // What was packed on the way is not the file.
      expectRefused(outcome);
    }
  });
});

describe('the body of a refusal', () => {
  it.each([301, 401, 403, 404, 416, 423, 500, 503])('is not read: 512 MiB with %d (R62)', async (status) => {
    for (const path of ['/folders/Big', '/files/Big/a.txt']) {
      const body = endless(filler('SENTINEL '));
      const outcome = await ask(
        ({ method, headers }) =>
          // 401 with every token would end the session; here the first is refused.
          status === 401 && headers.authorization !== `Bearer ${example?.token}`
            ? { headers: { 'Content-Type': 'text/plain' }, status: method === 'PROPFIND' ? 404 : 200, body: 'x' }
            : { status, headers: { 'Content-Type': 'text/html' }, body },
        path,
      );
      expect(outcome.page.text).not.toContain('SENTINEL');
      expectBounded(outcome);
      // Its token is another one now.
      if (status === 401) await restart();
    }
  });

  async function restart(): Promise<void> {
    await example?.close();
    example = undefined;
  }

  it(`of 1 MB, ${rounds(60, 1000)} times, leaves no connection and no descriptor behind (R62)`, async () => {
    const app = await running();
    await ask(
      { status: 404, headers: { 'Content-Type': 'text/html' }, body: 'x'.repeat(1_000_000) },
      '/files/Big/a.txt',
    );
    const before = openFiles(app);
    let left = rounds(60, 1000);
    const worker = async () => {
      while (left-- > 0) expect((await app.get('/files/Big/a.txt')).status).toBe(404);
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    await until(() => app.stub.openConnections <= 16);
    await until(() => openFiles(app) <= before + 16);
  });
});

describe('a file without an end', () => {
  it('is streamed: nobody holds it, and it ends with the visitor (R62, R63)', async () => {
    const app = await running();
    const { stub } = app;
    stub.requests.length = 0;
    stub.answer = ({ method }) =>
      method === 'PROPFIND'
        ? { status: 207, headers: xmlType, body: head + entry('a.txt') + foot }
        : { headers: { 'Content-Type': 'text/plain' }, body: endless(filler('x')) };
    forgetPeak(app);
    const { hostname, port } = new URL(app.app.url);
    const visitor = request({
      hostname,
      port,
      path: '/files/Big/a.txt',
      headers: { cookie: app.browser.cookies(app.app.url) },
      agent: false,
    });
    let received = 0;
    visitor
      .on('error', () => {})
      .on('response', (answer) => {
        answer
          .on('error', () => {})
          .on('data', (piece: Buffer) => {
            received += piece.length;
            if (received > 200 * mebibyte) visitor.destroy();
          });
      });
    visitor.end();
    await until(() => received > 200 * mebibyte);
    await until(() => stub.openConnections <= 16);
    expect(memory(app, 'VmHWM')).toBeLessThan(mostMemory);
    const sent = Math.max(...stub.webdavRequests().map((each) => each.sent));
    expect(sent).toBeLessThan(received + mostRead);
  });
});
