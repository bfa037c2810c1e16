/** `passport-powerfolder register` */
import { PowerFolderError } from '../errors.ts';
import { plainText } from '../redact.ts';
import { register as registerClient } from '../registration.ts';
import { serverBase } from '../url.ts';
import { type Command, required, type Values } from './arguments.ts';
import { askHidden } from './ask.ts';
import { connectionFinding } from './connection-finding.ts';
import { beforeLines, environmentLine } from './environment.ts';
import { type CommandLine, Mistake, paint } from './terminal.ts';
import { transportOf } from './transport.ts';

export const register: Command = {
  summary: 'Registers your application as an OAuth client at a PowerFolder server.',
  help: `Usage: passport-powerfolder register --server URL --admin NAME [--client-id ID]

Registers your application as an OAuth client at a PowerFolder server, and prints
what to put into its environment. What becomes of a client ID that is registered
already is not known: it may get the new secret, or have both. To change a secret,
register a new ID.

  --server URL            base URL of the server, with its context path
                          (default: $POWERFOLDER_URL)
  --admin NAME            user name of an administrator of that server
  --client-id ID          ID to register (default: $POWERFOLDER_CLIENT_ID, or a new one)
  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

A proxy is taken from $HTTPS_PROXY (or $HTTP_PROXY, for an http server), unless $NO_PROXY
names the server; each of them in lower case as well.

The administrator's password is asked for, or read from $POWERFOLDER_ADMIN_PASSWORD
or from the first line of the standard input. The client's secret is taken from
$POWERFOLDER_CLIENT_SECRET; otherwise one is made, and printed this once.

  passport-powerfolder register --server https://powerfolder.example.com --admin admin >> .env
`,
  options: {
    server: { type: 'string' },
    admin: { type: 'string' },
    'client-id': { type: 'string' },
    ca: { type: 'string' },
    'allow-insecure-http': { type: 'boolean' },
  },
  run,
};

async function run(values: Values, io: CommandLine): Promise<number> {
  const { env, stdout, stderr } = io;
  const server = required(values, 'server', env, 'POWERFOLDER_URL');
  const username = required(values, 'admin', env);
  const transport = transportOf(values, env);
  // Before the password is asked for.
  const serverURL = serverBase(server, transport);
  const clientSecret = env['POWERFOLDER_CLIENT_SECRET'] || undefined;
  const clientID = (values['client-id'] as string | undefined) ?? (env['POWERFOLDER_CLIENT_ID'] || undefined);
  const serverLine = environmentLine('POWERFOLDER_URL', serverURL);
  if (clientID !== undefined) environmentLine('POWERFOLDER_CLIENT_ID', clientID);
  try {
    const question = {
      what: 'password',
      prompt: `Password of ${plainText(username)}: `,
      consequence: 'nothing was registered',
    };
    const password = env['POWERFOLDER_ADMIN_PASSWORD'] || (await askHidden(question, io));
    const admin = { username, password };
    const client = await registerClient({ serverURL, admin, clientID, clientSecret }, transport);
    const lines = serverLine + environmentLine('POWERFOLDER_CLIENT_ID', client.clientID);
    const secretLine = clientSecret ? '' : environmentLine('POWERFOLDER_CLIENT_SECRET', client.clientSecret);
    await written(stdout, beforeLines(stdout) + lines + secretLine);
    stderr.write(
      `${paint(stderr, env, 'green', 'Registered')} ${client.clientID} at ${serverURL}. ${
        clientSecret
          ? 'Its secret is the one in POWERFOLDER_CLIENT_SECRET.'
          : 'Put these lines into the environment of your application; the secret is shown this once.'
      } Then run passport-powerfolder check.\n`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof PowerFolderError)) throw error;
    throw new Mistake(connectionFinding(error, serverURL)?.text ?? refusal(error, serverURL));
  }
}

/** @throws {Mistake} when the lines, of which one may be a new secret, got nowhere. */
function written(stdout: CommandLine['stdout'], lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(lines, (error?: (Error & { code?: unknown }) | null) => {
      if (!error) return resolve();
      const why = `The client was registered, but its lines could not be written (${error.code}).`;
      reject(new Mistake(`${why} What is lost with them cannot be shown again: register the client once more.`));
    });
  });
}

/** What a server that can be reached has against a registration, and what to do about it. */
function refusal({ code, serverStatus, message }: PowerFolderError, server: string): string {
  const status = `status ${serverStatus}`;
  switch (code) {
    case 'login_refused':
      return `${server} does not accept the administrator's user name or password (${status}). Check --admin and the password.`;
    case 'not_administrator':
      return `The account given with --admin is no administrator of ${server}, or may not use its API (${status}).`;
    case 'not_powerfolder':
      return `There is no registration API of a PowerFolder server at ${server} (${status}). Check the host and the context path in --server, such as https://host/powerfolder; if they are right, the administrator's user name or password may be wrong.`;
    case 'redirected':
      return `${server} wants https (${status}). Give --server with https://.`;
    case 'refused':
      return `${server} did not register the client (${status}). Its log may say why.`;
    default:
      return message;
  }
}
