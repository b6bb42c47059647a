import { EventEmitter } from 'node:events';
import test from 'ava';
import { watchSignals } from './watch-signals.js';

test('watchSignals settles on the first signal and exits on a later second one', async (t) => {
  const source = new EventEmitter();
  const exits: number[] = [];
  let now = 1000;
  const watch = watchSignals(
    source,
    () => now,
    (code) => exits.push(code),
  );
  source.emit('SIGTERM');
  t.is(await watch.first, 'SIGTERM');
  t.deepEqual(exits, []);
  now = 2000;
  source.emit('SIGINT');
  t.deepEqual(exits, [130]);
});

test('watchSignals takes a signal that npm forwards right after the terminal as the same one', (t) => {
  const source = new EventEmitter();
  const exits: number[] = [];
  let now = 1000;
  watchSignals(
    source,
    () => now,
    (code) => exits.push(code),
  );
  source.emit('SIGINT');
  now = 1005;
  source.emit('SIGINT');
  t.deepEqual(exits, []);
  now = 1300;
  source.emit('SIGINT');
  t.deepEqual(exits, [130]);
});

test('watchSignals leaves no listener behind', (t) => {
  const source = new EventEmitter();
  watchSignals(
    source,
    () => 0,
    () => {},
  ).close();
  t.is(source.listenerCount('SIGINT') + source.listenerCount('SIGTERM'), 0);
});
