/** The example app with sessions in Redis that somebody, or an older version, has left in a state of which nothing can be made. */
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { createClient } from 'redis';
import { Browser } from '../support/browser.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { describeWith } from '../support/programs.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';
import { type Account, baseURL, makeAccounts, Visitor } from '../support/visitor.ts';

type Garbled = [how: string, text: string | Buffer];

/** Of any text that is stored. */
const wholes: [string, (text: string) => string | Buffer][] = [
  ['empty', () => ''],
  ['half of it', (text) => text.slice(0, text.length / 2)],
  ['without its end', (text) => text.slice(0, -1)],
  ['without its beginning', (text) => text.slice(1)],
  ['twice', (text) => text + text],
  ['no JSON', () => 'no JSON'],
  ['a page', () => '<!doctype html><title>502</title>'],
  ['null', () => 'null'],
  ['true', () => 'true'],
  ['a number', () => '1'],
  ['a text', () => '"x"'],
  ['the JSON as a text', (text) => JSON.stringify(text)],
  ['an empty array', () => '[]'],
  ['it in an array', (text) => `[${text}]`],
  ['an empty object', () => '{}'],
  ['an object of other members', () => '{"user":{"id":"id0"},"version":0}'],
  ['with __proto__', (text) => text.replace('{', '{"__proto__":{"polluted":true},"constructor":{"prototype":{}},')],
  [
    'with bytes that are no UTF-8',
    (text) => Buffer.concat([Buffer.from(text.slice(0, 20)), Buffer.from([0xff, 0xfe, 0xc3, 0])]),
  ],
  ['with bytes that are no UTF-8 in a text', (text) => Buffer.from(text.replace('":"', '":"\xff\xfe'), 'latin1')],
  ['deep', () => `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`],
  ['5 MB more', (text) => text.replace('{', `{"more":"${'x'.repeat(5_000_000)}",`)],
  ['5 MB of nothing', () => Buffer.alloc(5_000_000)],
];

/** Commands that make a key another type of Redis's. */
const types: Record<string, (key: string) => string[]> = {
  'a list': (key) => ['RPUSH', key, 'x'],
  'a hash': (key) => ['HSET', key, 'cookie', 'x'],
  'a set': (key) => ['SADD', key, 'x'],
  'a sorted set': (key) => ['ZADD', key, '1', 'x'],
  'a stream': (key) => ['XADD', key, '*', 'x', 'x'],
};

const values: unknown[] = [
  undefined,
  null,
  true,
  -1,
  1e300,
  '',
  'x',
  '\0\r\n',
  'x'.repeat(20_000),
  [],
  [null],
  {},
  { a: {} },
];

/** JSON with each of its members, at every level, in turn replaced by other values, or left out, or alone. */
function* members(json: unknown): Generator<Garbled> {
  function* walk(at: unknown, path: string[], put: (value: unknown) => unknown): Generator<Garbled> {
    if (path.length > 0) {
      for (const value of values) {
        if (typeof value === typeof at && JSON.stringify(value) === JSON.stringify(at)) continue;
        const shown = value === undefined ? 'left out' : JSON.stringify(value).slice(0, 20);
        yield [`${path.join('.')} ${shown}`, JSON.stringify(put(value))];
      }
    }
    if (typeof at !== 'object' || at === null) return;
    for (const [name, member] of Object.entries(at)) {
      // As an older version may have had it, which knew less.
      if (path.length > 0) yield [`${[...path, name].join('.')} alone`, JSON.stringify(put({ [name]: member }))];
      yield* walk(member, [...path, name], (value) =>
        put(Array.isArray(at) ? Object.assign([...at], { [name]: value }) : { ...at, [name]: value }),
      );
    }
  }
  yield* walk(json, [], (value) => value);
}

