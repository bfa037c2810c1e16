/** `passport-powerfolder sign-in` against the simulated server: what it finds is what the server was told to do. */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { optionsFromReport, type PowerFolderFault, type PowerFolderServerOptions } from 'passport-powerfolder/testing';
import { startListener, startServer } from '../support/command-line.ts';
import { rounds } from '../support/rounds.ts';
import { newFolder, type Person, person, runSignIn } from '../support/sign-in-command.ts';

const env = { POWERFOLDER_CLIENT_ID: 'app', POWERFOLDER_CLIENT_SECRET: 'clientSENTINELsecret' };
const account = {
  ID: '4xT9/kQ2+Vb7LmZr',
  username: 'ada',
  password: 'ada',
  files: { Documents: { 'a.txt': 'x', deep: { deeper: { 'b.txt': 'x' } } } },
};
const accounts = [account, { username: 'admin', password: 'adminSENTINELpassword', admin: true }];

type Facts = Record<string, unknown>;

/** A member of a report by its path, such as `webdav.depth0.status`. */
function at(report: unknown, path: string): unknown {
  return path.split('.').reduce((value: unknown, name) => Object(value)[name], report);
}

async function reportOf(options: PowerFolderServerOptions, argv: string[] = []) {
  const server = await startServer({ accounts, ...options });
  const file = join(newFolder(), 'report.json');
  const decline = options.autoApprove ? [] : ['--decline'];
  // Nobody comes back from a server that keeps them.
  const wait = options.decline === 'nothing' ? ['--wait', '1'] : [];
  const given = ['--server', server.url, '--report', file, '--username', 'ada', ...decline, ...wait, ...argv];
  const run = await runSignIn(given, { env, who: person(['Allow', 'Decline']) });
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '{}';
  return { ...run, text, report: JSON.parse(text) as unknown };
}

/** What a report is to say of a server with these options. */
function expectedFacts(options: PowerFolderServerOptions): Facts {
  const {
    callbackStyle = 'path',
    contextPath = '',
    clockSkew = 0,
    allowMethods = ['GET'],
    accountsAPI = 'self',
    accountShape = 'flat',
    foldersAPI = 'self',
    tokenLogin = true,
    tokenAsPassword = true,
    expiresIn = 'seconds',
    tokenErrors = 'json',
    refreshTokens = true,
    refreshMethods = ['POST'],
    rotateRefreshTokens = false,
    decline = 'error',
    consent = 'always',
    cluster = false,
  } = options;
  const [byPOST, byGET] = [refreshMethods.includes('POST'), refreshMethods.includes('GET')];
  const through = (status: number, isOpen = true) => (cluster ? 302 : tokenLogin && isOpen ? status : 401);
  const accountStatus = through({ self: 200, 'admin-only': 403, 'basic-only': 401 }[accountsAPI]);
  const basicStatus = through(accountsAPI === 'admin-only' ? 403 : 200, tokenAsPassword);
  const isRefreshed = refreshTokens && (byPOST || byGET);
  return {
    report: 'passport-powerfolder',
    version: 1,
    'server.scheme': 'http',
    'server.contextPath': contextPath !== '',
    'server.clock': clockSkew > 301_000 ? 'ahead' : clockSkew < -301_000 ? 'behind' : 'within 5 s',
    'unknownClient.status': 401,
    'wrongSecret.status': 401,
    'wrongSecret.body': { json: 'JSON object', page: 'page', empty: 'empty' }[tokenErrors],
    'authorization.method': allowMethods.includes('GET') ? 'GET' : 'POST',
    'authorization.session': allowMethods.includes('GET') ? "JSESSIONID, Jetty's" : 'none',
    'callback.form': callbackStyle,
    'callback.state': 'unchanged',
    'callback.otherParameters': 0,
    'token.status': 200,
    'token.otherMembers': 0,
    'tokens.access.powerfolder': true,
    'tokens.expiresIn.unit': expiresIn === 'none' ? undefined : expiresIn,
    'tokens.expiresIn.witness': expiresIn === 'none' ? undefined : 'token',
    'account.bearer.status': accountStatus,
    'account.shape': accountStatus === 200 || basicStatus === 200 ? accountShape : 'not tried',
    'account.basic.status': basicStatus,
    'folders.bearer.status': through(200, foldersAPI === 'self'),
    'folders.resourceURL': through(200, foldersAPI === 'self') === 200 ? 'below /files/' : 'none',
    'webdav.depth0.status': through(207),
    'webdav.noDepth.status': through(207),
    'webdav.basic.status': through(207, tokenAsPassword),
    'webdav.listing.levels.noDepth': through(207) === 207 ? 3 : undefined,
    'webdav.listing.levels.depth1': through(207) === 207 ? 1 : undefined,
    'refresh.getMadeUp.status': 400,
    'refresh.getMadeUp.error': tokenErrors !== 'json' ? undefined : byGET ? 'invalid_grant' : 'invalid_request',
    'refresh.post.status': refreshTokens ? (byPOST ? 200 : 400) : undefined,
    'refresh.get.status': refreshTokens && !byPOST ? (byGET ? 200 : 400) : undefined,
    'refresh.rotates': isRefreshed ? rotateRefreshTokens : 'not tried',
    'refresh.oldRefreshToken.status': isRefreshed && rotateRefreshTokens ? 400 : undefined,
    'codeAgain.status': 400,
    'codeAgain.error': tokenErrors === 'json' ? 'invalid_grant' : undefined,
    'decline.error': consent === 'once' || decline === 'nothing' ? undefined : 'access_denied',
    decline: consent === 'once' ? 'a code came' : decline === 'nothing' ? 'did not return' : expect.any(Object),
  };
}

