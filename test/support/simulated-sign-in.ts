import type { PowerFolderServer } from 'passport-powerfolder/testing';

export const redirectURI = 'http://127.0.0.1:9/oauth';

export type Changes = Record<string, string | undefined>;

/** The URL of an authorization request; `undefined` takes a parameter out. */
export function authorizationURL(server: PowerFolderServer, changes: Changes = {}): string {
  const parameters = { state: 'abc123', response_type: 'code', redirect_uri: redirectURI, client_id: server.clientID };
  return `${server.url}/oauth/allow?${new URLSearchParams(defined({ ...parameters, ...changes }))}`;
}

/** The token request, with changes to its members and to its headers. */
export function requestToken(server: PowerFolderServer, changes: Changes, headers: Changes = {}): Promise<Response> {
  const client = { client_id: server.clientID, client_secret: server.clientSecret };
  return fetch(`${server.url}/oauth/token`, {
    method: 'POST',
    headers: defined({ 'Content-Type': 'application/json', Accept: 'application/json', ...headers }),
    body: JSON.stringify({ grant_type: 'authorization_code', ...client, ...changes }),
  });
}

/** A fresh code, from a server with `autoApprove`. */
export async function newCode(server: PowerFolderServer, changes: Changes = {}): Promise<string> {
  const response = await fetch(authorizationURL(server, changes), { redirect: 'manual' });
  const [, code] = /code=([^&]*)/.exec(response.headers.get('location') ?? '') ?? [];
  if (!code) throw new Error(`No code: ${response.status} ${await response.text()}`);
  return decodeURIComponent(code);
}

export interface TokenResponse {
  access_token: string;
  refresh_token: string;
  expires_in: number;
}

/** Fresh tokens, from a server with `autoApprove`. */
export async function newTokens(server: PowerFolderServer): Promise<TokenResponse> {
  const response = await requestToken(server, { code: await newCode(server) });
  return (await response.json()) as TokenResponse;
}

function defined(values: Changes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
