import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { type Answer, type Body, json } from './answer.ts';

/** What is sent instead of the normal answer, whose handler then does not run: no code is consumed, nothing is stored. */
interface GivenAnswer {
  /** Default 200. */
  status?: number;
  headers?: Record<string, string | string[]>;
  /** Text and bytes go out as they are; any other value becomes JSON, with its Content-Type. Default empty. */
  body?: string | Buffer | object;
}

/** Bytes instead of HTTP. */
interface RawAnswer {
  raw: string | Buffer;
}

/** A body of `flood` bytes: a JSON object that is well-formed, only very long. Sent as fast as the client reads. */
interface FloodAnswer extends Omit<GivenAnswer, 'body'> {
  flood: number;
}

/**
 * A body in exactly these HTTP chunks, `everyMs` milliseconds apart (default 0): to cut through characters, say. An
 * empty one is only a pause.
 */
interface ChunkedAnswer extends Omit<GivenAnswer, 'body'> {
  chunked: (string | Buffer)[];
  everyMs?: number;
}

type What = GivenAnswer | RawAnswer | FloodAnswer | ChunkedAnswer;

/** Nothing is answered; the connection stays open until the client goes, or `close()`. */
interface Silence {
  silence: true;
}

/** The answer comes in pieces of `bytes` (default 1), `everyMs` milliseconds apart. */
interface Drip {
  drip: {
    everyMs: number;
    bytes?: number;
    /** Whether the status line and headers drip too, or come at once. Default 'headers'. */
    from?: 'headers' | 'body';
  };
}

/** So many bytes of the answer, headers included (0: none at all), and then the connection is reset (RST). */
interface ResetAfter {
  resetAfter: number;
}

/** So many bytes of the answer, headers included (0: none at all), and then the connection is closed (FIN). */
interface CloseAfter {
  closeAfter: number;
}

/**
 * What goes wrong, once: *what* is sent, *how* it is sent, or both. *How* alone spoils the normal answer, which has
 * then been made: a code is consumed.
 *
 * @example
 * { status: 503, headers: { 'Retry-After': '5' }, body: '<h1>Down</h1>' }
 * { body: { error: 'invalid_grant' } }                       // an object becomes JSON
 * { raw: 'SSH-2.0-OpenSSH_9.2\r\n' }
 * { flood: 10_000_000 }
 * { chunked: [Buffer.from('{"firstname":"J\xc3', 'latin1'), Buffer.from('\xb6rg"}', 'latin1')] }
 * { silence: true }
 * { drip: { everyMs: 50, from: 'body' } }                    // the normal answer, byte by byte
 * { resetAfter: 0 }
 * { closeAfter: 120, body: { access_token: 'x'.repeat(200) } }  // the given answer, cut short
 */
export type PowerFolderFault =
  | What
  | Silence
  | (Drip & Partial<What>)
  | (ResetAfter & Partial<What>)
  | (CloseAfter & Partial<What>);

const members = 'status headers body raw flood chunked everyMs silence drip resetAfter closeAfter'.split(' ');

export function checkFault(fault: PowerFolderFault): void {
  const unknown = Object.keys(fault).find((name) => !members.includes(name));
  if (unknown) throw new TypeError(`A fault has no member "${unknown}"; it has ${members.join(', ')}.`);
}

/** Does on the socket what the fault says. Goes below node:http, which would not let us misbehave. */
export async function spoil(
  fault: PowerFolderFault,
  socket: Socket,
  normal: () => Answer,
  date: string,
): Promise<void> {
  if ('silence' in fault) return;
  let pieces = instead(fault, date) ?? serialise(normal(), date);
  if ('drip' in fault) pieces = slowly(pieces, fault.drip);
  if ('resetAfter' in fault) pieces = cut(pieces, fault.resetAfter);
  if ('closeAfter' in fault) pieces = cut(pieces, fault.closeAfter);
  for await (const piece of pieces) {
    // Waiting until the piece is gone is all the back-pressure there is; the callback also comes when the client went.
    await new Promise((gone) => socket.write(piece, gone));
    if (socket.destroyed) return;
  }
  if ('resetAfter' in fault) await reset(socket);
  else socket.end();
}

