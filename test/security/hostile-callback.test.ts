import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import fc from 'fast-check';
import passport from 'passport';
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { readAuthorizationResponse } from '../../lib/authorization.ts';
import { expressVersions, startTestApp, type TestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { rounds } from '../support/rounds.ts';
import { placesToWait } from '../support/state-stores.ts';

let server: PowerFolderServer;
beforeAll(async () => {
  server = await startPowerFolderServer({ autoApprove: 'ada' });
});
afterAll(() => server.close());
afterEach(() => jest.restoreAllMocks());

interface Answer {
  status: number;
  location: string | undefined;
  /** The code of a failure, of an error, or "signed in". */
  code: string | undefined;
}

/** One more strategy of the same application, with its own start and the same callback. */
interface Other {
  name: string;
  options: Partial<PowerFolderStrategyOptions>;
}
const others: Other[] = [
  { name: 'other-port', options: { serverURL: 'http://127.0.0.1:1' } },
  { name: 'other-context', options: { serverURL: undefined as never } },
  { name: 'other-client', options: { clientID: 'other' } },
  { name: 'other-callback', options: { callbackURL: 'http://127.0.0.1/oauth' } },
  { name: 'other-authorization', options: { authorizationURL: 'http://127.0.0.1:1/allow' } },
  { name: 'other-token', options: { tokenURL: 'http://127.0.0.1:1/token' } },
  { name: 'other-name', options: {} },
];

/** An application with the callback by callbackRoute for GET, by a route for every method, and by `app.use`. */
async function startHostileApp(
  express: (typeof expressVersions)[number][1],
  store: Pick<PowerFolderStrategyOptions, 'store'>,
): Promise<TestApp> {
  const { url: serverURL, clientID, clientSecret } = server;
  const options = { serverURL, clientID, clientSecret, ...store };
  return await startTestApp({
    express,
    options,
    before: (req, _res, next) => {
      // What a body parser leaves behind.
      if (req.headers['x-body']) Object.assign(req, { body: JSON.parse(String(req.headers['x-body'])) });
      next();
    },
    routes: (host, strategy) => {
      const { origin } = new URL(callbackURLOf(strategy));
      const mounted = new PowerFolderStrategy({ ...options, callbackURL: `${origin}/mounted` }, () => false);
      host.all(/^\/oauth(?:\/|$)/, answering(strategy));
      host.use('/mounted', answering(mounted));
      for (const { name, options: different } of others) {
        const all = { ...options, callbackURL: `${origin}/oauth`, ...different };
        if (name === 'other-context') all.serverURL = `${serverURL}/context`;
        const other = new PowerFolderStrategy(all, () => false);
        host.get(`/auth/${name}`, new passport.Passport().use(name, named(other, name)).authenticate(name));
      }
      // As applications do it, whatever the status is: a harness that mends it hides what visitors get.
      host.use(((error, _req, res, _next) => {
        res.status(error?.status ?? 500).json({ error: { name: error?.name, code: error?.code } });
      }) as ErrorRequestHandler);
    },
  });
}

function answering(strategy: PowerFolderStrategy): RequestHandler {
  return (req, res, next) => {
    const answered: passport.AuthenticateCallback = (error, user, failure, status) => {
      if (error) next(error);
      else res.status(user ? 200 : Number(status)).json(user ? { user } : { failure });
    };
    new passport.Passport().use(strategy).authenticate('powerfolder', answered)(req, res, next);
  };
}

function named(strategy: PowerFolderStrategy, name: string): PowerFolderStrategy {
  if (name === 'other-name') strategy.name = name;
  return strategy;
}

function callbackURLOf(strategy: PowerFolderStrategy): string {
  return (strategy as unknown as { _settings: { callbackURL: string } })._settings.callbackURL;
}

/** Sends a request target as it is: nothing between here and the application touches it. */
async function send(
  app: TestApp,
  target: string,
  { method = 'GET', headers = {}, body = '' }: { method?: string; headers?: object; body?: string } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(app.url);
  const sent = httpRequest({
    hostname,
    port,
    method,
    headers: { ...headers, ...(body && { 'content-length': body.length }) },
  });
  // Set afterwards, since node:http refuses some of what attackers send.
  sent.path = target;
  sent.end(body);
  const [response] = await once(sent, 'response');
  return read(response.statusCode, response.headers.location, await collect(response));
}

/** The same for what is no request line for node:http. */
async function sendRaw(app: TestApp, requestLine: string, headers = ''): Promise<Answer> {
  const socket = connect(Number(new URL(app.url).port), '127.0.0.1');
  socket.write(Buffer.from(`${requestLine}\r\nHost: localhost\r\nConnection: close\r\n${headers}\r\n`));
  const text = await collect(socket);
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  return read(status, /^location: (.*)$/im.exec(text)?.[1], text.slice(text.indexOf('\r\n\r\n') + 4));
}

async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function read(status: number, location: string | undefined, text: string): Answer {
  const json = /^\{.*\}$/s.test(text) ? JSON.parse(text) : {};
  return { status, location, code: json.user ? 'signed in' : (json.failure?.code ?? json.error?.code) };
}

/** A browser that has begun a sign-in, and the answer that waits for it. */
class Visitor {
  readonly app: TestApp;
  readonly browser = new Browser();
  cookie = '';

  constructor(app: TestApp) {
    this.app = app;
  }

  /** Begins a sign-in and gives its state. */
  async begin(start = '/auth/powerfolder'): Promise<string> {
    const page = await this.browser.stay(this.app.url + start);
    this.cookie = this.browser.cookies(this.app.url);
    return new URL(String(page.headers['location'])).searchParams.get('state') ?? '';
  }

  /** Goes on to the server, which allows, and gives the code. */
  async code(state: string): Promise<string> {
    const query = { state, response_type: 'code', redirect_uri: this.app.callbackURL, client_id: server.clientID };
    const page = await this.browser.stay(`${server.url}/oauth/allow?${new URLSearchParams(query)}`);
    return /code=(\w+)/.exec(String(page.headers['location']))?.[1] ?? '';
  }

  async send(target: string, options: { method?: string; headers?: object; body?: string } = {}): Promise<Answer> {
    return await send(this.app, target, { ...options, headers: { cookie: this.cookie, ...options.headers } });
  }

  async sendRaw(requestLine: string): Promise<Answer> {
    return await sendRaw(this.app, requestLine, `Cookie: ${this.cookie}\r\n`);
  }

  async signsIn(state: string, code: string): Promise<void> {
    expect(await this.send(`/oauth/code=${code}&state=${state}`)).toEqual({ status: 200, code: 'signed in' });
  }
}

const tokenRequests = () => server.requests.filter(({ endpoint }) => endpoint === 'token').length;
const expected = (status: number, code?: string): Answer => ({ status, code, location: undefined });

/** Templates: C is a code, S the valid state, X a forged one of the same form. */
type Row = [name: string, target: string, status: number, code: string];
const X = 'f'.repeat(32);

const hostileTargets: Row[] = [
  ['nothing', '/oauth', 400, 'invalid_callback'],
  ['nothing but a slash', '/oauth/', 400, 'invalid_callback'],
  ['nothing but an empty query', '/oauth?', 400, 'invalid_callback'],
  ['slashes', '/oauth//////', 400, 'invalid_callback'],
  ['another case', '/OAUTH/', 400, 'invalid_callback'],
  ['something else', '/oauth/favicon.ico', 400, 'invalid_callback'],
  ['dots', '/oauth/../oauth/..', 400, 'invalid_callback'],
  ['escaped dots', '/oauth/%2e%2e/%2e%2e', 400, 'invalid_callback'],
  ['a fragment', '/oauth#code=C&state=S', 400, 'invalid_callback'],
  ['a state alone', '/oauth?state=S', 400, 'invalid_callback'],
  ['a state alone, in the path', '/oauth/state=S', 400, 'invalid_callback'],
  ['a token of the implicit flow', '/oauth?access_token=x&state=S', 400, 'invalid_callback'],

  ['R15: two codes in the path', '/oauth/code=C&code=C&state=S', 400, 'invalid_callback'],
  ['R15: two codes in the query', '/oauth?code=C&code=evil&state=S', 400, 'invalid_callback'],
  ['R15: two states in the path', '/oauth/code=C&state=S&state=S', 400, 'invalid_callback'],
  ['R15: two states in the query', '/oauth?state=X&code=C&state=S', 400, 'invalid_callback'],
  ['R15: two errors', '/oauth?error=access_denied&error=x&state=S', 400, 'invalid_callback'],
  ['R15: two descriptions', '/oauth?error=x&error_description=a&error_description=b&state=S', 400, 'invalid_callback'],
  ['R15: a second code without a value', '/oauth?code=C&code&state=S', 400, 'invalid_callback'],
  ['R15: a second code with an escaped name', '/oauth?code=C&%63ode=evil&state=S', 400, 'invalid_callback'],
  ['R15: a code and an error', '/oauth/code=C&error=access_denied&state=S', 400, 'invalid_callback'],
  ['R15: a code and an empty error', '/oauth/code=C&error=&state=S', 400, 'invalid_callback'],
  ['R15: an error and an empty code', '/oauth?code=&error=access_denied&state=S', 400, 'invalid_callback'],
  ['R15: a code in both places', '/oauth/code=C&state=S?code=evil', 400, 'invalid_callback'],
  ['R15: the same code in both places', '/oauth/code=C&state=S?code=C', 400, 'invalid_callback'],
  ['R15: a state in both places', '/oauth/code=C&state=X?state=S', 400, 'invalid_callback'],
  ['R15: an error in the query behind a code in the path', '/oauth/code=C&state=S?error=x', 400, 'invalid_callback'],
  ['R15: everything in both places', '/oauth/code=C&state=S?code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded path', '/oauth/code=EVIL&state=X/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded code alone', '/oauth/code=EVIL/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded code and something else', '/oauth/code=EVIL&x=/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded code and a word', '/oauth/code=EVIL&x/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded query', '/oauth?code=EVIL&x=/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded error', '/oauth/error=access_denied/code=C&state=S', 400, 'invalid_callback'],
  ['R15: a pre-loaded state', '/oauth/state=S/code=C&state=X', 400, 'invalid_callback'],

  ['R15: code[]', '/oauth?code[]=C&state=S', 400, 'invalid_callback'],
  ['R15: code[a]', '/oauth?code[a]=C&state=S', 400, 'invalid_callback'],
  ['R15: code[0] and code[1]', '/oauth?code[0]=C&code[1]=C&state=S', 400, 'invalid_callback'],
  ['R11: state[]', '/oauth?code=C&state[]=S', 403, 'state_missing'],
  ['R11: state[a]', '/oauth?code=C&state[a]=S', 403, 'state_missing'],
  ['R11: State', '/oauth?code=C&State=S', 403, 'state_missing'],
  ['CODE', '/oauth/CODE=C&state=S', 400, 'invalid_callback'],
  ['semicolons', '/oauth?code=C;state=S', 403, 'state_missing'],
  ['R14: parameters that are escaped as a whole', '/oauth/code%3DC%26state%3DS', 400, 'invalid_callback'],
  ['R14: a state escaped twice', '/oauth/code=C&state=%25S', 403, 'state_unknown'],

  ['an empty code', '/oauth/code=&state=S', 400, 'invalid_callback'],
  ['a code without a value', '/oauth?code&state=S', 400, 'invalid_callback'],
  ['an empty error', '/oauth?error=&state=S', 400, 'invalid_callback'],
  ['R14: a lone percent sign', '/oauth/code=%&state=S', 400, 'invalid_callback'],
  ['R14: half an escape', '/oauth/code=C%4&state=S', 400, 'invalid_callback'],
  ['R14: an escape of other letters', '/oauth/code=%zz&state=S', 400, 'invalid_callback'],
  ['R14: an escape of IIS', '/oauth/code=%u0041&state=S', 400, 'invalid_callback'],
  ['R14: an escape that is not UTF-8', '/oauth/code=%ff&state=S', 400, 'invalid_callback'],
  ['R14: an overlong escape', '/oauth/code=%c0%af&state=S', 400, 'invalid_callback'],
  ['R14: an overlong NUL', '/oauth/code=a%c0%80&state=S', 400, 'invalid_callback'],
  ['R14: half a surrogate', '/oauth/code=%ed%a0%80&state=S', 400, 'invalid_callback'],
  ['R14: beyond Unicode', '/oauth/code=%f4%90%80%80&state=S', 400, 'invalid_callback'],
  ['R14: a malformed escape in the state', '/oauth/code=C&state=S%', 400, 'invalid_callback'],
  ['R14: a malformed escape in the description', '/oauth?error=x&error_description=%&state=S', 400, 'invalid_callback'],
  ['R14: NUL in the code', '/oauth/code=C%00&state=S', 400, 'invalid_callback'],
  ['R14: NUL in the state', '/oauth/code=C&state=S%00', 400, 'invalid_callback'],
  ['R14: a line break in the code', '/oauth/code=C%0d%0aSet-Cookie:%20a=b&state=S', 400, 'invalid_callback'],
  [
    'R14: a line break in the description',
    '/oauth?error=x&error_description=a%0d%0ab&state=S',
    400,
    'invalid_callback',
  ],
  ['R14: an escape character', '/oauth/code=%1b[31m&state=S', 400, 'invalid_callback'],
  ['R14: DEL', '/oauth/code=%7f&state=S', 400, 'invalid_callback'],
  ['R14: a control character beyond ASCII', '/oauth/code=%c2%9b&state=S', 400, 'invalid_callback'],
  ['R14: over 4 KiB of code', `/oauth/code=${'a'.repeat(4096)}&state=S`, 400, 'invalid_callback'],
  ['R14: over 4 KiB of something else', `/oauth/code=C&state=S&x=${'a'.repeat(4096)}`, 400, 'invalid_callback'],
  ['R14: two thousand parameters', `/oauth?code=C&state=S${'&a=b'.repeat(2000)}`, 400, 'invalid_callback'],

  ['R11: no state', '/oauth/code=C', 403, 'state_missing'],
  ['R11: an empty state', '/oauth/code=C&state=', 403, 'state_missing'],
  ['R11: a state without a value', '/oauth?code=C&state', 403, 'state_missing'],
  ['R6: a state that is too long', `/oauth/code=C&state=S${'a'.repeat(512)}`, 403, 'state_unknown'],
  ['R6: a state that is too short', '/oauth/code=C&state=a', 403, 'state_unknown'],
  ['R6: a state in capitals', `/oauth/code=C&state=${X.toUpperCase()}`, 403, 'state_unknown'],
  ['R6: a state with a space', '/oauth/code=C&state=S%20', 403, 'state_unknown'],
  ['R6: a state with a plus', '/oauth?code=C&state=S+', 403, 'state_unknown'],
  ['R7: a forged state', '/oauth/code=C&state=X', 403, 'state_unknown'],
  ['R16: the state __proto__', '/oauth/code=C&state=__proto__', 403, 'state_unknown'],
  ['R16: the state constructor', '/oauth/code=C&state=constructor', 403, 'state_unknown'],
  ['R16: the state length', '/oauth/code=C&state=length', 403, 'state_unknown'],
  ['R16: __proto__ for parameters', '/oauth?__proto__[code]=C&__proto__[state]=S', 400, 'invalid_callback'],
  ['R16: constructor for parameters', '/oauth?constructor[prototype][state]=S&code=C', 403, 'state_missing'],
  ['R16: __proto__ in the path', '/oauth/__proto__=C&state=S', 400, 'invalid_callback'],
  ['R10: an error without a state', '/oauth/error=access_denied', 403, 'state_missing'],
  ['R10: an error with a forged state', '/oauth?error=access_denied&state=X', 403, 'state_unknown'],
  [
    'R10: an error that would write a page',
    '/oauth?error=%3Cscript%3E&error_description=%3Cscript%3Ealert(1)%3C/script%3E&state=X',
    403,
    'state_unknown',
  ],
];

/** Request targets and lines that browsers do not send. */
const oddLines: [name: string, line: string, status: number, code: string | undefined][] = [
  ['R17: an absolute target', 'GET http://evil.example/oauth HTTP/1.1', 400, 'invalid_callback'],
  ['R17: an absolute target with a path', 'GET http://evil.example/oauth/x HTTP/1.1', 400, 'invalid_callback'],
  [
    'an absolute target with a forged response',
    'GET http://e.example/oauth/code=C&state=X HTTP/1.1',
    403,
    'state_unknown',
  ],
  [
    'an absolute target with credentials',
    'GET http://a:b@e.example/oauth?code=C&state=X HTTP/1.1',
    403,
    'state_unknown',
  ],
  ['R17: an absolute target of another scheme', 'GET ftp://evil.example/oauth HTTP/1.1', 400, 'invalid_callback'],
  ['an absolute target that is none', 'GET http://[::1/oauth?code=C&state=S HTTP/1.1', 404, undefined],
  ['two slashes before', 'GET //evil.example/oauth?code=C HTTP/1.1', 404, undefined],
  ['a backslash before', 'GET /\\evil.example/oauth HTTP/1.1', 404, undefined],
  ['R17: a fragment', 'GET /oauth#x HTTP/1.1', 400, 'invalid_callback'],
  ['a fragment with a response', 'GET /oauth/#/code=C&state=X HTTP/1.1', 403, 'state_unknown'],
  ['raw UTF-8', 'GET /oauth/code=ü&state=X HTTP/1.1', 400, undefined],
  ['a tab', 'GET /oauth/code=C\t&state=S HTTP/1.1', 400, undefined],
  ['NUL', 'GET /oauth/code=C\0&state=S HTTP/1.1', 400, undefined],
  ['quotes and brackets', 'GET /oauth/code=C&state="<>{}|^`[] HTTP/1.1', 403, 'state_unknown'],
  ['a star', 'GET * HTTP/1.1', 404, undefined],
  ['HTTP/1.0', 'GET /oauth/code=C&state=X HTTP/1.0', 403, 'state_unknown'],
  ['R17: an absolute target, by app.use', 'GET http://evil.example/mounted HTTP/1.1', 400, 'invalid_callback'],
  ['R17: a fragment, by app.use', 'GET /mounted#x HTTP/1.1', 400, 'invalid_callback'],
  ['R17: another case and a slash, by app.use', 'GET /MOUNTED/?x HTTP/1.1', 400, 'invalid_callback'],
  ['R13: a method of WebDAV', 'PROPFIND /oauth/code=C&state=S HTTP/1.1', 405, 'invalid_callback'],
  ['R13: TRACE', 'TRACE /oauth/code=C&state=S HTTP/1.1', 405, 'invalid_callback'],
  ['R14: over 16 KiB', `GET /oauth/code=${'a'.repeat(20_000)} HTTP/1.1`, 431, undefined],
];

const filled = (template: string, code: string, state: string) =>
  template
    .replace(/=C(?![a-z])/, `=${code}`)
    .replaceAll(/=(%25|)S(?![a-z])/g, `=$1${state}`)
    .replaceAll('=X', `=${X}`);

const combinations = expressVersions.flatMap(([version, express], n) =>
  placesToWait
    .map(([kept, makeStore]) => [version, kept, express, () => ({ store: makeStore() })] as const)
    // In `npm test` one place for each version.
    .filter((_, place) => rounds(1, 2) === 2 || place === n),
);

describe.each(combinations)(
  'an authorization response in %s, with pending sign-ins in %s',
  (_, kept, express, store) => {
    let app: TestApp;
    let visitor: Visitor;
    let state = '';
    let code = '';
    beforeAll(async () => {
      app = await startHostileApp(express, store());
      // One browser for the table: its sign-in has to be pending after every row.
      visitor = new Visitor(app);
      state = await visitor.begin();
      code = await visitor.code(state);
      server.requests.length = 0;
    });
    afterAll(() => app.close());

    describe('that is hostile', () => {
      it.each(hostileTargets)('%s', async (_name, target, status, failure) => {
        expect(await visitor.send(filled(target, code, state))).toEqual(expected(status, failure));
      });

      it.each(oddLines)('%s', async (_name, line, status, failure) => {
        expect(await visitor.sendRaw(filled(line, code, state))).toEqual(expected(status, failure));
      });

      it.each(['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'QUERY'])('R13: %s', async (method) => {
        const target = `/oauth/code=${code}&state=${state}`;
        expect(await visitor.send(target, { method })).toEqual(expected(405, 'invalid_callback'));
      });

      it('R13: HEAD', async () => {
        const target = `/oauth/code=${code}&state=${state}`;
        expect(await visitor.send(target, { method: 'HEAD' })).toEqual(expected(405));
      });

      it.each<[string, string, number, string]>([
        ['GET', '/oauth', 400, 'invalid_callback'],
        ['GET', '/oauth/code=C', 403, 'state_missing'],
        ['GET', '/oauth?state=S', 400, 'invalid_callback'],
        ['POST', '/oauth', 405, 'invalid_callback'],
      ])('R13: %s %s with the rest in the body', async (method, target, status, failure) => {
        const body = new URLSearchParams({ code, state }).toString();
        const headers = {
          'content-type': 'application/x-www-form-urlencoded',
          'x-body': JSON.stringify({ code, state }),
        };
        expect(await visitor.send(filled(target, code, state), { method, headers, body })).toEqual(
          expected(status, failure),
        );
      });

      it('R3: from a session without it, from a forged session, and from none', async () => {
        const target = `/oauth/code=${code}&state=${state}`;
        const stranger = new Visitor(app);
        await stranger.begin();
        expect(await stranger.send(target)).toEqual(expected(403, 'state_unknown'));
        // Only of a session can a browser have one that is not known any more.
        const forged = kept === 'cookies' ? 'session_missing' : 'state_unknown';
        const cookie = 'connect.sid=s%3Aforged.forged';
        expect(await send(app, target, { headers: { cookie } })).toEqual(expected(403, forged));
        const changed = { cookie: visitor.cookie.replace(/=(s%3A)?/g, '=$1x') };
        expect(await send(app, target, { headers: changed })).toEqual(expected(403, 'state_unknown'));
        expect(await send(app, target)).toEqual(expected(403, 'session_missing'));
        for (const cookie of ['connect.sid=', '__proto__=x', 'lang=de; theme=s']) {
          expect(await send(app, target, { headers: { cookie } })).toEqual(expected(403, 'session_missing'));
        }
      });

      // Last: now the row's sign-in is to be completed.
      it('R4, R7, R10, R11, R13, R15: made no token request, and the pending sign-in completes', async () => {
        expect(tokenRequests()).toBe(0);
        await visitor.signsIn(state, code);
        expect(tokenRequests()).toBe(1);
        expect(await visitor.send(`/oauth/code=${code}&state=${state}`)).toEqual(expected(403, 'state_used'));
        expect(await visitor.send(`/oauth/error=access_denied&state=${state}`)).toEqual(expected(403, 'state_used'));
        expect(tokenRequests()).toBe(1);
      });
    });

    it.each(others)('R9: fails when it was begun by another strategy: $name', async ({ name }) => {
      const both = new Visitor(app);
      const own = await both.begin();
      const foreign = await both.begin(`/auth/${name}`);
      server.requests.length = 0;
      for (const target of [`/oauth/code=x&state=${foreign}`, `/oauth?error=access_denied&state=${foreign}`]) {
        expect(await both.send(target)).toEqual(expected(403, 'state_mismatch'));
      }
      expect(tokenRequests()).toBe(0);
      await both.signsIn(own, await both.code(own));
    });

    it('R4: makes one token request when it comes twenty times at once', async () => {
      const many = new Visitor(app);
      const [first, second] = [await many.begin(), await many.begin()];
      const target = `/oauth/code=${await many.code(first)}&state=${first}`;
      server.requests.length = 0;
      const answers = await Promise.all(Array.from({ length: 20 }, () => many.send(target)));
      const failed = answers.filter(({ status }) => status !== 200);
      expect(failed).toEqual(Array.from({ length: 19 }, () => expected(403, 'state_used')));
      expect(tokenRequests()).toBe(1);
      await many.signsIn(second, await many.code(second));
    });

    it('R4: is spent before the token request is sent, whatever comes of that', async () => {
      const unlucky = new Visitor(app);
      const own = await unlucky.begin();
      server.failNext('token', { status: 500 });
      const target = `/oauth/code=${await unlucky.code(own)}&state=${own}`;
      expect(await unlucky.send(target)).toEqual(expected(502, 'refused'));
      expect(await unlucky.send(target)).toEqual(expected(403, 'state_used'));
    });

    it('R5: fails after ten minutes, and the younger one is still good', async () => {
      const slow = new Visitor(app);
      const start = Date.now();
      const early = await slow.begin();
      const now = jest.spyOn(Date, 'now').mockReturnValue(start + 5 * 60_000);
      const late = await slow.begin();
      const code = await slow.code(late);
      now.mockReturnValue(start + 10 * 60_000 + 1000);
      server.requests.length = 0;
      expect(await slow.send(`/oauth/code=${code}&state=${early}`)).toEqual(expected(403, 'state_expired'));
      expect(tokenRequests()).toBe(0);
      jest.restoreAllMocks();
      await slow.signsIn(late, code);
    });

    it('R7: is known for the eight youngest of nine sign-ins, in any order', async () => {
      const busy = new Visitor(app);
      const states: string[] = [];
      for (let n = 0; n < 9; n++) states.push(await busy.begin());
      const [oldest = '', ...pending] = states;
      expect(await busy.send(`/oauth/code=x&state=${oldest}`)).toEqual(expected(403, 'state_unknown'));
      for (const one of pending.reverse()) await busy.signsIn(one, await busy.code(one));
    });

    it('R8: completes two tabs in either order, and a third is not hurt', async () => {
      const tabs = new Visitor(app);
      const states = [await tabs.begin(), await tabs.begin(), await tabs.begin()];
      for (const tab of [1, 0, 2]) await tabs.signsIn(states[tab] ?? '', await tabs.code(states[tab] ?? ''));
    });

    it('R20: comes back to the configured address, whatever Host and X-Forwarded say', async () => {
      const headers = { host: 'evil.example', 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'https' };
      const { status, location } = await send(app, '/auth/powerfolder?callbackURL=https://evil.example', { headers });
      expect(status).toBe(302);
      expect(new URL(String(location)).searchParams.get('redirect_uri')).toBe(app.callbackURL);
      expect(location).not.toContain('evil');
    });

    // A cookie is found by the digest of its state: there is nothing to compare.
    if (kept === 'the session') {
      it('R6: has its state compared in constant time', async () => {
        const compare = jest.spyOn(jest.requireActual<typeof import('node:crypto')>('node:crypto'), 'timingSafeEqual');
        const visitor = new Visitor(app);
        const own = await visitor.begin();
        compare.mockClear();
        expect(await visitor.send(`/oauth/code=x&state=${X}`)).toEqual(expected(403, 'state_unknown'));
        expect(compare).toHaveBeenCalledWith(Buffer.from(own), Buffer.from(X));
      });
    }

    it('R15: is read with the code in one place and the state in the other', async () => {
      const split = new Visitor(app);
      const own = await split.begin();
      expect(await split.send(`/oauth/code=${await split.code(own)}?state=${own}`)).toMatchObject({ status: 200 });
      const again = await split.begin();
      expect(await split.send(`/oauth/state=${again}?code=${await split.code(again)}`)).toMatchObject({ status: 200 });
    });

    it('R10: that is an error with a valid state ends that sign-in only, as an error or a failure', async () => {
      const refused = new Visitor(app);
      const pending = await refused.begin();
      for (const [error, status, failure] of [
        ['access_denied', 403, 'access_denied'],
        // What the server itself says of itself: RFC 6749 section 4.1.2.1.
        ['server_error', 502, 'server_error'],
        ['temporarily_unavailable', 503, 'temporarily_unavailable'],
        ['invalid_scope', 500, 'invalid_scope'],
        // What the RFC does not know is an answer of the server's that makes no sense (R51).
        ['made_up', 502, 'made_up'],
        ['__proto__', 502, '__proto__'],
        ['%3Cscript%3E', 502, 'script'],
      ] as const) {
        const own = await refused.begin();
        expect(await refused.send(`/oauth?error=${error}&state=${own}`)).toEqual(expected(status, failure));
      }
      await refused.signsIn(pending, await refused.code(pending));
    });

    it('R14, R17: whatever the path and the query, is a 4xx or a sign-in, and spares what is pending', async () => {
      const junk = fc.oneof(
        fc
          .string({ unit: 'grapheme', maxLength: 40 })
          .filter((text) => !/\p{Cs}/u.test(text))
          .map(encodeURI),
        fc.string({ unit: fc.constantFrom(...'/?&=%#;:@[].+\\~^|<>"{}`abc019'), maxLength: 60 }),
      );
      const name = fc.constantFrom(
        'code',
        'state',
        'error',
        'error_description',
        'error_uri',
        'CODE',
        'c%6fde',
        'x',
        'code[]',
      );
      const value = fc.oneof(junk, fc.constantFrom('C', 'S', 'X', '', '%', '%00', 'access_denied', 'server_error'));
      const pairs = fc
        .array(fc.tuple(name, fc.constantFrom('=', '=', '=', '', '=='), value), { maxLength: 5 })
        .map((list) => list.map((pair) => pair.join('')).join('&'));
      const nearValid = fc.constantFrom(
        '/code=C&state=S',
        '?code=C&state=S',
        '/error=x&state=S',
        '?code=C',
        '/code=C&state=X',
      );
      const target = fc
        .tuple(fc.oneof(junk, pairs, nearValid), fc.constantFrom('', '?', '&', '/'), fc.oneof(junk, pairs))
        .map(([first, between, second]) => `/oauth${/^[/?]/.test(first) ? '' : '/'}${first}${between}${second}`);
      await fc.assert(
        fc.asyncProperty(target, fc.boolean(), async (template, withState) => {
          const visitor = new Visitor(app);
          const pending = await visitor.begin();
          const own = withState ? await visitor.begin() : X;
          const answer = await visitor.send(filled(template, withState ? await visitor.code(own) : 'c', own));
          const { status, location, code } = answer;
          const valid = withState && template.includes('=S');
          // Only who holds a valid state can write an error.
          const told = valid && !['invalid_callback', 'access_denied'].includes(String(code));
          expect([status >= 400 && status < 500, status === 200 && valid, told && status >= 500]).toContain(true);
          expect(location).toBeUndefined();
          await visitor.signsIn(pending, await visitor.code(pending));
        }),
        { numRuns: rounds(50, 200) },
      );
    });
  },
);

describe('readAuthorizationResponse', () => {
  const kinds = ['code', 'error', 'invalid', 'none'];

  it('R14: never throws', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc.string({ unit: fc.constantFrom(...'/?&=%#cdoestar%0aF\ud800\u0000'), maxLength: 80 }),
    );
    fc.assert(
      fc.property(text, (url) => void expect(kinds).toContain(readAuthorizationResponse(url).kind)),
      {
        numRuns: rounds(400, 2000),
      },
    );
  });

  it('R14: reads every code and state once, in both forms', () => {
    const plain = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter((text) => !/[\p{Cc}\p{Cs}]/u.test(text));
    fc.assert(
      fc.property(plain, plain, (code, state) => {
        const response = `code=${encodeURIComponent(code)}&state=${encodeURIComponent(state)}`;
        for (const form of [`/oauth/${response}`, `/oauth?${response}`, `/oauth/?${response}`]) {
          expect(readAuthorizationResponse(form)).toEqual({ kind: 'code', code, state });
        }
        const [first, second] = response.split('&');
        expect(readAuthorizationResponse(`/oauth/${first}?${second}`)).toEqual({ kind: 'code', code, state });
        expect(readAuthorizationResponse(`/oauth/${response}?${second}`)).toEqual({ kind: 'invalid' });
        expect(readAuthorizationResponse(`/oauth/${response}/${response}`)).toEqual({ kind: 'invalid' });
      }),
    );
  });

  it('R14, R15: gives values without control characters, and never a code with an error', () => {
    const word = fc.constantFrom('code', 'state', 'error', '=', '&', '?', '/', '%00', '%0a', '%41', 'a', '%', '+');
    fc.assert(
      fc.property(fc.array(word, { maxLength: 20 }), (words) => {
        const { kind, ...values } = readAuthorizationResponse(`/oauth${words.join('')}`);
        for (const value of Object.values(values)) expect(value ?? '').not.toMatch(/\p{Cc}/u);
        expect('code' in values && 'error' in values).toBe(false);
        expect('code' in values || 'error' in values).toBe(kind === 'code' || kind === 'error');
      }),
      { numRuns: rounds(200, 1000) },
    );
  });
});
