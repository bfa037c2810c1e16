/** What can go wrong in an exchange with the server, as errors that say what to do. */
import type { OutgoingHttpHeaders } from 'node:http';
import { PowerFolderError, serverAnswer } from './errors.ts';
import { masking, plainText } from './redact.ts';

/** What an error tells of a request. */
interface Asked {
  /** Its name in messages, such as "token endpoint". */
  endpoint: string;
  url: string;
}

/** What was sent, which an error tells nothing of. */
interface Sent extends Asked {
  headers: OutgoingHttpHeaders;
  body?: string | Uint8Array;
}

/** What an error tells of an answer. */
interface Answered {
  status: number;
  headers: Record<string, string | string[] | undefined>;
}

/** The endpoint of a request as messages name it: without the query, which may hold a refresh token. */
export function named({ endpoint, url }: Asked): string {
  return `The ${endpoint} of the PowerFolder server (${url.split('?', 1)[0]})`;
}

/** The error for a 3xx. Where it leads to another host, such as another node of a cluster, that is named. */
export function redirectRefused(asked: Sent, { status, headers }: Answered): PowerFolderError {
  const host = otherHost(asked, headers['location']);
  return new PowerFolderError(
    'redirected',
    `${named(asked)} answered with a redirect (${status})${host ? ` to ${host}` : ''}, which is not followed. Check the host, the scheme and the context path of serverURL.`,
    serverAnswer({ status, headers }),
  );
}

/** The host of a redirect, if it is another one, and does not repeat what was sent: it gets into logs. */
function otherHost({ url, headers, body }: Sent, location: unknown): string | undefined {
  let host: string;
  try {
    host = new URL(String(location), url).host;
  } catch {
    return undefined;
  }
  const { host: own, searchParams } = new URL(url);
  if (typeof location !== 'string' || host === '' || host === own) return undefined;
  const sent = [
    String(headers['authorization'] ?? '').replace(/^\w+ /, ''),
    ...(String(body ?? '').match(/[^"=&]+/g) ?? []),
    ...searchParams.values(),
  ];
  const mask = masking([...sent, ...sent.map((each) => each.toLowerCase())]);
  const plain = plainText(host);
  const isPlain = [plain, plain.replace(/[.:-]/g, '')].every((text) => mask(text) === text);
  return isPlain ? plain : undefined;
}

/**
 * The error for an answer that is not the JSON object that was asked for.
 *
 * @param advice What to check, in a sentence.
 */
export function unexpectedAnswer(asked: Asked, answer: Answered & { body: string }, advice: string): PowerFolderError {
  const { status, body } = answer;
  if (status < 200 || status > 299) {
    // What is out of order now is not mended by another configuration.
    const todo = status === 429 || status >= 500 ? 'Try again later.' : advice;
    const what = `${named(asked)} refused with status ${status}. ${todo}`;
    return new PowerFolderError('refused', what, serverAnswer(answer));
  }
  return new PowerFolderError(
    'not_json',
    `${named(asked)} sent ${kindOf(body)} instead of a JSON object (status ${status}). ${advice}`,
    serverAnswer(answer),
  );
}

function kindOf(body: string): string {
  if (body.trim() === '') return 'nothing';
  return /^\s*</.test(body) ? 'a page' : 'something else';
}

/** A proxy on the way refused, or could not be reached. */
export class ProxyError extends Error {
  /** Host and port. */
  readonly host: string;
  /** Of its answer, where there was one. */
  readonly status: number | undefined;

  constructor(host: string, { status, cause }: { status?: number; cause?: unknown }) {
    super(`the proxy ${host}`, { cause });
    this.host = host;
    this.status = status;
  }
}

/** @returns an error whose `cause` has the proxy's host and port as `proxy`, and as `status` that of its answer. */
function proxyError({ host, status, cause }: ProxyError, endpoint: string): PowerFolderError {
  const told = cause === undefined ? new Error(`the proxy answered ${status}`) : plainCause(cause);
  return new PowerFolderError(
    'unreachable',
    `${endpoint} could not be reached: the proxy ${host} ${proxyProblem(status, errorCode(cause))}.`,
    { cause: Object.assign(told, { proxy: host }, status !== undefined && { status }) },
  );
}

/** What is wrong with a proxy: the rest of a sentence. */
export function proxyProblem(status: number | undefined, code: string): string {
  if (status === undefined) return `cannot be used (${code})`;
  if (status !== 407) return `refuses to lead there (${status})`;
  return 'wants a user name and a password, or others (407): give them with its address, http://user:password@host:port';
}

/**
 * The error for an exchange that ended without an answer.
 *
 * @param reason undici's, or the system's.
 * @param endpoint As {@link named} gives it.
 */
export function connectionError(reason: unknown, endpoint: string): Error {
  if (reason instanceof ProxyError) return proxyError(reason, endpoint);
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
    return new PowerFolderError('not_http', `${endpoint} sent something that is not HTTP (${code}).`, { cause });
  }
  if (/^Proxy response/.test(cause.message)) {
    const what = `${endpoint} could not be reached: the proxy refused (${cause.message}).`;
    return new PowerFolderError('unreachable', what, { cause });
  }
  if (/ALERT/.test(code)) {
    const what = `${endpoint} refuses this client (${code}): its TLS version, or it wants a client certificate. Give undici what it takes: dispatcher: new Agent({ connect: { cert, key } }).`;
    return new PowerFolderError('tls', what, { cause });
  }
  if (/CERT|SIGNATURE|^ERR_(TLS|SSL)|^UNABLE_TO|^INVALID_|^PATH_LENGTH|^HOSTNAME_|^EPROTO$/.test(code)) {
    return new PowerFolderError(
      'tls',
      `${endpoint} could not be trusted (${code}). For a certificate of your own authority, give its CA by the option ca, or by NODE_EXTRA_CA_CERTS.`,
      { cause },
    );
  }
  if (unreachable.test(code)) {
    return new PowerFolderError('unreachable', `${endpoint} could not be reached (${code}).`, { cause });
  }
  return new PowerFolderError('connection_lost', `${endpoint} broke off the connection (${code}).`, { cause });
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

/** The code of an error of Node's or of undici's. */
export function errorCode(error: unknown): string {
  // Not instanceof: under jest, errors of node's own are not of the Error that is known here.
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  // undici's parser error has a name only.
  return [code, name].find((word) => typeof word === 'string') ?? 'no error code';
}
