/** Arguments of the command line. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { main } from '../../lib/cli/index.ts';
import { type FuzzProperty, holds, must, secretsIn, Tally } from './property.ts';

/** What the environment holds, and what somebody typed who took a secret for an argument. */
const secrets = {
  clientSecret: 'KoPqXv7w3ZsecretYt9LmR2',
  password: 'pAsS8hWn4Jq5bTzX1Vr6',
  typed: 'tYpEd5hD2kM9sPq7LwY3xN',
};
/** In the place of the server's address, whose port is not known before. */
const serverMark = '<server>';

const commands = ['register', 'check', 'sign-in', 'token', 'simulate', 'example'];
const options = [
  ...['--server', '--client-id', '--admin', '--ca', '--allow-insecure-http', '--callback-url', '--port', '--wait'],
  ...['--decline', '--username', '--report', '--save', '--callback-style', '--host', '--as', '--help', '-h', '--open'],
];
const secretOptions = [
  '--password',
  '--secret',
  '--client-secret',
  '--clientSecret',
  '--pasword',
  '--admin-password',
  '-p',
];
/** Without a slash, so that no file outside the folder of this property has such a name; and NUL is in no argument. */
const garbage = fc.oneof(
  fc.constantFrom(
    '',
    '-',
    '--',
    '---',
    '=',
    '--=',
    '-=',
    '--server=',
    '-h=',
    '--help=x',
    '--no-help',
    '--__proto__',
    '--constructor=x',
  ),
  fc.constantFrom(
    '__proto__',
    'constructor',
    'toString',
    '[object Object]',
    '\x1b[31m',
    '%00',
    '--ü',
    '-😀',
    '..',
    '\ud800',
  ),
  fc.string({ unit: 'grapheme', maxLength: 8 }).map((text) => text.replace(/[/\0]/g, '')),
  fc.string({ unit: 'binary-ascii', maxLength: 8 }).map((text) => `--${text.replace(/[/\0]/g, '')}`),
  fc.constant('x'.repeat(5000)),
);
const value = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(serverMark, serverMark, 'app', 'admin', '0', '1', '65536', 'path', 'query', 'localhost'),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      'file.json',
      'full',
      'new',
      'http://127.0.0.1:1',
      'https://',
      'http://[',
      'http://localhost/oauth',
    ),
  },
  { weight: 2, arbitrary: garbage },
);
const option = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...options) },
  // Typing errors.
  fc
    .tuple(fc.constantFrom(...options), fc.nat(12), fc.constantFrom('', 'x', '-', 'E'))
    .map(([name, at, insert]) => name.slice(0, at) + insert + name.slice(at + 1)),
);
const words = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(option, value) },
  { weight: 2, arbitrary: fc.tuple(option, value).map(([name, given]) => [`${name}=${given}`]) },
  { weight: 1, arbitrary: option.map((name) => [name]) },
  { weight: 1, arbitrary: value.map((given) => [given]) },
  { weight: 1, arbitrary: fc.constantFrom(...secretOptions).map((name) => [name, secrets.typed]) },
  { weight: 1, arbitrary: fc.constantFrom(...secretOptions).map((name) => [`${name}=${secrets.typed}`]) },
);
const first = fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...commands) }, garbage, option);
const variables = [
  'POWERFOLDER_URL',
  'POWERFOLDER_CLIENT_ID',
  'POWERFOLDER_CLIENT_SECRET',
  'POWERFOLDER_ADMIN_PASSWORD',
];
const inputs = fc.record({
  argv: fc.oneof(
    {
      weight: 9,
      arbitrary: fc.tuple(first, fc.array(words, { maxLength: 5 })).map(([name, more]) => [name, ...more.flat()]),
    },
    { weight: 1, arbitrary: fc.array(fc.oneof(first, value, option), { maxLength: 6 }) },
  ),
  set: fc.subarray(variables),
  isTTY: fc.boolean(),
});

interface Output extends Writable {
  text: string;
  isTTY: boolean;
}

