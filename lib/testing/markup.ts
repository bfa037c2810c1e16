/** Markup; whatever else goes into a template is text and gets escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Content = Markup | string | number | false | undefined | Content[];

/** A template of markup. */
export function html(literals: TemplateStringsArray, ...values: Content[]): Markup {
  return new Markup(String.raw({ raw: literals }, ...values.map(render)));
}

function render(value: Content): string {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  return value === undefined || value === false ? '' : escaped(String(value));
}

/** Text for HTML and XML, in elements and in attributes. */
export function escaped(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&apos;' };
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
