/**
 * One contestant in an Express application, a process of its own: `application.js <contestant> <settings as JSON>`.
 * All do the same: `GET /auth` begins a sign-in and leads to the server; `GET /oauth` completes it with a token request
 * and without asking for a profile, gives the browser a new session with the user in it, and leads home.
 */
import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import express, { type Express, type RequestHandler } from 'express';
import session from 'express-session';
import { OAuth2, type oauth2tokenCallback } from 'oauth';
import passport from 'passport';
import OAuth2Strategy from 'passport-oauth2';
import { AuthorizationCode } from 'simple-oauth2';
import { request } from 'undici';
import { CookieStateStore, callbackRoute, PowerFolderStrategy } from '../../lib/index.ts';

export interface Settings {
  serverURL: string;
  clientID: string;
  clientSecret: string;
}

declare module 'express-session' {
  interface SessionData {
    state: string;
    user: { id: string };
  }
}

type Contestant = (
  app: Express,
  settings: Settings & { callbackURL: string },
  useSession: () => void,
) => void | Promise<void>;

const home: RequestHandler = (_req, res) => res.redirect('/');

function withPassport(
  app: Express,
  strategy: passport.Strategy,
  { callback = '/oauth', useSession }: { callback?: string | RegExp; useSession: () => void },
): void {
  passport.use('contestant', strategy);
  useSession();
  passport.serializeUser((user, done) => done(null, user));
  passport.deserializeUser((user: Express.User, done) => done(null, user));
  app.use(passport.session());
  app.get('/auth', passport.authenticate('contestant'));
  app.get(callback, passport.authenticate('contestant'), home);
}

const ours =
  (where: 'session' | 'cookies' | 'cookies, before the session'): Contestant =>
  (app, settings, useSession) => {
    const store = where === 'session' ? {} : { store: new CookieStateStore({ secret: settings.clientSecret }) };
    const strategy = new PowerFolderStrategy({ ...settings, ...store, skipUserProfile: true }, ({ tokens }) => ({
      id: tokens.accessToken,
    }));
    passport.use('contestant', strategy);
    if (where === 'cookies, before the session') app.get('/auth', passport.authenticate('contestant'));
    withPassport(app, strategy, { callback: callbackRoute('/oauth'), useSession });
  };

/** node-oauth with the token request that people write for PowerFolder. */
class JSONTokenRequest extends OAuth2 {
  override getOAuthAccessToken(
    code: string,
    ...rest: [params: unknown, done: oauth2tokenCallback] | [oauth2tokenCallback]
  ) {
    const done = rest.at(-1) as oauth2tokenCallback;
    const body = JSON.stringify({
      ...(rest[0] as object),
      client_id: this._clientId,
      client_secret: this._clientSecret,
      code,
    });
    const headers = { 'Content-Type': 'application/json' };
    this._request('POST', this._getAccessTokenUrl(), headers, body, null, (error, data) => {
      if (error) return done(error, undefined as never, undefined as never, undefined);
      const { access_token, refresh_token, ...results } = JSON.parse(String(data));
      done(undefined as never, access_token, refresh_token, results);
    });
  }
}

/**
 * The smallest subclass that signs in. It lacks the callback as a path segment, a deadline, a limit for the body, a look
 * at what was answered, and codes for what went wrong.
 */
class HandWrittenStrategy extends OAuth2Strategy {
  constructor({ serverURL, ...client }: Settings & { callbackURL: string }, verify: OAuth2Strategy.VerifyFunction) {
    const [authorizationURL, tokenURL] = [`${serverURL}/oauth/allow`, `${serverURL}/oauth/token`];
    super({ ...client, authorizationURL, tokenURL, state: true }, verify);
    this._oauth2 = new JSONTokenRequest(client.clientID, client.clientSecret, '', authorizationURL, tokenURL);
  }
}

const passportOAuth2: Contestant = (app, settings, useSession) => {
  const strategy = new HandWrittenStrategy(
    settings,
    (accessToken: string, _refreshToken: string, _profile: unknown, done: OAuth2Strategy.VerifyCallback) =>
      done(null, { id: accessToken }),
  );
  withPassport(app, strategy, { useSession });
};

