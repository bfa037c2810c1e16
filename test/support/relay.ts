/** A relay in front of a server, which can keep an answer back for as long as a test likes. */
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Relay {
  /** The server's URL, by way of the relay. */
  url: string;
  /** Keeps back the answer to the next request in which the pattern is found. */
  holdNext(pattern: RegExp): Held;
  close(): Promise<void>;
}

interface Held {
  /** Resolves when the server has begun to answer. */
  answered: Promise<unknown>;
  /** Lets the answer go on its way. */
  release(): void;
  /** Resolves when the client has closed the connection. */
  closed: Promise<unknown>;
}

/** @param target The URL of a server on 127.0.0.1, by http. */
export async function startRelay(target: string): Promise<Relay> {
  const { port, pathname } = new URL(target);
  const clients = new Set<Socket>();
  let next: { pattern: RegExp; events: EventEmitter; released: Promise<unknown> } | undefined;

  const relay = createServer((client) => {
    clients.add(client);
    const server = connect(Number(port), '127.0.0.1');
    let events = new EventEmitter();
    let released: Promise<unknown> = Promise.resolve();
    client.on('data', (data) => {
      if (next?.pattern.test(data.toString('latin1'))) {
        ({ events, released } = next);
        next = undefined;
      }
      server.write(data);
    });
    server.on('data', async (data) => {
      events.emit('answer');
      await released;
      if (client.write(data)) return;
      server.pause();
      client.once('drain', () => server.resume());
    });
    server.on('end', async () => {
      await released;
      client.end();
    });
    client
      .on('error', () => {})
      .on('close', () => {
        events.emit('close');
        server.destroy();
      });
    server.on('error', () => client.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');

  return {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}${pathname.replace(/\/$/, '')}`,
    holdNext(pattern) {
      const events = new EventEmitter();
      next = { pattern, events, released: once(events, 'release') };
      return {
        answered: once(events, 'answer'),
        closed: once(events, 'close'),
        release: () => void events.emit('release'),
      };
    },
    async close() {
      const closed = once(relay, 'close');
      relay.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
