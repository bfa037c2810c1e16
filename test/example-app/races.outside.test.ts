/** Two instances of the example app, with their sessions in one Redis that is slow now and then: requests of one session that cross. */
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { type DelayingRelay, seededRandom, startDelayingRelay } from '../support/delays.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { describeWith } from '../support/programs.ts';
import { raceTests, type Surroundings } from '../support/races.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { startRelay } from '../support/relay.ts';
import { until } from '../support/until.ts';
import { baseURL, makeAccounts } from '../support/visitor.ts';

/** A failed test prints the seed; the order of things depends on the machine as well. */
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

describeWith('redis-server')('two instances of the example app', () => {
  let surroundings: Surroundings;
  let redis: Redis;
  let delays: DelayingRelay;
  let instances: ExampleProcess[] = [];

  beforeAll(async () => {
    const random = seededRandom(seed);
    const accounts = makeAccounts(40);
    redis = await startRedis();
    delays = await startDelayingRelay({ path: redis.socket }, () => random() * 20);
    const powerFolder = await startPowerFolderServer({ accounts, rotateRefreshTokens: true });
    const relay = await startRelay(powerFolder.url);
    const start = () =>
      startExampleProcess(powerFolder, {
        POWERFOLDER_URL: relay.url,
        BASE_URL: baseURL,
        LISTEN_ADDRESS: '127.0.0.1',
        REDIS_URL: `redis://127.0.0.1:${delays.port}`,
        SESSION_SECRET: 'a secret that both instances share',
        TRUST_PROXY: 'loopback',
        SIGN_IN_LIMIT: '1000000',
      });
    instances = await Promise.all([start(), start()]);
    const urls = instances.map(({ port }) => `http://127.0.0.1:${port}`);
    // They do not wait long for Redis before they listen.
    await until(async () => (await Promise.all(urls.map((url) => fetch(`${url}/healthz`)))).every(({ ok }) => ok));
    surroundings = { powerFolder, relay, accounts, seed, random, instances: urls };
  });
  afterAll(async () => {
    await Promise.all(instances.map((instance) => instance.stop('SIGKILL')));
    await surroundings?.relay.close();
    await delays?.close();
    await Promise.all([redis?.close(), surroundings?.powerFolder.close()]);
  });

  raceTests(() => surroundings, 200);
});
