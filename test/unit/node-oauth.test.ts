/** `strategy._oauth2`, as node-oauth's callers know it: what is called is done, by our own exchange, or refused. */
import { execFile } from 'node:child_process';
import { Agent } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { type Listener, listen } from '../support/listener.ts';

const { AuthTokenRefresh } = require('passport-oauth2-refresh');

/** node-oauth's members, those of which its types say "protected" included. */
interface NodeOAuth {
  get(...args: unknown[]): void;
  getProtectedResource(...args: unknown[]): void;
  getOAuthAccessToken(...args: unknown[]): void;
  getAuthorizeUrl(params?: object): string;
  buildAuthHeader(token: string): string;
  setAgent(agent: unknown): void;
  setAccessTokenName(name: string): void;
  setAuthMethod(method: string): void;
  useAuthorizationHeaderforGET(useIt: boolean): void;
  _request(...args: unknown[]): void;
  _chooseHttpLibrary(...args: unknown[]): unknown;
  _executeRequest(...args: unknown[]): void;
  _getAccessTokenUrl(): string;
  [member: `_${string}`]: unknown;
}

let server: Listener;
/** What the server says next. */
let answer: { status: number; headers: Record<string, string>; body: string };
beforeEach(async () => {
  answer = { status: 200, headers: {}, body: '{"access_token":"1new","refresh_token":"1next","expires_in":60}' };
  server = await listen((_req, res) => {
    res.writeHead(answer.status, answer.headers).end(answer.body);
  });
});
afterEach(async () => {
  jest.useRealTimers();
  await server.close();
});

function oauth2(options: Partial<PowerFolderStrategyOptions> = {}): NodeOAuth {
  return Reflect.get(strategyWith(options), '_oauth2') as NodeOAuth;
}
function strategyWith(options: Partial<PowerFolderStrategyOptions> = {}): PowerFolderStrategy {
  const client = { clientID: 'app', clientSecret: 'a-secret', callbackURL: 'https://app.example.com/oauth' };
  return new PowerFolderStrategy({ serverURL: server.url, ...client, ...options }, () => false);
}

/** Calls a method with a callback, and gives what the callback got. */
function called(client: NodeOAuth, method: string, ...args: unknown[]): Promise<unknown[]> {
  return new Promise((resolve) => {
    (client[method as '_'] as (...all: unknown[]) => void)(...args, (...results: unknown[]) => resolve(results));
  });
}
const request = (...args: unknown[]) => called(oauth2(), '_request', ...args);
const resource = () => `${server.url}/resource?a=1`;

