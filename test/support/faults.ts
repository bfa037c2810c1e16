/** What a server, or whatever answers in its place, can do wrong: tables for every endpoint that is asked. */
import { gzipSync } from 'node:zlib';
import type { PowerFolderErrorCode } from 'passport-powerfolder';
import type { PowerFolderFault } from 'passport-powerfolder/testing';

/** A fault, and the error that it has to end in. */
export interface FaultRow {
  name: string;
  fault: PowerFolderFault;
  code: PowerFolderErrorCode;
  /** Status of the error, where a whole answer came; else it may have the one that came before the rest did not. */
  status?: number;
}

const MiB = 2 ** 20;
/** An answer that would be fine at the token endpoint, and is not too short to be cut. */
const tokens = { access_token: '1abc-def', refresh_token: '1ghi-jkl', expires_in: 86_400 };
const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n';
const latin1 = Buffer.from('{"access_token":"x","firstname":"J\xfcrgen"}', 'latin1');

/** Below the answer: what is the same at every endpoint, whatever it wants to hear. */
export const wireFaults: FaultRow[] = [
  { name: 'silence', fault: { silence: true }, code: 'timeout' },
  { name: 'headers byte by byte', fault: { drip: { everyMs: 50 } }, code: 'timeout' },
  { name: 'a body byte by byte', fault: { drip: { everyMs: 50, from: 'body' }, body: tokens }, code: 'timeout' },
  { name: 'headers and no more than a space', fault: { chunked: [' ', '{}'], everyMs: 60_000 }, code: 'timeout' },
  { name: 'half a body', fault: { chunked: ['{"access_token":', '"x"}'], everyMs: 60_000 }, code: 'timeout' },
  { name: 'half a body of an error', fault: { status: 500, chunked: ['<h1>', 'x'], everyMs: 60_000 }, code: 'timeout' },

  { name: 'a reset at once', fault: { resetAfter: 0 }, code: 'connection_lost' },
  { name: 'a reset after one byte', fault: { resetAfter: 1 }, code: 'connection_lost' },
  { name: 'a reset in the headers', fault: { resetAfter: 40, body: tokens }, code: 'connection_lost' },
  { name: 'a reset in the body', fault: { resetAfter: 170, body: tokens }, code: 'connection_lost' },
  { name: 'a close at once', fault: { closeAfter: 0 }, code: 'connection_lost' },
  { name: 'a close after one byte', fault: { closeAfter: 1 }, code: 'connection_lost' },
  { name: 'a close in the headers', fault: { closeAfter: 40, body: tokens }, code: 'connection_lost' },
  { name: 'a close in the body', fault: { closeAfter: 170, body: tokens }, code: 'connection_lost' },
  {
    name: 'a body shorter than its Content-Length',
    fault: { headers: { 'Content-Length': '500' }, body: tokens },
    code: 'connection_lost',
  },
  {
    name: 'chunks without an end',
    fault: { raw: `${head}Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n` },
    code: 'connection_lost',
  },
  {
    name: 'a Content-Length beyond counting',
    fault: raw('Content-Length: 99999999999999999999'),
    code: 'connection_lost',
  },
  { name: 'two Content-Lengths', fault: raw('Content-Length: 2\r\nContent-Length: 3'), code: 'connection_lost' },
  {
    name: 'both Content-Length and chunks',
    fault: raw('Content-Length: 2\r\nTransfer-Encoding: chunked'),
    code: 'connection_lost',
  },
  { name: 'a 100 that nobody waits for', fault: { raw: 'HTTP/1.1 100 Continue\r\n\r\n' }, code: 'connection_lost' },
  { name: 'a 102 and nothing more', fault: { raw: 'HTTP/1.1 102 Processing\r\n\r\n' }, code: 'connection_lost' },
  {
    name: 'a thousand early hints and nothing more',
    fault: { raw: 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(1000) },
    code: 'connection_lost',
  },

  { name: 'SSH', fault: { raw: 'SSH-2.0-OpenSSH_9.2\r\n' }, code: 'not_http' },
  { name: 'SMTP', fault: { raw: '220 mail.example.com ESMTP\r\n' }, code: 'not_http' },
  { name: 'a TLS alert', fault: { raw: Buffer.from('15030100020246', 'hex') }, code: 'not_http' },
  {
    name: 'binary rubbish',
    fault: { raw: Buffer.from(Array.from({ length: 256 }, (_, i) => 255 - i)) },
    code: 'not_http',
  },
  { name: 'JSON without HTTP', fault: { raw: JSON.stringify(tokens) }, code: 'not_http' },
  { name: 'a header that is none', fault: raw('Bad Header'), code: 'not_http' },
  { name: 'NUL in a header', fault: raw('X-A: a\0b'), code: 'not_http' },
  { name: 'a negative Content-Length', fault: raw('Content-Length: -1'), code: 'not_http' },
  {
    name: 'a chunk of no known size',
    fault: { raw: `${head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n` },
    code: 'not_http',
  },
  { name: 'the status 000', fault: { raw: 'HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n' }, code: 'not_http' },
  {
    name: 'a 101 that nobody asked for',
    fault: { raw: 'HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n' },
    code: 'not_http',
  },

  { name: 'a body of 64 MiB', fault: { flood: 64 * MiB }, code: 'too_large', status: 200 },
  { name: 'an error of 64 MiB', fault: { status: 500, flood: 64 * MiB }, code: 'too_large', status: 500 },
  {
    name: 'a body of 64 MiB that says so',
    fault: { headers: { 'Content-Length': String(64 * MiB) }, flood: 64 * MiB },
    code: 'too_large',
    status: 200,
  },
  { name: 'headers of 64 MiB', fault: { raw: `${head}X-A: ${'a'.repeat(64 * MiB)}` }, code: 'not_http' },
  { name: 'headers without end', fault: { raw: head + 'X-A: a\r\n'.repeat(20_000) }, code: 'not_http' },
];

