/** Subclasses of the strategy. */
import passport from 'passport';
import {
  type PowerFolderProfile,
  type PowerFolderSignIn,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderTokens,
  type PowerFolderVerifyFunction,
  Strategy,
} from 'passport-powerfolder';

declare const options: PowerFolderStrategyOptions;

class Named extends PowerFolderStrategy {
  override name = 'powerfolder-b';
  override authorizationParams(given: { lang?: string }): object {
    return { ...super.authorizationParams(given), lang: given.lang };
  }
  override tokenParams(given: object): object {
    return { ...super.tokenParams(given), format: 'json' };
  }
  override parseErrorResponse(body: string, status: number): Error | null {
    return status === 418 ? new Error(body) : super.parseErrorResponse(body, status);
  }
  override userProfile(accessToken: string, done: (error?: unknown, profile?: PowerFolderProfile) => void): void {
    super.userProfile(accessToken, (error, profile) => done(error, profile && { ...profile, displayName: 'Ada' }));
  }
}
passport.use(new Named(options, async ({ profile }) => ({ id: profile.id })));
passport.use(
  'other',
  new Named(options, (_accessToken, _refreshToken, profile, done) => done(null, { id: profile.id })),
);

/** A profile of its own, as a promise. */
interface Employee extends PowerFolderProfile {
  staffNumber: number;
}
class OfEmployees extends PowerFolderStrategy {
  override async userProfile(accessToken: string): Promise<Employee> {
    return { provider: 'powerfolder', id: accessToken, displayName: '', _raw: '', _json: {}, staffNumber: 1 };
  }
}
new OfEmployees(options, ({ profile }: PowerFolderSignIn<Employee>) => ({ number: profile.staffNumber }));
new OfEmployees(options, (_at: string, _rt: string, profile: Employee, done: (error: unknown, user?: object) => void) =>
  done(null, { number: profile.staffNumber }),
);

/** With options of its own. */
class ForStaff extends PowerFolderStrategy {
  constructor({ staff, ...rest }: PowerFolderStrategyOptions & { staff: string[] }) {
    super(rest, ({ profile, refuse }) => (staff.includes(profile.id) ? { id: profile.id } : refuse('Staff only.')));
  }
}
new ForStaff({ ...options, staff: [] });
class HandedOn extends Strategy {
  constructor(given: PowerFolderStrategyOptions, verify: PowerFolderVerifyFunction) {
    super({ ...given, stateTTL: 60_000 }, verify);
  }
}
new HandedOn(options, async ({ profile }) => ({ id: profile.id }));

export async function fresh(strategy: PowerFolderStrategy, tokens: PowerFolderTokens): Promise<PowerFolderTokens> {
  return await strategy.client.freshTokens(await strategy.freshTokens(tokens));
}
