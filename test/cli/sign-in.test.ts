/** `passport-powerfolder sign-in`, in this process and against the simulated server. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startServer } from '../support/command-line.ts';
import { newFolder, runSignIn } from '../support/sign-in-command.ts';

const env = { POWERFOLDER_CLIENT_ID: 'app', POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };

it('tells step by step what the server does', async () => {
  const server = await startServer();
  const file = join(newFolder(), 'report.json');
  const { status, stdout, stderr } = await runSignIn(['--server', server.url, '--report', file, '--decline'], { env });
  console.log(stdout, stderr, readFileSync(file, 'utf8'));
  expect(status).toBe(0);
});
