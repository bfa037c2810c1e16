/** Folders, uploads and languages in a real Chromium: with scripts and without, in both languages, at three widths. */
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import type { Page } from 'playwright-core';
import { follow, press, scene, signIn, site, someone, textFile, useChromium } from '../support/browser-scenes.ts';
import { type Example, startExample } from '../support/example.ts';
import { until } from '../support/until.ts';
import { startWebDAVFront } from '../support/webdav-front.ts';

useChromium('test/example-app/browser-folders.outside.test.ts');

const day = 24 * 60 * 60_000;
/** Sized, and changed when the server was started. */
const file = (size: number) => ({ size });

const files = {
  Work: {
    'b 10.txt': file(300),
    'b 9.txt': file(2_000_000),
    'Äpfel.txt': file(5),
    'Zebra.txt': file(40_000),
    Inner: { 'deep.txt': 'deep' },
  },
  Long: Object.fromEntries(Array.from({ length: 450 }, (_, i) => [`Entry ${i + 1}.txt`, file(1000 + i)])),
};
const account = { username: 'ada', password: 'pw', firstname: 'Ada', files };

const names = async (page: Page) => await page.locator('.entries tbody tr:visible .name span').allInnerTexts();
const widths = [360, 768, 1600] as const;

/** Signs in with the server's pages, which are English. */
async function open(
  app: Pick<Example, 'url' | 'powerFolder'>,
  path: string,
  options: Parameters<typeof someone>[1] = {},
): Promise<Page> {
  const { page } = await someone(app, options);
  await signIn(page, app, account);
  await page.goto(app.url + path);
  return page;
}

