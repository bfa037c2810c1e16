/** The file in which `sign-in --save` keeps tokens, and from which `token` takes them: for its owner's eyes only. */
import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, readFile, realpath, rename, stat, unlink } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { isObject, jsonObject } from '../json.ts';
import { plainText } from '../redact.ts';
import { expiryOf, type PowerFolderTokens } from '../token.ts';
import { Mistake } from './terminal.ts';

/** What is in it. The client's secret is not. */
export interface KeptTokens {
  /** Base URL. */
  serverURL: string;
  clientID: string;
  refreshMethod: 'POST' | 'GET';
  tokens: PowerFolderTokens;
}

const version = 1;

/**
 * Reads the file, if nobody else can.
 *
 * @returns undefined where there is none.
 * @throws {Mistake} for a file that others can read or write, and for one that is no such file.
 */
export async function readTokenFile(file: string): Promise<KeptTokens | undefined> {
  const shown = plainText(file);
  let content: string;
  try {
    // A pipe would be waited for.
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw new Mistake(`${shown} is no file.`);
      refuseOthers(shown, stats);
      content = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof Mistake) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new Mistake(`${shown} cannot be read (${code}).`);
  }
  return parsed(content) ?? fail(`${shown} is no file that sign-in --save has written; it was left as it is.`);
}

/** Windows has no such modes: there the folder's permissions decide. */
function refuseOthers(shown: string, { mode, uid }: { mode: number; uid: number }): void {
  if (process.platform === 'win32') return;
  const open = mode & 0o077;
  if (open !== 0) {
    throw new Mistake(
      `${shown} is open to others (mode ${(mode & 0o777).toString(8)}). Whoever may have read it can use your folders; if nobody has, chmod 600 it.`,
    );
  }
  if (uid !== process.getuid?.()) throw new Mistake(`${shown} belongs to somebody else.`);
}

function parsed(content: string): KeptTokens | undefined {
  const json = jsonObject(content);
  if (json?.['version'] !== version || !isObject(json['tokens'])) return undefined;
  const { serverURL, clientID, refreshMethod, tokens } = json;
  if (typeof serverURL !== 'string' || typeof clientID !== 'string') return undefined;
  if (refreshMethod !== 'POST' && refreshMethod !== 'GET') return undefined;
  try {
    expiryOf(tokens as unknown as PowerFolderTokens);
  } catch {
    return undefined;
  }
  return { serverURL, clientID, refreshMethod, tokens: tokens as unknown as PowerFolderTokens };
}

function fail(sentence: string): never {
  throw new Mistake(sentence);
}

/** Writes it whole or not at all, for its owner only. @throws {Mistake} */
export async function writeTokenFile(file: string, kept: KeptTokens): Promise<void> {
  const text = `${JSON.stringify({ version, ...kept }, null, 2)}\n`;
  try {
    // Through a link, to where it leads.
    const place = await realpath(file).catch(() => file);
    const temporary = await written(place, text);
    await rename(temporary, place);
  } catch (error) {
    throw new Mistake(`${plainText(file)} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
  }
}

async function written(place: string, text: string): Promise<string> {
  const temporary = join(dirname(place), `.${basename(place)}.${randomBytes(6).toString('hex')}`);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
  return temporary;
}

/**
 * Whether tokens of this client can be saved there, before anybody signs in for them.
 *
 * @throws {Mistake}
 */
export async function checkTokenFile(file: string, serverURL: string, clientID: string): Promise<void> {
  const kept = await readTokenFile(file);
  if (kept && (kept.serverURL !== serverURL || kept.clientID !== clientID)) {
    throw new Mistake(`${plainText(file)} holds the tokens of another server or client; give another file.`);
  }
  try {
    await unlink(await written(await realpath(file).catch(() => file), ''));
  } catch (error) {
    throw new Mistake(`${plainText(file)} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
  }
}

/** Milliseconds after which a lock is nobody's any more: a refresh and what is around it take a third. */
const longestLock = 60_000;
/** Milliseconds for which a lock is waited for. */
const longestWait = 50_000;

/**
 * Does work while no other process does so for this file. What a process that was ended has left locked is taken over.
 *
 * @throws {Mistake} when it stays locked.
 */
export async function whileLocked(file: string, work: () => Promise<void>): Promise<void> {
  const lock = `${file}.lock`;
  const mine = `${hostname()} ${process.pid} ${randomBytes(6).toString('hex')}\n`;
  const until = Date.now() + longestWait;
  while (!(await created(lock, mine))) {
    if (Date.now() > until) {
      throw new Mistake(
        `Another process is refreshing the tokens in ${plainText(file)}. If there is none, remove ${plainText(lock)}`,
      );
    }
    await removeIfLeft(lock);
    await pause(20 + Math.random() * 60);
  }
  try {
    await work();
  } finally {
    // Another's, if this one took so long that it was taken over.
    if ((await content(lock)) === mine) await unlink(lock).catch(() => {});
  }
}

async function created(lock: string, mine: string): Promise<boolean> {
  try {
    const handle = await open(lock, 'wx', 0o600);
    await handle.writeFile(mine).finally(() => handle.close());
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    throw new Mistake(`${plainText(lock)} cannot be made (${code}).`);
  }
}

async function removeIfLeft(lock: string): Promise<void> {
  const found = await content(lock);
  if (found === undefined) return;
  const [host, pid] = found.split(' ');
  const isOld = await stat(lock).then(
    ({ mtimeMs }) => Math.abs(Date.now() - mtimeMs) > longestLock,
    () => false,
  );
  if (!isOld && !(host === hostname() && !isAlive(Number(pid)))) return;
  // Whoever moves it away has it, and looks again: another may have locked meanwhile.
  const moved = `${lock}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(lock, moved);
    if ((await content(moved)) !== found) await link(moved, lock).catch(() => {});
    await unlink(moved);
  } catch {
    // Another process was faster.
  }
}

async function content(file: string): Promise<string | undefined> {
  return await readFile(file, 'utf8').catch(() => undefined);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
