/** What Linux says of processes. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** What these have used so far, in hundredths of a second. */
export function cpuSeconds(...pids: number[]): number {
  return pids.reduce((sum, pid) => {
    const [user = 0, system = 0] =
      readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11).map(Number) ?? [];
    return sum + (user + system) / 100;
  }, 0);
}

/** Bytes. */
export function memory(pid: number, what: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** The peak is from now on. */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}
