import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  type KeepTokensOptions,
  PowerFolderClient,
  type PowerFolderClientOptions,
  type PowerFolderTokens,
} from 'passport-powerfolder';
import type { PowerFolderServer, PowerFolderServerOptions } from 'passport-powerfolder/testing';
import { request } from 'undici';
import { rounds } from '../support/rounds.ts';
import { newTokens, startWithTokens } from '../support/simulated-sign-in.ts';
import { startTokenStore, type TokenStoreFaults } from '../support/token-store.ts';

let server: PowerFolderServer;
afterEach(async () => {
  jest.restoreAllMocks();
  await server.close();
});

const signInAgain = { name: 'PowerFolderError', code: 'sign_in_again' };
const refreshes = () => server.requests.filter(({ endpoint }) => endpoint === 'refresh');

/** A server with Ada's tokens in a database, and a keeper over it. What is given for the keeper comes on top of the database's. */
async function start(
  serverOptions: PowerFolderServerOptions = {},
  {
    keep = {},
    client: clientOptions = {},
    expiresAt,
  }: {
    keep?: Partial<KeepTokensOptions<string>>;
    client?: Partial<PowerFolderClientOptions>;
    expiresAt?: number | undefined;
  } = {},
) {
  const started = await startWithTokens(serverOptions);
  server = started.server;
  const { accessToken, refreshToken } = started;
  const database = new Map<string, PowerFolderTokens>();
  database.set('ada', { accessToken, refreshToken, expiresAt: expiresAt ?? Date.now() + 86_400_000 });
  const { url: serverURL, clientID, clientSecret } = server;
  const client = new PowerFolderClient({ serverURL, clientID, clientSecret, ...clientOptions });
  const saved: [string, PowerFolderTokens, PowerFolderTokens][] = [];
  const options: KeepTokensOptions<string> = {
    load: async (id) => database.get(id),
    save: async (id, tokens, replaced) => {
      saved.push([id, tokens, replaced]);
      database.set(id, tokens);
    },
    ...keep,
  };
  const keeper = client.keepTokens(options);
  return { client, keeper, options, database, saved, accessToken, refreshToken };
}

/** A call as applications make it. */
const propfind = (accessToken: string) =>
  fetch(`${server.url}/webdav/`, {
    method: 'PROPFIND',
    headers: { authorization: `Bearer ${accessToken}`, depth: '0' },
  });

