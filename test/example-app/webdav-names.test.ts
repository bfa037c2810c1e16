/** Names of folders and files, from an address and from a listing, and what becomes of them in a request to WebDAV. */
import fc from 'fast-check';
import { rounds } from '../support/rounds.ts';
import { entries, startWebDAVExample, strayRequests, type WebDAVExample } from '../support/webdav-example.ts';
import type { Tree } from '../support/webdav-stub-server.ts';

/** What any server can have: these must work, as folders and as files. */
const usable = [
  'plain.txt',
  'with space.txt',
  ' leading',
  'trailing ',
  'Übergröße.txt',
  'U\u0308bergro\u0308\u00dfe NFD.txt',
  '日本語',
  '👩‍👧.png',
  '\u202egpj.exe',
  '100%',
  '%41',
  '%2e%2e',
  '%2F',
  '%5C',
  '%252e',
  '%zz',
  '%',
  'a+b',
  'a&b',
  'a&amp;b',
  'a&#38;b',
  "it's",
  'say "hi"',
  '<script>alert(1)<',
  'a?b=c',
  'a#b',
  'a;b',
  ';jsessionid=1',
  '..;',
  'a=b',
  'a,b',
  'a:b',
  'https:',
  'C:',
  '@host',
  'user:pw@host',
  '$HOME',
  '(1)',
  '[1]',
  '{1}',
  'a|b',
  'a^b',
  'a`b',
  '~',
  '*',
  '!',
  '...',
  '....',
  '.hidden',
  'a..b',
  '..a',
  'a..',
  '. .',
  '-rf',
  'index.html',
  'webdav',
  'api',
  'logout',
  '__proto__x',
  'constructor',
  '__PATH_SEPARATOR_POSIX__',
  '__PATH_SEPARATOR_WINDOWS__',
  '..__PATH_SEPARATOR_POSIX__api__PATH_SEPARATOR_POSIX__accounts',
  'a__PATH_SEPARATOR_POSIX__b',
  '..__PATH_SEPARATOR_WINDOWS__api',
  '日'.repeat(80),
];

/** What some servers have, and what a server or somebody on the way could take for a separator: sent exactly, or 404. */
const doubtful = [
  '..\\api\\accounts',
  '..\\..\\logout',
  'a\\b',
  '\\',
  '\\\\host\\share',
  '\\..\\',
  'a\rb',
  'a\nb',
  'a\r\nHost: evil.example\r\n\r\nGET /',
  'a\tb',
  '\u007f',
  '\u0085',
  '\u2028',
  '\ufeff',
  '\uff0f..\uff0fapi',
  '\u2215',
  'x'.repeat(2000),
  'x'.repeat(10_000),
];

/** No name: nothing is asked of the server for them. In an address, as they stand there. */
const impossible = [
  '.',
  '..',
  '%2e',
  '%2E',
  '%2e%2e',
  '.%2e',
  '%2E.',
  '%2f',
  '%2F',
  'a%2Fb',
  '..%2Fapi%2Faccounts',
  '..%2f..%2f',
  '%2Fetc%2Fpasswd',
  '%00',
  'a%00.txt',
  '%C0%AE%C0%AE',
  '%C0%AF',
  '%ED%A0%80',
  '%FC',
  '%E4',
  '%',
  '%zz',
  '%E0%A4%A',
];

const everyName: Tree = Object.fromEntries(
  [...usable, ...doubtful.filter((name) => name.length < 500)].flatMap((name) => [[name, `content of ${name}`]]),
);

let example: WebDAVExample;
beforeAll(async () => {
  example = await startWebDAVExample({
    tree: {
      Files: everyName,
      Folders: Object.fromEntries(Object.keys(everyName).map((name) => [name, { inside: 'x' }])),
    },
  });
});
afterAll(() => example.close());

beforeEach(() => {
  example.stub.requests.length = 0;
  example.stub.answer = () => undefined;
});
afterEach(() => expect(strayRequests(example.stub)).toEqual([]));

