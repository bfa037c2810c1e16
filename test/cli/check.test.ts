/** R58: what `check` says of servers that are not PowerFolder, or answer as none does. */
import type { RequestListener } from 'node:http';
import { checkEnv, findings, run, startListener, startServer, tls, tlsFile } from '../support/command-line.ts';

const secret = checkEnv.POWERFOLDER_CLIENT_SECRET;
const json = { 'content-type': 'application/json' };

interface OddServer {
  name: string;
  handler: RequestListener;
  /** The first finding: its mark, and what its sentence says. */
  mark: 'WRONG' | '?';
  words: RegExp;
}

const always =
  (status: number, body = '', headers: Record<string, string | string[]> = {}): RequestListener =>
  (_req, res) => {
    res.writeHead(status, headers).end(body);
  };
const withoutDate =
  (handler: RequestListener): RequestListener =>
  (req, res) => {
    res.sendDate = false;
    handler(req, res);
  };

const invalidClient = '{"error":"invalid_client"}';
const notPowerFolder = /is not a PowerFolder server, or not its base URL/;
const oddServers: OddServer[] = [
  { name: '400 for everything', handler: always(400), mark: '?', words: /status 400 and no OAuth error/ },
  {
    name: '400 for everything, without Date',
    handler: withoutDate(always(400)),
    mark: '?',
    words: /status 400 and no OAuth error/,
  },
  { name: '401 and a Basic challenge', handler: always(401), mark: '?', words: /status 401 and no OAuth error/ },
  { name: '403 and a page', handler: always(403, '<html>'), mark: '?', words: /status 403 and no OAuth error/ },
  { name: '418', handler: always(418, invalidClient, json), mark: '?', words: /status 418 and no OAuth error/ },
  { name: '500 and an OAuth error', handler: always(500, invalidClient, json), mark: '?', words: /status 500/ },
  { name: '503 and an OAuth error', handler: always(503, invalidClient, json), mark: 'WRONG', words: /out of order/ },
  { name: '404 and an OAuth error', handler: always(404, invalidClient, json), mark: 'WRONG', words: notPowerFolder },
  {
    name: '404 and an OAuth error that are called HTML',
    handler: always(404, invalidClient, { 'content-type': 'text/html' }),
    mark: 'WRONG',
    words: notPowerFolder,
  },
  { name: '200 and an OAuth error', handler: always(200, invalidClient, json), mark: 'WRONG', words: notPowerFolder },
  {
    name: 'tokens for anything',
    handler: always(200, '{"access_token":"x","expires_in":60}', json),
    mark: 'WRONG',
    words: notPowerFolder,
  },
  {
    name: 'an OAuth error in an array',
    handler: always(400, `[${invalidClient}]`, json),
    mark: '?',
    words: /no OAuth/,
  },
  { name: 'an OAuth error in a page', handler: always(400, `<p>${invalidClient}`), mark: '?', words: /no OAuth error/ },
  { name: 'an error of its own', handler: always(400, '{"error":"nope"}', json), mark: '?', words: /no OAuth error/ },
  // RFC 6749 section 4.1.2.1's, which no token endpoint answers with.
  { name: 'access_denied', handler: always(401, '{"error":"access_denied"}', json), mark: '?', words: /no OAuth/ },
  { name: 'an error in an array', handler: always(400, '{"error":["invalid_client"]}'), mark: '?', words: /no OAuth/ },
  ...['invalid_request', 'unsupported_grant_type', 'invalid_scope'].map((error) => ({
    name: `${error} to everything, as OAuth servers of other makes do`,
    handler: always(400, `{"error":"${error}","error_description":"No \\u001b[31m"}`, json),
    mark: '?' as const,
    words: new RegExp(`the server says ${error}: "No \\[31m".*perhaps not PowerFolder`),
  })),
  {
    name: '429 with Retry-After',
    handler: always(429, invalidClient, { ...json, 'retry-after': '77' }),
    mark: '?',
    words: /too many requests.*Try again in 77 s/,
  },
  {
    name: '429 with a Retry-After of nonsense',
    handler: always(429, '', { 'retry-after': 'soon' }),
    mark: '?',
    words: /too many requests.*Try again later/,
  },
  {
    name: 'a redirect to the log-in page of a captive portal',
    handler: always(302, '', { location: 'https://portal.example/login?to=powerfolder' }),
    mark: 'WRONG',
    words: /not a PowerFolder server.*It leads to https:\/\/portal\.example\/login; check/,
  },
  {
    name: 'a redirect to itself',
    handler: (req, res) => {
      res.writeHead(307, { location: req.url ?? '' }).end();
    },
    mark: 'WRONG',
    words: notPowerFolder,
  },
  { name: "a captive portal's page", handler: always(200, '<html>Log in'), mark: 'WRONG', words: notPowerFolder },
  {
    name: 'nothing: it closes',
    handler: (req) => {
      req.socket.destroy();
    },
    mark: 'WRONG',
    words: /broke off the connection/,
  },
  {
    name: 'half an answer',
    handler: (req, res) => {
      res.writeHead(400, { 'content-length': '500' }).write('{"error":', () => req.socket.destroy());
    },
    mark: 'WRONG',
    words: /broke off the connection/,
  },
];

