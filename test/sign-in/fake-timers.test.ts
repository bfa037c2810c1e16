/** Applications are tested under fake timers: nothing of ours may wait for them (R55). */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { PowerFolderStrategy } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { expressVersions, startTestApp, type TestApp, type TestAppOptions } from '../support/app.ts';

let server: PowerFolderServer;
let app: TestApp;

async function start(changes: Partial<TestAppOptions>) {
  server = await startPowerFolderServer({ autoApprove: 'ada' });
  const { url: serverURL, clientID, clientSecret } = server;
  app = await startTestApp({ ...changes, options: { serverURL, clientID, clientSecret, ...changes.options } });
  jest.useFakeTimers();
}

afterEach(async () => {
  jest.useRealTimers();
  await app?.close();
  await server?.close();
});

/** A visitor of node's own client: undici's `request`, which our Browser uses, waits for timers. */
async function visit(url: string): Promise<{ status: number | undefined; body: string }> {
  let cookie = '';
  for (let next = url; ; ) {
    const [response] = (await once(get(next, { headers: cookie ? { cookie } : {} }), 'response')) as [IncomingMessage];
    const body = await text(response);
    const { location, 'set-cookie': setCookie } = response.headers;
    cookie ||= setCookie?.[0]?.split(';')[0] ?? '';
    if (!location) return { status: response.statusCode, body };
    next = location;
  }
}

class Subclass extends PowerFolderStrategy {
  override userProfile(accessToken: string, done: (error?: unknown, profile?: never) => void) {
    super.userProfile(accessToken, done as never);
  }
}
const classic = (_a: unknown, _r: unknown, profile: object, done: (error: null, user: object) => void) =>
  done(null, { profile });
const skipUserProfile = (_a: string, done: (error: null, skip: boolean) => void) => done(null, false);

describe.each(expressVersions)("a sign-in under Jest's fake timers, in %s", (_, express) => {
  it.each<[string, object]>([
    ['with verify of one parameter', {}],
    ['with a classic verify', { verify: classic }],
    ['with a userProfile of a subclass', { strategy: (...args: [never, never]) => new Subclass(...args) }],
    ['with a skipUserProfile with a callback', { options: { skipUserProfile } }],
  ])('R55: succeeds, %s', async (_name, changes) => {
    await start({ express, ...changes });
    const { status, body } = await visit(`${app.url}/auth/powerfolder`);
    expect([status, JSON.parse(body).user?.profile.username]).toEqual([200, 'ada']);
  });

  it('R55: fails, with a state that is unknown', async () => {
    await start({ express });
    expect((await visit(`${app.url}/oauth/code=x&state=y`)).status).toBe(403);
  });

  it('R55: is an error, with a server that is broken', async () => {
    await start({ express });
    server.failNext('token', { status: 500 });
    expect((await visit(`${app.url}/auth/powerfolder`)).status).toBe(502);
  });
});
