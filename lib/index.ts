/** The public names of passport-powerfolder. */
export { AuthorizationError, InternalOAuthError, TokenError } from 'passport-oauth2';
export type { AuthorizationPageText } from './authorization-page.ts';
export { callbackRoute } from './callback-route.ts';
export { PowerFolderClient, type PowerFolderClientOptions } from './client.ts';
export { CookieStateStore, type CookieStateStoreOptions } from './cookie-state.ts';
export { PowerFolderError, type PowerFolderErrorCode } from './errors.ts';
export type { PowerFolderFailure, PowerFolderFailureCode } from './failures.ts';
export type { KeepTokensOptions, PowerFolderTokenKeeper, UserID } from './keeper.ts';
export type { Language, LanguageOption } from './language.ts';
export { PowerFolderNestStrategy } from './nest.ts';
export type { PowerFolderStrategyOptions } from './options.ts';
export type { PowerFolderProfile } from './profile.ts';
export { type RegisterClientOptions, type RegisteredClient, registerClient } from './registration.ts';
export type { PowerFolderAuthenticateOptions } from './request-options.ts';
export { returnPath } from './return-path.ts';
export type { StateMetadata, StateStore } from './state-store.ts';
export type { PowerFolderTokens, RefreshOptions } from './token.ts';
export { PowerFolderStrategy, PowerFolderStrategy as Strategy } from './typed-strategy.ts';
export type {
  PowerFolderSignIn,
  PowerFolderTokenParams,
  PowerFolderVerifyCallback,
  PowerFolderVerifyFunction,
} from './verify.ts';
