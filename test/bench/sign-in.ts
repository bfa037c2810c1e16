/**
 * `npm run bench`: what a whole sign-in costs, compared with what people use otherwise, and what it leaves in memory.
 * `-- --at 16` has 16 visitors at once, in the place of 8.
 * With `-- --tls` the token endpoint is reached by TLS; `-- --memory` reports memory alone. With `-- --beside FOLDER`, as
 * often as wanted, this code is compared with that of other checkouts, and with the reference only.
 *
 * Measured is the CPU time of the application's process, since time by the clock is also the neighbours'. The contestants
 * take short turns, so that what the machine does otherwise meets all of them alike; and they come in several crews of
 * new processes, since of two processes that do the same one may be faster for all its life. Each turn begins with
 * sign-ins that do not count: what a process does after a wait is not what it does under load.
 */
import { type ChildProcess, execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';

const crews = 4;
const roundsPerCrew = 2;
const turnsPerRound = 5;
const signInsPerTurn = 200;
/** As many as there are from one large garbage collection to the next, which takes as much as a hundred sign-ins. */
const signInsPerRound = turnsPerRound * signInsPerTurn;
/** Sign-ins at the beginning of a turn: the first ones after a wait cost up to a third more. */
const uncountedPerTurn = 50;
/** Sign-ins until what is used often is compiled: before that each costs up to three times as much. */
const warmUp = 3000;
const { tls, memory, beside, at } = parseArgs({
  options: {
    tls: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
    beside: { type: 'string', multiple: true, default: [] },
    at: { type: 'string', default: '8' },
  },
}).values;

/** How many visitors sign in at once. */
const concurrency = Number(at);

const root = join(__dirname, '../..');
/** Where the bench of a checkout is compiled to. */
const compiledIn = (checkout: string) => join(checkout, 'node_modules/.cache/passport-powerfolder-bench/test/bench');
const compiled = compiledIn(root);
const client = { clientID: 'bench', clientSecret: 'a secret of the bench and its server' };

interface Result {
  name: string;
  /** Whose code it is. */
  checkout: string;
  /** CPU milliseconds for a sign-in, by round. */
  cost: number[];
  /** To the token endpoint. */
  connections: number;
}

/** The first is what the others are compared with. */
const results: Result[] = [
  { name: 'passport-oauth2', checkout: root },
  { name: 'passport-powerfolder', checkout: root },
  ...(beside.length > 0
    ? beside.map((checkout) => ({ name: 'passport-powerfolder', checkout }))
    : ['… cookies', '… cookies, no session', 'openid-client', 'simple-oauth2', 'by hand'].map((name) => ({
        name,
        checkout: root,
      }))),
].map((contestant) => ({ ...contestant, cost: [], connections: 0 }));

interface Application {
  result: Result;
  process: ChildProcess;
  browser: Pool;
}

async function ask<T>(child: ChildProcess, question?: string): Promise<T> {
  if (question !== undefined) child.send(question);
  const [answer] = await once(child, 'message');
  return answer as T;
}

const cookiesOf = (headers: Record<string, string | string[] | undefined>) =>
  [headers['set-cookie'] ?? []].flat().map((line) => line.split(';', 1)[0] ?? '');

/** From the first click to the way home. Only PowerFolder's strategy is answered as PowerFolder answers. */
async function signIn({ result: { name }, browser }: Application): Promise<void> {
  const start = await browser.request({ path: '/auth', method: 'GET' });
  await start.body.dump();
  const state = new URL(String(start.headers['location'])).searchParams.get('state');
  const cookie = cookiesOf(start.headers).join('; ');
  const isOurs = name === 'passport-powerfolder' || name.startsWith('…');
  const path = `/oauth${isOurs ? '/' : '?'}code=code&state=${state}`;
  const end = await browser.request({ path, method: 'GET', headers: { cookie } });
  await end.body.dump();
  const session = cookiesOf(end.headers).find((each) => each.startsWith('connect.sid='));
  if (end.statusCode !== 302 || end.headers['location'] !== '/' || !session || cookie.includes(session)) {
    throw new Error(`${name} did not sign in: status ${end.statusCode}`);
  }
}

async function signInManyTimes(application: Application, count: number): Promise<void> {
  let left = count;
  const visitor = async () => {
    while (left-- > 0) await signIn(application);
  };
  await Promise.all(Array.from({ length: concurrency }, visitor));
}

async function takeTurn(application: Application, round: number, server: ChildProcess): Promise<void> {
  const { result, process } = application;
  await signInManyTimes(application, uncountedPerTurn);
  const connections = await ask<number>(server, 'connections');
  const begin = await ask<number>(process, 'cpu');
  await signInManyTimes(application, signInsPerTurn);
  const milliseconds = ((await ask<number>(process, 'cpu')) - begin) / 1000;
  result.cost[round] = (result.cost[round] ?? 0) + milliseconds / signInsPerRound;
  result.connections += (await ask<number>(server, 'connections')) - connections;
}

async function benchCrew(crew: number): Promise<void> {
  const fixtures = join(root, 'test/fixtures/tls');
  const server = fork(join(compiled, 'token-server.js'), [client.clientSecret, ...(tls ? [fixtures] : [])]);
  const settings = JSON.stringify({ serverURL: await ask<string>(server), ...client });
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(fixtures, 'ca.pem') };
  const applications: Application[] = [];
  for (const result of results) {
    const child = fork(join(compiledIn(result.checkout), 'application.js'), [result.name, settings], { env });
    const browser = new Pool(await ask<string>(child), { connections: concurrency, keepAliveTimeout: 290_000 });
    applications.push({ result, process: child, browser });
  }
  // In turns, too: who waits for long has some compiled code thrown away.
  for (let done = 0; done < warmUp; done += signInsPerTurn) {
    for (const application of applications) await signInManyTimes(application, signInsPerTurn);
  }
  for (let round = crew * roundsPerCrew; round < (crew + 1) * roundsPerCrew; round++) {
    for (let turn = 0; turn < turnsPerRound * applications.length; turn++) {
      const application = applications[(round + turn) % applications.length] as Application;
      await takeTurn(application, round, server);
    }
  }
  for (const application of applications) {
    await application.browser.close();
    application.process.disconnect();
  }
  server.disconnect();
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? Number.NaN) + (sorted[sorted.length >> 1] ?? Number.NaN)) / 2;
}

