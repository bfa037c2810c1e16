/**
 * What SECURITY.md allows to happen in a random application: written from its sections "State and the pending sign-in"
 * and "Who decides" alone, without the code of `lib`. Where that page does not decide, all that it allows is listed.
 */
import {
  type Answer,
  type Application,
  neverBefore,
  type Plain,
  type Response,
  type Script,
  type Start,
  type Step,
  type Value,
} from './random-applications.ts';

/** How an attempt may end. A user is known by the value of the application's script that it came from. */
export type Outcome =
  | { kind: 'redirect' | 'error' }
  | { kind: 'success'; user: Value }
  /** Accepted: after the state was, so that it may say what the server or verify said. */
  | { kind: 'fail'; accepted: boolean };

const notAccepted: Outcome = { kind: 'fail', accepted: false };
const fail: Outcome = { kind: 'fail', accepted: true };
const error: Outcome = { kind: 'error' };

// Values.

const falsy: Plain[] = ['undefined', 'null', 'false', 'zero', 'empty text', 'NaN'];
const texts: Plain[] = ['text', 'route', 'long text', 'odd text'];
const objects: Plain[] = ['object', 'user', 'timer', 'error', 'shared error'];
const noUsers: Plain[] = ['array', 'function', 'timer', 'error', 'shared error'];

/** What comes of a value that is awaited: itself, or an error. */
function awaited({ as, plain }: Value): Plain | 'rejected' {
  return as === 'rejection' || as === 'rejecting thenable' || as === 'unsettled' ? 'rejected' : plain;
}

// Hooks with a callback: the first answer counts; a throw and a returned promise that rejects are errors.

type First = Answer | 'rejected';

function firstOf({ answers, end, value }: Script): First[] {
  if (end === 'throws') return [firstBefore(answers, 0)].flat();
  const { as, step } = value;
  const counting = firstBefore(answers, as === 'rejection' ? step + 1 : neverBefore);
  // A thenable is no promise until somebody calls its then: both may be.
  return as === 'rejecting thenable' ? [...counting, ...firstBefore(answers, step + 1)] : counting;
}

/** The first of the answers, or the error that comes at a given moment. */
function firstBefore(answers: Answer[], failure: number): First[] {
  const [first] = answers.toSorted((a, b) => a.step - b.step);
  if (!first || first.step >= neverBefore || first.step > failure) return ['rejected'];
  // A throw comes after what was answered before it. Which of two promises comes first is not told.
  return first.step === failure && failure > 0 ? [first, 'rejected'] : [first];
}

/** Whether an answer's error is one. A falsy one that is neither null nor undefined may be taken for one or not. */
function isError({ as, plain }: Value): boolean[] {
  if (as !== 'itself' || !falsy.includes(plain)) return [true];
  return plain === 'undefined' || plain === 'null' ? [false] : [false, true];
}

/** What the answers of a hook come to, by what a value comes to that was given without an error. */
function answered<T>(script: Script, given: (value: Value) => T[], failed: T): T[] {
  return firstOf(script).flatMap((first) => {
    if (first === 'rejected') return [failed];
    return isError(first.error).flatMap((yes) => (yes ? [failed] : given(first.value)));
  });
}

/**
 * What a value comes to that is given to the callback of another hook than verify. "Anything else is an error", and so is a
 * promise, but that it is awaited is not excluded: it is never taken for a yes or for the profile itself.
 */
function givenBy<T>(value: Value, by: (plain: Plain | 'rejected') => T[], failed: T): T[] {
  return value.as === 'itself' ? by(value.plain) : [failed, ...by(awaited(value))];
}

// verify

function verifyOutcomes(form: Application['verify'], script: Script): Outcome[] {
  if (form === 'done' || form === 'params' || form === 'rest') return answered(script, givenUser, error);
  if (script.end === 'throws') return [error];
  if (form !== 'object' && script.value.as === 'itself') return [error];
  return returnedUser(script.value);
}

function givenUser(value: Value): Outcome[] {
  const plain = awaited(value);
  if (plain === 'rejected' || noUsers.includes(plain)) return [error];
  return falsy.includes(plain) ? [fail] : [{ kind: 'success', user: value }];
}

