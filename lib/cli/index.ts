#!/usr/bin/env node
/** The command line: registers a client, finds out what is wrong with a configuration, starts the simulated server. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { rootCertificates } from 'node:tls';
import { parseArgs } from 'node:util';
import { Agent } from 'undici';
import { checkedTransport, nearest, serverBase } from '../configuration.ts';
import { PowerFolderError, plainText } from '../errors.ts';
import type { Transport } from '../http.ts';
import { registerClient } from '../registration.ts';
import { startPowerFolderServer } from '../testing/index.ts';
import { checkCallback, checkServer, connectionProblem, type Finding } from './check.ts';

/** What a command works with; the process's own, but in tests. */
export interface CommandLine {
  env: Record<string, string | undefined>;
  stdin: NodeJS.ReadableStream & { isTTY?: boolean };
  stdout: NodeJS.WritableStream & { isTTY?: boolean };
  stderr: NodeJS.WritableStream & { isTTY?: boolean };
}

/** What was given as options, by name. */
type Values = Record<string, string | true | undefined>;

interface Command {
  summary: string;
  help: string;
  options: Record<string, { type: 'string' | 'boolean'; short?: string }>;
  run(values: Values, io: CommandLine): Promise<number>;
}

/** A mistake of whoever typed the command, in words. */
class Mistake extends Error {}

const commands: Record<string, Command> = {
  register: {
    summary: 'Registers your application as an OAuth client at a PowerFolder server.',
    help: `Usage: passport-powerfolder register --server URL --admin NAME [--client-id ID]

Registers your application as an OAuth client at a PowerFolder server, and prints
what to put into its environment. A client ID that is registered already gets the
new secret.

  --server URL            base URL of the server, with its context path
                          (default: $POWERFOLDER_URL)
  --admin NAME            user name of an administrator of that server
  --client-id ID          ID to register (default: $POWERFOLDER_CLIENT_ID, or a new one)
  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

The administrator's password is asked for, or read from $POWERFOLDER_ADMIN_PASSWORD
or from the first line of the standard input. The client's secret is taken from
$POWERFOLDER_CLIENT_SECRET; otherwise one is made, and printed this once.

  passport-powerfolder register --server https://powerfolder.example.com --admin admin >> .env
`,
    options: {
      server: { type: 'string' },
      admin: { type: 'string' },
      'client-id': { type: 'string' },
      ca: { type: 'string' },
      'allow-insecure-http': { type: 'boolean' },
    },
    run: register,
  },
  check: {
    summary: 'Finds out what is wrong with a configuration.',
    help: `Usage: passport-powerfolder check --server URL --client-id ID [--callback-url URL]

Finds out what is wrong with a configuration: whether the server can be reached and
trusted, is a PowerFolder server, knows the client and its secret, and agrees about
the time; and whether the callback URL is one. Signs nobody in and changes nothing.

  --server URL            base URL of the server, with its context path
                          (default: $POWERFOLDER_URL)
  --client-id ID          the registered client's ID (default: $POWERFOLDER_CLIENT_ID)
  --callback-url URL      the strategy's callbackURL
  --ca FILE               CA certificate (PEM) to trust besides the well-known ones
  --allow-insecure-http   allow http to a server that is not on this machine
  --help                  print this

The client's secret is read from $POWERFOLDER_CLIENT_SECRET.
It is sent only to a server that has refused a made-up client, and this client with a
made-up secret, as PowerFolder does: three token requests in all.

The exit status is 0 when all that was asked for was checked and is well. It is 1 when
something is wrong, or could not be checked.
`,
    options: {
      server: { type: 'string' },
      'client-id': { type: 'string' },
      'callback-url': { type: 'string' },
      ca: { type: 'string' },
      'allow-insecure-http': { type: 'boolean' },
    },
    run: check,
  },
  simulate: {
    summary: 'Starts a simulated PowerFolder server, to try things out.',
    help: `Usage: passport-powerfolder simulate [--port N] [--callback-style path|query] [--host NAME]

Starts a simulated PowerFolder server on this machine, for development and tests
only. Tells its address and who can sign in on the standard error; the standard output
is lines for .env: the address, and a client with its secret.

  --port N                port to listen on (default: any free one)
  --callback-style STYLE  how the answer comes back to your application: as
                          PowerFolder documents it, /oauth/code=… (path, the default),
                          or as usual, /oauth?code=… (query)
  --host NAME             localhost or 127.0.0.1 (the default): the name in its address.
                          Browsers share cookies between all ports of a name; so give
                          the one that your application does not use.
  --help                  print this

  passport-powerfolder simulate > .env
`,
    options: { port: { type: 'string' }, 'callback-style': { type: 'string' }, host: { type: 'string' } },
    run: simulate,
  },
};

