/** Starts the app: reads the environment, listens, and stops without cutting anybody off. */
import { once } from 'node:events';
import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createApp } from './app.ts';
import { ConfigurationError, type PowerFolderConfig, readConfig } from './config.ts';
import { createLogger } from './logging.ts';
import { openSessionStore } from './session-store.ts';
import { DatabaseUsers, StoredUsers } from './users.ts';

/** How long the start may wait for Redis. */
const waitForSessions = 3000;

/** How long requests in flight may take once the app has been told to stop. */
const stopWithin = 10_000;

async function main(): Promise<void> {
  if (existsSync('.env')) process.loadEnvFile('.env');
  const config = readConfig(process.env);
  const log = createLogger();
  const simulated = config.powerFolder ? undefined : await simulatePowerFolder();
  const powerFolder = (config.powerFolder ?? simulated?.powerFolder) as PowerFolderConfig;
  const sessionStore = openSessionStore(config, log);
  // Put your own database here: users.ts says what it has to do.
  const users = config.redisURL ? undefined : DatabaseUsers.open(config.databaseFile);
  const services = { sessionStore, users: users ?? new StoredUsers(sessionStore.storage, log), log };

  // An instance that takes visitors before it has their sessions would send them away. Without Redis it starts all the same.
  const end = performance.now() + waitForSessions;
  while (!(await sessionStore.ready()) && performance.now() < end) await pause(50);

  // Longer than proxies keep idle connections (nginx: 60 s), so that none is closed under a request.
  // An upload of 2 GB takes a while, but not a day.
  const server = createServer({ keepAliveTimeout: 65_000, requestTimeout: 24 * 60 * 60_000 });
  const { socketPath } = config;
  if (socketPath) await removeSocketOfNobody(socketPath);
  // The proxy is somebody else on this machine. Who may get at the socket is decided by the directory that it is in.
  const place = socketPath ? { path: socketPath, writableAll: true } : { port: config.port, host: config.host };
  server.listen(place, () => {
    // With PORT=0 the port is known only now.
    const port = socketPath ? config.port : (server.address() as AddressInfo).port;
    const baseURL = process.env['BASE_URL']?.trim() ? config.baseURL : `http://localhost:${port}`;
    server.on('request', createApp({ ...config, port, baseURL, powerFolder }, services));
    const at = socketPath ? { socketPath } : { port };
    log.info({ ...at, baseURL, powerFolder: powerFolder.serverURL }, 'listening');
    if (!config.production) console.log(`The app is at ${baseURL}`);
  });
  server.on('error', (error) => {
    const [at, setting] = socketPath ? [`at ${socketPath}`, 'LISTEN_ADDRESS'] : [`on port ${config.port}`, 'PORT'];
    console.error(`Cannot listen ${at}: ${error.message}. Choose another with ${setting}.`);
    process.exit(1);
  });

  const stop = (signal: string) => {
    log.info({ signal }, 'stopping');
    setTimeout(() => server.closeAllConnections(), stopWithin).unref();
    const closingIdle = setInterval(() => server.closeIdleConnections(), 100);
    server.close(async () => {
      clearInterval(closingIdle);
      await Promise.allSettled([sessionStore.close(), simulated?.close()]);
      log.info('stopped');
    });
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
}

/**
 * A socket's file outlives a process that was killed, and is in the way of the next one. It is removed when nobody listens
 * there; everything else is left as it is, so that listening fails.
 */
async function removeSocketOfNobody(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const connection = connect(path);
  try {
    await once(connection, 'connect');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') unlinkSync(path);
  } finally {
    connection.destroy();
  }
}

/** A stand-in for the PowerFolder server, to try the app without one. */
async function simulatePowerFolder() {
  const { startPowerFolderServer } = await import('passport-powerfolder/testing');
  // Cookies ignore ports, so the app is on "localhost" and this on "127.0.0.1".
  const server = await startPowerFolderServer({ hostname: '127.0.0.1', hints: true });
  console.log(`POWERFOLDER_URL is not set, so a simulated PowerFolder server was started at ${server.url}`);
  console.log(`username: ${server.username}`);
  console.log(`password: ${server.password}`);
  const { url: serverURL, clientID, clientSecret } = server;
  return { powerFolder: { serverURL, clientID, clientSecret }, close: () => server.close() };
}

main().catch((error) => {
  console.error(error instanceof ConfigurationError ? `The app was not started.\n${error.message}` : error);
  process.exit(1);
});
