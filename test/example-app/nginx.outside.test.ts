/** What docs/deployment.md shows, run: nginx with TLS and a context path in front of two instances, as in production. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Agent, type Dispatcher, getGlobalDispatcher, request, setGlobalDispatcher } from 'undici';
import { Browser } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { freePort } from '../support/free-port.ts';
import { describeWith, findProgram } from '../support/programs.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { upload } from '../support/upload.ts';

const repository = join(__dirname, '../..');
const page = readFileSync(join(repository, 'docs/deployment.md'), 'utf8');

/** The block of this language that has these words. */
function block(language: string, words: string): string {
  for (const [, name, code = ''] of page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)) {
    if (name === language && code.includes(words)) return code;
  }
  throw new Error(`docs/deployment.md has no ${language} with ${words}`);
}

/** Replaces what must be there. */
function fillIn(text: string, values: Record<string, string>): string {
  for (const [name, value] of Object.entries(values)) {
    if (!text.includes(name)) throw new Error(`There is no "${name}" to fill in: ${text}`);
    text = text.replaceAll(name, value);
  }
  return text;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-nginx-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describeWith('nginx', 'redis-server')('nginx in front of two instances', () => {
  let redis: Redis;
  let powerFolder: PowerFolderServer;
  let start: (place: Record<string, string>) => Promise<ExampleProcess>;
  /** Where each instance listens: the first by TCP, the second at a Unix domain socket. */
  let places: [Record<string, string>, Record<string, string>];
  let instances: ExampleProcess[];
  let nginx: ChildProcess;
  let before: Dispatcher;
  let plainURL: string;
  let url: string;

  beforeAll(async () => {
    redis = await startRedis();
    let codes = 0;
    powerFolder = await startPowerFolderServer({
      // Whatever a code is made of has to pass.
      code: () => `SENTINEL/${++codes}+%2F//..=`,
      accounts: [{ username: 'ada', password: 'pw', firstname: 'Ada', files: { '50%2F & #1 ü?': {} } }],
    });
    const [plain, port] = [await freePort(), await freePort()];
    plainURL = `http://127.0.0.1:${plain}`;
    url = `https://localhost:${port}/app`;
    const settings = Object.fromEntries(
      block('ini', 'BASE_URL')
        .split('\n')
        .filter((line) => /^\w+=/.test(line))
        .map((line) => line.split('=')),
    );
    const socketPath = join(folder, '2.sock');
    places = [{ PORT: await freePort() }, { LISTEN_ADDRESS: socketPath }];
    start = async (place) => {
      const instance = await startExampleProcess(undefined, {
        ...settings,
        ...place,
        BASE_URL: url,
        SESSION_SECRET: 'a secret that all instances share',
        REDIS_URL: redis.url,
        POWERFOLDER_URL: powerFolder.url,
        POWERFOLDER_CLIENT_ID: powerFolder.clientID,
        POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
      });
      // It does not wait long for Redis before it listens.
      const dispatcher = new Agent({ connect: 'LISTEN_ADDRESS' in place ? { socketPath } : {} });
      const healthz = `http://127.0.0.1:${instance.port ?? 80}/healthz`;
      await until(async () => {
        const { statusCode, body } = await request(healthz, { dispatcher });
        await body.dump();
        return statusCode === 200;
      });
      await dispatcher.close();
      return instance;
    };
    instances = await Promise.all(places.map(start));

    const tls = join(__dirname, '../fixtures/tls');
    const site = fillIn(block('nginx', 'log_format'), {
      'listen 80;': `listen 127.0.0.1:${plain};`,
      'listen 443 ssl;': `listen 127.0.0.1:${port} ssl;`,
      'server_name example.com;': 'server_name localhost;',
      '127.0.0.1:3001': `127.0.0.1:${instances[0]?.port}`,
      '127.0.0.1:3002': `unix:${socketPath}`,
      '/etc/ssl/example.com.pem': join(tls, 'server.pem'),
      '/etc/ssl/private/example.com.key': join(tls, 'server.key'),
      '/var/log/nginx/': `${folder}/`,
    });
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (name) => `${name}_temp_path ${folder}/${name};`,
    );
    const configuration = [
      // As root, nginx would have its work done by somebody who may not enter this folder.
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      `pid ${folder}/nginx.pid;`,
      `error_log ${folder}/error.log info;`,
      'events {}',
      'http {',
      ...temporary,
      site,
      '}',
    ];
    writeFileSync(join(folder, 'nginx.conf'), configuration.join('\n'));
    const args = ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log'), '-g', 'daemon off;'];
    nginx = spawn(findProgram('nginx') as string, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let complaints = '';
    nginx.stderr?.on('data', (chunk) => {
      complaints += chunk;
    });
    before = getGlobalDispatcher();
    setGlobalDispatcher(new Agent({ connect: { ca: readFileSync(join(tls, 'ca.pem')) } }));
    await until(() => {
      if (nginx.exitCode !== null) throw new Error(`nginx did not start: ${complaints}`);
      return fetch(plainURL, { redirect: 'manual' }).catch(() => undefined);
    });
  });
  afterAll(async () => {
    if (nginx && nginx.exitCode === null) {
      nginx.kill('SIGTERM');
      await once(nginx, 'exit');
    }
    await getGlobalDispatcher().close();
    setGlobalDispatcher(before);
    await Promise.all((instances ?? []).map((instance) => instance.stop('SIGKILL')));
    await Promise.all([powerFolder?.close(), redis?.close()]);
  });

  const logged = (file: string) => readFileSync(join(folder, file), 'utf8');
  const accesses = () =>
    logged('folder-desk.log')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
  const ada = { username: 'ada', password: 'pw' };

  it('signs in under a path, by https, with a cookie for this host alone (R36, R41)', async () => {
    const browser = new Browser(sameOrigin);
    const account = await logInAndAllow(browser, await browser.visit(`${url}/account`), ada);
    expect([account.status, account.url]).toEqual([200, `${url}/account`]);
    expect(account.text).toContain('translate="no">Ada</h1>');
    expect(account.headers['strict-transport-security']).toBe('max-age=31536000');
    const consent = await browser.visit(`${url}/auth/powerfolder`);
    const allowed = await browser.submit(consent, 'Allow', {}, { follow: (to) => to.origin !== new URL(url).origin });
    const signIn = await browser.stay(String(allowed.headers['location']));
    const cookie = [signIn.headers['set-cookie'] ?? []].flat().find((line) => line.startsWith('__Host-session')) ?? '';
    expect(cookie.replace(/=s%3A[^;]+/, '=…').replace(/Expires=[^;]+/, 'Expires=…')).toBe(
      `__Host-session-${new URL(url).port}.app=…; Path=/; Expires=…; HttpOnly; Secure; SameSite=Lax`,
    );
    // Both instances know who it is, and stylesheet and sign-out are under the path too.
    for (let i = 0; i < 4; i++) expect((await browser.visit(`${url}/account`)).status).toBe(200);
    expect(new Set(accesses().map(({ instance }) => instance)).size).toBeGreaterThanOrEqual(2);
    expect((await browser.visit(`${url}/style.css`)).status).toBe(200);
    const left = await browser.submit(account, 'Sign out');
    expect([left.status, left.url]).toEqual([200, `${url}/signed-out`]);
    expect(browser.cookies(url)).not.toContain('__Host-session');
  });

  it('opens folders whose names need escapes', async () => {
    const browser = new Browser(sameOrigin);
    const folders = await logInAndAllow(browser, await browser.visit(`${url}/folders`), ada);
    const [, href = ''] = /<td[^>]*>\s*<a href="(\/app\/folders\/[^"]+)"/.exec(folders.text) ?? [];
    expect(href).toContain('50%252F');
    const opened = await browser.visit(new URL(url).origin + href);
    expect([opened.status, opened.text]).toEqual([200, expect.stringContaining('This folder is empty.')]);
  });

  it('takes large files, and does not keep them', async () => {
    const browser = new Browser(sameOrigin);
    await logInAndAllow(browser, await browser.visit(`${url}/folders`), ada);
    const folder = `${url}/folders/${encodeURIComponent('50%2F & #1 ü?')}`;
    const content = Buffer.alloc(5_000_000, 'x');
    const page = await upload(browser, folder, [{ name: 'large.bin', content }]);
    expect([page.status, page.headers['location']]).toEqual([
      303,
      `/app/folders/${encodeURIComponent('50%2F & #1 ü?')}?uploaded=1`,
    ]);
    const back = await browser.visit(`${folder.replace('/folders/', '/files/')}/large.bin`);
    expect([back.status, back.text.length]).toEqual([200, 5_000_000]);
  });

  it('lets the frame of a page through before the listing is there', async () => {
    const browser = new Browser(sameOrigin);
    await logInAndAllow(browser, await browser.visit(`${url}/folders`), ada);
    const delay = 2000;
    const entry = (href: string) =>
      `<D:response><D:href>${href}</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>`;
    const listing = `<D:multistatus xmlns:D="DAV:">${entry('/webdav/')}${entry('/webdav/Late/')}</D:multistatus>`;
    powerFolder.failNext('webdav', {
      status: 207,
      headers: { 'content-type': 'text/xml' },
      chunked: ['', listing],
      everyMs: delay,
    });
    const started = performance.now();
    const { body } = await request(`${url}/folders`, {
      headers: { cookie: browser.cookies(url), 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
    });
    let text = '';
    let first = 0;
    for await (const chunk of body) {
      text += chunk;
      if (!first && text.includes('</h1>')) first = performance.now() - started;
    }
    const last = performance.now() - started;
    expect(text).toContain('>Late</span>');
    // Whatever the machine does: between the two lies what PowerFolder takes, or most of it.
    expect(last - first).toBeGreaterThan(delay / 2);
  });

  it('reaches instances that listen for nobody else', async () => {
    const [{ port } = { port: 0 }] = instances;
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    // Another address of the same machine.
    await expect(fetch(`http://127.0.0.2:${port}/healthz`, { signal: AbortSignal.timeout(2000) })).rejects.toThrow();
  });

  it('answers http with the same address by https', async () => {
    const { status, headers } = await new Browser().stay(`${plainURL}/app/account?x=1`);
    expect([status, headers['location']]).toEqual([308, 'https://localhost/app/account?x=1']);
  });

  it('shows the world nothing outside the path', async () => {
    for (const path of ['/', '/healthz', '/account', '/application', '/oauth/code=x&state=y']) {
      const { status, text } = await new Browser().stay(new URL(url).origin + path);
      expect([path, status, text]).toEqual([path, 404, expect.stringContaining('nginx')]);
    }
  });

  it('tells the app who the visitor is, by TCP and by a socket, and not what the visitor says (R46, R67)', async () => {
    const browser = new Browser({
      'X-Forwarded-For': '203.0.113.7',
      'X-Forwarded-Proto': 'http',
      Forwarded: 'for=203.0.113.7',
    });
    const asked = new Map<unknown, string>();
    // nginx takes them in turn.
    await until(async () => {
      const { headers } = await browser.visit(`${url}/auth/powerfolder`, { follow: () => false });
      // Neither is in doubt about https.
      expect(String(headers['set-cookie'])).toMatch(/; Secure$/);
      // Logs are written when the answer has been sent.
      const [instance, line] = await until(() => {
        const lines = instances.flatMap((instance, i) =>
          instance
            .output()
            .slice(0, -1)
            .filter((line) => line.includes('"req":'))
            .map((line) => [i, JSON.parse(line)] as const),
        );
        return lines.find(([, { req, res }]) => res && req.id === headers['x-request-id']);
      });
      asked.set(instance, line.req.ip);
      return asked.size === 2;
    });
    expect([...asked.values()]).toEqual(['127.0.0.1', '127.0.0.1']);
  });

  it('has no code in the access log, whichever form the answer has (R43)', async () => {
    const browser = new Browser(sameOrigin);
    const page = await logInAndAllow(browser, await browser.visit(`${url}/auth/powerfolder`), ada);
    expect(page.trail.some((address) => address.includes('SENTINEL'))).toBe(true);
    const paths = [
      '/oauth?code=SENTINEL&state=x',
      '/oauth/?code=SENTINEL',
      '/OAuth/code=SENTINEL',
      '/account?x=SENTINEL',
    ];
    for (const path of paths) {
      await browser.visit(url + path, { headers: { referer: `${url}/oauth/code=SENTINEL&state=x` } });
    }
    await new Browser().stay(`${plainURL}/app/oauth/code=SENTINEL&state=x`);
    // The log can be matched with the app's.
    const { headers } = await browser.visit(`${url}/account`);
    const line = await until(() => accesses().find(({ request }) => request === headers['x-request-id']));
    expect(line).toMatchObject({ path: '/app/account', status: 200, ip: '127.0.0.1' });
    expect(logged('folder-desk.log')).not.toContain('SENTINEL');
    expect(
      accesses().filter(({ path }) => /^\/app\/oauth\/\[hidden\]$/i.test(path ?? '')).length,
    ).toBeGreaterThanOrEqual(5);
  });

  it('lets nobody notice that the instances are restarted one after the other', async () => {
    const browser = new Browser(sameOrigin);
    await logInAndAllow(browser, await browser.visit(`${url}/auth/powerfolder`), ada);
    const statuses: number[] = [];
    let restarted = false;
    const visitor = async () => {
      while (!restarted) statuses.push((await browser.stay(`${url}/account`)).status);
    };
    const visitors = Array.from({ length: 4 }, visitor);
    const moreVisits = async () => {
      const enough = statuses.length + 25;
      await until(() => statuses.length >= enough);
    };
    try {
      for (const [i, instance] of instances.entries()) {
        await moreVisits();
        expect(await instance.stop('SIGTERM')).toBe(0);
        await moreVisits();
        instances[i] = await start(places[i] as Record<string, string>);
        await moreVisits();
      }
    } finally {
      restarted = true;
      await Promise.all(visitors);
    }
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('goes on when an instance is killed, and has no code in the error log when all are', async () => {
    const browser = new Browser(sameOrigin);
    await logInAndAllow(browser, await browser.visit(`${url}/auth/powerfolder`), ada);
    await instances[0]?.stop('SIGKILL');
    for (let i = 0; i < 4; i++) expect((await browser.visit(`${url}/account`)).status).toBe(200);
    await instances[1]?.stop('SIGKILL');
    expect((await browser.stay(`${url}/oauth/code=SENTINEL&state=x`)).status).toBe(502);
    expect((await browser.stay(`${url}/account?a=PLAIN`)).status).toBe(502);
    expect(logged('error.log')).toContain('PLAIN');
    expect(logged('error.log')).not.toContain('SENTINEL');
  });
});

describeWith('systemd-analyze')('the systemd unit', () => {
  it('has nothing that systemd does not know', () => {
    const unit = fillIn(block('ini', '[Unit]'), {
      '/usr/bin/node': process.execPath,
      '/srv/folder-desk': join(repository, 'example-app'),
    });
    const file = join(folder, 'folder-desk@3001.service');
    writeFileSync(file, unit);
    const verify = () =>
      execFileSync(findProgram('systemd-analyze') as string, ['verify', '--man=no', file], {
        stdio: 'pipe',
        encoding: 'utf8',
      });
    expect(verify()).toBe('');
    writeFileSync(file, unit.replace('server.ts', '').replace(process.execPath, '/usr/bin/no-node'));
    expect(verify).toThrow('no-node is not executable');
  });
});

describe('docs/deployment.md', () => {
  it('names every event that the app logs', () => {
    const app = join(repository, 'example-app');
    const sources = readdirSync(app).filter((file) => file.endsWith('.ts'));
    const said = sources.flatMap((file) => {
      const text = readFileSync(join(app, file), 'utf8');
      return [
        ...[...text.matchAll(/event: '([^']+)'/g)].map(([, event]) => event),
        ...[...text.matchAll(/\blog\.(?:info|warn|error)\((?:\{(?! *event)[^}]*\}, )?'([^']+)'\)/g)].map(
          ([, message]) => message,
        ),
      ];
    });
    expect(said.length).toBeGreaterThan(10);
    const [table = ''] = /^\| `event` or `msg`[\s\S]*?\n\n/m.exec(page) ?? [];
    for (const event of said) expect(table).toContain(`\`${event}\``);
  });
});
