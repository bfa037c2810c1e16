/** Real WebDAV servers, each a process of its own with its configuration and its logs in a temporary folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { request } from 'undici';
import { findProgram } from './programs.ts';
import { until } from './until.ts';

export type WebDAVServerName = 'Apache' | 'nginx' | 'lighttpd' | 'rclone' | 'sabre-dav';

export interface WebDAVServer {
  name: WebDAVServerName;
  /** Without a path: what it serves is at `<contextPath>/webdav/`. */
  origin: string;
  /** What it wrote to its logs. */
  logs(): string;
  /** Ends it and leaves nothing behind. */
  close(): Promise<void>;
}

interface Place {
  /** What to serve. */
  folder: string;
  /** '' or like '/pf'. */
  contextPath: string;
  port: number;
  /** For configuration, logs and whatever else it writes. */
  own: string;
  /** Whether clients may write. */
  writable: boolean;
}

interface Kind {
  /** Programs and module files, for `describeWith`. */
  needs: string[];
  /** Writes the configuration; gives the command to start it in the foreground. */
  prepare(place: Place): { command: string[]; environment?: Record<string, string> };
}

const apacheModules = '/usr/lib/apache2/modules';
const nginxModule = '/usr/lib/nginx/modules/ngx_http_dav_ext_module.so';
const sabre = '/usr/share/php/Sabre/autoload.php';

/** Each is configured as its documentation and Debian have it; what stands here besides keeps it in its folder. */
export const webDAVServers: Record<WebDAVServerName, Kind> = {
  Apache: {
    needs: ['apache2', `${apacheModules}/mod_dav_fs.so`],
    prepare({ folder, contextPath, port, own }) {
      const modules = ['mpm_event', 'authz_core', 'alias', 'mime', 'dir', 'autoindex', 'dav', 'dav_fs'];
      const configuration = [
        ...modules.map((name) => `LoadModule ${name}_module ${apacheModules}/mod_${name}.so`),
        `ServerRoot "${own}"`,
        'ServerName 127.0.0.1',
        `Listen 127.0.0.1:${port}`,
        `PidFile "${own}/apache2.pid"`,
        `Mutex "file:${own}" default`,
        `ErrorLog "${own}/error.log"`,
        `DavLockDB "${own}/locks"`,
        'StartServers 1',
        'TypesConfig /etc/mime.types',
        'AddEncoding x-gzip .gz .tgz',
        'AddEncoding gzip svgz',
        `Alias "${contextPath}/webdav" "${folder}"`,
        `<Directory "${folder}">`,
        'Dav On',
        'Options Indexes FollowSymLinks',
        'AllowOverride None',
        // PROPFIND of a folder with an index.html would be 405.
        'DirectoryIndex disabled',
        'Require all granted',
        '</Directory>',
      ];
      const file = writeOwn(own, 'apache2.conf', configuration);
      return { command: ['apache2', '-D', 'FOREGROUND', '-f', file] };
    },
  },
  nginx: {
    needs: ['nginx', nginxModule],
    prepare({ folder, contextPath, port, own, writable }) {
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
      const configuration = [
        `load_module ${nginxModule};`,
        `pid ${own}/nginx.pid;`,
        `error_log ${own}/error.log;`,
        'daemon off;',
        'events {}',
        'http {',
        ...temporary.map((name) => `${name}_temp_path ${own}/${name};`),
        'include /etc/nginx/mime.types;',
        'default_type application/octet-stream;',
        'access_log off;',
        'server {',
        `listen 127.0.0.1:${port};`,
        `location ${contextPath}/webdav/ {`,
        `alias ${folder}/;`,
        'autoindex on;',
        'dav_ext_methods PROPFIND OPTIONS;',
        ...(writable ? ['dav_methods PUT DELETE MKCOL COPY MOVE;', 'client_max_body_size 0;'] : []),
        '} } }',
      ];
      return { command: ['nginx', '-c', writeOwn(own, 'nginx.conf', configuration), '-e', `${own}/error.log`] };
    },
  },
  lighttpd: {
    needs: ['lighttpd', '/usr/lib/lighttpd/mod_webdav.so'],
    prepare({ folder, contextPath, port, own, writable }) {
      const types = {
        html: 'text/html',
        txt: 'text/plain',
        pdf: 'application/pdf',
        png: 'image/png',
        svg: 'image/svg+xml',
      };
      const configuration = [
        'server.modules = ("mod_alias", "mod_webdav", "mod_dirlisting")',
        `server.document-root = "${folder}"`,
        'server.bind = "127.0.0.1"',
        `server.port = ${port}`,
        `server.errorlog = "${own}/error.log"`,
        `server.upload-dirs = ("${own}")`,
        `alias.url = ("${contextPath}/webdav/" => "${folder}/")`,
        'webdav.activate = "enable"',
        `webdav.is-readonly = "${writable ? 'disable' : 'enable'}"`,
        'dir-listing.activate = "enable"',
        `mimetype.assign = (${Object.entries(types).map(([ending, type]) => `".${ending}" => "${type}"`)})`,
      ];
      return { command: ['lighttpd', '-D', '-f', writeOwn(own, 'lighttpd.conf', configuration)] };
    },
  },
  rclone: {
    needs: ['rclone'],
    prepare({ folder, contextPath, port, own, writable }) {
      const settings = ['--addr', `127.0.0.1:${port}`, '--baseurl', `${contextPath}/webdav`];
      if (!writable) settings.push('--read-only');
      // It would remember for five minutes what was in a folder. Without a memory it reads a folder for each file of it.
      settings.push('--dir-cache-time', '1s');
      settings.push('--config', writeOwn(own, 'rclone.conf', []), '--cache-dir', join(own, 'cache'));
      return { command: ['rclone', 'serve', 'webdav', folder, ...settings], environment: { HOME: own } };
    },
  },
  'sabre-dav': {
    needs: ['php', sabre],
    prepare({ folder, contextPath, port, own }) {
      const script = [
        '<?php',
        `require '${sabre}';`,
        "$server = new Sabre\\DAV\\Server(new Sabre\\DAV\\FS\\Directory(getenv('WEBDAV_FOLDER')));",
        "$server->setBaseUri(getenv('WEBDAV_BASE'));",
        '$server->addPlugin(new Sabre\\DAV\\Browser\\Plugin(false));',
        '$server->exec();',
      ];
      const settings = [
        'display_errors=0',
        'log_errors=1',
        'max_execution_time=0',
        'output_buffering=0',
        'html_errors=0',
      ];
      // It is older than this PHP.
      settings.push('error_reporting=E_ALL&~E_DEPRECATED');
      return {
        command: [
          'php',
          ...settings.flatMap((setting) => ['-d', setting]),
          ...['-S', `127.0.0.1:${port}`, writeOwn(own, 'server.php', script)],
        ],
        environment: { WEBDAV_FOLDER: folder, WEBDAV_BASE: `${contextPath}/webdav/` },
      };
    },
  },
};