scene('a folder', () => {
  it.each([true, false])('is sorted by a click on a heading (with JavaScript: %s)', async (javaScriptEnabled) => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work', { javaScriptEnabled });
    const sorted = (column: string) =>
      page.getByRole('columnheader', { name: column, exact: true }).getAttribute('aria-sort');
    expect([await names(page), await sorted('Name')]).toEqual([
      ['Inner', 'Äpfel.txt', 'b 9.txt', 'b 10.txt', 'Zebra.txt'],
      'ascending',
    ]);
    await follow(page, 'Size');
    await page.waitForURL(/sort=size/);
    expect([await names(page), await sorted('Size'), await sorted('Name')]).toEqual([
      ['Inner', 'Äpfel.txt', 'b 10.txt', 'Zebra.txt', 'b 9.txt'],
      'ascending',
      null,
    ]);
    await follow(page, 'Size');
    await page.waitForURL(/order=desc/);
    expect([await names(page), await sorted('Size')]).toEqual([
      ['Inner', 'b 9.txt', 'Zebra.txt', 'b 10.txt', 'Äpfel.txt'],
      'descending',
    ]);
    await follow(page, 'Modified');
    await page.waitForURL(/sort=date/);
    expect([await sorted('Modified'), await sorted('Size')]).toEqual(['ascending', null]);
  });

  it('is filtered as one types, and says how many were found', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work');
    const asked = app.powerFolder.requests.length;
    const field = page.getByRole('searchbox', { name: 'Filter by name' });
    await field.fill('B 1');
    expect([await names(page), await page.locator('.count').innerText()]).toEqual([['b 10.txt'], '1 of 5 entries']);
    await field.fill('xyz');
    expect(await names(page)).toEqual([]);
    await page.getByText('No name contains this text.').waitFor();
    await field.fill('');
    expect([(await names(page)).length, await page.locator('.count').innerText()]).toEqual([5, '5 entries']);
    // All of it was here already.
    expect(app.powerFolder.requests.length).toBe(asked);
    await field.fill('txt');
    await follow(page, 'Size');
    await page.waitForURL(/sort=size/);
    expect([await names(page), await field.inputValue()]).toEqual([
      ['Äpfel.txt', 'b 10.txt', 'Zebra.txt', 'b 9.txt'],
      'txt',
    ]);
  });

  it('with more than one page is filtered as a whole', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Long');
    expect((await names(page)).length).toBe(200);
    const field = page.getByRole('searchbox', { name: 'Filter by name' });
    await field.pressSequentially('entry 45');
    await until(async () => (await names(page)).length === 2);
    expect(await names(page)).toEqual(['Entry 45.txt', 'Entry 450.txt']);
    expect(await page.locator('.count').innerText()).toContain('2 of 450 entries');
    // What one types on is not lost, and a reload shows the same.
    expect(await field.inputValue()).toBe('entry 45');
    await page.reload();
    expect(await names(page)).toEqual(['Entry 45.txt', 'Entry 450.txt']);
    await follow(page, 'Show all');
    await until(async () => (await names(page)).length === 200);
  });

  it('shows what was typed last, also when an earlier answer comes later', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Long');
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const early = page.waitForRequest(/filter=entry\+4$/);
    await page.route(/filter=entry\+4$/, async (route) => {
      await held;
      await route.continue();
    });
    const field = page.getByRole('searchbox', { name: 'Filter by name' });
    await field.fill('entry 4');
    const request = await early;
    await field.fill('entry 44');
    await until(async () => (await names(page)).length === 11);
    release();
    await request.response();
    await page.evaluate('new Promise((resolve) => setTimeout(resolve, 50))');
    expect((await names(page)).length).toBe(11);
    expect(new URL(page.url()).searchParams.get('filter')).toBe('entry 44');
  });

  it('is filtered without JavaScript by a button, and turned page by page', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Long?sort=size', { javaScriptEnabled: false });
    await follow(page, 'Next');
    await page.waitForURL(/page=2/);
    expect([(await names(page))[0], (await page.locator('.count').innerText()).trim()]).toEqual([
      'Entry 201.txt',
      '450 entries (201 to 400)',
    ]);
    await follow(page, 'Next');
    await page.waitForURL(/page=3/);
    expect((await names(page)).length).toBe(50);
    await page.getByRole('searchbox').fill('entry 44');
    await press(page, 'Filter');
    await page.waitForURL(/filter=entry\+44/);
    // In the order that was chosen.
    expect([await names(page), new URL(page.url()).searchParams.get('sort')]).toEqual([
      ['Entry 44.txt', ...Array.from({ length: 10 }, (_, i) => `Entry ${440 + i}.txt`)],
      'size',
    ]);
  });

  it.each(widths)('opens by a click anywhere on a row, and shows dates, at %d pixels', async (width) => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work', { viewport: { width, height: 800 } });
    const row = page.getByRole('row').filter({ hasText: 'Inner' });
    expect(await page.getByRole('row').filter({ hasText: 'Zebra' }).locator('time').isVisible()).toBe(true);
    const box = await row.boundingBox();
    await row.click({ position: { x: (box?.width ?? 0) * 0.7, y: (box?.height ?? 0) - 4 } });
    await page.waitForURL(`${app.url}/folders/Work/Inner`);
  });

  it.each(widths)('has a way there on one line, however deep it is, at %d pixels', async (width) => {
    const deep = Array.from({ length: 9 }, (_, i) => `A folder with quite a long name ${i + 1}`);
    const tree = deep.reduceRight<object>((inner, name) => ({ [name]: inner }), { 'x.txt': 'x' });
    const app = await site({ accounts: [{ ...account, files: tree as typeof files }] });
    const page = await open(app, `/folders/${deep.map(encodeURIComponent).join('/')}`, {
      viewport: { width, height: 800 },
    });
    const trail = page.getByRole('navigation', { name: 'Where you are' });
    expect((await trail.boundingBox())?.height).toBeLessThan(48);
    expect(await trail.getByRole('link').count()).toBe(9);
    await trail.getByRole('link').nth(3).click();
    await page.waitForURL(`${app.url}/folders/${deep.slice(0, 3).map(encodeURIComponent).join('/')}`);
  });

  it.each([true, false])(
    'has its frame at once and its entries when PowerFolder answers (JavaScript: %s)',
    async (on) => {
      const app = await site({ accounts: [account] }, {}, { behindRelay: true });
      const { page } = await someone(app, { javaScriptEnabled: on, origins: [new URL(app.relay?.url ?? '').origin] });
      await signIn(page, app, account);
      const held = app.relay?.holdNext(/^PROPFIND/);
      await page.goto(`${app.url}/folders/Work`, { waitUntil: 'commit' });
      await held?.answered;
      await page.getByRole('heading', { level: 1, name: 'Work' }).waitFor();
      await page.getByText('PowerFolder is being asked …').waitFor();
      expect(await page.getByRole('link', { name: 'Account', exact: true }).isVisible()).toBe(true);
      expect(await names(page)).toEqual([]);
      held?.release();
      await page.getByText('5 entries').waitFor();
      expect(await page.getByText('PowerFolder is being asked …').isVisible()).toBe(false);
    },
  );

  it('leads on from its frame to a file, and to a new sign-in', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner/deep.txt');
    await page.waitForURL(`${app.url}/view/Work/Inner/deep.txt`);
    expect(await page.frameLocator('iframe').locator('body').innerText()).toBe('deep');
    await follow(page, 'Back to Inner');
    await page.waitForURL(`${app.url}/folders/Work/Inner`);
  });

  it('has each file to open and to download', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner');
    const download = page.waitForEvent('download');
    await follow(page, 'Download deep.txt');
    expect((await download).suggestedFilename()).toBe('deep.txt');
    expect(page.url()).toBe(`${app.url}/folders/Work/Inner`);
  });
});

