/** The two stores of pending sign-ins, for tests that hold for both. */
import { CookieStateStore, type PowerFolderStrategyOptions } from 'passport-powerfolder';

export const stateSecret = 'for tests only, and long enough to seal';

/** What to give to the strategy. */
export const stateStores: ['the session' | 'cookies', () => Pick<PowerFolderStrategyOptions, 'store'>][] = [
  ['the session', () => ({})],
  ['cookies', () => ({ store: new CookieStateStore({ secret: stateSecret }) })],
];
