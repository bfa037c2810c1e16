import type { Request } from 'express';
import { SessionStateStore, type StateMetadata, UsedStates } from '../../lib/state.ts';

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
  return 'reason' in taken ? (taken.reason as { code: string }).code : { ok: taken.verifier ?? true, app: taken.state };
}

/** The pending sign-ins as the session holds them. */
function lines(req: { session: Record<string, unknown> }): string[] {
  return String(req.session['powerfolder']).split('\n');
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

  it.each(['nonsense', '{"app":', 'null', '[]', '5', '{"pkce":5}', 'used?'])(
    'knows no sign-in whose line in the session ends in %s, and does not throw (R69)',
    (kept) => {
      const req = browser();
      const state = begin(store, req, { returnTo: '/x' }, 'verifier');
      req.session['powerfolder'] = String(req.session['powerfolder']).replace(/\{.*\}$/, kept);
      expect(lines(req)).toEqual([expect.stringMatching(new RegExp(`^${state} `))]);
      expect(take(store, req, state)).toBe('state_unknown');
    },
  );

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
      const { SessionStateStore: Fresh, UsedStates: Used } = jest.requireActual('../../lib/state.ts');
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
    expect(lines(req)).toHaveLength(2);
    now.mockReturnValue(start + 10 * minutes);
    begin(store, req);
    expect(lines(req)).toHaveLength(2);
  });

  it('keeps of a sign-in its state, its time and what it is bound to, and what else there is', () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(1_000_000_000_000);
    const req = browser();
    const states = [begin(store, req), begin(store, req, { returnTo: '/x' }, 'verifier'), begin(store, req)];
    now.mockRestore();
    const [bare, full, third] = lines(req).map((line) => /^(\S+) 1000000600000 [\w-]{22} (.*)$/.exec(line)?.slice(1));
    expect(bare).toEqual([states[0], '']);
    expect(full).toEqual([states[1], '{"app":{"returnTo":"/x"},"pkce":"verifier"}']);
    expect(third).toEqual([states[2], '']);
  });

  it.each([
    ['spaces and line breaks', { text: ' a  b\nc\u2028d used' }],
    ['the word for used', 'used'],
    ['nothing', null],
  ])("gives the application's state back with %s in it", (_, app) => {
    const req = browser();
    const [first, second] = [begin(store, req, app), begin(store, req)];
    expect(lines(req)).toHaveLength(2);
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
    const [line = ''] = lines(req);
    req.session['powerfolder'] = line.replace(/^\S+/, long);
    expect(take(store, req, long)).toBe('state_unknown');
    req.session['powerfolder'] = line.replace(/^\S+/, long.slice(1));
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
    expect(lines(req)).toHaveLength(8);
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
    for (const powerfolder of ['something else', 'x', 'x 7 y', '\n\n', '', 7, { state: 'x' }, [null, 'x 7 y ']]) {
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

describe('UsedStates', () => {
  afterEach(() => jest.restoreAllMocks());
  const start = Date.now();

  it('R71: remembers a state until it expires, however many others are used meanwhile', () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    const used = new UsedStates();
    used.add('first', start + 10 * minutes);
    for (let i = 0; i < 120_000; i++) used.add(`early ${i}`, start + 10 * minutes);
    now.mockReturnValue(start + 10 * minutes - 1);
    for (let i = 0; i < 120_000; i++) used.add(`late ${i}`, start + 20 * minutes);
    expect(['first', 'early 0', 'early 119999', 'late 0', 'never'].map((state) => used.has(state))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(used.forgottenUntil).toBe(0);
  });

  it('R71: forgets what has expired, and then only', () => {
    const now = jest.spyOn(Date, 'now');
    const used = new UsedStates(10, 3);
    for (let i = 0; i < 1000; i++) {
      now.mockReturnValue(start + i);
      used.add(`state ${i}`, start + i + 5);
      for (let j = Math.max(0, i - 4); j <= i; j++) expect(used.has(`state ${j}`)).toBe(true);
    }
    expect(used.has('state 900')).toBe(false);
    expect(used.forgottenUntil).toBe(0);
  });

  it('R71: tells until when nothing may be accepted any more, when there were too many', () => {
    jest.spyOn(Date, 'now').mockReturnValue(start);
    const used = new UsedStates(10, 3);
    for (let i = 0; i < 30; i++) used.add(`state ${i}`, start + 1000 - i);
    expect(used.forgottenUntil).toBe(0);
    used.add('one too many', start + 1);
    // The oldest generation had states that expire at up to start + 1000.
    expect([used.has('state 9'), used.has('state 10'), used.forgottenUntil]).toEqual([false, true, start + 1000]);
  });
});
