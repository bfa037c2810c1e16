/** The language of what visitors read: failures, and the page of `authorizationMethod: 'POST'`. */
import type { Request } from 'express';
import { ConfigurationMistake } from './errors.ts';
import { awaited } from './hooks.ts';

/** English, or German in the formal address. */
export type Language = 'en' | 'de';

/**
 * A language, or who knows it of a request. A function gives a language tag (RFC 5646) or a promise of one: German for `de`
 * and for what begins with `de-`; English for anything else, also for nothing, as `req.acceptsLanguages` gives it.
 */
export type LanguageOption = Language | ((req: Request) => unknown);

/** @throws {TypeError} for another language. */
export function checkLanguage(language: unknown): void {
  if (language === undefined || language === 'en' || language === 'de' || typeof language === 'function') return;
  throw new ConfigurationMistake('language', "must be 'en', 'de', or a function of the request that gives one of them");
}

/** @throws what the application's function throws. */
export async function languageOf(req: Request, option: LanguageOption = 'en'): Promise<Language> {
  if (typeof option !== 'function') return option;
  const tag = await awaited('language', option(req));
  return typeof tag === 'string' && /^de(?:-|$)/i.test(tag) ? 'de' : 'en';
}
