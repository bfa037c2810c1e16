/** Random applications against an oracle that was written from SECURITY.md alone: see `support/oracle.ts`. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { rounds } from '../support/rounds.ts';

/** By the environment: `RUNS` applications, and the `SEED` that a failed run prints. */
const { RUNS = String(rounds(150, 300)), SEED = '20261126' } = process.env;
/** Only against a run that hangs. */
const mostMilliseconds = 300_000 + 200 * Number(RUNS);

/** What the run printed, and whether it found nothing. */
function compare(): Promise<{ ok: boolean; output: string }> {
  const args = ['--no-warnings', '--import', 'tsx', 'test/fixtures/differential.ts', RUNS, SEED];
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: join(__dirname, '../..'), timeout: mostMilliseconds },
      (error, ...output) => {
        resolve({ ok: error === null, output: output.join('') });
      },
    );
  });
}

describe('random applications', () => {
  it(
    'R50, R3, R4, R5, R7, R9, R10, R11: sign in whom SECURITY.md allows, end each attempt once, and ask for tokens only with an accepted state',
    async () => {
      const { ok, output } = await compare();
      expect(output).toMatch(/as the oracle says \(seed \d+\): .*\d+ success/);
      expect(ok).toBe(true);
    },
    mostMilliseconds + 10_000,
  );
});
