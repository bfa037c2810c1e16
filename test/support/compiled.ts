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
  const common = {
    bundle: true,
    packages: 'external',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  } as const;
  buildSync({
    ...common,
    entryPoints: [join(root, 'lib/cli/index.ts')],
    outfile: compiledCommandLine,
    // Where it looks for package.json.
    define: { __dirname: JSON.stringify(join(root, 'lib/cli')) },
  });
  buildSync({
    ...common,
    entryPoints: [join(root, 'example-app/server.ts')],
    outfile: compiledExample,
    alias: {
      'passport-powerfolder': join(root, 'lib/index.ts'),
      'passport-powerfolder/testing': join(root, 'lib/testing/index.ts'),
    },
    // Where its pages are.
    define: { __dirname: JSON.stringify(join(root, 'example-app')) },
  });
}