scene('the language', () => {
  it.each([true, false])('is the browser’s until the visitor chooses, and stays (JavaScript: %s)', async (on) => {
    const app = await site({ accounts: [account] });
    const { page } = await someone(app, { locale: 'de-AT', javaScriptEnabled: on });
    await page.goto(app.url);
    expect(await page.locator('html').getAttribute('lang')).toBe('de-DE');
    await follow(page, 'Mit PowerFolder anmelden');
    await page.getByLabel('User name').fill('ada');
    await page.getByLabel('Password').fill('pw');
    await press(page, 'Log in');
    await press(page, 'Allow');
    await page.goto(`${app.url}/folders/Work?sort=size`);
    await page.getByText('5 Einträge').waitFor();
    await press(page, 'English');
    await page.waitForURL(`${app.url}/folders/Work?sort=size`);
    await page.getByText('5 entries').waitFor();
    const [cookie] = (await page.context().cookies()).filter(({ name }) => name === 'language');
    expect(cookie).toMatchObject({ value: 'en', httpOnly: true, sameSite: 'Lax' });
    expect((cookie?.expires ?? 0) * 1000 - Date.now()).toBeGreaterThan(300 * day);
    await press(page, 'Sign out');
    await page.getByRole('heading', { name: 'You are signed out.' }).waitFor();
  });

  it.each([
    ['de-DE', 'Europe/Berlin', true, '08.03.2026'],
    ['en-GB', 'Pacific/Auckland', true, '8 Mar 2026'],
    ['en-GB', 'America/Los_Angeles', true, '7 Mar 2026'],
    ['de-DE', 'Europe/Berlin', false, '07.03.2026'],
  ])('writes dates and sizes: %s in %s (JavaScript: %s)', async (locale, timezoneId, javaScriptEnabled, date) => {
    const started = Date.now();
    const now = () => Date.UTC(2026, 2, 7, 23, 30) + Date.now() - started;
    const app = await site({ accounts: [account], now });
    const page = await open(app, '/folders/Work', { locale, timezoneId, javaScriptEnabled });
    const row = page.getByRole('row').filter({ hasText: 'Zebra' });
    expect(await row.locator('time').innerText()).toBe(date);
    expect(await row.locator('time').getAttribute('datetime')).toMatch(/^2026-03-07T23:3/);
    expect(await row.locator('.size').innerText()).toMatch(/^40.kB$/);
  });
});

