/** The ways to a server: a private CA, and proxies. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';
import {
  PowerFolderClient,
  type PowerFolderClientOptions,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  registerClient,
} from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { startTestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { root, run, tls, tlsFile } from '../support/command-line.ts';
import { type ForwardProxyOptions, startForwardProxy } from '../support/forward-proxy.ts';
import { until } from '../support/until.ts';

const ca = readFileSync(tlsFile('ca.pem'));
const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(options: PowerFolderServerOptions = {}): Promise<PowerFolderServer> {
  const server = await startPowerFolderServer({ autoApprove: 'ada', ...options });
  closers.push(() => server.close());
  return server;
}

async function startProxy(options: ForwardProxyOptions = {}) {
  const proxy = await startForwardProxy(options);
  closers.push(() => proxy.close());
  return proxy;
}

function required({ url: serverURL, clientID, clientSecret }: PowerFolderServer) {
  return { serverURL, clientID, clientSecret };
}

/** Fails with the error of a refresh that cannot get to the server. */
function refreshWith(server: PowerFolderServer, options: Partial<PowerFolderClientOptions>): Promise<Error & object> {
  const client = new PowerFolderClient({ ...required(server), ...options });
  return client.refreshAccessToken('1refreshSENTINEL').then(
    () => Promise.reject(new Error('refreshed')),
    (error) => error,
  );
}

async function signInWith(server: PowerFolderServer, options: Partial<PowerFolderStrategyOptions>) {
  const app = await startTestApp({ options: { ...required(server), ...options } });
  closers.push(app.close);
  // The browser goes to the server by itself.
  const start = await new Browser().stay(`${app.url}/auth/powerfolder`);
  const browser = new Browser();
  browser.setCookies(app.url, String([start.headers['set-cookie']].flat()[0]).split(';')[0] ?? '');
  const state = new URL(String(start.headers['location'])).searchParams.get('state');
  return { app, browser, state };
}

describe('ca', () => {
  const pem = ca.toString();
  it.each<[string, PowerFolderClientOptions['ca']]>([
    ["a file's bytes", ca],
    ['a text', pem],
    ['a list', [pem, ca]],
    ['two in one text', `# one\n${pem}\n# two\n${pem}`],
  ])('R23: trusts a CA beside the well-known ones: %s', async (_, given) => {
    const server = await startServer({ tls: tls('server.pem') });
    expect(await refreshWith(server, { ca: given })).toMatchObject({ code: 'sign_in_again' });
  });

  it('R23: trusts no other name, no expired certificate, and nobody without it', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    expect(await refreshWith(server, {})).toMatchObject({ code: 'tls', message: expect.stringContaining('option ca') });
    for (const certificate of ['other-name.pem', 'expired.pem']) {
      expect(await refreshWith(await startServer({ tls: tls(certificate) }), { ca })).toMatchObject({ code: 'tls' });
    }
  });

  it.each<[string, unknown]>([
    ["a file's name", 'ca.pem'],
    ['a key', readFileSync(tlsFile('server.key'))],
    ['no certificate within', pem.replace(/[A-Z]/g, 'x')],
    ['nothing', ''],
    ['a list of none', []],
    ['an object', {}],
    ['null', null],
  ])('is refused: %s', (_, given) => {
    const options = { serverURL: 'https://pf.example', clientID: 'a', clientSecret: 'b', ca: given as never };
    expect(() => new PowerFolderClient(options)).toThrow(/^ca (must be certificates in PEM form|has no certificate)/);
  });

  it('goes for the registration as well', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    const client = await registerClient({ serverURL: server.url, admin: server.admin, ca });
    expect(server.clients.map(({ id }) => id)).toContain(client.clientID);
  });
});

