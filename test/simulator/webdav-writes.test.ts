import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { promisify } from 'node:util';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { newTokens } from '../support/simulated-sign-in.ts';
import { until } from '../support/until.ts';

const files = { Documents: { 'a.txt': 'A', deep: { 'b.txt': 'B' } }, Other: {} };

let server: PowerFolderServer;
let token: string;

beforeEach(async () => {
  const accounts = [
    { username: 'ada', password: 'x', files },
    { username: 'bob', password: 'x', files },
  ];
  server = await startPowerFolderServer({ autoApprove: 'ada', accounts, contextPath: '/pf' });
  token = (await newTokens(server)).access_token;
});
afterEach(() => server.close());

type Headers = Record<string, string>;

function dav(method: string, path: string, headers: Headers = {}, body?: string | Buffer): Promise<Response> {
  const Authorization = `Bearer ${token}`;
  return fetch(`${server.url}/webdav${path}`, {
    method,
    headers: { Authorization, ...headers },
    ...(body !== undefined && { body: new Uint8Array(Buffer.from(body)) }),
  });
}

const statusOf = async (...args: Parameters<typeof dav>) => (await dav(...args)).status;
const to = (path: string, more: Headers = {}) => ({ Destination: `${server.url}/webdav${path}`, ...more });
const read = async (path: string) => {
  const response = await dav('GET', path);
  return response.ok ? await response.text() : response.status;
};

