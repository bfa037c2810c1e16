import type { Request } from 'express';
import { SessionStateStore } from '../../lib/state.ts';
import type { StateMetadata } from '../../lib/state-store.ts';

const meta: StateMetadata = {
  strategy: 'powerfolder',
  authorizationURL: 'https://pf.example/oauth/allow',
  tokenURL: 'https://pf.example/oauth/token',
  clientID: 'client',
  callbackURL: 'https://app.example/oauth',
};
const minutes = 60_000;

/** A request with a session, or without one. */
function browser(session: Record<string, unknown> | undefined = {}): Request & { session: Record<string, unknown> } {
  return { session, headers: { cookie: 'connect.sid=s%3Asome' } } as never;
}

function begin(store: SessionStateStore, req: Request, app?: unknown, verifier?: string, bound = meta): string {
  return store.begin(req, verifier, app, bound);
}

function take(store: SessionStateStore, req: Request, state: unknown, bound = meta) {
  const taken = store.take(req, state, bound);
  return 'reason' in taken ? taken.reason : { ok: taken.verifier ?? true, app: taken.state };
}

/** The pending sign-ins as the session holds them. */
function entries(req: { session: Record<string, unknown> }): Record<string, unknown>[] {
  return JSON.parse(String(req.session['powerfolder']));
}

