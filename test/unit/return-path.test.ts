import fc from 'fast-check';
import { returnPath } from 'passport-powerfolder';
import { rounds } from '../support/rounds.ts';

describe('returnPath (R39)', () => {
  it.each([
    '/',
    '/account',
    '/account?tab=tokens&x=1',
    '/account#tokens',
    '/folders/Fotos%20%26%20Gr%C3%BC%C3%9Fe/100%25%20%231%20+.txt',
    '/authors',
    '/oauth2',
    '/x?next=https://example.com/',
  ])('takes %s', (path) => {
    expect(returnPath(path)).toBe(path);
  });

  it.each([
    ['nothing', undefined],
    ['what is no text', ['/account']],
    ['an empty text', ''],
    ['a relative path', 'account'],
    ['an absolute URL', 'https://evil.example/'],
    ['an absolute URL to itself', 'http://localhost:3000/account'],
    ['another scheme', 'javascript:alert(1)'],
    ['another host', '//evil.example'],
    ['another host with three slashes', '///evil.example'],
    ['another host by a backslash', '/\\evil.example'],
    ['another host by two backslashes', '\\\\evil.example'],
    ['another host behind a dot', '/.//evil.example'],
    ['another host behind dots', '/x/..//evil.example'],
    ['another host behind escaped dots', '/%2e%2e//evil.example'],
    ['another host behind a tab', '/\t/evil.example'],
    ['another host behind a newline', '/\n/evil.example'],
    ['another host by an escaped slash', '/%2Fevil.example'],
    ['another host by an escaped backslash', '/%5cevil.example'],
    ['two slashes further on', '/account//x'],
    ['a control character', '/account\u0000'],
    ['an escaped newline', '/account%0d%0aSet-Cookie:x=y'],
    ['a broken escape', '/%E0%A4%A'],
    ['more than 1500 characters', `/${'x'.repeat(1500)}`],
    ['more than 1500 characters, escaped', `/${'ü'.repeat(260)}`],
    ['the beginning of a sign-in', '/auth/powerfolder?returnTo=/auth/powerfolder'],
    ['the callback', '/oauth'],
    ['the callback with an answer', '/oauth/code=x&state=y'],
    ['the callback by another way', '/account/../oauth'],
    ['the callback in capitals', '/OAuth'],
    ['the callback in disguise', '/%6fauth'],
    ['the sign-out', '/logout'],
  ])('refuses %s', (_, path) => {
    expect(returnPath(path)).toBeUndefined();
  });

  it('stays under the path that the app is mounted at', () => {
    expect(returnPath('/desk/account', '/desk')).toBe('/desk/account');
    expect(returnPath('/desk', '/desk')).toBe('/desk');
    for (const path of ['/account', '/desktop', '/desk/../admin', '/desk/oauth']) {
      expect(returnPath(path, '/desk')).toBeUndefined();
    }
  });
});

describe('returnPath under a path (R39, R70)', () => {
  it.each(['/f%C3%BCr', '/a+b', '/a(b)', '/~x/@y'])('comes back to %s', (base) => {
    for (const path of [base, `${base}/`, `${base}/account?x=%C3%BC`, `${base}/folders/f%C3%BCr`]) {
      expect(returnPath(path, base)).toBe(path);
    }
    for (const path of [
      '/account',
      `${base}x`,
      `${base}/../x`,
      `${base}/oauth`,
      `${base}/%6fauth`,
      `${base}//x`,
      `/${base}/`,
    ]) {
      expect(returnPath(path, base)).toBeUndefined();
    }
  });
});

describe('what returnPath gives', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '//',
      '\\',
      '.',
      '..',
      '%2f',
      '%5C',
      '%2e',
      '@',
      ':',
      '?',
      '#',
      '\t',
      '\n',
      'evil.example',
      'https:',
    ),
    fc.string({ unit: 'grapheme', maxLength: 5 }),
  );
  it('R39: stays on the site that it is resolved at, whatever it was made of, and is given again', () => {
    let given = 0;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), fc.constantFrom('', '/desk'), (pieces, base) => {
        const path = returnPath(base + pieces.join(''), base);
        if (path === undefined) return;
        given++;
        for (const origin of ['https://app.example', 'http://localhost:3000']) {
          const { href, origin: resolved } = new URL(path, `${origin}/oauth/code=x&state=y`);
          expect([resolved, href]).toEqual([origin, origin + path]);
        }
        expect(returnPath(path, base)).toBe(path);
      }),
      { numRuns: rounds(2000, 50_000) },
    );
    expect(given).toBeGreaterThan(50);
  });
});