describe('startPowerFolderServer: writing by WebDAV', () => {
  it('MKCOL makes a folder, once, where there is one to make it in', async () => {
    expect(await statusOf('MKCOL', '/Documents/new')).toBe(201);
    expect(await statusOf('MKCOL', '/Documents/new/')).toBe(405);
    expect(await statusOf('MKCOL', '/Documents/a.txt')).toBe(405);
    expect(await statusOf('MKCOL', '/nowhere/new')).toBe(409);
    expect(await statusOf('MKCOL', '/top')).toBe(201);
    const folders = await fetch(`${server.url}/api/folders?action=getAll`, {
      headers: { Authorization: `Bearer ${token}` },
    });
    expect(await folders.text()).toContain('"name":"top"');
  });

  it('PUT writes a file, and over one, whatever the conditions', async () => {
    const headers = { 'If-None-Match': '*', 'If-Match': '"other"', 'Content-Range': 'bytes 5-6/9' };
    expect(await statusOf('PUT', '/Documents/%C3%BC.txt', headers, 'Grüße')).toBe(201);
    expect(await statusOf('PUT', '/Documents/%C3%BC.txt', headers, 'more')).toBe(201);
    expect(await read('/Documents/%C3%BC.txt')).toBe('more');
    expect(await statusOf('PUT', '/Documents', {}, 'x')).toBe(500);
    expect(await statusOf('PUT', '/nowhere/x', {}, 'x')).toBe(409);
    expect(await statusOf('PUT', '/Documents/empty', {}, '')).toBe(201);
    expect(await read('/Documents/empty')).toBe('');
  });

  it('keeps the bytes of an upload, and of one that breaks off those that came', async () => {
    const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251));
    expect(await statusOf('PUT', '/Documents/bytes', {}, bytes)).toBe(201);
    expect(Buffer.from(await (await dav('GET', '/Documents/bytes')).arrayBuffer()).equals(bytes)).toBe(true);
    const { port, pathname } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1');
    const head = `PUT ${pathname}/webdav/Documents/cut HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\nContent-Length: 100\r\n\r\n`;
    await new Promise((sent) => socket.write(`${head}only this`, sent));
    // Not before it has begun to read.
    await until(() => server.openSockets > 0);
    socket.end();
    await until(async () => (await read('/Documents/cut')) === 'only this');
    expect(server.requests.find(({ url }) => url.endsWith('/bytes'))?.body.length).toBeLessThanOrEqual(65_536);
  });

  it('keeps only the size of what is longer than 64 MiB', async () => {
    const size = 64 * 1024 * 1024 + 1;
    expect(await statusOf('PUT', '/Documents/huge', {}, Buffer.alloc(size))).toBe(201);
    const xml = await (await dav('PROPFIND', '/Documents/huge', { Depth: '0' })).text();
    expect(xml).toContain(`<D:getcontentlength>${size}<`);
  });

  it('COPY: 201, 204 over something, 412 with Overwrite: F', async () => {
    expect(await statusOf('COPY', '/Documents/deep', to('/Other/deep'))).toBe(201);
    expect(await read('/Other/deep/b.txt')).toBe('B');
    expect(await statusOf('COPY', '/Documents/a.txt', to('/Other/deep/b.txt'))).toBe(204);
    expect(await read('/Other/deep/b.txt')).toBe('A');
    expect(await statusOf('COPY', '/Documents/a.txt', to('/Other/deep/b.txt', { Overwrite: 'F' }))).toBe(412);
    // A copy is one: the original stays.
    expect(await read('/Documents/deep/b.txt')).toBe('B');
  });

  it('MOVE: always 204; 412 with Overwrite: F, 404 for nothing', async () => {
    expect(await statusOf('MOVE', '/Documents/a.txt', to('/Other/c.txt'))).toBe(204);
    expect([await read('/Documents/a.txt'), await read('/Other/c.txt')]).toEqual([404, 'A']);
    expect(await statusOf('MOVE', '/Other/c.txt', to('/Documents/deep/b.txt', { Overwrite: 'F' }))).toBe(412);
    expect([await read('/Other/c.txt'), await read('/Documents/deep/b.txt')]).toEqual(['A', 'B']);
    expect(await statusOf('MOVE', '/Other/c.txt', { Destination: '/pf/webdav/Documents/deep/b.txt' })).toBe(204);
    expect(await read('/Documents/deep/b.txt')).toBe('A');
    expect(await statusOf('MOVE', '/nothing', to('/Other/x'))).toBe(404);
  });

  it.each<[what: string, destination: string | undefined, status: number]>([
    ['no destination', undefined, 400],
    ['another server', 'http://evil.example/pf/webdav/x', 502],
    ['another path', '/webdav/x', 403],
    ['itself', '/pf/webdav/Documents', 403],
    ['something within', '/pf/webdav/Documents/deep/x', 403],
    ['no such folder', '/pf/webdav/nowhere/x', 409],
    ['the top', '/pf/webdav/', 403],
  ])('moves nothing to %s', async (_, destination, status) => {
    expect(await statusOf('MOVE', '/Documents', destination === undefined ? {} : { Destination: destination })).toBe(
      status,
    );
    expect(await read('/Documents/deep/b.txt')).toBe('B');
  });

  it('DELETE: 204, and 404 for nothing', async () => {
    expect(await statusOf('DELETE', '/Documents/deep/')).toBe(204);
    expect(await statusOf('DELETE', '/Documents/deep/')).toBe(404);
    expect(await statusOf('DELETE', '/')).toBe(403);
  });

  it('LOCK: others get 423, who has the token does not, and UNLOCK ends it', async () => {
    const lock = await dav('LOCK', '/Documents/deep/b.txt');
    const lockToken = lock.headers.get('lock-token') ?? '';
    expect([lock.status, lockToken]).toEqual([200, expect.stringMatching(/^<opaquelocktoken:[\w-]+>$/)]);
    for (const [method, path, headers] of [
      ['PUT', '/Documents/deep/b.txt', {}],
      ['DELETE', '/Documents/deep', {}],
      ['DELETE', '/Documents', {}],
      ['MOVE', '/Documents/deep/b.txt', to('/Other/b.txt')],
      ['COPY', '/Documents/a.txt', to('/Documents/deep/b.txt')],
      ['LOCK', '/Documents/deep/b.txt', {}],
    ] as const) {
      expect([method, path, await statusOf(method, path, headers)]).toEqual([method, path, 423]);
    }
    expect(await statusOf('PUT', '/Documents/deep/b.txt', { If: `(${lockToken})` }, 'new')).toBe(201);
    expect(await statusOf('UNLOCK', '/Documents/deep/b.txt', { 'Lock-Token': '<opaquelocktoken:other>' })).toBe(400);
    expect(await statusOf('UNLOCK', '/Documents/deep/b.txt', { 'Lock-Token': lockToken })).toBe(204);
    expect(await statusOf('DELETE', '/Documents')).toBe(204);
  });

  it('changes one account only, and nothing of what was given to it', async () => {
    await dav('DELETE', '/Documents');
    const Authorization = `Basic ${Buffer.from('bob:x').toString('base64')}`;
    expect((await fetch(`${server.url}/webdav/Documents/a.txt`, { headers: { Authorization } })).status).toBe(200);
    expect(files.Documents).toHaveProperty('deep');
  });

  it('writes nothing for who has no token', async () => {
    for (const method of ['PUT', 'MKCOL', 'DELETE', 'MOVE', 'COPY', 'LOCK']) {
      expect(await statusOf(method, '/Documents/a.txt', { Authorization: 'Bearer x', ...to('/Other/x') })).toBe(401);
    }
    expect(await read('/Documents/a.txt')).toBe('A');
  });

  it('can be written to with the webdav package', async () => {
    // An ES module, which jest does not import here: it gets a process of its own.
    const script = `
      import { AuthType, createClient } from 'webdav';
      const [, url, access_token] = process.argv;
      const client = createClient(url, { authType: AuthType.Token, token: { access_token, token_type: 'Bearer' } });
      await client.createDirectory('/Documents/Bücher & mehr');
      await client.putFileContents('/Documents/Bücher & mehr/ü #1.txt', 'Grüße');
      await client.copyFile('/Documents/Bücher & mehr/ü #1.txt', '/Other/copy.txt');
      await client.moveFile('/Documents/Bücher & mehr', '/Other/moved');
      const lock = await client.lock('/Other/copy.txt');
      await client.unlock('/Other/copy.txt', lock.token);
      await client.deleteFile('/Other/copy.txt');
      const names = (await client.getDirectoryContents('/Other', { deep: true })).map(({ filename }) => filename);
      console.log(JSON.stringify([names, await client.getFileContents('/Other/moved/ü #1.txt', { format: 'text' })]));`;
    const args = ['--input-type=module', '-e', script, `${server.url}/webdav`, token];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: process.cwd() });
    expect(JSON.parse(stdout)).toEqual([['/Other/moved', '/Other/moved/ü #1.txt'], 'Grüße']);
  });
});
