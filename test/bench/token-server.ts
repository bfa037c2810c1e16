/** As little of a PowerFolder server as a sign-in needs, so that it is nobody's bottleneck. A process of its own. */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';

/** With a folder of certificates it speaks TLS. */
const [clientSecret, certificates] = process.argv.slice(2);
const answer = JSON.stringify({
  access_token: 'a'.repeat(32),
  refresh_token: 'r'.repeat(32),
  // Not PowerFolder's, but openid-client insists on it.
  token_type: 'bearer',
  expires_in: 86400,
});
let connections = 0;

const answerRequest: RequestListener = async (req, res) => {
  const body = await text(req);
  const form = req.headers['content-type']?.startsWith('application/json')
    ? (JSON.parse(body) as Record<string, unknown>)
    : Object.fromEntries(new URLSearchParams(body));
  const granted =
    form['grant_type'] === 'authorization_code' && form['code'] === 'code' && form['client_secret'] === clientSecret;
  res.writeHead(granted ? 200 : 400, { 'content-type': 'application/json' });
  res.end(granted ? answer : '{"error":"invalid_request"}');
};

const file = (name: string) => readFileSync(join(certificates ?? '', name));
const server = certificates
  ? createSecureServer({ key: file('server.key'), cert: file('server.pem') }, answerRequest)
  : createServer(answerRequest);
// Between its turns a contestant waits for the others; whoever keeps connections shall find them.
server.keepAliveTimeout = 300_000;
server.on('connection', () => connections++);
server.listen(0, '127.0.0.1', () =>
  process.send?.(`${certificates ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}`),
);
process.on('message', () => process.send?.(connections));
process.on('disconnect', () => process.exit());
