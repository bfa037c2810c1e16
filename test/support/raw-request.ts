/** A request byte for byte, for what HTTP clients do not send. */
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

export interface RawAnswer {
  status: number;
  /** By name in lower case. */
  headers: Record<string, string>;
  /** All that came. */
  text: string;
}

/** @param head The request line and header lines, without `Connection`. */
export async function rawRequest(url: string, head: string[]): Promise<RawAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  // The end of what a client says would be the end of its request.
  socket.write(`${[...head, 'Connection: close'].join('\r\n')}\r\n\r\n`);
  const answer = await text(socket);
  if (answer === '') throw new Error(`No answer to ${head[0]}`);
  const [statusLine = '', ...lines] = (answer.split('\r\n\r\n')[0] ?? '').split('\r\n');
  return {
    status: Number(statusLine.split(' ')[1]),
    headers: Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    ),
    text: answer,
  };
}
