/** A request as browsers make it when somebody opens an address, or sends a form. */
import { once } from 'node:events';
import { type IncomingMessage, request as requestByHTTP } from 'node:http';
import { request as requestByHTTPS } from 'node:https';
import { buffer } from 'node:stream/consumers';

/** How a browser comes to an address. */
export interface Navigation {
  /** The address of the page that leads there; undefined where somebody typed it. */
  from: URL | undefined;
  /** The header `Cookie`, `''` for none. */
  cookie: string;
  /** The fields of a form that is sent; undefined for a link. */
  body: string | undefined;
}

/** Not by fetch, which says in each request that it is no browser that shows a page: applications refuse that, as they should. */
export async function navigate(url: URL, { from, cookie, body }: Navigation): Promise<Response> {
  const request = url.protocol === 'https:' ? requestByHTTPS : requestByHTTP;
  const sent = request(url, {
    method: body === undefined ? 'GET' : 'POST',
    // A connection of its own for each: a server that is closed does not wait for it.
    agent: false,
    headers: {
      accept: 'text/html',
      'sec-fetch-site': siteOf(url, from),
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      ...(cookie && { cookie }),
      ...(body !== undefined && {
        'content-type': 'application/x-www-form-urlencoded',
        'content-length': String(Buffer.byteLength(body)),
        ...(from && { origin: from.origin }),
      }),
    },
  });
  sent.end(body);
  const [answer] = (await once(sent, 'response')) as [IncomingMessage];
  const content = await buffer(answer);
  const status = answer.statusCode as number;
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(answer.headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  const response = new Response([204, 205, 304].includes(status) ? null : content, { status, headers });
  return Object.defineProperty(response, 'url', { value: url.href });
}

/** Fetch Metadata: what the page that leads there is to it. Browsers take all ports of a host for one site. */
function siteOf(url: URL, from: URL | undefined): string {
  if (!from) return 'none';
  if (from.origin === url.origin) return 'same-origin';
  return from.hostname === url.hostname && from.protocol === url.protocol ? 'same-site' : 'cross-site';
}
