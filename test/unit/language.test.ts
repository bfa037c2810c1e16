import type { Request } from 'express';
import { PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { startPowerFolderServer } from 'passport-powerfolder/testing';
import { failure } from '../../lib/failures.ts';
import { startTestApp } from '../support/app.ts';
import { Browser } from '../support/browser.ts';

const required = {
  serverURL: 'https://pf.example',
  clientID: 'client',
  clientSecret: 'secret',
  callbackURL: 'https://app.example/oauth',
};

async function signInWith(options: Partial<PowerFolderStrategyOptions>, path: string, headers = {}) {
  const server = await startPowerFolderServer({ autoApprove: 'ada' });
  const { url: serverURL, clientID, clientSecret } = server;
  const app = await startTestApp({
    options: { serverURL, clientID, clientSecret, ...options },
    verify: ({ refuse }) => refuse('Nur für Personal.'),
  });
  const page = await new Browser(headers).visit(app.url + path);
  await app.close();
  await server.close();
  return page;
}

const failureOf = async (options: Partial<PowerFolderStrategyOptions>, headers?: object) =>
  JSON.parse((await signInWith(options, '/oauth/code=x&state=y', headers)).text).failure;

const unknown = {
  en: { code: 'session_missing', message: expect.stringMatching(/^Your browser sent no session/) },
  de: {
    code: 'session_missing',
    message: expect.stringMatching(/^Ihr Browser hat .* keine Sitzung übermittelt\. Bitte/),
  },
};

describe('language', () => {
  it('is English by default, and German where it is asked for', async () => {
    expect(await failureOf({})).toEqual(unknown.en);
    expect(await failureOf({ language: 'en' })).toEqual(unknown.en);
    expect(await failureOf({ language: 'de' })).toEqual(unknown.de);
  });

  it.each<[string, (req: Request) => unknown, keyof typeof unknown]>([
    ['what the browser prefers', (req) => req.acceptsLanguages('en', 'de'), 'de'],
    ['de', () => 'de', 'de'],
    ['DE-at', () => 'DE-at', 'de'],
    ['a promise of de', async () => 'de-CH', 'de'],
    ['another language', () => 'fr', 'en'],
    ['one that only begins alike', () => 'den', 'en'],
    ['false, where nothing fits', () => false, 'en'],
    ['nothing', () => undefined, 'en'],
    ['an object', () => ({ language: 'de' }), 'en'],
  ])('is what a function gives of each request: %s', async (_, language, expected) => {
    expect(await failureOf({ language }, { 'Accept-Language': 'de-DE,de;q=0.9,en;q=0.8' })).toEqual(unknown[expected]);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new TypeError('of the application');
      },
    ],
    ['rejects', () => Promise.reject(new TypeError('of the application'))],
  ])('that %s is an error of the application', async (_, language) => {
    const page = await signInWith({ language }, '/oauth/code=x&state=y');
    expect([page.status, JSON.parse(page.text).error.message]).toEqual([500, 'of the application']);
  });

  it.each(['fr', 'de-DE', 'DE', '', null, true, {}])('is refused: %p', (language) => {
    const options = { ...required, language: language as never };
    expect(() => new PowerFolderStrategy(options, () => false)).toThrow(/^language must be 'en', 'de', or a function/);
  });

  it("leaves the application's sentences alone", async () => {
    const page = await signInWith({ language: 'de' }, '/auth/powerfolder');
    expect([page.status, JSON.parse(page.text).failure]).toEqual([
      401,
      { code: 'verify_refused', message: 'Nur für Personal.' },
    ]);
  });

  it('addresses nobody as du, and asks politely', () => {
    const codes = ['access_denied', 'invalid_grant', 'invalid_callback', 'state_unknown', 'state_used'] as const;
    for (const { message } of codes.map((code) => failure(code, 'de'))) {
      expect(message).not.toMatch(/\b(du|dich|dir|dein\w*|Login|einloggen)\b/);
      expect(message).toMatch(/^[A-ZÄÖÜ].*\.$/);
    }
  });
});

describe("the page of authorizationMethod 'POST'", () => {
  const page = (options: Partial<PowerFolderStrategyOptions>) =>
    signInWith({ authorizationMethod: 'POST', ...options }, '/auth/powerfolder');

  it('is in the language of the visitor', async () => {
    expect((await page({})).text).toMatch(/<html lang="en">[\s\S]*<button>Continue to PowerFolder<\/button>/);
    const { text } = await page({ language: 'de' });
    expect(text).toMatch(/<html lang="de">[\s\S]*<title>Weiter zu PowerFolder<\/title>/);
    expect(text).toContain('<p>Sie melden sich bei Ihrem PowerFolder-Server an und kehren dann hierher zurück.</p>');
  });

  it('says what the application has it say, escaped, and for the rest what we say', async () => {
    const authorizationPage = { de: { title: 'Weiter zur <FAUbox> & "mehr"', button: 'Weiter' }, en: {} };
    const { text } = await page({ language: 'de', authorizationPage });
    expect(text).toContain('<h1>Weiter zur &#60;FAUbox&#62; &#38; &#34;mehr&#34;</h1>');
    expect(text).toContain('<button>Weiter</button>');
    expect(text).toContain('<p>Sie melden sich bei Ihrem PowerFolder-Server an');
    expect((await page({ authorizationPage })).text).toContain('<h1>Continue to PowerFolder</h1>');
  });

  it.each<[unknown, RegExp]>([
    ['Weiter', /^authorizationPage must be an object/],
    [{ fr: {} }, /^There is no option authorizationPage\.fr; .*authorizationPage\.en, authorizationPage\.de/],
    [{ de: 'Weiter' }, /^authorizationPage\.de must be an object/],
    [{ de: { heading: 'Weiter' } }, /^There is no option authorizationPage\.de\.heading/],
    [{ de: { title: '' } }, /^authorizationPage\.de\.title must be a text/],
    [{ de: { button: 7 } }, /^authorizationPage\.de\.button must be a text/],
  ])('is refused with the texts %j', (authorizationPage, message) => {
    const options = { ...required, authorizationPage: authorizationPage as never };
    expect(() => new PowerFolderStrategy(options, () => false)).toThrow(message);
  });
});
