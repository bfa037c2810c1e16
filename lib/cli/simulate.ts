/** `passport-powerfolder simulate` */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { optionsFromReport, type PowerFolderServerOptions, startPowerFolderServer } from '../testing/index.ts';
import type { Command, Values } from './arguments.ts';
import { beforeLines, environmentLine } from './environment.ts';
import { type CommandLine, Mistake } from './terminal.ts';

export const simulate: Command = {
  summary: 'Starts a simulated PowerFolder server, to try things out.',
  help: `Usage: passport-powerfolder simulate [--port N] [--callback-style path|query] [--host NAME]
                                     [--as FILE]

Starts a simulated PowerFolder server on this machine, for development and tests
only. Tells its address and who can sign in on the standard error; the standard output
is lines for .env: the address, and a client with its secret.

  --port N                port to listen on (default: that of $POWERFOLDER_URL, or any free
                          one)
  --callback-style STYLE  how the answer comes back to your application: as
                          PowerFolder documents it, /oauth/code=… (path, the default),
                          or as usual, /oauth?code=… (query)
  --host NAME             localhost or 127.0.0.1 (the default): the name in its address.
                          Browsers share cookies between all ports of a name; so give
                          the one that your application does not use.
  --as FILE               do as the server did of which sign-in --report has written FILE
  --help                  print this

With the variables that it has printed in the environment it is the same after a restart:
address, client, secret and passwords. Those of a server that is not on this machine are
not used.

  passport-powerfolder simulate > .env
`,
  options: {
    port: { type: 'string' },
    'callback-style': { type: 'string' },
    host: { type: 'string' },
    as: { type: 'string' },
  },
  run,
};

async function run(values: Values, { env, stdout, stderr }: CommandLine): Promise<number> {
  const known = knownIn(env);
  if (env['POWERFOLDER_URL'] && !known) {
    stderr.write('POWERFOLDER_URL is not of a simulated server on this machine: it, and the client, are not used.\n\n');
  }
  const {
    port = String(known?.port ?? 0),
    'callback-style': callbackStyle,
    host: hostname = known?.hostname ?? '127.0.0.1',
  } = values;
  if (typeof port !== 'string' || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Mistake('--port must be a number from 0 to 65535; 0 is any free port.');
  }
  if (callbackStyle !== undefined && callbackStyle !== 'path' && callbackStyle !== 'query') {
    throw new Mistake('--callback-style must be path or query.');
  }
  if (hostname !== 'localhost' && hostname !== '127.0.0.1') {
    throw new Mistake('--host must be localhost or 127.0.0.1: the simulated server is for this machine only.');
  }
  const client = known?.client ?? newClient();
  const options: PowerFolderServerOptions = {
    ...(known && { contextPath: known.contextPath }),
    ...(typeof values['as'] === 'string' && reported(values['as'])),
    ...(callbackStyle && { callbackStyle }),
    port: Number(port),
    hostname,
    hints: true,
    clients: [client],
    passwordSeed: client.secret,
  };
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

/** What a simulated server was before, by the variables that it printed; undefined where they are not of one. */
function knownIn(env: CommandLine['env']) {
  const { POWERFOLDER_URL: address = '', POWERFOLDER_CLIENT_ID: id, POWERFOLDER_CLIENT_SECRET: secret } = env;
  const [, hostname, port, contextPath = ''] =
    /^http:\/\/(localhost|127\.0\.0\.1):(\d{1,5})((?:\/[\w.~-]+)*)\/?$/.exec(address) ?? [];
  if (hostname === undefined) return undefined;
  return { hostname, port: Number(port), contextPath, client: id && secret ? { id, secret } : undefined };
}

function newClient() {
  return { id: `app-${randomBytes(4).toString('hex')}`, secret: randomBytes(32).toString('base64url') };
}

function reported(file: string): PowerFolderServerOptions {
  let report: unknown;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Mistake(`The file given with --as ${code ? `cannot be read (${code})` : 'is no JSON'}.`);
  }
  try {
    return optionsFromReport(report);
  } catch (error) {
    throw new Mistake(`The file given with --as cannot be used: ${(error as Error).message}.`);
  }
}
