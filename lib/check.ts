/** Finding out what is wrong with a configuration, without signing anybody in. */
import { randomBytes } from 'node:crypto';
import { TokenError } from 'passport-oauth2';
import { serverBase } from './configuration.ts';
import { PowerFolderError, plainText } from './errors.ts';
import {
  defaultTimeout,
  exchange,
  type HTTPRequest,
  type HTTPResponse,
  jsonObject,
  redirectTarget,
  type Transport,
} from './http.ts';
import { PowerFolderStrategy } from './strategy.ts';
import { PowerFolderOAuth2, parseErrorResponse } from './token.ts';

/** What was found out, and what to do about it. */
export interface Finding {
  /** `unclear` where the server does not tell. */
  verdict: 'ok' | 'wrong' | 'unclear';
  about: string;
  text: string;
}

const wrong = (about: string, text: string): Finding => ({ verdict: 'wrong', about, text });
const ok = (about: string, text: string): Finding => ({ verdict: 'ok', about, text });
const unclear = (about: string, text: string): Finding => ({ verdict: 'unclear', about, text });

/** What the strategy itself says about a callback URL. */
export function checkCallback(callbackURL: string, { allowInsecureHTTP }: Transport): Finding {
  const others = { serverURL: 'https://localhost', clientID: 'any', clientSecret: 'any' };
  try {
    new PowerFolderStrategy({ ...others, callbackURL, allowInsecureHTTP }, () => false);
    return ok('callback', `${callbackURL} is a callback URL.`);
  } catch (error) {
    return wrong('callback', `${(error as Error).message}.`);
  }
}

/** What is to be said about the server and the client, in the order in which it is found out. */
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
    yield wrong('server', `${(error as Error).message}.`);
    return;
  }
  const message = madeUpTokenRequest(base);
  const sent = Date.now();
  let answer: HTTPResponse;
  try {
    answer = await exchange(message, transport);
  } catch (error) {
    if (!(error instanceof PowerFolderError)) throw error;
    yield connectionProblem(error, base) ?? (await notPowerFolder(base, error.message, undefined, transport));
    return;
  }
  const found = await serverFinding(base, message, answer, transport);
  yield found;
  yield clock(answer, sent);
  if (found.verdict === 'wrong') return;
  yield clientSecret
    ? await checkClient(base, clientID, clientSecret, oauthError(answer), transport)
    : wrong(
        'client',
        'POWERFOLDER_CLIENT_SECRET is not set. Put the secret there, in the environment of this command.',
      );
}

/** Who answered the made-up token request. */
async function serverFinding(
  base: string,
  message: HTTPRequest,
  answer: HTTPResponse,
  transport: Transport,
): Promise<Finding> {
  const { status } = answer;
  const target = redirectTarget(answer, message);
  if (base.startsWith('http:') && target?.protocol === 'https:') {
    return wrong('https', `The server wants https. Give --server ${shown(target).replace(/\/oauth\/token$/, '')}`);
  }
  if (oauthError(answer)) return ok('server', `${base} answers as a PowerFolder server does.`);
  if ([502, 503, 504].includes(status)) {
    return wrong('server', `${base} is out of order (status ${status}). Try again later, or ask its administrator.`);
  }
  if (status < 400 || [404, 405, 410, 501].includes(status)) {
    return await notPowerFolder(base, `${message.url} answers with status ${status}`, target, transport);
  }
  return unclear('server', `${message.url} refuses with status ${status} and no OAuth error: PowerFolder, or not.`);
}

/** A token request in which all is made up: safe to send to whatever answers. */
function madeUpTokenRequest(base: string): HTTPRequest {
  const made = () => randomBytes(16).toString('hex');
  return {
    endpoint: 'token endpoint',
    method: 'POST',
    url: `${base}/oauth/token`,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({
      grant_type: 'authorization_code',
      code: made(),
      client_id: 'passport-powerfolder-check',
      client_secret: made(),
    }),
    redirect: 'manual',
  };
}

/** The error in an answer, if it is one of RFC 6749's (section 5.2): other web servers say `"error": "Not Found"`. */
function oauthError({ body }: HTTPResponse): string | undefined {
  const words = ['invalid_client', 'invalid_grant', 'invalid_request', 'unauthorized_client', 'unsupported_grant_type'];
  const error = jsonObject(body)?.['error'];
  return words.concat('invalid_scope', 'access_denied', 'server_error').find((word) => word === error);
}

function clock({ headers }: HTTPResponse, sent: number): Finding {
  const theirs = typeof headers['date'] === 'string' ? Date.parse(headers['date']) : Number.NaN;
  if (Number.isNaN(theirs)) return unclear('clock', 'The server does not tell the time.');
  // The header has whole seconds, and the answer took its time.
  const skew = Math.round((theirs - (sent + Date.now()) / 2) / 1000);
  const apart = `${Math.floor(Math.abs(skew) / 60)} min ${Math.abs(skew) % 60} s`;
  return Math.abs(skew) <= 300
    ? ok('clock', `The server's clock and this computer's are ${Math.abs(skew)} s apart.`)
    : wrong(
        'clock',
        `This computer's clock is ${apart} ${skew > 0 ? 'behind' : 'ahead of'} the server's, so tokens would seem to live too ${skew > 0 ? 'long' : 'short'}. Set the wrong one, by NTP for instance.`,
      );
}

/** A URL of the server's as it may be shown: one line, without the query. */
function shown({ origin, pathname }: URL): string {
  return plainText(origin + pathname);
}

