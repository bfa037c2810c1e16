/** Sign-outs and refreshes that cross other requests of the same session, in one instance or in two. */
import { setTimeout as pause } from 'node:timers/promises';
import type { PowerFolderServer } from 'passport-powerfolder/testing';
import type { Page } from './browser.ts';
import type { Relay } from './relay.ts';
import { type Account, cookiesAfter, Visitor } from './visitor.ts';

export interface Surroundings {
  powerFolder: PowerFolderServer;
  /** What the app takes for PowerFolder. */
  relay: Relay;
  /** URLs of the app's instances. */
  instances: string[];
  accounts: Account[];
  seed: number;
  random: () => number;
}

/** Something that a tab does. It is prepared first; what is given back does it at the moment of the race. */
type Rival = (visitor: Visitor, instance: string) => Promise<(tab: Visitor, instance: string) => Promise<Page[]>>;

const forged = () => `/oauth/code=${'0'.repeat(32)}&state=${'A'.repeat(32)}`;

const rivals: [string, Rival][] = [
  [
    'a callback with a forged state',
    async () => async (tab, instance) => [await tab.browser.stay(instance + forged())],
  ],
  [
    'a callback whose code the server refuses',
    async (visitor, instance) => {
      const response = (await visitor.beginSignIn(instance)).replace(/code=[^&]*/, `code=${'0'.repeat(32)}`);
      return async (tab, instance) => [await tab.browser.stay(instance + response)];
    },
  ],
  [
    'a callback that says that access was declined',
    async (visitor, instance) => {
      const response = (await visitor.beginSignIn(instance)).replace(/code=[^&]*/, 'error=access_denied');
      return async (tab, instance) => [await tab.browser.stay(instance + response)];
    },
  ],
  [
    'a callback that succeeds',
    async (visitor, instance) => {
      const response = await visitor.beginSignIn(instance);
      return async (tab, instance) => [await tab.browser.stay(instance + response)];
    },
  ],
  [
    'beginnings in a row',
    async () => async (tab, instance) => {
      const pages: Page[] = [];
      for (let i = 0; i < 4; i++) pages.push(await tab.browser.stay(`${instance}/auth/powerfolder`));
      return pages;
    },
  ],
  [
    'a page that refreshes tokens',
    async () => async (tab, instance) => [await tab.browser.stay(`${instance}/folders`)],
  ],
];