const topHelp = `Usage: passport-powerfolder <command> [options]

${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
  .join('\n')}

passport-powerfolder <command> --help tells more; --version prints the version.
`;

/**
 * Runs one command.
 *
 * @param argv The arguments, without node's path and the script's.
 * @returns The exit status: 0 when all went well, and 1 otherwise.
 */
export async function main(argv: string[], io: CommandLine): Promise<number> {
  try {
    return await dispatch(argv, io);
  } catch (error) {
    io.stderr.write(
      `${paint(io.stderr, io.env, 'red', 'passport-powerfolder:')} ${inWords((error as Error).message)}\n`,
    );
    return 1;
  }
}

async function dispatch([first, ...rest]: string[], io: CommandLine): Promise<number> {
  if (first === undefined) {
    io.stderr.write(topHelp);
    return 1;
  }
  if (first === '--version') {
    const manifest = readFileSync(join(__dirname, '../..', 'package.json'), 'utf8');
    io.stdout.write(`${JSON.parse(manifest).version}\n`);
    return 0;
  }
  if (first === '--help' || first === '-h') {
    io.stdout.write(topHelp);
    return 0;
  }
  if (first.startsWith('-')) {
    refuseOption(/^--[^=]+/.exec(first)?.[0] ?? first.slice(0, 2), ['help', 'version']);
  }
  const command = Object.hasOwn(commands, first) ? commands[first] : undefined;
  // What is no command is not repeated, unless it is nearly one: it may have been meant to be secret.
  if (!command) {
    const meant = nearest(first, Object.keys(commands));
    throw new Mistake(
      meant
        ? `There is no command ${plainText(first)}; did you mean ${meant}?`
        : `There is no such command; there are ${Object.keys(commands).join(', ')}. See passport-powerfolder --help.`,
    );
  }
  const values = parse(command.options, rest);
  if (values['help']) {
    io.stdout.write(command.help);
    return 0;
  }
  return await command.run(values, io);
}

/** Our own reading of node's tokens: its messages are for programmers, and quote values. */
function parse(own: Command['options'], args: string[]): Values {
  const options: Command['options'] = { ...own, help: { type: 'boolean', short: 'h' } };
  const { tokens } = parseArgs({ args, options, strict: false, allowPositionals: true, tokens: true });
  const values: Values = {};
  for (const token of tokens) {
    if (token.kind !== 'option') continue;
    const { name, rawName, value, inlineValue } = token;
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (!option) return refuseOption(rawName, Object.keys(options));
    if (values[name] !== undefined) throw new Mistake(`${rawName} is given more than once.`);
    if (option.type === 'boolean') {
      if (inlineValue) throw new Mistake(`${rawName} takes no value.`);
      values[name] = true;
    } else {
      if (!value || (!inlineValue && value.startsWith('-'))) throw new Mistake(`${rawName} needs a value after it.`);
      values[name] = value;
    }
  }
  if (tokens.some(({ kind }) => kind === 'positional')) {
    throw new Mistake('There is a value without an option before it. See --help for the options.');
  }
  return values;
}

/** @throws {Mistake} always. */
function refuseOption(rawName: string, known: string[]): never {
  const secret = ['password', 'admin-password', 'secret', 'client-secret'];
  const meant = nearest(rawName.replace(/^-+/, ''), [...known, ...secret]);
  if (/pass|secret/i.test(rawName) || (meant && secret.includes(meant))) {
    throw new Mistake(
      'Passwords and secrets are not taken as arguments, where the list of processes and the history of the shell show them. Set the environment variable POWERFOLDER_ADMIN_PASSWORD (or type it when asked) and POWERFOLDER_CLIENT_SECRET instead. What was just typed should be changed.',
    );
  }
  throw new Mistake(
    `There is no option ${plainText(rawName)}${meant ? `; did you mean --${meant}?` : '. See --help.'}`,
  );
}