describe('keepTokens', () => {
  it('calls with the token that is kept, without a refresh or a save, while it is valid', async () => {
    const { keeper, saved } = await start();
    expect((await keeper.use('ada', propfind)).status).toBe(207);
    expect([refreshes(), saved]).toEqual([[], []]);
  });

  it('gives what the call gives, and what it throws', async () => {
    const { keeper, accessToken } = await start();
    expect(await keeper.use('ada', (token) => ({ token }))).toEqual({ token: accessToken });
    const mistake = new Error('of the application');
    await expect(keeper.use('ada', () => Promise.reject(mistake))).rejects.toBe(mistake);
    await expect(
      keeper.use('ada', () => {
        throw mistake;
      }),
    ).rejects.toBe(mistake);
  });

  it.each([59_999, 1, -1, -1e9])('refreshes what expires in %d ms, and saves before the call', async (left) => {
    const { keeper, database, saved, accessToken, refreshToken } = await start({}, { expiresAt: Date.now() + left });
    const keptAtCall = await keeper.use('ada', (token) => [token, database.get('ada')?.accessToken]);
    expect(keptAtCall[0]).toBe(keptAtCall[1]);
    expect(keptAtCall[0]).not.toBe(accessToken);
    expect(saved).toEqual([
      [
        'ada',
        { accessToken: keptAtCall[0], refreshToken, expiresAt: expect.any(Number) },
        { accessToken, refreshToken, expiresAt: expect.any(Number) },
      ],
    ]);
  });

  it('takes a leeway of its own, and further members for the refresh', async () => {
    const expiresAt = Date.now() + 100_000;
    const keep = { leeway: 200_000, params: { format: 'json', client_id: 'another' } };
    const { keeper, accessToken } = await start({ tolerate: ['format'] }, { expiresAt, keep });
    expect(await keeper.use('ada', (token) => token)).not.toBe(accessToken);
    expect(JSON.parse(refreshes()[0]?.body ?? '')).toMatchObject({ format: 'json', client_id: server.clientID });
  });

  it('R33: refreshes once for all simultaneous callers', async () => {
    const { keeper, saved } = await start({ rotateRefreshTokens: true }, { expiresAt: 1 });
    const tokens = await Promise.all(Array.from({ length: 50 }, () => keeper.use('ada', (token) => token)));
    expect(new Set(tokens).size).toBe(1);
    expect([refreshes().length, saved.length]).toEqual([1, 1]);
  });

  it('counts an expiry that is not known as expired, until the keeper itself has got the tokens', async () => {
    const { keeper, database, accessToken, refreshToken } = await start();
    database.set('ada', { accessToken, refreshToken });
    const body = { access_token: '1unknown-a' };
    server.failNext('refresh', { body });
    expect(await keeper.use('ada', (token) => token)).toBe('1unknown-a');
    expect(await keeper.use('ada', (token) => token)).toBe('1unknown-a');
    expect(refreshes()).toHaveLength(1);
    // They are not accepted: a 401 leads on.
    expect((await keeper.use('ada', propfind)).status).toBe(207);
    expect(refreshes()).toHaveLength(2);
  });

  it('uses tokens of unknown expiry for good where there is no refresh token', async () => {
    const { keeper, database, accessToken } = await start();
    database.set('ada', { accessToken, refreshToken: null, expiresAt: null } as never);
    expect((await keeper.use('ada', propfind)).status).toBe(207);
    server.expireTokens();
    await expect(keeper.use('ada', propfind)).rejects.toMatchObject(signInAgain);
    expect(refreshes()).toEqual([]);
  });

  it.each<[string, (token: string) => Promise<unknown>]>([
    ['a Response', propfind],
    [
      "an answer of undici's request",
      async (token) => {
        const headers = { authorization: `Bearer ${token}`, depth: '0' };
        return await request(`${server.url}/webdav/`, { method: 'PROPFIND' as never, headers });
      },
    ],
    ...['status', 'statusCode', 'serverStatus'].map((name): [string, (token: string) => Promise<unknown>] => [
      `an error with ${name}`,
      async (token) => {
        const answer = await propfind(token);
        if (answer.status === 401) throw Object.assign(new Error('not accepted'), { [name]: 401 });
        return answer;
      },
    ]),
    [
      'an error that has the answer in it',
      async (token) => {
        const response = await propfind(token);
        if (response.status === 401) throw Object.assign(new Error('not accepted'), { response });
        return response;
      },
    ],
  ])('refreshes and calls once more after a 401: %s', async (_, call) => {
    const { keeper, database, accessToken } = await start();
    server.expireTokens();
    const answer = (await keeper.use('ada', call)) as { status?: number; statusCode?: number };
    expect(answer.status ?? answer.statusCode).toBe(207);
    expect(refreshes()).toHaveLength(1);
    expect(database.get('ada')?.accessToken).not.toBe(accessToken);
  });

  it.each<[string, unknown]>([
    ['403', new Response('', { status: 403 })],
    ['what is no answer', { status: 401, name: "the application's own" }],
    ['nothing', undefined],
  ])('gives back %s as it is', async (_, answer) => {
    const { keeper } = await start();
    expect(await keeper.use('ada', () => answer)).toBe(answer);
    expect(refreshes()).toEqual([]);
  });

  it('gives a second 401 back: the token is not the reason', async () => {
    const { keeper } = await start();
    let calls = 0;
    const answer = await keeper.use('ada', () => new Response(String(++calls), { status: 401 }));
    expect([answer.status, await answer.text()]).toEqual([401, '2']);
    expect(refreshes()).toHaveLength(1);
    const refused = Object.assign(new Error('never accepted'), { status: 401 });
    await expect(keeper.use('ada', () => Promise.reject(refused))).rejects.toBe(refused);
  });

  it('closes the answer that it does not give back', async () => {
    const { keeper } = await start();
    const web = new Response('x'.repeat(100), { status: 401 });
    const node = { statusCode: 401, headers: {}, body: new Readable({ read() {} }) };
    await keeper.use('ada', () => web);
    await keeper.use('ada', () => node);
    expect([web.body?.locked, node.body.destroyed]).toEqual([false, true]);
    // Under jest the error is not of the TypeError that is known here.
    await expect(web.text()).rejects.toMatchObject({ name: 'TypeError' });
  });

  it('does not repeat a call with { repeat: false }, but has another token for the next one', async () => {
    const { keeper } = await start();
    server.expireTokens();
    const upload = Readable.from(['once']);
    const put = async (token: string) => {
      for await (const _ of upload);
      return await propfind(token);
    };
    expect((await keeper.use('ada', put, { repeat: false })).status).toBe(401);
    const refused = Object.assign(new Error('not accepted'), { status: 401 });
    expect(refreshes()).toHaveLength(1);
    expect((await keeper.use('ada', propfind, { repeat: false })).status).toBe(207);
    await expect(keeper.use('ada', () => Promise.reject(refused), { repeat: false })).rejects.toBe(refused);
  });

  it('takes up what another process has got, after a 401 as well', async () => {
    const { keeper, database, client, refreshToken } = await start({ rotateRefreshTokens: true });
    server.expireTokens();
    const call = async (token: string) => {
      const answer = await propfind(token);
      // The other process refreshes while this one is on its way.
      if (answer.status === 401) database.set('ada', await client.refreshAccessToken(refreshToken));
      return answer;
    };
    expect((await keeper.use('ada', call)).status).toBe(207);
    expect(refreshes()).toHaveLength(1);
  });

  it('R33: loses nobody whose refresh token another process has just replaced', async () => {
    const { keeper, database, client, refreshToken, accessToken } = await start(
      { rotateRefreshTokens: true },
      { expiresAt: 1 },
    );
    // The other one has got them, and takes a while to save them.
    const others = await client.refreshAccessToken(refreshToken);
    const used = keeper.use('ada', (token) => token);
    while (refreshes().length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(database.get('ada')?.accessToken).toBe(accessToken);
    database.set('ada', others);
    expect(await used).toBe(others.accessToken);
  });

  it('R33: says "sign in again" when no other process has better ones', async () => {
    const { keeper, refreshToken, options, client } = await start({}, { expiresAt: 1 });
    server.revokeTokens(refreshToken);
    const error = await keeper.use('ada', () => 'never called').catch((reason: unknown) => reason);
    expect(error).toMatchObject({ ...signInAgain, cause: { code: 'invalid_grant' } });
    // With a lock there is less to wait for.
    const locked = client.keepTokens({ ...options, lock: (_, work) => work() });
    const begun = performance.now();
    await expect(locked.use('ada', () => 'never called')).rejects.toMatchObject(signInAgain);
    expect(performance.now() - begun).toBeLessThan(4000);
  });

  it.each([null, undefined])('says "sign in again" of a user for whom load gives %p', async (none) => {
    const { keeper } = await start({}, { keep: { load: () => none } });
    await expect(keeper.use('ada', () => 'never called')).rejects.toMatchObject(signInAgain);
  });

  it('uses what is valid for some seconds more while the server is away, and says so afterwards', async () => {
    const { keeper, database, accessToken, refreshToken } = await start({}, { expiresAt: Date.now() + 30_000 });
    server.failNext('refresh', { status: 503 });
    expect(await keeper.use('ada', (token) => token)).toBe(accessToken);
    database.set('ada', { accessToken, refreshToken, expiresAt: Date.now() - 1 });
    server.failNext('refresh', { status: 503 });
    await expect(keeper.use('ada', () => 'never called')).rejects.toMatchObject({ code: 'refused', status: 503 });
    expect(await keeper.use('ada', () => 'called')).toBe('called');
  });

  it('gives the refusal of a wrong secret as it is', async () => {
    const { keeper } = await start({}, { expiresAt: 1, client: { clientSecret: 'another-secret' } });
    await expect(keeper.use('ada', () => 'never called')).rejects.toMatchObject({ code: 'invalid_client' });
  });

  describe('over a store with faults', () => {
    it('tries again to save, and calls when it is saved', async () => {
      let failures = 2;
      const database = new Map<string, PowerFolderTokens>();
      const keep: Partial<KeepTokensOptions<string>> = {
        save: async (id, tokens) => {
          if (failures-- > 0) throw new Error('deadlock');
          database.set(id, tokens);
        },
      };
      const { keeper } = await start({ rotateRefreshTokens: true }, { expiresAt: 1, keep });
      const token = await keeper.use('ada', (accessToken) => accessToken);
      expect(database.get('ada')?.accessToken).toBe(token);
      expect(refreshes()).toHaveLength(1);
    });

    it('does not call with tokens that cannot be saved, and loses none of them', async () => {
      const failing = { on: true };
      const database = new Map<string, PowerFolderTokens>();
      const failure = new Error('the database is away');
      const keep: Partial<KeepTokensOptions<string>> = {
        save: async (id, tokens) => {
          if (failing.on) throw failure;
          database.set(id, tokens);
        },
      };
      const { keeper } = await start({ rotateRefreshTokens: true }, { expiresAt: 1, keep });
      await expect(keeper.use('ada', () => 'never called')).rejects.toBe(failure);
      await expect(keeper.use('ada', () => 'never called')).rejects.toBe(failure);
      failing.on = false;
      const token = await keeper.use('ada', (accessToken) => accessToken);
      expect(database.get('ada')?.accessToken).toBe(token);
      expect(refreshes()).toHaveLength(1);
    });

    it('writes once more what the store has lost, at once or later', async () => {
      let losses = 1;
      const { keeper, database, options, client, saved } = await start({ rotateRefreshTokens: true }, { expiresAt: 1 });
      const old = database.get('ada') as PowerFolderTokens;
      const save: typeof options.save = (id, tokens, replaced) => losses-- > 0 || options.save(id, tokens, replaced);
      const forgetful = client.keepTokens({ ...options, save });
      const token = await forgetful.use('ada', (accessToken) => accessToken);
      expect([saved.length, database.get('ada')?.accessToken]).toEqual([1, token]);
      database.set('ada', old);
      expect(await forgetful.use('ada', (accessToken) => accessToken)).toBe(token);
      expect(database.get('ada')?.accessToken).toBe(token);
      expect(refreshes()).toHaveLength(1);
      void keeper;
    });

    it('takes what is kept where a save says false: the user has signed in again, or is gone', async () => {
      const { options, database, client, accessToken } = await start({}, { expiresAt: 1 });
      const others = await newTokens(server);
      let next: PowerFolderTokens | undefined = { accessToken: others.access_token, expiresAt: Date.now() + 1e6 };
      const save: typeof options.save = (id, _tokens, replaced) => {
        if (next) database.set(id, next);
        else database.delete(id);
        return database.get(id)?.accessToken === replaced.accessToken;
      };
      const comparing = client.keepTokens({ ...options, save });
      expect(await comparing.use('ada', (token) => token)).toBe(others.access_token);
      database.set('ada', { accessToken, refreshToken: others.refresh_token, expiresAt: 1 });
      next = undefined;
      await expect(comparing.use('ada', (token) => token)).rejects.toMatchObject(signInAgain);
      expect(database.size).toBe(0);
    });

    it("gives the store's error when nothing can be loaded", async () => {
      const failure = new Error('the database is away');
      const { keeper } = await start({}, { keep: { load: () => Promise.reject(failure) } });
      await expect(keeper.use('ada', () => 'never called')).rejects.toBe(failure);
    });

    it.each<[unknown, RegExp]>([
      [{ accessToken: '' }, /These are no tokens/],
      ['1a-b', /These are no tokens/],
      [{ accessToken: 'a', refreshToken: 'r', expiresAt: '1' }, /of text Number\(text\)/],
      [{ accessToken: 'a', refreshToken: 'r', expiresAt: new Date() }, /of a Date give getTime\(\)/],
    ])('refuses %p of a load in a sentence', async (loaded, message) => {
      const { keeper } = await start({}, { keep: { load: () => loaded as never } });
      await expect(keeper.use('ada', () => 'never called')).rejects.toThrow(message);
      expect(refreshes()).toEqual([]);
    });
  });

  describe('with a lock', () => {
    it('loads, refreshes and saves within it, whatever the lock gives back', async () => {
      const steps: string[] = [];
      const { client, options } = await start({}, { expiresAt: 1 });
      const keeper = client.keepTokens<string>({
        load: (id) => {
          steps.push('load');
          return options.load(id);
        },
        save: (id, tokens, replaced) => {
          steps.push('save');
          return options.save(id, tokens, replaced);
        },
        lock: async (id, work) => {
          steps.push(`lock ${id}`);
          await work();
          steps.push('unlock');
          return 'no tokens';
        },
      });
      await keeper.use('ada', () => steps.push('call'));
      expect(steps).toEqual(['load', 'lock ada', 'load', 'save', 'load', 'unlock', 'call']);
      await keeper.use('ada', () => steps.push('call'));
      expect(steps.slice(-2)).toEqual(['load', 'call']);
    });

    it('fails when the lock cannot be had, and when it does not call the work', async () => {
      const taken = new Error('taken');
      const { client, options } = await start({}, { expiresAt: 1 });
      const refused = client.keepTokens({ ...options, lock: () => Promise.reject(taken) });
      await expect(refused.use('ada', () => 'never called')).rejects.toBe(taken);
      const idle = client.keepTokens({ ...options, lock: () => undefined });
      await expect(idle.use('ada', () => 'never called')).rejects.toThrow(/lock did not call the work/);
      expect(refreshes()).toEqual([]);
    });

    it.each<[string, KeepTokensOptions<string>['lock']]>([
      ['is not waited for', (_, work) => void work().catch(() => {})],
      [
        'cannot be given back',
        async (_, work) => {
          await work();
          throw new Error('the lock has expired');
        },
      ],
    ])('goes by what became of the tokens when the lock %s', async (_, lock) => {
      const { client, options, database } = await start({}, { expiresAt: 1 });
      const keeper = client.keepTokens({ ...options, lock });
      expect(await keeper.use('ada', (token) => token)).toBe(database.get('ada')?.accessToken);
      database.set('ada', { accessToken: 'a', refreshToken: 'revoked', expiresAt: 1 });
      await expect(keeper.use('ada', () => 'never called')).rejects.toMatchObject(signInAgain);
    });
  });

  it.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /takes an options object/],
    ['no load', { save: () => {} }, /^load must be a function/],
    ['no save', { load: () => null }, /^save must be a function/],
    ['a lock that is none', { load: () => null, save: () => {}, lock: {} }, /^lock must be a function/],
    ['a leeway as text', { load: () => null, save: () => {}, leeway: '1' }, /^leeway must be a number/],
    ['params as text', { load: () => null, save: () => {}, params: 'a=b' }, /^params must be an object/],
    ['another option', { load: () => null, save: () => {}, onRefresh: () => {} }, /There is no option onRefresh/],
  ])('refuses %s in a sentence', async (_, options, message) => {
    const { client } = await start();
    expect(() => client.keepTokens(options as never)).toThrow(TypeError);
    expect(() => client.keepTokens(options as never)).toThrow(message);
  });

  it('takes a store of a class, with members of its own, and calls its methods on it', async () => {
    const { client, accessToken, refreshToken } = await start();
    class Store {
      readonly rows = new Map([['ada', { accessToken, refreshToken, expiresAt: 1 } as PowerFolderTokens]]);
      locked = 0;
      load(id: string) {
        return this.rows.get(id);
      }
      save(id: string, tokens: PowerFolderTokens) {
        this.rows.set(id, tokens);
      }
      async lock(_: string, work: () => Promise<void>) {
        this.locked++;
        await work();
      }
    }
    const store = new Store();
    expect(await client.keepTokens(store).use('ada', (token) => token)).toBe(store.rows.get('ada')?.accessToken);
    expect([store.locked, store.rows.get('ada')?.accessToken === accessToken]).toEqual([1, false]);
  });

  it.each([undefined, null, '', Number.NaN, {}, [], true])('refuses %p for a user', async (id) => {
    const { keeper } = await start({}, { keep: { load: () => ({ accessToken: "somebody's" }) } });
    await expect(keeper.use(id as never, () => 'never called')).rejects.toThrow(/takes the ID of a user/);
  });
});

