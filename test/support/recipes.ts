/** The code of a page of the documentation, to be run as it stands. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { transformSync } from 'esbuild';

const root = join(__dirname, '../..');
const inRepository = createRequire(join(root, 'package.json'));

/** The blocks of code of one language on a page. */
export function blocksOf(page: string, language: string): string[] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, code = '']) =>
    name === language ? [code] : [],
  );
}

/** What the block that exports a name exports. The package in it is this one. */
export function recipe<T>(page: string, name: string): T {
  const code = [...blocksOf(page, 'ts'), ...blocksOf(page, 'js')].find((block) =>
    new RegExp(`export (async )?(function|const) ${name}\\b`).test(block),
  );
  if (!code) throw new Error(`${page} has no ${name}`);
  const { code: compiled } = transformSync(code, { loader: 'ts', format: 'cjs', target: 'node20' });
  const module = { exports: {} as Record<string, unknown> };
  const load = (id: string) => (id === 'passport-powerfolder' ? require('passport-powerfolder') : inRepository(id));
  new Function('module', 'exports', 'require', compiled)(module, module.exports, load);
  return module.exports as T;
}
