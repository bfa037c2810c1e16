/**
 * Mutation testing by module: `npm run mutation` for the modules of lib that have changed since their figures were taken,
 * `npm run mutation -- state token` for these. The figures are kept in docs/mutation.json, after each module, so that a run
 * that was interrupted goes on where it was.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '..');
const kept = join(root, 'docs/mutation.json');
const report = join(root, 'reports/mutation.json');

interface Figures {
  /** Killed and timed out, of all that ran, in per cent. */
  score: number;
  killed: number;
  timedOut: number;
  survived: number;
  notCovered: number;
  date: string;
  /** Of the module, by which it is seen to have changed. */
  digest: string;
}

/** What is read here of the report, which is of the format mutation-testing-report-schema. */
interface Report {
  files: Record<string, { mutants: { status: string }[] }>;
}

const figures: Record<string, Figures> = JSON.parse(readFileSync(kept, 'utf8'));
const digestOf = (module: string) =>
  createHash('sha256')
    .update(readFileSync(join(root, 'lib', `${module}.ts`)))
    .digest('hex')
    .slice(0, 16);

function measure(module: string): Figures | undefined {
  rmSync(report, { force: true });
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const { status } = spawnSync(process.execPath, [stryker, 'run', '--mutate', `lib/${module}.ts`], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) return undefined;
  const { files }: Report = JSON.parse(readFileSync(report, 'utf8'));
  const mutants = Object.values(files).flatMap((file) => file.mutants);
  const count = (...statuses: string[]) => mutants.filter((mutant) => statuses.includes(mutant.status)).length;
  const [killed, timedOut, survived] = [count('Killed'), count('Timeout'), count('Survived')];
  const notCovered = count('NoCoverage');
  const all = killed + timedOut + survived + notCovered;
  const score = Math.round((10_000 * (killed + timedOut)) / Math.max(all, 1)) / 100;
  return {
    score,
    killed,
    timedOut,
    survived,
    notCovered,
    date: new Date().toISOString().slice(0, 10),
    digest: digestOf(module),
  };
}

/** All but the list of public names. */
const modules = readdirSync(join(root, 'lib'))
  .filter((file) => file.endsWith('.ts') && file !== 'index.ts')
  .map((file) => file.slice(0, -'.ts'.length));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((module) => !modules.includes(module));
if (unknown.length > 0) {
  console.error(`There is no module ${unknown.join(', ')}; there are ${modules.join(', ')}.`);
  process.exit(1);
}
const changed = modules.filter((module) => figures[module]?.digest !== digestOf(module));
for (const module of wanted.length > 0 ? wanted : changed) {
  const measured = measure(module);
  if (!measured) {
    process.exitCode = 1;
    break;
  }
  figures[module] = measured;
  const sorted = Object.fromEntries(Object.entries(figures).sort(([one], [other]) => one.localeCompare(other)));
  writeFileSync(kept, `${JSON.stringify(sorted, null, 2)}\n`);
  console.log(`${module}: ${measured.score} %`);
}
