import { createHmac, randomBytes } from 'node:crypto';
import type { Account, Directory } from './accounts.ts';
import { type Answer, json, Refusal } from './answer.ts';
import type { IdentityProvider } from './identity-provider.ts';
import type { Settings } from './options.ts';
import { type AuthorizationRequest, type Browser, consentPage, declinedPage, homePage, loginPage } from './pages.ts';
import { form, parameters, type ReceivedRequest, required } from './request.ts';
import type { TokenEndpoint } from './tokens.ts';

/** The web pages of a sign-in (RFC 6749 sections 4.1.1 and 4.1.2): login, Allow or Decline, and the way back to the client. */
export function authorizationEndpoint(
  settings: Settings,
  directory: Directory,
  tokens: TokenEndpoint,
  provider: IdentityProvider | undefined,
) {
  const { contextPath, callbackStyle, pkce } = settings;
  const sessions = new Map<string, Account>();
  const csrfKey = randomBytes(32);
  /** Who has allowed which client. */
  const consents = new Set<string>();

  /** `/oauth/allow`: where the client sends the browser. */
  function allow(request: ReceivedRequest): Answer {
    if (request.body) throw new Refusal(400, 'An authorization request has its parameters in the URL and no body.');
    const wanted = understand(request.query);
    const automatic = directory.account(settings.autoApprove ?? '');
    return automatic ? allowed(wanted, automatic) : ask(browserOf(request), wanted);
  }

  /** `/oauth/consent`: the Allow/Decline page after a login, and what was decided there. */
  function consent(request: ReceivedRequest): Answer {
    const browser = browserOf(request);
    if (request.method === 'GET') return ask(browser, understand(request.query));
    const fields = ownForm(request, browser, ['authorization', 'decision']);
    const wanted = understand(required(fields, 'authorization'));
    // Logged out meanwhile, in another tab.
    if (!browser.account) return ask(browser, wanted);
    switch (fields.get('decision')) {
      case 'allow':
        consents.add(JSON.stringify([browser.account.ID, wanted.clientID]));
        return allowed(wanted, browser.account);
      case 'decline':
        if (settings.decline === 'nothing') return declinedPage(wanted);
        return back(wanted, { error: 'access_denied', state: wanted.state });
      default:
        throw new Refusal(400, 'decision must be allow or decline.');
    }
  }

  /** `/login`: also for somebody who is logged in, and would rather be somebody else. */
  function login(request: ReceivedRequest): Answer {
    const browser = browserOf(request);
    if (request.method === 'GET' && /(^|&)json=1(&|$)/.test(request.query)) return loginByAPI(request);
    const fields =
      request.method === 'GET'
        ? parameters(request.query, ['authorization'], 'the URL')
        : ownForm(request, browser, ['authorization', 'Username', 'Password']);
    const authorization = fields.get('authorization');
    const wanted = authorization ? understand(authorization) : undefined;
    if (request.method === 'GET') return askWho(browser, wanted);
    if (provider) throw new Refusal(403, 'People log in at the identity provider here (option identityProvider).');
    const username = fields.get('Username') ?? '';
    const account = directory.login(username, fields.get('Password') ?? '');
    if (!account) return askWho(browser, wanted, username);
    return loggedIn(browser, account, wanted);
  }

  /** A new session id, so that nobody can log somebody else into a session prepared for them. */
  function loggedIn(browser: Browser, account: Account, wanted: AuthorizationRequest | undefined): Answer {
    sessions.delete(browser.session);
    const session = newSession();
    sessions.set(session, account);
    return redirect(303, `${contextPath}${wanted ? `/oauth/consent?${wanted.query}` : '/'}`, cookie(session));
  }

  /** `/login?Username&Password&json=1`, as the vendor's own clients do it: an account with a token in it. */
  function loginByAPI({ query }: ReceivedRequest): Answer {
    const found = parameters(query, ['Username', 'Password', 'json'], 'the URL');
    const account = directory.login(found.get('Username') ?? '', found.get('Password') ?? '');
    if (!account) return json(401, { error: 'access_denied', error_description: 'User name or password is wrong.' });
    const { ID, username } = account;
    return json(200, { account: { ID, username, token: tokens.issueToUser(account) } });
  }

  /** `/Shibboleth.sso/…`: the way to the identity provider, and the POST by which people come back. */
  function shibboleth(request: ReceivedRequest): Answer {
    if (!provider) throw new Refusal(404, 'There is no identity provider here (option identityProvider).');
    if (request.method === 'GET') {
      const target = parameters(request.query, ['target'], 'the URL').get('target') ?? '';
      return redirect(302, provider.request(target));
    }
    const fields = form(request, ['SAMLResponse', 'RelayState']);
    const account = directory.account(provider.asserted(required(fields, 'SAMLResponse')));
    if (!account) throw new Refusal(403, 'Nobody is known who was asserted by the identity provider.');
    const target = fields.get('RelayState');
    return loggedIn(browserOf(request), account, target ? understand(target) : undefined);
  }

  /** `/logout`: ends the web session; tokens stay. */
  function logout(request: ReceivedRequest): Answer {
    sessions.delete(browserOf(request).session);
    return redirect(303, `${contextPath}/login`, cookie('deleted', '; Max-Age=0'));
  }

  /** `/`: what a person sees who opens the server's address. */
  function home(request: ReceivedRequest): Answer {
    const { account } = browserOf(request);
    return account ? homePage(contextPath, account) : redirect(303, `${contextPath}/login`);
  }

  function understand(query: string): AuthorizationRequest {
    const known = ['state', 'response_type', 'redirect_uri', 'client_id', ...settings.tolerate];
    if (pkce) known.push('code_challenge', 'code_challenge_method');
    const found = parameters(query, known, 'the authorization request');
    const state = required(found, 'state');
    const responseType = required(found, 'response_type');
    const clientID = required(found, 'client_id');
    const redirectURI = required(found, 'redirect_uri');
    const challenge = found.get('code_challenge');
    const refuse = (why: string) => new Refusal(400, why);
    if (!/^[A-Za-z0-9]+$/.test(state)) throw refuse('state must be letters and digits only.');
    if (responseType !== 'code') throw refuse(`response_type must be code, not "${responseType}".`);
    if (directory.clientsOf(clientID).length === 0) throw refuse(`No client "${clientID}" is registered.`);
    if (!/^https?:\/\/[!-~]+$/i.test(redirectURI) || redirectURI.includes('#') || !URL.canParse(redirectURI)) {
      throw refuse('redirect_uri must be an absolute http or https URL, in ASCII, without a fragment.');
    }
    if (callbackStyle === 'path' && redirectURI.includes('?')) {
      throw refuse('redirect_uri has a query, and the authorization response is a path that cannot follow one.');
    }
    if (pkce && found.get('code_challenge_method') !== (challenge && 'S256')) {
      throw refuse('code_challenge and code_challenge_method=S256 come together or not at all.');
    }
    return { clientID, redirectURI, state, challenge, query: new URLSearchParams([...found]).toString() };
  }

  // Whether the real server asks again after a first consent is not known: the option says.
  function ask(browser: Browser, wanted: AuthorizationRequest): Answer {
    const { account } = browser;
    const isAsked = settings.consent === 'always' || !consents.has(JSON.stringify([account?.ID, wanted.clientID]));
    if (account && !isAsked) return allowed(wanted, account);
    return account
      ? consentPage(contextPath, { ...browser, account }, wanted, cookie(browser.session))
      : askWho(browser, wanted);
  }

  function askWho(browser: Browser, wanted: AuthorizationRequest | undefined, failedAs?: string): Answer {
    if (provider) {
      const target = wanted ? `?${new URLSearchParams({ target: wanted.query })}` : '';
      return redirect(302, `${contextPath}/Shibboleth.sso/Login${target}`, cookie(browser.session));
    }
    const hint = settings.hints ? directory.accounts[0] : undefined;
    return loginPage(contextPath, browser, wanted, failedAs, hint, cookie(browser.session));
  }

  function allowed(wanted: AuthorizationRequest, account: Account): Answer {
    const { clientID, redirectURI, challenge, state } = wanted;
    return back(wanted, { code: tokens.code({ clientID, redirectURI, challenge, account }), state });
  }

  /** The authorization response, in whichever form. */
  function back({ redirectURI }: AuthorizationRequest, values: Record<string, string>): Answer {
    const encode = settings.encodeCode ? encodeURIComponent : String;
    const response = Object.entries(values)
      .map(([name, value]) => `${name}=${encode(value)}`)
      .join('&');
    if (callbackStyle === 'path') return redirect(302, `${redirectURI.replace(/\/$/, '')}/${response}`);
    return redirect(302, `${redirectURI}${redirectURI.includes('?') ? '&' : '?'}${response}`);
  }

  function browserOf({ headers }: ReceivedRequest): Browser {
    const session = /(?:^|; )JSESSIONID=(node0[a-z\d]{20,40})(?:;|$)/.exec(headers.cookie ?? '')?.[1] ?? newSession();
    const csrf = createHmac('sha256', csrfKey).update(session).digest('base64url');
    return { session, csrf, account: sessions.get(session) };
  }

  /** A form of one of our own pages, sent by the browser that got it. */
  function ownForm(request: ReceivedRequest, { csrf }: Browser, names: string[]): Map<string, string> {
    const fields = form(request, ['csrf', ...names]);
    if (fields.get('csrf') === csrf) return fields;
    throw new Refusal(
      403,
      'The form is not of this session (field csrf). Are cookies off? Go back, reload, try again.',
    );
  }

  // No SameSite: Lax would keep the cookie from an authorization request by POST, and the forms have their own token.
  function cookie(session: string, expiry = ''): Answer['headers'] {
    const secure = settings.tls ? '; Secure' : '';
    return { 'Set-Cookie': `JSESSIONID=${session}; Path=${contextPath || '/'}; HttpOnly${secure}${expiry}` };
  }

  return { allow, consent, login, shibboleth, logout, home };
}

/** As Jetty makes them. */
const newSession = (): string => `node0${BigInt(`0x1${randomBytes(16).toString('hex')}`).toString(36)}0`;

function redirect(status: number, location: string, headers: Answer['headers'] = {}): Answer {
  const common = { 'Cache-Control': 'no-store', 'Referrer-Policy': 'no-referrer' };
  return { status, headers: { Location: location, ...common, ...headers }, body: '' };
}
