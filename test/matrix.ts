/** Runs the tests of the sign-in on each supported version of Node, and prints what was run: `npm run test:matrix`. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const versions = ['20', '22', '24', '26'];
/** What depends on Node, Express, Passport and the session; the rest runs in `npm test`. */
const suites = [
  ...['authorization', 'node-oauth', 'state', 'strategy', 'token', 'verify'].map((name) => `test/unit/${name}.test`),
  ...['combinations', 'fake-timers', 'sign-in', 'timeouts'].map((name) => `test/sign-in/${name}.test`),
  'test/frameworks/',
  'test/package/warnings.test',
  'test/example-app/users.test',
];
/** Milliseconds; only against a run that hangs. */
const longest = 900_000;

/** The part of jest's report that is read here. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  numTotalTests: number;
  testResults: {
    status: string;
    message: string;
    assertionResults: { ancestorTitles: string[]; status: string }[];
  }[];
}

interface Run {
  /** As Node says it, such as v22.12.0. */
  node: string;
  seconds: number;
  report: Report | undefined;
}

function run(version: string, folder: string): Run {
  const file = join(folder, `${version}.json`);
  const jest = `node node_modules/jest/bin/jest.js --forceExit --json --outputFile=${file} ${suites.join(' ')}`;
  const started = Date.now();
  const { stdout, stderr } = spawnSync('npx', ['-y', '-p', `node@${version}`, '-c', `node --version && ${jest}`], {
    encoding: 'utf8',
    timeout: longest,
    killSignal: 'SIGKILL',
  });
  const seconds = (Date.now() - started) / 1000;
  const node = stdout.split('\n', 1)[0] || version;
  try {
    return { node, seconds, report: JSON.parse(readFileSync(file, 'utf8')) };
  } catch {
    console.error(`Node ${version} gave no report after ${seconds.toFixed(0)} s:\n${stderr}`);
    return { node, seconds, report: undefined };
  }
}

/** Passed and all tests of each combination of Express, Passport and session. */
function combinations({ report }: Run): Map<string, string> {
  const counts = new Map<string, [passed: number, all: number]>();
  for (const { ancestorTitles, status } of report?.testResults.flatMap((suite) => suite.assertionResults) ?? []) {
    const [title = ''] = ancestorTitles;
    if (!/^Express \d, Passport /.test(title)) continue;
    const [passed, all] = counts.get(title) ?? [0, 0];
    counts.set(title, [passed + Number(status === 'passed'), all + 1]);
  }
  return new Map([...counts].map(([title, [passed, all]]) => [title, `${passed}/${all}`]));
}

function table(runs: Run[]): string {
  const columns = runs.map(combinations);
  const titles = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  const rows = [
    ['tests passed', ...runs.map(({ node }) => node)],
    ...titles.map((title) => [title, ...columns.map((column) => column.get(title) ?? 'not run')]),
    ['all', ...runs.map(({ report }) => (report ? `${report.numPassedTests}/${report.numTotalTests}` : 'no report'))],
    ['seconds', ...runs.map(({ seconds }) => seconds.toFixed(1))],
  ];
  const width = Math.max(...rows.map(([first = '']) => first.length));
  return rows
    .map(([first = '', ...cells]) => [first.padEnd(width), ...cells.map((cell) => cell.padStart(10))].join('  '))
    .join('\n');
}

const folder = mkdtempSync(join(tmpdir(), 'matrix-'));
const runs = versions.map((version) => run(version, folder));
rmSync(folder, { recursive: true });
for (const { node, report } of runs) {
  for (const { message } of report?.testResults ?? []) if (message) console.error(`${node}\n${message}`);
}
console.log(`${suites.join(', ')}\n\n${table(runs)}`);

const problems = runs.flatMap((run, index) => {
  const { node, report } = run;
  if (!node.startsWith(`v${versions[index]}.`))
    return `npx brought Node ${node} where ${versions[index]} was asked for.`;
  if (!report || report.numFailedTests > 0 || report.testResults.some(({ status }) => status !== 'passed')) {
    return `Tests failed with Node ${node}.`;
  }
  return combinations(run).size === 16 ? [] : `Not all combinations were run with Node ${node}.`;
});
for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
