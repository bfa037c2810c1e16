/** The example app and the simulated server in a real Chromium, as people see and use them. */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PowerFolderAccount, startPowerFolderServer } from 'passport-powerfolder/testing';
import type { BrowserContext, Page } from 'playwright-core';
import { startTestApp } from '../support/app.ts';
import {
  allow,
  type Credentials,
  follow,
  heading,
  logIn,
  openBrowser,
  press,
  type Site,
  scene,
  signIn,
  site,
  someone,
  textFile,
  useChromium,
} from '../support/browser-scenes.ts';
import type { Visitor } from '../support/chromium.ts';
import { type ExampleProcess, startExampleProcess } from '../support/example-process.ts';
import { until } from '../support/until.ts';

useChromium('test/example-app/browser.outside.test.ts');

type StorageState = Awaited<ReturnType<BrowserContext['storageState']>>;

/** The address that the server sent a visitor back to, the last time. */
function lastCallback({ trail }: Visitor, { url }: Site): string {
  const callback = trail.findLast((each) => each.startsWith(`${url}/oauth`));
  if (!callback) throw new Error(`No callback: ${trail.join(' → ')}`);
  return callback;
}

const kinds = [
  ['GET', 'path'],
  ['GET', 'query'],
  ['POST', 'path'],
  ['POST', 'query'],
] as const;

const siteOf = (method: 'GET' | 'POST', callbackStyle: 'path' | 'query') =>
  site({ callbackStyle, allowMethods: [method] }, { POWERFOLDER_AUTHORIZATION_METHOD: method });

scene('signing in', () => {
  it.each(kinds)('works with the request by %s and the answer as a %s', async (method, callbackStyle) => {
    const app = await siteOf(method, callbackStyle);
    const ada = await someone(app);
    const { page } = ada;
    await page.goto(app.url);
    await follow(page, 'Sign in with PowerFolder');
    await logIn(page, app.powerFolder);
    expect(await heading(page)).toMatch(/^Allow .* to use your PowerFolder\?$/);
    await allow(page, app);
    expect(await heading(page)).toBe('Welcome, Ada Schäfer-Yıldız.');
    expect(lastCallback(ada, app)).toContain(callbackStyle === 'path' ? '/oauth/code=' : '/oauth?code=');
    expect(app.powerFolder.requests.find(({ endpoint }) => endpoint === 'allow')?.method).toBe(method);
    // Scripts, if there were any, would find nothing (R36, R45).
    expect(await page.evaluate('[document.cookie, localStorage.length, sessionStorage.length]')).toEqual(['', 0, 0]);
  });

  it.each(['GET', 'POST'] as const)('works without JavaScript, by %s', async (method) => {
    const app = await siteOf(method, 'path');
    const { page } = await someone(app, { javaScriptEnabled: false });
    await page.goto(app.url);
    await follow(page, 'Sign in with PowerFolder');
    if (method === 'POST') await press(page, 'Continue to PowerFolder');
    await logIn(page, app.powerFolder);
    await allow(page, app);
    expect(await heading(page)).toBe('Welcome, Ada Schäfer-Yıldız.');
    await press(page, 'Sign out');
    expect(await heading(page)).toBe('You are signed out.');
  });

  it.each(['GET', 'POST'] as const)('asks somebody who is logged in already only to allow, by %s', async (method) => {
    const app = await siteOf(method, 'path');
    const { page } = await someone(app);
    await page.goto(app.powerFolder.url);
    await logIn(page, app.powerFolder);
    await page.goto(`${app.url}/auth/powerfolder?returnTo=/account`);
    await allow(page, app, '/account');
    expect(await heading(page)).toBe('Ada Schäfer-Yıldız');
  });

  it.each(['GET', 'POST'] as const)('asks nothing when the server answers at once, by %s', async (method) => {
    const app = await site({ autoApprove: 'ada' }, { POWERFOLDER_AUTHORIZATION_METHOD: method });
    const { page } = await someone(app);
    await page.goto(app.url);
    await follow(page, 'Sign in with PowerFolder');
    await page.getByRole('heading', { name: 'Welcome' }).waitFor();
    expect(page.url()).toBe(`${app.url}/`);
  });

  it('by POST leaves no page behind that sends the visitor forward whenever they go back', async () => {
    const app = await siteOf('POST', 'path');
    const { page } = await someone(app);
    await page.goto(app.url);
    await follow(page, 'Sign in with PowerFolder');
    await page.getByLabel('User name').waitFor();
    await page.goBack();
    expect(page.url()).toBe(`${app.url}/`);
  });

  it('brings somebody who mistyped the password through all the same', async () => {
    const app = await site();
    const { page } = await someone(app, { refusals: [401] });
    await page.goto(`${app.url}/account`);
    await logIn(page, { username: 'ada', password: 'wrong' });
    expect(await page.getByRole('alert').innerText()).toBe('User name or password is wrong. Please try again.');
    await page.getByLabel('Password').fill(app.powerFolder.password);
    await press(page, 'Log in');
    await allow(page, app, '/account');
  });

  it.each([
    ['GET', 'path'],
    ['POST', 'query'],
  ] as const)('ends on a page with a way on when the visitor declines (%s, %s)', async (method, callbackStyle) => {
    const app = await siteOf(method, callbackStyle);
    const { page } = await someone(app, { refusals: [403] });
    await page.goto(`${app.url}/auth/powerfolder`);
    await logIn(page, app.powerFolder);
    await press(page, 'Decline');
    expect(await heading(page)).toBe('You did not allow access.');
    await follow(page, 'Try again');
    await allow(page, app);
  });
});