/** @param lines After so many writes it is closed, as by `head`: `simulate` ends by that. */
function output(isTTY: boolean, lines = Number.POSITIVE_INFINITY): Output {
  const stream = Object.assign(
    new Writable({
      write(chunk, _encoding, done) {
        stream.text += chunk;
        lines--;
        done(lines <= 0 ? new Error('closed') : null);
      },
    }),
    { text: '', isTTY },
  );
  // The process has a listener of its own.
  stream.on('error', () => {});
  return stream;
}

export const commandLine: FuzzProperty = {
  name: 'arguments',
  says: 'whatever is typed, the command line ends with a sentence and the status 0 or 1, and tells no secret',
  few: 40,
  async start() {
    const account = { username: 'admin', password: secrets.password, admin: true };
    // Not the secret of the environment: with a right one, sign-in would wait for a browser.
    const clients = [{ id: 'app', secret: 'another secret, of the server' }];
    const server = await startPowerFolderServer({ accounts: [account], clients });
    const before = process.cwd();
    const outer = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
    const folder = join(outer, 'inner');
    const tally = new Tally();
    const listening = new Set([...process.listeners('SIGINT'), ...process.listeners('SIGTERM')]);
    // What the commands write they write here.
    const clean = () => {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(join(folder, 'full/of'), { recursive: true });
      writeFileSync(join(folder, 'file.json'), '{}');
    };
    clean();
    process.chdir(folder);

    const property = holds(inputs, async ({ argv: typed, set, isTTY }) => {
      const argv = typed.map((word) => word.replaceAll(serverMark, server.url));
      const known: Record<string, string> = {
        POWERFOLDER_URL: server.url,
        POWERFOLDER_CLIENT_ID: 'app',
        POWERFOLDER_CLIENT_SECRET: secrets.clientSecret,
        POWERFOLDER_ADMIN_PASSWORD: secrets.password,
      };
      const env = Object.fromEntries(set.map((name) => [name, known[name]]));
      // The simulated server would take the port of the one that runs.
      if (argv[0] === 'simulate') delete env['POWERFOLDER_URL'];
      const stdin = Object.assign(new PassThrough(), { isTTY: false });
      stdin.end();
      const [stdout, stderr] = [output(isTTY, argv[0] === 'simulate' ? 3 : undefined), output(isTTY)];
      const status = await main(argv, { env, stdin, stdout, stderr });
      // `simulate` leaves them to the end of its process.
      for (const signal of ['SIGINT', 'SIGTERM'] as const) {
        for (const listener of process.listeners(signal)) if (!listening.has(listener)) process.off(signal, listener);
      }
      const [out, err] = [stdout, stderr].map(({ text }) => stripVTControlCharacters(text).replaceAll('\r', '')) as [
        string,
        string,
      ];
      const said = { argv, set, status, out, err };
      tally.add(`${commands.includes(argv[0] ?? '') ? argv[0] : 'no command'} ${status}`);
      if (out.includes('The example app is in')) {
        process.chdir(outer);
        clean();
        process.chdir(folder);
      }

      must(status === 0 || status === 1, 'The status is another', said);
      const all = out + err;
      must(all.trim() !== '', 'It said nothing', said);
      must(
        !/^\s+at |Error:|\bundefined\b|\[object /m.test(all.replaceAll('[object Object]', '')),
        'It is no sentence',
        said,
      );
      const isTold =
        /^(?:passport-powerfolder: \S.{10,}|Usage: )/m.test(err) || /\b(?:found|first|work)\.\n$/.test(out);
      must(status === 0 || isTold, 'It says no sentence', said);
      // Behind -- it is the name of a file or folder, which is told.
      const { typed: _, ...others } = secrets;
      const found = secretsIn(all, argv.includes('--') ? others : secrets);
      must(found.length === 0, `It tells ${found}`, said);
    });

    async function close(): Promise<void> {
      process.chdir(before);
      rmSync(outer, { recursive: true, force: true });
      await server.close();
    }
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};
