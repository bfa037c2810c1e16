/** Two instances of the example app and a Redis that answers, but does not take what it is given. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import type { Page } from '../support/browser.ts';
import { type DelayingRelay, startDelayingRelay } from '../support/delays.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { describeWith } from '../support/programs.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { type Relay, startRelay } from '../support/relay.ts';
import { until } from '../support/until.ts';
import { type Account, baseURL, makeAccounts, Visitor } from '../support/visitor.ts';

const accounts = makeAccounts(4);
const [ada, ben, cleo, dan] = accounts as [Account, Account, Account, Account];

let redis: Redis;
/** Another Redis, which has what the first one has. */
let spare: Redis;
/** The address that the app knows. */
let address: DelayingRelay;
let powerFolder: PowerFolderServer;
/** What the app takes for PowerFolder. */
let relay: Relay;
let instances: ExampleProcess[] = [];
const others: DelayingRelay[] = [];

const urls = () => instances.map(({ port }) => `http://127.0.0.1:${port}`);
const first = () => urls()[0] as string;
const second = () => urls()[1] as string;

async function untilHealth(status: number): Promise<void> {
  await until(async () =>
    (await Promise.all(urls().map((url) => fetch(`${url}/healthz`)))).every((each) => each.status === status),
  );
}

/** By TCP, as replication wants it. */
async function listenFor({ socket }: Redis): Promise<string> {
  const other = await startDelayingRelay({ path: socket });
  others.push(other);
  return String(other.port);
}

const sorry = /Please come back in a moment[\s\S]*Nothing is lost/;
const says = ({ status, headers, text }: Page) =>
  status === 503 && sorry.test(text) ? 'come back' : `${status} ${headers['location'] ?? text.slice(0, 300)}`;

/** Ways in which Redis stops taking writes, and how it is mended. */
interface Failure {
  begin(): void | Promise<void>;
  end(): void | Promise<void>;
}

