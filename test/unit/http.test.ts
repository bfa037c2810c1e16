import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { inspect, promisify } from 'node:util';
import { PowerFolderStrategy } from 'passport-powerfolder';
import { Agent, Dispatcher, interceptors } from 'undici';
import { startTestApp, type TestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { patience } from '../support/deadlines.ts';

const fixture = (name: string) => join(__dirname, '../fixtures', name);

/** A token endpoint that tells connections apart. */
interface TokenEndpoint {
  server: Server;
  url: string;
  /** Of each token request, the connection's number and the code. */
  requests: { connection: number; code?: string }[];
  /** All connections that there were; by TLS, all handshakes. */
  sockets: Socket[];
  /** What becomes of a connection when a request is there, instead of an answer. */
  fate: ((socket: Socket) => unknown) | undefined;
}

async function startTokenEndpoint(tls?: { key: Buffer; cert: Buffer }): Promise<TokenEndpoint> {
  const answer = async (req: IncomingMessage, res: ServerResponse) => {
    const { code } = (await json(req)) as { code?: string };
    endpoint.requests.push({ connection: sockets.indexOf(req.socket) + 1, ...(code && { code }) });
    if (endpoint.fate) endpoint.fate(req.socket);
    else res.end('{"access_token":"1access","refresh_token":"1refresh","expires_in":86400}');
  };
  const sockets: Socket[] = [];
  const server = tls ? createSecureServer(tls, answer) : createServer(answer);
  server.on(tls ? 'secureConnection' : 'connection', (socket: Socket) => sockets.push(socket));
  // It closes nothing by itself, and gives no hint that it would.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const endpoint: TokenEndpoint = { server, url, requests: [], sockets, fate: undefined };
  return endpoint;
}

let endpoint: TokenEndpoint;
let app: TestApp | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
  if (!endpoint?.server.listening) return;
  endpoint.server.closeAllConnections();
  endpoint.server.close();
  await once(endpoint.server, 'close');
});

const client = { clientID: 'app', clientSecret: 'a secret', callbackURL: 'https://app.example.com/oauth' };

describe('connections to a token endpoint by TLS', () => {
  async function refreshAfter(...pauses: number[]): Promise<void> {
    // The deadline, too, passes sixty times as fast.
    const options = JSON.stringify({ ...client, serverURL: endpoint.url, timeout: 60 * patience });
    const script = ['--import', 'tsx', fixture('refresh-each-minute.mjs'), options, JSON.stringify(pauses)];
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: fixture('tls/ca.pem') };
    await promisify(execFile)(process.execPath, script, { env });
  }
  const usedConnections = () => endpoint.requests.map(({ connection }) => connection);

  beforeEach(async () => {
    const file = (name: string) => readFileSync(fixture(`tls/${name}`));
    endpoint = await startTokenEndpoint({ key: file('server.key'), cert: file('server.pem') });
  });

  it('stay open for a request in a minute, which so pays no handshake', async () => {
    await refreshAfter(0, 60, 60);
    expect(usedConnections()).toEqual([1, 1, 1]);
    expect(endpoint.sockets).toHaveLength(1);
  });

  it('are closed when they are not used for much longer', async () => {
    await refreshAfter(0, 180);
    expect(usedConnections()).toEqual([1, 2]);
  });

  it('are closed before the server would do it, when it says when', async () => {
    // In real time the other side is the first to close.
    endpoint.server.keepAliveTimeout = 5000;
    await refreshAfter(0, 30);
    expect(usedConnections()).toEqual([1, 2]);
  });
});

