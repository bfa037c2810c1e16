/** Sessions in a real Redis, and what happens when it takes none. In memory: example-sessions.test.ts. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import type { Browser } from '../support/browser.ts';
import { authorizationResponse, type Example, signedIn, startExample } from '../support/example.ts';
import { describeWith } from '../support/programs.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { sessionScenes } from '../support/session-scenes.ts';
import { until } from '../support/until.ts';

let redis: Redis;
const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()));
});

async function health({ url, browser }: Example): Promise<number> {
  return (await browser().visit(`${url}/healthz`)).status;
}

async function open(options: Parameters<typeof startExample>[0] = {}): Promise<Example> {
  const app = await startExample({ ...options, environment: { REDIS_URL: redis.url, ...options.environment } });
  await until(async () => (await health(app)) === 200);
  return app;
}

async function start(options?: Parameters<typeof startExample>[0]): Promise<Example> {
  const app = await open(options);
  running.push(app);
  return app;
}

const keys = (kind: string) =>
  redis
    .ask('KEYS', `${kind}:*`)
    .split('\n')
    .filter((key) => key !== '');

describeWith('redis-server')('sessions in Redis', () => {
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(async () => await redis?.close());
  beforeEach(() => redis.ask('FLUSHALL'));

  sessionScenes(async (options) => ({
    app: await open(options),
    kept: {
      keys: () => redis.ask('KEYS', '*').split('\n'),
      get: (key) => redis.ask('GET', key),
      put: (key, value) => redis.ask('SET', key, value, 'KEEPTTL'),
    },
  }));

  describe('what cannot be read', () => {
    const list = ['EVAL', "redis.call('DEL', KEYS[1]); redis.call('RPUSH', KEYS[1], 'SENTINEL')", '1'];
    const long = ['EVAL', `redis.call('SET', KEYS[1], '{"SENTINEL":"' .. string.rep('x', 5000000) .. '"}')`, '1'];
    it.each([
      ['a session is of another type', 'session', list, 'wrong_type'],
      ['a session of 5 MB', 'session', long, 'session'],
      ['tokens are of another type', 'tokens', list, 'wrong_type'],
    ])('costs a new sign-in: %s (R69)', async (_, kind, command, code) => {
      const app = await start({ server: { autoApprove: 'ada' } });
      const browser = app.browser();
      await browser.visit(`${app.url}/auth/powerfolder`);
      redis.ask(...command, keys(kind)[0] as string);
      for (const path of ['/', '/healthz']) {
        expect([path, (await browser.stay(app.url + path)).status]).toEqual([path, 200]);
      }
      expect((await browser.stay(`${app.url}/account`)).status).toBe(302);
      expect(app.log.join('')).toContain(`"event":"unreadable","code":"${code}"`);
      expect(app.log.join('')).not.toContain('SENTINEL');
      expect((await browser.visit(`${app.url}/account`)).text).toContain('Account ID');
      expect((await browser.visit(`${app.url}/folders`)).status).toBe(200);
    });
  });

  it('end when their time is over, and tokens after the longest time that a session lasts', async () => {
    const app = await start();
    await authorizationResponse(app.browser(), app);
    // Who has only begun leaves nothing here.
    expect(keys('session')).toEqual([]);
    const minutes = (key: string) => Math.round(Number(redis.ask('PTTL', key)) / 60_000);
    const browser = await signedIn(app);
    const [session = ''] = keys('session');
    const [tokens = ''] = keys('tokens');
    expect([session, tokens].map(minutes)).toEqual([480, 7 * 24 * 60]);
    redis.ask('PEXPIRE', session, '600000');
    expect((await browser.visit(app.url)).text).toContain('Welcome');
    expect(minutes(session)).toBe(480);
    // Nothing is kept for ever.
    for (const key of redis.ask('KEYS', '*').split('\n')) expect([key, minutes(key)]).not.toEqual([key, 0]);
  });

  it('have their tokens refreshed by one instance at a time, and the others wait for what it saves', async () => {
    const app = await start({ behindRelay: true, server: { rotateRefreshTokens: true } });
    const { url, clientID, clientSecret } = app.powerFolder;
    const other = await start({
      environment: {
        BASE_URL: app.url,
        POWERFOLDER_URL: url,
        POWERFOLDER_CLIENT_ID: clientID,
        POWERFOLDER_CLIENT_SECRET: clientSecret,
      },
    });
    const browser = await signedIn(app);
    app.powerFolder.expireTokens();
    const held = app.relay?.holdNext(/refresh_token/);
    const first = browser.stay(`${app.url}/folders`);
    await held?.answered;
    // The server has taken the refresh token, and would take it from nobody else.
    const second = browser.stay(`${other.url}/folders`);
    const scripts = () => Number(/cmdstat_eval:calls=(\d+)/.exec(redis.ask('INFO', 'commandstats'))?.[1]);
    const before = scripts();
    await Promise.race([second, until(() => scripts() > before + 10)]);
    held?.release();
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([200, 200]);
    expect(app.powerFolder.requests.filter(({ endpoint }) => endpoint === 'refresh')).toHaveLength(1);
    expect(keys('refresh')).toEqual([]);
  });

  it('cost four commands for a sign-in, one for one that is abandoned, and one for a page', async () => {
    const app = await start();
    // Redis learns the scripts with the first one.
    await signedIn(app);
    const monitor = connect(redis.socket);
    let said = '';
    monitor.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    monitor.write('MONITOR\r\n');
    await until(() => said.includes('OK'));
    /** What the app sends for it: not what scripts do in Redis, nor the look each second whether it takes writes. */
    const commandsOf = async <T>(what: () => Promise<T>): Promise<[T, number]> => {
      said = '';
      const result = await what();
      // What was sent before it has come when this has.
      const mark = randomUUID();
      redis.ask('ECHO', mark);
      await until(() => said.includes(mark));
      const sent = said
        .split('\n')
        .filter((line) =>
          /\] "(?:EVAL|EVALSHA|GET|SET|DEL|[A-Z]+)" .*"(?:session|successor|sign-ins|tokens|user)s?:/.test(line),
        );
      return [result, sent.filter((line) => !line.includes(' lua] ')).length];
    };
    try {
      const [browser, signIn] = await commandsOf(() => signedIn(app));
      const [page, another] = await commandsOf(() => browser.stay(`${app.url}/`));
      const [, abandoned] = await commandsOf(() => app.browser().stay(`${app.url}/auth/powerfolder`));
      expect(page.text).toContain('Ada');
      // The sign-in ends on a page.
      expect({ signIn: signIn - 1, abandoned, page: another }).toEqual({ signIn: 4, abandoned: 1, page: 1 });
    } finally {
      monitor.destroy();
    }
  });

  describe('when Redis takes none', () => {
    afterEach(() => {
      redis.ask('CONFIG', 'SET', 'maxmemory', '0');
      redis.ask('REPLICAOF', 'NO', 'ONE');
    });

    /** No sign-in begins, nobody is led away, and a sign-in that was begun can still be finished afterwards. */
    async function beginsNothing(app: Example, response: string, pending: Browser): Promise<void> {
      const { length } = app.powerFolder.requests;
      for (const [browser, url] of [
        [app.browser(), `${app.url}/auth/powerfolder`],
        [pending, response],
      ] as const) {
        const page = await browser.stay(url);
        expect([page.status, page.headers['location'], page.headers['set-cookie']]).toEqual([
          503,
          undefined,
          undefined,
        ]);
        expect(page.text).toContain('Nothing is lost');
      }
      expect(app.powerFolder.requests).toHaveLength(length);
    }

    it('because it is full, says so, and begins no sign-in (R66)', async () => {
      const app = await start();
      const visitor = await signedIn(app);
      const pending = app.browser();
      const response = await authorizationResponse(pending, app);
      redis.ask('CONFIG', 'SET', 'maxmemory', '1');
      expect(await health(app)).toBe(503);
      for (let i = 0; i < 3; i++) await beginsNothing(app, response, pending);
      // Who is signed in stays so.
      expect((await visitor.visit(`${app.url}/account`)).text).toContain('Account ID');
      await until(() => app.log.some((line) => line.includes('Redis cannot be written')));
      redis.ask('CONFIG', 'SET', 'maxmemory', '0');
      expect(await health(app)).toBe(200);
      expect((await pending.visit(response)).text).toContain('Welcome, <bdi>Ada');
      await until(() => app.log.some((line) => line.includes('Redis can be written again')));
    });

    it('because it is a replica, says so, and answers what was asked for all the same (R66)', async () => {
      const app = await start();
      const visitor = await signedIn(app);
      const pending = app.browser();
      const response = await authorizationResponse(pending, app);
      // It was read an hour ago, so that the page below wants to renew it.
      for (const key of keys('session')) redis.ask('PEXPIRE', key, `${7 * 3_600_000}`);
      redis.ask('REPLICAOF', '127.0.0.1', '1');
      expect(await health(app)).toBe(503);
      await beginsNothing(app, response, pending);
      // It cannot be noted that the session is in use, but the page arrives whole. The connection may be made anew just now.
      await until(async () => {
        const page = await visitor.visit(`${app.url}/account`);
        return page.status === 200 && page.text.includes('Account ID') && page.text.trimEnd().endsWith('</html>');
      });
      await until(() => app.log.some((line) => line.includes('the session was not written')));
      redis.ask('REPLICAOF', 'NO', 'ONE');
      await until(async () => (await health(app)) === 200);
      expect((await pending.visit(response)).text).toContain('Welcome, <bdi>Ada');
    });

    it('because it wants a password, says so (R66)', async () => {
      redis.ask('CONFIG', 'SET', 'requirepass', 'x');
      try {
        const app = await startExample({ environment: { REDIS_URL: redis.url } });
        running.push(app);
        await until(() => app.log.some((line) => line.includes('NOAUTH')));
        expect(await health(app)).toBe(503);
        expect((await app.browser().stay(`${app.url}/auth/powerfolder`)).status).toBe(503);
      } finally {
        redis.ask('-a', 'x', 'CONFIG', 'SET', 'requirepass', '');
      }
    });

    it('because another is the primary now, goes to that one, by the same address (R66)', async () => {
      const next = await startRedis();
      running.push(next);
      let socket = redis.url.replace('unix://', '');
      const address = createServer((client: Socket) => {
        const server = connect(socket);
        client.pipe(server).pipe(client);
        client.on('error', () => server.destroy()).on('close', () => server.destroy());
        server.on('error', () => client.destroy()).on('close', () => client.destroy());
      });
      address.listen(0, '127.0.0.1');
      await once(address, 'listening');
      try {
        const app = await start({
          environment: { REDIS_URL: `redis://127.0.0.1:${(address.address() as AddressInfo).port}` },
        });
        await signedIn(app);
        socket = next.url.replace('unix://', '');
        redis.ask('REPLICAOF', '127.0.0.1', '1');
        await until(async () => (await health(app)) === 200);
        await signedIn(app);
        expect(next.ask('KEYS', 'tokens:*')).toMatch(/^tokens:\S+$/);
      } finally {
        address.close();
      }
    });
  });
});
