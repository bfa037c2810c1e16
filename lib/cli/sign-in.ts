/** `passport-powerfolder sign-in` */
import { accessSync, constants, existsSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { authorizationRequests } from '../authorization.ts';
import type { Transport } from '../http.ts';
import type { PowerFolderProfile } from '../profile.ts';
import { plainText } from '../redact.ts';
import type { PowerFolderTokens } from '../token.ts';
import { checkedCallbackURL, checkedServerBase } from '../url.ts';
import { type Command, required, type Values } from './arguments.ts';
import { askForCallback, type CallbackPlace, listenForCallback } from './callback.ts';
import { checkServer } from './check.ts';
import { clockOf, sessionOf, softwareOf } from './describe.ts';
import { type Finding, ok, tell, wrong } from './finding.ts';
import { Progress } from './progress.ts';
import { newReport, notTried, type Report } from './report.ts';
import { accountStep, foldersStep, webdavStep } from './resource-steps.ts';
import { codeAgainStep, redeem, refreshStep, refusals } from './sign-in-steps.ts';
import { type CommandLine, Mistake, sentence } from './terminal.ts';
import { checkTokenFile, writeTokenFile } from './token-file.ts';
import { tokenClientOf, transportOf } from './transport.ts';
import { asked, type Server, type Step } from './tried.ts';
import { newState, type Outcome, visit } from './visit.ts';

export const signIn: Command = {
  summary: 'Signs you in from the terminal, and tells what the server does.',
  help: `Usage: passport-powerfolder sign-in --server URL --client-id ID [options]

Signs you in at the server with the registered client, as an application would, and tells
step by step what the server does, and what to set in the options of the strategy.

  --server URL            base URL of the server, with its context path
                          (default: $POWERFOLDER_URL)
  --client-id ID          the registered client's ID (default: $POWERFOLDER_CLIENT_ID)
  --open                  open the address in the browser of this machine
  --port N                port of this machine to come back to, http://localhost:N/oauth
                          (default: any free one)
  --callback-url URL      come back to this URL instead; the address at which the browser
                          ended is then asked for, or read from the standard input
  --wait SECONDS          how long to wait for the browser (default: 600)
  --decline               have a second look, at what comes when you press Decline
  --username NAME         your user name, where the server does not tell it
  --report FILE           write what was learned as JSON, without secrets, tokens, names
                          and addresses; FILE must be new
  --save FILE             keep the tokens, for passport-powerfolder token FILE. A used
                          code and a replaced refresh token are then not tried again, as
                          that may end the tokens
  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

A proxy is taken from $HTTPS_PROXY (or $HTTP_PROXY, for an http server), unless $NO_PROXY
names the server; each of them in lower case as well.

The client's secret is read from $POWERFOLDER_CLIENT_SECRET.

The exit status is 0 when a sign-in would work, perhaps with the options that are named,
and what was to be written is.
`,
  options: {
    server: { type: 'string' },
    'client-id': { type: 'string' },
    open: { type: 'boolean' },
    port: { type: 'string' },
    'callback-url': { type: 'string' },
    wait: { type: 'string' },
    decline: { type: 'boolean' },
    username: { type: 'string' },
    report: { type: 'string' },
    save: { type: 'string' },
    ca: { type: 'string' },
    'allow-insecure-http': { type: 'boolean' },
  },
  run,
};

async function run(values: Values, io: CommandLine): Promise<number> {
  const interruption = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => interruption.abort(new Interruption(signal));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  const progress = new Progress(io.stderr);
  try {
    return await until(new SignIn(values, io, progress, interruption.signal).run(), interruption.signal);
  } catch (error) {
    if (!(error instanceof Interruption)) throw error;
    progress.clear();
    io.stderr.write('Cancelled.\n');
    // By the signal itself, as the shell expects; requests that are on the way end with it.
    process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal);
    process.kill(process.pid, error.signal);
    return 1;
  } finally {
    process.removeListener('SIGINT', onSignal).removeListener('SIGTERM', onSignal);
  }
}

/** Ctrl-C, for instance. */
class Interruption extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(signal);
    this.signal = signal;
  }
}

class SignIn {
  readonly #io: CommandLine;
  readonly #values: Values;
  readonly #signal: AbortSignal;
  readonly #transport: Transport;
  readonly #server: Server;
  readonly #port: number;
  readonly #wait: number;
  readonly #report: Report;
  readonly #progress: Progress;
  /** What to set in the options of the strategy, each with why. */
  readonly #settings: [setting: string, why: string][] = [];
  /** Whether the tokens are where they were to be kept. */
  #isKept = true;

