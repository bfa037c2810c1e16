/** What deployed and vendor's clients do with a PowerFolder server, and what may stand in front of it. */

import { PowerFolderClient, registerClient } from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import { authorizationURL, newTokens, redirectURI, requestToken } from '../support/simulated-sign-in.ts';

const accounts = [
  {
    username: 'ada',
    password: 'ada',
    custom1: 'staff',
    custom2: 'example.edu',
    files: { B: {}, A: {}, C: {}, 'a file': 'x' },
  },
  { username: 'admin', password: 'admin', admin: true },
];

let server: PowerFolderServer;
afterEach(() => server.close());

async function start(options: PowerFolderServerOptions = {}) {
  server = await startPowerFolderServer({ autoApprove: 'ada', accounts, ...options });
  return await newTokens(server);
}

const basic = (username: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});
const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const get = (path: string, headers = {}) => fetch(server.url + path, { headers, redirect: 'manual' });
const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

it("takes the deployed client's refresh, of six members", async () => {
  const { access_token, refresh_token } = await start();
  const refresh = (more: object) =>
    requestToken(server, { grant_type: 'refresh_token', refresh_token, access_token, format: 'json', ...more });
  expect((await refresh({})).status).toBe(200);
  // And nothing that nobody sends.
  expect((await refresh({ scope: 'x' })).status).toBe(400);
});

it("makes tokens as PowerFolder's are: Base58, with the expiry in them", async () => {
  const now = Date.UTC(2030, 0, 1);
  const { access_token, refresh_token, expires_in } = await start({ now: () => now });
  const expiry = (token: string) => {
    const [, , tail = ''] = /^1([1-9A-HJ-NP-Za-km-z]+)-([1-9A-HJ-NP-Za-km-z]+)$/.exec(token) ?? [];
    const number = [...tail].reduce((sum, digit) => sum * 58n + BigInt(base58.indexOf(digit)), 0n);
    return Number(BigInt(`0x${number.toString(16).padStart(80, '0').slice(0, 16)}`));
  };
  expect(expiry(access_token)).toBe(now + expires_in * 1000);
  expect(expiry(refresh_token)).toBeGreaterThan(now + 50 * 365 * 86_400_000);
  expect(access_token.length).toBeGreaterThan(70);
});

it.each([
  ['seconds', 86_400],
  ['milliseconds', 86_400_000],
  ['none', undefined],
] as const)('tells how long tokens live in %s, and the client finds the same expiry', async (expiresIn, expected) => {
  const { expires_in, refresh_token } = await start({ expiresIn });
  expect(expires_in).toBe(expected);
  const { url: serverURL, clientID, clientSecret } = server;
  const { expiresAt } = await new PowerFolderClient({ serverURL, clientID, clientSecret }).refreshAccessToken(
    refresh_token,
  );
  if (expiresIn === 'none') expect(expiresAt).toBeUndefined();
  else expect(Math.abs(Number(expiresAt) - Date.now() - 86_400_000)).toBeLessThan(60_000);
});

describe('a token as the password of HTTP Basic', () => {
  it.each<[what: string, options: PowerFolderServerOptions, status: number]>([
    ['is taken', {}, 200],
    ['is refused where that is told', { tokenAsPassword: false }, 401],
    ['is refused where tokens are', { tokenLogin: false }, 401],
  ])('%s', async (_, options, status) => {
    const { access_token, refresh_token } = await start(options);
    for (const path of ['/api/accounts?action=getInfo', '/api/folders?action=getAll', '/webdav/A/']) {
      expect([path, (await get(path, basic('ada', access_token))).status]).toEqual([path, status]);
      expect([path, (await get(path, basic('admin', access_token))).status]).toEqual([path, 401]);
      expect([path, (await get(path, basic('ada', refresh_token))).status]).toEqual([path, 401]);
      expect([path, (await get(path, bearer(access_token))).status]).toEqual([
        path,
        options.tokenLogin === false ? 401 : 200,
      ]);
      expect([path, (await get(path, basic('ada', 'ada'))).status]).toEqual([path, 200]);
    }
  });
});

