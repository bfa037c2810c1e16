/** `sign-in` as a process: in a terminal, in a pipe, and ended by Ctrl-C. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Child, cli, start, startServer } from '../support/command-line.ts';
import { rounds } from '../support/rounds.ts';
import { newFolder, person } from '../support/sign-in-command.ts';
import { describeOnTerminal, onTerminal, type } from '../support/terminal.ts';
import { until } from '../support/until.ts';

const accounts = [
  { username: 'ada', password: 'ada' },
  { username: 'admin', password: 'adminSENTINELpassword', admin: true },
];
const env = { POWERFOLDER_CLIENT_ID: 'app', POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };

/** The address that is to be opened, when it is there. */
async function addressOf(child: Child): Promise<string> {
  await child.says('Waiting for the browser');
  return addressesIn(child)[0] ?? '';
}

const addressesIn = (child: Child) =>
  [...child.output().matchAll(/^ {2}(http\S+)\r?$/gm)].map(([, address = '']) => address);

const quoted = (argv: string[]) => [process.execPath, ...cli, 'sign-in', ...argv].map((each) => `'${each}'`).join(' ');

/** What takes a line of progress away. */
const clear = '\r\x1b[2K';

describeOnTerminal('sign-in on a terminal', () => {
  const inTerminal = (argv: string[], more = '; echo "status $?"; stty -a') =>
    onTerminal(`POWERFOLDER_CLIENT_ID=app POWERFOLDER_CLIENT_SECRET=clientSENTINELsecret ${quoted(argv)}${more}`);

  const combinations = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15].map((bits) => ({
    pasted: (bits & 1) > 0,
    declines: (bits & 2) > 0,
    reports: (bits & 4) > 0,
    saves: (bits & 8) > 0,
  }));

  // In this process each of them is tried in sign-in.test.ts.
  it.each(combinations.filter((_, index) => index % rounds(5, 1) === 0))('works with %j', async (options) => {
    const { url } = await startServer({ accounts });
    const folder = newFolder();
    const [report, save] = [join(folder, 'report.json'), join(folder, 'tokens.json')];
    const argv = [
      ...['--server', url],
      ...(options.pasted ? ['--callback-url', 'https://app.example.com/oauth'] : []),
      ...(options.declines ? ['--decline'] : []),
      ...(options.reports ? ['--report', report] : []),
      ...(options.saves ? ['--save', save] : []),
    ];
    const child = inTerminal(argv);
    const visitor = person(['Allow', 'Decline'], undefined, ({ host }) => host !== 'app.example.com');
    for (const round of options.declines ? [0, 1] : [0]) {
      await child.says('Ctrl-C ends this', round + 1);
      await visitor(addressesIn(child)[round] ?? '', round, undefined as never);
      if (!options.pasted) continue;
      await child.says('Paste the address', round + 1);
      type(child, `${visitor.pages[round]?.headers['location']}\r`);
    }
    expect(await child.ended).toBe(0);
    expect(child.output()).toMatch(/A sign-in would work\.[\s\S]*status 0[\s\S]* icanon[\s\S]* echo /);
    expect([existsSync(report), existsSync(save)]).toEqual([options.reports, options.saves]);
    expect(child.output()).not.toMatch(/SENTINEL|code=/);
  });

  it('shows what goes on in a line that is gone afterwards, and signs in', async () => {
    const { url } = await startServer({ accounts });
    const child = inTerminal(['--server', url, '--decline']);
    const visitor = person(['Allow', 'Decline']);
    await visitor(await addressOf(child), 0, undefined as never);
    await child.says('press Decline');
    await child.says('\r\n\r\n  http', 2);
    await until(() => addressesIn(child).length === 2);
    await visitor(addressesIn(child)[1] ?? '', 1, undefined as never);
    expect(await child.ended).toBe(0);
    const output = child.output();
    expect(output).toContain('status 0');
    expect(output).toContain(`${clear}Waiting for the browser (Ctrl-C ends this): `);
    expect(output).toMatch(/: (10:00|9:\d\d) left …/);
    expect(output).toContain(`${clear}Trying: webdav …${clear}\x1b[32mok`);
    expect(output).toContain('access_denied');
    expect(output).not.toContain('SENTINEL');
  });

  it('ends at Ctrl-C while it waits: no report, no listener, the terminal as before', async () => {
    const { url } = await startServer({ accounts });
    const report = join(newFolder(), 'report.json');
    const child = inTerminal(['--server', url, '--report', report]);
    const address = await addressOf(child);
    type(child, '\x03');
    await child.ended;
    expect(child.output()).toContain(`${clear}Cancelled.\r\n`);
    expect(child.output()).not.toMatch(/^\s+at /m);
    expect(existsSync(report)).toBe(false);
    const port = /localhost%3A(\d+)/.exec(address)?.[1];
    await expect(fetch(`http://127.0.0.1:${port}/oauth`)).rejects.toThrow();
  });

  it('does not show the address that is pasted, and gives the terminal its echo back', async () => {
    const { url } = await startServer({ accounts });
    const child = inTerminal(['--server', url, '--callback-url', 'https://app.example.com/oauth']);
    const visitor = person(['Allow'], { username: 'ada', password: 'ada' }, ({ host }) => host !== 'app.example.com');
    await visitor(await addressOf(child), 0, undefined as never);
    await child.says('Paste the address');
    type(child, 'https://app.example.com/oauth\r');
    await child.says('neither a code nor an error');
    await child.says('Paste the address', 2);
    const ended = String(visitor.pages[0]?.headers['location']);
    type(child, `${ended}\r`);
    expect(await child.ended).toBe(0);
    expect(child.output()).toContain('status 0');
    expect(child.output()).not.toContain(/code=(\w+)/.exec(ended)?.[1]);
    expect(child.output()).toMatch(/ icanon[\s\S]* echo /);
  });

  it('ends at Ctrl-C while an address is asked for, with the echo back', async () => {
    const { url } = await startServer({ accounts });
    const child = inTerminal(['--server', url, '--callback-url', 'https://app.example.com/oauth']);
    await child.says('Paste the address');
    type(child, 'https://app\x03');
    expect(await child.ended).toBe(0);
    expect(child.output()).toMatch(/Cancelled; nobody was signed in\.[\s\S]*status 1[\s\S]* icanon[\s\S]* echo /);
  });
});

