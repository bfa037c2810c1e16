/** The application: what happens to a request, from top to bottom. */
import { join } from 'node:path';
import express, { type Express, type RequestHandler } from 'express';
import helmet from 'helmet';
import { callbackRoute } from 'passport-powerfolder';
import type { Logger } from 'pino';
import { accountRoutes } from './account.ts';
import { type AppConfig, appName } from './config.ts';
import { errorPage } from './error-page.ts';
import { folderRoutes } from './folders.ts';
import { plainForwardedFor } from './forwarded-for.ts';
import { chooseLanguage, textsOf, useLanguage } from './language.ts';
import { accessLog } from './logging.ts';
import { patternRoutes } from './pattern.ts';
import type { SessionStore } from './session-store.ts';
import { sessions } from './sessions.ts';
import { createPassport, createStrategy, currentUser, signInRoutes } from './sign-in.ts';
import { keepTokens } from './tokens.ts';
import type { Users } from './users.ts';

export interface Services {
  sessionStore: SessionStore;
  users: Users;
  log: Logger;
}

export function createApp(config: AppConfig, services: Services): Express {
  const { sessionStore, users, log } = services;
  const base = config.basePath;
  const mount = base.replace(patternCharacters, '\\$&') || '/';
  const strategy = createStrategy(config, users);
  const authenticator = createPassport(strategy);

  const app = express();
  app.disable('x-powered-by');
  // Pages are not kept by anybody, see below.
  app.disable('etag');
  app.set('trust proxy', config.trustProxy);
  app.set('views', join(__dirname, 'views'));
  app.set('view engine', 'ejs');
  // Templates have these, and res.locals.
  Object.assign(app.locals, { base, appName });

  app.use(plainForwardedFor(config));
  app.use(accessLog(log));
  app.use(useLanguage(config));
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
  // Fields of forms. What has files in it is for upload.ts.
  app.use(express.urlencoded({ limit: '16kb' }));
  app.use(mount, express.Router().post('/language', chooseLanguage(config)));
  app.use(sessions(config, sessionStore));
  app.use(authenticator.session());
  app.use((req, res, next) => {
    // Tokens stay out of what templates see.
    const { id, username, displayName, emails } = currentUser(req) ?? {};
    res.locals['user'] = id && { id, username, displayName, emails };
    next();
  });

  const pages = express.Router();
  pages.get('/', (_req, res) => {
    res.render('home', { powerFolderHost: new URL(config.powerFolder.serverURL).host });
  });
  pages.use(signInRoutes(config, authenticator, services));
  pages.use(accountRoutes(base, users));
  pages.use(folderRoutes(config, keepTokens(strategy, users)));
  pages.use(patternRoutes(base));

  app.use(mount, pages);
  app.use((_req, res) => {
    const [title, message] = textsOf(res).errors.notFound;
    res.status(404).render('error', { title, message });
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

function securityHeaders({ baseURL, powerFolder }: AppConfig): RequestHandler {
  const https = baseURL.startsWith('https:');
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'self'"],
        scriptSrc: ["'self'"],
        imgSrc: ["'self'"],
        // For public/filter.mjs and public/upload.mjs, and for a file that is shown on its page.
        connectSrc: ["'self'"],
        frameSrc: ["'self'"],
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
    const [title, message] = textsOf(res).errors.foreign;
    res.status(403).render('error', { title, message });
  };
}
