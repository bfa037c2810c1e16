/** R50: who decides. Applications' hooks in all their forms, against a token endpoint that always grants. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { rounds } from '../support/rounds.ts';
import { callStrategy, type End } from '../support/without-framework.ts';

type Hook = (...args: never[]) => unknown;
type Done = (error?: unknown, ...values: unknown[]) => void;

let server: Server;
let serverURL: string;
let tokenRequests = 0;
let answeredTokens: object = { access_token: '1abc' };
let lastBody = '';
beforeAll(async () => {
  server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk) => {
      body += chunk;
    });
    req.on('end', () => {
      if (req.url === '/oauth/token') lastBody = body;
    });
    res.setHeader('content-type', 'application/json');
    if (req.url === '/oauth/token') tokenRequests++;
    res.end(req.url === '/oauth/token' ? JSON.stringify(answeredTokens) : '{"ID":"id of ada","username":"ada"}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  serverURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  tokenRequests = 0;
});

function strategyOf(
  verify: Hook,
  options: object = {},
  Strategy: typeof PowerFolderStrategy = PowerFolderStrategy,
): PowerFolderStrategy {
  const required = { serverURL, clientID: 'client', clientSecret: 'secret', callbackURL: 'https://app.example/oauth' };
  const all = { ...required, skipUserProfile: true, ...options } as PowerFolderStrategyOptions;
  return new Strategy(all, verify as never);
}

/** How often the event loop turns before it is believed that an attempt has ended once only. */
const turns = 5;
const turn = () => new Promise((resolve) => setImmediate(resolve));

function inText({ action, given: [value] }: End): string {
  switch (action) {
    case 'redirect':
      return `redirect ${new URL(String(value)).searchParams.get('state')}`;
    case 'success':
      return `user ${(value as { id?: unknown }).id ?? JSON.stringify(value)}`;
    case 'fail':
      return `failure ${(value as { code?: string } | undefined)?.code ?? JSON.stringify(value)}`;
    case 'error':
      return `error ${(value as Error).message}`;
    default:
      return action;
  }
}

/**
 * One request to the strategy, as Passport makes it; gives every end of it, as a text.
 *
 * @param meanwhile Run when the request is on its way, for attempts that end only when time passes.
 */
async function attempt(
  strategy: PowerFolderStrategy,
  originalUrl: string,
  session: object,
  meanwhile?: () => Promise<void>,
): Promise<string> {
  const ends: string[] = [];
  const request = { originalUrl, session, headers: { cookie: 'connect.sid=s%3Ax' } };
  const first = callStrategy(strategy, request, undefined, (end) => ends.push(inText(end)));
  void meanwhile?.();
  await first;
  for (let i = 0; i < turns; i++) await turn();
  return ends.join(', then ');
}

async function signIn(strategy: PowerFolderStrategy, meanwhile?: () => Promise<void>): Promise<string> {
  const session = {};
  const [, state] = (await attempt(strategy, '/auth', session)).split(' ');
  return await attempt(strategy, `/oauth/code=c&state=${state}`, session, meanwhile);
}

const thrown = new Error('thrown');
const thenable = (value: unknown) => ({
  // biome-ignore lint/suspicious/noThenProperty: what databases' queries are.
  then: (resolve: (value: unknown) => void) => resolve(value),
});

/** What a function returns by accident, or on purpose. */
const returned: Record<string, () => unknown> = {
  nothing: () => undefined,
  'a timer': () => setTimeout(() => {}, 0),
  true: () => true,
  false: () => false,
  null: () => null,
  '{}': () => ({}),
  '{ id }': () => ({ id: 'returned' }),
  // As of `catch (error) { return error }`.
  'an error': () => new Error('returned'),
  'a generator': () =>
    (function* () {
      yield false;
    })(),
  'an observable': () => ({ subscribe: () => {}, pipe: () => {} }),
  'a response': () => new Response('{}'),
  'a boxed false': () => Object(false),
  'a date': () => new Date(),
  'a map': () => new Map(),
  'a promise of an error': async () => new Error('returned'),
  1: () => 1,
  0: () => 0,
  'a text': () => 'text',
  'an array': () => [{ id: 'returned' }],
  'an empty array': () => [],
  'a function': () => () => ({ id: 'returned' }),
  'a thenable': () => thenable({ id: 'returned' }),
  'a thenable of nobody': () => thenable(null),
  'a promise of an object': async () => ({ id: 'returned' }),
  "a promise of a database's answer": async () => ({ acknowledged: true }),
  'a promise of true': async () => true,
  'a promise of false': async () => false,
  'a promise of an empty array': async () => [],
  'a promise of nothing': async () => {},
  'a rejected promise': async () => {
    throw thrown;
  },
  'a throw': () => {
    throw thrown;
  },
};

