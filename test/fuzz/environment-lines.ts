/** Lines for `.env`, as `register` and `simulate` write them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { environmentLine } from '../../lib/cli/environment.ts';
import { Mistake } from '../../lib/cli/terminal.ts';
import { serverBase } from '../../lib/url.ts';
import { readers as processes } from '../support/environment.ts';
import { type FuzzProperty, holds, must, Tally } from './property.ts';

/** An ID or a secret, or a server's URL. */
type Input = { of: 'text'; text: string } | { of: 'url'; path: string };

const piece = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...'\'"`$# \\=!~:{}()<>|&;*?[]^%-+@,./ü€😀a1') },
  {
    weight: 3,
    arbitrary: fc.constantFrom('\\n', '$(id)', '$HOME', '$((1+1))', "'\\''", '~/', ' #', 'export ', '%27', '\u00a0'),
  },
  { weight: 1, arbitrary: fc.constantFrom(...'\n\r\t\0\x1b\x7f\u0085\u2028\u2029\ufeff', '\ud800') },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) },
);
const texts = fc.array(piece, { maxLength: 10 }).map((pieces) => pieces.join(''));
const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ of: fc.constant('text' as const), text: texts }) },
  { weight: 1, arbitrary: fc.record({ of: fc.constant('url' as const), path: texts }) },
);
/** Many at once, since each of the readers is a process. */
const batches = fc.array(input, { minLength: 1, maxLength: 400, size: 'max' });

/** What is written for it; undefined for an address that the commands refuse before. */
function textOf(given: Input): string | undefined {
  if (given.of === 'text') return given.text;
  try {
    return serverBase(`https://powerfolder.example.com/${given.path}`);
  } catch {
    return undefined;
  }
}

const canBeWritten = (value: string) =>
  !/[\p{Cc}\p{Cs}]|\\$/u.test(value) && !(value.includes("'") && /["$`\\]/.test(value));

export const environmentLines: FuzzProperty = {
  name: 'environment-lines',
  says: 'a line for .env has the same value for shells, Node and dotenv, or is refused',
  few: 1,
  async start() {
    const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
    const file = join(folder, 'values.env');
    const tally = new Tally();
    const property = holds(batches, async (batch) => {
      const expected: [name: string, value: string][] = [];
      let lines = '';
      for (const [index, given] of batch.entries()) {
        const name = `V${index}`;
        const value = textOf(given);
        if (value === undefined) {
          tally.add('no URL');
          continue;
        }
        try {
          lines += environmentLine(name, value);
          expected.push([name, value]);
          tally.add('written');
        } catch (error) {
          must(error instanceof Mistake && error.message.startsWith(`${name} cannot be written`), 'It threw', error);
          must(!canBeWritten(value), 'It was refused', value);
          tally.add('refused');
        }
      }
      writeFileSync(file, lines);
      for (const [reader, read] of processes) compare(reader, read(file), expected);
      compare('util.parseEnv', parseEnv(lines), expected);
    });
    const close = async () => rmSync(folder, { recursive: true });
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};

function compare(reader: string, read: Record<string, string | undefined>, expected: [string, string][]): void {
  for (const [name, value] of expected) {
    must(read[name] === value, `${reader} reads another value`, {
      value,
      read: read[name],
      line: environmentLine(name, value),
    });
  }
}
