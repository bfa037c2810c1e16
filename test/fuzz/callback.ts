/** Authorization responses: whatever comes to the callback of an application. */
import fc from 'fast-check';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { expressVersions, startTestApp, type TestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';
import { rawRequest } from '../support/raw-request.ts';
import { placesToWait } from '../support/state-stores.ts';
import { changed, type FuzzProperty, holds, must, secretsIn, Tally, type TextChange, textChange } from './property.ts';

/** A value, which may be one of the sign-in that waits. */
type Value = { of: 'code' | 'state' | 'other state' | 'text'; text: string; escaped: number[] };
interface Parameter {
  name: string;
  value: Value;
  equals: boolean;
  joint: string;
}

interface Hostile {
  base: string;
  begins: string;
  parameters: Parameter[];
  changes: TextChange[];
  method: string;
}

/** The right answer, written otherwise. */
interface Harmless {
  base: string;
  form: 'path' | 'query' | 'code in the path' | 'state in the path';
  stateFirst: boolean;
  escaped: number[];
  before: string[];
  after: string[];
}

interface Visit {
  app: number;
  hostile: Hostile[];
  harmless: Harmless;
}

const names = ['code', 'state', 'error', 'error_description', 'error_uri'];
const oddNames = ['Code', 'code[]', 'state[a]', '%63ode', 'stat%65', '__proto__', 'constructor', 'x', '', 'scope'];
const odd = fc.oneof(
  fc.constantFrom('', '%', '%4', '%zz', '%ff', '%c0%af', '%00', '%0d%0aSet-Cookie:a=b', '%u0041', '%ed%a0%80', '%2500'),
  fc.constantFrom(
    'access_denied',
    'server_error',
    'invalid_request',
    'EVIL',
    'true',
    '[object Object]',
    '../..',
    '%2F',
  ),
  fc.string({ unit: 'grapheme', maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '')),
  fc.string({ unit: 'binary', maxLength: 6 }).map((text) => encodeURIComponent(text)),
  fc.constantFrom('f'.repeat(32), 'a'.repeat(513), 'b'.repeat(5000)),
);
const escapes = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 });
const value: fc.Arbitrary<Value> = fc.record({
  of: fc.constantFrom<Value['of']>('code', 'state', 'other state', 'text', 'text'),
  text: odd,
  escaped: escapes,
});
const own = (of: Value['of'], name: string): fc.Arbitrary<Parameter> =>
  fc.record({
    name: fc.constant(name),
    value: fc.record({ of: fc.constant(of), text: fc.constant(''), escaped: escapes }),
    equals: fc.constant(true),
    joint: fc.constant('&'),
  });
const parameter: fc.Arbitrary<Parameter> = fc.oneof(
  own('code', 'code'),
  own('state', 'state'),
  own('state', 'state'),
  fc.record({
    name: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...names) }, fc.constantFrom(...oddNames)),
    value,
    equals: fc.oneof({ weight: 9, arbitrary: fc.constant(true) }, fc.constant(false)),
    joint: fc.oneof({ weight: 6, arbitrary: fc.constant('&') }, fc.constantFrom(';', '/', '?', '&&', '#', '%26', '')),
  }),
);
const change = textChange(
  3,
  '',
  '%',
  '&',
  '=',
  '/',
  '?',
  '#',
  '+',
  '\t',
  ' ',
  '\0',
  'ü',
  '\u{1f600}',
  '%25',
  '\\',
  '//',
  '..',
);
const hostile: fc.Arbitrary<Hostile> = fc.record({
  base: fc.constantFrom(
    '/oauth',
    '/oauth',
    '/oauth',
    '/OAuth',
    '/oauth/',
    '//oauth',
    '/oauth/x',
    'http://a.example/oauth',
  ),
  begins: fc.constantFrom('/', '/', '/', '?', '?', '?', '/?', '', '#', '/x?'),
  parameters: fc.array(parameter, { maxLength: 6 }),
  changes: fc.oneof({ weight: 2, arbitrary: fc.constant<TextChange[]>([]) }, fc.array(change, { maxLength: 3 })),
  method: fc.oneof({ weight: 12, arbitrary: fc.constant('GET') }, fc.constantFrom('HEAD', 'POST', 'PUT', 'OPTIONS')),
});

