/**
 * What compiles as `verify`, and what does not. Behind `@ts-expect-error` stands what the compiler has to say:
 * test/package/types.test.ts reads it.
 */
import type { Request } from 'express';
import type { Profile } from 'passport';
import type { VerifyCallback, VerifyFunction, VerifyFunctionWithRequest } from 'passport-oauth2';
import {
  type PowerFolderProfile,
  type PowerFolderSignIn,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderTokenParams,
  type PowerFolderTokens,
  type PowerFolderVerifyFunction,
} from 'passport-powerfolder';

declare const options: PowerFolderStrategyOptions;
const literal = {
  serverURL: 'https://pf.example',
  clientID: 'a',
  clientSecret: 'b',
  callbackURL: 'https://a.example/b',
};
const withRequest = { ...literal, passReqToCallback: true } as const;
const unlessSkipped = { ...literal, skipUserProfile: () => literal.clientID === 'a' };
const withoutProfile = { ...literal, skipUserProfile: true } as const;
interface User {
  id: string;
}
type Done = VerifyCallback;
declare const users: {
  find(id: string): Promise<User | undefined>;
  findThen(id: string, done: (error: Error | null, user?: User) => void): void;
};
declare function is<T>(value: T): void;

// The form with one parameter, which needs no annotation.
new PowerFolderStrategy(options, async ({ tokens, profile, req, state, refuse }) => {
  is<PowerFolderTokens>(tokens);
  is<PowerFolderProfile>(profile);
  is<Request>(req);
  is<unknown>(state);
  is<number | undefined>(tokens.expiresAt);
  // @ts-expect-error Property 'nonsense' does not exist
  tokens.nonsense;
  // @ts-expect-error Property 'nonsense' does not exist
  profile.nonsense;
  if (profile.username === 'eve') return refuse('Not you.');
  return { id: profile.id };
});
new PowerFolderStrategy(options, ({ profile }) => users.find(profile.id));
new PowerFolderStrategy(options, async ({ profile }) => (await users.find(profile.id)) ?? false);
new PowerFolderStrategy(options, ({ profile }) => profile.username === 'ada' && { id: profile.id });
new PowerFolderStrategy(options, ({ refuse }) => refuse('No.'));
new PowerFolderStrategy(options, (_signIn) => false);
new PowerFolderStrategy(options, async (_signIn) => null);
new PowerFolderStrategy(options, async (_signIn) => {
  throw new Error('of the database');
});
new PowerFolderStrategy(options, async function verify(signIn) {
  is<string>(signIn.profile.id);
  return await users.find(signIn.profile.id);
});
new PowerFolderStrategy(withRequest, ({ req, profile }) => ({ id: profile.id, ip: req.ip }));
new PowerFolderStrategy(options, (signIn: PowerFolderSignIn) => ({ id: signIn.profile.id }));
new PowerFolderStrategy(options, ({ profile }: { profile: { id: string } }) => ({ id: profile.id }));
export const named: PowerFolderVerifyFunction = async ({ profile, refuse }) =>
  (await users.find(profile.id)) ?? refuse('Nobody.');
new PowerFolderStrategy(options, named);
new PowerFolderStrategy(literal, named);

// Only a user, or a no.
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, ({ profile }) => profile.id.length);
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, async ({ profile }) => (profile.username ? { id: profile.id } : 42));
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, async ({ profile }) => profile.id);
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, ({ profile }) => profile.username === 'ada');
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, ({ profile }) => profile.username && { id: profile.id });
// @ts-expect-error verify with one parameter gives the user as an object
new PowerFolderStrategy(options, (signIn: PowerFolderSignIn) => signIn.profile.displayName);
// @ts-expect-error not assignable
export const number: PowerFolderVerifyFunction = async () => 42;

// One parameter is never the access token.
// @ts-expect-error verify with one parameter gets one object: async ({ tokens, profile }) => user
new PowerFolderStrategy(options, (accessToken: string) => users.find(accessToken));
// @ts-expect-error verify with one parameter gets one object: async ({ tokens, profile }) => user
new PowerFolderStrategy(options, async (_accessToken: string) => ({ id: 'x' }));
// @ts-expect-error verify with one parameter gets one object: async ({ tokens, profile }) => user
new PowerFolderStrategy(withRequest, (req: Request) => users.find(req.url));

