/** The command `sign-in`, with somebody at a browser who does what it asks for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { main } from '../../lib/cli/index.ts';
import type { CommandLine } from '../../lib/cli/terminal.ts';
import { Browser, type Page } from './browser.ts';

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A folder that is gone after the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
  folders.push(folder);
  return folder;
}

/** What somebody does with an address that the command gives, in a browser. */
export type Person = (address: string, round: number, stdin: PassThrough) => Promise<unknown>;

/** Logs in where that is asked for, and presses a button. */
export function person(
  buttons: ('Allow' | 'Decline')[] = ['Allow'],
  { username, password }: { username: string; password: string } = { username: 'ada', password: 'ada' },
): Person & { pages: Page[] } {
  const browser = new Browser();
  const pages: Page[] = [];
  const visit = async (address: string, round: number) => {
    let page = await browser.visit(address);
    // The page that the command shows where the server wants a POST.
    if (page.text.includes('Continue to PowerFolder')) page = await browser.submit(page, 'Continue to PowerFolder');
    if (page.text.includes('type="password"')) page = await browser.submit(page, 'Log in', { username, password });
    const button = buttons[round] ?? 'Allow';
    if (page.text.includes(button)) page = await browser.submit(page, button);
    pages.push(page);
  };
  return Object.assign(visit, { pages });
}

export interface SignInRun {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs `sign-in` in this process. */
export async function runSignIn(
  argv: string[],
  { env = {}, who = person(), terminal = false }: { env?: CommandLine['env']; who?: Person; terminal?: boolean } = {},
): Promise<SignInRun> {
  const stdin = Object.assign(new PassThrough(), { isTTY: false });
  const stdout = Object.assign(new PassThrough(), { isTTY: terminal });
  const stderr = Object.assign(new PassThrough(), { isTTY: terminal });
  let out = '';
  let err = '';
  let round = 0;
  const doing: Promise<unknown>[] = [];
  stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
    for (const [, address = ''] of err.matchAll(/^ {2}(http\S+)\n/gm)) {
      if (seen.has(address)) continue;
      seen.add(address);
      doing.push(who(address, round++, stdin));
    }
  });
  const seen = new Set<string>();
  const status = await main(['sign-in', ...argv], { env, stdin, stdout, stderr });
  await Promise.all(doing);
  return { status, stdout: out, stderr: err };
}
