/** Requests of `sign-in`, made as a strategy makes them, with what the server answered to each. */
import { AuthorizationError, TokenError } from 'passport-oauth2';
import { PowerFolderError } from '../errors.ts';
import { exchange, type HTTPRequest, type HTTPResponse, type Transport } from '../http.ts';
import { plainText } from '../redact.ts';
import type { PowerFolderTokens, TokenClient } from '../token.ts';
import { describedAnswer } from './describe.ts';
import type { Finding } from './finding.ts';
import { type Answer, notTried, type Report } from './report.ts';

/** The server and this client of it. */
export interface Server {
  base: string;
  client: TokenClient;
}

/** What became of a request. */
export interface Tried<T> {
  answer: Answer;
  response?: HTTPResponse | undefined;
  value?: T;
  /** Why there is no value, in a sentence without anything secret. */
  problem?: string;
  code?: string;
}

/** Does what a strategy does, and keeps what the server answered to it. */
export async function tried<T>(
  transport: Transport,
  url: string,
  work: (observed: Transport) => Promise<T>,
): Promise<Tried<T>> {
  let response: HTTPResponse | undefined;
  let isWhole = false;
  const onAnswer = (answer: HTTPResponse, whole: boolean) => {
    response = answer;
    isWhole = whole;
  };
  try {
    const value = await work({ ...transport, onAnswer });
    return { value, response, answer: response ? describedAnswer(response, url) : notTried };
  } catch (error) {
    const known =
      error instanceof PowerFolderError || error instanceof TokenError || error instanceof AuthorizationError;
    if (!known) throw error;
    const problem = plainText(error.message);
    const code = String(error.code);
    // Of a redirect that is refused only the beginning is read.
    const isKnown = response && (isWhole || code === 'redirected');
    if (response && isKnown) return { problem, code, response, answer: describedAnswer(response, url) };
    return { problem, code, answer: error instanceof PowerFolderError ? { failed: error.code } : notTried };
  }
}

export function asked(message: HTTPRequest, transport: Transport): Promise<Tried<HTTPResponse>> {
  return tried(transport, message.url, (observed) => exchange({ redirect: 'manual', ...message }, observed));
}

/** Whether an answer is one of success. */
export function succeeded({ value }: Tried<HTTPResponse>): boolean {
  return value !== undefined && value.status >= 200 && value.status <= 299;
}

const bodies = {
  empty: 'no body',
  'JSON object': 'a JSON object',
  JSON: 'JSON',
  page: 'a page',
  XML: 'XML',
  text: 'text',
};

/** An answer in a few words, for a sentence. */
export function told(answer: Answer): string {
  if (answer === notTried) return notTried;
  if ('failed' in answer) return answer.failed;
  return `status ${answer.status}, ${bodies[answer.body]}${answer.error ? `, ${answer.error}` : ''}`;
}

/** A step: what it found, and what it puts into the report. */
export type Step = (tokens: PowerFolderTokens) => Promise<Finding[]>;

const allProperties = '<?xml version="1.0" encoding="utf-8"?>\n<propfind xmlns="DAV:"><allprop/></propfind>\n';

export function propfind(
  server: Server,
  authorization: string,
  depth: string | undefined,
): Promise<Tried<HTTPResponse>> {
  const headers = { authorization, 'content-type': 'application/xml; charset=utf-8', ...(depth && { depth }) };
  const url = `${server.base}/webdav/`;
  return asked({ endpoint: 'WebDAV', method: 'PROPFIND', url, headers, body: allProperties }, server.client.transport);
}

/** Whether an access token is good, where that can be told. */
export async function works(server: Server, report: Report, accessToken: string): Promise<string> {
  const { webdav, account } = report;
  const isGood = (answer: Answer) => typeof answer === 'object' && 'status' in answer && answer.status < 300;
  let answer: Tried<HTTPResponse>;
  if (isGood(webdav.depth0)) answer = await propfind(server, `Bearer ${accessToken}`, '0');
  else if (isGood(account.bearer)) {
    const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}` };
    const url = `${server.base}/api/accounts?action=getInfo`;
    answer = await asked({ endpoint: 'profile endpoint', method: 'GET', url, headers }, server.client.transport);
  } else return 'not known';
  if (succeeded(answer)) return 'accepted';
  return answer.value?.status === 401 ? 'refused' : 'not known';
}
