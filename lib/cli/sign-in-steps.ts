/** What a server does with tokens, found out step by step: a step that fails does not end the others. */
import { unitOf } from '../expiry.ts';
import { jsonObject, member } from '../json.ts';
import { type PowerFolderTokens, positiveNumber, requestRefresh, requestTokens } from '../token.ts';
import { shapeOf } from './describe.ts';
import { type Finding, ok, unclear, wrong } from './finding.ts';
import { madeUp, tokenRequest } from './probe.ts';
import { notTried, type Report } from './report.ts';
import { asked, type Server, type Step, succeeded, told, tried, works } from './tried.ts';

/** Redeems the code, as a strategy does. */
export async function redeem({ client }: Server, code: string, report: Report) {
  const sent = Date.now();
  const { value, answer, problem } = await tried(client.transport, client.tokenURL, (transport) =>
    requestTokens({ ...client, transport }, code),
  );
  report.token = answer;
  if (!value) return { finding: wrong('token', `No tokens came: ${problem}`) };
  const { tokens, params } = value;
  const { accessToken, refreshToken } = tokens;
  const lifetime = positiveNumber(member(params, 'expires_in'));
  const unit = lifetime === undefined ? undefined : unitOf(lifetime, accessToken, sent);
  const milliseconds = unit && lifetime !== undefined ? lifetime * (unit.unit === 'seconds' ? 1000 : 1) : undefined;
  report.tokens = {
    access: { ...shapeOf(accessToken), powerfolder: isPowerFolders(accessToken) },
    refresh:
      refreshToken === undefined ? 'none' : { ...shapeOf(refreshToken), powerfolder: isPowerFolders(refreshToken) },
    expiresIn:
      lifetime === undefined
        ? 'none'
        : { unit: unit?.unit ?? 'neither', witness: unit?.witness ?? 'none', lifetime: roughly(milliseconds) },
  };
  const said = [
    `an access token of ${accessToken.length} characters`,
    refreshToken === undefined ? 'no refresh token' : 'a refresh token',
    lifetime === undefined
      ? 'no expires_in'
      : `expires_in ${unit ? `in ${unit.unit}: ${roughly(milliseconds)}` : 'that cannot be'}`,
  ];
  return { tokens, finding: ok('token', `Tokens came: ${said.join(', ')}.`) };
}

function isPowerFolders(token: string): boolean {
  return /^1[1-9A-HJ-NP-Za-km-z]+-[1-9A-HJ-NP-Za-km-z]+$/.test(token);
}

/** A duration, too roughly to be anybody's. */
function roughly(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return 'unknown';
  const hours = milliseconds / 3_600_000;
  if (hours < 0.5) return 'minutes';
  if (hours < 1.5) return 'an hour';
  if (hours < 20) return 'hours';
  if (hours < 28) return 'a day';
  return hours < 60 * 24 ? 'days' : 'months or more';
}

