/** BASE_URL: each path works wholly or is refused, and no two apps of one host share a cookie. */
import fc from 'fast-check';
import { type Config, ConfigurationError, readConfig } from '../../example-app/config.ts';
import { sessionCookieName } from '../../example-app/session-cookie.ts';
import { Browser } from '../support/browser.ts';
import { type Example, logInAndAllow, sameOrigin, startExample } from '../support/example.ts';
import { rawRequest } from '../support/raw-request.ts';
import { rounds } from '../support/rounds.ts';

/** The sentences that refuse this BASE_URL. */
function refusal(BASE_URL: string): string {
  try {
    readConfig({ BASE_URL, TRUST_PROXY: 'loopback' });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message;
  }
  return '';
}

/** Everything that a visitor does: signs in at a page and comes back to it, looks at pages and folders, and signs out. */
async function useWholeApp(path: string): Promise<void> {
  const account = { username: 'ada', password: 'pw', firstname: 'Ada', files: { 'a+b (c)': { 'x.txt': 'text' } } };
  const app = await startExample({ path, server: { accounts: [account] } });
  try {
    const browser = new Browser(sameOrigin);
    const login = await browser.visit(`${app.url}/account?a=b`);
    const page = await logInAndAllow(browser, login, account);
    expect([page.status, page.url]).toEqual([200, `${app.url}/account?a=b`]);

    const { origin } = new URL(app.url);
    const seen = new Set<string>();
    const links = ({ text }: { text: string }) =>
      [...text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link = '']) =>
        link.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code)).replaceAll('&amp;', '&'),
      );
    const open = [...links(page), ...links(await browser.visit(`${app.url}/`))];
    for (let link = open.pop(); link !== undefined && seen.size < 50; link = open.pop()) {
      if (link.startsWith('#') || seen.has(link)) continue;
      seen.add(link);
      expect((origin + link).startsWith(`${app.url}/`)).toBe(true);
      const next = await browser.visit(origin + link);
      expect([link, next.status, next.trail.length]).toEqual([link, 200, 1]);
      open.push(...links(next));
    }
    const base = new URL(app.url).pathname.replace(/\/$/, '');
    const pages = ['/', '/account', '/icon.svg', '/style.css', '/time.mjs', '/filter.mjs', '/upload.mjs'];
    const file = '/a%2Bb%20(c)/x.txt';
    const folders = ['/folders', '/folders/a%2Bb%20(c)', `/view${file}`, `/files${file}`];
    const paths = [...seen].map((link) => link.replace(/\?.*$/, ''));
    expect(new Set(paths)).toEqual(new Set([...pages, ...folders].map((page) => base + page)));
    const german = await browser.submit(page, 'Deutsch');
    expect([german.url, german.text]).toEqual([page.url, expect.stringContaining('<html lang="de-DE">')]);

    const left = await browser.submit(german, 'Abmelden');
    expect([left.status, left.url]).toEqual([200, `${app.url}/signed-out`]);
    // Nothing stays but the language that was chosen.
    expect(browser.cookies(app.url)).toBe('language=de');
    // A refused answer is a page, too, and leads to a sign-in.
    const failed = await new Browser().visit(`${app.url}/oauth/code=x&state=y`);
    expect([failed.status, failed.headers['referrer-policy']]).toEqual([403, 'no-referrer']);
  } finally {
    await app.close();
  }
}

