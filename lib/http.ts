/**
 * One exchange with the PowerFolder server: one deadline over everything, a cap on the body, no redirects, no
 * decompression, and a typed error for whatever else can happen.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type Connection, type Connections, connectionsOf, undici } from './connections.ts';
import { PowerFolderError, serverAnswer } from './errors.ts';
import { connectionError, errorCode, named, ProxyError, redirectRefused } from './exchange-errors.ts';
import { bare, own } from './json.ts';

/** How the server is reached; the same for every request of one strategy. */
export interface Transport {
  /** Milliseconds for the whole exchange: connecting, sending, headers and body. */
  timeout: number;
  /** Sent with every request; the protocol's own headers win. */
  headers: Readonly<Record<string, string>>;
  /** Where there is no dispatcher; those that all have in common, if left out. */
  connections?: Connections | undefined;
  /** undici's dispatcher, for what `ca` and `proxy` cannot do. */
  dispatcher?: Dispatcher | undefined;
  /** Whether plain http is allowed to hosts other than loopback. */
  allowInsecureHTTP: boolean;
  /** Is told of each answer: when it begins, without its body, and when it has come. For who tells what a server does. */
  onAnswer?: ((answer: HTTPResponse, isWhole: boolean) => void) | undefined;
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
 * Sends a request and reads the whole answer.
 *
 * @throws {PowerFolderError} `unreachable`, `tls`, `timeout`, `connection_lost`, `not_http`, `redirected`, `too_large`,
 * or `not_json` for a body that is not UTF-8.
 */
export function exchange(message: HTTPRequest, transport: Transport): Promise<HTTPResponse> {
  return new Promise((resolve, reject) => {
    // Before the clock starts: loading it takes a while on a slow machine, which is not the server's.
    if (!own(transport, 'dispatcher')) undici();
    new Exchange(message, transport, resolve, reject).attempt();
  });
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
  #connection: Connection | undefined;
  /** Known from when the request is being sent. */
  #controller: Dispatcher.DispatchController | undefined;
  #refusal: Error | undefined;
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
        const proxy = this.#connection?.proxy;
        const way = proxy ? `, through the proxy ${proxy.host}` : '';
        this.#refuse(new PowerFolderError('timeout', `${named(message)} did not answer within ${timeout} ms${way}.`));
      }, 0);
    }, timeout);
  }

  attempt(): void {
    this.#attempts++;
    const { method, url, headers } = this.#message;
    const dispatcher = own(this.#transport, 'dispatcher');
    const origin = url.slice(0, url.indexOf('/', url.indexOf('://') + 3));
    if (!dispatcher) {
      const { timeout } = this.#transport;
      this.#connection = (own(this.#transport, 'connections') ?? connectionsOf({ timeout })).take(origin);
    }
    const asked = this.#askedOfProxy(origin);
    try {
      (dispatcher ?? (this.#connection as Connection).client).dispatch(
        bare({
          origin: asked?.origin ?? origin,
          path: asked ? url : url.slice(origin.length),
          method,
          // Compressed bodies are not asked for and not unpacked: the cap below counts what arrives.
          headers: {
            ...this.#transport.headers,
            'accept-encoding': 'identity',
            ...(headers as Record<string, string>),
            ...asked?.headers,
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

  /** A proxy is asked for a page by http itself, by its whole URL (RFC 9112 section 3.2.2). */
  #askedOfProxy(origin: string): { origin: string; headers: Record<string, string> } | undefined {
    const proxy = this.#connection?.proxy;
    if (!proxy || !origin.startsWith('http:')) return undefined;
    const { authorization } = proxy;
    const headers = { host: new URL(origin).host, ...(authorization && { 'proxy-authorization': authorization }) };
    return { origin: proxy.origin, headers };
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
    own(this.#transport, 'onAnswer')?.({ status, headers, body: '' }, false);
    const proxy = this.#connection?.proxy;
    if (status === 407 && proxy) {
      this.#refuse(connectionError(new ProxyError(proxy.host, { status }), named(this.#message)));
    }
    if (status >= 300 && status < 400 && own(this.#message, 'redirect') !== 'manual') {
      this.#refuse(redirectRefused(this.#message, { status, headers }));
    }
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size > largestBody) {
      const what = `${named(this.#message)} sent more than ${largestBody} bytes.`;
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
      const answer = { status, headers: this.#headers, body };
      own(this.#transport, 'onAnswer')?.(answer, true);
      this.#resolve(answer);
    } catch {
      const what = `${named(this.#message)} sent a body that is not UTF-8 (status ${status}).`;
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

  #refuse(refusal: Error): void {
    this.#refusal ??= refusal;
    this.#controller?.abort(this.#refusal);
    this.#fail(this.#refusal);
  }

  #fail(error: unknown): void {
    clearTimeout(this.#deadline);
    this.#reject(error === this.#refusal ? (error as Error) : connectionError(error, named(this.#message)));
    // It comes back here with an error of its own: too late, and unheard.
    this.#connection?.end();
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true });
const lenientUTF8 = new TextDecoder();

/** Where a 3xx leads; undefined when it does not say. Whoever shows it minds that it may repeat what was sent. */
export function redirectTarget({ status, headers }: HTTPResponse, { url }: HTTPRequest): URL | undefined {
  const location = own(headers, 'location');
  if (status < 300 || status > 399 || typeof location !== 'string') return undefined;
  try {
    // Not by `URL.canParse`, which in Node 20 says no to umlauts after some thousand calls.
    return new URL(location, url);
  } catch {
    return undefined;
  }
}