/** Parameters that are nobody's, in the characters that end none. */
const others = fc.array(fc.stringMatching(/^[a-z]{1,3}x(?:=(?:[\w.~!$'()*+,:@-]|%[0-9a-f]{2}){0,12})?$/), {
  maxLength: 3,
});
const harmless: fc.Arbitrary<Harmless> = fc.record({
  base: fc.constantFrom('/oauth', '/oauth', '/OAUTH', '/oauth/', '/oauth/x'),
  form: fc.constantFrom<Harmless['form']>('path', 'query', 'code in the path', 'state in the path'),
  stateFirst: fc.boolean(),
  escaped: escapes,
  before: others,
  after: others,
});

const visits: fc.Arbitrary<Visit> = fc.record({
  app: fc.nat(3),
  hostile: fc.array(hostile, { maxLength: 8 }),
  harmless,
});

/** Percent signs for some of the characters. */
function escaped(text: string, places: number[]): string {
  const at = new Set(places.map((place) => Math.floor(place * text.length)));
  return [...text]
    .map((character, index) => (at.has(index) ? `%${character.charCodeAt(0).toString(16)}` : character))
    .join('');
}

interface Pending {
  code: string;
  state: string;
  otherState: string;
}

function hostileTarget({ base, begins, parameters, changes }: Hostile, pending: Pending): string {
  const texts = { code: pending.code, state: pending.state, 'other state': pending.otherState };
  const written = parameters.map(({ name, value: { of, text, escaped: places }, equals, joint }, index) => {
    // What a description repeats of the visitor's own address is no secret to the visitor.
    const content = of === 'text' || (of === 'code' && name.startsWith('error')) ? text : escaped(texts[of], places);
    return `${index > 0 ? joint : ''}${name}${equals ? '=' : ''}${content}`;
  });
  const target = changed(base + begins + written.join(''), changes).replace(/[\r\n]/g, '');
  return target.startsWith('/') || target.startsWith('http') ? target : `/${target}`;
}

function harmlessTarget(
  { base, form, stateFirst, escaped: places, before, after }: Harmless,
  pending: Pending,
): string {
  const code = `code=${escaped(pending.code, places)}`;
  const state = `state=${escaped(pending.state, places)}`;
  const path = base.replace(/\/$/, '');
  if (form === 'code in the path') return `${path}/${[code, ...after].join('&')}?${[...before, state].join('&')}`;
  if (form === 'state in the path') return `${path}/${[state, ...after].join('&')}?${[...before, code].join('&')}`;
  const both = stateFirst ? [state, ...before, code, ...after] : [code, ...before, state, ...after];
  return form === 'path' ? `${path}/${both.join('&')}` : `${path}?${[...before, ...both].join('&')}`;
}

/** What a target holds, read in a way of its own, and more of it than the strategy may believe. */
function valuesIn(target: string, name: string): string[] {
  const plain = (text: string) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text;
    }
  };
  const pairs = target.split(/[?&/]/).map((pair) => pair.split('='));
  return pairs.filter(([each = '']) => plain(each) === name).map(([, ...rest]) => plain(rest.join('=')));
}

interface Answered {
  status: number;
  head: string;
  body: string;
  json: { user?: unknown; failure?: { code?: string }; error?: { name?: string; code?: string } };
}

async function send(app: TestApp, method: string, target: string, cookie: string): Promise<Answered> {
  const { status, text } = await rawRequest(app.url, [`${method} ${target} HTTP/1.1`, 'Host: x', `Cookie: ${cookie}`]);
  const end = text.indexOf('\r\n\r\n');
  const body = text.slice(end + 4);
  return { status, head: text.slice(0, end), body, json: /^\{.*\}$/s.test(body) ? JSON.parse(body) : {} };
}

export const callback: FuzzProperty = {
  name: 'callback',
  says: 'an authorization response signs in with the state and the code of a sign-in that waits, and else is refused',
  few: 8,
  async start() {
    const server = await startPowerFolderServer({ autoApprove: 'ada' });
    const { url: serverURL, clientID, clientSecret } = server;
    const apps: TestApp[] = [];
    for (const [, express] of expressVersions) {
      for (const [, makeStore] of placesToWait) {
        const options = { serverURL, clientID, clientSecret, store: makeStore() };
        apps.push(await startTestApp({ express, options, verify: ({ profile }) => ({ id: profile.id }) }));
      }
    }
    const tally = new Tally();

    async function begin(browser: Browser, app: TestApp): Promise<string> {
      const page = await browser.stay(`${app.url}/auth/powerfolder`);
      return new URL(String(page.headers['location'])).searchParams.get('state') ?? '';
    }

    async function allowed(browser: Browser, app: TestApp, state: string): Promise<string> {
      const query = { state, response_type: 'code', redirect_uri: app.callbackURL, client_id: clientID };
      const page = await browser.stay(`${serverURL}/oauth/allow?${new URLSearchParams(query)}`);
      return /code=(\w+)/.exec(String(page.headers['location']))?.[1] ?? '';
    }

    async function tried(app: TestApp, pending: Pending, cookie: string, input: Hostile): Promise<void> {
      const target = hostileTarget(input, pending);
      app.errors.length = 0;
      const answer = await send(app, input.method, target, cookie);
      const { status, body, head, json } = answer;
      const seen = { target, ...answer, errors: app.errors };
      const [states, codes] = [valuesIn(target, 'state'), valuesIn(target, 'code')];
      const hasState = states.includes(pending.state) || states.includes(pending.otherState);
      tally.add(json.user ? 'signed in' : (json.failure?.code ?? json.error?.name ?? `status ${status}`));

      must(status >= 200 && status <= 599, 'It was not answered', seen);
      if (json.user) {
        const isRight = states.length === 1 && codes.length === 1 && hasState && codes[0] === pending.code;
        must(isRight && input.method === 'GET', 'It signed in', seen);
      }
      if (status >= 500) {
        const isKnown = /^(?:Token|Authorization)Error$/.test(json.error?.name ?? '') && json.error?.code;
        must(isKnown && hasState && [500, 502, 503].includes(status), 'It is an error of the server', seen);
      }
      // What Express itself says of an address that is not the callback's repeats it.
      if (status === 404) return;
      const { code, state } = pending;
      // A description is told, but for the state that came with it. What else it repeats is the visitor's own address.
      const told = ['error', 'error_description', 'error_uri'].flatMap((name) => valuesIn(target, name)).join(' ');
      const secrets = {
        clientSecret,
        ...((states.includes(state) || !told.includes(state)) && { state }),
        ...(!told.includes(code) && { code }),
      };
      must(secretsIn(body + head, secrets, 20).length === 0, 'A secret is in the answer', seen);
    }

    const property = holds(visits, async (visit) => {
      const app = apps[visit.app] as TestApp;
      const browser = new Browser();
      const otherState = await begin(browser, app);
      const state = await begin(browser, app);
      const pending = { state, otherState, code: await allowed(browser, app, state) };
      const cookie = browser.cookies(app.url);
      let mayBeSpent = false;
      for (const input of visit.hostile) {
        await tried(app, pending, cookie, input);
        const target = hostileTarget(input, pending);
        const plain = decodeURIComponent(target.replace(/%(?![\da-f]{2})|%[89a-f]./gi, ''));
        mayBeSpent ||= plain.includes(state) || plain.includes(pending.code);
      }
      if (mayBeSpent) return;
      const target = harmlessTarget(visit.harmless, pending);
      const answer = await send(app, 'GET', target, cookie);
      tally.add(answer.json.user ? 'the right answer signed in' : 'the right answer did not');
      must(answer.status === 200 && answer.json.user, 'The right answer did not sign in', { target, ...answer });
      const again = await send(app, 'GET', target, cookie);
      must(again.json.failure?.code === 'state_used', 'It was taken twice', { target, ...again });
    });
    const close = () => Promise.all([...apps.map((app) => app.close()), server.close()]);
    return { property, inputs: tally.inputs, ends: tally.ends, close };
  },
};
