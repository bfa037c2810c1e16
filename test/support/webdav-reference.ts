/** The tests' own eyes: what a WebDAV server says when asked plainly, and what is on disk, both without the app. */
import { readdirSync, statSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import type { Dispatcher } from 'undici';

/** A name as a server or a disk has it, which need not be UTF-8. */
export type Path = Buffer[];

export interface Entry {
  name: Buffer;
  folder: boolean;
  /** Bytes of a file, where known. */
  size?: number | undefined;
  /** Milliseconds since 1970, where known. */
  modified?: number | undefined;
}

export const path = (...names: string[]): Path => names.map((name) => Buffer.from(name));

/** One segment for each name; everything but RFC 3986's unreserved characters is encoded. */
export function encoded(names: Path): string {
  return names.map((name) => [...name].map(encodedByte).join('')).join('/');
}

function encodedByte(byte: number): string {
  const character = String.fromCharCode(byte);
  return /[\w.~-]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
}

/** The bytes that a segment of a URL stands for. */
export function decoded(segment: string): Buffer {
  const parts = segment.split(/(%[\da-f]{2})/i);
  return Buffer.concat(
    parts.map((part) => (/^%[\da-f]{2}$/i.test(part) ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part))),
  );
}

/** Names for messages: as JSON has them, and what is no UTF-8 by its bytes. */
export function shown(names: Path): string {
  return names
    .map((name) => (isText(name) ? JSON.stringify(String(name)).slice(1, -1) : `<${name.toString('hex')}>`))
    .join('/');
}

export const isText = (name: Buffer) => Buffer.from(String(name)).equals(name);

/** A folder on disk. Links that lead nowhere are left out; one that nobody may read counts as empty, for root as well. */
export function onDisk(folder: string, names: Path): Entry[] {
  const place = diskPath(folder, names);
  if ((statSync(place).mode & 0o444) === 0) return [];
  return readdirSync(place, { encoding: 'buffer' }).flatMap((name) => {
    const stats = statOf(Buffer.concat([place, Buffer.from('/'), name]));
    if (!stats) return [];
    const folder = stats.isDirectory();
    return [{ name, folder, size: folder ? undefined : stats.size, modified: stats.mtimeMs }];
  });
}

export function diskPath(folder: string, names: Path): Buffer {
  return Buffer.concat([Buffer.from(folder), ...names.flatMap((name) => [Buffer.from('/'), name])]);
}

function statOf(path: Buffer) {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

export interface Listing {
  entries: Entry[];
  /** How many responses are about something that is not in the folder, besides the one about the folder itself. */
  strays: number;
}

/** What a server says that is in a folder, or its status when it does not say so. */
export async function propfind(server: Dispatcher, target: string): Promise<Listing | number> {
  const { statusCode, body } = await server.request({
    origin: '',
    method: 'PROPFIND' as 'GET',
    path: target,
    headers: { Depth: '1', 'Content-Type': 'application/xml', 'Accept-Encoding': 'identity' },
    body: '<D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getcontentlength/><D:getlastmodified/></D:prop></D:propfind>',
  });
  const xml = await body.text();
  if (statusCode !== 207) return statusCode;
  const depth = segments(target).length;
  const all = responses(xml);
  // A server may say only within its answer that it refuses the folder.
  const itself = all.find(({ href }) => segments(href).length === depth);
  if (itself?.refusal && itself.properties.size === 0) return itself.refusal;
  const members = all.filter(({ href }) => segments(href).length === depth + 1);
  return { entries: members.map(entryOf), strays: all.length - members.length - 1 };
}

function entryOf({ href, properties }: Response): Entry {
  const length = properties.get('getcontentlength')?.text;
  const date = properties.get('getlastmodified')?.text;
  return {
    name: decoded(segments(href).at(-1) ?? ''),
    folder: properties.get('resourcetype')?.children.some(({ name }) => name === 'collection') ?? false,
    size: length ? Number(length) : undefined,
    modified: date ? Date.parse(date) : undefined,
  };
}

const segments = (href: string) =>
  href
    .replace(/^https?:\/\/[^/]*/, '')
    .replace(/\/$/, '')
    .split('/')
    .slice(1);

interface Element {
  /** The local name of one of RFC 4918's elements; others have their namespace in front. */
  name: string;
  text: string;
  children: Element[];
}

interface Response {
  href: string;
  /** Those with the status 200. */
  properties: Map<string, Element>;
  /** Another status that it has, for the whole or for some properties. */
  refusal: number | undefined;
}

/** The responses of RFC 4918 section 14.16, read by a strict parser. */
function responses(xml: string): Response[] {
  const { root } = parseXml(xml);
  const multistatus = root && element(root, {});
  if (multistatus?.name !== 'multistatus') throw new Error(`No multistatus: ${xml.slice(0, 200)}`);
  const all = ({ children }: Element, name: string) => children.filter((child) => child.name === name);
  const statusOf = (element: Element) =>
    Number(/^HTTP\/\S+ (\d+)/.exec(all(element, 'status')[0]?.text ?? '')?.[1] ?? 200);
  return all(multistatus, 'response').map((response) => {
    const propstats = all(response, 'propstat');
    const properties = propstats
      .filter((propstat) => statusOf(propstat) === 200)
      .flatMap((propstat) => all(propstat, 'prop').flatMap(({ children }) => children));
    return {
      href: all(response, 'href')[0]?.text.trim() ?? '',
      properties: new Map(properties.map((property) => [property.name, property])),
      refusal: [response, ...propstats].map(statusOf).find((status) => status !== 200),
    };
  });
}

/** Names resolved as Namespaces in XML 1.0 has it. */
function element(xml: XmlElement, outer: Record<string, string>): Element {
  const spaces = { ...outer };
  for (const [name, value] of Object.entries(xml.attributes)) {
    if (name === 'xmlns' || name.startsWith('xmlns:')) spaces[name.slice('xmlns:'.length)] = value;
  }
  const [local = '', prefix = ''] = xml.name.split(':').reverse();
  const space = spaces[prefix] ?? '';
  return {
    name: space === 'DAV:' ? local : `{${space}}${local}`,
    text: xml.text,
    children: xml.children.filter((child) => child instanceof XmlElement).map((child) => element(child, spaces)),
  };
}

export interface Download {
  status: number;
  headers: IncomingHttpHeaders;
  content: Buffer;
}

/** A plain GET of a file. */
export async function get(server: Dispatcher, target: string, headers: Record<string, string> = {}): Promise<Download> {
  const answer = await server.request({
    origin: '',
    method: 'GET',
    path: target,
    headers: { 'Accept-Encoding': 'identity', ...headers },
  });
  const content = Buffer.from(await answer.body.arrayBuffer());
  return { status: answer.statusCode, headers: answer.headers, content };
}
