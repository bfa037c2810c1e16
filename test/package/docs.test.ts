/** What README and docs show, compiled and run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, posix } from 'node:path';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import { until } from '../support/until.ts';

const repository = join(__dirname, '../..');
const docs = readdirSync(join(repository, 'docs')).filter((file) => file.endsWith('.md'));
const pages = ['README.md', 'example-app/README.md', ...docs.map((file) => `docs/${file}`)];

function blocks(page: string, language: string): string[] {
  const text = readFileSync(join(repository, page), 'utf8');
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, name, code = '']) =>
    name === language ? [code] : [],
  );
}

/** The package by its name, for TypeScript in `folder`. */
const paths = {
  'passport-powerfolder': ['../../lib/index.ts'],
  'passport-powerfolder/testing': ['../../lib/testing/index.ts'],
};

/** A folder in the repository, so that its packages are found as an application's would be. */
let folder: string;
beforeAll(() => {
  mkdirSync(join(repository, 'artifacts'), { recursive: true });
  folder = mkdtempSync(join(repository, 'artifacts/docs-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the TypeScript in README and docs', () => {
  it('compiles, every block of it', () => {
    const sources = pages.flatMap((page) =>
      blocks(page, 'ts').map((code, index) => [`${page.replace(/\W/g, '-')}-${index}.mts`, code] as const),
    );
    expect(sources.length).toBeGreaterThan(4);
    for (const [file, code] of sources) writeFileSync(join(folder, file), `${code}\nexport {};\n`);
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        extends: '../../tsconfig.json',
        compilerOptions: {
          noUnusedLocals: false,
          noUnusedParameters: false,
          paths,
        },
        include: ['*.mts'],
      }),
    );
    let complaints = '';
    try {
      execFileSync(join(repository, 'node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8' });
    } catch (error) {
      complaints = String((error as { stdout: string }).stdout);
    }
    expect(complaints).toBe('');
  });
});

describe('README', () => {
  const text = (page: string) => readFileSync(join(repository, page), 'utf8');

  it('has at most 250 lines', () => {
    expect(text('README.md').split('\n').length).toBeLessThanOrEqual(251);
  });

  it('and the pages that it leads to have no dead link, also within the package', () => {
    const { files } = JSON.parse(text('package.json')) as { files: string[] };
    const always = ['README.md', 'LICENSE'];
    const isPacked = (path: string) =>
      [...files, ...always].some((entry) => path === entry || path.startsWith(`${entry}/`));
    const dead: string[] = [];
    for (const page of pages) {
      for (const [, link = ''] of text(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)) {
        const [path = '', anchor] = link.split('#');
        const target = path === '' ? page : posix.join(posix.dirname(page), path);
        const anchors = target.endsWith('.md') && existsSync(join(repository, target)) ? anchorsOf(text(target)) : [];
        const isThere = existsSync(join(repository, target)) && isPacked(target);
        if (!isThere || (anchor !== undefined && !anchors.includes(anchor))) dead.push(`${page}: ${link}`);
      }
    }
    expect(dead).toEqual([]);
  });
});

/** As GitHub and npm make them of headings. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  );
}

describe("README's test of an app", () => {
  it('runs to its end', () => {
    const code = blocks('README.md', 'ts').find((block) => block.includes('failNext')) ?? '';
    writeFileSync(join(folder, 'testing.mts'), code);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }));
    const options = { cwd: folder, encoding: 'utf8' } as const;
    expect(execFileSync(process.execPath, ['--import', 'tsx', 'testing.mts'], options)).toBe('[]\n');
  });
});

describe("README's first app", () => {
  it('signs in and out, and guards a page, run as it stands', async () => {
    const [app = ''] = blocks('README.md', 'js');
    expect(app.split('\n').length).toBeLessThan(42);
    const powerfolder = await startPowerFolderServer({ autoApprove: 'ada' });
    const port = await freePort();
    const url = `http://localhost:${port}`;
    // By the package's name, which the folder's tsconfig.json leads to the sources.
    writeFileSync(join(folder, 'app.mts'), app);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { paths } }));
    const child = spawn(process.execPath, ['--import', 'tsx', 'app.mts'], {
      cwd: folder,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        PORT: String(port),
        BASE_URL: url,
        SESSION_SECRET: 'for tests only',
        POWERFOLDER_URL: powerfolder.url,
        POWERFOLDER_CLIENT_ID: powerfolder.clientID,
        POWERFOLDER_CLIENT_SECRET: powerfolder.clientSecret,
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    try {
      const browser = new Browser();
      await answers(url, child);
      expect((await browser.visit(url)).text).toContain('Sign in with PowerFolder');
      const home = await browser.visit(`${url}/me`);
      expect([home.status, home.trail[1], new URL(home.url).pathname]).toEqual([200, `${url}/auth/powerfolder`, '/']);
      expect(JSON.parse((await browser.visit(`${url}/me`)).text)).toEqual({
        signedInAs: expect.stringMatching(/^Ada /),
      });
      const after = await browser.submit(home, 'Sign out');
      expect([after.status, after.text]).toEqual([200, expect.stringContaining('Sign in with PowerFolder')]);
      expect((await browser.stay(`${url}/me`)).headers['location']).toBe('/auth/powerfolder');
    } finally {
      child.kill();
      await once(child, 'exit');
      await powerfolder.close();
    }
  });
});

/** Below the ports that the system gives to other tests, which could take it before the app does. */
async function freePort(): Promise<number> {
  for (let tries = 0; tries < 20; tries++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false)).listen(port, () => resolve(true));
    });
    server.close();
    if (free) return port;
  }
  throw new Error('No free port was found');
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  let complaints = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    complaints += text;
  });
  await until(() => {
    if (child.exitCode !== null) throw new Error(`The app ended: ${complaints}`);
    return fetch(url).catch(() => undefined);
  });
}