/** A sentence in which the options of our functions are called as they are on the command line. */
function inWords(sentence: string): string {
  const names = {
    serverURL: '--server',
    clientID: '--client-id',
    callbackURL: '--callback-url',
    clientSecret: 'POWERFOLDER_CLIENT_SECRET',
    'admin.username': '--admin',
    'admin.password': "The administrator's password",
    'set allowInsecureHTTP: true': 'give --allow-insecure-http',
  };
  return Object.entries(names).reduce((text, [name, here]) => text.replaceAll(name, here), sentence);
}

function required(values: Values, option: string, env: CommandLine['env'], variable?: string): string {
  const value = values[option] ?? (variable && env[variable]);
  if (typeof value === 'string' && value !== '') return value;
  throw new Mistake(`--${option} is missing${variable ? `, and ${variable} is not set` : ''}. See --help.`);
}

const colours = { red: 31, green: 32, yellow: 33 };

function paint(stream: { isTTY?: boolean }, env: CommandLine['env'], colour: keyof typeof colours, text: string) {
  return stream.isTTY && !env['NO_COLOR'] && env['TERM'] !== 'dumb' ? `\x1b[${colours[colour]}m${text}\x1b[0m` : text;
}

/**
 * A line of an environment file that sh (`. ./.env`), Node (`--env-file`) and dotenv read alike.
 *
 * Between single quotes all three take everything for itself, and none knows a way to write a single quote there; dotenv
 * takes `\\'` for one. Between double quotes sh replaces `$`, `` ` `` and `\\`, and the others replace `\\n`.
 *
 * @throws {Error} for a value that has no such spelling, with what to do.
 */
