/** Texts of the server's without what is secret in them, for messages, logs and hooks. */

const longestText = 200;

/**
 * Text of the server's, made fit for messages and logs: without the given secrets, in one line of plain characters
 * (no control or formatting characters, and none of `<>"\`, as RFC 6749 section 5.2 excludes the last two), and short.
 */
export function plainText(text: string, secrets: readonly string[] = []): string {
  return withoutSecrets(text, secrets)
    .replace(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+|[<>"\\`]+/gu, ' ')
    .replace(/ {2,}/g, ' ')
    .trim()
    .slice(0, longestText)
    .replace(/\p{Cs}$/u, '');
}

/** What stands in the place of a secret. */
const mark = '[hidden]';
/** Characters of a secret that show nowhere together. */
const width = 8;

/** A text in which secrets are hidden; see {@link masking}, which is for several texts. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return masking(secrets)(text);
}

/**
 * Makes a function that hides secrets in the texts of an answer, each in time that is proportional to its length.
 *
 * Of a secret of 8 characters or more, every part of 8 characters is replaced by a mark: as it is, and as it stands in a
 * URL, in JSON, in base64 and in hexadecimal digits. A shorter one is replaced only as a whole word, that is, not within
 * letters and digits: hiding each `e` would make nonsense of a text and tell the secret by what is missing. Signs alone
 * are not replaced at all. A mark stays as it is, so that to hide twice is to hide once.
 */
export function masking(secrets: readonly string[]): (text: string) => string {
  const isLong = (secret: string) => secret.length >= width;
  const parts = partsOf(secrets.filter(isLong).flatMap((secret) => [...inText(secret), ...inBytes(secret)]));
  const words = wholeWords(secrets.filter((secret) => !isLong(secret)).flatMap(inText));
  const hide = (text: string) => {
    const open = withoutParts(text, parts);
    return (words ? open.map((piece) => piece.replace(words, mark)) : open).join(mark);
  };
  // Most strings in an answer of many are short.
  return (text) => (text.length < width && !words ? text : text.split(mark).map(hide).join(mark));
}

function partsOf(spellings: string[]): Set<string> {
  const parts = new Set<string>();
  for (const spelling of new Set(spellings)) {
    for (let at = 0; at + width <= spelling.length; at++) parts.add(spelling.slice(at, at + width));
  }
  return parts;
}

/** What is left of a text between the parts that are hidden. */
function withoutParts(text: string, parts: Set<string>): string[] {
  const open: string[] = [];
  let seen = 0;
  if (parts.size > 0) {
    for (let at = 0; at + width <= text.length; at++) {
      if (!parts.has(text.slice(at, at + width))) continue;
      if (at >= seen) open.push(text.slice(seen, at));
      seen = at + width;
    }
  }
  open.push(text.slice(seen));
  return open;
}

/** Matches any of the words where no letter or digit continues it; undefined if there are none. */
function wholeWords(words: string[]): RegExp | undefined {
  const letter = '[\\p{L}\\p{M}\\p{N}_]';
  const [beginning, end] = [new RegExp(`^${letter}`, 'u'), new RegExp(`${letter}$`, 'u')];
  const patterns = [...new Set(words)]
    .filter((word) => /[\p{L}\p{N}]/u.test(word))
    // The longest first, as one may be the beginning of another.
    .sort((one, other) => other.length - one.length)
    .map((word) => {
      const literal = word.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
      return `${beginning.test(word) ? `(?<!${letter})` : ''}${literal}${end.test(word) ? `(?!${letter})` : ''}`;
    });
  return patterns.length > 0 ? new RegExp(patterns.join('|'), 'gu') : undefined;
}

/** How a text stands in texts: as it is, in URLs, and in JSON, as the usual libraries write them. */
function inText(secret: string): string[] {
  const form = new URLSearchParams({ s: secret }).toString().slice(2);
  const component = form.replaceAll('+', '%20').replace(/%(?:2[1789]|7E)/g, decodeURIComponent);
  const json = JSON.stringify(secret).slice(1, -1);
  const ascii = json.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return [
    secret,
    ...[form, component].flatMap((url) => [url, url.replace(/%../g, (byte) => byte.toLowerCase())]),
    ...[json, ascii].flatMap((text) => [text, text.replaceAll('/', '\\/')]),
  ];
}

/** How the bytes of a text are written: in base64, in the alphabet for URLs as well, and in hexadecimal digits. */
function inBytes(secret: string): string[] {
  const hex = Buffer.from(secret).toString('hex');
  const base64 = [0, 1, 2].flatMap((before) => {
    // In base64 a text has three spellings, by the place where it begins; its ends depend on what is around it.
    const bytes = Buffer.from(' '.repeat(before) + secret);
    const [start, end] = [Math.ceil((before * 8) / 6), Math.floor((bytes.length * 8) / 6)];
    return [bytes.toString('base64').slice(start, end), bytes.toString('base64url').slice(start, end)];
  });
  return [hex, hex.toUpperCase(), ...base64];
}

/** RFC 6749's words (sections 4.1.2.1 and 5.2). They are public, even where one of them is sent for a code. */
const publicWords = new Set([
  'error',
  'error_description',
  'error_uri',
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'access_denied',
  'unsupported_response_type',
  'server_error',
  'temporarily_unavailable',
]);

/** Strings and numbers, in a text that is JSON. */
const jsonScalars = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g;

/** A JSON text in which secrets are hidden: in strings, in the names of members, and in numbers, as a code may be one. */
export function maskedJSON(json: string, mask: (text: string) => string): string {
  return json.replace(jsonScalars, (scalar) => {
    const inner = scalar.startsWith('"') ? scalar.slice(1, -1) : scalar;
    const text: string = inner.includes('\\') ? JSON.parse(scalar) : inner;
    const masked = publicWords.has(text) ? text : mask(text);
    return masked === text ? scalar : JSON.stringify(masked);
  });
}
