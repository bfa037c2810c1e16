/** rclone, which asks `token` for an access token, and the simulated server's WebDAV. */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cli, startServer } from '../support/command-line.ts';
import { describeWith } from '../support/programs.ts';
import { newFolder, runSignIn } from '../support/sign-in-command.ts';

const run = promisify(execFile);
const env = { POWERFOLDER_CLIENT_ID: 'app', POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };

describeWith('rclone')('rclone with the token of a file', () => {
  it('lists, uploads, moves and downloads, with a token that has to be refreshed', async () => {
    const files = { Documents: { 'a ü #1.txt': 'Grüße', deep: { 'b.bin': Buffer.from([1, 2, 3]) } } };
    const server = await startServer({ accounts: [{ username: 'ada', password: 'ada', files }], contextPath: '/pf' });
    const folder = newFolder();
    const tokens = join(folder, 'tokens.json');
    expect(await runSignIn(['--server', server.url, '--save', tokens], { env })).toMatchObject({ status: 0 });
    const kept = JSON.parse(readFileSync(tokens, 'utf8'));
    writeFileSync(tokens, JSON.stringify({ ...kept, tokens: { ...kept.tokens, expiresAt: 1 } }));
    server.expireTokens();
    const command = [process.execPath, ...cli, 'token', tokens].join(' ');
    // As another vendor's it sends no body with a PROPFIND, which webdav-servlet answers with 500.
    const rclone = async (...args: string[]) => {
      const remote = [
        '--webdav-url',
        `${server.url}/webdav/`,
        '--webdav-bearer-token-command',
        command,
        '--webdav-vendor',
        'owncloud',
        '--retries',
        '1',
      ];
      return (
        await run('rclone', [...args, ...remote], {
          env: { ...process.env, ...env, RCLONE_CONFIG: join(folder, 'none') },
        })
      ).stdout;
    };
    expect((await rclone('lsf', '-R', ':webdav:')).split('\n').sort().filter(Boolean)).toEqual([
      'Documents/',
      'Documents/a ü #1.txt',
      'Documents/deep/',
      'Documents/deep/b.bin',
    ]);
    const local = join(folder, 'local');
    mkdirSync(local);
    writeFileSync(join(local, 'new.bin'), Buffer.alloc(100_000, 7));
    await rclone('copy', local, ':webdav:Documents/Uploads');
    await rclone('moveto', ':webdav:Documents/a ü #1.txt', ':webdav:Documents/Uploads/moved.txt');
    const back = join(folder, 'back');
    await rclone('copy', ':webdav:Documents', back);
    expect(readFileSync(join(back, 'Uploads/new.bin')).equals(Buffer.alloc(100_000, 7))).toBe(true);
    expect(readFileSync(join(back, 'Uploads/moved.txt'), 'utf8')).toBe('Grüße');
    expect([...readFileSync(join(back, 'deep/b.bin'))]).toEqual([1, 2, 3]);
    // One refresh was enough for all.
    expect(server.requests.filter(({ endpoint, method }) => endpoint === 'refresh' && method === 'POST')).toHaveLength(
      2,
    );
  });
});
