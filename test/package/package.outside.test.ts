/** The package as its users get it: packed, and installed elsewhere. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as root from 'passport-powerfolder';
import * as testing from 'passport-powerfolder/testing';
import { Browser } from '../support/browser.ts';
import { logInAndAllow, sameOrigin } from '../support/example.ts';
import { until } from '../support/until.ts';

const repository = join(__dirname, '../..');

describe('the exports', () => {
  it('are these and no others', () => {
    expect(Object.keys(root).sort()).toEqual([
      'AuthorizationError',
      'CookieStateStore',
      'InternalOAuthError',
      'PowerFolderClient',
      'PowerFolderError',
      'PowerFolderNestStrategy',
      'PowerFolderStrategy',
      'Strategy',
      'TokenError',
      'callbackRoute',
      'registerClient',
      'returnPath',
    ]);
    expect(Object.keys(testing).sort()).toEqual(['CookieJar', 'optionsFromReport', 'signIn', 'startPowerFolderServer']);
  });
});

describe('the simulated server', () => {
  it('imports nothing but Node and itself, so that it stays an independent witness', () => {
    for (const file of readdirSync(join(repository, 'lib/testing'))) {
      const source = readFileSync(join(repository, 'lib/testing', file), 'utf8');
      for (const [, specifier] of source.matchAll(/(?:from|import|require\()\s*'([^']+)'/g)) {
        expect([file, specifier]).toEqual([file, expect.stringMatching(/^(node:|\.\/[\w-]+\.ts$)/)]);
      }
    }
  });
});

/** Others: types.outside.test.ts. */
const typeScripts = ['6'];

