import { FakeClock, settle } from '@helexa/core/testing';
import test from 'ava';
import { createFleet, type Look } from './fleet.js';
import { Poller } from './poller.js';

const start = (lookAt: (name: string, signal: AbortSignal) => Promise<Look>) => {
  const clock = new FakeClock();
  const fleet = createFleet([
    { name: 'a', endpoint: 'http://a' },
    { name: 'b', endpoint: 'http://b' },
  ]);
  const looks: string[] = [];
  const results: [string, Look][] = [];
  const poller = new Poller({
    names: ['a', 'b'],
    stateOf: (name) => fleet.find((node) => node.name === name)!,
    lookAt: (node, signal) => {
      looks.push(node.name);
      return lookAt(node.name, signal);
    },
    onLook: (name, look) => results.push([name, look]),
    clock,
    intervalMs: 1000,
    timeoutMs: 5000,
  });
  return { clock, poller, looks, results };
};

const fine: Look = { ok: true, models: [] };
const never = (signal: AbortSignal): Promise<Look> =>
  new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

test('Poller looks at every node each interval', async (t) => {
  const { clock, poller, looks } = start(async () => fine);
  await poller.start();
  await clock.advance(1000);
  await clock.advance(1000);
  t.deepEqual(looks, ['a', 'b', 'a', 'b', 'a', 'b']);
  await poller.close();
  t.is(clock.pending, 0);
});

test('Poller leaves no question of a look open that has failed', async (t) => {
  const signals: AbortSignal[] = [];
  const { poller } = start(async (_, signal) => {
    signals.push(signal);
    throw new Error('refused');
  });
  await poller.start();
  t.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, true],
  );
  await poller.close();
});

test('Poller keeps looking at the others while one node never answers', async (t) => {
  const { clock, poller, looks, results } = start((name, signal) =>
    name === 'a' ? never(signal) : Promise.resolve(fine),
  );
  const started = poller.start();
  for (let second = 0; second < 4; second++) await clock.advance(1000);
  t.deepEqual(looks.filter((name) => name === 'b').length, 5);
  t.deepEqual(looks.filter((name) => name === 'a').length, 1);
  await clock.advance(1000);
  await started;
  t.deepEqual(
    results.find(([name]) => name === 'a'),
    ['a', { ok: false, reason: 'it did not answer in 5000 ms' }],
  );
  await poller.close();
  t.is(clock.pending, 0);
});

test('Poller joins a look that is under way instead of beginning a second one', async (t) => {
  let release: (look: Look) => void = () => {};
  const { poller, looks } = start((name) =>
    name === 'a' ? new Promise((resolve) => (release = resolve)) : Promise.resolve(fine),
  );
  const started = poller.start();
  const again = Promise.all([poller.lookNow('a'), poller.lookNow('a')]);
  t.is(looks.filter((name) => name === 'a').length, 1);
  release(fine);
  await Promise.all([started, again]);
  await poller.close();
});

test('Poller looks at once when asked and keeps one timer per node', async (t) => {
  const { clock, poller, looks } = start(async () => fine);
  await poller.start();
  await poller.lookNow('a');
  t.deepEqual(looks, ['a', 'b', 'a']);
  t.is(clock.pending, 2);
  await poller.close();
});

test('Poller reports no address when a connection fails', async (t) => {
  const { poller, results } = start(() =>
    Promise.reject(Object.assign(new Error('connect ECONNREFUSED 10.0.0.7:1'), { code: 'ECONNREFUSED' })),
  );
  await poller.start();
  t.deepEqual(results[0], ['a', { ok: false, reason: 'the connection was refused' }]);
  await poller.close();
});

test('Poller closes in the middle of a look and says nothing more', async (t) => {
  const { clock, poller, results } = start((_, signal) => never(signal));
  const started = poller.start();
  await settle();
  await poller.close();
  await started;
  t.deepEqual(results, []);
  t.is(clock.pending, 0);
});
