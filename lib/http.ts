/**
 * One exchange with the PowerFolder server: one deadline over everything, a cap on the body, no redirects, no
 * decompression, and a typed error for whatever else can happen.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import { buildConnector, Client, type Dispatcher } from 'undici';
import { PowerFolderError, serverAnswer } from './errors.ts';

/** How the server is reached; the same for every request of one strategy. */
export interface Transport {
  /** Milliseconds for the whole exchange: connecting, sending, headers and body. */
  timeout: number;
  /** Sent with every request; the protocol's own headers win. */
  headers: Readonly<Record<string, string>>;
  /** undici's dispatcher, for a private CA or a proxy. */
  dispatcher?: Dispatcher | undefined;
  /** Whether plain http is allowed to hosts other than loopback. */
  allowInsecureHTTP: boolean;
}

/** Milliseconds that an exchange may take by default. */
export const defaultTimeout = 10_000;

/** A request; `endpoint` is its name in error messages. */
export interface HTTPRequest {
  endpoint: string;
  method: string;
  /** As `URL` writes it: what `checkedURL` or `serverBase` made. */
  url: string;
  /** By names in lower case. */
  headers: OutgoingHttpHeaders;
  body?: string | Uint8Array;
  /** Whether a 3xx is an error, or an answer to be read. It is followed in neither case. @default 'error' */
  redirect?: 'error' | 'manual';
}

/** An answer that arrived whole; of whatever status, but 3xx only where that was asked for. */
export interface HTTPResponse {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
}

const largestBody = 256 * 1024;

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

const connections = new Map<number, Connections>();
function connectionsFor(timeout: number): Connections {
  const found = connections.get(timeout) ?? new Connections(timeout);
  connections.set(timeout, found);
  return found;
}

/**
 * Sends a request and reads the whole answer.
 *
 * @throws {PowerFolderError} `unreachable`, `tls`, `timeout`, `connection_lost`, `not_http`, `redirected`, `too_large`,
 * or `not_json` for a body that is not UTF-8.
 */
export function exchange(message: HTTPRequest, transport: Transport): Promise<HTTPResponse> {
  return new Promise((resolve, reject) => new Exchange(message, transport, resolve, reject).attempt());
}