it('gives the list of folders in pages, with their IDs', async () => {
  const { access_token } = await start();
  const list = async (query: string) =>
    (await (await get(`/api/folders?action=getAll${query}`, bearer(access_token))).json()) as {
      ResultSet: { Result: { name: string; folderID: string; resourceURL: string }[]; Pageable: object };
    };
  const { Result } = (await list('')).ResultSet;
  expect(Result.map(({ name }) => name)).toEqual(['B', 'A', 'C']);
  for (const { folderID, resourceURL } of Result) {
    expect(resourceURL).toBe(`${server.url}/files/${Buffer.from(folderID).toString('base64')}`);
  }
  const pages = [await list('&page=0&size=2'), await list('&page=1&size=2'), await list('&page=2&size=2')];
  expect(pages.map(({ ResultSet }) => ResultSet.Result.map(({ name }) => name))).toEqual([['B', 'A'], ['C'], []]);
  expect(pages[0]?.ResultSet.Pageable).toEqual({ page: 0, size: 2, maxPages: 2 });
  for (const query of ['&size=0', '&page=-1', '&size=x', '&limit=1']) {
    expect((await get(`/api/folders?action=getAll${query}`, bearer(access_token))).status).toBe(400);
  }
  // For people: a page, or the log-in.
  expect((await get(new URL(Result[0]?.resourceURL ?? '').pathname)).headers.get('location')).toBe('/login');
});

it("tells a university's attributes", async () => {
  const { access_token } = await start();
  const account = await (await get('/api/accounts?action=getInfo', bearer(access_token))).json();
  expect(account).toMatchObject({ custom1: 'staff', custom2: 'example.edu', custom3: '' });
});

it("gives a token by user name and password, as the vendor's own clients get it", async () => {
  await start();
  const { account } = (await (await get('/login?Username=ada&Password=ada&json=1')).json()) as {
    account: { token: string };
  };
  expect((await get('/webdav/A/', bearer(account.token))).status).toBe(200);
  expect((await get('/login?Username=ada&Password=wrong&json=1')).status).toBe(401);
});

it.each([
  ['replace', 401],
  ['add', 200],
] as const)('%ss a client that is registered again', async (knownClient, status) => {
  const { refresh_token } = await start({ knownClient });
  const { url: serverURL, clientID, clientSecret: old } = server;
  await registerClient({ serverURL, admin: { username: 'admin', password: 'admin' }, clientID, clientSecret: 'new' });
  const refresh = (client_secret: string) =>
    requestToken(server, { grant_type: 'refresh_token', refresh_token, client_secret });
  expect([(await refresh(old)).status, (await refresh('new')).status]).toEqual([status, 200]);
});

it.each(['page', 'empty'] as const)('refuses token requests by %s', async (tokenErrors) => {
  await start({ tokenErrors });
  const response = await requestToken(server, { code: 'x' });
  const body = await response.text();
  expect([response.status, /<html/.test(body), body === '']).toEqual([
    400,
    tokenErrors === 'page',
    tokenErrors === 'empty',
  ]);
});

it('leads requests with a token to another node of its cluster', async () => {
  const { access_token } = await start({ cluster: true });
  for (const path of ['/api/accounts?action=getInfo', '/api/folders?action=getAll', '/webdav/A/']) {
    const { status, headers } = await get(path, bearer(access_token));
    const location = new URL(headers.get('location') ?? '');
    expect([status, location.hostname, location.origin !== server.url, location.pathname + location.search]).toEqual([
      302,
      'localhost',
      true,
      path,
    ]);
    expect(
      (await fetch(location.href.replace('localhost', '127.0.0.1'), { headers: bearer(access_token) })).status,
    ).toBe(200);
  }
});

