/** docs/tokens.md: the recipes for an SQL table, by PostgreSQL itself (compiled to WebAssembly), and for Redis. */
import { execFileSync, fork } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PowerFolderClient, type PowerFolderTokenKeeper, type PowerFolderTokens } from 'passport-powerfolder';
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import { createClient } from 'redis';
import { describeWith } from '../support/programs.ts';
import { blocksOf, recipe } from '../support/recipes.ts';
import { type Redis, startRedis } from '../support/redis.ts';
import { newTokens, startWithTokens } from '../support/simulated-sign-in.ts';
import { until } from '../support/until.ts';

const page = 'docs/tokens.md';
type Keeper = PowerFolderTokenKeeper<string>;

let server: PowerFolderServer;
let clients: PowerFolderClient[];
beforeEach(async () => {
  ({ server } = await startWithTokens({ rotateRefreshTokens: true }));
  const { url: serverURL, clientID, clientSecret } = server;
  // Two, as two processes have them.
  clients = [1, 2].map(() => new PowerFolderClient({ serverURL, clientID, clientSecret }));
});
afterEach(() => server.close());

const propfind = (token: string) =>
  fetch(`${server.url}/webdav/`, { method: 'PROPFIND', headers: { authorization: `Bearer ${token}`, depth: '0' } });
const refreshes = () => server.requests.filter(({ endpoint }) => endpoint === 'refresh').length;

async function expiredTokens(): Promise<PowerFolderTokens> {
  const { access_token: accessToken, refresh_token: refreshToken } = await newTokens(server);
  return { accessToken, refreshToken, expiresAt: Date.now() + 1000 };
}

async function usedByBoth(keepers: Keeper[]): Promise<number[]> {
  const uses = Array.from({ length: 10 }, (_, n) => (keepers[n % 2] as Keeper).use('ada', propfind));
  return (await Promise.all(uses)).map(({ status }) => status);
}

const allGood = Array(10).fill(207);

interface Database {
  query(sql: string, values?: unknown[]): Promise<{ rows: object[] }>;
}

function startDatabase(folder: string): { db: Database; ended: () => void } {
  const child = fork(join(__dirname, '../fixtures/sql-database.cjs'), [folder], { execArgv: [] });
  let asked = 0;
  const query: Database['query'] = (sql, values) =>
    new Promise((resolve, reject) => {
      const id = ++asked;
      const answered = (answer: { id: number; rows: object[]; error?: string }) => {
        if (answer.id !== id) return;
        child.off('message', answered);
        if (answer.error) reject(new Error(answer.error));
        else resolve(answer);
      };
      child.on('message', answered);
      child.send({ id, sql, values });
    });
  return { db: { query }, ended: () => child.kill() };
}

describe('in an SQL table', () => {
  let folder: string;
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('tokens are kept fresh by two processes, and a deleted row stays deleted', async () => {
    folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-sql-'));
    writeFileSync(join(folder, 'package.json'), '{ "private": true }');
    execFileSync('npm', ['install', '--no-audit', '--no-fund', '@electric-sql/pglite@0.5.16'], {
      cwd: folder,
      stdio: 'pipe',
    });
    const { db, ended } = startDatabase(folder);
    const [table = ''] = blocksOf(page, 'sql');
    await db.query(table);
    const { sqlKeeper, keep } = recipe<{
      sqlKeeper(client: PowerFolderClient, db: unknown): Keeper;
      keep(db: unknown, id: string, tokens: PowerFolderTokens): Promise<void>;
    }>(page, 'sqlKeeper');
    const keepers = clients.map((client) => sqlKeeper(client, db));
    await expect(keepers[0]?.use('ada', propfind)).rejects.toMatchObject({ code: 'sign_in_again' });
    await keep(db, 'ada', await expiredTokens());
    expect(await usedByBoth(keepers)).toEqual(allGood);
    server.expireTokens();
    expect(await usedByBoth(keepers)).toEqual(allGood);
    await keep(db, 'ada', await expiredTokens());
    // Deleted while a refresh is on its way.
    const use = keepers[0]?.use('ada', propfind);
    server.failNext('refresh', { drip: { everyMs: 2 } });
    await db.query('delete from powerfolder_tokens', []);
    await expect(use).rejects.toMatchObject({ code: 'sign_in_again' });
    expect((await db.query('select * from powerfolder_tokens', [])).rows).toEqual([]);
    ended();
  });
});

describeWith('redis-server', 'redis-cli')('in Redis, with a lock', () => {
  let redis: Redis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.close());

  it('tokens are refreshed once by two processes; a deleted user stays deleted, and newer tokens stay', async () => {
    const { redisKeeper } = recipe<{ redisKeeper(client: PowerFolderClient, redis: unknown): Keeper }>(
      page,
      'redisKeeper',
    );
    const connection = createClient({ socket: { path: redis.socket, tls: false } });
    await connection.connect();
    const keepers = clients.map((client) => redisKeeper(client, connection));
    await connection.set('powerfolder:ada', JSON.stringify(await expiredTokens()));
    expect(await usedByBoth(keepers)).toEqual(allGood);
    expect(refreshes()).toBe(1);
    server.expireTokens();
    expect(await usedByBoth(keepers)).toEqual(allGood);
    expect(refreshes()).toBe(2);
    expect(await connection.keys('*')).toEqual(['powerfolder:ada']);
    await connection.set('powerfolder:ada', JSON.stringify(await expiredTokens()));
    const use = keepers[0]?.use('ada', propfind);
    await connection.del('powerfolder:ada');
    await expect(use).rejects.toMatchObject({ code: 'sign_in_again' });
    expect(await connection.keys('*')).toEqual([]);
    // Signed in again while a refresh is on its way.
    const { keep } = recipe<{ keep(redis: unknown, userID: string, tokens: PowerFolderTokens): Promise<unknown> }>(
      page,
      'redisKeeper',
    );
    await keep(connection, 'ada', await expiredTokens());
    const newer = { ...(await expiredTokens()), expiresAt: Date.now() + 3_600_000 };
    server.failNext('refresh', { drip: { everyMs: 4 } });
    const before = refreshes();
    const late = keepers[0]?.use('ada', propfind);
    await until(() => refreshes() > before);
    await keep(connection, 'ada', newer);
    expect((await late)?.status).toBe(207);
    expect(JSON.parse((await connection.get('powerfolder:ada')) ?? '')).toEqual(newer);
    connection.destroy();
  });
});
