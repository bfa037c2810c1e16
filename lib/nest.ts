/** For @nestjs/passport: `validate` decides, in the form with one object. */
import type { PowerFolderStrategyOptions } from './options.ts';
import { PowerFolderStrategy } from './strategy.ts';
import { ownValidate } from './validate.ts';
import type { PowerFolderSignIn, VerifyResult } from './verify.ts';

/**
 * A strategy whose own method `validate` decides, as a `verify` with one parameter does. @nestjs/passport's
 * `PassportStrategy` hands a function of its own to the strategy that it extends, and nothing of that function tells which
 * form `validate` has: with this class it has always this one.
 *
 * @example
 * class PowerFolder extends PassportStrategy(PowerFolderNestStrategy, 'powerfolder') {
 *   constructor() { super({ serverURL, clientID, clientSecret, callbackURL }); }
 *   override async validate({ tokens, profile, refuse }: PowerFolderSignIn) { … }
 * }
 */
export class PowerFolderNestStrategy extends PowerFolderStrategy {
  /**
   * @param options See {@link PowerFolderStrategyOptions}.
   * @throws {TypeError} for a mistake in the configuration, and where the class has no `validate`.
   */
  constructor(options: PowerFolderStrategyOptions) {
    super(options, ownValidate);
    if (this.validate === PowerFolderNestStrategy.prototype.validate) throw noValidate();
  }

  /** Decides who signs in; see {@link PowerFolderVerifyFunction}. */
  validate(_signIn: PowerFolderSignIn): VerifyResult | Promise<VerifyResult> {
    throw noValidate();
  }
}

function noValidate(): TypeError {
  return new TypeError(
    'PowerFolderNestStrategy needs a class with a method validate({ tokens, profile, refuse }); for a verify function, use PowerFolderStrategy',
  );
}
