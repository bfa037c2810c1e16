import { createHash } from 'node:crypto';
import express5 from 'express';
import request from 'supertest';
import {
  authorizationRequestPage,
  authorizationRequests,
  callbackRoute,
  callbackTest,
  readAuthorizationResponse,
} from '../../lib/authorization.ts';
import { expressVersions } from '../support/app.ts';

describe('authorizationRequests', () => {
  const request = authorizationRequests('https://pf.example/oauth/allow?lang=de', {
    clientID: 'a b&c',
    callbackURL: 'https://app.example/oauth',
  });
  const own = 'state=abc&response_type=code&redirect_uri=https%3A%2F%2Fapp.example%2Foauth&client_id=a+b%26c';

  it("keeps the documented order and an endpoint's own query", () => {
    expect(request('abc', {})).toBe(`https://pf.example/oauth/allow?lang=de&${own}`);
  });

  it('puts further parameters behind it, which replace none', () => {
    const further = {
      state: 'x',
      client_id: 'x',
      scope: undefined,
      'a b': 'ü&',
      redirect_uri: 'x',
      response_type: 'x',
    };
    expect(request('abc', further)).toBe(`https://pf.example/oauth/allow?lang=de&${own}&a+b=%C3%BC%26`);
  });
});

describe('authorizationRequestPage', () => {
  const { html, headers } = authorizationRequestPage(
    'https://pf.example/oauth/allow?a=1&b="><script>',
    'http://localhost:3000/oauth',
  );

  it('escapes the URL that the form goes to', () => {
    expect(html).toContain('action="https://pf.example/oauth/allow?a=1&#38;b=&#34;&#62;&#60;script&#62;"');
  });

  it('ends with its script, which therefore runs only after the session was saved', () => {
    expect(html.endsWith('</script>')).toBe(true);
  });

  it('lets the form lead to the server, from there to an identity provider, and back', () => {
    expect(headers['Content-Security-Policy']).toContain(
      'form-action https: https://pf.example http://localhost:3000;',
    );
  });

  it('allows its own style and script only', () => {
    expect(headers['Content-Security-Policy']).toMatch(
      /^default-src 'none'; style-src 'sha256-[^ ]{44}'; script-src 'sha256-[^ ]{44}';/,
    );
    expect(headers['Content-Security-Policy']).not.toContain('unsafe-inline');
    const [, style = '', script = ''] = /<style>(.*)<\/style>[\s\S]*<script>(.*)<\/script>$/.exec(html) ?? [];
    for (const [directive, text] of Object.entries({ 'style-src': style, 'script-src': script })) {
      const digest = createHash('sha256').update(text).digest('base64');
      expect(headers['Content-Security-Policy']).toContain(`${directive} 'sha256-${digest}';`);
    }
    expect([style, script]).toEqual([expect.stringContaining('button{'), 'document.forms[0].submit()']);
  });

  it('is stored, framed and sniffed by nobody, and tells no other site its address', () => {
    expect(headers).toEqual({
      'Content-Type': 'text/html; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(html)),
      'Cache-Control': 'no-store',
      'Content-Security-Policy': expect.stringMatching(/; base-uri 'none'; frame-ancestors 'none'$/),
      'Referrer-Policy': 'no-referrer',
      'X-Content-Type-Options': 'nosniff',
    });
  });
});

