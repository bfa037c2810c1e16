/** Runs a random application, and compares how its attempts end with what the oracle allows. */
import { type IncomingMessage, request } from 'node:http';
import { inspect, isDeepStrictEqual } from 'node:util';
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express';
import session from 'express-session';
import passport from 'passport';
import { TokenError } from 'passport-oauth2';
import type * as PassportPowerFolder from 'passport-powerfolder';
import { type Expected, Oracle, type Outcome, skipOutcomes, startOutcomes } from './oracle.ts';
import {
  type Application,
  type Handler,
  neverBefore,
  type Plain,
  type Response,
  type Script,
  type Start,
  type Thrown,
  type Value,
} from './random-applications.ts';
import { after, clock, isQuiet, letAMinutePass, turn, turns } from './staged-time.ts';

type Library = typeof PassportPowerFolder;
type Strategy = InstanceType<Library['PowerFolderStrategy']>;

/** What was seen of one attempt. */
export interface Attempt {
  id: string;
  start?: Start;
  response?: Response;
  /** Every end, in order. There shall be one. */
  ends: { kind: 'success' | 'fail' | 'redirect' | 'error' | 'pass' | 'went on'; value?: unknown; info?: unknown }[];
  /** The users and other values that the scripts made. */
  made: Map<Value, unknown>;
  tokenRequests: number;
  accountRequests: number;
  /** How often each hook was called. */
  calls: Record<string, number>;
  profile?: unknown;
  /** Where that came out which the application's callback threw. */
  surfaced: string[];
  thrown: boolean;
  onTokenRequest?: () => Promise<void>;
}

/** What all applications share: servers, and the package as two processes have it. */
export interface Surroundings {
  serverURL: string;
  attempts: Map<string, Attempt>;
  libraries: { here: Library; elsewhere: Library };
  /** How the attempts ended, to be counted. */
  ended: string[];
  /** Serves an Express application at its number. */
  serve(number: number, app: Express): { origin: string; end(): void };
  /** Warnings, unhandled rejections and uncaught exceptions, since they were last taken. */
  takeNoise(): { warnings: unknown[]; mishaps: string[] };
  hangLimit: number;
}

/** Instead of the profile, where verify does not take it. */
const notDeclared = Symbol('not declared');

let sharedError = new TokenError('An error for which several waited', 'server_error');
let applicationNumber = 0;
let attemptNumber = 0;

/** What is wrong; nothing, if all went as the oracle says. */
export async function runApplication(app: Application, around: Surroundings): Promise<string[]> {
  const stage = new Stage(app, around);
  const wrong: string[] = [];
  try {
    if (app.skip === 'text' && stage.isRefused()) return [];
    const oracle = new Oracle(app);
    for (const step of app.steps) {
      if (step.do === 'wait') {
        clock.forward(11 * 60_000);
        oracle.expired();
      } else if (step.do === 'start') {
        const attempt = await stage.start(step);
        if (!app.store) oracle.started(step);
        const outcomes = startOutcomes(app, step);
        wrong.push(...differences(app, attempt, { outcomes, mayAsk: false }), ...stage.wrongState(attempt));
      } else {
        const attempts = await stage.round(step.responses);
        const { expected, contests } = oracle.round(step);
        const byResponse = new Map(attempts.map((attempt) => [attempt.response, attempt]));
        for (const each of expected) {
          const attempt = byResponse.get(each.response);
          if (attempt) wrong.push(...differences(app, attempt, each));
        }
        for (const { candidates, maybeNone } of contests) {
          const claims = candidates.flatMap((response) => byResponse.get(response) ?? []);
          wrong.push(...wrongContest(claims, maybeNone));
        }
      }
      if (stage.hung) break;
    }
    wrong.push(...(await stage.wrongAtTheEnd()));
  } finally {
    stage.end();
  }
  return wrong;
}

