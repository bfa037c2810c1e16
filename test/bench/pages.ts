/**
 * What a page of the example app costs and how soon it is there, and how much memory a file of 1 GB takes on its way in either
 * direction. The app is a process of its own in production mode, with Redis; nginx keeps the files, on this machine's disk.
 */
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import compile from '../support/compiled.ts';
import { sameOrigin } from '../support/example.ts';
import { startExampleProcess } from '../support/example-process.ts';
import { startRedis } from '../support/redis.ts';
import { startRelay } from '../support/relay.ts';
import { startWebDAVFront } from '../support/webdav-front.ts';
import { nobody, startWebDAVServer } from '../support/webdav-servers.ts';
import { cpuSeconds, forgetPeak, memory } from './linux.ts';

const entries = 200;
const pagesEach = Number(process.env['PAGES'] ?? 1000);
const gigabyte = 1_000_000_000;
const powerFolderTakes = 500;

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-pages-'));
  const documents = join(folder, 'Documents');
  const upload = join(folder, 'Upload');
  for (const path of [documents, upload, join(folder, 'Empty')]) mkdirSync(path);
  if (nobody.uid !== undefined) for (const path of [folder, upload]) chownSync(path, nobody.uid, nobody.gid);
  compile();
  for (let i = 1; i <= entries; i++) writeFileSync(join(documents, `A document of the year 2026, part ${i}.pdf`), 'x');
  const redis = await startRedis();
  const powerFolder = await startPowerFolderServer();
  const real = await startWebDAVServer('nginx', { folder, contextPath: '', writable: true });
  const front = await startWebDAVFront(real, powerFolder);
  const relay = await startRelay(front.url);
  const app = await startExampleProcess(powerFolder, {
    POWERFOLDER_URL: relay.url,
    LISTEN_ADDRESS: '127.0.0.1',
    REDIS_URL: redis.url,
    SESSION_SECRET: 'a secret of at least thirty-two characters',
    // As in production, templates are read once.
    NODE_ENV: 'production',
    BASE_URL: 'https://127.0.0.1',
    TRUST_PROXY: 'loopback',
  });
  const pid = app.process.pid as number;
  const url = `http://127.0.0.1:${app.port}`;
  try {
    const headers = { ...sameOrigin, 'x-forwarded-proto': 'https' };
    const browser = new Browser(headers);
    const atServer = (location: URL) => location.origin === new URL(relay.url).origin;
    const begun = await browser.visit(`${url}/auth/powerfolder`, { follow: atServer });
    const { username, password } = powerFolder;
    const consent = await browser.submit(begun, 'Log in', { username, password });
    const allowed = await browser.submit(consent, 'Allow', {}, { follow: atServer });
    const callback = new URL(String(allowed.headers['location']));
    await browser.stay(url + callback.pathname + callback.search);
    const cookie = browser.cookies(url);

    const agent = new Agent({ keepAlive: true });
    const open = async (path: string, more: Record<string, string> = {}) => {
      const started = performance.now();
      const sent = request(url + path, { headers: { cookie, ...headers, ...more }, agent });
      sent.end();
      let first = 0;
      let length = 0;
      const digest = createHash('sha256');
      const status = await new Promise<number>((resolve, reject) => {
        sent.on('error', reject).on('response', (answer) => {
          answer
            .on('data', (chunk: Buffer) => {
              first ||= performance.now() - started;
              length += chunk.length;
              digest.update(chunk);
            })
            .on('end', () => resolve(answer.statusCode ?? 0))
            .on('error', reject);
        });
      });
      return { status, first, last: performance.now() - started, length, digest: digest.digest('hex') };
    };
    const expectStatus = (status: number, wanted: number) => {
      if (status !== wanted) throw new Error(`The answer is ${status}: ${app.output().slice(-3).join('\n')}`);
    };

    console.log(`${cpus()[0]?.model}, Node ${process.version}\n`);
    // Sessions, templates and code are in memory then.
    for (let i = 0; i < 20; i++) await open('/folders/Documents');
    const idle = memory(pid, 'VmRSS');
    forgetPeak(pid);
    const started = performance.now();
    const sent = await uploadLarge(`${url}/folders/Upload`, { cookie, ...headers });
    expectStatus(sent.status, 303);
    const [name = ''] = readdirSync(upload);
    const written = statSync(join(upload, name)).size;
    if (written !== gigabyte) throw new Error(`Only ${written} bytes arrived`);
    const above = (memory(pid, 'VmHWM') - idle) / 1e6;
    const rate = gigabyte / 1e6 / ((performance.now() - started) / 1000);
    console.log(
      `an upload of 1 GB: ${above.toFixed(0)} MB above ${(idle / 1e6).toFixed(0)} MB idle, ${rate.toFixed(0)} MB/s`,
    );

    const idleAgain = memory(pid, 'VmRSS');
    forgetPeak(pid);
    const download = await open(`/files/Upload/${name}`);
    expectStatus(download.status, 200);
    if (download.digest !== sent.digest) throw new Error('It came back otherwise');
    const aboveAgain = (memory(pid, 'VmHWM') - idleAgain) / 1e6;
    const rateAgain = gigabyte / 1e6 / (download.last / 1000);
    console.log(
      `a download of 1 GB: ${aboveAgain.toFixed(0)} MB above ${(idleAgain / 1e6).toFixed(0)} MB, ${rateAgain.toFixed(0)} MB/s, byte for byte`,
    );

    const page = '/folders/Documents';
    const visit = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
    const cost = async (path: string) => {
      for (let i = 0; i < pagesEach; i++) expectStatus((await open(path, visit)).status, 200);
      const before = cpuSeconds(pid);
      for (let i = 0; i < pagesEach; i++) await open(path, visit);
      const cpu = ((cpuSeconds(pid) - before) * 1000) / pagesEach;
      return `${cpu.toFixed(2)} ms of CPU, ${(await open(path, visit)).length} bytes`;
    };
    console.log(`a folder of ${entries} entries: ${await cost(page)}; an empty one: ${await cost('/folders/Empty')}`);

    const held = relay.holdNext(/^PROPFIND/);
    setTimeout(() => held.release(), powerFolderTakes);
    const { first, last } = await open(page, visit);
    console.log(
      `with a PowerFolder that takes ${powerFolderTakes} ms: the frame after ${first.toFixed(0)} ms, all of it after ${last.toFixed(0)} ms`,
    );
    const assets = ['style.css', 'icon.svg', 'time.mjs', 'filter.mjs', 'upload.mjs'];
    const sizes = await Promise.all(assets.map(async (name) => `${name} ${(await open(`/${name}`)).length}`));
    console.log(`with it, once an hour: ${assets.length} requests, bytes: ${sizes.join(', ')}`);
  } finally {
    await app.stop('SIGKILL');
    await Promise.all([relay.close(), front.close(), powerFolder.close(), real.close(), redis.close()]);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function uploadLarge(url: string, headers: Record<string, string>): Promise<{ status: number; digest: string }> {
  const boundary = 'b'.repeat(30);
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n`;
  const foot = `\r\n--${boundary}--\r\n`;
  const sent = request(url, {
    method: 'POST',
    headers: {
      ...headers,
      'content-type': `multipart/form-data; boundary=${boundary}`,
      'content-length': String(head.length + gigabyte + foot.length),
    },
  });
  const answered = new Promise<number>((resolve, reject) => {
    sent.on('response', (answer) => resolve(answer.resume().statusCode ?? 0)).on('error', reject);
  });
  const digest = createHash('sha256');
  const chunk = randomBytes(100_000);
  sent.write(head);
  for (let written = 0; written < gigabyte; written += chunk.length) {
    digest.update(chunk);
    if (!sent.write(chunk)) await new Promise((resolve) => sent.once('drain', resolve));
  }
  sent.end(foot);
  return { status: await answered, digest: digest.digest('hex') };
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
