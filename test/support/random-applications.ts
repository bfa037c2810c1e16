/** Random small applications around the strategy, as plain data: what their hooks do, and what visitors send. */
import fc from 'fast-check';

/**
 * A value, by the name of what it is made of. A shared error is the same for all attempts of an application, as that of a
 * refresh for which several wait; `refusal` is what `refuse(sentence)` gives.
 */
export type Plain =
  | ('undefined' | 'null' | 'false' | 'zero' | 'empty text' | 'NaN')
  | ('true' | 'one' | 'text' | 'route' | 'long text' | 'odd text' | 'array' | 'function')
  | ('object' | 'user' | 'timer' | 'error' | 'shared error' | 'refusal');

/** A value of a script: itself, or what a promise or thenable comes to after so many turns of the event loop. */
export interface Value {
  as: 'itself' | 'promise' | 'thenable' | 'rejection' | 'rejecting thenable' | 'unsettled';
  plain: Plain;
  step: number;
}

/** What a hook gives to its callback, and when: 0 while it is called, 1 in a microtask, then turns of the event loop. */
export interface Answer {
  step: number;
  error: Value;
  value: Value;
}

/** An answer at this step, or later, comes after the minute in which a hook has to answer. */
export const neverBefore = 9;

/** What a hook does: its answers, and how the call itself ends. */
export interface Script {
  answers: Answer[];
  end: 'returns' | 'throws';
  value: Value;
}

/** Which strategy handles a request: `twin` has the same options, `process` is the twin in another process. */
export type Handler = 'main' | 'twin' | 'other' | 'process';

/** What the application's own callback throws, if it does. */
export type Thrown = false | 'error' | 'object' | 'text';

/** A visitor begins to sign in. */
export interface Start {
  do: 'start';
  id: number;
  session: number;
  by: 'main' | 'other';
  /** What the application's store does, if it has one. */
  storeScript: Script;
  throws: Thrown;
}

/** An authorization response arrives. */
export interface Response {
  /** The `id` of the beginning that it answers; as it is drawn, how many began since. */
  start: number;
  session: number;
  noSession: boolean;
  at: Handler;
  style: 'path' | 'query';
  kind:
    | ('code' | 'access_denied' | 'server_error')
    | ('two states' | 'code and error' | 'empty code')
    | ('no state' | 'forged state' | 'empty state' | 'long state' | 'odd state')
    | ('forged access_denied' | 'access_denied without state' | 'forged server_error')
    | ('bare' | 'HEAD' | 'POST');
  /** Sent when the token request of another response to the same state has arrived at the server. */
  during: boolean;
  token:
    | 'good'
    | ('invalid_grant' | 'invalid_client' | 'status 500' | 'not JSON' | 'null' | 'no token' | 'redirect' | 'reset');
  account: 'good' | 'no ID' | 'refused' | 'null' | 'array';
  storeScript: Script;
  profileScript: Script;
  verifyScript: Script;
  throws: Thrown;
}

/** `wait`: eleven minutes pass. */
export type Step = Start | { do: 'round'; responses: Response[] } | { do: 'wait' };

export interface Application {
  /** A bare session object, the same for all requests; one that each request copies; or Express with express-session. */
  sharing: 'shared' | 'copies' | 'express with callback' | 'express';
  /** Whether bare requests have a `next`, as in Express. */
  next: boolean;
  /** Whether all requests have the strategy itself, as with `passport.authenticate(strategy)`, or each its own. */
  itself: boolean;
  verify: 'object' | 'tokens' | 'profile' | 'done' | 'params' | 'rest';
  passReqToCallback: boolean;
  store: { store: 2 | 3 | 4 | 5; verify: 3 | 4 } | null;
  profile: 'server' | 'callback' | 'rest' | 'promise';
  skip: 'unset' | 'true' | 'false' | 'text' | 'function' | 'token' | 'callback';
  skipScript: Script;
  otherBy: 'name' | 'client' | 'server' | 'callback';
  steps: Step[];
}