/** Everything about one attempt that the oracle does not allow. */
function differences(app: Application, attempt: Attempt, { outcomes, mayAsk }: Omit<Expected, 'response'>): string[] {
  const wrong: string[] = [];
  const [end] = attempt.ends;
  const what = attempt.start ? `start ${attempt.start.id}` : `response ${attempt.id} (${attempt.response?.kind})`;
  const allowed = [...new Set(outcomes.map((outcome) => describe(outcome)))].join(' or ');
  if (!end) wrong.push(`${what} never ended; allowed: ${allowed}`);
  else if (!outcomes.some((outcome) => matches(attempt, outcome))) {
    wrong.push(`${what} ended in ${end.kind} with ${brief(end.value)}; allowed: ${allowed}`);
  }
  if (attempt.tokenRequests > (mayAsk ? 1 : 0)) {
    wrong.push(`${what} sent ${attempt.tokenRequests} token requests; allowed: ${mayAsk ? 1 : 0}`);
  }
  wrong.push(...wrongState(app, attempt).map((text) => `${what} ${text}`));
  for (const [hook, calls] of Object.entries(attempt.calls)) {
    if (calls > 1) wrong.push(`${what} called ${hook} ${calls} times`);
  }
  const skips = skipOutcomes(app);
  if (!skips.includes('ask') && (attempt.accountRequests > 0 || attempt.calls['userProfile'])) {
    wrong.push(`${what} asked for a profile that is skipped`);
  }
  if (attempt.calls['verify'] && attempt.profile !== notDeclared) wrong.push(...wrongProfile(app, attempt, what));
  return wrong;
}

/** A success tells the application's state; the others may. Nobody is told that of somebody else. */
function wrongState(app: Application, { response, ends: [end] }: Attempt): string[] {
  if (!response || !end || app.store) return [];
  const mark = { mark: response.start };
  const told = stateOf(end.kind === 'success' ? end.info : end.value);
  if (isDeepStrictEqual(told, mark) || (told === undefined && end.kind !== 'success')) return [];
  return [`was told the state ${brief(told)} instead of ${brief(mark)}`];
}

function wrongProfile(app: Application, { profile, made, id, response }: Attempt, what: string): string[] {
  const skips = skipOutcomes(app);
  if (profile === undefined) return skips.includes('skip') ? [] : [`${what} gave verify no profile`];
  if (!skips.includes('ask')) return [`${what} gave verify a profile that was skipped`];
  if (app.profile === 'server') {
    return (profile as { id?: unknown }).id === `account-${id}` ? [] : [`${what} gave verify ${brief(profile)}`];
  }
  const { answers = [], value } = response?.profileScript ?? {};
  const given = app.profile === 'promise' ? [value] : answers.map((answer) => answer.value);
  if (given.some((each) => each && made.get(each) === profile)) return [];
  return [`${what} gave verify a profile that userProfile did not give: ${brief(profile)}`];
}

function matches({ ends: [end], made }: Attempt, outcome: Outcome): boolean {
  if (end?.kind !== outcome.kind) return false;
  // Passport gives errors to Express, for which these are none: it goes on to the next handler.
  if (end.kind === 'error') return Boolean(end.value) && end.value !== 'route' && end.value !== 'router';
  if (outcome.kind === 'fail') return outcome.accepted || !afterAcceptance.includes(codeOf(end.value));
  return outcome.kind !== 'success' || (made.has(outcome.user) && made.get(outcome.user) === end.value);
}

/** What a failure may tell only when the state was accepted. */
const afterAcceptance: unknown[] = ['access_denied', 'invalid_grant', 'verify_refused'];
const stateOf = (info: unknown) => (info as { state?: unknown } | null | undefined)?.state;
const codeOf = (info: unknown) => (info as { code?: unknown } | null | undefined)?.code;

/** Of several responses to one state exactly one is taken. */
function wrongContest(claims: Attempt[], maybeNone: boolean): string[] {
  const which = claims.map(({ id }) => id).join(', ');
  const asked = claims.filter(({ tokenRequests }) => tokenRequests > 0);
  if (asked.length > 1) return [`${asked.length} token requests for one state, by responses ${which}`];
  const taken = claims.filter((each) => asked.includes(each) || each.ends[0]?.kind !== 'fail');
  if (taken.length > 1) return [`Of the responses ${which} to one state ${taken.length} were taken`];
  const onlyCodes = claims.every(({ response }) => response?.kind === 'code');
  if (taken.length === 0 && onlyCodes && !maybeNone) return [`None of the responses ${which} to one state was taken`];
  return [];
}

