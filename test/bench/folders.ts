/**
 * How long visitors wait for a small page while others open a folder of 20,000 files. The app, the simulated server and the
 * visitors are processes of their own; on a machine with fewer free cores than three they also wait for each other.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import { startExampleProcess } from '../support/example-process.ts';

const filesInFolder = 20_000;
const seconds = 10;

async function main(): Promise<void> {
  const simulator = spawn(
    process.execPath,
    ['--import', 'tsx', 'test/fixtures/large-folder.ts', String(filesInFolder)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = await once(simulator.stdout, 'data');
  const app = await startExampleProcess(JSON.parse(String(line)) as PowerFolderServer);
  try {
    const browser = new Browser();
    const other = new Browser();
    for (const each of [browser, other]) await each.visit(`${app.url}/auth/powerfolder`);
    const listing = await browser.visit(`${app.url}/folders/large`);
    const entries = listing.text.match(/<tr>/g)?.length ?? 0;
    console.log(
      `/folders/large: ${listing.status}, ${entries - 1} of ${filesInFolder} entries, ${listing.text.length} bytes`,
    );

    await report('alone', other, app.url);
    let listings = 0;
    let measuring = true;
    const loading = (async () => {
      while (measuring) {
        await browser.visit(`${app.url}/folders/large`);
        listings++;
      }
    })();
    await report('beside a visitor who opens the large folder again and again', other, app.url);
    measuring = false;
    await loading;
    console.log(`the large folder was opened ${listings} times`);
  } finally {
    await app.stop();
    simulator.kill();
  }
}

async function report(what: string, browser: Browser, url: string): Promise<void> {
  const waits: number[] = [];
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const start = performance.now();
    await browser.visit(`${url}/account`);
    waits.push(performance.now() - start);
  }
  waits.sort((a, b) => a - b);
  const at = (part: number) => `${(waits[Math.floor((waits.length - 1) * part)] as number).toFixed(1)} ms`;
  console.log(
    `/account, ${what}: median ${at(0.5)}, 99th percentile ${at(0.99)}, longest ${at(1)} (${waits.length} pages)`,
  );
}

void main();
