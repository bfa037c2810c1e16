/** One instance of the example app, with its sessions in memory: requests of one session that cross. */
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { type DelayingRelay, seededRandom, startDelayingRelay } from '../support/delays.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { raceTests, type Surroundings } from '../support/races.ts';
import { startRelay } from '../support/relay.ts';
import { rounds } from '../support/rounds.ts';
import { baseURL, makeAccounts } from '../support/visitor.ts';

/** A failed test prints the seed; the order of things depends on the machine as well. */
const seed = Number(process.env['SEED'] ?? Date.now() % 2 ** 31);

describe('the example app in one process', () => {
  let surroundings: Surroundings;
  let instance: ExampleProcess;
  let delays: DelayingRelay;

  beforeAll(async () => {
    const random = seededRandom(seed);
    const accounts = makeAccounts(40);
    const powerFolder = await startPowerFolderServer({ accounts, rotateRefreshTokens: true });
    // PowerFolder's answers are all that this instance waits for.
    delays = await startDelayingRelay(
      { port: Number(new URL(powerFolder.url).port), host: '127.0.0.1' },
      () => random() * 20,
    );
    const relay = await startRelay(`http://127.0.0.1:${delays.port}`);
    instance = await startExampleProcess(powerFolder, {
      POWERFOLDER_URL: relay.url,
      BASE_URL: baseURL,
      LISTEN_ADDRESS: '127.0.0.1',
      SESSION_SECRET: 'a secret for sessions that cross',
      TRUST_PROXY: 'loopback',
      SIGN_IN_LIMIT: '1000000',
    });
    surroundings = { powerFolder, relay, accounts, seed, random, instances: [`http://127.0.0.1:${instance.port}`] };
  });
  afterAll(async () => {
    await instance?.stop('SIGKILL');
    await surroundings?.relay.close();
    await Promise.all([delays?.close(), surroundings?.powerFolder.close()]);
  });

  raceTests(() => surroundings, rounds(10, 80));
});