/** One application with its strategies, sessions and attempts. */
class Stage {
  hung = false;
  readonly #app: Application;
  readonly #around: Surroundings;
  readonly #number = ++applicationNumber;
  readonly #attempts: Attempt[] = [];
  readonly #strategies = new Map<Handler, Strategy>();
  readonly #sessions: object[] = [{}, {}];
  readonly #states = new Map<number, string>();
  readonly #origin: string;
  readonly #cookies = new Map<number, string>();
  #end = () => {};

  constructor(app: Application, around: Surroundings) {
    sharedError = new TokenError('An error for which several waited', 'server_error');
    this.#app = app;
    this.#around = around;
    this.#origin = 'http://127.0.0.1:9';
    if (app.sharing.startsWith('express')) {
      const { origin, end } = around.serve(this.#number, this.#express());
      this.#origin = origin;
      this.#end = end;
    }
  }

  /** Strategies are made when they are needed: `here` knows the origin by then. */
  #strategy(handler: Handler): Strategy {
    const known = this.#strategies.get(handler);
    if (known) return known;
    const { here, elsewhere } = this.#around.libraries;
    const made = this.#made(handler === 'process' ? elsewhere : here, handler === 'other');
    this.#strategies.set(handler, made);
    return made;
  }

  /** Whether the options are refused: a mistake in them may be a TypeError at once. */
  isRefused(): boolean {
    try {
      return !this.#strategy('main');
    } catch (error) {
      if (error instanceof TypeError) return true;
      throw error;
    }
  }

  #made({ PowerFolderStrategy }: Library, other: boolean): Strategy {
    const { otherBy, passReqToCallback, verify, skip, store } = this.#app;
    const differs = (by: Application['otherBy']) => other && otherBy === by;
    const options: PassportPowerFolder.PowerFolderStrategyOptions = {
      serverURL: `${this.#around.serverURL}${differs('server') ? '/other' : ''}`,
      clientID: differs('client') ? 'other' : 'client',
      clientSecret: 'secret',
      callbackURL: this.#callbackURL(other),
      passReqToCallback,
      // However slow this machine is.
      timeout: 600_000,
      ...(skip !== 'unset' && { skipUserProfile: this.#skip() }),
      ...(store && { store: this.#store() }),
    };
    const profile = this.#userProfile();
    class Subclass extends PowerFolderStrategy {
      static {
        if (profile) Object.defineProperty(Subclass.prototype, 'userProfile', { value: profile });
      }
    }
    const strategy = new (profile ? Subclass : PowerFolderStrategy)(options, this.#verify(verify));
    if (differs('name')) strategy.name = 'other';
    return strategy;
  }

  #callbackURL(other: boolean): string {
    return `${this.#origin}/${this.#number}/oauth${other && this.#app.otherBy === 'callback' ? '2' : ''}`;
  }

  // Hooks

  #attemptOf(token: unknown): Attempt {
    const attempt = this.#around.attempts.get(String(token).replace('token-', ''));
    if (!attempt) throw new Error(`A hook was called with an unknown token or request: ${String(token)}`);
    return attempt;
  }

  #ofRequest(req: unknown): Attempt {
    return this.#attemptOf((req as IncomingMessage).headers['x-attempt']);
  }

  #verify(form: Application['verify']): PassportPowerFolder.PowerFolderVerifyFunction {
    const run = (token: unknown, profile: unknown, done: unknown, refuse?: unknown) => {
      const attempt = this.#attemptOf(token);
      attempt.profile = profile;
      return perform('verify', attempt, attempt.response?.verifyScript, done, refuse);
    };
    // biome-ignore-start lint/suspicious/noExplicitAny: forms that no type allows all at once
    const forms: Record<Application['verify'], [unknown, unknown]> = {
      object: [({ tokens, profile, refuse }: any) => run(tokens.accessToken, profile, undefined, refuse), 0],
      tokens: [
        (token: any, _refresh: any) => run(token, notDeclared, undefined),
        (_req: any, token: any, _refresh: any) => run(token, notDeclared, undefined),
      ],
      profile: [
        (token: any, _refresh: any, profile: any) => run(token, profile, undefined),
        (_req: any, token: any, _refresh: any, profile: any) => run(token, profile, undefined),
      ],
      done: [
        (token: any, _refresh: any, profile: any, done: any) => run(token, profile, done),
        (_req: any, token: any, _refresh: any, profile: any, done: any) => run(token, profile, done),
      ],
      params: [
        (token: any, _refresh: any, _params: any, profile: any, done: any) => run(token, profile, done),
        (_req: any, token: any, _refresh: any, _params: any, profile: any, done: any) => run(token, profile, done),
      ],
      rest: [
        (...args: any[]) => run(args[0], args.at(-2), args.at(-1)),
        (...args: any[]) => run(args[1], args.at(-2), args.at(-1)),
      ],
    };
    const [plain, withReq] = forms[form];
    return (this.#app.passReqToCallback && form !== 'object' ? withReq : plain) as any;
  }

  #skip(): any {
    const { skip, skipScript } = this.#app;
    if (skip === 'true' || skip === 'false') return skip === 'true';
    if (skip === 'text') return 'false';
    // It is not told whose sign-in it is about.
    const run = (done?: unknown) => perform('skipUserProfile', newAttempt('skip'), skipScript, done);
    if (skip === 'callback') return (_token: unknown, done: unknown) => run(done);
    return skip === 'token' ? (_token: unknown) => run() : () => run();
  }

