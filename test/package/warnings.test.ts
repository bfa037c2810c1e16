/** What Node warns about, pending deprecations included. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const repository = join(__dirname, '../..');

/** The stacks of the warnings of a sign-in, and a last line that says that it was done. */
function warnings(): string[] {
  const flags = ['--pending-deprecation', '--import', 'tsx'];
  const stdout = execFileSync(process.execPath, [...flags, 'test/fixtures/warnings.ts'], {
    cwd: repository,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('a whole sign-in, registration and refresh under --pending-deprecation', () => {
  it('makes our code cause no warning', () => {
    const stacks = warnings();
    expect(stacks.at(-1)).toBe('done');
    expect(stacks.filter((stack) => stack.includes(join(repository, 'lib/')))).toEqual([]);
  });
});
