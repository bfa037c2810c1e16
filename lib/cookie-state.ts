/**
 * The pending sign-ins of a browser, each in a cookie of its own (RFC 6749 section 10.12): the browser keeps them, and what
 * is in them is sealed. So tabs that begin at the same moment do not overwrite each other's.
 */
import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto';
import type { Request } from 'express';
import { ConfigurationMistake } from './errors.ts';
import type { PowerFolderFailureCode } from './failures.ts';
import { bare, own } from './json.ts';
import { readOptions } from './option-names.ts';
import {
  equal,
  isPendingSignIn,
  isUsed,
  mostPending,
  newPendingSignIn,
  type PendingSignIn,
  stateTooLong,
  unfit,
  useUp,
} from './pending-sign-in.ts';
import type { PendingSignIns, StateMetadata, TakenSignIn, Untaken } from './state-store.ts';

/** Options of {@link CookieStateStore}. */
export interface CookieStateStoreOptions {
  /**
   * At least 32 characters that nobody can guess, the same in each process of the application. Of a list, the first seals and
   * all of them open: to change it, put the new one before the old one, and take that out after `stateTTL`.
   */
  secret: string | readonly string[];
}

/** Bytes of all our cookies, names and values, that a browser sends: servers take 8 KiB of headers in all. */
const mostBytes = 3072;
const shortestSecret = 32;
/** Characters in the cookie's name that come from the state. */
const tagLength = 16;
const algorithm = 'aes-256-gcm';
const ivLength = 12;
const authTagLength = 16;

/**
 * Keeps pending sign-ins in the browser instead of the session: give it to the strategy as `store`. At most 8, and at most
 * 3 KiB; the oldest goes first. Each is `HttpOnly` and `SameSite=Lax`; where `callbackURL` is https, `Secure`, with a name
 * that begins with `__Host-`. Its answer takes it away.
 *
 * @example
 * new PowerFolderStrategy({ …, store: new CookieStateStore({ secret: process.env.STATE_SECRET }) }, verify);
 *
 * @see RFC 6265bis section 4.1.3 (`__Host-`); RFC 5869 (the keys); NIST SP 800-38D (AES-GCM)
 */
export class CookieStateStore {
  readonly #keys: Buffer[];

  /** @throws {TypeError} for a secret that is too short, and for options that there are not. */
  constructor(options: CookieStateStoreOptions) {
    if (typeof options !== 'object' || options === null) {
      throw new TypeError('CookieStateStore takes an options object: { secret }');
    }
    const { secret } = readOptions(options, ['secret']);
    this.#keys = checkedSecrets(secret).map((one) =>
      Buffer.from(hkdfSync('sha256', one, '', 'passport-powerfolder pending sign-in', 32)),
    );
  }

  /**
   * @internal
   * @param ttl Milliseconds in which a sign-in has to be finished.
   */
  pendingSignIns(ttl: number): PendingSignIns {
    return {
      begin: (req, verifier, appState, meta) => this.#begin(req, newPendingSignIn(verifier, appState, meta, ttl), meta),
      take: (req, state, meta) => this.#take(req, state, meta),
    };
  }

  #begin(req: Request, entry: PendingSignIn, meta: StateMetadata): string {
    const append = appenderOf(req);
    const cookie = new Cookie(meta);
    const name = cookie.nameOf(entry.state);
    const value = this.#seal(name, entry);
    let bytes = name.length + value.length;
    if (bytes > mostBytes) throw stateTooLong(bytes, mostBytes);
    // The youngest first; this one is younger than all.
    const others = this.#pendingIn(req, cookie).sort((a, b) => b.entry.until - a.entry.until);
    for (const [index, other] of others.entries()) {
      bytes += other.bytes;
      if (other.entry.until <= Date.now() || index + 1 >= mostPending || bytes > mostBytes)
        cookie.clear(append, other.name);
    }
    cookie.set(append, name, value, entry.until - Date.now());
    return entry.state;
  }

  #take(req: Request, state: unknown, meta: StateMetadata): TakenSignIn | Untaken {
    const no = (code: PowerFolderFailureCode): Untaken => ({ taken: false, reason: code });
    const problem = unfit(state);
    if (problem) return no(problem);
    const append = appenderOf(req);
    const cookie = new Cookie(meta);
    const name = cookie.nameOf(String(state));
    const entry = cookie
      .valuesIn(req, name)
      .map(([, value]) => this.#open(name, value))
      .find((one) => one && equal(one.state, String(state)));
    if (!entry) {
      if (isUsed(String(state))) return no('state_used');
      return no(cookie.valuesIn(req).length === 0 ? 'session_missing' : 'state_unknown');
    }
    const unusable = useUp(entry, meta);
    // That of another strategy waits for the right answer.
    if (unusable !== 'state_mismatch') cookie.clear(append, name);
    return unusable ? no(unusable) : { taken: true, verifier: own(entry, 'pkce'), state: own(entry, 'app') };
  }

  /** What can be opened: what bears such a name and cannot is another application's, on another port of this host, or nobody's. */
  #pendingIn(req: Request, cookie: Cookie): { name: string; entry: PendingSignIn; bytes: number }[] {
    return cookie.valuesIn(req).flatMap(([name, value]) => {
      const entry = this.#open(name, value);
      return entry ? [{ name, entry, bytes: name.length + value.length }] : [];
    });
  }

  /** Sealed for its name, so that no value can be moved to another cookie. */
  #seal(name: string, entry: PendingSignIn): string {
    const iv = randomBytes(ivLength);
    const cipher = createCipheriv(algorithm, this.#keys[0] as Buffer, iv).setAAD(Buffer.from(name));
    const sealed = [iv, cipher.update(JSON.stringify(entry), 'utf8'), cipher.final(), cipher.getAuthTag()];
    return Buffer.concat(sealed).toString('base64url');
  }

  #open(name: string, value: string): PendingSignIn | undefined {
    const bytes = Buffer.from(value, 'base64url');
    if (bytes.length <= ivLength + authTagLength) return undefined;
    for (const key of this.#keys) {
      try {
        const options = bare({ authTagLength });
        const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, ivLength), options)
          .setAAD(Buffer.from(name))
          .setAuthTag(bytes.subarray(-authTagLength));
        const text =
          decipher.update(bytes.subarray(ivLength, -authTagLength), undefined, 'utf8') + decipher.final('utf8');
        const entry: unknown = JSON.parse(text);
        return isPendingSignIn(entry) ? entry : undefined;
      } catch {
        // Sealed by another key, or by nobody.
      }
    }
    return undefined;
  }
}

