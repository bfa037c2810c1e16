import { failure, failureStatus } from '../../lib/failures.ts';

describe('failure', () => {
  it('has a sentence and a status for a code', () => {
    expect(failure('state_expired')).toEqual({
      code: 'state_expired',
      message: 'The sign-in took too long. Please sign in again.',
    });
    expect(failureStatus('state_expired')).toBe(403);
  });
});
