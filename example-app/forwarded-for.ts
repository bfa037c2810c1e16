/** X-Forwarded-For as proxies write it, made into what Express reads: from then on `req.ip` is the visitor's address. */

import { isIP } from 'node:net';
import type { RequestHandler } from 'express';
import type { Config } from './config.ts';

/** Who comes through a Unix domain socket is on this machine. */
const thisMachine = '127.0.0.1';

/**
 * To be used before anything that asks for `req.ip` or `req.protocol`. Express takes whatever stands between the commas for an
 * address: with a port in it each connection would be another visitor, and a proxy would not be recognised as trusted.
 */
export function plainForwardedFor({ socketPath }: Config): RequestHandler {
  return (req, _res, next) => {
    // Such a connection has no address, so that no TRUST_PROXY could name it. A connection by TCP that was closed has none either,
    // which is why the setting decides here.
    if (socketPath) Object.defineProperty(req.socket, 'remoteAddress', { value: thisMachine, configurable: true });
    // Of several lines Node makes one, with commas.
    const header = req.headers['x-forwarded-for'];
    if (header !== undefined) req.headers['x-forwarded-for'] = plainAddresses(String(header));
    next();
  };
}

/**
 * The addresses from the last one, which the nearest proxy wrote, to the first entry that is none: whoever stands behind that
 * is unknown, and what it says about others counts for nothing. The visitor is then counted as the nearest known address.
 * That holds for an empty entry too: the proxy had nothing to write.
 */
function plainAddresses(header: string): string {
  const addresses: string[] = [];
  for (const entry of header.split(',').reverse()) {
    const address = plainAddress(entry.trim());
    if (address === undefined) break;
    addresses.push(address);
  }
  return addresses.reverse().join(', ');
}

/** The address in `203.0.113.8`, `203.0.113.8:51234`, `2001:db8::1`, `[2001:db8::1]`, `"[2001:db8::1]:443"`. */
function plainAddress(entry: string): string | undefined {
  const text = entry.replace(/^"(.*)"$/, '$1');
  // So nginx calls a peer that came through a Unix domain socket.
  if (text === 'unix:') return thisMachine;
  const [, v4, v6] = /^(?:([\d.]+)|\[([^\]]+)\])(?::\w+)?$/.exec(text) ?? [];
  // A zone (`fe80::1%eth0`) means something on the machine that wrote it only.
  const address = (v4 ?? v6 ?? text).replace(/%.*$/, '');
  return isIP(address) === 0 ? undefined : address;
}
