/** What a process says of itself. It was started with `--expose-gc`. */

export interface Measure {
  /** Bytes after a garbage collection. */
  heap: number;
  /** How many there are of each kind of handle and request that keeps a process alive. */
  active: Record<string, number>;
}

export function measure(): Measure {
  for (let times = 0; times < 3; times++) globalThis.gc?.();
  const active: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) active[kind] = (active[kind] ?? 0) + 1;
  return { heap: process.memoryUsage().heapUsed, active };
}
