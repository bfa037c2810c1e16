/** The example app behind proxies: who the visitor is, and what a proxy's headers can do. */
import { Browser } from '../support/browser.ts';
import { authorizationResponse, type Example, startExample } from '../support/example.ts';
import { type RawAnswer, rawRequest } from '../support/raw-request.ts';
import { until } from '../support/until.ts';

const running: Example[] = [];
async function example(environment: Record<string, string>): Promise<Example> {
  const app = await startExample({ environment });
  running.push(app);
  return app;
}
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()));
});

/** Each header line as it is given. */
async function visit(app: Example, path: string, lines: string[]): Promise<RawAnswer> {
  return await rawRequest(app.url, [`GET ${path} HTTP/1.1`, 'Host: localhost', ...lines]);
}

/** The visitor's address in the log. */
async function loggedAddress(app: Example, lines: string[]): Promise<string> {
  const { headers } = await visit(app, '/', lines);
  // The line is written when the answer has been sent.
  const line = await until(() => app.log.map((text) => JSON.parse(text)).find(isAbout(headers['x-request-id'])));
  return line.req.ip;
}
const isAbout = (id: string | undefined) => (line: { req?: { id: string } }) => line.req?.id === id;

const forwardedFor = (...values: string[]) => values.map((value) => `X-Forwarded-For: ${value}`);
/** The peer in these tests. */
const thisMachine = expect.stringMatching(/^(::1|(::ffff:)?127\.0\.0\.1)$/);

