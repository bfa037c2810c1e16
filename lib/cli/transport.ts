/** How the commands reach the server: `--ca`, `--allow-insecure-http`, and the proxy that the environment names. */
import { readFileSync } from 'node:fs';
import { trustedCAs } from '../ca.ts';
import { checkedTransport } from '../configuration.ts';
import type { Transport } from '../http.ts';
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
