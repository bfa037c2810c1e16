/** What is the same wherever pending sign-ins are kept: in the session or in cookies. */
import type { StateMetadata } from '../../lib/state-store.ts';
import { begin, meta, stateStores, take } from '../support/state-stores.ts';

const minutes = 60_000;

describe.each(stateStores)('%s', (_, { make, file, browser }) => {
  const store = make();
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

  it.each([
    ['spaces and line breaks', { text: ' a  b\nc\u2028d used' }],
    ['the word for used', { used: true }],
    ['nothing', null],
    ['what a cookie cannot hold', { text: 'ü; "=,\\ €🦊' }],
    ['a name that objects have', JSON.parse('{"__proto__":{"x":1},"constructor":2}')],
  ])("R12: gives the application's state back with %s in it", (_, app) => {
    const req = browser();
    const [first, second] = [begin(store, req, app), begin(store, req)];
    expect(req.count()).toBe(2);
    expect(take(store, req, first)).toEqual({ ok: true, app });
    expect(take(store, req, second)).toEqual({ ok: true, app: undefined });
  });

  it('gives the PKCE verifier back', () => {
    const req = browser();
    expect(take(store, req, begin(store, req, undefined, 'verifier'))).toEqual({ ok: 'verifier', app: undefined });
  });

  it('R3: knows a state in the browser that began only', () => {
    const req = browser();
    const state = begin(store, req);
    const other = browser();
    const pending = begin(store, other);
    expect(take(store, other, state)).toBe('state_unknown');
    expect(take(store, other, pending)).toEqual({ ok: true, app: undefined });
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
  });

  it('R4: accepts a state once, and says of the second time that it is the second', () => {
    const req = browser();
    const state = begin(store, req);
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
    expect(take(store, req, state)).toBe('state_used');
  });

  it('R4: accepts a state once also where each request has a copy of what is kept', () => {
    const req = browser();
    const state = begin(store, req);
    const copies = Array.from({ length: 20 }, () => req.copy());
    const results = copies.map((copy) => take(make(), copy, state));
    expect(results.filter((result) => result !== 'state_used')).toEqual([{ ok: true, app: undefined }]);
  });

  it('R71: refuses, as expired, what it could no longer tell from a used one', () => {
    jest.isolateModules(() => {
      const fresh = make(undefined, jest.requireActual(file));
      const { UsedStates: Used } = jest.requireActual('../../lib/used-states.ts');
      const forgotten = jest.spyOn(Used.prototype, 'forgottenUntil', 'get');
      const req = browser();
      const [one, other] = [begin(fresh, req), begin(fresh, req)];
      forgotten.mockReturnValue(Date.now() + 5 * minutes);
      expect(take(fresh, req, one)).toEqual({ ok: true, app: undefined });
      forgotten.mockReturnValue(Date.now() + 11 * minutes);
      expect(take(fresh, req, other)).toBe('state_expired');
    });
  });

  it.each([
    ['ten minutes by default', undefined, 10 * minutes],
    ['its own time', 5000, 5000],
  ])('R5: lets a sign-in expire after %s', (_, ttl, expected) => {
    const timed = make(ttl);
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
    expect(req.count()).toBe(2);
    now.mockReturnValue(start + 10 * minutes);
    begin(store, req);
    expect(req.count()).toBe(2);
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
  ])('R6, R7, R11: refuses %s and leaves the pending sign-ins as they are', (_, state, code) => {
    const req = browser();
    const pending = begin(store, req);
    const before = req.kept();
    expect(take(store, req, state)).toBe(code);
    expect(req.kept()).toEqual(before);
    expect(take(store, req, pending)).toEqual({ ok: true, app: undefined });
  });

  it('R7: keeps the eight youngest pending sign-ins', () => {
    const req = browser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const states = Array.from({ length: 9 }, (_, index) => {
      now.mockReturnValue(start + index);
      return begin(store, req);
    });
    expect(req.count()).toBe(8);
    expect(states.map((state) => typeof take(store, req, state))).toEqual(['string', ...Array(8).fill('object')]);
  });

  it('R7: keeps as many of the youngest as there are bytes for', () => {
    const req = browser();
    const start = Date.now();
    const now = jest.spyOn(Date, 'now');
    const states = Array.from({ length: 6 }, (_, index) => {
      now.mockReturnValue(start + index);
      return begin(store, req, { returnTo: `/${String(index).repeat(500)}` });
    });
    const results = states.map((state) => typeof take(store, req, state));
    expect(results.indexOf('object')).toBeGreaterThan(1);
    expect(results.lastIndexOf('string')).toBe(results.indexOf('object') - 1);
  });

  it('refuses in a sentence what alone is too long, and leaves the pending sign-ins as they are', () => {
    const req = browser();
    const state = begin(store, req);
    const before = req.kept();
    for (const app of [{ returnTo: `/${'x'.repeat(3000)}` }, { returnTo: `/${'€'.repeat(1000)}` }]) {
      expect(() => begin(store, req, app)).toThrow(
        expect.objectContaining({
          name: 'TypeError',
          message: expect.stringMatching(
            /^The state given to passport\.authenticate\('powerfolder', \{ state \}\) is too long: .* takes \d+ bytes .* where (2048|3072) are the most\. Give less/,
          ),
        }),
      );
    }
    expect(req.kept()).toEqual(before);
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
    const long = { returnTo: `/${'x'.repeat(1500)}` };
    expect(take(store, req, begin(store, req, long, 'v'.repeat(43)))).toEqual({ ok: 'v'.repeat(43), app: long });
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
    const before = req.kept();
    expect(take(store, req, state, { ...meta, [member]: `${meta[member]}x` })).toBe('state_mismatch');
    expect(req.kept()).toEqual(before);
    expect(take(store, req, state)).toEqual({ ok: true, app: undefined });
  });
});

it('R71: what was used in one store is used in the other', () => {
  const [[, session], [, cookies]] = stateStores as [(typeof stateStores)[0], (typeof stateStores)[0]];
  const req = session.browser();
  const state = begin(session.make(), req);
  take(session.make(), req, state);
  expect(take(cookies.make(), cookies.browser(), state)).toBe('state_used');
});
