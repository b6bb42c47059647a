import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import type { ReuseScope } from '../engine/block-manager.js';
import type { Engine } from '../engine/engine.js';
import type { GenerationRequest } from '../engine/generation.js';

/**
 * Runs random schedules, each on an engine of its own: requests come late, some are given up midway. Fails when one that was
 * read to its end has another text than `wanted`, or pages stay in use. Gives the number of tokens taken from the prefix cache.
 */
export async function runRandomSchedules(options: {
  readonly requests: readonly GenerationRequest[];
  /** Text of each request alone. */
  readonly wanted: readonly (string | undefined)[];
  /** Step shapes to draw from. */
  readonly shapes: number;
  readonly engineOn: (shape: number, reuse: ReuseScope) => Engine;
  /** Most requests of a schedule. */
  readonly maxArrivals: number;
  readonly schedules: number;
}): Promise<{ readonly cachedTokens: number }> {
  const { requests, wanted, shapes, engineOn, maxArrivals, schedules } = options;
  const one = fc.record({
    which: fc.nat(requests.length - 1),
    delay: fc.nat(4),
    cancelAfter: fc.option(fc.nat(4), { freq: 3 }),
  });
  const schedule = fc.record({
    shape: fc.nat(shapes - 1),
    reuse: fc.constantFrom<ReuseScope>('shared', 'group', 'none'),
    arrivals: fc.array(one, { minLength: 1, maxLength: maxArrivals }),
  });
  let cachedTokens = 0;
  await fc.assert(
    fc.asyncProperty(schedule, async ({ shape, reuse, arrivals }) => {
      const engine = engineOn(shape, reuse);
      const texts = await Promise.all(
        arrivals.map(async ({ which, delay, cancelAfter }) => {
          for (let index = 0; index < delay; index++) await turn();
          let text = '';
          let seen = 0;
          for await (const event of engine.generate(requests[which]!)) {
            if (event.type === 'text-delta') text += event.text;
            if (event.type === 'generation-end') cachedTokens += event.usage.cachedTokens;
            if (seen++ === cancelAfter) return null;
          }
          return text;
        }),
      );
      await engine.idle();
      const { pages } = engine.load;
      await engine.close();
      return pages.used === 0 && texts.every((text, index) => text === null || text === wanted[arrivals[index]!.which]);
    }),
    { numRuns: schedules },
  );
  return { cachedTokens };
}