describe('_oauth2._request', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'put'])(
    'sends %s as it is called, with its body',
    async (method) => {
      const [error, body] = await request(method, resource(), { 'Content-Type': 'text/xml' }, '<ü/>', '1token');
      expect([error, body]).toEqual([null, answer.body]);
      expect(server.requests).toEqual([
        {
          method: method.toUpperCase(),
          url: '/resource?a=1',
          headers: expect.objectContaining({ authorization: 'Bearer 1token', 'content-type': 'text/xml' }),
          body: '<ü/>',
        },
      ]);
    },
  );

  it('sends HEAD, whose answer has no body', async () => {
    const [error, body, response] = await request('HEAD', resource(), null, '', '1token');
    expect([error, body, response]).toEqual([null, '', expect.objectContaining({ statusCode: 200 })]);
    expect(server.requests).toMatchObject([{ method: 'HEAD', body: '' }]);
  });

  it('sends a Buffer byte for byte', async () => {
    await request('PUT', resource(), {}, Buffer.from('Zoë'), '1token');
    expect(server.requests).toMatchObject([{ method: 'PUT', body: 'Zoë' }]);
  });

  it.each([{ a: 1 }, ['a'], 7, true])('refuses %j for a body, and says what to give', async (body) => {
    const [error] = await request('POST', resource(), {}, body, '1token');
    expect(error).toEqual(
      new TypeError('_oauth2._request takes the body as a string or a Buffer; give it JSON.stringify(body)'),
    );
    expect(server.requests).toEqual([]);
  });

  it.each(['CONNECT', 'connect', '', 'GET /', undefined, 7])('refuses %j for a method', async (method) => {
    const [error] = await request(method, resource(), {}, '', '1token');
    expect(error).toEqual(
      new TypeError('_oauth2._request takes the method of an HTTP request, such as GET or PROPFIND'),
    );
    expect(server.requests).toEqual([]);
  });

  it('sends each header once, in whatever case it was given', async () => {
    const client = oauth2({ customHeaders: { 'User-Agent': 'a-university' } });
    await called(
      client,
      '_request',
      'GET',
      resource(),
      { 'USER-AGENT': 'a-hook', 'X-A': ['1', '2'], 'X-N': 7 },
      '',
      '1',
    );
    expect(server.requests[0]?.headers).toMatchObject({ 'user-agent': 'a-hook', 'x-a': '1, 2', 'x-n': '7' });
  });

  it('leaves an Authorization of the caller as it is, and sends no second one', async () => {
    const [error] = await request('GET', resource(), { Authorization: 'Basic YTpi' }, '', '1token');
    expect(error).toBeNull();
    expect(server.requests[0]?.headers['authorization']).toBe('Basic YTpi');
  });

  it('R30: sends the token in the header, never in the URL', async () => {
    for (const method of ['get', 'getProtectedResource']) await called(oauth2(), method, resource(), '1token');
    await request('POST', resource(), null, null, '1token');
    for (const { url, headers, body } of server.requests) {
      expect([url, headers['authorization'], body]).toEqual(['/resource?a=1', 'Bearer 1token', '']);
    }
    expect(server.requests).toHaveLength(3);
  });

  it.each([302, 307, 400, 401, 404, 503])(
    'R51: has the status %d as serverStatus of the error, where frameworks do not take it for the answer',
    async (status) => {
      answer = { status, headers: { location: '/elsewhere' }, body: 'a page with 1token' };
      const [error, ...others] = await request('GET', resource(), null, '', '1token');
      const shown = status === 503 ? 503 : 502;
      expect(error).toMatchObject({
        status: shown,
        statusCode: shown,
        serverStatus: status,
        code: status < 400 ? 'redirected' : 'refused',
      });
      expect(error).not.toHaveProperty('data');
      expect(others).toEqual([]);
      expect(server.requests).toHaveLength(1);
    },
  );

  it('R22: asks nobody by http but this machine', async () => {
    const [error] = await request('GET', 'http://pf.example/x', null, '', '1token');
    expect(error).toEqual(expect.any(TypeError));
  });

  it.each(['_request', 'get', 'getProtectedResource'])(
    'needs a callback in %s, and sends nothing without',
    (method) => {
      const args = method === '_request' ? ['GET', resource(), null, '', '1token'] : [resource(), '1token'];
      const client = oauth2() as unknown as Record<string, (...all: unknown[]) => void>;
      expect(() => client[method]?.(...args)).toThrow(
        new TypeError('_oauth2._request takes a callback as its last argument: (error, …) => { … }'),
      );
      expect(server.requests).toEqual([]);
    },
  );
});