describe('X-Forwarded-For', () => {
  /** What stands in the last entry, and whom it means. */
  const lastEntries: [written: string, address: unknown][] = [
    ['203.0.113.8', '203.0.113.8'],
    ['203.0.113.8:51234', '203.0.113.8'],
    ['"203.0.113.8:51234"', '203.0.113.8'],
    ['203.0.113.8:_hidden', '203.0.113.8'],
    ['2001:db8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:443', '2001:db8::1'],
    ['"[2001:db8::1]:443"', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:443', 'fe80::1'],
    ['::ffff:203.0.113.8', '::ffff:203.0.113.8'],
    ['[::ffff:203.0.113.8]:51234', '::ffff:203.0.113.8'],
    ...[
      [
        'unknown',
        '_hidden',
        '',
        ' ',
        ',',
        '"',
        '""',
        '[]',
        '[',
        ':443',
        '[]:443',
        '203.0.113',
        '0xcb.0.113.8',
        '3405803784',
      ],
      ['203.0.113.8 203.0.113.9', '203.0.113.8:1:2', '[203.0.113.8', '203.0.113.8]', 'for=203.0.113.8', '999.0.113.8'],
      ['203.0.113.8;', '203.0.113.8/32', 'example.com', '2001:db8::1::2', '[[2001:db8::1]]', '__proto__', '%', 'ü'],
      [
        'x'.repeat(10_000),
        '['.repeat(10_000),
        '1.'.repeat(5_000),
        '"'.repeat(10_000),
        '%'.repeat(10_000),
        ':'.repeat(10_000),
      ],
    ]
      .flat()
      .map((nonsense): [string, unknown] => [nonsense, thisMachine]),
  ];

  it.each(['1', 'loopback', '127.0.0.0/8, ::1', 'loopback, 10.0.0.0/8'])(
    'is read as proxies write it, and what is no address is the proxy: TRUST_PROXY=%s (R67)',
    async (TRUST_PROXY) => {
      const app = await example({ TRUST_PROXY });
      const seen: [string, unknown][] = [];
      for (const [written] of lastEntries) {
        // Whoever wrote the entry before it was not asked.
        seen.push([written, await loggedAddress(app, forwardedFor(`198.51.100.1, ${written}`))]);
      }
      expect(seen).toEqual(lastEntries);
    },
  );

  it.each<[TRUST_PROXY: string, values: string[], address: unknown]>([
    ['2', ['203.0.113.8:1, 10.0.0.1:2'], '203.0.113.8'],
    ['2', ['198.51.100.1, 203.0.113.8:1, "[fd00::1]:2"'], '203.0.113.8'],
    ['2', ['198.51.100.1', '203.0.113.8:1', '10.0.0.1:2'], '203.0.113.8'],
    ['2', ['198.51.100.1, 203.0.113.8, unix:'], '203.0.113.8'],
    ['1', ['198.51.100.1, unix:'], '127.0.0.1'],
    ['2', ['198.51.100.1, unknown, 10.0.0.1:2'], '10.0.0.1'],
    ['2', ['198.51.100.1, 203.0.113.8, unknown'], thisMachine],
    ['3', ['203.0.113.8:1, 10.0.0.2:2, 10.0.0.1:3'], '203.0.113.8'],
    ['3', ['10.0.0.1:3'], '10.0.0.1'],
    ['loopback, 10.0.0.0/8', ['203.0.113.8:1, 10.0.0.2:2, 10.0.0.1:3'], '203.0.113.8'],
    ['loopback, 10.0.0.0/8', ['198.51.100.1, 203.0.113.8:1, [::ffff:10.0.0.2]:2'], '203.0.113.8'],
    ['loopback, 10.0.0.0/8', ['198.51.100.1, 203.0.113.8', '10.0.0.1:3, unix:'], '203.0.113.8'],
    ['loopback, fd00::/8', ['203.0.113.8:1, [fd00::2]:2, "[fd00::1]:3"'], '203.0.113.8'],
    ['loopback, 10.0.0.0/8', ['198.51.100.1, unknown, 10.0.0.1:3'], '10.0.0.1'],
    ['loopback, 10.0.0.0/8', ['198.51.100.1, , 10.0.0.1'], '10.0.0.1'],
    ['loopback', ['198.51.100.1, 203.0.113.8:1, 127.0.0.1:2'], '203.0.113.8'],
    ['loopback', ['198.51.100.1, 10.0.0.1:1'], '10.0.0.1'],
    ['10.0.0.0/8', ['203.0.113.8:1, 10.0.0.1:1'], thisMachine],
    ['false', ['203.0.113.8:1'], thisMachine],
  ])('names the visitor behind several proxies: TRUST_PROXY=%s, %j (R67)', async (TRUST_PROXY, values, address) => {
    const app = await example({ TRUST_PROXY });
    expect(await loggedAddress(app, forwardedFor(...values))).toEqual(address);
  });

  it.each<[who: string, TRUST_PROXY: string, entries: string[]]>([
    ['changes the port', 'loopback', ['203.0.113.8:1', '203.0.113.8:2', '203.0.113.8', '"203.0.113.8:3"']],
    ['changes the port', '1', ['203.0.113.8:1', '203.0.113.8:2', '203.0.113.8', '::ffff:203.0.113.8']],
    ['changes the port of IPv6', '1', ['[2001:db8::1]:1', '[2001:db8::1]:2', '2001:DB8:0::1', '2001:db8:0:0:0::1%a']],
    [
      'changes the address within a /56',
      '1',
      ['2001:db8::1', '[2001:db8:0:ff::2]:1', '2001:db8:0:80:1:2:3:4', '2001:db8::'],
    ],
    ['writes IPv4 as IPv6', '1', ['::ffff:203.0.113.8', '::ffff:cb00:7108', '[::FFFF:203.0.113.8]:1', '203.0.113.8']],
    ['is unknown', '1', ['unknown', '_hidden', 'x'.repeat(10_000), '']],
    ['is unknown', 'loopback', ['unknown', '203.0.113.1, _hidden', '203.0.113.2,', '203.0.113.3, nonsense']],
    [
      'writes entries of its own',
      '1',
      ['1.1.1.1, 203.0.113.8:1', 'unknown, 203.0.113.8:2', ',203.0.113.8', '203.0.113.8:9'],
    ],
    [
      'writes entries of its own',
      'loopback, 10.0.0.0/8',
      [
        '1.1.1.1, 203.0.113.8:1, 10.0.0.1:5',
        'x, 203.0.113.8:2, 10.0.0.2:6',
        '10.9.9.9, 203.0.113.8:3',
        '203.0.113.8:9',
      ],
    ],
  ])('is no way around the limit for a visitor who %s: TRUST_PROXY=%s (R67)', async (_, TRUST_PROXY, entries) => {
    const app = await example({ TRUST_PROXY, SIGN_IN_LIMIT: '3' });
    const statuses: number[] = [];
    for (const entry of entries) {
      statuses.push((await visit(app, '/auth/powerfolder', forwardedFor(entry))).status);
    }
    expect(statuses).toEqual([302, 302, 302, 429]);
    // Somebody else is not counted with them.
    for (const other of ['203.0.113.9:1', '[2001:db8:0:100::1]:1']) {
      expect((await visit(app, '/auth/powerfolder', forwardedFor(other))).status).toBe(302);
    }
  });
});

describe('X-Forwarded-Proto and X-Forwarded-Host', () => {
  it.each<[proto: string, secure: boolean]>([
    ['https', true],
    ['https, http', true],
    ['http', false],
    ['http, https', false],
    ['', false],
    [',https', false],
    ['https:', false],
    ['javascript:alert(1)', false],
  ])('X-Forwarded-Proto %j: a session begins under https only, and no page fails (R36, R46)', async (proto, secure) => {
    const app = await example({ BASE_URL: 'https://app.example', TRUST_PROXY: 'loopback' });
    const browser = new Browser({ 'X-Forwarded-Proto': proto });
    const response = await authorizationResponse(browser, app);
    const page = await browser.stay(response.replace('https://app.example', app.url));
    expect([page.status, JSON.stringify(page.headers['set-cookie']).includes('__Host-session=')]).toEqual([
      302,
      secure,
    ]);
    for (const value of [proto, 'x'.repeat(10_000)]) {
      expect((await visit(app, '/', [`X-Forwarded-Proto: ${value}`])).status).toBe(200);
    }
  });

  it('X-Forwarded-Host, X-Forwarded-Port, X-Forwarded-Prefix, Forwarded and Host change no address on a page or in a redirect (R20)', async () => {
    const app = await example({ TRUST_PROXY: 'loopback' });
    const evil = [
      'X-Forwarded-Host: evil.example',
      'X-Forwarded-Port: evil',
      'X-Forwarded-Prefix: //evil.example',
      'X-Forwarded-Server: evil.example',
      'X-Original-URL: //evil.example/',
      'X-Rewrite-URL: //evil.example/',
      'Forwarded: for=evil.example;host=evil.example;proto=evil',
    ];
    const paths = [
      '/',
      '/account',
      '/auth/powerfolder',
      '/favicon.ico',
      '/signed-out',
      '/nothing',
      '/oauth',
      '/oauth/code=x&state=y',
    ];
    for (const path of paths) {
      const { text } = await rawRequest(app.url, [`GET ${path} HTTP/1.1`, 'Host: evil.example', ...evil]);
      expect(text).toMatch(/^HTTP\/1\.1 [234]/);
      expect(text).not.toMatch(/evil/);
    }
  });
});
