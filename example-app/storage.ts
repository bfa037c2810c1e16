/** Where sessions and what belongs to them are kept: in Redis, or in the memory of this process. */
import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { RedisStore as RedisLimitStore, type RedisReply } from 'rate-limit-redis';
import { createClient } from 'redis';

/** What is to become of one key: a new text for a time, nothing (null), or the same as before, perhaps for a new time. */
export type Change = {
  key: string;
  /** Unless something, or nothing, is kept under the key, none of the changes is made … */
  if?: 'present' | 'absent';
  /** … nor unless it is this. */
  is?: string;
  // `ttl` is in milliseconds from now.
} & ({ value: string; ttl: number } | { value: null; ttl?: undefined } | { value?: undefined; ttl?: number });

/**
 * Texts by key, each for a time. Whatever must not be torn apart by other requests, in this instance or another, is one
 * call of `change`; all that sessions need is said with it, so that Redis and memory do the same.
 */
export interface Storage {
  /** @returns what is kept under the key; undefined if there is nothing, or nothing that can have been written here. */
  get(key: string): Promise<string | undefined>;
  /** The same, with how long it will be kept, in milliseconds from now. */
  entry(key: string): Promise<Entry | undefined>;
  /** Makes all of these changes at once, or none. @returns whether they were made. */
  change(...changes: Change[]): Promise<boolean>;
  /**
   * Only a write shows that there can be writes: a full Redis and a replica answer everything else.
   *
   * @throws {StorageError} when there is no room for one more session.
   */
  proveWrite(): Promise<void>;
  /**
   * Where sign-ins are counted for the rate limit; undefined for the memory of this process. To count is a write, which
   * fails with a {@link StorageError} where nothing else can be written either.
   */
  limitStore?: RedisLimitStore;
  close(): Promise<void>;
}

export interface Entry {
  value: string;
  ttl: number;
}

/** Nothing can be read or written at present. */
export class StorageError extends Error {
  override name = 'StorageError';
  readonly status = 503;
}

/** Bytes of one text at the most. A session takes some hundreds, and is read with every request. */
const longestText = 256 * 1024;

/** What is too long is refused here, as it could not be read again. */
export function serialized(value: object): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > longestText) throw new RangeError('This is too much to be kept');
  return text;
}

/** For trying the app and for tests. It says what Redis says, and forgets everything with the process. */
export class MemoryStorage implements Storage {
  /** By key; `until` is in epoch milliseconds. */
  readonly entries = new Map<string, { value: string; until: number }>();
  readonly #mostEntries: number;
  /** When what has expired is to be forgotten next, in epoch milliseconds. */
  #nextSweep = 0;

  /** With so many nothing more is taken, as by a full Redis: to forget the oldest would sign people out without a word. */
  constructor(mostEntries = 100_000) {
    this.#mostEntries = mostEntries;
  }

  async get(key: string): Promise<string | undefined> {
    return this.#kept(key);
  }

  async entry(key: string): Promise<Entry | undefined> {
    const value = this.#kept(key);
    return value === undefined ? undefined : { value, ttl: (this.entries.get(key)?.until ?? 0) - Date.now() };
  }

  // Nothing in here waits, so that no other request comes between.
  async change(...changes: Change[]): Promise<boolean> {
    const kept = changes.map(({ key }) => this.#kept(key));
    const refused = changes.some((change, i) => {
      if (change.if === 'present' && kept[i] === undefined) return true;
      if (change.if === 'absent' && kept[i] !== undefined) return true;
      return change.is !== undefined && change.is !== kept[i];
    });
    if (refused) return false;
    this.#makeRoom(changes.filter(({ value }, i) => typeof value === 'string' && kept[i] === undefined).length);
    for (const [i, { key, value = kept[i], ttl }] of changes.entries()) {
      if (value === null) this.entries.delete(key);
      else if (value !== undefined && ttl !== undefined) this.entries.set(key, { value, until: Date.now() + ttl });
    }
    return true;
  }

  async proveWrite(): Promise<void> {
    // A session, and its tokens.
    this.#makeRoom(2);
  }

  async close(): Promise<void> {}

  #kept(key: string): string | undefined {
    const entry = this.entries.get(key);
    return entry && entry.until > Date.now() ? entry.value : undefined;
  }

