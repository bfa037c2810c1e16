/** Pages for some of those who are signed in, as an application made of the example has them. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import express from 'express';
import { useLanguage } from '../../example-app/language.ts';
import { requireSignIn } from '../../example-app/sign-in.ts';
import { Browser } from '../support/browser.ts';

let server: Server;
let url: string;
beforeAll(async () => {
  const app = express();
  app.set('views', join(__dirname, '../../example-app/views')).set('view engine', 'ejs');
  Object.assign(app.locals, { base: '', appName: 'Test' });
  app.use(useLanguage({ basePath: '' }), (req, _res, next) => {
    const role = req.get('X-Role');
    if (role) req.user = { id: '1', role } as Express.User;
    next();
  });
  const admins = requireSignIn('', (user) => (user as { role?: string }).role === 'admin');
  app.get('/admin', admins, (_req, res) => res.send('secret'));
  server = createServer(app).listen(0, 'localhost');
  await once(server, 'listening');
  url = `http://localhost:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());

const visit = (headers: Record<string, string>) => new Browser().stay(`${url}/admin`, { headers });

it('let them pass', async () => {
  const page = await visit({ 'X-Role': 'admin' });
  expect([page.status, page.text]).toEqual([200, 'secret']);
});

it('tell others that they may not, in their language, and are not shown', async () => {
  for (const [language, words] of [
    ['en', 'This is not for you.'],
    ['de', 'Diese Seite ist nicht für Sie.'],
  ] as const) {
    const page = await visit({ 'X-Role': 'member', 'Accept-Language': language });
    expect([page.status, page.text.includes(words), page.text.includes('secret')]).toEqual([403, true, false]);
  }
});

it('have those sign in who are not signed in', async () => {
  const page = await visit({});
  expect([page.status, page.headers['location']]).toEqual([302, '/auth/powerfolder?returnTo=%2Fadmin']);
});