describe.each<[string, PowerFolderServerOptions, (proxy: ForwardProxyOptions) => ForwardProxyOptions]>([
  ['https', { tls: tls('server.pem') }, (options) => options],
  [
    'https, through a proxy by https',
    { tls: tls('server.pem') },
    (options) => ({ ...options, tls: tls('server.pem') }),
  ],
  ['http', {}, (options) => options],
])('a proxy to a server with %s', (scheme, serverOptions, proxyOptions) => {
  it('leads there, with a user name and a password, and its connection is kept', async () => {
    const server = await startServer(serverOptions);
    const proxy = await startProxy(proxyOptions({ credentials: 'ada:p@ss:wörd' }));
    const url = proxy.url.replace('://', '://ada:p%40ss:w%C3%B6rd@');
    const options = { ca, proxy: url };
    for (let n = 0; n < 3; n++) expect(await refreshWith(server, options)).toMatchObject({ code: 'sign_in_again' });
    const { host } = new URL(server.url);
    const asked = scheme === 'http' ? `POST ${server.url}/oauth/token` : `CONNECT ${host}`;
    expect(proxy.asked).toEqual([asked, asked, asked]);
    const client = new PowerFolderClient({ ...required(server), ...options });
    for (let n = 0; n < 3; n++) {
      await client.refreshAccessToken(`1refresh${n}`).catch(() => {});
      await pause(50);
    }
    expect(proxy.asked).toHaveLength(scheme === 'http' ? 6 : 4);
    const shown = inspect(client, { depth: 9, showHidden: true, getters: true }) + JSON.stringify(client);
    expect(shown).not.toMatch(/p@ss|p%40ss/);
  });

  it('R51: that refuses is called by its name, and the server is not blamed', async () => {
    const server = await startServer(serverOptions);
    const proxy = await startProxy(proxyOptions({ credentials: 'ada:right' }));
    const error = await refreshWith(server, { ca, proxy: proxy.url.replace('://', '://ada:SENTINEL@') });
    expect(error).toMatchObject({
      code: 'unreachable',
      status: 502,
      message: expect.stringMatching(
        new RegExp(
          `could not be reached: the proxy ${proxy.host} wants a user name and a password, or others \\(407\\)`,
        ),
      ),
    });
    expect(error).not.toHaveProperty('serverStatus');
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('SENTINEL');
  });

  it('that is dead is called by its name', async () => {
    const server = await startServer(serverOptions);
    const proxy = await startForwardProxy(proxyOptions({}));
    await proxy.close();
    expect(await refreshWith(server, { ca, proxy: proxy.url })).toMatchObject({
      code: 'unreachable',
      status: 502,
      message: expect.stringContaining(`the proxy ${proxy.host} cannot be used (ECONNREFUSED)`),
    });
  });
});

