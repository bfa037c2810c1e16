/** The example app's pages of folders, as a visitor reads them. */
export interface FolderPage {
  rows: Row[];
  /** How many entries it says it does not show. */
  notShown: number;
}

interface Row {
  /** As it is shown; browsers take all white space for one space. */
  text: string;
  /** The link's path. */
  href: string;
  size: string;
  /** YYYY-MM-DD; '' for none. */
  day: string;
}

export function readFolderPage(html: string): FolderPage {
  const headings = cellsOf(html, 'th').map(textOf);
  const column = (pattern: RegExp) => headings.findIndex((heading) => pattern.test(heading));
  const [size, modified] = [column(/size/i), column(/modified|changed|date/i)];
  const rows: Row[] = [];
  for (const [, row = ''] of html.matchAll(/<tr\b[^>]*>([\s\S]*?)<\/tr>/g)) {
    const cells = cellsOf(row, 'td');
    const [, opens, link = ''] = /<a\b[^>]*\bhref="([^"]*)"[^>]*>([\s\S]*?)<\/a>/.exec(cells[0] ?? '') ?? [];
    if (opens === undefined) continue;
    // A file may open on a page of its own; the link to download it leads to the file itself.
    const [, href = opens] = /href="([^"]*)\?download"/.exec(cells.at(-1) ?? '') ?? [];
    const day = dayOf(cells[modified] ?? '');
    rows.push({ text: textOf(link), href: unescaped(href), size: textOf(cells[size] ?? ''), day });
  }
  const [, count = '0'] = /(\d[\d,.]*|\bone) entr(?:y|ies)\b[^.]*\bnot shown\b/i.exec(textOf(html)) ?? [];
  return { rows, notShown: /one/i.test(count) ? 1 : Number(count.replace(/\D/g, '')) };
}

/** The path of the next page of a long folder. */
export function nextPage(html: string): string | undefined {
  const [, href] = /<a\b[^>]*rel="next" href="([^"]*)"/.exec(html) ?? [];
  return href === undefined ? undefined : unescaped(href);
}

const cellsOf = (html: string, tag: 'td' | 'th') =>
  [...html.matchAll(new RegExp(`<${tag}\\b[^>]*>([\\s\\S]*?)</${tag}>`, 'g'))].map(([, cell = '']) => cell);

const textOf = (html: string) => visible(unescaped(html.replace(/<[^>]*>/g, '')));

/** What a reader can tell apart: characters that nobody sees may be left out or replaced. */
export const visible = (text: string) =>
  text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, '')
    .trim();

function unescaped(html: string): string {
  const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return html.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (whole, decimal, hexadecimal, name) => {
    if (name) return named[name] ?? whole;
    return String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hexadecimal, 16));
  });
}

function dayOf(cell: string): string {
  const [, exact] = /<time\b[^>]*\bdatetime="([^"]*)"/.exec(cell) ?? [];
  const [written = ''] = /\d{1,2} \p{L}+ \d{4}/u.exec(textOf(cell)) ?? [];
  const time = Date.parse(exact ?? `${written} UTC`);
  return Number.isNaN(time) ? textOf(cell) : new Date(time).toISOString().slice(0, 10);
}

/** Whether a size like "1.2 MB" can stand for this many bytes. */
export function isSize(text: string, bytes: number): boolean {
  const [, number = '', unit = ''] = /^([\d.,]+)\s*(bytes?|[kKMGT]B)$/.exec(text) ?? [];
  const power = ['byte', 'K', 'M', 'G', 'T'].findIndex((start) => unit.toUpperCase().startsWith(start.toUpperCase()));
  if (power === 0) return Number(number.replace(/,/g, '')) === bytes && bytes < 1000;
  return power > 0 && Math.abs(Number(number) - bytes / 1000 ** power) <= 0.05 + 1e-9;
}