scene('two tabs', () => {
  it.each([
    ['first', 0],
    ['second', 1],
  ] as const)('both end signed in when the %s finishes first (R8)', async (_, first) => {
    const app = await site();
    const ada = await someone(app);
    const tabs = [ada.page, await ada.newTab()];
    for (const tab of tabs) await tab.goto(`${app.url}/auth/powerfolder?returnTo=/account`);
    await logIn(tabs[0] as Page, app.powerFolder);
    await (tabs[1] as Page).reload();
    const [early, late] = (first === 0 ? tabs : tabs.toReversed()) as [Page, Page];
    await allow(early, app, '/account');
    await press(late, 'Allow');
    // Each comes to where it wanted to go.
    expect(await heading(late)).toBe('Ada Schäfer-Yıldız');
    await early.reload();
    expect(await heading(early)).toBe('Ada Schäfer-Yıldız');
  });

  it('a sign-out in one is a sign-out in the other', async () => {
    const app = await site();
    const ada = await someone(app);
    await signIn(ada.page, app);
    const other = await ada.newTab();
    await other.goto(`${app.url}/account`);
    await press(ada.page, 'Sign out');
    await ada.page.waitForURL(`${app.url}/signed-out`);
    // Also where nobody is signed in any more, signing out is no error.
    await press(other, 'Sign out');
    await other.waitForURL(`${app.url}/signed-out`);
  });
});

scene('going back', () => {
  it('shows nothing of the account after signing out (R34)', async () => {
    const app = await site();
    const ada = await someone(app);
    const { page } = ada;
    await page.goto(app.url);
    await signIn(page, app);
    await follow(page, 'Account');
    await page.waitForURL(`${app.url}/account`);
    await press(page, 'Sign out');
    await page.waitForURL(`${app.url}/signed-out`);
    // The account page leads to the sign-in now, and at the server Ada is still logged in, as the page said.
    await page.goBack();
    await page.waitForURL(`${app.powerFolder.url}/oauth/allow?**`);
    expect(await page.content()).not.toContain('ada.schaefer@example.com');
    await page.goBack();
    await page.waitForURL(`${app.url}/`);
    expect(await page.content()).not.toContain('Ada');
    await page.getByRole('link', { name: 'Sign in with PowerFolder' }).waitFor();
  });

  it('shows the account again to somebody who is still signed in', async () => {
    const app = await site();
    const { page } = await someone(app);
    await signIn(page, app);
    await follow(page, 'Account');
    await page.waitForURL(`${app.url}/account`);
    // Chromium shows it as it was left, as no cookie has changed: there is no "load" then.
    await page.goBack({ waitUntil: 'commit' });
    expect(await heading(page)).toBe('Welcome, Ada Schäfer-Yıldız.');
  });

  it.each(['path', 'query'] as const)('to the callback leads home, or to a new sign-in (%s)', async (callbackStyle) => {
    const app = await site({ callbackStyle });
    const ada = await someone(app, { refusals: [403, 403] });
    const { page } = ada;
    await signIn(page, app);
    const callback = lastCallback(ada, app);
    await page.goto(callback);
    expect(page.url()).toBe(`${app.url}/`);
    await press(page, 'Sign out');
    await page.waitForURL(`${app.url}/signed-out`);
    await page.goto(callback);
    expect(await heading(page)).toBe('You are not signed in.');
    await page.reload();
    expect(await heading(page)).toBe('You are not signed in.');
    await follow(page, 'Try again');
    await allow(page, app);
    // One code, one token request (R4).
    expect(app.powerFolder.requests.filter(({ endpoint }) => endpoint === 'token')).toHaveLength(2);
  });

  it('reloads the page of a declined consent without harm', async () => {
    const app = await site();
    const { page } = await someone(app, { refusals: [403, 403] });
    await page.goto(`${app.url}/auth/powerfolder`);
    await logIn(page, app.powerFolder);
    await press(page, 'Decline');
    expect(await heading(page)).toBe('You did not allow access.');
    await page.reload();
    expect(await heading(page)).toBe('You are not signed in.');
    await follow(page, 'Try again');
    await allow(page, app);
  });
});