// The form is read off the number of declared parameters, and JavaScript does not count those with a default value.
// @ts-expect-error declare each without a default value and without a question mark
new PowerFolderStrategy(options, ({ profile } = {} as PowerFolderSignIn) => ({ id: profile.id }));
// @ts-expect-error declare each without a default value and without a question mark
new PowerFolderStrategy(options, (accessToken: string, refreshToken?: string) =>
  users.find(accessToken + refreshToken),
);

// Without a profile there is nothing to read from it.
new PowerFolderStrategy(withoutProfile, ({ tokens, profile }) => {
  is<undefined>(profile);
  return users.find(tokens.accessToken);
});
// @ts-expect-error 'profile' is possibly 'undefined'
new PowerFolderStrategy({ ...literal, skipUserProfile: true }, ({ profile }) => ({ id: profile.id }));
// @ts-expect-error 'profile' is possibly 'undefined'
new PowerFolderStrategy({ ...options, skipUserProfile: () => false }, ({ profile }) => ({ id: profile.id }));
// @ts-expect-error 'profile' is possibly 'undefined'
new PowerFolderStrategy({ ...options, skipUserProfile: options.pkce === true }, ({ profile }) => ({ id: profile.id }));
// @ts-expect-error profile is undefined under skipUserProfile: true
new PowerFolderStrategy(withoutProfile, (signIn: PowerFolderSignIn) => ({ id: signIn.profile.id }));
// @ts-expect-error profile may be undefined under this skipUserProfile
new PowerFolderStrategy({ ...options, skipUserProfile: () => true }, named);
new PowerFolderStrategy({ ...literal, skipUserProfile: async () => false }, ({ profile }) => ({ id: profile?.id }));
new PowerFolderStrategy({ ...literal, skipUserProfile: false }, ({ profile }) => ({ id: profile.id }));
new PowerFolderStrategy(
  {
    ...literal,
    skipUserProfile: (accessToken, done) => {
      is<string>(accessToken);
      done(null, true);
    },
  },
  ({ profile }) => ({ id: profile?.id }),
);
new PowerFolderStrategy(
  { ...literal, skipUserProfile: () => true },
  ({ profile }: PowerFolderSignIn<PowerFolderProfile | undefined>) => ({ id: profile?.id }),
);
// @ts-expect-error 'profile' is possibly 'undefined'
new PowerFolderStrategy(unlessSkipped, (_at, _rt, profile, done) => done(null, { id: profile.id }));
// @ts-expect-error profile is undefined under skipUserProfile: true
new PowerFolderStrategy(withoutProfile, (_at: string, _rt: string, profile: Profile, done: VerifyCallback) =>
  done(null, profile),
);
new PowerFolderStrategy(withoutProfile, (accessToken, _refreshToken, _profile, done) => done(null, { accessToken }));

// Every classic form, without annotations.
new PowerFolderStrategy(options, (accessToken, refreshToken, profile, done) => {
  is<string>(accessToken);
  is<string>(refreshToken);
  is<PowerFolderProfile>(profile);
  // @ts-expect-error Property 'nonsense' does not exist
  profile.nonsense;
  users.findThen(profile.id, done);
  users.findThen(profile.id, (error, user) => done(error, user ?? false, { message: 'Nobody.' }));
  done(null, { id: profile.id });
  done(null, false, 'Nobody.');
  done(null, null);
  done(null, users.find(profile.id));
  done(new Error('of the database'));
  // @ts-expect-error not assignable
  done(null, 42);
  is<VerifyCallback>(done);
  return setTimeout(() => {}, 0);
});
new PowerFolderStrategy(options, (accessToken, refreshToken, params, profile, done) => {
  is<string>(accessToken);
  is<string>(refreshToken);
  is<PowerFolderTokenParams>(params);
  is<number | undefined>(params.expiresAt);
  is<PowerFolderProfile>(profile);
  // @ts-expect-error Property 'nonsense' does not exist
  params.nonsense;
  done(null, { id: profile.id, expiresAt: params.expiresAt });
});
new PowerFolderStrategy(withRequest, (req, accessToken, refreshToken, profile, done) => {
  is<Request>(req);
  is<string>(accessToken);
  is<string>(refreshToken);
  is<PowerFolderProfile>(profile);
  done(null, { id: profile.id });
});
new PowerFolderStrategy(
  { ...options, passReqToCallback: true },
  (req, accessToken, refreshToken, params, profile, done) => {
    is<Request>(req);
    is<string>(accessToken);
    is<string>(refreshToken);
    is<PowerFolderTokenParams>(params);
    is<PowerFolderProfile>(profile);
    done(null, { id: profile.id });
  },
);
new PowerFolderStrategy(options, async (_accessToken, _refreshToken, profile) => await users.find(profile.id));
new PowerFolderStrategy(withRequest, async (req, _accessToken, _refreshToken, profile) => ({
  id: profile.id,
  ip: req.ip,
}));
new PowerFolderStrategy(options, async (_accessToken, _refreshToken, profile, done) =>
  done(null, await users.find(profile.id)),
);
new PowerFolderStrategy(options, () => false);
new PowerFolderStrategy(options, (..._args: unknown[]) => {});
new PowerFolderStrategy(options, (..._args) => {});
// @ts-expect-error verify without done must return a promise of the user
new PowerFolderStrategy(options, (_accessToken, _refreshToken, profile) => ({ id: profile.id }));
// @ts-expect-error verify without done must return a promise of the user
new PowerFolderStrategy(options, async (_accessToken, _refreshToken, profile) => profile.id);
// @ts-expect-error verify declares too many parameters
new PowerFolderStrategy(options, (_a: Request, _b: string, _c: string, _d: object, _e: object, _f: Done) => {});
// @ts-expect-error the parameters of verify are (accessToken, refreshToken, [params,] profile, done)
new PowerFolderStrategy(options, (_a: Request, _b: string, _c: string, _d: object, _e: Done) => {});
// @ts-expect-error with passReqToCallback: true the parameters of verify are (req, accessToken, refreshToken, [params,] profile, done)
new PowerFolderStrategy(withRequest, (_a: string, _b: string, _c: object, _d: object, _e: Done) => {});

