/** Odd answers to PROPFIND: what a folder's page shows of them, and what it says of the rest. */
import {
  type Answer,
  entries,
  mainLink,
  sentences,
  startWebDAVExample,
  strayRequests,
  type WebDAVExample,
} from '../support/webdav-example.ts';
import { makes, modified, type Reply, smallTree } from '../support/webdav-stub-server.ts';

let example: WebDAVExample;
beforeAll(async () => {
  example = await startWebDAVExample();
});
afterAll(() => example.close());

beforeEach(() => {
  example.stub.requests.length = 0;
  example.stub.answer = () => undefined;
});
afterEach(() => expect(strayRequests(example.stub)).toEqual([]));

const root = '/pf/webdav/Odd/';
const xmlType = { 'Content-Type': 'application/xml; charset=utf-8' };

const file = '<D:resourcetype/>';
const folder = '<D:resourcetype><D:collection/></D:resourcetype>';
const ok = '<D:status>HTTP/1.1 200 OK</D:status>';
const five = '<D:getcontentlength>5</D:getcontentlength>';
const dated = `<D:getlastmodified>${modified}</D:getlastmodified>`;

function propstat(props: string, status = ok): string {
  return `<D:propstat><D:prop>${props}</D:prop>${status}</D:propstat>`;
}

function response(href: string, content = propstat(`${file}<D:getcontentlength>1234</D:getcontentlength>${dated}`)) {
  return `<D:response><D:href>${href}</D:href>${content}</D:response>`;
}

const itself = response(root, propstat(folder + dated));
const first = response(`${root}first.txt`);
const last = response(`${root}last/`, propstat(folder + dated));

const multistatus = (...responses: string[]) =>
  `<?xml version="1.0" encoding="utf-8"?><D:multistatus xmlns:D="DAV:">${responses.join('')}</D:multistatus>`;

/** The page of a folder whose listing is this; whoever asks for less than the listing gets the folder itself. */
async function pageOf(listing: string | Buffer | Reply): Promise<Answer> {
  const reply: Reply =
    typeof listing === 'string' || Buffer.isBuffer(listing)
      ? { status: 207, headers: xmlType, body: listing }
      : listing;
  example.stub.answer = ({ method, url, depth }) => {
    if (method !== 'PROPFIND' || !/\/Odd\/?$/.test(url)) return undefined;
    return depth === '0' ? { status: 207, headers: xmlType, body: multistatus(itself) } : reply;
  };
  return await example.get('/folders/Odd');
}

/** Name, size and date, as a row shows them; folders with a slash. */
function shown(page: Answer): string[] {
  return entries(page).map(({ name, folder, row, path }) => {
    expect(path.slice(0, -1)).toEqual(['Odd']);
    expect(path.at(-1)).toBe(name);
    return `${name}${folder ? '/' : ''}${row
      .replace(/^Folder|^File/, '')
      .trim()
      .slice(name.trim().length)}`;
  });
}

const folderRow = 'last/ 2 Jun 2026';
const fileRow = 'first.txt 1.2 kB 2 Jun 2026';

