/** One URL for a simulated PowerFolder server and for a real WebDAV server, as PowerFolder has both at one address. */
import { once } from 'node:events';
import {
  type ClientRequest,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { PowerFolderServer } from 'passport-powerfolder/testing';

export interface WebDAVFront {
  /** What a client calls its server URL. */
  url: string;
  /** What was asked of the WebDAV server, oldest first. */
  asked: Asked[];
  /** An answer in place of the WebDAV server's, if it gives one. */
  answer: (asked: Asked) => FrontAnswer | undefined;
  close(): Promise<void>;
}

interface Asked {
  method: string;
  target: string;
  headers: IncomingHttpHeaders;
}

/**
 * A status; or none at all, when the request has been read, or when the server has done what it was asked for; or what the
 * server answers to a part of the request, or to a request that it takes slowly.
 */
export type FrontAnswer = { status: number; early?: boolean } | 'broken off' | 'lost' | 'kept in part' | 'slowly';

/**
 * Requests for `<contextPath>/webdav` and below go to the WebDAV server when the simulated server takes their token for
 * its own WebDAV; everything else goes to the simulated server. Nothing is changed on the way.
 *
 * @param powerFolder Its context path is that of both.
 */
export async function startWebDAVFront(
  webDAV: { origin: string },
  { url: powerFolderURL }: PowerFolderServer,
): Promise<WebDAVFront> {
  const powerFolder = new URL(powerFolderURL);
  const contextPath = powerFolder.pathname.replace(/\/$/, '');
  const asked: WebDAVFront['asked'] = [];

  const letIn = new Set<string>();
  const isBelow = /^\/webdav(?:[/?]|$)/;

  const front = createServer((incoming, response) => {
    serve(incoming, response).catch(() => {
      // The server broke off, or nobody waits any more.
      response.destroy();
    });
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: target = '', headers } = incoming;
    if (!isBelow.test(target.slice(contextPath.length))) return await forward(powerFolder, incoming, response);
    const refusal = await refusalOf(headers.authorization);
    if (refusal) {
      response.writeHead(refusal.status, refusal.headers).end(refusal.body);
      return;
    }
    asked.push({ method, target, headers });
    const answer = made.answer({ method, target, headers });
    if (answer === undefined || answer === 'slowly') {
      return await forward(new URL(webDAV.origin), incoming, response, { slowly: answer === 'slowly' });
    }
    if (answer === 'kept in part') return await forward(new URL(webDAV.origin), incoming, response, { keep: 3 });
    if (answer === 'lost') await answerTo(onwards(new URL(webDAV.origin), incoming)).then((lost) => lost.resume());
    else if (answer === 'broken off' || !answer.early) await buffer(incoming);
    if (typeof answer === 'string') response.destroy();
    else response.writeHead(answer.status).end();
  }

  /** What the simulated server answers to somebody whom it does not let in. It is asked until it has let a token in. */
  async function refusalOf(authorization = '') {
    if (letIn.has(authorization)) return undefined;
    const { hostname, port } = powerFolder;
    const headers = { Depth: '0', ...(authorization && { Authorization: authorization }) };
    const path = `${contextPath}/webdav/`;
    const answer = await answerTo(request({ agent: false, hostname, port, path, method: 'PROPFIND', headers }).end());
    const { statusCode: status = 500, rawHeaders } = answer;
    const body = await buffer(answer);
    if (status !== 207) return { status, headers: rawHeaders, body };
    letIn.add(authorization);
    return undefined;
  }

  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const made: WebDAVFront = {
    url: `http://127.0.0.1:${(front.address() as AddressInfo).port}${contextPath}`,
    asked,
    answer: () => undefined,
    async close() {
      const closed = once(front, 'close');
      front.close();
      front.closeAllConnections();
      await closed;
    },
  };
  return made;
}

async function forward(
  server: URL,
  incoming: IncomingMessage,
  response: ServerResponse,
  how: { keep?: number; slowly?: boolean } = {},
): Promise<void> {
  const onward = onwards(server, incoming, how);
  response.once('close', () => onward.destroy());
  const answer = await answerTo(onward);
  response.writeHead(answer.statusCode ?? 500, answer.statusMessage, answer.rawHeaders);
  await pipeline(answer, response);
}

/** @param how `keep`: how many bytes of the body go on; by default all. */
function onwards(
  { hostname, port }: URL,
  incoming: IncomingMessage,
  { keep, slowly = false }: { keep?: number; slowly?: boolean } = {},
): ClientRequest {
  const { method, url: path, rawHeaders } = incoming;
  const { 'transfer-encoding': chunked, 'content-length': length, ...others } = incoming.headers;
  // Node would give a body to every MOVE, which nginx and lighttpd refuse.
  const none = chunked === undefined && length === undefined ? ['Content-Length', '0'] : [];
  const headers = keep === undefined ? [...rawHeaders, ...none] : { ...others, 'content-length': String(keep) };
  // A connection of its own for each request: a kept one may be closed just now.
  const onward = request({ agent: false, hostname, port, method, path, headers });
  // A server may answer before it has read everything; when there is no answer, that is the error.
  onward.on('error', () => {});
  if (keep === undefined) pipeline(slowly ? Readable.from(slowed(incoming)) : incoming, onward).catch(() => {});
  else buffer(incoming).then((body) => onward.end(body.subarray(0, keep)));
  return onward;
}

async function* slowed(incoming: IncomingMessage): AsyncGenerator<Buffer> {
  for await (const chunk of incoming) {
    await pause(10);
    yield chunk;
  }
}

async function answerTo(request: NodeJS.EventEmitter): Promise<IncomingMessage> {
  const [answer] = await once(request, 'response');
  return answer;
}
