import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { newTokens, type TokenResponse } from '../support/simulated-sign-in.ts';

const difficult = 'Ä 100% #1 + \'a\' "b" & <c> ?.txt';
const generated = 3_000_000_000;

let server: PowerFolderServer;
let tokens: TokenResponse;

beforeAll(async () => {
  server = await startPowerFolderServer({
    autoApprove: 'ada',
    contextPath: '/pf',
    now: () => Date.UTC(2030, 0, 1),
    accounts: [
      {
        username: 'ada',
        password: 'geheim:ü',
        files: {
          Föld: { [difficult]: 'Grüße', 'b.png': Buffer.from([1, 2, 3]), deep: { er: { 'x.md': '# x' } }, empty: {} },
          large: { size: generated },
        },
      },
    ],
  });
  tokens = await newTokens(server);
});

afterAll(() => server.close());

function dav(path: string, method = 'GET', headers: Record<string, string> = {}, body?: string): Promise<Response> {
  return fetch(`${server.url}/webdav${path}`, {
    method,
    headers: { Authorization: `Bearer ${tokens.access_token}`, ...headers },
    ...(body !== undefined && { body }),
  });
}

/** Sends what no client would, and reads all that comes. */
async function rawRequest(text: string): Promise<[head: string, body: string]> {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  socket.write(text);
  const [head = '', ...body] = (await readText(socket)).split('\r\n\r\n');
  return [`${head}\r\n`, body.join('\r\n\r\n')];
}

const path = (...names: string[]) => `/${names.map(encodeURIComponent).join('/')}`;

