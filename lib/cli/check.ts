/** Finding out what is wrong with a configuration, without signing anybody in. */
import { randomBytes } from 'node:crypto';
import { serverBase } from '../configuration.ts';
import { PowerFolderError, plainText } from '../errors.ts';
import {
  defaultTimeout,
  exchange,
  type HTTPRequest,
  type HTTPResponse,
  jsonObject,
  redirectTarget,
  type Transport,
} from '../http.ts';
import { PowerFolderStrategy } from '../strategy.ts';

/** What was found out, and what to do about it. */
export interface Finding {
  /** `ok` for what was seen to be well, and nothing else; `unclear` where the server does not tell. */
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
  // Taken now: what is asked next may take long.
  const received = Date.now();
  const found = await serverFinding(base, message, answer, transport);
  yield found;
  // Another server's clock does not matter.
  if (found.verdict === 'wrong') return;
  yield clock(answer, (sent + received) / 2);
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
    yield await checkClient(base, clientID, clientSecret, refusal(answer), transport);
  }
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
  // A redirect to another path may be to the log-in page of a network.
  const { hostname, pathname } = new URL(message.url);
  if (base.startsWith('http:') && target?.protocol === 'https:' && target.pathname === pathname) {
    const there = shown(target).replace(/\/oauth\/token$/, '');
    return target.hostname === hostname
      ? wrong('https', `The server wants https. Give --server ${there}`)
      : wrong('https', `The server leads to https at another host. If that is yours, give --server ${there}`);
  }
  const refused = refusal(answer);
  if (refused && (refused.ofClient || refused.ofCode)) {
    return ok('server', `${base} answers as a PowerFolder server does.`);
  }
  if (refused) {
    return unclear(
      'server',
      `${message.url} refuses a token request such as PowerFolder takes (${refused.said}): an OAuth server, but perhaps not PowerFolder. Check the host and the context path in --server.`,
    );
  }
  if (status === 429) return unclear('server', tooManyRequests(base, answer));
  if ([502, 503, 504].includes(status)) {
    return wrong('server', `${base} is out of order (status ${status}). Try again later, or ask its administrator.`);
  }
  if (status < 400 || [404, 405, 410, 501].includes(status)) {
    return await notPowerFolder(base, `${message.url} answers with status ${status}`, target, transport);
  }
  return unclear(
    'server',
    `${message.url} refuses with status ${status} and no OAuth error: PowerFolder, or not. Check --server, and the server's log.`,
  );
}

function tooManyRequests(base: string, { headers }: HTTPResponse): string {
  const after = headers['retry-after'];
  const seconds = typeof after === 'string' && /^\d{1,6}$/.test(after) ? `in ${after} s` : 'later';
  return `${base} has had too many requests (status 429). Try again ${seconds}.`;
}

/** What no server can know. */
function madeUp(): string {
  return randomBytes(16).toString('hex');
}

/** A token request as a sign-in sends it, with a made-up code. */
function tokenRequest(base: string, clientID: string, clientSecret: string): HTTPRequest {
  return {
    endpoint: 'token endpoint',
    method: 'POST',
    url: `${base}/oauth/token`,
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({
      grant_type: 'authorization_code',
      code: madeUp(),
      client_id: clientID,
      client_secret: clientSecret,
    }),
    redirect: 'manual',
  };
}

/** A token request in which all is made up: safe to send to whatever answers. */
function madeUpTokenRequest(base: string): HTTPRequest {
  return tokenRequest(base, 'passport-powerfolder-check', madeUp());
}

/** A refusal in OAuth words. */
interface Refusal {
  error: string;
  /** For people: the server's description, in plain characters. */
  description: string;
  /** Both, for a sentence. */
  said: string;
  /** The server did not get as far as the code. */
  ofClient: boolean;
  /** The server has accepted the client, or looks at the code first. */
  ofCode: boolean;
}

const ofRequest = ['invalid_request', 'unsupported_grant_type', 'invalid_scope'];

/**
 * The refusal in an answer, if it is one of RFC 6749's section 5.2, by status and code. Other web servers say
 * `"error": "Not Found"`, and some say every error with status 200.
 *
 * @param secrets What the description must not repeat.
 */
function refusal({ status, body }: HTTPResponse, ...secrets: string[]): Refusal | undefined {
  // PowerFolder's own are not documented: 403 is not RFC 6749's, but some servers answer so to an unauthorized client.
  if (![400, 401, 403].includes(status)) return undefined;
  const { error, error_description: words } = jsonObject(body) ?? {};
  const ofClient = error === 'invalid_client' || error === 'unauthorized_client';
  const ofCode = error === 'invalid_grant';
  if (typeof error !== 'string' || !(ofClient || ofCode || ofRequest.includes(error))) return undefined;
  const description = typeof words === 'string' ? plainText(words, secrets) : '';
  const said = `the server says ${error}${description && `: "${description}"`}`;
  return { error, description, said, ofClient, ofCode };
}

