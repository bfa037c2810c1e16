/**
 * Sign-ins per second at the example app, with one instance and with two, in turn; and what a session costs in Redis.
 * The visitors, the balancer and the simulated PowerFolder server are all in this process and have the same cores as the
 * instances: read the table for its ratios.
 */
import { availableParallelism, cpus } from 'node:os';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { startBalancer } from '../support/balancer.ts';
import { Browser } from '../support/browser.ts';
import { startExampleProcess } from '../support/example-process.ts';
import { startRedis } from '../support/redis.ts';
import { cpuSeconds } from './linux.ts';

const visitorsAtOnce = 16;
const rounds = 3;
const roundSeconds = 6;
const warmUpSeconds = 3;

interface Result {
  milliseconds: number[];
  seconds: number;
  instanceCPU: number;
  redisCPU: number;
}

async function main(): Promise<void> {
  const redis = await startRedis();
  const powerFolder = await startPowerFolderServer({ autoApprove: 'ada' });
  const balancer = await startBalancer({ keepAlive: true });
  const environment = {
    BASE_URL: balancer.url,
    LISTEN_ADDRESS: '127.0.0.1',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'a secret that all instances share',
    SIGN_IN_LIMIT: '100000000',
  };
  const instances = await Promise.all([1, 2].map(() => startExampleProcess(powerFolder, environment)));
  const pids = instances.map((instance) => instance.process.pid as number);
  const redisPid = redis.process().pid as number;

  async function signIn(): Promise<number> {
    const start = performance.now();
    const page = await new Browser().visit(`${balancer.url}/auth/powerfolder`, {
      follow: ({ pathname }) => pathname !== '/',
    });
    if (page.headers['location'] !== '/') throw new Error(`Not signed in: ${page.status} ${page.url} ${page.text}`);
    return performance.now() - start;
  }

  async function measure(count: number, seconds: number, into: Result): Promise<void> {
    balancer.ports = instances.slice(0, count).map(({ port }) => port);
    const [cpu, redisCPU] = [cpuSeconds(...pids), cpuSeconds(redisPid)];
    const start = performance.now();
    const until = start + seconds * 1000;
    const visitor = async () => {
      while (performance.now() < until) into.milliseconds.push(await signIn());
    };
    await Promise.all(Array.from({ length: visitorsAtOnce }, visitor));
    into.seconds += (performance.now() - start) / 1000;
    into.instanceCPU += cpuSeconds(...pids) - cpu;
    into.redisCPU += cpuSeconds(redisPid) - redisCPU;
    balancer.sent.length = 0;
  }

  const fresh = (): Result => ({ milliseconds: [], seconds: 0, instanceCPU: 0, redisCPU: 0 });
  try {
    await measure(2, warmUpSeconds, fresh());
    const results = [fresh(), fresh()] as const;
    for (let round = 0; round < rounds; round++) {
      for (const count of [1, 2] as const) await measure(count, roundSeconds, results[count - 1] as Result);
    }

    // A sign-in that was begun and left.
    const { headers } = await new Browser().stay(`${balancer.url}/auth/powerfolder`);
    const [, pending = ''] = /session[\w.-]*=s%3A([^.]+)/.exec(String(headers['set-cookie'])) ?? [];
    const signedIn: string[] = [];
    for (let tries = 0; tries < 5000 && signedIn.length < 100; tries++) {
      const key = redis.ask('RANDOMKEY');
      if (key.startsWith('session:') && key !== `session:${pending}` && !signedIn.includes(key)) signedIn.push(key);
    }
    const bytes = (key: string) => Number(redis.ask('MEMORY', 'USAGE', key, 'SAMPLES', '0'));
    const all = signedIn.map((key) => bytes(key) + bytes(key.replace('session:', 'tokens:')));
    const average = all.reduce((sum, each) => sum + each, 0) / all.length;

    const [, version] = /redis_version:(\S+)/.exec(redis.ask('INFO', 'server')) ?? [];
    console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores, Node ${process.version}; Redis ${version}`);
    console.log(`${visitorsAtOnce} visitors at once, ${rounds} rounds of ${roundSeconds} s each in turn\n`);
    console.log('| instances | sign-ins/s | p50 ms | p99 ms | CPU ms per sign-in: instances | Redis |');
    console.log('|---|---|---|---|---|---|');
    for (const [i, result] of results.entries()) {
      const { milliseconds, seconds, instanceCPU, redisCPU } = result;
      const sorted = milliseconds.toSorted((a, b) => a - b);
      const at = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] as number).toFixed(0);
      const each = (cpu: number) => ((cpu * 1000) / sorted.length).toFixed(2);
      const rate = (sorted.length / seconds).toFixed(0);
      console.log(`| ${i + 1} | ${rate} | ${at(0.5)} | ${at(0.99)} | ${each(instanceCPU)} | ${each(redisCPU)} |`);
    }
    console.log('\n| session in Redis | bytes (MEMORY USAGE) |\n|---|---|');
    console.log(`| signed in, with tokens, average of ${all.length} | ${average.toFixed(0)} |`);
    console.log(`| sign-in begun | ${bytes(`session:${pending}`)} |`);
  } finally {
    await Promise.all(instances.map((instance) => instance.stop('SIGKILL')));
    await Promise.all([balancer.close(), powerFolder.close(), redis.close()]);
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
