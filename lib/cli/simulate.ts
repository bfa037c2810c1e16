/** `passport-powerfolder simulate` */
import { startPowerFolderServer } from '../testing/index.ts';
import type { Command, Values } from './arguments.ts';
import { beforeLines, environmentLine } from './environment.ts';
import { type CommandLine, Mistake } from './terminal.ts';

export const simulate: Command = {
  summary: 'Starts a simulated PowerFolder server, to try things out.',
  help: `Usage: passport-powerfolder simulate [--port N] [--callback-style path|query] [--host NAME]

Starts a simulated PowerFolder server on this machine, for development and tests
only. Tells its address and who can sign in on the standard error; the standard output
is lines for .env: the address, and a client with its secret.

  --port N                port to listen on (default: any free one)
  --callback-style STYLE  how the answer comes back to your application: as
                          PowerFolder documents it, /oauth/code=… (path, the default),
                          or as usual, /oauth?code=… (query)
  --host NAME             localhost or 127.0.0.1 (the default): the name in its address.
                          Browsers share cookies between all ports of a name; so give
                          the one that your application does not use.
  --help                  print this

  passport-powerfolder simulate > .env
`,
  options: { port: { type: 'string' }, 'callback-style': { type: 'string' }, host: { type: 'string' } },
  run,
};

async function run(values: Values, { stdout, stderr }: CommandLine): Promise<number> {
  const { port = '0', 'callback-style': callbackStyle = 'path', host: hostname = '127.0.0.1' } = values;
  if (typeof port !== 'string' || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Mistake('--port must be a number from 0 to 65535; 0 is any free port.');
  }
  if (callbackStyle !== 'path' && callbackStyle !== 'query') {
    throw new Mistake('--callback-style must be path or query.');
  }
  if (hostname !== 'localhost' && hostname !== '127.0.0.1') {
    throw new Mistake('--host must be localhost or 127.0.0.1: the simulated server is for this machine only.');
  }
  const options = { port: Number(port), callbackStyle, hostname, hints: true } as const;
  const server = await startPowerFolderServer(options).catch((error: { code?: string }) => {
    if (error.code === 'EADDRINUSE') throw new Mistake(`Port ${port} is in use. Give another --port, or none.`);
    if (error.code === 'EACCES') throw new Mistake(`Port ${port} needs special rights. Give one above 1023, or none.`);
    throw error;
  });
  const ended = new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    // Nobody has read how to use it.
    stdout.once('error', resolve);
  });
  // All but the lines for .env, so that `simulate > .env` writes such a file.
  stderr.write(`server: ${server.url}
username: ${server.username}
password: ${server.password}
administrator: ${server.admin.username}
administrator's password: ${server.admin.password}

`);
  stdout.write(beforeLines(stdout) + environmentLine('POWERFOLDER_URL', server.url));
  stdout.write(environmentLine('POWERFOLDER_CLIENT_ID', server.clientID));
  stdout.write(environmentLine('POWERFOLDER_CLIENT_SECRET', server.clientSecret));
  stderr.write('A simulated PowerFolder server, for development and tests only. Ctrl-C ends it.\n');
  await ended;
  await server.close();
  return 0;
}
