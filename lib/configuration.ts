/** What the configurations of a strategy and of a registration share: names of options, URLs, durations, the transport. */
import { defaultTimeout, type Transport } from './http.ts';

/**
 * Refuses an option in another spelling, such as `clientId`, which would silently be left out.
 *
 * @param known The options that there are.
 */
export function refuseMisspelt(options: object, known: readonly string[]): void {
  for (const given of Object.keys(options)) {
    const meant = known.find((name) => name.toLowerCase() === given.toLowerCase());
    if (meant && meant !== given) throw new TypeError(`There is no option ${given}; did you mean ${meant}?`);
  }
}

/**
 * The transport in a user's options, checked.
 *
 * @throws {TypeError} with the fix in the sentence.
 */
export function checkedTransport({
  timeout = defaultTimeout,
  dispatcher,
  allowInsecureHTTP = false,
}: { [K in 'timeout' | 'dispatcher' | 'allowInsecureHTTP']?: Transport[K] | undefined }): Transport {
  if (dispatcher !== undefined && typeof dispatcher?.dispatch !== 'function') {
    throw new TypeError(
      "dispatcher must be one of undici's, such as new Agent({ connect: { ca } }); an http.Agent is not",
    );
  }
  if (typeof allowInsecureHTTP !== 'boolean') throw new TypeError('allowInsecureHTTP must be one of false, true');
  return { timeout: milliseconds('timeout', timeout), headers: {}, dispatcher, allowInsecureHTTP };
}

/** A duration of the configuration: within what setTimeout can count. */
export function milliseconds(option: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value < 2 ** 31) return value;
  throw new TypeError(`${option} must be a whole number of milliseconds above 0`);
}

/**
 * A URL of the configuration, checked (R22): absolute, https (http for loopback only, unless allowed), and without
 * credentials and fragment.
 *
 * @param option The option's name, for the message.
 * @throws {TypeError} with the fix in the sentence; the URL itself is not quoted, as it may hold a password.
 */
export function checkedURL(value: unknown, option: string, { allowInsecureHTTP = false } = {}): URL {
  if (typeof value !== 'string' || value === '') {
    throw new TypeError(
      `${option} is missing; give the absolute URL as a string, such as https://powerfolder.example.com`,
    );
  }
  if (!URL.canParse(value)) {
    throw new TypeError(`${option} is not an absolute URL; write it in full, such as https://powerfolder.example.com`);
  }
  if (/\s/.test(value)) throw new TypeError(`${option} has white space in it; remove it`);
  const url = new URL(value);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw new TypeError(`${option} has the scheme ${url.protocol} but must be an https URL`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new TypeError(`${option} must not hold a user name or password; remove the part before the @`);
  }
  if (url.hash !== '' || value.includes('#')) {
    throw new TypeError(`${option} must not have a fragment; remove everything from the # on`);
  }
  if (url.protocol === 'http:' && !allowInsecureHTTP && !isLoopback(url.hostname)) {
    throw new TypeError(
      `${option} must be https, since passwords and tokens travel there; use https://${url.host}, or, in a closed network only, set allowInsecureHTTP: true`,
    );
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return (
    hostname === 'localhost' ||
    hostname.endsWith('.localhost') ||
    hostname === '[::1]' ||
    /^127(\.\d+){3}$/.test(hostname)
  );
}

/**
 * The base of all endpoints: the server's URL with its context path, without the slash at the end.
 *
 * @throws {TypeError} as {@link checkedURL}, and for a query.
 */
export function serverBase(serverURL: unknown, options?: { allowInsecureHTTP?: boolean }): string {
  const url = checkedURL(serverURL, 'serverURL', options);
  if (url.search !== '') throw new TypeError('serverURL must not have a query; remove everything from the ? on');
  return url.origin + url.pathname.replace(/\/+$/, '');
}
