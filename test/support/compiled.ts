/**
 * The command line and the example app, compiled before the tests run: a process of them starts in a third of the time that
 * it takes when tsx compiles it. What users type is tried as well: `npm start` in example-app/server.test.ts, and the packed
 * command in package/package.outside.test.ts.
 */
import { join } from 'node:path';
import { buildSync } from 'esbuild';

const root = join(__dirname, '../..');
const folder = join(root, 'node_modules/.cache/passport-powerfolder-test');

export const compiledCommandLine = join(folder, 'cli.js');
export const compiledExample = join(folder, 'example.js');

/** Jest calls it before all suites. */
export default function compile(): void {
  // Where it looks for package.json.
  bundle('lib/cli/index.ts', compiledCommandLine, 'lib/cli');
  // Where its pages are.
  bundle('example-app/server.ts', compiledExample, 'example-app');
}

/** Compiles a file of the benches, for a process of its own. @returns where it is then. */
export function compileBench(name: string): string {
  const outfile = join(folder, `bench/${name}.js`);
  bundle(`test/bench/${name}.ts`, outfile, 'test/bench');
  return outfile;
}

/** @param directory What `__dirname` is in it. */
function bundle(entry: string, outfile: string, directory: string): void {
  buildSync({
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
    entryPoints: [join(root, entry)],
    outfile,
    alias: {
      'passport-powerfolder': join(root, 'lib/index.ts'),
      'passport-powerfolder/testing': join(root, 'lib/testing/index.ts'),
    },
    define: { __dirname: JSON.stringify(join(root, directory)) },
  });
}
