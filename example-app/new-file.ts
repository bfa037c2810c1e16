/**
 * A file on its way into a folder: **the pattern for whatever writes**. It goes to a name that nobody has, and gets its own
 * when all of it is there. So a broken-off upload leaves nothing behind, and nothing is overwritten that nobody asked for.
 */
import { randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Texts } from './languages/en.ts';
import { isSendable, longestName } from './multistatus.ts';
import { isAccessEnded } from './tokens.ts';
import type { WebDAV } from './webdav.ts';
import { WebDAVError } from './webdav-error.ts';

/** Bytes. */
export const largestFile = 2 * 1024 ** 3;
/** How long nothing may arrive from the visitor, or be taken or answered by PowerFolder, in ms. */
export const longestPause = 120_000;

export type Outcome = keyof Texts['upload']['outcomes'];

/** A file as the visitor sends it. */
export interface SentFile {
  name: string;
  content: Readable;
  /** Bytes, if they are known beforehand. */
  size: number | undefined;
  /** Whether a file of the same name may go. */
  replace: boolean;
}

export class NewFile {
  readonly #file: SentFile;
  readonly #target: string[];
  readonly #part: string[];
  readonly #webDAV: WebDAV;
  readonly #ask: Ask;
  /** What PowerFolder was asked with last. */
  #accessToken = '';

  /** @param folder The names on the way to the folder. */
  constructor(file: SentFile, folder: string[], { webDAV, ask }: { webDAV: WebDAV; ask: Ask }) {
    this.#file = file;
    this.#target = [...folder, file.name];
    this.#part = [...folder, `upload-${randomUUID()}.part`];
    this.#webDAV = webDAV;
    this.#ask = (call, options) =>
      ask((accessToken) => {
        this.#accessToken = accessToken;
        return call(accessToken);
      }, options);
  }

  /** @throws {PowerFolderError} `sign_in_again` */
  async save(log: Logger): Promise<Outcome> {
    const { name, replace } = this.#file;
    if (!isSendable(name) || /\p{Cc}/u.test(name) || Buffer.byteLength(name) > longestName) return 'name';
    if ((this.#file.size ?? 0) > largestFile) return 'large';
    let answered = true;
    try {
      const refused = await this.#refusal();
      if (refused) return refused;
      answered = false;
      await this.#write();
      answered = true;
      // To overwrite a folder would be to delete all that is in it, and meanwhile there may be one.
      const outcome = (replace && (await this.#refusal())) || (await this.#rename());
      if (outcome !== 'uploaded') await this.#removePart(log, answered);
      return outcome;
    } catch (error) {
      answered ||= error instanceof WebDAVError && error.serverStatus !== undefined;
      await this.#removePart(log, answered);
      if (isAccessEnded(error)) throw error;
      log.warn({ err: error }, 'an upload failed');
      return outcomeOf(error);
    }
  }

  async #refusal(): Promise<Outcome | undefined> {
    const found = await this.#ask((accessToken) => this.#webDAV.find(accessToken, this.#target));
    if (found?.folder) return 'folder';
    return found && !this.#file.replace ? 'exists' : undefined;
  }

  async #write(): Promise<void> {
    const { content, size } = this.#file;
    const stopping = new AbortController();
    const clock = setTimeout(() => stopping.abort(), longestPause);
    let length = 0;
    async function* chunks(): AsyncGenerator<Buffer> {
      // What PowerFolder does not want is not lost here: other files of the form are behind it.
      for await (const chunk of content.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        clock.refresh();
        length += chunk.length;
        yield chunk;
      }
      // PowerFolder must not take it for the end.
      if (isTruncated(content)) throw new UploadError('large');
    }
    try {
      const options = { size, signal: stopping.signal };
      // It cannot be sent a second time, with another token.
      const write = (accessToken: string) => this.#webDAV.write(accessToken, this.#part, chunks(), options);
      await this.#ask(write, { repeat: false });
    } catch (error) {
      throw isTruncated(content) ? new UploadError('large') : error;
    } finally {
      clearTimeout(clock);
    }
    const found = await this.#ask((accessToken) => this.#webDAV.find(accessToken, this.#part));
    if (!found || (found.size ?? length) !== length) throw new UploadError('incomplete');
  }

  async #rename(): Promise<Outcome> {
    const { replace } = this.#file;
    try {
      await this.#ask((accessToken) => this.#webDAV.rename(accessToken, this.#part, this.#target, replace));
      return 'uploaded';
    } catch (error) {
      if (!(error instanceof WebDAVError) || error.serverStatus !== undefined) throw error;
      // The answer was lost on its way.
      const left = await this.#ask((accessToken) => this.#webDAV.find(accessToken, this.#part));
      return left ? 'unavailable' : 'uncertain';
    }
  }

  /** @param answered Whether PowerFolder has told what became of the file. If not, it may be about to write it. */
  async #removePart(log: Logger, answered: boolean): Promise<void> {
    for (const wait of answered ? [0] : [0, 1000, 5000]) {
      await pause(wait);
      const remove = (accessToken: string) => this.#webDAV.remove(accessToken, this.#part);
      try {
        // Whoever has signed out meanwhile wants nothing left behind either.
        await this.#ask(remove).catch((error) => {
          if (!isAccessEnded(error)) throw error;
          return remove(this.#accessToken);
        });
      } catch (error) {
        if (error instanceof WebDAVError && error.status === 404) continue;
        log.warn({ err: error }, 'a part of an upload may have been left behind');
      }
    }
  }
}

/** Calls with an access token of the visitor's. */
export type Ask = <T>(call: (accessToken: string) => Promise<T>, options?: { repeat: boolean }) => Promise<T>;

class UploadError extends Error {
  override name = 'UploadError';
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super(`Upload: ${outcome}`);
    this.outcome = outcome;
  }
}

/** By the status that PowerFolder answered with. */
const outcomes: Record<number, Outcome> = {
  400: 'name',
  403: 'forbidden',
  404: 'missing',
  409: 'missing',
  412: 'exists',
  413: 'large',
  414: 'name',
  423: 'locked',
  507: 'full',
};

function outcomeOf(error: unknown): Outcome {
  if (error instanceof UploadError) return error.outcome;
  const status = error instanceof WebDAVError ? error.serverStatus : undefined;
  return outcomes[status ?? 0] ?? 'unavailable';
}

/** Whether there was more than a file may have. */
function isTruncated(content: Readable): boolean {
  return 'truncated' in content && content.truncated === true;
}
