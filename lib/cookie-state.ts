/** The pending sign-ins of a browser, each in a sealed cookie of its own (RFC 6749 section 10.12). */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hash,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import type { Request } from 'express';
import { requestCookies, responseOf, setCookie, sizeInRequest } from './cookies.ts';
import { ConfigurationMistake } from './errors.ts';
import { bare } from './json.ts';
import { readOptions } from './option-names.ts';
import {
  isPendingSignIn,
  mostPending,
  type PendingSignIn,
  pendingSignIn,
  randomState,
  take,
  tooLong,
  untaken,
  wasUsed,
} from './pending-sign-in.ts';
import {
  longestState,
  type PendingSignIns,
  type StateMetadata,
  type TakenSignIn,
  type Untaken,
} from './state-store.ts';

/** Options of {@link CookieStateStore}. */
export interface CookieStateStoreOptions {
  /**
   * What cookies are sealed with: a random text of 32 characters or more, the same in all processes of the application. It
   * may be the one of the sessions, since keys are derived from it. Of a list, the first one seals and all of them open:
   * to change a secret, put the new one first everywhere once every process has it in its list, and remove the old one
   * after `stateTTL`.
   *
   * @example process.env.SESSION_SECRET
   */
  secret: string | string[];
}

/** Characters of a secret at the least. */
const shortestSecret = 32;

/**
 * Bytes that the cookies take of each request at the most. A browser takes 4096 for one cookie (RFC 6265bis section 5.6);
 * servers and proxies often take 8 KiB for all headers.
 */
const mostBytes = 3072;

/**
 * Keeps pending sign-ins in cookies instead of the session: at most 8 and 3 KiB in all, where the oldest goes first. Each has
 * a cookie of its own, so that tabs that begin at the same moment do not write over each other. It is sealed (AES-256-GCM),
 * `HttpOnly` and `SameSite=Lax`, goes with the answer, and lives for `stateTTL`; where the callback URL is https it is
 * `Secure`, with a name that begins with `__Host-`. One store may be given to several strategies.
 *
 * @example
 * new PowerFolderStrategy({ …, store: new CookieStateStore({ secret: process.env.SESSION_SECRET }) }, verify)
 */
export class CookieStateStore {
  readonly #keys: KeyObject[];

  /** @throws {TypeError} for a secret that is none, with the fix in its message. */
  constructor(options: CookieStateStoreOptions) {
    if (typeof options !== 'object' || options === null || Array.isArray(options)) {
      throw new TypeError('CookieStateStore takes an options object: { secret }');
    }
    this.#keys = checkedSecrets(readOptions(options, ['secret']).secret).map(keyOf);
  }

  /**
   * The pending sign-ins of a strategy.
   *
   * @param ttl Milliseconds in which a sign-in has to be finished.
   * @internal
   */
  pendingSignIns(ttl: number): PendingSignIns {
    return new PendingInCookies(this.#keys, ttl);
  }
}

class PendingInCookies implements PendingSignIns {
  readonly #keys: KeyObject[];
  readonly #ttl: number;

  constructor(keys: KeyObject[], ttl: number) {
    this.#keys = keys;
    this.#ttl = ttl;
  }

