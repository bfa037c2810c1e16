/** When an access token expires: `expires_in` (RFC 6749 section 5.1), whose unit PowerFolder does not document. */

/** What is said of an expiry above this is not in seconds: ten years of them. */
const mostSeconds = 10 * 365 * 86_400;
/** Milliseconds by which two clocks may differ that mean the same expiry. */
const tolerance = 10 * 60_000;

/** In what unit an `expires_in` is, and which of the two witnesses says so. */
export interface LifetimeUnit {
  unit: 'seconds' | 'milliseconds';
  witness: 'token' | 'size';
}

/**
 * The unit of an `expires_in`. RFC 6749 has seconds, as the one deployed client takes it; the vendor names none, and keeps
 * milliseconds inside. So they are milliseconds where the expiry inside the token says so, or where they would be more than
 * ten years of seconds: what is taken for too short ends in a refresh too many, and what is taken for too long in a 401.
 *
 * @param expiresIn A number above 0.
 * @param issued When it was issued, in epoch milliseconds, by this machine's clock.
 * @returns undefined for what is implausible as either.
 */
export function unitOf(expiresIn: number, accessToken: string, issued: number): LifetimeUnit | undefined {
  const inside = expiryInside(accessToken);
  const isNear = (milliseconds: number) => inside !== undefined && Math.abs(issued + milliseconds - inside) < tolerance;
  if (expiresIn <= mostSeconds) {
    if (isNear(expiresIn * 1000)) return { unit: 'seconds', witness: 'token' };
    return isNear(expiresIn) ? { unit: 'milliseconds', witness: 'token' } : { unit: 'seconds', witness: 'size' };
  }
  if (expiresIn > mostSeconds * 1000) return undefined;
  return { unit: 'milliseconds', witness: isNear(expiresIn) ? 'token' : 'size' };
}

/**
 * The expiry in epoch milliseconds, counted from when the token was issued; undefined for what is implausible.
 *
 * @param expiresIn A number above 0.
 * @param issued In epoch milliseconds.
 */
export function expiryAt(expiresIn: number, accessToken: string, issued: number): number | undefined {
  const found = unitOf(expiresIn, accessToken, issued);
  return found && issued + Math.floor(found.unit === 'seconds' ? expiresIn * 1000 : expiresIn);
}

const base58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/**
 * The expiry that PowerFolder's own tokens hold, in epoch milliseconds: the first 8 bytes of the Base58 part behind the `-`.
 * Only a hint, as nothing protects it.
 *
 * @returns undefined for tokens of another kind.
 * @see docs/powerfolder-oauth2.md, "Token response"
 */
export function expiryInside(token: string): number | undefined {
  const [, text = ''] = /^1[1-9A-HJ-NP-Za-km-z]+-([1-9A-HJ-NP-Za-km-z]{11,120})$/.exec(token) ?? [];
  if (text === '') return undefined;
  let number = 0n;
  for (const digit of text) number = number * 58n + BigInt(base58.indexOf(digit));
  const digits = number.toString(16);
  // Base58 writes a zero byte at the beginning as a 1: an expiry of our time has two of them.
  const bytes = '00'.repeat(/^1*/.exec(text)?.[0].length ?? 0) + (digits.length % 2 ? `0${digits}` : digits);
  const expiry = Number.parseInt(bytes.slice(0, 16), 16);
  return bytes.length >= 16 && isOurTime(expiry) ? expiry : undefined;
}

/** Between 2010 and 2200: other bytes would hardly ever be. Refresh tokens live for a hundred years and more. */
function isOurTime(milliseconds: number): boolean {
  return milliseconds > 1.26e12 && milliseconds < 7.26e12;
}
