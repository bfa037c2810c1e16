/** A server made by hand, for answers that no PowerFolder server gives. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Listener {
  server: Server;
  url: string;
  /** What came, oldest first. */
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[];
  close(): Promise<void>;
}

/** Listens on 127.0.0.1; with a certificate, for https. The handler runs when the request has arrived whole. */
export async function listen(handler: RequestListener, tls?: ServerOptions): Promise<Listener> {
  const requests: Listener['requests'] = [];
  const received: RequestListener = async (req, res) => {
    const { method = '', url = '', headers } = req;
    requests.push({ method, url, headers, body: await text(req) });
    handler(req, res);
  };
  const server = tls ? createSecureServer(tls, received) : createServer(received);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    server,
    url: `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
