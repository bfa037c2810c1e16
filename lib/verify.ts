/**
 * Who decides. Only an explicit yes of the application signs anybody in, and the form of its function alone says what
 * counts as its answer:
 * - a function with a callback (it declares `done`, or no parameters at all) answers through the callback. What it returns
 *   never stands for it: people return timers, queries and promises by accident.
 * - a function without a callback answers by what it returns, awaited.
 * A throw, and the rejection of a promise that it returned, are errors. The first answer counts, later ones are ignored.
 */
import { types } from 'node:util';
import type { Request } from 'express';
import { failure, type PowerFolderFailureCode } from './errors.ts';
import type { PowerFolderProfile } from './profile.ts';
import type { PendingSignIns } from './state.ts';

type Done = (error?: unknown, ...values: unknown[]) => void;
export type Hook = (...args: unknown[]) => unknown;

/** Milliseconds for which a hook's answer is waited for: no attempt hangs for ever. */
const longestWait = 60_000;

/**
 * What a hook gave to its callback; promises among it are awaited.
 *
 * @param hook Its name, for messages.
 * @param call Calls the hook with the callback.
 */
function calledBack(hook: string, call: (done: Done) => unknown): Promise<unknown[]> {
  const answer = new Promise<unknown[]>((resolve, reject) => {
    const returned = call((error, ...values) => {
      const all = Promise.all(values);
      // Where it is not looked at, as it came too late or beside an error, a rejection must not end the process.
      all.catch(() => {});
      if (error) reject(givenError(hook, error));
      else resolve(all);
    });
    // Promises only, and no other thenables: `then` of a database query would run it.
    if (types.isPromise(returned)) returned.then(undefined, reject);
  });
  return withinWait(
    answer,
    `${hook} has a callback (it declares one, or no parameters), and did not call it within ${longestWait / 1000} s; what it returns does not count`,
  );
}

/** What a hook without a callback returned; it must be a promise, or anything else that can be awaited. */
async function promised(hook: string, call: () => unknown): Promise<unknown> {
  const returned = call();
  if (!isThenable(returned)) {
    throw new TypeError(
      `${hook} declares no callback, so it must return a promise of its answer: make it async, or declare the callback`,
    );
  }
  return await awaited(hook, returned);
}

function awaited<T>(hook: string, value: T | PromiseLike<T>): Promise<T> {
  return withinWait(
    Promise.resolve(value),
    `${hook} returned a promise that is not settled after ${longestWait / 1000} s`,
  );
}