/** Says that the URL is wrong, and which one is right, if that can be found nearby. */
async function notPowerFolder(
  base: string,
  reason: string,
  target: URL | undefined,
  transport: Transport,
): Promise<Finding> {
  const home: HTTPRequest = { endpoint: 'home page', method: 'GET', url: `${base}/`, headers: {}, redirect: 'manual' };
  const hints = [
    target,
    await exchange(home, transport).then(
      (answer) => redirectTarget(answer, home),
      () => undefined,
    ),
  ];
  const { origin, pathname } = new URL(base);
  const foreign = hints.find((hint) => hint && hint.origin !== origin);
  const paths = [pathname, ...hints.flatMap((hint) => (hint?.origin === origin ? [hint.pathname] : []))];
  const candidates = new Set([
    ...paths.flatMap(prefixes),
    `${pathname.replace(/\/$/, '')}/powerfolder`,
    '/powerfolder',
  ]);
  candidates.delete(base.slice(origin.length));
  for (const path of [...candidates].slice(0, 10)) {
    const found = await exchange(madeUpTokenRequest(origin + path), transport).then(oauthError, () => undefined);
    if (found) {
      const there = plainText(origin + path);
      return wrong('path', `The context path is wrong: PowerFolder is at ${there}. Give that as --server.`);
    }
  }
  return wrong(
    'server',
    `${reason.replace(/\.$/, '')}: this is not a PowerFolder server, or not its base URL. ${
      foreign
        ? `It leads to ${shown(foreign)}; check whether the server is there.`
        : 'Check the host and the context path in --server, such as https://host/powerfolder.'
    }`,
  );
}

/** `/a/b` has the prefixes '', '/a' and '/a/b': the longest is the likeliest context path. */
function prefixes(pathname: string): string[] {
  const names = pathname.split('/').filter(Boolean);
  return names.concat('').map((_, length) =>
    names
      .slice(0, names.length - length)
      .map((name) => `/${name}`)
      .join(''),
  );
}

/**
 * Whether the server knows the client and its secret, asked for with a code that cannot be right: who gets as far as
 * the code has passed.
 *
 * @param toOthers The error that an unknown client gets for the same.
 */
async function checkClient(
  base: string,
  clientID: string,
  clientSecret: string,
  toOthers: string | undefined,
  transport: Transport,
): Promise<Finding> {
  const settings = { transport, parseErrorResponse };
  const client = new PowerFolderOAuth2(clientID, clientSecret, '', '', `${base}/oauth/token`, undefined, settings);
  try {
    await client.requestTokens(randomBytes(16).toString('hex'));
    return wrong('client', 'The server gave tokens for a made-up code: it is not a PowerFolder server to be trusted.');
  } catch (error) {
    if (error instanceof PowerFolderError) {
      const { code, serverStatus: status } = error;
      if (code === 'refused' && status !== 401 && status !== 403) {
        return unclear(
          'client',
          `The server refuses with status ${status} and no OAuth error, which may be because of the made-up code.`,
        );
      }
      return connectionProblem(error, base) ?? wrong('client', error.message);
    }
    if (!(error instanceof TokenError)) throw error;
    if (error.code === 'invalid_grant') {
      return toOthers === 'invalid_grant'
        ? unclear(
            'client',
            'The server looks at the code first, so a made-up one does not tell whether ID and secret are right.',
          )
        : ok('client', `The server knows ${plainText(clientID)} and its secret.`);
    }
    const said = `(the server says ${error.code}: "${error.message}")`;
    if (error.code !== 'invalid_client' && error.code !== 'unauthorized_client') {
      return wrong('client', `The server refuses the token request for a reason of its own ${said}.`);
    }
    const aboutSecret = /secret|password|authenticat|credential/i.test(error.message);
    const aboutID =
      /unknown|not (known|found|registered)|no (such )?client|does not exist|client.?id|authenticat|credential/i.test(
        error.message,
      );
    if (aboutSecret && !aboutID) {
      return wrong(
        'secret',
        `The client's secret is wrong ${said}. Put the registered one into POWERFOLDER_CLIENT_SECRET, or register the client again.`,
      );
    }
    if (aboutID && !aboutSecret) {
      return wrong(
        'client',
        `The client is unknown ${said}. Check --client-id, or register the client: passport-powerfolder register`,
      );
    }
    return wrong(
      'client',
      `The client is unknown or its secret is wrong ${said}. Check --client-id and POWERFOLDER_CLIENT_SECRET, or register the client again.`,
    );
  }
}

/** What is wrong on the way to the server; undefined when the server itself is the problem. */
export function connectionProblem({ code, cause }: PowerFolderError, base: string): Finding | undefined {
  const { host, hostname } = new URL(base);
  const reason = String((cause as { code?: unknown } | undefined)?.code ?? code);
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
        `${host} did not answer within ${defaultTimeout / 1000} s. Check whether the server is well, and firewalls and VPN.`,
      );
    case 'tls':
      return wrong('TLS', tlsProblem(reason, hostname, host));
    case 'not_http':
    case 'connection_lost':
      return base.startsWith('http:')
        ? wrong(
            'https',
            `${host} does not speak http (${reason}). Probably it wants https: give --server ${base.replace('http:', 'https:')}`,
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
    return `The certificate of ${host} is of no CA that is trusted here (${reason}). Trust its CA: here with --ca FILE, in your application with NODE_EXTRA_CA_CERTS=FILE or the option dispatcher: new Agent({ connect: { ca } }).`;
  }
  return `TLS with ${host} fails (${reason}). Check the port in --server: http may be spoken there.`;
}
