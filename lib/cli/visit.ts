/** Sends somebody to the server by a browser, and waits until they come back. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { authorizationRequests, readAuthorizationResponse } from '../authorization.ts';
import { authorizationRequestPage } from '../authorization-page.ts';
import type { CallbackPlace } from './callback.ts';
import { callbackOf } from './describe.ts';
import { type Finding, ok, unclear, wrong } from './finding.ts';
import type { Progress } from './progress.ts';
import type { Callback } from './report.ts';
import type { CommandLine } from './terminal.ts';

/** What came back: nothing, an error, or a code. */
export interface Outcome {
  callback?: Callback;
  code?: string;
}

interface Visit {
  /** The authorization endpoint. */
  endpoint: string;
  clientID: string;
  method: 'GET' | 'POST';
  /** What is asked of the person, above the address. */
  todo: string;
  /** Milliseconds for which they are waited for. */
  wait: number;
  /** Whether Decline is to be pressed. */
  declines: boolean;
  /** Whether a browser is opened. */
  open: boolean;
}

interface Surroundings {
  io: CommandLine;
  progress: Progress;
  signal: AbortSignal;
  tell(finding: Finding): void;
}

/** Addresses that are no answer, and are told of. */
const mostOthers = 10;

export function newState(): string {
  return randomBytes(16).toString('hex');
}

/** @throws the signal's reason, and {@link Mistake}. */
export async function visit(
  place: CallbackPlace,
  { endpoint, clientID, method, todo, wait, declines, open }: Visit,
  { io, progress, signal: interruption, tell }: Surroundings,
): Promise<Outcome> {
  const { callbackURL, showsPages } = place;
  const state = newState();
  const url = authorizationRequests(endpoint, { clientID, callbackURL })(state, {});
  if (method === 'POST' && !showsPages) {
    tell(wrong('browser', 'The server wants a POST, for which a page is needed here: leave --callback-url out.'));
    return {};
  }
  const address = place.address(url, method === 'POST' ? authorizationRequestPage(url, callbackURL) : undefined);
  progress.clear();
  io.stderr.write(`\n${todo}\n\n  ${address}\n\n`);
  if (open) await openBrowser(address, io);
  const deadline = AbortSignal.timeout(wait);
  const signal = AbortSignal.any([interruption, deadline]);
  const stopWaiting = progress.wait('Waiting for the browser (Ctrl-C ends this)', wait, signal);
  let outcome: Outcome = {};
  let others = 0;
  try {
    await place.wait((rawURL) => {
      progress.clear();
      const { finding, ...found } = read(rawURL, state, declines);
      // Whoever else is on this machine can send as many as they like.
      if (found.callback || ++others <= mostOthers) tell(finding);
      outcome = found;
      return found.callback !== undefined;
    }, signal);
  } catch (error) {
    interruption.throwIfAborted();
    if (!deadline.aborted) throw error;
    progress.clear();
    tell(
      (declines ? unclear : wrong)(
        declines ? 'decline' : 'callback',
        `Nobody came back within ${wait / 1000} s. Was the button pressed? What does the browser show?`,
      ),
    );
  } finally {
    stopWaiting();
  }
  return outcome;
}

/** What an address is that a browser ended at: an answer to this sign-in, if it brings its state. */
function read(rawURL: string, state: string, declines: boolean): Outcome & { finding: Finding } {
  const response = readAuthorizationResponse(rawURL);
  if (response.kind === 'none') {
    return { finding: unclear('callback', 'An address came that has neither a code nor an error in it.') };
  }
  if (response.kind === 'invalid') {
    return {
      finding: wrong('callback', 'An answer came that is malformed, ambiguous or too long: no strategy takes it.'),
    };
  }
  const callback = callbackOf(rawURL, response, state);
  if (callback.state !== 'unchanged') {
    const how = callback.state === 'missing' ? 'without a state' : 'with another state';
    return { finding: unclear('callback', `An answer came ${how}: it does not count, as anybody may have made it.`) };
  }
  const forms = {
    path: 'as a path segment, as PowerFolder documents it',
    query: 'as a query',
    both: 'as a path segment and a query',
  };
  const form = forms[callback.form];
  if (declines) {
    const what = response.kind === 'error' ? `the error ${callback.error}` : 'a code, as if Allow had been pressed';
    const finding = (response.kind === 'error' ? ok : unclear)('decline', `The answer came ${form}, with ${what}.`);
    return response.kind === 'error' ? { callback, finding } : { callback, code: response.code, finding };
  }
  if (response.kind === 'error') {
    return { callback, finding: wrong('callback', `The answer came ${form}, with the error ${callback.error}.`) };
  }
  const { code } = response;
  return {
    callback,
    code,
    finding: ok('callback', `The answer came ${form}, with a code of ${code.length} characters.`),
  };
}

/** By the program that each system has for it. */
async function openBrowser(address: string, { env, stderr }: CommandLine): Promise<void> {
  const [command = '', ...args] =
    process.platform === 'darwin'
      ? ['open', address]
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler', address]
        : ['xdg-open', address];
  await new Promise<void>((resolve) => {
    const child = spawn(command, args, { stdio: 'ignore', detached: true, env: env as NodeJS.ProcessEnv });
    child.once('error', ({ code }: NodeJS.ErrnoException) => {
      stderr.write(`No browser could be opened (${command}: ${code}). Open the address by hand.\n`);
      resolve();
    });
    child.once('spawn', resolve);
    child.unref();
  });
}
