/** Sessions in the memory of a process. In Redis: example-redis.test.ts. */
import { startExample } from './support/example.ts';
import { sessionScenes } from './support/session-scenes.ts';

describe('sessions in memory', () => {
  sessionScenes(async (options) => {
    const app = await startExample(options);
    const { entries } = app.sessions;
    return {
      app,
      kept: {
        keys: () => [...entries.keys()],
        get: (key) => entries.get(key)?.value ?? '',
        put(key, value) {
          const entry = entries.get(key);
          if (entry) entries.set(key, { ...entry, value });
        },
      },
    };
  });
});
