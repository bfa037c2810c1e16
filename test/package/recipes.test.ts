/** docs/tokens.md: the recipe for the session. Those for SQL and Redis: recipes.outside.test.ts. */

import type { AddressInfo } from 'node:net';
import express from 'express';
import session from 'express-session';
import type { PowerFolderClient, PowerFolderTokenKeeper, PowerFolderTokens } from 'passport-powerfolder';
import { Browser } from '../support/browser.ts';
import { recipe } from '../support/recipes.ts';
import { startWithTokens } from '../support/simulated-sign-in.ts';

describe('tokens in the session', () => {
  it('are refreshed once for requests at the same time, and kept', async () => {
    const { sessionKeeper } = recipe<{
      sessionKeeper(client: PowerFolderClient, req: express.Request): PowerFolderTokenKeeper<string>;
    }>('docs/tokens.md', 'sessionKeeper');
    const { server, strategy, accessToken, refreshToken } = await startWithTokens({ rotateRefreshTokens: true });
    const app = express();
    app.use(session({ secret: 'for tests only', resave: false, saveUninitialized: false }));
    app.get('/begin', (req, res) => {
      const tokens: PowerFolderTokens = { accessToken, refreshToken, expiresAt: 1 };
      Object.assign(req.session, { tokens });
      res.end();
    });
    app.get('/use', async (req, res) => {
      const folders = await sessionKeeper(strategy.client, req).use(req.sessionID, (token) =>
        fetch(`${server.url}/webdav/`, {
          method: 'PROPFIND',
          headers: { authorization: `Bearer ${token}`, depth: '0' },
        }),
      );
      res.status(folders.status).end();
    });
    const listening = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => listening.once('listening', resolve));
    const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
    const browser = new Browser();
    await browser.visit(`${url}/begin`);
    const use = async () => (await browser.visit(`${url}/use`)).status;
    expect(await Promise.all([use(), use(), use(), use(), use()])).toEqual([207, 207, 207, 207, 207]);
    expect(await use()).toBe(207);
    server.expireTokens();
    expect(await Promise.all([use(), use(), use()])).toEqual([207, 207, 207]);
    const refreshes = server.requests.filter(({ endpoint }) => endpoint === 'refresh').length;
    expect(refreshes).toBeLessThanOrEqual(4);
    listening.closeAllConnections();
    listening.close();
    await server.close();
  });
});
