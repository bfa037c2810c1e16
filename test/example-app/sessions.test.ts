/** Sessions in the memory of a process. In Redis: example-redis.test.ts. */
import { MemoryStorage, StorageError } from '../../example-app/storage.ts';
import { authorizationResponse, type Example, signedIn, startExample } from '../support/example.ts';
import { sessionScenes } from '../support/session-scenes.ts';

describe('sessions in memory', () => {
  sessionScenes(async (options) => {
    const app = await startExample(options);
    const { entries } = app.sessions;
    return {
      app,
      kept: {
        keys: () => [...entries.keys()],
        get: (key) => entries.get(key)?.value ?? '',
        put(key, value) {
          const entry = entries.get(key);
          if (entry) entries.set(key, { ...entry, value });
        },
      },
    };
  });

  describe('when there is no room for one more', () => {
    const running: Example[] = [];
    afterEach(async () => {
      await Promise.all(running.splice(0).map((each) => each.close()));
    });

    async function start(): Promise<Example> {
      const app = await startExample();
      running.push(app);
      return app;
    }

    function fill({ sessions: { entries } }: Example): void {
      for (let i = 0; entries.size < 100_000; i++) entries.set(`other:${i}`, { value: '', until: Number.MAX_VALUE });
    }

    it('no sign-in begins, and the app is not ready (R66)', async () => {
      const app = await start();
      expect((await app.browser().stay(`${app.url}/auth/powerfolder`)).status).toBe(302);
      fill(app);
      expect((await app.browser().visit(`${app.url}/healthz`)).status).toBe(503);
      const page = await app.browser().stay(`${app.url}/auth/powerfolder?returnTo=/account`);
      expect([page.status, page.text]).toEqual([503, expect.stringContaining('Please come back in a moment')]);
      expect([page.headers['location'], page.headers['set-cookie']]).toEqual([undefined, undefined]);
    });

    it('a sign-in whose session cannot be saved signs nobody in, and says so (R66)', async () => {
      const app = await start();
      const visitor = await signedIn(app);
      const browser = app.browser();
      const response = await authorizationResponse(browser, app);
      const cookie = browser.cookies(app.url);
      const before = app.sessions.all();
      fill(app);
      const page = await browser.stay(response);
      expect([page.status, page.text]).toEqual([503, expect.stringContaining('Please come back in a moment')]);
      expect(page.text).toContain('href="/auth/powerfolder">Try again</a>');
      expect([page.headers['location'], page.headers['set-cookie']]).toEqual([undefined, undefined]);
      expect(browser.cookies(app.url)).toBe(cookie);
      expect(app.sessions.all()).toEqual(before);
      expect(app.log.filter((line) => line.includes('"event":"signed in"'))).toHaveLength(1);
      // Those who are signed in are not thrown out for it.
      expect((await visitor.visit(`${app.url}/account`)).text).toContain('Account ID');
    });
  });
});

describe('MemoryStorage', () => {
  afterEach(() => jest.restoreAllMocks());

  it('makes all changes or none', async () => {
    const storage = new MemoryStorage();
    expect(await storage.change({ key: 'a', if: 'absent', value: '1', ttl: 1000 })).toBe(true);
    const refused = [
      { key: 'a', if: 'absent' as const },
      { key: 'c', if: 'present' as const },
      { key: 'a', is: '2' },
      { key: 'c', is: '' },
    ];
    for (const change of refused) {
      expect([change, await storage.change({ key: 'b', value: '1', ttl: 1000 }, change)]).toEqual([change, false]);
    }
    expect(await storage.get('b')).toBeUndefined();
    expect(await storage.change({ key: 'a', is: '1', value: null }, { key: 'b', value: '2', ttl: 1000 })).toBe(true);
    expect([await storage.get('a'), await storage.get('b')]).toEqual([undefined, '2']);
  });

  it('forgets what has expired when it needs the room, and takes no more than it was told (R47)', async () => {
    const storage = new MemoryStorage(3);
    for (const key of ['a', 'b']) await storage.change({ key, value: '', ttl: 1000 });
    await storage.change({ key: 'c', value: '', ttl: 5000 });
    await expect(storage.change({ key: 'd', value: '', ttl: 5000 })).rejects.toThrow(StorageError);
    await storage.change({ key: 'c', value: 'again', ttl: 5000 });
    const now = Date.now();
    jest.spyOn(Date, 'now').mockImplementation(() => now + 2000);
    await storage.change({ key: 'd', value: '', ttl: 5000 });
    expect([...storage.entries.keys()]).toEqual(['c', 'd']);
    jest.mocked(Date.now).mockImplementation(() => now + 70_000);
    await storage.change({ key: 'e', value: '', ttl: 5000 });
    // And once a minute without need: tokens are among it.
    expect([...storage.entries.keys()]).toEqual(['e']);
    // A new time brings nothing back.
    await storage.change({ key: 'a', ttl: 5000 });
    expect(await storage.get('a')).toBeUndefined();
  });
});
