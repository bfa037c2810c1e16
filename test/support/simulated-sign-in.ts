/** Sign-ins at the simulated server by single requests, and what comes of one. */
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import {
  type PowerFolderServer,
  type PowerFolderServerOptions,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';

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

/** A server with the tokens of a sign-in, and a strategy that may use them. Requests are counted from here on. */
export async function startWithTokens(
  serverOptions: PowerFolderServerOptions = {},
  options: Partial<PowerFolderStrategyOptions> = {},
) {
  const server = await startPowerFolderServer({ autoApprove: 'ada', ...serverOptions });
  const { access_token: accessToken, refresh_token: refreshToken } = await newTokens(server);
  server.requests.length = 0;
  const { url: serverURL, clientID, clientSecret } = server;
  const callbackURL = 'http://localhost/oauth';
  const strategy = new PowerFolderStrategy({ serverURL, clientID, clientSecret, callbackURL, ...options }, () => false);
  return { server, strategy, accessToken, refreshToken };
}
