/** Whatever a server sends, nothing of it is in the report of `sign-in`: not as it is, encoded, hashed, or in part. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { startListener } from '../support/command-line.ts';
import { newFolder, runSignIn } from '../support/sign-in-command.ts';

/** Letters and digits that are no word, and another one for each place. */
function sentinel(place: string): string {
  return `q${BigInt(`0x${createHash('sha256').update(`sentinel ${place}`).digest('hex')}`)
    .toString(36)
    .slice(0, 18)}`;
}

const planted = {
  memberName: sentinel('memberName'),
  memberValue: sentinel('memberValue'),
  number: 9_182_736_455_463_728,
  headerName: `x-${sentinel('headerName')}`,
  headerValue: sentinel('headerValue'),
  cookie: sentinel('cookie'),
  mediaType: `application/vnd.${sentinel('mediaType')}`,
  charset: sentinel('charset'),
  location: `${sentinel('location')}.example`,
  server: sentinel('server'),
  challenge: sentinel('challenge'),
  error: sentinel('error'),
  code: sentinel('code'),
  accessToken: `1${sentinel('accessToken')}-${sentinel('accessTokenTail')}`,
  refreshToken: `1${sentinel('refreshToken')}-${sentinel('refreshTokenTail')}`,
  ID: `${sentinel('ID')}/+`,
  username: `${sentinel('username')}@example.edu`,
  name: `${sentinel('name')}äÖ`,
  folder: sentinel('folder'),
  element: sentinel('element'),
  xmlPrefix: sentinel('xmlPrefix'),
  xmlValue: sentinel('xmlValue'),
  propertyNamespace: `urn:${sentinel('propertyNamespace')}`,
  callbackName: sentinel('callbackName'),
  callbackValue: sentinel('callbackValue'),
  secret: sentinel('secret'),
  clientID: sentinel('clientID'),
};
const contextPath = `/${sentinel('contextPath')}`;

/** How a text could get into a report. */
function spellings(text: string): string[] {
  const bytes = Buffer.from(text);
  const hashes = ['md5', 'sha1', 'sha256', 'sha512'].map((name) => createHash(name).update(bytes));
  const digests = hashes.flatMap((hash) => {
    const digest = hash.digest();
    return [
      digest.toString('hex').slice(0, 12),
      digest.toString('base64').slice(0, 12),
      digest.toString('base64url').slice(0, 12),
    ];
  });
  const plain = [text, text.toUpperCase(), text.toLowerCase(), encodeURIComponent(text), [...text].reverse().join('')];
  const encoded = [0, 1, 2].flatMap((at) => {
    const shifted = bytes.subarray(at);
    return [shifted.toString('base64'), shifted.toString('base64url')];
  });
  // Any five characters in a row are a part.
  const parts = [...plain, ...encoded, bytes.toString('hex')].flatMap((each) =>
    Array.from({ length: Math.max(1, each.length - 4) }, (_, at) => each.slice(at, at + 5)),
  );
  return [...parts, ...digests].filter((part) => !harmless.has(part));
}

/** What stands in each report, whatever the server sends: of words such as "refreshToken". */
const harmless = new Set<string>();

const xml = `<?xml version="1.0"?><${planted.xmlPrefix}:multistatus xmlns:${planted.xmlPrefix}="DAV:" xmlns:o="${planted.propertyNamespace}">
<${planted.xmlPrefix}:response><${planted.xmlPrefix}:href>/webdav/${planted.folder}/</${planted.xmlPrefix}:href><${planted.xmlPrefix}:propstat><${planted.xmlPrefix}:prop>
<o:${planted.element}>${planted.xmlValue}</o:${planted.element}><${planted.xmlPrefix}:displayname>${planted.name}</${planted.xmlPrefix}:displayname><${planted.xmlPrefix}:getetag>W/"${planted.xmlValue}"</${planted.xmlPrefix}:getetag>
</${planted.xmlPrefix}:prop><${planted.xmlPrefix}:status>HTTP/1.1 200 ${planted.xmlValue}</${planted.xmlPrefix}:status></${planted.xmlPrefix}:propstat></${planted.xmlPrefix}:response></${planted.xmlPrefix}:multistatus>`;

const odd = {
  [planted.memberName]: planted.memberValue,
  nested: { [planted.memberName]: [planted.memberValue] },
  spaceUsed: planted.number,
  message: planted.memberValue,
  name: { [planted.memberName]: planted.memberName },
};

const account = {
  ...odd,
  ID: planted.ID,
  username: planted.username,
  surname: planted.name,
  emails: [planted.username],
};
const tokens = {
  ...odd,
  access_token: planted.accessToken,
  refresh_token: planted.refreshToken,
  expires_in: planted.number,
  token_type: 'bearer',
  scope: planted.memberValue,
};

/** Answers in the ways of servers, each with something planted in every place. */
type Way = (req: IncomingMessage, body: string) => { status: number; body: string; headers?: Record<string, string> };

const json = (status: number, value: object) => ({
  status,
  body: JSON.stringify(value),
  headers: { 'Content-Type': 'application/json' },
});
const isMadeUp = (body: string) => /"code":"[0-9a-f]{32}"/.test(body);

const good: Way = ({ method, url = '' }, body) => {
  if (url.startsWith('/oauth/token')) {
    if (isMadeUp(body)) {
      const error = body.includes(planted.secret) ? 'invalid_grant' : 'invalid_client';
      return json(401, { error, error_description: planted.memberValue });
    }
    return json(200, tokens);
  }
  if (url.startsWith('/oauth?')) return json(400, { error: 'invalid_grant', [planted.memberName]: 1 });
  if (url.startsWith('/api/accounts')) return json(200, account);
  if (url.startsWith('/api/folders'))
    return json(200, {
      ResultSet: {
        Result: [{ name: planted.folder, resourceURL: `https://${planted.location}/files/${planted.folder}` }],
      },
    });
  return { status: method === 'PROPFIND' ? 207 : 200, body: xml };
};

