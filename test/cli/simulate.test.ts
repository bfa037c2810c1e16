/** `passport-powerfolder simulate`: the same after a restart, and as a report says. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../../lib/cli/report.ts';
import { type Child, cli, run, start, startServer } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { newFolder, person, runSignIn } from '../support/sign-in-command.ts';

const names = ['POWERFOLDER_URL', 'POWERFOLDER_CLIENT_ID', 'POWERFOLDER_CLIENT_SECRET'];

async function simulate(argv: string[] = [], env: Record<string, string> = {}) {
  const child = start(process.execPath, [...cli, 'simulate', ...argv], env);
  await child.says('Ctrl-C');
  await child.says('POWERFOLDER_CLIENT_SECRET=');
  return { child, ...told(child) };
}

/** What it printed: its lines for .env, and who can log in. */
function told(child: Child) {
  const output = child.output();
  const env = Object.fromEntries(
    names.map((name) => [name, new RegExp(`^${name}=(\\S+)$`, 'm').exec(output)?.[1] ?? '']),
  );
  const people = output.match(/^(username|password|administrator).*$/gm);
  return { env: env as Record<string, string>, people };
}

it('is the same after a restart with what it printed: address, client, secret, passwords', async () => {
  const first = await simulate(['--host', 'localhost']);
  first.child.process.kill('SIGTERM');
  expect(await first.child.ended).toBe(0);
  const second = await simulate([], first.env);
  expect(second.env).toEqual(first.env);
  expect(second.people).toEqual(first.people);
  expect(second.people).toHaveLength(4);
  // Another one is another.
  const other = await simulate();
  expect(other.env).not.toEqual(first.env);
  expect(other.people).not.toEqual(first.people);
});

it('keeps a context path, and takes a client without an address', async () => {
  const port = await freePort();
  const env = {
    POWERFOLDER_URL: `http://127.0.0.1:${port}/powerfolder/`,
    POWERFOLDER_CLIENT_ID: 'app',
    POWERFOLDER_CLIENT_SECRET: 'secret',
  };
  const { child, env: printed } = await simulate([], env);
  expect(printed).toEqual({ ...env, POWERFOLDER_URL: `http://127.0.0.1:${port}/powerfolder` });
  expect(await run(['check'], { env: printed })).toMatchObject({ status: 0 });
  child.process.kill('SIGTERM');
});

it.each([
  'https://powerfolder.example.com',
  'http://powerfolder.example.com:8080',
  'https://127.0.0.1:8443',
  'nonsense',
])("does not use, or print, the client of another server's: %s", async (POWERFOLDER_URL) => {
  const env = { POWERFOLDER_URL, POWERFOLDER_CLIENT_ID: 'real-app', POWERFOLDER_CLIENT_SECRET: 'real-SENTINEL-secret' };
  const { child, env: printed } = await simulate([], env);
  expect(printed['POWERFOLDER_URL']).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(child.output()).toContain('POWERFOLDER_URL is not of a simulated server on this machine');
  expect(child.output()).not.toMatch(/SENTINEL|real-app/);
});

it('says which port is in use', async () => {
  const { url } = await startServer();
  const { status, stderr } = await run(['simulate'], { env: { POWERFOLDER_URL: url } });
  expect([status, stderr]).toEqual([1, expect.stringMatching(/Port \d+ is in use\. Give another --port, or none\./)]);
});

describe('--as', () => {
  it('does as the server did of which there is a report', async () => {
    const accounts = [{ username: 'ada', password: 'ada' }];
    const server = await startServer({
      accounts,
      contextPath: '/pf',
      callbackStyle: 'query',
      accountsAPI: 'admin-only',
      refreshMethods: ['GET'],
      rotateRefreshTokens: true,
    });
    const folder = newFolder();
    const [first, second] = [join(folder, 'first.json'), join(folder, 'second.json')];
    const env = { POWERFOLDER_CLIENT_ID: 'app', POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };
    const argv = ['--username', 'ada', '--report'];
    await runSignIn(['--server', server.url, ...argv, first], { env });
    const simulated = await simulate(['--as', first]);
    const [, password = ''] = /^password: (\S+)$/m.exec(simulated.child.output()) ?? [];
    const who = person(['Allow'], { username: 'ada', password });
    const { stdout } = await runSignIn([...argv, second], { env: simulated.env, who });
    expect(stdout).toContain("  refreshMethod: 'GET',");
    const facts = ({ account, callback, refresh, server: { contextPath } }: Report) => [
      Object(account.bearer).status,
      Object(callback).form,
      refresh.rotates,
      contextPath,
    ];
    const [one, other] = [first, second].map((file) => facts(JSON.parse(readFileSync(file, 'utf8'))));
    expect([one, other]).toEqual([[403, 'query', true, true], one]);
    // What is given beside it counts.
    const beside = await simulate(['--as', first, '--callback-style', 'path']);
    expect(beside.env['POWERFOLDER_URL']).toMatch(/\/powerfolder$/);
  });

  it.each<[what: string, content: string | undefined, words: RegExp]>([
    ['is not there', undefined, /--as cannot be read \(ENOENT\)\./],
    ['is no JSON', 'SENTINEL', /--as is no JSON\./],
    [
      'is no report',
      '{"SENTINEL":1}',
      /--as cannot be used: This is no report of passport-powerfolder sign-in --report\./,
    ],
    [
      'is of another version',
      '{"report":"passport-powerfolder","version":9}',
      /--as cannot be used: This report is of another version/,
    ],
  ])('refuses a file that %s', async (_, content, words) => {
    const file = join(newFolder(), 'report.json');
    if (content !== undefined) writeFileSync(file, content);
    const { status, stdout, stderr } = await run(['simulate', '--as', file]);
    expect([status, stdout, stderr]).toEqual([1, '', expect.stringMatching(words)]);
  });
});
