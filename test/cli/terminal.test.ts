/** R59: the question for the administrator's password, on a real terminal. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { admin, type Child, startServer } from '../support/command-line.ts';
import { describeOnTerminal, onTerminal, registerCommand, shellOnTerminal, type } from '../support/terminal.ts';

const question = 'Password of admin: ';
const withEcho = / icanon[\s\S]* echo /;

describeOnTerminal('passport-powerfolder on a terminal', () => {
  /** Runs `register`, and then tells its status and the terminal's state. */
  async function ask(url: string, more = ''): Promise<Child> {
    const child = onTerminal(`${registerCommand(url)} ${more}; echo "status $?"; stty -a`);
    await child.says(question);
    return child;
  }

  it('asks for the password without echo; Backspace works; the terminal is as before', async () => {
    const server = await startServer();
    const child = await ask(server.url);
    type(child, `${admin.password}xy\x7f\x7f\r`);
    expect(await child.ended).toBe(0);
    expect(child.output()).not.toContain('SENTINEL');
    expect(child.output()).toContain('status 0');
    expect(child.output()).toContain('\x1b[32mRegistered');
    expect(child.output()).toMatch(withEcho);
    expect(server.clients).toHaveLength(2);
  });

  it.each([
    ['Ctrl-C', 'SENTINEL\x03', /Cancelled; nothing was registered\./],
    ['Ctrl-D', '\x04', /No password was given; nothing was registered\./],
    ['an empty answer', '\r', /No password was given; nothing was registered\./],
    ['an answer that was deleted', 'ab\x7f\x7f\x7f\r', /No password was given; nothing was registered\./],
    [
      'a paste of several lines',
      'SENTINEL\recho SENTINEL\r',
      /More than one line was pasted\. Give the password alone;/,
    ],
    [
      'a paste of a line and a half',
      'SENTINEL\recho SENTINEL',
      /More than one line was pasted\. Give the password alone;/,
    ],
  ])('R59: registers nothing, and leaves the terminal as before, at %s', async (_, keys, words) => {
    const server = await startServer();
    const child = await ask(server.url);
    type(child, keys);
    expect(await child.ended).toBe(0);
    expect(child.output()).toMatch(words);
    expect(child.output()).toContain('\r\nstatus 1');
    expect(child.output()).not.toContain('SENTINEL');
    expect(child.output()).toMatch(withEcho);
    expect(server.requests).toEqual([]);
  });

  it('asks while its output goes into a file', async () => {
    const server = await startServer();
    const child = await ask(server.url, '> /dev/null');
    type(child, `${admin.password}\r`);
    expect(await child.ended).toBe(0);
    expect(child.output()).toContain('status 0');
    expect(child.output()).not.toContain('POWERFOLDER_CLIENT_SECRET=');
  });

  it('R59: asks again, without echo, when Ctrl-Z stops nothing, as there is no job control', async () => {
    const server = await startServer();
    const child = await ask(server.url);
    type(child, 'SENTINEL\x1a');
    await child.says(question, 2);
    type(child, `${admin.password}\r`);
    expect(await child.ended).toBe(0);
    expect(child.output()).toContain('status 0');
    expect(child.output()).not.toContain('SENTINEL');
    expect(server.clients).toHaveLength(2);
  });

  it.each([
    ['by itself', (command: string) => command],
    // As npx does: a process that waits for it, in the same job.
    ['as the child of a program that waits for it', (command: string) => `sh -c "${command}; exit \\$?"`],
  ])('R59: survives Ctrl-Z and fg, twice, %s: asks again without echo, and the shell had its echo', async (_, how) => {
    const server = await startServer();
    const shell = await shellOnTerminal();
    type(shell, `${how(registerCommand(server.url))}\r`);
    for (const round of [1, 2]) {
      await shell.says(question, round);
      type(shell, 'SENTINEL\x1a');
      await shell.says('Stopped', round);
      // The line editor of the shell sets modes of its own for itself; a command sees those that were there before.
      type(shell, `stty -a; echo seen-${round}-$((1 + 1))\r`);
      await shell.says(`seen-${round}-2`);
      const states = shell.output().match(/ -?icanon iexten -?echo /g) ?? [];
      expect(states).toEqual(Array(round).fill(' icanon iexten echo '));
      type(shell, 'fg\r');
    }
    await shell.says(question, 3);
    type(shell, `${admin.password}\r`);
    await shell.says('Registered');
    type(shell, 'echo "status $?"; stty -a; exit\r');
    expect(await shell.ended).toBe(0);
    expect(shell.output()).toContain('status 0');
    expect(shell.output()).toMatch(/status 0[\s\S]* icanon[\s\S]* echo /);
    expect(shell.output()).not.toContain('SENTINEL');
    expect(server.clients).toHaveLength(2);
  });

  it('R59: asks again when it was stopped and continued by others', async () => {
    const server = await startServer();
    const shell = await shellOnTerminal();
    type(shell, `(echo "process $BASHPID"; exec ${registerCommand(server.url)})\r`);
    await shell.says(question);
    const pid = Number(/^process (\d+)/m.exec(shell.output())?.[1]);
    for (const [round, signal] of (['SIGSTOP', 'SIGTSTP'] as const).entries()) {
      process.kill(pid, signal);
      await shell.says('Stopped', round + 1);
      type(shell, 'fg\r');
      await shell.says(question, round + 2);
    }
    type(shell, `${admin.password}\r`);
    await shell.says('Registered');
    type(shell, 'exit\r');
    await shell.ended;
    expect(shell.output()).not.toContain('SENTINEL');
    expect(server.clients).toHaveLength(2);
  });

  it('R59: asks again in the foreground when it was continued in the background', async () => {
    const server = await startServer();
    const shell = await shellOnTerminal();
    type(shell, `${registerCommand(server.url)}\r`);
    await shell.says(question);
    type(shell, 'SENTINEL\x1a');
    await shell.says('Stopped');
    // It wants the terminal there, and is stopped for that.
    type(shell, 'bg; echo continued-$((1 + 1))\r');
    await shell.says('continued-2');
    const times = (words: string) => shell.output().split(words).length - 1;
    // Only then: it may have asked once more in the background.
    for (const before = times('Stopped'); times('Stopped') === before; ) {
      type(shell, 'jobs\r');
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    const asked = times(question);
    type(shell, 'fg\r');
    await shell.says(question, asked + 1);
    type(shell, `${admin.password}\r`);
    await shell.says('Registered');
    type(shell, 'exit\r');
    await shell.ended;
    expect(shell.output()).not.toContain('SENTINEL');
    expect(server.clients).toHaveLength(2);
  });

  it.each([
    ['ended by it', ''],
    // As nohup does.
    ['not ended by it', "trap '' HUP;"],
  ])('R59: does not end with status 0 when the terminal is closed and it is %s', async (_, before) => {
    const server = await startServer();
    const folder = mkdtempSync(join(tmpdir(), 'passport-powerfolder-'));
    try {
      const file = join(folder, 'status');
      // The shell that tells the status shall outlive the terminal itself.
      const child = onTerminal(
        `trap '' HUP; (trap - HUP; ${before} exec ${registerCommand(server.url)}); echo $? > '${file}.new'; mv '${file}.new' '${file}'`,
      );
      await child.says(question);
      child.process.kill('SIGKILL');
      for (let tries = 0; tries < 500 && !existsSync(file); tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // Node itself may abort, as it cannot restore the modes of a terminal that is gone.
      expect(Number(readFileSync(file, 'utf8'))).toBeGreaterThan(0);
      expect(server.requests).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
