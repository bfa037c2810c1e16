/** The option `ca`: certificate authorities to trust beside the well-known ones. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as tls from 'node:tls';
import { ConfigurationMistake } from './errors.ts';

/** Certificates in PEM form (RFC 7468 section 5), as texts or as a file's bytes; several may stand in one text. */
export type CA = string | Uint8Array | readonly (string | Uint8Array)[];

/**
 * All CAs to trust: those given, and those that Node trusts.
 *
 * @throws {TypeError} with the fix in the sentence, for what holds no certificate.
 */
export function trustedCAs(given: unknown): string[] {
  const own = (Array.isArray(given) ? given : [given]).map((one: unknown) => {
    const text = one instanceof Uint8Array ? Buffer.from(one).toString('latin1') : one;
    const certificates = typeof text === 'string' ? text.match(certificate) : null;
    if (!certificates?.every(isReadable)) {
      throw new ConfigurationMistake(
        'ca',
        "must be certificates in PEM form (-----BEGIN CERTIFICATE-----), and no file's name: give readFileSync('ca.pem')",
      );
    }
    return certificates.join('\n');
  });
  if (own.length === 0) throw new ConfigurationMistake('ca', 'has no certificate in its list; leave it out');
  return [...nodesCAs(), ...own];
}

const certificate = /-----BEGIN (?:TRUSTED )?CERTIFICATE-----[^-]*-----END (?:TRUSTED )?CERTIFICATE-----/g;

function isReadable(pem: string): boolean {
  try {
    new X509Certificate(pem);
    return true;
  } catch {
    return false;
  }
}

/** Node 22.15 and newer tell them, with those of the system where it was told to trust these. */
function nodesCAs(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (type: 'default') => string[] };
  return getCACertificates?.('default') ?? [...tls.rootCertificates, ...extraCAs()];
}

function extraCAs(): string[] {
  const file = process.env['NODE_EXTRA_CA_CERTS'];
  if (!file) return [];
  try {
    return [readFileSync(file, 'latin1')];
  } catch {
    // As Node, which warns at its start and goes on.
    return [];
  }
}
