import { createHmac, randomBytes } from 'node:crypto';
import type { Directory } from './accounts.ts';
import { type Answer, Refusal } from './answer.ts';
import { html } from './markup.ts';
import { page } from './pages.ts';
import { form, parameters, type ReceivedRequest, required } from './request.ts';

export type IdentityProvider = ReturnType<typeof identityProvider>;

const path = '/idp/profile/SAML2/Redirect/SSO';

/**
 * A university's identity provider: another origin at which people log in, and from which they come back by a POST. It makes
 * the moves of SAML's web browser single sign-on as Shibboleth does, with none of its XML.
 *
 * @param origin Its own.
 * @param server The base URL of the PowerFolder server.
 */
export function identityProvider(directory: Directory, origin: string, server: string) {
  const key = randomBytes(32);
  /** Who is logged in here, by session. */
  const sessions = new Map<string, string>();

  /** Where the server sends a browser. @param target What it wants to know again. */
  function request(target: string): string {
    const query = { SAMLRequest: randomBytes(24).toString('base64'), RelayState: target };
    return `${origin}${path}?${new URLSearchParams(query)}`;
  }

  function signature(assertion: string): string {
    return createHmac('sha256', key).update(assertion).digest('base64url');
  }

  /** The user name that is asserted. */
  function asserted(response: string): string {
    const [assertion = '', signed = ''] = response.split('.');
    if (signed !== signature(assertion)) throw new Refusal(403, 'SAMLResponse is not of the identity provider.');
    return Buffer.from(assertion, 'base64url').toString();
  }

  /** Its pages. */
  function handle(received: ReceivedRequest): Answer {
    if (received.url.split('?', 1)[0] !== path) throw new Refusal(404, 'The identity provider has no such page.');
    const found = parameters(
      received.url.split('?').slice(1).join('?'),
      ['SAMLRequest', 'RelayState', 'execution'],
      'the URL',
    );
    const target = found.get('RelayState') ?? '';
    const [, session = ''] = /(?:^|; )idp_session=([\w-]+)/.exec(received.headers.cookie ?? '') ?? [];
    const again = (execution: string) => `${path}?${new URLSearchParams({ execution, RelayState: target })}`;
    if (received.method === 'POST') {
      const fields = form(received, ['j_username', 'j_password', '_eventId_proceed']);
      const account = directory.login(fields.get('j_username') ?? '', fields.get('j_password') ?? '');
      if (!account) return logIn(again('e1s1'), true);
      sessions.set(session, account.username);
      return redirect(again('e1s2'));
    }
    if (found.has('SAMLRequest')) {
      required(found, 'SAMLRequest');
      const cookie = `idp_session=${session || randomBytes(16).toString('base64url')}; Path=/idp; HttpOnly`;
      return redirect(again(sessions.has(session) ? 'e1s2' : 'e1s1'), { 'Set-Cookie': cookie });
    }
    const username = sessions.get(session);
    if (username === undefined || found.get('execution') === 'e1s1') return logIn(again('e1s1'), false);
    const assertion = Buffer.from(username).toString('base64url');
    return back(`${server}/Shibboleth.sso/SAML2/POST`, `${assertion}.${signature(assertion)}`, target);
  }

  return { request, asserted, handle };
}

function redirect(location: string, headers: Answer['headers'] = {}): Answer {
  return { status: 302, headers: { Location: location, 'Cache-Control': 'no-store', ...headers }, body: '' };
}

const site = { name: 'Example University', what: 'identity provider' };

function logIn(action: string, failed: boolean): Answer {
  const main = html`
    <h1>University log-in</h1>
    <p class="lead">to continue to <strong>PowerFolder</strong></p>
    ${failed && html`<p class="alert" role="alert" id="wrong">User name or password is wrong. Please try again.</p>`}
    <form method="post" action="${action}">
      <label for="username">User name</label>
      <input id="username" name="j_username" required autocomplete="username" autocapitalize="none" spellcheck="false" autofocus>
      <label for="password">Password</label>
      <input id="password" name="j_password" type="password" required autocomplete="current-password">
      <button class="primary" name="_eventId_proceed">Log in</button>
    </form>`;
  return page(200, 'Log in', main, {}, site);
}

/** The form that brings people back, by itself where there is JavaScript. */
function back(action: string, response: string, target: string): Answer {
  const main = html`
    <h1>You are logged in</h1>
    <p>If nothing happens, go on by the button.</p>
    <form method="post" action="${action}">
      <input type="hidden" name="RelayState" value="${target}">
      <input type="hidden" name="SAMLResponse" value="${response}">
      <button class="primary">Continue</button>
    </form>`;
  return page(200, 'Continue', main, {}, { ...site, script: 'document.forms[0].submit()' });
}