describe('_oauth2.getOAuthAccessToken', () => {
  const asked = (...args: unknown[]) => called(oauth2(), 'getOAuthAccessToken', ...args);

  it.each([
    [{ grant_type: 'refresh_token' }, { grant_type: 'refresh_token', refresh_token: '1c' }],
    [{ grant_type: 'authorization_code' }, { grant_type: 'authorization_code', code: '1c' }],
    [{}, { grant_type: 'authorization_code', code: '1c' }],
    [null, { grant_type: 'authorization_code', code: '1c' }],
    [{ redirect_uri: 'https://a.example/' }, { code: '1c', redirect_uri: 'https://a.example/' }],
  ])('with %j sends %j', async (params, expected) => {
    const results = await asked('1c', params);
    expect(results).toEqual([null, '1new', '1next', { access_token: '1new', expires_in: 60 }]);
    expect(JSON.parse(server.requests[0]?.body ?? '')).toMatchObject({
      ...expected,
      client_id: 'app',
      client_secret: 'a-secret',
    });
  });

  it("leaves the caller's params as they are", async () => {
    const params = Object.freeze({ grant_type: 'refresh_token', format: 'json' });
    const [error, accessToken] = await asked('1c', params);
    expect([error, accessToken]).toEqual([null, '1new']);
  });

  it.each(['client_credentials', 'password', '', 7, null])(
    'refuses the grant %j, which PowerFolder has not',
    async (grant_type) => {
      const [error] = await asked('1c', { grant_type });
      expect(error).toEqual(
        new TypeError(
          "PowerFolder has no such grant; give _oauth2.getOAuthAccessToken grant_type: 'authorization_code' or 'refresh_token'",
        ),
      );
      expect(server.requests).toEqual([]);
    },
  );

  it.each([[undefined], [null], [''], [{}]])('refuses %j for a code or refresh token', async (code) => {
    for (const params of [{}, { grant_type: 'refresh_token' }]) {
      const [error] = await asked(code, params);
      expect(error).toEqual(
        new TypeError('_oauth2.getOAuthAccessToken takes the code, or the refresh token, as a string'),
      );
    }
    expect(server.requests).toEqual([]);
  });

  it.each(['grant_type=refresh_token', ['refresh_token'], 7])('refuses %j for params', async (params) => {
    const [error] = await asked('1c', params);
    expect(error).toEqual(
      new TypeError("_oauth2.getOAuthAccessToken takes params as an object, such as { grant_type: 'refresh_token' }"),
    );
    expect(server.requests).toEqual([]);
  });

  it('needs a callback', () => {
    expect(() => oauth2().getOAuthAccessToken('1c', {})).toThrow(
      new TypeError('_oauth2.getOAuthAccessToken takes a callback as its last argument: (error, …) => { … }'),
    );
    expect(server.requests).toEqual([]);
  });
});

describe('what node-oauth lets a caller set', () => {
  const refusals: [string, (client: NodeOAuth) => unknown, RegExp][] = [
    [
      'another name of the token',
      (client) => client.setAccessTokenName('oauth_token'),
      /header .* only, .*remove the call/,
    ],
    ['the same by its member', (client) => (client['_accessTokenName'] = 'oauth_token'), /only, .*remove the call/],
    ['another method of authorization', (client) => client.setAuthMethod('OAuth'), /takes 'Bearer' only/],
    ['the same by its member', (client) => (client['_authMethod'] = 'OAuth'), /takes 'Bearer' only/],
    ['R30: the token in the URL', (client) => client.useAuthorizationHeaderforGET(false), /takes true only/],
    ['the same by its member', (client) => (client['_useAuthorizationHeaderForGET'] = false), /takes true only/],
    ['an http.Agent', (client) => client.setAgent(new Agent()), /options ca and proxy instead/],
    ['the same by its member', (client) => (client['_agent'] = new Agent()), /options ca and proxy instead/],
    ['a choice of HTTP libraries', (client) => client._chooseHttpLibrary({ protocol: 'http:' }), /option dispatcher/],
    ['a request by one of them', (client) => client._executeRequest({}, {}, '', () => {}), /call _oauth2\._request/],
  ];
  it.each(refusals)('is refused in a sentence with the fix: %s', (_, set, sentence) => {
    const client = oauth2();
    expect(() => set(client)).toThrow(TypeError);
    expect(() => set(client)).toThrow(sentence);
  });

  it('is taken where it is what is done anyway', async () => {
    const client = oauth2();
    client.setAccessTokenName('access_token');
    client.setAuthMethod('Bearer');
    client.useAuthorizationHeaderforGET(true);
    expect(client.buildAuthHeader('1token')).toBe('Bearer 1token');
    await called(client, 'get', resource(), '1token');
    expect(server.requests).toMatchObject([{ url: '/resource?a=1', headers: { authorization: 'Bearer 1token' } }]);
  });

  it('are headers for every request, also when they are set later, or given to the constructor', async () => {
    const client = oauth2({ customHeaders: { 'X-A': '1' } });
    (client['_customHeaders'] as Record<string, string>)['X-B'] = '2';
    const Client = client.constructor as new (...args: unknown[]) => NodeOAuth;
    const byHand = new Client('app', 'a-secret', '', 'https://pf.example/allow', `${server.url}/token`, { 'X-C': '3' });
    await called(client, 'get', resource(), '1token');
    await called(client, 'getOAuthAccessToken', '1c', {});
    await called(byHand, 'getOAuthAccessToken', '1c', {});
    client['_customHeaders'] = { 'X-D': '4' };
    await called(client, 'get', resource(), '1token');
    const seen = server.requests.map(({ headers }) =>
      Object.entries(headers).flatMap(([name, value]) => (/^x-/.test(name) ? [`${name}${value}`] : [])),
    );
    expect(seen).toEqual([['x-a1', 'x-b2'], ['x-a1', 'x-b2'], ['x-c3'], ['x-d4']]);
  });

  it('R22: is a token endpoint, checked like the option', async () => {
    const client = oauth2();
    client['_accessTokenUrl'] = `${server.url}/another`;
    const [none] = await called(client, 'getOAuthAccessToken', '1c', {});
    expect(none).toBeNull();
    expect(server.requests).toMatchObject([{ url: '/another' }]);
    client['_accessTokenUrl'] = 'http://pf.example/token';
    const [error] = await called(client, 'getOAuthAccessToken', '1c', {});
    expect(error).toEqual(expect.any(TypeError));
    expect((error as Error).message).toMatch(/^tokenURL must be https/);
  });
});