scene('a return path', () => {
  it.each(['/account', '/account?from=mail&q=%C3%BC+1%2B1'])('leads to %s after the sign-in', async (path) => {
    const app = await site();
    const { page } = await someone(app);
    await page.goto(app.url + path);
    await logIn(page, app.powerFolder);
    await allow(page, app, path);
    expect(await heading(page)).toBe('Ada Schäfer-Yıldız');
  });

  const leavingTheApp = [
    '//evil.example/',
    '/\\evil.example/',
    '\\\\evil.example/',
    '/%5Cevil.example/',
    '/%255Cevil.example/',
    '%2F%2Fevil.example/',
    '/%2Fevil.example/',
    '/%09/evil.example/',
    '%09//evil.example/',
    '/./\\evil.example/',
    '/account/..//evil.example/',
    'https://evil.example/',
    'https:evil.example/',
    'javascript:alert(1)',
  ];

  it('that would lead out of the app leads home (R39)', async () => {
    const app = await site({ autoApprove: 'ada' });
    const { page } = await someone(app);
    for (const returnTo of leavingTheApp) {
      await page.goto(`${app.url}/auth/powerfolder?returnTo=${returnTo}`);
      expect({ returnTo, url: page.url() }).toEqual({ returnTo, url: `${app.url}/` });
      expect(await heading(page)).toBe('Welcome, Ada Schäfer-Yıldız.');
      await page.context().clearCookies();
    }
  });
});

scene('the watch over the pages', () => {
  it('sees what the Content-Security-Policy forbids (R41)', async () => {
    const app = await site();
    const visitor = await openBrowser([app.url]);
    await visitor.page.goto(app.url);
    await visitor.page.evaluate(`document.body.append(
      Object.assign(document.createElement('img'), { src: 'https://evil.example/' }),
      Object.assign(document.createElement('script'), { textContent: 'document.title = "run"' }),
    )`);
    const complaints = () => visitor.complaints().join('\n');
    await until(() => /CSP img-src blocked/.test(complaints()));
    expect(complaints()).toMatch(/CSP script-src-elem blocked inline/);
    expect(await visitor.page.title()).toBe('Home · Folder Desk');
    await visitor.close();
  });
});

/** Names that break what escapes too little or too much. The content of each file is its own name. */
const difficult = [
  'Übersicht – Maße & decomposed U\u0308.txt',
  '100% done #1 + more?.txt',
  '%41 %2e%2e %00 %zz.txt',
  'Ada\'s "final" notes; v=2.txt',
  '<i>talic &amp; co.txt',
  'back\\slash, a  gap.txt',
  '日本語 🎉 عربي.txt',
  '.hidden ….txt',
  `${'long-name-without-a-space'.repeat(8)}.txt`,
];

