/** A folder's listing by WebDAV: the multistatus of RFC 4918, 13, as servers of many makes write it. */
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { SaxesParser, type SaxesTagNS } from 'saxes';

/** More entries than that are not shown: all other visitors wait while a page of them is written … */
const mostEntries = 3000;
/** … and more bytes of a listing are not read. */
const mostBytes = 16 * 1024 * 1024;
const longestText = 16 * 1024;
/** File systems take no longer names; and to compare them costs time by the square of their length. */
export const longestName = 255;
/** So much of a listing in which nothing begins or ends, like a comment, is not read further. */
const longestPiece = 256 * 1024;
const deepestElement = 64;
const mostErrors = 1000;

/** What is asked for, and no more: what others wrote into other properties, like owners of locks, does not come. */
export const propertiesWanted =
  '<?xml version="1.0" encoding="utf-8"?>\n' +
  '<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/><D:creationdate/></D:prop></D:propfind>\n';

/** A response element (RFC 4918, 14.24), as far as it is of use. */
export interface Response {
  href: string;
  /** The names in the href. */
  path: string[];
  /** The last of them, if it can be used. */
  name: string | undefined;
  /** The status line of the resource as a whole, when it has one. */
  status: string;
  /** That of the properties that were asked for and are not given, when there are any. */
  refusal: string;
  /** The text of the properties that the server knows, by name. */
  properties: Map<string, string>;
  collection: boolean;
  /** Whether a text in it is not what the server meant. */
  garbled: boolean;
}

export interface Multistatus {
  responses: Response[];
  tooMany: boolean;
  /** Whether not a single byte came. */
  empty: boolean;
}

/**
 * Reads a multistatus as it arrives, and stops when there is more than can be shown.
 *
 * @throws {Error} When it is none, or ends too early.
 */
export async function readMultistatus(body: Readable, headers: IncomingHttpHeaders): Promise<Multistatus> {
  // Whatever Content-Encoding says: mod_dav gives the one of the file that is described. What is packed is no XML.
  const reader = new MultistatusReader();
  const { responses } = reader;
  let decoder: TextDecoder | undefined;
  let start = Buffer.alloc(0);
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (!decoder) {
      // The declaration may come in pieces.
      start = Buffer.concat([start, chunk]);
      if (start.length < declarationLength) continue;
      decoder = decoderFor(start, headers['content-type']);
      reader.write(decoder.decode(start, { stream: true }));
    } else {
      reader.write(decoder.decode(chunk, { stream: true }));
    }
    const tooMany = responses.length > mostEntries + 1 || bytes > mostBytes;
    if (tooMany && responses.length > 0) {
      return { responses: responses.slice(0, mostEntries + 1), tooMany, empty: false };
    }
    if (tooMany) break;
  }
  if (!decoder) reader.write(decoderFor(start, headers['content-type']).decode(start));
  if (bytes > 0 && !reader.finished) throw new Error('no listing, or only a part of it');
  return { responses, tooMany: false, empty: bytes === 0 };
}

const declarationLength = 200;

