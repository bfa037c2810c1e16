import { readFile } from 'node:fs/promises';
import { Agent, request as httpRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import {
  type PowerFolderEndpoint,
  type PowerFolderFault,
  type PowerFolderServer,
  type PowerFolderServerOptions,
  type PowerFolderTree,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { request } from 'undici';
import { Browser } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { type ExampleProcess, fromSources, startExampleProcess, startRefused } from '../support/example-process.ts';
import { startRelay } from '../support/relay.ts';
import { until } from '../support/until.ts';

const started: { stop?(): Promise<unknown>; close?(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((each) => each.stop?.() ?? each.close?.()));
});

function remember<T extends { stop?(): Promise<unknown>; close?(): Promise<unknown> }>(each: T): T {
  started.push(each);
  return each;
}

describe('npm start', () => {
  it('needs no configuration: it simulates a server, and says where and who can log in', async () => {
    const app = remember(await startExampleProcess(undefined, {}, fromSources));
    const said = (name: string) => new RegExp(`^${name}: (\\S+)$`, 'm').exec(app.output().join('\n'))?.[1] ?? '';
    expect(app.output()[0]).toMatch(/simulated PowerFolder server was started at http:\/\/127\.0\.0\.1:\d+$/);
    expect(app.url).toMatch(/^http:\/\/localhost:[1-9]\d*$/);
    const browser = new Browser(sameOrigin);
    const login = await browser.visit(`${app.url}/account`);
    const page = await logInAndAllow(browser, login, { username: said('username'), password: said('password') });
    expect([page.status, page.url]).toEqual([200, `${app.url}/account`]);
  });

  it('refuses an unsafe configuration in a sentence, without a stack, and with status 1 (R48)', async () => {
    const { status, stderr } = await startRefused({ NODE_ENV: 'production', SESSION_SECRET: 'short' });
    expect(status).toBe(1);
    const lines = stderr.trim().split('\n');
    expect(lines.map((line) => /^[A-Z_]{4,}/.exec(line)?.[0] ?? line)).toEqual([
      'The app was not started.',
      'BASE_URL',
      'REDIS_URL',
      'SESSION_SECRET',
      'POWERFOLDER_URL',
    ]);
  });

  it('says so when the port is taken', async () => {
    const app = remember(await startExampleProcess());
    const { status, stderr } = await startRefused({ PORT: new URL(app.url).port });
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^Cannot listen on port \d+: .*PORT\.\n$/)]);
  });

  it('writes its log as JSON, without tokens', async () => {
    const powerFolder = remember(await startPowerFolderServer({ autoApprove: 'ada' }));
    const app = remember(await startExampleProcess(powerFolder));
    await new Browser().visit(`${app.url}/folders`);
    const lines = app.output().filter((line) => line.startsWith('{'));
    expect(lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'signed in')).toHaveLength(1);
    const { headers } = powerFolder.requests.findLast(({ endpoint }) => endpoint === 'webdav') ?? {};
    const [, token = ''] = String(headers?.authorization).split(' ');
    expect(token.length).toBeGreaterThan(20);
    expect(lines.join('')).not.toContain(token);
  });

  it('lets requests in flight end when it is told to stop, and takes no new ones', async () => {
    const { app, browser, relay } = await signInByRelay();
    const { answered, release } = relay.holdNext(/^PROPFIND/);
    const inFlight = browser.visit(`${app.url}/folders`);
    await answered;
    // A connection that is kept alive and idle must not hold the process.
    const idle = httpRequest(app.url, { agent: new Agent({ keepAlive: true }) });
    idle.on('error', () => {}).end();
    await new Promise((resolve) => idle.once('response', (response) => response.resume().once('end', resolve)));
    expect(idle.socket?.destroyed).toBe(false);

    const stopped = app.stop('SIGTERM');
    await until(() => idle.socket?.destroyed);
    await expect(new Browser().visit(app.url)).rejects.toThrow(/ECONNREFUSED|closed|reset/i);
    release();
    const page = await inFlight;
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('Documents')]);
    expect(await stopped).toBe(0);
  });
});