describe('readAuthorizationResponse', () => {
  const code = (value: string, state: string | undefined = 's1') => ({ kind: 'code', code: value, state });
  const error = (value: string, description?: string, state: string | undefined = 's1') => ({
    ...{ kind: 'error', error: value, state, uri: undefined },
    description,
  });

  it.each([
    ['the documented path form', '/oauth/code=c1&state=s1', code('c1')],
    ['the query form of deployed clients', '/oauth?code=c1&state=s1', code('c1')],
    ['the query form with a slash', '/oauth/?code=c1&state=s1', code('c1')],
    ['any order', '/oauth/state=s1&code=c1', code('c1')],
    ['a callback URL with a slash at its end', '/oauth//code=c1&state=s1', code('c1')],
    ['a deeper path', '/app/sign-in/oauth/code=c1&state=s1', code('c1')],
    ['the code in the path and the state in the query', '/oauth/code=c1?state=s1', code('c1')],
    ['further parameters', '/oauth/code=c1&state=s1&session_state=x?lang=de', code('c1')],
    ['no state', '/oauth/code=c1', { kind: 'code', code: 'c1', state: undefined }],
    ['percent escapes, once', '/oauth/code=a%2Fb%2525&state=s1', code('a/b%25')],
    ['a slash in the code', '/oauth/code=a/b/c&state=s1', code('a/b/c')],
    ['a plus in the code, in the path', '/oauth/code=a+b&state=s1', code('a+b')],
    ['a plus in the code, in the query', '/oauth?code=a+b%2Bc&state=s1', code('a+b+c')],
    ['an equals sign in the code', '/oauth/code=YWI==&state=s1', code('YWI==')],
    ['UTF-8', '/oauth/code=%C3%BC&state=s1', code('ü')],
    ['an escaped name', '/oauth?c%6Fde=c1&state=s1', code('c1')],
    ['declined, in the path', '/oauth/error=access_denied&state=s1', error('access_denied')],
    [
      'declined, in the query',
      '/oauth?error=access_denied&error_description=no+way%21&state=s1',
      error('access_denied', 'no way!'),
    ],
    ['nothing', '/oauth', { kind: 'none' }],
    ['nothing but a slash', '/oauth/', { kind: 'none' }],
    ['a state alone, in the query', '/oauth?state=s1', { kind: 'none' }],
    ['a state alone, in the path', '/oauth/state=s1', { kind: 'none' }],
    ['a query alone', '?code=c1&state=s1', code('c1')],
    ['a malformed name', '/oauth?%=x&code=c1&state=s1', code('c1')],
    ['names without values', '/oauth?x&code=c1&=y&state=s1', code('c1')],
    ['4 KiB', `/oauth/code=c1&state=s1&x=${'x'.repeat(4096 - 26)}`, code('c1')],
    ['another query', '/auth/powerfolder?returnTo=/x', { kind: 'none' }],
  ])('reads %s', (_, url, expected) => {
    expect(readAuthorizationResponse(url)).toEqual(expected);
  });

  it.each([
    ['two codes', '/oauth/code=a&code=b&state=s1'],
    ['two codes, one escaped', '/oauth?code=a&c%6Fde=b&state=s1'],
    ['two states', '/oauth?code=a&state=s1&state=s2'],
    ['two errors', '/oauth?error=a&error=b&state=s1'],
    ['a code and an error', '/oauth?code=a&error=access_denied&state=s1'],
    ['a code in the path and one in the query', '/oauth/code=a&state=s1?code=b'],
    ['a state in both', '/oauth/code=a&state=s1?state=s1'],
    ['a pre-loaded path', '/oauth/code=EVIL&state=x/code=GOOD&state=y'],
    ['a pre-loaded code', '/oauth/code=EVIL/code=GOOD&state=y'],
    ['a pre-loaded error', '/oauth/error=x/code=GOOD&state=y'],
    ['an empty code', '/oauth/code=&state=s1'],
    ['an empty error', '/oauth?error=&state=s1'],
    ['a code without a value', '/oauth?code&state=s1'],
    ['a malformed escape', '/oauth/code=%&state=s1'],
    ['half an escape', '/oauth/code=%4&state=s1'],
    ['an escape that is not UTF-8', '/oauth/code=%FF&state=s1'],
    ['an overlong escape', '/oauth/code=%C0%AF&state=s1'],
    ['NUL', '/oauth/code=a%00&state=s1'],
    ['a line break', '/oauth/code=a%0d%0aSet-Cookie:x&state=s1'],
    ['a control character of the second block', '/oauth/code=%C2%85&state=s1'],
    ['a control character in the state', '/oauth/code=a&state=s%001'],
    ['more than 4 KiB', `/oauth/code=c1&state=s1&x=${'x'.repeat(4096 - 25)}`],
    ['two states in the path', '/oauth/state=s1&state=s2'],
  ])('R14, R15: refuses %s', (_, url) => {
    expect(readAuthorizationResponse(url)).toEqual({ kind: 'invalid' });
  });

  it.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '__proto__[code]', 'prototype.code'])(
    'R16: %s= is a parameter like any other that is not read',
    (name) => {
      expect(readAuthorizationResponse(`/oauth?${name}=x&code=c1&state=s1`)).toEqual(code('c1'));
      expect(readAuthorizationResponse(`/oauth?${name}=x`)).toEqual({ kind: 'none' });
    },
  );
});

