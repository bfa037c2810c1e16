/** R60: lines for `.env`. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { environmentLine } from '../../lib/cli/environment.ts';
import { admin, cli, run, start, startServer } from '../support/command-line.ts';
import { readers } from '../support/environment.ts';
import { rounds } from '../support/rounds.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What each reader makes of a file, of the variables that are asked for. */
function read(file: string, variables: string[]): Record<string, Record<string, string | undefined>> {
  return Object.fromEntries(
    readers.map(([name, reader]) => {
      const all = reader(file);
      return [name, Object.fromEntries(variables.map((variable) => [variable, all[variable]]))];
    }),
  );
}

/** The same from every reader. */
function alike(variables: Record<string, string>) {
  return Object.fromEntries(readers.map(([name]) => [name, variables]));
}

const noSpelling = (value: string) =>
  /[\p{Cc}\p{Cs}]/u.test(value) || value.endsWith('\\') || (value.includes("'") && /["$`\\]/.test(value));

describe('a line of an environment file', () => {
  it('R60: means the same to shells, Node and dotenv, whatever is in it', () => {
    const values = [
      ...['', ' ', ' a', 'a ', 'a b', 'a #b', "it's €5", "x' # y", "' #", '" #', 'export A=b', 'A: b'],
      ...String.raw`#a a#b a'b a"b " ' '' "a" $HOME $(id) a$ $$ ~ ~root a:~root ! !! = =a a=b a\b \n a\nb \"`.split(
        ' ',
      ),
      ...'{a,b} * ? [a] ;id & | <a >a (a) % %20 + - @ ^ a,b http://a.example/b?c=d&e=f#g'.split(' '),
      ...['`', 'a`b', '`a`', '`id`', 'ü', 'Ã', 'Á', '日本', '😀', 'a\u0301', '\u00a0', '\u2028', '\u2029', '\ufeff'],
    ];
    const file = join(folder, 'values.env');
    const expected = Object.fromEntries(values.map((value, index) => [`V${index}`, value]));
    writeFileSync(file, values.map((value, index) => environmentLine(`V${index}`, value)).join(''));
    expect(read(file, Object.keys(expected))).toEqual(alike(expected));
  });

  it('R60: means the same to shells, Node and dotenv, or is refused, whatever is in it and around it', () => {
    const parts = [...'\'"`$# \\=!~:{}()ü€😀a1', '\\n'];
    const more = [...'\n\r\t\0\x1b\x7f\u0085\u2028\ufeff%', '\ud800', '\\r', '$(a)', "'\\''"];
    const part = fc.oneof(
      { arbitrary: fc.constantFrom(...parts), weight: 12 },
      { arbitrary: fc.constantFrom(...more), weight: 1 },
      { arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), weight: 2 },
    );
    const value = fc.array(part, { maxLength: 8 }).map((all) => all.join(''));
    fc.assert(
      fc.property(fc.array(value, { minLength: 300, maxLength: 300 }), (values) => {
        const expected: Record<string, string> = {};
        let text = '';
        for (const [index, each] of values.entries()) {
          const name = `V${index}`;
          if (noSpelling(each)) {
            expect(() => environmentLine(name, each)).toThrow(/V\d+ cannot be written .*Choose another value/);
          } else {
            text += environmentLine(name, each);
            expected[name] = each;
          }
        }
        const file = join(folder, 'property.env');
        writeFileSync(file, text);
        expect(read(file, Object.keys(expected))).toEqual(alike(expected));
      }),
      // Each is 300 values, and costs some processes.
      { numRuns: rounds(2, 6), endOnFailure: true },
    );
  });

  it.each([
    ['a line break', 'a\nb'],
    ['a carriage return', 'a\r'],
    ['NUL', 'a\0'],
    ['an escape sequence', '\x1b[31m'],
    ['half a character', '\ud83d'],
    ['a backslash at its end, which dotenv takes together with the quote', 'a\\'],
    ['a single quote and a dollar sign', "a'$b"],
    ['both quotes', `a'b"`],
    ['a single quote and a backquote', "a'`b"],
    ['a single quote and a backslash', "a'\\b"],
  ])('R60: is refused, with what to do and without the value, for %s', (_, value) => {
    expect(() => environmentLine('X', value)).toThrow(
      /^X cannot be written so that sh, Node and dotenv read it alike: .*Choose another value/,
    );
  });
});

describe('register >> .env', () => {
  it.each([
    ['an empty file', '', {}],
    ['a file', 'OLD=1\n', { OLD: '1' }],
    ['a file with line ends of Windows', 'OLD="1"\r\n', {}],
    ['a file without a line end', 'OLD=1', { OLD: '1' }],
    ['a quoted last line without a line end', "OLD='a b'", { OLD: 'a b' }],
    ['a comment without a line end', 'OLD=1\n# A comment', { OLD: '1' }],
    ['a backslash at the end', 'OLD=C:\\data\\', {}],
    [
      'a file that has these names already',
      'POWERFOLDER_URL=\nPOWERFOLDER_CLIENT_ID=old\nPOWERFOLDER_CLIENT_SECRET=',
      {},
    ],
  ])('R60: appends lines to %s', async (_, before, old) => {
    const server = await startServer();
    const file = join(folder, 'appended.env');
    writeFileSync(file, before);
    const register = [...cli, 'register', '--server', server.url, '--admin', 'admin', '--client-id', "it's"];
    const env = { FILE: file, POWERFOLDER_ADMIN_PASSWORD: admin.password };
    const child = start('sh', ['-c', '"$0" "$@" >> "$FILE"', process.execPath, ...register], env);
    expect(await child.ended).toBe(0);
    const expected = {
      ...old,
      POWERFOLDER_URL: server.url,
      POWERFOLDER_CLIENT_ID: "it's",
      POWERFOLDER_CLIENT_SECRET: server.clients.at(-1)?.secret ?? '',
    };
    expect(readFileSync(file, 'utf8').startsWith(before)).toBe(true);
    expect(read(file, Object.keys(expected))).toEqual(alike(expected));
  });

  it('R60: refuses a client ID that has no line, before anything is asked or sent', async () => {
    const server = await startServer();
    const { status, stdout, stderr } = await run(
      ['register', '--server', server.url, '--admin', 'admin', '--client-id', `a'$b`],
      { env: { POWERFOLDER_ADMIN_PASSWORD: admin.password } },
    );
    expect([status, stdout, server.requests]).toEqual([1, '', []]);
    expect(stderr).toMatch(/POWERFOLDER_CLIENT_ID cannot be written .*Choose another value/);
  });

  it('R60: refuses a server whose address has no line, and says how to write it', async () => {
    const { status, stderr } = await run(['register', '--server', "https://x.invalid/it's$", '--admin', 'admin']);
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/POWERFOLDER_URL cannot be written .*write %27 for a '/),
    ]);
  });
});

describe('simulate > .env', () => {
  it('R60: writes a valid file, and tells the rest elsewhere', async () => {
    const file = join(folder, 'simulated.env');
    const child = start('sh', ['-c', 'exec "$0" "$@" > "$FILE"', process.execPath, ...cli, 'simulate'], { FILE: file });
    await child.says('Ctrl-C');
    const variables = ['POWERFOLDER_URL', 'POWERFOLDER_CLIENT_ID', 'POWERFOLDER_CLIENT_SECRET'];
    const { dotenv: env = {}, ...others } = read(file, variables);
    expect(Object.values(env)).toEqual([expect.any(String), expect.any(String), expect.any(String)]);
    for (const other of Object.values(others)) expect(other).toEqual(env);
    const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
    expect(lines.map((line) => line.split('=')[0])).toEqual(variables);
    expect(child.output()).toMatch(/^server: http.*\nusername: ada\npassword: \S+\nadministrator: \S+\n/);
    expect(child.output()).not.toContain(env['POWERFOLDER_CLIENT_SECRET']);
    expect(await run(['check'], { env })).toMatchObject({ status: 0 });
  });
});