const ada: PowerFolderAccount = {
  username: 'ada',
  password: 'for tests only',
  ID: '4xT9/kQ2+Vb7LmZr',
  firstname: 'Ada',
  surname: 'Schäfer-Yıldız',
  emails: ['ada.schaefer@example.com', 'ada@example.org'],
  spaceUsed: 1_700_000_000,
  spaceAllowed: 5_000_000_000,
  files: {
    'Course material': {
      'Chapter 1.pdf': { size: 2_345_678 },
      'Reading list.txt': 'Knuth',
      Exercises: { 'Week 1': {}, 'Week 2': {}, 'solution.csv': 'a;b' },
    },
    'Fotos & Grüße': { 'Blüte 1.png': { size: 812_345 } },
    'Thesis 50% #draft + notes?': { 'outline.md': '# Outline', 'data.bin': { size: 5_000_000 } },
    'Difficult names': {
      ...Object.fromEntries(difficult.map((name) => [name, name])),
      ...Object.fromEntries(difficult.map((name) => [`in ${name}`, { [name]: name }])),
    },
  },
};

/** Everything about whom is too long, too full or missing. */
const max: PowerFolderAccount = {
  username: 'maximiliane.wolfeschlegelsteinhausenbergerdorff@students.uni-example.de',
  password: 'for tests only',
  firstname: 'Maximiliane Theodora Ludovica',
  surname: 'Wolfeschlegelsteinhausenbergerdorff-Oberhauptmannsdörfer',
  spaceUsed: 4_900_000_000,
  spaceAllowed: 5_000_000_000,
};

/** Signs out while others of these look at pages. */
const eve: PowerFolderAccount = {
  username: 'eve',
  password: 'for tests only',
  firstname: 'Eve',
  spaceUsed: 5_600_000_000,
  spaceAllowed: 5_000_000_000,
  files: {
    Lectures: Object.fromEntries(Array.from({ length: 450 }, (_, i) => [`Lecture ${i + 1}.txt`, { size: 1000 + i }])),
  },
};

