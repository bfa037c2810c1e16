import { checkedProxy } from '../../lib/proxy.ts';

const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

describe('the option proxy', () => {
  it.each<[string, { origin: string; host: string; authorization?: string }]>([
    ['http://proxy.example.com:3128', { origin: 'http://proxy.example.com:3128', host: 'proxy.example.com:3128' }],
    ['proxy.example.com:3128', { origin: 'http://proxy.example.com:3128', host: 'proxy.example.com:3128' }],
    ['http://proxy.example.com', { origin: 'http://proxy.example.com', host: 'proxy.example.com' }],
    [' https://proxy.example.com/ ', { origin: 'https://proxy.example.com', host: 'proxy.example.com' }],
    ['[::1]:3128', { origin: 'http://[::1]:3128', host: '[::1]:3128' }],
    ['http://ada:secret@proxy:1', { origin: 'http://proxy:1', host: 'proxy:1', authorization: basic('ada:secret') }],
    ['ada@proxy:1', { origin: 'http://proxy:1', host: 'proxy:1', authorization: basic('ada:') }],
    [
      'http://d%5Cada:p%40%3A%C3%BC@proxy:1',
      { origin: 'http://proxy:1', host: 'proxy:1', authorization: basic('d\\ada:p@:ü') },
    ],
  ])('takes %s', (given, proxy) => {
    expect(checkedProxy(given)?.('https://pf.example')).toEqual({ authorization: undefined, ...proxy });
  });

  it.each<[unknown, RegExp]>([
    ['', /^proxy must be the URL of a proxy, 'env' .* or false for none$/],
    [null, /^proxy must be/],
    [true, /^proxy must be/],
    [new URL('http://proxy'), /^proxy must be/],
    ['socks5://proxy:1080', /^proxy has the scheme socks5: but must be http or https; for another kind .* dispatcher$/],
    ['http://', /^proxy is not the URL of a proxy/],
    ['http://sentinel:sentinel@:3128', /^proxy is not the URL of a proxy/],
    ['http://proxy:99999', /^proxy is not the URL/],
    ['http://proxy/path', /^proxy must be scheme, host and port/],
    ['http://proxy?x', /^proxy must be scheme, host and port/],
    [
      'http://sentinel:100%sentinel@proxy',
      /^proxy has a % in its user name or password that is no escape; write it %25$/,
    ],
  ])('R29: refuses %p in a sentence, without a password', (given, message) => {
    expect(() => checkedProxy(given)).toThrow(TypeError);
    expect(() => checkedProxy(given)).toThrow(message);
    expect(() => checkedProxy(given)).toThrow(expect.not.stringContaining('sentinel'));
  });

  it('is by default what Node was told', () => {
    const env = { HTTPS_PROXY: 'http://proxy:1' };
    expect(checkedProxy(undefined, env)).toBeUndefined();
    expect(checkedProxy(undefined, { ...env, NODE_USE_ENV_PROXY: '0' })).toBeUndefined();
    expect(checkedProxy(undefined, { ...env, NODE_USE_ENV_PROXY: '1' })?.('https://pf.example')?.host).toBe('proxy:1');
    expect(checkedProxy(false, { ...env, NODE_USE_ENV_PROXY: '1' })).toBeUndefined();
  });
});

