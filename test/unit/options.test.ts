import { inspect } from 'node:util';
import * as fc from 'fast-check';
import {
  callbackRoute,
  PowerFolderStrategy,
  type PowerFolderStrategyOptions,
  registerClient,
} from 'passport-powerfolder';
import { readAuthorizationResponse } from '../../lib/authorization.ts';
import { callbackTest } from '../../lib/callback-route.ts';
import { callbackFinding } from '../../lib/cli/check.ts';
import { checkedTransport } from '../../lib/configuration.ts';
import { nearest } from '../../lib/option-names.ts';
import { checkedURL } from '../../lib/url.ts';
import { rounds } from '../support/rounds.ts';
import { authorizationURLOf } from '../support/without-framework.ts';

const required: PowerFolderStrategyOptions = {
  serverURL: 'https://pf.example',
  clientID: 'client',
  clientSecret: 'the-secret-sentinel',
  callbackURL: 'https://app.example/oauth',
};
const verify = () => false as const;
const strategyWith = (options: object) => new PowerFolderStrategy({ ...required, ...options }, verify);

/** The message of the TypeError that the options end in; `accepted` if they end in none. */
function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError);
    expect(inspect(error, { depth: 9 })).not.toContain('sentinel');
    return (error as Error).message;
  }
  return 'accepted';
}
const refusalOf = (options: object) => refusal(() => strategyWith(options));

describe.each(['clientID', 'clientSecret'])('the option %s', (option) => {
  it.each([
    ['a line end, as echo writes it', 'a-sentinel\n'],
    ['a Windows line end', 'a-sentinel\r\n'],
    ['a space before it', ' a-sentinel'],
    ['a tab after it', 'a-sentinel\t'],
    ['a no-break space after it', 'a-sentinel\u00a0'],
    ['a byte order mark before it', '\ufeffa-sentinel'],
    ['nothing but a space', ' '],
  ])('R53: is refused with %s', (_, value) => {
    expect(refusalOf({ [option]: value })).toBe(
      `${option} has white space or a line end around it; remove it, for instance with trim()`,
    );
  });

  it.each([
    ['a byte order mark in it', 'a-sen\ufefftinel', 'U+FEFF'],
    ['a zero-width space after it', 'a-sentinel\u200b', 'U+200B'],
    ['a zero-width joiner in it', 'a-sen\u200dtinel', 'U+200D'],
    ['a soft hyphen in it', 'a-sen\u00adtinel', 'U+00AD'],
    ['a mark of the direction of writing', '\u202aa-sentinel\u202c', 'U+202A'],
    ['a filler that shows nothing', 'a-sentinel\u3164', 'U+3164'],
    ['a line end in it', 'a-sen\ntinel', 'U+000A'],
    ['a NUL in it', 'a-sen\0tinel', 'U+0000'],
    ['a line separator in it', 'a-sen\u2028tinel', 'U+2028'],
    ['a no-break space in it', 'a-sen\u00a0tinel', 'U+00A0'],
    ['half a character', 'a-sentinel\ud83d', 'U+D83D'],
  ])('R53: is refused with %s', (_, value, character) => {
    expect(refusalOf({ [option]: value })).toBe(
      `${option} has the invisible character ${character} in it; remove it, best by typing the value anew`,
    );
  });

  it.each([
    '"a-sentinel"',
    "'a-sentinel'",
    '`a-sentinel`',
    '“a-sentinel”',
    '„a-sentinel“',
    '‘a-sentinel’',
    '«a-sentinel»',
    'a-sentinel”',
  ])('R53: is refused with quotation marks: %s', (value) => {
    expect(refusalOf({ [option]: value })).toBe(`${option} has quotation marks around it; remove them`);
  });

  it.each([
    undefined,
    null,
    '',
    7,
    true,
    Buffer.from('a-sentinel'),
    new String('a-sentinel'),
    () => 'a-sentinel',
    ['a-sentinel'],
  ])('R53: is refused when it is no text: %p', (value) => {
    expect(refusalOf({ [option]: value })).toMatch(
      `${option} is missing; give what an administrator registered, as a string (see registerClient)`,
    );
  });

  it.each(['undefined', 'null', 'NaN', '[object Object]', '[object Promise]'])(
    'R53: is refused when it is the text of a value that was not there: %s',
    (value) => {
      expect(refusalOf({ [option]: value })).toBe(
        `${option} is the text "${value}": the value that it was made of was not there; check where it comes from`,
      );
    },
  );

  it.each(['a b', '"', 'a"b', "'tis", 'geheim-ü', 'a\u0308', 'trailing"', '~!@#$%^&*()'])('R53: may be %s', (value) => {
    expect(refusalOf({ [option]: value })).toBe('accepted');
  });
});

