/** Uploads into folders of the simulated server, and what becomes of them when something goes wrong. */
import { once } from 'node:events';
import { request } from 'node:http';
import { type PowerFolderServer, startPowerFolderServer } from 'passport-powerfolder/testing';
import type { Browser, Page } from '../support/browser.ts';
import { type Example, sameOrigin, signedIn, startExample } from '../support/example.ts';
import { until } from '../support/until.ts';
import { upload, uploadBody, uploadHeaders } from '../support/upload.ts';
import { type FrontAnswer, startWebDAVFront, type WebDAVFront } from '../support/webdav-front.ts';

const account = {
  username: 'ada',
  password: 'pw',
  files: { Documents: { 'notes.txt': 'as they were', Letters: { 'a.txt': 'Dear A' } } },
};

let powerFolder: PowerFolderServer;
let front: WebDAVFront;
let app: Example;
let browser: Browser;
beforeEach(async () => {
  powerFolder = await startPowerFolderServer({ accounts: [account] });
  front = await startWebDAVFront({ origin: new URL(powerFolder.url).origin }, powerFolder);
  app = await startExample({ environment: { ...registration(powerFolder), POWERFOLDER_URL: front.url } });
  browser = await signedIn({ url: app.url, powerFolder });
});
afterEach(async () => {
  await app.close();
  await front.close();
  await powerFolder.close();
});

const registration = ({ clientID, clientSecret }: PowerFolderServer) => ({
  POWERFOLDER_CLIENT_ID: clientID,
  POWERFOLDER_CLIENT_SECRET: clientSecret,
});

const folder = () => `${app.url}/folders/Documents`;
const contentOf = async (name: string) =>
  (await browser.visit(`${app.url}/files/Documents/${encodeURIComponent(name)}`)).text;

/** What is in the folder, as PowerFolder has it. */
async function names(): Promise<string[]> {
  front.answer = () => undefined;
  const { text } = await browser.visit(folder());
  return [...text.matchAll(/<span dir="auto" translate="no">([^<]*)<\/span><\/a>/g)].map(([, name = '']) => name);
}

const untouched = ['Letters', 'notes.txt'];

const outcomes = (page: Page) =>
  (JSON.parse(page.text) as { files: { name: string; outcome: string; message: string }[] }).files;

