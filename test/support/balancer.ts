/** A balancer in front of several instances: takes them in turn, and the next one if one is not there. */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Balancer {
  url: string;
  /** The ports of the instances, to be changed as they come and go. */
  ports: number[];
  /** What was sent to which instance, oldest first. */
  sent: { path: string; port: number }[];
  close(): Promise<void>;
}

/** @param keepAlive Whether connections to the instances are used again. */
export async function startBalancer({ keepAlive = false } = {}): Promise<Balancer> {
  const agent = new Agent({ keepAlive, maxSockets: 100 });
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  let turn = 0;

  async function forward(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body: Buffer[] = [];
    for await (const chunk of incoming) body.push(chunk);
    const start = turn++;
    const order = balancer.ports.map((_, i, ports) => ports[(start + i) % ports.length] as number);
    for (const port of order) {
      try {
        await send(port, incoming, Buffer.concat(body), response);
        return;
      } catch (error) {
        // The request was not seen by anybody: another may have it.
        if ((error as { code?: unknown }).code !== 'ECONNREFUSED') break;
      }
    }
    response.writeHead(502).end('The instance went away.');
  }

  /** Resolves when an answer has come whole: one that is cut off by the death of an instance is none. */
  function send(port: number, incoming: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const { method, url: path = '', headers } = incoming;
    balancer.sent.push({ path, port });
    return new Promise((resolve, reject) => {
      const forwarded = request({ host: '127.0.0.1', port, method, path, headers, agent }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          response.writeHead(answer.statusCode ?? 502, answer.rawHeaders).end(Buffer.concat(chunks));
          resolve();
        });
      });
      forwarded.on('error', reject).end(body);
    });
  }

  server.on('request', (incoming, response) => {
    forward(incoming, response).catch(() => response.destroy());
  });
  const balancer: Balancer = {
    url: `http://localhost:${(server.address() as AddressInfo).port}`,
    ports: [],
    sent: [],
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
  return balancer;
}
