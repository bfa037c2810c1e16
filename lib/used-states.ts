/** Which states were used in this process (RFC 6749 section 10.12; R4, R71). */

/**
 * States that were used in this process, until they would have expired. Requests that arrive together have each their own
 * copy of the session, and a cookie session can be put back, so that the session alone cannot tell the first answer from
 * the second. They are kept and forgotten a generation at a time: in a Map, deleting the oldest one by one leaves ever
 * more gaps to step over.
 */
export class UsedStates {
  readonly #largestGeneration: number;
  readonly #mostGenerations: number;
  #generations: { states: Set<string>; until: number }[] = [];
  #forgottenUntil = 0;

  /** By default at most 1,000,000 are kept: about 75 MB, and 1,600 sign-ins a second for ten minutes. */
  constructor(largestGeneration = 50_000, mostGenerations = 20) {
    this.#largestGeneration = largestGeneration;
    this.#mostGenerations = mostGenerations;
  }

  /**
   * Epoch milliseconds. When there were too many, the oldest were forgotten before they expired: then nothing that expires
   * up to here may be accepted, and those visitors begin again.
   */
  get forgottenUntil(): number {
    return this.#forgottenUntil;
  }

  has(state: string): boolean {
    return this.#generations.some(({ states }) => states.has(state));
  }

  add(state: string, until: number): void {
    let [newest] = this.#generations;
    if (!newest || newest.states.size >= this.#largestGeneration) {
      const now = Date.now();
      newest = { states: new Set(), until: 0 };
      this.#generations = [newest, ...this.#generations.filter((generation) => generation.until > now)];
      for (const forgotten of this.#generations.splice(this.#mostGenerations)) {
        this.#forgottenUntil = Math.max(this.#forgottenUntil, forgotten.until);
      }
    }
    // A copy of its own: a text that was cut out of a URL keeps all of the URL in memory.
    newest.states.add(Buffer.from(state, 'latin1').toString('latin1'));
    newest.until = Math.max(newest.until, until);
  }
}
