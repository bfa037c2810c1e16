/** What must hold of the example's users and their tokens wherever they are kept. In Redis: redis.outside.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '../../example-app/logging.ts';
import { MemoryStorage } from '../../example-app/storage.ts';
import type { SignedInUser } from '../../example-app/user.ts';
import { DatabaseUsers, StoredUsers, type Users } from '../../example-app/users.ts';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const hasSQLite = major > 22 || (major === 22 && minor >= 13);
if (!hasSQLite) {
  process.stderr.write(
    `NOT RUN on Node ${major}: users in SQLite, which Node has from 22.13 on (npm run test:matrix)\n`,
  );
}

const log: string[] = [];
const logger = createLogger({ write: (line) => log.push(line) });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-users-'));
  log.length = 0;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const kinds: [string, () => Users][] = [['memory', () => new StoredUsers(new MemoryStorage(), logger)]];
if (hasSQLite) {
  kinds.push(['SQLite', () => DatabaseUsers.open() as Users]);
  kinds.push(['a file of SQLite', () => DatabaseUsers.open(join(folder, 'users.sqlite')) as Users]);
}

const ada: SignedInUser = {
  id: 'aB+c/1',
  username: 'ada',
  displayName: "Ada'); DROP TABLE users; --",
  emails: [],
  spaceUsed: undefined,
  spaceAllowed: undefined,
};
const bob = { ...ada, id: 'bob' };
const tokens = (accessToken: string) => ({
  accessToken,
  refreshToken: `${accessToken}-r`,
  expiresAt: 1_800_000_000_000,
});

describe.each(kinds)('users in %s', (_, make) => {
  it('have the tokens of their last sign-in, each their own', async () => {
    const users = make();
    expect(await users.loadTokens(ada.id)).toBeUndefined();
    expect(await users.signIn(ada, tokens('a1'))).toEqual(ada);
    await users.signIn(bob, tokens('b1'));
    await users.signIn(ada, tokens('a2'));
    expect([await users.loadTokens(ada.id), await users.loadTokens(bob.id)]).toEqual([tokens('a2'), tokens('b1')]);
  });

  it('keep new tokens only where those are still kept that they were made from (R65)', async () => {
    const users = make();
    await users.signIn(ada, tokens('a1'));
    expect(await users.replaceTokens(ada.id, tokens('a1'), tokens('a2'))).toBe(true);
    expect(await users.replaceTokens(ada.id, tokens('a1'), tokens('a3'))).toBe(false);
    expect(await users.loadTokens(ada.id)).toEqual(tokens('a2'));
  });

  it('have none after a sign-out, whatever was refreshed meanwhile (R65)', async () => {
    const users = make();
    await users.signIn(ada, tokens('a1'));
    await users.signIn(bob, tokens('b1'));
    await users.forgetTokens(ada.id);
    expect(await users.replaceTokens(ada.id, tokens('a1'), tokens('a2'))).toBe(false);
    expect([await users.loadTokens(ada.id), await users.loadTokens(bob.id)]).toEqual([undefined, tokens('b1')]);
    await users.forgetTokens('nobody');
    await users.signIn(ada, tokens('a3'));
    expect(await users.loadTokens(ada.id)).toEqual(tokens('a3'));
  });

  it('may have tokens of which less is known', async () => {
    const users = make();
    await users.signIn(ada, { accessToken: 'a', refreshToken: undefined, expiresAt: undefined, scope: ['x'] } as never);
    expect(await users.loadTokens(ada.id)).toEqual({ accessToken: 'a' });
    expect(await users.replaceTokens(ada.id, { accessToken: 'a' } as never, tokens('b'))).toBe(true);
  });
});

if (hasSQLite) {
  it('a file of SQLite keeps them over a restart', async () => {
    const file = join(folder, 'users.sqlite');
    await DatabaseUsers.open(file)?.signIn(ada, tokens('a1'));
    expect(await DatabaseUsers.open(file)?.loadTokens(ada.id)).toEqual(tokens('a1'));
  });
} else {
  it('SQLite is none where Node has none', () => {
    expect(DatabaseUsers.open()).toBeUndefined();
  });
}

describe('users in memory', () => {
  it.each(['{', '[]', '{"accessToken":""}', '{"accessToken":"a","expiresAt":"soon"}', 'null'])(
    'whose tokens cannot be read, %s, have none, and the log says so (R69)',
    async (text) => {
      const storage = new MemoryStorage();
      await storage.change({ key: `tokens:${ada.id}`, value: text, ttl: 60_000 });
      expect(await new StoredUsers(storage, logger).loadTokens(ada.id)).toBeUndefined();
      expect(log.join()).toContain('"event":"unreadable","code":"tokens"');
    },
  );

  it('are refreshed by one at a time, and by the next when the first fails', async () => {
    const users = new StoredUsers(new MemoryStorage(), logger);
    const order: string[] = [];
    const work = (name: string, fail: boolean) => async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      order.push(`${name} ends`);
      if (fail) throw new Error(name);
    };
    const done = await Promise.allSettled([
      users.lockTokens(ada.id, work('first', true)),
      users.lockTokens(ada.id, work('second', false)),
    ]);
    expect(done.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
    expect(order).toEqual(['first begins', 'first ends', 'second begins', 'second ends']);
  });
});
