/**
 * R51: what visitors get when the server fails, by the error handling that each framework brings itself. A status of the
 * server's must never become the visitor's.
 */
import type express5 from 'express';
import type { ErrorRequestHandler, RequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import {
  AuthorizationError,
  callbackRoute,
  PowerFolderError,
  PowerFolderStrategy,
  type PowerFolderVerifyFunction,
  TokenError,
} from 'passport-powerfolder';
import {
  type PowerFolderEndpoint,
  type PowerFolderFault,
  type PowerFolderServer,
  startPowerFolderServer,
} from 'passport-powerfolder/testing';
import { expressVersions, startTestApp, type TestApp } from '../support/app.ts';
import { Browser, type Page } from '../support/browser.ts';
import { patience } from '../support/deadlines.ts';
import { koaApp } from '../support/koa-app.ts';
import { type Make, type Neighbour, startNeighbour, startNeighbourProcess } from '../support/neighbour.ts';
import { type RequestRoute, serverRequests } from '../support/requests.ts';

// It takes its time to start a process on a busy machine.

/** An Express application, with the error handling that applications write or without any. */
function expressApp(makeExpress: typeof express5, answerError?: ErrorRequestHandler): Make {
  return (options) => {
    const app = makeExpress();
    const authenticator = new passport.Passport();
    authenticator.use(new PowerFolderStrategy(options, async ({ profile }) => ({ name: profile.username })));
    app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
    app.get('/auth/powerfolder', authenticator.authenticate('powerfolder'));
    const complete = authenticator.authenticate('powerfolder', { session: false }) as RequestHandler;
    app.get(callbackRoute('/oauth'), complete, (_req, res) => {
      res.end();
    });
    for (const [name, request] of Object.entries(serverRequests(options))) {
      app.get(`/${name}`, (_req, res, next) => {
        request().then((value) => res.json(value), next);
      });
    }
    if (answerError) app.use(answerError);
    return app;
  };
}

const answerStatus: ErrorRequestHandler = (error, _req, res, _next) => {
  res.status(error.status ?? 500).send(error.message);
};

const options = { strategy: { timeout: patience } };
const frameworks: [string, () => Promise<Neighbour>][] = [
  ...expressVersions.flatMap(([version, make]): [string, () => Promise<Neighbour>][] => [
    [`${version} without an error handler`, () => startNeighbour(expressApp(make), options)],
    [`${version} with error.status ?? 500`, () => startNeighbour(expressApp(make, answerStatus), options)],
  ]),
  ['Koa', () => startNeighbour(koaApp(), options)],
  ['Fastify', () => startNeighbourProcess('fastify-app.mts', options)],
  ['NestJS', () => startNeighbourProcess('nest-app.mts', options)],
];

const page = '<!DOCTYPE html><title>Log in</title>';
const refusal = (status: number, error: string) => ({ status, body: { error } });
const soon = { 'Retry-After': '30' };
const atSomeTime = { 'Retry-After': new Date(Date.now() + 3_600_000).toUTCString() };

interface Row {
  answer: PowerFolderFault & { status?: number };
  /** What the visitor gets where the token endpoint gave the answer … */
  token: number;
  /** … and where the profile endpoint did, or another address that is asked with an access token. */
  resource: number;
}
const rows: Row[] = [
  { answer: { body: page }, token: 502, resource: 502 },
  { answer: { body: {} }, token: 502, resource: 502 },
  { answer: refusal(200, 'invalid_client'), token: 500, resource: 502 },
  { answer: refusal(200, 'made_up'), token: 502, resource: 502 },
  { answer: { status: 204 }, token: 502, resource: 502 },
  { answer: { status: 302, headers: { Location: '/login' } }, token: 502, resource: 502 },
  { answer: { status: 400, body: page }, token: 502, resource: 502 },
  { answer: { status: 401 }, token: 502, resource: 502 },
  { answer: refusal(401, 'invalid_client'), token: 500, resource: 502 },
  { answer: { status: 403, body: page }, token: 502, resource: 502 },
  { answer: { status: 404, body: page }, token: 502, resource: 502 },
  { answer: { status: 429, headers: soon }, token: 503, resource: 503 },
  { answer: { ...refusal(429, 'invalid_request'), headers: soon }, token: 503, resource: 503 },
  { answer: { status: 451, body: page }, token: 502, resource: 502 },
  { answer: { status: 500, body: page }, token: 502, resource: 502 },
  { answer: refusal(500, 'invalid_client'), token: 502, resource: 502 },
  { answer: { status: 503, headers: soon, body: page }, token: 503, resource: 503 },
  { answer: { status: 503, headers: atSomeTime }, token: 503, resource: 503 },
  { answer: refusal(503, 'temporarily_unavailable'), token: 503, resource: 503 },
];
/** Words of the token endpoint; elsewhere they mean nothing. */
const words: Row[] = Object.entries({
  // The application's mistakes, by RFC 6749 section 5.2.
  invalid_request: 500,
  invalid_client: 500,
  unauthorized_client: 500,
  unsupported_grant_type: 500,
  invalid_scope: 500,
  // Words that section 5.2 does not have; the last two are codes of errors, by which frameworks answer 4xx.
  temporarily_unavailable: 502,
  server_error: 502,
  access_denied: 502,
  made_up: 502,
  ENOENT: 502,
  FST_ERR_VALIDATION: 502,
}).map(([error, token]) => ({ answer: refusal(400, error), token, resource: 502 }));

describe.each(frameworks)('R51: in %s', (_, start) => {
  let app: Neighbour;
  beforeAll(async () => {
    app = await start();
  });
  afterAll(() => app?.close());

  /** Begins a sign-in and calls back. */
  async function callBack(parameters: string): Promise<Page> {
    const browser = new Browser();
    const { headers } = await browser.stay(`${app.url}/auth/powerfolder`);
    const state = new URL(String(headers['location'])).searchParams.get('state');
    return await browser.stay(`${app.url}/oauth?${parameters}&state=${state}`);
  }

  /** What the visitor gets for each answer, beside what is expected. */
  async function compare(
    table: Row[],
    endpoint: PowerFolderEndpoint,
    ask: () => Promise<Page>,
    column: 'token' | 'resource',
  ): Promise<void> {
    const found: string[] = [];
    for (const { answer } of table) {
      app.powerfolder.failNext(endpoint, answer);
      found.push(`${(await ask()).status} for ${JSON.stringify(answer)}`);
    }
    expect(found).toEqual(table.map((row) => `${row[column]} for ${JSON.stringify(row.answer)}`));
  }

  const request = (route: RequestRoute) => () => new Browser().stay(`${app.url}/${route}`);

  it('a visitor at the callback gets a 5xx for whatever the token endpoint answers', async () => {
    await compare([...rows, ...words], 'token', () => callBack('code=x'), 'token');
  });

  it('a visitor at the callback gets a 5xx for whatever the profile endpoint answers', async () => {
    const tokens = { access_token: '1access' };
    const ask = () => {
      app.powerfolder.failNext('token', { body: tokens });
      return callBack('code=x');
    };
    await compare(rows, 'accounts', ask, 'resource');
  });

  it.each(['fresh', 'oauth2-refresh'] as const)(
    'a visitor of a page with a refresh (%s) gets a 5xx for whatever the token endpoint answers',
    async (route) => {
      await compare([...rows, ...words], 'refresh', request(route), 'token');
    },
  );

  it('a visitor of a page that uses _oauth2.get gets a 5xx for whatever refusal it gets', async () => {
    const refusals = rows.filter(({ answer }) => (answer.status ?? 200) > 299);
    await compare(refusals, 'accounts', request('get'), 'resource');
  });

  it('a visitor whose refresh token is not accepted any more gets a 5xx where the page does not care', async () => {
    const statuses: number[] = [];
    for (const route of ['fresh', 'oauth2-refresh'] as const) {
      app.powerfolder.failNext('refresh', refusal(400, 'invalid_grant'));
      statuses.push((await request(route)()).status);
    }
    expect(statuses).toEqual([502, 500]);
  });

  it('a visitor whose code is not accepted any more has failed to sign in, which is no error', async () => {
    app.powerfolder.failNext('token', refusal(400, 'invalid_grant'));
    const { status, headers } = await callBack('code=x');
    expect([status, headers['location']]).toEqual(status === 302 ? [302, '/failed'] : [401, undefined]);
  });

  it('a visitor whom the server sends back with an error gets a 5xx, by RFC 6749 section 4.1.2.1', async () => {
    const expected = {
      server_error: 502,
      temporarily_unavailable: 503,
      invalid_request: 500,
      unauthorized_client: 500,
      unsupported_response_type: 500,
      invalid_scope: 500,
      made_up: 502,
      ENOENT: 502,
    };
    const found: Record<string, number> = {};
    for (const error of Object.keys(expected)) found[error] = (await callBack(`error=${error}`)).status;
    expect(found).toEqual(expected);
  });

  // The last one: where connecting already takes too long, the server stays silent at the next request.
  it('a visitor gets 504 when the server is late, and 502 when it is away', async () => {
    app.powerfolder.failNext('refresh', { silence: true });
    expect([(await request('late')()).status, (await request('away')()).status]).toEqual([504, 502]);
  });
});

describe.each(expressVersions)(
  'in %s an error at the callback of a sign-in with a state of the application',
  (_, make) => {
    const state = { returnTo: '/x' };
    let server: PowerFolderServer;
    let app: TestApp;
    afterEach(async () => {
      await app.close();
      await server.close();
    });

    async function start(verify?: PowerFolderVerifyFunction): Promise<void> {
      server = await startPowerFolderServer({ autoApprove: 'ada' });
      const { url: serverURL, clientID, clientSecret } = server;
      app = await startTestApp({
        express: make,
        options: { serverURL, clientID, clientSecret },
        start: { state },
        ...(verify && { verify }),
      });
    }

    /** Signs in, for an error that the server's answers give. */
    async function signIn(...faults: [PowerFolderEndpoint, PowerFolderFault][]): Promise<[number, unknown]> {
      for (const [endpoint, fault] of faults) server.failNext(endpoint, fault);
      const { status } = await new Browser().visit(`${app.url}/auth/powerfolder`);
      return [status, app.errors.pop()];
    }

    it('R51: carries it, whichever endpoint failed, with the time after which to try again', async () => {
      await start();
      const [refused, tokenError] = await signIn(['token', refusal(400, 'invalid_client')]);
      expect([refused, tokenError]).toEqual([500, expect.any(TokenError)]);
      expect(tokenError).toMatchObject({ code: 'invalid_client', serverStatus: 400, state });

      const busy = { status: 503, headers: soon };
      for (const endpoint of ['token', 'accounts'] as const) {
        const [status, error] = await signIn([endpoint, busy]);
        expect([status, error]).toEqual([503, expect.any(PowerFolderError)]);
        expect(error).toMatchObject({ code: 'refused', serverStatus: 503, retryAfter: 30_000, state });
      }
    });

    it("R51: carries it where it is the server's answer itself", async () => {
      await start();
      const browser = new Browser();
      const { headers } = await browser.stay(`${app.url}/auth/powerfolder`);
      const sent = new URL(String(headers['location'])).searchParams.get('state');
      const { status } = await browser.visit(`${app.url}/oauth/error=temporarily_unavailable&state=${sent}`);
      const [error] = app.errors;
      expect([status, error]).toEqual([503, expect.any(AuthorizationError)]);
      expect(error).toMatchObject({
        code: 'temporarily_unavailable',
        status: 503,
        statusCode: 503,
        expose: false,
        state,
      });
    });

    it('R51: is none where no sign-in is found: a forged answer is a failure', async () => {
      await start();
      const { status } = await new Browser().visit(`${app.url}/oauth/error=server_error&state=forged`);
      expect([status, app.errors]).toEqual([403, []]);
    });

    it("R51: is the application's own, untouched, where verify threw it", async () => {
      const own = Object.freeze(Object.assign(new Error('out of stock'), { status: 418, statusCode: 419 }));
      await start(() => {
        throw own;
      });
      const [status, error] = await signIn();
      expect([status, error]).toEqual([418, own]);
      expect(error).toBe(own);
      expect({ ...own }).toEqual({ status: 418, statusCode: 419 });
    });

    it('R51: is untouched too where verify threw one of ours that belongs to other requests as well', async () => {
      const shared = Object.freeze(new PowerFolderError('refused', 'No job was found.'));
      await start(() => {
        throw shared;
      });
      const [status, error] = await signIn();
      expect([status, error]).toEqual([502, shared]);
    });
  },
);
