/** The connections to PowerFolder servers, which stay open between sign-ins: direct, or through a proxy. */
import { createSecureContext, type SecureContext } from 'node:tls';
import type * as Undici from 'undici';
import { ProxyError } from './exchange-errors.ts';
import { bare } from './json.ts';
import type { HTTPProxy, ProxyTo } from './proxy.ts';

/**
 * Loaded with the first request: it takes four times as long as all the rest, and an application may never need it.
 * Bun has an "undici" of its own, without Client; by its file it finds the one that is installed.
 */
export const undici = (): typeof Undici => require('undici/index.js');

/**
 * Whether a test framework's clock is in the place of `setImmediate`: undici waits for that before it uses a connection
 * again, which may then be for ever (R55). Their functions have the clock as a member (sinon's, Jest's and Vitest's).
 */
function isClockFake(): boolean {
  return Object.hasOwn(setImmediate, 'clock');
}

/** A connection to a server, for one exchange. */
export interface Connection {
  client: Undici.Client;
  /** The proxy on the way, if there is one. */
  proxy: HTTPProxy | undefined;
  /** Ends it, also where it is still being made: nothing more is sent on it. */
  end(): void;
}

/** How connections are made. */
export interface Route {
  /** Milliseconds for making one. */
  timeout: number;
  /** All CAs that are trusted; those of Node where there are none. */
  ca?: string[] | undefined;
  proxyTo?: ProxyTo | undefined;
}

/**
 * The connections of one route. They stay open between sign-ins, so that a sign-in in a minute pays no TLS handshake:
 * for less than nginx, which does not say that it closes them after 75 seconds, and for less than a server that says when.
 * undici does not keep the process alive for idle connections.
 *
 * Each exchange has a client for itself, which is one connection, as undici's Agent would give it one. But an Agent
 * connects once more when a request that is on the way is given up (R56), and what an exchange has for itself it can end.
 * A connection that is only being made ends by the deadline that it has, too.
 */
export class Connections {
  readonly #proxyTo: ProxyTo | undefined;
  /** By origin, the last used one at the end. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #options: { timeout: number; secureContext?: SecureContext };
  #connector: Undici.buildConnector.connector | undefined;

  constructor({ timeout, ca, proxyTo }: Route) {
    this.#proxyTo = proxyTo;
    this.#options = { timeout, ...(ca && { secureContext: contextOf(ca) }) };
  }

  /** One for all, as it keeps the TLS sessions. */
  get #connect(): Undici.buildConnector.connector {
    this.#connector ??= undici().buildConnector(bare(this.#options));
    return this.#connector;
  }

  /** The one that was used last, so that others have their time to be closed; or a new one. */
  take(origin: string): Connection {
    const idle = this.#idle.get(origin) ?? [];
    this.#idle.set(origin, idle);
    return (isClockFake() ? undefined : idle.pop()) ?? this.#open(origin, idle);
  }

  #open(origin: string, idle: Connection[]): Connection {
    const proxy = this.#proxyTo?.(origin);
    const over = new AbortController();
    const connect = proxy ? this.#connectorBy(proxy, origin, over.signal) : this.#connect;
    // A proxy is asked for a page by http itself, and for a way through to a server with https.
    const to = proxy && origin.startsWith('http:') ? proxy.origin : origin;
    const client = new (undici().Client)(to, bare({ connect, keepAliveTimeout: 70_000 }));
    const connection: Connection = {
      client,
      proxy,
      end() {
        over.abort();
        void client.destroy();
      },
    };
    // Nothing to do any more, and had time to see whether the server closes the connection after its answer.
    client.on('drain', () => idle.push(connection));
    client.on('disconnect', () => {
      // One that is in use may be connecting once more, as it was closed before the request was sent.
      const at = idle.indexOf(connection);
      if (at < 0) return;
      idle.splice(at, 1);
      void client.destroy();
    });
    return connection;
  }

  /** Makes connections through a proxy, until they are over; what goes wrong with it is called the proxy's. */
  #connectorBy(proxy: HTTPProxy, origin: string, over: AbortSignal): Undici.buildConnector.connector {
    if (origin.startsWith('http:')) {
      const toProxy = this.#connectorToProxy();
      return (options, callback) =>
        toProxy(options, (...[error, socket]) => {
          if (error) callback(new ProxyError(proxy.host, { cause: error }), null);
          else callback(null, socket);
        });
    }
    return (options, callback) => {
      this.#tunnel(proxy, origin, over).then(
        (httpSocket) => this.#connect({ ...options, httpSocket } as Undici.buildConnector.Options, callback),
        (error) => callback(error, null),
      );
    };
  }

  /** Makes connections to a proxy, whose certificate has its own name in it: undici would look for the server's. */
  #connectorToProxy(): Undici.buildConnector.connector {
    // Without one, it is the host that is connected to.
    return (options, callback) => this.#connect({ ...options, servername: '' }, callback);
  }

  /** A way through the proxy (RFC 9110 section 9.3.6). */
  async #tunnel(proxy: HTTPProxy, origin: string, over: AbortSignal) {
    const { origin: proxyOrigin, host, authorization } = proxy;
    const { host: asked, port } = new URL(origin);
    const path = port ? asked : `${asked}:443`;
    const client = new (undici().Client)(proxyOrigin, bare({ connect: this.#connectorToProxy() }));
    try {
      const { statusCode: status, socket } = await client.connect(
        bare({
          path,
          headers: { host: path, ...(authorization && { 'proxy-authorization': authorization }) },
          // The exchange's deadline is the only one.
          signal: over,
        }),
      );
      if (status >= 200 && status <= 299 && !over.aborted) {
        over.addEventListener('abort', () => socket.destroy());
        return socket;
      }
      socket.on('error', () => {}).destroy();
      throw new ProxyError(host, { status });
    } catch (error) {
      void client.destroy();
      throw error instanceof ProxyError ? error : new ProxyError(host, { cause: error });
    }
  }
}

function contextOf(ca: string[]): SecureContext {
  return createSecureContext({ ca });
}

/** By deadline: those that are direct, and trust what Node trusts. */
const shared = new Map<number, Connections>();

/** The connections of a route; where there is nothing of its own in it, those that all have in common. */
export function connectionsOf(route: Route): Connections {
  if (route.ca || route.proxyTo) return new Connections(route);
  const found = shared.get(route.timeout) ?? new Connections(route);
  shared.set(route.timeout, found);
  return found;
}
