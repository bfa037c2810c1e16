/** The language of a visitor, and how times, sizes and names are written and ordered in it. */
import type { Request, RequestHandler, Response } from 'express';
import { returnPath } from 'passport-powerfolder';
import type { Config } from './config.ts';
import { de } from './languages/de.ts';
import { en, type Texts } from './languages/en.ts';

/** By the code that browsers ask with. **Add yours here**: what is missing in its file does not compile. */
const languages = { en, de };
export type Language = keyof typeof languages;
const codes = Object.keys(languages) as Language[];

export function languageOf(req: Request): Language {
  const [, chosen] = /(?:^|;\s*)language=(\w+)/.exec(req.get('Cookie') ?? '') ?? [];
  const wanted = [chosen, req.acceptsLanguages(codes), 'en'];
  return wanted.find((code): code is Language => codes.includes(code as Language)) ?? 'en';
}

/** Gives templates `t` (the texts), `format`, `lang`, and what the switch between languages needs. */
export function useLanguage({ basePath: base }: Pick<Config, 'basePath'>): RequestHandler {
  return (req, res, next) => {
    const lang = languageOf(req);
    const others = codes.filter((code) => code !== lang).map((code) => ({ code, name: languages[code].name }));
    Object.assign(res.locals, { lang, t: languages[lang], format: formats[lang], others, named });
    // The address of a sign-in's answer holds its code and is no place to return to.
    res.locals['here'] = returnPath(req.originalUrl, base) ?? `${base}/`;
    next();
  };
}

/** Remembers the language that somebody chose at the foot of a page, and goes back there. */
export function chooseLanguage({ basePath: base, baseURL }: Config): RequestHandler {
  return (req, res) => {
    const { language, returnTo } = (req.body ?? {}) as { language?: unknown; returnTo?: unknown };
    const code = codes.find((each) => each === language);
    const secure = baseURL.startsWith('https:');
    const maxAge = 365 * 24 * 60 * 60_000;
    if (code) res.cookie('language', code, { path: base || '/', maxAge, secure, httpOnly: true, sameSite: 'lax' });
    res.redirect(303, returnPath(returnTo, base) ?? `${base}/`);
  };
}

export function textsOf(res: Response): Texts {
  return res.locals['t'] as Texts;
}

export function formatOf(res: Response): Format {
  return res.locals['format'] as Format;
}

/** A sentence as HTML, with a name of any script in the place of `{name}`, or of another word in braces. */
function named(sentence: string, name: string): string {
  return escaped(sentence).replace(/\{\w+\}/, () => `<bdi>${escaped(name)}</bdi>`);
}

const escapes: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' };

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => escapes[character] ?? '');
}

const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte'];

/** Times are in epoch milliseconds. */
export class Format {
  readonly #texts: Texts;
  readonly #sizes: Intl.NumberFormat[];
  readonly #number: Intl.NumberFormat;
  readonly #percent: Intl.NumberFormat;
  readonly #relative: Intl.RelativeTimeFormat;
  readonly #date: Intl.DateTimeFormat;
  readonly #time: Intl.DateTimeFormat;
  readonly #order: Intl.Collator;

  constructor(texts: Texts) {
    const { locale } = texts;
    this.#texts = texts;
    this.#sizes = units.map((unit, power) => {
      const unitDisplay = power === 0 ? 'long' : 'short';
      return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay, maximumFractionDigits: 1 });
    });
    this.#number = new Intl.NumberFormat(locale);
    this.#percent = new Intl.NumberFormat(locale, { style: 'percent' });
    this.#relative = new Intl.RelativeTimeFormat(locale);
    this.#date = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeZone: 'UTC' });
    this.#time = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
    this.#order = new Intl.Collator(locale, { numeric: true });
  }

  /** 1,234,567 is "1.2 MB". */
  bytes(bytes: number): string {
    let size = bytes;
    let power = 0;
    // What would be rounded to 1000 kB is 1 MB.
    while (size >= (power === 0 ? 1000 : 999.95) && power < units.length - 1) {
      size /= 1000;
      power++;
    }
    return this.#sizes[power]?.format(size) ?? '';
  }

  number(value: number): string {
    return this.#number.format(value);
  }

  percent(share: number): string {
    return share > 0 && share < 0.01 ? this.#texts.account.lessThanOnePercent : this.#percent.format(share);
  }

  /** The server does not know the visitor's time zone. Where scripts run, public/time.mjs writes it in that. */
  time(at: number): string {
    return `${this.#time.format(at)} UTC`;
  }

  date(at: number): string {
    return this.#date.format(at);
  }

  /** "in 23 hours", "5 minutes ago". */
  fromNow(at: number, now = Date.now()): string {
    const minutes = (at - now) / 60_000;
    if (Math.abs(minutes) < 1) return this.#texts.account[minutes < 0 ? 'now' : 'soon'];
    if (Math.abs(minutes) < 90) return this.#relative.format(Math.trunc(minutes), 'minute');
    const hours = minutes / 60;
    return Math.abs(hours) < 48
      ? this.#relative.format(Math.round(hours), 'hour')
      : this.#relative.format(Math.round(hours / 24), 'day');
  }

  /** Orders names as people of this language look for them: "10" after "9". */
  compare(a: string, b: string): number {
    return this.#order.compare(a, b);
  }
}

const formats = Object.fromEntries(codes.map((code) => [code, new Format(languages[code])])) as Record<
  Language,
  Format
>;