/** @param races How many of each kind. */
export function raceTests(surroundings: () => Surroundings, races: number): void {
  const pick = <T>(choices: T[]): T => {
    const { random } = surroundings();
    return choices[Math.floor(random() * choices.length)] as T;
  };
  const coin = () => pick([true, false]);
  /** Two different ones, or twice the same, half of the time each. */
  const pickTwo = (): [string, string] => {
    const { instances } = surroundings();
    const first = pick(instances);
    return [first, coin() ? first : (instances.find((each) => each !== first) ?? first)];
  };
  const everywhere = () => surroundings().instances;

  /** Where any of these cookies is good for /account. */
  async function opened(visitor: Visitor, cookies: [name: string, header: string][]): Promise<string[]> {
    const found: string[] = [];
    // The first name of those that are the same.
    const names = new Map(cookies.toReversed().map(([name, header]) => [header, name]));
    for (const [header, name] of names) {
      for (const [i, instance] of everywhere().entries()) {
        const id = await visitor.copy(header).signedInAs(instance);
        if (id !== undefined) found.push(`${name} opens /account of ${id} at instance ${i}`);
      }
    }
    return found;
  }

  /** The cookies that were there, and those that came. */
  const cookiesLeft = (visitor: Visitor, before: string, answers: Page[]): [string, string][] => [
    ['the old cookie', before],
    ...answers.map((answer): [string, string] => [
      `the cookie of the answer of ${new URL(answer.url).pathname.replace(/^(\/oauth\/).*/, '$1')}`,
      cookiesAfter(before, answer),
    ]),
    ['the browser', visitor.cookies],
  ];

  async function signInAnew(visitor: Visitor): Promise<string[]> {
    try {
      await visitor.signIn(pick(everywhere()));
      for (const instance of everywhere()) {
        const id = await visitor.signedInAs(instance);
        if (id !== visitor.account.ID) return [`signing in again makes ${id} of ${visitor.account.ID}`];
      }
      return [];
    } catch (error) {
      return [`signing in again fails: ${error}`];
    }
  }

  const failed = (answers: Page[]) =>
    answers.filter(({ status }) => status >= 500).map(({ url, status }) => `${url} answers ${status}`);

  /** Several visitors at a time: all prepare, all race, all look what came of it. */
  async function raceAll(
    race: (visitor: Visitor) => Promise<() => Promise<() => Promise<string[]>>>,
    beforeStart = () => {},
  ): Promise<{ lost: number; examples: string[] }> {
    const visitors = surroundings()
      .accounts.slice(0, races)
      .map((account) => new Visitor(account));
    await Promise.all(visitors.map((visitor) => visitor.signIn(pick(everywhere()))));
    const examples: string[] = [];
    let lost = 0;
    for (let done = 0; done < races; done += visitors.length) {
      const some = visitors.slice(0, races - done);
      const starts = await Promise.all(some.map(race));
      beforeStart();
      const looks = await Promise.all(starts.map((start) => start()));
      for (const problems of await Promise.all(looks.map((look) => look()))) {
        if (problems.length === 0) continue;
        lost++;
        if (examples.length < 5) examples.push(problems.join('; '));
      }
    }
    return { lost, examples };
  }

  function expectNone(what: string, { lost, examples }: { lost: number; examples: string[] }): void {
    const { seed } = surroundings();
    process.stderr.write(`${lost} of ${races} undone: ${what}\n`);
    expect({ lost, examples, seed }).toEqual({ lost: 0, examples: [], seed });
  }

  describe('a sign-out is final', () => {
    it.each(rivals)(`R65: at the same moment as %s, ${races} times`, async (what, rival) => {
      const { powerFolder } = surroundings();
      const race = async (visitor: Visitor) => {
        const run = await rival(visitor, pick(everywhere()));
        return async () => {
          const before = visitor.cookies;
          const [here, there] = pickTwo();
          // Both at the same moment, or the second when the first has got somewhere.
          const outFirst = coin();
          const later = coin() ? 0 : surroundings().random() * 60;
          // A tab takes up the cookies that come while it is at it, or has sent what it has with the old ones.
          const tab = coin() || (later > 0 && !outFirst) ? visitor : visitor.copy();
          const both = [() => run(tab, here), async () => [await visitor.signOut(there)]];
          if (outFirst) both.reverse();
          const begun = both.map(async (each, i) => {
            if (i === 1 && later > 0) await pause(later);
            return await each();
          });
          const answers = (await Promise.all(begun)).flat();
          return async () => {
            const how = `${outFirst ? 'sign-out first' : 'sign-out second'}, ${here === there ? 'one instance' : 'two instances'}`;
            const problems = failed(answers);
            const left = answers.find(({ url }) => url.endsWith('/logout'));
            if (left?.status !== 303) problems.push(`sign-out answers ${left?.status}`);
            problems.push(
              ...(await opened(visitor, [...cookiesLeft(visitor, before, answers), ['the tab', tab.cookies]])),
            );
            problems.push(...(await signInAnew(visitor)));
            return problems.map((problem) => `${how}: ${problem}`);
          };
        };
      };
      // So that whoever asks PowerFolder for something has to refresh first.
      expectNone(what, await raceAll(race, () => powerFolder.expireTokens()));
    });

    /** Requests that wait for PowerFolder, with what they ask it for just then. */
    const waiting: [string, Rival, RegExp][] = [
      ...rivals
        .filter(([what]) => /refuses|succeeds/.test(what))
        .map(([what, rival]): [string, Rival, RegExp] => [what, rival, /^POST \/oauth\/token/]),
      ...rivals
        .filter(([what]) => /refreshes/.test(what))
        .flatMap(([what, rival]): [string, Rival, RegExp][] => [
          [`${what}, while it does`, rival, /^POST \/oauth\/token/],
          [`${what}, before it does`, rival, /^PROPFIND /],
        ]),
    ];
    it.each(waiting)('R65: in the middle of %s', async (_, rival, pattern) => {
      const { accounts, powerFolder, relay } = surroundings();
      const found: string[] = [];
      for (const there of everywhere()) {
        for (const here of everywhere()) {
          const visitor = new Visitor(accounts[0] as Account);
          await visitor.signIn(here);
          const run = await rival(visitor, here);
          powerFolder.expireTokens();
          const before = visitor.cookies;
          const held = relay.holdNext(pattern);
          const answers = run(visitor.copy(), here);
          await held.answered;
          const left = await visitor.signOut(there);
          expect(left.status).toBe(303);
          found.push(...(await opened(visitor, cookiesLeft(visitor, before, [left]))));
          held.release();
          const all = [left, ...(await answers)];
          found.push(...failed(all), ...(await opened(visitor, cookiesLeft(visitor, before, all))));
          found.push(...(await signInAnew(visitor)));
        }
      }
      expect(found).toEqual([]);
    });

    it('R65: for a sign-in that was pending, too', async () => {
      const visitor = new Visitor(surroundings().accounts[0] as Account);
      const [here, there] = [everywhere()[0] as string, everywhere().at(-1) as string];
      await visitor.signIn(here);
      const [first, second] = [await visitor.beginSignIn(here), await visitor.beginSignIn(there)];
      const before = visitor.cookies;
      expect((await visitor.signOut(there)).status).toBe(303);
      const after = visitor.cookies;

      const answers: Page[] = [];
      for (const [cookies, response] of [
        [after, first],
        [before, second],
      ] as const) {
        const tab = visitor.copy(cookies);
        answers.push(await tab.browser.stay(here + response));
        expect(await opened(visitor, [['the tab', tab.cookies]])).toEqual([]);
      }
      expect(answers.map(({ status }) => status)).toEqual([403, 403]);
      expect(await signInAnew(visitor)).toEqual([]);
    });
  });

  describe('a session', () => {
    it('R34: has a new cookie after each sign-in, and the old ones are dead', async () => {
      const visitor = new Visitor(surroundings().accounts[0] as Account);
      const seen: string[] = [];
      for (let i = 0; i < 3; i++) {
        const [here, there] = pickTwo();
        const response = await visitor.beginSignIn(here);
        seen.push(visitor.cookies);
        expect((await visitor.browser.stay(there + response)).status).toBe(302);
        expect(seen).not.toContain(visitor.cookies);
        expect(await visitor.signedInAs(here)).toBe(visitor.account.ID);
        expect(
          await opened(
            visitor,
            seen.map((each) => ['an old cookie', each]),
          ),
        ).toEqual([]);
      }
    });
  });

  describe('refreshed tokens', () => {
    it.each(rivals.filter(([what]) => !/forged|declined|succeeds/.test(what)))(
      `R65: stay the newest: on two pages at once, beside %s, ${races} times`,
      async (what, rival) => {
        const { powerFolder } = surroundings();
        const race = async (visitor: Visitor) => {
          const run = await rival(visitor, pick(everywhere()));
          return async () => {
            const [here, there] = pickTwo();
            const folders = async () => [await visitor.browser.stay(`${here}/folders`)];
            const all = [folders, () => run(visitor, there), folders];
            if (coin()) all.reverse();
            const answers = (await Promise.all(all.map((each) => each()))).flat();
            return async () => {
              const problems = failed(answers);
              answers.push(await visitor.browser.stay(`${pick(everywhere())}/folders`));
              for (const [i, { url, status }] of answers.entries()) {
                if (url.endsWith('/folders') && status !== 200) problems.push(`/folders (${i}) answers ${status}`);
              }
              if (problems.length > 0) {
                visitor.browser = visitor.copy('').browser;
                problems.push(...(await signInAnew(visitor)));
              }
              return problems;
            };
          };
        };
        expectNone(`tokens, beside ${what}`, await raceAll(race, () => powerFolder.expireTokens()));
      },
    );

    it('R65: are not put back by a request that had loaded the session before', async () => {
      const { accounts, powerFolder, relay } = surroundings();
      const statuses: number[][] = [];
      for (const there of everywhere()) {
        for (const here of everywhere()) {
          const visitor = new Visitor(accounts[0] as Account);
          await visitor.signIn(here);
          // This callback has loaded the session, has changed it, and waits for PowerFolder.
          const response = (await visitor.beginSignIn(here)).replace(/code=[^&]*/, `code=${'0'.repeat(32)}`);
          const held = relay.holdNext(/^POST \/oauth\/token/);
          const callback = visitor.browser.stay(here + response);
          await held.answered;
          powerFolder.expireTokens();
          const refreshed = await visitor.browser.stay(`${there}/folders`);
          held.release();
          await callback;
          const after = await Promise.all([here, there].map((each) => visitor.browser.stay(`${each}/folders`)));
          statuses.push([refreshed, ...after].map(({ status }) => status));
        }
      }
      expect(statuses).toEqual(statuses.map(() => [200, 200, 200]));
    });
  });
}
