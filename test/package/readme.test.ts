import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const read = (file: string) => readFileSync(join(__dirname, '../..', file), 'utf8');

/** The codes as lib/errors.ts has them, which exports types only. */
function codes(): string[] {
  const source = read('lib/errors.ts');
  const errors = /type PowerFolderErrorCode =([^;]*);/.exec(source)?.[1] ?? '';
  const failures = /const failures = \{([\s\S]*?)\} as const/.exec(source)?.[1] ?? '';
  return [...errors.matchAll(/'(\w+)'/g), ...failures.matchAll(/^ {2}(\w+): \[/gm)].map(([, code = '']) => code);
}

describe('README', () => {
  it('lists every code of a failure and of an error in its tables, with what to do', () => {
    expect(codes()).toEqual(
      expect.arrayContaining(['access_denied', 'verify_refused', 'unreachable', 'session_required']),
    );
    const rows = read('README.md')
      .split('\n')
      .filter((line) => line.startsWith('|'));
    const listed = rows.flatMap((row) => {
      const [first = '', second = '', ...rest] = row.split('|').slice(1, -1);
      const complete = rest.length >= 2 && rest.every((cell) => cell.trim() !== '');
      return complete ? [...`${first} ${second}`.matchAll(/`(\w+)`/g)].map(([, code]) => code) : [];
    });
    expect(codes().filter((code) => !listed.includes(code))).toEqual([]);
  });
});
