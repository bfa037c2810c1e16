/** With the mixin of @nestjs/passport. */
import { PassportStrategy } from '@nestjs/passport';
import {
  PowerFolderNestStrategy,
  type PowerFolderProfile,
  type PowerFolderSignIn,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderTokenParams,
} from 'passport-powerfolder';

declare const options: PowerFolderStrategyOptions;

export class OneObject extends PassportStrategy(PowerFolderNestStrategy, 'powerfolder') {
  constructor() {
    super(options);
  }
  override async validate({ tokens, profile, refuse }: PowerFolderSignIn) {
    return profile.username === 'ada' ? { id: profile.id, tokens } : refuse('Only Ada.');
  }
}
export class Classic extends PassportStrategy(PowerFolderStrategy, 'powerfolder') {
  constructor() {
    super({ ...options, skipUserProfile: false });
  }
  validate(accessToken: string, refreshToken: string, profile: PowerFolderProfile) {
    return { id: profile.id, accessToken, refreshToken };
  }
}
export class WithRequest extends PassportStrategy(PowerFolderStrategy, 'powerfolder', true) {
  constructor() {
    super({ ...options, passReqToCallback: true });
  }
  validate(_req: object, _at: string, _rt: string, params: PowerFolderTokenParams, profile: PowerFolderProfile) {
    return { id: profile.id, expiresAt: params.expiresAt };
  }
}
export class Wrong extends PassportStrategy(PowerFolderNestStrategy, 'wrong') {
  constructor() {
    // @ts-expect-error 'callbackURL' is missing
    super({ serverURL: 'x', clientID: 'a', clientSecret: 'b' });
  }
  // @ts-expect-error not assignable
  override validate(accessToken: string) {
    return { accessToken };
  }
}
export class NoUser extends PassportStrategy(PowerFolderNestStrategy, 'no-user') {
  // @ts-expect-error not assignable
  override async validate({ profile }: PowerFolderSignIn) {
    return profile.id.length;
  }
}