/** Callback URLs that would come back in another spelling, and the one in which they would. */
const misspeltCallbacks: [given: string, right: string][] = [
  ['https://bücher.example/oauth', 'https://xn--bcher-kva.example/oauth'],
  ['https://app.example/für/oauth', 'https://app.example/f%C3%BCr/oauth'],
  ['https://app.example/fu\u0308r/oauth', 'https://app.example/fu%CC%88r/oauth'],
  ['https:app.example/oauth', 'https://app.example/oauth'],
  ['https:/app.example/oauth', 'https://app.example/oauth'],
  ['https:///app.example/oauth', 'https://app.example/oauth'],
  ['https:\\\\app.example\\oauth', 'https://app.example/oauth'],
  ['https://app.example\\oauth', 'https://app.example/oauth'],
  ['https://app.example/a/../oauth', 'https://app.example/oauth'],
  ['https://app.example/./oauth', 'https://app.example/oauth'],
  ['https://app.example/a/%2e%2E/oauth', 'https://app.example/oauth'],
  ['https://app.example/oauth/.', 'https://app.example/oauth/'],
  ['HTTPS://app.example/oauth', 'https://app.example/oauth'],
  ['https://APP.example/oauth', 'https://app.example/oauth'],
  ['https://app.example:443/oauth', 'https://app.example/oauth'],
  ['https://app.example:/oauth', 'https://app.example/oauth'],
  ['https://app.example:08443/oauth', 'https://app.example:8443/oauth'],
  ['http://localhost:80/oauth', 'http://localhost/oauth'],
  ['http://127.1/oauth', 'http://127.0.0.1/oauth'],
  ['http://2130706433/oauth', 'http://127.0.0.1/oauth'],
  ['http://[0:0:0:0:0:0:0:1]/oauth', 'http://[::1]/oauth'],
  ['https://ex%61mple.example/oauth', 'https://example.example/oauth'],
  ['https://ａpp.example/oauth', 'https://app.example/oauth'],
  ['https://app.example./oauth', 'https://app.example/oauth'],
  ['https://app.example//oauth', 'https://app.example/oauth'],
  ['https://app.example/oauth//', 'https://app.example/oauth/'],
  ['https://app.example/%6Fauth', 'https://app.example/oauth'],
  ['https://app.example/o%61uth%2d', 'https://app.example/oauth-'],
  ['https://app.example/<oauth>', 'https://app.example/%3Coauth%3E'],
  ['https://app.example/a|b', 'https://app.example/a%7Cb'],
  ['https://app.example/[a]^', 'https://app.example/%5Ba%5D%5E'],
];

describe('the option callbackURL', () => {
  it.each(misspeltCallbacks)(
    'R53: is refused in a spelling in which it would not come back: %s',
    (callbackURL, right) => {
      const message = refusalOf({ callbackURL });
      expect(message).toMatch(/^callbackURL /);
      expect(message.endsWith(` ${right}`)).toBe(true);
      // What the sentence asks for works.
      expect(refusalOf({ callbackURL: right })).toBe('accepted');
    },
  );

  it.each(misspeltCallbacks)(
    'R53, R58: is WRONG to the check command in another spelling: %s',
    (callbackURL, right) => {
      const { verdict, about, text } = callbackFinding(callbackURL, checkedTransport({}));
      expect([verdict, about]).toEqual(['wrong', 'callback']);
      expect(text.endsWith(` ${right}.`)).toBe(true);
    },
  );

  it.each([
    ['white space before it', ' https://app.example/oauth', 'callbackURL has white space in it; remove it'],
    ['a line end', 'https://app.example/oauth\n', 'callbackURL has white space in it; remove it'],
    ['a tab in it', 'https://app.example/oa\tuth', 'callbackURL has white space in it; remove it'],
    ['a space in it', 'https://app.example/o auth', 'callbackURL has white space in it; remove it'],
    ['a byte order mark', '\ufeffhttps://app.example/oauth', /^callbackURL has white space in it/],
    ['a zero-width space', 'https://app.example/oauth\u200b', /^callbackURL has the invisible character U\+200B/],
    ['a NUL', 'https://app.example/\0oauth', /^callbackURL has the invisible character U\+0000/],
    ['quotation marks', '"https://app.example/oauth"', /^callbackURL has quotation marks around it; remove them/],
    ['a quotation mark at the end', "https://app.example/oauth'", /^callbackURL has quotation marks around it/],
    ['typographic quotation marks', '“https://app.example/oauth”', /^callbackURL has quotation marks around it/],
    ['a host that was not there', 'https://undefined/oauth', /^callbackURL has "undefined" for its host; check where/],
    ['the scheme twice', 'https://https://app.example/oauth', /^callbackURL has "https" for its host; check where/],
    [
      'a part of the host that was not there',
      'https://.example.com/oauth',
      /^callbackURL has an empty part in its host/,
    ],
    ['two dots in the host', 'https://app..example/oauth', /^callbackURL has an empty part in its host/],
    ['a dot for a host', 'https://./oauth', /^callbackURL has an empty part in its host/],
    ['port 0', 'https://app.example:0/oauth', /^callbackURL has the port 0/],
    [
      'an answer in its path',
      'https://app.example/oauth/code=x',
      /^callbackURL has code= .* answer begins; choose another path/,
    ],
    [
      'an answer in its path, encoded',
      'https://app.example/State%3Dx/oauth',
      /^callbackURL has State= .* choose another path/,
    ],
    ['an error in its path', 'https://app.example/error=/', /^callbackURL has error= .* choose another path/],
    ['a semicolon', 'https://app.example/oauth;v=1', /^callbackURL has ";" in its path, .*; choose another path/],
    ['an encoded semicolon', 'https://app.example/oauth%3bv', /^callbackURL has ";" in its path/],
    ['an encoded slash', 'https://app.example/a%2foauth', /^callbackURL has an encoded "\/" in its path/],
    ['an encoded backslash', 'https://app.example/a%5Coauth', /^callbackURL has an encoded "\\" in its path/],
    [
      'an encoded line end',
      'https://app.example/oauth%0a',
      /^callbackURL has an encoded control character in its path/,
    ],
    ['a bare percent sign', 'https://app.example/50%off', /^callbackURL has a % .* write %25$/],
    ['an escape that is no UTF-8', 'https://app.example/%FC', /^callbackURL has a % .* write %25$/],
    [
      'a length that answers cannot have',
      `https://app.example/${'x'.repeat(1000)}`,
      /^callbackURL has more than 1,?000/,
    ],
    ['a path of slashes', 'https://app.example//', /^callbackURL needs a path of its own/],
    [
      'a URL object',
      new URL('https://app.example/oauth'),
      /^callbackURL is missing; give the absolute URL as a string/,
    ],
  ])('R53: is refused with %s', (_, callbackURL, message) => {
    expect(refusalOf({ callbackURL })).toMatch(message);
  });

  it.each([
    'https://app.example/oauth/',
    'https://app.example/f%C3%BCr/oauth',
    'https://app.example/f%c3%bcr/oauth',
    'https://xn--bcher-kva.example/oauth',
    "https://app.example/~a.b_c-d!$&'()*+,:@/oauth",
    'https://app.example/50%25off',
    'https://app.example/code/state',
    'https://app.example/mycode=x',
    'http://[::1]:3000/oauth',
    'http://app.localhost/oauth',
  ])('R53: may be %s, which is sent as it is', async (callbackURL) => {
    expect((await authorizationURLOf(strategyWith({ callbackURL }))).searchParams.get('redirect_uri')).toBe(
      callbackURL,
    );
  });
});

