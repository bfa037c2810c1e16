/** What docs/comparison.md says of this package is shown by the tests that it names. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const repository = join(__dirname, '../..');
const rows = readFileSync(join(repository, 'docs/comparison.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d+ \|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map((cells) => ({ number: Number(cells[1]), tests: namesIn(cells.at(-2) ?? '') }));

/** `file`: `name`, `another name of it`, `another file`: `its name` */
function namesIn(cell: string): { file: string; name: string | undefined }[] {
  let file = '';
  let unused = false;
  const found: { file: string; name: string | undefined }[] = [];
  for (const [, code = '', colon] of cell.matchAll(/`([^`]+)`(:)?/g)) {
    if (colon) {
      if (unused) found.push({ file, name: undefined });
      file = code;
      unused = true;
    } else {
      found.push({ file, name: code });
      unused = false;
    }
  }
  if (unused) found.push({ file, name: undefined });
  return found;
}

describe('docs/comparison.md', () => {
  it('has the rows 1 to 56, each once and in order', () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 56 }, (_, index) => index + 1));
  });

  it('names a test in each row but that of a stopwatch', () => {
    expect(rows.filter(({ tests }) => tests.length === 0).map(({ number }) => number)).toEqual([56]);
  });

  it('names tests that there are, to the letter', () => {
    const missing = rows.flatMap(({ number, tests }) =>
      tests.filter(({ file, name }) => !isThere(file, name)).map(({ file, name }) => `${number}: ${file}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});

/** In quotes, so that part of a name is none. */
function isThere(file: string, name: string | undefined): boolean {
  if (!/^test\/[\w/.-]+\.test\.ts$/.test(file) || !existsSync(join(repository, file)) || name === undefined)
    return false;
  const text = readFileSync(join(repository, file), 'utf8');
  return ["'", '"', '`'].some((quote) => text.includes(quote + name + quote));
}
