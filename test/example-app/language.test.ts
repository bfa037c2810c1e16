/** What the example app writes in the language of a visitor. */
import { Format } from '../../example-app/language.ts';
import { de } from '../../example-app/languages/de.ts';
import { en } from '../../example-app/languages/en.ts';

const english = new Format(en);
const german = new Format(de);

/** With plain spaces: locales have narrow and unbreakable ones. */
const plain = (text: string) => text.replace(/\s/g, ' ');

describe('a size', () => {
  it.each([
    [0, '0 bytes', '0 Byte'],
    [1, '1 byte', '1 Byte'],
    [999, '999 bytes', '999 Byte'],
    [1000, '1 kB', '1 kB'],
    [1234, '1.2 kB', '1,2 kB'],
    [999_949, '999.9 kB', '999,9 kB'],
    [999_950, '1 MB', '1 MB'],
    [1_234_567, '1.2 MB', '1,2 MB'],
    [999_999_999, '1 GB', '1 GB'],
    [4_000_000_000, '4 GB', '4 GB'],
    [Number.MAX_SAFE_INTEGER, '9 PB', '9 PB'],
    [5e18, '5,000 PB', '5.000 PB'],
  ])('of %d bytes is as people write it: %s, %s', (bytes, inEnglish, inGerman) => {
    expect([plain(english.bytes(bytes)), plain(german.bytes(bytes))]).toEqual([inEnglish, inGerman]);
  });
});

describe('a time', () => {
  const at = Date.UTC(2026, 2, 7, 23, 30);

  it('is in UTC and says so', () => {
    expect(english.time(at)).toMatch(/^7 March 2026 at 23:30 UTC$/);
    expect(german.time(at)).toMatch(/^7\. März 2026 um 23:30 UTC$/);
    expect([english.date(at), german.date(at)]).toEqual(['7 Mar 2026', '07.03.2026']);
  });

  it.each([
    [-30_000, 'just now', 'gerade eben'],
    [30_000, 'in less than a minute', 'in weniger als einer Minute'],
    [-5 * 60_000, '5 minutes ago', 'vor 5 Minuten'],
    [23 * 3_600_000, 'in 23 hours', 'in 23 Stunden'],
    [5 * 86_400_000, 'in 5 days', 'in 5 Tagen'],
  ])('%d ms from now is told as people say it', (fromNow, inEnglish, inGerman) => {
    expect([english.fromNow(at + fromNow, at), german.fromNow(at + fromNow, at)]).toEqual([inEnglish, inGerman]);
  });
});

it('names are in the order in which people look for them', () => {
  const names = ['Zebra', 'Äpfel', 'a10', 'a9', 'Apfel', 'österreich', 'Omega'];
  const sorted = ['a9', 'a10', 'Apfel', 'Äpfel', 'Omega', 'österreich', 'Zebra'];
  for (const format of [english, german]) expect(names.toSorted((a, b) => format.compare(a, b))).toEqual(sorted);
});

describe('the texts', () => {
  /** Every text of a language by where it stands; functions are called. */
  function textsIn(value: unknown, path: string): [string, string][] {
    if (typeof value === 'string') return [[path, value]];
    if (typeof value === 'function') return [1, 2, 1234].map((n) => [`${path}(${n})`, String(value(n, n + 1))]);
    return Object.entries(value as object).flatMap(([name, each]) => textsIn(each, `${path}.${name}`));
  }
  const [ofEnglish, ofGerman] = [new Map(textsIn(en, '')), new Map(textsIn(de, ''))];

  it('are all there in both languages, lists included, and none is empty but where it is meant', () => {
    expect([...ofGerman.keys()]).toEqual([...ofEnglish.keys()]);
    const empty = [...ofEnglish, ...ofGerman].filter(([, text]) => text.trim() === '').map(([path]) => path);
    expect([...new Set(empty)]).toEqual(['.errors.notSignedIn.1']);
  });

  it('keep the places of names', () => {
    const places = (text = '') => text.match(/\{\w+\}/g) ?? [];
    for (const [path, text] of ofEnglish) expect([path, places(ofGerman.get(path))]).toEqual([path, places(text)]);
  });
});