describe('an upload', () => {
  it('of several files needs no script, and says on the page how many there were', async () => {
    const files = [
      { name: 'Grüße 100% #1 + 2?.txt', content: 'Grüße' },
      { name: 'empty', content: '' },
      { name: 'تقرير.bin', content: Buffer.alloc(300_000, 7) },
    ];
    const page = await upload(browser, folder(), files);
    expect([page.status, page.headers['location']]).toEqual([303, '/folders/Documents?uploaded=3']);
    const listed = await browser.visit(app.url + page.headers['location']);
    expect(listed.text).toContain('3 files were uploaded.');
    expect((await names()).toSorted()).toEqual([...untouched, ...files.map(({ name }) => name)].toSorted());
    for (const { name, content } of files) expect(await contentOf(name)).toBe(content.toString());
  });

  it('by the script is answered with what became of the file', async () => {
    const page = await upload(browser, folder(), [{ name: 'new.txt', content: 'new' }], { script: true });
    expect([page.status, outcomes(page)]).toEqual([
      201,
      [{ name: 'new.txt', outcome: 'uploaded', message: 'Uploaded.' }],
    ]);
    // PowerFolder was told the length, where it is known.
    expect(front.asked.find(({ method }) => method === 'PUT')?.headers['content-length']).toBe('3');
  });

  it('goes to another name first, and gets its own without writing over another', async () => {
    await upload(browser, folder(), [{ name: 'new.txt', content: 'new' }]);
    const written = front.asked.filter(({ method }) => !['PROPFIND', 'OPTIONS'].includes(method));
    expect(written.map(({ method, headers: { overwrite } }) => [method, overwrite])).toEqual([
      ['PUT', undefined],
      ['MOVE', 'F'],
    ]);
    const [put, move] = written;
    expect(put?.target).toMatch(/^\/webdav\/Documents\/upload-[\da-f-]{36}\.part$/);
    expect([move?.target, move?.headers['destination']]).toEqual([
      put?.target,
      `${front.url}/webdav/Documents/new.txt`,
    ]);
  });

  it('does not write over a file unless the visitor says so', async () => {
    const files = [{ name: 'notes.txt', content: 'other' }];
    const page = await upload(browser, folder(), files);
    expect(page.status).toBe(409);
    expect(page.text).toContain('A file of this name is there already. It was left as it is.');
    expect(page.text).toContain('href="/folders/Documents">Back to <bdi>Documents</bdi></a>');
    expect(await contentOf('notes.txt')).toBe('as they were');
    expect((await upload(browser, folder(), files, { replace: true })).status).toBe(303);
    expect(await contentOf('notes.txt')).toBe('other');
    expect(await names()).toEqual(untouched);
  });

  it('never takes the place of a folder, whatever the visitor says', async () => {
    const page = await upload(browser, folder(), [{ name: 'Letters', content: 'x' }], { replace: true, script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([409, 'folder']);
    expect((await browser.visit(`${app.url}/files/Documents/Letters/a.txt`)).text).toBe('Dear A');
  });

  it('takes the place of no folder that comes while it is on its way', async () => {
    front.answer = ({ method, target, headers }) => {
      const other = method === 'PROPFIND' && target.endsWith('/Letters') && headers['depth'] === '0';
      return other && !front.asked.some((each) => each.method === 'PUT') ? { status: 404 } : undefined;
    };
    const page = await upload(browser, folder(), [{ name: 'Letters', content: 'x' }], { replace: true, script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([409, 'folder']);
    expect(await names()).toEqual(untouched);
    expect((await browser.visit(`${app.url}/files/Documents/Letters/a.txt`)).text).toBe('Dear A');
  });

  it('of two with the same name at once keeps one of them, and says so', async () => {
    const answers = await Promise.all(
      ['first', 'second'].map((content) => upload(browser, folder(), [{ name: 'race.txt', content }])),
    );
    expect(answers.map(({ status }) => status).toSorted()).toEqual([303, 409]);
    const kept = answers[0]?.status === 303 ? 'first' : 'second';
    expect(await contentOf('race.txt')).toBe(kept);
    expect((await names()).toSorted()).toEqual([...untouched, 'race.txt'].toSorted());
  });

  it('tells of each file what became of it, and goes on after one that was refused', async () => {
    const files = ['notes.txt', 'one.txt', 'Letters', 'two.txt'].map((name) => ({ name, content: `${name}!` }));
    const page = await upload(browser, folder(), files, { script: true });
    expect(page.status).toBe(409);
    expect(outcomes(page).map(({ name, outcome }) => [name, outcome])).toEqual([
      ['notes.txt', 'exists'],
      ['one.txt', 'uploaded'],
      ['Letters', 'folder'],
      ['two.txt', 'uploaded'],
    ]);
    expect(await contentOf('two.txt')).toBe('two.txt!');
  });

  it('takes 200 files at once, and says that the others are not there', async () => {
    const files = Array.from({ length: 203 }, (_, i) => ({ name: `${i}.txt`, content: String(i) }));
    const page = await upload(browser, folder(), files, { script: true });
    expect([page.status, outcomes(page).length, outcomes(page).at(-1)?.outcome]).toEqual([413, 201, 'many']);
    expect(await contentOf('199.txt')).toBe('199');
    const last = files.slice(0, 200).map(({ name }) => ({ name: `again ${name}`, content: '' }));
    const whole = await upload(browser, folder(), last, { script: true });
    expect([whole.status, outcomes(whole).length]).toEqual([201, 200]);
  });

  it('is refused from another site', async () => {
    const options = { method: 'POST', body: uploadBody([{ name: 'x.txt', content: 'x' }]) };
    for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { 'Sec-Fetch-Site': 'same-site' }]) {
      const page = await browser.stay(folder(), { ...options, headers: { ...uploadHeaders(), ...headers } });
      expect(page.status).toBe(403);
    }
    expect(await names()).toEqual(untouched);
  });

  it('of somebody who is not signed in ends on a page that says so, and nothing reaches PowerFolder', async () => {
    front.asked.length = 0;
    const page = await upload(app.browser(), folder(), [{ name: 'x.txt', content: 'x' }]);
    expect([page.status, page.text]).toEqual([401, expect.stringContaining('Please sign in')]);
    expect(front.asked).toEqual([]);
  });

  it('refreshes an access token that has expired before the file is sent', async () => {
    powerFolder.expireTokens();
    const content = Buffer.alloc(500_000, 'x');
    const page = await upload(browser, folder(), [{ name: 'new.bin', content }]);
    expect(page.status).toBe(303);
    expect((await contentOf('new.bin')).length).toBe(500_000);
  });

  it.each([
    ['x'.repeat(256), 'name'],
    ['ü'.repeat(128), 'name'],
  ])('of a file called %j is refused before it is sent', async (name, outcome) => {
    front.asked.length = 0;
    const page = await upload(browser, folder(), [{ name, content: 'x' }], { script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([400, outcome]);
    expect(front.asked).toEqual([]);
  });

  it.each(['../../../Documents/up.txt', 'C:\\Users\\ada\\up.txt', '/etc/up.txt'])(
    'of a file called %j goes by its last name into this folder',
    async (name) => {
      expect((await upload(browser, folder(), [{ name, content: 'x' }])).status).toBe(303);
      expect((await names()).toSorted()).toEqual([...untouched, 'up.txt'].toSorted());
    },
  );

  it.each<[string, Record<string, string>, string]>([
    ['fields that are none', { 'content-type': 'application/json' }, '{}'],
    ['no boundary', { 'content-type': 'multipart/form-data' }, ''],
    ['a form that ends too early', { 'content-type': 'multipart/form-data; boundary=b' }, '--b\r\nContent-Disp'],
    [
      'a control character in a name',
      { 'content-type': 'multipart/form-data; boundary=b' },
      '--b\r\nContent-Disposition: form-data; name="file"; filename="a\u0001b"\r\n\r\nx\r\n--b--\r\n',
    ],
    ['no form at all', { 'content-type': 'text/plain' }, 'x'],
  ])('with %s is a request that cannot be understood', async (_, headers, body) => {
    const page = await browser.stay(folder(), { method: 'POST', headers, body });
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('This request was not understood')]);
  });

  it.each(['', '.', '..'])('of a file called "%s" says that none was chosen', async (name) => {
    const page = await upload(browser, folder(), [{ name, content: '' }]);
    expect([page.status, page.text]).toEqual([400, expect.stringContaining('No file was chosen.')]);
  });

  it.each([1, 1_000_000])('whose script says that it is %d bytes, when it is not, is refused', async (size) => {
    const body = uploadBody([{ name: 'new.txt', content: 'x'.repeat(1000) }], { script: true })
      .toString()
      .replace('\r\n1000\r\n', `\r\n${size}\r\n`);
    const page = await browser.stay(folder(), { method: 'POST', headers: uploadHeaders({ script: true }), body });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([502, 'unavailable']);
    expect(await names()).toEqual(untouched);
  });

  it('whose script says that it is larger than a file may be is refused before it is sent', async () => {
    const body = uploadBody([{ name: 'new.txt', content: 'x'.repeat(1000) }], { script: true })
      .toString()
      .replace('\r\n1000\r\n', `\r\n${2 * 1024 ** 3 + 1}\r\n`);
    front.asked.length = 0;
    const page = await browser.stay(folder(), { method: 'POST', headers: uploadHeaders({ script: true }), body });
    expect([page.status, outcomes(page)[0]?.outcome, front.asked]).toEqual([413, 'large', []]);
  });

  it('into a folder that is not there says so', async () => {
    const page = await upload(browser, `${app.url}/folders/Gone`, [{ name: 'x.txt', content: 'x' }], { script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([404, 'missing']);
  });

  it('into a folder that somebody has locked says so', async () => {
    const body = '<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope></D:lockinfo>';
    const [tokens] = [...app.sessions.tokens()];
    const locked = await fetch(`${powerFolder.url}/webdav/Documents/notes.txt`, {
      method: 'LOCK',
      headers: { authorization: `Bearer ${tokens?.accessToken}` },
      body,
    });
    expect(locked.status).toBe(200);
    const files = [{ name: 'notes.txt', content: 'other' }];
    const page = await upload(browser, folder(), files, { replace: true, script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([423, 'locked']);
    expect(await contentOf('notes.txt')).toBe('as they were');
    expect(await names()).toEqual(untouched);
  });
});

describe('when PowerFolder', () => {
  const refusals: [step: 'PUT' | 'MOVE', answer: FrontAnswer, status: number, outcome: string][] = [
    ['PUT', { status: 403 }, 403, 'forbidden'],
    ['PUT', { status: 409 }, 404, 'missing'],
    ['PUT', { status: 413 }, 413, 'large'],
    ['PUT', { status: 423 }, 423, 'locked'],
    ['PUT', { status: 507 }, 507, 'full'],
    ['PUT', { status: 500 }, 502, 'unavailable'],
    ['PUT', { status: 302 }, 502, 'unavailable'],
    ['PUT', { status: 401 }, 502, 'unavailable'],
    ['PUT', { status: 507, early: true }, 507, 'full'],
    ['PUT', 'kept in part', 502, 'incomplete'],
    ['MOVE', { status: 412 }, 409, 'exists'],
    ['MOVE', { status: 403 }, 403, 'forbidden'],
    ['MOVE', { status: 423 }, 423, 'locked'],
    ['MOVE', { status: 507 }, 507, 'full'],
    ['MOVE', { status: 500 }, 502, 'unavailable'],
    ['MOVE', { status: 207 }, 502, 'unavailable'],
    ['MOVE', 'broken off', 502, 'unavailable'],
  ];

  it.each(refusals)(
    'answers %s with %j, it is told, and nothing is left behind',
    async (step, answer, status, code) => {
      front.answer = ({ method }) => (method === step ? answer : undefined);
      // Larger than what waits between the visitor and PowerFolder.
      const files = [{ name: 'new.bin', content: Buffer.alloc(3_000_000, 'x') }];
      for (const script of [true, false]) {
        const page = await upload(browser, folder(), files, { script });
        expect(page.status).toBe(status);
        if (script) expect(outcomes(page)[0]?.outcome).toBe(code);
        else expect(page.text).not.toMatch(/undefined|null/);
      }
      expect(await names()).toEqual(untouched);
      expect(app.log.filter((line) => line.includes(`"event":"upload","code":"${code}"`))).toHaveLength(2);
    },
  );

  it('loses its answer after it has given the file its name, the visitor is asked to look', async () => {
    front.answer = ({ method }) => (method === 'MOVE' ? 'lost' : undefined);
    const page = await upload(browser, folder(), [{ name: 'new.txt', content: 'new' }], { script: true });
    expect([page.status, outcomes(page)[0]?.outcome]).toEqual([502, 'uncertain']);
    expect((await names()).toSorted()).toEqual([...untouched, 'new.txt'].toSorted());
  });
});

it('somebody who signs out while a file is on its way leaves nothing behind', async () => {
  front.answer = ({ method }) => (method === 'PUT' ? 'slowly' : undefined);
  const sent = upload(browser, folder(), [{ name: 'new.bin', content: Buffer.alloc(3_000_000, 'x') }]);
  await until(() => front.asked.some(({ method }) => method === 'PUT'));
  await browser.submit(await browser.visit(`${app.url}/account`), 'Sign out');
  expect((await sent).status).toBe(401);
  browser = await signedIn({ url: app.url, powerFolder });
  expect(await names()).toEqual(untouched);
});

it.each(['at once', 'in the midst of the file'])('a visitor who goes away %s leaves nothing behind', async (when) => {
  const body = uploadBody([{ name: 'new.bin', content: Buffer.alloc(3_000_000, 'x') }]);
  const sent = request(folder(), {
    method: 'POST',
    headers: {
      ...uploadHeaders(),
      ...sameOrigin,
      cookie: browser.cookies(app.url),
      'content-length': String(body.length),
    },
  });
  sent.on('error', () => {});
  sent.write(body.subarray(0, when === 'at once' ? 300 : 2_000_000));
  await once(sent, 'socket');
  const reached = when === 'at once' ? 'PROPFIND' : 'PUT';
  await until(() => front.asked.some(({ method }) => method === reached));
  sent.destroy();
  await until(() => app.log.some((line) => line.includes('"event":"upload"')));
  expect(await names()).toEqual(untouched);
});
