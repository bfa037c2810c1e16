/** docs/universities.md: its recipes, run as they stand. */
import type { AddressInfo } from 'node:net';
import express, { type Express } from 'express';
import session from 'express-session';
import passport from 'passport';
import { callbackRoute, type PowerFolderStrategy, type PowerFolderStrategyOptions } from 'passport-powerfolder';
import { type PowerFolderServer, signIn, startPowerFolderServer } from 'passport-powerfolder/testing';
import { recipe } from '../support/recipes.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startServer(custom1: string, ID = '1'): Promise<PowerFolderServer> {
  const server = await startPowerFolderServer({
    accounts: [{ ID, username: 'ada@example.edu', password: 'x', custom1 }],
    identityProvider: true,
  });
  closers.push(() => server.close());
  return server;
}

/** An application, and where it is. */
async function start(): Promise<{ app: Express; url: string }> {
  const app = express();
  const listening = app.listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  closers.push(() => new Promise((resolve) => listening.close(resolve).closeAllConnections()));
  app.use(session({ secret: 'x', resave: false, saveUninitialized: false }));
  return { app, url: `http://127.0.0.1:${(listening.address() as AddressInfo).port}` };
}

describe('staff only', () => {
  it.each([
    ['staff', 200],
    ['member;staff', 200],
    ['Employee@example.edu, member@example.edu', 200],
    ['student', 401],
    ['', 401],
    ['staffless', 401],
    ['member@staff', 401],
  ])('with the affiliation "%s": %d', async (custom1, status) => {
    const { strategyForStaff } = recipe<{
      strategyForStaff(options: PowerFolderStrategyOptions, users: object): PowerFolderStrategy;
    }>('docs/universities.md', 'strategyForStaff');
    const { app, url } = await start();
    const { url: serverURL, clientID, clientSecret } = await startServer(custom1);
    const { Passport } = passport;
    const authenticator = new Passport();
    const users = { findOrCreate: async (id: string) => ({ id }) };
    authenticator.use(strategyForStaff({ serverURL, clientID, clientSecret, callbackURL: `${url}/oauth` }, users));
    const authenticate = authenticator.authenticate('powerfolder', { session: false, failureMessage: false });
    app.get('/auth', authenticate);
    app.get(callbackRoute('/oauth'), authenticate, (_req, res) => res.send('in'));
    expect((await signIn(`${url}/auth`)).status).toBe(status);
  });
});

it('several servers: a user of each, told apart by server and ID', async () => {
  const { mountServers } = recipe<{
    mountServers(app: Express, baseURL: string, servers: object, users: object): void;
  }>('docs/universities.md', 'mountServers');
  const { app, url } = await start();
  const found: string[] = [];
  passport.serializeUser((user, done) => done(null, user));
  const users = {
    findOrCreate: async (server: string, id: string) => {
      found.push(`${server} ${id}`);
      return { id };
    },
  };
  const [north, south] = [await startServer('', 'same ID'), await startServer('', 'same ID')];
  const options = ({ url: serverURL, clientID, clientSecret }: PowerFolderServer) => ({
    serverURL,
    clientID,
    clientSecret,
  });
  mountServers(app, url, { north: options(north), south: options(south) }, users);
  app.get('/', (_req, res) => res.send('home'));
  for (const name of ['north', 'south']) expect(await (await signIn(`${url}/auth/${name}`)).text()).toBe('home');
  expect(found).toEqual([`${north.url} same ID`, `${south.url} same ID`]);
});
