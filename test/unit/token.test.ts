import { PowerFolderError, PowerFolderStrategy, TokenError } from 'passport-powerfolder';
import type { PowerFolderFault, PowerFolderServer } from 'passport-powerfolder/testing';
import { Agent } from 'undici';
import { PowerFolderOAuth2 } from '../../lib/node-oauth.ts';
import { parseErrorResponse } from '../../lib/token.ts';
import { bodyFaults, redirectFaults, tokenFaults } from '../support/faults.ts';
import { listen } from '../support/listener.ts';
import { startWithTokens } from '../support/simulated-sign-in.ts';

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

const signInAgain = { name: 'PowerFolderError', code: 'sign_in_again' };

describe('the answer to a token request', () => {
  const good = { access_token: '1a-b', refresh_token: '1c-d', expires_in: 60 };

  it('R27, R28: that is no token response ends in one typed error, which says what to check', async () => {
    const { strategy, refreshToken } = await start();
    const rows = [...bodyFaults, ...tokenFaults, ...redirectFaults('/oauth/token')];
    for (const { name, fault, code, status } of rows) {
      server.failNext('refresh', fault);
      const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
      expect({ name, error }).toEqual({ name, error: expect.any(PowerFolderError) });
      const answer = code === 'timeout' ? 504 : status === 503 || status === 429 ? 503 : 502;
      expect({ name, ...(error as object) }).toEqual({ name, code, status: answer, serverStatus: status });
      const { message } = error as Error;
      expect(message).toMatch(/^The token endpoint of the PowerFolder server .*\.$/);
      const advice = {
        redirected: /\) answered with a redirect \(3\d\d\), which is not followed\. Check the host/,
        refused: /Check serverURL .*the client secret\.$|status (?:429|[5-9]\d\d)\. Try again later\.$/,
        not_json: / sent (nothing|a page|something else) instead of .* Check serverURL |not UTF-8/,
      };
      expect(message).toMatch(code in advice ? advice[code as keyof typeof advice] : / sent (no|an?) \w.*\.$/);
    }
  });

  it.each([200, 201, 299])('R28: has tokens with status %d, also as numbers in text', async (status) => {
    const { strategy, refreshToken } = await start();
    const sent = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(sent);
    server.failNext('refresh', { status, body: { ...good, token_type: 'BeareR', expires_in: '90' } });
    expect(await strategy.refreshAccessToken(refreshToken)).toEqual({
      accessToken: '1a-b',
      refreshToken: '1c-d',
      expiresAt: sent + 90_000,
    });
  });

  it('R54: takes null for absent', async () => {
    const { strategy, refreshToken } = await start();
    const nothing = { refresh_token: null, expires_in: null, token_type: null, scope: null };
    const noError = { error: null, error_description: null, error_uri: null };
    server.failNext('refresh', { body: { access_token: '1a-b', ...nothing, ...noError } });
    expect(await strategy.refreshAccessToken(refreshToken)).toEqual({ accessToken: '1a-b', refreshToken });
  });

  it.each([
    [{ error: 'invalid_scope', error_description: null, error_uri: null }, TokenError, 'invalid_scope'],
    [{ error: null, error_description: 'No.' }, PowerFolderError, 'refused'],
  ])('R54: takes null for absent in the refusal %j', async (body, type, code) => {
    const { strategy, refreshToken } = await start();
    server.failNext('refresh', { status: 400, body });
    const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(type);
    expect(error).toMatchObject({ code });
    expect((error as TokenError).uri).toBeUndefined();
  });

  it.each([
    [60, 60_000],
    ['60', 60_000],
    ['060', 60_000],
    [0.5, 500],
    ['1.5', 1500],
    [1.0009, 1000],
    [1e-9, 0],
    // Ten years.
    [315_360_000, 315_360_000_000],
  ])('R54: understands an expires_in of %j', async (expires_in, milliseconds) => {
    const { strategy, refreshToken } = await start();
    const sent = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(sent);
    server.failNext('refresh', { body: { ...good, expires_in } });
    const { expiresAt } = await strategy.refreshAccessToken(refreshToken);
    expect(expiresAt).toBe(sent + milliseconds);
    expect(new Date(Number(expiresAt)).toISOString()).toMatch(/Z$/);
  });

  it('R54: has an expiry that a Date can hold, up to the last millisecond, or none', async () => {
    const { strategy, refreshToken } = await start();
    const last = 8.64e15;
    // As many seconds before the end of what a Date can hold.
    jest.spyOn(Date, 'now').mockReturnValue(last - 60_000);
    server.failNext('refresh', { body: { ...good, expires_in: 60 } });
    expect(await strategy.refreshAccessToken(refreshToken)).toMatchObject({ expiresAt: last });
    server.failNext('refresh', { body: { ...good, expires_in: 60.001 } });
    expect(await strategy.refreshAccessToken(refreshToken)).not.toHaveProperty('expiresAt');
  });

  it('R28: has tokens of up to 8 KiB', async () => {
    const { strategy, refreshToken } = await start();
    const longest = 'x'.repeat(8 * 1024);
    server.failNext('refresh', { body: { access_token: longest, refresh_token: longest } });
    expect(await strategy.refreshAccessToken(refreshToken)).toEqual({ accessToken: longest, refreshToken: longest });
  });

  it('says which endpoint it was that answered the old refresh', async () => {
    const { strategy, refreshToken } = await start({ refreshMethods: ['GET'] }, { refreshMethod: 'GET' });
    server.failNext('refresh', { body: '' });
    await expect(strategy.refreshAccessToken(refreshToken)).rejects.toThrow(
      /^The refresh endpoint of the PowerFolder server \(\S+\/oauth\) sent nothing /,
    );
    expect(server.requests.at(-1)?.headers.accept).toBe('application/json');
  });

  it.each([200, 299, 400, 401, 503])('keeps the words of a refusal with status %d, but no secrets', async (status) => {
    const { strategy, refreshToken } = await start();
    const { clientID, clientSecret } = server;
    const error_description = `For ${clientID}, refresh_token: ${clientSecret} and ${refreshToken}.`;
    server.failNext('refresh', {
      status,
      body: { error: 'invalid_client', error_description, error_uri: 'https://pf/1' },
    });
    const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(TokenError);
    expect({ ...(error as object), message: (error as Error).message }).toMatchObject({
      code: 'invalid_client',
      uri: 'https://pf/1',
      // The application's client is refused: its mistake. A server that is busy is not.
      status: status === 503 ? 503 : 500,
      serverStatus: status,
      message: `For ${clientID}, refresh_token: [hidden] and [hidden].`,
    });
  });

  it.each(['error', 'error_description', 'error_uri', 'invalid_grant', 'e', 'grant'])(
    'R54: keeps its words when %p was sent for a refresh token',
    async (refreshToken) => {
      const { strategy } = await start();
      server.failNext('refresh', { status: 400, body: { error: 'invalid_grant', error_description: 'No such thing' } });
      await expect(strategy.refreshAccessToken(refreshToken)).rejects.toMatchObject({
        ...signInAgain,
        cause: { code: 'invalid_grant', message: 'No such thing' },
      });
    },
  );

  it.each(['e', 'access_denied', 'denied', 'access_d', 'hidden', '[hidden]'])(
    'R54: keeps its words with the client secret %p',
    async (clientSecret) => {
      const { strategy, refreshToken } = await start({}, { clientSecret });
      server.failNext('refresh', {
        status: 400,
        body: { error: 'access_denied', error_description: 'Request denied' },
      });
      const error = await strategy.refreshAccessToken(refreshToken).catch((reason: unknown) => reason);
      const message = clientSecret === 'denied' ? 'Request [hidden]' : 'Request denied';
      expect(error).toMatchObject({ code: 'access_denied', message });
    },
  );

  it('R27: keeps the words of a refusal of a hundred thousand brackets', async () => {
    const { strategy, refreshToken } = await start();
    const brackets = '['.repeat(100_000) + ']'.repeat(100_000);
    server.failNext('refresh', { status: 400, body: `{"error":"x","a":${brackets},"error_description":"No."}` });
    await expect(strategy.refreshAccessToken(refreshToken)).rejects.toMatchObject({
      name: 'TokenError',
      code: 'x',
      message: 'No.',
    });
  });

  it('is taken for a refusal by an RFC 6749 word, even where that is the refresh token', async () => {
    const { strategy } = await start();
    await expect(strategy.refreshAccessToken('invalid_grant')).rejects.toMatchObject(signInAgain);
  });

  it('reaches the hook of a subclass without what was secret in the request', async () => {
    await start();
    const seen: [string, number][] = [];
    class Own extends PowerFolderStrategy {
      override parseErrorResponse(body: string, status: number): Error | null {
        seen.push([body, status]);
        return status === 418 ? new Error('own words') : null;
      }
    }
    const { url: serverURL, clientID, clientSecret } = server;
    const own = new Own({ serverURL, clientID, clientSecret, callbackURL: 'http://localhost/oauth' }, () => false);
    server.failNext('refresh', { status: 418, body: `<p>${clientSecret} 1refresh-token` });
    await expect(own.refreshAccessToken('1refresh-token')).rejects.toThrow('own words');
    server.failNext('refresh', {
      status: 400,
      body: { error: clientSecret, numbers: [1], nested: { a: '1refresh-token' } },
    });
    await expect(own.refreshAccessToken('1refresh-token')).rejects.toMatchObject({
      code: 'refused',
      status: 502,
      serverStatus: 400,
    });
    expect(seen).toEqual([
      ['<p>[hidden] [hidden]', 418],
      ['{"error":"[hidden]","numbers":[1],"nested":{"a":"[hidden]"}}', 400],
    ]);
  });

  it('R29: reaches the hook without secrets in the names of members and in numbers', async () => {
    await start();
    let seen = '';
    class Own extends PowerFolderStrategy {
      override parseErrorResponse(body: string): Error | null {
        seen = body;
        return null;
      }
    }
    const { url: serverURL, clientID, clientSecret } = server;
    const own = new Own({ serverURL, clientID, clientSecret, callbackURL: 'http://localhost/oauth' }, () => false);
    const body = { '1234567890': { [`x ${clientSecret}`]: [1234567890, -12345678901] }, toJSON: 'x' };
    server.failNext('refresh', { status: 400, body: `{"__proto__":1,${JSON.stringify(body).slice(1)}` });
    await expect(own.refreshAccessToken('1234567890')).rejects.toMatchObject({ code: 'refused' });
    expect(JSON.parse(seen)).toEqual(
      JSON.parse('{"__proto__":1,"[hidden]":{"x [hidden]":["[hidden]","-[hidden]1"]},"toJSON":"x"}'),
    );
  });
});

