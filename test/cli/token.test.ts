/** `passport-powerfolder token`, and the file that `sign-in --save` writes for it. */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PowerFolderServer, PowerFolderServerOptions } from 'passport-powerfolder/testing';
import { cli, run, start, startServer } from '../support/command-line.ts';
import { newFolder } from '../support/sign-in-command.ts';
import { newTokens } from '../support/simulated-sign-in.ts';

const env = { POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };

/** A file as `sign-in --save` writes it; the tokens have expired unless that is said. */
async function tokenFile(
  options: PowerFolderServerOptions = {},
  { expiresAt = 1, refreshMethod = 'POST', folder = newFolder() } = {},
) {
  const server = await startServer({ autoApprove: 'ada', ...options });
  const { access_token: accessToken, refresh_token: refreshToken } = await newTokens(server);
  const file = join(folder, 'tokens.json');
  const tokens = { accessToken, refreshToken, expiresAt };
  const kept = { version: 1, serverURL: server.url, clientID: 'app', refreshMethod, tokens };
  writeFileSync(file, JSON.stringify(kept), { mode: 0o600 });
  server.requests.length = 0;
  return { server, file, tokens, folder };
}

const inAnHour = () => Date.now() + 3_600_000;
const isGood = async ({ url }: PowerFolderServer, token: string) =>
  (await fetch(`${url}/api/accounts?action=getInfo`, { headers: { Authorization: `Bearer ${token.trim()}` } })).ok;

