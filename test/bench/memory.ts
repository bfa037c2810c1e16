/**
 * What sign-ins leave behind in the application's process, their sessions aside: `node --expose-gc memory.js`.
 * They go through Passport; the server is left out, as a request that is over leaves nothing.
 */
import type { Request } from 'express';
import type passport from 'passport';
import { Dispatcher } from 'undici';
import { PowerFolderStrategy } from '../../lib/index.ts';

const count = 100_000;

/** Grants every code. */
class Granting extends Dispatcher {
  override dispatch(_options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const controller = { aborted: false, paused: false, reason: null, abort() {}, pause() {}, resume() {} };
    handler.onRequestStart?.(controller, {});
    handler.onResponseStart?.(controller, 200, {}, 'OK');
    handler.onResponseData?.(controller, Buffer.from(`{"access_token":"${'a'.repeat(32)}","expires_in":86400}`));
    handler.onResponseEnd?.(controller, {});
    return true;
  }
}

const strategy = new PowerFolderStrategy(
  {
    serverURL: 'https://powerfolder.example.com',
    clientID: 'bench',
    clientSecret: 'a secret of the bench',
    callbackURL: 'https://app.example.com/oauth',
    skipUserProfile: true,
    dispatcher: new Granting(),
  },
  ({ tokens }) => ({ id: tokens.accessToken }),
);

type Session = Record<string, string>;

/** What Passport does for a request: an object of its own, with the actions on it. */
function authenticate(originalUrl: string, session: Session, options: object = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const actions = { success: resolve, redirect: resolve, fail: reject, pass: reject, error: reject };
    const attempt = Object.assign(Object.create(strategy) as passport.Strategy, actions);
    attempt.authenticate({ method: 'GET', originalUrl, session } as unknown as Request, options);
  });
}

async function begin(session: Session = {}): Promise<string> {
  return String(await authenticate('/auth/powerfolder', session));
}

async function beginAndComplete(): Promise<void> {
  const session: Session = {};
  const url = await begin(session);
  const state = new URL(url).searchParams.get('state');
  await authenticate(`/oauth/code=code&state=${state}`, session);
}

function heapUsed(): number {
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

async function report(what: string, signIn: () => Promise<unknown>): Promise<void> {
  const before = heapUsed();
  for (let done = 0; done < count; done++) await signIn();
  const after = heapUsed();
  const [from, to] = [before, after].map((bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`);
  const each = Math.round((after - before) / count);
  console.log(`heap before and after ${count} sign-ins, ${what}: ${from}, ${to} (${each} bytes each)`);
}

async function bytesInSession(options: object): Promise<number> {
  const session: Session = {};
  await authenticate('/auth/powerfolder', session, options);
  return JSON.stringify(session).length;
}

async function main(): Promise<void> {
  for (let times = 0; times < 5000; times++) await beginAndComplete();
  await report('begun and abandoned', begin);
  // The last 100,000 used states are remembered for as long as they could be used.
  for (const time of ['first', 'second', 'third']) await report(`begun and completed, ${time} time`, beginAndComplete);
  console.log(
    `bytes of a pending sign-in in the session: ${await bytesInSession({})}, with a return path ${await bytesInSession({ state: { returnTo: '/folders/projects' } })}`,
  );
}

void main();
