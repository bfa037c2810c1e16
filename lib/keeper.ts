/** Keeps the tokens of many users fresh in the application's database: load, lock, refresh, save (RFC 6749 section 6). */
import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { ConfigurationMistake, PowerFolderError } from './errors.ts';
import { awaited } from './hooks.ts';
import { isObject } from './json.ts';
import { readOptions } from './option-names.ts';
import { areFresh, expiryOf, type PowerFolderTokens, type RefreshOptions } from './token.ts';

/** What an application knows a user by. An object is none, since two of the same user are not the same. */
export type UserID = string | number | bigint;

type Awaitable<T> = T | PromiseLike<T>;

/** Where an application keeps its users' tokens, and how. Each function has a minute to answer. */
export interface KeepTokensOptions<ID extends UserID = UserID> {
  /** Reads a user's tokens as they were saved last: from the primary, where a database has replicas. `null` if there are none. */
  load(userID: ID): Awaitable<PowerFolderTokens | null | undefined>;
  /**
   * Writes a user's tokens, and resolves when they will not be lost.
   *
   * @param replaced The tokens that they were made from. A store that can compare writes only where these are still kept,
   * and else gives `false`: then what is kept is taken, and a user who was deleted, or has signed in again, meanwhile stays so.
   */
  save(userID: ID, tokens: PowerFolderTokens, replaced: PowerFolderTokens): Awaitable<unknown>;
  /**
   * Calls `work` while no other process does so for this user, and waits for it. Without it two processes may refresh at
   * the same time, and the one whose refresh token has been replaced waits for up to five seconds for what the other saves.
   *
   * @default none
   */
  lock?: ((userID: ID, work: () => Promise<void>) => Awaitable<unknown>) | undefined;
  /** Milliseconds for which tokens must still be valid to be used without a refresh. @default 60_000 */
  leeway?: number | undefined;
  /** Further members of the refresh requests; see {@link RefreshOptions}. @default none */
  params?: object | undefined;
}

/** What the keeper needs of a client. */
interface Client {
  refreshAccessToken(refreshToken: string, options: RefreshOptions): Promise<PowerFolderTokens>;
}

/** The server does not accept the refresh token of these tokens any more: perhaps since another process has used it. */
class RefreshRefused {
  readonly from: PowerFolderTokens;
  readonly error: unknown;

  constructor(from: PowerFolderTokens, error: unknown) {
    this.from = from;
    this.error = error;
  }
}

/** Tokens that this keeper got, and those that they were made from. */
interface Renewed {
  from: PowerFolderTokens;
  to: PowerFolderTokens;
}

/** Milliseconds between looks for the tokens of another process, whose refresh came first: about five seconds in all. */
const waits = [0, 20, 50, 100, 200, 400, 800, 1600, 2000];
/** The same where whoever had the lock before has saved them, unless its store failed: then with its next use. */
const waitsWithLock = [0, 20, 50, 100, 200, 400];
/** Milliseconds before `save` is tried again. */
const pausesBeforeSave = [0, 50, 250, 1000];
/** Users whose last refresh is remembered. */
const mostRenewed = 10_000;

/**
 * The keeper of an application's tokens; made by `client.keepTokens`.
 *
 * Where the server gives a new refresh token with each refresh and accepts the old one no more, the tokens of a user are lost
 * if the process ends, or the connection breaks, after the server has made them and before they are saved: this user signs in
 * again. Nothing else lies between: they are saved as soon as the answer is read.
 */
export class PowerFolderTokenKeeper<ID extends UserID = UserID> {
  readonly #client: Client;
  readonly #options: KeepTokensOptions<ID>;
  /** On the way, by user: simultaneous callers share one. */
  readonly #renewals = new Map<ID, Promise<PowerFolderTokens>>();
  /** By user, the last at the end: what a store that fails, or loses a write, would otherwise lose for good. */
  readonly #renewed = new Map<ID, Renewed>();

  /** @internal */
  constructor(client: Client, given: KeepTokensOptions<ID>) {
    this.#client = client;
    this.#options = checkedOptions(given);
  }

  /**
   * Calls `call` with a fresh access token, and gives what it gives. When that is an answer with status 401 (a `Response`, or
   * an error with `status`, `statusCode` or `serverStatus` 401, or with such an answer as `response`), the token is refreshed
   * and the call repeated, once. So `call` makes its request anew each time: a stream, or another body that can be read once,
   * is opened within it, or `repeat` is false.
   *
   * @param options `repeat`: false to give back a 401 at once; the next call then has another token. Default true.
   * @throws {PowerFolderError} `sign_in_again` when there are no tokens, or none that the server accepts; others when it is
   * away or broken and the tokens have expired.
   * @throws {TokenError} when the server refuses the refresh for another reason, such as a wrong client secret.
   * @throws what `call`, `load`, `save` and `lock` throw.
   */
  async use<T>(
    userID: ID,
    call: (accessToken: string) => Awaitable<T>,
    { repeat = true }: { repeat?: boolean | undefined } = {},
  ): Promise<T> {
    checkUserID(userID);
    const tokens = await this.#tokensOf(userID);
    let refused: { answer: T } | { error: unknown };
    try {
      const answer = await call(tokens.accessToken);
      if (!isUnauthorized(answer)) return answer;
      refused = { answer };
    } catch (error) {
      if (!isUnauthorizedError(error)) throw error;
      refused = { error };
    }
    const others = await this.#renew(userID, tokens);
    if (repeat) {
      if ('answer' in refused) discard(refused.answer);
      return await call(others.accessToken);
    }
    if ('error' in refused) throw refused.error;
    return refused.answer;
  }

