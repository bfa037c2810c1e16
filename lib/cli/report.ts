/**
 * What `sign-in --report` writes: what a server does, and nothing of what it says. A value stands in it by its type, length and
 * alphabet, a name only if it is one that is known to all; so whatever a server sends, nothing of it is in the report.
 * Documented in docs/powerfolder-oauth2.md, "Reports".
 */
import type { PowerFolderErrorCode } from '../errors.ts';
import { packageVersion } from './terminal.ts';

/** Raised when a member changes its meaning, or goes; further members do not raise it. */
const reportVersion = 1;

/** What stands where nothing was asked, or could be. */
export const notTried = 'not tried';

/** A text by its length and the kinds of characters in it. */
export interface Shape {
  length: number;
  alphabet: string[];
}

/** An answer, or that there was none. */
export type Answer =
  | typeof notTried
  | { failed: PowerFolderErrorCode }
  | {
      status: number;
      type: string;
      charset?: string;
      framing: 'Content-Length' | 'chunked' | 'neither';
      body: 'empty' | 'JSON object' | 'JSON' | 'page' | 'XML' | 'text';
      /** Of a JSON object, the members whose names are known, each by its type. */
      members?: Record<string, string>;
      /** How many others it has. */
      otherMembers?: number;
      /** RFC 6749's word, or `other`. */
      error?: string;
      challenges?: string[];
      redirect?: 'same host' | 'to https' | 'another host' | 'nowhere';
    };

export interface Report {
  report: 'passport-powerfolder';
  version: typeof reportVersion;
  /** Of this package. */
  package: string;
  server: {
    scheme: 'http' | 'https';
    contextPath: boolean;
    software: string;
    clock: 'within 5 s' | 'within 5 min' | 'ahead' | 'behind' | 'not told';
  };
  unknownClient: Answer;
  wrongSecret: Answer;
  authorization: { get: Answer; method: 'GET' | 'POST'; session: string };
  callback: Callback | 'none came';
  token: Answer;
  tokens?: {
    access: Shape & { powerfolder: boolean };
    refresh: (Shape & { powerfolder: boolean }) | 'none';
    expiresIn: { unit: string; witness: string; lifetime: string } | 'none';
  };
  account: { bearer: Answer; basic: Answer; shape: string; ID?: Shape };
  folders: { bearer: Answer; basic: Answer; resourceURL: string };
  webdav: {
    options: Answer;
    compliance: string[];
    depth0: Answer;
    depth1: Answer;
    noDepth: Answer;
    basic: Answer;
    refreshToken: Answer;
    listing?: Listing;
  };
  refresh: {
    post: Answer;
    postOfDeployedClient: Answer;
    getMadeUp: Answer;
    get: Answer;
    rotates: boolean | typeof notTried;
    oldAccessToken: string;
    oldRefreshToken: Answer;
  };
  codeAgain: Answer;
  tokensAfterCodeAgain: string;
  decline: Callback | 'not tried' | 'did not return' | 'a code came';
}

/** How the browser came back. */
export interface Callback {
  form: 'path' | 'query' | 'both';
  /** The parameters that are known, in their order. */
  parameters: string[];
  otherParameters: number;
  state: 'unchanged' | 'changed' | 'missing';
  /** RFC 6749's word, or `other`. */
  error?: string;
  code?: Shape & {
    /** Whether there is a percent-escape in it, and in which case its digits are. */
    escapes: 'none' | 'upper case' | 'lower case' | 'both cases';
    /** Signs that stand in it as they are, and that `encodeURIComponent` would escape. */
    bare: string[];
  };
}

/** A WebDAV listing. */
export interface Listing {
  prefix: string;
  hrefs: 'paths' | 'URLs' | 'other';
  /** Levels below the folder that was asked for, by Depth 1 and without Depth. */
  levels: { depth1: number; noDepth: number | typeof notTried };
  folders: string[];
  files: string[];
  etag: 'weak' | 'strong' | 'none';
}

/** A report of which nothing is known yet. @param base The server's base URL. */
export function newReport(base: string): Report {
  const { protocol, pathname } = new URL(base);
  return {
    report: 'passport-powerfolder',
    version: reportVersion,
    package: packageVersion(),
    server: {
      scheme: protocol === 'https:' ? 'https' : 'http',
      contextPath: pathname !== '/',
      software: 'not told',
      clock: 'not told',
    },
    unknownClient: notTried,
    wrongSecret: notTried,
    authorization: { get: notTried, method: 'GET', session: notTried },
    callback: 'none came',
    token: notTried,
    account: { bearer: notTried, basic: notTried, shape: notTried },
    folders: { bearer: notTried, basic: notTried, resourceURL: notTried },
    webdav: {
      options: notTried,
      compliance: [],
      depth0: notTried,
      depth1: notTried,
      noDepth: notTried,
      basic: notTried,
      refreshToken: notTried,
    },
    refresh: {
      post: notTried,
      postOfDeployedClient: notTried,
      getMadeUp: notTried,
      get: notTried,
      rotates: notTried,
      oldAccessToken: notTried,
      oldRefreshToken: notTried,
    },
    codeAgain: notTried,
    tokensAfterCodeAgain: notTried,
    decline: notTried,
  };
}