describe('a proxy', () => {
  it.each([403, 502, 503, 302])('that answers %d to CONNECT refuses', async (refuse) => {
    const server = await startServer({ tls: tls('server.pem') });
    const proxy = await startProxy({ refuse });
    expect(await refreshWith(server, { ca, proxy: proxy.url })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`the proxy ${proxy.host} refuses to lead there (${refuse})`),
    });
    await until(() => proxy.open.size === 0);
  });

  it('that speaks no HTTP is called by its name', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    const proxy = await startProxy({ refuse: 'rubbish' });
    expect(await refreshWith(server, { ca, proxy: proxy.url })).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining(`the proxy ${proxy.host} cannot be used (HTTPParserError)`),
    });
  });

  it('R25, R56: that never answers is given up by the deadline, and no connection remains', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    const proxy = await startProxy({ refuse: 'silent' });
    const error = await refreshWith(server, { ca, proxy: proxy.url, timeout: 300 });
    expect(error).toMatchObject({
      code: 'timeout',
      status: 504,
      message: expect.stringContaining(`did not answer within 300 ms, through the proxy ${proxy.host}.`),
    });
    await until(() => proxy.open.size === 0);
    expect(proxy.asked).toHaveLength(1);
  });

  it('R25: counts the deadline over the way through it as well', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    const proxy = await startProxy();
    server.failNext('refresh', { silence: true });
    expect(await refreshWith(server, { ca, proxy: proxy.url, timeout: 300 })).toMatchObject({ code: 'timeout' });
    await until(() => proxy.open.size === 0);
  });

  it('R23: does not come between: the certificate is the server’s', async () => {
    const proxy = await startProxy();
    expect(await refreshWith(await startServer({ tls: tls('server.pem') }), { proxy: proxy.url })).toMatchObject({
      code: 'tls',
    });
    const other = await startServer({ tls: tls('other-name.pem') });
    expect(await refreshWith(other, { ca, proxy: proxy.url })).toMatchObject({ code: 'tls' });
  });

  it('R23: with https is known by its own name, and not by the server’s', async () => {
    const server = await startServer({ tls: tls('other-name.pem') });
    const hosts = { 'elsewhere.example.com:443': Number(new URL(server.url).port) };
    const through = async (certificate: string) => {
      const proxy = await startProxy({ tls: tls(certificate), hosts });
      const error = await refreshWith({ ...server, url: 'https://elsewhere.example.com' }, { ca, proxy: proxy.url });
      return { error, proxy };
    };
    expect((await through('server.pem')).error).toMatchObject({ code: 'sign_in_again' });
    const { error, proxy } = await through('other-name.pem');
    expect(error).toMatchObject({ code: 'unreachable', cause: { proxy: proxy.host } });
    expect(error.message).toMatch(/the proxy 127\.0\.0\.1:\d+ cannot be used \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
    expect(proxy.asked).toEqual([]);
  });

  it('R23: with https is known by its own name on the way to a server with http, too', async () => {
    const server = await startServer();
    const hosts = { 'elsewhere.example.com': Number(new URL(server.url).port) };
    const through = async (certificate: string) => {
      const proxy = await startProxy({ tls: tls(certificate), hosts });
      const options = { ca, proxy: proxy.url, allowInsecureHTTP: true };
      return await refreshWith({ ...server, url: 'http://elsewhere.example.com' }, options);
    };
    expect(await through('server.pem')).toMatchObject({ code: 'sign_in_again' });
    expect((await through('other-name.pem')).message).toMatch(/cannot be used \(ERR_TLS_CERT_ALTNAME_INVALID\)/);
  });

  it('R22: elsewhere gets nothing of what is http because it stays on this machine', async () => {
    const server = await startServer();
    // Nobody is there: who goes by it gets nowhere.
    const proxy = 'http://proxy.invalid:3128';
    expect(await refreshWith(server, { proxy })).toMatchObject({ code: 'sign_in_again' });
    const here = await startProxy();
    expect(await refreshWith(server, { proxy: here.url })).toMatchObject({ code: 'sign_in_again' });
    expect(here.asked).toEqual([`POST ${server.url}/oauth/token`]);
  });

  it('R25, R56: that answers after the deadline gets nothing more, and is left at once', async () => {
    const server = await startServer({ tls: tls('server.pem') });
    const sockets: Socket[] = [];
    let received = '';
    let lateAnswer = () => {};
    const late = createServer((socket) => {
      sockets.push(socket);
      socket
        .on('error', () => {})
        .setEncoding('latin1')
        .on('data', (data) => {
          received += data;
          lateAnswer = () => socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        });
    }).listen(0, '127.0.0.1');
    await once(late, 'listening');
    closers.push(async () => {
      for (const socket of sockets) socket.destroy();
      late.close();
    });
    const proxy = `http://127.0.0.1:${(late.address() as AddressInfo).port}`;
    expect(await refreshWith(server, { ca, proxy, timeout: 300 })).toMatchObject({ code: 'timeout' });
    lateAnswer();
    await until(() => sockets.every(({ destroyed, readableEnded }) => destroyed || readableEnded));
    expect(received.split('\r\n\r\n')[1]).toBe('');
  });

  it('knows names that this machine does not', async () => {
    const server = await startServer({ tls: tls('other-name.pem') });
    const proxy = await startProxy({ hosts: { 'elsewhere.example.com:443': Number(new URL(server.url).port) } });
    const options = { serverURL: 'https://elsewhere.example.com', ca, proxy: proxy.url };
    expect(await refreshWith(server, options)).toMatchObject({ code: 'sign_in_again' });
    expect(proxy.asked).toEqual(['CONNECT elsewhere.example.com:443']);
  });

  it('carries a whole sign-in: tokens, and who it was', async () => {
    const server = await startServer();
    const proxy = await startProxy({ credentials: 'ada:secret' });
    const { app, browser, state } = await signInWith(server, { proxy: proxy.url.replace('://', '://ada:secret@') });
    const answer = await new Browser().stay(
      `${server.url}/oauth/allow?${new URLSearchParams({
        state: String(state),
        response_type: 'code',
        redirect_uri: app.callbackURL,
        client_id: server.clientID,
      })}`,
    );
    const page = await browser.visit(String(answer.headers['location']));
    expect([page.status, JSON.parse(page.text).user.profile.username]).toEqual([200, 'ada']);
    expect(proxy.asked).toEqual([`POST ${server.url}/oauth/token`, `GET ${server.url}/api/accounts?action=getInfo`]);
  });

  it.each<[string, Partial<PowerFolderStrategyOptions>]>([
    ['ca', { ca }],
    ['proxy', { proxy: 'http://127.0.0.1:1' }],
  ])('and a dispatcher: %s has no effect beside one, and is refused', async (name, options) => {
    const server = await startServer();
    const dispatcher = { dispatch: () => true } as never;
    const all = { ...required(server), callbackURL: 'http://localhost/oauth', dispatcher, ...options };
    expect(() => new PowerFolderStrategy(all, () => false)).toThrow(
      new RegExp(`^${name} has no effect beside a dispatcher`),
    );
  });

  it('R29: keeps its password to itself in a strategy', () => {
    const options = { serverURL: 'https://pf.example', clientID: 'a', clientSecret: 'b' };
    const callbackURL = 'https://app.example/oauth';
    const proxy = 'http://ada:SENTINEL@proxy:1';
    const strategy = new PowerFolderStrategy({ ...options, callbackURL, proxy }, () => false);
    const encoded = Buffer.from('ada:SENTINEL').toString('base64');
    const shown = inspect(strategy, { depth: 9, showHidden: true }) + JSON.stringify(strategy);
    expect([shown.includes('SENTINEL'), shown.includes(encoded)]).toEqual([false, false]);
  });
});