/** The types that the entries are made of, found by what each imports. The build has made them. */
function typesReached(...entries: string[]): Set<string> {
  const reached = new Set(entries);
  for (const file of reached) {
    const source = readFileSync(join(repository, file), 'utf8');
    for (const [, specifier = ''] of source.matchAll(/(?:from |import\(|import )['"](\.[^'"]+)\.[jt]s['"]/g)) {
      reached.add(`${join(dirname(file), specifier)}.d.ts`);
    }
  }
  return reached;
}

/** All that is in the example app's folder, but for what npm leaves out of every package. */
function exampleFiles(folder = 'example-app'): string[] {
  return readdirSync(join(repository, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (['node_modules', '.env', '.gitignore'].includes(entry.name)) return [];
    return entry.isDirectory() ? exampleFiles(path) : [path];
  });
}

describe('the packed package', () => {
  let project: string;
  let tarball: string;
  let files: string[];
  let unpackedSize: number;

  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
    const run = (command: string, args: string[], cwd: string) =>
      execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    const out = run('npm', ['pack', '--json', '--pack-destination', project], repository);
    // npm prints what the build says before it.
    const [packed] = JSON.parse(out.slice(out.search(/^\[\s*\{/m)));
    files = packed.files.map(({ path }: { path: string }) => path);
    unpackedSize = packed.unpackedSize;
    tarball = join(project, packed.filename);
    writeFileSync(join(project, 'package.json'), '{ "name": "a-users-project", "private": true }');
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline'];
    run('npm', [...install, `./${packed.filename}`, 'passport@0.7.0'], project);
    const compilers = typeScripts.map((version) => `typescript-${version}@npm:typescript@${version}`);
    run('npm', [...install, '-D', ...compilers, '@types/node@20'], project);
  });
  afterAll(() => rmSync(project, { recursive: true, force: true }));

  const node = (file: string, source: string) => {
    writeFileSync(join(project, file), source);
    return execFileSync(process.execPath, [file], { cwd: project, encoding: 'utf8' }).trim();
  };

  it('holds these files and no others', () => {
    const modules = (folder: string) =>
      readdirSync(join(repository, folder)).flatMap((file) => (file.endsWith('.ts') ? [file.slice(0, -3)] : []));
    const scripts = ['', 'cli/', 'testing/'].flatMap((folder) =>
      modules(`lib/${folder}`).map((file) => `dist/${folder}${file}.js`),
    );
    expect([...files].sort()).toEqual(
      [
        ...['CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'README.md', 'SECURITY.md', 'package.json'],
        ...readdirSync(join(repository, 'docs')).map((file) => `docs/${file}`),
        ...scripts,
        ...exampleFiles(),
        ...typesReached('dist/index.d.ts', 'dist/testing/index.d.ts'),
      ].sort(),
    );
    expect(unpackedSize).toBeLessThan(870_000);
  });

  it('brings three packages, type packages aside', () => {
    const { dependencies } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
    expect(Object.keys(dependencies).filter((name) => !name.startsWith('@types/'))).toEqual([
      'oauth',
      'passport-oauth2',
      'undici',
    ]);
  });

  it('can be required', () => {
    expect(
      node(
        'a.cjs',
        "const { PowerFolderStrategy } = require('passport-powerfolder'); console.log(PowerFolderStrategy.name, typeof require('passport-powerfolder/testing').startPowerFolderServer)",
      ),
    ).toBe('PowerFolderStrategy function');
  });

  it('can be imported by name', () => {
    expect(
      node(
        'a.mjs',
        "import { callbackRoute, Strategy } from 'passport-powerfolder'; import { startPowerFolderServer } from 'passport-powerfolder/testing'; console.log(Strategy.name, callbackRoute().source, typeof startPowerFolderServer)",
      ),
    ).toBe('PowerFolderStrategy ^\\/oauth(?:[/?]|$) function');
  });

  it('runs its command', () => {
    expect(
      execFileSync(join(project, 'node_modules/.bin/passport-powerfolder'), ['--version'], { encoding: 'utf8' }),
    ).toContain('1.0.0');
  });

  const app = `import passport from 'passport';
import { AuthorizationError, PowerFolderError, PowerFolderStrategy, TokenError, callbackRoute, registerClient, type PowerFolderTokens, type PowerFolderProfile } from 'passport-powerfolder';
import { startPowerFolderServer, type PowerFolderServer } from 'passport-powerfolder/testing';
const options = { serverURL: 'https://pf.example', clientID: 'a', clientSecret: 'b', callbackURL: 'https://app.example/oauth' };
passport.use(new PowerFolderStrategy(options, async ({ tokens, profile, req, state }) => {
  const t: PowerFolderTokens = tokens; const p: PowerFolderProfile = profile; const url: string = req.originalUrl; void [t, p, url, state];
  // @ts-expect-error there is no such member, so the parameter is not any
  tokens.nonsense;
  return { id: profile.id };
}));
passport.use(new PowerFolderStrategy(options, (accessToken, refreshToken, profile, done) => {
  const a: string = accessToken; const r: string = refreshToken; const p: PowerFolderProfile = profile; void [a, r, p];
  done(null, { id: profile.id });
}));
passport.use(new PowerFolderStrategy({ ...options, passReqToCallback: true }, (req, accessToken, refreshToken, params, profile, done) => {
  const url: string = req.originalUrl; const p: PowerFolderProfile = profile; void [url, p, accessToken, refreshToken, params];
  done(null, false);
}));
// @ts-expect-error an option is missing
new PowerFolderStrategy({ serverURL: 'x', clientID: 'a', clientSecret: 'b' }, () => false);
const route: RegExp = callbackRoute('/oauth');
const server: Promise<PowerFolderServer> = startPowerFolderServer({ callbackStyle: 'query' });
const client: Promise<{ clientID: string; clientSecret: string }> = registerClient({ serverURL: 'https://x', admin: { username: 'a', password: 'b' } });
function told(error: unknown): [status: number, serverStatus?: number, retryAfter?: number, state?: unknown] | undefined {
  // R51: the errors of passport-oauth2's classes have what PowerFolderError has.
  const ours = error instanceof PowerFolderError || error instanceof TokenError || error instanceof AuthorizationError;
  return ours ? [error.statusCode ?? error.status, error.serverStatus, error.retryAfter, error.state] : undefined;
}
export { route, server, client, told };
`;

  it.each(typeScripts.flatMap((version) => [[version, 'nodenext'] as const, [version, 'bundler'] as const]))(
    'type-checks with TypeScript %s under %s, both forms of verify inferring their parameters',
    (version, resolution) => {
      writeFileSync(join(project, 'app.ts'), app);
      const module = resolution === 'bundler' ? ['esnext', '--moduleResolution', 'bundler'] : ['nodenext'];
      const strict = [
        '--strict',
        '--skipLibCheck',
        'false',
        '--esModuleInterop',
        '--target',
        'es2022',
        '--types',
        'node',
      ];
      const args = [
        `node_modules/typescript-${version}/bin/tsc`,
        '--noEmit',
        ...strict,
        '--module',
        ...module,
        'app.ts',
      ];
      const { status, stdout } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' });
      expect([status, stdout]).toEqual([0, '']);
    },
  );

  it('writes the example app, which needs nothing else: the commands of its README, elsewhere', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'passport-powerfolder-copy-'));
    const copy = join(elsewhere, 'my-app');
    const command = join(project, 'node_modules/.bin/passport-powerfolder');
    execFileSync(command, ['example', 'my-app'], { cwd: elsewhere, stdio: 'pipe' });
    // Published, the package would come from the registry.
    const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball];
    execFileSync('npm', install, { cwd: copy, stdio: 'pipe' });
    for (const script of ['test', 'run typecheck']) {
      execFileSync('npm', script.split(' '), { cwd: copy, stdio: 'pipe' });
    }

    const { PATH, HOME } = process.env;
    const npm = spawn('npm', ['start'], { cwd: copy, env: { PATH, HOME, PORT: '0' }, stdio: 'pipe' });
    let output = '';
    for (const stream of [npm.stdout, npm.stderr]) {
      stream.on('data', (chunk) => {
        output += chunk;
      });
    }
    const ended = once(npm, 'close');
    const said = (pattern: RegExp) => pattern.exec(output)?.[1];
    try {
      await until(() => npm.exitCode !== null || said(/^The app is at (\S+)$/m));
      const url = said(/^The app is at (http:\/\/localhost:\d+)$/m);
      if (!url) throw new Error(`The copy did not start: ${output}`);
      const browser = new Browser(sameOrigin);
      const account = await logInAndAllow(browser, await browser.visit(`${url}/account`), {
        username: said(/^username: (\S+)$/m) ?? '',
        password: said(/^password: (\S+)$/m) ?? '',
      });
      expect([account.status, account.url]).toEqual([200, `${url}/account`]);
      const folders = await browser.visit(`${url}/folders`);
      expect([folders.status, folders.text]).toEqual([200, expect.stringContaining('class="date"')]);
      expect((await browser.visit(`${url}/style.css`)).status).toBe(200);
    } finally {
      // The process that logs is the app itself; npm ends with it.
      const pid = Number(said(/"pid":(\d+)/));
      if (npm.exitCode === null) process.kill(pid || (npm.pid as number), 'SIGTERM');
      await ended;
      rmSync(elsewhere, { recursive: true, force: true });
    }
    expect(npm.exitCode).toBe(0);
  });
});