  async #tokensOf(userID: ID): Promise<PowerFolderTokens> {
    const tokens = await this.#load(userID);
    const renewed = this.#renewed.get(userID);
    const lost = renewed !== undefined && isSame(tokens, renewed.from);
    if (!lost && (areFresh(tokens, this.#options.leeway) || this.#hasUnknownExpiry(userID, tokens))) return tokens;
    try {
      return await this.#renew(userID);
    } catch (error) {
      // The server is away, or the store is. Until they expire these are still good; but for those that were replaced.
      const good = !lost && !isSignInAgain(error) && (expiryOf(tokens) ?? 0) > Date.now();
      if (good) return tokens;
      throw error;
    }
  }

  /** Tokens of no known age count as expired, but not those that were got here: the server never says, and a 401 will. */
  #hasUnknownExpiry(userID: ID, tokens: PowerFolderTokens): boolean {
    const renewed = this.#renewed.get(userID);
    return expiryOf(tokens) === undefined && renewed !== undefined && isSame(tokens, renewed.to);
  }

  /** Other tokens than `refused`, or than what has expired: those of another request or process, or new ones. */
  async #renew(userID: ID, refused?: PowerFolderTokens): Promise<PowerFolderTokens> {
    const shared = this.#renewals.get(userID);
    if (shared !== undefined) {
      const tokens = await shared;
      // It may have begun before these were refused, and have found them fresh.
      if (!refused || tokens.accessToken !== refused.accessToken) return tokens;
      return await this.#renew(userID, refused);
    }
    const renewal = this.#renewOrTakeUp(userID, refused).finally(() => this.#renewals.delete(userID));
    this.#renewals.set(userID, renewal);
    return await renewal;
  }

  async #renewOrTakeUp(userID: ID, refused: PowerFolderTokens | undefined): Promise<PowerFolderTokens> {
    const renewal = await this.#renewLocked(userID, refused);
    if (!(renewal instanceof RefreshRefused)) return renewal;
    // Without the lock, which the other process may need.
    const { from, error } = renewal;
    return (await this.#tokensOfAnother(userID, from)) ?? fail(error);
  }

  async #renewLocked(userID: ID, refused: PowerFolderTokens | undefined): Promise<PowerFolderTokens | RefreshRefused> {
    const { lock } = this.#options;
    if (!lock) return await this.#renewOnce(userID, refused);
    let renewal: Promise<PowerFolderTokens | RefreshRefused> | undefined;
    const work = async () => {
      renewal ??= this.#renewOnce(userID, refused);
      await renewal;
    };
    try {
      await awaited('lock', lock(userID, work));
    } catch (error) {
      // What became of the tokens decides, and not whether the lock could be given back.
      if (!renewal) throw error;
    }
    if (!renewal) throw new TypeError('lock did not call the work that it was given; it calls it and waits for it');
    return await renewal;
  }

  async #renewOnce(userID: ID, refused: PowerFolderTokens | undefined): Promise<PowerFolderTokens | RefreshRefused> {
    let from = await this.#load(userID);
    const renewed = this.#renewed.get(userID);
    if (renewed && isSame(from, renewed.from)) {
      // What was got has not been saved, or is lost.
      from = await this.#save(userID, renewed);
    }
    const isRefused = refused !== undefined && refused.accessToken === from.accessToken;
    if (!isRefused && areFresh(from, this.#options.leeway)) return from;
    if (!from.refreshToken) {
      throw new PowerFolderError(
        'sign_in_again',
        'The access token is not valid any more, and there is no refresh token.',
      );
    }
    let to: PowerFolderTokens;
    try {
      to = await this.#client.refreshAccessToken(from.refreshToken, { params: this.#options.params });
    } catch (error) {
      if (!isSignInAgain(error)) throw error;
      return new RefreshRefused(from, error);
    }
    return await this.#save(userID, { from, to });
  }

  /** What another process has got for a refresh token that was good once, as soon as it has saved it. */
  async #tokensOfAnother(userID: ID, from: PowerFolderTokens): Promise<PowerFolderTokens | undefined> {
    for (const wait of this.#options.lock ? waitsWithLock : waits) {
      await pause(wait);
      const tokens = await this.#load(userID);
      if (!isSame(tokens, from)) return tokens;
    }
    return undefined;
  }

  /** Saves tokens. @returns those that the user has then. */
  async #save(userID: ID, renewed: Renewed): Promise<PowerFolderTokens> {
    this.#remember(userID, renewed);
    const { from, to } = renewed;
    let failure: { error: unknown } | undefined;
    for (const wait of pausesBeforeSave) {
      await pause(wait);
      failure = undefined;
      try {
        // Copies: what the store does to them is not the caller's.
        const saved = await awaited('save', this.#options.save(userID, { ...to }, { ...from }));
        if (saved === false) return await this.#load(userID);
      } catch (error) {
        failure = { error };
      }
      // A write may be lost, and one that failed may have been made; another process may have written meanwhile.
      const kept = await this.#load(userID).catch((error) => {
        if (isSignInAgain(error)) throw error;
      });
      if (kept && !isSame(kept, from)) return kept;
      if (!failure && (!kept || isSame(from, to))) return to;
    }
    if (failure) throw failure.error;
    return to;
  }

  #remember(userID: ID, renewed: Renewed): void {
    this.#renewed.delete(userID);
    if (isSame(renewed.from, renewed.to)) return;
    this.#renewed.set(userID, renewed);
    const [oldest] = this.#renewed.keys();
    if (this.#renewed.size > mostRenewed && oldest !== undefined) this.#renewed.delete(oldest);
  }

  async #load(userID: ID): Promise<PowerFolderTokens> {
    const loaded = (await awaited('load', this.#options.load(userID))) as PowerFolderTokens | null | undefined;
    if (loaded === null || loaded === undefined) {
      this.#renewed.delete(userID);
      throw new PowerFolderError('sign_in_again', 'There are no tokens of this user.');
    }
    const expiresAt = expiryOf(loaded);
    const { accessToken, refreshToken } = loaded;
    return { accessToken, ...(refreshToken && { refreshToken }), ...(expiresAt !== undefined && { expiresAt }) };
  }
}

