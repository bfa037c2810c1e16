import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  type ReceivedRequest,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { Browser, type Page } from '../support/browser.ts';
import {
  authorizationURL,
  type Changes,
  newCode,
  newTokens,
  redirectURI,
  requestToken,
} from '../support/simulated-sign-in.ts';
import { until } from '../support/until.ts';

const servers: PowerFolderServer[] = [];

async function start(options: PowerFolderServerOptions = {}): Promise<PowerFolderServer> {
  const server = await startPowerFolderServer(options);
  servers.push(server);
  return server;
}

/** A server whose user needs no pages. */
const startApproving = (options: PowerFolderServerOptions = {}) => start({ autoApprove: 'ada', ...options });

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

interface Person {
  username: string;
  password: string;
}

const stay = { follow: () => false };

const logIn = (browser: Browser, page: Page, { username, password }: Person, options = {}) =>
  browser.submit(page, 'Log in', { username, password }, options);

const bearer = (token: string) => ({ Authorization: `Bearer ${token}` });
const basic = ({ username, password }: Person) => ({
  Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});

describe('startPowerFolderServer: the sign-in', () => {
  it.each([
    ['path', 'GET', `${redirectURI}/code=`],
    ['path', 'POST', `${redirectURI}/code=`],
    ['query', 'GET', `${redirectURI}?code=`],
    ['query', 'POST', `${redirectURI}?code=`],
  ] as const)(
    'leads to tokens, authorization response by %s, request by %s',
    async (callbackStyle, method, expected) => {
      const server = await start({ callbackStyle, contextPath: '/powerfolder/' });
      const browser = new Browser();
      const login = await browser.visit(authorizationURL(server), { method });
      expect(login.status).toBe(200);
      const again = await browser.submit(login, 'Log in', { username: 'ada', password: 'wrong' });
      expect(again.status).toBe(401);
      expect(again.text).toContain('User name or password is wrong');
      expect(again.text).toMatch(/value="ada"[^>]*aria-invalid="true" aria-describedby="wrong"/);
      expect(again.text).toMatch(/type="password"[^>]* autofocus aria-invalid="true"/);
      const consent = await logIn(browser, again, server);
      expect(consent.status).toBe(200);
      expect(consent.text).toContain(`Allow <span class="name">${server.clientID}</span>`);
      expect(consent.text).toContain('Ada Schäfer-Yıldız');
      const response = await browser.submit(consent, 'Allow', {}, stay);
      expect(response.status).toBe(302);
      const location = String(response.headers['location']);
      expect(location.slice(0, expected.length)).toBe(expected);
      const [code, state] = location.slice(expected.length).split('&');
      expect(state).toBe('state=abc123');
      const token = await requestToken(server, { code });
      expect(token.status).toBe(200);
      expect(await token.json()).toEqual({
        access_token: expect.any(String),
        refresh_token: expect.any(String),
        expires_in: 86_400,
      });
    },
  );

  it.each([
    ['path', `${redirectURI}/error=access_denied&state=abc123`],
    ['query', `${redirectURI}?error=access_denied&state=abc123`],
  ] as const)('tells a decline by %s', async (callbackStyle, expected) => {
    const server = await start({ callbackStyle });
    const browser = new Browser();
    const consent = await logIn(browser, await browser.visit(authorizationURL(server)), server);
    expect((await browser.submit(consent, 'Decline', {}, stay)).headers['location']).toBe(expected);
  });

  it('asks somebody who is logged in only to allow, each time, and lets them be somebody else', async () => {
    const server = await start();
    const browser = new Browser();
    const home = await logIn(browser, await browser.visit(`${server.url}/`), server);
    expect(home.text).toContain('Fotos &amp; Grüße');
    const consent = await browser.visit(authorizationURL(server));
    expect((await browser.submit(consent, 'Allow', {}, stay)).status).toBe(302);
    const again = await browser.visit(authorizationURL(server));
    const [, elsewhere = ''] = /href="([^"]*)">Log in as somebody else/.exec(again.text) ?? [];
    const login = await browser.visit(server.url + elsewhere);
    const before = browser.cookies(server.url);
    const other = await logIn(browser, login, server.admin);
    expect(other.text).toContain('(admin)');
    expect((await browser.submit(other, 'Allow', {}, stay)).status).toBe(302);
    browser.setCookies(server.url, before);
    expect((await browser.visit(`${server.url}/`)).text).toContain('<h1>Log in</h1>');
  });

  it('ends the web session at /logout', async () => {
    const server = await start();
    const browser = new Browser();
    await logIn(browser, await browser.visit(`${server.url}/login`), server);
    const cookies = browser.cookies(server.url);
    await browser.visit(`${server.url}/logout`);
    browser.setCookies(server.url, cookies);
    expect((await browser.visit(`${server.url}/`)).text).toContain('<h1>Log in</h1>');
  });

  it('asks for the login again when the session ended before the decision', async () => {
    const server = await start();
    const browser = new Browser();
    const consent = await logIn(browser, await browser.visit(authorizationURL(server)), server);
    const cookies = browser.cookies(server.url);
    await browser.visit(`${server.url}/logout`);
    browser.setCookies(server.url, cookies);
    expect((await browser.submit(consent, 'Allow', {}, stay)).text).toContain('<h1>Log in</h1>');
  });

  it('refuses forms that another session got', async () => {
    const server = await start();
    const [attacker, victim] = [new Browser(), new Browser()];
    const login = await attacker.visit(authorizationURL(server));
    const consent = await logIn(attacker, login, server);
    await logIn(victim, await victim.visit(authorizationURL(server)), server);
    expect((await logIn(victim, login, server, stay)).status).toBe(403);
    const decision = await victim.submit(consent, 'Allow', {}, stay);
    expect([decision.status, decision.headers['location']]).toEqual([403, undefined]);
  });

  it('gives a new session id at the login', async () => {
    const server = await start();
    const browser = new Browser();
    const login = await browser.visit(`${server.url}/login`);
    const before = browser.cookies(server.url);
    await logIn(browser, login, server);
    expect(browser.cookies(server.url)).toMatch(/^JSESSIONID=node0[a-z\d]{20,40}$/);
    expect(browser.cookies(server.url)).not.toBe(before);
  });

  it('escapes what comes from outside, on pages that load and run nothing', async () => {
    const server = await start({ clients: [{ id: '<script>alert("1")</script>&', secret: 's' }] });
    const browser = new Browser();
    const login = await browser.visit(authorizationURL(server));
    const consent = await logIn(browser, login, server);
    for (const { text, headers } of [login, consent]) {
      expect(text).toContain('&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;');
      expect(text).not.toContain('<script');
      const [, css = ''] = /<style>(.*)<\/style>/s.exec(text) ?? [];
      const hash = createHash('sha256').update(css).digest('base64');
      expect(headers['content-security-policy']).toBe(
        `default-src 'none'; style-src 'sha256-${hash}'; img-src data:; base-uri 'none'; frame-ancestors 'none'`,
      );
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['x-content-type-options']).toBe('nosniff');
    }
  });

  it('hints at a password only when told to', async () => {
    const [silent, hinting] = [await start(), await start({ hints: true })];
    expect((await new Browser().visit(`${silent.url}/login`)).text).not.toContain(silent.password);
    expect((await new Browser().visit(`${hinting.url}/login`)).text).toContain(hinting.password);
  });
});

