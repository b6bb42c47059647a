import test from 'ava';
import { EventQueue } from './event-queue.js';

const queueOf = (capacity: number) => {
  const calls = { drains: 0, leaves: 0 };
  const queue = new EventQueue<number>({
    capacity,
    onDrain: () => {
      calls.drains += 1;
    },
    onLeave: () => {
      calls.leaves += 1;
    },
  });
  return { queue, calls };
};

test('EventQueue hands over everything in order, before and while it is read', async (t) => {
  const { queue, calls } = queueOf(10);
  queue.push(1);
  const reading = (async () => {
    const seen: number[] = [];
    for await (const item of queue) {
      seen.push(item);
      if (item === 1) queue.push(2);
      if (item === 2) queue.end();
    }
    return seen;
  })();
  t.deepEqual(await reading, [1, 2]);
  t.is(calls.leaves, 0);
});

test('EventQueue is full at its capacity and tells once when there is room again', async (t) => {
  const { queue, calls } = queueOf(2);
  for (const item of [1, 2, 3]) queue.push(item);
  t.true(queue.isFull);
  const reader = queue[Symbol.asyncIterator]();
  await reader.next();
  t.is(calls.drains, 0);
  await reader.next();
  t.is(calls.drains, 1);
  t.false(queue.isFull);
});

test('EventQueue gives what came before a failure, then the failure', async (t) => {
  const { queue } = queueOf(10);
  queue.push(1);
  queue.fail(new Error('broken'));
  queue.push(2);
  const reader = queue[Symbol.asyncIterator]();
  t.is((await reader.next()).value, 1);
  await t.throwsAsync(reader.next(), { message: 'broken' });
});

test('EventQueue tells when its reader leaves early, and takes nothing more', async (t) => {
  const { queue, calls } = queueOf(10);
  queue.push(1);
  for await (const _ of queue) break;
  t.is(calls.leaves, 1);
  t.false(queue.isOpen);
});
