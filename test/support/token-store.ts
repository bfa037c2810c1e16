/** A database of tokens over HTTP, for several processes; slow, failing, or losing writes as a test has it. */
import { randomInt } from 'node:crypto';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { PowerFolderTokens } from 'passport-powerfolder';

export interface TokenStoreFaults {
  /** Milliseconds that each answer takes at the most. */
  slow?: number;
  /** Of a hundred requests, how many end in a 500 although, for half of them, the write was made. */
  failing?: number;
  /** Of a hundred writes, how many are lost without a word. */
  losing?: number;
}

export interface TokenStore {
  url: string;
  tokens: Map<string, PowerFolderTokens>;
  counts: { load: number; save: number; failed: number; lost: number };
  close(): Promise<void>;
}

export async function startTokenStore({
  slow = 0,
  failing = 0,
  losing = 0,
}: TokenStoreFaults = {}): Promise<TokenStore> {
  const tokens = new Map<string, PowerFolderTokens>();
  const counts = { load: 0, save: 0, failed: 0, lost: 0 };
  /** Those who wait for a lock, and who has it at their head. */
  const locks = new Map<string, (() => void)[]>();
  const server = createServer(async (req, res) => {
    const [, what = '', id = ''] = (req.url ?? '').split('/');
    const body = await textOf(req);
    if (slow > 0) await pause(randomInt(slow + 1));
    if (what === 'lock') {
      const waiting = locks.get(id) ?? [];
      locks.set(id, waiting);
      waiting.push(() => res.end());
      if (waiting.length === 1) waiting[0]?.();
      return;
    }
    if (what === 'unlock') {
      const waiting = locks.get(id) ?? [];
      waiting.shift();
      waiting[0]?.();
      return void res.end();
    }
    const fails = randomInt(100) < failing;
    if (what === 'save') {
      counts.save++;
      const loses = randomInt(100) < losing;
      if (loses) counts.lost++;
      if (!loses && !(fails && randomInt(2) === 0)) tokens.set(id, JSON.parse(body));
    } else {
      counts.load++;
    }
    if (fails) {
      counts.failed++;
      res.statusCode = 500;
      return void res.end();
    }
    res.end(JSON.stringify(tokens.get(id) ?? null));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    tokens,
    counts,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function textOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req) text += chunk;
  return text;
}