describe('token', () => {
  it('prints the token that is there while it is good, and asks nobody', async () => {
    const { server, file, tokens } = await tokenFile({}, { expiresAt: inAnHour() });
    expect(await run(['token', file])).toEqual({ status: 0, stdout: `${tokens.accessToken}\n`, stderr: '' });
    expect(server.requests).toEqual([]);
  });

  it.each<[what: string, PowerFolderServerOptions, refreshMethod: string]>([
    ['the refresh token stays', {}, 'POST'],
    ['the refresh token is replaced', { rotateRefreshTokens: true }, 'POST'],
    ['the server has the old refresh', { refreshMethods: ['GET'] }, 'GET'],
  ])('refreshes what has expired, saves it, and then has it: %s', async (_, options, refreshMethod) => {
    const { server, file, tokens } = await tokenFile(options, { refreshMethod });
    const first = await run(['token', file], { env });
    expect([first.status, first.stderr]).toEqual([0, '']);
    expect(first.stdout).not.toContain(tokens.accessToken);
    expect(await isGood(server, first.stdout)).toBe(true);
    expect(await run(['token', file], { env })).toEqual(first);
    expect(server.requests.filter(({ endpoint }) => endpoint === 'refresh')).toHaveLength(1);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const { tokens: kept } = JSON.parse(readFileSync(file, 'utf8'));
    expect(kept.refreshToken !== tokens.refreshToken).toBe(options.rotateRefreshTokens === true);
  });

  it('gives all of several processes a good token, with one refresh, and leaves nothing behind', async () => {
    const { server, file, folder } = await tokenFile({ rotateRefreshTokens: true });
    const all = Array.from({ length: 8 }, () =>
      promisify(execFile)(process.execPath, [...cli, 'token', file], { env: { ...process.env, ...env } }),
    );
    const printed = (await Promise.all(all)).map(({ stdout }) => stdout);
    expect(new Set(printed).size).toBe(1);
    expect(await isGood(server, printed[0] ?? '')).toBe(true);
    expect(server.requests.filter(({ endpoint }) => endpoint === 'refresh')).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['tokens.json']);
  });

  it.each<[what: string, lock: string, age: number]>([
    ['a process that has ended', `${hostname()} 999999999 x\n`, 0],
    ['another machine, long ago', 'elsewhere 1 x\n', 120],
    ['nobody knows who', '', 120],
  ])('takes over what %s has left locked', async (_, lock, age) => {
    const { file, folder } = await tokenFile();
    writeFileSync(`${file}.lock`, lock);
    const then = Date.now() / 1000 - age;
    utimesSync(`${file}.lock`, then, then);
    expect(await run(['token', file], { env })).toMatchObject({ status: 0 });
    expect(readdirSync(folder)).toEqual(['tokens.json']);
  });

  it('writes through a link, and keeps it', async () => {
    const { file, folder } = await tokenFile();
    const link = join(folder, 'link.json');
    symlinkSync(file, link);
    expect(await run(['token', link], { env })).toMatchObject({ status: 0 });
    expect(readFileSync(link, 'utf8')).toBe(readFileSync(file, 'utf8'));
    expect(readdirSync(folder).sort()).toEqual(['link.json', 'tokens.json']);
  });

  it.each<[what: string, change: (file: string) => void, words: RegExp]>([
    ['others can read', (file) => chmodSync(file, 0o640), /is open to others \(mode 640\)/],
    ['others can write', (file) => chmodSync(file, 0o602), /is open to others \(mode 602\)/],
    ['is no JSON', (file) => writeFileSync(file, 'SENTINEL'), /is no file that sign-in --save has written/],
    ['has no tokens', (file) => writeFileSync(file, '{"version":1}'), /is no file that sign-in --save has written/],
    [
      'is of a later version',
      (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"version":1', '"version":2')),
      /is no file that sign-in/,
    ],
  ])('refuses a file that %s, and leaves it alone', async (_, change, words) => {
    const { server, file } = await tokenFile();
    change(file);
    const before = readFileSync(file, 'utf8');
    const { status, stdout, stderr } = await run(['token', file], { env });
    expect([status, stdout, stderr]).toEqual([1, '', expect.stringMatching(words)]);
    expect(readFileSync(file, 'utf8')).toBe(before);
    expect(server.requests).toEqual([]);
  });

  it.each<[what: string, argv: string[], words: RegExp]>([
    ['no file', [], /Give the file that sign-in --save has written/],
    [
      'a file that is not there',
      ['/nowhere/tokens.json'],
      /There is no \/nowhere\/tokens\.json\. Make it: passport-powerfolder sign-in --save FILE/,
    ],
    ['two files', ['a', 'b'], /more than one FILE/],
    ['a folder', ['/'], /is no file/],
    ['a device', ['/dev/null'], /is no file/],
  ])('says what is wrong with %s', async (_, argv, words) => {
    const { status, stdout, stderr } = await run(['token', ...argv], { env });
    expect([status, stdout, stderr]).toEqual([1, '', expect.stringMatching(words)]);
  });

  it.each<[what: string, env: Record<string, string>, words: RegExp]>([
    ['no secret', {}, /POWERFOLDER_CLIENT_SECRET is not set/],
    ["another client's secret", { ...env, POWERFOLDER_CLIENT_ID: 'other' }, /is not that of the file/],
    ["another server's secret", { ...env, POWERFOLDER_URL: 'https://other.example' }, /is not that of the file/],
    ['a wrong secret', { POWERFOLDER_CLIENT_SECRET: 'incorrect' }, /The client_secret is wrong/],
  ])('refreshes nothing with %s', async (_, given, words) => {
    const { server, file } = await tokenFile();
    const before = readFileSync(file, 'utf8');
    const { status, stderr } = await run(['token', file], { env: given });
    expect([status, stderr]).toEqual([1, expect.stringMatching(words)]);
    expect(readFileSync(file, 'utf8')).toBe(before);
    if (given['POWERFOLDER_CLIENT_SECRET'] !== 'incorrect') expect(server.requests).toEqual([]);
  });

  it('says when one has to sign in again', async () => {
    const { server, file } = await tokenFile();
    server.revokeTokens();
    const { status, stderr } = await run(['token', file], { env });
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/has to sign in again\. passport-powerfolder sign-in --save FILE/),
    ]);
  });

  (existsSync('/dev/full') ? it : it.skip)('does not end well when the token got nowhere', async () => {
    const { file } = await tokenFile({}, { expiresAt: inAnHour() });
    const child = start('sh', ['-c', '"$0" "$@" > /dev/full', process.execPath, ...cli, 'token', file]);
    expect(await child.ended).toBe(1);
  });

  it('still prints a token that is good for less than a minute while the server is away', async () => {
    const { server, file, tokens } = await tokenFile({}, { expiresAt: Date.now() + 50_000 });
    await server.close();
    expect(await run(['token', file], { env })).toMatchObject({ status: 0, stdout: `${tokens.accessToken}\n` });
  });
});
