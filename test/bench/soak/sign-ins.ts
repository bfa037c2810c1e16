/** Many sign-ins of one application: whether its heap, its descriptors or its handles grow. */
import { Pool } from 'undici';
import { compileBench } from '../../support/compiled.ts';
import type { ApplicationMeasure, ApplicationSettings } from './application.ts';
import { ask, endAll, measureCells, measureTitles, printRow, printTitles, slope, start } from './processes.ts';

const atOnce = 8;
const step = 10_000;
/**
 * States that were used are forgotten by so many (`UsedStates`): the heap goes up and down with them, and is compared over
 * whole periods. That they expire soon shows it within fewer sign-ins than there are in ten minutes.
 */
const period = 50_000;
const stateTTL = 10_000;
/** What the heap may seem to grow by for each sign-in: less is what V8 learns meanwhile. */
const mostBytes = 5;

async function signIn(browser: Pool, pending: ApplicationSettings['pending']): Promise<void> {
  const start = await browser.request({ path: '/auth', method: 'GET' });
  await start.body.dump();
  const state = new URL(String(start.headers['location'])).searchParams.get('state');
  const cookie = String(start.headers['set-cookie']).split(';', 1)[0] ?? '';
  const end = await browser.request({ path: `/oauth/code=code&state=${state}`, method: 'GET', headers: { cookie } });
  await end.body.dump();
  if (end.statusCode !== 302 || end.headers['location'] !== '/') throw new Error(`Not signed in: ${end.statusCode}`);
  if (pending === 'cookies') return;
  const renewed = String(end.headers['set-cookie']).split(';', 1)[0] ?? '';
  const out = await browser.request({ path: '/sign-out', method: 'POST', headers: { cookie: renewed } });
  await out.body.dump();
  if (out.statusCode !== 204 || renewed === cookie) throw new Error(`Not signed out: ${out.statusCode}`);
}

async function run(count: number, pending: ApplicationSettings['pending']): Promise<boolean> {
  const client = { clientID: 'soak', clientSecret: 'a secret of the soak and its server' };
  const { said: serverURL } = await start<string>(compileBench('token-server'), [client.clientSecret]);
  const settings = { ...client, serverURL, pending, skipUserProfile: true, stateTTL, timeout: 10_000 };
  const args = [JSON.stringify(settings satisfies ApplicationSettings)];
  const { child, pid, said: url } = await start<string>(compileBench('soak/application'), args);
  const browser = new Pool(url, { connections: atOnce, keepAliveTimeout: 290_000 });

  console.log(`\n${count} sign-ins, ${atOnce} at once, pending ones in ${pending}; the application's process:`);
  printTitles(['sign-ins', 'per second', ...measureTitles, 'sessions']);
  const heaps: [done: number, heap: number][] = [];
  for (let done = 0; done < count; ) {
    const started = performance.now();
    let left = Math.min(step, count - done);
    done += left;
    const rate = left;
    const visitor = async () => {
      while (left-- > 0) await signIn(browser, pending);
    };
    await Promise.all(Array.from({ length: atOnce }, visitor));
    const perSecond = (rate / ((performance.now() - started) / 1000)).toFixed(0);
    const measured = await ask<ApplicationMeasure>(child, 'measure');
    heaps.push([done, measured.heap]);
    printRow([done, perSecond, ...measureCells(pid, measured), measured.sessions]);
  }
  await browser.close();
  await endAll();
  return judge(heaps, count);
}

/** From a fifth of them on, by the means of whole periods. */
function judge(heaps: [done: number, heap: number][], count: number): boolean {
  const counted = heaps.filter(([done]) => done > count / 5);
  const perPeriod = period / step;
  const means: [done: number, heap: number][] = [];
  for (let end = counted.length; end >= perPeriod; end -= perPeriod) {
    const some = counted.slice(end - perPeriod, end);
    const mean = (of: 0 | 1) => some.reduce((sum, each) => sum + each[of], 0) / perPeriod;
    means.push([mean(0), mean(1)]);
  }
  if (means.length < 3) {
    console.log(`\nWhether the heap grows is told by ${4 * period} sign-ins or more.`);
    return true;
  }
  const perSignIn = slope(means);
  const grows = perSignIn > mostBytes;
  console.log(`
The heap from 20 % to 100 %, by the means of each ${period} sign-ins: ${perSignIn.toFixed(2)} bytes more for a sign-in.
${grows ? 'IT GROWS' : 'It does not grow'} (the limit is ${mostBytes} bytes).`);
  return !grows;
}

export async function soakSignIns(count: number): Promise<boolean> {
  const results = [await run(count, 'session'), await run(count, 'cookies')];
  return results.every(Boolean);
}
