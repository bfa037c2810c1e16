import { inspect } from 'node:util';
import {
  failure,
  failureStatus,
  PowerFolderError,
  type PowerFolderErrorCode,
  plainText,
  serverAnswer,
  withoutSecrets,
} from '../lib/errors.ts';

describe('PowerFolderError', () => {
  it("R51: has a name, a code, a status to answer, and the server's status and cause that there were", () => {
    const cause = new Error('x');
    const error = new PowerFolderError('refused', 'No.', { serverStatus: 418, cause });
    expect(error).toBeInstanceOf(Error);
    expect({ ...error }).toEqual({ code: 'refused', status: 502, serverStatus: 418 });
    expect([error.name, error.message, error.cause]).toEqual(['PowerFolderError', 'No.', cause]);
    expect(inspect(error)).toMatch(/^PowerFolderError: No\./);
  });

  it('has neither when there was none', () => {
    const error = new PowerFolderError('timeout', 'Late.');
    expect('serverStatus' in error || 'cause' in error).toBe(false);
  });
});

describe('the status of a PowerFolderError', () => {
  it.each<[PowerFolderErrorCode, number]>([
    ['timeout', 504],
    ['unreachable', 502],
    ['profile_refused', 502],
    ['sign_in_again', 502],
    ['session_required', 500],
    ['login_refused', 500],
    ['not_administrator', 500],
    ['not_powerfolder', 500],
  ])('R51: is for %s %d, whatever the server answered', (code, status) => {
    for (const serverStatus of [undefined, 200, 302, 401, 404, 500]) {
      expect(new PowerFolderError(code, 'No.', { serverStatus })).toMatchObject({ status });
    }
  });

  it.each([429, 503])('R51: is 503 where the server is busy (%d)', (serverStatus) => {
    expect(new PowerFolderError('refused', 'No.', { serverStatus, retryAfter: 0 })).toMatchObject({
      status: 503,
      serverStatus,
      retryAfter: 0,
    });
  });

  it('R51: is statusCode as well, with expose as http-errors has it, but stands in no inspection twice', () => {
    const error = new PowerFolderError('timeout', 'Late.');
    expect([error.statusCode, error.expose]).toEqual([504, false]);
    expect(inspect(error) + JSON.stringify(error)).not.toMatch(/statusCode|expose/);
  });
});

describe('serverAnswer', () => {
  const now = Date.UTC(2026, 10, 26);
  beforeEach(() => {
    jest.spyOn(Date, 'now').mockReturnValue(now);
  });
  afterEach(() => jest.restoreAllMocks());
  const retryAfter = (value: string | string[], status = 503) =>
    serverAnswer({ status, headers: { 'retry-after': value } }).retryAfter;

  it.each([
    ['seconds', '30', 30_000],
    ['no second', '0', 0],
    ['a date', 'Thu, 26 Nov 2026 00:02:00 GMT', 120_000],
    ['a date as RFC 850 has it', 'Thursday, 26-Nov-26 00:02:00 GMT', 120_000],
    ['the date of now', 'Thu, 26 Nov 2026 00:00:00 GMT', 0],
  ])('R51: reads %s in Retry-After, in milliseconds', (_, value, milliseconds) => {
    expect([retryAfter(value, 503), retryAfter(value, 429)]).toEqual([milliseconds, milliseconds]);
  });

  it.each([
    ['a date that is over', 'Wed, 25 Nov 2026 23:59:59 GMT'],
    ['nothing', ''],
    ['a word', 'soon'],
    ['a word with a year', 'foo 2099'],
    ['a year and a month', '2026-12'],
    ['a date of no weekday', '26 Nov 2026 00:02:00 GMT'],
    ['a date of another zone', 'Thu, 26 Nov 2026 00:02:00 PST'],
    ['a date that there is not', 'Thu, 99 Nov 2026 00:02:00 GMT'],
    ['less than nothing', '-5'],
    ['a fraction', '1.5'],
    ['an exponent', '1e3'],
    ['a hexadecimal number', '0x10'],
    ['spaces', ' 30'],
    ['more than a timer can wait', '2147484'],
    ['a date later than a timer can wait', 'Thu, 26 Nov 2099 00:00:00 GMT'],
    ['a number beyond counting', '9'.repeat(400)],
    ['two headers', ['30', '60']],
    ['two in one', '30, 60'],
  ])('R51: makes nothing of %s', (_, value) => {
    expect(serverAnswer({ status: 503, headers: { 'retry-after': value } })).toEqual({ serverStatus: 503 });
  });

  it.each([200, 301, 400, 401, 404, 500, 502, 504])('R51: does not read it with status %d', (status) => {
    expect(serverAnswer({ status, headers: { 'retry-after': '30' } })).toEqual({ serverStatus: status });
  });

  it('R51: has no retryAfter where there is no header', () => {
    expect(serverAnswer({ status: 503, headers: {} })).toEqual({ serverStatus: 503 });
  });
});

