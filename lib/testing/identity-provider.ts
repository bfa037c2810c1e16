import { createHmac, randomBytes } from 'node:crypto';
import type { Directory } from './accounts.ts';
import { type Answer, answer, Refusal } from './answer.ts';
import { html, type Markup } from './markup.ts';
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

function logIn(action: string, failed: boolean): Answer {
  return page(html`<h1>University log-in</h1>
${failed && html`<p role="alert">User name or password is wrong.</p>`}
<form method="post" action="${action}">
<p><label>User name <input name="j_username" autocomplete="username" required></label></p>
<p><label>Password <input name="j_password" type="password" autocomplete="current-password" required></label></p>
<button name="_eventId_proceed">Log in</button>
</form>`);
}

/** The form that brings people back, by itself where there is JavaScript. */
function back(action: string, response: string, target: string): Answer {
  return page(html`<form method="post" action="${action}">
<input type="hidden" name="RelayState" value="${target}">
<input type="hidden" name="SAMLResponse" value="${response}">
<noscript><p>Your browser does not run scripts: press the button once to go on.</p></noscript>
<button>Continue</button>
</form>
<script>document.forms[0].submit()</script>`);
}

function page(main: Markup): Answer {
  const { text } = html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>University log-in</title></head>
<body><main>${main}</main><footer><p>Simulated identity provider — for tests and development, never for production</p></footer></body>
</html>
`;
  return answer(200, 'text/html;charset=utf-8', text);
}