describe('callbackRoute', () => {
  it.each([
    ['/oauth', true],
    ['/oauth/', true],
    ['/oauth?code=x', true],
    ['/oauth/code=x&state=y', true],
    ['/oauth/code=a/b&state=y', true],
    ['/OAuth', true],
    ['/oauthx', false],
    ['/x/oauth', false],
    ['/', false],
  ])('%s: %s', (path, expected) => {
    expect(callbackRoute('/oauth').test(path)).toBe(expected);
    expect(callbackRoute().test(path)).toBe(expected);
  });

  it('takes the path to the letter', () => {
    expect(callbackRoute('/a.b/(c)/').test('/a.b/(c)/code=x')).toBe(true);
    expect(callbackRoute('/a.b').test('/aXb')).toBe(false);
  });

  it('has no captures, of which Express would make parameters', () => {
    expect(callbackRoute('/oauth').exec('/oauth/code=x')).toHaveLength(1);
  });

  it('minds no slashes at the end of the path', () => {
    for (const path of ['/oauth/', '/oauth//']) expect(callbackRoute(path).source).toBe(callbackRoute('/oauth').source);
  });

  it.each(['', 'oauth', 'x/oauth', '/', '//', '/oauth?x', '/oauth#x', 7, new String('/oauth')])(
    'refuses %p, saying what it takes',
    (path) => {
      expect(() => callbackRoute(path as string)).toThrow(
        new TypeError("callbackRoute takes the path of the callback URL, such as callbackRoute('/oauth')"),
      );
    },
  );

  it.each(expressVersions)('serves as a route in %s, malformed escapes included', async (_, express) => {
    const app = express();
    app.get(callbackRoute('/oauth'), (req, res) => {
      res.send(req.originalUrl);
    });
    for (const path of ['/oauth', '/oauth/', '/oauth/code=%&state=1', '/oauth/code=a/b&state=1?x=%ff']) {
      const { status, text } = await request(app).get(path);
      expect([status, text]).toEqual([200, path]);
    }
    expect((await request(app).get('/oauthx')).status).toBe(404);
  });
});

describe('callbackTest', () => {
  it.each([
    ['/oauth', true],
    ['/oauth/', true],
    ['/oauth?x=1', true],
    ['/OAUTH/foo', true],
    ['/auth/powerfolder', false],
    ['/oauthx', false],
    ['/oauth#x', true],
    ['http://app.example/oauth', true],
    ['HTTPS://app.example:8443/oauth/x', true],
    ['x-1+2.3://app.example/oauth', true],
    ['http://app.example?/oauth', false],
    ['http://oauth', false],
    ['1http://app.example/oauth', false],
    ['/x/http://app.example/oauth', false],
  ])('R17: %s: %s', (originalUrl, expected) => {
    for (const path of ['/oauth', '/oauth/', '/oauth//']) expect(callbackTest(path)({ originalUrl })).toBe(expected);
  });

  it.each([undefined, null, '/elsewhere', 7, /^\/elsewhere/, {}])(
    'R17: takes no other route for its own: %p',
    (path) => {
      expect(callbackTest('/oauth')({ originalUrl: '/elsewhere', route: { path } })).toBe(false);
    },
  );

  it('R17: knows its route behind a proxy that cuts the path', async () => {
    const isCallback = callbackTest('/public/oauth');
    const app = express5();
    app.get(callbackRoute('/oauth'), (req, res) => {
      res.json(isCallback(req));
    });
    app.get('/other', (req, res) => {
      res.json(isCallback(req));
    });
    expect((await request(app).get('/oauth')).body).toBe(true);
    expect((await request(app).get('/other')).body).toBe(false);
  });
});
