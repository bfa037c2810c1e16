/** What the configurations of a strategy, of a client and of a registration share: texts, durations, the transport. */
import type { Dispatcher } from 'undici';
import { type CA, trustedCAs } from './ca.ts';
import { connectionsOf } from './connections.ts';
import { ConfigurationMistake } from './errors.ts';
import { defaultTimeout, type Transport } from './http.ts';
import { bare } from './json.ts';
import { checkedProxy } from './proxy.ts';
import { plainText } from './redact.ts';

/** Characters that show nothing: controls, formatting, fillers, halves of characters, and all white space but the space. */
const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Default_Ignorable_Code_Point}]|[^\S ]/u;

export function refuseUnseen(option: string, text: string): void {
  const [character] = unseen.exec(text) ?? [];
  if (character === undefined) return;
  const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0');
  throw new ConfigurationMistake(
    option,
    `has the invisible character U+${code} in it; remove it, best by typing the value anew`,
  );
}

/** Of a file that was meant for a shell or a template. */
export function refuseUnreplaced(option: string, text: string, variable: RegExp): void {
  const [name] = variable.exec(text) ?? [];
  if (name === undefined) return;
  throw new ConfigurationMistake(
    option,
    `has ${plainText(name)} in it, which nothing has replaced by its value; check where it comes from`,
  );
}

const typographicQuotes = '\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb\u2039\u203a';
/** A pattern of any quotation mark. */
export const quotationMark = `["'\`${typographicQuotes}]`;
/** Quotation marks that came along with a text. The ASCII ones may be part of a secret, where there is no pair of them. */
const quoted = new RegExp(`^(["'\`]).*\\1$|^[${typographicQuotes}]|[${typographicQuotes}]$`, 's');

/**
 * A client's ID or secret: a text as an administrator registered it, without what pasting, `echo` and configuration files
 * add to it. With a line end, for example, each sign-in would end in `invalid_client`.
 *
 * @param option The option's name, for the message.
 * @throws {TypeError} with the fix in the sentence; the value is not quoted, as it may be secret.
 */
export function checkedCredential(value: unknown, option: string): string {
  if (typeof value !== 'string' || value === '') {
    throw new ConfigurationMistake(
      option,
      'is missing; give what an administrator registered, as a string (see registerClient)',
    );
  }
  if (/^(undefined|null|NaN|\[object \w+\])$/.test(value)) {
    throw new ConfigurationMistake(
      option,
      `is the text "${value}": the value that it was made of was not there; check where it comes from`,
    );
  }
  if (value !== value.trim()) {
    throw new ConfigurationMistake(
      option,
      'has white space or a line end around it; remove it, for instance with trim()',
    );
  }
  refuseUnseen(option, value);
  refuseUnreplaced(option, value, /^\$(?:[A-Z][A-Z0-9_]*|\{[^}]*\})$/);
  if (quoted.test(value)) throw new ConfigurationMistake(option, 'has quotation marks around it; remove them');
  return value;
}

/** Options that say how the server is reached: of a strategy, of a client and of a registration. */
export interface TransportOptions {
  /**
   * Milliseconds for each request to the server, from connecting to the end of the answer.
   *
   * @default 10_000
   */
  timeout?: number | undefined;
  /**
   * Certificate authorities to trust beside the well-known ones, in PEM form: one, or a list.
   *
   * @default those that Node trusts, with those of `NODE_EXTRA_CA_CERTS`
   * @example readFileSync('university-ca.pem')
   */
  ca?: CA | undefined;
  /**
   * The HTTP proxy on the way to the server: its URL, which may hold a user name and a password; `'env'` for what HTTPS_PROXY,
   * HTTP_PROXY and NO_PROXY say, in either case; false for none. Read once, at construction.
   *
   * @default `'env'` when NODE_USE_ENV_PROXY is 1, as Node itself has it; else false
   */
  proxy?: string | false | undefined;
  /**
   * undici's dispatcher for requests to the server, for what `ca` and `proxy` cannot do: then it decides alone whom to trust
   * and which way to go. Of undici 7; others do not fit.
   *
   * @example new Agent({ connect: { cert, key } })
   */
  dispatcher?: Dispatcher | undefined;
  /**
   * Whether plain http is allowed for URLs that are not on this machine. Passwords and tokens are then readable on the
   * way.
   *
   * @default false
   */
  allowInsecureHTTP?: boolean | undefined;
}

/**
 * The transport in a user's options, checked.
 *
 * @param env Where a proxy of the environment is looked for. Default `process.env`.
 * @throws {TypeError} with the fix in the sentence.
 */
export function checkedTransport(options: TransportOptions, env?: NodeJS.ProcessEnv): Transport {
  const { timeout = defaultTimeout, ca, proxy, dispatcher, allowInsecureHTTP = false } = bare(options);
  if (dispatcher !== undefined && typeof dispatcher?.dispatch !== 'function') {
    throw new ConfigurationMistake(
      'dispatcher',
      "must be one of undici's, such as new Agent({ connect: { cert, key } }); an http.Agent is not",
    );
  }
  for (const [name, given] of Object.entries({ ca, proxy })) {
    if (dispatcher === undefined || given === undefined) continue;
    throw new ConfigurationMistake(name, 'has no effect beside a dispatcher; leave one of them out');
  }
  if (typeof allowInsecureHTTP !== 'boolean')
    throw new ConfigurationMistake('allowInsecureHTTP', 'must be one of false, true');
  milliseconds('timeout', timeout);
  const connections =
    dispatcher === undefined
      ? connectionsOf({ timeout, ca: ca === undefined ? undefined : trustedCAs(ca), proxyTo: checkedProxy(proxy, env) })
      : undefined;
  return { timeout, headers: {}, connections, dispatcher, allowInsecureHTTP };
}

/** A duration of the configuration: within what setTimeout can count. */
export function milliseconds(option: string, value: number): number {
  if (Number.isInteger(value) && value > 0 && value < 2 ** 31) return value;
  throw new ConfigurationMistake(option, `must be a whole number of milliseconds above 0 and below ${2 ** 31}`);
}

/** One of a few values. */
export function oneOf(option: string, value: unknown, allowed: unknown[]): void {
  if (allowed.includes(value)) return;
  throw new ConfigurationMistake(option, `must be one of ${allowed.map((one) => JSON.stringify(one)).join(', ')}`);
}