function expectNoNonsense(page: Answer): void {
  expect(sentences(page)).not.toMatch(/NaN|undefined|null|Infinity|-1\b|Invalid Date|\[object|1 Jan 1970/);
}

/** How many entries the page says that it does not show. */
function notShown(page: Answer): number {
  const [, sentence = ''] = /<p\b[^>]*>([^<]*\bnot shown\b[^<]*)</i.exec(page.text) ?? [];
  if (sentence === '') return 0;
  const [number = ''] = /\d[\d,]*|\b(?:one|an?)\b/i.exec(sentence) ?? [];
  return /\d/.test(number) ? Number(number.replace(/,/g, '')) : number ? 1 : Number.NaN;
}

describe('the small tree', () => {
  it.each(makes)('is shown whole from %s (R64)', async (make) => {
    const other = await startWebDAVExample({ make });
    try {
      const top = await other.get('/folders');
      expect(top.status).toBe(200);
      expect(entries(top).map(({ href, name }) => [href, name])).toEqual([
        ['/folders/Documents', 'Documents'],
        ['/folders/Empty', 'Empty'],
        ['/files/readme.txt', 'readme.txt'],
      ]);
      for (const { row } of entries(top)) expect(row).toContain('2 Jun 2026');
      const documents = await other.get('/folders/Documents');
      expect(entries(documents).map(({ href }) => href)).toEqual([
        '/folders/Documents/Letters',
        '/files/Documents/notes.txt',
      ]);
      expect(entries(documents)[1]?.row).toContain('24 bytes');
      const empty = await other.get('/folders/Empty');
      expect([empty.status, entries(empty)]).toEqual([200, []]);
      expect(sentences(empty)).toContain('empty');
      for (const page of [top, documents, empty]) expect(notShown(page)).toBe(0);
      expect(strayRequests(other.stub)).toEqual([]);
      for (const { body } of other.stub.webdavRequests().filter(({ method }) => method === 'PROPFIND')) {
        // Without a body webdav-servlet says 500; lock owners, which it does not escape, stay out when not asked for.
        expect(body).toMatch(/<(?:\w+:)?prop\b/);
        expect(body).not.toContain('lockdiscovery');
      }
    } finally {
      await other.close();
    }
  });

  it('is the tree that the stub has', () =>
    expect(Object.keys(smallTree)).toEqual(['Documents', 'Empty', 'readme.txt']));
});

describe('one odd entry', () => {
  const odd: [string, string][] = [
    ['a bare % in its href', response(`${root}100%`)],
    ['%FC in its href', response(`${root}f%FCr.txt`)],
    ['%E4 in its href', response(`${root}%E4.txt`)],
    ['%zz in its href', response(`${root}%zz`)],
    ['no href', `<D:response>${propstat(file)}</D:response>`],
    ['an empty href', response('')],
    ['an href of another host that is not below the folder', response('https://evil.example/x')],
    ['only a status of 403', response(`${root}secret`, '<D:status>HTTP/1.1 403 Forbidden</D:status>')],
    ['an encoded slash in its name', response(`${root}a%2Fb`)],
    ['two dots for a name', response(`${root}%2e%2e/`)],
    ['NUL in its name', response(`${root}a%00b`)],
  ];

  it.each(odd)('with %s leaves the rest whole, and is counted (R64)', async (_, entry) => {
    for (const listing of [
      [itself, first, entry, last],
      [itself, entry, first, last],
      [itself, first, last, entry],
    ]) {
      const page = await pageOf(multistatus(...listing));
      expect([page.status, shown(page)]).toEqual([200, [folderRow, fileRow]]);
      expectNoNonsense(page);
      expect(notShown(page)).toBe(1);
    }
  });

  /** Whether these are entries is a matter of opinion: shown without nonsense, or left out. */
  const doubtful: [string, string][] = [
    ['only a status of 404', response(`${root}gone`, '<D:status>HTTP/1.1 404 Not Found</D:status>')],
    ['nothing but an href', response(`${root}bare`, '')],
    ['a propstat without a prop', response(`${root}bare`, `<D:propstat>${ok}</D:propstat>`)],
    [
      'nothing but a 404 propstat',
      response(`${root}bare`, propstat('<D:resourcetype/>', ok.replace('200 OK', '404 Not Found'))),
    ],
    ['a path beside the folder', response('/pf/webdav/Elsewhere/x.txt')],
    ['a path deeper than the folder', response(`${root}deep/er/x.txt`)],
    ['a propstat without a status', response(`${root}bare`, propstat(file, ''))],
    ['a status that is none', response(`${root}bare`, propstat(file, '<D:status>fine</D:status>'))],
    [
      'two hrefs and one status',
      response(`${root}one</D:href><D:href>${root}two`, '<D:status>HTTP/1.1 423 Locked</D:status>'),
    ],
  ];

  it.each(doubtful)('with %s leaves the rest whole (R64)', async (_, entry) => {
    for (const listing of [
      [itself, first, entry, last],
      [itself, entry, first, last],
    ]) {
      const page = await pageOf(multistatus(...listing));
      const rows = shown(page);
      expect([page.status, rows]).toEqual([200, expect.arrayContaining([folderRow, fileRow])]);
      expect(rows.filter((row) => row !== folderRow && row !== fileRow).join()).toMatch(/^(bare)?$/);
      expectNoNonsense(page);
      expect(rows.length - 2 + notShown(page)).toBeLessThanOrEqual(2);
    }
  });

  it('and many of them are counted (R64)', async () => {
    const page = await pageOf(multistatus(itself, ...odd.map(([, entry]) => entry), first, last));
    expect([page.status, shown(page), notShown(page)]).toEqual([200, [folderRow, fileRow], odd.length]);
  });

  it.each([
    [
      'a 404 propstat before the 200 one',
      propstat('<D:getcontenttype/><D:quota/>', ok.replace('200 OK', '404 Not Found')) +
        propstat(`${file}<D:getcontentlength>5</D:getcontentlength>${dated}`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'the length in a 404 propstat',
      propstat('<D:getcontentlength/>', ok.replace('200 OK', '404 Not Found')) + propstat(`${file}${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'two propstats of 200',
      propstat(file) + propstat(`<D:getcontentlength>5</D:getcontentlength>${dated}`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'a status in lower case and of HTTP/2',
      propstat(`${file}${five}${dated}`, '<D:status>http/2 200</D:status>'),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'a status within white space',
      propstat(`${file}${five}${dated}`, '<D:status>\n  HTTP/1.1 200 OK\n</D:status>'),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    ['no length', propstat(`${file}${dated}`), 'odd.txt 2 Jun 2026'],
    ['an empty length', propstat(`${file}<D:getcontentlength/>${dated}`), 'odd.txt 2 Jun 2026'],
    ['a negative length', propstat(`${file}<D:getcontentlength>-1</D:getcontentlength>${dated}`), 'odd.txt 2 Jun 2026'],
    [
      'a huge length',
      propstat(`${file}<D:getcontentlength>${'9'.repeat(400)}</D:getcontentlength>${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'a length in words',
      propstat(`${file}<D:getcontentlength>many</D:getcontentlength>${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'a length in hexadecimal',
      propstat(`${file}<D:getcontentlength>0x10</D:getcontentlength>${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'a length that is a list',
      propstat(`${file}<D:getcontentlength>5, 6</D:getcontentlength>${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'two lengths',
      propstat(`${file}<D:getcontentlength>x</D:getcontentlength><D:getcontentlength>y</D:getcontentlength>${dated}`),
      'odd.txt 2 Jun 2026',
    ],
    [
      'a length of 0',
      propstat(`${file}<D:getcontentlength>0</D:getcontentlength>${dated}`),
      'odd.txt 0 bytes 2 Jun 2026',
    ],
    [
      'a length within white space',
      propstat(`${file}<D:getcontentlength>\n5 </D:getcontentlength>${dated}`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'a date with an attribute',
      propstat(
        `${file}${five}<D:getlastmodified xmlns:b="urn:uuid:c2f41010-65b3-11d1-a29f-00aa00c14882/" b:dt="dateTime.rfc1123">${modified}</D:getlastmodified>`,
      ),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'a length with an attribute',
      propstat(`${file}<D:getcontentlength xmlns:b="urn:b" b:dt="int">5</D:getcontentlength>${dated}`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    ['no date', propstat(file + five), 'odd.txt 5 bytes'],
    ['an empty date', propstat(`${file}${five}<D:getlastmodified/>`), 'odd.txt 5 bytes'],
    [
      'a date that is none',
      propstat(`${file}${five}<D:getlastmodified>yesterday</D:getlastmodified>`),
      'odd.txt 5 bytes',
    ],
    [
      'a date beyond all calendars',
      propstat(`${file}${five}<D:getlastmodified>+999999-01-01T00:00:00Z</D:getlastmodified>`),
      'odd.txt 5 bytes',
    ],
    [
      'a creation date only',
      propstat(`${file}${five}<D:creationdate>2026-06-02T10:00:00Z</D:creationdate>`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'a creation date with an offset',
      propstat(`${file}${five}<D:creationdate>2026-06-02T10:00:00+02:00</D:creationdate>`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'elements of another namespace with the same names',
      propstat(
        `${file}<x:getcontentlength xmlns:x="urn:x">7</x:getcontentlength><D:getcontentlength>5</D:getcontentlength>${dated}`,
      ),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    ['a comment in it', propstat(`${file}${five}<!-- <D:collection/> -->${dated}`), 'odd.txt 5 bytes 2 Jun 2026'],
    [
      'an error and a description',
      `${propstat(`${file}${five}${dated}`)}<D:responsedescription>It is fine</D:responsedescription>`,
      'odd.txt 5 bytes 2 Jun 2026',
    ],
    [
      'markup in what is not asked for',
      propstat(`${file}${five}${dated}<D:displayname><b>bold</b></D:displayname>`),
      'odd.txt 5 bytes 2 Jun 2026',
    ],
  ])('with %s is shown (R64)', async (_, content, row) => {
    const page = await pageOf(multistatus(itself, first, response(`${root}odd.txt`, content), last));
    expect([page.status, shown(page)]).toEqual([200, [folderRow, fileRow, row]]);
    expectNoNonsense(page);
    expect(notShown(page)).toBe(0);
  });

  it.each([
    ['a&#38;b.txt', 'a&b.txt'],
    ['a&amp;b.txt', 'a&b.txt'],
    ['a%26b.txt', 'a&b.txt'],
    ['a%26amp;b.txt', 'a&amp;b.txt'],
    ['a&#x26;b.txt', 'a&b.txt'],
    ['a%2526b.txt', 'a%26b.txt'],
    ['<![CDATA[a&b.txt]]>', 'a&b.txt'],
    ['a&lt;b&gt;.txt', 'a<b>.txt'],
    ['a+b.txt', 'a+b.txt'],
    ['a%20b.txt', 'a b.txt'],
    ['a b.txt', 'a b.txt'],
    ['für.txt', 'für.txt'],
    ['f%C3%BCr.txt', 'für.txt'],
    ['fu%CC%88r.txt', 'fu\u0308r.txt'],
    ["it's.txt", "it's.txt"],
    ['a%3Fb', 'a?b'],
    ['a%23b', 'a#b'],
    ['a%3Bb', 'a;b'],
    ['0', '0'],
    ['007', '007'],
    ['1e3', '1e3'],
    ['true', 'true'],
    ['null', 'null'],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['%E2%80%AEgpj.exe', '\u202egpj.exe'],
  ])('whose href ends in %s is %j, and its link works (R64)', async (href, name) => {
    const page = await pageOf(multistatus(itself, response(root + href), last));
    expect(entries(page).map(({ path, name }) => [path.at(-1), name])).toEqual([
      ['last', 'last'],
      [name, name],
    ]);
    expect(notShown(page)).toBe(0);
  });

  it('with an href in CDATA, or within white space, is shown (R64)', async () => {
    for (const href of [`<![CDATA[${root}odd.txt]]>`, `\n    ${root}odd.txt\n  `, `<![CDATA[${root}]]>odd.txt`]) {
      const page = await pageOf(multistatus(itself, first, response(href), last));
      expect(shown(page)).toEqual([folderRow, fileRow, fileRow.replace('first', 'odd')]);
    }
  });

  it('that a lock owner forges is not there: owners are not asked for (R64)', async () => {
    const owner = `</D:owner></D:activelock></D:lockdiscovery></D:prop>${ok}</D:propstat></D:response><D:response><D:href>${root}forged/</D:href><D:propstat><D:prop>${folder}<D:lockdiscovery><D:activelock><D:owner>x`;
    const locked = (lock: boolean) =>
      response(
        `${root}locked.txt`,
        propstat(
          `${file}${five}${dated}${lock ? `<D:lockdiscovery><D:activelock><D:owner>${owner}</D:owner></D:activelock></D:lockdiscovery>` : ''}`,
        ),
      );
    example.stub.answer = ({ method, url, body, depth }) => {
      if (method !== 'PROPFIND' || !/\/Odd\/?$/.test(url)) return undefined;
      const asked = !/<(?:\w+:)?prop[\s>]/.test(body) || /lockdiscovery|allprop/.test(body);
      const listing = depth === '0' ? [itself] : [itself, locked(asked), last];
      return { status: 207, headers: xmlType, body: multistatus(...listing) };
    };
    const page = await example.get('/folders/Odd');
    expect(shown(page)).toEqual([folderRow, 'locked.txt 5 bytes 2 Jun 2026']);
  });
});

describe('the folder itself', () => {
  const elsewhere = (change: (path: string) => string) =>
    multistatus(...[itself, first, last].map((each) => each.replace(/(?<=<D:href>)[^<]*/, change)));

  it.each([
    ['not first', multistatus(first, itself, last)],
    ['last', multistatus(first, last, itself)],
    ['missing', multistatus(first, last)],
    ['without a slash at the end', multistatus(itself.replace(root, root.slice(0, -1)), first, last)],
    [
      'without slashes at the end of any folder',
      multistatus(itself.replace(root, root.slice(0, -1)), first, last.replace('last/', 'last')),
    ],
    ['with two slashes at the end', multistatus(itself.replace(root, `${root}/`), first, last)],
    ['with percent-encoded letters', multistatus(itself.replace(root, '/pf/%77ebdav/%4Fdd/'), first, last)],
    ['absolute, of this host', elsewhere((path) => `http://THIS-HOST${path}`)],
    ['absolute, of another host: a proxy stands between', elsewhere((path) => `http://inner.example:8080${path}`)],
    ['absolute, by https', elsewhere((path) => `https://cloud.example${path}`)],
    ['under another context path', elsewhere((path) => path.replace('/pf/', '/powerfolder/'))],
    ['under no context path', elsewhere((path) => path.replace('/pf/', '/'))],
    ['under a longer context path', elsewhere((path) => `/behind/proxy${path}`)],
    ['in another case', elsewhere((path) => path.replace('/Odd/', '/ODD/').replace('webdav', 'WebDAV'))],
  ])('is not listed within itself when its href is %s (R64)', async (_, listing) => {
    const page = await pageOf(listing.replaceAll('THIS-HOST', new URL(example.stub.url).host));
    expect([page.status, shown(page), notShown(page)]).toEqual([200, [folderRow, fileRow], 0]);
  });

  it.each([
    ['F%C3%BCr%20alle', 'Fu%CC%88r%20alle'],
    ['Fu%CC%88r%20alle', 'F%C3%BCr%20alle'],
    ['F%c3%bcr%20alle', 'F%C3%BCR%20ALLE'],
    ['Stra%C3%9Fe', 'Stra%C3%9Fe'],
    ['100%25', '100%25'],
    ["it's", 'it%27s'],
    ['%7Ehome', '~home'],
    ['a%2Bb', 'a+b'],
  ])('is recognised as /%s when its href is /%s/ (R64)', async (own, href) => {
    const moved = (each: string) => each.replace(root, `/pf/webdav/${href}/`);
    example.stub.answer = ({ method, depth }) =>
      method !== 'PROPFIND'
        ? undefined
        : {
            status: 207,
            headers: xmlType,
            body: multistatus(...(depth === '0' ? [itself] : [itself, first, last]).map(moved)),
          };
    const page = await example.get(`/folders/${own}`);
    expect([page.status, entries(page).map(({ name }) => name), notShown(page)]).toEqual([
      200,
      ['last', 'first.txt'],
      0,
    ]);
    for (const { path } of entries(page)) expect(path[0]).toBe(decodeURIComponent(own));
  });

  it('may hold a folder of its own name (R64)', async () => {
    const same = response(`${root}Odd/`, propstat(folder + dated));
    const page = await pageOf(multistatus(itself, same, first));
    expect(shown(page)).toEqual(['Odd/ 2 Jun 2026', fileRow]);
  });

  it('may be empty (R64)', async () => {
    const page = await pageOf(multistatus(itself));
    expect([page.status, entries(page)]).toEqual([200, []]);
    expect(sentences(page)).toContain('empty');
  });

  it('is not called empty when all of it could not be read (R64)', async () => {
    const page = await pageOf(multistatus(itself, response(`${root}100%`), response(`${root}%FC`)));
    expect([page.status, notShown(page)]).toEqual([200, 2]);
    expect(sentences(page)).not.toMatch(/is empty/);
  });
});

describe('the XML of a listing', () => {
  const plain = multistatus(itself, first, last);
  const utf16 = (text: string, bigEndian: boolean) => {
    const bytes = Buffer.from(`\ufeff${text.replace('utf-8', 'utf-16')}`, 'utf16le');
    return bigEndian ? bytes.swap16() : bytes;
  };
  const latin1 = multistatus(itself, first.replace('first', 'f\u00fcr'), last).replace('utf-8', 'iso-8859-1');

  it.each<[string, string | Buffer | Reply]>([
    ['with another prefix', plain.replace(/(<\/?)D:/g, '$1ns0:').replace('xmlns:D', 'xmlns:ns0')],
    ['with a prefix of lower case', plain.replace(/(<\/?)D:/g, '$1d:').replace('xmlns:D', 'xmlns:d')],
    ['in the default namespace', plain.replace(/(<\/?)D:/g, '$1').replace('xmlns:D', 'xmlns')],
    [
      'with prefixes declared on each element',
      plain.replace(/<D:prop>/g, '<lp1:prop xmlns:lp1="DAV:">').replace(/<\/D:prop>/g, '</lp1:prop>'),
    ],
    ['with single quotes', plain.replaceAll('"', "'")],
    ['with white space everywhere', plain.replace(/></g, '>\n\t <').replace(/(?<![?/])>/g, ' >')],
    ['without an XML declaration', plain.replace(/<\?.*?\?>/, '')],
    ['with a BOM', `\ufeff${plain}`],
    [
      'with a comment and an instruction',
      plain.replace('?>', '?><!-- made by hand --><?xml-stylesheet href="x.xsl"?>'),
    ],
    ['in UTF-16, little-endian', utf16(plain, false)],
    ['in UTF-16, big-endian', utf16(plain, true)],
    ['in many chunks', { status: 207, headers: xmlType, body: plain.split(/(?<=>)/) }],
    ['as text/xml without charset', { status: 207, headers: { 'Content-Type': 'text/xml' }, body: plain }],
    ['without a Content-Type', { status: 207, body: plain }],
  ])('is read %s (R64)', async (_, listing) => {
    const page = await pageOf(listing);
    expect([page.status, shown(page), notShown(page)]).toEqual([200, [folderRow, fileRow], 0]);
  });

  it('is read letter by letter with umlauts across chunks (R64)', async () => {
    const bytes = Buffer.from(multistatus(itself, first.replace('first', '日本für'), last));
    const body = Array.from(bytes, (byte) => Buffer.from([byte]));
    const page = await pageOf({ status: 207, headers: xmlType, body });
    expect(shown(page)).toEqual([folderRow, fileRow.replace('first', '日本für')]);
  });

  it('in Latin-1 that is declared is read as that, or refused, never as garbage (R64)', async () => {
    const page = await pageOf(Buffer.from(latin1, 'latin1'));
    expect([200, 502]).toContain(page.status);
    expect(page.text).not.toContain('\ufffd');
    if (page.status === 200 && notShown(page) === 0)
      expect(shown(page)).toEqual([folderRow, fileRow.replace('first', 'für')]);
  });

  it.each<[string, Reply]>([
    ['an empty body', { status: 207, headers: xmlType, body: '' }],
    ['an empty body, chunked', { status: 207, headers: xmlType, body: [] }],
    [
      'an HTML page with 200',
      { status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html><body>Log in at the server</body></html>' },
    ],
    [
      'an HTML page with 207',
      { status: 207, headers: { 'Content-Type': 'text/html' }, body: '<html><body>Log in at the server</body></html>' },
    ],
    [
      'an HTML page that is no XML',
      { status: 207, headers: xmlType, body: '<!doctype html><p>Log in at the server<br>' },
    ],
    ['204', { status: 204 }],
    ['206', { status: 206, headers: xmlType, body: plain }],
    ['XML that ends in the middle', { status: 207, headers: xmlType, body: plain.slice(0, -60) }],
    [
      'XML that ends within a tag',
      { status: 207, headers: xmlType, body: plain.slice(0, plain.indexOf('first.txt') + 3) },
    ],
    [
      'an answer that is cut off',
      { status: 207, headers: { ...xmlType, 'Content-Length': '100000' }, body: plain, cut: true },
    ],
    ['an answer that is cut off, chunked', { status: 207, headers: xmlType, body: [plain], cut: true }],
    ['JSON', { status: 207, headers: { 'Content-Type': 'application/json' }, body: '{"multistatus":[]}' }],
    ['null', { status: 207, headers: { 'Content-Type': 'application/json' }, body: 'null' }],
    ['white space', { status: 207, headers: xmlType, body: ' \n ' }],
    ['another root', { status: 207, headers: xmlType, body: plain.replaceAll('multistatus', 'error') }],
    ['another namespace', { status: 207, headers: xmlType, body: plain.replace('"DAV:"', '"urn:other"') }],
    ['two roots', { status: 207, headers: xmlType, body: plain + plain.replace(/<\?.*?\?>/, '') }],
    [
      'tags that cross',
      {
        status: 207,
        headers: xmlType,
        body: plain.replaceAll(`</D:prop>${ok}</D:propstat>`, `${ok}</D:propstat></D:prop>`),
      },
    ],
    [
      'bytes that are no UTF-8',
      { status: 207, headers: xmlType, body: Buffer.from(plain.replace('first', '\u00ff\u00fe'), 'latin1') },
    ],
    ['NUL bytes', { status: 207, headers: xmlType, body: Buffer.alloc(5000) }],
    ['no HTTP', { raw: 'SSH-2.0-OpenSSH_9.2\r\n' }],
    ['nothing', { raw: '' }],
  ])('is refused with a clear page when it is %s (R64)', async (_, reply) => {
    const page = await pageOf(reply);
    const unreadable = page.status === 200 && notShown(page) > 0;
    if (!unreadable) expect([page.status, sentences(page)]).toEqual([502, expect.stringContaining('PowerFolder')]);
    expect(page.text).not.toMatch(/Log in at the server|OpenSSH/);
    expectNoNonsense(page);
  });

  it('that comes empty once is asked for again, or a clear page: a child vanished meanwhile (R64)', async () => {
    let times = 0;
    example.stub.answer = ({ method, url, depth }) => {
      if (method !== 'PROPFIND' || !/\/Odd\/?$/.test(url)) return undefined;
      if (depth === '0') return { status: 207, headers: xmlType, body: multistatus(itself) };
      times++;
      return { status: 207, headers: xmlType, body: times === 1 ? '' : plain };
    };
    const page = await example.get('/folders/Odd');
    if (page.status === 200) expect(shown(page)).toEqual([folderRow, fileRow]);
    else expect([page.status, mainLink(page)]).toEqual([502, expect.any(String)]);
    expect(times).toBeLessThanOrEqual(2);
  });

  it('that is always empty is asked for a bounded number of times (R64)', async () => {
    const page = await pageOf({ status: 207, headers: xmlType, body: '' });
    expect(page.status).toBe(502);
    expect(example.stub.webdavRequests().length).toBeLessThanOrEqual(4);
  });

  it('shows markup in names as text (R64)', async () => {
    const name = '<img src=x onerror=alert(1)>"\'&.txt';
    const page = await pageOf(multistatus(itself, response(root + encodeURIComponent(name)), last));
    expect(page.text).not.toContain('<img');
    expect(entries(page)[1]?.name).toBe(name);
  });
});
