import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Directory, type PowerFolderClient } from './accounts.ts';
import { type Answer, Refusal, refuseInJSON, refuseInText, refuseWithoutBody } from './answer.ts';
import { accountsAPI } from './api.ts';
import { authorizationEndpoint } from './authorization.ts';
import { checkFault, type PowerFolderFault, spoil } from './faults.ts';
import type { PowerFolderFile } from './files.ts';
import { identityProvider } from './identity-provider.ts';
import { type PowerFolderServerOptions, settle } from './options.ts';
import { refusalPage } from './pages.ts';
import { type PowerFolderEndpoint, type ReceivedRequest, receive } from './request.ts';
import { running } from './sign-in.ts';
import { tokenEndpoint } from './tokens.ts';
import { webdavServer } from './webdav.ts';

export type { PowerFolderAccount, PowerFolderClient } from './accounts.ts';
export { CookieJar } from './cookie-jar.ts';
export type { PowerFolderFault } from './faults.ts';
export type { PowerFolderFile, PowerFolderTree } from './files.ts';
export type { PowerFolderServerOptions } from './options.ts';
export { optionsFromReport } from './report.ts';
export type { PowerFolderEndpoint, ReceivedRequest } from './request.ts';
export { type SignInOptions, signIn, type TestAgent } from './sign-in.ts';

/** A running simulated server. */
export interface PowerFolderServer {
  /** The base URL with the context path and without a trailing slash: what a client calls its server URL. */
  readonly url: string;
  /** The first client's id. */
  readonly clientID: string;
  /** The first client's secret, as it was at the start. */
  readonly clientSecret: string;
  /** The first account's user name. */
  readonly username: string;
  /** The first account's password. */
  readonly password: string;
  /** The first administrator. */
  readonly admin: { readonly username: string; readonly password: string };
  /** The registered clients at this moment. */
  readonly clients: readonly Readonly<PowerFolderClient>[];
  /** Every request that came, oldest first; the last 10 000 of them. `requests.length = 0` empties it. */
  readonly requests: ReceivedRequest[];
  /** How many connections are open at this moment. */
  readonly openSockets: number;
  /** Spoils the next request for an endpoint, once. Further faults for it wait in a queue. */
  failNext(endpoint: PowerFolderEndpoint, fault: PowerFolderFault): void;
  /** Lets a token expire now, of either kind; without an argument all access tokens. */
  expireTokens(token?: string): void;
  /** Revokes a token, of either kind; without an argument all of them. */
  revokeTokens(token?: string): void;
  /** Ends every connection and the server. */
  close(): Promise<void>;
}

interface Route {
  methods: string[];
  /** `content` is the body of a PUT by WebDAV. */
  handle: (request: ReceivedRequest, content: PowerFolderFile) => Answer;
  refuse: (refusal: Refusal) => Answer;
}

/**
 * Starts a simulated PowerFolder server on 127.0.0.1: for tests and development, **never for production**.
 *
 * It is strict. What PowerFolder's documentation does not allow, it refuses in a sentence; read them in the answer's body,
 * and what was sent in `requests`.
 *
 * @example
 * const server = await startPowerFolderServer({ autoApprove: 'ada' });
 * server.failNext('token', { status: 503 });
 * // … sign in with server.url, server.clientID and server.clientSecret …
 * await server.close();
 */
