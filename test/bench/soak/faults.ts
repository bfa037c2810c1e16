/**
 * A server that goes wrong in every way, and visitors who do: what comes of it, by code, and whether anything is left. One
 * scene after the other, so that a fault meets whom it is for, with as long a pause between them as they took.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { request } from 'undici';
import { Browser, type Page } from '../../support/browser.ts';
import { compileBench } from '../../support/compiled.ts';
import { cpuSeconds } from '../linux.ts';
import type { ApplicationMeasure, ApplicationSettings } from './application.ts';
import type { Measure } from './measure.ts';
import type { PowerFolder } from './power-folder.ts';
import { ask, measureCells, measureTitles, printRow, printTitles, start } from './processes.ts';

const timeout = 500;
const stateTTL = 20_000;
const shortestPause = 20;
/** Milliseconds after which a visitor leaves, while the server says nothing. */
const leavesAfter = 150;

/** What came of a scene, and what may come of it. */
type Outcome = [outcome: string, expected: string[]];
type Play = () => Promise<Outcome>;

/** Somebody with an answer of the server's that is not used yet. */
interface Allowed {
  browser: Browser;
  callback: string;
  at: number;
}

export async function soakFaults(minutes: number): Promise<boolean> {
  const server = await start<PowerFolder>(compileBench('soak/power-folder'), []);
  const { url: serverURL, clientID, clientSecret, faults } = server.said;
  const settings = { serverURL, clientID, clientSecret, skipUserProfile: false, stateTTL, timeout };
  const args = [JSON.stringify({ ...settings, pending: 'session' } satisfies ApplicationSettings)];
  const application = await start<string>(compileBench('soak/application'), args);
  const app = application.said;
  const fail = (index: number) => ask(server.child, { fail: index });
  const indexOf = (name: string) => faults.findIndex((fault) => fault.name === name);

  async function allowed(browser = new Browser()): Promise<Allowed> {
    const begun = await browser.stay(`${app}/auth`);
    const page = await browser.stay(String(begun.headers['location']));
    return { browser, callback: String(page.headers['location']), at: performance.now() };
  }

  async function complete({ browser, callback }: Pick<Allowed, 'browser' | 'callback'>): Promise<string> {
    return outcomeOf(await browser.stay(callback));
  }

  const signIn = async () => await complete(await allowed());

  const spoilt = async (index: number): Promise<Outcome> => {
    await fail(index);
    return [await signIn(), [faults[index]?.code ?? '']];
  };

  const left: Allowed[] = [];

  const scenes: Play[] = [
    async function healthy() {
      const visit = await allowed();
      const outcome = await complete(visit);
      await visit.browser.stay(`${app}/sign-out`, { method: 'POST' });
      return [outcome, ['signed in']];
    },
    async function inTheSameSession() {
      const visit = await allowed();
      await complete(visit);
      return [await complete(await allowed(visit.browser)), ['signed in']];
    },
    async function abandoned() {
      for (let tabs = 0; tabs < 10; tabs++) await new Browser().stay(`${app}/auth`);
      return ['abandoned', ['abandoned']];
    },
    async function late() {
      if (left.length < 200) left.push(await allowed());
      const [oldest] = left as [Allowed];
      if (performance.now() - oldest.at < stateTTL + 1000) return ['abandoned', ['abandoned']];
      left.shift();
      // Its session has ended, if it was left for longer.
      return [await complete(oldest), ['state_expired', 'state_unknown', 'session_missing']];
    },
    async function leaves() {
      const { browser, callback } = await allowed();
      await fail(indexOf('silence'));
      const signal = AbortSignal.timeout(leavesAfter);
      const outcome = await request(callback, { headers: { cookie: browser.cookies(app) }, signal, reset: true }).then(
        () => 'answered',
        () => 'gone',
      );
      await pause(timeout);
      return [outcome, ['gone']];
    },
    async function forgedWithoutSession() {
      const { callback } = await allowed();
      return [await complete({ browser: new Browser(), callback }), ['session_missing']];
    },
    async function forgedWithAnothersState() {
      const { callback } = await allowed();
      const { browser } = await allowed();
      return [await complete({ browser, callback }), ['state_unknown']];
    },
    async function forgedCode() {
      const { browser, callback } = await allowed();
      return [await complete({ browser, callback: callback.replace(/code=[^&]*/, 'code=forged') }), ['invalid_grant']];
    },
    async function withoutState() {
      const { browser } = await allowed();
      return [await complete({ browser, callback: `${app}/oauth/code=forged` }), ['state_missing']];
    },
    async function nothingOrTooMuch() {
      const { browser } = await allowed();
      await complete({ browser, callback: `${app}/oauth/code=forged&state=${'x'.repeat(12_000)}` });
      return [await complete({ browser, callback: `${app}/oauth` }), ['invalid_callback']];
    },
    async function declined() {
      const { browser, callback } = await allowed();
      const declined = callback.replace(/code=[^&]*/, 'error=access_denied');
      return [await complete({ browser, callback: declined }), ['access_denied']];
    },
    async function replayed() {
      const { browser, callback } = await allowed();
      const cookies = browser.cookies(app);
      const first = await complete({ browser, callback });
      if (first !== 'signed in') return [first, ['signed in']];
      const thief = new Browser();
      thief.setCookies(app, cookies);
      return [await complete({ browser: thief, callback }), ['state_unknown', 'session_missing', 'state_used']];
    },
    async function replayedAtOnce() {
      const { browser, callback } = await allowed();
      const cookies = browser.cookies(app);
      const outcomes = await Promise.all(
        Array.from({ length: 5 }, () => {
          const copy = new Browser();
          copy.setCookies(app, cookies);
          return complete({ browser: copy, callback });
        }),
      );
      const signedIn = outcomes.filter((outcome) => outcome === 'signed in').length;
      return [`${signedIn} of 5 at once`, ['1 of 5 at once']];
    },
    async function manyAtOnce() {
      const ofToken = faults.flatMap(({ endpoint, code }, i) =>
        endpoint === 'token' && code !== 'timeout' ? [i] : [],
      );
      for (let i = 0; i < 4; i++) await fail(ofToken[Math.floor(Math.random() * ofToken.length)] as number);
      const outcomes = await Promise.all(Array.from({ length: 8 }, signIn));
      const signedIn = outcomes.filter((outcome) => outcome === 'signed in').length;
      // A slow answer is a fault, and yet one.
      return [`${signedIn >= 4 ? '4 or more' : signedIn} of 8 at once`, ['4 or more of 8 at once']];
    },
    async function away() {
      const visit = await allowed();
      await ask(server.child, 'away');
      const outcome = await complete(visit);
      await ask(server.child, 'back');
      return [outcome, ['unreachable']];
    },
    async function standsStill() {
      const visit = await allowed();
      server.child.kill('SIGSTOP');
      const outcome = await complete(visit);
      server.child.kill('SIGCONT');
      return [outcome, ['timeout']];
    },
  ];

  const outcomes = new Map<string, number>();
  const surprises = new Map<string, number>();
  const count = (counts: Map<string, number>, name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);

  async function play(name: string, scene: Play): Promise<void> {
    const [outcome, expected] = await scene();
    count(outcomes, outcome);
    if (!expected.includes(outcome)) count(surprises, `${name}: ${outcome} in place of ${expected.join(' or ')}`);
  }

  console.log(
    `\n${minutes} minutes with ${faults.length} faults and ${scenes.length} scenes; the application's process:`,
  );
  printTitles(['minute', 'scenes', 'cores', ...measureTitles, 'sessions', 'server: descriptors']);
  const begin = performance.now();
  const pids = [application.pid, server.pid];
  let played = 0;
  let cpu = cpuSeconds(...pids, process.pid);
  for (let minute = 1; minute <= Math.ceil(minutes); minute++) {
    const until = begin + Math.min(minute, minutes) * 60_000;
    const started = performance.now();
    while (performance.now() < until) {
      const scene = scenes[(played >> 1) % scenes.length] as Play;
      const fault = (played >> 1) % faults.length;
      const before = performance.now();
      // Now a fault, now a visitor.
      if (played % 2 === 0) await play(`${faults[fault]?.endpoint}, ${faults[fault]?.name}`, () => spoilt(fault));
      else await play(scene.name, scene);
      played++;
      await pause(Math.max(shortestPause, performance.now() - before));
    }
    const used = cpuSeconds(...pids, process.pid) - cpu;
    cpu += used;
    const cores = (used / ((performance.now() - started) / 1000)).toFixed(2);
    const measured = await ask<ApplicationMeasure>(application.child, 'measure');
    const ofServer = measureCells(server.pid, await ask<Measure>(server.child, 'measure'));
    printRow([
      minute,
      played,
      cores,
      ...measureCells(application.pid, measured),
      measured.sessions,
      String(ofServer[2]),
    ]);
  }

  printTitles(['outcome', 'times']);
  for (const row of [...outcomes].sort(([, a], [, b]) => b - a)) printRow(row);
  printTitles(['not as expected', 'times']);
  for (const row of surprises) printRow(row);
  const last = await signIn();
  console.log(`\nA healthy sign-in at the end: ${last}.`);
  return last === 'signed in' && surprises.size === 0;
}

function outcomeOf({ status, headers, text }: Page): string {
  if (status === 302 && headers['location'] === '/') return 'signed in';
  try {
    return (JSON.parse(text) as { code: string }).code;
  } catch {
    return `status ${status}`;
  }
}