async function reset(socket: Socket): Promise<void> {
  // A reset overtakes what the client has not read yet: let it read first.
  await pause(20);
  // Only TCP can be reset, so over TLS it is done to the connection underneath.
  const { _parent: below } = socket as Socket & { _parent?: Socket };
  (below ?? socket).resetAndDestroy();
}

/** What the fault says is to be sent; nothing when the normal answer is. */
function instead(fault: Exclude<PowerFolderFault, Silence>, date: string): AsyncGenerator<Buffer> | undefined {
  const {
    status = 200,
    headers = {},
    body,
    raw,
    flood,
    chunked,
    everyMs = 0,
  } = fault as GivenAnswer & Partial<RawAnswer & FloodAnswer & ChunkedAnswer>;
  const type = { 'Content-Type': 'application/json;charset=utf-8', ...headers };
  if (raw !== undefined) return verbatim(raw);
  if (flood !== undefined) return serialise({ status, headers: type, body: padding(flood) }, date);
  if (chunked) return serialise({ status, headers: type, body: paced(chunked, everyMs) }, date);
  if (!('status' in fault || 'headers' in fault || 'body' in fault)) return undefined;
  const plain = body === undefined || typeof body === 'string' || Buffer.isBuffer(body);
  return serialise(plain ? { status, headers, body: body ?? '' } : json(status, body, headers), date);
}

const lineEnd = Buffer.from('\r\n');

async function* verbatim(piece: string | Buffer): AsyncGenerator<Buffer> {
  yield Buffer.from(piece);
}

/** The answer as bytes, the status line and headers being the first piece. */
async function* serialise({ status, headers, body }: Answer, date: string): AsyncGenerator<Buffer> {
  const whole = typeof body === 'string' || Buffer.isBuffer(body);
  const names = Object.keys(headers).map((name) => name.toLowerCase());
  const chunked = !whole && !names.includes('content-length');
  const lines = Object.entries({ Date: date, Connection: 'close', ...headers });
  if (chunked) lines.push(['Transfer-Encoding', 'chunked']);
  if (whole && !names.includes('content-length')) lines.push(['Content-Length', String(Buffer.byteLength(body))]);
  const head = lines.flatMap(([name, values]) => [values].flat().map((value) => `${name}: ${value}\r\n`));
  yield Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head.join('')}\r\n`);
  for await (const piece of bytes(body)) {
    // An empty chunk would be the last one.
    if (!chunked) yield piece;
    else if (piece.length > 0) yield Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, lineEnd]);
  }
  if (chunked) yield Buffer.from('0\r\n\r\n');
}

function bytes(body: Body): Iterable<Buffer> | AsyncIterable<Buffer> {
  return typeof body === 'string' || Buffer.isBuffer(body) ? [Buffer.from(body)] : body;
}

async function* slowly(
  pieces: AsyncIterable<Buffer>,
  { everyMs, bytes = 1, from }: Drip['drip'],
): AsyncGenerator<Buffer> {
  let atOnce = from === 'body';
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += atOnce ? piece.length : bytes) {
      if (atOnce) yield piece;
      else {
        await pause(everyMs);
        yield piece.subarray(at, at + bytes);
      }
    }
    atOnce = false;
  }
}

async function* cut(pieces: AsyncIterable<Buffer>, length: number): AsyncGenerator<Buffer> {
  let left = length;
  for await (const piece of pieces) {
    if (left > 0) yield piece.subarray(0, left);
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function* paced(chunks: (string | Buffer)[], everyMs: number): AsyncGenerator<Buffer> {
  for (const [i, chunk] of chunks.entries()) {
    if (i > 0) await pause(everyMs);
    yield Buffer.from(chunk);
  }
}

function* padding(length: number): Generator<Buffer> {
  const start = '{"padding":"';
  const end = '"}';
  yield Buffer.from(start);
  const block = Buffer.alloc(65_536, 'a');
  for (let left = length - start.length - end.length; left > 0; left -= block.length) yield block.subarray(0, left);
  yield Buffer.from(end);
}

/** Keeps no process alive and no test runner waiting. */
async function pause(milliseconds: number): Promise<void> {
  await wait(milliseconds, undefined, { ref: false });
}