export async function startPowerFolderServer(options: PowerFolderServerOptions = {}): Promise<PowerFolderServer> {
  const settings = settle(options);
  const { contextPath, hostname, now, port, tls } = settings;
  const directory = new Directory(settings.accounts, settings.clients, now());
  const tokens = tokenEndpoint(settings, directory);
  const sockets = new Set<Socket>();
  const servers: Server[] = [];

  /** @returns its origin. */
  async function listen(server: Server, port: number, name: string): Promise<string> {
    servers.push(server);
    server.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const origin = `${tls ? 'https' : 'http'}://${name}:${(server.address() as AddressInfo).port}`;
    running.set(origin, directory);
    return origin;
  }

  // Longer than a busy test may wait between two requests: a client must not meet a connection that is being closed.
  const keepAliveTimeout = 65_000;
  const create = () => (tls ? createSecureServer({ ...tls, keepAliveTimeout }) : createServer({ keepAliveTimeout }));
  const server = create();
  const url = `${await listen(server, port, hostname)}${contextPath}`;
  // Hosts of another name, as browsers keep cookies by it.
  const another = hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  const nodeServer = settings.cluster ? create() : undefined;
  const node = nodeServer && (await listen(nodeServer, 0, another));
  const providerServer = settings.identityProvider ? create() : undefined;
  const provider = providerServer && identityProvider(directory, await listen(providerServer, 0, another), url);

  const pages = authorizationEndpoint(settings, directory, tokens, provider);
  const api = accountsAPI(settings, directory, tokens, url);
  const webdav = webdavServer(settings, api.caller, url);
  const nowhere = ({ path }: ReceivedRequest) => {
    throw new Refusal(404, `This server has no page "${path}". Its base URL is ${url}`);
  };
  const form = ['GET', 'POST'];
  const refuseToken = { json: refuseInJSON, page: refusalPage, empty: refuseWithoutBody }[settings.tokenErrors];
  const routes: Record<PowerFolderEndpoint, Route> = {
    allow: { methods: settings.allowMethods, handle: pages.allow, refuse: refusalPage },
    consent: { methods: form, handle: pages.consent, refuse: refusalPage },
    login: { methods: form, handle: pages.login, refuse: refusalPage },
    shibboleth: { methods: form, handle: pages.shibboleth, refuse: refusalPage },
    logout: { methods: ['GET'], handle: pages.logout, refuse: refusalPage },
    home: { methods: ['GET'], handle: pages.home, refuse: refusalPage },
    token: { methods: ['POST'], handle: tokens.endpoint, refuse: refuseToken },
    refresh: { methods: ['POST'], handle: tokens.endpoint, refuse: refuseToken },
    registration: { methods: form, handle: api.registration, refuse: refuseInJSON },
    accounts: { methods: ['GET'], handle: api.accounts, refuse: refuseInJSON },
    folders: { methods: ['GET'], handle: api.folders, refuse: refuseInJSON },
    webdav: { methods: [], handle: webdav, refuse: refuseInText },
    unknown: { methods: [], handle: nowhere, refuse: refusalPage },
  };
  const oldRefresh: Route = { methods: ['GET'], handle: tokens.oldRefresh, refuse: refuseToken };

  const requests: ReceivedRequest[] = [];
  const faults = new Map<PowerFolderEndpoint, PowerFolderFault[]>();

  async function serve(
    incoming: IncomingMessage,
    response: ServerResponse,
    routeOf: (received: ReceivedRequest) => Route,
  ): Promise<void> {
    const { received, tooLong, content } = await receive(incoming, contextPath, now);
    requests.push(received);
    if (requests.length > 10_000) requests.shift();
    const date = new Date(now() + settings.clockSkew).toUTCString();
    const normal = () => withFormAction(respond(routeOf(received), received, tooLong, content), settings.formAction);
    const fault = faults.get(received.endpoint)?.shift();
    if (fault) await spoil(fault, incoming.socket, normal, date);
    else await send(normal(), response, date);
  }

  const route = ({ path, endpoint }: ReceivedRequest) => (path === '/oauth' ? oldRefresh : routes[endpoint]);
  const toNode: Route = { methods: [], handle: ({ url }) => redirect(`${node}${url}`), refuse: refuseInText };
  const isNodes = ({ endpoint }: ReceivedRequest) => ['accounts', 'folders', 'webdav'].includes(endpoint);
  const onRequest = (from: Server | undefined, routeOf: (received: ReceivedRequest) => Route) =>
    from?.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
      // Handlers answer their own mistakes: what comes here is a client that went, or an answer that is no HTTP.
      serve(incoming, response, routeOf).catch((error) => {
        if (response.headersSent) incoming.socket.destroy();
        else response.writeHead(500).end(`The simulated server made a mistake: ${error}\n`);
      });
    });
  onRequest(server, (received) => (node && isNodes(received) ? toNode : route(received)));
  onRequest(nodeServer, route);
  if (provider) onRequest(providerServer, () => ({ methods: form, handle: provider.handle, refuse: refusalPage }));

  const [user] = directory.accounts;
  const [client] = directory.clients;
  const admin = directory.accounts.find((account) => account.admin);
  return {
    url,
    clientID: client?.id ?? '',
    clientSecret: client?.secret ?? '',
    username: user?.username ?? '',
    password: user?.password ?? '',
    admin: { username: admin?.username ?? '', password: admin?.password ?? '' },
    clients: directory.clients,
    requests,
    get openSockets() {
      return sockets.size;
    },
    failNext(endpoint, fault) {
      if (!Object.hasOwn(routes, endpoint)) {
        throw new TypeError(`There is no endpoint "${endpoint}"; there are ${Object.keys(routes).join(', ')}.`);
      }
      checkFault(fault);
      faults.set(endpoint, [...(faults.get(endpoint) ?? []), fault]);
    },
    expireTokens: (token) => tokens.expire(token),
    revokeTokens: (token) => tokens.revoke(token),
    async close() {
      for (const [origin, each] of running) if (each === directory) running.delete(origin);
      const ended = [...sockets].map((socket) => new Promise((end) => socket.once('close', end).destroy()));
      await Promise.all([...servers.map((server) => new Promise((end) => server.close(end))), ...ended]);
    },
  };
}

function redirect(location: string): Answer {
  return { status: 302, headers: { Location: location }, body: '' };
}

/** Pages have a policy without `form-action`, unless that is asked for. */
function withFormAction(given: Answer, formAction: string | undefined): Answer {
  const { 'Content-Security-Policy': policy } = given.headers;
  if (!formAction || policy === undefined) return given;
  return { ...given, headers: { ...given.headers, 'Content-Security-Policy': `${policy}; form-action ${formAction}` } };
}

/** Whatever happens, there is an answer. */
function respond(
  { methods, handle, refuse }: Route,
  request: ReceivedRequest,
  tooLong: boolean,
  content: PowerFolderFile,
): Answer {
  const Allow = methods.join(', ');
  try {
    if (tooLong) throw new Refusal(413, 'The body is longer than 64 KiB.');
    if (Allow && !methods.includes(request.method)) {
      const words = `${request.method} is not for ${request.path}, but ${Allow}.`;
      throw new Refusal(405, words, 'invalid_request', { Allow });
    }
    return handle(request, content);
  } catch (error) {
    if (error instanceof Refusal) return refuse(error);
    return refuse(new Refusal(500, `The simulated server made a mistake: ${error}`, 'server_error'));
  }
}

async function send({ status, headers, body }: Answer, response: ServerResponse, date: string): Promise<void> {
  response.writeHead(status, { Date: date, ...headers });
  if (typeof body === 'string' || Buffer.isBuffer(body)) response.end(body);
  else if (response.req.method === 'HEAD') response.end();
  else await pipeline(Readable.from(body), response);
}
