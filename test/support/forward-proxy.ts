/** An HTTP proxy as companies run them, by node:http: it leads through by CONNECT, and asks for pages by http itself. */
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { createServer as createTLSServer } from 'node:https';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface ForwardProxyOptions {
  /** `user:password` that is asked for; none if left out. */
  credentials?: string;
  /** A status that it answers all CONNECT requests with; 'silent' for no answer, 'rubbish' for one that is no HTTP. */
  refuse?: number | 'silent' | 'rubbish';
  /** By host and port: where it leads to instead, as its DNS knows other names than this machine's. */
  hosts?: Record<string, number>;
  tls?: { key: Buffer; cert: Buffer };
}

export interface ForwardProxy {
  /** Without credentials. */
  url: string;
  host: string;
  /** What it was asked: method and target. */
  asked: string[];
  /** Connections that are open. */
  open: Set<Socket>;
  close(): Promise<void>;
}

export async function startForwardProxy({
  credentials,
  refuse,
  hosts = {},
  tls,
}: ForwardProxyOptions = {}): Promise<ForwardProxy> {
  const asked: string[] = [];
  const open = new Set<Socket>();
  const server: Server = tls ? (createTLSServer(tls) as unknown as Server) : createServer();
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`;
  const portOf = (target: string) => hosts[target] ?? Number(target.split(':').at(-1));
  server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => {});
    // Node leaves it half open otherwise.
    socket.on('end', () => socket.end());
  });
  server.on('connect', (req, socket: Socket) => {
    asked.push(`CONNECT ${req.url}`);
    socket.on('error', () => {});
    if (refuse === 'silent') return;
    if (refuse === 'rubbish') return void socket.end('SSH-2.0-OpenSSH_9.6\r\n');
    const status = expected && req.headers['proxy-authorization'] !== expected ? 407 : refuse;
    if (status) return void socket.end(`HTTP/1.1 ${status} Refused\r\nContent-Length: 0\r\n\r\n`);
    const onward = connect(portOf(String(req.url)), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  server.on('request', (req, res) => {
    asked.push(`${req.method} ${req.url}`);
    if (expected && req.headers['proxy-authorization'] !== expected) {
      res.statusCode = 407;
      return void res.end();
    }
    const { host, port, pathname, search } = new URL(String(req.url));
    const { 'proxy-authorization': _, ...headers } = req.headers;
    const path = pathname + search;
    const onward = request(
      { host: '127.0.0.1', port: hosts[host] ?? port, path, method: String(req.method), headers },
      (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(res);
      },
    );
    onward.on('error', () => res.destroy());
    req.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `${tls ? 'https' : 'http'}://${host}`,
    host,
    asked,
    open,
    async close() {
      for (const socket of open) socket.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