scene('folders', () => {
  let app: Site;
  let example: ExampleProcess;
  beforeAll(async () => {
    const powerFolder = await startPowerFolderServer({ accounts: [ada] });
    example = await startExampleProcess(powerFolder);
    app = { url: example.url, powerFolder };
  });
  afterAll(() => Promise.all([example?.stop(), app?.powerFolder.close()]));

  const folder = (...names: string[]) => ['/folders', ...names.map(encodeURIComponent)].join('/');

  it('can be walked through and their files opened, whatever their names are', async () => {
    const { page } = await someone(app);
    await signIn(page, app);
    await follow(page, 'Folders');
    await follow(page, 'Folder Difficult names');
    for (const name of difficult) {
      // By text, not by role: that one would merge spaces.
      await page.locator('.entries a', { has: page.locator(`text=${JSON.stringify(`in ${name}`)}`) }).click();
      await page.waitForURL(app.url + folder('Difficult names', `in ${name}`));
      expect(await page.locator('h1').textContent()).toBe(`in ${name}`);
      await page.locator('.entries .name a').last().click();
      await page.waitForURL(`${app.url}/view/**`);
      expect(await page.frameLocator('iframe').locator('body').innerText()).toBe(name);
      await page.goBack({ waitUntil: 'commit' });
      await follow(page, 'Difficult names');
    }
  });

  it('offers what a browser cannot show for download, under its name', async () => {
    const { page } = await someone(app);
    await signIn(page, app);
    await page.goto(app.url + folder('Thesis 50% #draft + notes?'));
    const [download] = await Promise.all([page.waitForEvent('download'), follow(page, 'File data.bin')]);
    expect(download.suggestedFilename()).toBe('data.bin');
    expect((await readFile(await download.path())).length).toBe(5_000_000);
    expect(await heading(page)).toBe('Thesis 50% #draft + notes?');
  });

  it('open after the sign-in when their address was called before', async () => {
    const { page } = await someone(app);
    const path = folder('Thesis 50% #draft + notes?');
    await page.goto(app.url + path);
    await logIn(page, ada);
    await allow(page, app, path);
    expect(await heading(page)).toBe('Thesis 50% #draft + notes?');
  });

  it('open after a new sign-in when the session has ended in between', async () => {
    const { page } = await someone(app);
    await signIn(page, app);
    await follow(page, 'Folders');
    await page.waitForURL(app.url + folder());
    await page.context().clearCookies({ name: /^session/ });
    await follow(page, 'Folder Fotos & Grüße');
    await allow(page, app, folder('Fotos & Grüße'));
    expect(await heading(page)).toBe('Fotos & Grüße');
  });

  it('open after a new sign-in when PowerFolder has ended the access', async () => {
    const { page } = await someone(app);
    await signIn(page, app);
    app.powerFolder.revokeTokens();
    await follow(page, 'Folders');
    await allow(page, app, folder());
    expect(await heading(page)).toBe('Your folders');
  });

  it('are a click away when PowerFolder had a bad moment (R42, R49)', async () => {
    const { page } = await someone(app);
    await signIn(page, app);
    app.powerFolder.failNext('webdav', { status: 500, body: '<script>alert(1)</script>' });
    await follow(page, 'Folders');
    await page.getByRole('heading', { name: 'PowerFolder does not answer as it should.' }).waitFor();
    await follow(page, 'Try again');
    await page.getByText('4 entries').waitFor();
    expect(await heading(page)).toBe('Your folders');
  });

  it('need no more than a keyboard, from the sign-in to the sign-out, and one sees where one is', async () => {
    const { page } = await someone(app);
    await page.goto(app.url);
    await tabTo(page, 'Sign in with PowerFolder');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${app.powerFolder.url}/**`);
    // The log-in page puts the cursor where one types.
    await page.locator('input:focus').waitFor();
    await page.keyboard.type(ada.username);
    await page.keyboard.press('Tab');
    await page.keyboard.type(ada.password);
    await page.keyboard.press('Enter');
    await page.waitForURL(`${app.powerFolder.url}/oauth/consent?**`);
    await tabTo(page, 'Allow');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${app.url}/`);
    for (const [name, path] of [
      ['Your folders', folder()],
      ['Thesis 50% #draft + notes?', folder('Thesis 50% #draft + notes?')],
    ] as const) {
      await tabTo(page, name);
      await page.keyboard.press('Enter');
      await page.waitForURL(app.url + path);
    }
    await tabTo(page, 'outline.md');
    await page.keyboard.press('Enter');
    await page.waitForURL(`${app.url}/view/**`);
    await tabTo(page, 'Thesis 50% #draft + notes?');
    await page.keyboard.press('Enter');
    await page.waitForURL(app.url + folder('Thesis 50% #draft + notes?'));
    await tabTo(page, 'Skip to content');
    await page.keyboard.press('Enter');
    await tabTo(page, 'Your folders');
    await page.keyboard.press('Shift+Tab');
    await tabTo(page, 'Sign out', 'Shift+Tab');
    await page.keyboard.press('Space');
    await page.waitForURL(`${app.url}/signed-out`);
    await tabTo(page, 'Back to the start');
  });
});

/** What has the focus: its text, whether it is on the screen, and the outline, which may be around its whole tile. */
const focused = `(() => {
  const element = document.activeElement;
  if (element === document.body) return null;
  const box = element.getBoundingClientRect();
  const outlined = [null, '::after'].some((part) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(element, part);
    return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2;
  });
  return {
    text: element.innerText.trim(),
    visible: element.matches(':focus-visible') && outlined &&
      box.width > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth,
  };
})()`;

/** Presses Tab until something has the focus; all stops on the way must be visible. */
async function tabTo(page: Page, text: string, key = 'Tab'): Promise<void> {
  for (let presses = 0; presses < 40; presses++) {
    await page.keyboard.press(key);
    const stop = await page.evaluate<{ text: string; visible: boolean } | null>(focused);
    // Between the last and the first, the browser's own.
    if (!stop) continue;
    expect(stop).toEqual({ text: stop.text, visible: true });
    if (stop.text === text) return;
  }
  throw new Error(`No way to "${text}" by ${key} on ${page.url()}`);
}

scene('every page', () => {
  let app: Site;
  let example: ExampleProcess;
  let byPOST: ExampleProcess;
  const signedIn = new Map<PowerFolderAccount, StorageState>();
  beforeAll(async () => {
    const clients = [{ id: 'folder-desk', secret: 'for tests only' }];
    const powerFolder = await startPowerFolderServer({
      accounts: [ada, max, eve, { ...eve, username: 'leaving' }],
      clients,
      hints: true,
    });
    [example, byPOST] = await Promise.all([
      startExampleProcess(powerFolder),
      startExampleProcess(powerFolder, { POWERFOLDER_AUTHORIZATION_METHOD: 'POST' }),
    ]);
    app = { url: example.url, powerFolder };
    for (const account of [ada, max, eve]) {
      const { page, close } = await openBrowser();
      await signIn(page, app, account);
      signedIn.set(account, await page.context().storageState());
      await close();
    }
  });
  afterAll(() => Promise.all([example?.stop(), byPOST?.stop(), app?.powerFolder.close()]));

  const at = (path: string) => (page: Page) => page.goto(app.url + path);
  const started = async (page: Page) => {
    await page.goto(`${app.url}/auth/powerfolder`);
  };
  const askedFor = (who: Credentials) => async (page: Page) => {
    await started(page);
    await logIn(page, who);
    await page.waitForURL(/consent/);
  };

  /** Each with the way there, and the status it comes with if that is not 200. */
  const pages: { name: string; as?: PowerFolderAccount; open: (page: Page) => Promise<unknown>; refusal?: number }[] = [
    { name: 'home', open: at('/') },
    { name: 'home-signed-in', as: ada, open: at('/') },
    { name: 'home-signed-in-long-name', as: max, open: at('/') },
    { name: 'account', as: ada, open: at('/account') },
    { name: 'account-long-name', as: max, open: at('/account') },
    { name: 'folders', as: ada, open: at('/folders') },
    { name: 'folders-none', as: max, open: at('/folders') },
    { name: 'folder', as: ada, open: at('/folders/Course%20material') },
    { name: 'folder-within', as: ada, open: at('/folders/Course%20material/Exercises') },
    { name: 'folder-empty', as: ada, open: at('/folders/Course%20material/Exercises/Week%201') },
    { name: 'folder-difficult-names', as: ada, open: at('/folders/Difficult%20names') },
    { name: 'account-over-quota', as: eve, open: at('/account') },
    { name: 'folder-long', as: eve, open: at('/folders/Lectures?page=2&sort=size&order=desc') },
    { name: 'folder-nothing-found', as: eve, open: at('/folders/Lectures?filter=nothing') },
    { name: 'file', as: ada, open: at('/view/Course%20material/Reading%20list.txt') },
    { name: 'folder-not-there', as: ada, open: at('/folders/gone') },
    { name: 'pattern', as: ada, open: at('/pattern') },
    {
      name: 'pattern-mistake',
      as: ada,
      open: async (page) => {
        await page.goto(`${app.url}/pattern`);
        await page.locator('main form button').click();
        await page.locator('.mistake').waitFor();
      },
      refusal: 422,
    },
    {
      name: 'folder-upload-conflict',
      as: ada,
      open: async (page) => {
        await page.goto(`${app.url}/folders/Course%20material`);
        await page.locator('.upload summary').click();
        await page.locator('[type=file]').setInputFiles([textFile('Reading list.txt'), textFile('New.txt')]);
        await page.locator('.upload form > p button').click();
        await page.locator('.sending .failed button').first().waitFor();
      },
    },
    {
      name: 'signed-out',
      open: async (page) => {
        await signIn(page, app, { ...eve, username: 'leaving' });
        await page.locator('form[action="/logout"] button').click();
        await page.waitForURL(`${app.url}/signed-out`);
      },
    },
    {
      name: 'declined',
      open: async (page) => {
        await askedFor(ada)(page);
        await press(page, 'Decline');
        await page.waitForURL(`${app.url}/oauth/**`);
      },
      refusal: 403,
    },
    { name: 'not-signed-in', open: at('/oauth/code=x&state=forged'), refusal: 403 },
    { name: 'not-found', open: at('/nowhere'), refusal: 404 },
    {
      name: 'powerfolder-away',
      as: ada,
      open: async (page) => {
        app.powerFolder.failNext('webdav', { status: 500 });
        await page.goto(`${app.url}/folders`);
      },
    },
    {
      name: 'authorization-by-post',
      open: async (page) => {
        // The page would send its form at once: the answer "nothing new" makes the browser stay.
        await page.route('**/oauth/allow?**', (route) => route.fulfill({ status: 204 }));
        await page.goto(`${byPOST.url}/auth/powerfolder`, { waitUntil: 'commit' });
        await page.getByRole('button').waitFor();
      },
    },
    { name: 'powerfolder-login', open: started },
    {
      name: 'powerfolder-login-failed',
      open: async (page) => {
        await started(page);
        await logIn(page, { username: max.username, password: 'wrong' });
        await page.getByRole('alert').waitFor();
      },
      refusal: 401,
    },
    { name: 'powerfolder-consent', open: askedFor(ada) },
    { name: 'powerfolder-consent-long-name', open: askedFor(max) },
    {
      name: 'powerfolder-refusal',
      open: (page) => page.goto(`${app.powerFolder.url}/oauth/allow?state=x`),
      refusal: 400,
    },
    { name: 'powerfolder-not-found', open: (page) => page.goto(`${app.powerFolder.url}/nowhere`), refusal: 404 },
    {
      name: 'powerfolder-home',
      open: async (page) => {
        await page.goto(app.powerFolder.url);
        await logIn(page, ada);
        await page.getByRole('link', { name: 'Log out' }).waitFor();
      },
    },
  ];

  const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
  const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
  const findings = `axe.run({ runOnly: ${JSON.stringify(rules)}, resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, impact, nodes }) => nodes.map(({ html, failureSummary }) => ({ id, impact, html, failureSummary }))))`;
  const overflow = `document.documentElement.scrollWidth <= innerWidth ? [] : ['to the right of the window:',
    ...[...document.querySelectorAll('*')]
      .filter((element) => element.getBoundingClientRect().right > innerWidth)
      .map((element) => element.outerHTML.slice(0, 120))]`;
  const screenshots = join(__dirname, '../../artifacts/screenshots');

  /** Every page in both languages; and each of those at two widths, once in the light and once in the dark. */
  const views = pages.flatMap((page) => [
    { ...page, locale: 'en-GB', shots: { 360: 'dark', 1600: 'light' } as const },
    { ...page, locale: 'de-DE', shots: { 360: 'light', 1600: 'dark' } as const },
  ]);

  it.each(views)('is accessible, and fits any width: $name, $locale', async ({ name, as, open, refusal, ...view }) => {
    const { page } = await someone(app, {
      locale: view.locale,
      ...(as && { storageState: signedIn.get(as) as StorageState }),
      origins: [byPOST.url],
      reducedMotion: 'reduce',
      refusals: refusal === undefined ? [] : [refusal],
    });
    await open(page);
    expect(await page.evaluate('parseFloat(getComputedStyle(document.body).fontSize)')).toBeGreaterThanOrEqual(16);
    await page.evaluate(axe);
    for (const width of [320, 360, 768, 1600] as const) {
      await page.setViewportSize({ width, height: 800 });
      expect({ width, overflow: await page.evaluate(overflow) }).toEqual({ width, overflow: [] });
      if (width !== 360 && width !== 1600) continue;
      const colorScheme = view.shots[width];
      await page.emulateMedia({ colorScheme });
      expect({ width, colorScheme, findings: await page.evaluate(findings) }).toMatchObject({ findings: [] });
      const file = `${name}-${view.locale.slice(0, 2)}-${width}-${colorScheme}.png`;
      await page.screenshot({ path: join(screenshots, file), fullPage: true });
    }
  });
});

scene("an application's session cookie", () => {
  it.each([
    ['strict', 403, 'session_missing'],
    ['lax', 200, undefined],
  ] as const)('R3: of SameSite=%s ends the sign-in with %d', async (sameSite, status, code) => {
    const powerFolder = await startPowerFolderServer({ hostname: 'localhost' });
    const { url: serverURL, clientID, clientSecret } = powerFolder;
    const app = await startTestApp({ options: { serverURL, clientID, clientSecret }, cookie: { sameSite } });
    const visitor = await openBrowser([app.url, powerFolder.url]);
    try {
      const { page } = visitor;
      await page.goto(`${app.url}/auth/powerfolder`);
      await logIn(page, powerFolder);
      await press(page, 'Allow');
      await page.waitForURL((url) => url.href.startsWith(app.callbackURL));
      const { failure, user } = JSON.parse(await page.locator('body').innerText());
      expect([failure?.code, user?.profile.username, visitor.refusals]).toEqual(
        status === 200 ? [undefined, 'ada', []] : [code, undefined, [status]],
      );
    } finally {
      await visitor.close();
      await app.close();
      await powerFolder.close();
    }
  });
});
