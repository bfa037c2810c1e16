/** Who decides: only an explicit yes of the application's `verify` signs anybody in (R50). */
import { types } from 'node:util';
import type { Request } from 'express';
import { awaited, calledBack, type Hook, promised } from './hooks.ts';
import type { PowerFolderProfile } from './profile.ts';
import type { PowerFolderTokens } from './token.ts';

/** What `verify` gets in its form with one parameter. */
export interface PowerFolderSignIn<Profile = PowerFolderProfile> {
  tokens: PowerFolderTokens;
  /** Who signed in; undefined with `skipUserProfile`, and of the subclass's type if that overrides `userProfile`. */
  profile: Profile;
  req: Request;
  /** The object given as `state` to `passport.authenticate` when the sign-in began. */
  state: unknown;
  /** Makes a failure to return, whose `message` is the sentence: it is for the visitor to read. */
  refuse: (sentence: string) => Refusal;
}

/**
 * Finds or creates the application's user, which is an object. `false`, `null`, `undefined` and what `refuse` made mean
 * that this account may not sign in; a thrown error, or a rejected promise, goes to the application's error handling.
 */
export type PowerFolderVerifyFunction<Profile = PowerFolderProfile> = (
  signIn: PowerFolderSignIn<Profile>,
) => VerifyResult | Promise<VerifyResult>;

/** A user is an object, and no promise: of what that resolves to nothing would be known. */
export type VerifyResult = (Express.User & object & { then?: never }) | Refusal | false | null | undefined;

/** `done` of the classic forms: an error, or the user, also as a promise; or `false`, and for the visitor why. */
export type PowerFolderVerifyCallback = (
  error?: unknown,
  user?: (Express.User & object) | false | null | PromiseLike<VerifyResult>,
  info?: object | string,
) => void;

/**
 * `params` of the classic forms: the members of the token response (RFC 6749 section 5.1) as they came, others than these
 * included; and `expiresAt`.
 */
export interface PowerFolderTokenParams {
  access_token: string;
  refresh_token?: unknown;
  /** Seconds, as a number or a text. */
  expires_in?: unknown;
  scope?: unknown;
  token_type?: unknown;
  /**
   * As in {@link PowerFolderTokens}: epoch milliseconds, undefined when the server did not say. The server's own
   * `expiresAt`, if it sends one, is not here.
   */
  expiresAt: number | undefined;
}

/** What `verify` decided. */
export type Verdict =
  | { accepted: true; user: unknown; info: unknown }
  /** `info` is a sentence for the visitor, or Passport's `info` as the application gave it. */
  | { accepted: false; info: string | object | undefined };

/** What `verify` may be told. */
export interface Candidate {
  req: Request;
  tokens: { accessToken: string; refreshToken?: string; expiresAt?: number };
  params: Record<string, unknown>;
  profile: unknown;
  state: unknown;
}

/** What `refuse` makes: a failure with a sentence of the application's. */
class Refusal {
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
    ...(length === given + 2 ? [{ ...params, expiresAt: tokens.expiresAt }] : []),
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
  if (types.isBoxedPrimitive(value) || types.isDate(value) || types.isRegExp(value)) return true;
  // Not by `instanceof`, which would load all of fetch, and know Node's own only.
  if (Object.prototype.toString.call(value) === '[object Response]') return true;
  // Iterators, maps and buffers; observables; streams; timers.
  const methods = [Symbol.iterator, Symbol.asyncIterator, 'subscribe', 'pipe', 'unref'];
  return methods.some((name) => typeof Reflect.get(value, name) === 'function');
}

function refused(info: unknown): Verdict {
  // Passport would take a number for the HTTP status.
  const told = typeof info === 'string' || (typeof info === 'object' && info !== null);
  return { accepted: false, info: told ? info : undefined };
}

function notAUser(value: unknown): TypeError {
  const tag = Object.prototype.toString.call(value).slice('[object '.length, -1);
  const type = tag === 'Object' ? (value as object).constructor?.name : tag;
  const kind = typeof value === 'object' ? `an object of the type ${type}` : `a ${typeof value}`;
  return new TypeError(`verify gave ${kind} as the user; it gives the user as one object, or false for nobody`);
}
