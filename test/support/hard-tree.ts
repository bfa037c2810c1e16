/** A tree of files and folders on disk with all that makes trouble on its way through WebDAV to a browser. */
import { createCipheriv, createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface HardTree {
  folder: string;
  /** The path of a file of 200 MB within it, and the SHA-256 of its content. */
  large: { path: string[]; size: number; hash: string };
  remove(): void;
}

/**
 * Each is tried as a file's and as a folder's name. They are in groups since there are servers that cannot list a folder
 * for one name in it. A Buffer is a name that is no UTF-8.
 */
const hardNames: Record<string, (string | Buffer)[]> = {
  'white space': [
    ...[' ', '  ', ' leading', 'trailing ', ' both ', 'in the middle', 'two  spaces', 'no-break\u00a0space'],
    ...['em\u2003space', 'line\u2028separator', 'next\u0085line'],
  ],
  dots: ['.hidden', '..two', '...', '....', 'trailing.', 'trailing..', 'a.b.c', '. .', ' ..', '.. ', '.htaccess'],
  // And what becomes of them when they are decoded once too often.
  'percent signs': [
    ...['%', '%%', '100%', '%41', '%2F', '%2f', '%5C', '%zz', '%00', '%0A', '%25', '%2541', '%2e%2e', '%2e%2e%2fapi'],
    ...['%C3%BC', '%E4', '%u0041'],
  ],
  'parts of URLs': [
    ...[
      '#',
      '#fragment',
      '?',
      '?query=1',
      'a?b#c',
      '&',
      'a&b=c',
      ';',
      ';x=1',
      'a;x=1',
      '+',
      'a+b',
      '=',
      ',',
      ':',
      'a:b',
    ],
    ...['http:', '@', '!', '$', '$HOME', '~', '~root', '(round)', '[square]', '{curly}', '*', '^', '`', '|', '_'],
    ...['-', '--help', '-rf'],
  ],
  separators: [
    ...[
      '\\',
      'a\\b',
      '..\\api\\accounts',
      '..\\..\\',
      'C:\\',
      '__PATH_SEPARATOR_POSIX__',
      '__PATH_SEPARATOR_WINDOWS__',
    ],
    ...['..__PATH_SEPARATOR_POSIX__api__PATH_SEPARATOR_POSIX__accounts', 'division \u2215 slash', 'full \uff0f width'],
  ],
  markup: [
    ...[
      '&amp;',
      '&#38;',
      '&lt;',
      '&nbsp;',
      '<b>',
      '<b>bold<',
      '<!--',
      ']]>',
      '<![CDATA[',
      '"',
      "'",
      '"quoted"',
      "it's",
    ],
    ...['<script>alert(1)<', 'a"onmouseover="x', '<D:href>', '<%= 1 %>', '$$', '{{1}}'],
  ],
  // Also those that Unicode writes in two ways.
  languages: [
    ...['Übergröße', '\u00fc', 'u\u0308', '\u00e9', 'e\u0301', '\uac00', '\u1100\u1161', '\u212b', '\ufb01'],
    ...['العربية', 'עברית', '中文文件', '日本語', 'ไทย', 'Ελληνικά', 'ЁЖ', '𠮷', '🙂', '👩‍👩‍👧‍👦', '🇩🇪'],
  ],
  'invisible characters': [
    ...['\u202etxt.exe', 'zero\u200bwidth', '\ufeffmark', '\u2066isolate', 'replacement\ufffd', 'no\ufffecharacter'],
  ],
  'control characters': [
    ...['tab\tinside', '\tleading tab', 'line\nfeed', 'trailing line feed\n', 'carriage\rreturn', 'both\r\nends'],
    ...['\u0001', 'bell\u0007', 'escape\u001b[31m', 'delete\u007f', 'c1\u009b'],
  ],
  long: ['x'.repeat(255), `${'ü'.repeat(127)}x`, '🙂'.repeat(63)],
  reserved: [
    ...['CON', 'nul', 'aux.txt', 'desktop.ini', 'Thumbs.db', 'webdav', 'folders', 'files', 'index.html', 'index.php'],
    ...[
      '__proto__',
      'constructor',
      '0',
      '-1',
      'null',
      'undefined',
      'NaN',
      'true',
      'a.php',
      'x.cgi',
      'x.shtml',
      'x.var',
    ],
    ...['Case', 'case', 'CASE'],
  ],
  'no UTF-8': [
    ...[Buffer.from('latin-1 \xe4', 'latin1'), Buffer.from('\xff\xfe', 'latin1')],
    Buffer.from('\xed\xa0\x80 surrogate', 'latin1'),
  ],
};

/** Makes it in a temporary folder that everybody may enter. */
export function makeHardTree(): HardTree {
  const top = mkdtempSync(join(tmpdir(), 'passport-powerfolder-tree-'));
  const folder = join(top, 'tree');
  chmodSync(top, 0o755);
  mkdirSync(folder);
  let files = 0;

  const at = (...names: (string | Buffer)[]) =>
    Buffer.concat(
      [folder, ...names].flatMap((name, i) => (i === 0 ? [Buffer.from(name)] : [slash, Buffer.from(name)])),
    );
  /** A file whose content is no other file's, of 0 to 4,999 bytes, last modified at a second of its own. */
  function file(names: (string | Buffer)[], content?: string): void {
    files++;
    const path = at(...names);
    writeFileSync(path, content ?? bytes(files, (files * 37) % 5000));
    utimesSync(path, 1_600_000_000 + files, 1_600_000_000 + files);
  }
  const makeFolder = (...names: (string | Buffer)[]) => mkdirSync(at(...names), { recursive: true });

  makeFolder('many');
  for (let i = 0; i < 2000; i++) {
    if (i % 100 === 0) makeFolder('many', `entry ${i}`);
    else file(['many', `entry ${i}.txt`]);
  }

  for (const [group, names] of Object.entries(hardNames)) {
    makeFolder('names', group, 'as files');
    for (const name of names) {
      file(['names', group, 'as files', name]);
      makeFolder('names', group, 'as folders', name);
      // Here it is its folder's name as well.
      file(['names', group, 'as folders', name, name]);
    }
  }

  makeFolder('kinds');
  file(['kinds', 'empty.txt'], '');
  for (const kind of [
    'gz',
    'tar.gz',
    'tgz',
    'svgz',
    'svg',
    'html',
    'xhtml',
    'xml',
    'js',
    'css',
    'txt',
    'pdf',
    'png',
    'mp4',
    'zip',
    'Z',
  ])
    file(['kinds', `kind.${kind}`]);
  file(['kinds', 'no type']);
  file(['kinds', 'changing.txt'], 'before '.repeat(1000));

  const large = { path: ['kinds', 'large.bin'], size: 200_000_000, hash: '' };
  large.hash = writeLarge(at(...large.path), large.size);

  makeFolder('unreadable', 'folder');
  file(['unreadable', 'readable.txt']);
  file(['unreadable', 'file.txt']);
  const locked = [at('unreadable', 'file.txt'), at('unreadable', 'folder')];
  for (const path of locked) chmodSync(path, 0);

  makeFolder('links');
  file(['links', 'readable.txt']);
  symlinkSync('nowhere', at('links', 'dangling'));
  symlinkSync('loop', at('links', 'loop'));

  makeFolder('empty');
  const deep = Array.from({ length: 30 }, (_, i) => `level ${i + 1}`);
  makeFolder('deep', ...deep);
  file(['deep', ...deep, 'leaf.txt']);

  makeFolder('dates');
  for (const day of ['1970-01-01T00:00:00Z', '1999-12-31T23:59:59Z', '2038-01-19T03:14:08Z', '2100-02-28T12:00:00Z']) {
    const name = `${day.slice(0, 4)}.txt`;
    file(['dates', name]);
    utimesSync(at('dates', name), new Date(day), new Date(day));
  }

  return {
    folder,
    large,
    remove() {
      for (const path of locked) chmodSync(path, 0o755);
      rmSync(top, { recursive: true });
    },
  };
}

const slash = Buffer.from('/');

function bytes(seed: number, size: number): Buffer {
  const once = createHash('sha256').update(String(seed)).digest();
  return Buffer.alloc(size, once);
}

/** Bytes that look random, the same each time: no part of the file is another part. */
function writeLarge(path: Buffer, size: number): string {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 1), Buffer.alloc(16));
  const hash = createHash('sha256');
  const zeros = Buffer.alloc(1_000_000);
  const file = openSync(path, 'w');
  for (let written = 0; written < size; written += zeros.length) {
    const part = cipher.update(zeros);
    hash.update(part);
    writeSync(file, part);
  }
  closeSync(file);
  return hash.digest('hex');
}
