/** What a server shows to who has tokens: the account, the folders, and WebDAV. */
import type { HTTPResponse } from '../http.ts';
import { isObject, jsonObject, member } from '../json.ts';
import { type PowerFolderProfile, requestProfile } from '../profile.ts';
import { listingOf, shapeOf } from './describe.ts';
import { type Finding, ok, unclear, wrong } from './finding.ts';
import { notTried, type Report } from './report.ts';
import { asked, propfind, type Server, type Step, succeeded, type Tried, told, tried } from './tried.ts';

/** With these an account may be had another time; any other failure is the server's way. */
const connectionFailures = ['unreachable', 'tls', 'timeout', 'connection_lost', 'not_http'];

/** Who signed in, and the way in by HTTP Basic that PowerFolder has for tokens. */
export function accountStep(
  server: Server,
  report: Report,
  known: { username: string | undefined; profile?: PowerFolderProfile | 'refused' },
): Step {
  return async ({ accessToken }) => {
    const { transport } = server.client;
    const url = `${server.base}/api/accounts?action=getInfo`;
    const bearer = await tried(transport, url, (observed) => requestProfile(url, accessToken, observed));
    const { account } = report;
    account.bearer = bearer.answer;
    const findings: Finding[] = [];
    if (bearer.value) {
      const { id, username } = bearer.value;
      known.profile = bearer.value;
      // HTTP Basic carries no colon in a name.
      if (!username?.includes(':')) known.username ??= username;
      account.ID = shapeOf(id);
      account.shape = wrapperOf(bearer.response?.body);
      findings.push(ok('account', `It answers an access token, and has an ID${username ? ' and a user name' : ''}.`));
    } else if (connectionFailures.includes(bearer.code ?? '')) {
      findings.push(wrong('account', `It could not be asked for: ${bearer.problem}`));
    } else {
      known.profile = 'refused';
      findings.push(unclear('account', `It does not say who an access token belongs to (${told(bearer.answer)}).`));
    }
    if (known.username === undefined) {
      findings.push(
        unclear('basic', 'HTTP Basic with the token was not tried: the user name is not known (--username).'),
      );
      return findings;
    }
    const basic = await asked(
      {
        endpoint: 'profile endpoint',
        method: 'GET',
        url,
        headers: { accept: 'application/json', authorization: basicOf(known.username, accessToken) },
      },
      transport,
    );
    account.basic = basic.answer;
    const isAccount = succeeded(basic) && jsonObject(basic.value?.body ?? '') !== undefined;
    if (isAccount && account.shape === notTried) account.shape = wrapperOf(basic.value?.body);
    findings.push(
      isAccount
        ? ok('basic', 'The account answers the user name with the token as a password, too.')
        : unclear(
            'basic',
            `The account does not answer the user name with the token as a password (${told(basic.answer)}).`,
          ),
    );
    return findings;
  };
}

function basicOf(username: string, token: string): string {
  return `Basic ${Buffer.from(`${username}:${token}`).toString('base64')}`;
}

function wrapperOf(body = ''): string {
  const json = jsonObject(body) ?? {};
  if (member(json, 'ID') !== undefined) return 'flat';
  return isObject(member(json, 'account')) ? 'account' : 'resultset';
}

export function foldersStep(server: Server, report: Report, known: { username: string | undefined }): Step {
  return async ({ accessToken }) => {
    const url = `${server.base}/api/folders?action=getAll`;
    const get = async (authorization: string) =>
      await asked(
        { endpoint: 'folders API', method: 'GET', url, headers: { accept: 'application/json', authorization } },
        server.client.transport,
      );
    const bearer = await get(`Bearer ${accessToken}`);
    const { folders } = report;
    folders.bearer = bearer.answer;
    if (known.username !== undefined) folders.basic = (await get(basicOf(known.username, accessToken))).answer;
    const list = resultsIn(bearer.value?.body ?? '');
    folders.resourceURL = resourceURLOf(list, server.base);
    const answers = succeeded(bearer) && (bearer.value?.status === 204 || list !== undefined);
    return [
      answers
        ? ok('folders', 'The list of folders answers an access token.')
        : unclear('folders', `The list of folders does not answer an access token (${told(bearer.answer)}).`),
    ];
  };
}

function resultsIn(body: string): unknown[] | undefined {
  const set = member(jsonObject(body) ?? {}, 'ResultSet');
  const result = isObject(set) ? member(set, 'Result') : undefined;
  return Array.isArray(result) ? result : undefined;
}

function resourceURLOf(list: unknown[] | undefined, base: string): string {
  const [first] = list ?? [];
  const url = isObject(first) ? member(first, 'resourceURL') : undefined;
  if (typeof url !== 'string') return 'none';
  const found = ['files', 'webdav'].find((name) => url.startsWith(`${base}/${name}/`));
  return found ? `below /${found}/` : 'elsewhere';
}

export function webdavStep(server: Server, report: Report, known: { username: string | undefined }): Step {
  return async ({ accessToken, refreshToken }) => {
    const { webdav } = report;
    const bearer = `Bearer ${accessToken}`;
    const url = `${server.base}/webdav/`;
    const options = await asked(
      { endpoint: 'WebDAV', method: 'OPTIONS', url, headers: { authorization: bearer } },
      server.client.transport,
    );
    webdav.options = options.answer;
    const classes = String(options.value?.headers['dav'] ?? '')
      .split(',')
      .map((each) => each.trim());
    webdav.compliance = classes.filter((each) => ['1', '2', '3'].includes(each));
    const [depth0, depth1, noDepth] = [
      await propfind(server, bearer, '0'),
      await propfind(server, bearer, '1'),
      await propfind(server, bearer, undefined),
    ];
    Object.assign(webdav, { depth0: depth0.answer, depth1: depth1.answer, noDepth: noDepth.answer });
    if (known.username !== undefined) {
      webdav.basic = (await propfind(server, basicOf(known.username, accessToken), '0')).answer;
    }
    if (refreshToken !== undefined) {
      webdav.refreshToken = (await propfind(server, `Bearer ${refreshToken}`, '0')).answer;
    }
    const path = new URL(url).pathname;
    const listed = isListing(depth1) ? listingOf(depth1.value?.body ?? '', path) : undefined;
    if (listed) {
      const deep = isListing(noDepth) ? listingOf(noDepth.value?.body ?? '', path).levels : notTried;
      webdav.listing = { ...listed, levels: { depth1: listed.levels, noDepth: deep } };
    }
    const without = isListing(noDepth) ? 'also without Depth' : `but not without Depth (${told(noDepth.answer)})`;
    if (listed) return [ok('webdav', `Folders can be listed with an access token, ${without}.`)];
    return [unclear('webdav', `Folders cannot be listed with an access token (${told(depth1.answer)}).`)];
  };
}

function isListing({ value }: Tried<HTTPResponse>): boolean {
  return value?.status === 207 && /<(?:\w{1,20}:)?multistatus\b/.test(value.body);
}
