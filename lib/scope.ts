/** Scopes (RFC 6749 section 3.3): of the options, or of one sign-in. */
import { ConfigurationMistake } from './errors.ts';

/**
 * Checks a scope.
 *
 * @throws {TypeError} for an empty one as well: it would be sent.
 */
export function checkScope(scope: unknown, separator: string): void {
  const texts: unknown[] = Array.isArray(scope) ? scope : typeof scope === 'string' ? scope.split(' ') : [];
  const isToken = (text: unknown) => typeof text === 'string' && /^[!#-[\]-~]+$/.test(text);
  const isSplit = (text: unknown) => Array.isArray(scope) && String(text).includes(separator);
  if (texts.length > 0 && texts.every(isToken) && !texts.some(isSplit)) return;
  throw new ConfigurationMistake(
    'scope',
    'must be a string of scopes with a space between them, or an array of scopes, each of visible ASCII characters; leave it out to ask for none',
  );
}