  /** @throws {TypeError} when there is no response to set a cookie in, or the application's state alone is too long. */
  begin(req: Request, verifier: string | undefined, appState: unknown, meta: StateMetadata): string {
    const response = responseOf(req, 'CookieStateStore');
    const state = randomState();
    const name = cookieName(state, meta);
    const value = this.#seal(name, pendingSignIn(this.#ttl, verifier, appState, meta));
    const size = sizeInRequest(name, value);
    if (size > mostBytes) throw tooLong(size, 'as a cookie', mostBytes);

    const secure = isSecure(meta);
    setCookie(response, name, value, { maxAge: Math.ceil(this.#ttl / 1000), secure });
    for (const gone of this.#displaced(req, size, meta)) setCookie(response, gone, '', { maxAge: 0, secure });
    return state;
  }

  /** The sign-in that the state belongs to, whose cookie thereby ends. Others stay as they are. */
  take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    if (typeof state !== 'string' || state === '') return untaken('state_missing');
    if (state.length > longestState) return untaken('state_unknown');
    const response = responseOf(req, 'CookieStateStore');
    const name = cookieName(state, meta);
    const cookies = requestCookies(req, namesOf(meta));
    const pending = this.#opened(cookies.filter(([each]) => each === name)).get(name)?.pending;
    if (!pending) {
      // Its cookie has ended with the first answer: that this is the second, only the process knows.
      if (wasUsed(state)) return untaken('state_used');
      return untaken(cookies.length === 0 ? 'session_missing' : 'state_unknown');
    }
    const answer = take(state, pending, meta);
    if (answer.taken) setCookie(response, name, '', { maxAge: 0, secure: isSecure(meta) });
    return answer;
  }

  /** The names of the cookies that have expired, or have to go for a new one of this size. */
  #displaced(req: Request, size: number, meta: StateMetadata): string[] {
    const now = Date.now();
    const opened = [...this.#opened(requestCookies(req, namesOf(meta)))]
      .map(([name, cookie]) => ({ name, ...cookie }))
      .sort((a, b) => a.pending.until - b.pending.until);
    let bytes = opened.reduce((sum, cookie) => sum + cookie.size, 0);
    let count = opened.length;
    const gone: string[] = [];
    for (const cookie of opened) {
      if (cookie.pending.until > now && count < mostPending && bytes + size <= mostBytes) break;
      gone.push(cookie.name);
      bytes -= cookie.size;
      count--;
    }
    return gone;
  }

  /**
   * Those of the cookies that were sealed here, by their names. Others are neither counted nor ended: whoever put them there
   * may not push out what is ours.
   */
  #opened(cookies: [name: string, value: string][]): Map<string, { pending: PendingSignIn; size: number }> {
    const opened = new Map<string, { pending: PendingSignIn; size: number }>();
    for (const [name, value] of cookies) {
      const pending = this.#open(name, value);
      if (pending) opened.set(name, { pending, size: sizeInRequest(name, value) });
    }
    return opened;
  }

  /** The cookie's name is sealed with it: under another name it does not open. */
  #seal(name: string, pending: PendingSignIn): string {
    const nonce = randomBytes(nonceLength);
    const cipher = createCipheriv('aes-256-gcm', this.#keys[0] as KeyObject, nonce).setAAD(Buffer.from(name));
    const text = Buffer.concat([cipher.update(JSON.stringify(pending), 'utf8'), cipher.final()]);
    return Buffer.concat([nonce, text, cipher.getAuthTag()]).toString('base64url');
  }

  #open(name: string, value: string): PendingSignIn | undefined {
    if (!/^[\w-]{40,}$/.test(value)) return undefined;
    const bytes = Buffer.from(value, 'base64url');
    const [nonce, text, tag] = [
      bytes.subarray(0, nonceLength),
      bytes.subarray(nonceLength, -tagLength),
      bytes.subarray(-tagLength),
    ];
    for (const key of this.#keys) {
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, nonce, bare({ authTagLength: tagLength }))
          .setAAD(Buffer.from(name))
          .setAuthTag(tag);
        const json: unknown = JSON.parse(decipher.update(text, undefined, 'utf8') + decipher.final('utf8'));
        return isPendingSignIn(json) ? json : undefined;
      } catch {
        // Sealed with another key, or by somebody else.
      }
    }
    return undefined;
  }
}

/** Bytes. With random nonces, a key is good for 2^32 cookies (NIST SP 800-38D section 8.3): 13 years of ten a second. */
const nonceLength = 12;
const tagLength = 16;

/** They are not quoted in messages. */
function checkedSecrets(secret: unknown): string[] {
  const secrets: unknown[] = Array.isArray(secret) ? secret : [secret];
  if (secrets.length === 0) {
    throw new ConfigurationMistake('secret', `is an empty list; give ${shortestSecret} random characters or more`);
  }
  for (const each of secrets) {
    if (typeof each === 'string' && each.length >= shortestSecret) continue;
    const problem =
      typeof each === 'string' ? `is too short with ${each.length} characters` : 'is missing, or no string';
    const which = secrets.length > 1 ? ', each of them' : '';
    throw new ConfigurationMistake(
      'secret',
      `${problem}; give ${shortestSecret} random characters or more${which}, for instance from: openssl rand -base64 32`,
    );
  }
  return secrets as string[];
}

/** A key for this purpose alone, so that the secret may have others. */
function keyOf(secret: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', secret, '', 'passport-powerfolder pending sign-ins', 32)));
}

/**
 * Decided by the configuration, never by a request (R20). Browsers take a `__Host-` cookie over https only, and no other
 * host can set one.
 */
function isSecure({ callbackURL }: StateMetadata): boolean {
  return callbackURL.startsWith('https:');
}

const prefixOf = (meta: StateMetadata) => `${isSecure(meta) ? '__Host-' : ''}powerfolder-`;

/** The names that cookies of pending sign-ins can have. */
function namesOf(meta: StateMetadata): RegExp {
  return isSecure(meta) ? /^__Host-powerfolder-[\w-]{22}$/ : /^powerfolder-[\w-]{22}$/;
}

/**
 * By the state's digest, of 132 bits. The state itself stands in no cookie, and how long it takes to compare digests tells
 * nothing about it. As states are random, no two applications ever use the same name, also on one host.
 */
function cookieName(state: string, meta: StateMetadata): string {
  return `${prefixOf(meta)}${hash('sha256', state, 'base64url').slice(0, 22)}`;
}
