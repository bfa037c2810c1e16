import { inspect } from 'node:util';
import { failure, failureStatus, PowerFolderError, plainText, withoutSecrets } from '../lib/errors.ts';

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