const plains: Plain[] = [
  ...(['undefined', 'null', 'false', 'zero', 'empty text', 'NaN', 'true', 'one', 'text', 'route'] as const),
  ...(['long text', 'odd text', 'array', 'function', 'object', 'timer', 'error', 'user'] as const),
];

/** One of the first mostly, else one of the others. */
function mostly<T>(weight: number, usual: T[], others: T[]): fc.Arbitrary<T> {
  return fc.oneof(
    { weight, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

/** What is taken for a user, a yes or a profile by mistake. */
const traps: Plain[] = [
  ...(['array', 'array', 'function', 'true', 'text', 'object', 'timer', 'undefined'] as const),
  ...new Array<'shared error'>(8).fill('shared error'),
];

function values(usual: Plain[], as: fc.Arbitrary<Value['as']>): fc.Arbitrary<Value> {
  const plain = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...usual) },
    { weight: 2, arbitrary: fc.constantFrom(...traps) },
    { weight: 1, arbitrary: fc.constantFrom(...plains) },
  );
  return fc.record({ as, plain, step: fc.nat(3) });
}

const itself = fc.constant('itself' as const);
const rejection = fc.constant('rejection' as const);
const wrapped = fc.constantFrom<Value['as']>('promise', 'promise', 'promise', 'thenable', 'rejection', 'unsettled');
const anyhow = fc.oneof(itself, wrapped, fc.constant('rejecting thenable' as const));
const nothing: Value = { as: 'itself', plain: 'undefined', step: 0 };

const errors = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Value>(nothing, { ...nothing, plain: 'null' }) },
  { weight: 1, arbitrary: values(['error'], fc.oneof(itself, itself, rejection, anyhow)) },
);

/** What a hook with a callback does; `usual` is what it mostly gives. */
function scripts(usual: Plain[]): fc.Arbitrary<Script> {
  const given = values(usual, fc.oneof({ weight: 3, arbitrary: itself }, { weight: 1, arbitrary: wrapped }));
  const answer = fc.record({ step: fc.constantFrom(0, 0, 1, 2, 3, neverBefore), error: errors, value: given });
  return fc.record({
    answers: fc.array(answer, { minLength: 0, maxLength: 3 }),
    end: mostly<Script['end']>(6, ['returns'], ['throws']),
    value: fc.oneof({ weight: 2, arbitrary: fc.constant(nothing) }, { weight: 3, arbitrary: values(plains, anyhow) }),
  });
}

/** What a hook does whose returned value decides. */
function returned(usual: Plain[], as: fc.Arbitrary<Value['as']>): fc.Arbitrary<Script> {
  const end = mostly<Script['end']>(8, ['returns'], ['throws']);
  return fc.record({ answers: fc.constant([]), end, value: values(usual, as) });
}

/** A hook that answers as it should. */
function plainly(plain: Plain): fc.Arbitrary<Script> {
  const value: Value = { as: 'itself', plain, step: 0 };
  return fc.constant({ answers: [{ step: 0, error: nothing, value }], end: 'returns', value: nothing });
}

/** What of an application is out of the ordinary; the rest does what it should, so that much gets far. */
type Part = 'verify' | 'store' | 'profile' | 'skip' | 'server' | 'visitor' | 'callback';
type Frame = Pick<Application, 'verify' | 'store' | 'profile'> & { odd: Part[] };

function verifyScripts({ verify, odd }: Frame): fc.Arbitrary<Script> {
  if (verify === 'done' || verify === 'params' || verify === 'rest') {
    return odd.includes('verify') ? scripts(['user', 'user', 'user', 'false']) : plainly('user');
  }
  const wanted = verify === 'object' ? anyhow : fc.oneof(wrapped, anyhow);
  if (odd.includes('verify')) return returned(['user', 'user', 'user', 'false', ...refusals(verify)], wanted);
  return fc.constant({ answers: [], end: 'returns', value: { as: 'promise', plain: 'user', step: 1 } });
}