describe('the path of BASE_URL (R70)', () => {
  it.each([
    '',
    '/desk',
    '/desk/',
    '/a/b/c',
    '/app+beta',
    '/a(b)',
    '/a*',
    '/*',
    '/:x',
    '/a!b$c',
    "/it's",
    '/~ada/@app,2',
    '/a.b',
    '/.well-known/x',
    '/f%C3%BCr',
    '/f%c3%bcr',
    '/für/日本',
    '/App',
    '/oauth',
    '/auth',
    '/auth/powerfolder',
    '/logout',
    '/folders',
    '/style.css',
    '/healthz/x',
    '/code/x',
    '/a/../b',
    '/a&b',
    '/(((',
    '/a$',
    '/$&',
  ])('works wholly: %s', async (path) => {
    await useWholeApp(path);
  });

  it.each<[path: string, write: string]>([
    ['/{y}', '/app'],
    ['/a[b]', '/app'],
    ['/a^b', '/app'],
    ['/a|b', '/app'],
    ['/a"b', '/app'],
    ['/a;b', '/app'],
    ['/a=b', '/app'],
    ['/code=1', '/app'],
    ['/a%20b', '/app'],
    ['/a%25b', '/app'],
    ['/a%2Fb', '/a/b'],
    ['/a%2fb', '/a/b'],
    ['/a%5Cb', '/app'],
    ['/a%00b', '/app'],
    ['/a%0d%0ab', '/app'],
    ['/a%7Eb', '/a~b'],
    ['/%64esk', '/desk'],
    ['/%2B', '/+'],
    ['/a%FCb', '/app'],
    ['/a%', '/app'],
    ['/a%zz', '/app'],
    ['/%252e%252e', '/app'],
    ['//x', '/x'],
    ['//evil.example/x', '/evil.example/x'],
    ['/a//b', '/a/b'],
    ['/a/..//b', '/b'],
    ['/healthz', '/app'],
    ['/HealthZ/', '/app'],
    ['/favicon.ico', '/app'],
    [`/${'x'.repeat(200)}`, '/app'],
    [`/${'ü'.repeat(40)}`, '/app'],
  ])('is refused with what to write: %s', async (path, write) => {
    for (const origin of ['http://localhost:3000', 'https://app.example']) {
      const said = refusal(origin + path);
      expect(said).toMatch(/^BASE_URL (?:must|may) .*[^.]\.$/);
      const [, right = ''] = /: write (\S+?)(?:\.|, for example\.)$/.exec(said) ?? [];
      expect(right).toBe(origin + write);
      expect(refusal(right)).toBe('');
    }
  });

  it.each(['/a?', '/a?b', '/a#b', '/a\\b', '\\evil.example', '/a b', '/a\tb'])('is refused: %j', (path) => {
    expect(refusal(`http://localhost:3000${path}`)).toMatch(/^BASE_URL must be the address of this app/);
  });

  it.each(['https:app.example', 'https:///app.example', 'https:\\\\app.example', 'https://'])(
    'is an address: %s',
    (url) => {
      expect(refusal(url)).toMatch(/^BASE_URL must be the address of this app/);
    },
  );

  it.each(['https://app.example./x', 'https://undefined', 'https://null/x', 'http://localhost:0'])(
    'makes a callback URL that the strategy takes, or is refused: %s',
    (url) => {
      expect(refusal(url)).toMatch(/^BASE_URL makes the callback URL \S+\/oauth, which cannot be used: callbackURL /);
    },
  );

  it('works wholly or is refused, whatever it is', async () => {
    let worked = 0;
    const character = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(..."abzAZ09-._~!$&'()*+,:@;=/".split('')) },
      { weight: 1, arbitrary: fc.constantFrom(...'?#[]{}|\\^`"<> %'.split('')) },
      {
        weight: 1,
        arbitrary: fc.constantFrom('%C3%BC', '%c3%bc', 'ü', 'İ', '🗂', '%2F', '%5c', '%2e', '%41', '%FF', '..', '//'),
      },
      { weight: 1, arbitrary: fc.constantFrom('oauth', 'auth', 'logout', 'folders', 'code', 'state', 'healthz') },
    );
    const paths = fc.array(character, { minLength: 1, maxLength: 6 }).map((parts) => `/${parts.join('')}`);
    const property = fc.asyncProperty(paths, async (path) => {
      const said = refusal(`http://localhost:3000${path}`);
      if (said) return void expect(said).toMatch(/^BASE_URL [^\n]*\.$/);
      worked++;
      await useWholeApp(path);
    });
    await fc.assert(property, { numRuns: rounds(30, 60) });
    expect(worked).toBeGreaterThan(0);
  });
});

