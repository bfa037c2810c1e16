/** Who answers at the server's address, and what time it is there. */
import { exchange, type HTTPRequest, type HTTPResponse, redirectTarget, type Transport } from '../http.ts';
import { plainText } from '../redact.ts';
import { type Finding, ok, unclear, wrong } from './finding.ts';
import { madeUpTokenRequest, refusal, tooManyRequests } from './probe.ts';

/** Who answered the made-up token request. */
export async function serverFinding(
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

/** A URL of the server's as it may be shown: one line, without the query. */
function shown({ origin, pathname }: URL): string {
  return plainText(origin + pathname);
}

/** Says that the URL is wrong, and which one is right, if that can be found nearby. */
export async function notPowerFolder(
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

const httpDate = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/**
 * How far the clocks are apart: tokens seem to live longer or shorter by that.
 *
 * @param ours This computer's time, in epoch milliseconds, when the server wrote the answer.
 */
export function clockFinding({ headers }: HTTPResponse, ours: number): Finding {
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
