/** Where the browser comes back to: a listener on this machine, or an address that somebody pastes. */
import { hash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { askHidden } from './ask.ts';
import { type CommandLine, Mistake } from './terminal.ts';

/** Looks at an address at which a browser ended, and says whether it is the answer that is waited for. */
type Take = (rawURL: string) => boolean;

/** Where answers come. */
export interface CallbackPlace {
  readonly callbackURL: string;
  /** Whether it can show a page of ours. */
  readonly showsPages: boolean;
  /** What to open in the browser; `page` is shown there first, where the authorization request has to be a POST. */
  address(authorizationURL: string, page?: Page): string;
  /** Waits for an answer that is taken. @throws the signal's reason, and {@link Mistake}. */
  wait(take: Take, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

interface Page {
  html: string;
  headers: Record<string, string>;
}

const callbackPath = '/oauth';

/**
 * Listens on 127.0.0.1 only. PowerFolder does not know redirect URIs, so any port will do.
 *
 * @throws {Mistake} when the port cannot be had.
 */
export async function listenForCallback(port: number): Promise<CallbackPlace> {
  let take: Take | undefined;
  let taken = () => {};
  let page: Page | undefined;
  const server = createServer((request, response) => {
    const { port: own } = server.address() as AddressInfo;
    const taker = take;
    serve(request, response, own, page, (rawURL) => {
      if (!taker?.(rawURL)) return false;
      // The page that says so comes first.
      response.once('close', taken);
      return true;
    });
  });
  await listen(server, port);
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`;
  return {
    callbackURL: origin + callbackPath,
    showsPages: true,
    address(authorizationURL, given) {
      page = given;
      return given ? `${origin}/` : authorizationURL;
    },
    async wait(given, signal) {
      take = given;
      try {
        await new Promise<void>((resolve, reject) => {
          taken = resolve;
          signal.addEventListener('abort', () => reject(signal.reason));
          if (signal.aborted) reject(signal.reason);
        });
      } finally {
        take = undefined;
      }
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', ({ code }: NodeJS.ErrnoException) =>
      reject(new Mistake(`Port ${port} cannot be listened on (${code}). Give another --port, or none.`)),
    );
    server.listen(port, '127.0.0.1', resolve);
  });
}

/** Whoever else is on this machine can ask, too, and pages of others by a name that they point here. */
function serve(
  { method, url = '', headers: { host } }: IncomingMessage,
  response: ServerResponse,
  port: number,
  page: Page | undefined,
  take: Take,
): void {
  const path = url.split('?', 1)[0] ?? '';
  if (host !== `localhost:${port}`) answer(response, 421, 'This is not the address that is listened on.');
  else if (method !== 'GET') answer(response, 405, 'This takes GET only.');
  else if (path === '/' && page) response.writeHead(200, page.headers).end(page.html);
  else if (path !== callbackPath && !path.startsWith(`${callbackPath}/`))
    answer(response, 404, 'There is nothing here.');
  else if (take(url))
    answer(response, 200, 'You can close this page. Go on in the terminal.', 'PowerFolder has answered');
  else answer(response, 400, 'This is not the answer that is waited for. See the terminal.');
}

const style =
  ':root{color-scheme:light dark;font:1.0625rem/1.5 system-ui,sans-serif}body{display:grid;min-height:100vh;margin:0;place-items:center;background:light-dark(#eef3f8,#0e141b);color:light-dark(#17222e,#e9eff6)}main{max-width:24rem;margin:1rem;padding:1.5rem 2rem;border-radius:1rem;background:light-dark(#fff,#17202a);text-align:center;text-wrap:balance}h1{margin:0 0 .5rem;font-size:1.4rem}p{margin:0}';
// The code does not stay in the address bar, and a reload does not bring it again.
const script = "history.replaceState(null,'','/')";
const hashOf = (text: string) => `sha256-${hash('sha256', text, 'base64')}`;

function answer(response: ServerResponse, status: number, sentence: string, title = 'That is not it'): void {
  response.writeHead(status, {
    'Cache-Control': 'no-store',
    'Referrer-Policy': 'no-referrer',
    Connection: 'close',
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Security-Policy': `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; frame-ancestors 'none'`,
    'X-Content-Type-Options': 'nosniff',
  });
  response.end(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body><main><h1>${title}</h1><p>${sentence}</p></main><script>${script}</script></body>
</html>
`);
}

/** Asks for the address at which the browser ended, where there is none on this machine. */
export function askForCallback(callbackURL: string, io: CommandLine): CallbackPlace {
  return {
    callbackURL,
    showsPages: false,
    address: (authorizationURL) => authorizationURL,
    async wait(take, signal) {
      const question = {
        what: 'address',
        prompt: 'Paste the address at which the browser ended, and press Enter (it is not shown): ',
        consequence: 'nobody was signed in',
        signal,
      };
      for (;;) {
        const pasted = await askHidden(question, io);
        if (take(rawURLOf(pasted.trim(), callbackURL))) return;
        // What comes by a pipe comes once.
        if (!io.stdin.isTTY)
          throw new Mistake('The address that was given holds no answer to this sign-in; nobody was signed in.');
      }
    },
    async close() {},
  };
}

/** What the application would see of an address: what is behind the host. Some copy only that. */
function rawURLOf(pasted: string, callbackURL: string): string {
  const target = pasted.replace(/^https?:\/\/[^/?#]*/i, '');
  const { pathname } = new URL(callbackURL);
  // `code=…&state=…` alone is a part of either form.
  return /^(code|state|error)=/.test(target) ? `${pathname}/${target}` : target;
}