describe('the name of the cookie (R70)', () => {
  const nameFor = (BASE_URL: string) =>
    sessionCookieName(readConfig({ BASE_URL, TRUST_PROXY: 'loopback' }) satisfies Config);

  it.each([
    ['https://app.example', '__Host-session'],
    ['https://app.example/desk', '__Host-session.desk'],
    ['https://app.example:8443/my-app/2', '__Host-session-8443.my-app.2'],
    ['http://localhost:3000', 'session-3000'],
    ['http://localhost', 'session'],
    ['https://app.example/f%c3%bcr', '__Host-session.f%C3%BCr'],
    ['https://app.example/a.b+c', '__Host-session.a%2Eb%2Bc'],
  ])('at %s is %s', (url, name) => {
    expect(nameFor(url)).toBe(name);
  });

  it('is another one for each port, path and scheme of a host', () => {
    const paths = [
      '',
      '/a',
      '/a/b',
      '/a-b',
      '/a.b',
      '/a+b',
      '/a_b',
      '/a,b',
      '/A',
      '/-80',
      '/80',
      '/a/-b',
      '/a-/b',
      '/ü',
      '/%C3%BC/',
    ];
    const places = [
      'https://localhost',
      'https://localhost:80',
      'http://localhost',
      'http://localhost:443',
      'http://localhost:3000',
    ];
    const names = new Map<string, string>();
    for (const url of places.flatMap((place) => paths.map((path) => place + path))) {
      const name = nameFor(url);
      // RFC 6265 section 4.1.1: a token of RFC 9110.
      expect(name).toMatch(/^[\w!#$%&'*+.^`|~-]+$/);
      const { baseURL } = readConfig({ BASE_URL: url, TRUST_PROXY: 'loopback' });
      expect([name, names.get(name) ?? baseURL]).toEqual([name, baseURL]);
      names.set(name, baseURL);
    }
    const text = fc.stringMatching(/^(?:\/[\w.~!$&'()*+,:@-]{1,3}){0,3}$/);
    fc.assert(
      fc.property(text, text, fc.constantFrom(...places), fc.constantFrom(...places), (a, b, here, there) => {
        fc.pre(!refusal(here + a) && !refusal(there + b));
        const [first, second] = [here + a, there + b].map((url) =>
          readConfig({ BASE_URL: url, TRUST_PROXY: 'loopback' }),
        );
        if (!first || !second) throw new Error('unreachable');
        expect(sessionCookieName(first) === sessionCookieName(second)).toBe(first.baseURL === second.baseURL);
      }),
      { numRuns: rounds(200, 1000) },
    );
  });

  it('lets two apps of one host be used in one browser', async () => {
    const apps: Example[] = [];
    for (const path of ['/a/b', '/a-b', '']) apps.push(await startExample({ path, server: { autoApprove: 'ada' } }));
    try {
      const browser = (apps[0] as Example).browser();
      for (const { url } of apps) expect((await browser.visit(`${url}/account`)).url).toBe(`${url}/account`);
      for (const { url } of apps) expect((await browser.stay(`${url}/account`)).status).toBe(200);
    } finally {
      await Promise.all(apps.map((app) => app.close()));
    }
  });
});

describe('the request target (R70)', () => {
  const evil = 'evil.example';
  it.each<[requestLine: string, statuses: number[], ...host: string[]]>([
    ['GET * HTTP/1.1', [400]],
    ['HEAD * HTTP/1.1', [400]],
    ['POST * HTTP/1.1', [400]],
    ['OPTIONS * HTTP/1.1', [400]],
    ['PROPFIND * HTTP/1.1', [400]],
    [`GET http://${evil}/ HTTP/1.1`, [400]],
    [`GET http://${evil}/account HTTP/1.1`, [400]],
    [`GET http://${evil}/healthz HTTP/1.1`, [400]],
    [`GET http://${evil} HTTP/1.1`, [400]],
    [`GET http://${evil}?x HTTP/1.1`, [400]],
    [`GET ftp://${evil}/account HTTP/1.1`, [400]],
    [`GET javascript://${evil}/account HTTP/1.1`, [400]],
    [`GET http://a:b@${evil}:99999/account HTTP/1.1`, [400]],
    [`GET http://[${evil}/account HTTP/1.1`, [400, 404]],
    [`GET ${evil}:80 HTTP/1.1`, [400]],
    ['GET account HTTP/1.1', [400]],
    ['GET ?x HTTP/1.1', [400]],
    [`GET //${evil}/ HTTP/1.1`, [404]],
    [`GET //${evil}/account HTTP/1.1`, [404]],
    [`GET //${evil}/%2e%2e HTTP/1.1`, [404]],
    [`GET //${evil}/.. HTTP/1.1`, [404]],
    [`GET /\\${evil}/ HTTP/1.1`, [404]],
    ['GET /account HTTP/1.0', [302]],
    ['GET / HTTP/1.1', [400]],
    ['GET / HTTP/1.1', [200], 'Host:'],
    ['GET /account HTTP/1.1', [302], 'Host: localhost', `Host: ${evil}`],
    ['GET /account HTTP/1.1', [302], `Host: ${evil}`],
    ['GET /account HTTP/1.1', [302], `Host: ${evil}/../@[`],
  ])('%s is answered %j', async (requestLine, statuses, ...host) => {
    const app = await startExample();
    try {
      const lines =
        host.length > 0 || statuses.includes(302) || requestLine === 'GET / HTTP/1.1' ? host : ['Host: localhost'];
      const answer = await rawRequest(app.url, [requestLine, ...lines]);
      expect([requestLine, statuses]).toEqual([requestLine, expect.arrayContaining([answer.status])]);
      expect(answer.text.replaceAll(/^Set-Cookie:.*$/gim, '')).not.toContain(evil);
      expect(answer.headers['location'] ?? '/').toMatch(/^\/(?!\/)/);
    } finally {
      await app.close();
    }
  });

  it('may name the app itself', async () => {
    const app = await startExample({ path: '/desk' });
    try {
      const answer = await rawRequest(app.url, [`GET ${app.url}/account?x HTTP/1.1`, 'Host: localhost']);
      expect([answer.status, answer.headers['location']]).toEqual([
        302,
        '/desk/auth/powerfolder?returnTo=%2Fdesk%2Faccount%3Fx',
      ]);
      const answers = [`${app.url}/`, `${app.url}/style.css`, `${app.url}/oauth/code=x&state=y`].map((url) =>
        rawRequest(app.url, [`GET ${url} HTTP/1.1`, 'Host: localhost']),
      );
      expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 403]);
    } finally {
      await app.close();
    }
  });
});
