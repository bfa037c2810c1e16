/** The connections to PowerFolder servers, which stay open between sign-ins. */
import { buildConnector, Client } from 'undici';
import { bare } from './json.ts';

/**
 * Whether a test framework's clock is in the place of `setImmediate`: undici waits for that before it uses a connection
 * again, which may then be for ever (R55). Their functions have the clock as a member (sinon's, Jest's and Vitest's).
 */
function isClockFake(): boolean {
  return Object.hasOwn(setImmediate, 'clock');
}

/**
 * The connections for one deadline. They stay open between sign-ins, so that a sign-in in a minute pays no TLS handshake:
 * for less than nginx, which does not say that it closes them after 75 seconds, and for less than a server that says when.
 * undici does not keep the process alive for idle connections.
 *
 * Each exchange has a client for itself, which is one connection, as undici's Agent would give it one. But an Agent
 * connects once more when a request that is on the way is given up (R56), and what an exchange has for itself it can end.
 * A connection that is only being made ends by the deadline that it has, too.
 */
class Connections {
  /** By origin, the last used one at the end. */
  readonly #idle = new Map<string, Client[]>();
  /** One for all, as it keeps the TLS sessions. */
  readonly #connect: buildConnector.connector;

  constructor(timeout: number) {
    this.#connect = buildConnector(bare({ timeout }));
  }

  /** The one that was used last, so that others have their time to be closed; or a new one. */
  take(origin: string): Client {
    const idle = this.#idle.get(origin) ?? [];
    this.#idle.set(origin, idle);
    return (isClockFake() ? undefined : idle.pop()) ?? this.#open(origin, idle);
  }

  #open(origin: string, idle: Client[]): Client {
    const client = new Client(origin, bare({ connect: this.#connect, keepAliveTimeout: 70_000 }));
    // Nothing to do any more, and had time to see whether the server closes the connection after its answer.
    client.on('drain', () => idle.push(client));
    client.on('disconnect', () => {
      // One that is in use may be connecting once more, as it was closed before the request was sent.
      const at = idle.indexOf(client);
      if (at < 0) return;
      idle.splice(at, 1);
      void client.destroy();
    });
    return client;
  }
}

/** By deadline. */
const connections = new Map<number, Connections>();

/**
 * A connection to a server, for one exchange.
 *
 * @param origin The server's scheme, host and port.
 * @param timeout Milliseconds for making the connection.
 */
export function takeConnection(origin: string, timeout: number): Client {
  const found = connections.get(timeout) ?? new Connections(timeout);
  connections.set(timeout, found);
  return found.take(origin);
}
