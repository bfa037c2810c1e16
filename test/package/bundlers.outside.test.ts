/** The packed package in bundles, and in other runtimes than Node: each signs somebody in. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';

const repository = join(__dirname, '../..');
/** The versions are what docs/compatibility.md names. */
const tools = [
  'webpack@5.113.0',
  'rollup@4',
  '@rollup/plugin-commonjs@29',
  '@rollup/plugin-node-resolve@16',
  '@rollup/plugin-json@6',
  'deno@2.9.6',
  'bun@1.4.5',
];

let folder: string;
let powerfolder: PowerFolderServer;
const inFolder = (name: string) => join(folder, name);
const run = (command: string, args: string[], cwd = folder) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-bundles-'));
  writeFileSync(inFolder('package.json'), '{ "private": true }');
  const out = run('npm', ['pack', '--json', '--pack-destination', folder], repository);
  const [{ filename }] = JSON.parse(out.slice(out.search(/^\[\s*\{/m)));
  run('npm', [
    ...['install', '--no-audit', '--no-fund', inFolder(filename)],
    ...['express@5.3.0', 'express-session@1.19.0', 'passport@0.7.0', ...tools],
  ]);
  copyFileSync(join(__dirname, '../fixtures/bundled-app.mjs'), inFolder('app.mjs'));
  powerfolder = await startPowerFolderServer({ autoApprove: 'ada' });
}, 300_000);
afterAll(async () => {
  await powerfolder?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** What a visitor gets who signs in at the application that the command starts. */
async function signInAt(command: string, ...args: string[]): Promise<unknown> {
  const child = spawn(command, args, {
    cwd: folder,
    env: {
      ...process.env,
      NODE_OPTIONS: '',
      POWERFOLDER_URL: powerfolder.url,
      POWERFOLDER_CLIENT_ID: powerfolder.clientID,
      POWERFOLDER_CLIENT_SECRET: powerfolder.clientSecret,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  try {
    const page = await new Browser().visit(`${await addressOf(child)}/auth/powerfolder`);
    return page.status === 200 ? JSON.parse(page.text) : `${page.status} ${page.text}`;
  } finally {
    child.kill();
    await ended;
  }
}

async function addressOf({ stdout, stderr }: ChildProcess): Promise<string> {
  let output = '';
  stderr?.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  for await (const text of stdout ?? []) {
    output += text;
    const [, url] = /^listening at (\S+)$/m.exec(output) ?? [];
    if (url) return url;
  }
  throw new Error(`The application ended: ${output}`);
}

const signedIn = { user: { name: 'ada', token: true }, state: { returnTo: '/x' } };

describe('a bundle', () => {
  it.each<[string, string, object]>([
    ['CommonJS', 'esbuild.cjs', { format: 'cjs' }],
    ['CommonJS, minified', 'esbuild-minified.cjs', { format: 'cjs', minify: true }],
    [
      'ES modules',
      'esbuild.mjs',
      {
        format: 'esm',
        banner: {
          js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
        },
      },
    ],
  ])('by esbuild signs in: %s', async (_, outfile, options) => {
    await build({
      entryPoints: [inFolder('app.mjs')],
      bundle: true,
      platform: 'node',
      target: 'node20',
      outfile: inFolder(outfile),
      logLevel: 'error',
      ...options,
    });
    expect(await signInAt(process.execPath, outfile)).toEqual(signedIn);
  });

  it('by webpack signs in, minified', async () => {
    const config = `require('webpack')(
      { mode: 'production', target: 'node20', entry: './app.mjs', output: { path: __dirname, filename: 'webpack.cjs' } },
      (error, stats) => {
        if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString());
      },
    )`;
    writeFileSync(inFolder('webpack.config.cjs'), config);
    run(process.execPath, ['webpack.config.cjs']);
    expect(await signInAt(process.execPath, 'webpack.cjs')).toEqual(signedIn);
  });

  it('by rollup signs in, with the line that docs/compatibility.md has for Node 20', async () => {
    const [, line] =
      /`(commonjs\(\{ ignore: \['node:sqlite'\] \}\))`/.exec(
        readFileSync(join(repository, 'docs/compatibility.md'), 'utf8'),
      ) ?? [];
    const config = `
      import commonjs from '@rollup/plugin-commonjs';
      import json from '@rollup/plugin-json';
      import resolve from '@rollup/plugin-node-resolve';
      const plugins = [resolve({ preferBuiltins: true, exportConditions: ['node'] }), ${line}, json()];
      export default { input: 'app.mjs', output: { file: 'rollup.mjs', format: 'es' }, plugins, logLevel: 'silent' };`;
    writeFileSync(inFolder('rollup.config.mjs'), config);
    run(process.execPath, ['node_modules/rollup/dist/bin/rollup', '-c', 'rollup.config.mjs']);
    expect(await signInAt(process.execPath, 'rollup.mjs')).toEqual(signedIn);
  });
});

describe('another runtime', () => {
  it.each([
    ['Deno', 'deno', ['run', '-A', 'app.mjs']],
    ['Bun', 'bun', ['app.mjs']],
  ])('%s signs in', async (_, program, args) => {
    expect(await signInAt(inFolder(`node_modules/.bin/${program}`), ...args)).toEqual(signedIn);
  });
});