function returnedUser(value: Value): Outcome[] {
  const plain = awaited(value);
  if (['false', 'null', 'undefined', 'refusal'].includes(plain)) return [fail];
  const isUser = objects.includes(plain as Plain) && !noUsers.includes(plain as Plain);
  return isUser ? [{ kind: 'success', user: value }] : [error];
}

// The profile

type Skip = 'skip' | 'ask' | 'error';

export function skipOutcomes({ skip, skipScript }: Application): Skip[] {
  if (skip === 'true') return ['skip'];
  // A text is neither a boolean nor a function: it never skips.
  if (skip === 'false' || skip === 'unset' || skip === 'text') return ['ask'];
  if (skip === 'callback') {
    return answered<Skip>(skipScript, (value) => givenBy(value, skipBy, 'error'), 'error');
  }
  return skipScript.end === 'throws' ? ['error'] : skipBy(awaited(skipScript.value));
}

function skipBy(plain: Plain | 'rejected'): Skip[] {
  if (plain === 'true') return ['skip'];
  // "Nothing" may be null as well.
  if (plain === 'null') return ['ask', 'error'];
  return plain === 'false' || plain === 'undefined' ? ['ask'] : ['error'];
}

/** Whether there is a profile to give to verify. */
function profileOutcomes({ profile }: Application, { profileScript, account }: Response): boolean[] {
  if (profile === 'server') return [account === 'good'];
  const isObject = (plain: Plain | 'rejected') => objects.includes(plain as Plain);
  if (profile !== 'promise') {
    return answered(profileScript, (value) => givenBy(value, (plain) => [isObject(plain)], false), false);
  }
  if (profileScript.end === 'throws') return [false];
  const { as, plain } = profileScript.value;
  // "As a promise": of an object that is returned by itself it is not said what it counts for.
  return as === 'itself' ? [false, isObject(plain)] : [isObject(awaited(profileScript.value))];
}

// An authorization response with an accepted state

function acceptedOutcomes(application: Application, response: Response): Outcome[] {
  if (response.kind === 'access_denied') return [fail];
  if (response.kind === 'server_error') return [error];
  if (response.token !== 'good') return [response.token === 'invalid_grant' ? fail : error];
  return skipOutcomes(application).flatMap((skip) => {
    if (skip === 'error') return [error];
    const profiles = skip === 'skip' ? [true] : profileOutcomes(application, response);
    return profiles.flatMap((there) => (there ? verifyOutcomes(application.verify, response.verifyScript) : [error]));
  });
}

// A store of the application's

export function startOutcomes(application: Application, { storeScript }: Start): Outcome[] {
  if (!application.store) return [{ kind: 'redirect' }];
  const asState = (plain: Plain | 'rejected'): Outcome[] =>
    plain === 'text' || plain === 'route' ? [{ kind: 'redirect' }] : [error];
  return answered(storeScript, (value) => givenBy(value, asState, error), error);
}

type Yes = 'yes' | 'no' | 'error';

function storeSays({ storeScript }: Response): Yes[] {
  const by = (plain: Plain | 'rejected'): Yes[] => {
    if (plain === 'true' || texts.includes(plain as Plain)) return ['yes'];
    return [falsy.includes(plain as Plain) ? 'no' : 'error'];
  };
  return answered(storeScript, (value) => givenBy(value, by, 'error'), 'error');
}

// Pending sign-ins

interface Pending {
  start: Start;
  /** `unknown`: SECURITY.md does not say whether it is there still. */
  status: 'pending' | 'unknown' | 'gone';
}

/** What is allowed for one response. */
export interface Expected {
  response: Response;
  outcomes: Outcome[];
  /** Whether a token request with its code may be sent. */
  mayAsk: boolean;
}

/** Responses to one state, of which exactly one is to be taken; the others fail. */
export interface Contest {
  /** Who may be the one. */
  candidates: Response[];
  /** Whether it may be that none is taken. */
  maybeNone: boolean;
}

