import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  admin,
  checkEnv,
  cli,
  findings,
  problem,
  root,
  run,
  start,
  startListener,
  startServer,
  tls,
  tlsFile,
} from '../support/command-line.ts';
import { listen } from '../support/listener.ts';

describe('main', () => {
  it('prints the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(await run(['--version'])).toEqual({ status: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help'], /register .*\n.*check .*\n.*sign-in .*\n.*token .*\n.*simulate .*\n.*example/],
    [['-h'], /Usage/],
    [['register', '--help'], /Usage: passport-powerfolder register[\s\S]*POWERFOLDER_ADMIN_PASSWORD/],
    [['check', '--help'], /Usage: passport-powerfolder check[\s\S]*POWERFOLDER_CLIENT_SECRET/],
    [['simulate', '-h'], /Usage: passport-powerfolder simulate/],
  ])('explains itself on the standard output for %j', async (argv, words) => {
    const { status, stdout, stderr } = await run(argv);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(words);
  });

  it.each<[argv: string[], words: RegExp]>([
    [[], /Usage: passport-powerfolder <command>/],
    [['regsiter'], /no command regsiter; did you mean register\?/],
    [['SENTINEL'], /no such command; there are register, check, sign-in, token, simulate, example/],
    [['--vresion'], /no option --vresion; did you mean --version\?/],
    [['constructor'], /no such command/],
    [['check', '--sever', 'x'], /no option --sever; did you mean --server\?/],
    [['check', '--Client-ID=x'], /no option --Client-ID; did you mean --client-id\?/],
    [['check', '--frobnicate'], /no option --frobnicate\. See --help/],
    [['check', '-phunterSENTINEL'], /no option -p\. See --help/],
    [['check', '--server'], /--server needs a value/],
    [['check', '--server', '--client-id', 'x'], /--server needs a value/],
    [['check', '--server='], /--server needs a value/],
    [['check', '--allow-insecure-http=yes'], /--allow-insecure-http takes no value/],
    [['check', '--server', 'a', '--server', 'b'], /--server is given more than once/],
    [['check', 'SENTINEL'], /a value without an option before it/],
    [['check', '--', '--server'], /a value without an option before it/],
    [['check'], /--server is missing, and POWERFOLDER_URL is not set/],
    [['check', '--server', 'https://x.invalid'], /--client-id is missing, and POWERFOLDER_CLIENT_ID is not set/],
    [['register', '--server', 'https://x.invalid'], /--admin is missing\. See/],
    [['register', '--server', 'x.invalid', '--admin', 'a'], /--server is not an absolute URL/],
    [['register', '--server', 'http://x.invalid', '--admin', 'a'], /--server must be https.*--allow-insecure-http/],
    [
      ['check', '--server', 'https://x.invalid', '--client-id', 'x', '--ca', '/nowhere'],
      /--ca cannot be read \(ENOENT\)/,
    ],
    [['check', '--server', 'https://x.invalid', '--client-id', 'x', '--ca', __filename], /holds no certificate/],
    [['token', ''], /The name of the FILE is empty/],
    [['example', ''], /The name of the directory is empty/],
    [['simulate', '--port', '65536'], /--port must be a number from 0 to 65535/],
    [['simulate', '--port', '1e3'], /--port must be/],
    [['simulate', '--callback-style', 'body'], /--callback-style must be path or query/],
    [['simulate', '--host', 'example.com'], /--host must be localhost or 127\.0\.0\.1/],
  ])('says what is wrong with %j in a sentence, on the standard error, and ends with status 1', async (argv, words) => {
    const { status, stdout, stderr } = await run(argv);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(words);
  });

  it.each([
    [['register', '--password', 'SENTINEL']],
    [['register', '--pasword=SENTINEL']],
    [['register', '--admin-password', 'SENTINEL', '--server', 'x']],
    [['check', '--secret=SENTINEL']],
    [['check', '--client-secret', 'SENTINEL']],
    [['check', '--clientSecret', 'SENTINEL']],
    [['check', '--client-secrt', 'SENTINEL']],
    [['--password', 'SENTINEL', 'register']],
  ])('R29: takes no secret as an argument, and names the environment instead: %j', async (argv) => {
    const { status, stderr } = await run(argv);
    expect(status).toBe(1);
    expect(stderr).toMatch(/not taken as arguments.*POWERFOLDER_ADMIN_PASSWORD.*POWERFOLDER_CLIENT_SECRET/);
  });

  it('uses colours on a terminal, but not with NO_COLOR, not on a dumb one and not in a pipe', async () => {
    const { url } = await startServer();
    const argv = ['check', '--server', url, '--client-id', 'app'];
    const outputs = [];
    for (const [terminal, env] of [
      [true, {}],
      [true, { NO_COLOR: '1' }],
      [true, { TERM: 'dumb' }],
      [false, { FORCE_COLOR: '1' }],
    ] as const) {
      const { stdout } = await run(argv, { terminal, env: { ...checkEnv, ...env } });
      const { stderr } = await run(['nothing'], { terminal, env });
      outputs.push([stdout.includes('\x1b['), stderr.includes('\x1b[')]);
    }
    expect(outputs).toEqual([
      [true, true],
      [false, false],
      [false, false],
      [false, false],
    ]);
  });

  describe('register', () => {
    it('prints what to put into the environment on the standard output, and all else elsewhere', async () => {
      const server = await startServer({ contextPath: '/powerfolder' });
      const { status, stdout, stderr } = await run(['register', '--server', `${server.url}/`, '--admin', 'admin'], {
        input: `${admin.password}\n`,
      });
      const { id, secret } = server.clients[1] ?? {};
      expect(stdout).toBe(
        `\n\nPOWERFOLDER_URL=${server.url}\nPOWERFOLDER_CLIENT_ID=${id}\nPOWERFOLDER_CLIENT_SECRET=${secret}\n`,
      );
      expect([status, id, secret]).toEqual([
        0,
        expect.stringMatching(/./),
        expect.stringMatching(/^[A-Za-z0-9]{43,}$/),
      ]);
      expect(stderr).toMatch(/^Registered passport-powerfolder-/);
      expect(stderr).not.toContain(secret);
    });

    it.each([
      ['the first line of the standard input', { input: `${admin.password}\r\nmore\n` }],
      ['a standard input without a line break', { input: admin.password }],
      // Its standard input never ends: it must not be waited for.
      ['POWERFOLDER_ADMIN_PASSWORD', { env: { POWERFOLDER_ADMIN_PASSWORD: admin.password } }],
    ])('takes the password from %s', async (_, given) => {
      const { url } = await startServer();
      expect(await run(['register', '--server', url, '--admin', 'admin'], given)).toMatchObject({ status: 0 });
    });

    it('R29: registers the secret in POWERFOLDER_CLIENT_SECRET without printing it', async () => {
      const server = await startServer();
      const env = { POWERFOLDER_CLIENT_SECRET: 'SENTINEL', POWERFOLDER_ADMIN_PASSWORD: admin.password };
      const { status, stdout } = await run(
        ['register', '--server', server.url, '--admin=admin', '--client-id=my$app'],
        {
          env,
        },
      );
      // Quoted, since a shell would put a variable there.
      expect([status, stdout]).toEqual([0, `\n\nPOWERFOLDER_URL=${server.url}\nPOWERFOLDER_CLIENT_ID='my$app'\n`]);
      expect(server.clients).toContainEqual({ id: 'my$app', secret: 'SENTINEL' });
    });

    it('takes server and client ID from the environment too, and options before that', async () => {
      const server = await startServer();
      const env = {
        POWERFOLDER_URL: server.url,
        POWERFOLDER_CLIENT_ID: 'of-env',
        POWERFOLDER_ADMIN_PASSWORD: admin.password,
      };
      await run(['register', '--admin', 'admin'], { env });
      await run(['register', '--admin', 'admin', '--client-id', 'given'], { env });
      expect(server.clients.map(({ id }) => id)).toEqual(['app', 'of-env', 'given']);
    });

    it.each([
      ['a wrong password', 'admin', 'wrongSENTINEL', /does not accept the administrator's user name or password/],
      ['an account that is no administrator', 'ada', 'ada', /is no administrator/],
      ['a missing password', 'admin', '', /No password was given; nothing was registered/],
    ])('says what is the matter with %s', async (_, name, input, words) => {
      const server = await startServer();
      const { status, stdout, stderr } = await run(['register', '--server', server.url, '--admin', name], { input });
      expect([status, stdout, server.clients.length]).toEqual([1, '', 1]);
      expect(stderr).toMatch(words);
    });

    it.each<[string, number, Record<string, string>, RegExp]>([
      ['another web server', 404, {}, /no registration API of a PowerFolder server at http.*context path in --server/],
      ['a server out of order', 500, {}, /did not register the client \(status 500\)\. Its log may say why/],
      ['a server that wants https', 301, { location: 'https://127.0.0.1/' }, /wants https .*--server with https/],
    ])('says what to do about %s, in the words of the command line', async (_, status, headers, words) => {
      const { url } = await startListener((_req, res) => {
        res.writeHead(status, headers).end();
      });
      const { stderr } = await run(['register', '--server', url, '--admin', 'admin'], { input: admin.password });
      expect(stderr).toMatch(words);
      expect(stderr).not.toMatch(/serverURL|clientID/);
    });

    it('says how to trust a CA, and registers when it does', async () => {
      const server = await startServer({ tls: tls('server.pem') });
      const argv = ['register', '--server', server.url, '--admin', 'admin'];
      const refused = await run(argv, { input: admin.password });
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringMatching(/no CA that is trusted here.*--ca FILE/),
      ]);
      expect(server.requests).toEqual([]);
      const trusted = await run([...argv, '--ca', tlsFile('ca.pem')], { input: admin.password });
      expect(trusted.status).toBe(0);
    });
  });

  describe('check', () => {
    it('prints what was checked when all is good, and ends with status 0', async () => {
      const { url, requests } = await startServer({ contextPath: '/powerfolder' });
      const result = await findings([
        ...['--server', `${url}/`, '--client-id', 'app', '--callback-url', 'https://app.example.com/oauth'],
      ]);
      expect(result).toEqual({
        status: 0,
        last: 'No problem found; checked: server, clock, client, callback.',
        found: [
          ['ok', 'server', `${url} answers as a PowerFolder server does.`],
          ['ok', 'clock', expect.stringMatching(/^The server's clock and this computer's are \d+ s apart\.$/)],
          ['ok', 'client', 'The server knows app and its secret.'],
          ['ok', 'callback', 'https://app.example.com/oauth is a callback URL.'],
        ],
      });
      expect(requests.map(({ method, url: path }) => `${method} ${path}`)).toEqual([
        'POST /powerfolder/oauth/token',
        'POST /powerfolder/oauth/token',
        'POST /powerfolder/oauth/token',
      ]);
    });

    it('takes all from the environment', async () => {
      const { url } = await startServer();
      const env = { POWERFOLDER_URL: url, POWERFOLDER_CLIENT_ID: 'app', ...checkEnv };
      expect(await findings([], env)).toMatchObject({ status: 0 });
    });

    it('finds that nothing listens', async () => {
      const { url, close } = await listen(() => {});
      await close();
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual([
        'reach',
        expect.stringMatching(/Nothing answers at 127.* \(ECONNREFUSED\)\. Check the port/),
      ]);
    });

    it('finds that no answer comes', async () => {
      const server = await startServer();
      server.failNext('token', { silence: true });
      const [about, sentence] = await problem(['--server', server.url, '--client-id', 'app']);
      expect([about, sentence]).toEqual(['reach', expect.stringMatching(/did not answer within 10 s/)]);
    });

    it('finds that there is no such host', async () => {
      expect(await problem(['--server', 'https://powerfolder.invalid', '--client-id', 'app'])).toEqual([
        'DNS',
        expect.stringMatching(/no address for powerfolder\.invalid \((ENOTFOUND|EAI_AGAIN)\)\. Check the spelling/),
      ]);
    });

    it.each([
      [
        'of an untrusted CA',
        'server.pem',
        [],
        /no CA that is trusted here.*--ca FILE.*option ca, or NODE_EXTRA_CA_CERTS/,
      ],
      ['of another host', 'other-name.pem', ['--ca', tlsFile('ca.pem')], /not for the name 127\.0\.0\.1/],
      ['that has expired', 'expired.pem', ['--ca', tlsFile('ca.pem')], /not valid at this time \(CERT_HAS_EXPIRED\)/],
    ])('R23: finds a certificate %s, and sends nothing', async (_, certificate, more, words) => {
      const server = await startServer({ tls: tls(certificate) });
      expect(await problem(['--server', server.url, '--client-id', 'app', ...more])).toEqual([
        'TLS',
        expect.stringMatching(words),
      ]);
      expect(server.requests).toEqual([]);
    });

    it('finds nothing wrong with a certificate of a CA that is given', async () => {
      const { url } = await startServer({ tls: tls('server.pem') });
      expect(await findings(['--server', url, '--client-id', 'app', '--ca', tlsFile('ca.pem')])).toMatchObject({
        status: 0,
      });
    });

    it('finds https where only http is spoken', async () => {
      const { url } = await startServer();
      expect(await problem(['--server', url.replace('http:', 'https:'), '--client-id', 'app'])).toEqual([
        'TLS',
        expect.stringMatching(/fails \(ERR_SSL_\w+\)\. Check the port.*http may be spoken there/),
      ]);
    });

    it('finds http where https is meant: of another host', async () => {
      expect(await problem(['--server', 'http://powerfolder.invalid', '--client-id', 'app'])).toEqual([
        'server',
        expect.stringMatching(/--server must be https.*use https:\/\/powerfolder\.invalid.*--allow-insecure-http/),
      ]);
    });

    it.each([
      ['127.0.0.1:8443', 'The server wants https. Give --server https://127.0.0.1:8443/pf'],
      [
        'powerfolder.example.com',
        'The server leads to https at another host. If that is yours, give --server https://powerfolder.example.com/pf',
      ],
    ])('finds http where https is meant: a redirect there, to %s', async (host, sentence) => {
      const { url } = await startListener((req, res) => {
        res.writeHead(301, { location: `https://${host}${req.url}` }).end();
      });
      expect(await problem(['--server', `${url}/pf`, '--client-id', 'app'])).toEqual(['https', sentence]);
    });

    it('finds http where https is meant: a port for TLS', async () => {
      const { url } = await startServer({ tls: tls('server.pem') });
      expect(await problem(['--server', url.replace('https:', 'http:'), '--client-id', 'app'])).toEqual([
        'https',
        expect.stringMatching(`does not speak http .*give --server ${url}$`),
      ]);
    });

    it.each([
      ['no context path', '/powerfolder', ''],
      ['another context path', '', '/files'],
      ['a page instead of the base URL', '/powerfolder', '/powerfolder/login'],
      ['the token endpoint instead of the base URL', '/deep/er', '/deep/er/oauth/token'],
    ])('finds a wrong context path: %s', async (_, contextPath, given) => {
      const { url, requests } = await startServer({ contextPath });
      const { origin } = new URL(url);
      expect(await problem(['--server', origin + given, '--client-id', 'app'])).toEqual([
        'path',
        `The context path is wrong: PowerFolder is at ${url}. Give that as --server.`,
      ]);
      // The secret is for the server that was named only.
      expect(requests.map(({ body }) => body).join()).not.toContain('SENTINEL');
    });

    it('finds a wrong context path where the home page leads to the right one', async () => {
      const { url } = await startListener((req, res) => {
        if (req.url === '/') res.writeHead(302, { location: '/unusual/login' }).end();
        else if (req.url === '/unusual/oauth/token') res.writeHead(401).end('{"error":"invalid_client"}');
        else res.writeHead(404).end();
      });
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual([
        'path',
        `The context path is wrong: PowerFolder is at ${url}/unusual. Give that as --server.`,
      ]);
    });

    it.each<[name: string, status: number, body: string]>([
      ['has no such page', 404, '<html>Not Found</html>'],
      ['says so in JSON', 404, '{"status":404,"error":"Not Found"}'],
      ['has a page for everything', 200, '<!doctype html><p>Welcome'],
      ['takes everything', 200, '{"ok":true}'],
      ['takes no POST', 405, ''],
      ['sends what is no text', 200, '\xff'],
    ])('finds a server that is not PowerFolder: one that %s', async (_, status, body) => {
      const { url, requests } = await startListener((_req, res) => {
        res.writeHead(status).end(body, 'latin1');
      });
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual([
        'server',
        expect.stringMatching(/this is not a PowerFolder server, or not its base URL\. Check the host/),
      ]);
      expect(requests.map((request) => request.body).join()).not.toContain('SENTINEL');
    });

    it('says where a server leads that is not PowerFolder', async () => {
      const { url } = await startListener((_req, res) => {
        res.writeHead(302, { location: 'https://cloud.example.com/%1B[31m?from=x' }).end();
      }, tls('server.pem'));
      expect(await problem(['--server', url, '--client-id', 'app', '--ca', tlsFile('ca.pem')])).toEqual([
        'server',
        expect.stringMatching(
          /It leads to https:\/\/cloud\.example\.com\/%1B\[31m; check whether the server is there\.$/,
        ),
      ]);
    });

    it('finds a server that is out of order', async () => {
      const { url } = await startListener((_req, res) => {
        res.writeHead(503).end('<html>Down</html>');
      });
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual([
        'server',
        `${url} is out of order (status 503). Try again later, or ask its administrator.`,
      ]);
    });

    it.each([
      ['an unknown client', 'other', 'clientSENTINELsecret', 'No client with this client_id is registered.'],
      ['a wrong secret', 'app', 'wrongSENTINEL', 'The client_secret is wrong.'],
    ])("finds %s, and repeats the server's words", async (_, clientID, secret, words) => {
      const { url } = await startServer();
      const env = { POWERFOLDER_CLIENT_SECRET: secret };
      const [about, text] = await problem(['--server', url, '--client-id', clientID], env);
      expect(about).toBe('client');
      expect(text).toMatch(/^The client is unknown or its secret is wrong \(the server says invalid_client: "/);
      expect(text).toContain(words);
      expect(text).toMatch(/Check --client-id and POWERFOLDER_CLIENT_SECRET/);
    });

    it('finds that there is no secret', async () => {
      const { url } = await startServer();
      expect(await problem(['--server', url, '--client-id', 'app'], {})).toEqual([
        'client',
        expect.stringMatching(/POWERFOLDER_CLIENT_SECRET is not set/),
      ]);
    });

    it.each([
      ['{"error":"invalid_client"}', /^The client is unknown or its secret is wrong/],
      [
        '{"error":"invalid_client","error_description":"Client authentication failed (unknown client, no secret)"}',
        /^The client is unknown or its secret is wrong/,
      ],
    ])('says both when the server does not tell the one from the other: %s', async (body, words) => {
      const { url } = await startListener((_req, res) => {
        res.writeHead(400, { 'content-type': 'application/json' }).end(body);
      });
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual(['client', expect.stringMatching(words)]);
    });

    it('R29: blots out what a server repeats', async () => {
      const { url } = await startListener((_req, res) => {
        res.writeHead(400).end('{"error":"invalid_client","error_description":"Bad: clientSENTINELsecret"}');
      });
      const [, sentence] = await problem(['--server', url, '--client-id', 'app']);
      expect(sentence).toContain('Bad: [hidden]');
    });

    it('does not trust a server that gives tokens for a made-up code', async () => {
      const { url, requests } = await startListener((_req, res) => {
        if (requests.at(-1)?.body.includes('"app"')) res.end('{"access_token":"x"}');
        else res.writeHead(401).end('{"error":"invalid_client"}');
      });
      expect(await problem(['--server', url, '--client-id', 'app'])).toEqual([
        'client',
        expect.stringMatching(/gave tokens for a made-up code/),
      ]);
    });

    it.each([
      [330, /^This computer's clock is 5 min \d+ s behind the server's/],
      [-330, /^This computer's clock is 5 min \d+ s ahead of the server's/],
      [-86_430, /^This computer's clock is 1440 min/],
    ])('finds clocks that are %i s apart, and goes on', async (seconds, words) => {
      const { url } = await startServer({ clockSkew: seconds * 1000 });
      const { found } = await findings(['--server', url, '--client-id', 'app']);
      expect(found).toEqual([
        ['ok', 'server', expect.anything()],
        ['WRONG', 'clock', expect.stringMatching(words)],
        ['ok', 'client', expect.anything()],
      ]);
    });

    it('lets clocks be a little apart, and servers tell no time', async () => {
      const { url } = await startServer({ clockSkew: -270_000 });
      expect(await findings(['--server', url, '--client-id', 'app'])).toMatchObject({ status: 0 });
      const silent = await startListener((_req, res) => {
        res.sendDate = false;
        res.writeHead(400).end('{"error":"invalid_client"}');
      });
      expect((await findings(['--server', silent.url, '--client-id', 'app'])).found[1]?.slice(0, 2)).toEqual([
        '?',
        'clock',
      ]);
    });

    it.each([
      ['/oauth', /^--callback-url is not an absolute URL/],
      ['http://app.example.com/oauth', /^--callback-url must be https/],
      ['https://app.example.com/', /^--callback-url needs a path of its own/],
      ['https://app.example.com/oauth?x=1', /^--callback-url must not have a query/],
      ['https://app.example.com/oauth#x', /^--callback-url must not have a fragment/],
    ])(
      'finds a callback URL that the strategy would refuse, whatever else is wrong: %s',
      async (callbackURL, words) => {
        const { found, last } = await findings([
          ...['--server', 'https://powerfolder.invalid', '--client-id', 'app', '--callback-url', callbackURL],
        ]);
        expect(found.map(([mark, about]) => `${mark} ${about}`)).toEqual(['WRONG DNS', 'WRONG callback']);
        expect(found[1]?.[2]).toMatch(words);
        expect(last).toBe('2 problems found.');
      },
    );
  });

  it('says which port is in use that was to be simulated on', async () => {
    const { url } = await startServer();
    const { port } = new URL(url);
    const { status, stderr } = await run(['simulate', '--port', port]);
    expect([status, stderr]).toEqual([1, expect.stringMatching(`Port ${port} is in use\\. Give another --port`)]);
  });
});

describe('passport-powerfolder, the process', () => {
  it('exits with the status, and without a stack', async () => {
    const child = start(process.execPath, [...cli, 'chekc']);
    expect(await child.ended).toBe(1);
    expect(child.output()).toBe('passport-powerfolder: There is no command chekc; did you mean check?\n');
  });

  it('reads the password from a pipe that stays open, and ends', async () => {
    const server = await startServer();
    const child = start(process.execPath, [...cli, 'register', '--server', server.url, '--admin', 'admin']);
    child.process.stdin?.write(`${admin.password}\n`);
    expect(await child.ended).toBe(0);
    expect(child.output()).toContain(`POWERFOLDER_CLIENT_SECRET=${server.clients[1]?.secret}\n`);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('simulates a server until %s', async (signal) => {
    const child = start(process.execPath, [...cli, 'simulate', '--callback-style', 'query', '--host', 'localhost']);
    // On two streams, of which either may be read first.
    await child.says('Ctrl-C');
    await child.says('POWERFOLDER_CLIENT_SECRET=');
    const { groups: { url = '', id, secret } = {} } =
      /^POWERFOLDER_URL=(?<url>http:\/\/localhost:\d+)\nPOWERFOLDER_CLIENT_ID=(?<id>\S+)\nPOWERFOLDER_CLIENT_SECRET=(?<secret>\S+)$/m.exec(
        child.output(),
      ) ?? {};
    expect(child.output()).toContain(`server: ${url}\nusername: ada\npassword: `);
    // What it prints is a working configuration.
    const env = { POWERFOLDER_URL: url, POWERFOLDER_CLIENT_ID: id, POWERFOLDER_CLIENT_SECRET: secret };
    expect(await run(['check'], { env })).toMatchObject({ status: 0 });
    child.process.kill(signal);
    expect(await child.ended).toBe(0);
  });

  (existsSync('/dev/full') ? it : it.skip)(
    'says that the secret is lost when its lines cannot be written',
    async () => {
      const server = await startServer();
      const command = 'echo "$PASSWORD" | "$0" "$@" > /dev/full';
      const args = ['register', '--server', server.url, '--admin', admin.username, '--client-id', 'my-app'];
      const child = start('sh', ['-c', command, process.execPath, ...cli, ...args], { PASSWORD: admin.password });
      expect(await child.ended).toBe(1);
      expect(child.output()).toMatch(
        /registered, but its lines could not be written \(ENOSPC\)\. .* register the client once more/,
      );
      expect(child.output()).not.toMatch(/^Registered/m);
    },
  );

  it('says nothing when its reader has gone away', async () => {
    const child = start('sh', ['-c', '"$0" "$@" | true', process.execPath, ...cli, '--help']);
    expect(await child.ended).toBe(0);
    expect(child.output()).toBe('');
  });
});