describe('sign-in in a pipe', () => {
  it('says once what it waits for, and signs in', async () => {
    const { url } = await startServer({ accounts });
    const child = start(process.execPath, [...cli, 'sign-in', '--server', url], env);
    await person()(await addressOf(child), 0, undefined as never);
    expect(await child.ended).toBe(0);
    expect(child.output()).not.toContain('\x1b');
    expect(child.output().match(/Waiting for the browser/g)).toHaveLength(1);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('ends by %s, as the shell expects it', async (signal) => {
    const { url } = await startServer({ accounts });
    const child = start(process.execPath, [...cli, 'sign-in', '--server', url], env);
    await addressOf(child);
    child.process.kill(signal);
    expect(await child.ended).toBe(signal);
    expect(child.output()).toMatch(/Cancelled\.\n$/);
  });

  it('keeps the tokens that came before Ctrl-C, and ends at once though the server is silent', async () => {
    const server = await startServer({ accounts });
    const file = join(newFolder(), 'tokens.json');
    const child = start(process.execPath, [...cli, 'sign-in', '--server', server.url, '--save', file], env);
    server.failNext('folders', { silence: true });
    await person()(await addressOf(child), 0, undefined as never);
    await child.says('ok     account');
    child.process.kill('SIGINT');
    expect(await child.ended).toBe('SIGINT');
    const { tokens } = JSON.parse(readFileSync(file, 'utf8'));
    const headers = { Authorization: `Bearer ${tokens.accessToken}` };
    expect((await fetch(`${server.url}/api/accounts?action=getInfo`, { headers })).status).toBe(200);
  });

  it.each([
    ['opens the browser by the program of this system', 0, /^((?!No browser).)*$/s],
    [
      'says when there is none',
      undefined,
      /No browser could be opened \((xdg-)?open: ENOENT\)\. Open the address by hand\./,
    ],
  ])('--open %s', async (_, there, words) => {
    const { url } = await startServer({ accounts });
    const folder = newFolder();
    const opened = join(folder, 'opened');
    if (there === 0) {
      const script = `#!/bin/sh\nprintf %s "$1" > '${opened}.new' && /bin/mv '${opened}.new' '${opened}'\n`;
      for (const name of ['xdg-open', 'open']) writeFileSync(join(folder, name), script, { mode: 0o755 });
    }
    const child = start(process.execPath, [...cli, 'sign-in', '--server', url, '--open'], {
      ...env,
      PATH: folder,
    });
    const address = await addressOf(child);
    if (there === 0) {
      await until(() => existsSync(opened));
      expect(readFileSync(opened, 'utf8')).toBe(address);
    }
    child.process.kill('SIGINT');
    await child.ended;
    expect(child.output()).toMatch(words);
  });
});
