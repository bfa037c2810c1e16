/** The authorization request by POST, as PowerFolder documents it: a page whose form sends itself. */
import { hash } from 'node:crypto';

const style =
  ':root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}body{display:grid;min-height:100vh;margin:0;place-content:center;text-align:center}p{margin:1rem}button{font:inherit;padding:.6rem 1.4rem;border:0;border-radius:.5rem;background:#1d5fae;color:#fff;cursor:pointer}button:focus-visible{outline:3px solid;outline-offset:2px}';
const script = 'document.forms[0].submit()';

/**
 * A page that sends the authorization request by POST: by itself, or without JavaScript by its button. Its headers
 * replace what the application set, such as helmet's, under which the form would go nowhere.
 *
 * @param url The authorization request's URL.
 * @param callbackURL Where the server's answer leads, perhaps at once.
 */
export function authorizationRequestPage(
  url: string,
  callbackURL: string,
): { html: string; headers: Record<string, string> } {
  // The page ends with the script. express-session holds an answer's last byte back until the session is saved, so the
  // form is not sent before the state is stored.
  const html = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Continue to PowerFolder</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>Continue to PowerFolder</h1>
<p>You sign in at your PowerFolder server and come back here.</p>
<form method="post" action="${escapeHTML(url)}"><button>Continue to PowerFolder</button></form>
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
