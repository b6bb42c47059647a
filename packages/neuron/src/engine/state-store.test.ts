import test from 'ava';
import { StateStore } from './state-store.js';

const keys = Array.from({ length: 4 }, () => ({}));
const [a, b, c, d] = keys as [object, object, object, object];

test('StateStore gives every key a state of its own, and what is least recently used gives way', (t) => {
  const store = new StateStore<object>({ first: 8, count: 2 });
  t.deepEqual([store.take(a), store.take(b)], [8, 9]);
  t.is(store.use(a), 8);
  t.is(store.take(c), 9);
  t.is(store.use(b), null);
  t.true(store.has(a));
});

test('StateStore gives a forgotten state to the next key', (t) => {
  const store = new StateStore<object>({ first: 0, count: 3 });
  for (const key of [a, b, c]) store.take(key);
  store.forget(b);
  store.forget(b);
  t.is(store.take(d), 1);
  t.deepEqual(
    keys.map((key) => store.use(key)),
    [0, null, 2, 1],
  );
});