const openidClient: Contestant = async (app, { serverURL, clientID, clientSecret, callbackURL }, useSession) => {
  const client = await import('openid-client');
  const { Strategy } = await import('openid-client/passport');
  const config = new client.Configuration(
    {
      issuer: serverURL,
      authorization_endpoint: `${serverURL}/oauth/allow`,
      token_endpoint: `${serverURL}/oauth/token`,
    },
    clientID,
    undefined,
    client.ClientSecretPost(clientSecret),
  );
  client.allowInsecureRequests(config);
  const strategy = new Strategy({ config, callbackURL }, (tokens, done) => done(null, { id: tokens.access_token }));
  withPassport(app, strategy, { useSession });
};

/** Routes as people write them where there is no Passport: the state by hand, one for a session. */
function byHand(
  app: Express,
  authorizationRequest: (state: string) => string,
  tokenRequest: (code: string) => Promise<string>,
): void {
  app.get('/auth', (req, res) => {
    req.session.state = randomBytes(16).toString('hex');
    res.redirect(authorizationRequest(req.session.state));
  });
  app.get('/oauth', async (req, res, next) => {
    const { code, state } = req.query;
    const expected = req.session.state;
    delete req.session.state;
    if (typeof code !== 'string' || !expected || state !== expected) {
      res.sendStatus(403);
      return;
    }
    const id = await tokenRequest(code);
    req.session.regenerate((error) => {
      if (error) return next(error);
      req.session.user = { id };
      res.redirect('/');
    });
  });
}

const simpleOAuth2: Contestant = (app, { serverURL, clientID, clientSecret, callbackURL }, useSession) => {
  useSession();
  const client = new AuthorizationCode({
    client: { id: clientID, secret: clientSecret },
    auth: { tokenHost: serverURL, tokenPath: '/oauth/token', authorizePath: '/oauth/allow' },
    options: { bodyFormat: 'json', authorizationMethod: 'body' },
  });
  byHand(
    app,
    (state) => client.authorizeURL({ redirect_uri: callbackURL, state }),
    async (code) => (await client.getToken({ code, redirect_uri: callbackURL })).token.access_token,
  );
};

const withoutLibrary: Contestant = (app, { serverURL, clientID, clientSecret, callbackURL }, useSession) => {
  useSession();
  byHand(
    app,
    (state) => {
      const query = { response_type: 'code', client_id: clientID, redirect_uri: callbackURL, state };
      return `${serverURL}/oauth/allow?${new URLSearchParams(query)}`;
    },
    async (code) => {
      const { body } = await request(`${serverURL}/oauth/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify({
          grant_type: 'authorization_code',
          client_id: clientID,
          client_secret: clientSecret,
          code,
          redirect_uri: callbackURL,
        }),
      });
      return ((await body.json()) as { access_token: string }).access_token;
    },
  );
};

const contestants: Record<string, Contestant> = {
  'passport-powerfolder': ours('session'),
  '… cookies': ours('cookies'),
  '… cookies, no session': ours('cookies, before the session'),
  'passport-oauth2': passportOAuth2,
  'openid-client': openidClient,
  'simple-oauth2': simpleOAuth2,
  'by hand': withoutLibrary,
};

async function main([name = '', json = '']: string[]): Promise<void> {
  const app = express();
  const store = new session.MemoryStore();
  const useSession = () => {
    app.use(session({ secret: 'a secret of the bench', resave: false, saveUninitialized: false, store }));
  };
  const server = app.listen(0, '127.0.0.1');
  server.keepAliveTimeout = 300_000;
  server.once('listening', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    await contestants[name]?.(app, { ...(JSON.parse(json) as Settings), callbackURL: `${url}/oauth` }, useSession);
    process.send?.(url);
  });
  // No forced garbage collection: it throws compiled code away as well, and what follows then costs twice as much.
  process.on('message', () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.on('disconnect', () => process.exit());
}

void main(process.argv.slice(2));