const refusals = (verify: Application['verify']): Plain[] => (verify === 'object' ? ['refusal'] : []);

/** `usual`, or where a part is odd one of the others in one of so many cases. */
function oddly<T>({ odd }: Frame, part: Part, usual: T, weight: number, others: T[]): fc.Arbitrary<T> {
  return odd.includes(part) ? mostly(weight, [usual], others) : fc.constant(usual);
}

function responses(frame: Frame): fc.Arbitrary<Response> {
  const storeScript = frame.odd.includes('store') ? scripts(['true', 'text', 'false']) : plainly('true');
  return fc.record({
    start: mostly(3, [0], [1, 2, 5, 8, 8, 9]),
    session: oddly(frame, 'visitor', 0, 5, [1]),
    noSession: oddly(frame, 'visitor', false, 20, [true]),
    at: mostly<Handler>(4, ['main'], ['twin', 'other', 'process']),
    style: fc.constantFrom('path', 'query'),
    kind: oddly<Response['kind']>(frame, 'visitor', 'code', 1, [
      ...(['access_denied', 'access_denied', 'server_error', 'two states', 'code and error', 'empty code'] as const),
      ...(['no state', 'forged state', 'empty state', 'long state', 'odd state', 'bare', 'HEAD', 'POST'] as const),
      ...(['forged access_denied', 'access_denied without state', 'forged server_error'] as const),
    ]),
    during: mostly(3, [false], [true]),
    token: oddly<Response['token']>(frame, 'server', 'good', 2, [
      ...(['invalid_grant', 'invalid_client', 'status 500', 'not JSON', 'null', 'no token', 'redirect'] as const),
      'reset',
    ]),
    account: oddly<Response['account']>(frame, 'server', 'good', 2, ['no ID', 'refused', 'null', 'array']),
    storeScript,
    profileScript: profileScripts(frame),
    verifyScript: verifyScripts(frame),
    throws: oddly<Thrown>(frame, 'callback', false, 2, ['error', 'error', 'object', 'text']),
  });
}

function profileScripts({ profile, odd }: Frame): fc.Arbitrary<Script> {
  if (profile !== 'promise')
    return profile !== 'server' && odd.includes('profile') ? scripts(['user']) : plainly('user');
  if (odd.includes('profile')) return returned(['user'], fc.oneof(wrapped, anyhow));
  return fc.constant({ answers: [], end: 'returns', value: { as: 'promise', plain: 'user', step: 0 } });
}

function starts(frame: Frame): fc.Arbitrary<Start> {
  return fc.record({
    do: fc.constant('start' as const),
    id: fc.constant(0),
    session: oddly(frame, 'visitor', 0, 4, [1]),
    by: mostly<Start['by']>(9, ['main'], ['other']),
    storeScript: frame.store ? scripts(['text', 'text', 'long text', 'odd text']) : plainly('text'),
    throws: oddly<Thrown>(frame, 'callback', false, 4, ['error', 'error', 'object', 'text']),
  });
}

const parts: Part[] = ['verify', 'store', 'profile', 'skip', 'server', 'visitor', 'callback'];