describe('startPowerFolderServer: the authorization request', () => {
  it.each<[string, Changes, RegExp]>([
    ['no state', { state: undefined }, /state.* is missing/],
    ['a state with other characters', { state: 'a-b' }, /letters and digits/],
    ['no client', { client_id: undefined }, /client_id.* is missing/],
    ['an unknown client', { client_id: 'nobody' }, /No client .*nobody.* is registered/],
    ['another response type', { response_type: 'token' }, /response_type must be code/],
    ['a relative redirect URI', { redirect_uri: '/oauth' }, /must be an absolute/],
    ['another scheme', { redirect_uri: 'ftp://127.0.0.1/' }, /must be an absolute/],
    ['a host that cannot be', { redirect_uri: 'http://[1/' }, /must be an absolute/],
    ['a fragment', { redirect_uri: 'http://127.0.0.1/#x' }, /without a fragment/],
    ['a line break in the redirect URI', { redirect_uri: 'http://127.0.0.1/\r\nX: y' }, /must be an absolute/],
    ['a query that a path would follow', { redirect_uri: 'http://127.0.0.1/?a=b' }, /has a query/],
    ['an unknown parameter', { scope: 'all' }, /Unknown parameter .*scope/],
    ['a PKCE challenge', { code_challenge: 'x' }, /Unknown parameter .*code_challenge/],
  ])('refuses %s in a sentence and never redirects', async (_, changes, words) => {
    const response = await fetch(authorizationURL(await startApproving(), changes), { redirect: 'manual' });
    expect(response.status).toBe(400);
    expect(response.headers.get('location')).toBeNull();
    expect(response.headers.get('content-type')).toContain('text/html');
    expect(await response.text()).toMatch(words);
  });

  it.each([
    ['a parameter twice', '&state=abc123', 'GET', undefined, 400, /state.* more than once/],
    ['a malformed escape', '&state=%zz', 'GET', undefined, 400, /Malformed percent-escape/],
    ['parameters in the body', '', 'POST', 'state=abc123', 400, /in the URL and no body/],
    ['another method', '', 'PUT', undefined, 405, /PUT is not for \/oauth\/allow, but GET, POST/],
  ])('refuses %s', async (_, added, method, body, status, words) => {
    const response = await fetch(authorizationURL(await startApproving()) + added, {
      method,
      body: body ?? null,
      redirect: 'manual',
    });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(words);
  });

  it('comes by the allowed methods only', async () => {
    const server = await startApproving({ allowMethods: ['POST'] });
    const refused = await fetch(authorizationURL(server), { redirect: 'manual' });
    expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'POST']);
    expect((await fetch(authorizationURL(server), { method: 'POST', redirect: 'manual' })).status).toBe(302);
  });

  it('may carry what is tolerated', async () => {
    const server = await startApproving({ tolerate: ['scope'] });
    const response = await fetch(authorizationURL(server, { scope: 'all' }), { redirect: 'manual' });
    expect(response.status).toBe(302);
  });

  it.each([
    ['path', true, '/code=a%2F%2B%3D%20%C3%A4&'],
    ['query', true, '?code=a%2F%2B%3D%20%C3%A4&'],
    ['path', false, '/code=a/+= ä&'],
  ] as const)(
    'is answered with a code in any alphabet: %s, encoded %s',
    async (callbackStyle, encodeCode, expected) => {
      const server = await startApproving({ callbackStyle, encodeCode, code: () => 'a/+= ä' });
      const response = await fetch(authorizationURL(server), { redirect: 'manual' });
      expect(Buffer.from(response.headers.get('location') ?? '', 'latin1').toString('latin1')).toContain(
        redirectURI + expected,
      );
      expect((await requestToken(server, { code: 'a/+= ä' })).status).toBe(200);
    },
  );

  it('comes below a redirect URI that ends in a slash, with no second one', async () => {
    const response = await fetch(authorizationURL(await startApproving(), { redirect_uri: `${redirectURI}/` }), {
      redirect: 'manual',
    });
    expect(response.headers.get('location')).toMatch(/[^/]\/oauth\/code=/);
  });

  it('keeps the query of a redirect URI when it answers by query', async () => {
    const server = await startApproving({ callbackStyle: 'query' });
    const response = await fetch(authorizationURL(server, { redirect_uri: `${redirectURI}?a=b` }), {
      redirect: 'manual',
    });
    expect(response.headers.get('location')).toMatch(/oauth\?a=b&code=\w+&state=abc123$/);
  });
});