/** What a function says through its callback, and how the attempt is to end then. */
const said: Record<string, { say: (done: Done) => void; ends: string }> = {
  false: { say: (done) => done(null, false), ends: 'failure verify_refused' },
  nothing: { say: (done) => done(), ends: 'failure verify_refused' },
  'an error': { say: (done) => done(new Error('said')), ends: 'error said' },
  'a user': { say: (done) => done(null, { id: 'said' }), ends: 'user said' },
  'a promise of a user': { say: (done) => done(null, Promise.resolve({ id: 'said' })), ends: 'user said' },
  'a promise of nobody': { say: (done) => done(null, Promise.resolve(null)), ends: 'failure verify_refused' },
  'a query for nobody': { say: (done) => done(null, thenable(undefined)), ends: 'failure verify_refused' },
  'a rejected promise': { say: (done) => done(null, Promise.reject(new Error('said'))), ends: 'error said' },
  'a promise as the error': {
    say: (done) => done(Promise.reject(new Error('said'))),
    ends: 'error verify gave its callback a promise in the place of the error',
  },
  'an error beside a rejected promise': {
    say: (done) => done(new Error('said'), Promise.reject(new Error('beside'))),
    ends: 'error said',
  },
  'false, then a rejected promise': {
    say: (done) => {
      done(null, false);
      done(null, Promise.reject(new Error('late')));
    },
    ends: 'failure verify_refused',
  },
  'an error as the user': { say: (done) => done(null, new Error('said')), ends: 'error said' },
  'a generator': {
    say: (done) => done(null, (async function* () {})()),
    ends: 'error verify gave an object of the type AsyncGenerator as the user; it gives the user as one object, or false for nobody',
  },
  'an empty list': {
    say: (done) => done(null, []),
    ends: 'error verify gave an object of the type Array as the user; it gives the user as one object, or false for nobody',
  },
  'a function': {
    say: (done) => done(null, () => true),
    ends: 'error verify gave a function as the user; it gives the user as one object, or false for nobody',
  },
  'false, then a user': {
    say: (done) => {
      done(null, false);
      done(null, { id: 'said' });
    },
    ends: 'failure verify_refused',
  },
  'a user, then an error': {
    say: (done) => {
      done(null, { id: 'said' });
      done(new Error('said'));
    },
    ends: 'user said',
  },
  'an error, then a user': {
    say: (done) => {
      done(new Error('said'));
      done(null, { id: 'said' });
    },
    ends: 'error said',
  },
};

/** Gives a function the number of parameters that it declares. */
function declaring(length: number, hook: (...args: unknown[]) => unknown): Hook {
  return Object.defineProperty((...args: unknown[]) => hook(...args), 'length', { value: length }) as Hook;
}