/** The names that each WebDAV request was for, without repetition. */
function namesAsked(): string[][] {
  const root = `${example.stub.contextPath}/webdav/`;
  const targets = example.stub.webdavRequests().map(({ url }) => url.replace(/\/$/, '').slice(root.length));
  return [...new Set(targets)].map((target) => (target === '' ? [] : target.split('/').map(decodeURIComponent)));
}

const inAddress = (names: string[]) => names.map(encodeURIComponent).join('/');

describe('a name in the address', () => {
  it.each(usable)('%j is asked for as one segment, and delivered (R61)', async (name) => {
    const answer = await example.get(`/files/${inAddress(['Files', name])}`);
    expect([answer.status, answer.text]).toEqual([200, `content of ${name}`]);
    expect(namesAsked()).toEqual([['Files', name]]);
    const folder = await example.get(`/folders/${inAddress(['Folders', name])}`);
    expect([folder.status, entries(folder).map(({ path }) => path)]).toEqual([200, [['Folders', name, 'inside']]]);
  });

  it.each(doubtful)('%j is asked for as one segment, or is not there (R61)', async (name) => {
    for (const route of ['files', 'folders']) {
      example.stub.requests.length = 0;
      const { status } = await example.get(`/${route}/${inAddress(['Files', name])}`);
      const asked = namesAsked();
      if (asked.length > 0) expect(asked).toEqual([['Files', name]]);
      else expect(status).toBe(404);
    }
  });

  it.each(impossible)('%s is not there, and nothing is asked (R61)', async (segment) => {
    for (const path of [`/files/${segment}`, `/files/Files/${segment}`, `/files/${segment}/api/accounts`]) {
      for (const address of [path, path.replace('/files/', '/folders/')]) {
        let { status, headers } = await example.get(address);
        // express.static takes `/files/..` for its own folder, and sends to the same address with a slash at the end.
        if (status === 301 && headers['location'] === `${address}/`) {
          ({ status, headers } = await example.get(`${address}/`));
        }
        // 400 for what is no UTF-8 or no percent-encoding, before anybody asks for a name.
        expect([400, 404, headers['location']]).toContain(status);
        expect([address, namesAsked()]).toEqual([address, []]);
      }
    }
  });

  it.each([
    '//',
    '/files//',
    '/files//api',
    '/files/Files//plain.txt',
    '/files///evil.example/x',
    '/folders//evil.example',
    '/folders/Files///',
    '/folders/..//',
    '/files/../../api/accounts',
    '/files/..\\..\\api',
    '/files/Files/..;/..;/api/accounts',
    '/files/Files/;/api',
    '/folders/@evil.example/x',
    '/folders/https://evil.example/',
    '/files/plain.txt?x=/../../api',
    '/folders?path=../../api',
    '/folders/Files?%2e%2e/%2e%2e/api',
    '/folders/Files/..%252f..%252fapi',
    '/folders/Files/%252e%252e/%252e%252e/api',
    '/folders/Files/%25%32%65%25%32%65/api',
    '/folders/Files/%u002e%u002e/api',
  ])('%s leads to nothing beside WebDAV (R61)', async (path) => {
    const { status } = await example.get(path);
    expect(status).toBeLessThan(500);
    for (const names of namesAsked()) expect(names).not.toContain('');
  });

  it('a slash at the end of a folder changes nothing (R61)', async () => {
    const { status } = await example.get('/folders/Folders/');
    expect([status, namesAsked()]).toEqual([200, [['Folders']]]);
  });

  it('whatever it is, is asked for as it is, or nothing is asked (R61)', async () => {
    const fragment = fc.constantFrom(
      ...[
        '/',
        '\\',
        '..',
        '.',
        '%',
        '%2e',
        '%2F',
        '%5C',
        ';',
        '?',
        '#',
        ':',
        '@',
        '\0',
        '\r\n',
        ' ',
        '\u0301',
        '&',
        '__',
      ],
      ...['__PATH_SEPARATOR_POSIX__', '__PATH_SEPARATOR_WINDOWS__', 'webdav', 'api', 'ä', '💾', 'a'],
    );
    const piece = fc.oneof(fragment, fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }));
    const name = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''));
    const names = fc.array(name, { minLength: 1, maxLength: 4 }).filter((all) => !/\p{Surrogate}/u.test(all.join('/')));
    await fc.assert(
      fc.asyncProperty(names, fc.constantFrom('files', 'folders'), async (path, route) => {
        example.stub.requests.length = 0;
        const { status } = await example.get(`/${route}/${inAddress(path)}`);
        const asked = namesAsked();
        expect(strayRequests(example.stub)).toEqual([]);
        if (asked.length === 0) expect(status).toBe(404);
        else expect(asked).toEqual([path]);
      }),
      { numRuns: rounds(30, 300) },
    );
  });
});