const full: Failure = {
  begin() {
    redis.ask('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
    for (let i = 0; i < 8; i++) redis.write(`filler ${i}`, Buffer.alloc(2 ** 20, 'x'));
    // What connections use counts as well, and comes and goes: well above the brim, not just at it.
    const used = Number(/used_memory:(\d+)/.exec(redis.ask('INFO', 'memory'))?.[1]);
    redis.ask('CONFIG', 'SET', 'maxmemory', String(used - 4 * 2 ** 20));
    expect(() => redis.write('one more', 'x')).toThrow('OOM');
  },
  end() {
    redis.ask('CONFIG', 'SET', 'maxmemory', '0');
    for (let i = 0; i < 8; i++) redis.ask('DEL', `filler ${i}`);
  },
};

const replica: Failure = {
  async begin() {
    // Nobody is there to give it other data, so it keeps what it has.
    const nobody = await startDelayingRelay({ path: join(redis.socket, 'nowhere') });
    others.push(nobody);
    redis.ask('REPLICAOF', '127.0.0.1', String(nobody.port));
    expect(() => redis.write('one more', 'x')).toThrow('READONLY');
  },
  end() {
    redis.ask('REPLICAOF', 'NO', 'ONE');
  },
};

const dump = () => join(redis.ask('CONFIG', 'GET', 'dir').split('\n')[1] as string, 'dump.rdb');
async function save(status: 'ok' | 'err'): Promise<void> {
  redis.ask('BGSAVE');
  await until(() => /rdb_bgsave_in_progress:0/.test(redis.ask('INFO', 'persistence')));
  expect(redis.ask('INFO', 'persistence')).toContain(`rdb_last_bgsave_status:${status}`);
}

const noDisk: Failure = {
  async begin() {
    redis.ask('CONFIG', 'SET', 'save', '3600 1');
    redis.ask('CONFIG', 'SET', 'stop-writes-on-bgsave-error', 'yes');
    // Where the file should be, nothing can be written: this holds for an administrator, too.
    mkdirSync(join(dump(), 'x'), { recursive: true });
    await save('err');
    expect(() => redis.write('one more', 'x')).toThrow('MISCONF');
  },
  async end() {
    rmdirSync(join(dump(), 'x'));
    rmdirSync(dump());
    await save('ok');
    redis.ask('CONFIG', 'SET', 'save', '');
  },
};

const password: Failure = {
  begin() {
    redis.ask('CONFIG', 'SET', 'requirepass', 'a new password');
    // Connections that are there would stay as they are.
    redis.ask('-a', 'a new password', '--no-auth-warning', 'CLIENT', 'KILL', 'TYPE', 'normal');
  },
  end() {
    redis.ask('-a', 'a new password', '--no-auth-warning', 'CONFIG', 'SET', 'requirepass', '');
  },
};

/** The address comes to lead to another Redis. The old one stays up, as the other's replica, and so do connections to it. */
const failover: Failure = {
  async begin() {
    spare.ask('REPLICAOF', '127.0.0.1', await listenFor(redis));
    await until(() => /master_link_status:up/.test(spare.ask('INFO', 'replication')));
    await until(() => redis.ask('WAIT', '1', '1000') === '1');
    spare.ask('REPLICAOF', 'NO', 'ONE');
    redis.ask('REPLICAOF', '127.0.0.1', await listenFor(spare));
    expect(() => redis.write('one more', 'x')).toThrow('READONLY');
  },
  end() {
    address.target = { path: spare.socket };
    [redis, spare] = [spare, redis];
  },
};

const failures: [string, Failure][] = [
  ['is full', full],
  ['is a read-only replica', replica],
  ['cannot save to disk', noDisk],
  ['wants a password', password],
  ['is replaced by another, at the same address', failover],
];

describeWith('redis-server', 'redis-cli')('while Redis takes no sessions', () => {
  beforeEach(async () => {
    [redis, spare] = await Promise.all([startRedis(), startRedis()]);
    address = await startDelayingRelay({ path: redis.socket });
    powerFolder = await startPowerFolderServer({ accounts, rotateRefreshTokens: true });
    relay = await startRelay(powerFolder.url);
    const start = () =>
      startExampleProcess(powerFolder, {
        POWERFOLDER_URL: relay.url,
        BASE_URL: baseURL,
        LISTEN_ADDRESS: '127.0.0.1',
        REDIS_URL: `redis://127.0.0.1:${address.port}`,
        SESSION_SECRET: 'a secret that both instances share',
        TRUST_PROXY: 'loopback',
      });
    instances = await Promise.all([start(), start()]);
    await untilHealth(200);
  });
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.stop('SIGKILL')));
    await Promise.all([relay, address, ...others.splice(0)].map((each) => each?.close()));
    await Promise.all([redis, spare, powerFolder].map((each) => each?.close()));
  });

  it.each(failures)('R66: when it %s, says so, begins no sign-in, and goes on afterwards', async (_, failure) => {
    const [visitor, pending, late, newcomer] = [ada, ben, cleo, dan].map((each) => new Visitor(each)) as [
      Visitor,
      Visitor,
      Visitor,
      Visitor,
    ];
    await visitor.signIn(first());
    const responses = [await pending.beginSignIn(first()), await late.beginSignIn(second())] as const;

    await failure.begin();
    const during: Record<string, string> = {};
    try {
      await untilHealth(503);
      for (const [i, url] of urls().entries()) {
        for (const [who, browser, path] of [
          ['a newcomer', newcomer.browser, '/auth/powerfolder'],
          ['the visitor', visitor.browser, '/auth/powerfolder'],
          ['who comes back', pending.browser, responses[0]],
        ] as const) {
          during[`${who} at ${path.split('/', 3).slice(0, 2).join('/')} of ${i}`] = says(
            await browser.stay(url + path),
          );
        }
        // A Redis that still can be read may do for these, and nothing is made up.
        for (const path of ['/', '/account', '/folders']) {
          const page = await visitor.browser.stay(url + path);
          const whole = page.status === 200 && page.text.includes('Sign out');
          during[`the visitor at ${path} of ${i}`] = whole ? 'come back' : says(page);
        }
        for (const path of ['/style.css', '/icon.svg']) {
          expect([path, (await newcomer.browser.stay(url + path)).status]).toEqual([path, 200]);
        }
      }
    } finally {
      await failure.end();
    }
    expect(during).toEqual(Object.fromEntries(Object.keys(during).map((key) => [key, 'come back'])));

    await untilHealth(200);
    for (const url of urls()) expect(await visitor.signedInAs(url)).toBe(ada.ID);
    for (const [i, one] of [pending, late].entries()) {
      const page = await one.browser.stay(second() + responses[i as 0 | 1]);
      expect([i, page.status, page.headers['location']]).toEqual([i, 302, '/']);
      for (const url of urls()) expect(await one.signedInAs(url)).toBe(one.account.ID);
    }
    await newcomer.signIn(first());
    for (const url of urls()) expect(await newcomer.signedInAs(url)).toBe(dan.ID);
    expect(instances.map(({ process }) => [process.exitCode, process.signalCode])).toEqual([
      [null, null],
      [null, null],
    ]);
  });

  it.each(failures)('R65: when it %s, says that somebody is signed out only if so it is', async (_, failure) => {
    const visitor = new Visitor(ada);
    await visitor.signIn(first());
    const before = visitor.cookies;
    await failure.begin();
    let left: Page;
    try {
      left = await visitor.signOut(second());
    } finally {
      await failure.end();
    }
    expect(left.status === 303 ? 'signed out' : says(left)).toMatch(/^(?:signed out|come back)$/);
    await untilHealth(200);
    const signedIn = await Promise.all(urls().map((url) => visitor.copy(before).signedInAs(url)));
    expect(signedIn).toEqual(left.status === 303 ? [undefined, undefined] : [ada.ID, ada.ID]);
    // And the visitor has what it takes to try again.
    if (left.status === 503) {
      expect((await visitor.signOut(second())).status).toBe(303);
      for (const url of urls()) expect(await visitor.copy(before).signedInAs(url)).toBe(undefined);
    }
  });

  it.each(failures)('R66: when it %s, a refresh token is not used up for nothing', async (_, failure) => {
    const visitor = new Visitor(ada);
    await visitor.signIn(first());
    powerFolder.expireTokens();
    await failure.begin();
    const pages: Page[] = [];
    try {
      for (const url of urls()) pages.push(await visitor.browser.stay(`${url}/folders`));
    } finally {
      await failure.end();
    }
    expect(pages.map(says)).toEqual(['come back', 'come back']);
    await untilHealth(200);
    for (const url of urls()) {
      const page = await visitor.browser.stay(`${url}/folders`);
      expect([page.status, page.headers['location']]).toEqual([200, undefined]);
    }
  });

  it.each(failures)('R66: when it %s in the middle of a callback, says so', async (_, failure) => {
    const visitor = new Visitor(ada);
    const response = await visitor.beginSignIn(first());
    const held = relay.holdNext(/^POST \/oauth\/token/);
    const answer = visitor.browser.stay(first() + response);
    await held.answered;
    await failure.begin();
    try {
      held.release();
      expect(says(await answer)).toBe('come back');
    } finally {
      await failure.end();
    }
    await untilHealth(200);
    await visitor.signIn(second());
    for (const url of urls()) expect(await visitor.signedInAs(url)).toBe(ada.ID);
  });
});