const refusing: Way = (req, body) => {
  const given = good(req, body);
  if (req.url?.startsWith('/oauth/token')) return given;
  return { ...json(401, { error: planted.error, error_description: planted.memberValue, ...odd }) };
};

const redirecting: Way = (req, body) => {
  if (req.url?.startsWith('/oauth/token')) return good(req, body);
  return {
    status: 302,
    body: planted.memberValue,
    headers: { Location: `https://${planted.location}/${planted.folder}?${planted.memberName}` },
  };
};

const garbling: Way = (req, body) => {
  if (req.url?.startsWith('/oauth/token') && !body.includes('refresh_token"')) return good(req, body);
  return { status: 200, body: `${planted.memberValue} <html>${planted.name} ["${planted.error}"`, headers: {} };
};

const ways: [string, Way][] = [
  ['answers all', good],
  ['refuses', refusing],
  ['redirects', redirecting],
  ['sends something else', garbling],
];

const common = {
  [planted.headerName]: planted.headerValue,
  Server: `${planted.server}/1.2`,
  'Set-Cookie': `${planted.cookie}=${planted.cookie}`,
  'WWW-Authenticate': `${planted.challenge} realm="${planted.challenge}", Bearer x="${planted.challenge}"`,
  DAV: `1, ${planted.headerValue}`,
  ETag: `"${planted.headerValue}"`,
  Date: `Fri, 27 Nov 2026 00:00:00 GMT`,
  Allow: planted.headerValue,
};

/** @returns its URL. */
async function serve(way: Way, contextPath: string): Promise<string> {
  const listener = await startListener((req, res) => {
    req.url = req.url?.replace(contextPath, '') ?? '';
    const answer = way(req, listener.requests.at(-1)?.body ?? '');
    const type = `${planted.mediaType}; charset=${planted.charset}`;
    res.writeHead(answer.status, { 'Content-Type': type, ...common, ...answer.headers }).end(answer.body);
  });
  return listener.url + contextPath;
}

describe('R29: the report of sign-in', () => {
  beforeAll(async () => {
    // A server of nothing but plain words, whose report shows what stands in each.
    const url = await serve(
      (_, body) =>
        isMadeUp(body)
          ? json(401, { error: body.includes('"none"') ? 'invalid_grant' : 'invalid_client' })
          : json(200, { access_token: '1', refresh_token: '2', ID: '3', username: '4' }),
      '/x',
    );
    const text = await reportOf(url, (callback, state) => `${callback}?code=5&state=${state}`, 'none', 'none');
    if (text.length < 500) throw new Error(`There is no report: ${output}`);
    for (let at = 0; at + 5 <= text.length; at++) harmless.add(text.slice(at, at + 5));
  });

  async function reportOf(
    url: string,
    answer: (callback: string, state: string) => string,
    clientID: string,
    secret: string,
  ) {
    const file = join(newFolder(), 'report.json');
    const env = { POWERFOLDER_CLIENT_ID: clientID, POWERFOLDER_CLIENT_SECRET: secret };
    const argv = ['--server', url, '--report', file, '--username', planted.username, '--decline', '--wait', '20'];
    const { stdout, stderr } = await runSignIn(argv, {
      env,
      who: async (address) => {
        const { searchParams } = new URL(address);
        const target = answer(searchParams.get('redirect_uri') ?? '', searchParams.get('state') ?? '');
        await fetch(target.replace('localhost', '127.0.0.1'), { headers: { host: new URL(target).host } }).catch(
          () => {},
        );
        await ask(target);
      },
    });
    output = stdout + stderr;
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }
  let output = '';

  /** fetch sets Host itself. */
  async function ask(target: string): Promise<void> {
    const { request } = await import('node:http');
    const { host: name, port, pathname, search } = new URL(target);
    await new Promise((resolve) => {
      request({ host: '127.0.0.1', port, path: pathname + search, headers: { host: name } }, (res) =>
        res.resume().once('end', resolve),
      )
        .once('error', resolve)
        .end();
    });
  }

  it.each(
    ways.flatMap(([what, way]) => (['path', 'query', 'error'] as const).map((form) => [what, form, way] as const)),
  )('has nothing of a server that %s, the callback by %s', async (_, form, way) => {
    const url = await serve(way, contextPath);
    const text = await reportOf(
      url,
      (callback, state) => {
        const more = `${planted.callbackName}=${planted.callbackValue}`;
        if (form === 'error')
          return `${callback}?error=${planted.error}&error_description=${planted.callbackValue}&state=${state}&${more}`;
        return form === 'path'
          ? `${callback}/code=${planted.code}&state=${state}&${more}`
          : `${callback}?code=${planted.code}&state=${state}&${more}`;
      },
      planted.clientID,
      planted.secret,
    );
    if (text.length < 500) throw new Error(`There is no report: ${output}`);
    for (const [name, value] of Object.entries({
      ...planted,
      contextPath,
      port: new URL(url).port,
      address: '127.0.0.1',
    })) {
      const found = spellings(String(value)).find((spelling) => text.includes(spelling));
      expect([name, found]).toEqual([name, undefined]);
    }
    // And nothing that signs somebody in is on the terminal.
    for (const secret of [planted.code, planted.accessToken, planted.refreshToken, planted.secret])
      expect(output).not.toContain(secret);
  });
});
