/** Files of the example in a real Chromium: what is shown still shows within its sandbox, and nothing acts. */
import type { Browser, Page } from 'playwright-core';
import { findChromium, launchChromium, openVisitor, type Visitor } from '../support/chromium.ts';
import { describeWith } from '../support/programs.ts';
import { until } from '../support/until.ts';
import { startWebDAVExample, type WebDAVExample } from '../support/webdav-example.ts';

/** Two pages. */
function pdf(): Buffer {
  const text = 'BT /F1 24 Tf 20 100 Td (Hello) Tj ET';
  const page = (contents: number) =>
    `<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 200]/Contents ${contents} 0 R/Resources<</Font<</F1 5 0 R>>>>>>`;
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R 6 0 R]/Count 2>>',
    page(4),
    `<</Length ${text.length}>>stream\n${text}\nendstream`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
    page(4),
  ];
  let file = '%PDF-1.4\n';
  const offsets = objects.map((object, i) => {
    const offset = file.length;
    file += `${i + 1} 0 obj${object}endobj\n`;
    return `${String(offset).padStart(10, '0')} 00000 n \n`;
  });
  const start = file.length;
  file += `xref\n0 7\n0000000000 65535 f \n${offsets.join('')}trailer<</Size 7/Root 1 0 R>>\nstartxref\n${start}\n%%EOF\n`;
  return Buffer.from(file, 'latin1');
}

const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** One second of silence, mono, 8 kHz. */
function wav(): Buffer {
  const file = Buffer.alloc(44 + 8000, 128);
  file.write('RIFF', 0, 'latin1');
  file.writeUInt32LE(file.length - 8, 4);
  file.write('WAVEfmt ', 8, 'latin1');
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(8000, 24);
  file.writeUInt32LE(8000, 28);
  file.writeUInt16LE(1, 32);
  file.writeUInt16LE(8, 34);
  file.write('data', 36, 'latin1');
  file.writeUInt32LE(8000, 40);
  return file;
}

const script = '<script>document.title = "acted"; fetch("/account")</script>';

(findChromium() ? describe : describeWith('chromium'))('in Chromium', () => {
  let example: WebDAVExample;
  let browser: Browser;
  let visitor: Visitor;
  let page: Page;

  beforeAll(async () => {
    example = await startWebDAVExample({
      tree: {
        'paper.pdf': pdf(),
        'dot.png': png,
        'sound.wav': wav(),
        'notes.txt': `Milk ${script}`,
        'page.html': script,
      },
    });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await example?.close();
  });

  beforeEach(async () => {
    const { url } = example.app;
    visitor = await openVisitor(browser, [new URL(url).origin]);
    page = visitor.page;
    const [name = '', value = ''] = example.browser.cookies(url).split('=');
    await page.context().addCookies([{ name, value, url }]);
  });
  afterEach(() => visitor.close());

  /** A file by itself, and on the page that the app has for it. */
  const places = ['files', 'view'] as const;
  const within = (place: (typeof places)[number]) => (place === 'files' ? page : page.frameLocator('iframe.content'));

  it.each(places)('a PDF is shown by the viewer, with all of its pages, at /%s (R68)', async (place) => {
    const answer = await page.goto(`${example.app.url}/${place}/paper.pdf`);
    if (place === 'files') expect(answer?.headers()['content-disposition']).toMatch(/^inline/);
    // Chromium tells less of the policy of a PDF than came.
    const { headers } = await example.get('/files/paper.pdf');
    expect(headers['content-security-policy']).toMatch(/(^|;)\s*sandbox\b(?!.*allow-scripts)/);
    const viewer = await until(() => page.frames().find((frame) => frame.url().startsWith('chrome-extension://')));
    const pages = () =>
      viewer.evaluate(() => {
        // biome-ignore lint/suspicious/noExplicitAny: the viewer's own elements have no types.
        const root = (globalThis as any).document.querySelector('pdf-viewer')?.shadowRoot;
        return root?.querySelector('viewer-toolbar')?.docLength as number | undefined;
      });
    expect(await until(pages)).toBe(2);
  });

  it.each(places)('a picture is shown at /%s (R68)', async (place) => {
    await page.goto(`${example.app.url}/${place}/dot.png`);
    const width = await within(place)
      .locator('img')
      .evaluate((image) => (image as unknown as { naturalWidth: number }).naturalWidth);
    expect(width).toBe(1);
    // A document in a sandbox is of no origin, so the app's icon is kept from it by Cross-Origin-Resource-Policy.
    expect(visitor.complaints().filter((each) => !each.includes('/favicon.ico'))).toEqual([]);
  });

  it.each(places)('a sound can be played, or is saved, at /%s: a silent player helps nobody (R68)', async (place) => {
    const saved = page.waitForEvent('download').catch(() => undefined);
    await page.goto(`${example.app.url}/${place}/sound.wav`).catch(() => {});
    const { headers } = await example.get('/files/sound.wav');
    if (String(headers['content-disposition']).startsWith('attachment')) {
      expect((await saved)?.suggestedFilename()).toBe('sound.wav');
      return;
    }
    const state = () =>
      within(place)
        .locator('video, audio')
        .evaluate((element) => {
          const { duration, readyState, networkState } = element as unknown as Record<string, number>;
          // HAVE_METADATA, or NETWORK_NO_SOURCE: it is known whether it can be played.
          return (readyState ?? 0) >= 1 || networkState === 3 ? { duration } : undefined;
        });
    expect(await until(state)).toEqual({ duration: 1 });
  });

  it.each(places)('a text is shown as text at /%s (R68)', async (place) => {
    await page.goto(`${example.app.url}/${place}/notes.txt`);
    expect(await within(place).locator('body').innerText()).toBe(`Milk ${script}`);
    expect(await page.title()).not.toBe('acted');
  });

  it('a page is saved, and does not act (R68)', async () => {
    await page.goto(example.app.url);
    const saved = page.waitForEvent('download');
    await page.goto(`${example.app.url}/files/page.html`).catch(() => {});
    expect((await saved).suggestedFilename()).toBe('page.html');
    expect(await page.title()).not.toBe('acted');
  });
});