export function environmentLine(name: string, value: string): string {
  // No ~ here, for which sh puts a home directory.
  if (/^[\w.,:/@%+-]+$/.test(value)) return `${name}=${value}\n`;
  // A lone surrogate cannot be written in UTF-8.
  if (!/[\p{Cc}\p{Cs}]|\\$/u.test(value)) {
    if (!value.includes("'")) return `${name}='${value}'\n`;
    if (!/["$`\\]/.test(value)) return `${name}="${value}"\n`;
  }
  throw new Mistake(
    `${name} cannot be written so that sh, Node and dotenv read it alike: it has a ' together with ", $, a backquote or a backslash, or a backslash at its end, or a control character. Choose another value, such as letters, digits and hyphens; in a URL write %27 for a '.`,
  );
}

/**
 * What comes before these lines where they may be appended to a file: its last line may have no end, and may have a
 * backslash there, with which sh joins the next line to it.
 */
function beforeLines({ isTTY }: CommandLine['stdout']): string {
  return isTTY ? '' : '\n\n';
}

/** How the server is reached, by the options that `register` and `check` share. */
function transportOf(values: Values): Transport {
  const { ca } = values;
  return checkedTransport({
    allowInsecureHTTP: values['allow-insecure-http'] === true,
    dispatcher:
      typeof ca === 'string' ? new Agent({ connect: { ca: [...rootCertificates, certificate(ca)] } }) : undefined,
  });
}

function certificate(file: string): string {
  try {
    const pem = readFileSync(file, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (error) {
    const { code } = error as { code?: unknown };
    throw new Mistake(
      code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR'
        ? `The file given with --ca cannot be read (${code}).`
        : 'The file given with --ca holds no certificate in PEM form (-----BEGIN CERTIFICATE-----).',
    );
  }
}

async function register(values: Values, io: CommandLine): Promise<number> {
  const { env, stdout, stderr } = io;
  const server = required(values, 'server', env, 'POWERFOLDER_URL');
  const username = required(values, 'admin', env);
  const transport = transportOf(values);
  // Before the password is asked for.
  const serverURL = serverBase(server, transport);
  const clientSecret = env['POWERFOLDER_CLIENT_SECRET'] || undefined;
  const clientID = (values['client-id'] as string | undefined) ?? (env['POWERFOLDER_CLIENT_ID'] || undefined);
  const serverLine = environmentLine('POWERFOLDER_URL', serverURL);
  if (clientID !== undefined) environmentLine('POWERFOLDER_CLIENT_ID', clientID);
  try {
    const password =
      env['POWERFOLDER_ADMIN_PASSWORD'] || (await askPassword(`Password of ${plainText(username)}: `, io));
    const { timeout, dispatcher, allowInsecureHTTP } = transport;
    const client = await registerClient({
      ...{ timeout, dispatcher, allowInsecureHTTP },
      serverURL,
      admin: { username, password },
      clientID,
      clientSecret,
    });
    const lines = serverLine + environmentLine('POWERFOLDER_CLIENT_ID', client.clientID);
    const secretLine = clientSecret ? '' : environmentLine('POWERFOLDER_CLIENT_SECRET', client.clientSecret);
    await written(stdout, beforeLines(stdout) + lines + secretLine);
    stderr.write(
      `${paint(stderr, env, 'green', 'Registered')} ${client.clientID} at ${serverURL}. ${
        clientSecret
          ? 'Its secret is the one in POWERFOLDER_CLIENT_SECRET.'
          : 'Put these lines into the environment of your application; the secret is shown this once.'
      } Then run passport-powerfolder check.\n`,
    );
    return 0;
  } catch (error) {
    if (!(error instanceof PowerFolderError)) throw error;
    throw new Mistake(connectionProblem(error, serverURL)?.text ?? error.message);
  } finally {
    await transport.dispatcher?.destroy();
  }
}

/** @throws {Mistake} when the lines, of which one may be a new secret, got nowhere. */
function written(stdout: CommandLine['stdout'], lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stdout.write(lines, (error?: (Error & { code?: unknown }) | null) => {
      if (!error) return resolve();
      const why = `The client was registered, but its lines could not be written (${error.code}).`;
      reject(new Mistake(`${why} What is lost with them cannot be shown again: register the client once more.`));
    });
  });
}

/**
 * The first line of the standard input; on a terminal the answer to a question, typed without echo. It is asked again
 * when the process was stopped meanwhile.
 *
 * @throws {Mistake} when no password is given.
 */
async function askPassword(question: string, io: CommandLine): Promise<string> {
  for (;;) {
    const answer = await ask(question, io);
    if (typeof answer === 'string') return answer;
    // To the whole process group, as the terminal does for Ctrl-Z: npx, which waits for this process, has to stop too.
    // Without job control nothing stops, and the question comes again at once.
    if (answer.stop) process.kill(0, 'SIGTSTP');
  }
}

/** The answer; or that the question has to be asked again, after stopping (Ctrl-Z) or having been stopped. */
async function ask(question: string, { stdin, stderr }: CommandLine): Promise<string | { stop: boolean }> {
  const terminal = stdin.isTTY === true;
  // readline does the editing, while what it would show goes nowhere.
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: stdin, output: nowhere, terminal, historySize: 0 });
  let onStop = () => {};
  let onContinue = () => {};
  try {
    return await new Promise((resolve, reject) => {
      const refuse = (why: string) => reject(new Mistake(`${why}; nothing was registered.`));
      const given: string[] = [];
      const decide = () => {
        const [line = ''] = given;
        if (line === '') refuse('No password was given');
        // The first line alone may not be what was meant, and the others may be commands.
        else if (terminal && (given.length > 1 || lines.line !== ''))
          refuse('More than one line was pasted. Give the password alone');
        else resolve(line);
      };
      lines.on('line', (line) => {
        given.push(line);
        if (!terminal) decide();
        // The lines of a paste come at once.
        else if (given.length === 1) setImmediate(decide);
      });
      lines.once('close', () => given.length === 0 && refuse('No password was given'));
      lines.once('error', () => refuse('The terminal was closed'));
      if (!terminal) return;
      onStop = () => resolve({ stop: true });
      onContinue = () => resolve({ stop: false });
      lines.once('SIGINT', () => refuse('Cancelled'));
      lines.once('SIGTSTP', onStop);
      process.once('SIGTSTP', onStop);
      process.once('SIGCONT', onContinue);
      // Only now: what is typed from here on is not echoed, and a stop is noticed.
      stderr.write(question);
    });
  } finally {
    process.removeListener('SIGTSTP', onStop).removeListener('SIGCONT', onContinue);
    // Gives the terminal its echo back.
    lines.close();
    if (terminal) stderr.write('\n');
  }
}

