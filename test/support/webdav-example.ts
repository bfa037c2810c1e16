/** The example app in front of a server of {@link startWebDAVStub}, and what a signed-in visitor gets of it, byte for byte. */
import { once } from 'node:events';
import { type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import type { Browser } from './browser.ts';
import { signedIn } from './example.ts';
import { type ExampleProcess, startExampleProcess } from './example-process.ts';
import { type Make, startWebDAVStub, type Tree, type WebDAVStub } from './webdav-stub-server.ts';

export interface WebDAVExample {
  /** A process of its own: what a server sends may end it. */
  app: ExampleProcess;
  stub: WebDAVStub;
  browser: Browser;
  /** The token that WebDAV requests are sent with. */
  token: string;
  /** Sends a path exactly as it is given. */
  get(path: string, options?: { method?: string; headers?: Record<string, string> }): Promise<Answer>;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Each header line: name, value, name, value … */
  rawHeaders: string[];
  body: Buffer;
  text: string;
  /** Whether it came to its end. */
  complete: boolean;
}

export async function startWebDAVExample(
  options: { make?: Make; tree?: Tree; contextPath?: string; environment?: Record<string, string> } = {},
): Promise<WebDAVExample> {
  const stub = await startWebDAVStub(options);
  try {
    const app = await startExampleProcess({ ...stub.powerFolder, url: stub.url }, options.environment);
    const browser = await signedIn({ url: app.url, powerFolder: stub.powerFolder });
    const get: WebDAVExample['get'] = (path, options) => visit(app.url, path, browser, options);
    await get('/folders');
    const token = stub.webdavRequests()[0]?.headers.authorization?.replace(/^Bearer /, '') ?? '';
    if (token.length < 8) throw new Error(`The app sent no Bearer token to WebDAV: ${app.output().join('\n')}`);
    stub.requests.length = 0;
    return {
      app,
      stub,
      browser,
      token,
      get,
      close: async () => {
        await stub.close();
        await app.stop('SIGKILL');
      },
    };
  } catch (error) {
    await stub.close();
    throw error;
  }
}

/** `undici` and `fetch` would normalise the path. */
async function visit(
  origin: string,
  path: string,
  browser: Browser,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  const sent = request({
    hostname,
    port,
    path,
    method,
    headers: { cookie: browser.cookies(origin), 'sec-fetch-site': 'same-origin', ...headers },
    agent: false,
  });
  sent.end();
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const pieces: Buffer[] = [];
  try {
    for await (const piece of answer) pieces.push(piece);
  } catch {
    // Cut off: `complete` tells it.
  }
  const body = Buffer.concat(pieces);
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    rawHeaders: answer.rawHeaders,
    body,
    text: body.toString(),
    complete: answer.complete,
  };
}

export interface Entry {
  href: string;
  /** The names in the link, decoded. */
  path: string[];
  name: string;
  folder: boolean;
  /** All that is written in its row. */
  row: string;
}

/** What a page of a folder lists. */
export function entries({ text }: Answer): Entry[] {
  const main = mainOf(text).replace(/<nav\b[\s\S]*?<\/nav>/g, '');
  const rows = main.split(/(?=<tr\b)/).filter((row) => row.includes('<td'));
  return rows.flatMap((row) => {
    const links = [...row.matchAll(/<a\b[^>]*href="([^"]*)"[^>]*>([\s\S]*?)<\/a>/g)];
    const [, link = '', content = ''] = links[0] ?? [];
    // A file may open on a page of its own; the link to download it leads to the file itself.
    const folder = link.startsWith('/folders/');
    const href = plain(folder ? link : (links.at(-1)?.[1] ?? '').replace(/\?download$/, ''));
    if (!/^\/(?:folders|files)\/./.test(href)) return [];
    const [, span] = /<span[^>]*>([\s\S]*?)<\/span>/.exec(content) ?? [];
    return {
      href,
      path: href.split('/').slice(2).map(decodeURIComponent),
      name: plain(span ?? content).replace(span === undefined ? /^\s+|\s+$/g : /$^/, ''),
      folder,
      row: plain(row.replaceAll('</td>', ' ')).replace(/\s+/g, ' ').trim(),
    };
  });
}

/** The pages of a folder, one after the other, as a visitor turns them. */
export async function pagesOf({ get }: Pick<WebDAVExample, 'get'>, path: string): Promise<Answer[]> {
  const pages = [await get(path)];
  for (let turned = 0; turned < 20; turned++) {
    const [, next] = /<a\b[^>]*rel="next" href="([^"]*)"/.exec(pages.at(-1)?.text ?? '') ?? [];
    if (next === undefined) return pages;
    pages.push(await get(plain(next)));
  }
  throw new Error(`No end of pages at ${path}`);
}

/** The sentences of a page, without its header and footer. */
export function sentences({ text }: Answer): string {
  return plain(mainOf(text)).replace(/\s+/g, ' ').trim();
}

/** Where the first button of a page leads, or its first link. */
export function mainLink({ text }: Answer): string | undefined {
  const links = [...mainOf(text).matchAll(/<a\b[^>]*>/g)].map(([tag]) => tag);
  const first = links.find((tag) => /class="[^"]*\bbutton\b/.test(tag)) ?? links[0];
  return first && plain(/href="([^"]*)"/.exec(first)?.[1] ?? '');
}

const mainOf = (html: string) => /<main\b[^>]*>([\s\S]*)<\/main>/.exec(html)?.[1] ?? html;

function plain(html: string): string {
  return html
    .replace(/<[^>]*>/g, '')
    .replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)))
    .replace(/&#x([0-9a-f]+);/gi, (_, code) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');
}

/**
 * What went wrong with the requests that the server saw: the token elsewhere than where it belongs, or WebDAV requests
 * beside `<context>/webdav/`, or written so that somebody on the way could read them differently.
 */
export function strayRequests({ contextPath, requests }: WebDAVStub): string[] {
  return requests.flatMap(({ method, url, webdav, headers }) => {
    const line = `${method} ${url}`;
    if (!webdav) {
      const ofSignIn = url.startsWith(`${contextPath}/api/accounts?`) || url === `${contextPath}/oauth/token`;
      return headers.authorization?.startsWith('Bearer') && !ofSignIn ? [`token with ${line}`] : [];
    }
    // Unreserved characters, sub-delims without ";" (a servlet's path parameter), ":" and "@".
    if (!/^\/(?:[\w.~!$&'()*+,=:@/-]|%[0-9A-F]{2})*$/i.test(url)) return [`odd characters in ${line.slice(0, 200)}`];
    const rest = url.slice(`${contextPath}/webdav/`.length);
    const segments = rest.split('/').slice(0, rest.endsWith('/') ? -1 : undefined);
    const odd = segments.some((segment) => {
      const name = decodeURIComponent(segment);
      return /^\.{1,2}$/.test(name) || /[/\0]/.test(name) || (name === '' && rest !== '');
    });
    return odd ? [`odd segments in ${line.slice(0, 200)}`] : [];
  });
}
