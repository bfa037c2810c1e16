import { type Config, ConfigurationError, readConfig } from '../../example-app/config.ts';

const secret = 'x'.repeat(32);
const server = {
  POWERFOLDER_URL: 'https://cloud.example.com',
  POWERFOLDER_CLIENT_ID: 'my-app',
  POWERFOLDER_CLIENT_SECRET: 'shh',
};
const production = {
  ...server,
  NODE_ENV: 'production',
  BASE_URL: 'https://app.example.com',
  SESSION_SECRET: secret,
  REDIS_URL: 'redis://127.0.0.1:6379',
  TRUST_PROXY: 'loopback',
};

/** The settings that the refusal names, one for each problem. */
function refusals(environment: Record<string, string | undefined>): string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    return error.message.split('\n').map((problem) => /^[A-Z_]+/.exec(problem)?.[0] ?? problem);
  }
  return [];
}

describe('readConfig', () => {
  it('needs nothing at all for development', () => {
    const config = readConfig({});
    expect(config).toEqual({
      production: false,
      port: 3000,
      host: undefined,
      socketPath: undefined,
      baseURL: 'http://localhost:3000',
      basePath: '',
      powerFolder: undefined,
      authorizationMethod: 'GET',
      sessionSecrets: [expect.stringMatching(/^[0-9a-f]{64}$/)],
      redisURL: undefined,
      trustProxy: false,
      signInLimit: 100,
    });
    expect(readConfig({}).sessionSecrets).not.toEqual(config.sessionSecrets);
  });

  it('reads a production environment', () => {
    expect(
      readConfig({
        ...production,
        SESSION_SECRET: `${secret}new, ${secret}`,
        BASE_URL: 'https://app.example.com/desk/',
        PORT: '8080',
        LISTEN_ADDRESS: '127.0.0.1',
        TRUST_PROXY: '10.0.0.0/8, loopback',
        POWERFOLDER_AUTHORIZATION_METHOD: 'POST',
        SIGN_IN_LIMIT: '500',
      }),
    ).toEqual({
      production: true,
      port: 8080,
      host: '127.0.0.1',
      socketPath: undefined,
      baseURL: 'https://app.example.com/desk',
      basePath: '/desk',
      powerFolder: { serverURL: 'https://cloud.example.com', clientID: 'my-app', clientSecret: 'shh' },
      authorizationMethod: 'POST',
      sessionSecrets: [`${secret}new`, secret],
      redisURL: 'redis://127.0.0.1:6379',
      trustProxy: ['10.0.0.0/8', 'loopback'],
      signInLimit: 500,
    });
  });

  it.each([
    'redis://:Hunter2/abc@127.0.0.1:6399',
    'redis://app:Hunter2#x@127.0.0.1:6399',
    'redis://app:Hunter2%zz@127.0.0.1:6399',
    'redis://:Hunter2@127.0.0.1:99999',
    'redis://:Hunter2@127.0.0.1:6399/first',
    'redis://:Hunter2@ho st:1',
    'redis://:Hunter2?x@127.0.0.1:6399',
    'redis://127.0.0.1:6399?password=Hunter2',
    'unix:///tmp/none.sock?db=Hunter2',
  ])('refuses a REDIS_URL that cannot be read, and does not repeat it: %s (R29)', (REDIS_URL) => {
    let message = '';
    try {
      readConfig({ ...production, REDIS_URL });
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/^REDIS_URL cannot be read/);
    expect(message).not.toContain('Hunter2');
  });

  it.each([
    'redis://127.0.0.1:6379',
    'redis://localhost',
    'redis://localhost/',
    'rediss://app:a%2Fb%23c@redis.example.com:6380/2',
    'redis://:secret@[::1]:6379/0',
    'unix:///run/redis/redis.sock',
    'unix:///run/redis.sock?db=1',
  ])('takes %s for a REDIS_URL', (REDIS_URL) => {
    expect(readConfig({ ...production, REDIS_URL }).redisURL).toBe(REDIS_URL);
  });

  it('R53: takes BASE_URL in the spelling in which browsers come back to it', () => {
    for (const [BASE_URL, baseURL] of [
      ['HTTPS://App.Example.com:443/', 'https://app.example.com'],
      ['https://bücher.example/für', 'https://xn--bcher-kva.example/f%C3%BCr'],
      ['https://app.example.com/a/../desk//', 'https://app.example.com/desk'],
    ]) {
      expect(readConfig({ ...production, BASE_URL }).baseURL).toBe(baseURL);
    }
  });

  it('takes an absolute path for a socket to listen at', () => {
    const path = `/run/${'x'.repeat(98)}`;
    for (const TRUST_PROXY of ['loopback', '1', '10.0.0.0/8, loopback']) {
      const { host, socketPath } = readConfig({ ...production, LISTEN_ADDRESS: path, TRUST_PROXY });
      expect([host, socketPath]).toEqual([undefined, path]);
    }
  });

  it('takes an empty value for none', () => {
    expect(readConfig({ POWERFOLDER_URL: '', REDIS_URL: ' ', PORT: '', SESSION_SECRET: '' })).toMatchObject({
      powerFolder: undefined,
      redisURL: undefined,
      port: 3000,
    });
  });

  it.each<[unsafe: string, change: Record<string, string>, named: string[]]>([
    ['without a session secret', { SESSION_SECRET: '' }, ['SESSION_SECRET']],
    ['with a session secret of 31 characters', { SESSION_SECRET: secret.slice(1) }, ['SESSION_SECRET']],
    ['with a short one among the session secrets', { SESSION_SECRET: `${secret},short` }, ['SESSION_SECRET']],
    ['with an empty one among the session secrets', { SESSION_SECRET: `${secret},` }, ['SESSION_SECRET']],
    ['with sessions in memory', { REDIS_URL: '' }, ['REDIS_URL']],
    ['with an http callback URL', { BASE_URL: 'http://app.example.com' }, ['BASE_URL']],
    ['with an http callback URL on this machine', { BASE_URL: 'http://localhost:3000' }, ['BASE_URL']],
    ['without its own address', { BASE_URL: '' }, ['BASE_URL']],
    ['without a PowerFolder server', { POWERFOLDER_URL: '' }, ['POWERFOLDER_URL']],
    ['without a client ID', { POWERFOLDER_CLIENT_ID: '' }, ['POWERFOLDER_CLIENT_ID']],
    ['without a client secret', { POWERFOLDER_CLIENT_SECRET: '' }, ['POWERFOLDER_CLIENT_SECRET']],
    ['behind https without saying who ends it', { TRUST_PROXY: '' }, ['TRUST_PROXY']],
    ['with two of these', { SESSION_SECRET: '', REDIS_URL: '' }, ['REDIS_URL', 'SESSION_SECRET']],
  ])('refuses production %s, and names the setting (R48)', (_, change, named) => {
    expect(refusals(production)).toEqual([]);
    expect(refusals({ ...production, ...change })).toEqual(named);
  });

  it.each<[mistake: string, environment: Record<string, string>, named: string]>([
    ['a port that is none', { PORT: 'http' }, 'PORT'],
    ['a port too high', { PORT: '65536' }, 'PORT'],
    [
      'a database beside Redis',
      { DATABASE_FILE: 'x.sqlite', REDIS_URL: 'redis://localhost', SESSION_SECRET: secret },
      'DATABASE_FILE',
    ],
    ['an address to listen at that is none', { LISTEN_ADDRESS: '127.0.0.1:3000' }, 'LISTEN_ADDRESS'],
    [
      'a socket whose name the system would cut off',
      { ...production, LISTEN_ADDRESS: `/${'x'.repeat(103)}` },
      'LISTEN_ADDRESS',
    ],
    ['a relative path to listen at', { LISTEN_ADDRESS: './app.sock' }, 'LISTEN_ADDRESS'],
    ['a socket without the address of the proxy', { LISTEN_ADDRESS: '/run/app.sock', TRUST_PROXY: '1' }, 'BASE_URL'],
    [
      'a socket without a trusted proxy',
      { LISTEN_ADDRESS: '/run/app.sock', BASE_URL: 'http://localhost' },
      'TRUST_PROXY',
    ],
    [
      'a socket with a proxy that cannot reach it',
      { LISTEN_ADDRESS: '/run/app.sock', BASE_URL: 'https://app.example', TRUST_PROXY: '10.0.0.0/8' },
      'TRUST_PROXY',
    ],
    ['an environment that is none', { NODE_ENV: 'prod' }, 'NODE_ENV'],
    ['an address without a scheme', { BASE_URL: 'app.example.com' }, 'BASE_URL'],
    ['an address with another scheme', { BASE_URL: 'ftp://app.example.com' }, 'BASE_URL'],
    ['an http address on another machine', { BASE_URL: 'http://192.168.0.10:3000' }, 'BASE_URL'],
    ['an address with a space', { BASE_URL: 'https://example.com/my app', TRUST_PROXY: '1' }, 'BASE_URL'],
    ['an address with a query', { BASE_URL: 'http://localhost:3000/?a=b' }, 'BASE_URL'],
    ['an address with a password', { BASE_URL: 'http://me:pw@localhost:3000' }, 'BASE_URL'],
    ['a PowerFolder server by http', { ...server, POWERFOLDER_URL: 'http://cloud.example.com' }, 'POWERFOLDER_URL'],
    ['a PowerFolder server that is no URL', { ...server, POWERFOLDER_URL: 'cloud' }, 'POWERFOLDER_URL'],
    ['a client without a server', { POWERFOLDER_CLIENT_ID: 'my-app' }, 'POWERFOLDER_URL'],
    ['an unknown method', { POWERFOLDER_AUTHORIZATION_METHOD: 'post' }, 'POWERFOLDER_AUTHORIZATION_METHOD'],
    ['a short secret', { SESSION_SECRET: 'keyboard cat' }, 'SESSION_SECRET'],
    ['shared sessions that every instance would sign its own way', { REDIS_URL: 'redis://x' }, 'SESSION_SECRET'],
    ['something else than Redis', { REDIS_URL: 'localhost:6379', SESSION_SECRET: secret }, 'REDIS_URL'],
    ['no sign-ins', { SIGN_IN_LIMIT: '0' }, 'SIGN_IN_LIMIT'],
  ])('refuses %s, in development too', (_, environment, named) => {
    expect(refusals(environment)).toEqual([named]);
  });

  it.each(['true', 'yes', '0.0.0.0/0', '::/0', '10.0.0.0/33', '10.0.0', 'loopback,', '10.0.0.1/8/8', '-1', '1.5'])(
    'refuses to trust the proxy "%s" (R46)',
    (TRUST_PROXY) => {
      expect(refusals({ TRUST_PROXY })).toEqual(['TRUST_PROXY']);
    },
  );

  it.each<[TRUST_PROXY: string, trusted: Config['trustProxy']]>([
    ['false', false],
    ['0', false],
    ['1', 1],
    ['loopback', ['loopback']],
    ['10.1.2.3', ['10.1.2.3']],
    ['10.0.0.0/8,fd00::/8 , uniquelocal', ['10.0.0.0/8', 'fd00::/8', 'uniquelocal']],
  ])('trusts the proxy "%s" (R46)', (TRUST_PROXY, trusted) => {
    expect(readConfig({ TRUST_PROXY }).trustProxy).toEqual(trusted);
  });

  it('lets the server of this machine be used by http', () => {
    for (const POWERFOLDER_URL of ['http://localhost:8080/pf', 'http://127.0.0.1:1', 'http://[::1]:1']) {
      expect(readConfig({ ...server, POWERFOLDER_URL }).powerFolder?.serverURL).toBe(POWERFOLDER_URL);
    }
  });
});