async function check(values: Values, { env, stdout }: CommandLine): Promise<number> {
  const server = required(values, 'server', env, 'POWERFOLDER_URL');
  const clientID = required(values, 'client-id', env, 'POWERFOLDER_CLIENT_ID');
  const transport = transportOf(values);
  const marks = { ok: ['green', 'ok   '], wrong: ['red', 'WRONG'], unclear: ['yellow', '?    '] } as const;
  const subjects: Record<Finding['verdict'], string[]> = { ok: [], wrong: [], unclear: [] };
  const report = ({ verdict, about, text }: Finding) => {
    const [colour, mark] = marks[verdict];
    stdout.write(`${paint(stdout, env, colour, mark)}  ${about.padEnd(8)}  ${inWords(text)}\n`);
    subjects[verdict].push(about);
  };
  try {
    const findings = checkServer(server, clientID, env['POWERFOLDER_CLIENT_SECRET'], transport);
    for await (const finding of findings) report(finding);
  } finally {
    await transport.dispatcher?.destroy();
  }
  const { 'callback-url': callbackURL } = values;
  if (typeof callbackURL === 'string') report(checkCallback(callbackURL, transport));
  const { ok, wrong, unclear } = subjects;
  const well = wrong.length === 0 && unclear.length === 0 && ok.length > 0;
  const summary = [
    well && 'No problem found',
    wrong.length > 0 && `${wrong.length} ${wrong.length === 1 ? 'problem' : 'problems'} found`,
    unclear.length > 0 && `Could not be checked: ${unclear.join(', ')}`,
    wrong.length === 0 && ok.length > 0 && `${well ? 'checked' : 'Checked'}: ${ok.join(', ')}`,
  ].filter(Boolean);
  stdout.write(`${summary.join(well ? '; ' : '. ')}.\n`);
  return well ? 0 : 1;
}

async function simulate(values: Values, { stdout, stderr }: CommandLine): Promise<number> {
  const { port = '0', 'callback-style': callbackStyle = 'path', host: hostname = '127.0.0.1' } = values;
  if (typeof port !== 'string' || !/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new Mistake('--port must be a number from 0 to 65535; 0 is any free port.');
  }
  if (callbackStyle !== 'path' && callbackStyle !== 'query') {
    throw new Mistake('--callback-style must be path or query.');
  }
  if (hostname !== 'localhost' && hostname !== '127.0.0.1') {
    throw new Mistake('--host must be localhost or 127.0.0.1: the simulated server is for this machine only.');
  }
  const options = { port: Number(port), callbackStyle, hostname, hints: true } as const;
  const server = await startPowerFolderServer(options).catch((error: { code?: string }) => {
    if (error.code === 'EADDRINUSE') throw new Mistake(`Port ${port} is in use. Give another --port, or none.`);
    if (error.code === 'EACCES') throw new Mistake(`Port ${port} needs special rights. Give one above 1023, or none.`);
    throw error;
  });
  const ended = new Promise((resolve) => {
    process.once('SIGINT', resolve);
    process.once('SIGTERM', resolve);
    // Nobody has read how to use it.
    stdout.once('error', resolve);
  });
  // All but the lines for .env, so that `simulate > .env` writes such a file.
  stderr.write(`server: ${server.url}
username: ${server.username}
password: ${server.password}
administrator: ${server.admin.username}
administrator's password: ${server.admin.password}

`);
  stdout.write(beforeLines(stdout) + environmentLine('POWERFOLDER_URL', server.url));
  stdout.write(environmentLine('POWERFOLDER_CLIENT_ID', server.clientID));
  stdout.write(environmentLine('POWERFOLDER_CLIENT_SECRET', server.clientSecret));
  stderr.write('A simulated PowerFolder server, for development and tests only. Ctrl-C ends it.\n');
  await ended;
  await server.close();
  return 0;
}

if (require.main === module) {
  // Whoever reads the output may stop before its end.
  process.stderr.on('error', () => process.exit(1));
  let isOutputLost = false;
  process.stdout.on('error', () => {
    isOutputLost = true;
  });
  // Until there is an answer: a process that has nothing left to wait for ends by itself.
  process.exitCode = 1;
  // Not process.exit, which would cut off what is still being written to a pipe.
  void main(process.argv.slice(2), process).then((status) => {
    process.exitCode = isOutputLost ? 1 : status;
  });
}
