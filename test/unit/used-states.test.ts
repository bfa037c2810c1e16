import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { UsedStates } from '../../lib/used-states.ts';

const minutes = 60_000;

describe('UsedStates', () => {
  afterEach(() => jest.restoreAllMocks());
  const start = Date.now();

  it('R71: remembers a state until it expires, however many others are used meanwhile', () => {
    const now = jest.spyOn(Date, 'now').mockReturnValue(start);
    const used = new UsedStates();
    used.add('first', start + 10 * minutes);
    for (let i = 0; i < 120_000; i++) used.add(`early ${i}`, start + 10 * minutes);
    now.mockReturnValue(start + 10 * minutes - 1);
    for (let i = 0; i < 120_000; i++) used.add(`late ${i}`, start + 20 * minutes);
    expect(['first', 'early 0', 'early 119999', 'late 0', 'never'].map((state) => used.has(state))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
    expect(used.forgottenUntil).toBe(0);
  });

  it('R71: keeps nothing of the URL that a state was cut out of', () => {
    setFlagsFromString('--expose-gc');
    const collect: () => void = runInNewContext('gc');
    const used = new UsedStates();
    const code = 'x'.repeat(16_000);
    const stateOf = (i: number) => Buffer.from(`/oauth/code=${code}&state=${String(i).padStart(32, '0')}`).toString();
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 2000; i++) used.add(stateOf(i).slice(-32), Date.now() + 10 * minutes);
    collect();
    // With the URLs it would be 32 MB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(8_000_000);
    expect(used.has(stateOf(1999).slice(-32))).toBe(true);
  });

  it('R71: forgets what has expired, and then only', () => {
    const now = jest.spyOn(Date, 'now');
    const used = new UsedStates(10, 3);
    for (let i = 0; i < 1000; i++) {
      now.mockReturnValue(start + i);
      used.add(`state ${i}`, start + i + 5);
      for (let j = Math.max(0, i - 4); j <= i; j++) expect(used.has(`state ${j}`)).toBe(true);
    }
    expect(used.has('state 900')).toBe(false);
    expect(used.forgottenUntil).toBe(0);
  });

  it('R71: tells until when nothing may be accepted any more, when there were too many', () => {
    jest.spyOn(Date, 'now').mockReturnValue(start);
    const used = new UsedStates(10, 3);
    for (let i = 0; i < 30; i++) used.add(`state ${i}`, start + 1000 - i);
    expect(used.forgottenUntil).toBe(0);
    used.add('one too many', start + 1);
    // The oldest generation had states that expire at up to start + 1000.
    expect([used.has('state 9'), used.has('state 10'), used.forgottenUntil]).toEqual([false, true, start + 1000]);
  });
});
