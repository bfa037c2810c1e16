import { inspect } from 'node:util';
import { PowerFolderError, type PowerFolderErrorCode, serverAnswer } from '../../lib/errors.ts';

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