function parsed(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

describeWith('redis-server', 'redis-cli')('a session that cannot be read', () => {
  const [account] = makeAccounts(1) as [Account];
  let redis: Redis;
  /** Of Redis: a process of redis-cli for each command would take longer than all else. */
  let client: ReturnType<typeof createClient>;
  let powerFolder: PowerFolderServer;
  let instance: ExampleProcess;
  let url: string;
  /** Somebody who is signed in and has begun another sign-in; copies of it make the requests. */
  let owner: Visitor;
  /** The authorization response of that sign-in, without the consent. */
  let declined: string;
  /** All that is stored of the owner, by key. */
  let stored: Map<string, string>;

  /** Anew each time: a session that was ended once may be dead for good. */
  async function signInOwner(): Promise<void> {
    await client.flushAll();
    owner = new Visitor(account);
    await owner.signIn(url);
    declined = (await owner.beginSignIn(url)).replace(/code=[^&]*/, 'error=access_denied');
    stored = new Map();
    for (const key of (await client.keys('*')).toSorted()) {
      if ((await client.type(key)) !== 'string') continue;
      const text = (await client.get(key)) ?? '';
      // Counters are numbers.
      if (!/^\d+$/.test(text)) stored.set(key, text);
    }
  }

  async function start(): Promise<void> {
    instance = await startExampleProcess(powerFolder, {
      BASE_URL: baseURL,
      LISTEN_ADDRESS: '127.0.0.1',
      REDIS_URL: redis.url,
      SESSION_SECRET: 'a secret for sessions that are garbled',
      TRUST_PROXY: 'loopback',
      SIGN_IN_LIMIT: '1000000',
    });
    url = `http://127.0.0.1:${instance.port}`;
    await until(async () => (await fetch(`${url}/healthz`)).ok);
  }

  beforeAll(async () => {
    redis = await startRedis();
    client = createClient({ url: redis.url });
    await client.connect();
    powerFolder = await startPowerFolderServer({ accounts: [account] });
    await start();
  });
  afterAll(async () => {
    await instance?.stop('SIGKILL');
    client?.destroy();
    await Promise.all([redis?.close(), powerFolder?.close()]);
  });

  it('is somewhere in Redis, as long as it can be read', async () => {
    await signInOwner();
    expect(stored.size).toBeGreaterThan(0);
    expect(await owner.copy().signedInAs(url)).toBe(account.ID);
    await client.flushAll();
    expect(await owner.copy().signedInAs(url)).toBe(undefined);
  });

  /** What goes wrong for the owner of a session that is garbled before each request. */
  async function problemsWith(garbledKey: string, garble: () => Promise<unknown>): Promise<string[]> {
    const restoreAndGarble = async () => {
      for (const [key, text] of stored) if (key !== garbledKey) await client.set(key, text);
      await garble();
    };
    const problems: string[] = [];
    let ended = false;
    const attempt = async (what: string, work: () => Promise<void>) => {
      // Starting again takes its time, and once is enough.
      if (ended) return;
      await restoreAndGarble();
      try {
        await work();
      } catch (error) {
        problems.push(`${what} fails: ${String(error).slice(0, 60)}`);
      }
      if (instance.process.exitCode === null) return;
      ended = true;
      problems.push('the process has ended');
      await start();
    };
    const look = (what: string, path: string, options = {}) =>
      attempt(what, async () => {
        const { status } = await owner.copy().browser.stay(url + path, options);
        // A token that is none may well be PowerFolder's to refuse: 502.
        if (status >= 500 && !(status === 502 && path === '/folders')) problems.push(`${what} answers ${status}`);
      });
    for (const path of ['/', '/account', '/folders', '/auth/powerfolder', '/signed-out']) await look(path, path);
    await look('a forged callback', `/oauth/code=${'0'.repeat(32)}&state=${'A'.repeat(32)}`);
    await look('a callback that was declined', declined);
    await attempt('signing in again', async () => {
      const again = owner.copy();
      await again.signIn(url);
      const id = await again.signedInAs(url);
      if (id !== account.ID) problems.push(`signing in again makes ${id} of the owner`);
      const folders = await again.browser.stay(`${url}/folders`);
      if (folders.status !== 200) problems.push(`after signing in again /folders answers ${folders.status}`);
    });
    await look('sign-out', '/logout', { method: 'POST' });
    return problems;
  }

  interface Garbling {
    how: string;
    key: string;
    garble: () => Promise<unknown>;
  }

  /** Tries each of them on a session of its own. */
  async function expectNoHarm(garblings: (key: string, text: string) => Garbling[]): Promise<void> {
    const found: Record<string, string> = {};
    let tried = 0;
    for (;;) {
      await signInOwner();
      const next = [...stored].flatMap(([key, text]) => garblings(key, text))[tried];
      if (!next) break;
      tried++;
      const problems = await problemsWith(next.key, next.garble);
      if (problems.length > 0) found[next.how] = problems.join('; ');
    }
    process.stderr.write(`${Object.keys(found).length} of ${tried} garbled sessions did harm\n`);
    expect(found).toEqual({});
  }

  it('costs its owner a sign-in, and never a 500, when it is another text (R69)', async () => {
    await expectNoHarm((key, text) =>
      wholes.map(([how, garbled]) => ({ how, key, garble: () => client.set(key, garbled(text)) })),
    );
  });

  it('costs its owner a sign-in, and never a 500, when its key is of another type (R69)', async () => {
    await expectNoHarm((key) =>
      Object.entries(types).map(([how, command]) => ({
        how,
        key,
        garble: async () => {
          // At once: the app writes one of its keys every second.
          await client.multi().del(key).addCommand(command(key)).exec();
        },
      })),
    );
  });

  it('costs its owner a sign-in, and never a 500, when a member of it is another one (R69)', async () => {
    await expectNoHarm((key, text) => {
      const json = parsed(text);
      // A text of its own making, sealed for example, has no members.
      return json
        ? [...members(json)].map(([how, garbled]) => ({ how, key, garble: () => client.set(key, garbled) }))
        : [];
    });
  });

  it('is nobody else’s trouble (R69)', async () => {
    await signInOwner();
    const other = new Browser();
    for (const key of stored.keys()) await client.set(key, 'no JSON');
    expect((await other.stay(`${url}/`)).status).toBe(200);
    expect((await other.stay(`${url}/healthz`)).status).toBe(200);
    expect(instance.process.exitCode).toBe(null);
  });
});
