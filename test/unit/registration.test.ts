import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import {
  PowerFolderError,
  PowerFolderStrategy,
  type RegisterClientOptions,
  type RegisteredClient,
  registerClient,
} from 'passport-powerfolder';
import { type PowerFolderFault, type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Agent } from 'undici';
import { PowerFolderOAuth2 } from '../../lib/node-oauth.ts';
import { patience, timeout } from '../support/deadlines.ts';
import { type Listener, listen } from '../support/listener.ts';

const fixture = (name: string) => readFileSync(join(__dirname, '../fixtures/tls', name));

// With all that HTTP Basic and forms could get wrong.
const admin = { username: 'jörg@example.com', password: 'pä:ß€ 100%&=+🔑SENTINEL' };
const clientSecret = 'sent1nel+&=%/"<\'secret';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function startServer(options: Parameters<typeof startPowerFolderServer>[0] = {}): Promise<PowerFolderServer> {
  const server = await startPowerFolderServer({
    accounts: [
      { ...admin, admin: true },
      { username: 'ada', password: 'of ada' },
    ],
    ...options,
  });
  closers.push(() => server.close());
  return server;
}

async function startListener(...args: Parameters<typeof listen>): Promise<Listener> {
  const listener = await listen(...args);
  closers.push(listener.close);
  return listener;
}

/** The error of a registration, in which nothing secret may be found, wherever one looks. */
async function failureOf(options: RegisterClientOptions): Promise<Error & { code?: string; serverStatus?: number }> {
  const error: unknown = await registerClient(options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof Error)) throw new Error('The registration did not fail');
  const everything = [];
  for (let one: unknown = error; one instanceof Error; one = one.cause) {
    everything.push(one.message, one.stack, JSON.stringify(one), inspect(one, { showHidden: true, depth: 20 }));
  }
  const { username, password } = options?.admin ?? {};
  const secrets = [password, options?.clientSecret].filter((secret) => typeof secret === 'string' && secret !== '');
  for (const secret of [...secrets, Buffer.from(`${username}:${password}`).toString('base64')]) {
    for (const spelling of [secret, encodeURIComponent(secret as string)]) {
      expect(everything.join('\n')).not.toContain(spelling);
    }
  }
  return error;
}

