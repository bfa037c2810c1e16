/** What of Passport and of passport-oauth2 would have no effect here, or would undo the defences: refused. */
import type { Request } from 'express';
import { Strategy as OAuth2Strategy } from 'passport-oauth2';

/**
 * What passport-oauth2 lets a subclass or an application replace, and would have no effect here: also where it was meant to
 * say no.
 */
export function refuseInertMembers(strategy: OAuth2Strategy): void {
  if (Reflect.get(strategy, '_loadUserProfile') !== Reflect.get(OAuth2Strategy.prototype, '_loadUserProfile')) {
    throw new TypeError(
      '_loadUserProfile has no effect here; override userProfile, or give the option skipUserProfile',
    );
  }
  for (const name of [
    '_verify',
    '_stateStore',
    '_skipUserProfile',
    '_passReqToCallback',
    '_callbackURL',
    '_loadUserProfile',
  ]) {
    const value: unknown = Reflect.get(strategy, name);
    Object.defineProperty(strategy, name, {
      get: () => value,
      set() {
        throw new TypeError(`${name} has no effect here; give PowerFolderStrategy what it is to use when it is made`);
      },
      enumerable: false,
    });
  }
}

/** Passport before 0.6 keeps the session at log-in, and whoever planted it is logged in too (CVE-2022-25896). */
export function refuseOldPassport(req: Request): void {
  const passport = req as { _sessionManager?: SessionManager; _passport?: OldPassport };
  const sessionManager = passport._sessionManager ?? passport._passport?.instance?._sm;
  // Since 0.6 it takes options.
  if (sessionManager?.logIn?.length === 3) {
    throw new TypeError('PowerFolderStrategy needs Passport 0.6 or newer: older ones allow session fixation');
  }
}

type SessionManager = { logIn?: (...args: unknown[]) => unknown };
/** What Passport before 0.5 leaves in requests. */
type OldPassport = { instance?: { _sm?: SessionManager } };
