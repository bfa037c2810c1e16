/** Deadlines whose outcome does not depend on how busy the machine is. */
import {
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  type PowerFolderVerifyFunction,
} from 'passport-powerfolder';

/** Milliseconds; for a server that never answers: it passes, sooner or later. */
export const timeout = 300;
/** Milliseconds; for a server that does answer: it must not pass first. */
export const patience = 60_000;

/** A strategy that keeps its deadline for the profile only, and waits for all else, so that it is known which request is late. */
export function impatientForProfile(
  options: PowerFolderStrategyOptions,
  verify: PowerFolderVerifyFunction,
): PowerFolderStrategy {
  const strategy = new PowerFolderStrategy({ ...options, timeout: patience }, verify);
  const impatient = new PowerFolderStrategy(options, verify);
  return Object.assign(strategy, { userProfile: impatient.userProfile.bind(impatient) });
}
