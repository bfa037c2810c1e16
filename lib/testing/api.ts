import { createHash } from 'node:crypto';
import { type Account, type Directory, displayName } from './accounts.ts';
import { type Answer, json, Refusal } from './answer.ts';
import type { Settings } from './options.ts';
import { form, parameters, type ReceivedRequest, required } from './request.ts';
import type { TokenEndpoint } from './tokens.ts';

interface Caller {
  account: Account;
  scheme: 'bearer' | 'basic';
}

const basicChallenge = 'Basic realm="PowerFolder", charset="UTF-8"';

/** What is under `/api/`, and who may ask. */
export function accountsAPI(settings: Settings, directory: Directory, tokens: TokenEndpoint, url: string) {
  /** Who calls, by an access token or by name and password. */
  function caller({ headers }: ReceivedRequest): Caller {
    const [, scheme = '', credentials = ''] = /^(bearer|basic) +(\S+)$/i.exec(headers.authorization ?? '') ?? [];
    if (scheme.toLowerCase() === 'bearer') {
      if (!settings.tokenLogin) throw unauthorized('This server takes no tokens (option tokenLogin).', basicChallenge);
      return { account: tokens.bearer(credentials), scheme: 'bearer' };
    }
    if (!scheme) {
      const challenges = ['Bearer realm="PowerFolder"', basicChallenge];
      throw unauthorized('Authorization must be "Bearer <access token>" or Basic.', challenges);
    }
    const [, username = '', password = ''] =
      /^([^:]*):(.*)$/s.exec(Buffer.from(credentials, 'base64').toString()) ?? [];
    const account = directory.login(username, password) ?? byToken(username, password);
    if (!account) throw unauthorized('User name or password is wrong.', basicChallenge);
    return { account, scheme: 'basic' };
  }

  /** An access token in the place of the password. */
  function byToken(username: string, token: string): Account | undefined {
    if (!settings.tokenLogin || !settings.tokenAsPassword) return undefined;
    try {
      const account = tokens.bearer(token);
      return account.username === username ? account : undefined;
    } catch {
      return undefined;
    }
  }

  /** `/api/oauth?action=store`: an administrator registers a client. */
  function registration(request: ReceivedRequest): Answer {
    const { account, scheme } = caller(request);
    if (scheme !== 'basic') throw unauthorized('Clients are registered with HTTP Basic.', basicChallenge);
    if (!account.admin) throw forbidden(`${account.username} is no administrator.`);
    const names = ['action', 'client_id', 'client_secret'];
    const found = parameters(request.query, names, 'the URL');
    for (const [name, value] of request.body ? form(request, names) : []) {
      if (found.has(name)) throw new Refusal(400, `Parameter "${name}" is both in the URL and in the form.`);
      found.set(name, value);
    }
    expectAction(found, 'store');
    const client = { id: required(found, 'client_id'), secret: required(found, 'client_secret') };
    directory.store(client, settings.knownClient);
    return json(200, { client_id: client.id, stored: true });
  }

  /** `/api/accounts?action=getInfo`: the caller's own account; any other only for administrators. */
  function accounts(request: ReceivedRequest): Answer {
    const { account: self, scheme } = caller(request);
    const { accountsAPI, accountShape, now } = settings;
    if (accountsAPI === 'basic-only' && scheme === 'bearer') {
      throw unauthorized('This server takes no access token here (option accountsAPI).', basicChallenge);
    }
    if (accountsAPI === 'admin-only' && !self.admin) {
      throw forbidden('This server tells accounts to administrators only (option accountsAPI).');
    }
    const found = parameters(request.query, ['action', 'ID', 'id', 'username'], 'the URL');
    expectAction(found, 'getInfo');
    if (found.size > 1 && !self.admin) throw forbidden('Only an administrator may name an account.');
    const [username, id] = [found.get('username'), found.get('ID') ?? found.get('id')];
    const account = found.size === 1 ? self : directory.accounts.find((a) => a.username === username || a.ID === id);
    if (!account) throw new Refusal(404, 'There is no such account.', 'not_found');
    const info = describe(account, now());
    if (accountShape === 'account') return json(200, { account: info });
    return json(200, accountShape === 'resultset' ? { ResultSet: { Result: [info] } } : info);
  }

  /**
   * `/api/folders?action=getAll`: the caller's folders, in pages where that is asked for; 204 when there are none. That there
   * is `Pageable.maxPages` is known of PowerFolder, and not where it stands, nor from which number pages are counted.
   */
  function folders(request: ReceivedRequest): Answer {
    const { account, scheme } = caller(request);
    if (settings.foldersAPI === 'basic-only' && scheme === 'bearer') {
      throw unauthorized('This server takes no access token here (option foldersAPI).', basicChallenge);
    }
    const found = parameters(request.query, ['action', 'page', 'size'], 'the URL');
    expectAction(found, 'getAll');
    const names = foldersOf(account);
    if (names.length === 0) return { status: 204, headers: {}, body: '' };
    const [page, size] = [numberIn(found, 'page', 0), numberIn(found, 'size', names.length)];
    if (size === 0) throw new Refusal(400, 'size must be above 0.');
    const Result = names.slice(page * size, (page + 1) * size).map((name) => {
      const folderID = folderIDOf(account, name);
      const resourceURL = `${url}/files/${Buffer.from(folderID).toString('base64')}`;
      return { folderID, name, localizedName: name, internalName: name, resourceURL };
    });
    return json(200, { ResultSet: { Result, Pageable: { page, size, maxPages: Math.ceil(names.length / size) } } });
  }

  return { caller, registration, accounts, folders };
}

function unauthorized(why: string, challenge: string | string[]): Refusal {
  return new Refusal(401, why, 'unauthorized', { 'WWW-Authenticate': challenge });
}

const forbidden = (why: string) => new Refusal(403, why, 'access_denied');

function expectAction(found: Map<string, string>, action: string): void {
  if (required(found, 'action') !== action) throw new Refusal(400, `action must be ${action}.`);
}

function numberIn(found: Map<string, string>, name: string, otherwise: number): number {
  const value = found.get(name);
  if (value === undefined) return otherwise;
  if (!/^\d{1,6}$/.test(value)) throw new Refusal(400, `${name} must be a whole number.`);
  return Number(value);
}

/** Opaque, and the same as long as the folder has its name. */
function folderIDOf({ ID }: Account, name: string): string {
  return createHash('sha1').update(`${ID}/${name}`).digest('base64').slice(0, 22);
}

const foldersOf = ({ files }: Account) => files.folders().map(([name]) => name);

/** An account under the documented keys, of which only ID and username are certain. */
function describe(account: Account, now: number): Record<string, unknown> {
  const { ID, username, firstname, surname, emails, spaceAllowed, spaceUsed, custom1, custom2, custom3 } = account;
  const daysAgo = (days: number) => new Date(now - days * 86_400_000).toISOString();
  return {
    ...{ ID, username, firstname, surname, displayName: displayName(account), emails, telephone: '' },
    ...{ created: daysAgo(400), lastLogin: daysAgo(1), validTill: null, spaceAllowed, spaceUsed },
    ...{ nFolder: foldersOf(account).length, custom1, custom2, custom3, notes: '', serverID: 'simulated' },
  };
}
