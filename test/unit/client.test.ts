import { inspect } from 'node:util';
import { PowerFolderClient, PowerFolderError, type PowerFolderTokens, TokenError } from 'passport-powerfolder';
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import { newTokens, startWithTokens } from '../support/simulated-sign-in.ts';

let server: PowerFolderServer;
afterEach(async () => {
  jest.restoreAllMocks();
  await server.close();
});

async function start(...options: Parameters<typeof startWithTokens>) {
  const started = await startWithTokens(...options);
  server = started.server;
  return started;
}

const refreshes = () => server.requests.filter(({ endpoint }) => endpoint === 'refresh');
const signInAgain = { name: 'PowerFolderError', code: 'sign_in_again' };

describe('PowerFolderClient', () => {
  it('refreshes without a callback and a verify', async () => {
    const { refreshToken } = await start();
    const { url: serverURL, clientID, clientSecret } = server;
    const client = new PowerFolderClient({ serverURL, clientID, clientSecret });
    const refreshed = await client.refreshAccessToken(refreshToken);
    expect(await client.freshTokens(refreshed)).toBe(refreshed);
    expect(refreshes()).toHaveLength(1);
  });

  it("is a strategy's as well, and shares the refreshes of its users", async () => {
    const { strategy, refreshToken } = await start();
    expect(strategy.client).toBeInstanceOf(PowerFolderClient);
    await Promise.all([strategy.client.refreshAccessToken(refreshToken), strategy.refreshAccessToken(refreshToken)]);
    expect(refreshes()).toHaveLength(1);
  });

  it('has the options that have to do with the server', async () => {
    const { refreshToken } = await start({ refreshMethods: ['GET'] });
    const { url: serverURL, clientID, clientSecret } = server;
    const customHeaders = { 'User-Agent': 'nightly job' };
    const options = {
      serverURL,
      clientID,
      clientSecret,
      refreshMethod: 'GET',
      timeout: 60_000,
      customHeaders,
    } as const;
    await new PowerFolderClient(options).refreshAccessToken(refreshToken);
    expect(server.requests.map(({ method, headers }) => [method, headers['user-agent']])).toEqual([
      ['GET', 'nightly job'],
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an options object: { serverURL, clientID, clientSecret }/],
    ['no secret', { clientSecret: undefined }, /^clientSecret is missing/],
    ["a strategy's option", { callbackURL: 'http://localhost/oauth' }, /There is no option callbackURL/],
    ['an http server', { serverURL: 'http://powerfolder.example.com' }, /^serverURL must be https/],
    ['a refresh method that there is not', { refreshMethod: 'PUT' }, /^refreshMethod must be one of/],
    ['a header of the protocol', { customHeaders: { Authorization: 'Bearer x' } }, /^customHeaders/],
  ])('refuses %s in a sentence', async (_, changes, message) => {
    await start();
    const { url: serverURL, clientID, clientSecret } = server;
    const given = changes && { serverURL, clientID, clientSecret, ...changes };
    expect(() => new PowerFolderClient(given as never)).toThrow(TypeError);
    expect(() => new PowerFolderClient(given as never)).toThrow(message);
  });

  it('R29: keeps its secret to itself', async () => {
    await start();
    const { url: serverURL, clientID } = server;
    const client = new PowerFolderClient({ serverURL, clientID, clientSecret: 'sentinel-secret' });
    const keeper = client.keepTokens({ load: () => null, save: () => {} });
    const shown = [client, keeper].map(
      (one) => inspect(one, { depth: 9, showHidden: true, getters: true }) + JSON.stringify(one),
    );
    expect(shown.join()).not.toContain('sentinel-secret');
  });
});

describe('refreshAccessToken', () => {
  it('sends the refresh as the vendor does, member for member', async () => {
    const { strategy, refreshToken } = await start();
    await strategy.refreshAccessToken(refreshToken);
    const [request, ...others] = server.requests;
    expect(others).toEqual([]);
    expect([request?.method, request?.url]).toEqual(['POST', '/oauth/token']);
    expect(request?.headers).toMatchObject({ 'content-type': 'application/json', accept: 'application/json' });
    expect(JSON.parse(request?.body ?? '')).toEqual({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: server.clientID,
      client_secret: server.clientSecret,
    });
  });

  it('sends the documented old refresh by GET where that is asked for', async () => {
    const { strategy, refreshToken } = await start({ refreshMethods: ['GET'] }, { refreshMethod: 'GET' });
    const tokens = await strategy.refreshAccessToken(refreshToken);
    expect(tokens).toMatchObject({ accessToken: expect.stringMatching(/^1/), refreshToken });
    expect(server.requests.map(({ method, url, body }) => [method, url, body])).toEqual([
      ['GET', `/oauth?grant_type=refresh_token&client_id=${server.clientID}&refresh_token=${refreshToken}`, ''],
    ]);
  });

  it('keeps the old refresh token when none is sent', async () => {
    const { strategy, refreshToken, accessToken } = await start();
    const tokens = await strategy.refreshAccessToken(refreshToken);
    expect(tokens).toEqual({ accessToken: expect.any(String), refreshToken, expiresAt: expect.any(Number) });
    expect(tokens.accessToken).not.toBe(accessToken);
  });

  it('keeps the old refresh token when an empty one is sent', async () => {
    const { strategy, refreshToken } = await start();
    server.failNext('refresh', { body: { access_token: '1a-b', refresh_token: '' } });
    expect(await strategy.refreshAccessToken(refreshToken)).toEqual({ accessToken: '1a-b', refreshToken });
  });

  it('takes a new refresh token, after which the old one is not accepted', async () => {
    const { strategy, refreshToken } = await start({ rotateRefreshTokens: true });
    const tokens = await strategy.refreshAccessToken(refreshToken);
    expect(tokens.refreshToken).not.toBe(refreshToken);
    await expect(strategy.refreshAccessToken(refreshToken)).rejects.toMatchObject(signInAgain);
    await expect(strategy.refreshAccessToken(String(tokens.refreshToken))).resolves.toBeDefined();
  });

  it('R28: counts the expiry from when the request was sent', async () => {
    const { strategy, refreshToken } = await start();
    const sent = Date.now();
    const chunked = ['{"access_token":"1a-b",', '"expires_in":"60"}'];
    server.failNext('refresh', { chunked, everyMs: 100 });
    const { expiresAt = 0 } = await strategy.refreshAccessToken(refreshToken);
    expect(expiresAt).toBeGreaterThanOrEqual(sent + 60_000);
    expect(expiresAt).toBeLessThan(Date.now() + 60_000 - 90);
  });

  it('R33: makes one request for simultaneous calls, and another one afterwards', async () => {
    const { strategy, refreshToken } = await start({ rotateRefreshTokens: true });
    const all = await Promise.all(Array.from({ length: 20 }, () => strategy.refreshAccessToken(refreshToken)));
    expect(refreshes()).toHaveLength(1);
    expect(new Set(all.map(({ accessToken }) => accessToken)).size).toBe(1);
    // Each has tokens of its own: what one caller does to them is not the others'.
    expect(new Set(all).size).toBe(20);
    await strategy.refreshAccessToken(String(all[0]?.refreshToken));
    expect(refreshes()).toHaveLength(2);
  });

  it('R33: shares a failure as well, and does not remember it', async () => {
    const { strategy, refreshToken } = await start();
    server.failNext('refresh', { status: 503 });
    const all = await Promise.allSettled([1, 2, 3].map(() => strategy.refreshAccessToken(refreshToken)));
    expect(all).toEqual(
      all.map(() => ({
        status: 'rejected',
        reason: expect.objectContaining({ code: 'refused', status: 503, serverStatus: 503 }),
      })),
    );
    expect(refreshes()).toHaveLength(1);
    await expect(strategy.refreshAccessToken(refreshToken)).resolves.toBeDefined();
  });

  it('R33: makes a request for each of different refresh tokens', async () => {
    const { strategy, refreshToken } = await start();
    const { refresh_token: other } = await newTokens(server);
    const [mine, theirs] = await Promise.all([refreshToken, other].map((token) => strategy.refreshAccessToken(token)));
    expect(refreshes()).toHaveLength(2);
    expect([mine?.refreshToken, theirs?.refreshToken]).toEqual([refreshToken, other]);
  });

  it.each(['revokeTokens', 'expireTokens'] as const)('R33: says "sign in again" after %s', async (spoil) => {
    const { strategy, refreshToken } = await start();
    server[spoil](refreshToken);
    const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PowerFolderError);
    expect(error).toMatchObject({
      ...signInAgain,
      status: 502,
      serverStatus: 400,
      message: expect.stringContaining('has to sign in again'),
      cause: { name: 'TokenError', code: 'invalid_grant' },
    });
  });

  it("gives every other refusal in the server's words", async () => {
    const { strategy, refreshToken } = await start({}, { clientSecret: 'another-secret' });
    const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({
      code: 'invalid_client',
      status: 500,
      serverStatus: 401,
      message: 'The client_secret is wrong.',
    });
  });

  it('sends further members, which do not replace its own', async () => {
    const { strategy, refreshToken } = await start({ tolerate: ['format'] });
    await strategy.refreshAccessToken(refreshToken, { params: { format: 'json', grant_type: 'password' } });
    const sent = JSON.parse(server.requests[0]?.body ?? '');
    expect(sent).toMatchObject({ format: 'json', grant_type: 'refresh_token' });
  });

  it('refuses further members that would have no effect', async () => {
    const { strategy, refreshToken } = await start({ refreshMethods: ['GET'] }, { refreshMethod: 'GET' });
    const params = { format: 'json' };
    await expect(strategy.refreshAccessToken(refreshToken, { params })).rejects.toThrow(/takes no further parameters/);
    const text = { params: 'format=json' } as never;
    await expect(strategy.refreshAccessToken(refreshToken, text)).rejects.toThrow(/params must be an object/);
    expect(server.requests).toEqual([]);
  });

  it.each([undefined, null, '', 7, {}])('refuses %p for a refresh token', async (token) => {
    const { strategy } = await start();
    await expect(strategy.refreshAccessToken(token as string)).rejects.toThrow(
      new TypeError('refreshAccessToken takes the refresh token as a string'),
    );
    expect(server.requests).toEqual([]);
  });
});

