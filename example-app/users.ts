/**
 * Who uses the app, and their access to PowerFolder. **The place of your own database**: write another {@link Users}, and give
 * it to `createApp` in server.ts. {@link DatabaseUsers} shows it in SQL.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { PowerFolderTokens } from 'passport-powerfolder';
import type { Logger } from 'pino';
import { type Storage, StorageError, serialized } from './storage.ts';
import type { SignedInUser } from './user.ts';

/** Tokens are known by their user, whatever becomes of sessions: a user has one row, and a later sign-in writes over it. */
export interface Users {
  /** Finds or makes the user who signs in, and keeps the tokens. What it gives is in the session from then on; false refuses. */
  signIn(user: SignedInUser, tokens: PowerFolderTokens): Promise<SignedInUser | false>;
  loadTokens(id: string): Promise<PowerFolderTokens | undefined>;
  /** Replaces tokens if they are still the same. @returns whether it did. */
  replaceTokens(id: string, from: PowerFolderTokens, to: PowerFolderTokens): Promise<boolean>;
  forgetTokens(id: string): Promise<void>;
  /** Does something with a user's tokens while no other instance does. */
  lockTokens?(id: string, work: () => Promise<void>): Promise<void>;
}

/** No session lasts longer, so that nobody comes back to tokens that are older. In ms. */
const tokensLifetime = 7 * 24 * 60 * 60_000;
/** A refresh takes ten seconds at the most. Who holds the lock longer has died, or has stood still. */
const longestRefresh = 30_000;

/** In Redis, for any number of instances; or in the memory of this process, where Node has no SQLite. */
export class StoredUsers implements Users {
  readonly #storage: Storage;
  readonly #log: Logger;

  constructor(storage: Storage, log: Logger) {
    this.#storage = storage;
    this.#log = log;
  }

  async signIn(user: SignedInUser, tokens: PowerFolderTokens): Promise<SignedInUser> {
    await this.#storage.change({ key: tokensKey(user.id), value: textOf(tokens), ttl: tokensLifetime });
    return user;
  }

  async loadTokens(id: string): Promise<PowerFolderTokens | undefined> {
    const text = await this.#storage.get(tokensKey(id));
    const tokens = text === undefined ? undefined : readTokens(text);
    if (text !== undefined && !tokens) {
      this.#log.warn({ event: 'unreadable', code: 'tokens' }, 'the tokens of a user cannot be read');
    }
    return tokens;
  }

  async replaceTokens(id: string, from: PowerFolderTokens, to: PowerFolderTokens): Promise<boolean> {
    const change = { key: tokensKey(id), is: textOf(from), value: textOf(to), ttl: tokensLifetime };
    return await this.#storage.change(change);
  }

  async forgetTokens(id: string): Promise<void> {
    await this.#storage.change({ key: tokensKey(id), value: null });
  }

  async lockTokens(id: string, work: () => Promise<void>): Promise<void> {
    const key = `refresh:${id}`;
    const holder = randomUUID();
    const end = performance.now() + longestRefresh;
    while (!(await this.#storage.change({ key, if: 'absent', value: holder, ttl: longestRefresh }))) {
      if (performance.now() > end) throw new StorageError('Another request holds the tokens of this user');
      await pause(50);
    }
    try {
      await work();
    } finally {
      // Not if it took too long, and another request has it now.
      await this.#storage.change({ key, is: holder, value: null }).catch((error) => {
        this.#log.warn({ err: error }, 'a lock stays until it expires');
      });
    }
  }
}

/** What is used here of node:sqlite, which Node has from 22.13 on. */
interface Database {
  exec(sql: string): void;
  prepare(sql: string): {
    get(...values: string[]): Record<string, unknown> | undefined;
    run(...values: (string | null)[]): { changes: number | bigint };
  };
}

/** In an SQL database: by default in memory, as long as the process lives. With a file, one instance alone uses it. */
export class DatabaseUsers implements Users {
  readonly #database: Database;

  /** @returns undefined where Node has no SQLite. */
  static open(file = ':memory:'): DatabaseUsers | undefined {
    const sqlite = process.getBuiltinModule?.('node:sqlite' as 'node:fs') as unknown;
    const { DatabaseSync } = (sqlite ?? {}) as { DatabaseSync?: new (file: string) => Database };
    return DatabaseSync && new DatabaseUsers(new DatabaseSync(file));
  }

  private constructor(database: Database) {
    this.#database = database;
    database.exec(`
      PRAGMA journal_mode = WAL;
      CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, name TEXT NOT NULL, tokens TEXT, signed_in TEXT NOT NULL)`);
  }

  async signIn(user: SignedInUser, tokens: PowerFolderTokens): Promise<SignedInUser> {
    this.#database
      .prepare(
        `INSERT INTO users VALUES (?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, tokens = excluded.tokens, signed_in = excluded.signed_in`,
      )
      .run(user.id, user.displayName, textOf(tokens), new Date().toISOString());
    return user;
  }

  async loadTokens(id: string): Promise<PowerFolderTokens | undefined> {
    const text = this.#database.prepare('SELECT tokens FROM users WHERE id = ?').get(id)?.['tokens'];
    return typeof text === 'string' ? readTokens(text) : undefined;
  }

  async replaceTokens(id: string, from: PowerFolderTokens, to: PowerFolderTokens): Promise<boolean> {
    const update = this.#database.prepare('UPDATE users SET tokens = ? WHERE id = ? AND tokens = ?');
    return Number(update.run(textOf(to), id, textOf(from)).changes) === 1;
  }

  async forgetTokens(id: string): Promise<void> {
    this.#database.prepare('UPDATE users SET tokens = NULL WHERE id = ?').run(id);
  }
}

const tokensKey = (id: string) => `tokens:${id}`;

/** The same tokens have the same text. */
function textOf({ accessToken, refreshToken, expiresAt }: PowerFolderTokens): string {
  return serialized({ accessToken, refreshToken, expiresAt });
}

function readTokens(text: string): PowerFolderTokens | undefined {
  let tokens: unknown;
  try {
    tokens = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof tokens !== 'object' || tokens === null) return undefined;
  const { accessToken, refreshToken, expiresAt } = tokens as Record<string, unknown>;
  const isToken = (token: unknown) => typeof token === 'string' && token !== '';
  const usable =
    isToken(accessToken) &&
    (refreshToken === undefined || isToken(refreshToken)) &&
    (expiresAt === undefined || (typeof expiresAt === 'number' && Number.isFinite(new Date(expiresAt).getTime())));
  return usable ? (tokens as PowerFolderTokens) : undefined;
}