describe('its pages', () => {
  const pagesOf = async (options: PowerFolderServerOptions) => {
    server = await startPowerFolderServer({ accounts, ...options });
    const browser = new Browser();
    return { browser, first: await browser.visit(authorizationURL(server)) };
  };

  it("have the names of PowerFolder's log-in", async () => {
    const { first } = await pagesOf({});
    expect(first.text).toMatch(
      /<form id="login_form"[\s\S]*name="Username"[\s\S]*name="Password"[\s\S]*<button id="login_submit"/,
    );
    expect(first.headers['set-cookie']).toMatch(/^JSESSIONID=node0[a-z\d]+;/);
  });

  it('have a form-action in their policy where that is told', async () => {
    const policies = [];
    for (const formAction of [undefined, "'self' https://app.example.com"]) {
      const { first } = await pagesOf(formAction ? { formAction } : {});
      policies.push(
        String(first.headers['content-security-policy'])
          .split('; ')
          .filter((each) => each.startsWith('form-action')),
      );
      await server.close();
    }
    expect(policies).toEqual([[], ["form-action 'self' https://app.example.com"]]);
  });

  it('ask once where that is told, and each time otherwise', async () => {
    for (const consent of ['once', 'always'] as const) {
      const { browser, first } = await pagesOf({ consent });
      const follow = ({ href }: URL) => !href.startsWith(redirectURI);
      const page = await browser.submit(first, 'Log in', { username: 'ada', password: 'ada' }, { follow });
      await browser.submit(page, 'Allow', {}, { follow });
      const again = await browser.visit(authorizationURL(server), { follow });
      expect([consent, again.status]).toEqual([consent, consent === 'once' ? 302 : 200]);
      // Another client was not allowed.
      await server.close();
    }
  });

  it('send nobody back after Decline where that is told', async () => {
    const { browser, first } = await pagesOf({ decline: 'nothing' });
    const page = await browser.submit(first, 'Log in', { username: 'ada', password: 'ada' });
    const end = await browser.submit(page, 'Decline');
    expect([end.status, end.url, end.text]).toEqual([
      200,
      `${server.url}/oauth/consent`,
      expect.stringContaining('You declined'),
    ]);
  });
});

describe('an identity provider in front', () => {
  const begin = async () => {
    server = await startPowerFolderServer({ accounts, identityProvider: true, contextPath: '/pf' });
    const browser = new Browser();
    return { browser, page: await browser.visit(authorizationURL(server)) };
  };
  const follow = ({ href }: URL) => !href.startsWith(redirectURI);

  it('is at another origin, after several redirects, and people come back by a POST', async () => {
    const { browser, page } = await begin();
    expect(page.trail.map((each) => new URL(each).hostname)).toEqual([
      '127.0.0.1',
      '127.0.0.1',
      'localhost',
      'localhost',
    ]);
    const wrong = await browser.submit(page, 'Log in', { j_username: 'ada', j_password: 'wrong' });
    expect(wrong.text).toContain('User name or password is wrong.');
    const back = await browser.submit(wrong, 'Log in', { j_username: 'ada', j_password: 'ada' });
    expect(back.text).toContain('document.forms[0].submit()');
    const consent = await browser.submit(back, 'Continue');
    const end = await browser.submit(consent, 'Allow', {}, { follow });
    expect(String(end.headers['location'])).toMatch(/\/code=\w+&state=abc123$/);
    // Who is logged in there is not asked again.
    const other = await browser.visit(`${server.url}/logout`);
    expect(other.text).toContain('name="SAMLResponse"');
  });

  it('is not got around: a forged assertion, and the own log-in, are refused', async () => {
    const { browser } = await begin();
    const post = (path: string, body: string) => browser.visit(`${server.url}${path}`, { method: 'POST', body });
    const forged = Buffer.from('admin').toString('base64url');
    expect((await post('/Shibboleth.sso/SAML2/POST', `SAMLResponse=${forged}.x`)).status).toBe(403);
    expect((await post('/login', 'Username=ada&Password=ada')).status).toBe(403);
  });

  it('is not there otherwise', async () => {
    server = await startPowerFolderServer({ accounts });
    expect((await get('/Shibboleth.sso/Login')).status).toBe(404);
  });
});
