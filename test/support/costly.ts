/** Who reads what comes from outside, and inputs of a given size that could be expensive for them. */
import { once } from 'node:events';
import { createServer, IncomingMessage, ServerResponse } from 'node:http';
import { type AddressInfo, Socket } from 'node:net';
import type { Request } from 'express';
import { readAuthorizationResponse } from '../../lib/authorization.ts';
import { callbackRoute, callbackTest } from '../../lib/callback-route.ts';
import { PowerFolderClient } from '../../lib/client.ts';
import { checkedTransport } from '../../lib/configuration.ts';
import { CookieStateStore } from '../../lib/cookie-state.ts';
import { requestProfile } from '../../lib/profile.ts';
import { registerClient } from '../../lib/registration.ts';

/** Bytes of the largest answer that is read. */
const largestAnswer = 256 * 1024;
/** Bytes of the largest URL, and of the largest headers, that Node lets through. */
const largestHead = 16 * 1024;
/** Characters of the longest code that fits into an authorization response. */
const longestCode = 4000;

/** CPU milliseconds that this process spends on some work: other processes do not count, however busy they are. */
export async function cost(work: () => unknown): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

/** A reader and a shape; `input` makes the input at a part of its largest size, and gives what reads it. */
export interface Case {
  reader: string;
  shape: string;
  input(part: number): () => unknown;
}

function fill(piece: string, size: number): string {
  return piece.repeat(Math.floor(size / piece.length));
}

function list(size: number, item: (index: number) => string): string[] {
  const items: string[] = [];
  for (let length = 0; length < size; length += (items.at(-1) ?? '').length + 1) items.push(item(items.length));
  // The last one may be too much.
  return items.slice(0, -1);
}

/** A code of so many letters and digits, of which no eight characters come twice. */
function code(length: number): string {
  return list(length + 8, (index) => (index * 7919).toString(36))
    .join('Q')
    .slice(0, length);
}

/** The same of characters that are escaped wherever they are escaped at all. */
function escapedCode(length: number): string {
  return code(length).replace(/.../g, '$&"/').slice(0, length);
}

/** JSON values. They hold a part of the code, as an answer may repeat it. */
const values: Record<string, (size: number) => string> = {
  'a long string': (size) => JSON.stringify(fill('x', size)),
  'a string of spaces': (size) => JSON.stringify(fill(' ', size)),
  'a string of control characters': (size) => `"${fill('\\u0000', size)}"`,
  'a string of signs': (size) => JSON.stringify(fill('<', size)),
  'a string of emoji': (size) => JSON.stringify(fill('🦊', size / 2)),
  'a string of marks': (size) => JSON.stringify(fill('[hidden]', size)),
  'the code, again and again': (size) => JSON.stringify(fill(code(longestCode), size)),
  'all but the code': (size) => JSON.stringify(fill(`${code(longestCode).slice(8, 15)} `, size)),
  digits: (size) => fill('1', size),
  'short strings': (size) => `[${fill('"a",', size)}"a"]`,
  'empty strings': (size) => `[${fill('"",', size)}""]`,
  'strings of the code': (size) => `[${list(size, (index) => `"${code(800).slice(index % 790, (index % 790) + 8)}"`)}]`,
  nulls: (size) => `[${fill('null,', size)}null]`,
  numbers: (size) => `[${fill('1,', size)}1]`,
  'empty objects': (size) => `[${fill('{},', size)}{}]`,
  'many keys': (size) => `{${list(size, (index) => `"k${index}":0`)}}`,
  'keys that are numbers': (size) => `{${list(size, (index) => `"${index * 131_071}":0`)}}`,
  'strings by many keys': (size) => `{${list(size, (index) => `"k${index}":"a"`)}}`,
  'nested arrays': (size) => fill('[', size / 2) + fill(']', size / 2),
  'nested objects': (size) => `${fill('{"a":', size * 0.8)}0${fill('}', size * 0.16)}`,
};