describe.each<[string, number, object, number]>([
  ['(accessToken, refreshToken, profile, done)', 4, {}, 3],
  ['(accessToken, refreshToken, params, profile, done)', 5, {}, 4],
  ['(req, accessToken, refreshToken, profile, done)', 5, { passReqToCallback: true }, 4],
  ['(req, accessToken, refreshToken, params, profile, done)', 6, { passReqToCallback: true }, 5],
  ["(...args), as NestJS's mixin is", 0, {}, 3],
  ['(...args), with the request', 0, { passReqToCallback: true }, 4],
])('R50: verify of the form %s', (_, length, options, place) => {
  for (const when of ['before it returns', 'later', 'before an async function returns']) {
    it(`is answered for by done alone, called ${when}`, async () => {
      const actual: Record<string, string> = {};
      const expected: Record<string, string> = {};
      for (const [row, [what, give]] of Object.entries(returned).entries()) {
        for (const [column, [word, { say, ends }]] of Object.entries(said).entries()) {
          // One of three in a row and in a column, or all.
          if ((row + column) % rounds(3, 1) > 0) continue;
          const hook = (...args: unknown[]) => {
            const done = args[place] as Done;
            if (when === 'later') setImmediate(say, done);
            else say(done);
            return give();
          };
          const asynchronous = when === 'before an async function returns';
          const verify = asynchronous ? async (...args: unknown[]) => hook(...args) : hook;
          const line = `returns ${what}, says ${word}`;
          actual[line] = await signIn(strategyOf(declaring(length, verify), options));
          const failed = when === 'later' && (what === 'a throw' || what === 'a rejected promise');
          expected[line] = failed ? 'error thrown' : ends;
        }
      }
      expect(actual).toEqual(expected);
    });
  }

  it('is an error after a minute when done is never called, whatever it returns', async () => {
    for (const [what, give] of Object.entries(returned)) {
      jest.useFakeTimers({ now: Date.now(), doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
      let called = () => {};
      const waits = new Promise<void>((resolve) => {
        called = resolve;
      });
      const verify = declaring(length, () => {
        called();
        return give();
      });
      const ends = await signIn(strategyOf(verify, options), async () => {
        await waits;
        for (let i = 0; i < turns; i++) await turn();
        jest.advanceTimersByTime(60_000);
      });
      jest.useRealTimers();
      const failed = what === 'a throw' || what === 'a rejected promise';
      expect([what, ends]).toEqual([
        what,
        failed ? 'error thrown' : expect.stringMatching(/^error verify has a callback .* did not call it within 60 s/),
      ]);
    }
  });
});

const aUser = (kind: string) =>
  `error verify gave ${kind} as the user; it gives the user as one object, or false for nobody`;
/** How an attempt ends by what is returned, where that decides. */
const endsByValue: Record<string, string> = {
  nothing: 'failure verify_refused',
  'a timer': aUser('an object of the type Timeout'),
  'an error': 'error returned',
  'a generator': aUser('an object of the type Generator'),
  'an observable': aUser('an object of the type Object'),
  'a response': aUser('an object of the type Response'),
  'a boxed false': aUser('an object of the type Boolean'),
  'a date': aUser('an object of the type Date'),
  'a map': aUser('an object of the type Map'),
  'a promise of an error': 'error returned',
  true: aUser('a boolean'),
  false: 'failure verify_refused',
  null: 'failure verify_refused',
  '{}': 'user {}',
  '{ id }': 'user returned',
  1: aUser('a number'),
  0: aUser('a number'),
  'a text': aUser('a string'),
  'an array': aUser('an object of the type Array'),
  'an empty array': aUser('an object of the type Array'),
  'a function': aUser('a function'),
  'a thenable': 'user returned',
  'a thenable of nobody': 'failure verify_refused',
  'a promise of an object': 'user returned',
  "a promise of a database's answer": 'user {"acknowledged":true}',
  'a promise of true': aUser('a boolean'),
  'a promise of false': 'failure verify_refused',
  'a promise of an empty array': aUser('an object of the type Array'),
  'a promise of nothing': 'failure verify_refused',
  'a rejected promise': 'error thrown',
  'a throw': 'error thrown',
};

describe('verify with params', () => {
  it.each([
    [{ expires_in: 60 }, expect.any(Number)],
    [{}, undefined],
    [{ expires_in: 60, expiresAt: 'of the server' }, expect.any(Number)],
    [{ expiresAt: 1 }, undefined],
  ])('gets expiresAt beside the members of %j, whatever the server calls so', async (members, expiresAt) => {
    let given: object | undefined;
    const verify = (_at: string, _rt: string, params: object, _profile: object, done: Done) => {
      given = params;
      done(null, { id: 'x' });
    };
    answeredTokens = { access_token: '1abc', ...members };
    try {
      expect(await signIn(strategyOf(verify))).toBe('user x');
    } finally {
      answeredTokens = { access_token: '1abc' };
    }
    expect(given).toEqual({ access_token: '1abc', ...members, expiresAt });
  });
});

describe('R50: verify of the form with one parameter', () => {
  it('is answered for by what it returns, awaited', async () => {
    const actual: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) {
      actual[what] = await signIn(strategyOf((_signIn: never) => give()));
    }
    expect(actual).toEqual(endsByValue);
  });

  it('refuses with a sentence of its own, and with the usual one where there is none', async () => {
    const infoOf = async (verify: Hook) => {
      const strategy = strategyOf(verify);
      const session = {};
      const [, state] = (await attempt(strategy, '/auth', session)).split(' ');
      const { given } = await callStrategy(strategy, { originalUrl: `/oauth/code=c&state=${state}`, session });
      return given[0];
    };
    const usual = 'This PowerFolder account may not sign in here.';
    for (const [sentence, message] of [
      ['Only staff may sign in here.', 'Only staff may sign in here.'],
      ['', usual],
      [undefined, usual],
      [{}, usual],
    ]) {
      const verify = async ({ refuse }: { refuse: (sentence: unknown) => unknown }) => refuse(sentence);
      expect(await infoOf(verify as Hook)).toEqual({ code: 'verify_refused', message });
    }
  });
});

describe.each<[string, number, object]>([
  ['(accessToken, refreshToken)', 2, {}],
  ['(accessToken, refreshToken, profile)', 3, {}],
  ['(req, accessToken)', 2, { passReqToCallback: true }],
  ['(req, accessToken, refreshToken, profile)', 4, { passReqToCallback: true }],
])('R50: verify of the form %s, without done', (_, length, options) => {
  it('must return a promise, which decides', async () => {
    const actual: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) {
      actual[what] = await signIn(strategyOf(declaring(length, give), options));
      const promised = /promise|thenable|throw/.test(what);
      expected[what] = promised
        ? (endsByValue[what] ?? '')
        : 'error verify declares no callback, so it must return a promise of its answer: make it async, or declare the callback';
    }
    expect(actual).toEqual(expected);
  });
});