function withinWait<T>(answer: Promise<T>, otherwise: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = setTimeout(() => reject(new TypeError(otherwise)), longestWait);
    end.unref?.();
    answer.then(resolve, reject).finally(() => clearTimeout(end));
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** A promise in the place of the error is a mistake; that it may be rejected must not end the process. */
function givenError(hook: string, error: unknown): unknown {
  if (!isThenable(error)) return error;
  Promise.resolve(error).catch(() => {});
  return new TypeError(`${hook} gave its callback a promise in the place of the error`);
}

/** What `verify` decided. */
export type Verdict = { accepted: true; user: unknown; info: unknown } | { accepted: false; info: unknown };

/** What `verify` may be told. */
export interface Candidate {
  req: Request;
  tokens: { accessToken: string; refreshToken?: string; expiresAt?: number };
  params: Record<string, unknown>;
  profile: unknown;
  state: unknown;
}

/** What `refuse` makes: a failure with a sentence of the application's. */
export class Refusal {
  readonly sentence: string | undefined;
  constructor(sentence: unknown) {
    this.sentence = typeof sentence === 'string' && sentence.trim() !== '' ? sentence : undefined;
  }
}

/** @returns A failure for `verify` to return, with a sentence for the visitor. */
function refuse(sentence: string): Refusal {
  return new Refusal(sentence);
}

/**
 * Reads the form of `verify` off what it declares:
 * - one parameter: it gets an object, and what it returns decides;
 * - none, or `done` behind passport-oauth2's parameters: `done` decides;
 * - some of passport-oauth2's parameters, but no `done`: it must return a promise, which decides.
 *
 * @throws {TypeError} when it declares more than there is to give.
 */
export function verifier(
  verify: Hook,
  passReqToCallback: boolean,
): (strategy: unknown, candidate: Candidate) => Promise<Verdict> {
  const { length } = verify;
  const given = passReqToCallback ? 4 : 3;
  if (length > given + 2) {
    throw new TypeError(
      `verify declares ${length} parameters; at the most there are (${passReqToCallback ? 'req, ' : ''}accessToken, refreshToken, params, profile, done)${passReqToCallback ? '' : ', and with passReqToCallback: true req before them'}`,
    );
  }
  if (length === 1) {
    return async (strategy, { tokens, profile, req, state }) =>
      returnedVerdict(await awaited('verify', verify.call(strategy, { tokens, profile, req, state, refuse })));
  }
  const args = ({ req, tokens, params, profile }: Candidate) => [
    ...(passReqToCallback ? [req] : []),
    tokens.accessToken,
    tokens.refreshToken,
    ...(length === given + 2 ? [params] : []),
    profile,
  ];
  if (length === 0 || length > given) {
    return async (strategy, candidate) => {
      const [user, info] = await calledBack('verify', (done) => verify.call(strategy, ...args(candidate), done));
      return givenVerdict(user, info);
    };
  }
  return async (strategy, candidate) =>
    returnedVerdict(await promised('verify', () => verify.call(strategy, ...args(candidate))));
}

function returnedVerdict(value: unknown): Verdict {
  if (value === false || value === null || value === undefined) return refused(undefined);
  if (typeof value !== 'object') throw notAUser(value);
  return givenVerdict(value, undefined);
}

/** As passport-oauth2 has it, any user that is not falsy; but for what functions give by accident in a user's place. */
function givenVerdict(user: unknown, info: unknown): Verdict {
  if (user instanceof Refusal) return refused(user.sentence);
  if (!user) return refused(info);
  // As of `catch (error) { return error }`.
  if (user instanceof Error || types.isNativeError(user)) throw user;
  if (isNoUser(user)) throw notAUser(user);
  return { accepted: true, user, info: typeof info === 'string' ? { message: info } : info };
}

/** Lists, such as a search gives that found nobody; functions; and answers that are still to come or to be read. */
function isNoUser(value: unknown): boolean {
  if (typeof value === 'function') return true;
  if (typeof value !== 'object' || value === null) return false;
  if (types.isBoxedPrimitive(value) || types.isDate(value) || types.isRegExp(value) || value instanceof Response)
    return true;
  // Iterators, maps and buffers; observables; streams; timers.
  const methods = [Symbol.iterator, Symbol.asyncIterator, 'subscribe', 'pipe', 'unref'];
  return methods.some((name) => typeof Reflect.get(value, name) === 'function');
}

function refused(info: unknown): Verdict {
  return { accepted: false, info: reasonGiven(info, 'verify_refused') };
}

/** Passport would take a number for the HTTP status to answer with, and put a text into a header. */
function reasonGiven(info: unknown, code: PowerFolderFailureCode): unknown {
  if (typeof info === 'string') return { ...failure(code), message: info };
  return typeof info === 'object' && info !== null ? info : undefined;
}

function notAUser(value: unknown): TypeError {
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  const type = tag === 'Object' ? (value as object).constructor?.name : tag;
  const kind = typeof value === 'object' ? `an object of the type ${type}` : `a ${typeof value}`;
  return new TypeError(`verify gave ${kind} as the user; it gives the user as one object, or false for nobody`);
}

/** Whether to sign in without a profile. A function with a second parameter has a callback, as in passport-oauth2. */
export async function skipsProfile(skip: unknown, accessToken: string): Promise<boolean> {
  if (typeof skip !== 'function') return skip === true;
  const [answer] =
    skip.length > 1
      ? await calledBack('skipUserProfile', (done) => skip(accessToken, done))
      : [await awaited('skipUserProfile', skip())];
  // Nothing is no yes: the profile is asked for.
  if (answer === undefined || answer === null) return false;
  if (typeof answer === 'boolean') return answer;
  throw new TypeError(`skipUserProfile gave a ${typeof answer}; it gives true or false`);
}

/** The profile that a strategy's `userProfile` gives: through its callback, or as a promise where it declares none. */
export async function loadedProfile(
  strategy: {
    userProfile(accessToken: string, done: (error?: unknown, profile?: PowerFolderProfile) => void): unknown;
  },
  accessToken: string,
): Promise<object> {
  const [profile] =
    strategy.userProfile.length === 1
      ? [await promised('userProfile', () => (strategy as { userProfile: Hook }).userProfile(accessToken))]
      : await calledBack('userProfile', (done) => strategy.userProfile(accessToken, done));
  if (typeof profile === 'object' && profile !== null && !Array.isArray(profile)) return profile;
  throw new TypeError(
    'userProfile gave no profile, so nobody was signed in; to sign in without one, set skipUserProfile: true',
  );
}

/**
 * An application's state store, called as passport-oauth2 does: with as many arguments as its methods declare.
 *
 * @throws {TypeError} when a method declares another number: then it is not known where it expects its callback.
 */
export function calledStore(store: { store: Hook; verify: Hook }, pkce: boolean): PendingSignIns {
  // Read once: a test's spy in a method's place declares nothing.
  const lengths = { store: store.store.length, verify: store.verify.length };
  if (lengths.store < 2 || lengths.store > 5) {
    throw new TypeError(
      `store.store declares ${lengths.store} parameters; it must declare (req, [[[verifier,] state,] meta,] done), since it is called with as many as it declares`,
    );
  }
  if (lengths.verify !== 3 && lengths.verify !== 4) {
    throw new TypeError(
      `store.verify declares ${lengths.verify} parameters; it must declare (req, state, [meta,] done), since it is called with as many as it declares`,
    );
  }
  if (pkce && lengths.store !== 5) {
    throw new TypeError('pkce needs a store whose store method takes (req, verifier, state, meta, done)');
  }
  return {
    async begin(req, verifier, appState, meta) {
      const args = [verifier, appState, meta].slice(5 - lengths.store);
      const [state] = await calledBack('store.store', (done) => store.store(req, ...args, done));
      return state;
    },
    async take(req, state, meta) {
      const args = lengths.verify === 4 ? [state, meta] : [state];
      const [ok, value] = await calledBack('store.verify', (done) => store.verify(req, ...args, done));
      if (!ok) return { taken: false, reason: reasonGiven(value, 'state_unknown') ?? failure('state_unknown') };
      if (ok === true || typeof ok === 'string') {
        return { taken: true, verifier: ok === true ? undefined : ok, state: value };
      }
      throw new TypeError('store.verify gave neither true, nor a PKCE verifier, nor false');
    },
  };
}