  #userProfile(): any {
    const run = (token: unknown, done?: unknown) => {
      const attempt = this.#attemptOf(token);
      return perform('userProfile', attempt, attempt.response?.profileScript, done);
    };
    const forms = {
      server: undefined,
      callback: (token: unknown, done: unknown) => run(token, done),
      rest: (...args: unknown[]) => run(args[0], args[1]),
      promise: (token: unknown) => run(token),
    };
    return forms[this.#app.profile];
  }

  #store(): any {
    const store = (req: unknown, done: unknown) => {
      const attempt = this.#ofRequest(req);
      return perform('store', attempt, attempt.start?.storeScript, done);
    };
    const verify = (req: unknown, done: unknown) => {
      const attempt = this.#ofRequest(req);
      return perform('store.verify', attempt, attempt.response?.storeScript, done);
    };
    const stores = {
      2: (req: any, done: any) => store(req, done),
      3: (req: any, _meta: any, done: any) => store(req, done),
      4: (req: any, _state: any, _meta: any, done: any) => store(req, done),
      5: (req: any, _verifier: any, _state: any, _meta: any, done: any) => store(req, done),
    };
    const verifies = {
      3: (req: any, _state: any, done: any) => verify(req, done),
      4: (req: any, _state: any, _meta: any, done: any) => verify(req, done),
    };
    // biome-ignore-end lint/suspicious/noExplicitAny: forms that no type allows all at once
    const arity = this.#app.store ?? { store: 3, verify: 3 };
    return { store: stores[arity.store], verify: verifies[arity.verify] };
  }

  // Attempts

  async start(start: Start): Promise<Attempt> {
    const attempt = this.#newAttempt({ start });
    const path = `/${this.#number}/start-${start.by}`;
    this.#send(attempt, start.by, start.session, 'GET', path);
    await this.#ended([attempt]);
    const [end] = attempt.ends;
    const state = end?.kind === 'redirect' ? new URL(String(end.value)).searchParams.get('state') : null;
    if (state !== null) this.#states.set(start.id, state);
    return attempt;
  }

  wrongState({ ends: [end], start, made }: Attempt): string[] {
    if (end?.kind !== 'redirect' || !start) return [];
    const state = this.#states.get(start.id);
    if (!state || !/^[A-Za-z0-9]{1,512}$/.test(state)) return [`The state is ${state}`];
    const twice = [...this.#states.values()].filter((each) => each === state).length > 1;
    if (!this.#app.store) return twice || state.length < 22 ? [`The state ${state} is short, or not new`] : [];
    const given = start.storeScript.answers.map(({ value }) => made.get(value));
    return given.includes(state) ? [] : [`The state ${state} is not what the store answered`];
  }

  async round(responses: Response[]): Promise<Attempt[]> {
    const attempts = responses.map((response) => this.#newAttempt({ response }));
    const waiting = new Set(attempts.filter(({ response }) => response?.during));
    const first = attempts.filter((attempt) => !waiting.has(attempt));
    const sendWaiting = (start?: number) => {
      for (const attempt of waiting) {
        if (start !== undefined && attempt.response?.start !== start) continue;
        waiting.delete(attempt);
        this.#respond(attempt);
      }
    };
    for (const attempt of first) {
      attempt.onTokenRequest = async () => {
        sendWaiting(attempt.response?.start);
        await turns(2);
      };
    }
    for (const attempt of first) this.#respond(attempt);
    await this.#ended(first);
    sendWaiting();
    await this.#ended(attempts);
    return attempts;
  }

  #respond(attempt: Attempt): void {
    const { at = 'main', kind, style, session, noSession, start = -1 } = attempt.response as Response;
    const path = new URL(this.#callbackURL(at === 'other')).pathname;
    const state = this.#app.store ? `state${attempt.id}` : (this.#states.get(start) ?? 'neverBegun');
    const query = parameters(kind, attempt.id, state);
    const url = query === '' ? path : `${path}${style === 'path' ? '/' : '?'}${query}`;
    this.#send(attempt, at, session, kind === 'HEAD' || kind === 'POST' ? kind : 'GET', url, noSession);
  }

  #newAttempt(of: Pick<Attempt, 'start' | 'response'>): Attempt {
    const attempt = { ...newAttempt(String(++attemptNumber)), ...of };
    this.#attempts.push(attempt);
    this.#around.attempts.set(attempt.id, attempt);
    return attempt;
  }

  #send(attempt: Attempt, at: Handler, session: number, method: string, path: string, noSession = false): void {
    if (this.#app.sharing.startsWith('express')) this.#sendByHTTP(attempt, at, session, method, path);
    else this.#sendBare(attempt, at, noSession ? undefined : session, method, path);
  }

  #sendBare(attempt: Attempt, at: Handler, session: number | undefined, method: string, originalUrl: string): void {
    const copies = this.#app.sharing === 'copies';
    const stored = session === undefined ? undefined : this.#sessions[session];
    const used = copies ? structuredClone(stored) : stored;
    const req = {
      ...{ method, originalUrl, url: originalUrl, query: {}, headers: { 'x-attempt': attempt.id }, session: used },
      ...(this.#app.next && { next: (error: unknown) => surface(attempt, error, 'next') }),
    };
    const throws = attempt.start?.throws || attempt.response?.throws || false;
    const record =
      (kind: Attempt['ends'][number]['kind']) =>
      (value?: unknown, info?: unknown): void => {
        if (attempt.ends.length === 0 && copies && used && session !== undefined) this.#sessions[session] = used;
        attempt.ends.push({ kind, value, info });
        throwFrom(attempt, throws);
      };
    const strategy = this.#strategy(at);
    const inRequest = Object.assign(this.#app.itself ? strategy : Object.create(strategy), {
      ...{ success: record('success'), fail: record('fail'), redirect: record('redirect') },
      ...{ error: record('error'), pass: record('pass') },
    });
    try {
      inRequest.authenticate(req, this.#options(attempt));
    } catch (error) {
      surface(attempt, error, 'throw');
    }
  }

  #options({ start }: Attempt): object {
    return start && !this.#app.store ? { session: false, state: { mark: start.id } } : { session: false };
  }

  // Express

  #express(): Express {
    const app = express();
    const authenticator = new passport.Passport();
    const of = (req: unknown) => this.#ofRequest(req);
    const handle: RequestHandler = (req, res, next) => {
      const attempt = of(req);
      const at = req.headers['x-handler'] as Handler;
      authenticator.use(at, this.#strategy(at));
      const answered = (error: unknown, user?: unknown, info?: unknown) => {
        if (error !== null) attempt.ends.push({ kind: 'error', value: error });
        else attempt.ends.push({ kind: user === false ? 'fail' : 'success', value: user, info });
        throwFrom(attempt, attempt.response?.throws ?? false);
        res.end();
      };
      const options = this.#options(attempt);
      const withCallback = this.#app.sharing === 'express with callback';
      const middleware = withCallback
        ? authenticator.authenticate(at, options, answered)
        : authenticator.authenticate(at, options);
      (middleware as RequestHandler)(req, res, next);
    };
    const arrived: RequestHandler = (req, res) => {
      of(req).ends.push({ kind: req.user ? 'success' : 'went on', value: req.user, info: req.authInfo });
      res.end();
    };
    const failed: ErrorRequestHandler = (error, req, res, _next) => {
      if (isThrown(of(req), error)) surface(of(req), error, 'next');
      else of(req).ends.push({ kind: 'error', value: error });
      if (!res.writableEnded) res.status(500).end();
    };
    app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
    app.use(handle, arrived, failed);
    return app;
  }

  #sendByHTTP(attempt: Attempt, at: Handler, session: number, method: string, path: string): void {
    const { hostname, port } = new URL(this.#origin);
    const cookie = this.#cookies.get(session);
    const headers = { 'x-attempt': attempt.id, 'x-handler': at, ...(cookie && { cookie }) };
    const sent = request({ hostname, port, path, method, headers, agent: false }, (answer) => {
      answer.resume();
      answer.on('end', () => {
        const [set] = answer.headers['set-cookie'] ?? [];
        if (set) this.#cookies.set(session, set.split(';')[0] ?? '');
        const { statusCode = 0, headers } = answer;
        if (statusCode === 302) attempt.ends.push({ kind: 'redirect', value: headers.location });
        else if (attempt.ends.length === 0 && [400, 401, 403, 405].includes(statusCode)) {
          attempt.ends.push({ kind: 'fail' });
        }
      });
    });
    sent.on('error', (error) => attempt.surfaced.push(`no answer: ${error.message}`));
    sent.end();
  }

  // The end

  /** Waits until attempts have ended; hooks that will not answer are helped by letting a minute pass. */
  async #ended(attempts: Attempt[]): Promise<void> {
    const begun = Date.now();
    const bare = !this.#app.sharing.startsWith('express');
    let minutes = 0;
    for (let quiet = 0; attempts.some(({ ends }) => ends.length === 0); ) {
      await turn();
      quiet = isQuiet() ? quiet + 1 : 0;
      if (quiet > 4) {
        letAMinutePass();
        quiet = 0;
        minutes++;
      }
      // Only against what never ends. Without HTTP of ours nothing is under way when minutes pass in vain.
      if (Date.now() > begun + (bare && minutes > 1000 ? 1000 : this.#around.hangLimit)) {
        this.hung = true;
        return;
      }
    }
  }

  /** What comes after the ends: second ends, rejections that nobody handles, what a callback threw. */
  async wrongAtTheEnd(): Promise<string[]> {
    while (!isQuiet()) await turn();
    after.release();
    await turns(6);
    while (!isQuiet()) await turn();
    await turns(2);
    const { warnings, mishaps } = this.#around.takeNoise();
    const wrong = mishaps;
    for (const warning of warnings) {
      const attempt = this.#attempts.find((each) => isThrown(each, warning));
      if (attempt) attempt.surfaced.push('warning');
      else wrong.push(`A warning: ${brief(warning)}`);
    }
    for (const attempt of this.#attempts) {
      const { id, ends, thrown, surfaced } = attempt;
      wrong.push(...wrongState(this.#app, attempt).map((text) => `In the end response ${id} ${text}`));
      if (ends.length > 1) wrong.push(`Attempt ${id} ended ${ends.length} times: ${ends.map(({ kind }) => kind)}`);
      if (surfaced.length !== (thrown ? 1 : 0)) {
        wrong.push(`What the callback of attempt ${id} threw came out as [${surfaced}] instead of once`);
      }
    }
    return wrong;
  }

  end(): void {
    this.#end();
    this.#around.ended.push(...this.#attempts.map(({ ends: [first] }) => first?.kind ?? 'never'));
    for (const { id, ends } of this.#attempts) if (ends.length === 1) this.#around.attempts.delete(id);
  }
}

function newAttempt(id: string): Attempt {
  return {
    ...{ id, ends: [], made: new Map(), tokenRequests: 0, accountRequests: 0, calls: {}, surfaced: [], thrown: false },
  };
}

// What the application's callback throws

const sentinel = (id: string) => `<thrown by the callback of attempt ${id}>`;
/** Whether it is what the callback threw, or an error made of it. */
const isThrown = ({ id }: Attempt, error: unknown) => inspect(error).includes(sentinel(id));

function throwFrom(attempt: Attempt, kind: Thrown): void {
  if (!kind) return;
  attempt.thrown = true;
  const text = sentinel(attempt.id);
  if (kind === 'error') throw new Error(text);
  throw kind === 'object' ? { text } : text;
}

function surface(attempt: Attempt, error: unknown, where: string): void {
  attempt.surfaced.push(isThrown(attempt, error) ? where : `${where}: ${brief(error)}`);
}

// Authorization responses

function parameters(kind: Response['kind'], id: string, state: string): string {
  const code = `code=code-${id}`;
  const forms: Record<Response['kind'], string> = {
    code: `${code}&state=${state}`,
    HEAD: `${code}&state=${state}`,
    POST: `${code}&state=${state}`,
    access_denied: `error=access_denied&state=${state}`,
    server_error: `error=server_error&state=${state}`,
    'two states': `${code}&state=${state}&state=${state}`,
    'code and error': `${code}&error=access_denied&state=${state}`,
    'empty code': `code=&state=${state}`,
    'no state': code,
    'forged state': `${code}&state=forged${id}`,
    'empty state': `${code}&state=`,
    'long state': `${code}&state=${'a'.repeat(513)}`,
    'odd state': `${code}&state=${state}%C3%A9`,
    'forged server_error': `error=server_error&state=forged${id}`,
    'forged access_denied': `error=access_denied&state=forged${id}`,
    'access_denied without state': 'error=access_denied',
    bare: '',
  };
  return forms[kind];
}

// Scripts

/** Does what a script says, in a hook. */
function perform(hook: string, attempt: Attempt, script: Script | undefined, done: unknown, refuse?: unknown): unknown {
  attempt.calls[hook] = (attempt.calls[hook] ?? 0) + 1;
  if (!script) throw new Error(`${hook} was called in an attempt where nothing should call it`);
  const make = (value: Value) => made(value, attempt, refuse);
  for (const { step, error, value } of script.answers.toSorted((a, b) => a.step - b.step)) {
    const answer = () => (done as (...args: unknown[]) => void)(make(error), make(value));
    if (step === 0) answer();
    else if (step === 1) queueMicrotask(answer);
    else if (step < neverBefore) after.turns(step - 1, answer);
    else after.minute(answer);
  }
  if (script.end === 'throws') throw plainly(script.value.plain, attempt.id);
  return make(script.value);
}

/** Makes a value of a script. */
function made(value: Value, attempt: Attempt, refuse: unknown): unknown {
  const { as, plain: name, step } = value;
  const plain = name === 'refusal' ? (refuse as (sentence: string) => unknown)('Not you.') : plainly(name, attempt.id);
  attempt.made.set(value, plain);
  const settle = (how: (plain: unknown) => void) => {
    if (step === 0) how(plain);
    else after.turns(step, () => how(plain));
  };
  // biome-ignore-start lint/suspicious/noThenProperty: thenables are what is tried
  switch (as) {
    case 'itself':
      return plain;
    case 'promise':
      return new Promise((resolve) => settle(resolve));
    case 'rejection':
      return new Promise((_resolve, reject) => settle(reject));
    case 'unsettled':
      return new Promise(() => {});
    case 'thenable':
      return { then: (resolve: (value: unknown) => void) => settle(resolve) };
    case 'rejecting thenable':
      return { then: (_resolve: unknown, reject?: (reason: unknown) => void) => settle((it) => reject?.(it)) };
  }
  // biome-ignore-end lint/suspicious/noThenProperty: thenables are what is tried
}

function plainly(plain: Plain, id: string): unknown {
  const makers: Record<Plain, () => unknown> = {
    undefined: () => undefined,
    null: () => null,
    false: () => false,
    zero: () => 0,
    'empty text': () => '',
    NaN: () => Number.NaN,
    true: () => true,
    one: () => 1,
    text: () => `text${id}`,
    route: () => 'route',
    'long text': () => 'a'.repeat(513),
    'odd text': () => 'é /',
    array: () => [{ id }],
    function: () => () => true,
    object: () => ({}),
    user: () => ({ id: `user-${id}` }),
    timer: () => setTimeout(() => {}, 1).unref(),
    error: () => new Error('An error of the application'),
    'shared error': () => sharedError,
    refusal: () => undefined,
  };
  return makers[plain]();
}

function describe(outcome: Outcome): string {
  return outcome.kind === 'success' ? `success with ${outcome.user.plain}` : outcome.kind;
}

/** A value in few characters. */
function brief(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`.slice(0, 300);
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 300);
  } catch {
    return Object.prototype.toString.call(value);
  }
}
