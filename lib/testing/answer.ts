export type Body = string | Buffer | Iterable<Buffer> | AsyncIterable<Buffer>;

/** What a handler says. Handlers are functions from the one to the other: only index.ts and faults.ts touch sockets. */
export interface Answer {
  status: number;
  headers: Record<string, string | string[]>;
  /** A body of unknown length is sent in chunks. */
  body: Body;
}

/** What the documentation does not allow is refused by throwing this; each endpoint has its own way of telling it. */
export class Refusal extends Error {
  readonly status: number;
  /** RFC 6749's word for it, where there is one. */
  readonly error: string;
  readonly headers: Answer['headers'];

  constructor(status: number, message: string, error = 'invalid_request', headers: Answer['headers'] = {}) {
    super(message);
    this.status = status;
    this.error = error;
    this.headers = headers;
  }
}

export function answer(status: number, type: string, body: Body, headers: Answer['headers'] = {}): Answer {
  return {
    status,
    headers: { 'Content-Type': type, 'Cache-Control': 'no-store', 'X-Content-Type-Options': 'nosniff', ...headers },
    body,
  };
}

export function json(status: number, value: unknown, headers: Answer['headers'] = {}): Answer {
  return answer(status, 'application/json;charset=utf-8', JSON.stringify(value), headers);
}

/** A refusal in RFC 6749's words (section 5.2). */
export function refuseInJSON({ status, error, message, headers }: Refusal): Answer {
  return json(status, { error, error_description: message }, headers);
}

export function refuseInText({ status, message, headers }: Refusal): Answer {
  return answer(status, 'text/plain;charset=utf-8', `${message}\n`, headers);
}

export function refuseWithoutBody({ status, headers }: Refusal): Answer {
  return { status, headers, body: '' };
}