/** RFC 7303, 3: the byte order mark counts, then the media type, then the declaration. */
function decoderFor(start: Buffer, contentType = ''): TextDecoder {
  const marks: [string, string][] = [
    ['efbbbf', 'utf-8'],
    ['fffe', 'utf-16le'],
    ['feff', 'utf-16be'],
  ];
  const mark = marks.find(([bytes]) => start.toString('hex', 0, bytes.length / 2) === bytes)?.[1];
  const [, charset] = /;\s*charset\s*=\s*"?([\w-]+)/i.exec(contentType) ?? [];
  const [, declared] =
    /^\s*<\?xml[^>]*\sencoding\s*=\s*["']([\w-]+)/.exec(start.toString('latin1', 0, declarationLength)) ?? [];
  return new TextDecoder(mark ?? charset ?? declared);
}

/** An element of WebDAV's that is read, with those that are read in it. */
interface Element {
  name: string;
  /** Whether its text is of use. */
  text: boolean;
  children: Map<string, Element>;
}

function element(name: string, children: Element[], text = false): Element {
  return { name, text, children: new Map(children.map((child) => [child.name, child])) };
}

const text = (name: string, ...children: Element[]) => element(name, children, true);
const collection = element('collection', []);
const [size, changed, created] = ['getcontentlength', 'getlastmodified', 'creationdate'].map((name) => text(name));
const prop = element('prop', [text('resourcetype', collection), size, changed, created] as Element[]);
const [href, status, outcome] = [text('href'), text('status'), text('status')];
const propstat = element('propstat', [prop, outcome]);
const response = element('response', [href, status, propstat]);
const multistatus = element('multistatus', [response]);
const document = element('', [multistatus]);

class MultistatusReader {
  readonly responses: Response[] = [];
  /** Whether the document was a multistatus and has ended. */
  finished = false;
  /** Of entities it resolves the five of XML, and characters by number. */
  readonly #parser = new SaxesParser({ xmlns: true, position: false });
  /** The innermost element that is open, if it is read, and those around it. */
  #element: Element | undefined = document;
  readonly #outer: (Element | undefined)[] = [];
  #response = newResponse();
  #propstat = newPropstat();
  /** The text of the element that is open, if it is of use. */
  #text: string | undefined;
  #errors = 0;
  /** How much was written since something began or ended. */
  #pending = 0;

  constructor() {
    this.#parser.on('opentag', (tag) => this.#begin(tag));
    this.#parser.on('closetag', () => this.#end());
    this.#parser.on('text', (content) => this.#read(content));
    this.#parser.on('cdata', (content) => this.#read(content));
    this.#parser.on('error', () => {
      // Elsewhere, as in an owner's name that the server did not escape, it does no harm.
      if (this.#element && this.#outer.length > 1) this.#response.garbled = true;
      this.#errors++;
      if (this.#errors > mostErrors) throw new Error('no XML');
    });
  }

  write(content: string): void {
    // The parser keeps in memory what has not ended.
    this.#pending += content.length;
    this.#parser.write(content);
    if (this.#pending > longestPiece) throw new Error('a piece without an end');
  }

  #begin({ uri, local }: SaxesTagNS): void {
    this.#pending = 0;
    this.#outer.push(this.#element);
    this.#element = uri === 'DAV:' ? this.#element?.children.get(local) : undefined;
    if (this.#outer.length === 1 && !this.#element) throw new Error('no multistatus');
    if (this.#outer.length > deepestElement) throw new Error('too deep');
    if (this.#element === response) this.#response = newResponse();
    else if (this.#element === propstat) this.#propstat = newPropstat();
    else if (this.#element === collection) this.#propstat.collection = true;
    else if (this.#element?.text) this.#text = '';
  }

  #read(content: string): void {
    this.#pending = 0;
    if (this.#text === undefined) return;
    if (this.#text.length + content.length > longestText) this.#response.garbled = true;
    else this.#text += content;
  }

  #end(): void {
    this.#pending = 0;
    const ended = this.#element;
    this.#element = this.#outer.pop();
    if (ended?.text) {
      const content = trimmed(this.#text ?? '');
      this.#text = undefined;
      if (ended === href) this.#response.href ||= content;
      else if (ended === status) this.#response.status = content;
      else if (ended === outcome) this.#propstat.status = content;
      else this.#propstat.properties.set(ended.name, content);
    } else if (ended === propstat && !succeeded(this.#propstat.status)) {
      this.#response.refusal ||= this.#propstat.status;
    } else if (ended === propstat) {
      for (const [name, content] of this.#propstat.properties) this.#response.properties.set(name, content);
      this.#response.collection ||= this.#propstat.collection;
    } else if (ended === response) {
      this.responses.push({ ...this.#response, ...placeOf(this.#response.href) });
    } else if (ended === multistatus) {
      this.finished = true;
    }
  }
}

/** Without what is white space to XML: a name may end in other spaces. */
function trimmed(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text, start)) start++;
  while (start < end && isSpace(text, end - 1)) end--;
  return text.slice(start, end);
}

function isSpace(text: string, at: number): boolean {
  return ' \t\r\n'.includes(text.charAt(at));
}

function newResponse(): Response {
  return {
    href: '',
    path: [],
    name: undefined,
    status: '',
    refusal: '',
    properties: new Map(),
    collection: false,
    garbled: false,
  };
}

function newPropstat() {
  return { status: '', properties: new Map<string, string>(), collection: false };
}

/**
 * What a server says of the resource that was asked for, as if it were the status of its answer. lighttpd lists a folder that
 * it may not read as one that has none of the properties, for that reason.
 */
export function outcomeOf({ status, refusal, properties }: Response): number {
  const refused = status === '' && properties.size === 0 && statusOf(refusal) !== 404;
  return statusOf(refused ? refusal : status);
}

/** The code of a status line, `HTTP/1.1 404 Not Found`; 200 where a server leaves the line out. */
function statusOf(line: string): number {
  return Number(/^HTTP\/\S+ (\d{3})\b/i.exec(line)?.[1] ?? (line === '' ? 200 : 500));
}

export function succeeded(line: string): boolean {
  const status = statusOf(line);
  return status >= 200 && status <= 299;
}

/** Whether a name can be one segment of a URL, encoded: servers decode `%2F` to a slash, and many stop at NUL. */
export function isSendable(name: string): boolean {
  return !/^\.{0,2}$|[/\0]|\p{Surrogate}/u.test(name);
}

/** The names in an href, which is a URL or its path, and the last of them if it can be used. */
function placeOf(href: string): { path: string[]; name: string | undefined } {
  const segments = href
    .replace(/^https?:\/\/[^/]*/i, '')
    .split('/')
    .filter(Boolean);
  const path = segments.map((segment) => decoded(segment) ?? segment);
  const last = segments.at(-1) ?? '';
  const name = decoded(last);
  // A bare ? or # would end the path, and U+FFFD stands where the listing was not in its charset.
  return {
    path,
    name:
      name !== undefined && isSendable(name) && name.length <= longestName && !/[?#\uFFFD]/.test(last)
        ? name
        : undefined,
  };
}

function decoded(segment: string): string | undefined {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
