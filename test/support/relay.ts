/** A relay in front of a server, which can keep an answer back for as long as a test likes. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Relay {
  /** The server's URL, by way of the relay. */
  url: string;
  /** Keeps back the answer to the next request in which the pattern is found. */
  holdNext(pattern: RegExp): Held;
  close(): Promise<void>;
}

export interface Held {
  /** Resolves when the server has begun to answer. */
  answered: Promise<void>;
  /** Lets the answer go on its way. */
  release(): void;
}

/** @param target The URL of a server on 127.0.0.1, by http; its answers have to be small, as they are kept in memory. */
export async function startRelay(target: string): Promise<Relay> {
  const { port, pathname } = new URL(target);
  const clients = new Set<Socket>();
  let next: { pattern: RegExp; released: Promise<void>; answered(): void } | undefined;

  const relay = createServer((client) => {
    clients.add(client);
    const server = connect(Number(port), '127.0.0.1');
    let released = Promise.resolve();
    let answered = () => {};
    client.on('data', (data) => {
      if (next?.pattern.test(data.toString('latin1'))) {
        ({ released, answered } = next);
        next = undefined;
      }
      server.write(data);
    });
    server.on('data', async (data) => {
      answered();
      await released;
      client.write(data);
    });
    server.on('end', async () => {
      await released;
      client.end();
    });
    client.on('error', () => {}).on('close', () => server.destroy());
    server.on('error', () => client.destroy());
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');

  return {
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}${pathname.replace(/\/$/, '')}`,
    holdNext(pattern) {
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const answered = new Promise<void>((resolve) => {
        next = { pattern, released, answered: resolve };
      });
      return { answered, release };
    },
    async close() {
      const closed = once(relay, 'close');
      relay.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
