/**
 * What test/types expects of the types, of the packed package: under the versions of TypeScript and of Express's types, and
 * the ways to resolve modules, that applications have. Needs the npm registry.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { complaintsOf, expectations, unmet, withoutExpectations } from '../support/type-mistakes.ts';

const repository = join(__dirname, '../..');
const sources = join(repository, 'test/types');
// @nestjs/passport has a matrix of its own; here are none of its packages.
const files = readdirSync(sources).filter((file) => file.endsWith('.ts') && file !== 'nest.ts');
const source = (file: string) => readFileSync(join(sources, file), 'utf8');

const typeScripts = ['5.0', '5.4', '5.9', '7'];
const resolutions = {
  node10: { module: 'commonjs', moduleResolution: 'node10' },
  node16: { module: 'node16', moduleResolution: 'node16' },
  nodenext: { module: 'nodenext', moduleResolution: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
};

const ways = Object.keys(resolutions) as (keyof typeof resolutions)[];

describe.each(['4', '5'])('the packed package beside @types/express %s', (express) => {
  let project: string;
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'passport-powerfolder-types-'));
    const run = (command: string, args: string[], cwd: string) =>
      execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const out = run('npm', ['pack', '--json', '--pack-destination', project], repository);
    // npm prints what the build says before it.
    const [{ filename }] = JSON.parse(out.slice(out.search(/^\[\s*\{/m)));
    writeFileSync(join(project, 'package.json'), '{ "name": "a-users-project", "private": true }');
    const compilers = typeScripts.map((version) => `typescript-${version}@npm:typescript@${version}`);
    const types = [`@types/express@${express}`, '@types/node@20'];
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline'];
    run('npm', [...install, `./${filename}`, 'passport@0.7.0', `express@${express}`, ...types, ...compilers], project);
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  function complaints(typeScript: string, resolution: keyof typeof resolutions, text: (file: string) => string) {
    for (const file of files) writeFileSync(join(project, file), text(file));
    const options = { strict: true, noEmit: true, target: 'es2022', types: ['node'], esModuleInterop: true };
    writeFileSync(
      join(project, 'tsconfig.json'),
      // Our own declarations are to be checked as well.
      JSON.stringify({ compilerOptions: { ...options, ...resolutions[resolution], skipLibCheck: false }, files }),
    );
    const compiler = join(project, `node_modules/typescript-${typeScript}/bin/tsc`);
    // Declarations of other packages may be too new for an old compiler.
    return complaintsOf(compiler, project).filter(
      ({ file }) => !/^node_modules\/(?!passport-powerfolder\/)/.test(file),
    );
  }

  it.each(
    typeScripts.flatMap((typeScript) =>
      ways
        // TypeScript 7 has no node10 any more.
        .filter((resolution) => !(typeScript === '7' && resolution === 'node10'))
        // Each version with each resolution, and both of them with either Express; all three of them would take minutes.
        .filter(
          (resolution) => (typeScripts.indexOf(typeScript) + ways.indexOf(resolution)) % 2 === Number(express) % 2,
        )
        .map((resolution) => ({ typeScript, resolution })),
    ),
  )('compiles, and refuses mistakes, with TypeScript $typeScript under $resolution', ({ typeScript, resolution }) => {
    expect(complaints(typeScript, resolution, source)).toEqual([]);
  });

  it.each(typeScripts.filter((_, n) => n % 2 === Number(express) % 2))(
    'has TypeScript %s say what is wrong, with the fix',
    (typeScript) => {
      const said = complaints(typeScript, 'nodenext', (file) => withoutExpectations(source(file)));
      expect(
        unmet(
          files.flatMap((file) => expectations(file, source(file))),
          said,
        ),
      ).toEqual([]);
    },
  );
});