/** How the cookies of a strategy are called, and what browsers are told of them. */
class Cookie {
  readonly #prefix: string;
  readonly #attributes: string;

  /** Configuration says whether it is https, and no header of a request (R20). */
  constructor({ callbackURL }: StateMetadata) {
    const secure = callbackURL.startsWith('https:');
    this.#prefix = `${secure ? '__Host-' : ''}powerfolder-`;
    this.#attributes = `Path=/; HttpOnly; SameSite=Lax${secure ? '; Secure' : ''}`;
  }

  /** The state itself is in the URL of the answer, where logs may keep it. */
  nameOf(state: string): string {
    return this.#prefix + hash('sha256', state, 'hex').slice(0, tagLength);
  }

  /** Names and values that came with a request: those of one name, or all that begin like ours. */
  valuesIn(req: Request, wanted?: string): [name: string, value: string][] {
    return (own(req.headers, 'cookie') ?? '').split(';').flatMap((pair): [string, string][] => {
      const equals = pair.indexOf('=');
      const name = pair.slice(0, equals).trim();
      const isOurs = wanted === undefined ? name.startsWith(this.#prefix) : name === wanted;
      return equals > 0 && isOurs ? [[name, pair.slice(equals + 1).trim()]] : [];
    });
  }

  /** @param age Milliseconds. */
  set(append: Append, name: string, value: string, age: number): void {
    append('Set-Cookie', `${name}=${value}; Max-Age=${Math.ceil(age / 1000)}; ${this.#attributes}`);
  }

  clear(append: Append, name: string): void {
    append('Set-Cookie', `${name}=; Max-Age=0; ${this.#attributes}`);
  }
}

/** Adds a header to the answer, beside what the application has set. */
type Append = (name: string, value: string) => void;

function appenderOf(req: Request): Append {
  const { res } = req;
  if (typeof res?.appendHeader === 'function') return (name, value) => res.appendHeader(name, value);
  // koa-passport's `res` is none; Koa's own response is beside it.
  const { response } = req as { response?: { append?: Append } };
  if (typeof response?.append === 'function') return (name, value) => response.append?.(name, value);
  throw new TypeError(
    'CookieStateStore needs the response, as Express, NestJS and koa-passport give it to a strategy; with this framework leave the option store out, and pending sign-ins wait in the session',
  );
}

/** No secret is quoted. */
function checkedSecrets(given: unknown): string[] {
  const secrets: unknown[] = Array.isArray(given) ? [...given] : [given];
  if (secrets.length > 0 && secrets.every((one) => typeof one === 'string' && one.length >= shortestSecret)) {
    return secrets as string[];
  }
  throw new ConfigurationMistake(
    'secret',
    `must be a string of at least ${shortestSecret} random characters, or a list of such; the first one seals, all of them open`,
  );
}