/** One app for tests that leave it as it was; each has a browser of its own. */
let shared: { powerFolder: PowerFolderServer; app: ExampleProcess };
beforeAll(async () => {
  const powerFolder = await startPowerFolderServer({
    webdavRanges: true,
    autoApprove: 'ada',
    rotateRefreshTokens: true,
    accounts: [account],
  });
  shared = { powerFolder, app: await startExampleProcess(powerFolder) };
});
afterAll(async () => {
  await shared.app.stop();
  await shared.powerFolder.close();
});

const files: PowerFolderTree = {
  'ä ö ü ß €': { 'Größe – Maße.txt': 'umlauts' },
  '100%': { '%41.txt': 'percent', '50%25.txt': 'percent twice', '%': { 'x.txt': 'only percent' } },
  '#1 + more? & less; a=b': { '+.txt': 'plus', '#.txt': 'hash', '?.txt': 'question', '&amp;.txt': 'entity' },
  'quotes \'single\' "double" `back`': { '\'"`.txt': 'quotes' },
  '<b>markup': { '<script>alert(1).txt': 'markup' },
  'back\\slash': { 'a\\b.txt': 'backslash' },
  '日本語 🗂': { '🙂.txt': 'emoji' },
  '2026.10': { '007.txt': 'number', '1e3': 'number too', true: 'word' },
  '...': { '.hidden': 'dots', '~tilde!*().txt': 'unreserved' },
  constructor: { hasOwnProperty: 'prototype', toString: 'method' },
  'a,b@c:d$e|f^g{h}[i]': { 'x.txt': 'punctuation' },
};
const order: PowerFolderTree = { 'b 10': {}, 'b 9': {}, Z: {}, 'a.txt': '', 'Ä.txt': '', 'B.txt': '' };
const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`R&D <${i}>.txt`, '']));
const large = { size: 300_000_000 };
const html = { 'ü "x".html': '<script>alert(1)</script>', 'a.txt': '<script>' };
const account = { username: 'ada', password: 'pw', files: { files, order, many, html, large: { 'large.bin': large } } };

interface SignedIn {
  app: ExampleProcess;
  powerFolder: PowerFolderServer;
  browser: Browser;
  /** How many requests came for an endpoint since. */
  count(endpoint: PowerFolderEndpoint): number;
}

/** A browser that is signed in at the shared app, or at one of its own whose server has the given options. */
async function signIn(options?: PowerFolderServerOptions): Promise<SignedIn> {
  let { app, powerFolder } = shared;
  if (options) {
    powerFolder = remember(await startPowerFolderServer({ autoApprove: 'ada', accounts: [account], ...options }));
    app = remember(await startExampleProcess(powerFolder));
  }
  const browser = new Browser(sameOrigin);
  await browser.visit(`${app.url}/auth/powerfolder`);
  powerFolder.requests.length = 0;
  return { app, powerFolder, browser, count: counter(powerFolder) };
}

const counter = (powerFolder: PowerFolderServer) => (endpoint: PowerFolderEndpoint) =>
  powerFolder.requests.filter((each) => each.endpoint === endpoint).length;

/** The same at an app of its own, which reaches its server by a relay. */
async function signInByRelay(options: PowerFolderServerOptions = {}) {
  const powerFolder = remember(await startPowerFolderServer({ autoApprove: 'ada', ...options }));
  const relay = remember(await startRelay(powerFolder.url));
  const app = remember(await startExampleProcess({ ...powerFolder, url: relay.url }));
  const browser = new Browser(sameOrigin);
  await browser.visit(`${app.url}/auth/powerfolder`);
  powerFolder.requests.length = 0;
  return { app, powerFolder, browser, relay, count: counter(powerFolder) };
}

