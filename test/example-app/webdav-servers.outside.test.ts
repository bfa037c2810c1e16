/**
 * The example app's folders on real WebDAV servers. What a server shows is found out first by asking it plainly, and
 * compared with the disk; then the app must show and deliver just that.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Pool } from 'undici';
import { Browser } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { isSize, nextPage, readFolderPage, visible } from '../support/folder-pages.ts';
import { type HardTree, makeHardTree } from '../support/hard-tree.ts';
import { describeWith } from '../support/programs.ts';
import { until } from '../support/until.ts';
import { startWebDAVFront, type WebDAVFront } from '../support/webdav-front.ts';
import {
  type Download,
  decoded,
  diskPath,
  type Entry,
  encoded,
  get,
  isText,
  type Listing,
  onDisk,
  type Path,
  path,
  propfind,
  shown,
} from '../support/webdav-reference.ts';
import {
  startWebDAVServer,
  type WebDAVServer,
  type WebDAVServerName,
  webDAVServers,
} from '../support/webdav-servers.ts';

/** What a server does otherwise than the disk has it, as {@link look} says it, and why. Each must occur. */
interface Exception {
  because: string;
  differences: string[];
}

/** In each of these lines, NAME stands for each of these names in a group of the tree. */
const named = (group: string, names: (string | Buffer)[], ...lines: string[]) =>
  names.flatMap((name) => lines.map((line) => `names/${group}/${line.replaceAll('NAME', shown([Buffer.from(name)]))}`));

const hidden = ['as files/NAME: not listed', 'as folders/NAME: not listed', 'as folders/NAME/NAME: not listed'];
const refused = ['as files/NAME: GET 400', 'as folders/NAME: PROPFIND 400'];
const notFound = ['as files/NAME: GET 404', 'as folders/NAME: PROPFIND 404'];
const lineFeeds = ['line\nfeed', 'both\r\nends', 'trailing line feed\n'];
const controls = ['tab\tinside', '\tleading tab', ...lineFeeds, 'carriage\rreturn', '\u0001', 'bell\u0007'];
controls.push('escape\u001b[31m', 'delete\u007f');
const controlPictures = controls.map((name) =>
  [...name]
    .map((c) => (c < ' ' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : c === '\u007f' ? '\u2421' : c))
    .join(''),
);
const latin1 = ['latin-1 \xe4', '\xff\xfe', '\xed\xa0\x80 surrogate'].map((name) => Buffer.from(name, 'latin1'));

const exceptions: Record<WebDAVServerName, Exception[]> = {
  Apache: [
    {
      because: 'It breaks off a listing of a folder that it may not read, and says 403 for such a file.',
      differences: ['unreadable/file.txt: GET 403', 'unreadable/folder: PROPFIND broken off'],
    },
  ],
  nginx: [
    {
      because: 'dav-ext leaves out what begins with a dot.',
      differences: [
        ...named('dots', ['.hidden', '..two', '...', '....', '. .', '.. ', '.htaccess'], ...hidden),
        ...named('separators', ['..\\api\\accounts', '..\\..\\'], ...hidden),
        ...named('separators', ['..__PATH_SEPARATOR_POSIX__api__PATH_SEPARATOR_POSIX__accounts'], ...hidden),
      ],
    },
    { because: 'A link that leads nowhere spoils its folder.', differences: ['links: PROPFIND 500'] },
    {
      because: 'It says 403 for a file that it may not read, and 500 for a folder.',
      differences: ['unreadable/file.txt: GET 403', 'unreadable/folder: PROPFIND 500'],
    },
  ],
  lighttpd: [
    {
      because: 'server.http-parseopts refuses control characters and the byte 0xFF, which listings have.',
      differences: [
        ...named('control characters', controls, ...refused),
        ...named('no UTF-8', [Buffer.from('\xff\xfe', 'latin1')], ...refused),
      ],
    },
    {
      because: 'It lists links that lead nowhere as files.',
      differences: [
        'links/dangling: not on disk',
        'links/dangling: GET 404',
        'links/loop: not on disk',
        'links/loop: GET 500',
      ],
    },
    {
      because: 'It says 403 for a file that it may not read, and within its answer for such a folder.',
      differences: ['unreadable/file.txt: GET 403', 'unreadable/folder: PROPFIND 403'],
    },
  ],
  rclone: [
    {
      because: 'It shows control characters as the pictures that Unicode has for them; only those lead to the file.',
      differences: [
        ...named(
          'control characters',
          controls,
          ...notFound,
          'as files/NAME: not listed',
          'as folders/NAME: not listed',
        ),
        ...named(
          'control characters',
          controlPictures,
          'as files/NAME: not on disk',
          'as folders/NAME: not on disk',
          'as folders/NAME/NAME: not on disk',
        ),
      ],
    },
    {
      because: 'It breaks the connection for a file that it may not read.',
      differences: ['unreadable/file.txt: GET broken off'],
    },
  ],
  'sabre-dav': [
    { because: 'To PHP, the time 0 is none.', differences: ['dates/1970.txt: date'] },
    { because: 'A link that leads nowhere spoils its folder.', differences: ['links: PROPFIND 404'] },
    {
      because: 'Its regular expressions for paths end at a line feed: what is in such a folder is the folder.',
      differences: named(
        'control characters',
        lineFeeds,
        'as folders/NAME/NAME: not listed',
        'as folders/NAME/NAME: GET other content',
      ),
    },
    {
      because: "PHP's mb_detect_encoding takes them for ISO 8859-1 in a request.",
      differences: [
        ...named('invisible characters', ['no\ufffecharacter', 'replacement\ufffd', '\ufeffmark'], ...notFound),
        ...named('languages', ['𠮷'], ...notFound),
      ],
    },
    {
      because: 'It neither lists nor finds names that are no UTF-8.',
      differences: named('no UTF-8', latin1, ...notFound, 'as files/NAME: not listed', 'as folders/NAME: not listed'),
    },
    {
      because: 'It begins to send a file that it may not read.',
      differences: ['unreadable/file.txt: GET broken off'],
    },
  ],
};