describe('R50: verify', () => {
  it.each([
    [6, {}, /declares 6 parameters; .*\(accessToken, .*passReqToCallback: true/],
    [
      7,
      { passReqToCallback: true },
      /declares 7 parameters; .*\(req, accessToken, refreshToken, params, profile, done\)/,
    ],
  ])('of %d parameters is refused at once', (length, options, message) => {
    expect(() =>
      strategyOf(
        declaring(length, () => {}),
        options,
      ),
    ).toThrow(message);
  });

  it.each([
    ['a number, which Passport takes for a status', 200, 'failure verify_refused'],
    ['true', true, 'failure verify_refused'],
    ['null', null, 'failure verify_refused'],
    ['an object', { code: 'mine' }, 'failure mine'],
    // Passport puts texts into a header, where a line break or an umlaut would be an error.
    ['a text', 'Nur für Beschäftigte.\n', 'failure verify_refused'],
  ])('that refuses with %s as its info fails', async (_, info, ends) => {
    const verify = (_a: never, _r: never, _p: never, done: Done) => done(null, false, info);
    expect(await signIn(strategyOf(verify))).toBe(ends);
  });

  it("ends once when NestJS's mixin calls done, and what it returns is nothing", async () => {
    // As @nestjs/passport has it.
    const mixin =
      (validate: (...args: unknown[]) => unknown) =>
      async (...args: unknown[]) => {
        const done = args[args.length - 1] as Done;
        try {
          const result = await validate(...args);
          if (Array.isArray(result)) done(null, ...result);
          else done(null, result);
        } catch (error) {
          done(error, null);
        }
      };
    const ends = async (validate: (...args: unknown[]) => unknown) => await signIn(strategyOf(mixin(validate)));
    expect(await ends(() => ({ id: 'nest' }))).toBe('user nest');
    expect(await ends(async () => false)).toBe('failure verify_refused');
    expect(await ends(async () => [])).toBe('failure verify_refused');
    expect(await ends(async () => [{ id: 'nest' }, { some: 'info' }])).toBe('user nest');
    expect(await ends(async () => Promise.reject(thrown))).toBe('error thrown');
  });
});

describe('R50: skipUserProfile', () => {
  const profileOf = async (skipUserProfile: unknown) => {
    const verify = async ({ profile }: { profile?: { id: string } }) => ({ id: profile?.id ?? 'nobody asked' });
    return await signIn(strategyOf(verify as Hook, { skipUserProfile }));
  };
  const wrong = (kind: string) => `error skipUserProfile gave a ${kind}; it gives true or false`;

  it('as a function without a callback is answered for by what it returns, awaited', async () => {
    const actual: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) actual[what] = await profileOf(() => give());
    expect(actual).toEqual({
      nothing: 'user id of ada',
      'a timer': wrong('object'),
      'an error': wrong('object'),
      'a generator': wrong('object'),
      'an observable': wrong('object'),
      'a response': wrong('object'),
      'a boxed false': wrong('object'),
      'a date': wrong('object'),
      'a map': wrong('object'),
      'a promise of an error': wrong('object'),
      true: 'user nobody asked',
      false: 'user id of ada',
      null: 'user id of ada',
      '{}': wrong('object'),
      '{ id }': wrong('object'),
      1: wrong('number'),
      0: wrong('number'),
      'a text': wrong('string'),
      'an array': wrong('object'),
      'an empty array': wrong('object'),
      'a function': wrong('function'),
      'a thenable': wrong('object'),
      'a thenable of nobody': 'user id of ada',
      'a promise of an object': wrong('object'),
      "a promise of a database's answer": wrong('object'),
      'a promise of true': 'user nobody asked',
      'a promise of false': 'user id of ada',
      'a promise of an empty array': wrong('object'),
      'a promise of nothing': 'user id of ada',
      'a rejected promise': 'error thrown',
      'a throw': 'error thrown',
    });
  });

  it('as a function with a callback is answered for by that alone', async () => {
    const saying: [string, (done: Done) => void, string][] = [
      ['true', (done) => done(null, true), 'user nobody asked'],
      ['false', (done) => done(null, false), 'user id of ada'],
      ['nothing', (done) => done(null), 'user id of ada'],
      ["the text 'false'", (done) => done(null, 'false'), wrong('string')],
      ['a promise of false', (done) => done(null, Promise.resolve(false)), 'user id of ada'],
      ['an error', (done) => done(new Error('said')), 'error said'],
    ];
    const actual: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) {
      for (const [word, say, ends] of saying) {
        const row = `returns ${what}, says ${word}`;
        actual[row] = await profileOf((_token: string, done: Done) => {
          setImmediate(say, done);
          return give();
        });
        expected[row] = what === 'a throw' || what === 'a rejected promise' ? 'error thrown' : ends;
      }
    }
    expect(actual).toEqual(expected);
  });
});