describe('R58: check', () => {
  it.each(oddServers)(
    'does not end well, and does not send the secret, where a server answers $name',
    async ({ handler, mark, words }) => {
      const { url, requests } = await startListener(handler);
      const { status, last, found } = await findings(['--server', url, '--client-id', 'app']);
      expect(found[0]).toEqual([mark, expect.any(String), expect.stringMatching(words)]);
      expect([status, last]).toEqual([1, expect.not.stringContaining('No problem found')]);
      expect(found.filter(([verdict, about]) => verdict === 'ok' && about !== 'clock')).toEqual([]);
      if (mark === '?') {
        expect(found.at(-1)).toEqual(['?', 'client', expect.stringMatching(/secret is sent only to a server that/)]);
        expect(last).toMatch(/^Could not be checked: server,( clock,)? client\./);
      }
      expect(JSON.stringify(requests)).not.toContain(secret);
    },
  );

  it('tells nothing of the clock of what is not PowerFolder', async () => {
    const { url } = await startListener(always(404));
    const { found } = await findings(['--server', url, '--client-id', 'app']);
    expect(found.map(([, about]) => about)).toEqual(['server']);
  });

  it.each([
    ['no Date', []],
    ['the Date of nonsense', ['yesterday']],
    ['a Date that is a number', ['1']],
    ['a Date that there is not', ['Mon, 99 Foo 2026 00:00:00 GMT']],
    ['two Dates', [new Date().toUTCString(), new Date(0).toUTCString()]],
  ])('does not end well where a server answers well, but with %s', async (_, date) => {
    const { url, requests } = await startListener(
      withoutDate((_req, res) => {
        res.setHeader('date', date);
        const known = requests.at(-1)?.body.includes(secret);
        res.writeHead(400, json).end(known ? '{"error":"invalid_grant"}' : invalidClient);
      }),
    );
    const { status, last, found } = await findings(['--server', url, '--client-id', 'app']);
    expect(found.map(([mark, about]) => `${mark} ${about}`)).toEqual(['ok server', '? clock', 'ok client']);
    expect([status, last]).toEqual([1, 'Could not be checked: clock. Checked: server, client.']);
  });

  /** Refuses an unknown client as PowerFolder does; what it says to the known one is given, by secret. */
  async function server(toGuess: RequestListener, toRight: RequestListener) {
    const listener = await startListener((req, res) => {
      const { client_id, client_secret } = JSON.parse(listener.requests.at(-1)?.body ?? '{}');
      if (client_id !== 'app') always(401, invalidClient, json)(req, res);
      else (client_secret === secret ? toRight : toGuess)(req, res);
    });
    return listener;
  }
  const answers = {
    invalidClient: always(401, invalidClient, json),
    invalidGrant: always(400, '{"error":"invalid_grant"}', json),
    tokens: always(200, '{"access_token":"x"}', json),
    close: ((req) => req.socket.destroy()) as RequestListener,
  };

  it('ends well where a made-up secret is refused, and the right one is not', async () => {
    const { url, requests } = await server(answers.invalidClient, answers.invalidGrant);
    const { status, last } = await findings(['--server', url, '--client-id', 'app']);
    expect([status, last]).toEqual([0, 'No problem found; checked: server, clock, client.']);
    expect(requests.filter(({ body }) => body.includes(secret))).toHaveLength(1);
  });

  it.each<[string, RequestListener, mark: string, words: RegExp]>([
    ['invalid_grant, as for the right one', answers.invalidGrant, '?', /looks at the code first.*not sent/],
    ['tokens', answers.tokens, 'WRONG', /gave tokens for a made-up code/],
    ['invalid_request', always(400, '{"error":"invalid_request"}'), '?', /status 400 and invalid_request\. The secret/],
    ['a status only', always(401), '?', /a wrong secret with status 401 and no OAuth error.*The secret was not sent/],
    ['429', always(429, '', { 'retry-after': '9' }), '?', /too many requests.*in 9 s/],
    ['a redirect', always(302, '', { location: '/elsewhere' }), '?', /status 302.*The secret was not sent/],
    ['a page', always(200, '<html>'), '?', /status 200.*The secret was not sent/],
    ['what is no text', always(200, '\xff'), '?', /status 200/],
    ['nothing: it closes', answers.close, 'WRONG', /broke off the connection/],
  ])('does not end well, nor send the secret, where a made-up secret gets %s', async (_, toGuess, mark, words) => {
    const { url, requests } = await server(toGuess, answers.invalidGrant);
    const { status, last, found } = await findings(['--server', url, '--client-id', 'app']);
    expect(found.at(-1)).toEqual([mark, expect.any(String), expect.stringMatching(words)]);
    expect([status, last]).toEqual([1, expect.not.stringContaining('No problem found')]);
    expect(JSON.stringify(requests)).not.toContain(secret);
  });

  it('does not send the secret where an unknown client is told of the code', async () => {
    const { url, requests } = await startListener(answers.invalidGrant);
    const { status, last, found } = await findings(['--server', url, '--client-id', 'app']);
    expect(found.at(-1)).toEqual(['?', 'client', expect.stringMatching(/looks at the code first.*not sent/)]);
    expect([status, last]).toEqual([1, 'Could not be checked: client. Checked: server, clock.']);
    expect(JSON.stringify(requests)).not.toContain(secret);
  });

  it.each<[string, RequestListener, mark: string, words: RegExp]>([
    ['tokens', answers.tokens, 'WRONG', /gave tokens for a made-up code/],
    ['invalid_request', always(400, '{"error":"invalid_request"}'), 'WRONG', /a reason of its own/],
    [
      'unauthorized_client',
      always(400, '{"error":"unauthorized_client"}'),
      'WRONG',
      /knows app and its secret, but does not let it/,
    ],
    ['a status only', always(400), '?', /this client with status 400 and no OAuth error/],
    ['invalid_grant with status 200', always(200, '{"error":"invalid_grant"}'), '?', /this client with status 200/],
    ['invalid_grant with status 500', always(500, '{"error":"invalid_grant"}'), '?', /this client with status 500/],
    ['429', always(429), '?', /too many requests.*later/],
    ['a redirect', always(307, '', { location: '/elsewhere' }), '?', /this client with status 307/],
    ['a page', always(200, '<html>'), '?', /this client with status 200/],
    ['nothing: it closes', answers.close, 'WRONG', /broke off the connection/],
  ])('does not end well where the right secret gets %s', async (_, toRight, mark, words) => {
    const { url } = await server(answers.invalidClient, toRight);
    const { status, last, found } = await findings(['--server', url, '--client-id', 'app']);
    expect(found.at(-1)).toEqual([mark, expect.any(String), expect.stringMatching(words)]);
    expect([status, last]).toEqual([1, expect.not.stringContaining('No problem found')]);
  });

  it('never follows a redirect with the secret', async () => {
    const elsewhere = await startListener(answers.invalidGrant);
    const { url } = await server(answers.invalidClient, always(307, '', { location: `${elsewhere.url}/oauth/token` }));
    await findings(['--server', url, '--client-id', 'app']);
    expect(elsewhere.requests).toEqual([]);
  });

  it('tells what is open beside what is wrong', async () => {
    const { url } = await startListener(always(400));
    const { status, last } = await findings(['--server', url, '--client-id', 'app', '--callback-url', '/oauth']);
    expect([status, last]).toEqual([1, '1 problem found. Could not be checked: server, client.']);
  });

  it('needs the secret before it says anything of the client', async () => {
    const { url, requests } = await startServer({ tls: tls('server.pem') });
    const { status, found } = await findings(['--server', url, '--client-id', 'app', '--ca', tlsFile('ca.pem')], {});
    expect(found.at(-1)).toEqual(['WRONG', 'client', expect.stringMatching(/POWERFOLDER_CLIENT_SECRET is not set/)]);
    expect([status, requests.length]).toEqual([1, 1]);
  });

  it('tells what the exit status means', async () => {
    const { stdout } = await run(['check', '--help']);
    expect(stdout).toMatch(/exit status is 0 when all that was asked for was checked and is well\. It is 1 when/);
  });
});