it('R54: a refusal is given without the code, the client secret, the verifier and the tokens, and with all else', async () => {
  await start();
  const members = [
    'code',
    'client_secret',
    'code_verifier',
    'access_token',
    'refresh_token',
    'client_id',
    'lang',
    'tenant',
  ];
  const echo = await listen((_req, res) => {
    const sent = JSON.parse(echo.requests.at(-1)?.body ?? '') as Record<string, string>;
    const error_description = members.map((name) => sent[name]).join(', ');
    res.writeHead(400).end(JSON.stringify({ error: 'x', error_description }));
  });
  const { client } = new PowerFolderOAuth2('an-application', 'the-client-secret', '', '', `${echo.url}/oauth/token`);
  const error = await client
    .requestTokens('the-code', {
      code_verifier: 'the-verifier',
      access_token: 'the-access-token',
      refresh_token: 'the-refresh-token',
      lang: 'de',
      tenant: 'University of Examples',
    })
    .catch((reason: unknown) => reason)
    .finally(() => echo.close());
  expect((error as Error).message).toBe(
    '[hidden], [hidden], [hidden], [hidden], [hidden], an-application, de, University of Examples',
  );
});

describe('the error of a refused token request', () => {
  const refuse = async (strategy: PowerFolderStrategy, fault: PowerFolderFault): Promise<Error> => {
    server.failNext('refresh', fault);
    return await strategy.refreshAccessToken('1refresh').then(
      () => new Error('It was not refused'),
      (reason) => reason,
    );
  };
  async function startWith(parse: () => unknown): Promise<PowerFolderStrategy> {
    await start();
    class Own extends PowerFolderStrategy {
      override parseErrorResponse(): Error | null {
        return parse() as Error | null;
      }
    }
    const { url: serverURL, clientID, clientSecret } = server;
    return new Own({ serverURL, clientID, clientSecret, callbackURL: 'http://localhost/oauth' }, () => false);
  }

  it.each([429, 503])("R51: has the server's Retry-After where it is busy (%d)", async (status) => {
    const { strategy } = await start();
    const headers = { 'Retry-After': '30' };
    const error = await refuse(strategy, { status, headers, body: { error: 'invalid_request' } });
    expect(error).toBeInstanceOf(TokenError);
    expect(error).toMatchObject({ status: 503, statusCode: 503, serverStatus: status, retryAfter: 30_000 });
    expect(await refuse(strategy, { status, headers })).toMatchObject({
      code: 'refused',
      status: 503,
      serverStatus: status,
      retryAfter: 30_000,
    });
  });

  it("R51: has the status to answer by all names, also where a hook put the server's there", async () => {
    class OwnError extends Error {
      get status() {
        return 404;
      }
      get statusCode() {
        return 404;
      }
      get expose() {
        return true;
      }
    }
    for (const make of [
      () => new OwnError('own words'),
      () => Object.assign(new Error('own words'), { status: 404, statusCode: 404, expose: true }),
      () => new TokenError('own words', 'of_my_own', undefined, 404),
    ]) {
      const error = await refuse(await startWith(make), { status: 404 });
      await server.close();
      const { message, status, statusCode, expose, serverStatus } = error as Error & Record<string, unknown>;
      expect([message, status, statusCode, expose, serverStatus]).toEqual(['own words', 502, 502, false, 404]);
    }
  });

  it.each<[string, () => unknown]>([
    ['a text', () => 'own words'],
    ['an object', () => ({ status: 404 })],
    ['a promise', async () => new Error('own words')],
    [
      'a promise that is rejected',
      async () => {
        throw new Error('own words');
      },
    ],
  ])('R51: is a sentence where parseErrorResponse gives %s', async (_, parse) => {
    expect(await refuse(await startWith(parse), { status: 404 })).toEqual(
      new TypeError('parseErrorResponse gave no Error; it returns an Error, or null, at once'),
    );
  });

  it.each(['ENOENT', 'ERR_ASSERTION', 'FST_ERR_VALIDATION'])(
    "R51: does not take the server's word %s for its code, by which frameworks know errors of the system",
    async (word) => {
      const { strategy } = await start();
      const error = await refuse(strategy, { status: 400, body: { error: word } });
      expect(error).toBeInstanceOf(PowerFolderError);
      expect(error).toMatchObject({ code: 'refused', status: 502, serverStatus: 400 });
    },
  );
});

