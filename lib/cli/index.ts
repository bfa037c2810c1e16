#!/usr/bin/env node
/** The command line: registers a client, finds out what is wrong with a configuration and what a server does, keeps tokens for scripts, starts the simulated server, writes the example app. */
import { nearest } from '../option-names.ts';
import { plainText } from '../redact.ts';
import { parse, unknownOption } from './arguments.ts';
import { check } from './check.ts';
import { example } from './example.ts';
import { register } from './register.ts';
import { signIn } from './sign-in.ts';
import { simulate } from './simulate.ts';
import { type CommandLine, Mistake, packageVersion, paint, sentence } from './terminal.ts';
import { token } from './token.ts';

const commands = new Map(Object.entries({ register, check, 'sign-in': signIn, token, simulate, example }));

const topHelp = `Usage: passport-powerfolder <command> [options]

${[...commands].map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`).join('\n')}

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
    io.stderr.write(`${paint(io.stderr, io.env, 'red', 'passport-powerfolder:')} ${sentence(error)}\n`);
    return 1;
  }
}

async function dispatch([first, ...rest]: string[], io: CommandLine): Promise<number> {
  if (first === undefined) {
    io.stderr.write(topHelp);
    return 1;
  }
  if (first === '--version') {
    io.stdout.write(`${packageVersion()}\n`);
    return 0;
  }
  if (first === '--help' || first === '-h') {
    io.stdout.write(topHelp);
    return 0;
  }
  if (first.startsWith('-')) {
    throw unknownOption(/^--[^=]+/.exec(first)?.[0] ?? first.slice(0, 2), ['help', 'version']);
  }
  const command = commands.get(first);
  // What is no command is not repeated, unless it is nearly one: it may have been meant to be secret.
  if (!command) {
    const meant = nearest(first, [...commands.keys()]);
    throw new Mistake(
      meant
        ? `There is no command ${plainText(first)}; did you mean ${meant}?`
        : `There is no such command; there are ${[...commands.keys()].join(', ')}. See passport-powerfolder --help.`,
    );
  }
  const values = parse(command, rest);
  if (values['help']) {
    io.stdout.write(command.help);
    return 0;
  }
  return await command.run(values, io);
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
    // What became of the last words is known when these are gone, too.
    process.stdout.write('', (error) => {
      process.exitCode = error || isOutputLost ? 1 : status;
    });
  });
}
