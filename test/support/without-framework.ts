/** The strategy called as Passport calls it, without Passport, a framework or a server of the application's around it. */
import type { PowerFolderStrategy } from 'passport-powerfolder';

/** How a call ended: in which of Passport's actions, and with what. */
export interface End {
  action: 'redirect' | 'success' | 'fail' | 'error' | 'pass';
  given: unknown[];
}

/**
 * Calls a strategy with a request, on an object of the request's own, as Passport does.
 *
 * @param request What is not as usual in it: it is a GET, with an empty session.
 * @param options As given to `passport.authenticate`.
 * @param ended Told of each end, as there must not be a second.
 * @returns The first end.
 */
export function callStrategy(
  strategy: PowerFolderStrategy,
  request: object,
  options?: object,
  ended: (end: End) => void = () => {},
): Promise<End> {
  return new Promise((resolve) => {
    const action = (name: End['action']) => [
      name,
      (...given: unknown[]) => {
        resolve({ action: name, given });
        ended({ action: name, given });
      },
    ];
    const actions = Object.fromEntries((['redirect', 'success', 'fail', 'error', 'pass'] as const).map(action));
    const inRequest = Object.assign(Object.create(strategy), actions);
    inRequest.authenticate({ method: 'GET', session: {}, ...request }, options);
  });
}

/** The URL that a sign-in leads to; an error that it ends in is thrown. */
export async function authorizationURLOf(
  strategy: PowerFolderStrategy,
  options?: object,
  session: object = {},
): Promise<URL> {
  const { action, given } = await callStrategy(strategy, { originalUrl: '/auth/powerfolder', session }, options);
  if (action !== 'redirect') throw given[0];
  return new URL(String(given[0]));
}
