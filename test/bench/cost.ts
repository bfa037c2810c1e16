/**
 * `npm run bench:cost`: CPU milliseconds that each reader of what comes from outside spends on the largest input of each
 * shape. For answers the requests are in it, and the server that sends them, which is in this process: 2 ms or so.
 */
import { answerCases, type Case, cookieCases, cost, headCases, startAnswering, urlCases } from '../support/costly.ts';

const runs = 7;

/** The least of several: the first runs are slower, and so is whatever comes while the machine does something else. */
async function least(read: () => unknown): Promise<number> {
  let milliseconds = Number.POSITIVE_INFINITY;
  for (let run = 0; run < runs; run++) milliseconds = Math.min(milliseconds, await cost(read));
  return milliseconds;
}

async function print(title: string, cases: Case[]): Promise<void> {
  console.log(`\n${title}\n`);
  for (const { reader, shape, input } of cases) {
    console.log(`${(await least(input(1))).toFixed(2).padStart(8)} ms  ${reader}: ${shape}`);
  }
}

async function main(): Promise<void> {
  const server = await startAnswering();
  await print('URLs of 16 KiB', urlCases());
  await print('Cookies of 16 KiB', cookieCases());
  await print(
    'Answers of 256 KiB',
    answerCases(() => server.url),
  );
  await print(
    'Headers of 15 KiB',
    headCases(() => server.url),
  );
  server.close();
}

void main();
