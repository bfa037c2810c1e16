import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PowerFolderErrorCode, PowerFolderFailureCode } from 'passport-powerfolder';

const read = (file: string) => readFileSync(join(__dirname, '../..', file), 'utf8');

/** All codes: the compiler asks for each of them, and takes no others. */
const codes = Object.keys({
  unreachable: true,
  tls: true,
  timeout: true,
  connection_lost: true,
  not_http: true,
  redirected: true,
  too_large: true,
  not_json: true,
  invalid_response: true,
  refused: true,
  profile_refused: true,
  profile_without_id: true,
  sign_in_again: true,
  login_refused: true,
  not_administrator: true,
  not_powerfolder: true,
  session_required: true,
  access_denied: true,
  invalid_grant: true,
  invalid_callback: true,
  session_missing: true,
  state_missing: true,
  state_unknown: true,
  state_expired: true,
  state_used: true,
  state_mismatch: true,
  verify_refused: true,
} satisfies Record<PowerFolderErrorCode | PowerFolderFailureCode, true>);

describe('README', () => {
  it('lists every code of a failure and of an error in its tables, with what to do', () => {
    const rows = read('README.md')
      .split('\n')
      .filter((line) => line.startsWith('|'));
    const listed = rows.flatMap((row) => {
      const [first = '', second = '', ...rest] = row.split('|').slice(1, -1);
      const complete = rest.length >= 2 && rest.every((cell) => cell.trim() !== '');
      return complete ? [...`${first} ${second}`.matchAll(/`(\w+)`/g)].map(([, code]) => code) : [];
    });
    expect(codes.filter((code) => !listed.includes(code))).toEqual([]);
  });
});
