/** `passport-powerfolder example`: the example app, written into a folder of somebody's own. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run } from '../support/command-line.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-example-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
const filesIn = (path: string) =>
  (readdirSync(path, { recursive: true }) as string[]).filter((file) => !file.startsWith('node_modules')).toSorted();

/** The sentence with which it refuses. */
async function problem(argv: string[]): Promise<string> {
  const { status, stdout, stderr } = await run(argv);
  expect([status, stdout]).toEqual([1, '']);
  return stderr.replace(/^passport-powerfolder: /, '').trimEnd();
}

it('writes all of it, and says how to go on', async () => {
  const target = join(folder, 'my-app');
  const { status, stdout, stderr } = await run(['example', target]);
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toContain(`cd ${target}\n  npm install\n  npm start\n`);
  expect(filesIn(target)).toEqual(filesIn(join(root, 'example-app')).filter((file) => file !== '.env'));
  const changed = filesIn(target).filter((file) => {
    try {
      return readFileSync(join(target, file), 'utf8') !== readFileSync(join(root, 'example-app', file), 'utf8');
    } catch {
      // A folder.
      return false;
    }
  });
  expect(changed).toEqual(['package.json']);
  const manifest = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8'));
  expect([manifest.name, manifest.dependencies['passport-powerfolder']]).toEqual(['my-app', `^${version}`]);
  expect(Object.keys(manifest.dependencies)).toEqual(Object.keys(manifest.dependencies).toSorted());
  expect(readdirSync(folder)).toEqual(['my-app']);
});

it.each([
  ['My App!', 'my-app'],
  ['.hidden', 'hidden'],
  ['Größe', 'gr-e'],
  ['日本', 'my-powerfolder-app'],
])('of a folder called "%s" is the package "%s"', async (name, expected) => {
  expect((await run(['example', join(folder, name)])).status).toBe(0);
  expect(JSON.parse(readFileSync(join(folder, name, 'package.json'), 'utf8')).name).toBe(expected);
});

it('makes the folders above it, and takes one that is empty', async () => {
  mkdirSync(join(folder, 'empty'));
  for (const target of ['a/b/c', 'empty']) {
    expect((await run(['example', join(folder, target)])).status).toBe(0);
    expect(readdirSync(join(folder, target))).toContain('server.ts');
  }
});

it('names a folder as a shell can read it', async () => {
  const { stdout } = await run(['example', join(folder, "it's $(here)")]);
  const [, line = ''] = /^ {2}(cd .*)$/m.exec(stdout) ?? [];
  const shown = execFileSync('sh', ['-c', `${line} && pwd`], { encoding: 'utf8' });
  expect(shown).toBe(`${join(folder, "it's $(here)")}\n`);
});

it('names a folder that begins with a hyphen so that it is no option of cd', async () => {
  const before = process.cwd();
  process.chdir(folder);
  try {
    const { stdout } = await run(['example', '--', '-my app']);
    const [, line = ''] = /^ {2}(cd .*)$/m.exec(stdout) ?? [];
    expect(execFileSync('sh', ['-c', `${line} && pwd`], { encoding: 'utf8' })).toBe(`${join(folder, '-my app')}\n`);
  } finally {
    process.chdir(before);
  }
});

describe('writes nothing over', () => {
  it('a folder that has something in it', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'mine');
    expect(await problem(['example', folder])).toBe(`${folder} is not empty. Give the name of a new folder.`);
    expect(readdirSync(folder)).toEqual(['mine.txt']);
  });

  it('a file', async () => {
    const file = join(folder, 'mine.txt');
    writeFileSync(file, 'mine');
    expect(await problem(['example', file])).toBe(`${file} is no folder that can be read, or cannot be made.`);
    expect(readFileSync(file, 'utf8')).toBe('mine');
  });

  it('what is below a file', async () => {
    writeFileSync(join(folder, 'mine.txt'), 'mine');
    const target = join(folder, 'mine.txt/app');
    expect(await problem(['example', target])).toBe(`${target} is no folder that can be read, or cannot be made.`);
  });

  it('what a link leads to', async () => {
    mkdirSync(join(folder, 'real'));
    writeFileSync(join(folder, 'real/mine.txt'), 'mine');
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    expect(await problem(['example', join(folder, 'link')])).toContain('is not empty');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
    expect(await problem(['example', join(folder, 'dangling')])).toContain('is no folder that can be read');
  });
});

it('leaves nothing behind where it cannot write', async () => {
  if (process.getuid?.() === 0) {
    process.stderr.write('NOT RUN: as root every folder can be written\n');
    return;
  }
  chmodSync(folder, 0o555);
  expect(await problem(['example', join(folder, 'app')])).toMatch(/cannot be written: EACCES/);
  chmodSync(folder, 0o755);
  expect(readdirSync(folder)).toEqual([]);
});

it('asks for a name where none is given', async () => {
  expect(await problem(['example'])).toBe('A directory is missing: passport-powerfolder example my-app.');
});

it('has tests of its own, which pass', () => {
  const output = execFileSync(process.execPath, ['--import', 'tsx', '--test', 'example-app/test/app.test.ts'], {
    cwd: root,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'], NODE_ENV: 'test' },
  });
  expect(output).toMatch(/# pass [1-9]/);
  expect(output).toMatch(/# fail 0/);
});
