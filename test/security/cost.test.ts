/**
 * R52: what is read from outside costs in proportion to its size. Each reader gets each shape at a quarter of a size and
 * whole, and what is compared is CPU time of this process. In `npm test` the size is a quarter of the largest that is read. No time is an absolute one, so a slow machine or a
 * busy one changes nothing.
 */
import { answerCases, type Case, cookieCases, cost, headCases, startAnswering, urlCases } from '../support/costly.ts';
import { rounds } from '../support/rounds.ts';

let server: Awaited<ReturnType<typeof startAnswering>>;
beforeAll(async () => {
  server = await startAnswering();
});
afterAll(() => server.close());

/** CPU milliseconds below which a difference says nothing. */
const noise = 1;
/**
 * Less than the square of the size, which would be four. More than two, since memory that is used for the first time, and
 * garbage collection come in steps.
 */
const mostPerDoubling = 3;

/** What costs in proportion is seen to do so in one of the first; what does not, in none. */
const mostAttempts = 30;

/**
 * How many times as much an input costs when its size doubles, by two doublings at once: the least that was seen, once it
 * is little enough.
 */
async function growth({ input }: Case, times: number): Promise<number> {
  const part = rounds(1, 4) / 4;
  const [quarter, whole] = [input(part / 4), input(part)];
  const repeated = (read: () => unknown) => async () => {
    for (let time = 0; time < times; time++) await read();
  };
  let [less, more] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  let perDoubling = Number.POSITIVE_INFINITY;
  for (let attempt = 1; attempt <= mostAttempts && perDoubling >= mostPerDoubling; attempt++) {
    less = Math.min(less, await cost(repeated(quarter)));
    more = Math.min(more, await cost(repeated(whole)));
    perDoubling = Math.sqrt(more / Math.max(less, noise));
  }
  return perDoubling;
}

async function expectProportion(cases: Case[], times = 1): Promise<void> {
  const steep: string[] = [];
  for (const each of cases) {
    const ratio = await growth(each, times);
    if (ratio >= mostPerDoubling)
      steep.push(`${each.reader}, ${each.shape}: ${ratio.toFixed(1)} times as much for twice the size`);
  }
  expect(steep).toEqual([]);
}

/** Rows for `it.each`. */
function byReader(cases: Case[]): [reader: string, cases: Case[]][] {
  const readers = new Set(cases.map(({ reader }) => reader));
  return [...readers].map((name) => [name, cases.filter(({ reader }) => reader === name)]);
}

const url = () => server.url;

it.each(byReader(urlCases()))('R52: a URL twice as long costs no more than in proportion: %s', async (_, cases) => {
  await expectProportion(cases, 20);
});

it.each(byReader(cookieCases()))('R52: cookies twice as long cost no more than in proportion: %s', async (_, cases) => {
  await expectProportion(cases, 5);
});

it.each(byReader(answerCases(url)))(
  'R52: an answer twice as long, after a code twice as long, costs no more than in proportion: %s',
  async (_, cases) => {
    await expectProportion(cases);
  },
  120_000,
);

it.each(byReader(headCases(url)))(
  'R52: headers twice as long cost no more than in proportion: %s',
  async (_, cases) => {
    await expectProportion(cases, 5);
  },
);
