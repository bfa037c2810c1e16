/** The option `customHeaders`, checked. */
import { validateHeaderName, validateHeaderValue } from 'node:http';
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

/** As they are sent, by names in lower case. Not by `Headers`, since that loads all of fetch. */
export function sentHeaders(customHeaders: Record<string, string>): Record<string, string> {
  try {
    for (const [name, value] of Object.entries(customHeaders)) {
      validateHeaderName(name);
      validateHeaderValue(name, value);
    }
  } catch {
    // The reason quotes the name, which may be a value that stands in the wrong place.
    throw invalidHeaders();
  }
  return Object.fromEntries(Object.entries(customHeaders).map(([name, value]) => [name.toLowerCase(), value]));
}

function invalidHeaders(): TypeError {
  return new ConfigurationMistake(
    'customHeaders',
    'must be an object of valid header names and values, each value a string',
  );
}
