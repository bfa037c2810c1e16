/** What all routes of folders and files work with: PowerFolder as the visitor sees it, and where names lead. */
import type { Request, RequestHandler, Response } from 'express';
import type { PowerFolderTokenKeeper } from 'passport-powerfolder';
import type { AppConfig } from './config.ts';
import { textsOf } from './language.ts';
import { currentUser } from './sign-in.ts';
import { orSignInAgain } from './tokens.ts';
import type { SignedInUser } from './user.ts';
import { WebDAV } from './webdav.ts';
import { WebDAVError } from './webdav-error.ts';

export interface Place {
  name: string;
  href: string;
  /** Whether it is the folder that holds all others, which has no name of its own. */
  top: boolean;
}

export class FolderAccess {
  readonly webDAV: WebDAV;
  readonly #base: string;
  readonly #keeper: PowerFolderTokenKeeper<string>;

  constructor({ basePath, powerFolder }: AppConfig, keeper: PowerFolderTokenKeeper<string>) {
    this.#base = basePath;
    this.#keeper = keeper;
    this.webDAV = new WebDAV(powerFolder.serverURL);
  }

  /** Calls with a fresh access token of whoever is signed in, and once more with another if that is refused. */
  async ask<T>(req: Request, call: (accessToken: string) => Promise<T>, options?: { repeat: boolean }): Promise<T> {
    return await this.#keeper.use((currentUser(req) as SignedInUser).id, call, options);
  }

  readonly link = (route: 'folders' | 'view' | 'files' | 'find', names: string[]): string =>
    [this.#base, route, ...names.map(encodeURIComponent)].join('/');

  /** The folders on the way to one, and the folder itself. */
  trail(names: string[], res: Response): Place[] {
    return [
      { name: textsOf(res).folders.title, href: this.link('folders', []), top: true },
      ...names.map((name, i) => ({ name, href: this.link('folders', names.slice(0, i + 1)), top: false })),
    ];
  }

  /** Whoever is not accepted any more signs in again; what goes wrong with a file leads to the folder that it is in. */
  handle(handler: RequestHandler): RequestHandler {
    return orSignInAgain(this.#base, async (req, res, next) => {
      try {
        await handler(req, res, next);
      } catch (error) {
        res.locals['parent'] = this.parentOf(error, req, res);
        throw error;
      }
    });
  }

  /** Where somebody can go on who may not open a file or folder, or finds none. */
  parentOf(error: unknown, req: Request, res: Response): Place | undefined {
    const names = namesIn(req);
    const understood = error instanceof WebDAVError && [403, 404, 423].includes(error.status);
    return understood && names.length > 0 ? this.trail(names.slice(0, -1), res).at(-1) : undefined;
  }
}

/** The names in the address, decoded. A slash at its end adds none. */
export function namesIn(req: Request): string[] {
  const { path = [] } = req.params as unknown as { path?: string[] };
  return path.filter((name, i) => name !== '' || i < path.length - 1);
}
