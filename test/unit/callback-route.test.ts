import express5 from 'express';
import request from 'supertest';
import { callbackRoute, callbackTest } from '../../lib/callback-route.ts';
import { expressVersions } from '../support/app.ts';

describe('callbackRoute', () => {
  it.each([
    ['/oauth', true],
    ['/oauth/', true],
    ['/oauth?code=x', true],
    ['/oauth/code=x&state=y', true],
    ['/oauth/code=a/b&state=y', true],
    ['/OAuth', true],
    ['/oauthx', false],
    ['/x/oauth', false],
    ['/', false],
  ])('%s: %s', (path, expected) => {
    expect(callbackRoute('/oauth').test(path)).toBe(expected);
    expect(callbackRoute().test(path)).toBe(expected);
  });

  it('takes the path to the letter', () => {
    expect(callbackRoute('/a.b/(c)/').test('/a.b/(c)/code=x')).toBe(true);
    expect(callbackRoute('/a.b').test('/aXb')).toBe(false);
  });

  it('has no captures, of which Express would make parameters', () => {
    expect(callbackRoute('/oauth').exec('/oauth/code=x')).toHaveLength(1);
  });

  it('minds no slashes at the end of the path', () => {
    for (const path of ['/oauth/', '/oauth//']) expect(callbackRoute(path).source).toBe(callbackRoute('/oauth').source);
  });

  it.each(['', 'oauth', 'x/oauth', '/', '//', '/oauth?x', '/oauth#x', 7, new String('/oauth')])(
    'refuses %p, saying what it takes',
    (path) => {
      expect(() => callbackRoute(path as string)).toThrow(
        new TypeError("callbackRoute takes the path of the callback URL, such as callbackRoute('/oauth')"),
      );
    },
  );

  it.each(expressVersions)('serves as a route in %s, malformed escapes included', async (_, express) => {
    const app = express();
    app.get(callbackRoute('/oauth'), (req, res) => {
      res.send(req.originalUrl);
    });
    for (const path of ['/oauth', '/oauth/', '/oauth/code=%&state=1', '/oauth/code=a/b&state=1?x=%ff']) {
      const { status, text } = await request(app).get(path);
      expect([status, text]).toEqual([200, path]);
    }
    expect((await request(app).get('/oauthx')).status).toBe(404);
  });
});

describe('callbackTest', () => {
  it.each([
    ['/oauth', true],
    ['/oauth/', true],
    ['/oauth?x=1', true],
    ['/OAUTH/foo', true],
    ['/auth/powerfolder', false],
    ['/oauthx', false],
    ['/oauth#x', true],
    ['http://app.example/oauth', true],
    ['HTTPS://app.example:8443/oauth/x', true],
    ['x-1+2.3://app.example/oauth', true],
    ['http://app.example?/oauth', false],
    ['http://oauth', false],
    ['1http://app.example/oauth', false],
    ['/x/http://app.example/oauth', false],
  ])('R17: %s: %s', (originalUrl, expected) => {
    for (const path of ['/oauth', '/oauth/', '/oauth//']) expect(callbackTest(path)({ originalUrl })).toBe(expected);
  });

  it.each([undefined, null, '/elsewhere', 7, /^\/elsewhere/, {}])(
    'R17: takes no other route for its own: %p',
    (path) => {
      expect(callbackTest('/oauth')({ originalUrl: '/elsewhere', route: { path } })).toBe(false);
    },
  );

  it('R17: knows its route behind a proxy that cuts the path', async () => {
    const isCallback = callbackTest('/public/oauth');
    const app = express5();
    app.get(callbackRoute('/oauth'), (req, res) => {
      res.json(isCallback(req));
    });
    app.get('/other', (req, res) => {
      res.json(isCallback(req));
    });
    expect((await request(app).get('/oauth')).body).toBe(true);
    expect((await request(app).get('/other')).body).toBe(false);
  });
});