const httpDate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** @param ours This computer's time, in epoch milliseconds, when the server wrote the answer. */
function clock({ headers }: HTTPResponse, ours: number): Finding {
  const { date } = headers;
  // Date.parse makes a time of nearly anything: of "1", for instance.
  const theirs = typeof date === 'string' && httpDate.test(date) ? Date.parse(date) : Number.NaN;
  if (Number.isNaN(theirs)) {
    return unclear(
      'clock',
      'The server does not tell the time (header Date). Compare its clock with this computer by hand.',
    );
  }
  // The header has whole seconds, and the answer took its time.
  const skew = Math.round((theirs - ours) / 1000);
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
    const refused = await exchange(madeUpTokenRequest(origin + path), transport).then(
      (answer) => refusal(answer),
      () => undefined,
    );
    if (refused?.ofClient || refused?.ofCode) {
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
 * the code has passed. That says something only where a wrong secret does not get as far.
 *
 * @param toOthers What an unknown client is told.
 */
async function checkClient(
  base: string,
  clientID: string,
  clientSecret: string,
  toOthers: Refusal | undefined,
  transport: Transport,
): Promise<Finding> {
  const mistake = mistakeInClient(base, clientID, clientSecret, transport);
  if (mistake) return wrong('client', mistake);
  const codeFirst = unclear(
    'client',
    'The server looks at the code first, so a made-up one does not tell whether ID and secret are right. The secret was not sent. Try a sign-in.',
  );
  if (toOthers?.ofCode) return codeFirst;
  try {
    const toGuess = await exchange(tokenRequest(base, clientID, madeUp()), transport);
    if (refusal(toGuess)?.ofCode) return codeFirst;
    if (!refusal(toGuess)?.ofClient) return oddAnswer(base, toGuess, 'a wrong secret', 'The secret was not sent.');
    const message = tokenRequest(base, clientID, clientSecret);
    const answer = await exchange(message, transport);
    const refused = refusal(answer, clientSecret);
    if (!refused) return oddAnswer(base, answer, 'this client', 'Check --server, and see the log of the server.');
    const guessed = refusal(toGuess)?.error;
    if (refused.error === 'unauthorized_client' && guessed !== 'unauthorized_client') {
      const text = `The server knows ${plainText(clientID)} and its secret, but does not let it ask for tokens by a code (${refused.said}). Ask its administrator.`;
      return wrong('client', text);
    }
    if (refused.ofCode) return ok('client', `The server knows ${plainText(clientID)} and its secret.`);
    return refusedClient(refused);
  } catch (error) {
    if (!(error instanceof PowerFolderError)) throw error;
    return connectionProblem(error, base) ?? unclear('client', error.message);
  }
}

/** What the strategy itself says about a client's ID and secret. */
function mistakeInClient(base: string, clientID: string, clientSecret: string, transport: Transport) {
  const { allowInsecureHTTP } = transport;
  const callbackURL = 'https://localhost/oauth';
  try {
    new PowerFolderStrategy({ serverURL: base, clientID, clientSecret, callbackURL, allowInsecureHTTP }, () => false);
    return undefined;
  } catch (error) {
    return `${(error as Error).message}.`;
  }
}

/** An answer to a made-up code that is not what PowerFolder says to it. */
function oddAnswer(base: string, answer: HTTPResponse, whom: string, advice: string): Finding {
  const { status, body } = answer;
  if (status === 429) return unclear('client', tooManyRequests(base, answer));
  if (status >= 200 && status <= 299 && jsonObject(body)?.['access_token'] !== undefined) {
    return wrong('client', 'The server gave tokens for a made-up code: it is not a PowerFolder server to be trusted.');
  }
  const said = refusal(answer)?.error ?? 'no OAuth error that is known';
  return unclear('client', `The server answers ${whom} with status ${status} and ${said}. ${advice}`);
}

function refusedClient({ description, said, ofClient }: Refusal): Finding {
  if (!ofClient) return wrong('client', `The server refuses the token request for a reason of its own (${said}).`);
  const aboutSecret = /secret|password|authenticat|credential/i.test(description);
  const aboutID =
    /unknown|not (known|found|registered)|no (such )?client|does not exist|client.?id|authenticat|credential/i.test(
      description,
    );
  if (aboutSecret && !aboutID) {
    return wrong(
      'secret',
      `The client's secret is wrong (${said}). Put the registered one into POWERFOLDER_CLIENT_SECRET, or register the client again.`,
    );
  }
  if (aboutID && !aboutSecret) {
    return wrong(
      'client',
      `The client is unknown (${said}). Check --client-id, or register the client: passport-powerfolder register`,
    );
  }
  return wrong(
    'client',
    `The client is unknown or its secret is wrong (${said}). Check --client-id and POWERFOLDER_CLIENT_SECRET, or register the client again.`,
  );
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
    return `The certificate of ${host} is of no CA that is trusted here (${reason}). Trust its CA: here with --ca FILE, in your application with NODE_EXTRA_CA_CERTS=FILE or the option dispatcher: new Agent({ connect: { ca } }).`;
  }
  if (/ALERT/.test(reason)) {
    return `${host} refuses this client (${reason}): its TLS version, or it wants a client certificate. Ask its administrator.`;
  }
  return `TLS with ${host} fails (${reason}). Check the port in --server: http may be spoken there.`;
}
