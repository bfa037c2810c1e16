/** `npm run release:check`, its first part: what has to be written down before a version can be published. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Manifest {
  version?: string;
  private?: boolean;
  author?: unknown;
  license?: unknown;
  repository?: unknown;
  bugs?: unknown;
  homepage?: unknown;
}

/** @returns a sentence for each thing that is still to be set. */
export function stillToBeSet(manifest: Manifest, changelog: string): string[] {
  const repository = addressOf(manifest.repository);
  const said: [boolean, string][] = [
    [manifest.private === true, 'package.json: take "private" out; npm publishes nothing with it.'],
    [
      !repository || !/^(?:git\+)?https:\/\/[^/]+\/[^/]+\/[^/]+/.test(repository),
      'package.json: set "repository" to { "type": "git", "url": "git+https://…" }, where the code is; npm takes no provenance without it, and compares it with the repository that publishes.',
    ],
    [
      !addressOf(manifest.bugs),
      'package.json: set "bugs" to the page where people report faults; SECURITY.md and README send them there.',
    ],
    [!manifest.homepage, 'package.json: set "homepage", such as the README in the repository.'],
    [!manifest.author || !manifest.license, 'package.json: set "author" and "license".'],
    [
      !new RegExp(`^## ${(manifest.version ?? '?').replace(/\W/g, '\\$&')} .*\\d{4}-\\d{2}-\\d{2}`, 'm').test(
        changelog,
      ),
      `CHANGELOG.md: give version ${manifest.version} a heading with its date: "## ${manifest.version} (YYYY-MM-DD)".`,
    ],
  ];
  return said.flatMap(([isMissing, sentence]) => (isMissing ? [sentence] : []));
}

/** npm takes a text, or an object with `url`. */
function addressOf(field: unknown): string | undefined {
  const url = typeof field === 'object' && field !== null ? (field as { url?: unknown }).url : field;
  return typeof url === 'string' && url !== '' ? url : undefined;
}

if (require.main === module) {
  const read = (file: string) => readFileSync(join(__dirname, '..', file), 'utf8');
  const missing = stillToBeSet(JSON.parse(read('package.json')), read('CHANGELOG.md'));
  for (const sentence of missing) console.error(sentence);
  if (missing.length > 0) {
    console.error(`${missing.length} still to be done before a release.`);
    process.exitCode = 1;
  } else console.log('package.json and CHANGELOG.md have what a release needs.');
}