/** Who may read less than root may: servers run as this. Without root, servers run as who runs the tests. */
export const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/** Starts one at a free port of 127.0.0.1. It never runs as root, to whom every file is readable. */
export async function startWebDAVServer(
  name: WebDAVServerName,
  place: { folder: string; contextPath: string; writable?: boolean },
): Promise<WebDAVServer> {
  // Somebody else may take the port between its choice and the server's start.
  for (let attempt = 1; ; attempt++) {
    const server = await tryToStart(name, { writable: false, ...place });
    if (typeof server !== 'string') return server;
    if (attempt === 3) throw new Error(`${name} ended: ${server}`);
  }
}

/** Gives the logs when it ended at once. */
async function tryToStart(
  name: WebDAVServerName,
  place: Pick<Place, 'folder' | 'contextPath' | 'writable'>,
): Promise<WebDAVServer | string> {
  const own = mkdtempSync(join(tmpdir(), `passport-powerfolder-${name}-`));
  const port = await freePort();
  const { command, environment } = webDAVServers[name].prepare({ ...place, port, own });
  chmodSync(own, 0o755);
  for (const file of ['.', ...readdirSync(own)]) {
    if (nobody.uid !== undefined) chownSync(join(own, file), nobody.uid, nobody.gid);
  }
  const [program = '', ...settings] = command;
  const output = openSync(join(own, 'output.log'), 'w');
  const child = spawn(findProgram(program) ?? program, settings, {
    cwd: own,
    env: { PATH: process.env['PATH'], ...environment },
    stdio: ['ignore', output, output],
    ...nobody,
  });
  // When it cannot be started at all, it has no process id.
  child.on('error', () => {});
  closeSync(output);
  const logs = () =>
    readdirSync(own)
      .filter((file) => file.endsWith('.log'))
      .map((file) => readFileSync(join(own, file), 'utf8'))
      .join('');
  const origin = `http://127.0.0.1:${port}`;
  const ready = await until(async () => {
    if (hasEnded(child)) return 'ended';
    return (await isThere(`${origin}${place.contextPath}/webdav/`)) && 'ready';
  });
  if (ready === 'ended' || hasEnded(child)) {
    const said = logs();
    rmSync(own, { recursive: true, force: true });
    return said;
  }
  return {
    name,
    origin,
    logs,
    async close() {
      const before = hasEnded(child);
      const said = logs();
      if (!before) {
        const ended = once(child, 'exit');
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(own, { recursive: true, force: true });
      if (before) throw new Error(`${name} had ended: ${said}`);
    },
  };
}

const hasEnded = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null || child.pid === undefined;

async function isThere(url: string): Promise<boolean> {
  try {
    const answer = await request(url, { method: 'PROPFIND' as 'GET', headers: { Depth: '0' }, reset: true });
    await answer.body.dump();
    return answer.statusCode === 207;
  } catch {
    return false;
  }
}

function writeOwn(own: string, name: string, lines: string[]): string {
  const file = join(own, name);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(''));
  return file;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
