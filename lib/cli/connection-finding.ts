/** What is wrong on the way to a server. */
import type { PowerFolderError } from '../errors.ts';
import { proxyProblem } from '../exchange-errors.ts';
import { defaultTimeout } from '../http.ts';
import { type Finding, wrong } from './finding.ts';

/** What is wrong on the way to the server; undefined when the server itself is the problem. */
export function connectionFinding({ code, cause, message }: PowerFolderError, base: string): Finding | undefined {
  const { host, hostname } = new URL(base);
  const { code: causeCode, proxy, status } = (cause ?? {}) as { code?: unknown; proxy?: unknown; status?: number };
  const reason = String(causeCode ?? code);
  if (typeof proxy === 'string') {
    const variable = base.startsWith('http:') ? 'HTTP_PROXY' : 'HTTPS_PROXY';
    const what = `The proxy ${proxy} ${proxyProblem(status, reason)}`;
    return wrong('proxy', `${what}. It stands in ${variable}; NO_PROXY=${hostname} goes without.`);
  }
  const [way = ''] = /, through the proxy \S+(?=\.$)/.exec(message) ?? [];
  switch (code) {
    case 'unreachable':
      return /^(ENOTFOUND|EAI_)/.test(reason)
        ? wrong(
            'DNS',
            `There is no address for ${hostname} (${reason}). Check the spelling of --server, and DNS or VPN.`,
          )
        : wrong(
            'reach',
            `Nothing answers at ${host} (${reason}). Check the port in --server, whether the server runs, and firewalls.`,
          );
    case 'timeout':
      return wrong(
        'reach',
        `${host} did not answer within ${defaultTimeout / 1000} s${way}. Check whether the server is well, and firewalls and VPN.`,
      );
    case 'tls':
      return wrong('TLS', tlsProblem(reason, hostname, host));
    case 'not_http':
    case 'connection_lost':
      return base.startsWith('http:')
        ? wrong(
            'https',
            `${host} broke off the connection or does not speak http (${reason}). If it wants https, give --server ${base.replace('http:', 'https:')}`,
          )
        : wrong(
            'reach',
            `${host} broke off the connection or speaks no HTTP (${reason}). Check the port in --server, and the server's log.`,
          );
    default:
      return undefined;
  }
}

function tlsProblem(reason: string, hostname: string, host: string): string {
  if (/ALTNAME/.test(reason)) {
    return `The certificate of ${host} is not for the name ${hostname} (${reason}). Give --server with the name that is in it.`;
  }
  if (/EXPIRED|NOT_YET_VALID/.test(reason)) {
    return `The certificate of ${host} is not valid at this time (${reason}). Check the date of this computer; else the server needs a new certificate.`;
  }
  if (/SELF_SIGNED|UNABLE_TO|UNTRUSTED|INVALID_CA|CERT_CHAIN/.test(reason)) {
    return `The certificate of ${host} is of no CA that is trusted here (${reason}). Trust its CA: here with --ca FILE, in your application with the option ca, or NODE_EXTRA_CA_CERTS=FILE.`;
  }
  if (/ALERT/.test(reason)) {
    return `${host} refuses this client (${reason}): its TLS version, or it wants a client certificate. Ask its administrator.`;
  }
  return `TLS with ${host} fails (${reason}). Check the port in --server: http may be spoken there.`;
}
