/**
 * What compiles and what does not, in test/types. Behind each `@ts-expect-error` stands what the compiler says there, so that
 * users get a sentence to act upon. With other versions of TypeScript: types.outside.test.ts.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { complaintsOf, expectations, unmet, withoutExpectations } from '../support/type-mistakes.ts';

const repository = join(__dirname, '../..');
const sources = join(repository, 'test/types');
const files = readdirSync(sources).filter((file) => file.endsWith('.ts'));
const compiler = join(repository, 'node_modules/typescript/bin/tsc');

describe('the types', () => {
  it('compile what test/types has, and refuse what it expects to be refused', () => {
    expect(complaintsOf(compiler, sources)).toEqual([]);
  });

  it('say what is wrong, with the fix', () => {
    mkdirSync(join(repository, 'artifacts'), { recursive: true });
    const folder = mkdtempSync(join(repository, 'artifacts/types-'));
    try {
      for (const file of files) {
        writeFileSync(join(folder, file), withoutExpectations(readFileSync(join(sources, file), 'utf8')));
      }
      writeFileSync(
        join(folder, 'tsconfig.json'),
        JSON.stringify({ extends: '../../tsconfig.json', compilerOptions: { types: ['node'] }, include: ['*.ts'] }),
      );
      const complaints = complaintsOf(compiler, folder);
      const expected = files.flatMap((file) => expectations(file, readFileSync(join(sources, file), 'utf8')));
      expect(expected.length).toBeGreaterThan(40);
      expect(unmet(expected, complaints)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
