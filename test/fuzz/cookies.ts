/** Cookies of pending sign-ins, as they may come back from a browser, or from who would like to be one. */
import fc from 'fast-check';
import { Passport } from 'passport';
import { CookieStateStore, PowerFolderStrategy } from 'passport-powerfolder';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { startTestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { rawRequest } from '../support/raw-request.ts';
import { cookieSecret } from '../support/state-stores.ts';
import { changed, type FuzzProperty, holds, must, secretsIn, Tally, type TextChange } from './property.ts';

/** Whose cookies there are: of the sign-in that is answered, of others in the same application, and of other strategies. */
const owners = ['mine', 'another', 'other-secret', 'other-name', 'other-client'] as const;
type Owner = (typeof owners)[number];

interface Crumb {
  name: Owner;
  value: Owner | 'text';
  text: string;
  /** Parts of the value that are left of it. */
  from: number;
  to: number;
  /** Bits of its bytes that are turned. */
  flips: number[];
  changes: TextChange[];
  nameChanges: TextChange[];
  repeated: number;
}

const part = fc.double({ min: 0, max: 1, noNaN: true });
const changes = (inserted: string[]) =>
  fc.oneof(
    { weight: 1, arbitrary: fc.constant<TextChange[]>([]) },
    fc.array(fc.record({ at: part, remove: fc.nat(2), insert: fc.constantFrom(...inserted) }), { maxLength: 2 }),
  );
const crumb: fc.Arbitrary<Crumb> = fc.record({
  name: fc.oneof({ weight: 4, arbitrary: fc.constant<Owner>('mine') }, fc.constantFrom(...owners)),
  value: fc.oneof(
    { weight: 4, arbitrary: fc.constant<Owner>('mine') },
    fc.constantFrom<Crumb['value']>(...owners, 'text'),
  ),
  text: fc.oneof(fc.stringMatching(/^[!-:<-~]{0,80}$/), fc.constantFrom('A'.repeat(200), 'x'.repeat(12_000))),
  from: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, part),
  to: fc.oneof({ weight: 1, arbitrary: fc.constant(1) }, part),
  flips: fc.oneof({ weight: 1, arbitrary: fc.constant<number[]>([]) }, fc.array(part, { maxLength: 3 })),
  changes: changes(['', 'A', '-', '_', '=', '+', '/', '"', '%41', ' ', ',', '.', 'é']),
  nameChanges: changes(['', 'A', '__Host-', 'powerfolder-', ' ', '"']),
  repeated: fc.oneof({ weight: 6, arbitrary: fc.constant(1) }, fc.integer({ min: 2, max: 40 })),
});
/** Each is a Cookie header. */
const inputs = fc.array(fc.array(crumb, { maxLength: 4 }), { minLength: 1, maxLength: 10 });

type Cookies = Record<Owner, [name: string, value: string]>;

function headerOf(crumbs: Crumb[], cookies: Cookies): string {
  return crumbs
    .flatMap(({ name, value, text, from, to, flips, changes, nameChanges, repeated }) => {
      const whole = value === 'text' ? text : cookies[value][1];
      let content = whole.slice(Math.floor(from * whole.length), Math.ceil(to * whole.length));
      if (flips.length > 0) {
        const bytes = Buffer.from(content, 'base64url');
        for (const flip of flips) {
          const bit = Math.min(Math.floor(flip * bytes.length * 8), bytes.length * 8 - 1);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        }
        content = bytes.toString('base64url');
      }
      return Array(repeated).fill(`${changed(cookies[name][0], nameChanges)}=${changed(content, changes)}`);
    })
    .join('; ');
}

/** Whether the cookie of the sign-in is there: its name, and the bytes that were sealed, in base64url. */
function isThere(header: string, [name, value]: [string, string]): boolean {
  const sealed = Buffer.from(value, 'base64url');
  return header.split(';').some((pair) => {
    const [found = '', ...rest] = pair.split('=');
    const content = rest.join('=').trim();
    // Base64 has bits at its end that stand for nothing.
    return found.trim() === name && /^[\w-]+$/.test(content) && Buffer.from(content, 'base64url').equals(sealed);
  });
}

