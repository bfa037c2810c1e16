/** Whether the server knows the client and its secret. */
import { checkedCredential } from '../configuration.ts';
import { PowerFolderError } from '../errors.ts';
import { exchange, type HTTPResponse, type Transport } from '../http.ts';
import { jsonObject } from '../json.ts';
import { plainText } from '../redact.ts';
import { connectionFinding } from './connection-finding.ts';
import { type Finding, ok, unclear, wrong } from './finding.ts';
import { madeUp, type Refusal, refusal, tokenRequest, tooManyRequests } from './probe.ts';
import { sentence } from './terminal.ts';

/**
 * Whether the server knows the client and its secret, asked for with a code that cannot be right: who gets as far as
 * the code has passed. That says something only where a wrong secret does not get as far.
 *
 * @param toOthers What an unknown client is told.
 */
export async function clientFinding(
  base: string,
  clientID: string,
  clientSecret: string,
  toOthers: Refusal | undefined,
  transport: Transport,
): Promise<Finding> {
  const mistake = mistakeInClient(clientID, clientSecret);
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
    return connectionFinding(error, base) ?? unclear('client', error.message);
  }
}

/** What the strategy says about a client's ID and secret. */
function mistakeInClient(clientID: string, clientSecret: string): string | undefined {
  try {
    checkedCredential(clientID, 'clientID');
    checkedCredential(clientSecret, 'clientSecret');
    return undefined;
  } catch (error) {
    return `${sentence(error)}.`;
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

function refusedClient({ said, ofClient }: Refusal): Finding {
  if (!ofClient) return wrong('client', `The server refuses the token request for a reason of its own (${said}).`);
  return wrong(
    'client',
    `The client is unknown or its secret is wrong (${said}). Check --client-id and POWERFOLDER_CLIENT_SECRET, or register a client with a new ID: passport-powerfolder register`,
  );
}
