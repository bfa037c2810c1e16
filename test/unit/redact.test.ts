import fc from 'fast-check';
import { masking, plainText, withoutSecrets } from '../../lib/redact.ts';
import { rounds } from '../support/rounds.ts';

describe('plainText', () => {
  it.each([
    ['keeps umlauts and punctuation', 'Ungültig: (Code), 50 % — nö!', 'Ungültig: (Code), 50 % — nö!'],
    ['makes one line', 'a\r\nb\tc\u2028d', 'a b c d'],
    ['drops what could be markup', '<script>alert("x")</script>\\`', 'script alert( x ) /script'],
    ['drops control and formatting characters', 'a\u0000\u001b[31m\u202eb', 'a [31m b'],
    ['is at most 200 characters', 'x'.repeat(300), 'x'.repeat(200)],
    ['leaves no half of a character at its end', `${'x'.repeat(199)}🦊`, 'x'.repeat(199)],
    ['has no spaces around it', ' a ', 'a'],
    ['hides secrets before it cuts', `${'x'.repeat(195)}a secret`, `${'x'.repeat(195)}[hidd`],
  ])('%s', (_, text, expected) => {
    expect(plainText(text, ['a secret'])).toBe(expected);
  });
});

describe('withoutSecrets', () => {
  it('R29: blots out every occurrence, as it is and as it stands in a URL, and minds no empty secret', () => {
    expect(withoutSecrets('a s/1 b s%2F1 c s/1', ['s/1', ''])).toBe('a [hidden] b [hidden] c [hidden]');
  });

  const secret = 'A "secret"/ü of a token+';
  const bytes = Buffer.from(secret);
  it.each([
    ['as it is', secret],
    ['in a URL', new URLSearchParams({ s: secret }).toString().slice(2)],
    ['in JSON', JSON.stringify(secret).slice(1, -1)],
    ['in hexadecimal digits', bytes.toString('hex')],
    ['in base64', bytes.toString('base64').slice(0, -4)],
  ])('R29: blots out a secret %s', (_, spelling) => {
    expect(withoutSecrets(`before ${spelling} after`, [secret])).toBe('before [hidden] after');
  });

  it.each(['', '#', '##'])('R29: blots out a secret in the base64 of a text in which %p is before it', (before) => {
    const text = Buffer.from(`${before}${secret}, and more`).toString('base64');
    const open = withoutSecrets(text, [secret]).split('[hidden]');
    // What hangs together with what is around it stays: a few bytes.
    expect(open).toHaveLength(2);
    expect(open[0]?.length).toBe(Math.ceil((before.length * 8) / 6));
    expect(open[1]?.length).toBeLessThanOrEqual(24);
  });

  it.each([
    ['each part of 8 characters', 'x bcdefghi y', 'x [hidden] y'],
    ['its beginning', 'x abcdefgh y', 'x [hidden] y'],
    ['its end', 'x efghijkl y', 'x [hidden] y'],
    ['no part of 7', 'x abcdefg fghijkl y', 'x abcdefg fghijkl y'],
    ['parts one behind the other', 'xabcdefghijklabcdefghy', 'x[hidden][hidden]y'],
    ['parts with one character between', 'abcdefgh-abcdefgh', '[hidden]-[hidden]'],
  ])('R29: blots out %s', (_, text, expected) => {
    expect(withoutSecrets(text, ['abcdefghijkl'])).toBe(expected);
  });

  it('R29: blots out a secret of 7 characters only whole, one of 8 too', () => {
    expect(withoutSecrets('abcdefg abcdef 61626364656667', ['abcdefg'])).toBe('[hidden] abcdef 61626364656667');
    expect(withoutSecrets('abcdefgh abcdefg 6162636465666768', ['abcdefgh'])).toBe('[hidden] abcdefg [hidden]');
  });

  it.each([
    ['in a URL, with %20', encodeURIComponent("it's (a) *se+cret*/ü")],
    [
      'in a URL, with small letters',
      encodeURIComponent("it's (a) *se+cret*/ü").replace(/%../g, (byte) => byte.toLowerCase()),
    ],
    ['in JSON, with escaped slashes', "it's (a) *se+cret*\\/ü"],
    ['in JSON, in ASCII', "it's (a) *se+cret*/\\u00fc"],
    ['in JSON, in ASCII with escaped slashes', "it's (a) *se+cret*\\/\\u00fc"],
    ['in hexadecimal digits, capital', Buffer.from("it's (a) *se+cret*/ü").toString('hex').toUpperCase()],
  ])('R54: blots out a secret %s, whole', (_, spelling) => {
    expect(withoutSecrets(`before ${spelling} after`, ["it's (a) *se+cret*/ü"])).toBe('before [hidden] after');
  });

  it.each(['', '#', '##', '###'])('R54: blots out a secret of 8 characters in base64 with %p before it', (before) => {
    for (const encoding of ['base64', 'base64url'] as const) {
      const open = withoutSecrets(Buffer.from(`${before}<?>~<?>~`).toString(encoding), ['<?>~<?>~']);
      expect(open).toContain('[hidden]');
      expect(open.replace('[hidden]', '').length).toBeLessThanOrEqual(8);
    }
  });

  it.each([
    ['the word', 'not e, but f', 'not [hidden], but f'],
    ['at the beginning and at the end', 'e or e', '[hidden] or [hidden]'],
    ['not in words', 'The secret de e1 _e é', 'The secret de e1 _e é'],
    ['not in codes', 'access_denied', 'access_denied'],
  ])('R54: blots out a secret of one letter as a word: %s', (_, text, expected) => {
    expect(withoutSecrets(text, ['e'])).toBe(expected);
  });

  it.each([
    [['de'], 'access_denied', 'access_denied'],
    [['ü'], 'für ü %C3%BC', 'für [hidden] [hidden]'],
    [['a b'], 'a b a+b a%20b xa b', '[hidden] [hidden] [hidden] xa b'],
    [['abc', 'abc-d'], 'abc-d abc', '[hidden] [hidden]'],
    [['hidden', 'id', 'd'], '[hidden] hidden id', '[hidden] [hidden] [hidden]'],
    [['.', ' ', '"', '='], 'No. Way "a=b"', 'No. Way "a=b"'],
    [['a|b', '(a)', '$&', '[a]'], 'a|b a (a) $& [a]', '[hidden] a [hidden] $& [hidden]'],
    [['hidden]yyyyy', 'abcdefghij'], 'abcdefghijyyyyy', '[hidden]yyyyy'],
  ])('R54: with the secrets %j, %p becomes %p', (secrets, text, expected) => {
    expect(withoutSecrets(text, secrets)).toBe(expected);
    expect(withoutSecrets(expected, secrets)).toBe(expected);
  });

  it('R52: hides in any number of texts what was made for once', () => {
    const mask = masking(['the-secret', 'e']);
    expect(['the-secret', 'e', 'x the-secret', 'e'].map(mask)).toEqual([
      '[hidden]',
      '[hidden]',
      'x [hidden]',
      '[hidden]',
    ]);
  });

  /** Any text without what the mark is made of, which is in each answer. */
  const anyText = (constraints: fc.StringConstraints) =>
    fc.string({ unit: 'binary', ...constraints }).map((text) => text.replace(/[[\]hiden]/g, '-'));
  const spellings: [string, (text: string) => string][] = [
    ['as it is', (text) => text],
    ['in a form', (text) => new URLSearchParams({ text }).toString().slice(5)],
    ['in a URL', (text) => encodeURIComponent(text.toString())],
    ['in JSON', (text) => JSON.stringify(text).slice(1, -1)],
    ['in hexadecimal digits', (text) => Buffer.from(text).toString('hex')],
  ];

  it.each(spellings)('R54: leaves no part of 8 characters of any secret %s', (_, spell) => {
    fc.assert(
      fc.property(anyText({ minLength: 8, maxLength: 40 }), anyText({}), anyText({}), fc.nat(), fc.nat(), (...all) => {
        const [secret, before, after, from, length] = all;
        const start = from % (secret.length - 7);
        const part = secret.slice(start, start + 8 + (length % secret.length));
        // Half a character has no spelling in bytes.
        fc.pre(Buffer.from(part).toString() === part && Buffer.from(secret).toString() === secret);
        const spelling = spell(part);
        const open = withoutSecrets(before + spelling + after, [secret]).split('[hidden]');
        const parts = Array.from({ length: spelling.length - 7 }, (_, at) => spelling.slice(at, at + 8));
        expect(open.length).toBeGreaterThan(1);
        expect(parts.filter((each) => open.some((text) => text.includes(each)))).toEqual([]);
      }),
      { numRuns: rounds(50, 200) },
    );
  });

  it('R54: leaves less than 8 characters of any secret, or of a part of it, in base64', () => {
    fc.assert(
      fc.property(
        anyText({ minLength: 8, maxLength: 40 }),
        anyText({}),
        anyText({}),
        fc.nat(),
        fc.constantFrom('base64' as const, 'base64url' as const),
        (secret, before, after, from, encoding) => {
          const part = secret.slice(from % (secret.length - 7));
          fc.pre(Buffer.from(part).toString() === part && Buffer.from(secret).toString() === secret);
          const masked = withoutSecrets(Buffer.from(before + part + after).toString(encoding), [secret]);
          const open = masked.split('[hidden]').map((text) => Buffer.from(text, 'base64'));
          expect(open.length).toBeGreaterThan(1);
          expect(open.filter((bytes) => bytes.includes(Buffer.from(part)))).toEqual([]);
        },
      ),
      { numRuns: rounds(50, 200) },
    );
  });

  it('R54: hides once, however often it is asked, and leaves all else as it is', () => {
    const piece = fc.constantFrom(
      ...'abe-. ='.split(''),
      '[hidden]',
      'hidden',
      '[hid',
      'den]',
      'abcdefgh',
      'bcdefghi',
      'é',
      '🦊',
    );
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    fc.assert(
      fc.property(text, fc.array(text, { maxLength: 4 }), (whole, secrets) => {
        const once = withoutSecrets(whole, secrets);
        expect(withoutSecrets(once, secrets)).toBe(once);
        // What is open stands in the text in this order.
        let at = 0;
        for (const open of once.split('[hidden]')) {
          at = whole.indexOf(open, at);
          expect(at).toBeGreaterThanOrEqual(0);
          at += open.length;
        }
      }),
      { numRuns: rounds(200, 1000) },
    );
  });
});
