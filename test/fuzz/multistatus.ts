/** Listings by WebDAV, as the example app reads and shows them. */
import fc from 'fast-check';
import type { Folder } from '../../example-app/listing.ts';
import { WebDAV } from '../../example-app/webdav.ts';
import { WebDAVError } from '../../example-app/webdav-error.ts';
import { signedIn, startExample } from '../support/example.ts';
import { startWebDAVStub } from '../support/webdav-stub-server.ts';
import { changed, type FuzzProperty, holds, must, secretsIn, Tally, type TextChange, textChange } from './property.ts';

const names = ['Shared', 'a b'];
const place = '/pf/webdav/Shared/a%20b/';

interface Described {
  /** Where it says that it is, before its name. */
  at: string;
  name: string;
  end: string;
  folder: boolean;
  size: string;
  status: string;
}

interface Listing {
  hasSelf: boolean;
  described: Described[];
  prefix: string;
  doctype: string;
  changes: TextChange[];
  charset: string;
  status: number;
  pieces: number;
  cut: number;
  /** How often the responses are repeated. */
  times: number;
}

const part = fc.double({ min: 0, max: 1, noNaN: true });
const usually = <T>(weight: number, usual: T, others: fc.Arbitrary<T>) =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });
const described: fc.Arbitrary<Described> = fc.record({
  at: usually(
    3,
    place,
    fc.constantFrom(
      ...[
        '',
        '/',
        '//',
        '//evil.example/',
        'http://evil.example/',
        `https://evil.example${place}`,
        '/pf/webdav/Shared/',
      ],
      ...[
        '/pf/webdav/',
        '/pf/api/',
        `${place}../`,
        `${place}../../`,
        `${place}%2e%2e/`,
        `${place}deeper/`,
        `${place}/`,
      ],
      ...[
        '/PF/WebDAV/shared/A%20B/',
        '/other/Shared/a%20b/',
        `${place}.%2f`,
        `${place}..%5c`,
        'javascript:',
        '\\\\evil\\',
      ],
      ...[`${place}./`, `/pf/webdav/Shared/a b/`, `${place}%00/`, 'file:///etc/', `${place}x/../`],
    ),
  ),
  name: fc.oneof(
    { weight: 3, arbitrary: fc.stringMatching(/^[a-z]{1,6}(?:\.txt)?$/) },
    fc.constantFrom(
      ...[
        '',
        '.',
        '..',
        '%2e%2e',
        '%2E.',
        '%2f',
        '..%2f..%2fapi',
        '%5c',
        '%00',
        '%',
        '%zz',
        '%ff',
        'a?b',
        'a#b',
        'a%3Fb',
        '%23',
      ],
      ...[
        '<script>',
        '"onload=1',
        "';alert(1)",
        'javascript:alert(1)',
        '%0d%0aLocation:x',
        '%E2%80%AE.exe',
        '//evil.example',
        '@',
      ],
      ...[
        '__proto__',
        'a'.repeat(256),
        'ü',
        'u%CC%88',
        '%F0%9F%98%80',
        '..%252f',
        '\u2028',
        '%ED%A0%80',
        'CON',
        'a%2fb',
        '?download',
      ],
    ),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
    fc.string({ unit: 'grapheme', maxLength: 8 }).map(encodeURIComponent),
  ),
  end: fc.constantFrom('', '', '/', '//', '?x', '#x', '/..', '/.'),
  folder: fc.boolean(),
  size: fc.constantFrom('7', '', '-1', '1e9', '9'.repeat(30), '<b/>', 'NaN', '0'),
  status: usually(8, '', fc.constantFrom('HTTP/1.1 404 Not Found', 'HTTP/1.1 200 OK', 'nonsense', 'HTTP/1.1 403 X')),
});
/** Far more than the most of 256 KiB: that is noticed at the end of a chunk, so just above it chance decides. */
const endless = 'y'.repeat(600_000);
const change = textChange(
  12,
  ...[
    '',
    '<',
    '>',
    '&',
    '"',
    '\0',
    ']]>',
    '<![CDATA[',
    '<!--',
    '-->',
    '&x;',
    '&i;',
    '&#0;',
    '&#xD800;',
    '&#x2f;',
    '\ufffd',
  ],
  ...[
    '<D:response>',
    '</D:response>',
    '<D:href>/pf/webdav/Shared/x</D:href>',
    ' xmlns:D="x"',
    ' xmlns="DAV:"',
    '<?xml?>',
    '<?pi ',
  ],
  ...['<x>'.repeat(80), endless, '<D:href xmlns:D="urn:x">', '<!DOCTYPE a>', '&amp;', '&#38;', '</D:multistatus>'],
);
/** A billion of them, were they resolved. */
const lol = `<!DOCTYPE x [<!ENTITY lol "lol">${[...'abcdefghi'].map((name, index, all) => `<!ENTITY ${name} "${`&${all[index - 1] ?? 'lol'};`.repeat(10)}">`).join('')}]>`;
const listings: fc.Arbitrary<Listing> = fc.record({
  hasSelf: usually(4, true, fc.constant(false)),
  described: fc.array(described, { maxLength: 6 }),
  prefix: usually(3, 'D', fc.constantFrom('', 'd', 'lp1', 'ü', 'xml')),
  doctype: usually(
    6,
    '',
    fc.constantFrom(
      lol,
      '<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">',
      '<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ),
  ),
  changes: fc.oneof({ weight: 2, arbitrary: fc.constant<TextChange[]>([]) }, fc.array(change, { maxLength: 3 })),
  charset: usually(8, 'utf-8', fc.constantFrom('iso-8859-1', 'utf-16', 'utf-7', 'x-unknown', '"')),
  status: usually(20, 207, fc.constantFrom(200, 301, 401, 403, 404, 429, 500, 503)),
  pieces: fc.integer({ min: 1, max: 5 }),
  cut: usually(8, 1, part),
  times: usually(60, 1, fc.constantFrom(2, 30, 1500)),
});

const text = (value: string) => value.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

function bodyOf({ hasSelf, described, prefix, doctype, changes, times }: Listing): Buffer {
  const p = prefix === '' ? '' : `${prefix}:`;
  const xmlns = prefix === '' ? 'xmlns="DAV:"' : `xmlns:${prefix}="DAV:"`;
  const response = (href: string, folder: boolean, size: string, status: string) =>
    `<${p}response><${p}href>${text(href)}</${p}href>${status === '' ? '' : `<${p}status>${status}</${p}status>`}` +
    `<${p}propstat><${p}prop><${p}resourcetype>${folder ? `<${p}collection/>` : ''}</${p}resourcetype>` +
    `<${p}getcontentlength>${size}</${p}getcontentlength></${p}prop>` +
    `<${p}status>HTTP/1.1 200 OK</${p}status></${p}propstat></${p}response>`;
  const all = described.map(({ at, name, end, folder, size, status }) =>
    response(at + name + end, folder, size, status),
  );
  const self = hasSelf ? response(place, true, '', '') : '';
  const xml = `<?xml version="1.0" encoding="utf-8"?>${doctype}<${p}multistatus ${xmlns}>${self}${all.join('').repeat(times)}</${p}multistatus>`;
  return Buffer.from(changed(xml, changes));
}

/** The names that the hrefs in the folder itself have, where the listing is as it was made. */
function namesWithin({ described }: Listing): Set<string> {
  const folded = (each: string) => each.normalize('NFC').toLowerCase();
  const plain = (each: string) => {
    try {
      return decodeURIComponent(each);
    } catch {
      return each;
    }
  };
  const found = described.flatMap(({ at, name, end }) => {
    const path = (at + name + end).replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '').replace(/^https?:\/\/[^/]*/i, '');
    const segments = path
      .split('/')
      .filter((each) => each !== '')
      .map(plain);
    const last = segments.pop();
    return last !== undefined && folded(segments.join('\0')) === 'pf\0webdav\0shared\0a b' ? [last] : [];
  });
  return new Set(found);
}

