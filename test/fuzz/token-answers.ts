/** Answers of the token endpoint, which may be broken, slow or hostile. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as turn } from 'node:timers/promises';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { PowerFolderClient, PowerFolderError, type PowerFolderTokens, TokenError } from 'passport-powerfolder';
import { startTestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { changed, type FuzzProperty, holds, must, secretsIn, Tally, type TextChange, textChange } from './property.ts';

const sent = {
  clientSecret: 'KoPqXv7w3ZsecretYt9LmR2',
  code: 'c0dE8hWn4Jq5bTzX1Vr6',
  refreshToken: 'rEf5hD2kM9sPq7LwY3xN',
};
const granted = { accessToken: 'aCc3sT8vB6nJ1mQz4GhU', newRefreshToken: 'nEw9rF4tZ2yH7cKd5SjW' };

/** What an error may not tell. A code is none to whoever refreshes, and a refresh token none to whoever signs in. */
function secretsOf(who: Answer['who']): Record<string, string> {
  const { clientSecret, code, refreshToken } = sent;
  return { ...granted, clientSecret, ...(who === 'client' ? { refreshToken } : { code }) };
}

interface Answer {
  who: 'client' | 'strategy';
  status: number;
  members: Record<string, unknown>;
  changes: TextChange[];
  encoding: 'utf8' | 'latin1' | 'utf16le' | 'bom';
  headers: [string, string][];
  framing: 'length' | 'chunked' | 'close' | 'too long' | 'too short' | 'bad chunk' | 'both' | 'raw';
  /** Where the connection is cut, as a part of the whole; 1 for not at all. */
  cut: number;
  /** What comes behind it. */
  after: 'end' | 'reset' | 'silence';
  pieces: number;
}

const mark = fc.constantFrom('', ' ', 'nonsense', ...Object.values(sent));
/** A text of the server's, in which what was sent comes back. */
const prose = fc.tuple(mark, fc.string({ unit: 'grapheme', maxLength: 10 }), mark).map((parts) => parts.join(' '));
const spelled = fc
  .constantFrom(...Object.values(sent))
  .chain((secret) =>
    fc.constantFrom(secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex'), `a${secret}b`),
  );
const anything = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1e308, 9e15, '', '0', '86400', [], {}, [[[]]], 'Bearer', 'mac'),
  fc.jsonValue({ maxDepth: 3 }),
  spelled,
);
const codes = fc.constantFrom('invalid_grant', 'invalid_client', 'invalid_request', 'ENOENT', '', 'x', 'error');
const or = <T>(usual: T) => fc.oneof({ weight: 4, arbitrary: fc.constant<unknown>(usual) }, anything);
const members = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record(
      {
        access_token: or(granted.accessToken),
        refresh_token: or(granted.newRefreshToken),
        expires_in: fc.oneof(or(86_400), fc.double(), fc.integer()),
        token_type: or('Bearer'),
      },
      { requiredKeys: ['access_token'] },
    ),
  },
  {
    weight: 2,
    arbitrary: fc.record(
      {
        error: fc.oneof(codes, prose, anything),
        error_description: fc.oneof(prose, anything),
        error_uri: fc.oneof(fc.webUrl(), prose, anything),
      },
      { requiredKeys: ['error'] },
    ),
  },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('error', 'access_token', '__proto__', 'constructor', 'toString', 'status', 'message', 'stack'),
      anything,
    ),
  },
);
const change = textChange(
  6,
  '',
  '"',
  '{',
  '}',
  '[',
  ',',
  '\\',
  '\\u0000',
  '\0',
  'null',
  '1e999',
  '<html>',
  '\ufeff',
  '\n',
  '[['.repeat(500),
  ' '.repeat(300_000),
);
const header = fc.tuple(
  fc.constantFrom(
    'Content-Type',
    'Content-Encoding',
    'Location',
    'Retry-After',
    'Date',
    'Set-Cookie',
    'X',
    'Trailer',
    'Connection',
    'Transfer-Encoding',
    'Upgrade',
    'WWW-Authenticate',
  ),
  fc.oneof(
    fc.constantFrom(
      'gzip',
      'application/json',
      '3',
      '1e9',
      '-1',
      'Fri, 31 Dec 9999 23:59:59 GMT',
      'close',
      'chunked',
      'http://a.example/',
      '//',
      'a'.repeat(20_000),
    ),
    spelled.map((secret) => `https://${secret}.example/${secret}?${secret}`),
    fc.stringMatching(/^[ -~]{0,12}$/),
  ),
);
const answers: fc.Arbitrary<Answer> = fc.record({
  who: fc.constantFrom<Answer['who']>('client', 'client', 'strategy'),
  status: fc.oneof(
    { weight: 3, arbitrary: fc.constant(200) },
    fc.constantFrom(201, 204, 205, 206, 304, 302, 307, 400, 401, 403, 404, 407, 418, 429, 500, 503, 999, 100, 103, 0),
  ),
  members,
  changes: fc.oneof({ weight: 2, arbitrary: fc.constant<TextChange[]>([]) }, fc.array(change, { maxLength: 3 })),
  encoding: fc.oneof(
    { weight: 6, arbitrary: fc.constant<Answer['encoding']>('utf8') },
    fc.constantFrom<Answer['encoding']>('latin1', 'utf16le', 'bom'),
  ),
  headers: fc.oneof({ weight: 2, arbitrary: fc.constant<[string, string][]>([]) }, fc.array(header, { maxLength: 3 })),
  framing: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom<Answer['framing']>('length', 'chunked', 'close') },
    fc.constantFrom<Answer['framing']>('too long', 'too short', 'bad chunk', 'both', 'raw'),
  ),
  cut: fc.oneof({ weight: 5, arbitrary: fc.constant(1) }, fc.double({ min: 0, max: 1, noNaN: true })),
  // Silence ends with the deadline, which takes its time.
  after: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom<Answer['after']>('end', 'reset') },
    fc.constant<Answer['after']>('silence'),
  ),
  pieces: fc.integer({ min: 1, max: 6 }),
});

