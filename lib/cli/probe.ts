/** Token requests with a made-up code, by which `check` finds out who answers, and how their refusals are read. */
import { randomBytes } from 'node:crypto';
import type { HTTPRequest, HTTPResponse } from '../http.ts';
import { jsonObject } from '../json.ts';
import { plainText } from '../redact.ts';

/** What no server can know. */
export function madeUp(): string {
  return randomBytes(16).toString('hex');
}

/** A token request as a sign-in sends it, with a made-up code. */
export function tokenRequest(base: string, clientID: string, clientSecret: string): HTTPRequest {
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
export function madeUpTokenRequest(base: string): HTTPRequest {
  return tokenRequest(base, 'passport-powerfolder-check', madeUp());
}

/** A refusal with an OAuth error. */
export interface Refusal {
  error: string;
  /** It and the server's description, in plain characters, for a sentence. */
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
export function refusal({ status, body }: HTTPResponse, ...secrets: string[]): Refusal | undefined {
  // PowerFolder's own are not documented: 403 is not RFC 6749's, but some servers answer so to an unauthorized client.
  if (![400, 401, 403].includes(status)) return undefined;
  const { error, error_description: words } = jsonObject(body) ?? {};
  const ofClient = error === 'invalid_client' || error === 'unauthorized_client';
  const ofCode = error === 'invalid_grant';
  if (typeof error !== 'string' || !(ofClient || ofCode || ofRequest.includes(error))) return undefined;
  const description = typeof words === 'string' ? plainText(words, secrets) : '';
  const said = `the server says ${error}${description && `: "${description}"`}`;
  return { error, said, ofClient, ofCode };
}

/** That a server is asked too often, and when to try again. */
export function tooManyRequests(base: string, { headers }: HTTPResponse): string {
  const after = headers['retry-after'];
  const seconds = typeof after === 'string' && /^\d{1,6}$/.test(after) ? `in ${after} s` : 'later';
  return `${base} has had too many requests (status 429). Try again ${seconds}.`;
}
