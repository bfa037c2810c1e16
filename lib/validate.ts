/** `validate`, by which an application of NestJS decides in the place of `verify`. */
import type { Hook } from './hooks.ts';

/** The verify function of a strategy whose own `validate` gets one object. */
export function ownValidate(this: { validate: Hook }, signIn: unknown): unknown {
  return this.validate(signIn);
}

/**
 * Refuses what cannot be told, and what could never answer, of a `validate` behind the function of @nestjs/passport's
 * mixin. That function takes its last argument for `done`, and declares nothing, or as much as the mixin's third argument
 * says.
 *
 * @throws {TypeError} with the fix in its message.
 */
export function refuseUnclearValidate(strategy: object, verify: Hook, passReqToCallback: boolean): void {
  const { getPassportInstance, validate } = strategy as { getPassportInstance?: unknown; validate?: unknown };
  if (verify === ownValidate || typeof getPassportInstance !== 'function' || typeof validate !== 'function') return;
  const classic = `(${passReqToCallback ? 'req, ' : ''}accessToken, refreshToken, profile)`;
  if (validate.length === 1) {
    throw new TypeError(
      `validate declares one parameter, which could be the access token or an object: for validate({ tokens, profile, refuse }) extend PassportStrategy(PowerFolderNestStrategy, …), else declare ${classic}`,
    );
  }
  const withoutDone = passReqToCallback ? 4 : 3;
  if (verify.length > 0 && verify.length <= withoutDone) {
    throw new TypeError(
      `The third argument of PassportStrategy leaves no place for the callback that it adds: give true, with validate declaring ${classic} or params before profile, or leave it out`,
    );
  }
}