function bodyOf({ members, changes, encoding }: Answer): Buffer {
  const json = changed(JSON.stringify(members), changes);
  return encoding === 'bom' ? Buffer.from(`\ufeff${json}`) : Buffer.from(json, encoding);
}

function bytesOf(answer: Answer): Buffer {
  const body = bodyOf(answer);
  const { status, headers, framing, pieces } = answer;
  if (framing === 'raw') return body;
  const lines = [`HTTP/1.1 ${status} X`, ...headers.map((pair) => pair.join(': '))];
  const { length } = body;
  if (framing === 'length' || framing === 'both') lines.push(`Content-Length: ${length}`);
  if (framing === 'too long') lines.push(`Content-Length: ${length + 7}`);
  if (framing === 'too short') lines.push(`Content-Length: ${Math.max(0, length - 7)}`);
  if (framing === 'close') lines.push('Connection: close');
  const isChunked = framing === 'chunked' || framing === 'bad chunk' || framing === 'both';
  if (isChunked) lines.push('Transfer-Encoding: chunked');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (!isChunked) return Buffer.concat([head, body]);
  const size = Math.max(1, Math.ceil(length / pieces));
  const chunks: Buffer[] = [head];
  for (let at = 0; at < length; at += size) {
    const chunk = body.subarray(at, at + size);
    const said = framing === 'bad chunk' && at > 0 ? 'zz' : chunk.length.toString(16);
    chunks.push(Buffer.from(`${said}\r\n`), chunk, Buffer.from('\r\n'));
  }
  return Buffer.concat([...chunks, Buffer.from('0\r\n\r\n')]);
}

async function write(socket: Socket, answer: Answer): Promise<void> {
  const bytes = bytesOf(answer);
  const until = Math.ceil(bytes.length * answer.cut);
  const size = Math.max(1, Math.ceil(until / answer.pieces));
  for (let at = 0; at < until && !socket.destroyed; at += size) {
    socket.write(bytes.subarray(at, Math.min(until, at + size)));
    await turn();
  }
  if (answer.after === 'end') socket.end();
  if (answer.after === 'reset') socket.resetAndDestroy();
}

