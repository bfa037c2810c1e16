/** A proxy that others wrote: tinyproxy, with a user name and a password. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PowerFolderClient } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { run, tls, tlsFile } from '../support/command-line.ts';
import { freePort } from '../support/free-port.ts';
import { describeWith, findProgram } from '../support/programs.ts';
import { until } from '../support/until.ts';

describeWith('tinyproxy')('tinyproxy', () => {
  let folder: string;
  let proxy: ChildProcess;
  let port: string;
  let server: PowerFolderServer;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-proxy-'));
    port = await freePort();
    const lines = [
      `Port ${port}`,
      'Listen 127.0.0.1',
      'Timeout 60',
      'MaxClients 20',
      'Allow 127.0.0.1',
      'BasicAuth ada secret',
      `LogFile "${join(folder, 'log')}"`,
    ];
    writeFileSync(join(folder, 'conf'), `${lines.join('\n')}\n`);
    proxy = spawn(String(findProgram('tinyproxy')), ['-d', '-c', join(folder, 'conf')], { stdio: 'ignore' });
    const log = join(folder, 'log');
    await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('Accepting connections'));
    server = await startPowerFolderServer({
      tls: tls('server.pem'),
      clients: [{ id: 'app', secret: 'secret' }],
      autoApprove: 'ada',
    });
  });
  afterAll(async () => {
    await server?.close();
    const ended = once(proxy, 'exit');
    proxy.kill();
    await ended;
    rmSync(folder, { recursive: true, force: true });
  });

  const client = (credentials: string) =>
    new PowerFolderClient({
      serverURL: server.url,
      clientID: 'app',
      clientSecret: 'secret',
      ca: readFileSync(tlsFile('ca.pem')),
      proxy: `http://${credentials}127.0.0.1:${port}`,
    });

  it('leads to a server with https, with the right password', async () => {
    await expect(client('ada:secret@').refreshAccessToken('1x')).rejects.toMatchObject({ code: 'sign_in_again' });
    expect(readFileSync(join(folder, 'log'), 'utf8')).toContain(`CONNECT ${new URL(server.url).host}`);
  });

  it.each(['', 'ada:wrong@'])('refuses with the credentials "%s", and is called by its name', async (credentials) => {
    const refused = client(credentials).refreshAccessToken('1x');
    await expect(refused).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(
        new RegExp(`the proxy 127\\.0\\.0\\.1:${port} (wants a user name|refuses to lead)`),
      ),
    });
  });

  it('is what the command line goes through', async () => {
    const env = { HTTPS_PROXY: `http://ada:secret@127.0.0.1:${port}`, POWERFOLDER_CLIENT_SECRET: 'secret' };
    const argv = ['check', '--server', server.url, '--client-id', 'app', '--ca', tlsFile('ca.pem')];
    const { status, stdout } = await run(argv, { env });
    expect([status, stdout]).toEqual([0, expect.stringContaining('No problem found')]);
    const asked = readFileSync(join(folder, 'log'), 'utf8').match(/CONNECT 127/g) ?? [];
    expect(asked.length).toBeGreaterThan(1);
  });
});