/** An exchange, in undici's events, as its `request` makes a stream of each answer, which takes twice the time. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #message: HTTPRequest;
  readonly #transport: Transport;
  readonly #resolve: (response: HTTPResponse) => void;
  readonly #reject: (reason: Error) => void;
  #deadline: NodeJS.Timeout;
  #attempts = 0;
  /** Where the application gave no dispatcher. */
  #client: Client | undefined;
  /** Known from when the request is being sent. */
  #controller: Dispatcher.DispatchController | undefined;
  #refusal: PowerFolderError | undefined;
  #status = 0;
  #headers: HTTPResponse['headers'] = {};
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  constructor(
    message: HTTPRequest,
    transport: Transport,
    resolve: (response: HTTPResponse) => void,
    reject: (reason: Error) => void,
  ) {
    this.#message = message;
    this.#transport = transport;
    this.#resolve = resolve;
    this.#reject = reject;
    const { timeout } = transport;
    this.#deadline = setTimeout(() => {
      // Where this process was busy until now, what has come meanwhile is read first.
      this.#deadline = setTimeout(() => {
        this.#refuse(new PowerFolderError('timeout', `${name(message)} did not answer within ${timeout} ms.`));
      }, 0);
    }, timeout);
  }

  attempt(): void {
    this.#attempts++;
    const { method, url, headers } = this.#message;
    const { timeout } = this.#transport;
    const dispatcher = own(this.#transport, 'dispatcher');
    const origin = url.slice(0, url.indexOf('/', url.indexOf('://') + 3));
    if (!dispatcher) this.#client = connectionsFor(timeout).take(origin);
    try {
      (dispatcher ?? (this.#client as Client)).dispatch(
        bare({
          origin,
          path: url.slice(origin.length),
          method,
          // Compressed bodies are not asked for and not unpacked: the cap below counts what arrives.
          headers: {
            ...this.#transport.headers,
            'accept-encoding': 'identity',
            ...(headers as Record<string, string>),
          },
          body: own(this.#message, 'body') ?? null,
          // The deadline is the only clock.
          headersTimeout: 0,
          bodyTimeout: 0,
        }),
        this,
      );
    } catch (error) {
      this.#fail(error);
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // Connecting took too long. Nothing was sent yet, and nothing shall be.
    if (this.#refusal) controller.abort(this.#refusal);
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    this.#headers = headers;
    if (status >= 300 && status < 400 && own(this.#message, 'redirect') !== 'manual') {
      this.#refuse(redirectRefused(this.#message, { status, headers }));
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > largestBody) {
      const what = `${name(this.#message)} sent more than ${largestBody} bytes.`;
      this.#refuse(
        new PowerFolderError('too_large', what, serverAnswer({ status: this.#status, headers: this.#headers })),
      );
    }
  }

  onResponseEnd(): void {
    const status = this.#status;
    try {
      // Decoded in one piece, so that a character split between chunks stays whole. An error page may be Latin-1: its
      // status says enough.
      const body = (status < 300 ? utf8 : lenientUTF8).decode(Buffer.concat(this.#chunks));
      clearTimeout(this.#deadline);
      this.#resolve({ status, headers: this.#headers, body });
    } catch {
      const what = `${name(this.#message)} sent a body that is not UTF-8 (status ${status}).`;
      this.#refuse(new PowerFolderError('not_json', what, serverAnswer({ status, headers: this.#headers })));
    }
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    // A connection was reset before anything was sent on it, as a kept one can be. In any other case the server may have
    // got the code, which is good once.
    if (!this.#controller && !this.#refusal && this.#attempts === 1 && errorCode(error) === 'ECONNRESET')
      this.attempt();
    else this.#fail(error);
  }

  #refuse(refusal: PowerFolderError): void {
    this.#refusal ??= refusal;
    this.#controller?.abort(this.#refusal);
    this.#fail(this.#refusal);
  }

  #fail(error: unknown): void {
    clearTimeout(this.#deadline);
    this.#reject(error instanceof PowerFolderError ? error : connectionError(error, this.#message));
    // It comes back here with an error of its own: too late, and unheard.
    void this.#client?.destroy();
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const lenientUTF8 = new TextDecoder();

/** The error for a 3xx. */
export function redirectRefused(
  message: HTTPRequest,
  { status, headers }: Pick<HTTPResponse, 'status' | 'headers'>,
): PowerFolderError {
  return new PowerFolderError(
    'redirected',
    `${name(message)} answered with a redirect (${status}), which is not followed. Check the host, the scheme and the context path of serverURL.`,
    serverAnswer({ status, headers }),
  );
}

/** Where a 3xx leads; undefined when it does not say. Whoever shows it minds that it may repeat what was sent. */
export function redirectTarget({ status, headers }: HTTPResponse, { url }: HTTPRequest): URL | undefined {
  const location = own(headers, 'location');
  if (status < 300 || status > 399 || typeof location !== 'string') return undefined;
  try {
    // Not by `URL.canParse`, see configuration.ts.
    return new URL(location, url);
  } catch {
    return undefined;
  }
}

function connectionError(reason: unknown, message: HTTPRequest): Error {
  const code = errorCode(reason);
  if (/^UND_ERR_(RESPONSE|REQ_RETRY)$/.test(code)) {
    return new TypeError(
      `dispatcher has an interceptor that reads answers by itself (${code}); leave out those for errors, retries and redirects: a code is good once`,
    );
  }
  if (/^UND_ERR_(INVALID_ARG|NOT_SUPPORTED|CLOSED|DESTROYED)$/.test(code)) {
    return new TypeError(
      `undici refused to send the request (${code}): a header is undici's to set (see customHeaders), or dispatcher is closed or of another version than 7`,
    );
  }
  const cause = plainCause(reason);
  // A status that there is none, such as 000, is an assertion of undici's.
  if (/^HPE_|^HTTPParserError$|^UND_ERR_HEADERS_OVERFLOW$|^ERR_ASSERTION$/.test(code)) {
    return new PowerFolderError('not_http', `${name(message)} sent something that is not HTTP (${code}).`, { cause });
  }
  if (/^Proxy response/.test(cause.message)) {
    const what = `${name(message)} could not be reached: the proxy refused (${cause.message}).`;
    return new PowerFolderError('unreachable', what, { cause });
  }
  if (/ALERT/.test(code)) {
    const what = `${name(message)} refuses this client (${code}): its TLS version, or it wants a client certificate. Give undici what it takes: dispatcher: new Agent({ connect: { cert, key } }).`;
    return new PowerFolderError('tls', what, { cause });
  }
  if (/CERT|SIGNATURE|^ERR_(TLS|SSL)|^UNABLE_TO|^INVALID_|^PATH_LENGTH|^HOSTNAME_|^EPROTO$/.test(code)) {
    return new PowerFolderError(
      'tls',
      `${name(message)} could not be trusted (${code}). For a certificate of your own authority, give its CA to undici: dispatcher: new Agent({ connect: { ca } }).`,
      { cause },
    );
  }
  if (unreachable.test(code)) {
    return new PowerFolderError('unreachable', `${name(message)} could not be reached (${code}).`, { cause });
  }
  return new PowerFolderError('connection_lost', `${name(message)} broke off the connection (${code}).`, { cause });
}

/** Codes of the system, of DNS and of undici for what never got to the server. */
const unreachable =
  /^(ECONNREFUSED|ENOTFOUND|EAI_\w+|E(?:SERVFAIL|NODATA|TIMEOUT|REFUSED)|EHOST(?:UNREACH|DOWN)|ENET(?:UNREACH|DOWN)|EADDRNOTAVAIL|EACCES|EPERM|EMFILE|ENFILE|ERR_ACCESS_DENIED|ETIMEDOUT|UND_ERR_CONNECT_TIMEOUT)$/;

/**
 * What is told of a cause: nothing else that it carries, such as the bytes that undici's parser could not read, or an
 * answer that an interceptor attached. They may hold a token.
 */
function plainCause(reason: unknown): Error {
  const { message, code, errno, syscall, address, port, hostname } = Object(reason) as Record<string, unknown>;
  const known = /^(E[A-Z_]+|HPE_\w+|UND_ERR_\w+|ERR_\w+|[A-Z_]*CERT[A-Z_]*|UNABLE_TO_\w+)$/.test(String(code));
  const cause = new Error(known && typeof message === 'string' ? message : errorCode(reason));
  for (const [name, value] of Object.entries({ code, errno, syscall, address, port, hostname })) {
    if (typeof value === 'string' || typeof value === 'number') Object.assign(cause, { [name]: value });
  }
  return cause;
}

function errorCode(error: unknown): string {
  // Not instanceof: under jest, errors of node's own are not of the Error that is known here.
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  // undici's parser error has a name only.
  return [code, name].find((word) => typeof word === 'string') ?? 'no error code';
}

/** An endpoint in words, without the query, which may hold a refresh token. */
function name({ endpoint, url }: HTTPRequest): string {
  return `The ${endpoint} of the PowerFolder server (${url.split('?', 1)[0]})`;
}

/**
 * The JSON object in a body.
 *
 * @returns undefined for anything else: HTML, nothing, `null`, an array. The parser's error is not passed on, since its
 * message quotes the body.
 */
export function jsonObject(body: string): Record<string, unknown> | undefined {
  try {
    const json: unknown = JSON.parse(body);
    return isObject(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The same members, and none from `Object.prototype`, where anything may stand (R57): undici would take it for an option,
 * such as the path of another socket, and we for what a server or a session said.
 */
export function bare<T extends object>(members: T): T {
  return Object.assign(Object.create(null), members);
}

/** A member that the object has itself: what others put on `Object.prototype` is nobody's word (R57). */
export function own<T extends object, K extends keyof T>(object: T, member: K): T[K] | undefined {
  return Object.hasOwn(object, member) ? object[member] : undefined;
}

/** Levels of an answer that are taken. `JSON.parse` reads more than `JSON.stringify`, and so a session, can write again. */
export const deepest = 64;

export function isShallow(json: unknown, levels = deepest): boolean {
  if (typeof json !== 'object' || json === null) return true;
  return levels > 0 && Object.values(json).every((value) => isShallow(value, levels - 1));
}

/** Whether a JSON value is an object, and not `null` or an array. */
export function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json);
}

/** A member of a JSON object; undefined for one that is `null`, or inherited and so was not sent. */
export function member(json: Record<string, unknown>, name: string): unknown {
  return Object.hasOwn(json, name) ? (json[name] ?? undefined) : undefined;
}

/**
 * The error for an answer that is not the JSON object that was asked for.
 *
 * @param advice What to check, in a sentence.
 */
export function unexpectedAnswer(message: HTTPRequest, response: HTTPResponse, advice: string): PowerFolderError {
  const { status, body } = response;
  if (status < 200 || status > 299) {
    // What is out of order now is not mended by another configuration.
    const todo = status === 429 || status >= 500 ? 'Try again later.' : advice;
    const what = `${name(message)} refused with status ${status}. ${todo}`;
    return new PowerFolderError('refused', what, serverAnswer(response));
  }
  const kind = body.trim() === '' ? 'nothing' : /^\s*</.test(body) ? 'a page' : 'something else';
  return new PowerFolderError(
    'not_json',
    `${name(message)} sent ${kind} instead of a JSON object (status ${status}). ${advice}`,
    serverAnswer(response),
  );
}