describe('_oauth2.getAuthorizeUrl', () => {
  it("gives the authorization endpoint's URL with the parameters and the client ID", () => {
    const params = Object.freeze({ state: 's1', scope: ['a', 'b'], client_id: 'evil' });
    expect(oauth2().getAuthorizeUrl(params)).toBe(`${server.url}/oauth/allow?state=s1&scope=a&scope=b&client_id=app`);
    expect(oauth2().getAuthorizeUrl()).toBe(`${server.url}/oauth/allow?client_id=app`);
  });

  it('appends to a query that is there', () => {
    const client = oauth2({ authorizationURL: 'https://pf.example/allow?realm=x' });
    expect(client.getAuthorizeUrl({ state: 's1' })).toBe('https://pf.example/allow?realm=x&state=s1&client_id=app');
  });
});

describe('a callback that throws', () => {
  it.each(['get', 'a refused get', 'getOAuthAccessToken'])(
    'in %s was called once, and what it throws is an uncaught exception as in node-oauth',
    async (way) => {
      if (way === 'a refused get') answer.status = 401;
      const options = {
        serverURL: server.url,
        clientID: 'app',
        clientSecret: 'a-secret',
        callbackURL: 'https://app.example.com/oauth',
      };
      const script = join(__dirname, '../fixtures/callback-throws.mjs');
      const args = ['--import', 'tsx', script, JSON.stringify(options), way];
      const { stdout } = await promisify(execFile)(process.execPath, args);
      expect(JSON.parse(stdout)).toMatchObject({ calls: 1, heard: ['thrown by call 1'] });
    },
    30_000,
  );
});

describe("R55: under Jest's fake timers", () => {
  /** Each way to refresh or to ask, to its end. */
  const ways: [string, () => Promise<unknown>][] = [
    [
      '_oauth2.getOAuthAccessToken',
      () => called(oauth2(), 'getOAuthAccessToken', '1r', { grant_type: 'refresh_token' }),
    ],
    ['_oauth2.get', () => called(oauth2(), 'get', resource(), '1token')],
    ['_oauth2.get in vain', () => called(oauth2(), 'get', 'http://pf.example/', '1token')],
    ['refreshAccessToken', () => strategyWith().refreshAccessToken('1r')],
    [
      'passport-oauth2-refresh',
      () => {
        const refresh = new AuthTokenRefresh();
        refresh.use('pf', strategyWith());
        return new Promise((resolve) => refresh.requestNewAccessToken('pf', '1r', (...all: unknown[]) => resolve(all)));
      },
    ],
  ];

  it.each(ways)('%s completes, again and again', async (_, way) => {
    jest.useFakeTimers();
    for (let times = 0; times < 3; times++) await way();
    expect(server.requests.length).toBeLessThanOrEqual(3);
  });

  it.each(ways)('%s completes also where connections were kept before, and afterwards', async (_, way) => {
    // Not until the server closes them.
    server.server.keepAliveTimeout = 600_000;
    for (let times = 0; times < 3; times++) {
      await way();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    jest.useFakeTimers();
    for (let times = 0; times < 3; times++) await way();
    jest.useRealTimers();
    for (let times = 0; times < 3; times++) await way();
  });
});
