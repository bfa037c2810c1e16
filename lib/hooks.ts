/**
 * How the functions of an application are called and what counts as their answer (R50). The form of a function alone says it:
 * - a function with a callback (it declares `done`, or no parameters at all) answers through the callback. What it returns
 *   never stands for it: people return timers, queries and promises by accident.
 * - a function without a callback answers by what it returns, awaited.
 *
 * A throw, and the rejection of a promise that it returned, are errors. The first answer counts, later ones are ignored.
 */
import { types } from 'node:util';

export type Done = (error?: unknown, ...values: unknown[]) => void;
export type Hook = (...args: unknown[]) => unknown;

/** Milliseconds for which a hook's answer is waited for: no attempt hangs for ever. */
const longestWait = 60_000;

/**
 * What a hook gave to its callback; promises among it are awaited.
 *
 * @param hook Its name, for messages.
 * @param call Calls the hook with the callback.
 */
export function calledBack(hook: string, call: (done: Done) => unknown): Promise<unknown[]> {
  const answer = new Promise<unknown[]>((resolve, reject) => {
    const returned = call((error, ...values) => {
      const all = Promise.all(values);
      // Where it is not looked at, as it came too late or beside an error, a rejection must not end the process.
      all.catch(() => {});
      if (error) reject(givenError(hook, error));
      else resolve(all);
    });
    // Promises only, and no other thenables: `then` of a database query would run it.
    if (types.isPromise(returned)) returned.then(undefined, reject);
  });
  return withinWait(
    answer,
    `${hook} has a callback (it declares one, or no parameters), and did not call it within ${longestWait / 1000} s; what it returns does not count`,
  );
}

/** What a hook without a callback returned; it must be a promise, or anything else that can be awaited. */
export async function promised(hook: string, call: () => unknown): Promise<unknown> {
  const returned = call();
  if (!isThenable(returned)) {
    throw new TypeError(
      `${hook} declares no callback, so it must return a promise of its answer: make it async, or declare the callback`,
    );
  }
  return await awaited(hook, returned);
}

/** What a hook returned, when it is there. */
export async function awaited(hook: string, returned: unknown): Promise<unknown> {
  if (!isThenable(returned)) return returned;
  return await withinWait(
    Promise.resolve(returned),
    `${hook} returned a promise that is not settled after ${longestWait / 1000} s`,
  );
}

function withinWait<T>(answer: Promise<T>, otherwise: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = setTimeout(() => reject(new TypeError(otherwise)), longestWait);
    end.unref?.();
    answer.then(resolve, reject).finally(() => clearTimeout(end));
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** A promise in the place of the error is a mistake; that it may be rejected must not end the process. */
function givenError(hook: string, error: unknown): unknown {
  if (!isThenable(error)) return error;
  Promise.resolve(error).catch(() => {});
  return new TypeError(`${hook} gave its callback a promise in the place of the error`);
}