describe("R50: a subclass's userProfile", () => {
  const idOf = async (userProfile: Hook, options: object = {}) => {
    class Subclass extends PowerFolderStrategy {}
    Object.defineProperty(Subclass.prototype, 'userProfile', { value: userProfile });
    const verify = async ({ profile }: { profile: { id?: string } }) => ({ id: profile.id ?? 'without ID' });
    return await signIn(strategyOf(verify as Hook, { skipUserProfile: false, ...options }, Subclass));
  };
  const none =
    'error userProfile gave no profile, so nobody was signed in; to sign in without one, set skipUserProfile: true';

  it('with done is answered for by that alone', async () => {
    const saying: [string, (done: Done) => void, string][] = [
      ['a profile', (done) => done(null, { id: 'said' }), 'user said'],
      ['a promise of a profile', (done) => done(null, Promise.resolve({ id: 'said' })), 'user said'],
      ['nothing', (done) => done(null), none],
      ['false', (done) => done(null, false), none],
      ['a list', (done) => done(null, [{ id: 'said' }]), none],
      ['an error', (done) => done(new Error('said')), 'error said'],
    ];
    const actual: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) {
      for (const [word, say, ends] of saying) {
        const row = `returns ${what}, says ${word}`;
        actual[row] = await idOf((_token: never, done: never) => {
          setImmediate(say, done);
          return give();
        });
        expected[row] = what === 'a throw' || what === 'a rejected promise' ? 'error thrown' : ends;
      }
    }
    expect(actual).toEqual(expected);
  });

  it('without done must return a promise, also beside a skipUserProfile with a callback', async () => {
    const skipUserProfile = (_token: string, done: Done) => done(null, false);
    for (const options of [{}, { skipUserProfile }]) {
      expect(await idOf(async (_token: never) => ({ id: 'promised' }), options)).toBe('user promised');
      expect(await idOf(async (_token: never) => {}, options)).toBe(none);
      expect(await idOf((_token: never) => ({ id: 'returned' }), options)).toMatch(
        /^error userProfile declares no callback/,
      );
      expect(await idOf(async (_token: never) => Promise.reject(thrown), options)).toBe('error thrown');
    }
  });

  it('may ask the strategy itself', async () => {
    class Subclass extends PowerFolderStrategy {
      override userProfile(accessToken: string, done: (error?: unknown, profile?: never) => void) {
        super.userProfile(accessToken, (error, profile) => done(error, { ...profile, id: 'of a subclass' } as never));
      }
    }
    const verify = async ({ profile }: { profile: { id: string } }) => ({ id: profile.id });
    const strategy = strategyOf(verify as Hook, { skipUserProfile: false }, Subclass as typeof PowerFolderStrategy);
    expect(await signIn(strategy)).toBe('user of a subclass');
  });
});

