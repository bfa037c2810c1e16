/** passport-oauth2-refresh, unmodified. It has no types. */

import {
  PowerFolderError,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  TokenError,
} from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { Agent } from 'undici';
import { timeout } from '../support/deadlines.ts';
import { listen } from '../support/listener.ts';
import { newTokens } from '../support/simulated-sign-in.ts';

const { AuthTokenRefresh } = require('passport-oauth2-refresh');

let server: PowerFolderServer;
afterEach(() => server?.close());

interface Refreshed {
  error: unknown;
  accessToken?: string;
  refreshToken?: string;
  results?: Record<string, unknown>;
}

async function start(options: PowerFolderServerOptions = {}): Promise<string> {
  server = await startPowerFolderServer({ autoApprove: 'ada', ...options });
  const { refresh_token } = await newTokens(server);
  server.requests.length = 0;
  return refresh_token;
}

function requestNewAccessToken(
  refreshToken: string,
  options: Partial<PowerFolderStrategyOptions> = {},
  ...params: object[]
): Promise<Refreshed> {
  const { url: serverURL, clientID, clientSecret } = server;
  const refresh = new AuthTokenRefresh();
  refresh.use(
    new PowerFolderStrategy(
      { serverURL, clientID, clientSecret, callbackURL: 'http://127.0.0.1:9/oauth', ...options },
      () => false,
    ),
  );
  return new Promise((resolve) =>
    refresh.requestNewAccessToken(
      'powerfolder',
      refreshToken,
      ...params,
      (error: unknown, accessToken: string, newRefreshToken: string, results: Record<string, unknown>) =>
        resolve({ error, accessToken, refreshToken: newRefreshToken, results }),
    ),
  );
}

describe('passport-oauth2-refresh', () => {
  it("gets a new access token by PowerFolder's JSON request, member for member", async () => {
    const refreshToken = await start();
    const refreshed = await requestNewAccessToken(refreshToken);
    expect(refreshed).toEqual({
      error: null,
      accessToken: expect.stringMatching(/^1/),
      refreshToken,
      results: { access_token: refreshed.accessToken, expires_in: 86_400 },
    });
    const [request, ...others] = server.requests;
    expect(others).toEqual([]);
    expect([
      request?.method,
      request?.url,
      request?.headers['content-type'],
      request?.headers['authorization'],
    ]).toEqual(['POST', '/oauth/token', 'application/json', undefined]);
    expect(Object.entries(request?.json ?? {})).toEqual([
      ['grant_type', 'refresh_token'],
      ['refresh_token', refreshToken],
      ['client_id', server.clientID],
      ['client_secret', server.clientSecret],
    ]);
  });

  it('gives the old refresh token back where the server sends none, and the new one where it does', async () => {
    expect((await requestNewAccessToken(await start())).refreshToken).toMatch(/^1/);
    await server.close();
    const old = await start({ rotateRefreshTokens: true });
    const { refreshToken } = await requestNewAccessToken(old);
    expect([refreshToken, refreshToken === old]).toEqual([expect.stringMatching(/^1/), false]);
  });

  it('passes further parameters on, which replace none of the protocol', async () => {
    const refreshToken = await start({ tolerate: ['format'] });
    await requestNewAccessToken(refreshToken, {}, { format: 'json', client_id: 'evil', refresh_token: 'evil' });
    expect(server.requests[0]?.json).toEqual({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: server.clientID,
      client_secret: server.clientSecret,
      format: 'json',
    });
  });

  it('refreshes in the old form by refreshMethod GET', async () => {
    const refreshToken = await start({ refreshMethods: ['GET'] });
    const refreshed = await requestNewAccessToken(refreshToken, { refreshMethod: 'GET' });
    expect(refreshed).toMatchObject({ error: null, accessToken: expect.stringMatching(/^1/), refreshToken });
    expect(server.requests.map(({ method, path }) => [method, path])).toEqual([['GET', '/oauth']]);
  });

  it("hands the server's refusal on as a TokenError, with code and status", async () => {
    const refreshToken = await start();
    const refused = await requestNewAccessToken('1unknown');
    expect(refused.error).toBeInstanceOf(TokenError);
    expect(refused).toEqual({
      error: expect.objectContaining({ code: 'invalid_grant', status: 500, serverStatus: 400 }),
    });
    const { error } = await requestNewAccessToken(refreshToken, { clientSecret: 'wrong' });
    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({ code: 'invalid_client', status: 500, serverStatus: 401 });
  });

  it("keeps the strategy's deadline, and says when the server is away", async () => {
    await start();
    server.failNext('refresh', { silence: true });
    const { error } = await requestNewAccessToken('1x', { timeout });
    expect(error).toBeInstanceOf(PowerFolderError);
    expect(error).toMatchObject({ code: 'timeout' });
    expect((await requestNewAccessToken('1x', { serverURL: 'http://127.0.0.1:1' })).error).toMatchObject({
      code: 'unreachable',
    });
  });

  it("goes through the strategy's dispatcher, with its headers", async () => {
    await start();
    const seen: unknown[] = [];
    const proxy = await listen((req, res) => {
      seen.push(req.headers['user-agent']);
      res.setHeader('Content-Type', 'application/json').end('{"access_token":"1through-the-proxy"}');
    });
    const dispatcher = new Agent().compose(
      (dispatch) => (options, handler) => dispatch({ ...options, origin: proxy.url }, handler),
    );
    const { accessToken } = await requestNewAccessToken('1x', {
      serverURL: 'https://powerfolder.invalid',
      dispatcher,
      customHeaders: { 'User-Agent': 'a-university' },
    });
    expect([accessToken, seen]).toEqual(['1through-the-proxy', ['a-university']]);
    expect(server.requests).toEqual([]);
    await dispatcher.close();
    await proxy.close();
  });
});
