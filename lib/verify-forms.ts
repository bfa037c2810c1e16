/**
 * What compiles as `verify`. TypeScript gives parameters without an annotation their types by the first overload that it
 * tries, so that one signature has to do for them in all forms: {@link InferredVerify}. What it lets through by that is
 * checked by {@link CheckedVerify}, whose sentences the compiler shows.
 */
import type { Request } from 'express';
import type { PowerFolderProfile } from './profile.ts';
import type { PowerFolderSignIn, PowerFolderTokenParams, PowerFolderVerifyCallback, VerifyResult } from './verify.ts';

/** The option `skipUserProfile`. */
export type SkipUserProfile =
  | boolean
  | (() => boolean | Promise<boolean>)
  | ((accessToken: string, done: (error: unknown, skip?: boolean) => void) => unknown)
  | undefined;

/** The profile under an option `skipUserProfile` of this type; one that can be anything is taken for left out. */
type ProfileUnder<Skip> = [NonNullable<SkipUserProfile>] extends [Skip]
  ? PowerFolderProfile
  : [Skip] extends [true]
    ? undefined
    : [Skip] extends [false | undefined]
      ? PowerFolderProfile
      : PowerFolderProfile | undefined;

/** Gives parameters without an annotation their types. */
export type InferredVerify<Skip, PassReq> = (...args: InferredArguments<ProfileUnder<Skip>, PassReq>) => Answer;

/** What may stand at each place of all forms, at once. */
type InferredArguments<Profile, PassReq> = [PassReq] extends [true]
  ? [
      signInOrReq: PowerFolderSignIn<Profile> & Request,
      accessToken: string,
      refreshToken: string,
      profileOrParams: ProfileOrParams<Profile>,
      doneOrProfile: DoneOrProfile<Profile>,
      done: PowerFolderVerifyCallback,
    ]
  : [
      signInOrAccessToken: PowerFolderSignIn<Profile> & string,
      refreshToken: string,
      profileOrParams: ProfileOrParams<Profile>,
      doneOrProfile: DoneOrProfile<Profile>,
      done: PowerFolderVerifyCallback,
    ];
/** Where there may be no profile, params without an annotation are possibly undefined as well: it is the rarer form. */
type ProfileOrParams<Profile> = [Profile] extends [undefined]
  ? PowerFolderTokenParams
  : (NonNullable<Profile> & PowerFolderTokenParams) | Extract<Profile, undefined>;
type DoneOrProfile<Profile> = [Profile] extends [undefined]
  ? PowerFolderVerifyCallback
  : PowerFolderVerifyCallback & (undefined extends Profile ? Partial<NonNullable<Profile>> : Profile);

/** Anything; written so that `false` stays `false`, and is not read as a boolean. */
type Answer = Value | PromiseLike<Value>;
// biome-ignore lint/suspicious/noConfusingVoidType: what a function without `return` returns.
type Value = object | string | number | bigint | symbol | true | false | null | undefined | void;

/** Any function: the parameters have types of the application's. */
export type AnnotatedVerify = (...args: Any) => unknown;
// biome-ignore lint/suspicious/noExplicitAny: nothing is known of what applications declare.
type Any = any;

/** `unknown` for a `verify` that will do; else a sentence, which no function is, and so the compiler shows it. */
export type CheckedVerify<Verify, Skip, PassReq> = Verify extends (...args: infer Args) => infer Returned
  ? Args['length'] extends Required<Args>['length']
    ? number extends Args['length']
      ? unknown
      : Args['length'] extends 0
        ? unknown
        : Args['length'] extends 1
          ? CheckedObjectForm<Args[0], Returned, ProfileUnder<Skip>, PassReq>
          : CheckedClassicForm<Args, Returned, ProfileUnder<Skip>, PassReq>
    : 'how verify is called is read off the parameters that it declares: declare each without a default value and without a question mark'
  : never;

type CheckedObjectForm<First, Returned, Profile, PassReq> = [PowerFolderSignIn<Profile>] extends [First]
  ? CheckedUser<Returned>
  : [ClassicForms<PassReq, Any>[2][0]] extends [First]
    ? 'verify with one parameter gets one object: async ({ tokens, profile }) => user'
    : [InferredArguments<Profile, PassReq>[0]] extends [First]
      ? CheckedUser<Returned>
      : [PowerFolderSignIn<Any>] extends [First]
        ? [Profile] extends [PowerFolderProfile]
          ? CheckedUser<Returned> // The profile of a subclass's userProfile.
          : NoProfile<Profile>
        : 'verify with one parameter gets one object: async ({ tokens, profile }) => user';

type CheckedUser<Returned> = [Awaited<Returned>] extends [VerifyResult]
  ? unknown
  : 'verify with one parameter gives the user as an object; or false, null, undefined or refuse(sentence) for nobody';

type CheckedClassicForm<Args extends unknown[], Returned, Profile, PassReq> = Args['length'] extends keyof ClassicForms<
  PassReq,
  Any
>
  ? [Misplaced<Args, [Profile] extends [undefined] ? undefined : Any, Profile, PassReq>] extends [never]
    ? Args['length'] extends FormsWithoutDone<PassReq>
      ? CheckedPromise<Returned>
      : unknown
    : [Misplaced<Args, Any, Profile, PassReq>] extends [never]
      ? NoProfile<Profile>
      : [PassReq] extends [true]
        ? 'with passReqToCallback: true the parameters of verify are (req, accessToken, refreshToken, [params,] profile, done)'
        : 'the parameters of verify are (accessToken, refreshToken, [params,] profile, done)'
  : 'verify declares too many parameters';

type CheckedPromise<Returned> = [Returned] extends [PromiseLike<VerifyResult>]
  ? unknown
  : 'verify without done must return a promise of the user, which is an object; or of false, null or undefined for nobody';

type NoProfile<Profile> = [Profile] extends [undefined]
  ? 'profile is undefined under skipUserProfile: true'
  : 'profile may be undefined under this skipUserProfile';

/** The classic forms by their number of parameters. A profile may be of passport's type, or of a subclass's. */
type ClassicForms<PassReq, Profile> = [PassReq] extends [true]
  ? {
      2: [Request, string];
      3: [Request, string, string];
      4: [Request, string, string, Profile];
      5: [Request, string, string, Profile, AnyCallback];
      6: [Request, string, string, Any, Profile, AnyCallback];
    }
  : {
      2: [string, string];
      3: [string, string, Profile];
      4: [string, string, Profile, AnyCallback];
      5: [string, string, Any, Profile, AnyCallback];
    };
type FormsWithoutDone<PassReq> = [PassReq] extends [true] ? 2 | 3 | 4 : 2 | 3;
type AnyCallback = (error?: Any, user?: Any, info?: Any) => void;

/** The places where a parameter takes neither what its form has there, nor what it would have without an annotation. */
type Misplaced<Args extends unknown[], Annotated, Profile, PassReq> = {
  [Place in keyof Args]: [At<At<ClassicForms<PassReq, Annotated>, Args['length']>, Place>] extends [Args[Place]]
    ? never
    : [At<InferredArguments<Profile, PassReq>, Place>] extends [Args[Place]]
      ? never
      : Place;
}[number];
type At<List, Place> = Place extends keyof List ? List[Place] : never;
