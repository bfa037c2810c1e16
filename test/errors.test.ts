import { inspect } from 'node:util';
import { failure, failureStatus, PowerFolderError, plainText, withoutSecrets } from '../lib/errors.ts';

describe('PowerFolderError', () => {
  it('has a name, a code, and the status and cause that there were', () => {
    const cause = new Error('x');
    const error = new PowerFolderError('refused', 'No.', { status: 418, cause });
    expect(error).toBeInstanceOf(Error);
    expect({ ...error }).toEqual({ code: 'refused', status: 418 });
    expect([error.name, error.message, error.cause]).toEqual(['PowerFolderError', 'No.', cause]);
    expect(inspect(error)).toMatch(/^PowerFolderError: No\./);
  });

  it('has neither when there was none', () => {
    const error = new PowerFolderError('timeout', 'Late.');
    expect('status' in error || 'cause' in error).toBe(false);
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
    ['hides secrets before it cuts', `${'x'.repeat(195)}secret`, `${'x'.repeat(195)}[hidd`],
  ])('%s', (_, text, expected) => {
    expect(plainText(text, ['secret'])).toBe(expected);
  });
});

describe('withoutSecrets', () => {
  it('R29: blots out every occurrence, as it is and as it stands in a URL, and minds no empty secret', () => {
    expect(withoutSecrets('a s/1 b s%2F1 c s/1', ['s/1', ''])).toBe('a [hidden] b [hidden] c [hidden]');
  });
});