/** Applications; four of five without a framework, which is faster. */
export const applications: fc.Arbitrary<Application> = fc
  .record({
    odd: fc.oneof(fc.constant<Part[]>(['verify']), fc.subarray(parts, { minLength: 1, maxLength: 3 })),
    sharing: mostly<Application['sharing']>(4, ['shared', 'copies'], ['express with callback', 'express']),
    next: fc.boolean(),
    itself: fc.boolean(),
    verify: fc.constantFrom<Application['verify']>('object', 'object', 'tokens', 'profile', 'done', 'params', 'rest'),
    passReqToCallback: fc.boolean(),
    arities: fc.record({ store: fc.constantFrom(2 as const, 3, 4, 5), verify: fc.constantFrom(3 as const, 4) }),
    own: fc.record({
      profile: fc.constantFrom<Application['profile']>('callback', 'rest', 'promise'),
      skip: fc.constantFrom<Application['skip']>('true', 'text', 'function', 'token', 'callback', 'callback'),
    }),
    otherBy: fc.constantFrom<Application['otherBy']>('name', 'client', 'server', 'callback'),
  })
  .chain(({ arities, own, odd, ...app }) => {
    const store = odd.includes('store') ? arities : null;
    const profile = odd.includes('profile') ? own.profile : 'server';
    const skip = odd.includes('skip') ? own.skip : 'unset';
    return fc.record<Application>({
      sharing: fc.constant(app.sharing),
      next: fc.constant(app.next),
      itself: fc.constant(app.itself),
      verify: fc.constant(app.verify),
      passReqToCallback: fc.constant(app.passReqToCallback),
      otherBy: fc.constant(app.otherBy),
      store: fc.constant(store),
      profile: fc.constant(profile),
      skip: fc.constant(skip),
      skipScript: skip === 'callback' ? scripts(['true', 'false']) : returned(['true', 'false'], anyhow),
      steps: steps({ ...app, odd, store, profile }),
    });
  })
  .map(consistent);

function steps(frame: Frame): fc.Arbitrary<Step[]> {
  const some = (least: number, most: number) => fc.array(starts(frame), { minLength: least, maxLength: most });
  const begun = fc.oneof(
    { weight: 30, arbitrary: some(1, 1) },
    { weight: 8, arbitrary: some(0, 2) },
    { weight: 2, arbitrary: some(8, 11) },
  );
  const waited = mostly<Step[]>(12, [[]], [[{ do: 'wait' }]]);
  const several = (least: number, most: number) => fc.array(responses(frame), { minLength: least, maxLength: most });
  const round = fc.record({
    do: fc.constant('round' as const),
    responses: fc.oneof(
      { weight: 6, arbitrary: several(1, 1) },
      { weight: 2, arbitrary: several(2, 3) },
      { weight: 1, arbitrary: several(4, 8) },
    ),
  });
  const visit = fc.tuple(begun, waited, round).map(([first, then, last]): Step[] => [...first, ...then, last]);
  return fc
    .tuple(some(1, 1), fc.array(visit, { minLength: 1, maxLength: 4 }))
    .map(([first, visits]) => [...first, ...visits.flat()]);
}

/** The store of an application decides by itself about states that are forged. */
const knownToStores: Partial<Record<Response['kind'], Response['kind']>> = {
  'forged state': 'code',
  'odd state': 'no state',
  'forged access_denied': 'access_denied',
  'forged server_error': 'server_error',
};

/** Lets responses refer to what began before them, and takes out what cannot be. */
function consistent(app: Application): Application {
  const begun: Start[] = [];
  const made = app.steps.map((step): Step => {
    if (step.do === 'start') {
      const start = { ...step, id: begun.length };
      begun.push(start);
      return start;
    }
    if (step.do === 'wait') return step;
    const group = step.responses.length > 1;
    const asked = step.responses.map((response): Response => {
      const start = begun.at(-1 - (response.start % begun.length));
      // A session object that two processes share is only real one after the other.
      const apart = app.sharing === 'shared' && (!group || response.during);
      return {
        ...response,
        start: start?.id ?? -1,
        session: ((start?.session ?? 0) + response.session) % 2,
        // Express with a session always has one.
        noSession: response.noSession && !app.sharing.startsWith('express') && app.store === null,
        at: app.store || (response.at === 'process' && !apart) ? 'main' : response.at,
        during: response.during && app.store === null,
        kind: app.store ? (knownToStores[response.kind] ?? response.kind) : response.kind,
      };
    });
    return { do: 'round', responses: asked };
  });
  return {
    ...app,
    steps: app.store ? made.map((step) => (step.do === 'start' ? { ...step, by: 'main' } : step)) : made,
  };
}