/** Of a report what is the same each time: lengths of tokens vary by a character. */
function lasting(text: string): unknown {
  const report = JSON.parse(text);
  for (const token of [report.tokens?.access, report.tokens?.refresh]) if (token?.alphabet) token.length = 77;
  return report;
}

const choices: { [K in keyof PowerFolderServerOptions]: NonNullable<PowerFolderServerOptions[K]>[] } = {
  callbackStyle: ['path', 'query'],
  contextPath: ['', '/powerfolder'],
  clockSkew: [0, 600_000, -600_000],
  allowMethods: [['GET', 'POST'], ['POST']],
  accountsAPI: ['self', 'admin-only', 'basic-only'],
  accountShape: ['flat', 'account', 'resultset'],
  foldersAPI: ['self', 'basic-only'],
  tokenLogin: [true, false],
  tokenAsPassword: [true, false],
  expiresIn: ['seconds', 'milliseconds', 'none'],
  tokenErrors: ['json', 'page', 'empty'],
  refreshTokens: [true, false],
  refreshMethods: [['POST'], ['GET'], ['POST', 'GET']],
  rotateRefreshTokens: [false, true],
  decline: ['error', 'nothing'],
  consent: ['always', 'once'],
  cluster: [false, true],
  identityProvider: [false, true],
  autoApprove: [],
};