describe('parseErrorResponse', () => {
  it.each(['', '<h1>', 'null', '[]', '7', '{}', '{"error":7}', '{"error":""}', '{"error":"\\u0000"}'])(
    'finds no OAuth error in %p',
    (body) => {
      expect(parseErrorResponse(body, 400)).toBeNull();
    },
  );

  it.each([
    [{}, 'The PowerFolder server refused the token request: invalid_scope', undefined],
    [
      { error_description: 7, error_uri: 7 },
      'The PowerFolder server refused the token request: invalid_scope',
      undefined,
    ],
    [{ error_description: '\u0000' }, 'The PowerFolder server refused the token request: invalid_scope', undefined],
    [{ error_description: ' in\nwords ', error_uri: ' https://pf/1\n' }, 'in words', 'https://pf/1'],
  ])('reads RFC 6749 section 5.2: %j', (members, message, uri) => {
    const error = parseErrorResponse(JSON.stringify({ error: 'invalid_scope\u202e', ...members }), 400);
    expect(error).toBeInstanceOf(TokenError);
    expect({ ...error, message: error?.message }).toMatchObject({ code: 'invalid_scope', status: 500, message });
    expect((error as TokenError).uri).toBe(uri);
  });
});

describe('a mistake in what undici is given', () => {
  it("is not taken for the server's", async () => {
    const dispatcher = new Agent();
    await dispatcher.close();
    const { strategy, refreshToken } = await start({}, { dispatcher });
    const attempt = strategy.refreshAccessToken(refreshToken);
    await expect(attempt).rejects.toThrow(TypeError);
    await expect(attempt).rejects.toThrow(
      /a header is undici.s to set \(see customHeaders\), or dispatcher is closed or of another version/,
    );
  });
});

