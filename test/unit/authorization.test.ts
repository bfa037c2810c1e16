import { authorizationRequests, readAuthorizationResponse } from '../../lib/authorization.ts';

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
