import { execFile } from 'node:child_process';
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

function dav(path: string, method = 'GET', headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/webdav${path}`, {
    method,
    headers: { Authorization: `Bearer ${tokens.access_token}`, ...headers },
  });
}

const path = (...names: string[]) => `/${names.map(encodeURIComponent).join('/')}`;

describe('startPowerFolderServer: WebDAV', () => {
  it('says what it can', async () => {
    const response = await dav('/', 'OPTIONS');
    expect([response.status, response.headers.get('dav')]).toEqual([200, '1']);
    expect(response.headers.get('allow')).toBe('OPTIONS, PROPFIND, GET, HEAD');
  });

  it('lists a folder in well-formed XML, names and hrefs escaped', async () => {
    const response = await dav(`${path('Föld')}/`, 'PROPFIND', { Depth: '1' });
    expect(response.status).toBe(207);
    expect(response.headers.get('content-type')).toBe('application/xml;charset=utf-8');
    const xml = await response.text();
    expect(xml).toMatch(/^<\?xml version="1\.0" encoding="utf-8"\?>\n<D:multistatus xmlns:D="DAV:">/);
    const hrefs = [...xml.matchAll(/<D:href>(.*?)<\/D:href>/g)].map(([, href]) => href);
    const base = '/pf/webdav/F%C3%B6ld/';
    const name = encodeURIComponent(difficult).replaceAll("'", '&apos;');
    expect(hrefs).toEqual([base, base + name, `${base}b.png`, `${base}deep/`, `${base}empty/`]);
    expect(xml).toContain(
      '<D:displayname>Ä 100% #1 + &apos;a&apos; &quot;b&quot; &amp; &lt;c&gt; ?.txt</D:displayname>',
    );
    expect(xml).toContain(
      '<D:getcontentlength>7</D:getcontentlength><D:getcontenttype>text/plain;charset=utf-8</D:getcontenttype>',
    );
    expect(xml).toContain('<D:getlastmodified>Tue, 01 Jan 2030 00:00:00 GMT</D:getlastmodified>');
    expect(xml.match(/<D:resourcetype><D:collection\/><\/D:resourcetype>/g)).toHaveLength(3);
  });

  it.each([
    ['/', '0', 1],
    ['', '0', 1],
    ['/', '1', 3],
    ['/large', '1', 1],
  ])('lists "%s" with Depth %s: %i', async (target, depth, count) => {
    const xml = await (await dav(target, 'PROPFIND', { Depth: depth })).text();
    expect(xml.match(/<D:response>/g)).toHaveLength(count);
  });

  it.each([
    ['infinity', { Depth: 'infinity' }],
    ['none', {} as Record<string, string>],
  ])('refuses Depth %s', async (_, headers) => {
    expect((await dav('/', 'PROPFIND', headers)).status).toBe(403);
  });

  it('gives a file, and its headers to HEAD', async () => {
    const response = await dav(path('Föld', difficult));
    expect(await response.text()).toBe('Grüße');
    const head = await dav(path('Föld', difficult), 'HEAD');
    expect(await head.text()).toBe('');
    for (const name of ['content-length', 'content-type', 'etag', 'last-modified']) {
      expect(head.headers.get(name)).toBe(response.headers.get(name));
      expect(head.headers.get(name)).toBeTruthy();
    }
  });

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
    const response = await dav(path('Föld', difficult), 'GET', { Range: range });
    expect([response.status, response.headers.get('content-range')]).toEqual([status, contentRange]);
    const body = Buffer.from(await response.arrayBuffer()).toString('latin1');
    if (text) expect(body).toBe(text);
  });

  it('streams a generated file that no memory would hold', async () => {
    const response = await dav('/large');
    expect(response.headers.get('content-length')).toBe(String(generated));
    const reader = (response.body as NonNullable<typeof response.body>).getReader();
    let length = 0;
    while (length < 10_000_000) length += (await reader.read()).value?.length ?? Number.NaN;
    await reader.cancel();
    const middle = await dav('/large', 'GET', { Range: 'bytes=2000000000-2000131072' });
    const bytes = Buffer.from(await middle.arrayBuffer());
    expect(bytes).toHaveLength(131_073);
    expect(bytes.every((byte, i) => byte === (2_000_000_000 + i) % 256)).toBe(true);
  });

  it.each([
    ['what is not there', '/nothing', 'GET', 404],
    ['below a file', '/large/x', 'GET', 404],
    ['a member of every object', '/constructor', 'GET', 404],
    ['a folder, by GET', '/F%C3%B6ld', 'GET', 405],
    ['a malformed escape', '/%zz', 'GET', 400],
    ['writing', '/new.txt', 'PUT', 405],
    ['deleting', '/large', 'DELETE', 405],
    ['somewhere that only begins alike', 'x', 'GET', 404],
  ])('refuses %s', async (_, target, method, status) => {
    expect((await dav(target, method)).status).toBe(status);
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
