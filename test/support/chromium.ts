/** A real Chromium, and what it has to complain about. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Milliseconds; only against waiting for ever. */
const longest = 60_000;

const names = ['chromium', 'chromium-browser', 'google-chrome'];

/** Where Chromium is: `CHROMIUM` says it, or one of the usual names is on the PATH. */
export function findChromium({ CHROMIUM, PATH = '' } = process.env): string | undefined {
  const places = CHROMIUM
    ? [CHROMIUM]
    : names.flatMap((name) => PATH.split(delimiter).map((directory) => join(directory, name)));
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export async function launchChromium(): Promise<Browser> {
  const executablePath = findChromium();
  if (!executablePath) {
    throw new Error('Chromium was not found: install it (apt-get install chromium), or say in CHROMIUM where it is.');
  }
  return await chromium.launch({
    executablePath,
    timeout: longest,
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
    // Playwright turns it off, and users have it: the back button may show a page without asking for it.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
}

/** Somebody at a browser of their own. */
export interface Visitor {
  /** The first tab. */
  page: Page;
  /** Opens another. */
  newTab(): Promise<Page>;
  /** Every address that a tab was sent to, redirects included, oldest first. */
  trail: string[];
  /** Statuses of 400 and above that documents came with. */
  refusals: number[];
  /**
   * What the browser complained about: errors and warnings on the console, errors in pages, violations of the
   * Content-Security-Policy, requests that failed, and requests to anywhere but the given origins.
   */
  complaints(): string[];
  close(): Promise<void>;
}

const tellViolations = `addEventListener('securitypolicyviolation', ({ violatedDirective, blockedURI }) => {
  console.error('CSP', violatedDirective, 'blocked', blockedURI);
});`;

export async function openVisitor(
  browser: Browser,
  origins: string[],
  options: BrowserContextOptions = {},
): Promise<Visitor> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  context.setDefaultTimeout(longest);
  await context.addInitScript(tellViolations);

  const trail: string[] = [];
  const refusals: number[] = [];
  const refused = new Set<string>();
  const complaints: { url: string; text: string; kind: 'console' | 'other' }[] = [];

  context.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const { url } = message.location();
    complaints.push({ url, text: `${message.type()} on ${url}: ${message.text()}`, kind: 'console' });
  });
  context.on('weberror', (error) => complaints.push({ url: '', text: String(error.error()), kind: 'other' }));
  context.on('request', (request) => {
    const url = request.url();
    if (request.isNavigationRequest()) trail.push(url);
    if (!url.startsWith('data:') && !origins.includes(new URL(url).origin)) {
      complaints.push({ url, text: `${url} was asked`, kind: 'other' });
    }
  });
  context.on('response', (response) => {
    if (response.status() < 400 || !response.request().isNavigationRequest()) return;
    refusals.push(response.status());
    refused.add(response.url());
  });
  context.on('requestfailed', (request) => {
    const url = request.url();
    const { errorText } = request.failure() ?? {};
    // What the browser itself gave up: the visitor went on, or a document became a download.
    if (errorText !== 'net::ERR_ABORTED') complaints.push({ url, text: `${url} failed: ${errorText}`, kind: 'other' });
  });

  return {
    page: await context.newPage(),
    newTab: () => context.newPage(),
    trail,
    refusals,
    // The console repeats a document's status.
    complaints: () =>
      complaints
        .filter(({ url, text, kind }) => !(kind === 'console' && refused.has(url) && text.includes('Failed to load')))
        .map(({ text }) => text),
    close: () => context.close(),
  };
}
