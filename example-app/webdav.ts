/**
 * WebDAV (RFC 4918) as this app speaks it: all that is sent, and what is believed of the answers. Others named what is in
 * a folder, and servers of many makes answer.
 *
 * - A request goes to `<PowerFolder>/webdav/` and below, and the token nowhere else. A redirect is an error: it may lead to
 *   another host, or to a log-in page that looks like a file.
 * - Nothing is unpacked. A listing is bounded while it arrives; what does not matter is not read.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { arrange, type Entry, entryOf, type Folder, isFolder } from './listing.ts';
import {
  isSendable,
  type Multistatus,
  outcomeOf,
  propertiesWanted,
  type Response,
  readMultistatus,
} from './multistatus.ts';
import { field, isLate, noAnswer, statusToAnswer, WebDAVError } from './webdav-error.ts';

/** How long the server may take to begin its answer, and between two pieces of it, in ms. */
const timeout = 10_000;
/** How long a whole listing may take, in ms. */
const listingTimeout = 60_000;

export interface OpenedFile {
  /** 200, 206 or 304. */
  status: number;
  /** Fields of the server's that describe the file, without its type. */
  headers: Record<string, string>;
  contentType: string;
  /** To be read or destroyed. It fails when the connection is lost, or when nothing arrives for ten seconds. */
  body: Readable;
}

interface SendOptions {
  method: string;
  headers: Record<string, string>;
  body?: string | Readable;
  signal?: AbortSignal;
  headersTimeout?: number;
}

export class WebDAV {
  readonly #root: URL;
  /** The segments of its path, decoded. */
  readonly #path: string[];
  readonly #agent = new Agent({ connect: { timeout } });

  /** @param serverURL The PowerFolder server's, with its context path. */
  constructor(serverURL: string) {
    this.#root = new URL(`${serverURL.replace(/\/+$/, '')}/webdav/`);
    this.#path = this.#root.pathname.split('/').filter(Boolean).map(decodeURIComponent);
  }

