/** What README and docs show, compiled and run. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
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
  it('signs in, run as it stands', async () => {
    const [app = ''] = blocks('README.md', 'js');
    expect(app.split('\n').length).toBeLessThan(32);
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
      expect((await browser.visit(url)).text).toContain('go to /auth/powerfolder');
      const page = await browser.visit(`${url}/auth/powerfolder`);
      expect([page.status, new URL(page.url).pathname, JSON.parse(page.text)]).toEqual([
        200,
        '/',
        { signedInAs: expect.stringMatching(/^Ada /) },
      ]);
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
