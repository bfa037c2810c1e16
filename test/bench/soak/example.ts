/** Many sign-ins in the example app in production mode: what they leave in its process, and in Redis. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { Browser, type Page } from '../../support/browser.ts';
import compile, { compileBench, compiledExample } from '../../support/compiled.ts';
import { sameOrigin } from '../../support/example.ts';
import { type ExampleProcess, startExampleProcess } from '../../support/example-process.ts';
import { findProgram } from '../../support/programs.ts';
import { type Redis, startRedis } from '../../support/redis.ts';
import { memory, openDescriptors } from '../linux.ts';
import type { Measure } from './measure.ts';
import type { PowerFolder } from './power-folder.ts';
import { atTheEnd, measureCells, measureTitles, printRow, printTitles, start } from './processes.ts';

const atOnce = 8;
const tables = 10;
/** Milliseconds after which no connection is kept any more. */
const settled = 10_000;
const origin = 'https://127.0.0.1';

/** By prefix: how many keys, the least and the most seconds for which they are kept, and how many are kept for ever. */
const keysScript = `
local found = {}
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local prefix = string.match(key, '^[^:]*')
    local ttl = redis.call('TTL', key)
    local of = found[prefix] or { count = 0, least = ttl, most = ttl, forever = 0 }
    of.count = of.count + 1
    of.least = math.min(of.least, ttl)
    of.most = math.max(of.most, ttl)
    if ttl == -1 then of.forever = of.forever + 1 end
    found[prefix] = of
  end
until cursor == '0'
return cjson.encode(found)`;

type Keys = Record<string, { count: number; least: number; most: number; forever: number }>;

const keysOf = (redis: Redis) => JSON.parse(redis.ask('EVAL', keysScript, '0')) as Keys;

async function measureOf(app: ExampleProcess): Promise<Measure> {
  const measures = () => app.output().filter((line) => line.includes('"msg":"measured"') && line.endsWith('}'));
  const before = measures().length;
  app.process.kill('SIGUSR2');
  while (measures().length === before) await once(app.process.stdout as NodeJS.ReadableStream, 'data');
  return JSON.parse(measures().at(-1) as string) as Measure;
}

export async function soakExample(count: number): Promise<boolean> {
  for (const program of ['redis-server', 'redis-cli']) {
    if (findProgram(program)) continue;
    console.error(`NOT RUN: ${program} not found`);
    return false;
  }
  compile();
  const redis = await startRedis({ tcp: true });
  atTheEnd(() => redis.close());
  const server = await start<PowerFolder>(compileBench('soak/power-folder'), []);
  const { url: serverURL, clientID, clientSecret } = server.said;
  const app = await startExampleProcess(
    undefined,
    {
      POWERFOLDER_URL: serverURL,
      POWERFOLDER_CLIENT_ID: clientID,
      POWERFOLDER_CLIENT_SECRET: clientSecret,
      LISTEN_ADDRESS: '127.0.0.1',
      REDIS_URL: redis.url,
      SESSION_SECRET: 'a secret of at least thirty-two characters',
      NODE_ENV: 'production',
      BASE_URL: origin,
      TRUST_PROXY: 'loopback',
      SIGN_IN_LIMIT: '100000000',
    },
    ['--expose-gc', '--require', compileBench('soak/measured-by-signal'), compiledExample],
  );
  atTheEnd(() => app.stop('SIGKILL'));
  const pid = app.process.pid as number;
  const redisPid = redis.process().pid as number;
  const url = `http://127.0.0.1:${app.port}`;

  async function signIn(browser: Browser): Promise<void> {
    const begun = await browser.stay(`${url}/auth/powerfolder`);
    const allowed = await browser.stay(String(begun.headers['location']));
    const callback = String(allowed.headers['location']);
    if (!callback.startsWith(origin)) throw unexpected(allowed);
    const page = await browser.stay(url + callback.slice(origin.length));
    if (page.status !== 302 || page.headers['location'] !== '/') throw unexpected(page);
  }

  async function signOut(browser: Browser): Promise<void> {
    const page = await browser.stay(`${url}/logout`, { method: 'POST' });
    if (page.status !== 303) throw unexpected(page);
  }

  let done = 0;
  let signedOut = 0;
  /** Of ten sign-ins five are followed by a sign-out, and one takes the place of another in the same browser. */
  async function visit(number: number): Promise<void> {
    const browser = new Browser({ ...sameOrigin, 'x-forwarded-proto': 'https' });
    await signIn(browser);
    done++;
    if (number % 9 === 0) {
      await signIn(browser);
      done++;
    }
    if (signedOut * 2 >= done) return;
    signedOut++;
    await signOut(browser);
  }

  async function report(): Promise<void> {
    const measured = await measureOf(app);
    const ofServer = memory(server.pid, 'VmRSS') / 2 ** 20;
    const keys = Object.entries(keysOf(redis)).map(([prefix, { count }]) => `${count} ${prefix}`);
    printRow([
      done,
      signedOut,
      ...measureCells(pid, measured),
      openDescriptors(redisPid),
      (memory(redisPid, 'VmRSS') / 2 ** 20).toFixed(1),
      keys.sort().join(', '),
      ofServer.toFixed(0),
    ]);
  }

  console.log(`\n${count} sign-ins in the example app, ${atOnce} at once; its process, and Redis ${redis.url}:`);
  const ofRedis = ['Redis: descriptors', 'RSS MiB', 'keys'];
  printTitles(['sign-ins', 'sign-outs', ...measureTitles, ...ofRedis, 'simulated server: RSS MiB']);
  await report();
  redis.ask('CONFIG', 'RESETSTAT');
  let visits = 0;
  for (let table = 1; table <= tables; table++) {
    const visitor = async () => {
      while (done < (count * table) / tables) await visit(visits++);
    };
    await Promise.all(Array.from({ length: atOnce }, visitor));
    await report();
  }
  await pause(settled);
  await report();

  printTitles(['command', 'calls', 'per sign-in', 'microseconds each', 'failed']);
  for (const line of redis.ask('INFO', 'commandstats').split(/\r?\n/)) {
    const [, name = '', calls = '', each = '', failed = ''] =
      /^cmdstat_(\S+):calls=(\d+),.*usec_per_call=([\d.]+).*failed_calls=(\d+)/.exec(line) ?? [];
    if (name) printRow([name, calls, (Number(calls) / done).toFixed(2), each, failed]);
  }
  const left = Object.entries(keysOf(redis));
  printTitles(['left in Redis', 'keys', 'seconds, least', 'most', 'for ever']);
  for (const [prefix, { count, least, most, forever }] of left) printRow([prefix, count, least, most, forever]);
  const complaints = new Map<string, number>();
  for (const line of app.output()) {
    const { level = 30, msg = '', code = '' } = line.startsWith('{') ? JSON.parse(line) : {};
    if (level > 30) complaints.set(`${msg} ${code}`, (complaints.get(`${msg} ${code}`) ?? 0) + 1);
  }
  printTitles(['warnings and errors in its log', 'times']);
  for (const row of complaints) printRow(row);
  return left.every(([, { forever }]) => forever === 0) && complaints.size === 0;
}

function unexpected({ status, url, text }: Page): Error {
  return new Error(`The sign-in came to ${status} at ${url}: ${text.slice(0, 500)}`);
}
