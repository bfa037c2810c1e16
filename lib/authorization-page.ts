/** The authorization request by POST, as PowerFolder documents it: a page whose form sends itself. */
import { hash } from 'node:crypto';
import { ConfigurationMistake } from './errors.ts';
import { isObject } from './json.ts';
import type { Language } from './language.ts';
import { readOptions } from './option-names.ts';

const style =
  ':root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{display:grid;min-height:100vh;margin:0;place-content:center;text-align:center}p{margin:1rem}button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#1d5fae;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid;outline-offset:2px}';
const script = 'document.forms[0].submit()';

/** What the page says, as plain text. */
export interface AuthorizationPageText {
  /** Its title and heading. */
  title?: string | undefined;
  /** The sentence below. */
  text?: string | undefined;
  /** The button's label. */
  button?: string | undefined;
}

const texts: Record<Language, Required<Record<keyof AuthorizationPageText, string>>> = {
  en: {
    title: 'Continue to PowerFolder',
    text: 'You sign in at your PowerFolder server and come back here.',
    button: 'Continue to PowerFolder',
  },
  de: {
    title: 'Weiter zu PowerFolder',
    text: 'Sie melden sich bei Ihrem PowerFolder-Server an und kehren dann hierher zurück.',
    button: 'Weiter zu PowerFolder',
  },
};

/**
 * The texts of an application's own, completed by ours.
 *
 * @throws {TypeError} for what is no text, and for members that there are not.
 */
export function checkedTexts(given: unknown): typeof texts {
  if (given === undefined) return texts;
  if (!isObject(given))
    throw new ConfigurationMistake('authorizationPage', 'must be an object: { en: { title, text, button }, de: … }');
  const languages = readOptions(given as Partial<Record<Language, AuthorizationPageText>>, ['en', 'de'], {
    within: 'authorizationPage.',
  });
  const complete = (language: Language) => {
    const within = `authorizationPage.${language}`;
    const own = languages[language] ?? {};
    if (!isObject(own)) throw new ConfigurationMistake(within, 'must be an object: { title, text, button }');
    const read = Object.entries(
      readOptions(own as AuthorizationPageText, ['title', 'text', 'button'], { within: `${within}.` }),
    );
    for (const [name, text] of read) {
      if (typeof text === 'string' && text.trim() !== '') continue;
      throw new ConfigurationMistake(`${within}.${name}`, 'must be a text; leave it out for ours');
    }
    return { ...texts[language], ...Object.fromEntries(read) };
  };
  return { en: complete('en'), de: complete('de') };
}

/**
 * A page that sends the authorization request by POST: by itself, or without JavaScript by its button. Its headers
 * replace what the application set, such as helmet's, under which the form would go nowhere.
 *
 * @param url The authorization request's URL.
 * @param callbackURL Where the server's answer leads, perhaps at once.
 * @param language Of the texts.
 */
export function authorizationRequestPage(
  url: string,
  callbackURL: string,
  language: Language = 'en',
  { title, text, button } = texts[language],
): { html: string; headers: Record<string, string> } {
  // The page ends with the script. express-session holds an answer's last byte back until the session is saved, so the
  // form is not sent before the state is stored.
  const html = `<!DOCTYPE html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHTML(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>${escapeHTML(title)}</h1>
<p>${escapeHTML(text)}</p>
<form method="post" action="${escapeHTML(url)}"><button>${escapeHTML(button)}</button></form>
</main>
<script>${script}</script>`;
  // Browsers hold redirects of a form's answer to form-action as well: to the callback, and, where the server leaves
  // the log-in to a university's identity provider, to any https address.
  const formAction = ['https:', new URL(url).origin, new URL(callbackURL).origin];
  return {
    html,
    headers: {
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(html)),
      'Cache-Control': 'no-store',
      'Content-Security-Policy': [
        "default-src 'none'",
        `style-src '${cspHash(style)}'`,
        `script-src '${cspHash(script)}'`,
        `form-action ${[...new Set(formAction)].join(' ')}`,
        "base-uri 'none'",
        "frame-ancestors 'none'",
      ].join('; '),
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    },
  };
}

function cspHash(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`;
}

function escapeHTML(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