describe('what a dispatcher reports', () => {
  /** One that a user could give: it fails before anything was sent. */
  class Failing extends Dispatcher {
    readonly #error: Error;
    constructor(code: string) {
      super();
      this.#error = Object.assign(new Error('as undici says it'), { code });
    }
    override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
      handler.onResponseError?.(null as never, this.#error);
      return true;
    }
  }

  it.each([
    ['ECONNREFUSED', 'unreachable', 'could not be reached (ECONNREFUSED).'],
    ['ENOTFOUND', 'unreachable', 'could not be reached (ENOTFOUND).'],
    ['EAI_AGAIN', 'unreachable', 'could not be reached (EAI_AGAIN).'],
    ['EHOSTUNREACH', 'unreachable', 'could not be reached (EHOSTUNREACH).'],
    ['ENETUNREACH', 'unreachable', 'could not be reached (ENETUNREACH).'],
    ['ETIMEDOUT', 'unreachable', 'could not be reached (ETIMEDOUT).'],
    ['UND_ERR_CONNECT_TIMEOUT', 'unreachable', 'could not be reached (UND_ERR_CONNECT_TIMEOUT).'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls', 'could not be trusted (DEPTH_ZERO_SELF_SIGNED_CERT). For a certificate'],
    ['CERT_HAS_EXPIRED', 'tls', 'could not be trusted'],
    ['CERT_SIGNATURE_FAILURE', 'tls', 'could not be trusted'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls', 'could not be trusted'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls', 'could not be trusted'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls', 'could not be trusted'],
    ['INVALID_PURPOSE', 'tls', 'could not be trusted'],
    ['PATH_LENGTH_EXCEEDED', 'tls', 'could not be trusted'],
    ['HOSTNAME_MISMATCH', 'tls', 'could not be trusted'],
    ['EPROTO', 'tls', 'could not be trusted'],
    ['HPE_INVALID_CONSTANT', 'not_http', 'sent something that is not HTTP (HPE_INVALID_CONSTANT).'],
    ['UND_ERR_HEADERS_OVERFLOW', 'not_http', 'sent something that is not HTTP'],
    ['ERR_ASSERTION', 'not_http', 'sent something that is not HTTP'],
    ['ESERVFAIL', 'unreachable', 'could not be reached (ESERVFAIL).'],
    ['ENETDOWN', 'unreachable', 'could not be reached (ENETDOWN).'],
    ['EPERM', 'unreachable', 'could not be reached (EPERM).'],
    ['EMFILE', 'unreachable', 'could not be reached (EMFILE).'],
    [
      'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION',
      'tls',
      'refuses this client (ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION): its TLS',
    ],
    ['ECONNRESET', 'connection_lost', 'broke off the connection (ECONNRESET).'],
    ['UND_ERR_SOCKET', 'connection_lost', 'broke off the connection (UND_ERR_SOCKET).'],
    ['EPIPE', 'connection_lost', 'broke off the connection (EPIPE).'],
  ])('as %s is told as %s, with the cause and without the query', async (reported, code, words) => {
    const strategy = new PowerFolderStrategy(
      {
        ...client,
        serverURL: 'https://pf.example',
        tokenURL: 'https://pf.example/token?secret=1',
        dispatcher: new Failing(reported),
      },
      () => false,
    );
    const error = await strategy.refreshAccessToken('1refresh').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'PowerFolderError', code, cause: { code: reported } });
    expect((error as Error).message).toContain(
      `The token endpoint of the PowerFolder server (https://pf.example/token) ${words}`,
    );
  });

  it.each([
    ['responseError', () => new Agent().compose(interceptors.responseError())],
    ['retry', () => new Agent().compose(interceptors.retry({ maxRetries: 1, minTimeout: 1, methods: ['POST'] }))],
  ])('R29: by the interceptor %s is told without the answer, and that it has to go', async (_, make) => {
    const server = createServer((req, res) => {
      res.writeHead(503, { 'content-type': 'application/json', 'x-echo': '1refresh-sentinel' });
      req.pipe(res);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const serverURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const dispatcher = make();
    const strategy = new PowerFolderStrategy({ ...client, serverURL, dispatcher }, () => false);
    const error = await strategy.refreshAccessToken('1refresh-sentinel').catch((reason: unknown) => reason);
    await dispatcher.close();
    server.close();
    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining('leave out those for errors') });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('sentinel');
  });

  it('R29: is told with nothing else that it carries', async () => {
    class Telling extends Failing {
      override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
        const error = Object.assign(new Error('the body was sentinel'), {
          code: 'MINE',
          body: 'sentinel',
          headers: { x: 'sentinel' },
        });
        handler.onResponseError?.(null as never, error);
        return true;
      }
    }
    const options = { ...client, serverURL: 'https://pf.example', dispatcher: new Telling('') };
    const error = await new PowerFolderStrategy(options, () => false)
      .refreshAccessToken('1r')
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'connection_lost', cause: { code: 'MINE', message: 'MINE' } });
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('sentinel');
  });

  it.each(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_CLOSED', 'UND_ERR_DESTROYED'])(
    'as %s is a mistake of the application',
    async (reported) => {
      const options = { ...client, serverURL: 'https://pf.example', dispatcher: new Failing(reported) };
      const strategy = new PowerFolderStrategy(options, () => false);
      await expect(strategy.refreshAccessToken('1refresh')).rejects.toThrow(
        new TypeError(
          `undici refused to send the request (${reported}): a header is undici's to set (see customHeaders), or dispatcher is closed or of another version than 7`,
        ),
      );
    },
  );
});

