import { randomInt } from 'node:crypto';
import type { PowerFolderServerOptions } from './options.ts';

/** How long tokens live of which a report says only roughly how long: milliseconds. */
const lifetimes: Record<string, number> = {
  minutes: 10 * 60_000,
  'an hour': 3_600_000,
  hours: 8 * 3_600_000,
  'a day': 86_400_000,
  days: 7 * 86_400_000,
  'months or more': 365 * 86_400_000,
};

/**
 * The options of a server that does what a real one did, going by the report that `passport-powerfolder sign-in --report`
 * wrote: so that an application's tests run against its own server's ways. What the report does not tell is as ever.
 *
 * @param report The report's JSON, parsed.
 * @throws {TypeError} for what is no such report, or one of another version.
 *
 * @example
 * const report = JSON.parse(readFileSync('report.json', 'utf8'));
 * const server = await startPowerFolderServer({ ...optionsFromReport(report), autoApprove: 'ada' });
 */
export function optionsFromReport(report: unknown): PowerFolderServerOptions {
  const at = (...path: string[]): unknown =>
    path.reduce(
      (value: unknown, name) => (Object.hasOwn(Object(value), name) ? Object(value)[name] : undefined),
      report,
    );
  if (at('report') !== 'passport-powerfolder') {
    throw new TypeError('This is no report of passport-powerfolder sign-in --report');
  }
  if (at('version') !== 1) throw new TypeError('This report is of another version; this package reads version 1');
  const statusOf = (...path: string[]) => at(...path, 'status');
  const isGood = (...path: string[]) => Number(statusOf(...path)) >= 200 && Number(statusOf(...path)) <= 299;
  const oneOf = <T extends string>(value: unknown, known: readonly T[]) => known.find((each) => each === value);
  const options: PowerFolderServerOptions = {};

  if (at('server', 'contextPath') === true) options.contextPath = '/powerfolder';
  const clock = at('server', 'clock');
  if (clock === 'ahead' || clock === 'behind') options.clockSkew = clock === 'ahead' ? 600_000 : -600_000;
  if (at('authorization', 'method') === 'POST') options.allowMethods = ['POST'];

  const callbackStyle = oneOf(at('callback', 'form'), ['path', 'query']);
  if (callbackStyle) options.callbackStyle = callbackStyle;
  const alphabet = at('callback', 'code', 'alphabet');
  const length = Number(at('callback', 'code', 'length'));
  const characters = Array.isArray(alphabet) ? alphabet.map(charactersOf).join('') : '';
  if (characters !== '' && length > 0 && length <= 2048) options.code = () => random(characters, length);
  const bare = at('callback', 'code', 'bare');
  if (Array.isArray(bare) && bare.length > 0) options.encodeCode = false;

  const errors = { 'JSON object': 'json', page: 'page', empty: 'empty' } as const;
  const tokenErrors = oneOf(at('wrongSecret', 'body'), Object.keys(errors) as (keyof typeof errors)[]);
  if (tokenErrors) options.tokenErrors = errors[tokenErrors];
  if (at('tokens', 'refresh') === 'none') options.refreshTokens = false;
  const expiresIn = at('tokens', 'expiresIn');
  const unit = expiresIn === 'none' ? 'none' : oneOf(at('tokens', 'expiresIn', 'unit'), ['seconds', 'milliseconds']);
  if (unit) options.expiresIn = unit;
  const word = String(at('tokens', 'expiresIn', 'lifetime'));
  const lifetime = Object.hasOwn(lifetimes, word) ? lifetimes[word] : undefined;
  if (lifetime !== undefined) options.accessTokenLifetime = lifetime;

  if (statusOf('webdav', 'depth0') === 401) options.tokenLogin = false;
  else {
    const account = statusOf('account', 'bearer');
    if (account === 403) options.accountsAPI = 'admin-only';
    else if (typeof account === 'number' && account >= 400) options.accountsAPI = 'basic-only';
    if (statusOf('folders', 'bearer') === 401) options.foldersAPI = 'basic-only';
    if (statusOf('webdav', 'basic') === 401) options.tokenAsPassword = false;
  }
  const shape = oneOf(at('account', 'shape'), ['flat', 'account', 'resultset']);
  if (shape) options.accountShape = shape;
  if (at('webdav', 'depth0', 'redirect') === 'another host') options.cluster = true;

  const byGET = isGood('refresh', 'get') || at('refresh', 'getMadeUp', 'error') === 'invalid_grant';
  const byPOST = isGood('refresh', 'post') || isGood('refresh', 'postOfDeployedClient');
  if (byGET || byPOST)
    options.refreshMethods = [...(byPOST ? ['POST' as const] : []), ...(byGET ? ['GET' as const] : [])];
  if (at('refresh', 'rotates') === true) options.rotateRefreshTokens = true;

  const decline = at('decline');
  if (decline === 'did not return') options.decline = 'nothing';
  if (decline === 'a code came') options.consent = 'once';
  return options;
}

/** What is meant by a member of an alphabet: a range, or a sign. */
function charactersOf(member: unknown): string {
  const ranges: Record<string, string> = {
    '0-9': '0123456789',
    'a-f': 'abcdef',
    'A-F': 'ABCDEF',
    'a-z': 'abcdefghijklmnopqrstuvwxyz',
    'A-Z': 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  };
  if (typeof member !== 'string') return '';
  return (Object.hasOwn(ranges, member) && ranges[member]) || (/^[!-~]$/.test(member) ? member : '');
}

function random(characters: string, length: number): string {
  return Array.from({ length }, () => characters.charAt(randomInt(characters.length))).join('');
}
