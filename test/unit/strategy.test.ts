import { inspect } from 'node:util';
import type { Request } from 'express';
import OAuth2Strategy from 'passport-oauth2';
import { PowerFolderStrategy, type PowerFolderStrategyOptions, type StateStore, Strategy } from 'passport-powerfolder';
import { Agent } from 'undici';
import { authorizationURLOf, callStrategy } from '../support/without-framework.ts';

const required: PowerFolderStrategyOptions = {
  serverURL: 'https://pf.example',
  clientID: 'client',
  clientSecret: 'the-secret-sentinel',
  callbackURL: 'https://app.example/oauth',
};
const verify = () => false as const;
/** A store's, where it is not called. */
const noVerify = (_req: unknown, _state: unknown, _meta: unknown, _done: unknown) => {};
const strategyWith = (options: object) => new PowerFolderStrategy({ ...required, ...options }, verify);

describe('PowerFolderStrategy', () => {
  it("is passport-oauth2's strategy, by the name powerfolder, and also called Strategy", () => {
    const strategy = strategyWith({});
    expect(strategy).toBeInstanceOf(OAuth2Strategy);
    expect(strategy.name).toBe('powerfolder');
    expect(Strategy).toBe(PowerFolderStrategy);
  });

  it.each<[string, object, string | RegExp]>([
    ['no serverURL', { serverURL: undefined }, /^serverURL is missing; give the absolute URL/],
    ['no clientID', { clientID: undefined }, /^clientID is missing; give what an administrator registered/],
    ['no clientSecret', { clientSecret: '' }, /^clientSecret is missing; give what an administrator registered/],
    ['no callbackURL', { callbackURL: undefined }, /^callbackURL is missing; give the absolute URL/],
    ['another spelling', { clientId: 'x' }, 'There is no option clientId; did you mean clientID?'],
    [
      'R20: a relative callback URL',
      { callbackURL: '/oauth' },
      /^callbackURL is not an absolute URL; write it in full/,
    ],
    [
      'R20: a callback URL without a host',
      { callbackURL: '//app.example/oauth' },
      /^callbackURL is not an absolute URL/,
    ],
    [
      'a callback URL with a query',
      { callbackURL: 'https://app.example/oauth?x=1' },
      /must not have a query: PowerFolder appends/,
    ],
    ['a callback URL with an empty query', { callbackURL: 'https://app.example/oauth?' }, /must not have a query/],
    [
      'a callback URL with a fragment',
      { callbackURL: 'https://app.example/oauth#x' },
      /must not have a fragment; remove/,
    ],
    [
      'a callback URL with an empty fragment',
      { callbackURL: 'https://app.example/oauth#' },
      /must not have a fragment/,
    ],
    [
      'a callback URL that is a whole site',
      { callbackURL: 'https://app.example' },
      /needs a path of its own, such as \/oauth/,
    ],
    [
      'R22: http outside loopback',
      { serverURL: 'http://pf.example' },
      /^serverURL must be https.*use https:\/\/pf\.example.*allowInsecureHTTP: true/,
    ],
    ['R22: http for a name that begins like loopback', { serverURL: 'http://localhost.example' }, /must be https/],
    [
      'R22: http for a name that only looks like loopback',
      { serverURL: 'http://127.0.0.1.evil.example' },
      /must be https/,
    ],
    ['R22: http for the callback', { callbackURL: 'http://app.example/oauth' }, /^callbackURL must be https/],
    ['R22: http for the token endpoint', { tokenURL: 'http://pf.example/token' }, /^tokenURL must be https/],
    [
      'R22: http for the authorization endpoint',
      { authorizationURL: 'http://pf.example/a' },
      /^authorizationURL must be https/,
    ],
    ['R22: http for the profile', { userProfileURL: 'http://pf.example/a' }, /^userProfileURL must be https/],
    [
      'R22: a user name in a URL',
      { serverURL: 'https://root@pf.example' },
      /^serverURL must not hold a user name or password/,
    ],
    [
      'R22: a password in a URL',
      { serverURL: 'https://:pw-sentinel@pf.example' },
      /^serverURL must not hold a user name or password/,
    ],
    ['another scheme', { serverURL: 'ftp://pf.example' }, 'serverURL has the scheme ftp: but must be an https URL'],
    ['javascript:', { callbackURL: 'javascript:alert(1)' }, /^callbackURL has the scheme javascript:/],
    ['a server URL with a query', { serverURL: 'https://pf.example/?x' }, /^serverURL must not have a query; remove/],
    ['a line break in a URL', { serverURL: 'https://pf.example\n' }, 'serverURL has white space in it; remove it'],
    [
      'a URL object',
      { serverURL: new URL('https://pf.example') },
      /^serverURL is missing; give the absolute URL as a string/,
    ],
    ['R1: state: false', { state: false }, /^state cannot be turned off: .* remove state: false$/],
    [
      'an unknown authorizationMethod',
      { authorizationMethod: 'post' },
      'authorizationMethod must be one of "GET", "POST"',
    ],
    ['an unknown refreshMethod', { refreshMethod: 'PUT' }, 'refreshMethod must be one of "POST", "GET"'],
    ['allowInsecureHTTP as a string', { allowInsecureHTTP: 'false' }, 'allowInsecureHTTP must be one of false, true'],
    ['plain PKCE', { pkce: 'plain' }, 'pkce must be one of false, true, "S256"'],
    ['a timeout of 0', { timeout: 0 }, 'timeout must be a whole number of milliseconds above 0'],
    ['a timeout that setTimeout cannot count', { timeout: 2 ** 31 }, /^timeout must be a whole number/],
    ['a timeout as a string', { timeout: '10' }, /^timeout must be a whole number/],
    ['a stateTTL below 0', { stateTTL: -1 }, 'stateTTL must be a whole number of milliseconds above 0'],
    ['an endless stateTTL', { stateTTL: Number.POSITIVE_INFINITY }, /^stateTTL must be a whole number/],
    ['store: true', { store: true }, /^store must be an object with the methods store and verify/],
    ['a store without verify', { store: { store() {} } }, /^store must be an object with the methods store and verify/],
    ['store: null', { store: null }, /^store must be an object/],
    [
      'pkce with a store that forgets the verifier',
      { pkce: true, store: { store(_req: unknown, _done: unknown) {}, verify: noVerify } },
      /^pkce needs a store/,
    ],
    ['R23: an http.Agent', { dispatcher: { requests: {} } }, /^dispatcher must be one of undici's/],
    ['a header that is none', { customHeaders: { 'X-A': 'a\nthe-secret-sentinel' } }, /^customHeaders must be/],
  ])('is not made with %s', (_, options, message) => {
    expect(() => strategyWith(options)).toThrow(TypeError);
    expect(() => strategyWith(options)).toThrow(message);
    try {
      strategyWith(options);
    } catch (error) {
      expect(inspect(error)).not.toMatch(/the-secret-sentinel|pw-sentinel/);
    }
  });

  it('is not made with a misspelt option, whichever it is', () => {
    const names =
      'serverURL clientID clientSecret callbackURL authorizationMethod authorizationURL tokenURL userProfileURL refreshMethod skipUserProfile passReqToCallback store sessionKey stateTTL pkce scope scopeSeparator timeout dispatcher allowInsecureHTTP customHeaders state';
    for (const name of names.split(' ')) {
      const misspelt = name.toUpperCase();
      expect(() => strategyWith({ [misspelt]: 'x' })).toThrow(`There is no option ${misspelt}; did you mean ${name}?`);
    }
  });

  it('is not made without options or verify', () => {
    for (const options of [undefined, null, 'https://pf.example']) {
      expect(() => new PowerFolderStrategy(options as never, verify)).toThrow(
        /^PowerFolderStrategy takes an options object/,
      );
    }
    expect(() => new PowerFolderStrategy(verify as never, undefined as never)).toThrow(TypeError);
    expect(() => new PowerFolderStrategy(required, undefined as never)).toThrow(
      /^PowerFolderStrategy takes a verify function/,
    );
  });

  it.each([
    ['https://pf.example/', 'https://pf.example/oauth/allow'],
    ['https://pf.example/powerfolder', 'https://pf.example/powerfolder/oauth/allow'],
    ['https://pf.example/powerfolder//', 'https://pf.example/powerfolder/oauth/allow'],
    ['https://PF.example:8443', 'https://pf.example:8443/oauth/allow'],
    ['http://localhost:8080/x/', 'http://localhost:8080/x/oauth/allow'],
    ['http://127.0.0.1:8080', 'http://127.0.0.1:8080/oauth/allow'],
    ['http://127.10.20.30', 'http://127.10.20.30/oauth/allow'],
    ['http://pf.localhost', 'http://pf.localhost/oauth/allow'],
    ['http://[::1]:8080', 'http://[::1]:8080/oauth/allow'],
  ])('with the server at %s asks at %s', async (serverURL, expected) => {
    expect((await authorizationURLOf(strategyWith({ serverURL }))).href.split('?')[0]).toBe(expected);
  });

  it('goes to an http server where that is said to be insecure', async () => {
    const options = {
      serverURL: 'http://pf.internal',
      callbackURL: 'http://app.internal/oauth',
      allowInsecureHTTP: true,
    };
    expect((await authorizationURLOf(strategyWith(options))).origin).toBe('http://pf.internal');
  });

  it('sends the documented authorization request, member for member', async () => {
    const { searchParams } = await authorizationURLOf(strategyWith({}));
    expect([...searchParams.keys()]).toEqual(['state', 'response_type', 'redirect_uri', 'client_id']);
    expect(Object.fromEntries(searchParams)).toEqual({
      state: expect.stringMatching(/^[A-Za-z0-9]{32}$/),
      response_type: 'code',
      redirect_uri: 'https://app.example/oauth',
      client_id: 'client',
    });
  });

  it('R20: sends the callback URL as it is written, to the letter', async () => {
    const callbackURL = 'https://app.example:8443/f%c3%bcr/oauth/';
    expect((await authorizationURLOf(strategyWith({ callbackURL }))).searchParams.get('redirect_uri')).toBe(
      callbackURL,
    );
  });

  it('R20, R53: takes no callback URL that would come back in another spelling', () => {
    const callbackURL = 'https://APP.example:443/a/../oauth/';
    expect(() => strategyWith({ callbackURL })).toThrow(
      'callbackURL would come back in another spelling than it is sent in; write https://app.example/oauth/',
    );
  });

  it.each([
    ['of the options', { scope: 'files' }, {}, 'files'],
    ['of a list', { scope: ['files', 'mail'] }, {}, 'files mail'],
    ['with a separator', { scope: ['files', 'mail'], scopeSeparator: ',' }, {}, 'files,mail'],
    ['of passport.authenticate', { scope: 'files' }, { scope: ['mail'] }, 'mail'],
  ])('sends a scope %s', async (_, options, authenticate, expected) => {
    expect((await authorizationURLOf(strategyWith(options), authenticate)).searchParams.get('scope')).toBe(expected);
  });

  it('sends a PKCE challenge when asked to', async () => {
    const { searchParams } = await authorizationURLOf(strategyWith({ pkce: true }));
    expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/);
    expect(searchParams.get('code_challenge_method')).toBe('S256');
  });

  it('R50: awaits what subclasses add, leaves null out, and refuses what is no object', async () => {
    const strategyGiving = (params: unknown) => {
      class Subclass extends PowerFolderStrategy {
        override authorizationParams() {
          return params as object;
        }
      }
      return new Subclass(required, verify);
    };
    const { searchParams } = await authorizationURLOf(strategyGiving(Promise.resolve({ lang: 'de', prompt: null })));
    expect([searchParams.get('lang'), searchParams.has('prompt')]).toEqual(['de', false]);
    expect((await authorizationURLOf(strategyGiving(undefined))).searchParams.size).toBe(4);
    await expect(authorizationURLOf(strategyGiving(Promise.reject(new Error('of the tenant'))))).rejects.toThrow(
      'of the tenant',
    );
    for (const params of ['prompt=login', ['prompt'], 7]) {
      await expect(authorizationURLOf(strategyGiving(params))).rejects.toThrow(/^authorizationParams gave no object/);
    }
  });

  it('R53: refuses what passport-oauth2 would let replace, and has no effect here', () => {
    class Subclass extends PowerFolderStrategy {
      _loadUserProfile() {}
    }
    expect(() => new Subclass(required, verify)).toThrow(/^_loadUserProfile has no effect here; override userProfile/);
    for (const name of ['_verify', '_stateStore', '_skipUserProfile', '_loadUserProfile']) {
      expect(() => Object.assign(strategyWith({}), { [name]: () => {} })).toThrow(`${name} has no effect here`);
    }
  });

  it("asks subclasses for further parameters, which do not replace the strategy's own", async () => {
    class Subclass extends PowerFolderStrategy {
      override authorizationParams(options: { lang?: string }) {
        return { lang: options.lang, state: 'fixed', redirect_uri: 'https://evil.example', response_type: 'token' };
      }
    }
    const { searchParams } = await authorizationURLOf(new Subclass(required, verify), { lang: 'de' });
    expect(searchParams.get('lang')).toBe('de');
    expect(searchParams.get('response_type')).toBe('code');
    expect(searchParams.getAll('redirect_uri')).toEqual([required.callbackURL]);
    expect(searchParams.getAll('state')).toEqual([expect.not.stringMatching('fixed')]);
  });

  it.each(['x', '', true, false, 7, new Map(), new Set(), Promise.resolve({})])(
    'R1, R12: refuses state: %p of passport.authenticate, saying why',
    async (state) => {
      await expect(authorizationURLOf(strategyWith({}), { state })).rejects.toThrow(
        /takes an object for the application.*random and made by the strategy/,
      );
    },
  );

  it.each([undefined, null])('R1: sends a state also with state: %p', async (state) => {
    expect((await authorizationURLOf(strategyWith({}), { state })).searchParams.get('state')).toMatch(
      /^[A-Za-z0-9]{32}$/,
    );
  });

  it.each([undefined, '', 'ä', 'a-b', 'a b', 7, 'x'.repeat(513)])(
    'R1, R2: does not send the state %p of a store',
    async (state) => {
      const store: StateStore = {
        store: (_req, _verifier, _state, _meta, done) => done(null, state as string),
        verify: noVerify,
      };
      await expect(authorizationURLOf(strategyWith({ store }))).rejects.toThrow(
        'The state store gave no alphanumeric state; PowerFolder takes no other',
      );
    },
  );

  it("calls a store of passport-oauth2's with the parameters that it takes", async () => {
    type Done = (error: null, state: string) => void;
    const app = { returnTo: '/x' };
    const meta = expect.objectContaining({ clientID: 'client', callbackURL: required.callbackURL });
    const calls: unknown[][] = [];
    const answer = (done: Done, ...args: unknown[]) => {
      calls.push(args);
      done(null, 's');
    };
    for (const store of [
      (_req: unknown, done: Done) => answer(done),
      (_req: unknown, given: unknown, done: Done) => answer(done, given),
      (_req: unknown, state: unknown, given: unknown, done: Done) => answer(done, state, given),
    ]) {
      await authorizationURLOf(strategyWith({ store: { store, verify: noVerify } }), { state: app });
    }
    expect(calls).toEqual([[], [meta], [app, meta]]);
  });

  type Outcome = (error: unknown, value?: unknown, reason?: unknown) => void;
  it.each<[string, (done: Outcome, ...outcome: Parameters<Outcome>) => unknown]>([
    ['at once', (done, ...outcome) => done(...outcome)],
    ['later', (done, ...outcome) => void setImmediate(done, ...outcome)],
    ['by a promise that it gives to its callback', (done, error, value) => done(error, Promise.resolve(value))],
    ['by a promise that is rejected', (done, error, value) => (error ? Promise.reject(error) : done(null, value))],
  ])('takes what a store answers %s', async (_, answer) => {
    const broken = new Error('the database is away');
    const storeWith = (error: unknown, state: unknown, ok: unknown) => ({
      store: (_req: unknown, _state: unknown, _meta: unknown, done: Outcome) => answer(done, error, state),
      verify: (_req: unknown, _state: unknown, _meta: unknown, done: Outcome) => answer(done, error, ok),
    });
    const outcomeAt = async (originalUrl: string, store: object) => {
      const { action, given } = await callStrategy(strategyWith({ store }), { originalUrl });
      return action === 'fail' ? given : given[0];
    };
    expect(await outcomeAt('/auth', storeWith(null, 's1', false))).toMatch(/[?&]state=s1&/);
    expect(await outcomeAt('/auth', storeWith(null, 's-1', false))).toBeInstanceOf(TypeError);
    expect(await outcomeAt('/auth', storeWith(broken, 's1', false))).toBe(broken);
    const response = '/oauth/code=x&state=s1';
    const unknown = [expect.objectContaining({ code: 'state_unknown' }), 403];
    expect(await outcomeAt(response, storeWith(null, 's1', false))).toEqual(unknown);
    expect(await outcomeAt(response, storeWith(broken, 's1', false))).toBe(broken);
    expect(await outcomeAt('/oauth/error=access_denied&state=s1', storeWith(null, 's1', true))).toEqual([
      expect.objectContaining({ code: 'access_denied' }),
      403,
    ]);
  });

  it('needs a session, and says which', async () => {
    const strategy = strategyWith({});
    expect(await callStrategy(strategy, { originalUrl: '/auth', session: undefined })).toMatchObject({
      action: 'error',
      given: [{ code: 'session_required', message: expect.stringContaining('express-session') }],
    });
  });

  it('R29: hides its secret from inspect and JSON, and still has it for passport-oauth2-refresh', () => {
    const dispatcher = new Agent();
    const strategy = strategyWith({ dispatcher, customHeaders: { 'X-Key': 'header-sentinel' } });
    const views = [
      inspect(strategy),
      inspect(strategy, { showHidden: true, depth: 3 }),
      inspect(Object.create(strategy), { showHidden: true, depth: 3 }),
      JSON.stringify(strategy),
    ];
    for (const view of views) expect(view).not.toContain('the-secret-sentinel');
    expect(inspect(strategy, { depth: 9 }) + JSON.stringify(strategy)).not.toContain('header-sentinel');
    expect(Reflect.get(Reflect.get(strategy, '_oauth2'), '_clientSecret')).toBe('the-secret-sentinel');
  });

  it('R23: refuses setAgent, naming what there is instead', () => {
    const { _oauth2 } = strategyWith({}) as unknown as { _oauth2: { setAgent(agent: unknown): void } };
    expect(() => _oauth2.setAgent({})).toThrow(/give the strategy the options ca and proxy instead/);
  });

  it('keeps apart the requests that share it, where it was given to passport.authenticate itself', async () => {
    const waiting: (() => void)[] = [];
    const store: StateStore = {
      store: (req: Request, _verifier, _state, _meta, done) =>
        void waiting.push(() => done(null, (req as unknown as { mark: string }).mark)),
      verify: noVerify,
    };
    const strategy = strategyWith({ store });
    const redirects: Record<string, string[]> = { a: [], b: [] };
    for (const mark of ['a', 'b']) {
      Object.assign(strategy, {
        redirect: (url: string) => redirects[mark]?.push(new URL(url).searchParams.get('state') ?? ''),
      });
      strategy.authenticate({ method: 'GET', originalUrl: '/auth', mark } as never);
    }
    for (const answer of waiting) answer();
    await new Promise(setImmediate);
    expect(redirects).toEqual({ a: ['a'], b: ['b'] });
  });
});