  /** @throws {Mistake} and {TypeError} */
  constructor(values: Values, io: CommandLine, progress: Progress, signal: AbortSignal) {
    const { env } = io;
    const serverURL = required(values, 'server', env, 'POWERFOLDER_URL');
    const clientID = required(values, 'client-id', env, 'POWERFOLDER_CLIENT_ID');
    const { POWERFOLDER_CLIENT_SECRET: clientSecret } = env;
    if (!clientSecret)
      throw new Mistake(
        'POWERFOLDER_CLIENT_SECRET is not set. Put the secret there, in the environment of this command.',
      );
    this.#transport = transportOf(values, env);
    const base = checkedServerBase(serverURL, this.#transport);
    this.#server = { base, client: tokenClientOf({ base, clientID, clientSecret }, this.#transport) };
    this.#port = wholeNumber(values['port'], '--port', 0, 65_535) ?? 0;
    this.#wait = (wholeNumber(values['wait'], '--wait', 1, 86_400) ?? 600) * 1000;
    if (typeof values['callback-url'] === 'string') {
      if (values['port'] !== undefined)
        throw new Mistake('--port has no effect beside --callback-url; leave one of them out.');
      checkedCallbackURL(values['callback-url'], this.#transport);
    }
    if (typeof values['report'] === 'string') refuseExisting(values['report']);
    this.#values = values;
    this.#io = io;
    this.#signal = signal;
    this.#progress = progress;
    this.#report = newReport(base);
  }

  async run(): Promise<number> {
    const { base, client } = this.#server;
    const { save } = this.#values;
    if (typeof save === 'string') await checkTokenFile(save, base, client.clientID);
    if (!(await this.#check())) {
      this.#io.stdout.write('A sign-in would not work. Mend this first.\n');
      return 1;
    }
    const { 'callback-url': callbackURL } = this.#values;
    const place =
      typeof callbackURL === 'string' ? askForCallback(callbackURL, this.#io) : await listenForCallback(this.#port);
    let works = false;
    try {
      works = await this.#signIn(place);
      // Who did not come back once does not do so twice.
      if (this.#values['decline'] && this.#report.callback !== 'none came') await this.#decline(place);
    } finally {
      this.#progress.clear();
      await place.close();
    }
    const isWritten = this.#writeReport();
    this.#conclude(works);
    return works && isWritten && this.#isKept ? 0 : 1;
  }

  /** What can be told before anybody goes to a browser. */
  async #check(): Promise<boolean> {
    const { base, client } = this.#server;
    let isWell = true;
    this.#progress.show('Asking the server');
    const findings = checkServer(base, client.clientID, client.clientSecret, this.#transport);
    for await (const finding of findings) {
      this.#tell(finding);
      if (finding.verdict === 'wrong' && finding.about !== 'clock') isWell = false;
    }
    return isWell;
  }

  async #signIn(place: CallbackPlace): Promise<boolean> {
    const { base } = this.#server;
    await this.#step('secret', () => refusals(this.#server, this.#report));
    const method = await this.#authorizationMethod();
    const outcome = await this.#visit(place, method, 'Open this address, log in, and press Allow:');
    if (outcome.callback) this.#report.callback = outcome.callback;
    if (outcome.code === undefined) return false;
    const { finding, tokens } = await redeem(this.#server, outcome.code, this.#report);
    this.#tell(finding);
    if (!tokens) return false;
    let current: PowerFolderTokens = tokens;
    const found: { refreshMethod: 'POST' | 'GET' } = { refreshMethod: 'POST' };
    const keep = async (given: PowerFolderTokens) => {
      current = given;
      const { save } = this.#values;
      if (typeof save !== 'string') return;
      this.#isKept = false;
      await writeTokenFile(save, {
        serverURL: base,
        clientID: this.#server.client.clientID,
        ...found,
        tokens: given,
      });
      this.#isKept = true;
    };
    await keep(tokens);
    const { save } = this.#values;
    const harmless = typeof save === 'string';
    const known: { username: string | undefined; profile?: PowerFolderProfile | 'refused' } = {
      username: this.#values['username'] as string | undefined,
    };
    const isGET = () => {
      found.refreshMethod = 'GET';
    };
    const steps: [about: string, step: Step][] = [
      ['account', accountStep(this.#server, this.#report, known)],
      ['folders', foldersStep(this.#server, this.#report, known)],
      ['webdav', webdavStep(this.#server, this.#report, known)],
      ['refresh', refreshStep(this.#server, this.#report, { keep, isGET, harmless })],
    ];
    if (!harmless) steps.push(['code', codeAgainStep(this.#server, this.#report, outcome.code)]);
    for (const [about, step] of steps) await this.#step(about, () => step(current));
    if (harmless && this.#isKept) this.#tell(ok('tokens', `They are in ${plainText(save)}.`));
    if (found.refreshMethod === 'GET')
      this.#settings.push(["refreshMethod: 'GET'", 'the server does not refresh by POST']);
    if (known.profile === 'refused') {
      this.#settings.push([
        'skipUserProfile: true',
        'the server does not say whom an access token belongs to; or userProfileURL, if another address does',
      ]);
    }
    return known.profile !== undefined;
  }

  /** The method that the server has for authorization requests, and what its first page tells. */
  async #authorizationMethod(): Promise<'GET' | 'POST'> {
    const { client, base } = this.#server;
    const url = authorizationRequests(`${base}/oauth/allow`, {
      clientID: client.clientID,
      callbackURL: 'http://localhost/oauth',
    })(newState(), {});
    const headers = { accept: 'text/html' };
    const { answer, response } = await asked(
      { endpoint: 'authorization endpoint', method: 'GET', url, headers },
      this.#transport,
    );
    const { authorization, server } = this.#report;
    authorization.get = answer;
    if (!response) return 'GET';
    authorization.session = sessionOf(response);
    server.software = softwareOf(response);
    server.clock = clockOf(response);
    if (response.status !== 405 && response.status !== 501) return 'GET';
    authorization.method = 'POST';
    this.#settings.push(["authorizationMethod: 'POST'", `the server refuses a GET with status ${response.status}`]);
    return 'POST';
  }

  async #decline(place: CallbackPlace): Promise<void> {
    const { method } = this.#report.authorization;
    const todo = 'Once more, to see what comes then: open this address and press Decline:';
    const { callback, code } = await this.#visit(place, method, todo, true);
    if (code !== undefined) this.#report.decline = 'a code came';
    else this.#report.decline = callback ?? 'did not return';
  }

  async #visit(place: CallbackPlace, method: 'GET' | 'POST', todo: string, declines = false): Promise<Outcome> {
    const { base, client } = this.#server;
    const how = {
      endpoint: `${base}/oauth/allow`,
      clientID: client.clientID,
      method,
      todo,
      wait: this.#wait,
      declines,
      open: this.#values['open'] === true,
    };
    const tell = (finding: Finding) => this.#tell(finding);
    try {
      return await visit(place, how, { io: this.#io, progress: this.#progress, signal: this.#signal, tell });
    } catch (error) {
      // What was learned until then is told all the same.
      if (!(error instanceof Mistake)) throw error;
      tell(wrong(declines ? 'decline' : 'callback', error.message));
      return {};
    }
  }

  /** A step that fails does not end the others. */
  async #step(about: string, step: () => Promise<Finding[]>): Promise<void> {
    this.#progress.show(`Trying: ${about}`);
    let findings: Finding[];
    try {
      findings = await step();
    } catch (error) {
      findings = [
        wrong(
          about,
          error instanceof Mistake ? error.message : `This could not be tried: ${plainText(sentence(error))}`,
        ),
      ];
    }
    for (const finding of findings) this.#tell(finding);
  }

  #tell(finding: Finding): void {
    this.#progress.clear();
    tell(this.#io, finding);
  }

  /** @returns false where it could not be. */
  #writeReport(): boolean {
    const { report: file } = this.#values;
    if (typeof file !== 'string') return true;
    const text = `${JSON.stringify(this.#report, null, 2)}\n`;
    try {
      writeFileSync(file, text, { flag: 'wx' });
      this.#tell(ok('report', `It is in ${plainText(file)}; read it before you send it to anybody.`));
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#tell(wrong('report', `${plainText(file)} could not be written (${code}). This is it:`));
      this.#io.stdout.write(text);
      return false;
    }
  }

  #conclude(works: boolean): void {
    const { stdout } = this.#io;
    const { callback, token } = this.#report;
    if (!works) {
      const isUnknown = token === notTried && (typeof callback === 'string' || callback.error === 'access_denied');
      stdout.write(
        isUnknown
          ? 'Nobody was signed in, so it is not known whether a sign-in would work.\n'
          : 'A sign-in would not work.\n',
      );
      return;
    }
    stdout.write('A sign-in would work. ');
    if (this.#settings.length === 0) {
      stdout.write('Nothing needs to be set in the options of the strategy.\n');
      return;
    }
    stdout.write('Set in the options of the strategy:\n');
    for (const [setting, why] of this.#settings) stdout.write(`  ${setting},  // ${why}\n`);
  }
}

async function until<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function wholeNumber(value: unknown, option: string, least: number, most: number): number | undefined {
  if (value === undefined) return undefined;
  const number = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw new Mistake(`${option} must be a whole number from ${least} to ${most}.`);
}

/** Before anybody is asked to sign in. */
function refuseExisting(file: string): void {
  if (existsSync(file)) throw new Mistake(`${plainText(file)} is there already; give --report a new file.`);
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new Mistake(`${plainText(file)} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
  }
}
