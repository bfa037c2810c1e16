/** `passport-powerfolder example` */
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command, Values } from './arguments.ts';
import { type CommandLine, Mistake, packageVersion } from './terminal.ts';

export const example: Command = {
  summary: 'Writes the example app into a new folder, to begin your own with.',
  help: `Usage: passport-powerfolder example DIRECTORY

Writes the example app into a folder: an Express app whose users sign in with their
PowerFolder account and use their folders, with tests and a README. The folder must be
new or empty; nothing is written over.

  --help  print this

  npx passport-powerfolder example my-app
  cd my-app && npm install && npm start
`,
  options: {},
  argument: 'directory',
  run,
};

/** Beside the folder of the command line, in the package and in its sources. */
const source = join(__dirname, '../..', 'example-app');

/** Of what is beside the sources where somebody works on them, nothing is copied. */
const others = new Set(['node_modules', '.env']);

/** npm leaves files of this name out of packages. */
const ignored = 'node_modules/\n.env\n*.sqlite*\n';

async function run({ argument }: Values, { stdout }: CommandLine): Promise<number> {
  if (typeof argument !== 'string') throw new Mistake('A directory is missing: passport-powerfolder example my-app.');
  const target = resolve(argument);
  refuseWhatIsThere(target, argument);
  // Beside it first: a copy that is broken off is not taken for a whole one.
  const part = join(dirname(target), `.${basename(target)}.part-${process.pid}`);
  try {
    mkdirSync(part, { recursive: true });
  } catch (error) {
    throw unwritable(argument, error);
  }
  try {
    cpSync(source, part, { recursive: true, filter: (path) => !others.has(basename(path)) });
    writeFileSync(join(part, '.gitignore'), ignored);
    nameAfter(target, part);
    rmSync(target, { recursive: true, force: true });
    renameSync(part, target);
  } catch (error) {
    rmSync(part, { recursive: true, force: true });
    throw unwritable(argument, error);
  }
  stdout.write(`The example app is in ${argument}. Its README says what is where. To begin:

  cd ${inShell(argument)}
  npm install
  npm start
`);
  return 0;
}

/** A path as a word of the shell. What begins with a hyphen would be an option of `cd`. */
function inShell(path: string): string {
  const operand = path.startsWith('-') ? `./${path}` : path;
  return /^[\w./-]+$/.test(operand) ? operand : `'${operand.replaceAll("'", "'\\''")}'`;
}

function unwritable(argument: string, error: unknown): Mistake {
  return new Mistake(`${argument} cannot be written: ${(error as NodeJS.ErrnoException).code ?? 'it failed'}.`);
}

/** @throws {Mistake} unless the folder is new or empty. */
function refuseWhatIsThere(target: string, argument: string): void {
  let entries: string[] = [];
  try {
    // A link that leads nowhere is somebody's, too.
    if (lstatSync(target, { throwIfNoEntry: false })) entries = readdirSync(target);
  } catch {
    throw new Mistake(`${argument} is no folder that can be read, or cannot be made.`);
  }
  if (entries.length > 0) throw new Mistake(`${argument} is not empty. Give the name of a new folder.`);
}

/** Gives the copy the name of its folder, and the package that it was made by. */
function nameAfter(target: string, part: string): void {
  const file = join(part, 'package.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as { name: string; dependencies: Record<string, string> };
  const name = basename(target)
    .toLowerCase()
    .replace(/[^a-z\d._-]+/g, '-')
    .replace(/^[._-]+|-+$/g, '');
  if (name) manifest.name = name;
  manifest.dependencies['passport-powerfolder'] = `^${packageVersion()}`;
  manifest.dependencies = Object.fromEntries(Object.entries(manifest.dependencies).sort());
  writeFileSync(file, `${JSON.stringify(manifest, null, 2)}\n`);
}