describe('/folders', () => {
  /** The entries of a page: what the visitor reads, and where it leads. */
  function entries(html: string): [name: string, href: string][] {
    const plain = (text: string) =>
      text
        .replaceAll('&lt;', '<')
        .replaceAll('&gt;', '>')
        .replaceAll('&#34;', '"')
        .replaceAll('&#39;', "'")
        .replaceAll('&amp;', '&');
    const rows = html.split(/(?=<tr\b)/).filter((row) => row.includes('<td'));
    return rows.map((row) => {
      const hrefs = [...row.matchAll(/<a href="([^"]*)"/g)].map(([, href = '']) => href);
      const [, name = ''] = /<span [^>]*>([^<]*)<\/span>/.exec(row) ?? [];
      // A file may open on a page of its own; the link to download it leads to the file itself.
      return [plain(name), plain((hrefs.at(-1) ?? '').replace(/\?download$/, ''))];
    });
  }

  it('asks for a sign-in, and comes back', async () => {
    const url = `${shared.app.url}/folders/files/${encodeURIComponent('#1 + more? & less; a=b')}`;
    const page = await new Browser().visit(url);
    expect([page.status, page.url]).toEqual([200, url]);
    expect(entries(page.text).map(([name]) => name)).toEqual(['?.txt', '&amp;.txt', '#.txt', '+.txt']);
  });

  it('shows every folder and opens every file, whatever their names are', async () => {
    const { app, browser } = await signIn();
    async function read(path: string): Promise<PowerFolderTree> {
      const page = await browser.visit(app.url + path);
      expect([path, page.status]).toEqual([path, 200]);
      expect(page.text).not.toMatch(/<script(?! type="module" src="\/\w+\.mjs">)|<b>/);
      const found: PowerFolderTree = {};
      for (const [name, href] of entries(page.text)) {
        found[name] = href.startsWith('/files/') ? (await browser.visit(app.url + href)).text : await read(href);
      }
      return found;
    }
    expect(await read('/folders/files')).toEqual(files);
  });

  it('works with a server that has a context path', async () => {
    const { app, browser } = await signIn({ contextPath: '/powerfolder' });
    expect(entries((await browser.visit(`${app.url}/folders/order/`)).text)).toHaveLength(6);
    expect((await browser.visit(`${app.url}/files/html/a.txt`)).text).toBe('<script>');
  });

  it('lists folders before files, in the order of the alphabet and of numbers', async () => {
    const { app, browser } = await signIn();
    const page = await browser.visit(`${app.url}/folders/order/`);
    expect(entries(page.text).map(([name]) => name)).toEqual(['b 9', 'b 10', 'Z', 'a.txt', 'Ä.txt', 'B.txt']);
  });

  it('shows an empty folder as such', async () => {
    const { app, browser } = await signIn();
    expect((await browser.visit(`${app.url}/folders/order/Z`)).text).toContain('This folder is empty.');
  });

  it('lists a folder with thousands of names that hold an ampersand', async () => {
    const { app, browser } = await signIn();
    const page = await browser.visit(`${app.url}/folders/many`);
    expect([page.status, entries(page.text).length]).toEqual([200, 200]);
    expect(page.text).toContain('>3,000 entries (1 to 200)</p>');
  });

  it('refreshes an access token that has expired, once for two tabs', async () => {
    const { app, browser, relay, count } = await signInByRelay({
      accessTokenLifetime: 59_000,
      rotateRefreshTokens: true,
    });
    const { answered, release } = relay.holdNext(/refresh_token/);
    const first = browser.visit(`${app.url}/folders`);
    await answered;
    const second = browser.visit(`${app.url}/folders`);
    // The app has read the request of the second tab before it answers this one.
    expect((await browser.visit(`${app.url}/account`)).status).toBe(200);
    release();
    const pages = await Promise.all([first, second]);
    expect(pages.map(({ status, trail }) => [status, trail.length])).toEqual([
      [200, 1],
      [200, 1],
    ]);
    expect([count('refresh'), count('token'), count('webdav')]).toEqual([1, 0, 2]);
  });

  it('refreshes the access token and tries once more when the server answers 401', async () => {
    const { app, powerFolder, browser, count } = await signIn();
    for (let i = 1; i <= 2; i++) {
      powerFolder.expireTokens();
      const page = await browser.visit(`${app.url}/folders`);
      expect([page.status, page.trail.length, count('refresh')]).toEqual([200, 1, i]);
    }
    // The new token was kept: nothing more to refresh.
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
    expect([count('refresh'), count('token')]).toEqual([2, 0]);
  });

  it('uses the token that another tab has got meanwhile', async () => {
    const { app, powerFolder, browser, relay, count } = await signInByRelay({ rotateRefreshTokens: true });
    powerFolder.expireTokens();
    // The first tab is still being answered 401 while the second refreshes.
    const { answered, release } = relay.holdNext(/^PROPFIND/);
    const slow = browser.visit(`${app.url}/folders`);
    await answered;
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
    release();
    const page = await slow;
    expect([page.status, page.trail]).toEqual([200, [`${app.url}/folders`]]);
    expect(count('token')).toBe(0);
  });

  it('asks for a new sign-in when the refresh is refused, and comes back to the page', async () => {
    const { app, powerFolder, browser, count } = await signIn();
    powerFolder.revokeTokens();
    const page = await browser.visit(`${app.url}/folders/order`);
    expect([page.status, page.url]).toEqual([200, `${app.url}/folders/order`]);
    expect(page.trail[1]).toBe(`${app.url}/auth/powerfolder?returnTo=%2Ffolders%2Forder`);
    expect([count('refresh'), count('token')]).toEqual([1, 1]);
  });

  it('signs the visitor out when the refresh is refused', async () => {
    const { app, powerFolder, browser } = await signIn();
    powerFolder.revokeTokens();
    const page = await browser.stay(`${app.url}/folders`);
    expect([page.status, page.headers['location']]).toEqual([302, '/auth/powerfolder?returnTo=%2Ffolders']);
    expect((await browser.visit(app.url)).text).toContain('Sign in with PowerFolder');
  });

  it('asks for a new sign-in when the token is refused and there is none to refresh it with', async () => {
    const { app, powerFolder, browser } = await signIn();
    await browser.submit(await browser.visit(app.url), 'Sign out');
    powerFolder.failNext('token', { body: { access_token: 'refused' } });
    powerFolder.failNext('accounts', { body: { ID: 'x', username: 'ada' } });
    await browser.visit(`${app.url}/auth/powerfolder`);
    const page = await browser.stay(`${app.url}/folders`);
    expect([page.status, page.headers['location']]).toEqual([302, '/auth/powerfolder?returnTo=%2Ffolders']);
  });

  it('ends on a page, not in a loop, when the server answers 401 whatever the token', async () => {
    const { app, powerFolder, browser } = await signIn();
    for (let i = 0; i < 2; i++) powerFolder.failNext('webdav', { status: 401 });
    const page = await browser.visit(`${app.url}/folders`);
    expect([page.status, page.trail.length]).toEqual([502, 1]);
    expect(page.text).toContain('PowerFolder does not answer as it should');
  });

  it('does not bring back a session that was ended while a token was refreshed', async () => {
    const { app, powerFolder, browser, relay } = await signInByRelay();
    const cookie = browser.cookies(app.url);
    const home = await browser.visit(app.url);
    powerFolder.expireTokens();
    const { answered, release } = relay.holdNext(/refresh_token/);
    const slow = browser.stay(`${app.url}/folders`);
    await answered;
    await browser.submit(home, 'Sign out');
    release();
    expect((await slow).status).toBe(302);
    expect((await new Browser().stay(`${app.url}/account`, { headers: { cookie } })).status).toBe(302);
  });

  it.each([
    ['webdav', { status: 500, body: 'java.lang.NullPointerException' }, 502],
    ['webdav', { status: 503 }, 503],
    ['webdav', { status: 429 }, 503],
    ['webdav', { status: 451 }, 502],
    ['webdav', { body: '<html>Please log in</html>' }, 502],
    ['webdav', { resetAfter: 0 }, 502],
    ['webdav', { closeAfter: 300 }, 502],
    ['refresh', { status: 503 }, 503],
    ['refresh', { status: 404 }, 502],
  ] as const)('R51: says so when the %s endpoint answers %j, with status %d, and keeps the session', async (...row) => {
    const [endpoint, fault, status] = row;
    const { app, powerFolder, browser } = await signIn();
    if (endpoint === 'refresh') powerFolder.expireTokens();
    powerFolder.failNext(endpoint, fault);
    const page = await browser.visit(`${app.url}/folders`);
    expect([page.status, page.text]).toEqual([
      status,
      expect.stringContaining('PowerFolder does not answer as it should'),
    ]);
    expect(page.text).toContain('href="/folders">Try again</a>');
    expect(page.text).not.toMatch(/Exception|log in/);
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
  });

  it('asks once more when a listing is empty, and then says so (R64)', async () => {
    const { app, powerFolder, browser, count } = await signIn();
    const empty = { status: 207, body: '' };
    powerFolder.failNext('webdav', empty);
    const page = await browser.visit(`${app.url}/folders`);
    expect([page.status, page.text, count('webdav')]).toEqual([200, expect.stringContaining('order'), 2]);
    for (let i = 0; i < 2; i++) powerFolder.failNext('webdav', empty);
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(502);
  });

  it('leads from a vanished or forbidden entry to the folder that it was in', async () => {
    const { app, powerFolder, browser } = await signIn();
    const gone = await browser.visit(`${app.url}/folders/order/Gone`);
    expect([gone.status, gone.text]).toEqual([404, expect.stringContaining('href="/folders/order">')]);
    for (const [path, parent] of [
      ['/folders/order', '/folders'],
      ['/files/html/a.txt', '/folders/html'],
    ]) {
      powerFolder.failNext('webdav', { status: 403 });
      const page = await browser.visit(app.url + path);
      expect([page.status, page.text]).toEqual([403, expect.stringContaining(`href="${parent}">`)]);
      expect(page.text).not.toContain('Try again');
    }
  });

  it('shows a file and a folder each at its own address, whichever was asked for (R63)', async () => {
    const { app, browser } = await signIn();
    const file = await browser.visit(`${app.url}/folders/html/a.txt`);
    expect([file.status, file.url]).toEqual([200, `${app.url}/view/html/a.txt`]);
    const folder = await browser.visit(`${app.url}/files/order`);
    expect([folder.status, folder.url]).toEqual([200, `${app.url}/folders/order`]);
  });

  it('says so when the server has gone away between two pages', async () => {
    const { app, powerFolder, browser } = await signIn({});
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
    await powerFolder.close();
    expect((await browser.visit(`${app.url}/folders/order`)).status).toBe(502);
    expect((await browser.visit(`${app.url}/files/html/a.txt`)).status).toBe(502);
    expect((await browser.visit(`${app.url}/account`)).status).toBe(200);
  });

  it.each(['/folders/gone', '/files/gone.txt', '/folders/order/..%2f', '/files/%2e%2e%2fapi', '/files/a%00'])(
    'says that %s is not there',
    async (path) => {
      const { app, browser } = await signIn();
      const page = await browser.visit(app.url + path);
      expect([page.status, page.text]).toEqual([404, expect.stringContaining('This is not there')]);
    },
  );
});

