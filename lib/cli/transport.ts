/** How the commands reach the server: `--ca` and `--allow-insecure-http`. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rootCertificates } from 'node:tls';
import { Agent } from 'undici';
import { checkedTransport } from '../configuration.ts';
import type { Transport } from '../http.ts';
import type { Values } from './arguments.ts';
import { Mistake } from './terminal.ts';

/** How the server is reached, by the options that `register` and `check` share. */
export function transportOf(values: Values): Transport {
  const { ca } = values;
  return checkedTransport({
    allowInsecureHTTP: values['allow-insecure-http'] === true,
    dispatcher:
      typeof ca === 'string' ? new Agent({ connect: { ca: [...rootCertificates, certificate(ca)] } }) : undefined,
  });
}

function certificate(file: string): string {
  try {
    const pem = readFileSync(file, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    const { code } = error as { code?: unknown };
    throw new Mistake(
      code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR'
        ? `The file given with --ca cannot be read (${code}).`
        : 'The file given with --ca holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).',
    );
  }
}