describe('NODE_USE_ENV_PROXY', () => {
  it('has the package go through the proxy of the environment, without an option', async () => {
    const server = await startServer();
    const proxy = await startProxy();
    const script = join(root, 'test/fixtures/refresh-in-turn.mjs');
    const options = JSON.stringify([{ ...required(server), callbackURL: 'http://localhost/oauth' }]);
    const refresh = async (env: Record<string, string>) => {
      await promisify(execFile)(process.execPath, ['--no-warnings', '--import', 'tsx', script, options], {
        env: { ...process.env, ...env },
      });
      return proxy.asked.splice(0).length;
    };
    const HTTP_PROXY = proxy.url;
    expect(await refresh({ HTTP_PROXY, NODE_USE_ENV_PROXY: '1' })).toBe(1);
    expect(await refresh({ HTTP_PROXY })).toBe(0);
    expect(await refresh({ HTTP_PROXY, NODE_USE_ENV_PROXY: '1', NO_PROXY: '127.0.0.1' })).toBe(0);
  });
});

describe('the command line', () => {
  const check = async (server: string, env: Record<string, string>, ...more: string[]) => {
    const all = { POWERFOLDER_CLIENT_SECRET: 'secret', ...env };
    return await run(['check', '--server', server, '--client-id', 'app', ...more], { env: all });
  };

  it.each(['HTTPS_PROXY', 'https_proxy'])('goes through the proxy that %s names', async (name) => {
    const server = await startServer({ tls: tls('other-name.pem'), clients: [{ id: 'app', secret: 'secret' }] });
    const port = Number(new URL(server.url).port);
    const proxy = await startProxy({ credentials: 'ada:pass', hosts: { 'elsewhere.example.com:443': port } });
    const env = { [name]: proxy.url.replace('://', '://ada:pass@') };
    const { status, stdout } = await check('https://elsewhere.example.com', env, '--ca', tlsFile('ca.pem'));
    expect([status, stdout]).toEqual([0, expect.stringContaining('No problem found')]);
    expect(proxy.asked.length).toBeGreaterThan(0);
  });

  it('goes without one where NO_PROXY says so', async () => {
    const server = await startServer({ clients: [{ id: 'app', secret: 'secret' }] });
    const proxy = await startProxy();
    for (const name of ['NO_PROXY', 'no_proxy']) {
      const { status } = await check(server.url, { HTTP_PROXY: proxy.url, [name]: 'example.com,127.0.0.1' });
      expect([status, proxy.asked]).toEqual([0, []]);
    }
    expect((await check(server.url, { HTTP_PROXY: proxy.url })).status).toBe(0);
    expect(proxy.asked.length).toBeGreaterThan(0);
  });

  it.each<[string, ForwardProxyOptions, RegExp]>([
    [
      'wants a password',
      { credentials: 'ada:right' },
      /The proxy \S+ wants a user name and a password, or others \(407\)/,
    ],
    ['refuses', { refuse: 403 }, /The proxy \S+ refuses to lead there \(403\)/],
  ])('blames the proxy that %s, and not PowerFolder', async (_, options, message) => {
    const proxy = await startProxy(options);
    const env = { HTTPS_PROXY: proxy.url.replace('://', '://ada:SENTINEL@') };
    const { status, stdout, stderr } = await check('https://pf.example', env);
    expect([status, stdout]).toEqual([1, expect.stringMatching(message)]);
    expect(stdout).toMatch(/It stands in HTTPS_PROXY; NO_PROXY=pf\.example goes without\./);
    expect(stdout + stderr).not.toContain('SENTINEL');
  });

  it('says which proxy is dead, and which variable holds none', async () => {
    const closed = createServer().listen(0, '127.0.0.1');
    await until(() => closed.listening);
    const { port } = closed.address() as AddressInfo;
    closed.close();
    const dead = await check('https://pf.example', { HTTPS_PROXY: `127.0.0.1:${port}` });
    expect(dead.stdout).toContain(`The proxy 127.0.0.1:${port} cannot be used (ECONNREFUSED)`);
    const none = await check('https://pf.example', { HTTPS_PROXY: 'socks5://ada:SENTINEL@127.0.0.1:1' });
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('HTTPS_PROXY has the scheme socks5:')]);
    expect(none.stderr).not.toContain('SENTINEL');
  });

  it('registers through it', async () => {
    const admin = { username: 'admin', password: 'adminpass' };
    const server = await startServer({ accounts: [{ ...admin, admin: true }], autoApprove: undefined as never });
    const proxy = await startProxy();
    const env = { HTTP_PROXY: proxy.url, POWERFOLDER_ADMIN_PASSWORD: admin.password };
    const { status } = await run(['register', '--server', server.url, '--admin', 'admin'], { env });
    expect([status, proxy.asked]).toEqual([0, [`POST ${server.url}/api/oauth?action=store`]]);
  });
});