describe('/files', () => {
  /** The app asks what it is before it asks for a file. */
  function failNextFile(powerFolder: PowerFolderServer, fault: PowerFolderFault): void {
    powerFolder.failNext('webdav', {});
    powerFolder.failNext('webdav', fault);
  }

  it('lets nothing that others stored act as a page of this app', async () => {
    const { app, powerFolder, browser } = await signIn();
    const script = await browser.visit(`${app.url}/files/html/${encodeURIComponent('ü "x".html')}`);
    expect([script.status, script.text]).toEqual([200, '<script>alert(1)</script>']);
    expect(script.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="? \\"x\\".html"; filename*=UTF-8''%C3%BC%20%22x%22.html`,
      'x-content-type-options': 'nosniff',
      'content-security-policy':
        "sandbox allow-same-origin; script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
      'x-frame-options': 'SAMEORIGIN',
      'cache-control': 'no-store',
    });
    const text = await browser.visit(`${app.url}/files/html/a.txt`);
    expect(text.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-disposition': 'inline; filename=a.txt',
    });

    // A server that calls it HTML is not believed either.
    for (const type of ['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'text/javascript']) {
      failNextFile(powerFolder, { headers: { 'Content-Type': type }, body: '<script>alert(1)</script>' });
      const { headers } = await browser.visit(`${app.url}/files/html/a.txt`);
      expect([type, headers['content-type']]).toEqual([type, 'application/octet-stream']);
      expect(headers['content-disposition']).toMatch(/^attachment/);
    }
  });

  it('streams large files, in parts too, and does not hold them in memory', async () => {
    const { app, browser } = await signIn();
    const url = `${app.url}/files/large/large.bin`;
    const part = await browser.visit(url, { headers: { range: 'bytes=256-259' } });
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 256-259/${large.size}`]);
    expect(part.text).toBe('\0\u0001\u0002\u0003');
    const beyond = await browser.visit(url, { headers: { range: `bytes=${large.size}-` } });
    expect([beyond.status, beyond.text]).toEqual([416, expect.stringContaining('This part is not there')]);
    const head = await browser.visit(url, { method: 'HEAD' });
    expect([head.status, head.headers['content-length'], head.text]).toEqual([200, String(large.size), '']);

    const whole = await request(url, { headers: { cookie: browser.cookies(app.url) } });
    expect(whole.headers['content-length']).toBe(String(large.size));
    let bytes = 0;
    for await (const chunk of whole.body) bytes += chunk.length;
    expect(bytes).toBe(large.size);
    // Linux tells how much memory the process had at most.
    if (process.platform === 'linux') {
      const status = await readFile(`/proc/${app.process.pid}/status`, 'utf8');
      const [, peak] = /^VmHWM:\s+(\d+) kB$/m.exec(status) ?? [];
      expect(Number(peak) * 1024).toBeLessThan(large.size);
    }
  });

  it('keeps a refreshed token at once, not when a large file has been sent', async () => {
    const { app, powerFolder, browser, count } = await signIn();
    powerFolder.expireTokens();
    const headers = { cookie: browser.cookies(app.url) };
    const answer = await request(`${app.url}/files/large/large.bin`, { headers });
    expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
    expect(count('refresh')).toBe(1);
    answer.body.on('error', () => {}).destroy();
  });

  it('asks for files as they are, and delivers none that the server has packed all the same (R62, R63)', async () => {
    const { app, powerFolder, browser } = await signIn();
    const body = gzipSync('compressed '.repeat(1000));
    failNextFile(powerFolder, {
      headers: { 'Content-Type': 'text/plain', 'Content-Encoding': 'gzip', 'Content-Length': String(body.length) },
      body,
    });
    const page = await browser.visit(`${app.url}/files/html/a.txt`);
    expect([page.status, page.text]).toEqual([
      502,
      expect.stringContaining('PowerFolder does not answer as it should'),
    ]);
    expect(powerFolder.requests.at(-1)?.headers['accept-encoding']).toBe('identity');
  });

  it('lets go of the server when the visitor leaves in the middle', async () => {
    const { app, browser, relay } = await signInByRelay({ accounts: [account] });
    const headers = { cookie: browser.cookies(app.url) };
    const { release, closed } = relay.holdNext(/^GET .*large\.bin/);
    release();
    const answer = await request(`${app.url}/files/large/large.bin`, { headers });
    answer.body.on('error', () => {}).destroy();
    await closed;
    expect((await browser.visit(app.url)).status).toBe(200);
  });

  it('cuts the answer off when the server does, instead of ending it as if it were whole', async () => {
    const { app, powerFolder, browser } = await signIn();
    failNextFile(powerFolder, { closeAfter: 3_000_000 });
    await expect(browser.visit(`${app.url}/files/large/large.bin`)).rejects.toThrow();
    expect((await browser.visit(app.url)).status).toBe(200);
  });
});