describe('a token request', () => {
  /** Runs when all is ready for the token request. */
  let justBefore: () => void;

  beforeEach(async () => {
    endpoint = await startTokenEndpoint();
    justBefore = () => {};
    class Strategy extends PowerFolderStrategy {
      override tokenParams(): object {
        justBefore();
        return {};
      }
    }
    const { clientID, clientSecret } = client;
    app = await startTestApp({
      options: { serverURL: endpoint.url, clientID, clientSecret, skipUserProfile: true },
      strategy: (options, verify) => new Strategy(options, verify),
      verify: (_) => ({ id: 'ada' }),
    });
  });

  async function signIn(code: string): Promise<{ user?: object; error?: { code: string } }> {
    const browser = new Browser();
    const { headers } = await browser.stay(`${app?.url}/auth/powerfolder`);
    const state = new URL(String(headers['location'])).searchParams.get('state');
    return JSON.parse((await browser.stay(`${app?.url}/oauth/code=${code}&state=${state}`)).text);
  }

  it('uses the connection of the one before', async () => {
    for (const code of ['first', 'second']) expect(await signIn(code)).toHaveProperty('user');
    expect(endpoint.requests).toEqual([
      { connection: 1, code: 'first' },
      { connection: 1, code: 'second' },
    ]);
  });

  const endings: [string, (socket: Socket) => unknown][] = [
    ['closed', (socket) => socket.destroy()],
    ['reset', (socket) => socket.resetAndDestroy()],
  ];

  it.each(endings)(
    'takes a new connection where the old one was %s in the meantime, even just before',
    async (_, end) => {
      expect(await signIn('first')).toHaveProperty('user');
      justBefore = () => end(endpoint.sockets[0] as Socket);
      expect(await signIn('second')).toHaveProperty('user');
      expect(endpoint.requests).toEqual([
        { connection: 1, code: 'first' },
        { connection: 2, code: 'second' },
      ]);
    },
  );

  it.each(endings)(
    'is not sent again where the old connection was %s after it, as its code may be used up',
    async (_, end) => {
      expect(await signIn('first')).toHaveProperty('user');
      endpoint.fate = end;
      expect(await signIn('second')).toMatchObject({ error: { code: 'connection_lost' } });
      endpoint.fate = undefined;
      expect(await signIn('third')).toHaveProperty('user');
      expect(endpoint.requests).toEqual([
        { connection: 1, code: 'first' },
        { connection: 1, code: 'second' },
        { connection: 2, code: 'third' },
      ]);
    },
  );

  it.each(endings)('is not sent again where a new connection was %s after it', async (_, end) => {
    endpoint.fate = end;
    expect(await signIn('first')).toMatchObject({ error: { code: 'connection_lost' } });
    expect(endpoint.requests).toEqual([{ connection: 1, code: 'first' }]);
  });
});