describe('startPowerFolderServer: WebDAV', () => {
  it.each([
    ['a folder', '/F%C3%B6ld', /LOCK, UNLOCK, PROPFIND, PUT$/],
    ['a file', '/large', /LOCK, UNLOCK, PROPFIND$/],
    ['what is not there', '/new', /^OPTIONS, MKCOL, PUT$/],
  ])('says what can be done with %s', async (_, target, allow) => {
    const { status, headers } = await dav(target, 'OPTIONS');
    expect([status, headers.get('dav'), headers.get('ms-author-via')]).toEqual([200, '1, 2', 'DAV']);
    expect(headers.get('allow')).toMatch(allow);
  });

  it('lists a folder as webdav-servlet does: names, order, hrefs and times', async () => {
    const response = await dav(`${path('Föld')}/`, 'PROPFIND', { Depth: '1' });
    expect([response.status, response.headers.get('content-type'), response.headers.get('transfer-encoding')]).toEqual([
      207,
      'text/xml;charset=utf-8',
      'chunked',
    ]);
    const xml = await response.text();
    expect(xml).toMatch(/^<\?xml version="1\.0" encoding="utf-8" \?>\n<D:multistatus xmlns:D="DAV:">/);
    const hrefs = [...xml.matchAll(/<D:href>(.*?)<\/D:href>/g)].map(([, href]) => href);
    const base = '/pf/webdav/F%C3%B6ld/';
    const name = `%C3%84%20100%25%20%231%20+%20&apos;a&apos;%20%22b%22%20%26%20%3Cc%3E%20%3F.txt`;
    expect(hrefs).toEqual([base, base + name, `${base}b.png`, `${base}deep/`, `${base}empty/`]);
    const [folder = '', file = ''] = xml.split('</D:response>');
    const names = (response: string) =>
      [...response.matchAll(/^<D:([a-z]+)\b/gm)]
        .map(([, each]) => each)
        .filter(
          (each) =>
            !/^(response|href|propstat|prop|lock\w+|multistatus|status)$/.test(each ?? '') || each === 'lockdiscovery',
        );
    expect(names(folder)).toEqual([
      'creationdate',
      'displayname',
      'resourcetype',
      'supportedlock',
      'lockdiscovery',
      'source',
    ]);
    expect(names(file)).toEqual([
      'creationdate',
      'displayname',
      'getlastmodified',
      'getcontentlength',
      'getetag',
      'resourcetype',
      'supportedlock',
      'lockdiscovery',
      'source',
    ]);
    expect(file).toContain(`<D:displayname><![CDATA[${difficult}]]></D:displayname>`);
    expect(file).toContain('<D:getlastmodified>Tue, 01 Jan 2030 00:00:00 GMT</D:getlastmodified>');
    expect(file).toContain(`<D:getetag>W/&quot;7-${Date.UTC(2030, 0, 1)}&quot;</D:getetag>`);
    expect(folder).toContain('<D:creationdate>2030-01-01T00:00:00Z</D:creationdate>');
  });

  it('knows the type of a file that is asked for itself', async () => {
    const xml = await (await dav(path('Föld', 'b.png'), 'PROPFIND', { Depth: '0' })).text();
    expect(xml).toContain('<D:getcontenttype>image/png</D:getcontenttype>');
  });

  it.each([
    ['/', '0', 1],
    ['', '0', 1],
    ['/', '1', 3],
    ['/large', '1', 1],
    ['/', 'infinity', 8],
    ['/', 'nonsense', 8],
    ['/', '', 8],
  ])('lists "%s" with Depth "%s": %i', async (target, depth, count) => {
    const headers = depth ? { Depth: depth } : undefined;
    const xml = await (await dav(target, 'PROPFIND', headers)).text();
    expect(xml.match(/<D:response>/g)).toHaveLength(count);
  });

  const propfind = async (body: string, target = '/large') => {
    const response = await dav(target, 'PROPFIND', { Depth: '0' }, body);
    return { status: response.status, xml: await response.text() };
  };

  it('gives the properties that are asked for, and says which are missing', async () => {
    const { xml } = await propfind(
      '<?xml version="1.0"?><!-- x --><a:propfind xmlns:a="DAV:" xmlns:x="urn:x"><a:prop><a:getcontentlength/><x:colour></x:colour><a:quota/></a:prop></a:propfind>',
    );
    const [found = '', missing = ''] = xml.split('</D:propstat>');
    expect(found).toMatch(/<D:prop>\n<D:getcontentlength>3000000000<\/D:getcontentlength>\n<\/D:prop>\n.*200 OK/);
    expect(missing).toMatch(/<D:prop>\n<colour xmlns="urn:x"\/>\n<D:quota\/>\n<\/D:prop>\n.*404 Not Found/);
  });

  it('tells the names of properties alone', async () => {
    const { xml } = await propfind('<propfind xmlns="DAV:"><propname/></propfind>');
    expect(xml).toContain('<D:getcontentlength/>');
    expect(xml).not.toContain('3000000000');
  });

  it.each([
    'no XML',
    '<propfind xmlns="DAV:">',
    '<propfind/>',
    '<propfind xmlns="DAV:"><prop></propfind></prop>',
    '<propfind xmlns="DAV:"/>more',
    '<x:propfind xmlns="DAV:"/>',
    '<propfind xmlns="DAV:" x=y/>',
    `<propfind xmlns="DAV:">${'<a>'.repeat(15_000)}`,
  ])('answers %j with 500', async (body) => {
    expect((await propfind(body)).status).toBe(500);
  });

  it('answers 500 to a PROPFIND with neither body nor Content-Length, and in words', async () => {
    const { hostname, port, pathname } = new URL(server.url);
    const [head] = await rawRequest(
      `PROPFIND ${pathname}/webdav/ HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${tokens.access_token}\r\nConnection: close\r\n\r\n`,
    );
    expect(head).toMatch(/^HTTP\/1.1 500 .*\r\n[\s\S]*X-Why: A PROPFIND needs a body, or Content-Length: 0\.\r\n/);
  });

  it('gives a file in chunks, whatever range is asked for, and to HEAD a length of 0', async () => {
    const response = await dav(path('Föld', difficult), 'GET', { Range: 'bytes=1-2' });
    expect([response.status, await response.text()]).toEqual([200, 'Grüße']);
    expect([response.headers.get('content-length'), response.headers.get('accept-ranges')]).toEqual([null, null]);
    const head = await dav(path('Föld', difficult), 'HEAD');
    expect([head.headers.get('content-length'), await head.text()]).toEqual(['0', '']);
    for (const name of ['content-type', 'etag', 'last-modified']) {
      expect(head.headers.get(name)).toBe(response.headers.get(name));
      expect(head.headers.get(name)).toBeTruthy();
    }
    const etag = response.headers.get('etag') ?? '';
    expect((await dav(path('Föld', difficult), 'GET', { 'If-None-Match': etag })).status).toBe(304);
  });

  it('streams a generated file that no memory would hold', async () => {
    const response = await dav('/large');
    const reader = (response.body as NonNullable<typeof response.body>).getReader();
    let length = 0;
    while (length < 10_000_000) length += (await reader.read()).value?.length ?? Number.NaN;
    await reader.cancel();
  });

  it.each([
    ['what is not there', '/nothing', 'GET', 404],
    ['below a file', '/large/x', 'GET', 404],
    ['a file with a slash behind it', '/large/', 'GET', 404],
    ['a member of every object', '/constructor', 'GET', 404],
    ['a malformed escape', '/%zz', 'GET', 400],
    ['a name that is not UTF-8', '/%E4', 'GET', 404],
    ['an unknown method', '/large', 'REPORT', 501],
    ['a POST', '/large', 'POST', 405],
    ['somewhere that only begins alike', 'x', 'GET', 404],
  ])('refuses %s', async (_, target, method, status) => {
    const response = await dav(target, method);
    expect(response.status).toBe(status);
    if (method === 'GET') expect(await response.text()).toMatch(/<h1>/);
    else expect([await response.text(), response.headers.get('x-why')]).toEqual(['', expect.stringMatching(/\.$/)]);
  });

  it.each([
    ['a parameter of a segment', `${path('Föld', 'b.png')};x=1`],
    ['an escaped slash', '/F%C3%B6ld%2Fb.png'],
    ['dots', '/F%C3%B6ld/deep/%2e%2e/b.png'],
  ])('finds a file by a path with %s', async (_, target) => {
    expect(await (await dav(target)).arrayBuffer()).toHaveProperty('byteLength', 3);
  });

  it('gives a page of a folder', async () => {
    const response = await dav('/F%C3%B6ld/');
    expect(response.headers.get('content-type')).toBe('text/html;charset=UTF-8');
    expect(await response.text()).toContain('&quot;b&quot; &amp; &lt;c&gt;');
  });

  describe('with webdavRanges', () => {
    let ranged: PowerFolderServer;
    let access: string;

    beforeAll(async () => {
      const files = { 'a.txt': 'Grüße', large: { size: generated } };
      const accounts = [{ username: 'ada', password: 'x', files }];
      ranged = await startPowerFolderServer({ autoApprove: 'ada', accounts, webdavRanges: true });
      access = (await newTokens(ranged)).access_token;
    });
    afterAll(() => ranged.close());

    const get = (name: string, Range: string) =>
      fetch(`${ranged.url}/webdav/${name}`, { headers: { Authorization: `Bearer ${access}`, Range } });

    it.each([
      ['bytes=1-3', 206, 'bytes 1-3/7', 'r\u00c3\u00bc'],
      ['bytes=5-', 206, 'bytes 5-6/7', '\u009fe'],
      ['bytes=-1', 206, 'bytes 6-6/7', 'e'],
      ['bytes=-99', 206, 'bytes 0-6/7', 'Gr\u00c3\u00bc\u00c3\u009fe'],
      ['bytes=0-99', 206, 'bytes 0-6/7', 'Gr\u00c3\u00bc\u00c3\u009fe'],
      ['bytes=7-', 416, 'bytes */7', undefined],
      ['bytes=0-1,3-4', 200, null, 'Gr\u00c3\u00bc\u00c3\u009fe'],
      ['bytes=-', 200, null, 'Gr\u00c3\u00bc\u00c3\u009fe'],
    ])('gives %s: %i', async (range, status, contentRange, text) => {
      const response = await get('a.txt', range);
      expect([response.status, response.headers.get('content-range')]).toEqual([status, contentRange]);
      const body = Buffer.from(await response.arrayBuffer()).toString('latin1');
      if (text) expect(body).toBe(text);
    });

    it('gives a part of a generated file', async () => {
      const middle = await get('large', 'bytes=2000000000-2000131072');
      const bytes = Buffer.from(await middle.arrayBuffer());
      expect(bytes).toHaveLength(131_073);
      expect(bytes.every((byte, i) => byte === (2_000_000_000 + i) % 256)).toBe(true);
    });
  });

  it.each([
    ['no credentials', '', ['Bearer', 'Basic']],
    ['an unknown token', 'Bearer x', ['error="invalid_token"', 'unknown']],
  ])('challenges %s', async (_, Authorization, challenges) => {
    const response = await dav('/', 'PROPFIND', { Authorization, Depth: '1' });
    expect(response.status).toBe(401);
    for (const challenge of challenges) expect(response.headers.get('www-authenticate')).toContain(challenge);
  });

  it('tells an expired token from a revoked one', async () => {
    const [expired, revoked] = [await newTokens(server), await newTokens(server)];
    server.expireTokens(expired.access_token);
    server.revokeTokens(revoked.access_token);
    const words = async ({ access_token }: TokenResponse) => {
      const response = await dav('/large', 'HEAD', { Authorization: `Bearer ${access_token}` });
      return [response.status, /error_description="(.*?)"/.exec(response.headers.get('www-authenticate') ?? '')?.[1]];
    };
    expect(await words(expired)).toEqual([401, 'The access token has expired.']);
    expect(await words(revoked)).toEqual([401, 'The access token was revoked.']);
  });

  it('takes a name and a password with a colon and an umlaut', async () => {
    const Authorization = `Basic ${Buffer.from('ada:geheim:ü').toString('base64')}`;
    expect((await dav('/large', 'HEAD', { Authorization })).status).toBe(200);
  });

  it('can be browsed with the webdav package', async () => {
    // That package is an ES module, which jest does not import here: it gets a process of its own.
    const script = `
      import { AuthType, createClient } from 'webdav';
      const [, url, access_token] = process.argv;
      const client = createClient(url, { authType: AuthType.Token, token: { access_token, token_type: 'Bearer' } });
      const found = [];
      for (const folder of ['/']) {
        for (const entry of await client.getDirectoryContents(folder)) {
          found.push([entry.type, entry.filename, entry.size]);
          if (entry.type === 'directory') found.push(...(await client.getDirectoryContents(entry.filename)).map((e) => [e.type, e.basename, e.size]));
        }
      }
      const name = found.find(([type, name]) => name.startsWith('Ä'))[1];
      const text = await client.getFileContents('/Föld/' + name, { format: 'text' });
      const { mime, lastmod } = await client.stat('/Föld/' + name);
      const missing = await client.exists('/missing');
      console.log(JSON.stringify({ found, text, mime, lastmod, missing }));`;
    const run = promisify(execFile);
    const args = ['--input-type=module', '-e', script, `${server.url}/webdav`, tokens.access_token];
    const { stdout } = await run(process.execPath, args, { cwd: process.cwd() });
    expect(JSON.parse(stdout)).toEqual({
      found: [
        ['directory', '/Föld', 0],
        ['file', difficult, 7],
        ['file', 'b.png', 3],
        ['directory', 'deep', 0],
        ['directory', 'empty', 0],
        ['file', '/large', generated],
      ],
      text: 'Grüße',
      mime: 'text/plain',
      lastmod: 'Tue, 01 Jan 2030 00:00:00 GMT',
      missing: false,
    });
  });
});

it.each(['constructor', '__proto__', 'toString', 'a.constructor', 'hasOwnProperty'])(
  'a file may be called like a member of every object: %s',
  async (name) => {
    const files = Object.defineProperty({}, name, { value: 'text', enumerable: true });
    const server = await startPowerFolderServer({
      autoApprove: 'ada',
      accounts: [{ username: 'ada', password: 'x', files }],
    });
    try {
      const { access_token } = await newTokens(server);
      const get = (method: string) =>
        fetch(`${server.url}/webdav/${name}`, { method, headers: { Authorization: `Bearer ${access_token}` } });
      const [file, properties] = [await get('GET'), await get('PROPFIND')];
      expect([file.status, file.headers.get('content-type')]).toEqual([200, 'application/octet-stream']);
      expect([await file.text(), properties.status]).toEqual(['text', 207]);
    } finally {
      await server.close();
    }
  },
);
