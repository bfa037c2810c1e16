/**
 * Time for tests that must not depend on it: what happens later happens after turns of the event loop, and minutes pass
 * when the test says so. To be imported before what is tested.
 */
import { subscribe } from 'node:diagnostics_channel';

/** One turn of the event loop. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export async function turns(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await turn();
}

let outstanding = 0;
const late: (() => void)[] = [];

export const after = {
  turns(count: number, act: () => void): void {
    outstanding++;
    // Two for each, so that what follows from one has happened before the next.
    void turns(2 * count).then(() => {
      outstanding--;
      act();
    });
  },
  /** After a minute, when all has been decided: at {@link after.release}. */
  minute(act: () => void): void {
    late.push(act);
  },
  release(): void {
    for (const act of late.splice(0)) act();
  },
};

/** Requests of undici that are under way: nothing else takes time that is not counted in turns. One may end twice. */
const underWay = new Set<unknown>();
const requestOf = (message: unknown) => (message as { request: unknown }).request;
subscribe('undici:request:create', (message) => underWay.add(requestOf(message)));
for (const end of ['trailers', 'error']) {
  subscribe(`undici:request:${end}`, (message) => underWay.delete(requestOf(message)));
}

/** Whether nothing is to happen by {@link after.turns}, and no server is waited for. */
export const isQuiet = () => outstanding === 0 && underWay.size === 0;

/** Timers of half a minute or more, which run by {@link letAMinutePass}. */
const longTimers = new Set<LongTimer>();
const shortest = 30_000;

class LongTimer {
  readonly run: () => void;
  constructor(run: () => void) {
    this.run = run;
    longTimers.add(this);
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  hasRef(): boolean {
    return false;
  }
  refresh(): this {
    return this;
  }
  close(): this {
    longTimers.delete(this);
    return this;
  }
}

export function letAMinutePass(): void {
  for (const timer of [...longTimers]) {
    longTimers.delete(timer);
    timer.run();
  }
}

const { setTimeout: realSetTimeout, clearTimeout: realClearTimeout } = globalThis;
Object.assign(globalThis, {
  setTimeout: Object.assign(
    (run: (...args: unknown[]) => void, milliseconds = 0, ...args: unknown[]) =>
      milliseconds >= shortest ? new LongTimer(() => run(...args)) : realSetTimeout(run, milliseconds, ...args),
    realSetTimeout,
  ),
  clearTimeout: (timer: unknown) => {
    if (timer instanceof LongTimer) timer.close();
    else realClearTimeout(timer as NodeJS.Timeout);
  },
});

const realNow = Date.now;
let ahead = 0;
Date.now = () => realNow() + ahead;

/** The clock that `Date.now` tells. */
export const clock = {
  forward(milliseconds: number): void {
    ahead += milliseconds;
  },
};