// What was written for passport-oauth2, as it stands.
declare const verify: VerifyFunction;
declare const verifyTyped: VerifyFunction<Profile, { expires_in: number }>;
declare const verifyWithRequest: VerifyFunctionWithRequest;
declare const verifyWithRequestTyped: VerifyFunctionWithRequest<Profile, { expires_in: number }>;
new PowerFolderStrategy(options, verify);
new PowerFolderStrategy(literal, verifyTyped);
new PowerFolderStrategy(withRequest, verifyWithRequest);
new PowerFolderStrategy({ ...options, passReqToCallback: true }, verifyWithRequestTyped);
new PowerFolderStrategy(withoutProfile, verify);
new PowerFolderStrategy(options, (_at: string, _rt: string, profile: Profile, done: VerifyCallback) => {
  users.find(profile.id).then((user) => done(null, user), done);
});
new PowerFolderStrategy(
  options,
  (_at: string, _rt: string, results: { expires_in: number }, profile: Profile, done) => {
    done(null, { id: profile.id, expiresIn: results.expires_in });
  },
);
new PowerFolderStrategy(
  withRequest,
  (_req: Request, _at: string, _rt: string, profile: Profile, done: VerifyCallback) => done(null, { id: profile.id }),
);
new PowerFolderStrategy(options, async (_at: string, _rt: string, profile: Profile, done: VerifyCallback) => {
  done(null, await users.find(profile.id));
});
// biome-ignore lint/suspicious/noExplicitAny: as it is often written.
new PowerFolderStrategy(options, (_at: string, _rt: string, profile: any, done: any) => done(null, profile));
new PowerFolderStrategy(
  options,
  (_at: string, _rt: string, profile: Profile, done: (error: Error | null, user?: User | false) => void) =>
    done(null, { id: profile.id }),
);
function declared(
  _at: string,
  _rt: string,
  profile: Profile,
  done: (error: unknown, user?: Express.User) => void,
): void {
  done(null, { id: profile.id });
}
new PowerFolderStrategy(options, declared);
export function make(...args: ConstructorParameters<typeof PowerFolderStrategy>): PowerFolderStrategy {
  return new PowerFolderStrategy(...args);
}

// Options are checked as before.
// @ts-expect-error 'skipUserprofile' does not exist
new PowerFolderStrategy({ ...literal, skipUserprofile: true }, ({ profile }) => ({ id: profile.id }));
// @ts-expect-error 'callbackURL' is missing
new PowerFolderStrategy({ serverURL: 'x', clientID: 'a', clientSecret: 'b' }, () => false);
// @ts-expect-error not assignable
new PowerFolderStrategy({ ...literal, skipUserProfile: 'false' }, () => false);
// @ts-expect-error not assignable
new PowerFolderStrategy({ ...literal, passReqToCallback: 'true' }, () => false);