describe('a name in a listing', () => {
  it('leads by its own link to exactly that name (R61)', async () => {
    for (const [folder, route] of [
      ['Files', 'files'],
      ['Folders', 'folders'],
    ] as const) {
      const page = await example.get(`/folders/${folder}`);
      const listed = entries(page);
      const names = listed.map(({ path }) => path.at(-1));
      expect(names).toEqual(expect.arrayContaining(usable));
      expect(listed.map(({ name }) => name)).toEqual(expect.arrayContaining(usable));
      for (const { href, path } of listed) {
        expect(href).toMatch(`/${route}/${folder}/`);
        example.stub.requests.length = 0;
        const { status } = await example.get(href);
        expect([href, namesAsked()]).toEqual([href, [path]]);
        expect([href, status]).toEqual([href, 200]);
      }
    }
  });

  it.each([
    '..',
    '.',
    '%2e%2e',
    '%2E%2E/api/accounts',
    '../api/accounts',
    '..%2Fapi%2Faccounts',
    'a%2Fb',
    '%00',
    'a%00b',
    '..%5Capi',
    '..\\api\\accounts',
    '/',
    '//',
    '//evil.example/x',
    'x/../../../api',
    '?q',
    '#f',
    'a;b',
    '..;/api',
    'javascript:alert(1)',
    'https://evil.example/x',
    '%0d%0aHost:%20evil',
    '%ED%A0%80',
    'x'.repeat(10_000),
  ])('as the href %s leads nowhere else, and spoils nothing (R61, R64)', async (href) => {
    const root = `${example.stub.contextPath}/webdav/Odd/`;
    const response = (own: string, type = '') =>
      `<D:response><D:href>${own}</D:href><D:propstat><D:prop><D:resourcetype>${type}</D:resourcetype>` +
      `<D:getcontentlength>5</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`;
    for (const own of [root + href, href]) {
      for (const type of ['', '<D:collection/>']) {
        example.stub.answer = ({ url, method }) =>
          method === 'PROPFIND' && /\/Odd\/?$/.test(url)
            ? {
                status: 207,
                headers: { 'Content-Type': 'application/xml; charset=utf-8' },
                body: `<D:multistatus xmlns:D="DAV:">${response(root, '<D:collection/>')}${response(
                  `${root}before.txt`,
                )}${response(own, type)}${response(`${root}after.txt`)}</D:multistatus>`,
              }
            : undefined;
        const page = await example.get('/folders/Odd');
        const listed = entries(page);
        expect([page.status, listed.map(({ path }) => path.at(-1))]).toEqual([
          200,
          expect.arrayContaining(['before.txt', 'after.txt']),
        ]);
        for (const { href: link, path } of listed.filter(({ name }) => !/^(before|after)/.test(name))) {
          example.stub.requests.length = 0;
          const { status } = await example.get(link);
          expect(strayRequests(example.stub)).toEqual([]);
          const asked = namesAsked();
          if (asked.length > 0) expect(asked).toEqual([path]);
          else expect(status).toBe(404);
        }
      }
    }
  });
});
