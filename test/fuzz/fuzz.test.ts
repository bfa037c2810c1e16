/** A few inputs of each property; `npm run fuzz` tries as many as there is time for. */
import fc from 'fast-check';
import { properties } from './properties.ts';

it.each(properties.map((each) => [each.name, each] as const))(
  '%s holds for random inputs',
  async (_, { few, start }) => {
    const { property, close } = await start();
    try {
      await fc.assert(property, { numRuns: few });
    } finally {
      await close();
    }
  },
);