  /**
   * Lists a folder; 'file' if it is none.
   *
   * @param names The names on the way to it, decoded; none for the folder that holds all others.
   * @throws {WebDAVError}
   */
  async readFolder(accessToken: string, names: string[]): Promise<Folder | 'file'> {
    const address = this.#address(names);
    let answer: Multistatus;
    try {
      answer = await this.#propfind(accessToken, asFolder(address), '1');
      // webdav-servlet says nothing when an entry vanishes while it lists the folder.
      if (answer.empty) answer = await this.#propfind(accessToken, asFolder(address), '1');
    } catch (error) {
      if (mayBeOtherKind(error) && (await this.#isFile(accessToken, address))) return 'file';
      throw error;
    }
    const { self, ...folder } = arrange(answer, [...this.#path, ...names], names);
    if (answer.responses.length === 0 || (folder.tooMany && folder.entries.length === 0)) {
      throw new WebDAVError('a listing without entries', 502, { status: 207 });
    }
    if (self) throwIfRefused(self);
    if (self && !isFolder(self) && (await this.#isFile(accessToken, address))) return 'file';
    return folder;
  }

  /**
   * Opens a file; 'folder' if it is one, which servers answer with a page of theirs or a redirect.
   *
   * @param asked The visitor's request. Its conditions and a single range go on to the server.
   * @throws {WebDAVError}
   */
  async openFile(
    accessToken: string,
    names: string[],
    { method, headers: asked }: { method: string; headers: IncomingHttpHeaders },
  ): Promise<OpenedFile | 'folder'> {
    const address = this.#address(names);
    const properties = await this.#properties(accessToken, address);
    const { folder, size } = entryOf(properties, '');
    if (folder) return 'folder';

    const head = method === 'HEAD';
    const sent: Record<string, string> = {};
    for (const name of ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'] as const) {
      if (asked[name]) sent[name] = asked[name];
    }
    // Several ranges would come back in a format of their own. The whole file is a right answer, too (RFC 9110, 14.2).
    const range = head ? undefined : field(asked.range, /^bytes=(?:\d+-\d*|-\d+)$/);
    if (range) sent['range'] = range;
    if (range && asked['if-range']) sent['if-range'] = String(asked['if-range']);

    const answer = await this.#send(accessToken, address, { method: head ? 'HEAD' : 'GET', headers: sent });
    const { statusCode: status, headers, body } = answer;
    const contentRange = field(headers['content-range'], /^bytes \d+-\d+\/(?:\d+|\*)$/);
    let length = field(headers['content-length'], /^\d{1,15}$/);
    // A server may not know If-Range. Then the visitor would add a part of the new file to what is left of the old one.
    const validator = sent['if-range'] ?? '';
    const current = headers[/^(?:W\/)?"/.test(validator) ? 'etag' : 'last-modified'];
    if (status === 206 && validator && current && current !== validator) {
      discard(body);
      const { range: _, 'if-range': __, ...whole } = asked;
      return await this.openFile(accessToken, names, { method, headers: whole });
    }
    const expected =
      status === 200 ||
      (status === 206 && contentRange && isPartOf(contentRange, range)) ||
      (status === 304 && (sent['if-none-match'] || sent['if-modified-since']));
    if (!expected) throw refused(answer);
    const whole = status === 206 ? contentRange?.split('/')[1] : length;
    const encoding = headers['content-encoding'] ?? 'identity';
    if (!head && status !== 304 && encoding !== 'identity' && !isPacked(names.at(-1), whole, size)) {
      discard(body);
      throw new WebDAVError('the file came encoded', 502, { status });
    }
    // webdav-servlet says 0 of any file.
    if (head && status === 200) length = size === undefined ? undefined : String(size);
    let content: Readable = body;
    // It has no body, but may tell the length of the file's, for which undici would wait.
    if (status === 304) {
      discard(body);
      content = Readable.from([]);
      length = undefined;
    }
    // The end of such an answer is the end of the connection, whatever ended it.
    const endless = status === 200 && !head && length === undefined && headers['transfer-encoding'] === undefined;
    if (endless && size !== undefined) content = Readable.from(ofLength(body, size), { objectMode: false });
    return {
      status,
      headers: present({
        'Content-Length': length,
        'Content-Range': status === 206 ? contentRange : undefined,
        'Accept-Ranges': field(headers['accept-ranges'], /^bytes$/),
        ETag: field(headers['etag'], /^(?:W\/)?"[\x21\x23-\x7e]*"$/),
        'Last-Modified': field(headers['last-modified'], /^[\w ,:+-]+$/),
      }),
      contentType: field(headers['content-type'], /^[\x20-\x7e]*$/) ?? '',
      body: content,
    };
  }

  /** What has this name. @throws {WebDAVError} */
  async find(accessToken: string, names: string[]): Promise<Entry | undefined> {
    try {
      return entryOf(await this.#properties(accessToken, this.#address(names)), names.at(-1) ?? '');
    } catch (error) {
      if (error instanceof WebDAVError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Writes a file, over what has its name.
   *
   * @param size Of the content, in bytes, if it is known.
   * @param signal Ends the request, for which there is no other limit.
   * @throws {WebDAVError}
   */
  async write(
    accessToken: string,
    names: string[],
    content: AsyncIterable<Buffer>,
    { size, signal }: { size: number | undefined; signal: AbortSignal },
  ): Promise<void> {
    const headers: Record<string, string> = { 'content-type': 'application/octet-stream' };
    if (size !== undefined) headers['content-length'] = String(size);
    const body = Readable.from(content, { objectMode: false });
    const options = { method: 'PUT', headers, body, signal, headersTimeout: 0 };
    expectDone(await this.#send(accessToken, this.#address(names), options));
  }

  /** Gives a file another name. @throws {WebDAVError} of status 412 where that is taken, unless it may be replaced. */
  async rename(accessToken: string, from: string[], to: string[], replace: boolean): Promise<void> {
    const headers = { destination: this.#address(to).href, overwrite: replace ? 'T' : 'F' };
    expectDone(await this.#send(accessToken, this.#address(from), { method: 'MOVE', headers }));
  }

  /** @throws {WebDAVError} of status 404 where there is no such file. */
  async remove(accessToken: string, names: string[]): Promise<void> {
    expectDone(await this.#send(accessToken, this.#address(names), { method: 'DELETE', headers: {} }));
  }

  /** Where something is at the server. Names that no URL can hold are names of nothing. */
  #address(names: string[]): URL {
    if (!names.every(isSendable)) throw new WebDAVError('no such name', 404);
    const path = this.#root.pathname + names.map(encodeURIComponent).join('/');
    const url = new URL(path, this.#root);
    // What is sent is what the URL came to.
    if (url.origin !== this.#root.origin || url.pathname !== path) throw new WebDAVError('no such name', 404);
    return url;
  }

  async #isFile(accessToken: string, address: URL): Promise<boolean> {
    const properties = await this.#properties(accessToken, address).catch((error) => {
      if (mayBeOtherKind(error)) return undefined;
      throw error;
    });
    return properties !== undefined && !isFolder(properties);
  }

  async #properties(accessToken: string, address: URL) {
    const answer = await this.#propfind(accessToken, address, '0').catch(async (error) => {
      // Some servers know a folder only with the slash at the end.
      if (!mayBeOtherKind(error)) throw error;
      const asked = await this.#propfind(accessToken, asFolder(address), '0').catch(() => undefined);
      if (!asked?.responses[0] || !isFolder(asked.responses[0])) throw error;
      return asked;
    });
    const [properties] = answer.responses;
    if (!properties) throw new WebDAVError('no properties', 502, { status: 207 });
    throwIfRefused(properties);
    return properties;
  }

  async #propfind(accessToken: string, address: URL, depth: '0' | '1'): Promise<Multistatus> {
    const answer = await this.#send(accessToken, address, {
      method: 'PROPFIND',
      headers: { depth, 'content-type': 'application/xml; charset=utf-8' },
      body: propertiesWanted,
      signal: AbortSignal.timeout(listingTimeout),
    });
    const { statusCode, headers, body } = answer;
    if (statusCode !== 207) throw refused(answer);
    try {
      return await readMultistatus(body, headers);
    } catch (error) {
      throw isLate(error) ? noAnswer(error) : new WebDAVError('no sensible listing', 502, { status: 207 }, error);
    } finally {
      discard(body);
    }
  }

  /** Redirects are not followed and nothing is unpacked: undici does neither by itself. */
  async #send(
    accessToken: string,
    address: URL,
    { headers, ...options }: SendOptions,
  ): Promise<Dispatcher.ResponseData> {
    try {
      return await request(address, {
        headersTimeout: timeout,
        ...options,
        method: options.method as Dispatcher.HttpMethod,
        headers: { ...headers, authorization: `Bearer ${accessToken}`, 'accept-encoding': 'identity' },
        dispatcher: this.#agent,
        // It does not count while the visitor takes no more.
        bodyTimeout: timeout,
      });
    } catch (error) {
      throw noAnswer(error);
    }
  }
}

function asFolder(address: URL): URL {
  return new URL(address.pathname.replace(/\/?$/, '/'), address);
}

/** Closes the connection: however long the rest is, nobody wants it. */
function discard(body: Readable): void {
  body.on('error', () => {}).destroy();
}

async function* ofLength(body: Readable, size: number): AsyncGenerator<Buffer> {
  let length = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    length += chunk.length;
    yield chunk;
  }
  if (length < size) throw new WebDAVError('the file was cut off', 502, { status: 200 });
}

/** Whether a part begins where it was asked for. */
function isPartOf(contentRange: string, range = ''): boolean {
  const [, start] = /^bytes=(\d*)-/.exec(range) ?? [];
  return start !== undefined && (start === '' || contentRange.startsWith(`bytes ${Number(start)}-`));
}

/** Whether a server may have refused a file because it was asked as a folder, or a folder because it was asked as a file. */
function mayBeOtherKind(error: unknown): boolean {
  const status = error instanceof WebDAVError ? (error.serverStatus ?? 0) : 0;
  return status >= 300 && status < 500 && ![401, 423, 429].includes(status);
}

function refused({ statusCode, headers, body }: Dispatcher.ResponseData): WebDAVError {
  discard(body);
  return new WebDAVError(`the answer is ${statusCode}`, statusToAnswer(statusCode), { status: statusCode, headers });
}

function expectDone(answer: Dispatcher.ResponseData): void {
  // 207 tells of a part that was not done.
  if (![200, 201, 204].includes(answer.statusCode)) throw refused(answer);
  // The connection can be used again. Of a long page nobody reads the rest.
  void answer.body.dump({ limit: 16 * 1024 }).catch(() => {});
}

function throwIfRefused(response: Response): void {
  const status = outcomeOf(response);
  if (status >= 300) throw new WebDAVError(`the answer is ${status}`, statusToAnswer(status), { status });
}

/**
 * Servers call a file "encoded" that is packed by nature, like a .gz. Its bytes are the file. But bytes that the server has
 * packed on the way, although it was asked not to, are not.
 *
 * @param whole The length of what came, were it all.
 */
function isPacked(name = '', whole: string | undefined, size: number | undefined): boolean {
  if (whole !== undefined && whole !== '*' && size !== undefined) return Number(whole) === size;
  return /\.(?:t?gz|svgz|t?bz2?|t?xz|br|t?zst|z)$/i.test(name);
}

function present(headers: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => pair[1] !== undefined));
}
