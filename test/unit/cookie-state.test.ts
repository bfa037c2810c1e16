import { inspect } from 'node:util';
import type { Request } from 'express';
import { CookieStateStore } from 'passport-powerfolder';
import type { StateMetadata } from '../../lib/state-store.ts';
import { stateSecret as secret } from '../support/state-stores.ts';

const meta: StateMetadata = {
  strategy: 'powerfolder',
  authorizationURL: 'https://pf.example/oauth/allow',
  tokenURL: 'https://pf.example/oauth/token',
  clientID: 'client',
  callbackURL: 'https://app.example/oauth',
};
const ttl = 600_000;

/** A browser's cookies of this host, and its requests. */
class Jar {
  readonly cookies = new Map<string, string>();
  /** All Set-Cookie headers that came. */
  readonly set: string[] = [];
  readonly store: CookieStateStore;

  constructor(store = new CookieStateStore({ secret })) {
    this.store = store;
  }

  get header(): string | undefined {
    return this.cookies.size > 0 ? [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ') : undefined;
  }

  request(cookie = this.header): Request {
    const appendHeader = (_: string, line: string) => {
      this.set.push(line);
      const [, name = '', value = ''] = /^([^=]*)=([^;]*)/.exec(line) ?? [];
      if (/Max-Age=0;/.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    };
    return { headers: { ...(cookie !== undefined && { cookie }) }, res: { appendHeader } } as never;
  }

  begin(app?: unknown, verifier?: string, { bound = meta, cookie = this.header, time = ttl } = {}): string {
    return this.store.pendingSignIns(time).begin(this.request(cookie), verifier, app, bound) as string;
  }

  take(state: string, { bound = meta, cookie = this.header } = {}): unknown {
    const taken = this.store.pendingSignIns(ttl).take(this.request(cookie), state, bound) as never;
    const { reason, verifier, state: app } = taken as { reason?: string; verifier?: string; state?: unknown };
    return reason ?? { verifier, app };
  }
}

const good = { verifier: undefined, app: undefined };
const bytesOf = (jar: Jar) => [...jar.cookies].reduce((sum, [name, value]) => sum + name.length + value.length, 0);

describe('CookieStateStore', () => {
  afterEach(() => jest.restoreAllMocks());

  it('puts each sign-in into a cookie of its own, sealed, until its answer comes', () => {
    const jar = new Jar();
    const state = jar.begin({ returnTo: '/x' }, 'verifier');
    expect(jar.set).toEqual([
      expect.stringMatching(
        /^__Host-powerfolder-[0-9a-f]{16}=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
      ),
    ]);
    const sent = Buffer.from(String(jar.header?.split('=')[1]), 'base64url').toString('latin1');
    for (const secret of [state, 'returnTo', '/x', 'verifier']) expect(`${jar.header} ${sent}`).not.toContain(secret);
    const [name = ''] = jar.cookies.keys();
    expect(jar.take(state)).toEqual({ verifier: 'verifier', app: { returnTo: '/x' } });
    expect(jar.set[1]).toBe(`${name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure`);
    expect(jar.cookies.size).toBe(0);
  });

  it('R20: is Secure by the callback URL, and by nothing of a request', () => {
    const jar = new Jar();
    const bound = { ...meta, callbackURL: 'http://localhost:3000/oauth' };
    const state = jar.begin(undefined, undefined, { bound });
    expect(jar.set).toEqual([
      expect.stringMatching(/^powerfolder-[0-9a-f]{16}=[\w-]+; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/),
    ]);
    expect(jar.take(state, { bound })).toEqual(good);
  });

  it('R3: opens in the browser that began only', () => {
    const [mine, other] = [new Jar(), new Jar()];
    const state = mine.begin();
    other.begin();
    expect(other.take(state)).toBe('state_unknown');
    expect(new Jar().take(state)).toBe('session_missing');
    expect(new Jar().take(state, { cookie: 'lang=de; theme=dark' })).toBe('session_missing');
    expect(mine.take(state)).toEqual(good);
  });

  it('R4: is good once, also where the browser puts the cookie back', () => {
    const jar = new Jar();
    const state = jar.begin();
    const cookie = String(jar.header);
    expect(jar.take(state)).toEqual(good);
    expect(jar.take(state, { cookie })).toBe('state_used');
    expect(jar.take(state)).toBe('state_used');
  });

  it('R5: expires by the clock here, whatever the browser does', () => {
    const start = Date.now();
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    const jar = new Jar();
    const [early, late] = [jar.begin(), jar.begin()];
    now.mockReturnValue(start + ttl - 1);
    expect(jar.take(early)).toEqual(good);
    now.mockReturnValue(start + ttl);
    expect(jar.take(late)).toBe('state_expired');
    expect(jar.cookies.size).toBe(0);
  });

  it.each(Object.keys(meta) as (keyof StateMetadata)[])('R9: binds a sign-in to its %s', (member) => {
    const jar = new Jar();
    const state = jar.begin();
    expect(jar.take(state, { bound: { ...meta, [member]: `${meta[member]}x` } })).toBe('state_mismatch');
    expect(jar.take(state)).toEqual(good);
  });

  it('R7: keeps eight, the oldest goes first, and expired ones before', () => {
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const jar = new Jar();
    const states = Array.from({ length: 9 }, (_, n) => {
      now.mockReturnValue(start + n);
      return jar.begin();
    });
    expect(jar.cookies.size).toBe(8);
    expect(jar.take(String(states[0]))).toBe('state_unknown');
    for (const state of states.slice(1)) expect(jar.take(state)).toEqual(good);
  });

  it('R7: keeps 3 KiB, names and values, and the youngest in any case', () => {
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const jar = new Jar();
    const states = Array.from({ length: 8 }, (_, n) => {
      now.mockReturnValue(start + n);
      return jar.begin({ returnTo: `/${'x'.repeat(600)}` });
    });
    expect(bytesOf(jar)).toBeLessThanOrEqual(3072);
    expect(jar.cookies.size).toBe(2);
    expect(jar.take(String(states[7]))).toMatchObject({ app: { returnTo: expect.stringMatching(/^\/x{600}$/) } });
    expect(jar.take(String(states[6]))).toMatchObject({ app: {} });
    expect(jar.take(String(states[5]))).toBe('session_missing');
  });

  it('refuses a state of the application that no cookie takes, in a sentence, and spares the others', () => {
    const jar = new Jar();
    const state = jar.begin();
    expect(() => jar.begin({ returnTo: 'x'.repeat(3000) })).toThrow(
      /^The state given to passport.authenticate makes a pending sign-in of \d+ bytes, and there may be 3072/,
    );
    expect(jar.take(state)).toEqual(good);
    const long = { returnTo: 'ü'.repeat(1000) };
    expect(jar.take(jar.begin(long))).toEqual({ verifier: undefined, app: long });
  });

  it('knows all tabs that began at the same moment, each without the cookies of the others', () => {
    const jar = new Jar();
    const states = Array.from({ length: 5 }, (_, tab) => jar.begin({ tab }, undefined, { cookie: 'none=yet' }));
    for (const tab of [3, 0, 4, 1, 2])
      expect(jar.take(String(states[tab]))).toEqual({ verifier: undefined, app: { tab } });
    expect(jar.cookies.size).toBe(0);
  });

  it.each<[string, (value: string, other: string) => string]>([
    ['cut off', (value) => value.slice(0, -4)],
    ['changed', (value) => `${value[0] === 'A' ? 'B' : 'A'}${value.slice(1)}`],
    ['changed at its end', (value) => value.slice(0, -2) + (value.endsWith('AA') ? 'BB' : 'AA')],
    ["another cookie's", (_, other) => other],
    ['empty', () => ''],
    ['no base64', () => '%%%'],
    ['JSON', () => '{"state":"x"}'],
    ['long', () => 'A'.repeat(10_000)],
  ])('R11: opens none that is %s', (_, spoil) => {
    const jar = new Jar();
    const [state, other] = [jar.begin(), jar.begin()];
    const [[name = '', value = ''] = [], [, otherValue = ''] = []] = [...jar.cookies];
    const spoilt = `${name}=${spoil(value, otherValue)}; ${[...jar.cookies]
      .map((pair) => pair.join('='))
      .slice(1)
      .join('; ')}`;
    expect(jar.take(state, { cookie: spoilt })).toBe('state_unknown');
    expect(jar.take(other, { cookie: spoilt })).toEqual(good);
  });

  it('finds its own among cookies of the same name, and among fifty that nobody sealed', () => {
    const jar = new Jar();
    const state = jar.begin();
    const [[name, value] = []] = [...jar.cookies];
    const nonsense = Array.from({ length: 50 }, (_, n) => `__Host-powerfolder-${n}=${'x'.repeat(100)}`).join(';');
    const cookie = `${nonsense}; ${name}=tossed; ${name}=${value};;=;a`;
    const next = jar.begin(undefined, undefined, { cookie });
    expect(jar.take(state, { cookie })).toEqual(good);
    expect(jar.take(next)).toEqual(good);
    // Nobody's cookies, or another application's on this host, are left alone.
    expect(jar.set.filter((line) => line.includes('Max-Age=0'))).toHaveLength(2);
  });

  it('seals by the first secret, and opens by all of them', () => {
    const [older, newer] = ['an older secret of thirty-two letters', 'a newer secret of thirty-two letters'];
    const before = new Jar(new CookieStateStore({ secret: older }));
    const state = before.begin();
    const cookie = String(before.header);
    const rotated = new Jar(new CookieStateStore({ secret: [newer, older] }));
    expect(rotated.take(state, { cookie })).toEqual(good);
    const after = new Jar(new CookieStateStore({ secret: newer }));
    expect(after.take(rotated.begin(), { cookie: String(rotated.header) })).toEqual(good);
    expect(after.take(before.begin(), { cookie: String(before.header) })).toBe('state_unknown');
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /^CookieStateStore takes an options object/],
    ['no secret', {}, /^secret must be a string of at least 32/],
    ['a short secret', { secret: 'x'.repeat(31) }, /^secret must be/],
    ['a list of none', { secret: [] }, /^secret must be/],
    ['a short one in a list', { secret: [secret, 'short'] }, /^secret must be/],
    ['no text', { secret: Buffer.alloc(32) }, /^secret must be/],
    ['another option', { secret, maxAge: 1 }, /^There is no option maxAge/],
  ])('refuses %s', (_, options, message) => {
    expect(() => new CookieStateStore(options as never)).toThrow(TypeError);
    expect(() => new CookieStateStore(options as never)).toThrow(message);
  });

  it('R29: shows its secret nowhere', () => {
    const store = new CookieStateStore({ secret });
    expect(inspect(store, { depth: 9, showHidden: true, getters: true }) + JSON.stringify(store)).not.toContain(secret);
    expect(() => new CookieStateStore({ secret: 'sentinel' })).toThrow(expect.not.stringContaining('sentinel'));
  });

  it('says which frameworks have what it needs', () => {
    const signIns = new CookieStateStore({ secret }).pendingSignIns(ttl);
    const message = /^CookieStateStore needs the response, .* leave the option store out/;
    expect(() => signIns.begin({ headers: {} } as never, undefined, undefined, meta)).toThrow(message);
    expect(() => signIns.take({ headers: {} } as never, 'x', meta)).toThrow(message);
  });
});