describe('_oauth2, for passport-oauth2-refresh', () => {
  interface OAuth2 {
    getOAuthAccessToken(code: string, ...rest: unknown[]): void;
  }
  const oauth2 = (strategy: PowerFolderStrategy) => Reflect.get(strategy, '_oauth2') as OAuth2;
  const asked = (strategy: PowerFolderStrategy, code: string, ...params: object[]) =>
    new Promise<unknown[]>((resolve) =>
      oauth2(strategy).getOAuthAccessToken(code, ...params, (...results: unknown[]) => resolve(results)),
    );

  it('refreshes, with the old refresh token when none is sent', async () => {
    const { strategy, refreshToken } = await start();
    const refresh = jest.requireActual('passport-oauth2-refresh');
    refresh.use('token-test', strategy);
    const results = await new Promise<unknown[]>((resolve) =>
      refresh.requestNewAccessToken('token-test', refreshToken, (...all: unknown[]) => resolve(all)),
    );
    expect(results).toEqual([
      null,
      expect.stringMatching(/^1/),
      refreshToken,
      expect.objectContaining({ expires_in: 86_400 }),
    ]);
    expect(results[3]).not.toHaveProperty('refresh_token');
  });

  it('asks for tokens with a code, by the secret that is set', async () => {
    const { strategy } = await start();
    await asked(strategy, 'unknown', { state: 'x' });
    expect(server.requests.at(-1)?.json).toEqual({
      grant_type: 'authorization_code',
      code: 'unknown',
      client_id: server.clientID,
      client_secret: server.clientSecret,
      state: 'x',
    });
    Reflect.set(oauth2(strategy), '_clientSecret', 'another');
    await asked(strategy, 'unknown');
    expect(server.requests.at(-1)?.json).toMatchObject({ client_secret: 'another' });
    expect(Reflect.get(oauth2(strategy), '_clientSecret')).toBe('another');
    await asked(strategy, 'unknown', 'no params' as never);
    expect(Object.keys(server.requests.at(-1)?.json as object)).toHaveLength(4);
  });

  it('keeps the headers that were given, and shows neither them nor the secret', async () => {
    const { strategy } = await start({}, { customHeaders: { 'X-Key': 'sentinel' } });
    expect(Reflect.get(oauth2(strategy), '_customHeaders')).toEqual({ 'X-Key': 'sentinel' });
    expect(Object.keys(oauth2(strategy)).join()).not.toMatch(/_clientSecret|_customHeaders/);
  });

  const requested = (strategy: PowerFolderStrategy, ...args: unknown[]) =>
    new Promise<unknown[]>((resolve) =>
      Reflect.get(oauth2(strategy), '_request').call(oauth2(strategy), ...args, (...results: unknown[]) =>
        resolve(results),
      ),
    );

  it('R30: asks for a resource with the token in the header, and gives body, status and headers', async () => {
    const { strategy, accessToken } = await start();
    const url = `${server.url}/api/folders?action=getAll`;
    const [error, body, response] = await requested(strategy, 'GET', url, { 'X-A': 'b' }, '', accessToken);
    expect(error).toBeNull();
    expect(JSON.parse(String(body))).toHaveProperty('ResultSet');
    const type = expect.stringMatching(/^application\/json/);
    expect(response).toMatchObject({ statusCode: 200, headers: { 'content-type': type } });
    expect(server.requests.at(-1)).toMatchObject({
      method: 'GET',
      url: '/api/folders?action=getAll',
      body: '',
      headers: { authorization: `Bearer ${accessToken}`, 'x-a': 'b' },
    });
  });

  it('sends a body by POST, and without a token no Authorization', async () => {
    const { strategy } = await start();
    for (const [body, sent] of [
      ['a body', 'a body'],
      ['', ''],
      [Buffer.from('x'), 'x'],
    ]) {
      server.failNext('folders', { status: 299, body: 'taken' });
      expect(await requested(strategy, 'POST', `${server.url}/api/folders`, null, body, null)).toEqual([
        null,
        'taken',
        expect.objectContaining({ statusCode: 299 }),
      ]);
      const request = server.requests.at(-1);
      expect([request?.method, request?.body, request?.headers.authorization]).toEqual(['POST', sent, undefined]);
    }
  });

  it('tells of a refused resource as node-oauth does, and asks no other host by http', async () => {
    const { strategy } = await start();
    const [error] = await requested(strategy, 'GET', `${server.url}/api/folders?a=1`, null, '', 'wrong');
    // In node-oauth `statusCode` is the server's; Fastify would answer it to the visitor (R51).
    expect(error).toMatchObject({ code: 'refused', status: 502, statusCode: 502, serverStatus: 401 });
    expect((error as Error).message).toBe(
      `The resource of the PowerFolder server (${server.url}/api/folders) refused with status 401. Check the access token and the address.`,
    );
    const [other] = await requested(strategy, 'GET', 'http://pf.example/', null, '', 'wrong');
    expect(other).toBeInstanceOf(TypeError);
    expect((other as Error).message).toMatch(/^The URL of a request with an access token must be https/);
  });

  it('hands errors on', async () => {
    const { strategy } = await start();
    const [error] = await asked(strategy, 'unknown', { grant_type: 'refresh_token' });
    expect(error).toMatchObject({ name: 'TokenError', code: 'invalid_grant' });
    expect(await asked(strategy, 'unknown')).toEqual([expect.objectContaining({ code: 'invalid_grant' })]);
  });
});
