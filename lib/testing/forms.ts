/** A form of a page, as far as it takes to send it. */
export interface Form {
  action: string;
  method: string;
  fields: { name: string; type: string; value: string }[];
  buttons: { name: string; value: string }[];
}

/** The forms of a page that this package's servers, and their likes, have written; no parser for all of HTML. */
export function formsIn(html: string): Form[] {
  return html
    .split(/(?=<form\b)/i)
    .slice(1)
    .map((part) => part.split(/<\/form>/i, 1)[0] ?? '')
    .map((form) => {
      const [start = ''] = /^<form\b[^>]*>/i.exec(form) ?? [];
      return {
        action: attribute(start, 'action'),
        method: attribute(start, 'method').toLowerCase(),
        fields: (form.match(/<input\b[^<>]*>/gi) ?? []).map((input) => ({
          name: attribute(input, 'name'),
          type: attribute(input, 'type').toLowerCase() || 'text',
          value: attribute(input, 'value'),
        })),
        buttons: (form.match(/<button\b[^<>]*>/gi) ?? []).map((button) => ({
          name: attribute(button, 'name'),
          value: attribute(button, 'value'),
        })),
      };
    });
}

const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

function attribute(tag: string, name: string): string {
  const [, one, other] = new RegExp(`\\s${name}\\s*=\\s*(?:"([^"]*)"|'([^']*)')`, 'i').exec(tag) ?? [];
  return (one ?? other ?? '').replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,4}));/gi, (whole, decimal, hex, word) => {
    if (decimal) return String.fromCodePoint(Math.min(Number(decimal), 0x10ffff));
    if (hex) return String.fromCodePoint(Math.min(Number.parseInt(hex, 16), 0x10ffff));
    return (Object.hasOwn(entities, word) && entities[word]) || whole;
  });
}
