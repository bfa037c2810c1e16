/** An application in which somebody got a member onto `Object.prototype`, by a fault elsewhere in it. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer as createSocketServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Listener, listen } from '../support/listener.ts';
import { rounds } from '../support/rounds.ts';

/**
 * What lib/, passport and undici read of objects that others made: options, JSON, headers, session entries, and the like;
 * and what an answer's own words are.
 */
const names = `
  code state error error_description error_uri access_token refresh_token expires_in token_type
  ID account ResultSet Result username firstname surname emails
  user failure info redirect page message challenge type
  verifier kept app pkce until for session scope scopeSeparator passReqToCallback skipUserProfile store verify
  serverURL clientID clientSecret callbackURL authorizationMethod authorizationURL tokenURL userProfileURL refreshMethod
  secret res ctx appendHeader headersSent
  sessionKey stateTTL timeout dispatcher allowInsecureHTTP customHeaders
  endpoint method url body headers origin path query host hostname port socketPath proxy servername lookup localAddress
  connect connections pipelining factory interceptors reset upgrade idempotent blocking expectContinue
  location authorization cookie
  tokens params grant_type accessToken refreshToken expiresAt profile req
  status statusCode cause name length then get set value enumerable writable configurable index key ttl done
  _request constructor toString valueOf toJSON hasOwnProperty 0 1
`
  .trim()
  .split(/\s+/);

let server: Listener;
/** Nobody is to come here. */
let elsewhere: { url: string; path: string; port: number; connections: number };
const ends: (() => unknown)[] = [];

beforeAll(async () => {
  elsewhere = { url: '', path: '', port: 0, connections: 0 };
  const folder = mkdtempSync(join(tmpdir(), 'elsewhere-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  elsewhere.path = join(folder, 'socket');
  for (const address of [{ port: 0, host: '127.0.0.1' }, { path: elsewhere.path }]) {
    const listener = createSocketServer((socket) => {
      elsewhere.connections++;
      socket.destroy();
    }).listen(address);
    await once(listener, 'listening');
    ends.push(() => listener.close());
    const bound = listener.address();
    if (typeof bound === 'object' && bound) elsewhere.port = bound.port;
  }
  elsewhere.url = `http://127.0.0.1:${elsewhere.port}/`;
  server = await listen((req, res) => {
    const [, scenario = '', endpoint] = /^\/([a-z0-9-]+)\/(oauth\/token|api\/accounts)/.exec(req.url ?? '') ?? [];
    const isToken = endpoint === 'oauth/token';
    const [status, body] = (isToken ? tokenAnswers : profileAnswers)[scenario] ?? [
      200,
      isToken ? '{"access_token":"1access"}' : '{"ID":"somebody"}',
    ];
    res.writeHead(status, { location: elsewhere.url }).end(body);
  });
  ends.push(() => server.close());
});
afterAll(async () => {
  for (const end of ends) await end();
});

type Answers = Record<string, [status: number, body: string]>;
const tokenAnswers: Answers = {
  'token-refused': [400, '{"error":"invalid_grant"}'],
  'token-broken': [500, '<h1>no</h1>'],
  'token-error-200': [200, '{"error":"invalid_client"}'],
  'token-empty': [200, '{}'],
  'token-only-refresh': [200, '{"refresh_token":"1refresh","expires_in":60}'],
  'token-list': [200, '[]'],
  'token-redirect': [307, ''],
};
const profileAnswers: Answers = {
  'profile-empty': [200, '{}'],
  'profile-wrapped': [200, '{"account":{}}'],
  'profile-result-set': [200, '{"ResultSet":{}}'],
  'profile-refused': [401, '{}'],
  'profile-redirect': [307, ''],
};

describe('R57: with a member more on Object.prototype, whatever it is', () => {
  it('no sign-in that must fail succeeds, nobody else is asked, and no secret goes another way', async () => {
    const { url } = server;
    const script = join(__dirname, '../fixtures/polluted-sign-ins.mjs');
    // Of a name's values one of four in turn, or all.
    const share = rounds(4, 1);
    const given = { url, elsewhere, names, share, patience: 1000 };
    const args = ['--import', 'tsx', script, JSON.stringify(given)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 24 });
    const { outcomes, successes, rounds: count } = JSON.parse(stdout);
    // That it would be noticed: what succeeds, and that all else fails without any such member.
    const failures = { declined: 'failure', 'cookies-declined': 'failure', 'token-empty': 'error' };
    expect(outcomes).toMatchObject({ good: 'SIGNED IN', 'cookies-good': 'SIGNED IN', ...failures });
    const signedIn = Object.values(outcomes).filter((outcome) => /^[A-Z]/.test(String(outcome)));
    expect(signedIn).toEqual(['SIGNED IN', 'SIGNED IN']);
    expect(count).toBeGreaterThan((4 * names.length) / share);
    expect(successes).toEqual([]);
    expect(elsewhere.connections).toBe(0);

    const unusual = server.requests.flatMap(({ method, url: path, headers, body }) => {
      const isToken = /^\/[a-z0-9-]+\/oauth\/token$/.test(path);
      const isProfile = /^\/[a-z0-9-]+\/api\/accounts(\?action=getInfo)?$/.test(path);
      const usual = isToken
        ? method === 'POST' && headers.authorization === undefined && headers['content-type'] === 'application/json'
        : isProfile && method === 'GET' && /^Bearer 1(access|t)$/.test(headers.authorization ?? '') && body === '';
      return usual ? [] : [{ method, path, authorization: headers.authorization, body }];
    });
    expect(unusual.slice(0, 20)).toEqual([]);
  }, 300_000);
});