const optionNames = ['load', 'save', 'lock', 'leeway', 'params'] as const;

/** Of an object of a class, which has members of its own, these are read, and its methods are called on it. */
function checkedOptions<ID extends UserID>(given: KeepTokensOptions<ID>): KeepTokensOptions<ID> {
  if (!isObject(given)) throw new TypeError('keepTokens takes an options object: { load, save }');
  const ofClass = ![Object.prototype, null].includes(Object.getPrototypeOf(given));
  const options = ofClass ? membersOf(given) : readOptions(given as KeepTokensOptions<ID>, optionNames);
  for (const name of ['load', 'save'] as const) {
    if (typeof options[name] !== 'function') throw new ConfigurationMistake(name, 'must be a function; see keepTokens');
  }
  const { load, save, lock, leeway, params } = options;
  if (lock !== undefined && typeof lock !== 'function') {
    throw new ConfigurationMistake('lock', 'must be a function: (userID, work) => …; leave it out to do without');
  }
  if (leeway !== undefined && !Number.isFinite(leeway)) {
    throw new ConfigurationMistake('leeway', 'must be a number of milliseconds');
  }
  if (params !== undefined && !isObject(params)) {
    throw new ConfigurationMistake('params', 'must be an object: further members of the refresh requests');
  }
  return { leeway, params, load: load.bind(given), save: save.bind(given), lock: lock?.bind(given) };
}

function membersOf<ID extends UserID>(given: object): KeepTokensOptions<ID> {
  const members = optionNames.map((name) => [name, Reflect.get(given, name)] as const);
  // What all objects have is nobody's word.
  const own = members.filter(([name, value]) => value !== Reflect.get(Object.prototype, name));
  return Object.assign(Object.create(null), Object.fromEntries(own));
}

function fail(error: unknown): never {
  throw error;
}

/** Of nobody, or of an object, two users could have the same tokens. */
function checkUserID(userID: unknown): void {
  const isID = ['string', 'bigint'].includes(typeof userID) || Number.isFinite(userID);
  if (isID && userID !== '') return;
  throw new TypeError('use takes the ID of a user as a string, a number or a bigint; of an object give its text');
}

function isSame(one: PowerFolderTokens, other: PowerFolderTokens): boolean {
  return one.accessToken === other.accessToken && one.refreshToken === other.refreshToken;
}

function isSignInAgain(error: unknown): boolean {
  return error instanceof PowerFolderError && error.code === 'sign_in_again';
}

/** An answer of `fetch`, or of another client's, which are known by their headers. */
function isUnauthorized(answer: unknown): boolean {
  const { status, statusCode, headers } = Object(answer) as Record<string, unknown>;
  return (status === 401 || statusCode === 401) && typeof headers === 'object' && headers !== null;
}

/** Of ours, of http-errors' kind, or of a client's that has the answer in it. */
function isUnauthorizedError(error: unknown): boolean {
  const { status, statusCode, serverStatus, response } = Object(error) as Record<string, unknown>;
  return status === 401 || statusCode === 401 || serverStatus === 401 || isUnauthorized(response);
}

/** Frees the connection of an answer that nobody will read. */
function discard(answer: unknown): void {
  const { body } = Object(answer) as { body?: { cancel?: unknown; destroy?: unknown; on?: unknown } };
  if (body instanceof ReadableStream) body.cancel().catch(() => {});
  else if (body instanceof Readable) body.on('error', () => {}).destroy();
}
