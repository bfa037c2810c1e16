/** The requests to the server that an application makes outside a sign-in, each by its route. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';

// It has no types.
const { AuthTokenRefresh } = createRequire(join(process.cwd(), 'package.json'))('passport-oauth2-refresh');

export type RequestRoute = 'fresh' | 'oauth2-refresh' | 'get' | 'late' | 'away';

/** Rejects with the error that an application hands to its framework. */
export function serverRequests(options: PowerFolderStrategyOptions): Record<RequestRoute, () => Promise<unknown>> {
  const strategy = new PowerFolderStrategy(options, () => false);
  // Used where the server does not answer, so that it is always too late.
  const hurried = new PowerFolderStrategy({ ...options, timeout: 100 }, () => false);
  const elsewhere = new PowerFolderStrategy({ ...options, serverURL: 'http://127.0.0.1:1' }, () => false);
  const refresh = new AuthTokenRefresh();
  refresh.use(strategy);
  const calledBack = (call: (done: (error: unknown, value?: unknown) => void) => void) =>
    new Promise((resolve, reject) => call((error, value) => (error ? reject(error) : resolve(value))));
  return {
    fresh: () => strategy.freshTokens({ accessToken: '1access', refreshToken: '1refresh', expiresAt: 1 }),
    'oauth2-refresh': () => calledBack((done) => refresh.requestNewAccessToken('powerfolder', '1refresh', done)),
    get: () =>
      calledBack((done) =>
        strategy['_oauth2'].get(`${options.serverURL}/api/accounts?action=getInfo`, '1access', done),
      ),
    late: () => hurried.refreshAccessToken('1refresh'),
    away: () => elsewhere.refreshAccessToken('1refresh'),
  };
}