/** Whether it is an answer as it should be, whose tokens are to be taken. */
function isGood({ status, members, changes, encoding, headers, framing, cut, after }: Answer): boolean {
  return (
    [status, encoding, cut].every((each) => [200, 'utf8', 1].includes(each)) &&
    [changes, headers].every((each) => each.length === 0) &&
    (framing === 'length' || framing === 'chunked') &&
    after === 'end' &&
    !('error' in members) &&
    members['access_token'] === granted.accessToken &&
    members['refresh_token'] === granted.newRefreshToken &&
    members['expires_in'] === 86_400 &&
    members['token_type'] === 'Bearer'
  );
}

const isToken = (value: unknown) => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) && value.length <= 8192;

function checkTokens({ accessToken, refreshToken, expiresAt }: PowerFolderTokens, seen: unknown): void {
  must(isToken(accessToken), 'The access token is none', seen);
  must(refreshToken === undefined || isToken(refreshToken), 'The refresh token is none', seen);
  must(expiresAt === undefined || !Number.isNaN(new Date(expiresAt).getTime()), 'The expiry is no time', seen);
}

function checkError(error: unknown, seen: Answer): string {
  must(error instanceof PowerFolderError || error instanceof TokenError, 'It is another error', { error, seen });
  const { code, message, stack, status } = error;
  must(typeof code === 'string' && code !== '', 'It has no code', { error, seen });
  must([500, 502, 503, 504].includes(status), 'It would be answered with another status', { error, seen });
  const told = [inspect(error, { depth: 8, showHidden: true }), message, stack, JSON.stringify(error)].join('\n');
  const found = secretsIn(told, secretsOf(seen.who));
  must(found.length === 0, `${found} is in what the error tells`, { told, seen });
  return error instanceof TokenError ? 'TokenError' : code;
}

export const tokenAnswers: FuzzProperty = {
  name: 'token-answers',
  says: 'an answer of the token endpoint gives tokens as they should be, or a typed error without secrets',
  few: 35,
  async start() {
    let answer: Answer | undefined;
    const server = createServer(async (req: IncomingMessage, res: ServerResponse) => {
      await text(req);
      const isAccount = req.url?.startsWith('/api/');
      if (isAccount || !answer) res.end(JSON.stringify({ ID: 'a', username: 'ada' }));
      // By hand from here on: no library writes such answers.
      else await write(req.socket, answer);
    });
    server.on('connection', (socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const serverURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const options = { serverURL, clientID: 'app', clientSecret: sent.clientSecret, timeout: 200 };
    const client = new PowerFolderClient(options);
    const app = await startTestApp({ options });
    const tally = new Tally();

    async function refreshed(given: Answer): Promise<string> {
      let tokens: PowerFolderTokens;
      try {
        tokens = await client.refreshAccessToken(sent.refreshToken);
      } catch (error) {
        return checkError(error, given);
      }
      checkTokens(tokens, { tokens, given });
      return 'tokens';
    }

    async function signedIn(given: Answer): Promise<string> {
      app.errors.length = 0;
      const browser = new Browser();
      const start = await browser.stay(`${app.url}/auth/powerfolder`);
      const state = new URL(String(start.headers['location'])).searchParams.get('state');
      const { status, text: body } = await browser.stay(`${app.url}/oauth/code=${sent.code}&state=${state}`);
      const { user, failure } = JSON.parse(body);
      if (user) {
        checkTokens(user.tokens, { user, given });
        return 'tokens';
      }
      const found = secretsIn(body, secretsOf(given.who));
      must(found.length === 0, `${found} is in what the visitor gets`, { body, given });
      if (failure) {
        must(status === 401 && failure.code === 'invalid_grant', 'It is another failure', { body, given });
        return 'invalid_grant';
      }
      must(app.errors.length === 1, 'There is not one error', { body, errors: app.errors, given });
      return checkError(app.errors[0], given);
    }

    const property = holds(answers, async (given) => {
      answer = given;
      const end = given.who === 'client' ? await refreshed(given) : await signedIn(given);
      tally.add(end);
      // On a busy machine the deadline may pass first.
      if (isGood(given)) must(end === 'tokens' || end === 'timeout', `A good answer ended in ${end}`, given);
    });
    async function close(): Promise<void> {
      await app.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};
