/**
 * Tries random inputs on what gets input from others, for as long as there is time:
 * `npm run fuzz -- [--minutes N] [--seed N] [--only PROPERTY] [--path PATH]`.
 */
import { inspect, parseArgs } from 'node:util';
import fc from 'fast-check';
import { properties } from './properties.ts';
import { type FuzzProperty, lastInput } from './property.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string' },
    only: { type: 'string' },
    path: { type: 'string' },
  },
});
const minutes = Number(values.minutes);
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const chosen = properties.filter(({ name }) => values.only === undefined || name === values.only);
if (!(minutes > 0) || !Number.isInteger(seed)) throw new TypeError('--minutes and --seed take a number');
if (chosen.length === 0) throw new TypeError(`--only takes one of ${properties.map(({ name }) => name).join(', ')}`);
if (values.path !== undefined && chosen.length > 1) throw new TypeError('--path needs --only');

/** Milliseconds; only against an input that hangs. */
const longest = 30_000;
/** Milliseconds in which a failure is made smaller. */
const shrinking = 60_000;

/** @returns whether it held. */
async function tried({ name, says, start }: FuzzProperty, milliseconds: number): Promise<boolean> {
  const { property, inputs, ends, close } = await start();
  const begun = performance.now();
  const parameters = { seed, numRuns: Number.MAX_SAFE_INTEGER, timeout: longest };
  const path = values.path === undefined ? {} : { path: values.path };
  let found = await fc.check(property, { ...parameters, ...path, interruptAfterTimeLimit: milliseconds });
  const seconds = (performance.now() - begun) / 1000;
  const count = inputs();
  if (found.failed && found.counterexamplePath) {
    // The time may have been up before it was small.
    const from = { path: found.counterexamplePath, interruptAfterTimeLimit: shrinking };
    const smaller = await fc.check(property, { ...parameters, ...from });
    if (smaller.failed) found = smaller;
  }
  const last: unknown = found.failed ? undefined : await lastInput(longest).catch((error) => error);
  await close();
  const kinds = Object.entries(ends()).map(([end, times]) => `${times} ${end}`);
  console.log(`${name}: ${count} inputs in ${seconds.toFixed(0)} s (${kinds.slice(0, 12).join(', ')})`);
  if (last) {
    // Which input it was nobody has noted; but the seed leads there.
    console.log(
      `\n${name} does not hold: ${says}\n${inspect(last)}\nTo repeat: npm run fuzz -- --seed ${seed} --only ${name}, for longer\n`,
    );
    return false;
  }
  if (!found.failed) return true;
  console.log(`\n${name} does not hold: ${says}`);
  console.log(inspect(found.counterexample?.[0], { depth: 20, breakLength: 120, maxStringLength: 4000 }));
  console.log(found.errorInstance instanceof Error ? found.errorInstance.message : inspect(found.errorInstance));
  console.log(`To repeat: npm run fuzz -- --seed ${seed} --only ${name} --path ${found.counterexamplePath}\n`);
  return false;
}

async function run(): Promise<void> {
  console.log(`Seed ${seed}, ${minutes} minutes`);
  for (const property of chosen) {
    if (!(await tried(property, (minutes * 60_000) / chosen.length))) process.exitCode = 1;
  }
  // Of an input that was broken off something may still be waiting.
  process.stdout.write('', () => process.exit());
}

void run();