/** Processes share a store, tokens live 62 seconds, of which they are used for two, and each refresh replaces the refresh token. */
describe.each<[string, TokenStoreFaults, boolean]>([
  ['a store that is slow, without a lock', { slow: 30 }, false],
  ['a store that is slow, with a lock', { slow: 30 }, true],
  ['a store that fails and loses writes, without a lock', { slow: 5, failing: 10, losing: 10 }, false],
  ['a store that fails and loses writes, with a lock', { slow: 5, failing: 10, losing: 10 }, true],
])('two processes over %s', (_, faults, locked) => {
  it('R33: have no needless sign-in', async () => {
    const started = await startWithTokens({ rotateRefreshTokens: true, accessTokenLifetime: 62_000 });
    server = started.server;
    const store = await startTokenStore(faults);
    const users = ['ada', 'bob', 'eve'];
    for (const user of users) {
      const { access_token: accessToken, refresh_token: refreshToken } = await newTokens(server);
      store.tokens.set(user, { accessToken, refreshToken, expiresAt: Date.now() + 60_500 });
    }
    const { url, clientID, clientSecret } = server;
    const calls = rounds(150, 5000);
    const given = { server: url, store: store.url, clientID, clientSecret, users, calls, atOnce: 10, locked };
    const script = join(__dirname, '../fixtures/keep-tokens.ts');
    const run = async () => {
      const child = spawn(process.execPath, ['--no-warnings', '--import', 'tsx', script, JSON.stringify(given)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      await once(child, 'close');
      return JSON.parse(output) as Record<string, number>;
    };
    // Access tokens end early as well, so that there are 401s: after so many requests.
    let seen = 0;
    const spoil = setInterval(() => {
      if (server.requests.length < seen + rounds(100, 300)) return;
      seen = server.requests.length;
      server.expireTokens();
    }, 5);
    const ends = await Promise.all([run(), run()]).finally(() => clearInterval(spoil));
    await store.close();
    for (const end of ends) {
      const { 207: good = 0, 'the store answered 500': away = 0, 401: late = 0, ...others } = end;
      expect(others).toEqual({});
      expect(good + away + late).toBe(calls);
      // A token may be ended between a refresh and the second call.
      expect(late).toBeLessThan(calls / 5);
      if (!faults.failing) expect(away).toBe(0);
    }
    expect(refreshes().length).toBeGreaterThan(users.length);
  });
});
