import { createHash, randomBytes } from 'node:crypto';
import type { Account, Directory } from './accounts.ts';
import { type Answer, json, Refusal } from './answer.ts';
import type { Settings } from './options.ts';
import { parameters, type ReceivedRequest, required } from './request.ts';

/** What a code stands for until it is redeemed. */
export interface Grant {
  clientID: string;
  redirectURI: string;
  account: Account;
  /** RFC 7636's `code_challenge`, when the client sent one. */
  challenge: string | undefined;
}

interface Token {
  kind: 'access' | 'refresh';
  clientID: string;
  account: Account;
  expiresAt: number;
  revoked: boolean;
}

/** What the body of a token request holds besides client_id and client_secret: what it must, and what it may. */
const grants: Record<string, { must: string; may: string[] }> = {
  authorization_code: { must: 'code', may: ['redirect_uri', 'format'] },
  // The deployed client sends these two with it.
  refresh_token: { must: 'refresh_token', may: ['format', 'access_token'] },
};

const forEver = 100 * 365 * 86_400_000;

export type TokenEndpoint = ReturnType<typeof tokenEndpoint>;

/** The codes and tokens, and the token endpoint that turns the ones into the others (RFC 6749 sections 4.1.3 to 6). */
export function tokenEndpoint(settings: Settings, directory: Directory) {
  const { now, tolerate, expiresIn } = settings;
  const codes = new Map<string, Grant & { expiresAt: number; used: boolean }>();
  const tokens = new Map<string, Token>();

  /** A new code for the authorization response. */
  function code(grant: Grant): string {
    const code = settings.code();
    codes.set(code, { ...grant, expiresAt: now() + settings.codeLifetime, used: false });
    return code;
  }

  /** Whose access token this is. */
  function bearer(token: string): Account {
    const found = tokens.get(token);
    if (found?.kind === 'access' && !found.revoked && found.expiresAt > now()) return found.account;
    let why = 'The access token has expired.';
    if (!found) why = 'The access token is unknown.';
    else if (found.kind === 'refresh') why = 'This is a refresh token, not an access token.';
    else if (found.revoked) why = 'The access token was revoked.';
    const challenge = `Bearer realm="PowerFolder", error="invalid_token", error_description="${why}"`;
    throw new Refusal(401, why, 'invalid_token', { 'WWW-Authenticate': challenge });
  }

  /** `POST /oauth/token`, both grants. */
  function endpoint(request: ReceivedRequest): Answer {
    const members = understand(request);
    return members.get('grant_type') === 'refresh_token' ? refresh(members) : redeem(members);
  }

  /** `GET /oauth?grant_type=refresh_token`: documented, older than the other, and without a client secret. */
  function oldRefresh(request: ReceivedRequest): Answer {
    if (request.method !== 'GET' || !settings.refreshMethods.includes('GET')) {
      throw new Refusal(
        400,
        'This server does not refresh by GET /oauth (option refreshMethods); POST to /oauth/token.',
      );
    }
    const known = ['grant_type', 'client_id', 'client_secret', 'refresh_token', ...tolerate];
    const found = parameters(request.query, known, 'the URL');
    if (required(found, 'grant_type') !== 'refresh_token') {
      throw new Refusal(400, 'grant_type must be refresh_token here.', 'unsupported_grant_type');
    }
    required(found, 'client_id');
    required(found, 'refresh_token');
    return refresh(found);
  }

  /** The members of the JSON body: each once, all of them strings, none but the known. */
  function understand({ headers, query, body, json }: ReceivedRequest): Map<string, string> {
    const { accept = 'nothing', authorization, 'content-type': type = 'nothing' } = headers;
    const refuse = (why: string, status = 400) => new Refusal(status, why);
    if (authorization)
      throw refuse('A token request has no Authorization header: the client is told in the JSON body.');
    if (query) throw refuse('A token request has nothing in the URL: all of it is in the JSON body.');
    if (!/^application\/json\s*(;|$)/i.test(type))
      throw refuse(`Content-Type must be application/json, not ${type}.`, 415);
    if (!/\bapplication\/json\b/i.test(accept)) throw refuse(`Accept must have application/json, not ${accept}.`, 406);
    if (typeof json !== 'object' || json === null || Array.isArray(json))
      throw refuse('The body is not a JSON object.');
    const members = new Map<string, string>();
    for (const [name, value] of Object.entries(json)) {
      if (typeof value !== 'string') throw refuse(`Member "${name}" is not a string.`);
      members.set(name, value);
    }
    // JSON.parse keeps the last of two members of one name. In an object of strings each member is two string literals.
    if ((body.match(/"(?:[^"\\]|\\.)*"/g) ?? []).length !== 2 * members.size) {
      throw refuse('A member is there more than once in the body.');
    }
    const grantType = required(members, 'grant_type');
    const grant = Object.hasOwn(grants, grantType) ? grants[grantType] : undefined;
    if (!grant || (grantType === 'refresh_token' && !settings.refreshMethods.includes('POST'))) {
      throw new Refusal(400, `This server has no grant_type "${grantType}" here.`, 'unsupported_grant_type');
    }
    const must = ['client_id', 'client_secret', grant.must];
    for (const name of must) required(members, name);
    const known = ['grant_type', ...must, ...grant.may, ...tolerate];
    if (settings.pkce && grant.must === 'code') known.push('code_verifier');
    for (const name of members.keys()) {
      if (!known.includes(name)) throw refuse(`Unknown member "${name}" in the body; known: ${known.join(', ')}.`);
    }
    return members;
  }

  function authenticate(members: Map<string, string>): string {
    const id = members.get('client_id') ?? '';
    const registered = directory.clientsOf(id);
    if (registered.length === 0)
      throw new Refusal(401, 'No client with this client_id is registered.', 'invalid_client');
    const secret = members.get('client_secret');
    // Only the old refresh may do without.
    if (secret === undefined || registered.some((client) => client.secret === secret)) return id;
    throw new Refusal(401, 'The client_secret is wrong.', 'invalid_client');
  }

  function redeem(members: Map<string, string>): Answer {
    const clientID = authenticate(members);
    const code = codes.get(members.get('code') ?? '');
    const verifier = members.get('code_verifier');
    const challenge = verifier && createHash('sha256').update(verifier).digest('base64url');
    if (!code) throw invalidGrant('The code is unknown.');
    if (code.clientID !== clientID) throw invalidGrant('The code was given to another client.');
    if (code.used) throw invalidGrant('The code was already used.');
    if (code.expiresAt <= now()) throw invalidGrant('The code has expired.');
    if ((members.get('redirect_uri') ?? code.redirectURI) !== code.redirectURI) {
      throw invalidGrant('The redirect_uri is not that of the authorization request.');
    }
    if (challenge !== code.challenge) throw invalidGrant('The code_verifier does not belong to the code_challenge.');
    code.used = true;
    return issue(clientID, code.account, settings.refreshTokens);
  }

  function refresh(members: Map<string, string>): Answer {
    const clientID = authenticate(members);
    const token = tokens.get(members.get('refresh_token') ?? '');
    if (token?.kind !== 'refresh') throw invalidGrant('The refresh token is unknown.');
    if (token.clientID !== clientID) throw invalidGrant('The refresh token was given to another client.');
    if (token.revoked) throw invalidGrant('The refresh token was revoked or replaced.');
    if (token.expiresAt <= now()) throw invalidGrant('The refresh token has expired.');
    token.revoked = settings.rotateRefreshTokens;
    return issue(clientID, token.account, settings.rotateRefreshTokens);
  }

  function issue(clientID: string, account: Account, withRefreshToken: boolean): Answer {
    return json(200, {
      access_token: mint('access', clientID, account, settings.accessTokenLifetime),
      ...(withRefreshToken && { refresh_token: mint('refresh', clientID, account, forEver) }),
      ...(expiresIn !== 'none' && {
        expires_in: Math.round(settings.accessTokenLifetime / (expiresIn === 'seconds' ? 1000 : 1)),
      }),
    });
  }

  function mint(kind: Token['kind'], clientID: string, account: Account, lifetime: number): string {
    const expiresAt = now() + lifetime;
    const expiry = Buffer.alloc(8);
    expiry.writeBigUInt64BE(BigInt(expiresAt));
    const token = `1${base58(randomBytes(16))}-${base58(Buffer.concat([expiry, randomBytes(32)]))}`;
    tokens.set(token, { kind, clientID, account, expiresAt, revoked: false });
    return token;
  }

  /** The token that is meant, or all of them. */
  function meant(token: string | undefined): Token[] {
    if (token === undefined) return [...tokens.values()];
    const found = tokens.get(token);
    if (!found) throw new TypeError('This server has given no such token.');
    return [found];
  }

  function expire(token?: string): void {
    // Refresh tokens live practically for ever: they expire only when meant in person.
    for (const one of meant(token)) if (token || one.kind === 'access') one.expiresAt = now();
  }

  function revoke(token?: string): void {
    for (const one of meant(token)) one.revoked = true;
  }

  /** An access token that was got by user name and password, without a client. */
  function issueToUser(account: Account): string {
    return mint('access', '', account, settings.accessTokenLifetime);
  }

  return { code, bearer, endpoint, oldRefresh, issueToUser, expire, revoke };
}

const invalidGrant = (why: string) => new Refusal(400, why, 'invalid_grant');

const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** Bitcoin's way of writing bytes, in which PowerFolder writes tokens. */
function base58(bytes: Buffer): string {
  let text = '';
  for (let number = BigInt(`0x${bytes.toString('hex')}`); number > 0n; number /= 58n) {
    text = alphabet.charAt(Number(number % 58n)) + text;
  }
  for (const byte of bytes) {
    if (byte !== 0) break;
    text = `1${text}`;
  }
  return text;
}