function spread(values: number[], digits: number): string {
  const [middle, least, most] = [median(values), Math.min(...values), Math.max(...values)];
  return `${middle.toFixed(digits)} (${least.toFixed(digits)}–${most.toFixed(digits)})`;
}

function printResults(): void {
  const rounds = crews * roundsPerCrew;
  const [reference] = results as [Result];
  console.log(`Node ${process.version.slice(1)}, ${rounds} rounds of ${signInsPerRound} sign-ins, ${crews} processes each,
${concurrency} visitors at once. CPU milliseconds of the application's process for a sign-in; the same over ${reference.name}'s of the
same round; new connections to the token endpoint for 100 sign-ins. Medians (least–most).
`);
  console.log(`${''.padEnd(22)}${'CPU ms'.padEnd(22)}${'ratio'.padEnd(20)}connections`);
  for (const { name, checkout, cost, connections } of results) {
    const ratios = cost.map((each, round) => each / (reference.cost[round] ?? Number.NaN));
    const per100 = Math.round((connections / (rounds * signInsPerRound)) * 100);
    const label = checkout === root ? name : checkout.slice(-21);
    console.log(`${label.padEnd(22)}${spread(cost, 3).padEnd(22)}${spread(ratios, 2).padEnd(20)}${per100}`);
  }
  console.log();
}

async function main(): Promise<void> {
  for (const checkout of new Set(results.map((result) => result.checkout))) {
    const tsc = join(root, 'node_modules/typescript/bin/tsc');
    execFileSync(process.execPath, [tsc, '-p', join(checkout, 'test/bench')], { stdio: 'inherit' });
  }
  if (!memory) {
    for (let crew = 0; crew < crews; crew++) await benchCrew(crew);
    printResults();
  }
  if (beside.length > 0) return;
  const child = fork(join(compiled, 'memory.js'), [], { execArgv: ['--expose-gc'] });
  await once(child, 'exit');
}

void main();
