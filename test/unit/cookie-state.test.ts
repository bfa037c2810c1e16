import { createCipheriv, createDecipheriv, hash, hkdfSync } from 'node:crypto';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { inspect } from 'node:util';
import { CookieStateStore, type CookieStateStoreOptions, PowerFolderStrategy } from 'passport-powerfolder';
import type { StateMetadata } from '../../lib/state-store.ts';
import { begin, CookieBrowser, cookieSecret, cookieStore, meta, setCookies, take } from '../support/state-stores.ts';

const minutes = 60_000;
const insecure: StateMetadata = { ...meta, callbackURL: 'http://127.0.0.1:3000/oauth' };
const required = {
  serverURL: 'https://pf.example',
  clientID: 'client',
  clientSecret: 'secret',
  callbackURL: meta.callbackURL,
};

/** What both stores do is in state-stores.test.ts. */
describe('CookieStateStore', () => {
  const store = cookieStore();
  afterEach(() => jest.restoreAllMocks());

  it('sets one cookie for each sign-in: HttpOnly, SameSite=Lax, Secure and __Host- under https, for as long as it may take', () => {
    const browser = new CookieBrowser();
    const request = browser.request();
    store.begin(request, undefined, { returnTo: '/x' }, meta);
    expect(setCookies(request)).toEqual([
      expect.stringMatching(
        /^__Host-powerfolder-[\w-]{22}=[\w-]{80,}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
      ),
    ]);
    const short = browser.request();
    cookieStore(1500).begin(short, undefined, undefined, meta);
    expect(setCookies(short)).toEqual([expect.stringContaining('; Max-Age=2;')]);
  });

  it('sets it without Secure and __Host- where the callback URL is http, whatever the request says (R20)', () => {
    const request = new CookieBrowser().request();
    Object.assign(request.headers, { host: 'app.example', 'x-forwarded-proto': 'https', forwarded: 'proto=https' });
    store.begin(request, undefined, undefined, insecure);
    expect(setCookies(request)).toEqual([
      expect.stringMatching(/^powerfolder-[\w-]{22}=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
  });

  it.each([
    ['https', meta],
    ['http', insecure],
  ])('ends the cookie with the answer, by the same attributes, under %s', (_, bound) => {
    const browser = new CookieBrowser();
    const state = begin(store, browser, undefined, undefined, bound);
    const [[name = ''] = []] = browser.pending();
    const request = browser.request();
    expect(store.take(request, state, bound)).toMatchObject({ taken: true });
    const secure = bound === meta ? '; Secure' : '';
    expect(setCookies(request)).toEqual([`${name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax${secure}`]);
  });

  it('leaves the cookies alone that others set on the response', () => {
    const browser = new CookieBrowser();
    const request = browser.request();
    request.res?.setHeader('Set-Cookie', 'a=1');
    const state = store.begin(request, undefined, undefined, meta) as string;
    expect(setCookies(request)).toEqual(['a=1', expect.stringMatching(/^__Host-powerfolder-/)]);
    browser.keep(request);
    const answer = browser.request();
    answer.res?.setHeader('Set-Cookie', ['a=1', 'b=2']);
    expect(store.take(answer, state, meta)).toMatchObject({ taken: true });
    expect(setCookies(answer)).toEqual(['a=1', 'b=2', expect.stringMatching(/^__Host-powerfolder-.*Max-Age=0/)]);
  });

  it('R12: shows nothing of the state, of the application’s state, of the verifier and of the secret in a cookie', () => {
    const browser = new CookieBrowser();
    const app = { returnTo: '/sentinel-of-the-application' };
    const state = begin(store, browser, app, 'sentinel-of-pkce-verifier');
    const [pair = ['', '']] = browser.pending();
    const bytes = Buffer.from(pair[1], 'base64url');
    for (const hidden of [state, 'sentinel', 'returnTo', 'until', cookieSecret, '17']) {
      for (const encoding of ['latin1', 'hex', 'base64', 'base64url'] as const) {
        const encoded = Buffer.from(hidden).toString(encoding).slice(0, 20);
        if (encoded.length < 6) continue;
        expect(pair.join('=')).not.toContain(encoded);
        expect(bytes.toString('latin1')).not.toContain(encoded);
      }
    }
    // The same sign-in sealed twice has nothing in common.
    const other = new CookieBrowser();
    begin(store, other, app, 'sentinel-of-pkce-verifier');
    expect(other.pending()[0]?.[1].slice(0, 8)).not.toBe(pair[1].slice(0, 8));
  });

  it('is sealed by AES-256-GCM with its name, by a key of HKDF, and holds what is needed: anything else does not count', () => {
    const browser = new CookieBrowser([]);
    const state = begin(store, browser, { returnTo: '/x' }, 'verifier');
    const [[name, value] = ['', '']] = browser.pending();
    expect(name).toBe(`__Host-powerfolder-${hash('sha256', state, 'base64url').slice(0, 22)}`);
    const key = Buffer.from(hkdfSync('sha256', cookieSecret, '', 'passport-powerfolder pending sign-ins', 32));
    const bytes = Buffer.from(value, 'base64url');
    const nonce = bytes.subarray(0, 12);
    const open = createDecipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name)).setAuthTag(bytes.subarray(-16));
    const pending = JSON.parse(open.update(bytes.subarray(12, -16)).toString() + open.final().toString());
    expect(pending).toEqual({
      until: expect.any(Number),
      for: expect.stringMatching(/^[\w-]{22}$/),
      app: { returnTo: '/x' },
      pkce: 'verifier',
    });

    const sealed = (json: unknown) => {
      const seal = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(name));
      const text = Buffer.concat([seal.update(JSON.stringify(json)), seal.final()]);
      return new CookieBrowser([[name, Buffer.concat([nonce, text, seal.getAuthTag()]).toString('base64url')]]);
    };
    const { until, for: bound, ...neither } = pending;
    const strange = [null, [], {}, 'x', neither, { until }, { for: bound }, { ...pending, until: String(until) }];
    for (const json of [...strange, { ...pending, for: {} }, { ...pending, pkce: 5 }, { ...pending, pkce: null }]) {
      expect([json, take(store, sealed(json), state)]).toEqual([json, 'state_unknown']);
    }
    expect(take(store, sealed(pending), state)).toEqual({ ok: 'verifier', app: { returnTo: '/x' } });
  });

  it('opens no cookie that was moved to another name', () => {
    const browser = new CookieBrowser();
    const [mine, other] = [begin(store, browser, 'mine'), begin(store, browser, 'other')];
    const [[myName, myValue] = ['', ''], [otherName, otherValue] = ['', '']] = browser.pending();
    browser.jar.set(myName, otherValue).set(otherName, myValue);
    expect(take(store, browser, mine)).toBe('state_unknown');
    expect(take(store, browser, other)).toBe('state_unknown');
    browser.jar.set(myName, myValue);
    expect(take(store, browser, mine)).toEqual({ ok: true, app: 'mine' });
  });

  it('takes no cookie of an http application for one of an https application, nor the other way round', () => {
    const browser = new CookieBrowser();
    const state = begin(store, browser);
    const [[name, value] = ['', '']] = browser.pending();
    const plain = new CookieBrowser([[name.replace('__Host-', ''), value]]);
    expect(take(store, plain, state)).toBe('session_missing');
    expect(take(store, plain, state, insecure)).toBe('state_unknown');
    expect(take(store, browser, state, insecure)).toBe('session_missing');
  });

  it('opens no cookie in which anything was changed', () => {
    const browser = new CookieBrowser();
    const state = begin(store, browser, { returnTo: '/x' });
    const [[name, value] = ['', '']] = browser.pending();
    for (let at = 0; at < value.length; at++) {
      const changed = value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1);
      // The last character may hold bits that count for nothing.
      if (Buffer.from(changed, 'base64url').equals(Buffer.from(value, 'base64url'))) continue;
      expect([at, take(store, new CookieBrowser([[name, changed]]), state)]).toEqual([at, 'state_unknown']);
      expect(take(store, new CookieBrowser([[name, value.slice(0, at)]]), state)).toBe('state_unknown');
    }
    expect(take(store, browser, state)).toEqual({ ok: true, app: { returnTo: '/x' } });
  });

  it('R3: says of a browser that sent no cookie of a pending sign-in that it sent none', () => {
    const state = begin(store, new CookieBrowser());
    const without = `__Host-powerfolder-${'x'.repeat(23)}; ${'x'.repeat(22)}`;
    const others = ['lang=de', 'powerfolder-=x; __Host-powerfolder-short=x', '__host-powerfolder-x=y', without];
    for (const header of ['', ...others]) {
      const request = new CookieBrowser().request(header);
      expect(store.take(request, state, meta)).toMatchObject({ reason: 'session_missing' });
      expect(setCookies(request)).toEqual([]);
    }
  });

  it.each<[string, (pairs: string) => string]>([
    ['other cookies around it', (pairs) => `a=b; ${pairs}; c="d=e"; f`],
    ['no spaces', (pairs) => `a=b;${pairs};c=d`],
    ['empty and broken pairs', (pairs) => `;;=; =x; ${'\u0000'}; ;${pairs}; ;=;`],
    ['white space', (pairs) => `  \t ${pairs.replace('=', ' = ')} \t;`],
    ['malformed escapes', (pairs) => `%=%; %E0%A4%A=%FF; ${pairs}`],
    ['the name of an object’s member', (pairs) => `__proto__=x; constructor=y; ${pairs}`],
  ])('finds its cookie in a header with %s', (_, header) => {
    const browser = new CookieBrowser([]);
    const state = begin(store, browser, { returnTo: '/x' });
    const pairs = browser.pending().map((pair) => pair.join('='));
    const request = browser.request(header(pairs.join('; ')));
    expect(store.take(request, state, meta)).toMatchObject({ taken: true, state: { returnTo: '/x' } });
  });

  it('leaves what others put under such names alone, and lets it push nothing out', () => {
    const browser = new CookieBrowser([]);
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const states = Array.from({ length: 8 }, (_, index) => {
      now.mockReturnValue(start + index);
      return begin(store, browser, index);
    });
    const mine = browser.pending();
    const stranger = new CookieBrowser([]);
    const strangers = cookieStore(20 * minutes, { secret: 'x'.repeat(32) });
    for (let i = 0; i < 8; i++) begin(strangers, stranger);
    const tossed: [string, string][] = [
      ...stranger.pending(),
      ...Array.from({ length: 50 }, (_, i): [string, string] => [
        `__Host-powerfolder-${String(i).padStart(22, 'x')}`,
        'A'.repeat(i * 4),
      ]),
      // Under the names that ours have, before them and behind them.
      ...mine.map(([name]): [string, string] => [name, 'A'.repeat(120)]),
    ];
    const header = [...tossed, ...mine, ...tossed].map((pair) => pair.join('=')).join('; ');
    const request = browser.request(header);
    store.begin(request, undefined, undefined, meta);
    expect(setCookies(request)).toEqual([
      expect.stringMatching(/Max-Age=600/),
      expect.stringMatching(new RegExp(`^${mine[0]?.[0]}=; Max-Age=0`)),
    ]);
    for (const [index, state] of states.entries()) {
      expect(store.take(browser.request(header), state, meta)).toMatchObject({ taken: true, state: index });
    }
  });

  it('lets the oldest go, several at once where needed, so that requests never carry more than 3 KiB', () => {
    const browser = new CookieBrowser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    for (let i = 0; i < 60; i++) {
      now.mockReturnValue(start + i);
      begin(store, browser, { returnTo: `/${'x'.repeat((i * 379) % 2000)}` }, 'v'.repeat(43));
      const bytes = browser.pending().map(([name, value]) => `${name}=${value}; `.length);
      expect(bytes.reduce((sum, each) => sum + each, 0)).toBeLessThanOrEqual(3072);
      expect(browser.count()).toBeLessThanOrEqual(8);
    }
  });

  it('lets the oldest go in whatever order the browser sends them', () => {
    const browser = new CookieBrowser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const states = Array.from({ length: 9 }, (_, index) => {
      now.mockReturnValue(start + index);
      if (index === 8)
        [...browser.jar].reverse().forEach(([name, value]) => {
          browser.jar.delete(name);
          browser.jar.set(name, value);
        });
      return begin(store, browser);
    });
    expect(states.map((state) => typeof take(store, browser, state))).toEqual(['string', ...Array(8).fill('object')]);
  });

  it('has room for eight with a return path of 80 characters and PKCE', () => {
    const browser = new CookieBrowser();
    for (let i = 0; i < 8; i++) begin(store, browser, { returnTo: `/${'x'.repeat(79)}` }, 'v'.repeat(43));
    expect(browser.count()).toBe(8);
  });

  it('takes an application’s state of 2,100 bytes, in a cookie that a browser takes', () => {
    const browser = new CookieBrowser();
    const app = { returnTo: 'x'.repeat(2100 - '{"returnTo":""}'.length) };
    expect(take(store, browser, begin(store, browser, app, 'v'.repeat(43)))).toMatchObject({ app });
  });

  it('ends more than eight, which parallel requests may have made, when the next one begins', () => {
    const browser = new CookieBrowser([]);
    const requests = Array.from({ length: 12 }, () => browser.request());
    for (const request of requests) store.begin(request, undefined, undefined, meta);
    for (const request of requests) browser.keep(request);
    expect(browser.count()).toBe(12);
    begin(store, browser);
    expect(browser.count()).toBe(8);
  });

  it('R8: keeps apart what tabs begin at the same moment, and takes their answers in any order', () => {
    const browser = new CookieBrowser([]);
    const requests = Array.from({ length: 5 }, () => browser.request());
    const states = requests.map((request, tab) => store.begin(request, undefined, tab, meta));
    for (const request of requests.reverse()) browser.keep(request);
    for (const tab of [3, 0, 4, 2, 1]) expect(take(store, browser, states[tab])).toEqual({ ok: true, app: tab });
    expect(browser.count()).toBe(0);
  });

  it('R4: knows in another process of a second answer by the missing cookie only', () => {
    const browser = new CookieBrowser();
    const state = begin(store, browser, undefined, 'verifier');
    const kept = browser.copy();
    take(store, browser, state);
    jest.isolateModules(() => {
      const elsewhere = cookieStore(undefined, undefined, jest.requireActual('../../lib/cookie-state.ts'));
      expect(take(elsewhere, browser, state)).toBe('session_missing');
      // Whoever keeps the cookie can have the code sent again, which the server accepts once: see SECURITY.md.
      expect(take(elsewhere, kept, state)).toEqual({ ok: 'verifier', app: undefined });
    });
  });

  it('R4: does not use up a state whose cookie cannot be ended', () => {
    const browser = new CookieBrowser();
    const state = begin(store, browser);
    const late = browser.request();
    late.res?.flushHeaders();
    expect(() => store.take(late, state, meta)).toThrow(/headers of the response were sent/);
    expect(take(store, browser, state)).toEqual({ ok: true, app: undefined });
  });

  describe('the response', () => {
    it('is needed: where there is none, a sentence says what to use instead', () => {
      for (const request of [{ headers: {} }, { headers: {}, res: {} }, { headers: {}, res: null, ctx: {} }]) {
        for (const use of [
          () => store.begin(request as never, undefined, undefined, meta),
          () => store.take(request as never, 'a'.repeat(32), meta),
        ]) {
          expect(use).toThrow(
            'CookieStateStore needs the response in req.res, as Express, NestJS and koa-passport give it. @fastify/passport gives a strategy none: leave the option store out there, and pending sign-ins wait in the session',
          );
        }
      }
    });

    it('must not be under way', () => {
      const request = new CookieBrowser().request();
      request.res?.flushHeaders();
      expect(() => store.begin(request, undefined, undefined, meta)).toThrow(
        'CookieStateStore cannot set its cookie any more: the headers of the response were sent before passport.authenticate was called',
      );
    });

    it("is Koa's own where koa-passport has an imitation in req.res", () => {
      const request = new IncomingMessage(new Socket());
      const res = new ServerResponse(request);
      res.setHeader('Set-Cookie', 'a=1');
      store.begin({ headers: {}, res: { setHeader() {} }, ctx: { res } } as never, undefined, undefined, meta);
      expect(res.getHeader('Set-Cookie')).toEqual(['a=1', expect.stringMatching(/^__Host-powerfolder-/)]);
    });
  });

  describe('the secret', () => {
    const [one, two, three] = ['1', '2', '3'].map((digit) => digit.repeat(32)) as [string, string, string];

    it('seals by the first of a list, and opens by all', () => {
      const browser = new CookieBrowser();
      const old = begin(cookieStore(undefined, { secret: one }), browser);
      const rotated = cookieStore(undefined, { secret: [two, one] });
      const young = begin(rotated, browser);
      expect(take(cookieStore(undefined, { secret: one }), browser.copy(), young)).toBe('state_unknown');
      expect(take(cookieStore(undefined, { secret: [three, two] }), browser.copy(), old)).toBe('state_unknown');
      expect(take(rotated, browser, old)).toEqual({ ok: true, app: undefined });
      expect(take(cookieStore(undefined, { secret: two }), browser, young)).toEqual({ ok: true, app: undefined });
    });

    it('is copied: what changes in the list changes nothing', () => {
      const secret = [one, two];
      const options = { secret };
      const copied = cookieStore(undefined, options);
      secret.splice(0, 2, three);
      options.secret = [three];
      const browser = new CookieBrowser();
      const state = begin(copied, browser);
      expect(take(cookieStore(undefined, { secret: [one] }), browser, state)).toEqual({ ok: true, app: undefined });
    });

    it.each<[string, unknown, string | RegExp]>([
      [
        'nothing',
        {},
        /^secret is missing, or no string; give 32 random characters or more, for instance from: openssl/,
      ],
      ['undefined', { secret: undefined }, /^secret is missing/],
      ['a number', { secret: 7 }, /^secret is missing, or no string/],
      ['bytes', { secret: Buffer.alloc(32) }, /^secret is missing, or no string/],
      ['31 characters', { secret: 'sentinel'.padEnd(31, '-') }, /^secret is too short with 31 characters; give 32/],
      ['an empty text', { secret: '' }, /^secret is too short with 0 characters/],
      ['an empty list', { secret: [] }, 'secret is an empty list; give 32 random characters or more'],
      ['a list with a short one', { secret: [one, 'short'] }, /^secret is too short .*, each of them/],
      ['a list with a gap', { secret: [one, undefined] }, /^secret is missing.*, each of them/],
      ['another option', { secret: one, secrets: [one] }, 'There is no option secrets; did you mean secret?'],
      ['ttl, which is the strategy’s', { secret: one, ttl: 5 }, /^There is no option ttl/],
      ['no options', undefined, 'CookieStateStore takes an options object: { secret }'],
      ['null', null, 'CookieStateStore takes an options object: { secret }'],
      ['the secret itself', one, 'CookieStateStore takes an options object: { secret }'],
      ['a list of options', [{ secret: one }], 'CookieStateStore takes an options object: { secret }'],
    ])('R53: is checked: %s', (_, options, message) => {
      const make = () => new CookieStateStore(options as CookieStateStoreOptions);
      expect(make).toThrow(TypeError);
      expect(make).toThrow(message);
      expect(make).not.toThrow(/sentinel|1111/);
    });

    it('R29: is in no inspection and no JSON of the store and of its strategy', () => {
      const secret = 'sentinel-of-cookies-0123456789-abcdef';
      const hidden = new CookieStateStore({ secret });
      const strategy = new PowerFolderStrategy({ ...required, store: hidden }, () => false);
      for (const each of [hidden, strategy, Object.create(strategy)]) {
        const text = inspect(each, { showHidden: true, depth: Number.POSITIVE_INFINITY }) + JSON.stringify(each);
        expect(text).not.toMatch(/sentinel|73656e74696e656c/);
      }
    });
  });

  describe('as an option', () => {
    const secret = cookieSecret;
    const refusalOf = (options: object) => () =>
      new PowerFolderStrategy({ ...required, ...options } as never, () => false);

    it('R53: does not go with sessionKey, nor does another store', () => {
      const message = 'sessionKey has no effect beside store, which keeps nothing there; remove it';
      expect(refusalOf({ store: new CookieStateStore({ secret }), sessionKey: 'x' })).toThrow(message);
      const store = { store(_req: unknown, _done: unknown) {}, verify(_r: unknown, _s: unknown, _done: unknown) {} };
      expect(refusalOf({ store, sessionKey: 'x' })).toThrow(message);
    });

    it('R53: is told from its options', () => {
      expect(refusalOf({ store: { secret } })).toThrow(
        'store must be an object with the methods store and verify, or new CookieStateStore({ secret }); leave it out to use the session',
      );
    });

    it('takes pkce, and the time of stateTTL, which another strategy with the same store may have another of', () => {
      const shared = new CookieStateStore({ secret });
      const times = [1000, 120_000].map((stateTTL) => {
        const strategy = new PowerFolderStrategy({ ...required, store: shared, stateTTL, pkce: true }, () => false);
        const request = new CookieBrowser().request();
        strategy['_settings'].pendingSignIns.begin(request, 'verifier', undefined, meta);
        return /Max-Age=\d+/.exec(String(setCookies(request)))?.[0];
      });
      expect(times).toEqual(['Max-Age=1', 'Max-Age=120']);
    });
  });
});
