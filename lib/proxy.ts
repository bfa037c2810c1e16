/** Which proxy leads to a server: the option `proxy`, and the environment (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). */
import { BlockList, isIP } from 'node:net';
import { ConfigurationMistake } from './errors.ts';
import { isLoopback } from './loopback.ts';

/** An HTTP proxy (RFC 9110 section 3.7). */
export interface HTTPProxy {
  /** Scheme, host and port. */
  origin: string;
  /** Host and port, for messages. */
  host: string;
  /** `Proxy-Authorization` (RFC 9110 section 11.7.2), where there are a user name and a password. */
  authorization: string | undefined;
}

/** The proxy on the way to a server, by the server's origin; undefined for none. */
export type ProxyTo = (origin: string) => HTTPProxy | undefined;

type Environment = Record<string, string | undefined>;

/**
 * The option `proxy`, checked.
 *
 * @param given A URL, `'env'`, false for none; undefined for what Node was told.
 * @returns undefined where there is never a proxy.
 * @throws {TypeError} with the fix in the sentence, and without the password.
 */
export function checkedProxy(given: unknown, env: Environment = process.env): ProxyTo | undefined {
  if (given === undefined) return env['NODE_USE_ENV_PROXY'] === '1' ? proxyOfEnvironment(env) : undefined;
  if (given === false) return undefined;
  if (given === 'env') return proxyOfEnvironment(env);
  const proxy = parsedProxy(given, 'proxy');
  return (origin) => (staysHere(new URL(origin), proxy) ? undefined : proxy);
}

/** What is allowed to be http because it stays on this machine does not leave it by a proxy elsewhere. */
function staysHere({ protocol, hostname }: URL, proxy: HTTPProxy): boolean {
  return protocol === 'http:' && isLoopback(hostname) && !isLoopback(new URL(proxy.origin).hostname);
}

/** As curl reads it: the variables in lower case come first, and there is no proxy for what NO_PROXY names. */
function proxyOfEnvironment(env: Environment): ProxyTo | undefined {
  const variable = (name: string): [string, string] | undefined => {
    const found = [name.toLowerCase(), name].find((one) => env[one]);
    return found === undefined ? undefined : [found, String(env[found])];
  };
  const proxies = new Map<string, HTTPProxy>();
  for (const scheme of ['http', 'https']) {
    // In a CGI process HTTP_PROXY is what a request's header "Proxy" says (CVE-2016-5385).
    if (scheme === 'http' && env['REQUEST_METHOD'] !== undefined && !env['http_proxy']) continue;
    const found = variable(`${scheme.toUpperCase()}_PROXY`);
    if (found) proxies.set(`${scheme}:`, parsedProxy(found[1], found[0]));
  }
  if (proxies.size === 0) return undefined;
  const isExcepted = exceptions(variable('NO_PROXY')?.[1] ?? '');
  return (origin) => {
    const url = new URL(origin);
    const proxy = proxies.get(url.protocol);
    return !proxy || isExcepted(url) || staysHere(url, proxy) ? undefined : proxy;
  };
}

/** @param name Of the option or the variable, for messages: its value may hold a password. */
function parsedProxy(given: unknown, name: string): HTTPProxy {
  if (typeof given !== 'string' || given.trim() === '') {
    throw new ConfigurationMistake(
      name,
      "must be the URL of a proxy, 'env' for what the environment says, or false for none",
    );
  }
  const text = given.trim();
  let url: URL;
  try {
    url = new URL(/^[a-z][a-z\d+.-]*:\/\//i.test(text) ? text : `http://${text}`);
  } catch {
    throw new ConfigurationMistake(name, 'is not the URL of a proxy, such as http://proxy.example.com:3128');
  }
  const { protocol, origin, host, hostname, username, password, pathname, search, hash } = url;
  if (protocol !== 'http:' && protocol !== 'https:') {
    throw new ConfigurationMistake(
      name,
      `has the scheme ${protocol} but must be http or https; for another kind of proxy give a dispatcher`,
    );
  }
  if (hostname === '' || pathname !== '/' || search !== '' || hash !== '') {
    throw new ConfigurationMistake(name, 'must be scheme, host and port of a proxy, and nothing behind them');
  }
  return { origin, host, authorization: username === '' ? undefined : basic(username, password, name) };
}

/** RFC 7617. */
function basic(username: string, password: string, name: string): string {
  try {
    const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return `Basic ${Buffer.from(credentials, 'utf8').toString('base64')}`;
  } catch {
    throw new ConfigurationMistake(name, 'has a % in its user name or password that is no escape; write it %25');
  }
}

/** NO_PROXY: hosts with all that is below them, addresses, networks (`10.0.0.0/8`), each perhaps with a port, or `*`. */
function exceptions(list: string): (url: URL) => boolean {
  const entries = list.split(/[\s,]+/).filter(Boolean);
  if (entries.includes('*')) return () => true;
  const tests = entries.map(exception);
  return (url) => tests.some((test) => test(url));
}

function exception(entry: string): (url: URL) => boolean {
  const [, address = '', bits = ''] = /^(.+)\/(\d+)$/.exec(entry) ?? [];
  const family = isIP(address);
  if (family !== 0 && Number(bits) <= (family === 4 ? 32 : 128)) {
    const network = new BlockList();
    network.addSubnet(address, Number(bits), `ipv${family as 4 | 6}`);
    return ({ hostname }) => {
      const host = withoutBrackets(hostname);
      return isIP(host) === family && network.check(host, `ipv${family as 4 | 6}`);
    };
  }
  const [, host = '', port] = /^(\[[^\]]*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry) ?? [];
  const name = withoutBrackets(host)
    .toLowerCase()
    .replace(/^\*?\.|\.$/g, '');
  return (url) => {
    const asked = withoutBrackets(url.hostname);
    const isNamed = name !== '' && (asked === name || (isIP(asked) === 0 && asked.endsWith(`.${name}`)));
    return isNamed && (port === undefined || port === (url.port || (url.protocol === 'https:' ? '443' : '80')));
  };
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}
