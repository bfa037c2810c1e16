import { createHash } from 'node:crypto';
import { type Account, displayName } from './accounts.ts';
import { type Answer, answer, type Refusal } from './answer.ts';
import { html, Markup } from './markup.ts';
import type { Grant } from './tokens.ts';

/** What a client asked for, and what the forms carry on: nothing of it waits in the server. */
export interface AuthorizationRequest extends Omit<Grant, 'account'> {
  state: string;
  /** All of it, as a query. */
  query: string;
}

/** Who is at the other end, going by the session cookie. */
export interface Browser {
  session: string;
  account: Account | undefined;
  csrf: string;
}

/** `wanted`: on whose behalf; `failedAs`: the user name of a login that failed; `hint`: an account to try. */
export function loginPage(
  path: string,
  { csrf }: Browser,
  wanted: AuthorizationRequest | undefined,
  failedAs: string | undefined,
  hint: Account | undefined,
  headers: Answer['headers'],
): Answer {
  const failed = failedAs !== undefined;
  const wrong = failed && html`aria-invalid="true" aria-describedby="wrong"`;
  const focus = html`autofocus`;
  const main = html`
    <h1>Log in</h1>
    <p class="lead">${wanted ? html`to continue to <strong>${wanted.clientID}</strong>` : 'to see your folders'}</p>
    ${failed && html`<p class="alert" role="alert" id="wrong">User name or password is wrong. Please try again.</p>`}
    ${hint && html`<p class="hint">Try <code>${hint.username}</code> with the password <code>${hint.password}</code></p>`}
    <form id="login_form" method="post" action="${path}/login">
      <input type="hidden" name="csrf" value="${csrf}">
      ${wanted && html`<input type="hidden" name="authorization" value="${wanted.query}">`}
      <label for="username">User name</label>
      <input id="username" name="Username" value="${failedAs}" required autocomplete="username"
        autocapitalize="none" spellcheck="false" ${!failed && focus} ${wrong}>
      <label for="password">Password</label>
      <input id="password" name="Password" type="password" required autocomplete="current-password"
        ${failed && focus} ${wrong}>
      <button id="login_submit" class="primary">Log in</button>
    </form>`;
  return page(failed ? 401 : 200, 'Log in', main, headers);
}

export function consentPage(
  path: string,
  { csrf, account }: Browser & { account: Account },
  { clientID, redirectURI, query }: AuthorizationRequest,
  headers: Answer['headers'],
): Answer {
  const name = displayName(account);
  const main = html`
    <div class="pair" aria-hidden="true"><span class="tile">${initial(clientID)}</span><i></i>${logo}</div>
    <h1>Allow <span class="name">${clientID}</span> to use your PowerFolder?</h1>
    <div class="who">
      <span class="avatar" aria-hidden="true">${initial(name)}</span>
      <p>Logged in as <strong>${name}</strong> <span class="muted">(${account.username})</span><br>
        <a href="${path}/login?authorization=${encodeURIComponent(query)}">Log in as somebody else</a></p>
    </div>
    <p id="powers">If you allow it, the application can</p>
    <ul class="powers" aria-labelledby="powers">
      <li>see your name, user name and e-mail addresses</li>
      <li>open and change the files in all of your folders</li>
      <li>keep doing so while you are away</li>
    </ul>
    <form method="post" action="${path}/oauth/consent">
      <input type="hidden" name="csrf" value="${csrf}">
      <input type="hidden" name="authorization" value="${query}">
      <div class="choice">
        <button class="primary" name="decision" value="allow">Allow</button>
        <button name="decision" value="decline">Decline</button>
      </div>
    </form>
    <p class="small muted">Either way you go back to <strong>${new URL(redirectURI).host}</strong>.
      Allow only what you know and trust.</p>`;
  return page(200, `Allow ${clientID}?`, main, headers);
}

/** Where somebody ends who declined, and is sent back to nobody. */
export function declinedPage({ clientID }: AuthorizationRequest): Answer {
  const main = html`
    <h1>You declined</h1>
    <p>${clientID} cannot use your PowerFolder. You can close this page.</p>`;
  return page(200, 'You declined', main);
}

