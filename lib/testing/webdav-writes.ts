import { randomUUID } from 'node:crypto';
import { type Answer, Refusal } from './answer.ts';
import { File, Folder, find, type PowerFolderFile } from './files.ts';
import { namesIn, type ReceivedRequest } from './request.ts';

/** A request for something in an account's folders. */
export interface WebDAVRequest {
  request: ReceivedRequest;
  files: Folder;
  names: string[];
  /** Whether the path ends in a slash. */
  slash: boolean;
  node: File | Folder | undefined;
}

const done = (status: number): Answer => ({ status, headers: { 'Content-Length': '0' }, body: '' });

/** A folder and a name in it, where something is to be written. */
interface Place {
  parent: Folder;
  name: string;
}

/**
 * The methods of WebDAV that write, as webdav-servlet answers them.
 *
 * @param url The server's base URL.
 * @param now The clock, in epoch milliseconds.
 */
export function webdavWrites(url: string, now: () => number) {
  /** The tokens of locks, by an account's folders and the path in them. */
  const locks = new Map<Folder, Map<string, string>>();

  const locksOf = (files: Folder) => locks.get(files) ?? new Map<string, string>();

  /** @throws {Refusal} when it, or something in it, is locked, and the request does not bring the lock's token. */
  function refuseLocked({ request, files }: WebDAVRequest, names: string[]): void {
    const path = names.join('/');
    for (const [locked, token] of locksOf(files)) {
      if (locked !== path && !locked.startsWith(`${path}/`)) continue;
      if (String(request.headers['if'] ?? '').includes(token)) continue;
      throw new Refusal(423, `"${locked}" is locked.`);
    }
  }

  function placeOf(files: Folder, names: string[]): Place {
    const name = names.at(-1);
    if (name === undefined) throw new Refusal(403, 'This is the top of all folders.');
    const parent = find(files, names.slice(0, -1));
    if (!(parent instanceof Folder)) throw new Refusal(409, `There is no folder "${names.slice(0, -1).join('/')}".`);
    return { parent, name };
  }

  function mkcol(asked: WebDAVRequest): Answer {
    const { files, names, node, request } = asked;
    if (node !== undefined) throw new Refusal(405, 'There is something already.');
    if (request.body !== '') throw new Refusal(415, 'A MKCOL has no body.');
    const { parent, name } = placeOf(files, names);
    refuseLocked(asked, names);
    parent.children.set(name, new Folder({}, now()));
    return done(201);
  }

  // Conditions and Content-Range are ignored.
  function put(asked: WebDAVRequest, content: PowerFolderFile): Answer {
    const { files, names, node } = asked;
    if (node instanceof Folder) throw new Refusal(500, 'This is a folder.');
    const { parent, name } = placeOf(files, names);
    refuseLocked(asked, names);
    if (node) Object.assign(node, { content, modified: now() });
    else parent.children.set(name, new File(content, now()));
    return done(201);
  }

  function remove(asked: WebDAVRequest): Answer {
    const { files, names, node } = asked;
    if (node === undefined) throw new Refusal(404, `There is no "${names.join('/')}".`);
    const { parent, name } = placeOf(files, names);
    refuseLocked(asked, names);
    parent.children.delete(name);
    forget(files, names);
    return done(204);
  }

  function forget(files: Folder, names: string[]): void {
    const path = names.join('/');
    for (const locked of [...locksOf(files).keys()]) {
      if (locked === path || locked.startsWith(`${path}/`)) locksOf(files).delete(locked);
    }
  }

  /** Where something is to be copied or moved to. @returns whether there was something. */
  function destinationOf(asked: WebDAVRequest): Place & { replaces: boolean } {
    const { request, files, names, node } = asked;
    if (node === undefined) throw new Refusal(404, `There is no "${names.join('/')}".`);
    const { destination, overwrite } = request.headers;
    if (typeof destination !== 'string') throw new Refusal(400, 'The header Destination is missing.');
    const path = destination.startsWith('/') ? destination : pathOnHost(request.headers.host, destination);
    const { pathname } = new URL(url);
    const below = `${pathname.replace(/\/$/, '')}/webdav/`;
    if (!path.startsWith(below)) throw new Refusal(403, `Destination must be below ${below}.`);
    const target = namesIn(path.slice(below.length - '/webdav/'.length)).names;
    if (target.join('/') === names.join('/')) throw new Refusal(403, 'Destination is the same.');
    // webdav-servlet would copy it into itself, over and over.
    if (names.every((name, index) => target[index] === name)) throw new Refusal(403, 'Destination is within.');
    const place = placeOf(files, target);
    const replaces = place.parent.children.has(place.name);
    if (replaces && overwrite === 'F') throw new Refusal(412, 'There is something at Destination.');
    refuseLocked(asked, target);
    return { ...place, replaces };
  }

  /** By the host that was asked for, as servers behind a proxy know no other. */
  function pathOnHost(host = '', destination: string): string {
    const [, toHost, path = ''] = /^https?:\/\/([^/?#]*)([^?#]*)/i.exec(destination) ?? [];
    if (toHost?.toLowerCase() !== host.toLowerCase()) throw new Refusal(502, 'Destination is not on this server.');
    return path;
  }

  function copy(asked: WebDAVRequest): Answer {
    const { parent, name, replaces } = destinationOf(asked);
    if (asked.node) parent.children.set(name, asked.node.copy(now()));
    return done(replaces ? 204 : 201);
  }

  function move(asked: WebDAVRequest): Answer {
    const { files, names, node } = asked;
    const from = node && placeOf(files, names);
    refuseLocked(asked, names);
    const { parent, name } = destinationOf(asked);
    if (node && from) {
      parent.children.set(name, node);
      from.parent.children.delete(from.name);
    }
    forget(files, names);
    return done(204);
  }

  function lock(asked: WebDAVRequest): Answer {
    const { files, names, node, request } = asked;
    refuseLocked(asked, names);
    const { parent, name } = placeOf(files, names);
    // A name is locked by an empty file.
    if (node === undefined) parent.children.set(name, new File('', now()));
    const path = names.join('/');
    const known = locksOf(files).get(path);
    const token =
      known && String(request.headers['if'] ?? '').includes(known) ? known : `opaquelocktoken:${randomUUID()}`;
    locks.set(files, locksOf(files).set(path, token));
    const xml = `<?xml version="1.0" encoding="utf-8" ?>
<D:prop xmlns:D="DAV:"><D:lockdiscovery><D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:exclusive/></D:lockscope><D:depth>infinity</D:depth><D:timeout>Second-604800</D:timeout><D:locktoken><D:href>${token}</D:href></D:locktoken></D:activelock></D:lockdiscovery></D:prop>
`;
    return {
      status: 200,
      headers: { 'Content-Type': 'text/xml;charset=utf-8', 'Lock-Token': `<${token}>` },
      body: xml,
    };
  }

  function unlock({ files, names, request }: WebDAVRequest): Answer {
    const path = names.join('/');
    const token = locksOf(files).get(path);
    // The webdav package of npm sends it without the angle brackets.
    if (!token || String(request.headers['lock-token']).replace(/^<|>$/g, '') !== token)
      throw new Refusal(400, 'This is not locked by that token.');
    locksOf(files).delete(path);
    return done(204);
  }

  function proppatch({ node, names }: WebDAVRequest): Answer {
    if (node === undefined) throw new Refusal(404, `There is no "${names.join('/')}".`);
    throw new Refusal(403, 'Properties cannot be set on this server.');
  }

  function post(): Answer {
    throw new Refusal(405, 'There is nothing to POST to.');
  }

  return {
    MKCOL: mkcol,
    PUT: put,
    DELETE: remove,
    COPY: copy,
    MOVE: move,
    LOCK: lock,
    UNLOCK: unlock,
    PROPPATCH: proppatch,
    POST: post,
  };
}
