/** The processes of a soak: started, asked, and ended whatever happens. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { memory, openDescriptors } from '../linux.ts';
import type { Measure } from './measure.ts';

const endings: (() => unknown)[] = [];

/** What is to be done at the end, the last one first; also at a signal, or after an error. */
export function atTheEnd(ending: () => unknown): void {
  endings.push(ending);
}

export async function endAll(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

/** Starts a compiled file, which says first what there is to know of it. */
export async function start<T>(file: string, args: string[]): Promise<{ child: ChildProcess; pid: number; said: T }> {
  const child = fork(file, args, { execArgv: ['--expose-gc'] });
  const ended = once(child, 'exit');
  atTheEnd(async () => {
    // Also one that is stopped hears this.
    child.kill('SIGKILL');
    await ended;
  });
  return { child, pid: child.pid as number, said: await ask<T>(child) };
}

/** One question at a time. */
export async function ask<T>(child: ChildProcess, question?: string | object): Promise<T> {
  const over = new AbortController();
  const answer = once(child, 'message', { signal: over.signal });
  const gone = once(child, 'exit', { signal: over.signal }).then(([status, signal]) => {
    throw new Error(`A process ended before it answered: ${status ?? signal}`);
  });
  if (question !== undefined) child.send(question);
  try {
    const [answered] = (await Promise.race([answer, gone])) as [T];
    return answered;
  } finally {
    over.abort();
  }
}

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(2);

/** Cells of a table, under {@link measureTitles}. */
export function measureCells(pid: number, { heap, active }: Measure): (string | number)[] {
  const kinds = Object.entries(active).map(([kind, count]) => `${count} ${kind.replace(/Wrap$/, '')}`);
  return [mebibytes(heap), mebibytes(memory(pid, 'VmRSS')), openDescriptors(pid), kinds.sort().join(', ')];
}

export const measureTitles = ['heap MiB', 'RSS MiB', 'descriptors', 'active'];

export function printRow(cells: (string | number)[]): void {
  console.log(`| ${cells.join(' | ')} |`);
}

export function printTitles(titles: string[]): void {
  console.log();
  printRow(titles);
  console.log(`|${'---|'.repeat(titles.length)}`);
}

/** By least squares. */
export function slope(points: [x: number, y: number][]): number {
  const mean = (values: number[]) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const [x, y] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const above = points.reduce((sum, [px, py]) => sum + (px - x) * (py - y), 0);
  return above / points.reduce((sum, [px]) => sum + (px - x) ** 2, 0);
}