scene('an upload', () => {
  const uploadForm = (page: Page) => page.locator('.upload form');

  async function choose(page: Page, ...chosen: ReturnType<typeof textFile>[]): Promise<void> {
    await page.locator('.upload summary').click();
    await page.locator('[type=file]').setInputFiles(chosen);
  }

  it('of several files is one form and one button, and ends in the folder', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner');
    await choose(page, textFile('one.txt'), textFile('Zwei & drei.txt'));
    await uploadForm(page).getByRole('button', { name: 'Upload', exact: true }).click();
    await page.getByText('2 files were uploaded.').waitFor();
    expect(await names(page)).toEqual(['deep.txt', 'one.txt', 'Zwei & drei.txt']);
  });

  it('needs no JavaScript', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner', { javaScriptEnabled: false, refusals: [409] });
    await choose(page, textFile('one.txt'), textFile('two.txt'));
    await press(page, 'Upload');
    await page.getByText('2 files were uploaded.').waitFor();
    await choose(page, textFile('one.txt', 'other'));
    await press(page, 'Upload');
    await page.getByText('A file of this name is there already. It was left as it is.').waitFor();
    await follow(page, 'Back to Inner');
    await choose(page, textFile('one.txt', 'other'));
    await page.getByLabel('Replace files that have the same name').check();
    await press(page, 'Upload');
    await page.getByText('One file was uploaded.').waitFor();
    await follow(page, 'File one.txt');
    expect(await page.frameLocator('iframe').locator('body').innerText()).toBe('other');
  });

  it('asks before it replaces a file, and sends nothing of it before', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner');
    await choose(page, textFile('deep.txt', 'deeper'), textFile('new.txt'));
    const posted: string[] = [];
    page.on('request', (request) => request.method() === 'POST' && posted.push(request.url()));
    await press(page, 'Upload');
    await press(page, 'Leave it');
    await page.getByText('Uploaded.', { exact: true }).waitFor();
    expect(posted.length).toBe(1);
    // The list below is that of now, and what was not uploaded is still to be read above.
    await until(async () => (await names(page)).length === 2);
    await page.getByText('It was left as it is.').waitFor();
    await page.locator('[type=file]').setInputFiles([textFile('deep.txt', 'deeper')]);
    await press(page, 'Upload');
    await press(page, 'Replace it');
    await page.getByText('One file was uploaded.').waitFor();
    await follow(page, 'File deep.txt');
    expect(await page.frameLocator('iframe').locator('body').innerText()).toBe('deeper');
  });

  it('tells how far it is, can be cancelled, and leaves nothing behind', async () => {
    // PowerFolder takes it slowly: then the app does, too.
    const powerFolder = await startPowerFolderServer({ accounts: [account] });
    const front = await startWebDAVFront({ origin: new URL(powerFolder.url).origin }, powerFolder);
    const app = await startExample({
      environment: {
        POWERFOLDER_URL: front.url,
        POWERFOLDER_CLIENT_ID: powerFolder.clientID,
        POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
      },
    });
    try {
      const page = await open({ ...app, powerFolder }, '/folders/Work/Inner', { origins: [new URL(front.url).origin] });
      front.answer = ({ method }) => (method === 'PUT' ? 'slowly' : undefined);
      await choose(page, { name: 'large.bin', mimeType: 'text/plain', buffer: Buffer.alloc(45_000_000, 'x') });
      await press(page, 'Upload');
      const progress = page.getByRole('progressbar', { name: 'large.bin' });
      const value = async () => Number(await progress.getAttribute('value'));
      await until(async () => (await value()) > 0.01);
      expect(await value()).toBeLessThan(1);
      await press(page, 'Cancel');
      await page.getByText('Cancelled. Nothing was left behind.').waitFor();
      await until(() => app.log.some((line) => line.includes('"event":"upload"')));
      await page.goto(`${app.url}/folders/Work/Inner`);
      expect(await names(page)).toEqual(['deep.txt']);
    } finally {
      await app.close();
      await front.close();
      await powerFolder.close();
    }
  });

  it('says so when the connection is lost, and leads to a sign-in when the session has ended', async () => {
    const app = await site({ accounts: [account] });
    const page = await open(app, '/folders/Work/Inner', { expected: /ERR_CONNECTION_RESET|401/ });
    await choose(page, textFile('x.txt'));
    await page.route('**/folders/**', (route) => route.abort('connectionreset'), { times: 1 });
    await press(page, 'Upload');
    await page.getByText('The connection was lost, and nothing was left behind.').waitFor();
    await page.locator('[type=file]').setInputFiles([textFile('x.txt')]);
    await page.context().clearCookies({ name: /^session/ });
    await press(page, 'Upload');
    await page.waitForURL(/\/oauth\/(?:allow|consent)/);
  });
});

scene('in the colours of the visitor', () => {
  it('pictures are drawn in them, and the meter and buttons have edges', async () => {
    const app = await site({ accounts: [{ ...account, spaceUsed: 4e9, spaceAllowed: 5e9 } as typeof account] });
    const page = await open(app, '/folders/Work', { forcedColors: 'active', colorScheme: 'dark' });
    const style = (selector: string, property: string) =>
      page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}')).${property}`);
    const system = (color: string) =>
      page.evaluate<string>(`(() => {
        const probe = document.body.appendChild(document.createElement('i'));
        probe.style.color = '${color}';
        const { color } = getComputedStyle(probe);
        probe.remove();
        return color;
      })()`);
    expect(await style('.brand-back', 'fill')).toBe(await system('LinkText'));
    expect(await style('.upload summary', 'borderTopStyle')).toBe('solid');
    await page.goto(`${app.url}/account`);
    expect(await style('meter', 'borderTopStyle')).toBe('solid');
  });

  it('nothing moves for who does not like that', async () => {
    const app = await site({ accounts: [account] }, {}, { behindRelay: true });
    const { page } = await someone(app, { reducedMotion: 'reduce', origins: [new URL(app.relay?.url ?? '').origin] });
    await signIn(page, app, account);
    const held = app.relay?.holdNext(/^PROPFIND/);
    await page.goto(`${app.url}/folders/Work`, { waitUntil: 'commit' });
    await page.getByText('PowerFolder is being asked …').waitFor();
    expect(await page.evaluate('document.getAnimations().length')).toBe(0);
    held?.release();
  });
});
