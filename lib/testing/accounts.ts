import { createHash, randomBytes } from 'node:crypto';
import { exampleFiles, Folder, type PowerFolderTree } from './files.ts';

/** Somebody who can log in. */
export interface PowerFolderAccount {
  /** Opaque and case-sensitive; may hold `/` and `+`, as old accounts' do. Random when missing. */
  ID?: string;
  /** What is typed to log in; need not be an e-mail address. */
  username: string;
  password: string;
  /** Default `''`. */
  firstname?: string;
  /** Default `''`. */
  surname?: string;
  /** Default none. */
  emails?: string[];
  /** Whether this is an administrator, who may register clients and look at others' accounts. Default false. */
  admin?: boolean;
  /** What a university's attributes become where nothing else is configured: the affiliation. Default `''`. */
  custom1?: string;
  /** Likewise the organisation. Default `''`. */
  custom2?: string;
  /** Default `''`. */
  custom3?: string;
  /** Bytes. Default 5 GiB. */
  spaceAllowed?: number;
  /** Bytes. Default: what the files come to. */
  spaceUsed?: number;
  /** The user's folders; files at the top are reachable by WebDAV, but are no folders. Default none. */
  files?: PowerFolderTree;
}

/** An OAuth client. A registered client of PowerFolder is no more than this: no redirect URIs, no scopes, no name. */
export interface PowerFolderClient {
  id: string;
  secret: string;
}

/** As it is kept: what users write changes it, and not what was given. */
export interface Account extends Required<Omit<PowerFolderAccount, 'files'>> {
  files: Folder;
}

/** A password: random, or always the same of a seed. */
function passwordOf(username: string, seed: string | undefined): string {
  if (seed === undefined) return randomBytes(9).toString('base64url');
  return createHash('sha256')
    .update(JSON.stringify([username, seed]))
    .digest('base64url')
    .slice(0, 12);
}

export function exampleUser(seed?: string): PowerFolderAccount {
  return {
    ID: '4xT9/kQ2+Vb7LmZr',
    username: 'ada',
    password: passwordOf('ada', seed),
    firstname: 'Ada',
    surname: 'Schäfer-Yıldız',
    emails: ['ada.schaefer@example.com', 'ada@example.org'],
    files: exampleFiles(),
  };
}

export function exampleAdministrator(seed?: string): PowerFolderAccount {
  return {
    username: 'admin',
    password: passwordOf('admin', seed),
    firstname: 'Grace',
    surname: 'Køhler',
    emails: ['admin@example.com'],
    admin: true,
  };
}

export function exampleClient(): PowerFolderClient {
  return { id: `app-${randomBytes(4).toString('hex')}`, secret: randomBytes(32).toString('base64url') };
}

/** Who and what is known to the server. */
export class Directory {
  readonly accounts: Account[];
  readonly clients: PowerFolderClient[];

  constructor(accounts: PowerFolderAccount[], clients: PowerFolderClient[], now: number) {
    this.accounts = accounts.map((account) => {
      const files = new Folder(account.files ?? {}, now);
      return {
        ID: randomBytes(12).toString('base64'),
        firstname: '',
        surname: '',
        emails: [],
        admin: false,
        custom1: '',
        custom2: '',
        custom3: '',
        spaceAllowed: 5 * 1024 ** 3,
        // Of what is there when it is asked for, unless it was given.
        get spaceUsed() {
          return files.size;
        },
        ...account,
        files,
      };
    });
    this.clients = clients.map((client) => ({ ...client }));
  }

  account(username: string): Account | undefined {
    return this.accounts.find((account) => account.username === username);
  }

  login(username: string, password: string): Account | undefined {
    const account = this.account(username);
    return account?.password === password ? account : undefined;
  }

  /** Those with this id: there may be several, with a secret each. */
  clientsOf(id: string): PowerFolderClient[] {
    return this.clients.filter((client) => client.id === id);
  }

  store(client: PowerFolderClient, knownClient: 'replace' | 'add'): void {
    const [known] = this.clientsOf(client.id);
    if (known && knownClient === 'replace') known.secret = client.secret;
    else this.clients.push(client);
  }
}

/** As the server itself names people: first name and surname; else the first e-mail address; else the user name. */
export function displayName({ firstname, surname, emails, username }: Account): string {
  return `${firstname} ${surname}`.trim() || emails[0] || username;
}