/** What a server says of the whole tree when it is asked plainly. Paths are as {@link shown} has them. */
interface Seen {
  /** By path; also those that it does not list. */
  folders: Map<string, { names: Path; listing: Listing | number | 'broken off' }>;
  /** What a GET of a file gives, where it is not the content on disk. */
  failing: Map<string, number | 'broken off' | 'other content'>;
  /** The content of files that are not on disk under the name that the server lists. */
  contents: Map<string, Buffer>;
  differences: string[];
}

async function look(server: Pool, base: string, tree: HardTree, isTried: (names: Path) => boolean): Promise<Seen> {
  const seen: Seen = { folders: new Map(), failing: new Map(), contents: new Map(), differences: [] };

  async function lookInto(names: Path): Promise<void> {
    const listing = await propfind(server, `${base}/${encoded(names)}${names.length ? '/' : ''}`).catch(brokenOff);
    seen.folders.set(shown(names), { names, listing });
    if (typeof listing !== 'object') {
      seen.differences.push(`${shown(names)}: PROPFIND ${listing}`);
      return;
    }
    const disk = existsSync(diskPath(tree.folder, names)) ? onDisk(tree.folder, names) : [];
    const added = listing.entries.filter((entry) => !disk.some(({ name }) => name.equals(entry.name)));
    for (const { name } of added) seen.differences.push(`${shown([...names, name])}: not on disk`);
    for (const entry of disk) {
      const difference = compare(
        entry,
        listing.entries.filter(({ name }) => name.equals(entry.name)),
      );
      if (difference) seen.differences.push(`${shown([...names, entry.name])}: ${difference}`);
    }
    await each([...disk, ...added], async ({ name, folder }) => {
      if (folder) await lookInto([...names, name]);
      else await lookAt([...names, name]);
    });
  }

  async function lookAt(names: Path): Promise<void> {
    if (shown(names) === tree.large.path.join('/') || !isTried(names)) return;
    const answer = await get(server, `${base}/${encoded(names)}`).catch(brokenOff);
    const file = diskPath(tree.folder, names);
    if (answer !== 'broken off' && answer.status === 200) {
      if (!existsSync(file)) seen.contents.set(shown(names), answer.content);
      if (!existsSync(file) || answer.content.equals(readFileSync(file))) return;
    }
    const failure = answer === 'broken off' ? answer : answer.status === 200 ? 'other content' : answer.status;
    seen.failing.set(shown(names), failure);
    seen.differences.push(`${shown(names)}: GET ${failure}`);
  }

  await lookInto([]);
  return seen;
}

/** What is otherwise than on disk. */
function compare(disk: Entry, [told, ...more]: Entry[]): string | undefined {
  if (!told) return 'not listed';
  if (more.length > 0) return `listed ${more.length + 1} times`;
  if (told.folder !== disk.folder) return 'kind';
  if (!disk.folder && told.size !== disk.size) return `size ${told.size}`;
  // Over HTTP, times are whole seconds.
  return told.modified === Math.floor(Number(disk.modified) / 1000) * 1000 ? undefined : 'date';
}