/** Both refreshes. @param given `keep` gets the tokens that come; `isGET` is called when only the old refresh works; `harmless` leaves out what may end tokens. */
export function refreshStep(
  server: Server,
  report: Report,
  { keep, isGET, harmless }: { keep(tokens: PowerFolderTokens): Promise<void>; isGET(): void; harmless: boolean },
): Step {
  return async ({ accessToken, refreshToken }) => {
    const { base, client } = server;
    const { transport } = client;
    const { refresh } = report;
    const refreshByGET = `${base}/oauth`;
    const query = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: client.clientID,
      refresh_token: madeUp(),
    });
    const message = {
      endpoint: 'refresh endpoint',
      method: 'GET',
      url: `${refreshByGET}?${query}`,
      headers: { accept: 'application/json' },
    };
    refresh.getMadeUp = (await asked(message, transport)).answer;
    if (refreshToken === undefined) {
      return [
        unclear(
          'refresh',
          'There is no refresh token: people have to sign in again when the access token has expired.',
        ),
      ];
    }
    const post = await tried(transport, client.tokenURL, (observed) =>
      requestRefresh({ ...client, transport: observed }, refreshToken),
    );
    refresh.post = post.answer;
    let got = post.value;
    const findings: Finding[] = [];
    // A server that is away or broken says nothing about how it wants to be asked.
    const { answer } = post;
    const isRefused = typeof answer === 'object' && 'status' in answer && answer.status < 500 && answer.status !== 429;
    if (!got && isRefused) {
      const six = await tried(transport, client.tokenURL, (observed) =>
        requestRefresh({ ...client, transport: observed }, refreshToken, { format: 'json', access_token: accessToken }),
      );
      refresh.postOfDeployedClient = six.answer;
      got = six.value;
    }
    if (!got && isRefused) {
      // The token gets into a URL, as PowerFolder documents it: so only where there is no other way.
      const get = await tried(transport, refreshByGET, (observed) =>
        requestRefresh({ ...client, transport: observed, refreshByGET }, refreshToken),
      );
      refresh.get = get.answer;
      got = get.value;
      if (got) isGET();
    }
    if (!got) {
      return [wrong('refresh', `Tokens cannot be refreshed${isRefused ? ', by POST or by GET' : ''}: ${post.problem}`)];
    }
    const { tokens } = got;
    await keep(tokens);
    refresh.rotates = tokens.refreshToken !== refreshToken;
    refresh.oldAccessToken = await works(server, report, accessToken);
    const isOfSix = !post.value && refresh.get === notTried;
    const how = post.value
      ? 'by POST'
      : isOfSix
        ? 'by POST, but only with format and access_token beside (params of keepTokens)'
        : 'by GET, and not by POST';
    const text = `Tokens are refreshed ${how}; the refresh token ${refresh.rotates ? 'is replaced' : 'stays'}.`;
    findings.push(isOfSix ? unclear('refresh', text) : ok('refresh', text));
    if (refresh.rotates && !harmless) {
      const again = await tried(transport, client.tokenURL, (observed) =>
        requestRefresh({ ...client, transport: observed }, refreshToken),
      );
      refresh.oldRefreshToken = again.answer;
      findings.push(
        again.value
          ? unclear('rotation', 'The refresh token that was replaced is accepted again.')
          : ok('rotation', `The refresh token that was replaced is refused (${told(again.answer)}).`),
      );
      if (again.value) await keep(again.value.tokens);
    }
    return findings;
  };
}

/** A code again, which ends its tokens where the server goes by RFC 6749 section 4.1.2. */
export function codeAgainStep(server: Server, report: Report, code: string): Step {
  return async ({ accessToken }) => {
    const { client } = server;
    const again = await tried(client.transport, client.tokenURL, (transport) =>
      requestTokens({ ...client, transport }, code),
    );
    report.codeAgain = again.answer;
    report.tokensAfterCodeAgain = await works(server, report, accessToken);
    if (again.value)
      return [wrong('code', 'A used code gives tokens again: whoever sees a callback address can use it.')];
    return [ok('code', `A used code is refused (${told(again.answer)}).`)];
  };
}

/** What the server says to a client that it does not know, and to a wrong secret; with a made-up code each. */
export async function refusals({ base, client }: Server, report: Report): Promise<Finding[]> {
  const { transport, clientID } = client;
  report.unknownClient = (await asked(tokenRequest(base, 'passport-powerfolder-check', madeUp()), transport)).answer;
  const wrongSecret = await asked(tokenRequest(base, clientID, madeUp()), transport);
  report.wrongSecret = wrongSecret.answer;
  return succeeded(wrongSecret) && jsonObject(wrongSecret.value?.body ?? '')?.['access_token'] !== undefined
    ? [wrong('secret', 'A wrong secret and a made-up code give tokens: this server is not to be trusted.')]
    : [ok('secret', `A wrong secret is refused (${told(wrongSecret.answer)}).`)];
}
