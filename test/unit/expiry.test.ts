/** R54: when a token expires, by `expires_in` and by what the token itself says. */
import { expiryAt, expiryInside, unitOf } from '../../lib/expiry.ts';

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Base58 by division of the bytes, as those who write tokens do it. */
function base58(bytes: Buffer): string {
  const digits: number[] = [];
  for (const byte of bytes) {
    let carry = byte;
    for (let i = 0; i < digits.length; i++) {
      carry += (digits[i] ?? 0) * 256;
      digits[i] = carry % 58;
      carry = Math.floor(carry / 58);
    }
    for (; carry > 0; carry = Math.floor(carry / 58)) digits.push(carry % 58);
  }
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return (
    '1'.repeat(zeros) +
    digits
      .reverse()
      .map((digit) => alphabet[digit])
      .join('')
  );
}

function tokenUntil(milliseconds: number): string {
  const bytes = Buffer.alloc(40, 0xa7);
  bytes.writeBigUInt64BE(BigInt(milliseconds));
  return `1WdXq2pRtZ-${base58(bytes)}`;
}

const now = Date.UTC(2026, 10, 27);
const day = 86_400_000;

describe('expiryInside', () => {
  it.each([now, now + day, now + 100 * day, Date.UTC(2011, 0, 1), Date.UTC(2199, 0, 1)])('reads %d', (expiry) => {
    expect(expiryInside(tokenUntil(expiry))).toBe(expiry);
  });

  it.each([
    ['', 'nothing'],
    ['opaque', 'another kind of token'],
    ['1a-b', 'too short'],
    [`${tokenUntil(now)}0`, 'a digit that Base58 has not'],
    [tokenUntil(now).slice(1), 'no 1 at the beginning'],
    [tokenUntil(now).replace('-', '_'), 'no hyphen'],
    [tokenUntil(60_000), 'another time than ours'],
    [tokenUntil(2 ** 50), 'the year 37000'],
    [`1a-${'z'.repeat(5000)}`, 'too long'],
  ])('takes %j for opaque: %s', (token) => {
    expect(expiryInside(token)).toBeUndefined();
  });
});

describe('expiryAt', () => {
  it.each<[expiresIn: number, token: string, lifetime: number | undefined, unit: object | undefined, why: string]>([
    [86_400, 'opaque', day, { unit: 'seconds', witness: 'size' }, 'RFC 6749'],
    [86_400, tokenUntil(now + day), day, { unit: 'seconds', witness: 'token' }, 'the token says so'],
    [
      86_400,
      tokenUntil(now + 9 * day),
      day,
      { unit: 'seconds', witness: 'size' },
      'the token says nothing of the kind',
    ],
    [day, tokenUntil(now + day), day, { unit: 'milliseconds', witness: 'token' }, 'the token says so'],
    [day, tokenUntil(now + day + 200_000), day, { unit: 'milliseconds', witness: 'token' }, 'clocks differ'],
    [day, 'opaque', day * 1000, { unit: 'seconds', witness: 'size' }, 'less than ten years, and no other witness'],
    [315_360_001, 'opaque', 315_360_001, { unit: 'milliseconds', witness: 'size' }, 'more than ten years of seconds'],
    [8e9, tokenUntil(now + 8e9), 8e9, { unit: 'milliseconds', witness: 'token' }, 'both say so'],
    [315_360_000_001, 'opaque', undefined, undefined, 'more than ten years of milliseconds'],
    [9e12, 'opaque', undefined, undefined, 'a time, and no duration'],
    [Number.POSITIVE_INFINITY, 'opaque', undefined, undefined, 'no time at all'],
  ])('takes %d with %.10s… for %s ms: %j, since %s', (expiresIn, token, lifetime, unit) => {
    expect(expiryAt(expiresIn, token, now)).toBe(lifetime === undefined ? undefined : now + lifetime);
    expect(unitOf(expiresIn, token, now)).toEqual(unit);
  });
});