/** Bodies that are no JSON. */
const texts: Record<string, (size: number) => string> = {
  'a page of brackets': (size) => fill('<', size),
  'a page that begins late': (size) => `${fill(' ', size - 6)}<html>`,
  'a page of beginnings': (size) => fill('<!doctype ', size),
  'a page of one beginning': (size) => `<!doctype${fill(' ', size - 9)}`,
  'a page of the code': (size) => `<p>${fill(code(longestCode), size - 3)}`,
  'a page of words': (size) => `<p>${fill('e ', size - 3)}`,
  spaces: (size) => fill(' ', size),
  'brackets that stay open': (size) => fill('[', size),
  'objects that stay open': (size) => fill('{"a":', size),
  'a string that stays open': (size) => `"${fill('\\\\', size - 1)}`,
};

/** What answers; the cost of sending is small beside that of reading. */
const answering = { requests: 0, status: 200, headers: {} as Record<string, string | string[]>, body: Buffer.alloc(0) };

/** Starts the server that all readers of answers ask. */
export async function startAnswering(): Promise<{ url: string; close(): void }> {
  const server = createServer((req, res) => {
    answering.requests++;
    req.resume();
    res.writeHead(answering.status, answering.headers);
    res.end(answering.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function readAnswer(answer: Omit<typeof answering, 'requests'>, read: () => Promise<unknown>): Promise<void> {
  Object.assign(answering, answer, { requests: 0 });
  // Most of these answers end in errors, as they are meant to.
  await read().catch(() => undefined);
  if (answering.requests !== 1) throw new Error(`Asked ${answering.requests} times`);
}

interface AnswerReader {
  reader: string;
  status: number;
  /** The answers that a value is put into. */
  frames: ((value: string) => string)[];
  read(url: string, codeLength: number): Promise<unknown>;
}

function client(url: string, clientSecret: string): PowerFolderClient {
  return new PowerFolderClient({ serverURL: url, clientID: 'client', clientSecret });
}

const refused = [(value: string) => `{"error":"invalid_request","x":${value}}`];
const refusedInWords = [...refused, (value: string) => `{"error":"invalid_request","error_description":${value}}`];

const answerReaders: AnswerReader[] = [
  {
    reader: 'tokens',
    status: 200,
    frames: [
      (value) => `{"access_token":"1a-b","x":${value}}`,
      (value) => `{"access_token":${value}}`,
      (value) => `{"access_token":"1a-b","expires_in":${value}}`,
    ],
    read: (url) => client(url, 'a secret').requestTokens('1code'),
  },
  ...[code, escapedCode].map((ofLength) => ({
    reader: `a refusal after ${ofLength === code ? 'a long code' : 'a long code of characters that are escaped'}`,
    status: 400,
    frames: ofLength === code ? refusedInWords : refused,
    read: (url: string, codeLength: number) => client(url, 'a secret').requestTokens(ofLength(codeLength)),
  })),
  {
    reader: 'a refusal after a refresh token of 8 KiB',
    status: 400,
    frames: refused,
    read: (url, codeLength) => client(url, 'a secret').refreshAccessToken(code(2 * codeLength)),
  },
  {
    reader: 'a refusal after a secret of one letter',
    status: 400,
    frames: refusedInWords,
    read: (url) => client(url, 'e').requestTokens('1code'),
  },
  {
    reader: 'an account',
    status: 200,
    frames: [
      (value) => `{"ID":"x","x":${value}}`,
      (value) => `{"ID":${value}}`,
      (value) => `{"ID":"x","emails":${value}}`,
      (value) => `{"ID":"x","firstname":${value}}`,
      (value) => `{"ResultSet":{"Result":${value}}}`,
    ],
    read: (url) => requestProfile(`${url}/api/accounts`, '1token', checkedTransport({})),
  },
  ...[200, 400].map((status) => ({
    reader: `a registration's answer with status ${status}`,
    status,
    frames: [(value: string) => `{"x":${value}}`, (value: string) => `{"error":${value}}`],
    read: (url: string) => registerClient({ serverURL: url, admin: { username: 'admin', password: 'password' } }),
  })),
];

/** Every reader of answers with every shape of them: the code grows along with the answer. */
export function answerCases(url: () => string): Case[] {
  return answerReaders.flatMap(({ reader, status, frames, read }) => {
    const bodies = [
      ...Object.entries(values).flatMap(([shape, ofSize]) =>
        frames.map((frame) => ({
          shape: frame(shape),
          body: (size: number) => frame(ofSize(size - frame('').length)),
        })),
      ),
      ...Object.entries(texts).map(([shape, body]) => ({ shape, body })),
    ];
    return bodies.map(({ shape, body }) => ({
      reader,
      shape,
      input: (part: number) => {
        const answer = { status, headers: {}, body: Buffer.from(body(largestAnswer * part)) };
        return async () => {
          await readAnswer(answer, () => read(url(), longestCode * part));
        };
      },
    }));
  });
}

/** One letter after the other. */
const letter = (index: number) => String.fromCharCode(0x400 + index);

const heads: Record<string, (size: number) => Record<string, string | string[]>> = {
  'one long header': (size) => ({ 'x-a': fill('a', size) }),
  'many headers': (size) => Object.fromEntries(list(size / 2, (index) => `x-${index}`).map((name) => [name, 'a'])),
  'one header many times': (size) => ({ 'set-cookie': list(size / 4, () => 'a=b') }),
  'a long Content-Type': (size) => ({ 'content-type': `application/json;${fill(' a=b;', size)}` }),
  'a Location of steps': (size) => ({ location: fill('../', size) }),
  'a Location of slashes': (size) => ({ location: fill('/', size) }),
  'a Location of escapes': (size) => ({ location: `https://${fill('%61', size)}` }),
  'a Location of a host of many letters': (size) => ({
    location: `https://${list(size, (index) => encodeURIComponent(letter(index)))
      .join('')
      .slice(0, -6)}/`,
  }),
};

/** Every reader of answers with every shape of headers. */
export function headCases(url: () => string): Case[] {
  const readers = answerReaders.flatMap((each) => [
    each,
    { ...each, status: 302, reader: `${each.reader}, redirected` },
  ]);
  return readers.flatMap(({ reader, status, read }) =>
    Object.entries(heads).map(([shape, ofSize]) => ({
      reader,
      shape,
      input: (part: number) => {
        // Less than the largest, for the status line and what the server adds.
        const answer = { status, headers: ofSize((largestHead - 1024) * part), body: Buffer.from('{}') };
        return async () => {
          await readAnswer(answer, () => read(url(), 20));
        };
      },
    })),
  );
}

const urls: Record<string, (size: number) => string> = {
  slashes: (size) => fill('/', size),
  'slashes and a letter': (size) => `${fill('/', size - 1)}x`,
  'callback paths': (size) => fill('/oauth', size),
  'path forms': (size) => fill('/code=', size),
  'a long path form': (size) => `/oauth/code=${fill('a', size)}&state=s`,
  'a long code in the query': (size) => `/oauth?code=${fill('a', size)}&state=s`,
  'an escaped code': (size) => `/oauth?code=${fill('%C3%BC', size)}&state=s`,
  'empty parameters': (size) => `/oauth?${fill('&', size)}`,
  'equals signs': (size) => `/oauth?${fill('=', size)}`,
  'question marks': (size) => fill('?', size),
  'parameters without values': (size) => `/oauth?${fill('a&', size)}`,
  codes: (size) => `/oauth?${fill('code=a&', size)}`,
  'malformed codes': (size) => `/oauth?${fill('code=%&', size)}`,
  'malformed names': (size) => `/oauth?${fill('%&', size)}`,
  'malformed names with values': (size) => `/oauth?${fill('%ff=%ff&', size)}`,
  'long names': (size) => `/oauth?${fill('%61', size)}=a`,
  'spaces in a description': (size) => `/oauth?error=a&error_description=${fill('+', size)}&state=s`,
  schemes: (size) => fill('http://', size),
  'a long scheme': (size) => fill('a', size),
  'a long host': (size) => `http://${fill('a', size)}`,
};

const urlReaders: Record<string, (url: string) => unknown> = {
  readAuthorizationResponse,
  'callbackTest, a short path': (
    (test) => (originalUrl: string) =>
      test({ originalUrl })
  )(callbackTest('/oauth')),
  'callbackTest, a long path': (
    (test) => (originalUrl: string) =>
      test({ originalUrl })
  )(callbackTest('/oauth'.repeat(500))),
  'callbackRoute, a short path': (
    (route) => (url: string) =>
      route.exec(url)
  )(callbackRoute('/oauth')),
  'callbackRoute, a long path': (
    (route) => (url: string) =>
      route.exec(url)
  )(callbackRoute('/oauth'.repeat(500))),
  'making a callbackTest': (url) => callbackTest(url),
  'making a callbackRoute': (url) => {
    try {
      return callbackRoute(url);
    } catch {
      return undefined;
    }
  },
};

const cookieStore = new CookieStateStore({ secret: ['1', '2', '3'].map((digit) => digit.repeat(32)) });
const cookieMeta = {
  strategy: 'powerfolder',
  authorizationURL: 'https://pf.example/oauth/allow',
  tokenURL: 'https://pf.example/oauth/token',
  clientID: 'client',
  callbackURL: 'https://app.example/oauth',
};

function requestWithCookies(cookie: string): Request {
  const request = new IncomingMessage(new Socket());
  request.headers.cookie = cookie;
  return Object.assign(request, { res: new ServerResponse(request) }) as never;
}

/** A pair of name and value as the store itself sets it. */
function sealedCookie(): string {
  const request = requestWithCookies('');
  cookieStore.pendingSignIns(600_000).begin(request, undefined, undefined, cookieMeta);
  return String(request.res?.getHeader('set-cookie')).split(';')[0] ?? '';
}

const cookieName = (index: number) => `__Host-powerfolder-${String(index).padStart(22, 'x')}`;
const headersOfCookies: Record<string, (size: number) => string> = {
  semicolons: (size) => fill(';', size),
  'equals signs': (size) => fill('=', size),
  spaces: (size) => fill(' ', size),
  'a name that does not end': (size) => `__Host-powerfolder-${fill('x', size)}`,
  'a long value': (size) => `${cookieName(1)}=${fill('A', size)}`,
  'values that open with no key': (size) => list(size, (index) => `${cookieName(index)}=${'A'.repeat(40)}`).join(';'),
  'one name again and again': (size) => list(size, () => `${cookieName(1)}=${'A'.repeat(40)}`).join(';'),
  'pending sign-ins': (size) => list(size, sealedCookie).join(';'),
  'cookies of others': (size) => fill('a=b;', size),
};
const cookieReaders: Record<string, (header: string) => unknown> = {
  'CookieStateStore, which begins': (header) =>
    cookieStore.pendingSignIns(600_000).begin(requestWithCookies(header), undefined, undefined, cookieMeta),
  'CookieStateStore, which takes an answer': (header) =>
    cookieStore.pendingSignIns(600_000).take(requestWithCookies(header), 'a'.repeat(32), cookieMeta),
};

/** Every reader of cookies with every shape of them. */
export function cookieCases(): Case[] {
  return Object.entries(cookieReaders).flatMap(([reader, read]) =>
    Object.entries(headersOfCookies).map(([shape, ofSize]) => ({
      reader,
      shape,
      input: (part: number) => {
        const header = ofSize(largestHead * part);
        return () => read(header);
      },
    })),
  );
}

/** Every reader of URLs with every shape of them. */
export function urlCases(): Case[] {
  return Object.entries(urlReaders).flatMap(([reader, read]) =>
    Object.entries(urls).map(([shape, ofSize]) => ({
      reader,
      shape,
      input: (part: number) => {
        const url = ofSize(largestHead * part);
        return () => read(url);
      },
    })),
  );
}