describe('freshTokens', () => {
  it('gives the same object while it is valid for a minute more, and refreshed tokens from then on', async () => {
    const { strategy, refreshToken } = await start();
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now);
    const valid = { accessToken: '1a-b', refreshToken, expiresAt: now + 60_001 };
    expect(await strategy.freshTokens(valid)).toBe(valid);
    expect(server.requests).toEqual([]);
    const late = { ...valid, expiresAt: now + 60_000 };
    const fresh = await strategy.freshTokens(late);
    expect(fresh).toEqual({ accessToken: expect.stringMatching(/^1/), refreshToken, expiresAt: expect.any(Number) });
    expect(fresh.accessToken).not.toBe('1a-b');
    expect(late.accessToken).toBe('1a-b');
  });

  it('takes a leeway', async () => {
    const { strategy, refreshToken } = await start();
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now);
    const tokens = { accessToken: '1a-b', refreshToken, expiresAt: now + 30_000 };
    expect(await strategy.freshTokens(tokens, { leeway: 1000 })).toBe(tokens);
    const late = { ...tokens, expiresAt: now + 500 };
    expect(await strategy.freshTokens(late, { leeway: 0 })).toBe(late);
    expect(server.requests).toEqual([]);
    expect(await strategy.freshTokens(tokens, { leeway: 31_000 })).not.toBe(tokens);
  });

  it('counts tokens without an expiry as expired, unless there is no refresh token', async () => {
    const { strategy, refreshToken } = await start();
    const fresh = await strategy.freshTokens({ accessToken: '1a-b', refreshToken });
    expect(fresh).toEqual({ accessToken: expect.stringMatching(/^1/), refreshToken, expiresAt: expect.any(Number) });
    expect(refreshes()).toHaveLength(1);
    const alone = { accessToken: '1a-b' };
    expect(await strategy.freshTokens(alone)).toBe(alone);
    expect(refreshes()).toHaveLength(1);
  });

  it.each<[string, unknown, object, RegExp]>([
    ['nothing', undefined, {}, /are no tokens/],
    ['tokens without an access token', {}, {}, /are no tokens/],
    ...[
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      8.64e15 + 1,
      -8.64e15 - 1,
      '2026-01-01T00:00:00Z',
      '1',
      '',
      new Date(0),
      true,
      false,
      1n,
      {},
      [],
    ].map((expiresAt): [string, unknown, object, RegExp] => [
      `R54: an expiry ${typeof expiresAt} ${String(expiresAt)}`,
      { accessToken: 'a', refreshToken: 'r', expiresAt },
      {},
      /^expiresAt of the tokens must be a number: .* of a Date give getTime\(\), of text Number\(text\)/,
    ]),
    ['a leeway as text', { accessToken: 'a', expiresAt: 1 }, { leeway: '60000' }, /leeway must be a number/],
  ])('refuses %s in a sentence', async (_, tokens, options, message) => {
    const { strategy } = await start();
    const attempt = strategy.freshTokens(tokens as PowerFolderTokens, options);
    await expect(attempt).rejects.toThrow(TypeError);
    await expect(attempt).rejects.toThrow(message);
    expect(server.requests).toEqual([]);
  });

  it('takes the null of a database for an expiry that is not known', async () => {
    const { strategy, refreshToken } = await start();
    const alone = { accessToken: 'a', refreshToken: null, expiresAt: null } as never;
    expect(await strategy.freshTokens(alone)).toBe(alone);
    const tokens = { accessToken: 'a', refreshToken, expiresAt: null } as never;
    expect(await strategy.freshTokens(tokens)).not.toHaveProperty('accessToken', 'a');
  });

  it('R54: takes the first and the last time that a Date can hold', async () => {
    const { strategy, refreshToken } = await start();
    const tokens = { accessToken: 'a', refreshToken, expiresAt: 8.64e15 };
    expect(await strategy.freshTokens(tokens)).toBe(tokens);
    expect(await strategy.freshTokens({ ...tokens, expiresAt: -8.64e15 })).not.toHaveProperty('accessToken', 'a');
  });

  it('R54: takes the null of a database for a refresh token that is not there', async () => {
    const { strategy } = await start();
    const tokens = { accessToken: 'a', refreshToken: null, expiresAt: 1 } as never;
    await expect(strategy.freshTokens(tokens)).rejects.toMatchObject(signInAgain);
  });

  it('gives tokens that came through JSON', async () => {
    const { strategy, refreshToken } = await start();
    const stored = JSON.parse(JSON.stringify(await strategy.refreshAccessToken(refreshToken)));
    expect(await strategy.freshTokens(stored)).toBe(stored);
  });

  it('R33: makes one request for simultaneous callers', async () => {
    const { strategy, refreshToken } = await start({ rotateRefreshTokens: true });
    const calls = Array.from({ length: 20 }, () =>
      strategy.freshTokens({ accessToken: '1a-b', refreshToken, expiresAt: 0 }),
    );
    const all = await Promise.all([...calls, strategy.refreshAccessToken(refreshToken)]);
    expect(refreshes()).toHaveLength(1);
    expect(new Set(all.map(({ accessToken }) => accessToken)).size).toBe(1);
  });

  it.each([undefined, ''])(
    'says "sign in again" when they have expired with refreshToken: %p',
    async (refreshToken) => {
      const { strategy } = await start();
      const tokens = { accessToken: '1a-b', refreshToken, expiresAt: 1 };
      await expect(strategy.freshTokens(tokens as never)).rejects.toMatchObject(signInAgain);
      expect(server.requests).toEqual([]);
    },
  );
});