  #makeRoom(more: number): void {
    if (Date.now() >= this.#nextSweep || this.entries.size + more > this.#mostEntries) {
      for (const key of this.entries.keys()) if (this.#kept(key) === undefined) this.entries.delete(key);
      this.#nextSweep = Date.now() + 60_000;
    }
    if (more > 0 && this.entries.size + more > this.#mostEntries) throw new StorageError('The memory is full');
  }
}

/** What {@link Storage.change} means, for Redis, which runs nothing else meanwhile. */
const changeScript = `
local changes = cjson.decode(ARGV[1])
for i, change in ipairs(changes) do
  local present = redis.call('EXISTS', KEYS[i]) == 1
  if change['if'] == 'present' and not present then return 0 end
  if change['if'] == 'absent' and present then return 0 end
  if change.is and redis.call('GET', KEYS[i]) ~= change.is then return 0 end
end
-- What a full Redis refuses comes first, as nothing is taken back.
for i, change in ipairs(changes) do
  if type(change.value) == 'string' then redis.call('SET', KEYS[i], change.value, 'PX', change.ttl) end
end
for i, change in ipairs(changes) do
  if change.value == cjson.null then redis.call('DEL', KEYS[i])
  elseif change.value == nil and change.ttl then redis.call('PEXPIRE', KEYS[i], change.ttl) end
end
return 1
`;

/** {@link Storage.entry} in one command. What is longer than anything written here is cut off, and then is no JSON. */
const entryScript = "return { redis.call('GETRANGE', KEYS[1], 0, ARGV[1]), redis.call('PTTL', KEYS[1]) }";

/** What Redis has not answered after this time, it will not. */
const answerWithin = 3000;

/** For any number of instances, which share what is in it. */
export function openRedisStorage(url: string, log: Logger): Storage {
  const client = createClient({
    url,
    // While Redis is away, requests are answered at once instead of waiting for it.
    disableOfflineQueue: true,
    socket: {
      connectTimeout: answerWithin,
      socketTimeout: answerWithin,
      reconnectStrategy: (attempts) => Math.min(attempts * 100, 2000),
    },
  });
  client.on('error', (error: Error) => log.error({ err: error }, 'Redis is away'));
  let takesWrites = true;
  client.on('ready', () => {
    // Else it is connected to anew all the time, in the hope for another one.
    if (takesWrites) log.info('connected to Redis');
  });
  // Not awaited: the client keeps trying, and until it succeeds pages and /healthz say 503.
  const connect = () => {
    client.connect().catch((error: Error) => log.error({ err: error }, 'Redis is away'));
  };
  connect();

  const storage: Storage = {
    async get(key) {
      return (await storage.entry(key))?.value;
    },
    async entry(key) {
      try {
        const found = await client.eval(entryScript, { keys: [key], arguments: [`${longestText}`] });
        const [value, ttl] = found as [string, number];
        return value === '' ? undefined : { value, ttl };
      } catch (error) {
        if (!/WRONGTYPE/.test((error as Error).message)) throw away(error);
        log.warn({ event: 'unreadable', code: 'wrong_type' }, 'what is kept in Redis cannot be read');
        return undefined;
      }
    },
    async change(...changes) {
      const keys = changes.map(({ key }) => key);
      const made = await client.eval(changeScript, { keys, arguments: [JSON.stringify(changes)] }).catch((error) => {
        throw away(error);
      });
      return made === 1;
    },
    async proveWrite() {
      await storage.change({ key: 'probe', value: 'written', ttl: 60_000 });
    },
    limitStore: new RedisLimitStore({
      prefix: 'sign-ins:',
      sendCommand: (...command) =>
        client.sendCommand<RedisReply>(command).catch((error) => {
          // The store loads its scripts once, and would not get over it if Redis was away just then. But it knows how to
          // load one that has gone (NOSCRIPT), and the answer to SCRIPT LOAD is the script's SHA-1.
          if (/^NOSCRIPT/.test(error.message)) throw error;
          if (command[0] !== 'SCRIPT') throw away(error);
          return createHash('sha1').update(String(command[2])).digest('hex');
        }),
    }),
    async close() {
      clearInterval(watch);
      client.destroy();
    },
  };

  // The client waits without end for the answer to a command. The socket's timeout does not help while others are sent.
  const watch = setInterval(() => {
    const late = setTimeout(() => {
      log.error('Redis does not answer');
      client.destroy();
      connect();
    }, answerWithin);
    storage
      .proveWrite()
      .then(() => {
        if (!takesWrites) log.info('Redis can be written again');
        takesWrites = true;
      })
      .catch((error: Error) => {
        const { message } = error.cause as Error;
        // What the client says while there is no connection is logged above.
        if (!client.isReady) return;
        if (takesWrites) log.error({ err: error }, 'Redis cannot be written');
        takesWrites = false;
        if (!/\bREADONLY\b/.test(message)) return;
        // It was the primary, and is a replica now. By its address the new primary may be found.
        client.destroy();
        connect();
      })
      .finally(() => clearTimeout(late));
  }, 1000);
  return storage;
}

function away(cause: unknown): StorageError {
  return new StorageError('Redis cannot be used', { cause });
}