/** Texts that are nearly URLs: pieces that URL parsers, people and configuration files make something else of. */
const nearlyURLs = fc
  .tuple(
    fc.constantFrom(
      'https://',
      'https:',
      'HTTPS://',
      'https:/',
      'https:///',
      'https:\\\\',
      'http://',
      ' https://',
      '"https://',
    ),
    fc.constantFrom(
      'app.example',
      'APP.example',
      'bücher.example',
      'localhost',
      'LOCALHOST.',
      '127.1',
      '0x7f.1',
      '[::1]',
      '[0::1]',
      '1',
      'a_b',
      'a%2eb',
      'u:p@h',
      'xn--a',
      '',
    ),
    fc.constantFrom('', ':443', ':80', ':8443', ':0', ':', ':08'),
    fc.array(
      fc.oneof(
        fc.constantFrom(
          '/',
          '//',
          '/.',
          '/..',
          '/%2e',
          '/%2E%2e',
          '\\',
          ';',
          '%',
          '%2f',
          '%41',
          '%c3%bc',
          '%C3',
          'oauth',
          '/code=',
          '/STATE=x',
          '/error%3D',
          '&',
          '=',
          '?',
          '#',
          '@',
          ':',
          '*',
          '(',
          '|',
          '[',
          '^',
          '`',
          "'",
          '"',
          '<',
          ' ',
          '\t',
          '\n',
          '\ufeff',
          '\u200b',
          'ü',
          'u\u0308',
          'é',
          '\u{1f600}',
          '\ud83d',
          '\u202e',
          '+',
          '~',
          '$',
        ),
        fc.string({ unit: 'grapheme', maxLength: 3 }),
      ),
      { maxLength: 6 },
    ),
  )
  .map(([scheme, host, port, path]) => `${scheme}${host}${port}${path.join('')}`);

it('R53: every callback URL either works in all of its places, or is refused with a spelling that does', () => {
  void fc.assert(
    fc.property(nearlyURLs, (callbackURL) => {
      const message = refusalOf({ callbackURL, allowInsecureHTTP: true });
      if (message !== 'accepted') {
        const [, right] = / write (https?:\/\/\S+)$/.exec(message) ?? [];
        // It may have another mistake, but not the same one again.
        if (right !== undefined)
          expect(refusalOf({ callbackURL: right, allowInsecureHTTP: true })).not.toContain(' write http');
        return;
      }
      const { href, pathname } = new URL(callbackURL);
      expect(href).toBe(callbackURL);
      const path = pathname.replace(/\/$/, '');
      for (const answer of [`${path}/code=c&state=s`, `${pathname}/code=c&state=s`, `${pathname}?code=c&state=s`]) {
        expect(readAuthorizationResponse(answer)).toEqual({ kind: 'code', code: 'c', state: 's' });
        expect(callbackTest(pathname)({ originalUrl: answer })).toBe(true);
        expect(callbackRoute(pathname).test(answer)).toBe(true);
      }
      expect(decodeURI(pathname)).not.toMatch(/[\p{Cc};\\]|\/\/|\/\.{1,2}(\/|$)/u);
    }),
    { numRuns: rounds(400, 2000) },
  );
});

