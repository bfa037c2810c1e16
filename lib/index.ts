/** The public names of passport-powerfolder. */
export { AuthorizationError, InternalOAuthError, TokenError } from 'passport-oauth2';
export { callbackRoute } from './authorization.ts';
export {
  PowerFolderError,
  type PowerFolderErrorCode,
  type PowerFolderFailure,
  type PowerFolderFailureCode,
} from './errors.ts';
export type { PowerFolderStrategyOptions } from './options.ts';
export type { PowerFolderProfile } from './profile.ts';
export { type RegisterClientOptions, type RegisteredClient, registerClient } from './registration.ts';
export type { StateMetadata, StateStore } from './state.ts';
export {
  type PowerFolderAuthenticateOptions,
  type PowerFolderSignIn,
  PowerFolderStrategy,
  PowerFolderStrategy as Strategy,
  type PowerFolderVerifyFunction,
} from './strategy.ts';
export type { PowerFolderTokens } from './token.ts';
