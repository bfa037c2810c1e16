/** Programs that some tests need and that npm does not install. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

export function findProgram(name: string): string | undefined {
  // Servers may be where only an administrator's PATH leads.
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return directories
    .map((directory) => join(directory, name))
    .find((place) => {
      try {
        accessSync(place, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

function isThere(name: string): boolean {
  return isAbsolute(name) ? existsSync(name) : findProgram(name) !== undefined;
}

/**
 * `describe` when all of these are found: programs by name, other files (a server's modules) by their path. Otherwise it
 * says aloud that the scene is left out, or with REQUIRE_ALL=1 fails.
 */
export function describeWith(...programs: string[]): jest.Describe {
  const missing = programs.filter((name) => !isThere(name));
  if (missing.length === 0) return describe;
  const notFound = `${missing.join(' and ')} not found`;
  if (process.env['REQUIRE_ALL'] === '1') throw new Error(`REQUIRE_ALL=1, but ${notFound}`);
  process.stderr.write(`NOT RUN: ${notFound}\n`);
  return describe.skip;
}
