/** The application: what happens to a request, from top to bottom. */
import { join } from 'node:path';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { callbackRoute } from 'passport-powerfolder';
import type { Logger } from 'pino';
import type { AppConfig } from './config.ts';
import { errorPage } from './error-page.ts';
import { folderRoutes } from './folders.ts';
import { formatBytes, formatTime, timeFromNow } from './format.ts';
import { plainForwardedFor } from './forwarded-for.ts';
import { accessLog } from './logging.ts';
import type { SessionStore } from './session-store.ts';
import { sessions } from './sessions.ts';
import {
  createPassport,
  createStrategy,
  currentUser,
  requireSignIn,
  type SignedInUser,
  signInRoutes,
} from './sign-in.ts';
import { keepTokens, orSignInAgain, tokensOf } from './tokens.ts';

export interface Services {
  sessionStore: SessionStore;
  log: Logger;
}

export function createApp(config: AppConfig, { sessionStore, log }: Services): Express {
  const base = config.basePath;
  const mount = base.replace(patternCharacters, '\\$&') || '/';
  const strategy = createStrategy(config);
  const authenticator = createPassport(strategy);

  const app = express();
  app.disable('x-powered-by');
  app.set('trust proxy', config.trustProxy);
  app.set('views', join(__dirname, 'views'));
  app.set('view engine', 'ejs');
  // Templates have these, and res.locals.
  Object.assign(app.locals, { base, appName: 'Folder Desk' });

  app.use(plainForwardedFor(config));
  app.use(accessLog(log));
  app.use(securityHeaders(config));
  app.use(readRequestTarget(config));
  app.get('/healthz', async (_req, res) => {
    const ready = await sessionStore.ready();
    res.status(ready ? 200 : 503).json({ status: ready ? 'ok' : 'session store away' });
  });
  // Without redirects, which it would make of the address of a directory.
  app.use(mount, express.static(join(__dirname, 'public'), { maxAge: '1h', index: false, redirect: false }));

  // Browsers ask for this one when they show a file.
  app.get('/favicon.ico', (_req, res) => res.redirect(301, `${base}/icon.svg`));

  app.use((_req, res, next) => {
    // Pages say who is signed in: neither caches nor the back button after sign-out should show them.
    res.set('Cache-Control', 'no-store');
    next();
  });
  app.get(callbackRoute(`${base}/oauth`), (_req, res, next) => {
    // The address holds the code, and the page about what went wrong asks for a stylesheet.
    res.set('Referrer-Policy', 'no-referrer');
    next();
  });
  app.use(refuseForeignRequests(config));
  app.use(sessions(config, sessionStore));
  app.use(authenticator.session());
  app.use((req, res, next) => {
    // Tokens stay out of what templates see.
    const { id, username, displayName, emails } = currentUser(req) ?? {};
    res.locals['user'] = id && { id, username, displayName, emails };
    next();
  });

  const pages = express.Router();
  pages.use(signInRoutes(config, authenticator, sessionStore, log));

  pages.get('/', (_req, res) => {
    res.render('home', { powerFolderHost: new URL(config.powerFolder.serverURL).host });
  });

  const account: RequestHandler = async (req, res) => {
    const user = currentUser(req) as SignedInUser;
    const { expiresAt, refreshToken } = await tokensOf(req.sessionID, sessionStore);
    res.render('account', {
      initials: initials(user.displayName),
      quota: quota(user),
      expires: expiresAt && {
        over: expiresAt < Date.now(),
        at: new Date(expiresAt).toISOString(),
        text: formatTime(expiresAt),
        fromNow: timeFromNow(expiresAt),
      },
      renewable: refreshToken !== undefined,
    });
  };
  pages.get('/account', requireSignIn(base), orSignInAgain(base, account));

  pages.use(folderRoutes(config, keepTokens(strategy, sessionStore)));

  app.use(mount, pages);
  app.use((_req, res) => {
    res.status(404).render('error', {
      title: 'There is nothing here',
      message: 'The address may be misspelt, or the page has moved.',
    });
  });
  app.use(errorPage(config));
  return app;
}

/** What means something in Express's route patterns, which the path of BASE_URL is none of. */
const patternCharacters = /[{}()[\]+?!:*\\]/g;

/**
 * Lets pass what asks for a path (RFC 9112 section 3.2). `http://host/path` is for proxies: it is read as the path when it
 * names this app, and nothing is asked of `*` or another host here.
 */
function readRequestTarget({ baseURL }: AppConfig): RequestHandler {
  const { origin } = new URL(baseURL);
  return (req, _res, next) => {
    const own = req.url.startsWith(`${origin}/`);
    // Not `req.url`, in which Express itself finds the path.
    if (own) req.originalUrl = req.url.slice(origin.length);
    if (own || req.url.startsWith('/')) next();
    else next(Object.assign(new Error('the request is for another host, or for none'), { status: 400 }));
  };
}

/** "Ada King Lovelace" is "AL". */
function initials(name: string): string {
  const words = name.split(/[\s.@_]+/).filter(Boolean);
  const [first = '', last = ''] = words.length > 1 ? [words[0], words.at(-1)] : words;
  return ([...first][0] ?? '').concat([...last][0] ?? '').toUpperCase();
}

function quota({ spaceUsed: used, spaceAllowed: allowed }: SignedInUser) {
  if (used === undefined || !allowed) return undefined;
  const percent = Math.min((used / allowed) * 100, 100);
  return {
    used: formatBytes(used),
    allowed: formatBytes(allowed),
    free: formatBytes(Math.max(allowed - used, 0)),
    percent,
    percentage: percent > 0 && percent < 1 ? 'less than 1 %' : `${Math.round(percent)} %`,
  };
}

function securityHeaders({ baseURL, powerFolder }: AppConfig): RequestHandler {
  const https = baseURL.startsWith('https:');
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'"],
        // Browsers apply this to redirects too, and a form posted after its session has ended leads to the sign-in.
        formAction: ["'self'", new URL(powerFolder.serverURL).origin],
        objectSrc: ["'none'"],
        baseUri: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
    frameguard: { action: 'deny' },
    originAgentCluster: false,
    // Other hosts of the domain may not be ready for it.
    hsts: https && { maxAge: 365 * 24 * 60 * 60, includeSubDomains: false },
    // With "no-referrer" browsers would send "Origin: null" with this app's own forms.
    referrerPolicy: { policy: 'same-origin' },
  });
}

/**
 * Protects against cross-site request forgery: whatever changes something must come from a page of this app, which
 * browsers tell by Sec-Fetch-Site, and older ones by Origin.
 */
function refuseForeignRequests({ baseURL }: AppConfig): RequestHandler {
  const { origin } = new URL(baseURL);
  return (req, res, next) => {
    const site = req.get('Sec-Fetch-Site');
    const own = site === undefined ? req.get('Origin') === origin : site === 'same-origin';
    if (own || ['GET', 'HEAD', 'OPTIONS'].includes(req.method)) return next();
    req.log.warn({ event: 'foreign request refused' }, 'foreign request refused');
    res.status(403).render('error', {
      title: 'This came from another site',
      message: 'The request was not sent by a page of this app, so nothing was done.',
    });
  };
}
