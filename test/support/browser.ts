/** A browser for tests, without JavaScript: it keeps cookies by host name, follows redirects, and fills in forms. */
import { request } from 'undici';

export interface Page {
  status: number;
  /** Where it was in the end. */
  url: string;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Every URL on the way here, the first included. */
  trail: string[];
}

export interface VisitOptions {
  method?: string;
  headers?: Record<string, string>;
  /** Fields of a form, if `headers` has no other `content-type`. */
  body?: string | Buffer;
  /** Follows redirects while this says so; all of them by default. */
  follow?: (location: URL) => boolean;
}

const mostRedirects = 15;

export class Browser {
  /** Cookies by host name: as in a browser, the port does not matter. */
  readonly #jar = new Map<string, Map<string, string>>();
  readonly #defaults: Record<string, string>;

  constructor(headers: Record<string, string> = {}) {
    this.#defaults = headers;
  }

  /** The Cookie header for a host; to be given to another browser. */
  cookies(url: string): string {
    return [...(this.#jar.get(new URL(url).hostname) ?? [])].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  setCookies(url: string, header: string): void {
    for (const pair of header.split('; ').filter(Boolean)) this.#keep(new URL(url).hostname, pair);
  }

  async visit(
    url: string,
    { method = 'GET', headers = {}, body, follow = () => true }: VisitOptions = {},
  ): Promise<Page> {
    const trail = [url];
    let next = { url, method, body };
    for (let hops = 0; hops <= mostRedirects; hops++) {
      const cookie = this.cookies(next.url);
      const answer = await request(next.url, {
        method: next.method as 'GET',
        headers: {
          ...this.#defaults,
          ...(next.body !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
          ...headers,
          ...(cookie && { cookie }),
        },
        body: next.body ?? null,
        // A connection of its own for each request: a kept one may be closed just now by a busy or restarted server.
        reset: true,
      });
      for (const line of [answer.headers['set-cookie'] ?? []].flat()) this.#keep(new URL(next.url).hostname, line);
      const text = await answer.body.text();
      const { location } = answer.headers;
      const target = typeof location === 'string' ? new URL(location, next.url) : undefined;
      if (!target || answer.statusCode < 300 || answer.statusCode > 399 || !follow(target)) {
        return { status: answer.statusCode, url: next.url, headers: answer.headers, text, trail };
      }
      const keepsMethod = answer.statusCode === 307 || answer.statusCode === 308;
      // As it stands on the wire: URL normalises a path, and the tests are about paths.
      const raw = location as string;
      next = {
        url: /^https?:/.test(raw) ? raw : target.href,
        method: keepsMethod ? next.method : 'GET',
        body: keepsMethod ? next.body : undefined,
      };
      trail.push(next.url);
    }
    throw new Error(`More than ${mostRedirects} redirects: ${trail.join(' → ')}`);
  }

  /** A visit that stays where it is: `headers.location` tells where it would go. */
  async stay(url: string, options: VisitOptions = {}): Promise<Page> {
    return await this.visit(url, { ...options, follow: () => false });
  }

  /**
   * Sends a form of a page, pressing the button with the given text.
   *
   * @param fields Values for its inputs, by name; hidden ones are sent as they are.
   */
  async submit(
    page: Page,
    button: string,
    fields: Record<string, string> = {},
    options: VisitOptions = {},
  ): Promise<Page> {
    for (const [, attributes = '', content = ''] of page.text.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)) {
      const pressed = [...content.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)].find(
        ([, , label = '']) => label.replace(/<[^>]*>/g, '').trim() === button,
      );
      if (!pressed) continue;
      const values = new URLSearchParams();
      for (const [input] of content.matchAll(/<input\b[^>]*>/gi)) {
        const name = attribute(input, 'name');
        if (name !== undefined)
          values.set(name, fields[name] ?? fields[name.toLowerCase()] ?? attribute(input, 'value') ?? '');
      }
      const buttonName = attribute(pressed[1] ?? '', 'name');
      if (buttonName !== undefined) values.set(buttonName, attribute(pressed[1] ?? '', 'value') ?? '');
      const action = new URL(attribute(attributes, 'action') ?? '', page.url).href;
      const method = (attribute(attributes, 'method') ?? 'get').toUpperCase();
      return method === 'POST'
        ? await this.visit(action, { ...options, method, body: values.toString() })
        : await this.visit(`${action.split('?', 1)[0]}?${values}`, options);
    }
    throw new Error(`No form with a button "${button}" on ${page.url} (${page.status}): ${page.text.slice(0, 2000)}`);
  }

  #keep(host: string, line: string): void {
    const [pair = '', ...attributes] = line.split(';').map((part) => part.trim());
    const name = pair.slice(0, pair.indexOf('='));
    const value = pair.slice(pair.indexOf('=') + 1);
    const jar = this.#jar.get(host) ?? new Map<string, string>();
    this.#jar.set(host, jar);
    const gone = attributes.some(
      (each) => /^max-age=0$/i.test(each) || (/^expires=/i.test(each) && Date.parse(each.slice(8)) < Date.now()),
    );
    if (gone) jar.delete(name);
    else jar.set(name, value);
  }
}

function attribute(tag: string, name: string): string | undefined {
  const value = new RegExp(`(?:^|\\s)${name}="([^"]*)"`, 'i').exec(tag)?.[1];
  return value
    ?.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}
