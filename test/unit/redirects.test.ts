/** R24: a redirect is not followed, and its host is named where that tells nothing that was sent. */
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import { startWithTokens } from '../support/simulated-sign-in.ts';

let server: PowerFolderServer;
afterEach(() => server.close());

it('names the node of a cluster that a profile is to come from', async () => {
  const started = await startWithTokens({ cluster: true });
  server = started.server;
  const error = await new Promise<Error>((resolve) =>
    started.strategy.userProfile(started.accessToken, (failure) => resolve(failure as Error)),
  );
  expect(error).toMatchObject({ code: 'redirected', serverStatus: 302 });
  expect(error.message).toMatch(/answered with a redirect \(302\) to localhost:\d+, which is not followed\./);
  expect(server.requests).toHaveLength(1);
});

it.each<[what: string, location: (token: string) => string, words: RegExp]>([
  [
    'another host',
    () => 'https://node2.example.com:8443/x?token=secret',
    / \(302\) to node2\.example\.com:8443, which/,
  ],
  ['the same host', () => '/login', / \(302\), which/],
  ['nothing that is a URL', () => 'http://[', / \(302\), which/],
  ['a host with the token in it', (token) => `https://${token.slice(0, 20)}.example.com/`, / \(302\), which/],
  ['a host with a part of it', (token) => `https://${token.slice(4, 14)}.example.com/`, / \(302\), which/],
  [
    'a host with it between dots',
    (token) => `https://${token.slice(0, 24).match(/.{4}/g)?.join('.')}.example.com/`,
    / \(302\), which/,
  ],
  [
    'a host with it in hexadecimal digits',
    (token) => `https://${Buffer.from(token).toString('hex').slice(0, 60)}.example.com/`,
    / \(302\), which/,
  ],
])('R29: says of a redirect to %s no more than it may', async (_, location, words) => {
  const started = await startWithTokens();
  server = started.server;
  const { refreshToken } = started;
  server.failNext('refresh', { status: 302, headers: { Location: location(refreshToken) } });
  const error = await started.strategy.refreshAccessToken(refreshToken).catch((failure) => failure);
  expect(error).toMatchObject({ code: 'redirected' });
  expect(error.message).toMatch(words);
});