function checkFolder(folder: Folder, given: Listing): void {
  const seen = { folder: { ...folder, entries: folder.entries.slice(0, 20) }, given };
  must(folder.entries.length <= 3001, 'There is no bound', seen);
  const { changes, hasSelf, charset, doctype } = given;
  const within =
    hasSelf && changes.length === 0 && charset === 'utf-8' && doctype === '' ? namesWithin(given) : undefined;
  for (const { name, size } of folder.entries) {
    must(!/^\.{0,2}$|[/\0]|\p{Surrogate}/u.test(name) && name.length <= 255, 'This is no name', { name, seen });
    const here = 'https://app.example/folders/Shared/a%20b/';
    const link = new URL(here + encodeURIComponent(name));
    must(link.href.startsWith(here) && link.href.slice(here.length) !== '', 'It leads out of the folder', {
      name,
      seen,
    });
    must(size === undefined || (Number.isSafeInteger(size) && size >= 0), 'This is no size', { name, size, seen });
    must(!within || within.has(name), 'It is not in the folder', { name, seen });
  }
}

/** All that a page leads to, or loads. `listed` is what the folder has. */
function checkPage(page: string, listed: Set<string>, seen: unknown): void {
  for (const [, attribute, , quoted = ''] of page.matchAll(
    /\s(href|src|action|formaction|data|poster)=("([^"]*)"|[^\s>]*)/g,
  )) {
    const link = quoted.replaceAll('&amp;', '&').replaceAll('&#39;', "'");
    const isOwn =
      /^(?:\/(?!\/)|[?#])/.test(link) && new URL(link, 'https://app.example').origin === 'https://app.example';
    must(isOwn, `This ${attribute} leads elsewhere`, { link, seen });
    const [, route, encoded] = /^\/(folders|view|files)\/Shared\/a%20b\/(.*)/.exec(link) ?? [];
    if (encoded === undefined) continue;
    const name = decodeURIComponent(route === 'files' ? encoded.replace(/\?download$/, '') : encoded);
    must(encoded.startsWith(encodeURIComponent(name)) && listed.has(name), 'It is not in the folder', { link, seen });
  }
  must(!/<script(?! (?:type="module" )?src="\/)|<[a-z]+[^>"]*\son\w+=/i.test(page), 'There is a script in the page', {
    page,
    seen,
  });
}

export const multistatus: FuzzProperty = {
  name: 'multistatus',
  says: 'a listing holds what is in the folder that was asked for, or is refused, and no link leads elsewhere',
  few: 20,
  async start() {
    const stub = await startWebDAVStub({ contextPath: '/pf', tree: { Shared: { 'a b': {} } } });
    const { powerFolder } = stub;
    const environment = {
      POWERFOLDER_URL: stub.url,
      POWERFOLDER_CLIENT_ID: powerFolder.clientID,
      POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
    };
    const app = await startExample({ environment });
    const browser = await signedIn({ url: app.url, powerFolder });
    await browser.visit(`${app.url}/folders`);
    const token = stub.webdavRequests()[0]?.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const webDAV = new WebDAV(stub.url);
    const tally = new Tally();

    async function read(given: Listing): Promise<{ end: string; listed: Set<string> }> {
      const listed = new Set<string>();
      let folder: Folder | 'file';
      try {
        folder = await webDAV.readFolder(token, names);
      } catch (error) {
        must(error instanceof WebDAVError, 'It is another error', { error, given });
        must([403, 404, 502, 503, 504].includes(error.status), 'It has another status', { error, given });
        must(secretsIn(`${error.message} ${error.cause}`, { token }).length === 0, 'It tells the token', {
          error,
          given,
        });
        return { end: `status ${error.status}`, listed };
      }
      if (folder === 'file') return { end: 'a file', listed };
      checkFolder(folder, given);
      for (const { name } of folder.entries) listed.add(name);
      return { end: listed.size > 0 ? 'entries' : 'no entries', listed };
    }

    const property = holds(listings, async (given) => {
      stub.requests.length = 0;
      const { status, charset } = given;
      const body = bodyOf(given);
      const size = Math.ceil(body.length / given.pieces);
      const pieces = Array.from({ length: given.pieces }, (_, index) =>
        body.subarray(index * size, (index + 1) * size),
      );
      const headers = { 'Content-Type': `application/xml; charset=${charset}`, Location: 'http://127.0.0.1:1/' };
      stub.answer = () => ({
        status,
        headers,
        body: pieces.slice(0, Math.ceil(pieces.length * given.cut)),
        cut: given.cut < 1,
      });
      const { end, listed } = await read(given);
      tally.add(end);
      // With a 401 the visitor would be signed out.
      if (status !== 401) {
        const { status: shown, text, headers: sent } = await browser.stay(`${app.url}/folders/Shared/a%20b`);
        const seen = { shown, location: sent['location'], given };
        must([200, 302, 403, 404, 502, 503, 504].includes(shown), 'The page has another status', seen);
        must(shown !== 302 || end === 'a file', 'It leads away', seen);
        must(
          shown !== 302 || /^\/(?:files|view)\/Shared\/a%20b$/.test(String(sent['location'])),
          'It leads elsewhere',
          seen,
        );
        checkPage(text, listed, seen);
      }
      const strays = stub.webdavRequests().filter(({ url }) => !/^\/pf\/webdav\/Shared\/a%20b\/?$/.test(url));
      must(strays.length === 0, 'It asked for something else', { strays, given });
    });
    const close = async () => {
      await app.close();
      await stub.close();
    };
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};