describe('a proxy of the environment', () => {
  const host = (env: Record<string, string>, origin = 'https://pf.example') => checkedProxy('env', env)?.(origin)?.host;

  it.each<[string, Record<string, string>, string | undefined, string]>([
    ['HTTPS_PROXY', { HTTPS_PROXY: 'http://proxy:1' }, 'proxy:1', 'https://pf.example'],
    ['https_proxy', { https_proxy: 'http://proxy:1' }, 'proxy:1', 'https://pf.example'],
    [
      'lower case before upper',
      { https_proxy: 'http://proxy:1', HTTPS_PROXY: 'http://proxy:2' },
      'proxy:1',
      'https://pf.example',
    ],
    ['an empty one in lower case', { https_proxy: '', HTTPS_PROXY: 'http://proxy:2' }, 'proxy:2', 'https://pf.example'],
    ['HTTP_PROXY for http', { HTTP_PROXY: 'proxy:1' }, 'proxy:1', 'http://pf.example'],
    ['http_proxy for http', { http_proxy: 'proxy:1' }, 'proxy:1', 'http://pf.example'],
    ['HTTP_PROXY not for https', { HTTP_PROXY: 'proxy:1' }, undefined, 'https://pf.example'],
    ['HTTPS_PROXY not for http', { HTTPS_PROXY: 'proxy:1' }, undefined, 'http://pf.example'],
    ['none', {}, undefined, 'https://pf.example'],
    [
      'HTTP_PROXY not in CGI, where it is a header',
      { HTTP_PROXY: 'proxy:1', REQUEST_METHOD: 'GET' },
      undefined,
      'http://pf.example',
    ],
    ['http_proxy in CGI', { http_proxy: 'proxy:1', REQUEST_METHOD: 'GET' }, 'proxy:1', 'http://pf.example'],
  ])('is read: %s', (_, env, expected, origin) => {
    expect(host(env, origin)).toBe(expected);
  });

  it.each<[string, string, boolean]>([
    ['*', 'https://pf.example', true],
    ['pf.example', 'https://pf.example', true],
    ['PF.Example.', 'https://pf.example', true],
    ['pf.example', 'https://a.pf.example', true],
    ['.pf.example', 'https://a.pf.example', true],
    ['*.pf.example', 'https://a.pf.example', true],
    ['.pf.example', 'https://pf.example', true],
    ['f.example', 'https://pf.example', false],
    ['pf.example.com', 'https://pf.example', false],
    ['other, pf.example', 'https://pf.example', true],
    ['other pf.example', 'https://pf.example', true],
    ['pf.example:443', 'https://pf.example', true],
    ['pf.example:8443', 'https://pf.example', false],
    ['pf.example:8443', 'https://pf.example:8443', true],
    ['10.1.2.3', 'https://10.1.2.3', true],
    ['2.3', 'https://10.1.2.3', false],
    ['10.0.0.0/8', 'https://10.1.2.3', true],
    ['10.0.0.0/8', 'https://11.1.2.3', false],
    ['10.0.0.0/99', 'https://10.1.2.3', false],
    ['[2001:db8::1]', 'https://[2001:db8::1]', true],
    ['2001:db8::1', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]:443', 'https://[2001:db8::1]', true],
    ['[2001:db8::1]:8443', 'https://[2001:db8::1]', false],
    ['2001:db8::/32', 'https://[2001:db8::1]', true],
    ['', 'https://pf.example', false],
    [',,', 'https://pf.example', false],
    ['.', 'https://pf.example', false],
  ])('is not used where NO_PROXY is %s and the server %s: %s', (NO_PROXY, origin, excepted) => {
    for (const name of ['NO_PROXY', 'no_proxy']) {
      expect(host({ HTTPS_PROXY: 'http://proxy:1', [name]: NO_PROXY }, origin)).toBe(excepted ? undefined : 'proxy:1');
    }
  });

  it('R22: never leads away from this machine what is http because it stays on it', () => {
    const away = { HTTP_PROXY: 'http://proxy:1', HTTPS_PROXY: 'http://proxy:1' };
    for (const server of ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]', 'http://a.localhost']) {
      expect(host(away, server)).toBeUndefined();
      expect(host({ HTTP_PROXY: 'http://127.0.0.1:3128' }, server)).toBe('127.0.0.1:3128');
    }
    // As curl does it.
    expect(host(away, 'https://localhost')).toBe('proxy:1');
  });

  it('R29: is called by the name of its variable when it is none', () => {
    const env = { https_proxy: 'socks5://ada:sentinel@proxy:1080' };
    expect(() => checkedProxy('env', env)).toThrow(/^https_proxy has the scheme socks5:/);
    expect(() => checkedProxy('env', env)).toThrow(expect.not.stringContaining('sentinel'));
  });
});
