import test from 'ava';
import { LoadHistory } from './load-history.js';

test('LoadHistory guesses before the first load, then takes the nearest experience', (t) => {
  const history = new LoadHistory();
  t.is(history.expectedMs({ node: 'a', model: 'm', mb: 100 }), 30_000);
  history.add({ node: 'a', model: 'm', mb: 100 }, 10_000);
  // Itself, at its node.
  t.is(history.expectedMs({ node: 'a', model: 'm', mb: 100 }), 10_000);
  // Another model at this node: by its size.
  t.is(history.expectedMs({ node: 'a', model: 'n', mb: 300 }), 30_000);
  // A slower node has its own time and its own pace, and spoils neither of the first.
  history.add({ node: 'b', model: 'm', mb: 100 }, 50_000);
  t.is(history.expectedMs({ node: 'b', model: 'n', mb: 300 }), 150_000);
  t.is(history.expectedMs({ node: 'a', model: 'm', mb: 100 }), 10_000);
  t.is(history.expectedMs({ node: 'a', model: 'n', mb: 300 }), 30_000);
  // A node without a load: as it went elsewhere; a model nobody knows: by its size, else as any.
  t.is(history.expectedMs({ node: 'c', model: 'm', mb: 100 }), 30_000);
  t.is(history.expectedMs({ node: 'c', model: 'n', mb: 10 }), 3000);
  t.is(history.expectedMs({ node: 'c', model: 'n' }), 30_000);
  t.is(history.expectedMs({ model: 'm' }), 30_000);
});

test('LoadHistory follows a load that becomes faster, half of the way each time', (t) => {
  const history = new LoadHistory();
  for (const ms of [80_000, 20_000, 20_000]) history.add({ node: 'a', model: 'm', mb: 10 }, ms);
  t.is(history.expectedMs({ node: 'a', model: 'm' }), 35_000);
});

test('LoadHistory.remainingMs of a load that is late is a quarter of its time so far, and never nothing', (t) => {
  const history = new LoadHistory();
  history.add({ node: 'a', model: 'm' }, 10_000);
  const remaining = (elapsedMs: number) => history.remainingMs({ node: 'a', model: 'm' }, elapsedMs);
  t.deepEqual([0, 4000, 9900, 40_000].map(remaining), [10_000, 6000, 1000, 10_000]);
});