describe("R50: a store's verify", () => {
  const refusal = 'failure state_unknown';
  const neither = 'error store.verify gave neither true, nor a PKCE verifier, nor false';
  const saying: [string, (done: Done) => void, string][] = [
    ['true', (done) => done(null, true), 'user signed in'],
    ['a verifier', (done) => done(null, 'verifier'), 'user signed in'],
    ['a promise of true', (done) => done(null, Promise.resolve(true)), 'user signed in'],
    ['false', (done) => done(null, false), refusal],
    ['nothing', (done) => done(), refusal],
    ['an empty text', (done) => done(null, ''), refusal],
    ['0', (done) => done(null, 0), refusal],
    // What a client of Redis gives for a key that was not there.
    ['a promise of 0', (done) => done(null, Promise.resolve(0)), refusal],
    ['a promise of nothing', (done) => done(null, Promise.resolve(null)), refusal],
    ['false, then true', (done) => [false, true].map((ok) => done(null, ok)), refusal],
    ['1', (done) => done(null, 1), neither],
    ['an object', (done) => done(null, {}), neither],
    ['an empty list', (done) => done(null, []), neither],
    ['a reason', (done) => done(null, false, { code: 'mine' }), 'failure mine'],
    ['a number, which Passport takes for a status', (done) => done(null, false, 200), refusal],
    ['a text', (done) => done(null, false, 'für niemanden\n'), refusal],
    ['an error', (done) => done(new Error('said')), 'error said'],
  ];

  it.each([3, 4])(
    'of %d parameters is answered for by done alone, and nothing is sent without a yes',
    async (length) => {
      const actual: Record<string, string> = {};
      const expected: Record<string, string> = {};
      for (const [what, give] of Object.entries(returned)) {
        for (const [word, say, ends] of saying) {
          for (const when of ['at once', 'later']) {
            const row = `returns ${what}, says ${word} ${when}`;
            tokenRequests = 0;
            const verify = declaring(length, (...args) => {
              if (when === 'later') setImmediate(say, args[length - 1] as Done);
              else say(args[length - 1] as Done);
              return give();
            });
            const store = { store: (_req: unknown, done: Done) => done(null, 's'), verify };
            const strategy = strategyOf(async (_signIn: never) => ({ id: 'signed in' }), { store });
            actual[row] = `${await attempt(strategy, '/oauth/code=c&state=s', {})}, ${tokenRequests} requests`;
            const failed = when === 'later' && (what === 'a throw' || what === 'a rejected promise');
            const end = failed ? 'error thrown' : ends;
            expected[row] = `${end}, ${end.startsWith('user') ? 1 : 0} requests`;
          }
        }
      }
      expect(actual).toEqual(expected);
    },
  );

  it.each([0, 1, 2, 5])(
    'of %d parameters is refused at once, since nobody knows where it expects its callback',
    (length) => {
      const store = { store: (_req: unknown, _done: Done) => {}, verify: declaring(length, () => true) };
      expect(() => strategyOf(() => false, { store })).toThrow(
        `store.verify declares ${length} parameters; it must declare (req, state, [meta,] done), since it is called with as many as it declares`,
      );
    },
  );

  it('R12: that says yes by a text has it sent as a verifier with pkce only, as it may be what the application stored', async () => {
    for (const pkce of [false, true]) {
      const store = {
        store: (_r: unknown, _v: unknown, _s: unknown, _m: unknown, done: Done) => done(null, 's'),
        verify: (_r: unknown, _s: unknown, done: Done) => done(null, '{"returnTo":"/x"}'),
      };
      const strategy = strategyOf(async (_signIn: never) => ({ id: 'signed in' }), { store, pkce });
      expect(await attempt(strategy, '/oauth/code=c&state=s', {})).toBe('user signed in');
      expect('code_verifier' in JSON.parse(lastBody)).toBe(pkce);
    }
  });

  it('R6: is not asked for a state of more than 512 characters', async () => {
    const store = {
      store: (_req: unknown, _done: Done) => {},
      verify: jest.fn((_r: unknown, _s: unknown, done: Done) => done(null, true)),
    };
    Object.defineProperty(store.verify, 'length', { value: 3 });
    const strategy = strategyOf(async (_signIn: never) => ({ id: 'signed in' }), { store });
    expect(await attempt(strategy, `/oauth/code=c&state=${'s'.repeat(513)}`, {})).toBe('failure state_unknown');
    expect(store.verify).not.toHaveBeenCalled();
  });

  it('is called as it was when the strategy was made, also when a spy takes its place', async () => {
    const store = {
      store: (_req: unknown, done: Done) => done(null, 's'),
      verify: (_req: unknown, _state: string, done: Done) => done(null, true),
    };
    const strategy = strategyOf(async (_signIn: never) => ({ id: 'signed in' }), { store });
    const spy = jest.spyOn(store, 'verify');
    expect(spy.mock.instances).toHaveLength(0);
    expect(await attempt(strategy, '/oauth/code=c&state=s', {})).toBe('user signed in');
    expect(spy).toHaveBeenCalledWith(expect.anything(), 's', expect.any(Function));
  });
});