const mostPending = 8;
/** A state of the right form, presented in the right way. */
const wellFormed: Response['kind'][] = ['code', 'access_denied', 'server_error'];
/** Answers that are refused, of which it is not said whether they use up the state. */
const refusedWithState: Response['kind'][] = ['two states', 'code and error', 'empty code'];

/** Follows an application: what is pending, and so how its next responses may end. */
export class Oracle {
  readonly #application: Application;
  readonly #pending: Pending[] = [];
  /** Sessions in which a used state may be written back by a request that ran beside: it takes one of the places. */
  readonly #crowded = new Set<number>();

  constructor(application: Application) {
    this.#application = application;
  }

  started(start: Start): void {
    this.#pending.push({ start, status: 'pending' });
    const inSession = this.#pending.filter(
      (each) => each.start.session === start.session && (each.status !== 'gone' || this.#crowded.has(start.session)),
    );
    const certain =
      !this.#crowded.has(start.session) &&
      inSession.every(({ status, start: { by } }) => status === 'pending' && by === start.by);
    for (const one of inSession.slice(0, -mostPending)) {
      if (one.status === 'pending') one.status = certain ? 'gone' : 'unknown';
    }
  }

  expired(): void {
    for (const one of this.#pending) one.status = 'gone';
  }

  /** The responses of a round run side by side. */
  round({ responses }: Extract<Step, { do: 'round' }>): { expected: Expected[]; contests: Contest[] } {
    if (this.#application.store) {
      return { expected: responses.map((response) => this.#ofStore(response)), contests: [] };
    }
    for (const response of responses) this.#unsettle(response);
    const contests: Contest[] = [];
    const expected = responses.map((response): Expected => {
      if (response.noSession) return { response, outcomes: [notAccepted, error], mayAsk: false };
      return { response, outcomes: [notAccepted], mayAsk: false };
    });
    for (const pending of this.#pending) {
      const claims = responses.filter((response) => pending.status !== 'gone' && this.#claims(response, pending));
      if (claims.length === 0) continue;
      const early = claims.filter(({ during }) => !during);
      const candidates = early.length > 0 ? early : claims;
      contests.push({ candidates, maybeNone: pending.status === 'unknown' });
      for (const response of candidates) {
        const mine = expected.find((each) => each.response === response);
        if (!mine) continue;
        const alone = candidates.length === 1 && pending.status === 'pending';
        mine.outcomes = [...acceptedOutcomes(this.#application, response), ...(alone ? [] : [notAccepted])];
        mine.mayAsk = response.kind === 'code';
      }
      pending.status = 'gone';
    }
    if (this.#application.sharing !== 'shared' && responses.length > 1) {
      for (const { session } of responses) this.#crowded.add(session);
    }
    return { expected, contests };
  }

  #ofStore(response: Response): Expected {
    // An over-long state "is not compared": it is not said whether a store of the application's sees it.
    const tooLong = response.kind === 'long state';
    if (!tooLong && !wellFormed.includes(response.kind)) return { response, outcomes: [notAccepted], mayAsk: false };
    const says = storeSays(response);
    const outcomes = says.flatMap((answer) => {
      if (answer === 'yes') return acceptedOutcomes(this.#application, response);
      return [answer === 'no' ? notAccepted : error];
    });
    const mayAsk = (tooLong || response.kind === 'code') && says.includes('yes');
    return { response, outcomes: tooLong ? [notAccepted, ...outcomes] : outcomes, mayAsk };
  }

  /** Whether a response is an answer to what is pending, in its session, at its strategy. */
  #claims({ kind, start, session, noSession, at }: Response, pending: Pending): boolean {
    if (noSession || !wellFormed.includes(kind) || start !== pending.start.id || session !== pending.start.session)
      return false;
    return (at === 'other') === (pending.start.by === 'other');
  }

  #unsettle(response: Response): void {
    const { kind, start, session, at } = response;
    const pending = this.#pending.find((each) => each.start.id === start);
    if (pending?.status !== 'pending' || session !== pending.start.session) return;
    const elsewhere = (at === 'other') !== (pending.start.by === 'other');
    if (refusedWithState.includes(kind) || (elsewhere && wellFormed.includes(kind))) pending.status = 'unknown';
  }
}
