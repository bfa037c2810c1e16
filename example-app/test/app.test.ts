/** The app against a simulated PowerFolder server, by real requests. Write the tests of your own pages like these. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { CookieJar, type PowerFolderServer, signIn, startPowerFolderServer } from 'passport-powerfolder/testing';
import { createApp } from '../app.ts';
import { readConfig } from '../config.ts';
import { createLogger } from '../logging.ts';
import { openSessionStore } from '../session-store.ts';
import { StoredUsers } from '../users.ts';

let powerFolder: PowerFolderServer;
let server: Server;
let url: string;

before(async () => {
  powerFolder = await startPowerFolderServer({
    accounts: [{ username: 'ada', password: 'pw', firstname: 'Ada', files: { Documents: { 'notes.txt': 'Milk' } } }],
  });
  server = createServer().listen(0, 'localhost');
  await once(server, 'listening');
  url = `http://localhost:${(server.address() as AddressInfo).port}`;
  const config = readConfig({
    NODE_ENV: 'test',
    BASE_URL: url,
    POWERFOLDER_URL: powerFolder.url,
    POWERFOLDER_CLIENT_ID: powerFolder.clientID,
    POWERFOLDER_CLIENT_SECRET: powerFolder.clientSecret,
  });
  assert(config.powerFolder);
  const log = createLogger({ write: () => {} });
  const sessionStore = openSessionStore(config, log);
  const users = new StoredUsers(sessionStore.storage, log);
  server.on('request', createApp({ ...config, powerFolder: config.powerFolder }, { sessionStore, users, log }));
});
after(async () => {
  server.close();
  server.closeAllConnections();
  await powerFolder.close();
});

/** A browser in which somebody has signed in. */
async function signedIn() {
  const cookies = new CookieJar();
  await signIn(`${url}/auth/powerfolder`, { cookies });
  return async (path: string, options: RequestInit = {}) =>
    await fetch(url + path, {
      ...options,
      redirect: 'manual',
      // What browsers send with the requests of the app's own pages.
      headers: { cookie: cookies.header(url), 'sec-fetch-site': 'same-origin', ...options.headers },
    });
}

test('a page for those who are signed in leads to a sign-in, and that back to it', async () => {
  const page = await signIn(`${url}/account`);
  assert.deepEqual([page.status, page.url], [200, `${url}/account`]);
});

test('whoever signs in is greeted, in their language', async () => {
  const visit = await signedIn();
  assert.match(await (await visit('/')).text(), /Welcome, <bdi>Ada<\/bdi>/);
  const german = await visit('/', { headers: { 'accept-language': 'de' } });
  assert.match(await german.text(), /Willkommen, <bdi>Ada<\/bdi>/);
});

test('who declines is not signed in', async () => {
  const page = await signIn(`${url}/auth/powerfolder`, { decline: true });
  assert.equal(page.status, 403);
  assert.match(await page.text(), /You did not allow access/);
});

test('folders are shown, and take files', async () => {
  const visit = await signedIn();
  assert.match(await (await visit('/folders/Documents')).text(), /notes\.txt/);
  const form = new FormData();
  form.append('file', new Blob(['Bread']), 'more.txt');
  assert.equal((await visit('/folders/Documents', { method: 'POST', body: form })).status, 303);
  assert.equal(await (await visit('/files/Documents/more.txt')).text(), 'Bread');
});

test('a form says what is wrong with it, and takes what is right', async () => {
  const visit = await signedIn();
  const send = (note: string) => visit('/pattern', { method: 'POST', body: new URLSearchParams({ note }) });
  assert.equal((await send(' ')).status, 422);
  assert.match(await (await send('<b>')).text(), /Saved: <bdi>&lt;b&gt;<\/bdi>/);
});

test('nobody else can send a form', async () => {
  const visit = await signedIn();
  const foreign = await visit('/pattern', { method: 'POST', headers: { 'sec-fetch-site': 'cross-site' } });
  assert.equal(foreign.status, 403);
});
