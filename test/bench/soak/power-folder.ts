/** The simulated server, a process of its own, which goes wrong as it is told. */
import { setTimeout as pause } from 'node:timers/promises';
import { type PowerFolderEndpoint, type PowerFolderFault, startPowerFolderServer } from '../../../lib/testing/index.ts';
import { bodyFaults, profileFaults, redirectFaults, tokenFaults, wireFaults } from '../../support/faults.ts';
import { measure } from './measure.ts';

/** What it says first. */
export interface PowerFolder {
  url: string;
  clientID: string;
  clientSecret: string;
  /** What can go wrong, and the code that has to come of it. An order is `{ fail: index }`. */
  faults: { endpoint: PowerFolderEndpoint; name: string; code: string }[];
}

type Order = { fail: number } | 'measure' | 'away' | 'back';

const slow = {
  name: 'a slow answer, in time',
  fault: { drip: { everyMs: 5, bytes: 64 } } as PowerFolderFault,
  code: 'signed in',
};
const common = [...wireFaults, ...bodyFaults, ...redirectFaults('/elsewhere'), slow];
const faults = [
  ...[...common, ...tokenFaults].map((row) => ({ endpoint: 'token' as const, ...row })),
  ...[...common, ...profileFaults].map((row) => ({ endpoint: 'accounts' as const, ...row })),
];

async function main(): Promise<void> {
  const settings = { autoApprove: 'ada' };
  let server = await startPowerFolderServer(settings);
  const { url, clientID, clientSecret } = server;
  const same = { ...settings, port: Number(new URL(url).port), clients: [{ id: clientID, secret: clientSecret }] };

  async function comeBack(): Promise<void> {
    // Meanwhile a connection of somebody's may have the port.
    for (let tries = 0; tries < 100; tries++) {
      try {
        server = await startPowerFolderServer(same);
        return;
      } catch {
        await pause(100);
      }
    }
    throw new Error(`${url} is taken`);
  }

  async function obey(order: Order): Promise<unknown> {
    if (order === 'measure') return measure();
    if (order === 'away') await server.close();
    else if (order === 'back') await comeBack();
    else {
      const row = faults[order.fail];
      if (row) server.failNext(row.endpoint, row.fault);
    }
    return 'done';
  }

  process.on('message', (order: Order) => void obey(order).then((answer) => process.send?.(answer)));
  process.on('disconnect', () => process.exit());
  const rows = faults.map(({ endpoint, name, code }) => ({ endpoint, name, code }));
  process.send?.({ url, clientID, clientSecret, faults: rows } satisfies PowerFolder);
}

void main();
