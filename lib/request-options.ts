/** What is given to `passport.authenticate` for one request, checked. */
import { types } from 'node:util';
import type passport from 'passport';
import { own } from './json.ts';
import { nearest } from './option-names.ts';
import { plainText } from './redact.ts';
import { checkScope } from './scope.ts';

// Without these, TypeScript takes a string only as the state, which is what the strategy refuses.
declare module 'passport' {
  interface Authenticator<InitializeRet, AuthenticateRet, AuthorizeRet, AuthorizeOptions> {
    authenticate(
      strategy: string | string[] | passport.Strategy,
      options: Omit<passport.AuthenticateOptions, 'state'> & PowerFolderAuthenticateOptions,
      callback?: passport.AuthenticateCallback,
    ): AuthenticateRet;
    authorize(
      strategy: string | string[],
      options: Omit<passport.AuthenticateOptions, 'state'> & PowerFolderAuthenticateOptions,
      callback?: passport.AuthorizeCallback,
    ): AuthorizeRet;
  }
}

declare global {
  namespace Express {
    interface AuthInfo {
      /** The object given as `state` to `passport.authenticate` when the sign-in began. */
      state?: unknown;
    }
  }
}

/** Options that `passport.authenticate('powerfolder', …)` and `passport.authorize` have for the strategy. */
export interface PowerFolderAuthenticateOptions {
  /** The application's state: an object that comes back in `req.authInfo.state`. It stays in the session, or sealed in a cookie. */
  state?: object | undefined;
  scope?: string | string[] | undefined;
}

const callbackNames = ['callbackURL', 'callbackURI', 'redirectURL', 'redirectURI'];

/**
 * Checks the options that were given to `passport.authenticate` or `passport.authorize`. Others than these are Passport's
 * or a subclass's.
 *
 * @throws {TypeError} for a callback URL, also in another spelling: it would change nothing; and for a scope that is none.
 */
export function checkRequestOptions(options: PowerFolderAuthenticateOptions, scopeSeparator: string): void {
  for (const name of Object.keys(options)) {
    // By its length first: this is done for each request.
    if (Math.abs(name.length - 11) > 2 || !nearest(name, callbackNames, 0.2)) continue;
    throw new TypeError(
      `${plainText(name)} given to passport.authenticate or passport.authorize changes nothing; remove it. The callback URL is the option callbackURL of PowerFolderStrategy; for another one, make a second strategy with a name of its own`,
    );
  }
  if (options.scope !== undefined && options.scope !== null) checkScope(options.scope, scopeSeparator);
}

/**
 * The application's state in the options of a request.
 *
 * @throws {TypeError} for what is no object: a text would be meant for the server, which gets a random one.
 */
export function applicationState(options: PowerFolderAuthenticateOptions): object | undefined {
  const state = own(options, 'state');
  if (state === undefined || state === null) return undefined;
  if (typeof state !== 'object' || types.isMap(state) || types.isSet(state) || types.isPromise(state)) {
    throw new TypeError(
      `passport.authenticate('powerfolder', { state }) takes an object for the application, such as { returnTo: '/x' }, which comes back in req.authInfo.state. The state that goes to the server is random and made by the strategy: it is the only defence against forged answers`,
    );
  }
  return state;
}
