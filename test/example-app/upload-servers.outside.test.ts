/** Uploads into folders of real WebDAV servers: whole, byte for byte, over nothing, and without a trace when broken off. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import { Browser, type Page } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { describeWith } from '../support/programs.ts';
import { until } from '../support/until.ts';
import { upload, uploadBody, uploadHeaders } from '../support/upload.ts';
import { startWebDAVFront, type WebDAVFront } from '../support/webdav-front.ts';
import {
  nobody,
  startWebDAVServer,
  type WebDAVServer,
  type WebDAVServerName,
  webDAVServers,
} from '../support/webdav-servers.ts';

for (const name of Object.keys(webDAVServers) as WebDAVServerName[]) {
  describeWith(...webDAVServers[name].needs)(`on ${name}`, () => {
    let root: string;
    let real: WebDAVServer;
    let front: WebDAVFront;
    let powerFolder: PowerFolderServer;
    let app: ExampleProcess;
    let browser: Browser;

    beforeAll(async () => {
      root = mkdtempSync(join(tmpdir(), 'passport-powerfolder-upload-'));
      mkdirSync(join(root, 'Documents/Letters'), { recursive: true });
      writeFileSync(join(root, 'Documents/notes.txt'), 'as they were');
      writeFileSync(join(root, 'Documents/Letters/a.txt'), 'Dear A');
      mkdirSync(join(root, 'Closed'));
      for (const path of ['', 'Documents', 'Documents/notes.txt', 'Documents/Letters', 'Documents/Letters/a.txt']) {
        if (nobody.uid !== undefined) chownSync(join(root, path), nobody.uid, nobody.gid);
      }
      chmodSync(join(root, 'Closed'), 0o555);
      real = await startWebDAVServer(name, { folder: root, contextPath: '', writable: true });
      powerFolder = await startPowerFolderServer();
      front = await startWebDAVFront(real, powerFolder);
      app = await startExampleProcess(powerFolder, { POWERFOLDER_URL: front.url, LISTEN_ADDRESS: '127.0.0.1' });
      browser = new Browser(sameOrigin);
      await logInAndAllow(browser, await browser.visit(`${app.url}/auth/powerfolder`), powerFolder);
    });
    afterAll(async () => {
      await app?.stop();
      await front?.close();
      await powerFolder?.close();
      await real?.close();
      rmSync(root, { recursive: true, force: true });
    });

    const folder = () => `${app.url}/folders/Documents`;
    const onDisk = (file: string) => readFileSync(join(root, 'Documents', file));
    const expectNoParts = () =>
      expect(readdirSync(join(root, 'Documents')).filter((file) => file.endsWith('.part'))).toEqual([]);
    const outcomes = ({ text }: Page) =>
      (JSON.parse(text) as { files: { outcome: string }[] }).files.map(({ outcome }) => outcome);

    it.each([true, false])('files arrive whole, whatever their names are (by the script: %s)', async (script) => {
      const names = ['Grüße 100% + #1?', 'a & b; c=d', "it's [1] {2}", 'تقرير', '日本語', 'x'.repeat(200)];
      const files = [
        ...names.map((each) => ({ name: `${each}.${script}`, content: each })),
        { name: `empty.${script}`, content: '' },
        { name: `large.${script}`, content: randomBytes(5_000_000) },
      ];
      const page = await upload(browser, folder(), files, { script });
      expect(page.status).toBe(script ? 201 : 303);
      for (const { name: file, content } of files) expect(onDisk(file).equals(Buffer.from(content))).toBe(true);
      expectNoParts();
    });

    it('nothing is written over unless the visitor says so', async () => {
      const files = [{ name: 'notes.txt', content: 'other' }];
      const refused = await upload(browser, folder(), files, { script: true });
      expect([refused.status, outcomes(refused)]).toEqual([409, ['exists']]);
      expect(onDisk('notes.txt').toString()).toBe('as they were');
      const taken = await upload(browser, folder(), files, { replace: true, script: true });
      expect([taken.status, onDisk('notes.txt').toString()]).toEqual([201, 'other']);
      const place = await upload(browser, folder(), [{ name: 'Letters', content: 'x' }], {
        replace: true,
        script: true,
      });
      expect([place.status, outcomes(place)]).toEqual([409, ['folder']]);
      expect(onDisk('Letters/a.txt').toString()).toBe('Dear A');
      expectNoParts();
    });

    it('a name that is taken meanwhile stays as it is: the server itself refuses', async () => {
      const other = await fetch(`${real.origin}/webdav/Documents/taken.txt`, {
        method: 'PUT',
        body: 'of somebody else',
      });
      expect(other.status).toBe(201);
      // When the app looked, it was free.
      front.answer = ({ method, target }) =>
        method === 'PROPFIND' && target.includes('taken.txt') ? { status: 404 } : undefined;
      const page = await upload(browser, folder(), [{ name: 'taken.txt', content: 'mine' }], { script: true });
      front.answer = () => undefined;
      expect([page.status, outcomes(page)]).toEqual([409, ['exists']]);
      expect(onDisk('taken.txt').toString()).toBe('of somebody else');
      expectNoParts();
    });

    it('a folder that may not be written says so in words', async () => {
      const files = [{ name: 'x.txt', content: 'x' }];
      const page = await upload(browser, `${app.url}/folders/Closed`, files, { script: true });
      // Not every server says 403.
      expect([403, 404, 502]).toContain(page.status);
      expect(['forbidden', 'missing', 'unavailable', 'incomplete']).toEqual(expect.arrayContaining(outcomes(page)));
      expect(readdirSync(join(root, 'Closed'))).toEqual([]);
    });

    it('a broken-off upload leaves nothing behind', async () => {
      const before = readdirSync(join(root, 'Documents'));
      const content = randomBytes(8_000_000);
      for (const script of [true, false]) {
        const body = uploadBody([{ name: 'broken.bin', content }], { script });
        const sent = request(folder(), {
          method: 'POST',
          headers: {
            ...uploadHeaders({ script }),
            ...sameOrigin,
            cookie: browser.cookies(app.url),
            'content-length': String(body.length),
          },
        });
        sent.on('error', () => {});
        front.asked.length = 0;
        const uploads = () => app.output().filter((line) => line.includes('"event":"upload"')).length;
        const told = uploads();
        sent.write(body.subarray(0, 6_000_000));
        await once(sent, 'socket');
        await until(() => front.asked.some(({ method }) => method === 'PUT'));
        sent.destroy();
        await until(() => uploads() > told);
      }
      expect(readdirSync(join(root, 'Documents'))).toEqual(before);
    });
  });
}

describeWith(...webDAVServers.nginx.needs)('a file of the largest size', () => {
  it('arrives, and one byte more does not', async () => {
    const root = mkdtempSync(join(tmpdir(), 'passport-powerfolder-upload-'));
    if (nobody.uid !== undefined) chownSync(root, nobody.uid, nobody.gid);
    mkdirSync(join(root, 'Documents'));
    if (nobody.uid !== undefined) chownSync(join(root, 'Documents'), nobody.uid, nobody.gid);
    const real = await startWebDAVServer('nginx', { folder: root, contextPath: '', writable: true });
    const powerFolder = await startPowerFolderServer();
    const front = await startWebDAVFront(real, powerFolder);
    const app = await startExampleProcess(powerFolder, { POWERFOLDER_URL: front.url, LISTEN_ADDRESS: '127.0.0.1' });
    try {
      const browser = new Browser(sameOrigin);
      await logInAndAllow(browser, await browser.visit(`${app.url}/auth/powerfolder`), powerFolder);
      const send = async (size: number): Promise<number | undefined> => {
        const [head = '', foot = ''] = uploadBody([{ name: 'large.bin', content: 'CONTENT' }])
          .toString()
          .split('CONTENT');
        const sent = request(`${app.url}/folders/Documents`, {
          method: 'POST',
          headers: {
            ...uploadHeaders(),
            ...sameOrigin,
            cookie: browser.cookies(app.url),
            'content-length': String(head.length + size + foot.length),
          },
        });
        const answered = once(sent, 'response');
        const megabyte = Buffer.alloc(1024 * 1024);
        sent.write(head);
        for (let left = size; left > 0; left -= megabyte.length) {
          if (!sent.write(megabyte.subarray(0, left))) await once(sent, 'drain');
        }
        sent.end(foot);
        const [answer] = (await answered) as [IncomingMessage];
        answer.resume();
        return answer.statusCode;
      };
      const largest = 2 * 1024 ** 3;
      expect(await send(largest + 1)).toBe(413);
      expect(readdirSync(join(root, 'Documents'))).toEqual([]);
      expect(await send(largest)).toBe(303);
      expect(statSync(join(root, 'Documents/large.bin')).size).toBe(largest);
    } finally {
      await app.stop();
      await front.close();
      await powerFolder.close();
      await real.close();
      rmSync(root, { recursive: true, force: true });
    }
  });
});