const brokenOff = () => 'broken off' as const;

/** Each request has its own: a kept one may be closed just now. */
const connections = { connections: 4, pipelining: 0 };

/** Four at a time. */
async function each<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  const worker = async () => {
    for (const item of rest) await work(item);
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

let tree: HardTree;
beforeAll(() => {
  tree = makeHardTree();
});
afterAll(() => tree.remove());

for (const name of Object.keys(webDAVServers) as WebDAVServerName[]) {
  describeWith(...webDAVServers[name].needs)(`on ${name}`, () => {
    describe.each(['', '/pf'])('the folders at "%s/webdav/"', (contextPath) => {
      const base = `${contextPath}/webdav`;
      let real: WebDAVServer;
      let server: Pool;
      let front: WebDAVFront;
      let powerFolder: PowerFolderServer;
      let example: ExampleProcess;
      let app: Pool;
      let headers: Record<string, string>;
      let seen: Seen;
      /** Requests of the sign-in. */
      let before: number;

      beforeAll(async () => {
        real = await startWebDAVServer(name, { folder: tree.folder, contextPath });
        server = new Pool(real.origin, connections);
        powerFolder = await startPowerFolderServer({ contextPath });
        front = await startWebDAVFront(real, powerFolder);
        example = await startExampleProcess(powerFolder, {
          POWERFOLDER_URL: front.url,
          LISTEN_ADDRESS: '127.0.0.1',
        });
        const browser = new Browser(sameOrigin);
        await logInAndAllow(browser, await browser.visit(`${example.url}/auth/powerfolder`), powerFolder);
        headers = { Cookie: browser.cookies(example.url), 'Accept-Language': 'en' };
        app = new Pool(`http://127.0.0.1:${example.port}`, connections);
        before = powerFolder.requests.length;
        seen = await look(server, base, tree, isTried);
      });

      afterAll(async () => {
        await Promise.all([app?.close(), server?.close()]);
        await example?.stop();
        await front?.close();
        await powerFolder?.close();
        await real?.close();
      });

      // One path more makes no difference to each of so many files.
      const isTried = ([top, name]: Path) =>
        contextPath === '' || String(top) !== 'many' || /[05]5\.txt$/.test(String(name));

      /** A visit to a page or a file of the app. */
      const visit = (target: string, more: Record<string, string> = {}) => get(app, target, { ...headers, ...more });

      /** The same, along the app's redirects. */
      async function follow(target: string): Promise<Download & { target: string }> {
        const { origin } = new URL(example.url);
        for (let hops = 0; hops < 5; hops++) {
          const answer = await visit(target);
          const { location } = answer.headers;
          if (location === undefined) return { ...answer, target };
          if (!location.startsWith('/') && !location.startsWith(`${origin}/`)) throw new Error(`Sent to ${location}`);
          target = location.replace(origin, '');
        }
        throw new Error(`Sent around: ${target}`);
      }

      const inFolders = (names: Path) => ['/folders', ...names.map((name) => encoded([name]))].join('/');
      const inFiles = (names: Path) => `/files/${encoded(names)}`;
      const onServer = (names: Path) => `${base}/${encoded(names)}`;
      const contentOf = (names: Path) => seen.contents.get(shown(names)) ?? readFileSync(diskPath(tree.folder, names));

      it('are known to be as on disk, but for what the server cannot do', () => {
        const known = exceptions[name].flatMap(({ differences }) => differences);
        expect(seen.differences.sort()).toEqual(known.sort());
      });

      it('are for nobody whose token the PowerFolder server does not take', async () => {
        const known = front.asked.length;
        const anybody = new Pool(new URL(front.url).origin, connections);
        for (const Authorization of ['Bearer 1x', 'Basic YTpi', '']) {
          const { status } = await get(anybody, `${base}/`, Authorization ? { Authorization } : {});
          expect([Authorization, status]).toEqual([Authorization, 401]);
        }
        await anybody.close();
        expect(front.asked.length).toBe(known);
      });

      it('are listed, from link to link, with names, kinds, sizes and dates as the server tells them (R61, R64)', async () => {
        const wrong: string[] = [];
        async function read(names: Path, href: string): Promise<void> {
          const folder = seen.folders.get(shown(names));
          const page = await visit(href);
          if (typeof folder?.listing !== 'object') {
            const refusal = readableRefusal(page, folder?.listing ?? 404);
            if (refusal) wrong.push(`${href}: ${refusal}`);
            return;
          }
          if (page.status !== 200) {
            wrong.push(`${href}: ${page.status}`);
            return;
          }
          const { rows, notShown } = readFolderPage(String(page.content));
          let next = nextPage(String(page.content));
          while (next !== undefined) {
            const more = String((await visit(next)).content);
            rows.push(...readFolderPage(more).rows);
            next = nextPage(more);
          }
          const { entries, strays } = folder.listing;
          const sendable = entries.filter(({ name }) => isText(name));
          // What is not in the folder may be left out without a word.
          const leftOut = entries.length - sendable.length;
          if (notShown < leftOut || notShown > leftOut + strays) wrong.push(`${href}: ${notShown} not shown`);
          const links = new Map(rows.map((row) => [decodedLink(row.href), row]));
          if (links.size !== rows.length) wrong.push(`${href}: a link occurs twice`);
          for (const entry of sendable) {
            const at = [...names, entry.name];
            const row = links.get(plainLink(entry.folder, at));
            links.delete(plainLink(entry.folder, at));
            if (!row) {
              wrong.push(`${shown(at)}: has no link`);
              continue;
            }
            if (row.text !== visible(String(entry.name)))
              wrong.push(`${shown(at)}: shown as ${JSON.stringify(row.text)}`);
            if (entry.folder ? row.size !== '' : !isSize(row.size, entry.size ?? -1)) {
              wrong.push(`${shown(at)}: ${entry.size} bytes are shown as "${row.size}"`);
            }
            const day = entry.modified === undefined ? '' : new Date(entry.modified).toISOString().slice(0, 10);
            if (row.day !== day) wrong.push(`${shown(at)}: ${day} is shown as "${row.day}"`);
            if (entry.folder) await read(at, row.href);
          }
          for (const { href: link } of links.values()) wrong.push(`${href}: has a link to ${link}, which is not there`);
        }
        await read([], '/folders');
        expectNone(wrong);
      });

      it('have files that arrive byte for byte (R62, R63)', async () => {
        const wrong: string[] = [];
        await each(filesSeen().filter(isTried), async (names) => {
          const failure = seen.failing.get(shown(names));
          // What the server gives instead is nobody's measure.
          if (failure === 'other content') return;
          const answer = await visit(inFiles(names)).catch(brokenOff);
          if (answer === 'broken off') {
            if (failure !== answer) wrong.push(`${shown(names)}: broken off`);
          } else if (failure) {
            const refusal = readableRefusal(answer, failure);
            if (refusal) wrong.push(`${shown(names)}: ${refusal}`);
          } else if (answer.status !== 200) {
            wrong.push(`${shown(names)}: ${answer.status}`);
          } else if (!answer.content.equals(contentOf(names))) {
            wrong.push(`${shown(names)}: other content`);
          }
        });
        expectNone(wrong);
      });

      /** The files in what the server lists, as far as names can be sent. */
      function filesSeen(): Path[] {
        return [...seen.folders.values()].flatMap(({ names, listing }) =>
          typeof listing === 'object'
            ? listing.entries
                .filter(({ folder }) => !folder)
                .map(({ name }) => [...names, name])
                .filter((at) => at.every(isText) && shown(at) !== tree.large.path.join('/'))
            : [],
        );
      }

      it('have files whose length HEAD tells rightly or not at all (R63)', async () => {
        const wrong: string[] = [];
        await each(
          filesSeen().filter(([top]) => String(top) === 'kinds'),
          async (names) => {
            const {
              statusCode,
              headers: answered,
              body,
            } = await app.request({ method: 'HEAD', path: inFiles(names), headers });
            await body.dump();
            const length = answered['content-length'];
            if (statusCode !== 200) wrong.push(`${shown(names)}: ${statusCode}`);
            else if (length !== undefined && Number(length) !== statSync(diskPath(tree.folder, names)).size)
              wrong.push(`${shown(names)}: ${length}`);
          },
        );
        expectNone(wrong);
      });

      it('are found by the address of a file as well, and files by that of a folder', async () => {
        const wrong: string[] = [];
        // One path more makes no difference to each of so many names.
        const groups = ['kinds', 'empty', 'deep', ...(contextPath === '' ? ['names'] : [])];
        const folders = [...seen.folders.values()].filter(
          ({ names, listing }) =>
            groups.includes(String(names[0])) && names.every(isText) && typeof listing === 'object',
        );
        await each(folders, async ({ names }) => {
          const page = await follow(inFiles(names));
          if (page.status !== 200 || decodedLink(page.target) !== plainLink(true, names))
            wrong.push(`${inFiles(names)}: ${page.status} ${page.target}`);
        });
        const files = filesSeen().filter(
          (names) => groups.includes(String(names[0])) && !seen.failing.has(shown(names)),
        );
        await each(files, async (names) => {
          const file = await follow(inFolders(names));
          // On a page of its own, or as it is.
          const shownAs = file.target.replace(/^\/view\//, '/files/');
          const content = shownAs === file.target ? file.content : (await visit(shownAs)).content;
          if (file.status !== 200 || !content.equals(contentOf(names)))
            wrong.push(`${inFolders(names)}: ${file.status} ${file.target}`);
        });
        expectNone(wrong);
      });

      describe('have a file that', () => {
        const names = path('kinds', 'changing.txt');
        let whole: Buffer;
        beforeAll(() => {
          whole = contentOf(names);
        });

        /** Some servers remember a file's size for a while, and break off when it is another one. */
        const delivered = (content: Buffer) =>
          until(async () => {
            const answer = await get(server, onServer(names)).catch(brokenOff);
            return answer !== 'broken off' && answer.content.equals(content);
          });

        it.each([
          ['in the middle', 'bytes=100-199', 100, 200],
          ['from a place on', 'bytes=6990-', 6990, 7000],
          ['at the end', 'bytes=-7', 6993, 7000],
        ])('arrives in part: %s', async (_, Range, start, end) => {
          const plain = await get(server, onServer(names), { Range });
          const answer = await visit(inFiles(names), { Range });
          expect(answer.status).toBe(plain.status);
          expect(answer.headers['content-range']).toBe(plain.headers['content-range']);
          expect(String(answer.content)).toBe(String(answer.status === 206 ? whole.subarray(start, end) : whole));
        });

        it('has no part behind its end', async () => {
          const plain = await get(server, onServer(names), { Range: 'bytes=7000-' });
          const answer = await visit(inFiles(names), { Range: 'bytes=7000-' });
          expect(answer.status).toBe(plain.status);
        });

        it('arrives whole, or in parts with their type, when two parts are asked for (R63)', async () => {
          const answer = await visit(inFiles(names), { Range: 'bytes=0-9,100-109' });
          if (answer.status === 200) return expect(String(answer.content)).toBe(String(whole));
          expect(answer.status).toBe(206);
          expect(answer.headers['content-type']).toMatch(/^multipart\/byteranges; *boundary=/);
          const [, boundary = ''] = /boundary="?([^";]+)/.exec(String(answer.headers['content-type'])) ?? [];
          const parts = String(answer.content).split(`--${boundary}`).slice(1, -1);
          expect(parts.map((part) => part.slice(part.indexOf('\r\n\r\n') + 4).replace(/\r\n$/, ''))).toEqual([
            String(whole.subarray(0, 10)),
            String(whole.subarray(100, 110)),
          ]);
        });

        it('is not sent again to who has it (R63)', async () => {
          const plain = await get(server, onServer(names));
          for (const condition of conditions(plain.headers)) {
            const expected = await get(server, onServer(names), condition);
            const answer = await visit(inFiles(names), condition);
            expect([condition, answer.status]).toEqual([condition, expected.status]);
            expect(String(answer.content)).toBe(expected.status === 304 ? '' : String(whole));
          }
        });

        it("has validators that are the server's, with which a part of it can be asked for (R63)", async () => {
          const plain = await get(server, onServer(names));
          const answer = await visit(inFiles(names));
          expect(answer.headers['etag']).toBe(plain.headers['etag']);
          expect(answer.headers['last-modified']).toBe(plain.headers['last-modified']);
          const validator = String(answer.headers['etag'] ?? answer.headers['last-modified']);
          const condition = { Range: 'bytes=100-199', 'If-Range': validator };
          const expected = await get(server, onServer(names), condition);
          const part = await visit(inFiles(names), condition);
          expect([part.status, String(part.content)]).toEqual([expected.status, String(expected.content)]);
        });

        it('arrives whole and new when it has changed since a part of it was had (R63)', async () => {
          const file = diskPath(tree.folder, names);
          const { atime, mtime } = statSync(file);
          const old = await visit(inFiles(names));
          const after = Buffer.from('after it '.repeat(900));
          try {
            writeFileSync(file, after);
            utimesSync(file, atime, new Date(mtime.getTime() + 3_600_000));
            await delivered(after);
            for (const validator of [old.headers['etag'], old.headers['last-modified']]) {
              if (validator === undefined) continue;
              const condition = { Range: 'bytes=100-199', 'If-Range': String(validator) };
              for (const answer of [
                await get(server, onServer(names), condition),
                await visit(inFiles(names), condition),
              ]) {
                expect([validator, answer.status, String(answer.content)]).toEqual([validator, 200, String(after)]);
              }
            }
            for (const condition of conditions(old.headers)) {
              const answer = await visit(inFiles(names), condition);
              expect([condition, answer.status, String(answer.content)]).toEqual([condition, 200, String(after)]);
            }
          } finally {
            writeFileSync(file, whole);
            utimesSync(file, atime, mtime);
            await delivered(whole);
          }
        });
      });

      // The path makes no difference to it.
      // Once for each server is enough of it.
      if (contextPath === '') {
        it('have a file of 200 MB that arrives whole (R63)', async () => {
          const { body, statusCode } = await app.request({
            method: 'GET',
            path: inFiles(path(...tree.large.path)),
            headers,
          });
          const hash = createHash('sha256');
          let size = 0;
          for await (const part of body) {
            hash.update(part);
            size += part.length;
          }
          expect([statusCode, size, hash.digest('hex')]).toEqual([200, tree.large.size, tree.large.hash]);
        });
      }

      it('cost the server requests below its own WebDAV only, without cookies and for plain bytes (R61, R62)', () => {
        const odd = front.asked.flatMap(({ method, target, headers }) => [
          ...(target.startsWith(`${base}/`) ? [] : [`${method} ${target}`]),
          ...(target.split('/').some((segment) => /^\.{1,2}$/.test(String(decoded(segment))))
            ? [`${method} ${target}`]
            : []),
          ...(headers['accept-encoding'] === 'identity' ? [] : [`${method} in ${headers['accept-encoding']}`]),
          ...(headers.cookie === undefined ? [] : [`${method} with a cookie`]),
          ...(/^Bearer \S+$/.test(headers.authorization ?? '') ? [] : [`${method} without a token`]),
        ]);
        expect([...new Set(odd)]).toEqual([]);
        const writes = front.asked.filter(({ method }) => !['PROPFIND', 'GET', 'HEAD'].includes(method));
        expect(writes).toEqual([]);
        // The front asks it about a token.
        const elsewhere = powerFolder.requests.slice(before).filter(({ path }) => path !== '/webdav/');
        expect(elsewhere.map(({ method, path }) => [method, path])).toEqual([]);
      });
    });
  });
}

