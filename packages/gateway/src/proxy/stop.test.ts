import test from 'ava';
import fc from 'fast-check';
import { Stop } from './stop.js';

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom('add' as const, 'remove' as const), which: fc.nat(3) }),
    fc.record({ do: fc.constant('abort' as const), which: fc.nat(3) }),
  ),
  { maxLength: 12 },
);

test('Stop tells whom an AbortController would tell, once and with the first reason', (t) => {
  fc.assert(
    fc.property(steps, (history) => {
      const run = (stop: Stop | AbortController): unknown[] => {
        const heard: unknown[] = [];
        const { signal } = stop;
        const listeners = [0, 1, 2, 3].map((index) => () => {
          heard.push(index, signal.reason);
          // The last one ends the first one's wait.
          if (index === 3) signal.removeEventListener('abort', listeners[0] as () => void);
        });
        for (const { do: what, which } of history) {
          if (what === 'add') signal.addEventListener('abort', listeners[which] as () => void, { once: true });
          else if (what === 'remove') signal.removeEventListener('abort', listeners[which] as () => void);
          else stop.abort(which);
          heard.push(signal.aborted, signal.reason);
        }
        return heard;
      };
      t.deepEqual(run(new Stop()), run(new AbortController()));
    }),
    { numRuns: 300 },
  );
});

test('Stop has a reason of its own when it is given none', (t) => {
  const stop = new Stop();
  stop.throwIfAborted();
  stop.abort();
  t.is((stop.reason as Error).name, 'AbortError');
  t.throws(() => stop.throwIfAborted(), { any: true });
});