it('R53: every URL of the server either means what it looks like, or is refused', () => {
  void fc.assert(
    fc.property(nearlyURLs, (serverURL) => {
      const message = refusalOf({ serverURL, allowInsecureHTTP: true });
      if (message !== 'accepted') return;
      // Scheme, two slashes, and a host that stays what it is.
      const [, host = ''] = /^https?:\/\/([^/:[]+|\[[^\]]+\])(?::\d*)?(?:[/?]|$)/i.exec(serverURL) ?? [];
      expect(host).not.toBe('');
      const { hostname } = new URL(serverURL);
      if (/^[a-z.]+$/i.test(host)) expect(hostname).toBe(host.toLowerCase());
      expect(serverURL).not.toMatch(/[\s\\#]|^[^/]*\/\/[^/]*@|\p{Cf}/u);
    }),
    { numRuns: rounds(400, 2000) },
  );
});

describe('the URLs of the server', () => {
  const urls = ['serverURL', 'authorizationURL', 'tokenURL', 'userProfileURL'];
  it.each(urls)('R53: %s is refused when it means something else than it looks', (option) => {
    const cases: [string, string | RegExp][] = [
      [
        'https:pf.example/x',
        `${option} means something else than it looks like; if this is meant, write https://pf.example/x`,
      ],
      ['https:/pf.example/x', / if this is meant, write https:\/\/pf\.example\/x$/],
      ['https:///pf.example/x', / if this is meant, write https:\/\/pf\.example\/x$/],
      ['https://pf.example\\x', / if this is meant, write https:\/\/pf\.example\/x$/],
      ['https://pf.example\\@evil.example/', / if this is meant, write https:\/\/pf\.example\/@evil\.example\/$/],
      ['https://0x7f.1/x', / if this is meant, write https:\/\/127\.0\.0\.1\/x$/],
      ['https://p%66.example/x', / if this is meant, write https:\/\/pf\.example\/x$/],
      ['https://pf.example./x', /has a dot at the end of its host; write https:\/\/pf\.example\/x$/],
      ['https://pf.exa\tmple/x', /has white space in it; remove it/],
      [' https://pf.example/x', /has white space in it; remove it/],
      ['https://pf.example/x\u200b', /has the invisible character U\+200B in it/],
      ['"https://pf.example/x"', /has quotation marks around it; remove them/],
      ["'https://pf.example/x'", /has quotation marks around it; remove them/],
      ['https://pf.example/x"', /has quotation marks around it; remove them/],
      ['https://https://pf.example/x', /has "https" for its host/],
      ['https://undefined/x', /has "undefined" for its host/],
      ['https://pf.example:0/x', /has the port 0/],
      ['https://@pf.example', /must not hold a user name or password/],
      ['https://:@pf.example', /must not hold a user name or password/],
      ['https:@pf.example', /must not hold a user name or password/],
      ['https:root:pw-sentinel@pf.example', /must not hold a user name or password/],
      ['https:\\\\root:pw-sentinel@pf.example', /must not hold a user name or password/],
    ];
    for (const [value, message] of cases)
      expect([value, refusalOf({ [option]: value })]).toEqual([value, expect.stringMatching(message)]);
  });

  it('R53: with an umlaut is read the same the thousandth time, where URL.canParse of Node 20 is not', () => {
    const accepted = (value: string) => {
      try {
        return checkedURL(value, 'serverURL').hostname;
      } catch {
        return 'refused';
      }
    };
    const seen = new Set(Array.from({ length: 50_000 }, () => accepted('https://bücher.example')));
    expect([...seen]).toEqual(['xn--bcher-kva.example']);
  });

  it('R53: serverURL is refused when it is one of the endpoints', () => {
    for (const endpoint of [
      '/oauth',
      '/oauth/allow',
      '/oauth/token',
      '/webdav',
      '/login',
      '/api',
      '/api/accounts',
      '/OAuth/Allow/',
    ]) {
      for (const base of ['https://pf.example', 'https://pf.example/powerfolder']) {
        const message = `serverURL has ${endpoint.replace(/\/$/, '')} at its end, which is a page of the server; write ${base}`;
        expect(refusalOf({ serverURL: base + endpoint })).toBe(message);
      }
    }
    for (const serverURL of [
      'https://pf.example/oauth2',
      'https://pf.example/my-login',
      'https://bücher.example/x/../y/',
    ]) {
      expect(refusalOf({ serverURL })).toBe('accepted');
    }
  });

  it('R53: authorizationURL is refused with what the strategy sends itself', () => {
    const own = [
      'state',
      'response_type',
      'redirect_uri',
      'client_id',
      'scope',
      'code_challenge',
      'code_challenge_method',
    ];
    for (const name of own) {
      const message = refusalOf({
        authorizationURL: `https://pf.example/a?lang=de&${name}=value-sentinel`,
        scope: 'b',
      });
      expect(message).toMatch(new RegExp(`^authorizationURL must not have ${name} in its query, `));
    }
    expect(refusalOf({ authorizationURL: 'https://pf.example/a?lang=de' })).toBe('accepted');
  });

  it('R53: a parameter in the query of authorizationURL is sent once, also where a subclass gives it as well', async () => {
    class Subclass extends PowerFolderStrategy {
      override authorizationParams() {
        return { lang: 'en', theme: 'dark' };
      }
    }
    const strategy = new Subclass({ ...required, authorizationURL: 'https://pf.example/a?lang=de' }, verify);
    const { searchParams } = await authorizationURLOf(strategy);
    expect([searchParams.getAll('lang'), searchParams.getAll('theme')]).toEqual([['de'], ['dark']]);
  });

  it('R29, R53: no URL holds a secret in its query', () => {
    for (const option of ['authorizationURL', 'tokenURL', 'userProfileURL']) {
      for (const name of ['client_secret', 'access_token', 'refresh_token', 'password']) {
        expect(refusalOf({ [option]: `https://pf.example/a?${name}=value-sentinel` })).toBe(
          `${option} must not have ${name} in its query, where access logs keep it; remove it`,
        );
      }
    }
  });
});

describe('options that there are not', () => {
  it.each([
    ['callbackUri', 'callbackURL'],
    ['callback_url', 'callbackURL'],
    ['callbackUrl', 'callbackURL'],
    ['redirectURI', 'callbackURL'],
    ['redirect_uri', 'callbackURL'],
    ['scopes', 'scope'],
    ['clientSecrt', 'clientSecret'],
    ['clientId', 'clientID'],
    ['client_id', 'clientID'],
    ['client_secret', 'clientSecret'],
    ['baseURL', 'serverURL'],
    ['issuer', 'serverURL'],
    ['host', 'serverURL'],
    ['profileURL', 'userProfileURL'],
    ['authorizationEndpoint', 'authorizationURL'],
    ['tokenEndpoint', 'tokenURL'],
    ['headers', 'customHeaders'],
    ['agent', 'dispatcher'],
    ['httpsProxy', 'proxy'],
    ['caFile', 'ca'],
    ['skipUserprofile', 'skipUserProfile'],
    ['passRequestToCallback', 'passReqToCallback'],
    ['PKCE', 'pkce'],
  ])('R53: are refused with the one that was meant: %s', (given, meant) => {
    expect(refusalOf({ [given]: 'value-sentinel' })).toBe(`There is no option ${given}; did you mean ${meant}?`);
  });

  it.each([
    ['trustProxy', /^There is no option trustProxy; remove it: callbackURL is absolute/],
    ['prompt', /^There is no option prompt; .* override authorizationParams in a subclass/],
    ['responseType', /^There is no option responseType; .* authorization code/],
    ['somethingElse', /^There is no option somethingElse; remove it\. The options are serverURL, clientID, /],
    ['', /^There is no option ""; remove it/],
    ['<b>\n\u202e', /^There is no option b; remove it/],
    ['constructor', /^There is no option constructor; remove it/],
  ])('R53: are refused with what to do: %j', (given, message) => {
    expect(refusalOf({ [given]: 'value-sentinel' })).toMatch(message);
  });

  it('R53: are refused without a value, too, and when they come out of JSON', () => {
    expect(refusalOf({ scopes: undefined })).toBe('There is no option scopes; did you mean scope?');
    const options = JSON.parse(`{ "__proto__": { "pkce": true }, ${JSON.stringify(required).slice(1)}`);
    expect(refusal(() => new PowerFolderStrategy(options, verify))).toMatch(/^There is no option __proto__; remove it/);
  });

  it('R53: of registerClient are refused, and those of its admin', async () => {
    const admin = { username: 'admin', password: 'pw-sentinel' };
    // Refused before any request: the server is nowhere.
    const register = (options: object) =>
      registerClient({ serverURL: 'https://127.0.0.1:1', admin, ...options }).catch((error) =>
        refusal(() => {
          throw error;
        }),
      );
    expect(await register({ clientName: 'x' })).toMatch(/^There is no option clientName; /);
    expect(await register({ client_id: 'x' })).toBe('There is no option client_id; did you mean clientID?');
    expect(await register({ callbackURL: 'https://app.example/oauth' })).toMatch(
      /^There is no option callbackURL; remove it/,
    );
    expect(await register({ admin: { ...admin, user: 'x' } })).toBe(
      'There is no option admin.user; remove it. The options are admin.username, admin.password',
    );
    expect(await register({ admin: { username: 'x', pasword: 'pw-sentinel' } })).toBe(
      'There is no option admin.pasword; did you mean admin.password?',
    );
    expect(await register({ admin: 'admin:pw-sentinel' })).toMatch(
      /^admin\.username is missing; give admin: \{ username, password \}/,
    );
    expect(await register({ clientID: null })).toMatch(/^clientID must be a string of visible ASCII/);
    expect(await register({ clientSecret: '"secret-sentinel"' })).toBe(
      'clientSecret has quotation marks around it; remove them',
    );
    expect(await register({ clientID: 'undefined' })).toMatch(/^clientID is the text "undefined"/);
  });

  it('names the nearest of several words', () => {
    expect(nearest('client_ID', ['clientSecret', 'clientID'])).toBe('clientID');
    expect(nearest('regsiter', ['check', 'register'])).toBe('register');
    expect(nearest('anything', ['check', 'register'])).toBeUndefined();
    expect(nearest('x'.repeat(1_000_000), ['check'])).toBeUndefined();
  });
});

describe('the values of options', () => {
  it.each<[string, object, string | RegExp]>([
    ['an empty scope', { scope: '' }, /^scope must be/],
    ['a scope of spaces', { scope: ' a' }, /^scope must be/],
    ['a scope with a line end', { scope: 'a\n' }, /^scope must be/],
    ['a scope that is no text', { scope: 7 }, /^scope must be/],
    ['a scope that is null', { scope: null }, /^scope must be/],
    ['an empty list of scopes', { scope: [] }, /^scope must be/],
    ['a list with a gap', { scope: ['a', undefined] }, /^scope must be/],
    ['a list with two scopes in one', { scope: ['a b'] }, /^scope must be/],
    ['a list with the separator in a scope', { scope: ['a,b'], scopeSeparator: ',' }, /^scope must be/],
    ['a scope in quotation marks', { scope: '"a"' }, /^scope must be/],
    ['a Set of scopes', { scope: new Set(['a']) }, /^scope must be/],
    ['an empty scopeSeparator', { scopeSeparator: '' }, /^scopeSeparator must be/],
    ['a scopeSeparator that is no text', { scopeSeparator: 7 }, /^scopeSeparator must be/],
    ['passReqToCallback as a text', { passReqToCallback: 'false' }, 'passReqToCallback must be one of false, true'],
    ['passReqToCallback: null', { passReqToCallback: null }, 'passReqToCallback must be one of false, true'],
    ['skipUserProfile as a text', { skipUserProfile: 'false' }, 'skipUserProfile must be false, true or a function'],
    ['skipUserProfile: null', { skipUserProfile: null }, 'skipUserProfile must be false, true or a function'],
    ['skipUserProfile: 0', { skipUserProfile: 0 }, 'skipUserProfile must be false, true or a function'],
    ['authorizationMethod: null', { authorizationMethod: null }, /^authorizationMethod must be one of/],
    ['refreshMethod: null', { refreshMethod: null }, /^refreshMethod must be one of/],
    ['authorizationURL: null', { authorizationURL: null }, /^authorizationURL is missing; give the absolute URL/],
    ['an empty tokenURL', { tokenURL: '' }, /^tokenURL is missing; give the absolute URL/],
    ['pkce: null', { pkce: null }, /^pkce must be one of/],
    ['stateTTL: null', { stateTTL: null }, /^stateTTL must be a whole number/],
    ['a timeout as a Number object', { timeout: new Number(10) }, /^timeout must be a whole number/],
    ['dispatcher: null', { dispatcher: null }, /^dispatcher must be one of undici's/],
    ['allowInsecureHTTP: 1', { allowInsecureHTTP: 1 }, /^allowInsecureHTTP must be one of false, true/],
    ['state as a text', { state: 'fixed-sentinel' }, /^state must be true or left out/],
    ['state: null', { state: null }, /^state must be true or left out/],
    ['an empty sessionKey', { sessionKey: '' }, /^sessionKey must be/],
    ['sessionKey as a number', { sessionKey: 7 }, /^sessionKey must be/],
    ['sessionKey with a line end', { sessionKey: 'a\n' }, /^sessionKey must be/],
    ...[
      'passport',
      'messages',
      'returnTo',
      'cookie',
      'id',
      'req',
      'save',
      'regenerate',
      'maxAge',
      '__proto__',
      'constructor',
      'toString',
      '_ctx',
    ].map((sessionKey): [string, object, RegExp] => [
      `sessionKey: ${sessionKey}`,
      { sessionKey },
      /^sessionKey must .*the session's own/,
    ]),
    [
      'customHeaders with a line end',
      { customHeaders: { 'X-A': 'sentinel\n' } },
      /^customHeaders has white space .* trim\(\)/,
    ],
    [
      'an ID that nothing has replaced',
      { clientID: '\u0024{PF_ID}' },
      /^clientID has \$\{PF_ID\} in it, which nothing has replaced/,
    ],
    ['a secret that nothing has replaced', { clientSecret: '$PF_SECRET' }, /^clientSecret has \$PF_SECRET in it/],
    ['a URL that nothing has replaced', { serverURL: 'https://\u0024{HOST}/' }, /^serverURL has \$\{HOST\} in it/],
    ['session', { session: false }, /^There is no option session; give it to passport\.authenticate/],
    ['rejectUnauthorized', { rejectUnauthorized: false }, 'did you mean ca?'],
    ['customHeaders as a text', { customHeaders: 'X-A: sentinel' }, /^customHeaders must be an object/],
    ['customHeaders: null', { customHeaders: null }, /^customHeaders must be an object/],
    ['customHeaders as a list', { customHeaders: [['X-A', 'sentinel']] }, /^customHeaders must be an object/],
    [
      'customHeaders as a Headers object',
      { customHeaders: new Headers({ 'X-A': 'sentinel' }) },
      /^customHeaders must be an object/,
    ],
    ['customHeaders as a Map', { customHeaders: new Map([['X-A', 'sentinel']]) }, /^customHeaders must be an object/],
    ['a header that is undefined', { customHeaders: { 'X-A': undefined } }, /^customHeaders must be an object/],
    ['a header that is a number', { customHeaders: { 'X-A': 7 } }, /^customHeaders must be an object/],
    ['a header with several values', { customHeaders: { 'X-A': ['sentinel'] } }, /^customHeaders must be an object/],
    [
      'a header with a line end',
      { customHeaders: { 'X-A': 'sentinel\r\nX-B: 1' } },
      /^customHeaders must be an object/,
    ],
    ['a header that is no Latin-1', { customHeaders: { 'X-A': 'sentinel→' } }, /^customHeaders must be an object/],
    ['a header twice', { customHeaders: { 'X-A': '1', 'x-a': 'sentinel' } }, /^customHeaders has x-a twice/],
    ...[
      'Authorization',
      'Cookie',
      'Content-Type',
      'Content-Length',
      'Content-Encoding',
      'Host',
      'Transfer-Encoding',
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'Expect',
      'TE',
      'Trailer',
      'Accept-Encoding',
      'Proxy-Authorization',
    ].map((header): [string, object, RegExp] => [
      `the header ${header}`,
      { customHeaders: { [header]: 'sentinel' } },
      new RegExp(`^customHeaders must not have ${header.toLowerCase()}, `),
    ]),
  ])('R53: are refused: %s', (_, options, message) => {
    expect(refusalOf(options)).toMatch(message);
  });

  it.each<[string, object]>([
    [
      'all of them as undefined',
      {
        authorizationMethod: undefined,
        authorizationURL: undefined,
        tokenURL: undefined,
        scope: undefined,
        scopeSeparator: undefined,
        store: undefined,
        sessionKey: undefined,
        customHeaders: undefined,
        state: undefined,
        pkce: undefined,
        timeout: undefined,
        skipUserProfile: undefined,
        passReqToCallback: undefined,
      },
    ],
    ['scopes of a text', { scope: 'a b' }],
    ['scopes of a list', { scope: ['files:read', 'https://pf.example/x'] }],
    ["passport-oauth2's session key", { sessionKey: 'oauth2:pf.example' }],
    ['state: true', { state: true }],
    ['headers', { customHeaders: { 'User-Agent': 'ü', 'X-Empty': '', 'Accept-Language': 'de' } }],
    ['a function that skips the profile', { skipUserProfile: () => true }],
  ])('R53: are accepted: %s', (_, options) => {
    expect(refusalOf(options)).toBe('accepted');
  });
});

describe('the options object', () => {
  it('R53: is read once, so that nothing in it can change under way', async () => {
    const reads: Record<string, number> = {};
    const values: Record<string, unknown> = {
      ...required,
      scope: ['a'],
      customHeaders: { 'X-A': '1' },
      sessionKey: 'key',
    };
    const options = {};
    for (const name of Object.keys(values)) {
      Object.defineProperty(options, name, {
        enumerable: true,
        get() {
          reads[name] = (reads[name] ?? 0) + 1;
          return reads[name] === 1 ? values[name] : 'https://evil.example/x';
        },
      });
    }
    const strategy = new PowerFolderStrategy(options as PowerFolderStrategyOptions, verify);
    expect(new Set(Object.values(reads))).toEqual(new Set([1]));
    const { origin, searchParams } = await authorizationURLOf(strategy);
    expect([origin, searchParams.get('client_id'), searchParams.get('scope')]).toEqual([
      'https://pf.example',
      'client',
      'a',
    ]);
  });

  it('R53: may be frozen, and what it holds may change afterwards', async () => {
    const scope = ['a'];
    const customHeaders: Record<string, string> = { 'X-A': '1' };
    const strategy = new PowerFolderStrategy(Object.freeze({ ...required, scope, customHeaders }), verify);
    scope.push('b');
    customHeaders['X-A'] = '2\n';
    customHeaders['Host'] = 'evil.example';
    expect((await authorizationURLOf(strategy)).searchParams.get('scope')).toBe('a');
    expect(Reflect.get((strategy as unknown as { _oauth2: object })._oauth2, '_customHeaders')).toEqual({ 'X-A': '1' });
  });

  it('R53: may be an object of a class, or inherit options', async () => {
    class Configuration {
      clientID = 'client-of-a-class';
      get serverURL() {
        return required.serverURL;
      }
      unrelated() {}
    }
    const { clientSecret, callbackURL } = required;
    const options = Object.assign(new Configuration(), { clientSecret, callbackURL });
    expect((await authorizationURLOf(new PowerFolderStrategy(options, verify))).searchParams.get('client_id')).toBe(
      'client-of-a-class',
    );
    const inheriting = Object.create({ ...required, scope: 'inherited' });
    expect((await authorizationURLOf(new PowerFolderStrategy(inheriting, verify))).searchParams.get('scope')).toBe(
      'inherited',
    );
    const withoutPrototype = Object.assign(Object.create(null), required);
    expect((await authorizationURLOf(new PowerFolderStrategy(withoutPrototype, verify))).origin).toBe(
      required.serverURL,
    );
  });

  it('R53: is refused with an inherited option that there is not', () => {
    class Configuration {
      get scopes() {
        return 'a';
      }
    }
    for (const options of [
      Object.assign(new Configuration(), required),
      Object.assign(Object.create({ scopes: 'a' }), required),
    ]) {
      expect(refusal(() => new PowerFolderStrategy(options, verify))).toBe(
        'There is no option scopes; did you mean scope?',
      );
    }
  });

  it('R57: takes no option from Object.prototype', () => {
    const { prototype } = Object;
    try {
      Object.assign(prototype, { skipUserProfile: true, allowInsecureHTTP: true, scopes: 'x' });
      const strategy = strategyWith({});
      expect((strategy as unknown as { _skipUserProfile: unknown })._skipUserProfile).toBe(false);
      expect(refusalOf({ serverURL: 'http://pf.example' })).toMatch(/^serverURL must be https/);
    } finally {
      for (const name of ['skipUserProfile', 'allowInsecureHTTP', 'scopes']) Reflect.deleteProperty(prototype, name);
    }
  });

  it('R53: is not a list, nor a function', () => {
    for (const options of [[], [required], () => required, 'https://pf.example', 7]) {
      expect(refusal(() => new PowerFolderStrategy(options as never, verify))).toMatch(
        /^PowerFolderStrategy takes an options object/,
      );
    }
  });
});

describe('options of passport.authenticate', () => {
  it.each([
    'callbackURL',
    'callbackUrl',
    'callbackURI',
    'callback_url',
    'calbackURL',
    'redirect_uri',
    'redirectURI',
    'redirectUrl',
  ])('R21: %s is refused, whatever its value', async (name) => {
    for (const value of [required.callbackURL, 'https://evil.example/sentinel', undefined]) {
      const attempt = authorizationURLOf(strategyWith({}), { [name]: value });
      await expect(attempt).rejects.toThrow(TypeError);
      await expect(attempt).rejects.toThrow(
        `${name} given to passport.authenticate or passport.authorize changes nothing; remove it. The callback URL is the option callbackURL of PowerFolderStrategy; for another one, make a second strategy`,
      );
    }
  });

  it('R21: the others of Passport and of subclasses are let through', async () => {
    const passports = {
      session: false,
      successRedirect: '/',
      successReturnToOrRedirect: '/',
      failureRedirect: '/',
      failureFlash: true,
      failureMessage: true,
      successFlash: true,
      successMessage: true,
      failWithError: true,
      keepSessionInfo: true,
      assignProperty: 'account',
      authInfo: true,
      passReqToCallback: true,
      prompt: 'login',
      lang: 'de',
      redirect: '/x',
      returnTo: '/x',
      callback: 'x',
    };
    expect((await authorizationURLOf(strategyWith({}), passports)).origin).toBe(required.serverURL);
  });

  it.each(['', ' a', 'a\n', [], ['a b'], ['a', null], 7, {}, true])('R21: scope: %j is refused', async (scope) => {
    await expect(authorizationURLOf(strategyWith({}), { scope })).rejects.toThrow(/^scope must be/);
  });
});

describe('callbackRoute', () => {
  it('has the path of a callback URL that is accepted', () => {
    for (const path of ['/f%C3%BCr/oauth', "/~a.b_c-d!$&'()*+,:@/oauth", '/oauth//']) {
      const asked = path.replace(/\/+$/, '');
      expect(callbackRoute(path).test(`${asked}/code=x`)).toBe(true);
      expect(refusalOf({ callbackURL: `https://app.example${asked}` })).toBe('accepted');
    }
  });

  it.each([
    ['/für/oauth', '/f%C3%BCr/oauth'],
    ['/a b', '/a%20b'],
    ['/a/../oauth', '/oauth'],
    ['/a//oauth', '/a/oauth'],
    ['//oauth', '/oauth'],
    ['/o%61uth', '/oauth'],
    ['/a\\oauth', '/a/oauth'],
    ['/oauth\n', '/oauth'],
    ['/oauth ', '/oauth'],
  ])('R53: is not made for a path that no request has, but with the right spelling: %j', (path, right) => {
    expect(refusal(() => callbackRoute(path))).toBe(
      `callbackRoute takes the path of the callback URL as browsers send it; write callbackRoute('${right}')`,
    );
  });
});

describe('durations', () => {
  it('R53: are refused with both of their limits', () => {
    for (const option of ['timeout', 'stateTTL']) {
      for (const value of [0, -1, 1.5, 2 ** 31, Number.NaN, '10', null, [10], {}]) {
        expect(refusalOf({ [option]: value })).toBe(
          `${option} must be a whole number of milliseconds above 0 and below 2147483648`,
        );
      }
      expect(refusalOf({ [option]: 2 ** 31 - 1 })).toBe('accepted');
    }
  });
});
