/** The option `customHeaders`, checked. */
import { ConfigurationMistake } from './errors.ts';
import { plainText } from './redact.ts';

/** Headers that are the strategy's or the connection's, or that would take a secret along. */
const ownHeaders = new Set([
  'authorization',
  'cookie',
  'content-type',
  'content-length',
  'content-encoding',
  'accept-encoding',
  'host',
  'transfer-encoding',
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authorization',
  'upgrade',
  'expect',
  'te',
  'trailer',
]);

/** A copy of `customHeaders`. No value is quoted in a message, as it may be secret. */
export function checkedHeaders(customHeaders: unknown): Record<string, string> {
  const isObject = typeof customHeaders === 'object' && customHeaders !== null && !Array.isArray(customHeaders);
  // A Map and a Headers object have no members, and would silently be empty.
  const isPlain = isObject && !(Symbol.iterator in customHeaders);
  const copy: Record<string, string> = isPlain ? { ...(customHeaders as object) } : {};
  if (!isPlain || Object.values(copy).some((value) => typeof value !== 'string')) throw invalidHeaders();
  if (Object.values(copy).some((value) => value !== value.trim())) {
    throw new ConfigurationMistake(
      'customHeaders',
      'has white space or a line end around a value; remove it, for instance with trim()',
    );
  }
  const names = new Set<string>();
  for (const name of Object.keys(copy)) {
    const header = name.toLowerCase();
    if (ownHeaders.has(header)) {
      throw new ConfigurationMistake(
        'customHeaders',
        `must not have ${header}, which the strategy or its connection sets; remove it`,
      );
    }
    if (names.has(header)) throw new ConfigurationMistake('customHeaders', `has ${plainText(name)} twice; remove one`);
    names.add(header);
  }
  return copy;
}

/** As undici sends them. */
export function sentHeaders(customHeaders: Record<string, string>): Record<string, string> {
  try {
    return Object.fromEntries(new Headers(customHeaders));
  } catch {
    // The reason quotes the value, which may be secret.
    throw invalidHeaders();
  }
}

function invalidHeaders(): TypeError {
  return new ConfigurationMistake(
    'customHeaders',
    'must be an object of valid header names and values, each value a string',
  );
}