export const cookies: FuzzProperty = {
  name: 'cookies',
  says: 'the sealed cookie of a sign-in is accepted as it was set, once, and in no other form',
  few: 8,
  async start() {
    const server = await startPowerFolderServer();
    const { url: serverURL, clientID, clientSecret } = server;
    const store = new CookieStateStore({ secret: cookieSecret });
    const app = await startTestApp({
      options: { serverURL, clientID, clientSecret, store },
      sessions: false,
      routes: (host, main) => {
        const { callbackURL } = (main as unknown as { _settings: { callbackURL: string } })._settings;
        const options = { serverURL, clientID, clientSecret, store, callbackURL };
        const others = {
          'other-secret': {
            ...options,
            store: new CookieStateStore({ secret: 'another secret, which is for tests, too' }),
          },
          'other-name': options,
          'other-client': { ...options, clientID: 'other' },
        };
        for (const [other, its] of Object.entries(others)) {
          const strategy = new PowerFolderStrategy(its, () => false);
          if (other === 'other-name') strategy.name = 'powerfolder-2';
          host.get(`/auth/${other}`, new Passport().use(other, strategy).authenticate(other));
        }
      },
    });
    const tally = new Tally();

    async function begin(path: string): Promise<{ state: string; cookie: [string, string] }> {
      const browser = new Browser();
      const page = await browser.stay(`${app.url}${path}`);
      const [, name = '', value = ''] = /^([^=]+)=(.*)$/.exec(browser.cookies(app.url)) ?? [];
      return {
        state: new URL(String(page.headers['location'])).searchParams.get('state') ?? '',
        cookie: [name, value],
      };
    }

    /** The code of the failure; `invalid_grant` where the state was accepted, as the code is made up. */
    async function answer(header: string, state: string): Promise<{ status: number; code: string; text: string }> {
      const lines = [`GET /oauth/code=made-up&state=${state} HTTP/1.1`, 'Host: x', `Cookie: ${header}`];
      const { status, text } = await rawRequest(app.url, lines);
      const json = /^\{.*\}$/s.exec(text.slice(text.indexOf('\r\n\r\n') + 4))?.[0] ?? '{}';
      return { status, code: JSON.parse(json).failure?.code, text };
    }

    const property = holds(inputs, async (headers) => {
      const mine = await begin('/auth/powerfolder');
      const others: [string, { cookie: [string, string] }][] = [
        ['mine', mine],
        ['another', await begin('/auth/powerfolder')],
      ];
      for (const other of owners.slice(2)) others.push([other, await begin(`/auth/${other}`)]);
      const all = Object.fromEntries(others.map(([owner, { cookie }]) => [owner, cookie])) as Cookies;
      let used = false;
      const unmodified = mine.cookie.join('=');
      for (const header of [...headers.map((crumbs) => headerOf(crumbs, all)), unmodified, unmodified]) {
        const { status, code, text } = await answer(header, mine.state);
        tally.add(code ?? `status ${status}`);
        const seen = { header, cookie: mine.cookie, state: mine.state, status, code };
        must(
          secretsIn(text, { cookieSecret, clientSecret, state: mine.state }).length === 0,
          'A secret is in it',
          seen,
        );
        // Node takes no more than 16 KiB of headers, and no other characters in them.
        if (status === 431 || (status === 400 && code === undefined)) continue;
        const there = isThere(header, mine.cookie);
        const right = used ? ['state_used'] : there ? ['invalid_grant'] : ['session_missing', 'state_unknown'];
        must(right.includes(code), `It is not ${right.join(' or ')}`, seen);
        must(status === (code === 'invalid_grant' ? 401 : 403), 'Its status is another', seen);
        used ||= there;
      }
      must(used, 'The cookie was never accepted', mine);
    });
    const close = () => Promise.all([app.close(), server.close()]);
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};