export function homePage(path: string, account: Account): Answer {
  const folders = account.files.folders();
  const gigabytes = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GB`;
  const items = (count: number) => (count === 1 ? '1 item' : `${count} items`);
  const main = html`
    <h1>Your folders</h1>
    <p class="lead">${displayName(account)} (${account.username})</p>
    ${folders.length === 0 && html`<p class="hint">There are no folders yet.</p>`}
    <ul class="folders">${folders.map(
      ([name, { children }]) => html`
      <li>${folderIcon}<span>${name}</span><span class="muted">${items(children.size)}</span></li>`,
    )}
    </ul>
    <label for="space" class="small">${gigabytes(account.spaceUsed)} of ${gigabytes(account.spaceAllowed)} used</label>
    <progress id="space" max="${account.spaceAllowed}" value="${account.spaceUsed}"></progress>
    <p class="small"><a href="${path}/logout">Log out</a></p>`;
  return page(200, 'Your folders', main);
}

export function refusalPage({ status, message, headers }: Refusal): Answer {
  const titles: Record<number, string> = { 404: 'There is nothing here', 500: 'That was our mistake' };
  const title = titles[status] ?? 'This request was refused';
  const main = html`
    <h1>${title}</h1>
    <p class="alert" role="alert">${message}</p>
    <p class="small muted">Status ${status}</p>`;
  return page(status, title, main, headers);
}

const initial = (name: string) => name.charAt(0).toUpperCase();
const folderPath =
  'M3 8.5A2.5 2.5 0 0 1 5.5 6h6.2l2.8 3h12A2.5 2.5 0 0 1 29 11.5v12A2.5 2.5 0 0 1 26.5 26h-21A2.5 2.5 0 0 1 3 23.5z';
const logo = html`<svg class="logo" viewBox="0 0 32 32" width="48" height="48" aria-hidden="true" focusable="false">
  <path class="back" d="${folderPath}"/><path class="sync" d="M11 17.5a5.2 5.2 0 0 1 9.3-2.800m1-2.2v3h-3M21 17.5a5.2 5.2 0 0 1-9.3 2.800m-1 2.2v-3h3"/></svg>`;
const folderIcon = html`<svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" focusable="false"><path class="back" d="${folderPath}"/></svg>`;
const favicon = `data:image/svg+xml,${encodeURIComponent(
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0b63bd" d="${folderPath}"/></svg>`,
)}`;

const css = `
:root { color-scheme: light dark; --ground: #eef3f8; --glow: #d9e8f7; --card: #fff; --line: #d5dde7; --field: #76869a;
  --ink: #17222e; --muted: #52616f; --accent: #0b63bd; --on: #fff; --soft: #e8f1fb; --bad: #a3231b; --bad-soft: #fdeeec }
@media (prefers-color-scheme: dark) { :root { --ground: #0e141b; --glow: #14273c; --card: #17202a; --line: #2b3947; --field: #74869a;
  --ink: #e9eff6; --muted: #a3b3c3; --accent: #7cbcff; --on: #06203b; --soft: #1b2f45; --bad: #ffb4ab; --bad-soft: #3a1d1c } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 1.5rem;
  padding: 2rem 1rem; color: var(--ink); font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  background: radial-gradient(60rem 30rem at 50% -6rem, var(--glow), transparent) no-repeat var(--ground); overflow-wrap: anywhere }
header { display: flex; align-items: center; gap: .6rem; font-size: 1.25rem; font-weight: 650; letter-spacing: -.01em }
header .logo { width: 2.25rem; height: 2.25rem }
main { width: 100%; max-width: 27rem; padding: clamp(1.25rem, 6vw, 2.25rem); background: var(--card); border: 1px solid var(--line);
  border-radius: 1rem; box-shadow: 0 1px 2px rgb(10 30 60 / .06), 0 12px 32px rgb(10 30 60 / .08) }
footer, .small { font-size: .875rem } footer, .muted { color: var(--muted) } footer { max-width: 27rem; text-align: center; text-wrap: balance }
h1 { margin: 0 0 .35rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; text-wrap: balance } h1 .name { color: var(--accent) }
p { margin: 0 0 1rem } main > :last-child, form > :last-child { margin-bottom: 0 } .lead { color: var(--muted); margin-bottom: 1.5rem }
.lead strong { color: var(--ink) } a { color: var(--accent); text-underline-offset: .18em }
label { display: block; margin: 0 0 .35rem; font-weight: 550 }
input { display: block; width: 100%; margin: 0 0 1.15rem; padding: .7rem .85rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--field); border-radius: .6rem }
button { display: block; width: 100%; padding: .75rem 1rem; font: inherit; font-weight: 600; cursor: pointer; color: var(--ink);
  background: transparent; border: 1px solid var(--field); border-radius: .6rem }
button:hover { background: var(--soft) } .primary { color: var(--on); background: var(--accent); border-color: var(--accent) }
.primary:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.alert, .hint, .who { padding: .75rem .9rem; border-radius: .6rem; background: var(--soft) } .alert { color: var(--bad); background: var(--bad-soft) }
code { font: .95em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; font-weight: 600 }
.logo .sync { fill: none; stroke: var(--card); stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round } .back { fill: var(--accent) }
.pair { display: flex; align-items: center; justify-content: center; gap: .9rem; margin-bottom: 1.25rem }
.pair i { width: 3rem; border-top: 3px dotted var(--field) }
.tile, .avatar { display: grid; place-items: center; flex: none; color: var(--accent); background: var(--soft); font-weight: 650 }
.tile { width: 3rem; height: 3rem; border-radius: .85rem; font-size: 1.4rem; border: 1px solid var(--line) }
h1 + .alert { margin-top: 1rem }
.avatar { width: 2.5rem; height: 2.5rem; border-radius: 50%; color: var(--on); background: var(--accent) }
.who { display: flex; align-items: center; gap: .8rem; margin: 1.25rem 0; font-size: .9375rem } .who p { margin: 0 } #powers { margin-bottom: .5rem }
ul { list-style: none; margin: 0 0 1.5rem; padding: 0 } .powers li { position: relative; padding: .2rem 0 .2rem 1.75rem }
.powers li::before { content: ""; position: absolute; left: .3rem; top: .62em; width: .8rem; height: .4rem; border: solid var(--accent);
  border-width: 0 0 2.5px 2.5px; transform: rotate(-45deg) }
.choice { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem } form + .small { margin-top: 1.25rem }
.folders li { display: flex; gap: .75rem; align-items: center; padding: .7rem 0; border-bottom: 1px solid var(--line) }
.folders svg { flex: none } .folders li span:last-child { margin-left: auto; white-space: nowrap; font-size: .875rem }
progress { appearance: none; display: block; width: 100%; height: .5rem; margin-bottom: 1.25rem; border: 0; border-radius: 1rem; overflow: hidden;
  background: var(--soft) } ::-webkit-progress-bar { background: var(--soft) } ::-webkit-progress-value { background: var(--accent) }
::-moz-progress-bar { background: var(--accent) }
@media (forced-colors: active) { .back { fill: LinkText } .powers li::before { border-color: CanvasText } }
`;

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

// No form-action: Chrome applies it to redirects too, and the decision's answer is one to the client, wherever that is.
const policy = [
  `default-src 'none'`,
  `style-src '${hashOf(css)}'`,
  'img-src data:',
  `base-uri 'none'`,
  `frame-ancestors 'none'`,
].join('; ');

/** Whose pages they are, and what runs on them. */
interface Site {
  name: string;
  what: string;
  script?: string;
}

const powerFolder: Site = { name: 'PowerFolder', what: 'PowerFolder server' };

export function page(
  status: number,
  title: string,
  main: Markup,
  headers: Answer['headers'] = {},
  { name, what, script }: Site = powerFolder,
): Answer {
  const { text } = html`<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${title} – ${name}</title>
  <link rel="icon" href="${favicon}">
  <style>${new Markup(css)}</style>
</head>
<body>
  <header>${name === 'PowerFolder' && logo}${name}</header>
  <main>${main}
  </main>
  <footer>Simulated ${what} — for tests and development, never for production</footer>
  ${script && html`<script>${new Markup(script)}</script>`}
</body>
</html>
`;
  return answer(status, 'text/html;charset=utf-8', text, {
    'Content-Security-Policy': script ? `${policy}; script-src '${hashOf(script)}'` : policy,
    'Referrer-Policy': 'no-referrer',
    ...headers,
  });
}
