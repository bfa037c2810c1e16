/**
 * `npm run soak`: whether anything grows or leaks in hours. All of its parts, or those that are named:
 * `-- --sign-ins 300000`, that many sign-ins of one application, with pending ones in the session and then in cookies;
 * `-- --example 20000`, that many in the example app, with Redis;
 * `-- --faults-minutes 60`, so long with a server, and visitors, that do what they should not.
 */
import { parseArgs } from 'node:util';
import { soakExample } from './soak/example.ts';
import { soakFaults } from './soak/faults.ts';
import { endAll } from './soak/processes.ts';
import { soakSignIns } from './soak/sign-ins.ts';

interface Part {
  name: 'sign-ins' | 'example' | 'faults-minutes';
  usual: number;
  /** Gives whether all is well. */
  run: (amount: number) => Promise<boolean>;
}

const parts: Part[] = [
  { name: 'sign-ins', usual: 300_000, run: soakSignIns },
  { name: 'example', usual: 20_000, run: soakExample },
  { name: 'faults-minutes', usual: 60, run: soakFaults },
];

async function main(): Promise<void> {
  const string = { type: 'string' } as const;
  const { values } = parseArgs({ options: { 'sign-ins': string, example: string, 'faults-minutes': string } });
  const named = parts.filter(({ name }) => values[name] !== undefined);
  for (const { name, usual, run } of named.length > 0 ? named : parts) {
    const amount = Number(values[name] ?? usual);
    if (!(amount > 0)) throw new TypeError(`--${name} must be a number`);
    try {
      if (!(await run(amount))) process.exitCode = 1;
    } finally {
      await endAll();
    }
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    console.error(`Broken off by ${signal}.`);
    void endAll().finally(() => process.exit(1));
  });
}
main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
