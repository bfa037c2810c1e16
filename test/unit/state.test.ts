import type { Request } from 'express';
import { SessionStateStore } from '../../lib/state.ts';
import { begin as beginIn, type StoreBrowser, take as takeIn } from '../support/state-stores.ts';

const minutes = 60_000;

type WithSession = Request & { session: Record<string, unknown> };

/** A request with a session, or without one. */
function browser(session: Record<string, unknown> | undefined = {}): WithSession {
  return { session, headers: { cookie: 'connect.sid=s%3Asome' } } as never;
}

const always = (request: Request): StoreBrowser => ({ request: () => request, keep() {} }) as never;

function begin(store: SessionStateStore, req: Request, app?: unknown, verifier?: string): string {
  return beginIn(store, always(req), app, verifier);
}

function take(store: SessionStateStore, req: Request, state: unknown) {
  return takeIn(store, always(req), state);
}

/** The pending sign-ins as the session holds them. */
function entries(req: { session: Record<string, unknown> }): Record<string, unknown>[] {
  return JSON.parse(String(req.session['powerfolder']));
}

/** What both stores do is in state-stores.test.ts. */
describe('SessionStateStore', () => {
  const store = new SessionStateStore();
  afterEach(() => jest.restoreAllMocks());

  it('R3: says of a request without a session that there is none', () => {
    const state = begin(store, browser());
    expect(take(store, { session: undefined } as never, state)).toBe('session_missing');
    expect(take(store, { session: null } as never, state)).toBe('session_missing');
    expect(take(store, browser(), state)).toBe('state_unknown');
  });

  it.each([
    [false, 2048],
    [true, 2049],
  ])('keeps 2048 bytes of text: one more is too much: %s', (isTooMuch, size) => {
    const req = browser();
    begin(store, req, '');
    const empty = String(req.session['powerfolder']).length;
    const other = browser();
    const beginLong = () => begin(store, other, `€${'x'.repeat(size - empty - 3)}`);
    if (isTooMuch) {
      expect(beginLong).toThrow(/takes 2049 bytes of the session, where 2048 are the most/);
      expect(other.session).toEqual({});
    } else {
      beginLong();
      expect(Buffer.byteLength(String(other.session['powerfolder']))).toBe(2048);
    }
  });

  it('keeps 2 KiB of pending sign-ins, and lets used ones go first', () => {
    const req = browser();
    const states = Array.from({ length: 3 }, (_, index) =>
      begin(store, req, { returnTo: `/${index}${'x'.repeat(500)}` }),
    );
    expect(take(store, req, states[1])).toMatchObject({ ok: true });
    states.push(begin(store, req, { returnTo: `/${'x'.repeat(500)}` }));
    expect(entries(req)).toHaveLength(4);
    states.push(begin(store, req));
    expect(entries(req).map(({ state }) => state)).toEqual([states[0], states[2], states[3], states[4]]);
    states.push(begin(store, req, { returnTo: `/${'x'.repeat(300)}` }));
    expect(entries(req).map(({ state }) => state)).toEqual([states[2], states[3], states[4], states[5]]);
    expect(Buffer.byteLength(String(req.session['powerfolder']))).toBeLessThanOrEqual(2048);
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
