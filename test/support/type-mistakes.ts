/** For tests of types: what the compiler says, and what a file expects it to say. */
import { spawnSync } from 'node:child_process';

/** A complaint of the compiler's; `text` has the lines that explain it as well. */
export interface Complaint {
  file: string;
  line: number;
  text: string;
}

/** Runs `tsc` in a folder with a tsconfig.json. */
export function complaintsOf(compiler: string, folder: string): Complaint[] {
  const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', '.', '--pretty', 'false'], {
    cwd: folder,
    encoding: 'utf8',
  });
  const complaints: Complaint[] = [];
  for (const line of stdout.split('\n')) {
    const [, file, number, text] = /^(.+?)\((\d+),\d+\): (.*)$/.exec(line) ?? [];
    const last = complaints.at(-1);
    if (file !== undefined && text !== undefined) complaints.push({ file, line: Number(number), text });
    else if (line.startsWith(' ') && last) last.text += `\n${line}`;
    else if (line !== '') complaints.push({ file: '', line: 0, text: line });
  }
  if (status !== 0 && complaints.length === 0) throw new Error(`The compiler ended with ${status}: ${stderr}`);
  return complaints;
}

const expectation = /^\s*\/\/ @ts-expect-error (.+)$/;

/** What a file expects to be said, and in which lines: those after the comments. */
export function expectations(file: string, source: string): Complaint[] {
  return source.split('\n').flatMap((line, index) => {
    const [, text] = expectation.exec(line) ?? [];
    return text === undefined ? [] : [{ file, line: index + 2, text }];
  });
}

/** The same lines without the comments that hush the compiler. */
export function withoutExpectations(source: string): string {
  return source
    .split('\n')
    .map((line) => (expectation.test(line) ? '//' : line))
    .join('\n');
}

/** Where something else is said than expected: each with what is said there. */
export function unmet(expected: Complaint[], complaints: Complaint[]): object[] {
  const at = (list: Complaint[], { file, line }: Complaint) =>
    list.filter((one) => one.file === file && one.line === line);
  return [
    ...expected
      .filter((one) => !at(complaints, one).some(({ text }) => text.includes(one.text)))
      .map((one) => ({ ...one, said: at(complaints, one).map(({ text }) => text) })),
    ...complaints.filter((one) => at(expected, one).length === 0),
  ];
}