describe('the example app', () => {
  const read = (file: string) => readFileSync(join(repository, 'example-app', file), 'utf8');

  it('explains every file on a screen, and every setting in .env.example', () => {
    const readme = read('README.md');
    const sources = readdirSync(join(repository, 'example-app')).filter((file) => file.endsWith('.ts'));
    const settings = new Set(
      sources.flatMap((file) =>
        [...read(file).matchAll(/(?:setting\(|process\.env\[)'([A-Z_]+)'|process\.env\.([A-Z_]+)/g)].map(
          ([, name, other]) => name ?? other,
        ),
      ),
    );
    expect(settings.size).toBeGreaterThan(10);
    for (const name of settings) {
      expect(read('.env.example')).toMatch(new RegExp(`(?:^#.*\\n)+(?:#?[A-Z_]+=.*\\n)*?#?${name}=`, 'm'));
    }
    for (const [, name] of read('.env.example').matchAll(/^#?([A-Z_]+)=/gm)) expect([...settings]).toContain(name);

    const tracked = readdirSync(join(repository, 'example-app'), { withFileTypes: true })
      .filter(({ name }) => !['.env', 'node_modules', 'README.md'].includes(name))
      .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    for (const name of tracked) expect(readme).toMatch(new RegExp(`^\\|.*\`${name}\``, 'm'));
    expect(readme.split('\n').length).toBeLessThan(55);
  });
});