describe('startPowerFolderServer: the token request', () => {
  it('gives tokens of the form and about the length of the real ones', async () => {
    const { access_token: token } = await newTokens(await startApproving());
    expect(token).toMatch(/^1[A-Za-z0-9]+-[A-Za-z0-9]+$/);
    expect(token.length).toBeGreaterThan(50);
    expect(token.length).toBeLessThan(85);
  });

  it.each<[string, Changes, Changes, number, string, RegExp]>([
    ['a wrong secret', { client_secret: 'x' }, {}, 401, 'invalid_client', /client_secret is wrong/],
    ['an unknown client', { client_id: 'x' }, {}, 401, 'invalid_client', /No client/],
    ['no client', { client_id: undefined }, {}, 400, 'invalid_request', /client_id.* is missing/],
    ['no secret', { client_secret: undefined }, {}, 400, 'invalid_request', /client_secret.* is missing/],
    ['no code', { code: undefined }, {}, 400, 'invalid_request', /code.* is missing/],
    ['no grant type', { grant_type: undefined }, {}, 400, 'invalid_request', /grant_type.* is missing/],
    ['another grant type', { grant_type: 'password' }, {}, 400, 'unsupported_grant_type', /password/],
    ['a grant type of every object', { grant_type: 'toString' }, {}, 400, 'unsupported_grant_type', /toString/],
    ['an unknown code', { code: 'x' }, {}, 400, 'invalid_grant', /unknown/],
    ['another redirect URI', { redirect_uri: `${redirectURI}/` }, {}, 400, 'invalid_grant', /redirect_uri is not that/],
    ['an unknown member', { scope: 'all' }, {}, 400, 'invalid_request', /Unknown member "scope"/],
    ['a PKCE verifier', { code_verifier: 'x' }, {}, 400, 'invalid_request', /Unknown member "code_verifier"/],
    ['HTTP Basic', {}, { Authorization: 'Basic eDp5' }, 400, 'invalid_request', /no Authorization header/],
    [
      'a form',
      {},
      { 'Content-Type': 'application/x-www-form-urlencoded' },
      415,
      'invalid_request',
      /must be application\/json/,
    ],
    ['no Accept', {}, { Accept: '*/*' }, 406, 'invalid_request', /Accept must have application\/json/],
  ])('is refused with %s', async (_, members, headers, status, error, words) => {
    const server = await startApproving();
    const response = await requestToken(server, { code: await newCode(server), ...members }, headers);
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({ error, error_description: expect.stringMatching(words) });
  });

  it.each([
    ['an array', '[]', /not a JSON object/],
    ['null', 'null', /not a JSON object/],
    ['a string', '"x"', /not a JSON object/],
    ['half an object', '{"grant_type":', /not a JSON object/],
    ['nothing', '', /not a JSON object/],
    ['a number', '{"grant_type":1}', /"grant_type" is not a string/],
    ['a member twice', '{"grant_type":"a","grant_type":"b"}', /more than once/],
    ['a member twice, escaped once', String.raw`{"grant_type":"a","gr\u0061nt_type":"b"}`, /more than once/],
  ])('is refused when its body is %s', async (_, body, words) => {
    const headers = { 'Content-Type': 'application/json', Accept: 'application/json' };
    const response = await fetch(`${(await startApproving()).url}/oauth/token`, { method: 'POST', headers, body });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: 'invalid_request',
      error_description: expect.stringMatching(words),
    });
  });

  it('is refused by GET, and with a query', async () => {
    const { url } = await start();
    expect((await fetch(`${url}/oauth/token`)).status).toBe(405);
    const response = await fetch(`${url}/oauth/token?code=x`, { method: 'POST' });
    expect(await response.text()).toMatch(/nothing in the URL/);
  });

  it('is accepted with what the deployed client adds, and with what is tolerated', async () => {
    const server = await startApproving({ tolerate: ['scope'] });
    const added = { redirect_uri: redirectURI, format: 'json', scope: 'all' };
    const headers = { 'Content-Type': 'application/json; charset=utf-8', Accept: 'text/plain, application/json' };
    expect((await requestToken(server, { code: await newCode(server), ...added }, headers)).status).toBe(200);
  });

  it('redeems a code once', async () => {
    const server = await startApproving();
    const code = await newCode(server);
    expect((await requestToken(server, { code })).status).toBe(200);
    expect(await (await requestToken(server, { code })).json()).toEqual({
      error: 'invalid_grant',
      error_description: 'The code was already used.',
    });
  });

  it('redeems a code only within its lifetime', async () => {
    let now = 1_800_000_000_000;
    const server = await startApproving({ now: () => now, codeLifetime: 1000 });
    const [early, late] = [await newCode(server), await newCode(server)];
    now += 999;
    expect((await requestToken(server, { code: early })).status).toBe(200);
    now += 1;
    expect(await (await requestToken(server, { code: late })).json()).toMatchObject({
      error_description: 'The code has expired.',
    });
  });

  it('redeems a code only for its client', async () => {
    const server = await startApproving({
      clients: [
        { id: 'one', secret: '1' },
        { id: 'two', secret: '2' },
      ],
    });
    const code = await newCode(server);
    const response = await requestToken(server, { code, client_id: 'two', client_secret: '2' });
    expect(await response.json()).toMatchObject({ error: 'invalid_grant' });
    expect((await requestToken(server, { code })).status).toBe(200);
  });

  it.each([
    ['the verifier', 'v'.repeat(43), 'v'.repeat(43), 200],
    ['another verifier', 'v'.repeat(43), 'w'.repeat(43), 400],
    ['no verifier', 'v'.repeat(43), undefined, 400],
    ['a verifier without a challenge', undefined, 'v'.repeat(43), 400],
    ['neither', undefined, undefined, 200],
  ])('speaks PKCE when told to: %s', async (_, challenged, code_verifier, status) => {
    const server = await startApproving({ pkce: true });
    const code_challenge = challenged && createHash('sha256').update(challenged).digest('base64url');
    const code = await newCode(server, { code_challenge, code_challenge_method: challenged && 'S256' });
    expect((await requestToken(server, { code, code_verifier })).status).toBe(status);
  });

  it('refuses the plain method of PKCE', async () => {
    const server = await startApproving({ pkce: true });
    const changes = { code_challenge: 'x', code_challenge_method: 'plain' };
    expect((await fetch(authorizationURL(server, changes), { redirect: 'manual' })).status).toBe(400);
  });
});

