/** How the commands reach the server: `--ca`, `--allow-insecure-http`, and the proxy that the environment names. */
import { readFileSync } from 'node:fs';
import { trustedCAs } from '../ca.ts';
import { checkedCredential, checkedTransport } from '../configuration.ts';
import type { Transport } from '../http.ts';
import { parseErrorResponse, type TokenClient } from '../token.ts';
import type { Values } from './arguments.ts';
import { type CommandLine, Mistake } from './terminal.ts';

/** How the server is reached, by the options that `register` and `check` share. */
export function transportOf(values: Values, env: CommandLine['env']): Transport {
  const { ca } = values;
  const options = {
    allowInsecureHTTP: values['allow-insecure-http'] === true,
    ...(typeof ca === 'string' && { ca: certificates(ca) }),
    // As curl, also where Node was not told so.
    proxy: 'env',
  };
  return checkedTransport(options, env);
}

/** A client as a strategy has it, reached as a command reaches it. */
export function tokenClientOf(
  { base, clientID, clientSecret, refreshMethod = 'POST' }: TokenClientValues,
  transport: Transport,
): TokenClient {
  return {
    clientID: checkedCredential(clientID, 'clientID'),
    clientSecret: checkedCredential(clientSecret, 'clientSecret'),
    tokenURL: `${base}/oauth/token`,
    transport,
    parseErrorResponse,
    ...(refreshMethod === 'GET' && { refreshByGET: `${base}/oauth` }),
  };
}

interface TokenClientValues {
  base: string;
  clientID: string;
  clientSecret: string;
  refreshMethod?: 'POST' | 'GET';
}

function certificates(file: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(file);
  } catch (error) {
    throw new Mistake(`The file given with --ca cannot be read (${(error as { code?: unknown }).code}).`);
  }
  try {
    trustedCAs(content);
    return content;
  } catch {
    throw new Mistake('The file given with --ca holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).');
  }
}