function raw(header: string): PowerFolderFault {
  return { raw: `${head}${header}\r\n\r\n{}` };
}

/** Redirects to `location`, none of which may be followed. */
export function redirectFaults(location: string): FaultRow[] {
  return [300, 301, 302, 303, 304, 305, 307, 308].map((status) => ({
    name: `a redirect by ${status}`,
    fault: { status, headers: { Location: location } },
    code: 'redirected' as const,
    status,
  }));
}

/** Whole answers that are not the JSON object that the token endpoint and the profile endpoint have to give. */
export const bodyFaults: FaultRow[] = [
  ...[
    ['nothing', ''],
    ['white space', ' \r\n'],
    ['a page', '<!DOCTYPE html><title>Log in</title>'],
    ['plain text', 'OK'],
    ['null', 'null'],
    ['an array', '[{"access_token":"x","ID":"x"}]'],
    ['a string', '"x"'],
    ['a number', '1'],
    ['true', 'true'],
    ['half a JSON object', '{"access_token":"x","ID":"x"'],
    ['two JSON objects', '{"access_token":"x","ID":"x"}{}'],
    ['JavaScript', "({access_token:'x',ID:'x'})"],
    ['a form', 'access_token=x&ID=x'],
    ['a hundred thousand brackets', '['.repeat(100_000)],
  ].map(([name = '', body = '']) => ({ name, fault: { body }, code: 'not_json' as const, status: 200 })),
  { name: 'a 204', fault: { status: 204 }, code: 'not_json', status: 204 },
  { name: 'a 205', fault: { status: 205 }, code: 'not_json', status: 205 },
  { name: 'invalid UTF-8', fault: { body: latin1 }, code: 'not_json', status: 200 },
  {
    name: 'a gzip bomb',
    fault: { headers: { 'Content-Encoding': 'gzip' }, body: gzipSync(Buffer.alloc(64 * MiB, '{"a":')) },
    code: 'not_json',
    status: 200,
  },
  { name: 'a page with status 500', fault: { status: 500, body: '<h1>Error</h1>' }, code: 'refused', status: 500 },
  { name: 'nothing with status 503', fault: { status: 503 }, code: 'refused', status: 503 },
  { name: 'a page in Latin-1 with status 502', fault: { status: 502, body: latin1 }, code: 'refused', status: 502 },
  { name: 'status 418 with null', fault: { status: 418, body: 'null' }, code: 'refused', status: 418 },
  {
    name: 'the status 999',
    fault: { raw: 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n' },
    code: 'refused',
    status: 999,
  },
];

const wrong = (member: string, values: unknown[]): FaultRow[] =>
  values.map((value) => ({
    name: `${member} ${JSON.stringify(value)}`,
    fault: { body: { ...tokens, [member]: value } },
    code: 'invalid_response',
    status: 200,
  }));

/** JSON objects that are no token response (RFC 6749 section 5.1). */
export const tokenFaults: FaultRow[] = [
  ...wrong('access_token', ['', ' ', 'a b', 'a\r\nX: b', 'a\tb', 'ä', 'a\u0000', null, 1, true, [], ['x'], {}]),
  ...wrong('token_type', ['', 'mac', 'Bearer ', 'bearer\n', 1, true, ['bearer'], {}]),
  ...wrong('expires_in', [
    0,
    -1,
    -0.5,
    '',
    '.5',
    '5.',
    '1.5.1',
    '+5',
    '0',
    '-1',
    'NaN',
    'Infinity',
    '1e3',
    ' 60',
    '  5 ',
    '60\n',
    '٣',
    '0x10',
    '6_0',
    true,
    false,
    [],
    [60],
    {},
  ]),
  ...wrong('refresh_token', ['a b', 'a\nb', 'ü', 1, false, [], {}]),
  ...wrong('error', [0, false, '', ' ', [], {}, { code: 'x' }]),
  ...[
    ['no members', '{}'],
    ['an access_token by __proto__', '{"__proto__":{"access_token":"x"}}'],
    ['an access_token twice, the last one empty', '{"access_token":"x","access_token":""}'],
    ['a token of another spelling', '{"accessToken":"x"}'],
    ['nothing but null', '{"access_token":null,"refresh_token":null,"expires_in":null,"error":null}'],
    ['an access_token of more than 8 KiB', `{"access_token":"${'x'.repeat(8193)}"}`],
    ['a refresh_token of more than 8 KiB', `{"access_token":"x","refresh_token":"${'x'.repeat(8193)}"}`],
  ].map(([name = '', body = '']) => ({ name, fault: { body }, code: 'invalid_response' as const, status: 200 })),
];

/** Answers that are no account. */
export const profileFaults: FaultRow[] = [
  ...['', ' ', null, 0, 7, true, [], ['x'], {}].map((ID) => ({
    name: `ID ${JSON.stringify(ID)}`,
    fault: { body: { username: 'ada', ID } },
    code: 'profile_without_id' as const,
  })),
  ...[
    ['no members', '{}'],
    ['an ID by __proto__', '{"__proto__":{"ID":"x"},"username":"ada"}'],
    ['an ID twice, the last one empty', '{"ID":"x","ID":""}'],
    ['an e-mail only', '{"emails":["ada@example.org"]}'],
    ['two accounts', '{"ResultSet":{"Result":[{"ID":"x"},{"ID":"y"}]}}'],
    ['account: null', '{"account":null}'],
    ['account: null and ResultSet: null', '{"ID":null,"account":null,"ResultSet":null}'],
    ['a list of null', '{"ResultSet":{"Result":[null,null]}}'],
    ['Result: null', '{"ResultSet":{"Result":null}}'],
    ['ResultSet: [ ]', '{"ResultSet":[]}'],
  ].map(([name = '', body = '']) => ({ name, fault: { body }, code: 'profile_without_id' as const })),
  ...[401, 403, 404].flatMap((status) =>
    [latin1, '', '<h1>No</h1>'].map((body, index) => ({
      name: `status ${status} with ${['Latin-1', 'nothing', 'a page'][index]}`,
      fault: { status, body },
      code: 'profile_refused' as const,
      status,
    })),
  ),
];
