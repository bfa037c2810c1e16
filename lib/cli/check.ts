/** `passport-powerfolder check` */
import { PowerFolderError } from '../errors.ts';
import { exchange, type HTTPResponse, type Transport } from '../http.ts';
import { checkedCallbackURL, serverBase } from '../url.ts';
import { type Command, required, type Values } from './arguments.ts';
import { clientFinding } from './client-finding.ts';
import { connectionFinding } from './connection-finding.ts';
import { type Finding, ok, tell, unclear, wrong } from './finding.ts';
import { madeUpTokenRequest, refusal } from './probe.ts';
import { clockFinding, notPowerFolder, serverFinding } from './server-finding.ts';
import { type CommandLine, sentence } from './terminal.ts';
import { transportOf } from './transport.ts';

export const check: Command = {
  summary: 'Finds out what is wrong with a configuration.',
  help: `Usage: passport-powerfolder check --server URL --client-id ID [--callback-url URL]

Finds out what is wrong with a configuration: whether the server can be reached and
trusted, is a PowerFolder server, knows the client and its secret, and agrees about
the time; and whether the callback URL is one. Signs nobody in and changes nothing.

  --server URL            base URL of the server, with its context path
                          (default: $POWERFOLDER_URL)
  --client-id ID          the registered client's ID (default: $POWERFOLDER_CLIENT_ID)
  --callback-url URL      the strategy's callbackURL
  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

A proxy is taken from $HTTPS_PROXY (or $HTTP_PROXY, for an http server), unless $NO_PROXY
names the server; each of them in lower case as well.

The client's secret is read from $POWERFOLDER_CLIENT_SECRET.
It is sent only to a server that has refused a made-up client, and this client with a
made-up secret, as PowerFolder does: three token requests in all.

The exit status is 0 when all that was asked for was checked and is well. It is 1 when
something is wrong, or could not be checked.
`,
  options: {
    server: { type: 'string' },
    'client-id': { type: 'string' },
    'callback-url': { type: 'string' },
    ca: { type: 'string' },
    'allow-insecure-http': { type: 'boolean' },
  },
  run,
};

async function run(values: Values, io: CommandLine): Promise<number> {
  const { env, stdout } = io;
  const server = required(values, 'server', env, 'POWERFOLDER_URL');
  const clientID = required(values, 'client-id', env, 'POWERFOLDER_CLIENT_ID');
  const transport = transportOf(values, env);
  const subjects: Record<Finding['verdict'], string[]> = { ok: [], wrong: [], unclear: [] };
  const report = (finding: Finding) => {
    tell(io, finding);
    subjects[finding.verdict].push(finding.about);
  };
  const findings = checkServer(server, clientID, env['POWERFOLDER_CLIENT_SECRET'], transport);
  for await (const finding of findings) report(finding);
  const { 'callback-url': callbackURL } = values;
  if (typeof callbackURL === 'string') report(callbackFinding(callbackURL, transport));
  const { ok, wrong, unclear } = subjects;
  const well = wrong.length === 0 && unclear.length === 0 && ok.length > 0;
  const summary = [
    well && 'No problem found',
    wrong.length > 0 && `${wrong.length} ${wrong.length === 1 ? 'problem' : 'problems'} found`,
    unclear.length > 0 && `Could not be checked: ${unclear.join(', ')}`,
    wrong.length === 0 && ok.length > 0 && `${well ? 'checked' : 'Checked'}: ${ok.join(', ')}`,
  ].filter(Boolean);
  stdout.write(`${summary.join(well ? '; ' : '. ')}.\n`);
  return well ? 0 : 1;
}

/**
 * What is to be said about the server and the client, in the order in which it is found out. The client's secret is sent
 * only to a server that has refused a made-up client, and then a made-up secret, as PowerFolder does.
 */
export async function* checkServer(
  server: string,
  clientID: string,
  clientSecret: string | undefined,
  transport: Transport,
): AsyncGenerator<Finding> {
  let base: string;
  try {
    base = serverBase(server, transport);
  } catch (error) {
    yield wrong('server', `${sentence(error)}.`);
    return;
  }
  const message = madeUpTokenRequest(base);
  const sent = Date.now();
  let answer: HTTPResponse;
  try {
    answer = await exchange(message, transport);
  } catch (error) {
    if (!(error instanceof PowerFolderError)) throw error;
    yield connectionFinding(error, base) ?? (await notPowerFolder(base, error.message, undefined, transport));
    return;
  }
  // Taken now: what is asked next may take long.
  const received = Date.now();
  const found = await serverFinding(base, message, answer, transport);
  yield found;
  // Another server's clock does not matter.
  if (found.verdict === 'wrong') return;
  yield clockFinding(answer, (sent + received) / 2);
  if (!clientSecret) {
    yield wrong(
      'client',
      'POWERFOLDER_CLIENT_SECRET is not set. Put the secret there, in the environment of this command.',
    );
  } else if (found.verdict === 'unclear') {
    yield unclear(
      'client',
      'ID and secret were not checked: the secret is sent only to a server that answers as PowerFolder does.',
    );
  } else {
    yield await clientFinding(base, clientID, clientSecret, refusal(answer), transport);
  }
}

/** What the strategy says about a callback URL. */
export function callbackFinding(callbackURL: string, transport: Transport): Finding {
  try {
    checkedCallbackURL(callbackURL, transport);
    return ok('callback', `${callbackURL} is a callback URL.`);
  } catch (error) {
    return wrong('callback', `${sentence(error)}.`);
  }
}
