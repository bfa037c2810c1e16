/** The entry for tests; under `moduleResolution: node10` found by `typesVersions`. */
import { AuthorizationError, PowerFolderError, registerClient, TokenError } from 'passport-powerfolder';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';

export const server: Promise<PowerFolderServer> = startPowerFolderServer({
  callbackStyle: 'query',
  autoApprove: 'ada',
});
export const client: Promise<{ clientID: string; clientSecret: string }> = registerClient({
  serverURL: 'https://pf.example',
  admin: { username: 'a', password: 'b' },
});
/** R51: the errors of passport-oauth2's classes have what PowerFolderError has. */
export function told(
  error: unknown,
): [status: number, serverStatus: number | undefined, retryAfter: number | undefined, state: unknown] | undefined {
  const ours = error instanceof PowerFolderError || error instanceof TokenError || error instanceof AuthorizationError;
  return ours ? [error.statusCode ?? error.status, error.serverStatus, error.retryAfter, error.state] : undefined;
}
