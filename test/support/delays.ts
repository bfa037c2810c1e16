/** A relay that hands everything on after random delays, in order; where it leads can change. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

export interface DelayingRelay {
  /** Where it listens, on 127.0.0.1. */
  port: number;
  /** Where new connections lead to. Those that are there stay. */
  target: NetConnectOpts;
  close(): Promise<void>;
}

/** @param delay Gives the milliseconds for each piece, as it comes. */
export async function startDelayingRelay(target: NetConnectOpts, delay = () => 0): Promise<DelayingRelay> {
  const sockets = new Set<Socket>();

  /** Each piece has a delay of its own, but none overtakes another. */
  function handOn(from: Socket, to: Socket): void {
    let due = 0;
    let sent: Promise<unknown> = Promise.resolve();
    const later = (send: () => void) => {
      due = Math.max(due, performance.now() + delay());
      const at = due;
      sent = sent.then(() => pause(Math.max(0, at - performance.now()))).then(send);
    };
    sockets.add(from);
    from
      .on('data', (data) => later(() => to.write(data)))
      .on('end', () => later(() => to.end()))
      .on('error', () => to.destroy())
      .on('close', () => sockets.delete(from));
  }

  const relay = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ ...started.target, allowHalfOpen: true });
    handOn(client, server);
    handOn(server, client);
  });
  relay.listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const started: DelayingRelay = {
    port: (relay.address() as AddressInfo).port,
    target,
    async close() {
      const closed = once(relay, 'close');
      relay.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
  return started;
}

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
