/**
 * The authorization request and response (RFC 6749 sections 4.1.1 and 4.1.2). PowerFolder deviates twice: its
 * documentation asks for the request by POST, and it returns the response as a path segment, `/oauth/code=X&state=Y`.
 * See docs/powerfolder-oauth2.md.
 */
import { AuthorizationError } from 'passport-oauth2';
import { answeredWith, isSystemErrorCode } from './errors.ts';
import { plainText } from './redact.ts';

/**
 * Writes authorization requests: the endpoint's URL with PowerFolder's four parameters in the documented order, and
 * further ones behind them, which replace none of these, and none in the endpoint's own query; undefined and null are left out.
 */
export function authorizationRequests(
  endpoint: string,
  { clientID, callbackURL }: { clientID: string; callbackURL: string },
): (state: string, further: object) => string {
  const start = `${endpoint}${endpoint.includes('?') ? '&' : '?'}state=`;
  // The same for each sign-in, and so written once.
  const own = { response_type: 'code', redirect_uri: callbackURL, client_id: clientID };
  const rest = `&${new URLSearchParams(own)}`;
  const taken = new Set(['state', ...Object.keys(own), ...new URL(endpoint).searchParams.keys()]);
  return (state, further) => {
    let url = start + state + rest;
    for (const [name, value] of Object.entries(further)) {
      if (value === undefined || value === null || taken.has(name)) continue;
      url += `&${new URLSearchParams({ [name]: String(value) })}`;
    }
    return url;
  };
}

/** An authorization response as it came: nothing of it is to be trusted. */
export type AuthorizationResponse =
  | { kind: 'code'; code: string; state: string | undefined }
  | {
      kind: 'error';
      error: string;
      description: string | undefined;
      uri: string | undefined;
      state: string | undefined;
    }
  /** Not one that the server sends: malformed, ambiguous, or too long. */
  | { kind: 'invalid' }
  /** Neither a code nor an error. */
  | { kind: 'none' };

const longestURL = 4096;
type ResponseParameter = 'code' | 'state' | 'error' | 'error_description' | 'error_uri';
const responseParameters: ReadonlySet<unknown> = new Set<ResponseParameter>([
  'code',
  'state',
  'error',
  'error_description',
  'error_uri',
]);

/** Where a path turns into parameters: at the first segment that begins like one. */
const pathForm = /\/(?=(?:code|state|error)=)/i;

/**
 * Reads the response from a request's raw URL: from the path, from the query, or from both where they do not repeat
 * each other. Each value is decoded once. Express's `req.query` and `req.params` are not used: they merge duplicates,
 * take `+` for a space, and answer a malformed escape themselves.
 *
 * @param rawURL `req.originalUrl`.
 */
export function readAuthorizationResponse(rawURL: string): AuthorizationResponse {
  const queryStart = rawURL.indexOf('?');
  const path = queryStart < 0 ? rawURL : rawURL.slice(0, queryStart);
  const query = queryStart < 0 ? '' : rawURL.slice(queryStart + 1);
  const pathStart = pathForm.exec(path)?.index;

  if (pathStart === undefined && query === '') return { kind: 'none' };

  const segment = pathStart === undefined ? '' : path.slice(pathStart + 1);
  // Without a prototype, as what is inherited did not come with the request.
  const values: { [name in ResponseParameter]?: string } = Object.create(null);
  // A redirect URI that brought a response of its own: the server's stands behind it.
  let invalid = rawURL.length > longestURL || pathForm.test(rawURL.slice((pathStart ?? queryStart) + 1));
  for (const pair of segment.split('&').concat(query.split('&'))) {
    const equals = pair.indexOf('=');
    const name = decodedName(equals < 0 ? pair : pair.slice(0, equals));
    if (!isResponseParameter(name)) continue;
    if (values[name] !== undefined) {
      invalid = true;
      continue;
    }
    const raw = equals < 0 ? '' : pair.slice(equals + 1);
    // Only prose has spaces. A plus in a code is taken for itself: a server that means a space writes %20.
    const value = decoded(name === 'error_description' ? raw.replaceAll('+', ' ') : raw);
    if (value === undefined || hasControlCharacter(value)) invalid = true;
    values[name] = value ?? '';
  }
  if (pathStart === undefined && values.code === undefined && values.error === undefined) return { kind: 'none' };
  if (invalid) return { kind: 'invalid' };

  const { code, error, state } = values;
  if (code && error === undefined) return { kind: 'code', code, state };
  if (error && code === undefined) {
    return { kind: 'error', error, description: values.error_description, uri: values.error_uri, state };
  }
  return code === undefined && error === undefined ? { kind: 'none' } : { kind: 'invalid' };
}

function isResponseParameter(name: string): name is ResponseParameter {
  return responseParameters.has(name);
}

/** The names that count are ASCII, so what else an escape stands for does not matter, and none can be malformed. */
function decodedName(name: string): string {
  return name.replace(/%([0-7][\da-f])/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}

function decoded(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text);
}

/** RFC 6749 section 4.1.2.1's codes, but access_denied: for these passport-oauth2 knows what to answer. */
const authorizationErrors = [
  'invalid_request',
  'unauthorized_client',
  'unsupported_response_type',
  'invalid_scope',
  'server_error',
  'temporarily_unavailable',
];

/** An error response (RFC 6749 section 4.1.2.1) with a valid state. */
export function authorizationError(response: AuthorizationResponse & { kind: 'error' }): AuthorizationError {
  const { error, description, uri, state = '' } = response;
  const plain = (text = '') => plainText(text, [state]);
  const word = plain(error);
  const code = isSystemErrorCode(word) ? 'server_error' : word;
  const text = plain(description) || `The PowerFolder server refused the authorization request: ${word}`;
  const status = authorizationErrors.includes(error) ? undefined : 502;
  const refusal = new AuthorizationError(text, code, uri && plain(uri), status);
  return answeredWith(refusal, refusal.status);
}