describe('SessionStateStore', () => {
  const store = new SessionStateStore();
  afterEach(() => jest.restoreAllMocks());

  it('R2: makes states of 128 random bits in letters and digits', () => {
    const req = browser();
    const states = new Set(Array.from({ length: 500 }, () => begin(store, req)));
    expect(states.size).toBe(500);
    for (const state of states) expect(state).toMatch(/^[A-Za-z0-9]{32,}$/);
    // Every character stands for at least four bits: all sixteen values occur at every place.
    for (let place = 0; place < 32; place++) expect(new Set([...states].map((state) => state[place])).size).toBe(16);
  });

  it("R12: gives the application's state back, which is no part of the state", () => {
    const req = browser();
    const state = begin(store, req, { returnTo: '/x' });
    expect(state).not.toContain('x');
    expect(take(store, req, state)).toEqual({ ok: true, app: { returnTo: '/x' } });
  });

  it('gives the PKCE verifier back', () => {
    const req = browser();
    expect(take(store, req, begin(store, req, undefined, 'verifier'))).toEqual({ ok: 'verifier', app: undefined });
  });

  it.each<[string, (entry: Record<string, unknown>) => unknown]>([
    ['no object', ({ state }) => [state]],
    ['null', () => null],
    ['without a time', ({ until, ...entry }) => entry],
    ['with a time that is a text', (entry) => ({ ...entry, until: String(entry['until']) })],
    ['bound to nothing', ({ for: _, ...entry }) => entry],
    ['bound to an object', (entry) => ({ ...entry, for: {} })],
    ['with a PKCE verifier that is a number', (entry) => ({ ...entry, pkce: 5 })],
    ['with a PKCE verifier that is null', (entry) => ({ ...entry, pkce: null })],
    ['whose state is a list', ({ state, ...entry }) => ({ ...entry, state: [state] })],
  ])('knows no sign-in that is %s in the session, does not throw, and knows the others (R69)', (_, garbled) => {
    const req = browser();
    const state = begin(store, req, { returnTo: '/x' }, 'verifier');
    const other = begin(store, req);
    const [first = {}, second] = entries(req);
    req.session['powerfolder'] = JSON.stringify([garbled(first), second]);
    expect(take(store, req, state)).toBe('state_unknown');
    expect(take(store, req, other)).toEqual({ ok: true, app: undefined });
  });

  it('knows no sign-in of a text that was cut off, and does not throw (R69)', () => {
    const req = browser();
    const state = begin(store, req);
    const whole = String(req.session['powerfolder']);
    for (let length = 0; length < whole.length; length++) {
      req.session['powerfolder'] = whole.slice(0, length);
      expect(take(store, req, state)).toBe('state_unknown');
    }
  });

  it.each<[string, string | undefined, object, string]>([
    ['without any cookie', undefined, { sessionID: 'new' }, 'session_missing'],
    ['without any cookie, to a store of another kind', undefined, {}, 'session_missing'],
    ['with cookies of others only', 'lang=de; theme=s; x=spam', { sessionID: 'new' }, 'session_missing'],
    [
      'with a session that is not known any more',
      'connect.sid=s%3Aold.signature',
      { sessionID: 'new' },
      'state_unknown',
    ],
    ['with a session cookie that is not encoded', 'a=b; sid=s:old.signature', { sessionID: 'new' }, 'state_unknown'],
    ['with cookies, where nobody can tell', 'session=abc', {}, 'state_unknown'],
  ])('R3: says of a browser %s: %3$s', (_, cookie, more, code) => {
    const req = { session: {}, headers: { cookie }, ...more } as never;
    expect(take(store, req, 'x')).toBe(code);
  });

  it.each([
    [true, 'session_missing'],
    [false, 'state_unknown'],
  ])('R3: believes a session that says of itself that it is new: %s', (isNew, code) => {
    const session = Object.create({ isNew });
    expect(take(store, { session, headers: { cookie: 'other=1' } } as never, 'x')).toBe(code);
  });

  it('R3: knows a state in its own session only', () => {
    const state = begin(store, browser());
    expect(take(store, browser(), state)).toBe('state_unknown');
    expect(take(store, { session: undefined } as never, state)).toBe('session_missing');
    expect(take(store, { session: null } as never, state)).toBe('session_missing');
  });

  it('R4: accepts a state once, and says of the second time that it is the second', () => {
    const req = browser();
    const state = begin(store, req);
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
    expect(take(store, req, state)).toBe('state_used');
  });

  it('R4: accepts a state once also where each request has a copy of the session', () => {
    const req = browser();
    const state = begin(store, req);
    const copies = Array.from({ length: 20 }, () => browser(structuredClone(req.session)));
    const results = copies.map((copy) => take(new SessionStateStore(), copy, state));
    expect(results.filter((result) => result !== 'state_used')).toEqual([{ ok: true, app: undefined }]);
  });

  it('R71: refuses, as expired, what it could no longer tell from a used one', () => {
    jest.isolateModules(() => {
      const { SessionStateStore: Fresh } = jest.requireActual('../../lib/state.ts');
      const { UsedStates: Used } = jest.requireActual('../../lib/used-states.ts');
      const forgotten = jest.spyOn(Used.prototype, 'forgottenUntil', 'get');
      const fresh: SessionStateStore = new Fresh();
      const req = browser();
      const [one, other] = [begin(fresh, req), begin(fresh, req)];
      forgotten.mockReturnValue(Date.now() + 5 * minutes);
      expect(take(fresh, req, one)).toEqual({ ok: true, app: undefined });
      forgotten.mockReturnValue(Date.now() + 11 * minutes);
      expect(take(fresh, req, other)).toBe('state_expired');
    });
  });

  it('R4: tells a used state also in another process, by the session, which keeps nothing else of it', () => {
    const req = browser();
    const state = begin(store, req, { returnTo: '/secret' }, 'verifier');
    take(store, req, state);
    expect(JSON.stringify(req.session)).not.toMatch(/secret|verifier/);
    jest.isolateModules(() => {
      const { SessionStateStore: Elsewhere } = jest.requireActual('../../lib/state.ts');
      expect(take(new Elsewhere(), req, state)).toBe('state_used');
    });
  });

  it.each([
    ['ten minutes by default', undefined, 10 * minutes],
    ['its own time', 5000, 5000],
  ])('R5: lets a sign-in expire after %s', (_, ttl, expected) => {
    const timed = new SessionStateStore({ ttl });
    const start = Date.now();
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    const req = browser();
    const [early, late] = [begin(timed, req), begin(timed, req)];
    now.mockReturnValue(start + expected - 1);
    expect(take(timed, req, early)).toEqual({ ok: true, app: undefined });
    now.mockReturnValue(start + expected);
    expect(take(timed, req, late)).toBe('state_expired');
  });

  it('R5: forgets a sign-in that has expired, when the next one begins', () => {
    const req = browser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    begin(store, req);
    now.mockReturnValue(start + 10 * minutes - 1);
    begin(store, req);
    expect(entries(req)).toHaveLength(2);
    now.mockReturnValue(start + 10 * minutes);
    begin(store, req);
    expect(entries(req)).toHaveLength(2);
  });

  it('keeps of a sign-in its state, its time and what it is bound to, and what else there is', () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(1_000_000_000_000);
    const req = browser();
    const states = [begin(store, req), begin(store, req, { returnTo: '/x' }, 'verifier'), begin(store, req)];
    now.mockRestore();
    const common = { until: 1_000_000_600_000, for: expect.stringMatching(/^[\w-]{22}$/) };
    expect(entries(req)).toEqual([
      { state: states[0], ...common },
      { state: states[1], ...common, app: { returnTo: '/x' }, pkce: 'verifier' },
      { state: states[2], ...common },
    ]);
  });

  it.each([
    ['spaces and line breaks', { text: ' a  b\nc\u2028d used' }],
    ['the word for used', { used: true }],
    ['nothing', null],
  ])("gives the application's state back with %s in it", (_, app) => {
    const req = browser();
    const [first, second] = [begin(store, req, app), begin(store, req)];
    expect(entries(req)).toHaveLength(2);
    expect(take(store, req, first)).toEqual({ ok: true, app });
    expect(take(store, req, second)).toEqual({ ok: true, app: undefined });
  });

  it.each([
    ['undefined', undefined, 'state_missing'],
    ['an empty string', '', 'state_missing'],
    ['a list', ['x'], 'state_missing'],
    ['an object', { toString: () => 'x' }, 'state_missing'],
    ['a number', 7, 'state_missing'],
    ['more than 512 characters', 'x'.repeat(513), 'state_unknown'],
    ['one of the same length', 'x'.repeat(32), 'state_unknown'],
    ['umlauts of the same length', 'ü'.repeat(32), 'state_unknown'],
    ['__proto__', '__proto__', 'state_unknown'],
  ])('R6, R7: refuses %s and leaves the pending sign-ins as they are', (_, state, code) => {
    const req = browser();
    const pending = begin(store, req);
    const before = structuredClone(req.session);
    expect(take(store, req, state)).toBe(code);
    expect(req.session).toEqual(before);
    expect(take(store, req, pending)).toEqual({ ok: true, app: undefined });
  });

  it('R6: compares nothing that is over 512 characters, even if the session holds it', () => {
    const long = 'x'.repeat(513);
    const req = browser();
    begin(store, req);
    const [entry] = entries(req);
    req.session['powerfolder'] = JSON.stringify([{ ...entry, state: long }]);
    expect(take(store, req, long)).toBe('state_unknown');
    req.session['powerfolder'] = JSON.stringify([{ ...entry, state: long.slice(1) }]);
    expect(take(store, req, long.slice(1))).toEqual({ ok: true, app: undefined });
  });

  it('R7: keeps the eight youngest pending sign-ins', () => {
    const req = browser();
    const states = Array.from({ length: 9 }, () => begin(store, req));
    expect(states.map((state) => take(store, req, state) === 'state_unknown')).toEqual([true, ...Array(8).fill(false)]);
  });

  it('R7: lets used and expired ones go before pending ones', () => {
    const req = browser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    begin(store, req);
    now.mockReturnValue(start + 10 * minutes);
    const states = Array.from({ length: 8 }, () => begin(store, req));
    expect(take(store, req, states[3])).toEqual({ ok: true, app: undefined });
    states.push(begin(store, req));
    expect(entries(req)).toHaveLength(8);
    expect(take(store, req, states[3])).toBe('state_unknown');
    for (const index of [0, 1, 2, 4, 5, 6, 7, 8])
      expect(take(store, req, states[index])).toEqual({ ok: true, app: undefined });
  });

  it('R8: completes two tabs in either order', () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ] as const) {
      const req = browser();
      const tabs = [begin(store, req, 'first'), begin(store, req, 'second')];
      expect(order.map((tab) => take(store, req, tabs[tab]))).toEqual(
        order.map((tab) => ({ ok: true, app: ['first', 'second'][tab] })),
      );
    }
  });

  it.each(Object.keys(meta) as (keyof StateMetadata)[])('R9: binds a sign-in to its %s', (member) => {
    const req = browser();
    const state = begin(store, req);
    expect(take(store, req, state, { ...meta, [member]: `${meta[member]}x` })).toBe('state_mismatch');
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
  });

  it('keeps lists of different keys apart', () => {
    const req = browser();
    const state = begin(new SessionStateStore({ key: 'one' }), req);
    expect(take(new SessionStateStore({ key: 'other' }), req, state)).toBe('state_unknown');
  });

  it('says that a session is needed, and which', () => {
    expect(() => begin(store, {} as Request)).toThrow(
      expect.objectContaining({ code: 'session_required', message: expect.stringContaining('express-session') }),
    );
  });

  it('survives a session in which the key holds something else', () => {
    for (const powerfolder of ['something else', '"x"', '{"state":"x"}', 'null', '', 7, { state: 'x' }, ['x']]) {
      const req = browser({ powerfolder });
      expect(take(store, req, 'x')).toBe('state_unknown');
      expect(take(store, req, begin(store, req))).toEqual({ ok: true, app: undefined });
    }
  });

  it('takes at most 250 bytes of the session for a pending sign-in with a return path', () => {
    const req = browser();
    begin(store, req, { returnTo: '/folders/some-path' });
    expect(JSON.stringify(req.session).length).toBeLessThanOrEqual(250);
  });
});
