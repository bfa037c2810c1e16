/**
 * What the compiler knows of the strategy's constructor: it checks `verify` by its form and by the options. Only the type of
 * a constructor can have type parameters, and no constructor itself.
 */
import type { PowerFolderStrategyOptions } from './options.ts';
import { PowerFolderStrategy as Strategy } from './strategy.ts';
import type { AnnotatedVerify, CheckedVerify, InferredVerify, SkipUserProfile } from './verify-forms.ts';

/**
 * The overloads are for parameters without annotations, with and without the request before them, and for those with types
 * of the application's. To a subclass each is known by its defaults: there, what `verify` gives is not checked.
 */
interface PowerFolderStrategyConstructor {
  readonly prototype: Strategy;
  /**
   * @param options See {@link PowerFolderStrategyOptions}.
   * @param verify With one parameter: {@link PowerFolderVerifyFunction}. With more, or none declared: passport-oauth2's
   * `(accessToken, refreshToken, [params,] profile, done)`, with `req` before them by `passReqToCallback`.
   * @throws {TypeError} for a mistake in the configuration, with the fix in its message.
   */
  new <
    Skip extends SkipUserProfile = SkipUserProfile,
    Verify extends InferredVerify<Skip, true> = InferredVerify<Skip, true>,
  >(
    options: PowerFolderStrategyOptions & { skipUserProfile?: Skip; passReqToCallback: true },
    verify: Verify & CheckedVerify<Verify, Skip, true>,
  ): Strategy;
  new <
    Skip extends SkipUserProfile = SkipUserProfile,
    PassReq extends boolean | undefined = boolean | undefined,
    Verify extends InferredVerify<Skip, false> = InferredVerify<Skip, false>,
  >(
    options: PowerFolderStrategyOptions & { skipUserProfile?: Skip; passReqToCallback?: PassReq },
    verify: Verify & CheckedVerify<Verify, Skip, PassReq>,
  ): Strategy;
  new <
    Skip extends SkipUserProfile = SkipUserProfile,
    PassReq extends boolean | undefined = boolean | undefined,
    Verify extends AnnotatedVerify = AnnotatedVerify,
  >(
    options: PowerFolderStrategyOptions & { skipUserProfile?: Skip; passReqToCallback?: PassReq },
    verify: Verify & CheckedVerify<Verify, Skip, PassReq>,
  ): Strategy;
}

export type PowerFolderStrategy = Strategy;
/**
 * Signs users in with their PowerFolder account.
 *
 * @example
 * passport.use(new PowerFolderStrategy({
 *   serverURL: 'https://powerfolder.example.com',
 *   clientID, clientSecret,
 *   callbackURL: 'https://app.example.com/oauth',
 * }, async ({ tokens, profile }) => users.findOrCreate(profile.id, tokens)));
 */
export const PowerFolderStrategy: PowerFolderStrategyConstructor = Strategy;
