/** `passport-powerfolder token` */
import { PowerFolderClient } from '../client.ts';
import { PowerFolderError } from '../errors.ts';
import { plainText } from '../redact.ts';
import { areFresh } from '../token.ts';
import { serverBase } from '../url.ts';
import type { Command, Values } from './arguments.ts';
import { type CommandLine, Mistake } from './terminal.ts';
import { type KeptTokens, readTokenFile, whileLocked, writeTokenFile } from './token-file.ts';
import { tokenClientOf, transportOf } from './transport.ts';

export const token: Command = {
  summary: 'Prints a fresh access token of a file that sign-in --save has written.',
  help: `Usage: passport-powerfolder token FILE

Prints an access token that is good for a minute at least. It is refreshed, and the file
written, when that is needed; several may run at once.

  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

The client's secret is read from $POWERFOLDER_CLIENT_SECRET, and needed for a refresh only.
A proxy is taken from $HTTPS_PROXY (or $HTTP_PROXY, for an http server), unless $NO_PROXY
names the server; each of them in lower case as well.

  printf 'Authorization: Bearer %s\\n' "$(passport-powerfolder token FILE)" |
    curl -H @- https://powerfolder.example.com/webdav/
  rclone lsd :webdav: --webdav-url https://powerfolder.example.com/webdav/ \\
    --webdav-vendor owncloud --webdav-bearer-token-command 'passport-powerfolder token FILE'
`,
  options: { ca: { type: 'string' }, 'allow-insecure-http': { type: 'boolean' } },
  argument: 'FILE',
  run,
};

async function run(values: Values, { env, stdout }: CommandLine): Promise<number> {
  const { argument: file } = values;
  if (typeof file !== 'string') throw new Mistake('Give the file that sign-in --save has written. See --help.');
  const kept = await load(file);
  if (areFresh(kept.tokens)) {
    stdout.write(`${kept.tokens.accessToken}\n`);
    return 0;
  }
  stdout.write(`${await refreshed(file, kept, values, env)}\n`);
  return 0;
}

async function load(file: string): Promise<KeptTokens> {
  const kept = await readTokenFile(file);
  if (kept) return kept;
  throw new Mistake(`There is no ${plainText(file)}. Make it: passport-powerfolder sign-in --save FILE`);
}

async function refreshed(
  file: string,
  { serverURL, clientID, refreshMethod }: KeptTokens,
  values: Values,
  env: CommandLine['env'],
): Promise<string> {
  const clientSecret = secretFor(serverURL, clientID, env);
  const transport = transportOf(values, env);
  const base = serverBase(serverURL, transport);
  const client = new PowerFolderClient(
    undefined,
    tokenClientOf({ base, clientID, clientSecret, refreshMethod }, transport),
  );
  const keeper = client.keepTokens<string>({
    load: async () => (await load(file)).tokens,
    save: async (_, tokens, replaced) => {
      const now = await load(file);
      if (now.tokens.accessToken !== replaced.accessToken) return false;
      return await writeTokenFile(file, { ...now, tokens });
    },
    lock: async (_, work) => await whileLocked(file, work),
  });
  try {
    return await keeper.use(file, (accessToken) => accessToken);
  } catch (error) {
    if (!(error instanceof PowerFolderError && error.code === 'sign_in_again')) throw error;
    throw new Mistake(`${error.message} passport-powerfolder sign-in --save FILE`);
  }
}

/** The secret in the environment may be another client's, which this server must not get. */
function secretFor(serverURL: string, clientID: string, env: CommandLine['env']): string {
  const { POWERFOLDER_URL: url, POWERFOLDER_CLIENT_ID: id, POWERFOLDER_CLIENT_SECRET: secret } = env;
  if (!secret) {
    throw new Mistake('The access token has to be refreshed, and POWERFOLDER_CLIENT_SECRET is not set.');
  }
  const isOther = (url && url.replace(/\/+$/, '') !== serverURL) || (id && id !== clientID);
  if (isOther)
    throw new Mistake(
      'POWERFOLDER_URL or POWERFOLDER_CLIENT_ID is not that of the file, and so the secret may not be, either.',
    );
  return secret;
}
