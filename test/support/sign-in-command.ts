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
  follow: (location: URL) => boolean = () => true,
): Person & { pages: Page[] } {
  const browser = new Browser();
  const pages: Page[] = [];
  const visit = async (address: string, round: number) => {
    const who = { username, password, j_username: username, j_password: password };
    const decision = buttons[round] ?? 'Allow';
    let page = await browser.visit(address, { follow });
    // Where the server wants a POST, the log-in, an identity provider's form that comes back, and the decision.
    for (const button of ['Continue to PowerFolder', 'Log in', 'Continue', decision]) {
      if (page.text.includes(`>${button}</button>`)) page = await browser.submit(page, button, who, { follow });
    }
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
  const doing: Promise<unknown>[] = [];
  let fail: (error: unknown) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  stdout.setEncoding('utf8').on('data', (text) => {
    out += text;
  });
  stderr.setEncoding('utf8').on('data', (text) => {
    err += text;
    const addresses = [...err.matchAll(/^ {2}(http\S+)\n/gm)].map(([, address = '']) => address);
    for (const address of addresses.slice(doing.length)) {
      const visit = who(address, doing.length, stdin);
      doing.push(visit);
      // The command would wait for them.
      visit.catch(fail);
    }
  });
  const status = await Promise.race([main(['sign-in', ...argv], { env, stdin, stdout, stderr }), failed]);
  await Promise.all(doing);
  return { status, stdout: out, stderr: err };
}