describe('sign-in --report', () => {
  const single = Object.entries(choices).flatMap(([name, values]) =>
    values.map((value): [string, PowerFolderServerOptions] => [`${name} ${JSON.stringify(value)}`, { [name]: value }]),
  );

  it.each(single)('finds what the server was told, and nothing else: %s', async (_, options) => {
    const { status, text, report } = await reportOf(options);
    const facts = expectedFacts(options);
    expect(Object.fromEntries(Object.keys(facts).map((path) => [path, at(report, path)]))).toEqual(facts);
    expect(status).toBe(0);
    // A server that is made of it does the same.
    const again = await reportOf({
      ...optionsFromReport(report),
      ...(options.identityProvider && { identityProvider: true }),
    });
    expect(lasting(again.text)).toEqual(lasting(text));
  });

  it('finds what a server does that was told several things', async () => {
    const some = fc.record(
      Object.fromEntries(
        Object.entries(choices)
          // They wait a second for nobody.
          .filter(([name, values]) => values.length > 0 && name !== 'decline')
          .map(([name, values]) => [name, fc.constantFrom(...(values as unknown[]))]),
      ),
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(some, async (options: PowerFolderServerOptions) => {
        const { text, report } = await reportOf(options);
        const facts = expectedFacts(options);
        expect(Object.fromEntries(Object.keys(facts).map((path) => [path, at(report, path)]))).toEqual(facts);
        const again = await reportOf({
          ...optionsFromReport(report),
          ...(options.identityProvider && { identityProvider: true }),
        });
        // That a server refuses tokens altogether hides what it would say to them.
        const seen =
          at(report, 'webdav.depth0.status') === 207 ? lasting : (given: string) => at(lasting(given), 'refresh');
        expect(seen(again.text)).toEqual(seen(text));
      }),
      { numRuns: rounds(12, 150) },
    );
  });

  it.each([
    ['an hour', 3_600_000],
    ['hours', 8 * 3_600_000],
    ['minutes', 600_000],
    ['days', 7 * 86_400_000],
    ['months or more', 365 * 86_400_000],
  ])('tells only roughly how long tokens live: %s', async (lifetime, accessTokenLifetime) => {
    const { report } = await reportOf({ accessTokenLifetime });
    expect(at(report, 'tokens.expiresIn')).toEqual({ unit: 'seconds', witness: 'token', lifetime });
    expect(optionsFromReport(report)).toMatchObject({ accessTokenLifetime });
  });

  it.each<[what: string, code: string, options: PowerFolderServerOptions, found: object]>([
    ['escaped', 'a/b+c=d', {}, { escapes: 'upper case', bare: [], alphabet: ['a-f', '+', '/', '='] }],
    [
      'bare',
      'a/b+c=d',
      { encodeCode: false },
      { escapes: 'none', bare: ['+', '/', '='], alphabet: ['a-f', '+', '/', '='] },
    ],
    ['long', 'Zx9_'.repeat(100), {}, { escapes: 'none', bare: [], alphabet: ['0-9', 'a-z', 'A-Z', '_'], length: 400 }],
  ])('tells how a code is written: %s', async (_, code, options, found) => {
    for (const callbackStyle of ['path', 'query'] as const) {
      const { report, text } = await reportOf({ ...options, callbackStyle, code: () => code });
      expect(at(report, 'callback.code')).toMatchObject(found);
      expect(text).not.toContain(code);
      expect(optionsFromReport(report).encodeCode).toBe(options.encodeCode);
      expect(optionsFromReport(report).code?.()).toHaveLength(code.length);
    }
  });

  it.each([
    [{}, /no report/],
    [null, /no report/],
    [{ report: 'passport-powerfolder', version: 2 }, /another version/],
  ])('is refused as options where it is none: %j', (report, words) => {
    expect(() => optionsFromReport(report)).toThrow(words);
  });

  it('refuses to write over a file, before anybody is asked to sign in', async () => {
    const server = await startServer();
    const file = join(newFolder(), 'report.json');
    writeFileSync(file, 'precious');
    const { status, stderr } = await runSignIn(['--server', server.url, '--report', file], { env });
    expect([status, stderr]).toEqual([1, expect.stringContaining('is there already; give --report a new file.')]);
    expect(server.requests).toEqual([]);
    expect(readFileSync(file, 'utf8')).toBe('precious');
  });

  it('says that there is no folder for it, before anybody is asked to sign in', async () => {
    const server = await startServer();
    const { status, stderr } = await runSignIn(['--server', server.url, '--report', '/nowhere/report.json'], { env });
    expect([status, stderr]).toEqual([1, expect.stringContaining('/nowhere/report.json cannot be written (ENOENT).')]);
    expect(server.requests).toEqual([]);
  });

  it('prints the report where it cannot be written', async () => {
    const server = await startServer();
    const folder = join(newFolder(), 'going');
    mkdirSync(folder);
    const file = join(folder, 'report.json');
    const visitor = person();
    const who: Person = (...given) => {
      rmdirSync(folder);
      return visitor(...given);
    };
    const { status, stdout } = await runSignIn(['--server', server.url, '--report', file], { env, who });
    expect(status).toBe(1);
    expect(stdout).toMatch(/WRONG {2}report .*could not be written \(ENOENT\)\. This is it:\n\{\n {2}"report"/);
  });
});

describe('sign-in', () => {
  it('tells step by step what came', async () => {
    const { url } = await startServer({ accounts });
    const { status, stdout, stderr } = await runSignIn(['--server', url], { env });
    expect(status).toBe(0);
    const subjects = stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.slice(0, 17).trimEnd());
    expect(subjects).toEqual([
      'ok     server',
      'ok     clock',
      'ok     client',
      'ok     secret',
      'ok     callback',
      'ok     token',
      'ok     account',
      'ok     basic',
      'ok     folders',
      'ok     webdav',
      'ok     refresh',
      'ok     code',
      'A sign-in would w',
    ]);
    expect(stdout).toMatch(/A sign-in would work\. Nothing needs to be set in the options of the strategy\.\n$/);
    expect(stderr).toMatch(
      /^\nOpen this address, log in, and press Allow:\n\n {2}http\S+\n\nWaiting for the browser \(Ctrl-C ends this\), for 600 s\.\n$/,
    );
  });

  it.each<[what: string, PowerFolderServerOptions, RegExp]>([
    [
      'a POST',
      { allowMethods: ['POST'] },
      /^ {2}authorizationMethod: 'POST', {2}\/\/ the server refuses a GET with status 405$/m,
    ],
    ['the old refresh', { refreshMethods: ['GET'] }, /^ {2}refreshMethod: 'GET', {2}\/\/ /m],
    ['no profile', { accountsAPI: 'admin-only' }, /^ {2}skipUserProfile: true, {2}\/\/ .*userProfileURL/m],
  ])('names the option to set for a server that wants %s', async (_, options, words) => {
    const { url } = await startServer({ accounts, ...options });
    const { status, stdout } = await runSignIn(['--server', url], { env });
    expect([status, stdout]).toEqual([0, expect.stringMatching(words)]);
    expect(stdout).toContain('A sign-in would work. Set in the options of the strategy:\n');
  });

  it('works in every combination of its options, in a terminal and in a pipe', async () => {
    const both = [false, true];
    for (const terminal of both) {
      for (const pasted of both) {
        for (const declines of both) {
          for (const reports of both) {
            for (const saves of both) {
              const server = await startServer({ accounts });
              const folder = newFolder();
              const [report, save] = [join(folder, 'report.json'), join(folder, 'tokens.json')];
              const argv = [
                ...['--server', server.url, '--wait', '60'],
                ...(pasted ? ['--callback-url', 'https://app.example.com/oauth'] : []),
                ...(declines ? ['--decline'] : []),
                ...(reports ? ['--report', report] : []),
                ...(saves ? ['--save', save] : []),
              ];
              const who = pasted ? whoPastes(['Allow', 'Decline']) : person(['Allow', 'Decline']);
              const { status, stdout, stderr } = await runSignIn(argv, { env, terminal, who });
              const what = JSON.stringify({ terminal, pasted, declines, reports, saves });
              expect([what, status, stdout]).toEqual([what, 0, expect.stringContaining('A sign-in would work.')]);
              expect([what, existsSync(report), existsSync(save)]).toEqual([what, reports, saves]);
              expect([what, stdout.includes('access_denied')]).toEqual([what, declines]);
              // What may end tokens is left out where they are kept.
              expect([what, /(ok {3}|WRONG) {2}code /.test(stripVTControlCharacters(stdout))]).toEqual([what, !saves]);
              if (reports)
                expect(JSON.parse(readFileSync(report, 'utf8'))).toHaveProperty('report', 'passport-powerfolder');
              expect(stdout.includes('\x1b[')).toBe(terminal);
              if (!terminal) expect(stderr).not.toContain('\x1b');
              if (saves) {
                const { accessToken } = JSON.parse(readFileSync(save, 'utf8')).tokens;
                const headers = { Authorization: `Bearer ${accessToken}` };
                expect((await fetch(`${server.url}/api/accounts?action=getInfo`, { headers })).status).toBe(200);
                expect(stdout + stderr).not.toContain(accessToken);
              }
              expect(stdout + stderr).not.toMatch(/SENTINEL/);
            }
          }
        }
      }
    }
  });

  /** Somebody who copies the address at which the browser ended, and pastes it. */
  function whoPastes(buttons: ('Allow' | 'Decline')[], change = (ended: string) => ended): Person {
    return async (address, round, stdin) => {
      const visitor = person(
        buttons,
        { username: 'ada', password: 'ada' },
        (target) => target.host !== 'app.example.com',
      );
      await visitor(address, round, stdin);
      const ended = String(visitor.pages.at(-1)?.headers['location'] ?? visitor.pages.at(-1)?.url);
      stdin.write(`${change(ended)}\n`);
    };
  }

  it.each<[what: string, change: (ended: string) => string]>([
    ['as it is', (ended) => ended],
    ['with spaces around it', (ended) => `  ${ended} `],
    ['without its host', (ended) => ended.replace('https://app.example.com', '')],
    ['by what is behind the path', (ended) => ended.replace('https://app.example.com/oauth/', '')],
  ])('takes a pasted address %s', async (_, change) => {
    const { url } = await startServer({ accounts });
    const argv = ['--server', url, '--callback-url', 'https://app.example.com/oauth'];
    expect(await runSignIn(argv, { env, who: whoPastes(['Allow'], change) })).toMatchObject({ status: 0 });
  });

  it.each<[what: string, change: (ended: string) => string, words: RegExp]>([
    ['nothing in it', () => 'https://app.example.com/oauth', /neither a code nor an error/],
    ['an empty line', () => '', /No address was given; nobody was signed in/],
    ['another state', (ended) => ended.replace(/state=\w+/, 'state=abc'), /with another state/],
    ['no state', (ended) => ended.replace(/&?state=\w+/, ''), /without a state/],
    ['a code twice', (ended) => `${ended}&code=x`, /malformed, ambiguous or too long/],
    ['something else', () => 'rm -rf', /neither a code nor an error/],
  ])('says what is wrong with a pasted address that has %s', async (_, change, words) => {
    const server = await startServer({ accounts });
    const argv = ['--server', server.url, '--callback-url', 'https://app.example.com/oauth'];
    const { status, stdout, stderr } = await runSignIn(argv, { env, who: whoPastes(['Allow'], change) });
    expect([status, stdout + stderr]).toEqual([1, expect.stringMatching(words)]);
    expect(
      server.requests.some(
        ({ body }) =>
          body.includes('"grant_type":"authorization_code"') &&
          !body.includes('"client_id":"passport-powerfolder-check"') &&
          body.includes(`"code":"${'x'}`),
      ),
    ).toBe(false);
  });

  it('says that nobody came back, in words, and in time', async () => {
    const { url } = await startServer();
    for (const argv of [[], ['--callback-url', 'https://app.example.com/oauth']]) {
      const all = ['--server', url, '--wait', '1', ...argv];
      const { status, stdout } = await runSignIn(all, { env, who: async () => {} });
      expect([status, stdout]).toEqual([1, expect.stringContaining('WRONG  callback  Nobody came back within 1 s.')]);
      expect(stdout).toMatch(/Nobody was signed in, so it is not known whether a sign-in would work\.\n$/);
    }
  });

  it('says that the visitor declined', async () => {
    const { url } = await startServer({ accounts });
    const { status, stdout } = await runSignIn(['--server', url], { env, who: person(['Decline']) });
    expect([status, stdout]).toEqual([
      1,
      expect.stringMatching(/with the error access_denied\.\nNobody was signed in/),
    ]);
  });

  it.each<[what: string, argv: string[], changes: object, words: RegExp]>([
    ['no secret', [], { POWERFOLDER_CLIENT_SECRET: '' }, /POWERFOLDER_CLIENT_SECRET is not set/],
    ['no client', [], { POWERFOLDER_CLIENT_ID: '' }, /--client-id is missing/],
    ['a wrong secret', [], { POWERFOLDER_CLIENT_SECRET: 'wrong' }, /WRONG {2}client .*secret is wrong/],
    ['an unknown client', ['--client-id', 'other'], {}, /WRONG {2}client .*unknown/],
    ['a page of the server', ['--page'], {}, /--server has \/login at its end/],
    ['a port that is none', ['--port', '65536'], {}, /--port must be a whole number from 0 to 65535/],
    ['no time to wait', ['--wait', '0'], {}, /--wait must be a whole number from 1/],
    [
      'a port beside a callback URL',
      ['--port', '1', '--callback-url', 'https://x.example/oauth'],
      {},
      /--port has no effect/,
    ],
    ['a callback URL that is none', ['--callback-url', 'https://x.example'], {}, /--callback-url needs a path/],
    ['a file of tokens that others can read', ['--save', __filename], {}, /is open to others \(mode 6\d\d\)/],
  ])('does not begin with %s, and says why', async (_, argv, changes, words) => {
    const server = await startServer();
    chmodSync(__filename, 0o644);
    const url = argv[0] === '--page' ? `${server.url}/login` : server.url;
    const all = ['--server', url, ...argv.filter((each) => each !== '--page')];
    const { status, stdout, stderr } = await runSignIn(all, { env: { ...env, ...changes }, who: person() });
    expect([status, stdout + stderr]).toEqual([1, expect.stringMatching(words)]);
    expect(server.requests.filter(({ endpoint }) => endpoint === 'allow')).toEqual([]);
  });

  it('sends no secret to a server that is none, and says so', async () => {
    const listener = await startListener((_req, res) => res.end('<h1>Hello</h1>'));
    const { status, stdout } = await runSignIn(['--server', listener.url], { env });
    expect([status, stdout]).toEqual([
      1,
      expect.stringMatching(/this is not a PowerFolder server[\s\S]*A sign-in would not work\. Mend this first\.\n$/),
    ]);
  });

  it('says which port is in use', async () => {
    const server = await startServer({ accounts });
    const argv = ['--server', server.url, '--port', new URL(server.url).port];
    expect(await runSignIn(argv, { env })).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/Port \d+ cannot be listened on \(EADDRINUSE\)/),
    });
  });

  it('goes on with the other steps when one fails', async () => {
    const server = await startServer({ accounts });
    for (const endpoint of ['accounts', 'folders', 'webdav', 'refresh'] as const) {
      server.failNext(endpoint, { status: 500, body: 'broken' });
    }
    server.failNext('accounts', { raw: 'SSH-2.0-OpenSSH_9.2\r\n' });
    const { status, stdout } = await runSignIn(['--server', server.url, '--username', 'ada'], { env });
    expect(stdout).toMatch(/^\? {6}account .*status 500, text/m);
    expect(stdout).toMatch(/^\? {6}basic .*not_http/m);
    expect(stdout).toMatch(/^\? {6}folders .*status 500/m);
    expect(stdout).toMatch(/^ok {5}webdav/m);
    expect(stdout).toMatch(/^ok {5}refresh/m);
    expect(stdout).toMatch(/^ok {5}code/m);
    expect(status).toBe(0);
  });

  it('finds the refresh of a server that wants all six members of the deployed client', async () => {
    const server = await startServer({ accounts });
    // The made-up one by GET, and that of four members.
    for (const _ of [1, 2]) server.failNext('refresh', { status: 400, body: { error: 'invalid_request' } });
    const { stdout } = await runSignIn(['--server', server.url], { env });
    expect(stdout).toMatch(/^\? {6}refresh .*by POST, but only with format and access_token beside/m);
    const { json } = server.requests.filter(({ endpoint }) => endpoint === 'refresh')[2] ?? {};
    expect(Object.keys(Object(json))).toEqual([
      'grant_type',
      'refresh_token',
      'client_id',
      'client_secret',
      'format',
      'access_token',
    ]);
  });

  it.each([500, 503, 429])('puts no token into a URL since a refresh by POST ends in %d', async (status) => {
    const server = await startServer({ accounts });
    for (const body of ['', '']) server.failNext('refresh', { status, body });
    const { stdout } = await runSignIn(['--server', server.url], { env });
    expect(stdout).toMatch(/^WRONG {2}refresh .*Tokens cannot be refreshed: /m);
    expect(server.requests.filter(({ endpoint }) => endpoint === 'refresh').map(({ method }) => method)).toEqual([
      'GET',
      'POST',
    ]);
  });

  it.each<[what: string, fault: PowerFolderFault, failed: string]>([
    ['is not UTF-8', { headers: { 'Content-Encoding': 'gzip' }, body: Buffer.from('1f8b08000000', 'hex') }, 'not_json'],
    ['is cut off', { closeAfter: 150 }, 'connection_lost'],
    ['is too long', { flood: 300_000 }, 'too_large'],
  ])('invents nothing about an answer that %s', async (_, fault, failed) => {
    const server = await startServer({ accounts });
    const file = join(newFolder(), 'report.json');
    server.failNext('folders', fault);
    expect(await runSignIn(['--server', server.url, '--report', file], { env })).toMatchObject({ status: 0 });
    expect(at(JSON.parse(readFileSync(file, 'utf8')), 'folders.bearer')).toEqual({ failed });
  });

  it('does not say that a sign-in would work where the account cannot be asked for', async () => {
    const server = await startServer({ accounts });
    server.failNext('accounts', { resetAfter: 0 });
    const { status, stdout } = await runSignIn(['--server', server.url], { env });
    expect([status, stdout]).toEqual([
      1,
      expect.stringMatching(/WRONG {2}account [\s\S]*A sign-in would not work\.\n$/),
    ]);
  });

  describe('its listener', () => {
    /** Asks the listener as others on this machine can. */
    const ask = (address: string, path: string, headers: Record<string, string> = {}, method = 'GET') =>
      new Promise<{ status: number; text: string; headers: object }>((resolve, reject) => {
        const port = /localhost%3A(\d+)/.exec(address)?.[1] ?? '';
        request(
          { host: '127.0.0.1', port, path, method, headers: { host: `localhost:${port}`, ...headers } },
          (res) => {
            let text = '';
            res.setEncoding('utf8').on('data', (data) => {
              text += data;
            });
            res.on('end', () => resolve({ status: res.statusCode ?? 0, text, headers: res.headers }));
          },
        )
          .on('error', reject)
          .end();
      });

    it('takes nothing but the answer that is waited for, and goes on waiting', async () => {
      const { url } = await startServer({ accounts });
      const seen: unknown[] = [];
      const visitor = person();
      const who: Person = async (address, round, stdin) => {
        for (const [path, headers, method] of [
          ['/oauth/code=evil&state=0123', {}],
          ['/oauth?code=evil', {}],
          ['/oauth/error=access_denied', {}],
          ['/oauth', {}],
          ['/', {}],
          ['/other/code=x', {}],
          ['/oauth/code=evil&state=0123', { host: 'evil.example' }],
          ['/oauth/code=evil&state=0123', {}, 'POST'],
        ] as [string, Record<string, string>, string?][]) {
          seen.push((await ask(address, path, headers, method)).status);
        }
        for (let i = 0; i < 20; i++) await ask(address, '/oauth?code=x&state=y');
        await visitor(address, round, stdin);
      };
      const { status, stdout } = await runSignIn(['--server', url], { env, who });
      expect(stdout.match(/^\? {6}callback/gm)).toHaveLength(10);
      expect(seen).toEqual([400, 400, 400, 400, 404, 404, 421, 405]);
      expect([status, stdout]).toEqual([0, expect.stringContaining('with another state: it does not count')]);
      expect(stdout).not.toContain('evil');
    });

    it('shows a page without the code in it, which takes it out of the address, too', async () => {
      const { url } = await startServer({ accounts });
      const visitor = person();
      await runSignIn(['--server', url], { env, who: visitor });
      const [page] = visitor.pages;
      const code = /code=(\w+)/.exec(page?.url ?? '')?.[1] ?? 'none';
      expect([page?.status, page?.text]).toEqual([200, expect.stringContaining('Go on in the terminal.')]);
      expect(page?.text).not.toContain(code);
      expect(page?.text).toContain("history.replaceState(null,'','/')");
      expect(page?.headers['content-security-policy']).toMatch(/^default-src 'none'.*script-src 'sha256-/);
    });
  });

  describe('--save', () => {
    it('writes a file for its owner only, without the secret, and the tokens that are good', async () => {
      const server = await startServer({ accounts, rotateRefreshTokens: true });
      const file = join(newFolder(), 'tokens.json');
      for (const _ of [1, 2]) {
        expect(await runSignIn(['--server', server.url, '--save', file], { env })).toMatchObject({ status: 0 });
        expect(statSync(file).mode & 0o777).toBe(0o600);
        const text = readFileSync(file, 'utf8');
        expect(text).not.toContain('SENTINEL');
        const { serverURL, clientID, tokens } = JSON.parse(text);
        expect({ serverURL, clientID }).toEqual({ serverURL: server.url, clientID: 'app' });
        expect(Object.keys(tokens)).toEqual(['accessToken', 'refreshToken', 'expiresAt']);
        // Neither was replaced by a later step.
        const headers = { Authorization: `Bearer ${tokens.accessToken}` };
        expect((await fetch(`${server.url}/api/accounts?action=getInfo`, { headers })).status).toBe(200);
      }
    });

    it.each<[what: string, content: string, words: RegExp]>([
      ['something else', 'precious', /is no file that sign-in --save has written; it was left as it is/],
      [
        'tokens of another client',
        JSON.stringify({
          version: 1,
          serverURL: 'https://x.example',
          clientID: 'x',
          refreshMethod: 'POST',
          tokens: { accessToken: 'x' },
        }),
        /holds the tokens of another server or client/,
      ],
    ])('leaves a file alone that holds %s', async (_, content, words) => {
      const server = await startServer({ accounts });
      const file = join(newFolder(), 'tokens.json');
      writeFileSync(file, content, { mode: 0o600 });
      const { status, stderr } = await runSignIn(['--server', server.url, '--save', file], { env });
      expect([status, stderr]).toEqual([1, expect.stringMatching(words)]);
      expect(readFileSync(file, 'utf8')).toBe(content);
      expect(server.requests).toEqual([]);
    });

    it.each(['/nowhere/tokens.json', '/dev/null', '/'])(
      'says that it cannot write %s, before anybody signs in',
      async (file) => {
        const server = await startServer({ accounts });
        const { status, stderr } = await runSignIn(['--server', server.url, '--save', file], { env });
        expect([status, stderr]).toEqual([1, expect.stringMatching(/cannot be written|is no file|cannot be read/)]);
        expect(server.requests).toEqual([]);
      },
    );
  });
});