describe("R50: a store's store", () => {
  const saying: [string, (done: Done) => void, string][] = [
    ['a state', (done) => done(null, 'said'), 'redirect said'],
    ['a promise of a state', (done) => done(null, Promise.resolve('said')), 'redirect said'],
    ['nothing', (done) => done(null), 'error The state store gave no alphanumeric state; PowerFolder takes no other'],
    ['an error', (done) => done(new Error('said')), 'error said'],
    [
      'a state, then an error',
      (done) => [null, new Error('late')].map((error) => done(error, 'said')),
      'redirect said',
    ],
  ];

  it.each([2, 3, 4, 5])('of %d parameters is answered for by done alone', async (length) => {
    const actual: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [what, give] of Object.entries(returned)) {
      for (const [word, say, ends] of saying) {
        const row = `returns ${what}, says ${word}`;
        const store = declaring(length, (...args) => {
          setImmediate(say, args[length - 1] as Done);
          return give();
        });
        const verify = (_req: unknown, _state: unknown, done: Done) => done(null, false);
        actual[row] = await attempt(
          strategyOf(() => false, { store: { store, verify } }),
          '/auth',
          {},
        );
        expected[row] = what === 'a throw' || what === 'a rejected promise' ? 'error thrown' : ends;
      }
    }
    expect(actual).toEqual(expected);
  });

  it.each([0, 1, 6])('of %d parameters is refused at once', (length) => {
    const store = { store: declaring(length, () => {}), verify: (_req: unknown, _state: unknown, _done: Done) => {} };
    expect(() => strategyOf(() => false, { store })).toThrow(
      `store.store declares ${length} parameters; it must declare`,
    );
  });
});

describe("R50: an application's callback to passport.authenticate that throws", () => {
  it('is called once, without Express as well, and what it threw becomes a warning', async () => {
    const warnings: unknown[] = [];
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation((warning) => void warnings.push(warning));
    const ends: string[] = [];
    for (const [strategy, originalUrl] of [
      [strategyOf(() => false), '/oauth/code=c&state=forged'],
      [
        strategyOf(() => false, {
          store: { store: (_r: unknown, d: Done) => d(thrown), verify: (_r: unknown, _s: unknown, _d: Done) => {} },
        }),
        '/auth',
      ],
    ] as const) {
      await new Promise<void>((resolve) => {
        const throwing = (end: string) => () => {
          ends.push(end);
          setImmediate(resolve);
          throw new Error(`in ${end}`);
        };
        const actions = { fail: throwing('fail'), error: throwing('error'), redirect: throwing('redirect') };
        const request = { method: 'GET', originalUrl, session: {}, headers: {} };
        Object.assign(Object.create(strategy), actions).authenticate(request);
      });
      for (let i = 0; i < turns; i++) await turn();
    }
    warn.mockRestore();
    expect(ends).toEqual(['fail', 'error']);
    expect(warnings).toEqual([expect.stringContaining('Error: in fail'), expect.stringContaining('Error: in error')]);
  });
});
