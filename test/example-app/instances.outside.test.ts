/** Several instances of the example app behind a balancer, with their sessions in a real Redis. */
import { registerClient } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { type Balancer, startBalancer } from '../support/balancer.ts';
import { Browser, type Page } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { describeWith } from '../support/programs.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { until } from '../support/until.ts';

const limit = 20;
const accounts = Array.from({ length: 20 }, (_, i) => ({
  ID: `id+/${i}=`,
  username: `visitor${i}`,
  password: `pw${i}`,
  firstname: 'Visitor',
  surname: `Number${i}`,
  files: { Documents: {} },
}));
type Account = (typeof accounts)[number];

let redis: Redis;
let powerFolder: PowerFolderServer;
let balancer: Balancer;
const instances: ExampleProcess[] = [];

/** Of one instance, at /healthz. */
async function health({ port }: ExampleProcess): Promise<number> {
  return (await new Browser().visit(`http://127.0.0.1:${port}/healthz`)).status;
}

async function startInstance(environment: Record<string, string> = {}): Promise<ExampleProcess> {
  const instance = await startInstanceWithoutRedis(environment);
  // It does not wait long for Redis before it listens.
  await until(async () => (await health(instance)) === 200);
  return instance;
}

async function startInstanceWithoutRedis(environment: Record<string, string> = {}): Promise<ExampleProcess> {
  const instance = await startExampleProcess(powerFolder, {
    BASE_URL: balancer.url,
    LISTEN_ADDRESS: '127.0.0.1',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'a secret that all instances share',
    TRUST_PROXY: 'loopback',
    SIGN_IN_LIMIT: String(limit),
    ...environment,
  });
  instances.push(instance);
  return instance;
}

const portsOf = (...some: ExampleProcess[]) => some.map(({ port }) => port);

let visitors = 0;
/** A browser at an address of its own. */
function newVisitor(): Browser {
  visitors++;
  return new Browser({ ...sameOrigin, 'X-Forwarded-For': `198.51.${visitors >> 8}.${visitors & 255}` });
}

async function signIn(browser: Browser, account: Account): Promise<Page> {
  const page = await browser.visit(`${balancer.url}/auth/powerfolder`);
  // Who was asked before is still logged in at PowerFolder.
  return page.text.includes('type="password"')
    ? await logInAndAllow(browser, page, account)
    : await browser.submit(page, 'Allow');
}

/** Where PowerFolder sends a browser that has begun to sign in and was allowed to. */
async function authorizationResponse(browser: Browser, account: Account): Promise<string> {
  const login = await browser.visit(`${balancer.url}/auth/powerfolder`);
  const consent = await browser.submit(login, 'Log in', { username: account.username, password: account.password });
  const atServer = (location: URL) => location.origin === new URL(powerFolder.url).origin;
  return String((await browser.submit(consent, 'Allow', {}, { follow: atServer })).headers['location']);
}

/** Whom each instance takes this browser for, by the account's ID; null for nobody. */
async function signedInAs(browser: Browser): Promise<(string | null)[]> {
  const ids: (string | null)[] = [];
  for (const _ of balancer.ports) {
    const page = await browser.stay(`${balancer.url}/account`);
    ids.push(/Account ID<\/dt><dd><code>([^<]*)</.exec(page.text)?.[1]?.replaceAll('&#43;', '+') ?? null);
  }
  return ids;
}

beforeEach(() => {
  balancer.sent.length = 0;
  powerFolder.requests.length = 0;
});