/** Of many mistakes, the first tell enough. */
function expectNone(mistakes: string[]): void {
  expect({ mistakes: mistakes.length, first: mistakes.slice(0, 50) }).toEqual({ mistakes: 0, first: [] });
}

/** Each by itself, as a browser would send what it was given. */
function conditions({ etag, 'last-modified': modified }: IncomingHttpHeaders): Record<string, string>[] {
  return [...(etag ? [{ 'If-None-Match': etag }] : []), ...(modified ? [{ 'If-Modified-Since': modified }] : [])];
}

/**
 * What is wrong with the app's answer where the server refuses; undefined if nothing is.
 *
 * @param failure What the server does.
 */
function readableRefusal({ status, headers, content }: Download, failure: number | string): string | undefined {
  const refused = typeof failure === 'number' && failure < 500;
  const isRefusal = status >= 400 && status < 500;
  // A server that fails makes this app a gateway that had no good answer.
  const isFailure = !refused && [502, 503, 504].includes(status);
  if (!isRefusal && !isFailure) return `${status}, where the server has ${failure}`;
  const isPage = /^text\/html/.test(String(headers['content-type'])) && /<h1\b[^>]*>[^<]*\w/.test(String(content));
  return isPage ? undefined : `${status} without a page`;
}

/** A link decoded once, whichever characters it leaves as they are: the bytes of each of its segments. */
function decodedLink(href: string): string {
  if (/[?#\s]/.test(href)) return `not a path: ${href}`;
  return segmentBytes(href.split('/').map(decoded));
}

const plainLink = (folder: boolean, names: Path) => segmentBytes(path('', folder ? 'folders' : 'files').concat(names));

const segmentBytes = (segments: Path) => segments.map((segment) => segment.toString('hex')).join('/');