describe('registerClient', () => {
  it('registers a client of its own making, with which token requests get as far as the code', async () => {
    const server = await startServer({ contextPath: '/powerfolder' });
    const client: RegisteredClient = await registerClient({ serverURL: `${server.url}/`, admin });
    expect(server.clients).toContainEqual({ id: client.clientID, secret: client.clientSecret });
    expect(Object.keys(client)).toEqual(['clientID', 'clientSecret']);

    const oauth2 = new PowerFolderOAuth2(client.clientID, client.clientSecret, '', '', `${server.url}/oauth/token`);
    await expect(oauth2.client.requestTokens('made up')).rejects.toMatchObject({ code: 'invalid_grant' });
  });

  it("spreads into the strategy's options", async () => {
    const { url: serverURL } = await startServer();
    const client = await registerClient({ serverURL, admin });
    const options = { serverURL, ...client, callbackURL: 'https://app.example.com/oauth' };
    expect(() => new PowerFolderStrategy(options, () => false)).not.toThrow();
  });

  it('makes a readable ID and a secret of at least 256 bits, letters and digits only, other ones each time', async () => {
    const { url: serverURL } = await startServer();
    const made = [await registerClient({ serverURL, admin }), await registerClient({ serverURL, admin })];
    for (const { clientID, clientSecret: secret } of made) {
      expect(clientID).toMatch(/^passport-powerfolder-[a-z0-9]{10}$/);
      expect(secret).toMatch(/^[A-Za-z0-9]+$/);
      expect(secret.length * Math.log2(62)).toBeGreaterThanOrEqual(256);
    }
    expect(made[0]?.clientID).not.toBe(made[1]?.clientID);
    expect(made[0]?.clientSecret).not.toBe(made[1]?.clientSecret);
  });

  it('registers the ID and the secret it is given, whatever visible characters they have', async () => {
    const server = await startServer();
    const client = { clientID: 'my app'.replace(' ', '&%+='), clientSecret };
    expect(await registerClient({ serverURL: server.url, admin, ...client })).toEqual(client);
    expect(server.clients).toContainEqual({ id: client.clientID, secret: clientSecret });
  });

  it('sends one POST: the credentials in UTF-8 in HTTP Basic, the secret in the form, and nothing secret in the URL', async () => {
    const server = await startServer();
    await registerClient({ serverURL: server.url, admin, clientID: 'app', clientSecret });
    expect(server.requests).toHaveLength(1);
    const [{ method, url, headers, body } = {}] = server.requests as [Partial<PowerFolderServer['requests'][0]>];
    expect([method, url]).toEqual(['POST', '/api/oauth?action=store']);
    expect(headers?.authorization).toBe(
      `Basic ${Buffer.from(`${admin.username}:${admin.password}`, 'utf8').toString('base64')}`,
    );
    expect(headers?.['content-type']).toBe('application/x-www-form-urlencoded');
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({ client_id: 'app', client_secret: clientSecret });
  });

  it.each([
    ['a JSON object', { body: { stored: true } }],
    ['a JSON object whose error is null', { body: { error: null } }],
    ['a JSON array', { body: '[]' }],
    ['plain text', { body: 'OK' }],
    ['XML', { body: '<?xml version="1.0"?><ok/>' }],
    ['an empty body', { body: '' }],
    ['text in which a page is mentioned', { body: 'OK, see <html>' }],
    ['201', { status: 201, body: '{}' }],
    ['299', { status: 299, body: '{}' }],
    ['204', { status: 204 }],
  ])('takes %s for success, since what it looks like is not documented', async (_, fault: PowerFolderFault) => {
    const server = await startServer();
    server.failNext('registration', fault);
    await expect(registerClient({ serverURL: server.url, admin, clientID: 'app' })).resolves.toMatchObject({
      clientID: 'app',
    });
  });

  describe('R29: says without any secret', () => {
    // Servers that repeat what they were sent.
    const echo = `${admin.password} ${clientSecret} ${encodeURIComponent(clientSecret)} ${Buffer.from(
      `${admin.username}:${admin.password}`,
    ).toString('base64')}`;
    const page = `<!DOCTYPE html>\n<html><body>${echo}</body></html>`;

    it.each<[name: string, fault: PowerFolderFault, code: string, words: RegExp, status: number | undefined]>([
      ['that the password is wrong', { status: 401, body: echo }, 'login_refused', /user name or password/, 401],
      [
        'that the account is no administrator',
        { status: 403, body: page },
        'not_administrator',
        /is no administrator/,
        403,
      ],
      ['that there is nothing', { status: 404, body: page }, 'not_powerfolder', /context path/, 404],
      ['that the method is not allowed', { status: 405, body: echo }, 'not_powerfolder', /serverURL/, 405],
      ['that a page came', { body: page }, 'not_powerfolder', /web page came instead.*login page/, 200],
      [
        'that an XHTML page came',
        { body: `<?xml version="1.0"?>\n${page}` },
        'not_powerfolder',
        /web page came instead/,
        200,
      ],
      [
        'that it was led to a login page',
        { status: 302, headers: { Location: `/login?password=${encodeURIComponent(admin.password)}` } },
        'not_powerfolder',
        /serverURL/,
        302,
      ],
      [
        'that it was led to https',
        { status: 301, headers: { Location: `https://127.0.0.1/${encodeURIComponent(clientSecret)}` } },
        'redirected',
        /wants https/,
        301,
      ],
      ['that a redirect leads nowhere', { status: 302, body: echo }, 'not_powerfolder', /serverURL/, 302],
      [
        'that the server has a reason of its own',
        { status: 400, body: { error: clientSecret, error_description: echo } },
        'refused',
        /did not register/,
        400,
      ],
      ['that a 200 is an error', { body: { error: clientSecret } }, 'refused', /did not register/, 200],
      ['false with 200', { status: 200, body: 'false' }, 'refused', /did not register/, 200],
      ['no success with 200', { status: 200, body: { success: false } }, 'refused', /did not register/, 200],
      [
        'an error in XML with 200',
        { status: 200, body: '<?xml version="1.0"?><error>no</error>' },
        'refused',
        /did not/,
        200,
      ],
      ['that the server is broken', { status: 500, body: page }, 'refused', /did not register/, 500],
      ['that it is not HTTP', { raw: `SSH-2.0 ${echo}\r\n` }, 'not_http', /not HTTP/, undefined],
      [
        'that a header is not HTTP',
        { raw: Buffer.from(`HTTP/1.1 200 OK\r\n${clientSecret}\u0000: ${echo}\r\n\r\n`) },
        'not_http',
        /not HTTP/,
        undefined,
      ],
      ['that the answer is cut', { closeAfter: 60, body: { echo } }, 'connection_lost', /broke off/, undefined],
      ['that the connection is reset', { resetAfter: 0 }, 'connection_lost', /broke off/, undefined],
      ['that the answer is too long', { flood: 1_000_000 }, 'too_large', /262144 bytes/, 200],
      [
        'that the answer is not UTF-8',
        { body: Buffer.concat([Buffer.from(echo), Buffer.from([0xff])]) },
        'not_json',
        /not UTF-8/,
        200,
      ],
      ['that no answer comes', { silence: true }, 'timeout', new RegExp(`within ${timeout} ms`), undefined],
    ])('%s', async (_, fault, code, words, status) => {
      const server = await startServer();
      server.failNext('registration', fault);
      const deadline = code === 'timeout' ? timeout : patience;
      const error = await failureOf({ serverURL: server.url, admin, clientID: 'app', clientSecret, timeout: deadline });
      expect(error).toBeInstanceOf(PowerFolderError);
      expect([error.code, error.serverStatus]).toEqual([code, status]);
      expect(error.message).toMatch(words);
      // The deadline may pass before the request is there.
      if (code !== 'timeout') expect(server.requests).toHaveLength(1);
    });

    it.each([
      ['a wrong password', { ...admin, password: 'wrong-SENTINEL' }, 'login_refused'],
      ['an unknown administrator', { ...admin, username: 'nobody' }, 'login_refused'],
      ['an account that is no administrator', { username: 'ada', password: 'of ada' }, 'not_administrator'],
    ])('what is the matter with %s, at a PowerFolder server', async (_, given, code) => {
      const { url: serverURL } = await startServer();
      expect(await failureOf({ serverURL, admin: given, clientSecret })).toMatchObject({ code });
    });

    it('that nothing listens', async () => {
      const { url: serverURL, close } = await startListener(() => {});
      await close();
      closers.pop();
      expect(await failureOf({ serverURL, admin, clientSecret })).toMatchObject({ code: 'unreachable' });
    });

    it('that the CA is not trusted; with the CA in a dispatcher it registers', async () => {
      const server = await startServer({
        tls: { key: fixture('server.key'), cert: fixture('server.pem') },
      });
      const options = { serverURL: server.url, admin, clientID: 'app', clientSecret };
      const error = await failureOf(options);
      expect(error.code).toBe('tls');
      expect(error.message).toMatch(/option ca/);
      expect(server.requests).toEqual([]);

      const dispatcher = new Agent({ connect: { ca: fixture('ca.pem') } });
      closers.push(() => dispatcher.destroy());
      await expect(registerClient({ ...options, dispatcher })).resolves.toEqual({ clientID: 'app', clientSecret });
    });
  });

  it.each([301, 302, 303, 307, 308])('R24: does not follow a %i: the target sees no request', async (status) => {
    const target = await startListener((_req, res) => res.end('{}'));
    const { url: serverURL } = await startListener((_req, res) => {
      res.writeHead(status, { location: `${target.url}/api/oauth` }).end();
    });
    expect(await failureOf({ serverURL, admin, clientSecret })).toMatchObject({
      code: 'not_powerfolder',
      serverStatus: status,
    });
    expect(target.requests).toEqual([]);
  });

  describe('refuses, before any request,', () => {
    const valid = { serverURL: 'https://powerfolder.invalid', admin, clientSecret };

    it.each<[name: string, options: unknown, words: RegExp]>([
      ['no options', undefined, /options object/],
      ['null for options', null, /options object/],
      ['no serverURL', { admin }, /serverURL is missing/],
      ['R22: http', { ...valid, serverURL: 'http://powerfolder.invalid' }, /serverURL must be https/],
      [
        'R22: credentials in serverURL',
        { ...valid, serverURL: `https://a:${encodeURIComponent(admin.password)}@powerfolder.invalid` },
        /must not hold a user name or password/,
      ],
      ['no admin', { ...valid, admin: undefined }, /admin\.username is missing.*admin: \{ username, password \}/],
      ['no password', { ...valid, admin: { username: 'admin' } }, /admin\.password is missing/],
      ['an empty password', { ...valid, admin: { username: 'admin', password: '' } }, /admin\.password is missing/],
      ['a colon in the user name', { ...valid, admin: { ...admin, username: 'a:b' } }, /colon/],
      [
        'a line break in the password',
        { ...valid, admin: { ...admin, password: `${admin.password}\n` } },
        /admin\.password has a line break.*trim/,
      ],
      ['an empty clientID', { ...valid, clientID: '' }, /clientID must be/],
      ['a space in the clientID', { ...valid, clientID: 'my app' }, /clientID must be/],
      ['a clientSecret with umlauts', { ...valid, clientSecret: `${clientSecret}ä` }, /clientSecret must be/],
      ['a clientSecret that is none', { ...valid, clientSecret: 1 }, /clientSecret must be/],
      ...['serverURL', 'admin', 'clientID', 'clientSecret', 'timeout', 'dispatcher', 'allowInsecureHTTP'].map(
        (name): [string, object, RegExp] => [
          `a misspelt ${name}`,
          { ...valid, [name.toUpperCase()]: 'app' },
          new RegExp(`no option ${name.toUpperCase()}; did you mean ${name}\\?`),
        ],
      ),
      ['a timeout of 0', { ...valid, timeout: 0 }, /timeout must be/],
      ['an http.Agent', { ...valid, dispatcher: {} }, /dispatcher must be one of undici's/],
      ['a permission that is no boolean', { ...valid, allowInsecureHTTP: 'no' }, /allowInsecureHTTP must be/],
    ])('%s', async (_, options, words) => {
      const error = await failureOf(options === undefined ? (undefined as never) : (options as RegisterClientOptions));
      expect(error).toBeInstanceOf(TypeError);
      expect(error.message).toMatch(words);
    });
  });

  it('R25: takes no longer than the timeout, also when the answer drips', async () => {
    const server = await startServer();
    server.failNext('registration', { drip: { everyMs: 50, from: 'body' } });
    // If the bytes put it off, the normal answer would be there after some time.
    expect(await failureOf({ serverURL: server.url, admin, timeout })).toMatchObject({ code: 'timeout' });
  });

  it('asks plain http of another host only when that is allowed in so many words', async () => {
    const options = { serverURL: 'http://powerfolder.invalid', admin, allowInsecureHTTP: true };
    expect(await failureOf(options)).toMatchObject({ code: 'unreachable' });
  });
});