describe('failure', () => {
  it('has a sentence and a status for a code', () => {
    expect(failure('state_expired')).toEqual({
      code: 'state_expired',
      message: 'The sign-in took too long. Please sign in again.',
    });
    expect(failureStatus('state_expired')).toBe(403);
  });
});

describe('plainText', () => {
  it.each([
    ['keeps umlauts and punctuation', 'Ungültig: (Code), 50 % — nö!', 'Ungültig: (Code), 50 % — nö!'],
    ['makes one line', 'a\r\nb\tc\u2028d', 'a b c d'],
    ['drops what could be markup', '<script>alert("x")</script>\\`', 'script alert( x ) /script'],
    ['drops control and formatting characters', 'a\u0000\u001b[31m\u202eb', 'a [31m b'],
    ['is at most 200 characters', 'x'.repeat(300), 'x'.repeat(200)],
    ['leaves no half of a character at its end', `${'x'.repeat(199)}🦊`, 'x'.repeat(199)],
    ['has no spaces around it', ' a ', 'a'],
    ['hides secrets before it cuts', `${'x'.repeat(195)}secret`, `${'x'.repeat(195)}[hidd`],
  ])('%s', (_, text, expected) => {
    expect(plainText(text, ['secret'])).toBe(expected);
  });
});

describe('withoutSecrets', () => {
  it('R29: blots out every occurrence, as it is and as it stands in a URL, and minds no empty secret', () => {
    expect(withoutSecrets('a s/1 b s%2F1 c s/1', ['s/1', ''])).toBe('a [hidden] b [hidden] c [hidden]');
  });

  const secret = 'A "secret"/ü of a token+';
  const bytes = Buffer.from(secret);
  it.each([
    ['as it is', secret],
    ['in a URL', new URLSearchParams({ s: secret }).toString().slice(2)],
    ['in JSON', JSON.stringify(secret).slice(1, -1)],
    ['in hexadecimal digits', bytes.toString('hex')],
    ['in base64', bytes.toString('base64').slice(0, -4)],
  ])('R29: blots out a secret %s', (_, spelling) => {
    expect(withoutSecrets(`before ${spelling} after`, [secret])).toBe('before [hidden] after');
  });

  it.each(['', '#', '##'])('R29: blots out a secret in the base64 of a text in which %p is before it', (before) => {
    const text = Buffer.from(`${before}${secret}, and more`).toString('base64');
    const open = withoutSecrets(text, [secret]).split('[hidden]');
    // What hangs together with what is around it stays: a few bytes.
    expect(open).toHaveLength(2);
    expect(open[0]?.length).toBe(before === '' ? 0 : 4);
    expect(open[1]?.length).toBeLessThanOrEqual(24);
  });

  it.each([
    ['each part of 8 characters', 'x bcdefghi y', 'x [hidden] y'],
    ['its beginning', 'x abcdefgh y', 'x [hidden] y'],
    ['its end', 'x efghijkl y', 'x [hidden] y'],
    ['no part of 7', 'x abcdefg fghijkl y', 'x abcdefg fghijkl y'],
    ['parts one behind the other', 'xabcdefghijklabcdefghy', 'x[hidden][hidden]y'],
    ['parts with one character between', 'abcdefgh-abcdefgh', '[hidden]-[hidden]'],
  ])('R29: blots out %s', (_, text, expected) => {
    expect(withoutSecrets(text, ['abcdefghijkl'])).toBe(expected);
  });

  it('R29: blots out a secret of 7 characters only whole, one of 8 too', () => {
    expect(withoutSecrets('abcdefg abcdef 61626364656667', ['abcdefg'])).toBe('[hidden] abcdef 61626364656667');
    expect(withoutSecrets('abcdefgh abcdefg 6162636465666768', ['abcdefgh'])).toBe('[hidden] abcdefg [hidden]');
  });
});