describeWith('redis-server')('several instances', () => {
  let pair: [ExampleProcess, ExampleProcess];

  beforeAll(async () => {
    redis = await startRedis({ persistent: true });
    powerFolder = await startPowerFolderServer({ accounts, rotateRefreshTokens: true });
    balancer = await startBalancer();
    pair = await Promise.all([startInstance(), startInstance()]);
    balancer.ports = portsOf(...pair);
  });
  afterAll(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.stop('SIGKILL')));
    await Promise.all([balancer?.close(), powerFolder?.close(), redis?.close()]);
  });

  const [ada, ben] = accounts as [Account, Account];

  it('finish on one what was begun on another', async () => {
    const browser = newVisitor();
    const page = await signIn(browser, ada);
    expect(page.text).toContain('Welcome, <bdi>Visitor Number0</bdi>.');
    const [begun, finished, ...others] = balancer.sent.filter(({ path }) => /^\/(?:auth|oauth)\//.test(path));
    expect([begun?.path, finished?.path, others]).toEqual([
      '/auth/powerfolder',
      expect.stringMatching(/^\/oauth\//),
      [],
    ]);
    expect(finished?.port).not.toBe(begun?.port);
    expect(await signedInAs(browser)).toEqual([ada.ID, ada.ID]);
  });

  it('sign out everywhere at once (R34)', async () => {
    const browser = newVisitor();
    const home = await signIn(browser, ada);
    const cookie = browser.cookies(balancer.url);
    await browser.submit(home, 'Sign out');
    const thief = newVisitor();
    thief.setCookies(balancer.url, cookie);
    expect(await signedInAs(thief)).toEqual([null, null]);
  });

  it('count sign-ins together, for each address (R47)', async () => {
    const [busy, other] = [newVisitor(), newVisitor()];
    const statuses: number[] = [];
    for (let i = 0; i < limit + 4; i++) statuses.push((await busy.stay(`${balancer.url}/auth/powerfolder`)).status);
    expect(statuses).toEqual([...Array(limit).fill(302), 429, 429, 429, 429]);
    expect((await other.stay(`${balancer.url}/auth/powerfolder`)).status).toBe(302);
  });

  it('renew a token at the same time, and nobody is signed out', async () => {
    const browser = newVisitor();
    await signIn(browser, ada);
    powerFolder.expireTokens();
    // The first has new tokens coming, slowly, and the server refuses the old refresh token to the second.
    powerFolder.failNext('refresh', { drip: { everyMs: 10, bytes: 50 } });
    const pages = await Promise.all([
      browser.visit(`${balancer.url}/folders`),
      browser.visit(`${balancer.url}/folders`),
    ]);
    expect(pages.map(({ status, trail }) => [status, trail.length])).toEqual([
      [200, 1],
      [200, 1],
    ]);
    expect(await signedInAs(browser)).toEqual([ada.ID, ada.ID]);
  });

  it('lose nobody when one of them is killed: 200 visitors, each stays who they are', async () => {
    interface Outcome {
      account: Account;
      browser: Browser;
      attempts: number;
      /** The session's cookie, if the sign-in was complete before the kill. */
      before: string | undefined;
    }
    const outcomes: Outcome[] = [];
    let killed = false;
    let restarted: Promise<void> | undefined;

    async function visitUntilSignedIn(account: Account): Promise<void> {
      const browser = newVisitor();
      for (let attempts = 1; attempts <= 5; attempts++) {
        // Whatever goes wrong is answered, and trying again is all that a visitor has to do.
        const page = await signIn(browser, account).catch((error: Error) => {
          if (!/^No form with a button/.test(error.message)) throw error;
          return undefined;
        });
        if (page?.text.includes('Welcome, ')) {
          const before = killed ? undefined : browser.cookies(balancer.url);
          outcomes.push({ account, browser, attempts, before });
          return;
        }
      }
      throw new Error(`${account.username} could not sign in`);
    }

    async function killOne(): Promise<void> {
      const [first, second] = pair;
      killed = true;
      await first.stop('SIGKILL');
      const next = await startInstance();
      pair = [next, second];
      balancer.ports = portsOf(...pair);
    }

    const waiting = Array.from({ length: 200 }, (_, i) => accounts[i % accounts.length] as Account);
    async function work(): Promise<void> {
      for (let account = waiting.pop(); account; account = waiting.pop()) {
        if (waiting.length < 130) restarted ??= killOne();
        await visitUntilSignedIn(account);
      }
    }
    await Promise.all(Array.from({ length: 20 }, work));
    await restarted;

    expect(outcomes).toHaveLength(200);
    const before = outcomes.filter((outcome) => outcome.before !== undefined);
    expect(before.length).toBeGreaterThan(40);
    expect(before.length).toBeLessThan(160);
    for (const { account, browser, before } of outcomes) {
      if (before !== undefined) expect(browser.cookies(balancer.url)).toBe(before);
      expect(await signedInAs(browser)).toEqual([account.ID, account.ID]);
    }
    // All the others were let in at the first attempt, or the one that was killed under them.
    expect(outcomes.filter(({ attempts }) => attempts > 1).length).toBeLessThanOrEqual(20);
    expect(Math.max(...outcomes.map(({ attempts }) => attempts))).toBeLessThanOrEqual(3);
  });

  it('finish a sign-in whose instance was killed in the middle of it, when the page is reloaded', async () => {
    const browser = newVisitor();
    const response = await authorizationResponse(browser, ben);
    powerFolder.failNext('token', { silence: true });
    const hanging = browser.visit(response);
    await until(() => powerFolder.requests.some(({ endpoint }) => endpoint === 'token'));
    const holder = pair.find(({ port }) => port === balancer.sent.at(-1)?.port) as ExampleProcess;
    await holder.stop('SIGKILL');
    expect((await hanging).status).toBe(502);

    const page = await browser.visit(response);
    expect(page.text).toContain('Welcome, <bdi>Visitor Number1</bdi>.');
    // And once is enough.
    expect((await newVisitor().visit(response)).status).toBe(403);

    pair = [pair[0] === holder ? pair[1] : pair[0], await startInstance()];
    balancer.ports = portsOf(...pair);
    expect(await signedInAs(browser)).toEqual([ben.ID, ben.ID]);
  });

  describe('while Redis is away', () => {
    /** Waits until both instances say so at /healthz. */
    async function untilHealth(status: number): Promise<void> {
      await until(async () => (await Promise.all(pair.map(health))).every((each) => each === status));
    }

    it('say so in a sentence and at /healthz, and go on by themselves when it is back', async () => {
      const [visitor, pending, newcomer] = [newVisitor(), newVisitor(), newVisitor()];
      await signIn(visitor, ada);
      const response = await authorizationResponse(pending, ben);
      powerFolder.requests.length = 0;
      const pids = pair.map((instance) => instance.process.pid);

      await redis.stop();
      await untilHealth(503);
      for (const [browser, url] of [
        [visitor, `${balancer.url}/`],
        [visitor, `${balancer.url}/account`],
        [visitor, `${balancer.url}/folders`],
        [newcomer, `${balancer.url}/auth/powerfolder`],
        [pending, response],
      ] as const) {
        // On both instances.
        for (let i = 0; i < 2; i++) {
          const page = await browser.stay(url);
          expect([url, page.status, page.text]).toEqual([url, 503, expect.stringContaining('Nothing is lost')]);
          expect(page.headers['referrer-policy']).toBe(url === response ? 'no-referrer' : 'same-origin');
          expect(page.headers['cache-control']).toBe('no-store');
        }
      }
      const left = await visitor.stay(`${balancer.url}/logout`, { method: 'POST', headers: sameOrigin });
      expect(left.status).toBe(503);
      // What needs no session is there.
      for (const path of ['/', '/style.css', '/signed-out']) {
        expect([path, (await newcomer.visit(balancer.url + path)).status]).toEqual([path, 200]);
      }
      // The code was not used up.
      expect(powerFolder.requests).toEqual([]);

      await redis.start();
      await untilHealth(200);
      expect(await signedInAs(visitor)).toEqual([ada.ID, ada.ID]);
      expect((await pending.visit(response)).text).toContain('Welcome, <bdi>Visitor Number1</bdi>.');
      expect((await signIn(newcomer, ada)).text).toContain('Welcome, <bdi>Visitor Number0</bdi>.');
      expect(pair.map((instance) => [instance.process.pid, instance.process.exitCode])).toEqual(
        pids.map((pid) => [pid, null]),
      );
    });

    it('count sign-ins again when it is back (R47)', async () => {
      const busy = newVisitor();
      const statuses: number[] = [];
      for (let i = 0; i < limit + 2; i++) statuses.push((await busy.stay(`${balancer.url}/auth/powerfolder`)).status);
      expect(statuses).toEqual([...Array(limit).fill(302), 429, 429]);
    });

    it('count sign-ins also when they were started before Redis (R47)', async () => {
      await redis.stop();
      const early = await startInstanceWithoutRedis();
      await redis.start();
      await untilHealth(200);
      balancer.ports = portsOf(early);
      try {
        const busy = newVisitor();
        const statuses = new Map<number, number>();
        await until(async () => (await busy.stay(`${balancer.url}/auth/powerfolder`)).status === 302);
        statuses.set(302, 1);
        for (let i = 1; i < limit + 2; i++) {
          const { status } = await busy.stay(`${balancer.url}/auth/powerfolder`);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
        }
        expect(Object.fromEntries(statuses)).toEqual({ 302: limit, 429: 2 });
      } finally {
        balancer.ports = portsOf(...pair);
        await early.stop();
      }
    });

    it('do not wait for a Redis that hangs', async () => {
      const visitor = newVisitor();
      await signIn(visitor, ada);
      redis.process().kill('SIGSTOP');
      try {
        const page = await visitor.stay(`${balancer.url}/account`);
        expect([page.status, page.text]).toEqual([503, expect.stringContaining('Nothing is lost')]);
        await untilHealth(503);
      } finally {
        redis.process().kill('SIGCONT');
      }
      await untilHealth(200);
      expect(await signedInAs(visitor)).toEqual([ada.ID, ada.ID]);
    });
  });

  describe('with secrets that change', () => {
    afterEach(() => {
      balancer.ports = portsOf(...pair);
    });

    it('take a new session secret without signing anybody out', async () => {
      const secrets = ['the old secret that signs cookies', 'the new secret that signs cookies'];
      const [old, both, turned, fresh] = await Promise.all(
        [secrets[0], secrets.join(','), secrets.toReversed().join(','), secrets[1]].map((SESSION_SECRET) =>
          startInstance({ SESSION_SECRET: SESSION_SECRET as string }),
        ),
      );
      const people: { browser: Browser; account: Account }[] = [];
      // Instance by instance: first all accept the new one, then all sign with it, then, after seven days, the old one goes.
      let signIns = 0;
      for (const running of [
        [old, old],
        [old, both],
        [both, both],
        [both, turned],
        [turned, turned],
        [turned, fresh],
        [fresh, fresh],
      ] as [ExampleProcess, ExampleProcess][]) {
        balancer.ports = portsOf(...running);
        // By then the sessions of before have ended.
        if (running[0] === turned && running[1] === fresh) people.splice(0, people.length - 1);
        const account = accounts[signIns++] as Account;
        const browser = newVisitor();
        await signIn(browser, account);
        people.push({ browser, account });
        for (const { browser, account } of people) expect(await signedInAs(browser)).toEqual([account.ID, account.ID]);
      }
      // In one step it would not do: what the one signs, the other does not know.
      balancer.ports = portsOf(turned as ExampleProcess, old as ExampleProcess);
      const [first] = people as [{ browser: Browser; account: Account }];
      expect((await signedInAs(first.browser)).toSorted()).toEqual([first.account.ID, null]);
    });

    it('take a new client secret without signing anybody out', async () => {
      const browser = newVisitor();
      await signIn(browser, ada);
      const { clientSecret } = await registerClient({
        serverURL: powerFolder.url,
        admin: powerFolder.admin,
        clientID: powerFolder.clientID,
      });
      expect(clientSecret).not.toBe(powerFolder.clientSecret);
      powerFolder.expireTokens();
      // Until an instance has it, it cannot refresh. It says so, and the session stays.
      const page = await browser.stay(`${balancer.url}/folders`);
      expect([page.status, page.text]).toEqual([500, expect.stringContaining('The mistake is ours')]);
      expect(await signedInAs(browser)).toEqual([ada.ID, ada.ID]);

      const next = await startInstance({ POWERFOLDER_CLIENT_SECRET: clientSecret });
      balancer.ports = portsOf(next);
      expect(await Promise.all(pair.map((instance) => instance.stop()))).toEqual([0, 0]);
      const folders = await browser.visit(`${balancer.url}/folders`);
      expect([folders.status, folders.trail.length]).toEqual([200, 1]);
      expect(folders.text).toContain('Documents');
      expect((await signIn(newVisitor(), ben)).text).toContain('Welcome, <bdi>Visitor Number1</bdi>.');
    });
  });
});