describe('startPowerFolderServer: the refresh', () => {
  const refresh = (server: PowerFolderServer, refresh_token: string, changes: Changes = {}) =>
    requestToken(server, { grant_type: 'refresh_token', refresh_token, ...changes });

  it('leaves the refresh token out, and the old one goes on', async () => {
    const server = await startApproving();
    const { access_token, refresh_token } = await newTokens(server);
    const first = await (await refresh(server, refresh_token)).json();
    expect(first).toEqual({ access_token: expect.any(String), expires_in: 86_400 });
    expect(first).not.toMatchObject({ access_token });
    expect((await refresh(server, refresh_token)).status).toBe(200);
  });

  it('replaces the refresh token when told to', async () => {
    const server = await startApproving({ rotateRefreshTokens: true });
    const { refresh_token } = await newTokens(server);
    const answer = (await (await refresh(server, refresh_token)).json()) as { refresh_token: string };
    expect(await (await refresh(server, refresh_token)).json()).toMatchObject({ error: 'invalid_grant' });
    expect((await refresh(server, answer.refresh_token)).status).toBe(200);
  });

  it.each<[string, Changes, number, string]>([
    ['a wrong secret', { client_secret: 'x' }, 401, 'invalid_client'],
    ['no secret', { client_secret: undefined }, 400, 'invalid_request'],
    ['an unknown token', { refresh_token: 'x' }, 400, 'invalid_grant'],
    ['a code beside it', { code: 'x' }, 400, 'invalid_request'],
  ])('is refused with %s', async (_, changes, status, error) => {
    const server = await startApproving();
    const { refresh_token } = await newTokens(server);
    const response = await refresh(server, refresh_token, changes);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ error });
  });

  it('takes no access token and no token of another client', async () => {
    const server = await startApproving({
      clients: [
        { id: 'one', secret: '1' },
        { id: 'two', secret: '2' },
      ],
    });
    const { access_token, refresh_token } = await newTokens(server);
    expect(await (await refresh(server, access_token)).json()).toMatchObject({ error: 'invalid_grant' });
    const other = await refresh(server, refresh_token, { client_id: 'two', client_secret: '2' });
    expect(await other.json()).toMatchObject({ error: 'invalid_grant' });
  });

  it.each([
    ['with the secret', true],
    ['without the secret', false],
  ])('is possible by the old GET when told to, %s', async (_, withSecret) => {
    const server = await startApproving({ refreshMethods: ['GET'] });
    const { refresh_token } = await newTokens(server);
    const secret = withSecret ? { client_secret: server.clientSecret } : undefined;
    const query = { grant_type: 'refresh_token', client_id: server.clientID, refresh_token, ...secret };
    const response = await fetch(`${server.url}/oauth?${new URLSearchParams(query)}`);
    expect(await response.json()).toEqual({ access_token: expect.any(String), expires_in: 86_400 });
    expect(server.requests.at(-1)?.endpoint).toBe('refresh');
    expect(await (await refresh(server, refresh_token)).json()).toMatchObject({ error: 'unsupported_grant_type' });
    const wrong = await fetch(`${server.url}/oauth?${new URLSearchParams({ ...query, client_secret: 'x' })}`);
    expect(wrong.status).toBe(401);
  });

  it('is refused by the old GET otherwise', async () => {
    const server = await startApproving();
    const { refresh_token } = await newTokens(server);
    const query = { grant_type: 'refresh_token', client_id: server.clientID, refresh_token };
    const response = await fetch(`${server.url}/oauth?${new URLSearchParams(query)}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toMatch(/refreshMethods/);
  });
});

describe('startPowerFolderServer: expireTokens and revokeTokens', () => {
  const statuses = async (server: PowerFolderServer, tokens: string[]) => {
    const all = tokens.map((token) => fetch(`${server.url}/api/folders?action=getAll`, { headers: bearer(token) }));
    return (await Promise.all(all)).map(({ status }) => status);
  };

  it('ages every access token, and no refresh token', async () => {
    const server = await startApproving();
    const [one, two] = [await newTokens(server), await newTokens(server)];
    server.expireTokens();
    expect(await statuses(server, [one.access_token, two.access_token])).toEqual([401, 401]);
    expect((await requestToken(server, { grant_type: 'refresh_token', refresh_token: one.refresh_token })).status).toBe(
      200,
    );
  });

  it('lets access tokens expire by the clock', async () => {
    let now = 1_800_000_000_000;
    const server = await startApproving({ now: () => now, accessTokenLifetime: 1000 });
    const { access_token } = await newTokens(server);
    now += 999;
    expect(await statuses(server, [access_token])).toEqual([200]);
    now += 1;
    expect(await statuses(server, [access_token])).toEqual([401]);
  });

  it.each(['expireTokens', 'revokeTokens'] as const)(
    '%s ends the one token that is named, of either kind',
    async (end) => {
      const server = await startApproving();
      const [one, two] = [await newTokens(server), await newTokens(server)];
      server[end](one.access_token);
      expect(await statuses(server, [one.access_token, two.access_token])).toEqual([401, 200]);
      server[end](two.refresh_token);
      const refreshed = [one, two].map(({ refresh_token }) =>
        requestToken(server, { grant_type: 'refresh_token', refresh_token }),
      );
      expect((await Promise.all(refreshed)).map(({ status }) => status)).toEqual([200, 400]);
      expect(() => server[end]('no such token')).toThrow(TypeError);
    },
  );

  it('revokes everything', async () => {
    const server = await startApproving();
    const { access_token, refresh_token } = await newTokens(server);
    server.revokeTokens();
    expect(await statuses(server, [access_token])).toEqual([401]);
    expect((await requestToken(server, { grant_type: 'refresh_token', refresh_token })).status).toBe(400);
  });
});

describe('startPowerFolderServer: the Accounts API', () => {
  const info = (server: PowerFolderServer, headers: Record<string, string>, more = '') =>
    fetch(`${server.url}/api/accounts?action=getInfo${more}`, { headers });
  const ada = { ID: '4xT9/kQ2+Vb7LmZr', username: 'ada', surname: 'Schäfer-Yıldız', nFolder: 3 };

  it.each([
    ['flat', ada],
    ['account', { account: ada }],
    ['resultset', { ResultSet: { Result: [ada] } }],
  ] as const)('tells the caller about themselves, %s', async (accountShape, expected) => {
    const server = await startApproving({ accountShape });
    const { access_token } = await newTokens(server);
    expect(await (await info(server, bearer(access_token))).json()).toMatchObject(expected);
    expect(await (await info(server, basic(server))).json()).toMatchObject(expected);
  });

  it.each([
    ['self', 'bearer', 200],
    ['admin-only', 'bearer', 403],
    ['admin-only', 'basic', 403],
    ['admin-only', 'admin', 200],
    ['basic-only', 'bearer', 401],
    ['basic-only', 'basic', 200],
  ] as const)('when %s, answers a caller with %s by %i', async (accountsAPI, caller, status) => {
    const server = await startApproving({ accountsAPI });
    const headers = {
      bearer: bearer((await newTokens(server)).access_token),
      basic: basic(server),
      admin: basic(server.admin),
    };
    expect((await info(server, headers[caller])).status).toBe(status);
  });

  it('tells about others only to an administrator', async () => {
    const server = await start();
    const refused = await info(server, basic(server), '&username=ada');
    expect(refused.status).toBe(403);
    expect(await refused.text()).toMatch(/Only an administrator may name an account/);
    expect(await (await info(server, basic(server.admin), '&username=ada')).json()).toMatchObject(ada);
    const byID = await info(server, basic(server.admin), `&ID=${encodeURIComponent(ada.ID)}`);
    expect(await byID.json()).toMatchObject(ada);
    expect((await info(server, basic(server.admin), '&username=nobody')).status).toBe(404);
  });

  it.each([
    ['nothing', {}, 401, ['Bearer', 'Basic']],
    ['an unknown token', bearer('x'), 401, ['Bearer', 'error="invalid_token"']],
    ['a wrong password', basic({ username: 'ada', password: 'x' }), 401, ['Basic']],
    ['another scheme', { Authorization: 'Digest x' }, 401, ['Bearer', 'Basic']],
  ])('challenges a caller with %s', async (_, headers, status, challenges) => {
    const response = await info(await start(), headers);
    expect(response.status).toBe(status);
    for (const challenge of challenges) expect(response.headers.get('www-authenticate')).toContain(challenge);
  });

  it('refuses a refresh token, another action and an access token in the URL', async () => {
    const server = await startApproving();
    const { access_token, refresh_token } = await newTokens(server);
    expect((await info(server, bearer(refresh_token))).status).toBe(401);
    expect((await info(server, bearer(access_token), '&access_token=x')).status).toBe(400);
    expect((await fetch(`${server.url}/api/accounts?action=delete`, { headers: bearer(access_token) })).status).toBe(
      400,
    );
  });
});

describe('startPowerFolderServer: the Folders API', () => {
  it('lists the folders, and answers 204 when there are none', async () => {
    const server = await start();
    const get = (who: Person) => fetch(`${server.url}/api/folders?action=getAll`, { headers: basic(who) });
    const { ResultSet } = (await (await get(server)).json()) as { ResultSet: { Result: unknown[] } };
    expect(ResultSet.Result).toContainEqual({
      name: 'Fotos & Grüße',
      internalName: 'Fotos & Grüße',
      localizedName: 'Fotos & Grüße',
      folderID: expect.any(String),
      resourceURL: expect.stringMatching(/\/files\/[A-Za-z\d+/]+=*$/),
    });
    const none = await get(server.admin);
    expect([none.status, await none.text()]).toEqual([204, '']);
  });
});

describe('startPowerFolderServer: the registration', () => {
  const query = 'action=store&client_id=new%20one&client_secret=s%2B1';
  const post = (body: string) => ({ method: 'POST', body: new URLSearchParams(body) });

  it.each([
    ['by GET', `?${query}`, {}],
    ['by POST with a query', `?${query}`, { method: 'POST' }],
    ['by POST with a form', '', post(query)],
    ['by POST with both', '?action=store', post('client_id=new%20one&client_secret=s%2B1')],
  ])('stores a client, %s', async (_, target, init) => {
    const server = await startApproving();
    const response = await fetch(`${server.url}/api/oauth${target}`, { ...init, headers: basic(server.admin) });
    expect([response.status, await response.json()]).toEqual([200, { client_id: 'new one', stored: true }]);
    expect(server.clients).toContainEqual({ id: 'new one', secret: 's+1' });
    const code = await newCode(server, { client_id: 'new one' });
    expect((await requestToken(server, { code, client_id: 'new one', client_secret: 's+1' })).status).toBe(200);
  });

  it('replaces the secret of a client that is there', async () => {
    const server = await startApproving();
    const target = `${server.url}/api/oauth?action=store&client_id=${server.clientID}&client_secret=other`;
    await fetch(target, { headers: basic(server.admin) });
    const code = await newCode(server);
    expect((await requestToken(server, { code })).status).toBe(401);
    expect((await requestToken(server, { code, client_secret: 'other' })).status).toBe(200);
    expect(server.clients).toHaveLength(1);
  });

  it.each([
    ['a wrong password', query, { username: 'admin', password: 'x' }, 401, /password is wrong/],
    ['somebody else', query, undefined, 403, /ada is no administrator/],
    ['no secret', 'action=store&client_id=x', 'admin', 400, /client_secret.* is missing/],
    ['no id', 'action=store&client_secret=x', 'admin', 400, /client_id.* is missing/],
    ['another action', 'action=delete&client_id=x&client_secret=y', 'admin', 400, /action must be store/],
    ['something more', `${query}&name=x`, 'admin', 400, /Unknown parameter/],
  ] as const)('refuses %s', async (_, query, who, status, words) => {
    const server = await start();
    const headers = basic(who === 'admin' ? server.admin : (who ?? server));
    const response = await fetch(`${server.url}/api/oauth?${query}`, { headers });
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(words);
    expect(server.clients).toHaveLength(1);
  });

  it('refuses a parameter that is both in the URL and in the form', async () => {
    const server = await start();
    const target = `${server.url}/api/oauth?action=store&client_id=x`;
    const response = await fetch(target, { ...post('client_id=y&client_secret=z'), headers: basic(server.admin) });
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringMatching(/both in the URL and in the form/),
    ]);
  });

  it('leaves the clients that were given as they are', async () => {
    const clients = [{ id: 'one', secret: '1' }];
    const server = await start({ clients });
    await fetch(`${server.url}/api/oauth?${query}`, { headers: basic(server.admin) });
    await fetch(`${server.url}/api/oauth?action=store&client_id=one&client_secret=2`, { headers: basic(server.admin) });
    expect(server.clients).toHaveLength(2);
    expect(clients).toEqual([{ id: 'one', secret: '1' }]);
  });

  it('takes no token of an administrator', async () => {
    const server = await start({ autoApprove: 'admin' });
    const { access_token } = await newTokens(server);
    const response = await fetch(`${server.url}/api/oauth?${query}`, { headers: bearer(access_token) });
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toMatch(/^Basic/);
  });
});

describe('startPowerFolderServer: the server itself', () => {
  it('logs every request as it was on the wire', async () => {
    const server = await start({ contextPath: '/pf', now: () => 42 });
    await requestToken(server, { code: 'ü' });
    await fetch(`${server.url}/a%20b?c=%zz`);
    expect(server.requests).toEqual([
      {
        method: 'POST',
        url: '/pf/oauth/token',
        path: '/oauth/token',
        query: '',
        endpoint: 'token',
        headers: expect.objectContaining({ accept: 'application/json' }),
        body: expect.stringContaining('"code":"ü"'),
        json: expect.objectContaining({ code: 'ü' }),
        at: 42,
      },
      expect.objectContaining({
        url: '/pf/a%20b?c=%zz',
        path: '/a%20b',
        query: 'c=%zz',
        endpoint: 'unknown',
        body: '',
      }),
    ]);
    server.requests.length = 0;
    await fetch(`${server.url}/login`);
    expect(server.requests.map(({ endpoint }) => endpoint)).toEqual(['login']);
  });

  it('keeps the last 10 000 requests', async () => {
    const server = await start();
    await fetch(`${server.url}/login`);
    const [first] = server.requests as [ReceivedRequest];
    server.requests.push(...Array.from({ length: 9_999 }, () => ({ ...first })));
    await fetch(`${server.url}/logout`);
    expect(server.requests).toHaveLength(10_000);
    expect(server.requests[0]).not.toBe(first);
    expect(server.requests.at(-1)?.endpoint).toBe('login');
  });

  it.each([
    ['/nowhere', 404, /no page .*\/nowhere/],
    ['/__proto__', 404, /no page/],
    ['/oauth/token/', 404, /no page/],
    ['/webdav/%zz', 401, /Authorization/],
  ])('answers GET %s with %i and a sentence', async (path, status, words) => {
    const { url } = await start({ contextPath: '/pf' });
    const response = await fetch(url + path);
    expect(response.status).toBe(status);
    expect(await response.text()).toMatch(words);
  });

  it.each(['/', '/login', '/pfx', '/pf.', '//pf/login'])('has nothing outside its context path: %s', async (path) => {
    const server = await start({ contextPath: '/pf' });
    const response = await fetch(new URL(server.url).origin + path);
    expect(response.status).toBe(404);
    expect(await response.text()).toContain(`Its base URL is ${server.url}`);
    expect(server.requests[0]).toMatchObject({ path, endpoint: 'unknown' });
  });

  it('takes bodies of 64 KiB and no longer', async () => {
    const { url } = await start();
    const post = async (length: number) =>
      (
        await fetch(`${url}/oauth/token`, {
          method: 'POST',
          headers: { 'Content-Type': 'application/json' },
          body: 'x'.repeat(length),
        })
      ).status;
    expect([await post(65_536), await post(65_537)]).toEqual([406, 413]);
  });

  it('survives its own mistakes, and tells them', async () => {
    const server = await startApproving({
      code: () => {
        throw new Error('out of codes');
      },
    });
    const response = await fetch(authorizationURL(server));
    expect(response.status).toBe(500);
    expect(await response.text()).toMatch(/out of codes/);
    expect((await fetch(`${server.url}/login`)).status).toBe(200);
  });

  it('survives a code that no header can carry', async () => {
    const server = await startApproving({ code: () => 'a\nb', encodeCode: false });
    expect((await fetch(authorizationURL(server), { redirect: 'manual' })).status).toBe(500);
  });

  it('tells the time by its clock and its skew', async () => {
    const server = await start({ now: () => Date.UTC(2030, 0, 1), clockSkew: 60_000 });
    expect((await fetch(`${server.url}/login`)).headers.get('date')).toBe('Tue, 01 Jan 2030 00:01:00 GMT');
  });

  it('speaks https with a key and a certificate', async () => {
    const [key, cert, ca] = ['server.key', 'server.pem', 'ca.pem'].map((name) =>
      readFileSync(join(__dirname, '../fixtures/tls', name)),
    ) as [Buffer, Buffer, Buffer];
    const server = await start({ tls: { key, cert }, hostname: 'localhost', contextPath: '/pf' });
    expect(server.url).toMatch(/^https:\/\/localhost:\d+\/pf$/);
    const cookie = await new Promise((resolve, reject) => {
      request(`${server.url}/login`, { ca, agent: false }, (response) => {
        response.resume();
        resolve(response.headers['set-cookie']?.[0]);
      })
        .on('error', reject)
        .end();
    });
    expect(cookie).toMatch(/; Path=\/pf; HttpOnly; Secure$/);
  });

  it('closes with connections that are idle, half sent or waiting, and leaves none', async () => {
    const server = await startPowerFolderServer();
    server.failNext('home', { silence: true });
    const { port } = new URL(server.url);
    const ends = ['', 'GET / HT', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'].map(
      (text) =>
        new Promise((resolve) => {
          const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
          socket.on('error', () => {}).on('close', resolve);
        }),
    );
    await until(() => server.openSockets === 3 && server.requests.length === 1);
    await server.close();
    await Promise.all(ends);
    expect(server.openSockets).toBe(0);
    await expect(fetch(server.url)).rejects.toThrow();
    await server.close();
  });

  it('says nothing on the console', async () => {
    const spies = [process.stdout, process.stderr].map((stream) => jest.spyOn(stream, 'write').mockReturnValue(true));
    const server = await startApproving();
    await newTokens(server);
    await fetch(`${server.url}/nowhere`);
    await server.close();
    const written = spies.flatMap((spy) => spy.mock.calls);
    for (const spy of spies) spy.mockRestore();
    expect(written).toEqual([]);
  });

  it('keeps to 127.0.0.1', async () => {
    const server = await start();
    const { port } = new URL(server.url);
    const reached = await new Promise((resolve) => {
      const socket = connect(Number(port), '127.0.0.2', () => resolve(true)).on('error', () => resolve(false));
      socket.on('connect', () => socket.destroy());
    });
    expect(reached).toBe(false);
  });

  it.each<[string, object, RegExp]>([
    ['a misspelt option', { callbackstyle: 'query' }, /no option "callbackstyle"/],
    ['a context path without a slash', { contextPath: 'pf' }, /like '\/powerfolder'/],
    ['an approver who is nobody', { autoApprove: 'eve' }, /no account has that username/],
  ])('refuses %s as a TypeError', async (_, options, words) => {
    await expect(startPowerFolderServer(options)).rejects.toThrow(TypeError);
    await expect(startPowerFolderServer(options)).rejects.toThrow(words);
  });

  it('takes an undefined option as none', async () => {
    expect((await start({ hostname: undefined } as object)).url).toContain('127.0.0.1');
  });

  it('has an administrator even among accounts that have none', async () => {
    const server = await start({ accounts: [{ username: 'eve', password: 'x' }] });
    expect([server.username, server.password, server.admin.username]).toEqual(['eve', 'x', 'admin']);
  });
});
