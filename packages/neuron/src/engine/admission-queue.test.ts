import test from 'ava';
import fc from 'fast-check';
import { decideAdmission, type RequestedAdmission } from './admission-limits.js';
import { AdmissionQueue, type QueueEntry } from './admission-queue.js';

interface Entry extends QueueEntry {
  readonly name: string;
}

const queueOf = (seats: number, requested: RequestedAdmission = {}) =>
  new AdmissionQueue<Entry>(decideAdmission(requested, seats));
const entry = (principal: string | null, work = 10, name = ''): Entry => ({ principal, work, name });

/** Everybody who gets a seat now. */
function admitted(queue: AdmissionQueue<Entry>, fits: (entry: Entry) => boolean = () => true): Entry[] {
  const got: Entry[] = [];
  queue.admit(
    ({ name }) => name === 'held',
    (each) => fits(each) && got.push(each) > 0,
  );
  return got;
}

test('AdmissionQueue takes turns by token work: one that asks for little is not behind one that asks for much', (t) => {
  const queue = queueOf(1);
  for (let index = 0; index < 20; index++) queue.add(entry('heavy', 100));
  const order: string[] = [];
  for (let turn = 0; turn < 14; turn++) {
    if (turn === 2) for (let index = 0; index < 20; index++) queue.add(entry('light', 10));
    const [next] = admitted(queue);
    order.push(next!.principal!);
    queue.release(next!, 0);
  }
  // The newcomer starts level with the one before it, then gets ten for one.
  t.is(order.indexOf('light'), 2);
  t.is(order.slice(2, 13).filter((who) => who === 'light').length, 10);
});

test('AdmissionQueue gives back what was reserved and not used', (t) => {
  const queue = queueOf(1);
  for (const _ of [1, 2, 3]) {
    queue.add(entry('short', 100));
    queue.add(entry('long', 100));
  }
  const order: string[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const [next] = admitted(queue);
    order.push(next!.principal!);
    queue.release(next!, next!.principal === 'short' ? 99 : 0);
  }
  t.deepEqual(order, ['short', 'long', 'short', 'short', 'long']);
});

test('AdmissionQueue lets nobody save up while it asks for nothing, with or without something running', (t) => {
  for (const runs of [true, false]) {
    const queue = queueOf(2);
    queue.add(entry('back'));
    const [long] = admitted(queue);
    if (!runs) queue.release(long!, 0);
    for (let index = 0; index < 30; index++) queue.add(entry('busy'));
    for (let turn = 0; turn < 20; turn++) queue.release(admitted(queue).at(-1)!, 0);
    for (let index = 0; index < 10; index++) queue.add(entry('back'));
    const order = Array.from({ length: 10 }, () => {
      const next = admitted(queue).at(-1)!;
      queue.release(next, 0);
      return next.principal;
    });
    t.true(order.filter((who) => who === 'back').length <= 6, `${order}`);
  }
});

test('AdmissionQueue serves callers without a principal only while nobody else waits, and never on all seats', (t) => {
  const queue = queueOf(3);
  for (let index = 0; index < 5; index++) queue.add(entry(null));
  t.is(admitted(queue).length, 2, 'one seat is left for who may come');
  queue.add(entry('a'));
  queue.add(entry('a'));
  const [first, ...others] = admitted(queue);
  t.is(first!.principal, 'a');
  t.is(others.length, 0);
  queue.release(entry(null), 0);
  t.deepEqual(
    admitted(queue).map(({ principal }) => principal),
    ['a'],
  );
  t.is(queue.anonymousRunning, 1);
  queue.release(first!, 0);
  t.deepEqual(
    admitted(queue).map(({ principal }) => principal),
    [null],
  );
});

test('AdmissionQueue lets no one pass the one whose turn it is and that does not fit, but steps over a held one', (t) => {
  const queue = queueOf(4);
  queue.add(entry('a', 10, 'held'));
  queue.add(entry('a', 10, 'large'));
  queue.add(entry('b', 10, 'small'));
  queue.add(entry(null, 10, 'small'));
  t.deepEqual(
    admitted(queue, ({ name }) => name !== 'large'),
    [],
  );
  t.deepEqual(
    admitted(queue).map(({ name, principal }) => [name, principal]),
    [
      ['large', 'a'],
      ['small', 'b'],
      ['small', null],
    ],
  );
});

test('AdmissionQueue says why a newcomer cannot come in', (t) => {
  const queue = queueOf(1, { maxWaiting: 3, anonMaxPending: 1, maxPerPrincipal: 2 });
  t.is(queue.refuse('a', 5), 'queue_full');
  t.is(queue.refuse('a', 3), 'per_principal');
  t.is(queue.refuse(null, 2), 'anon_yield');
  t.is(queueOf(1, { anonMaxRunning: 0 }).refuse(null, 1), 'anon_yield');
  t.is(queue.refuse(null, 1), null);
  queue.add(entry('a'));
  queue.add(entry('a'));
  t.is(queue.refuse('a', 1), 'per_principal');
  t.is(queue.refuse('b', 2), null);
});

test('AdmissionQueue keeps room at the door for a sixth principal, however many requests five others send', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      // Each takes at most half of what the others left.
      fc.integer({ min: 2 ** 5, max: 200 }),
      fc.array(fc.nat(4), { minLength: 300, maxLength: 300 }),
      (seats, maxWaiting, arrivals) => {
        const queue = queueOf(seats, { maxWaiting });
        for (const principal of arrivals) {
          if (queue.refuse(`heavy ${principal}`, 1) === null) queue.add(entry(`heavy ${principal}`));
          admitted(queue);
        }
        return queue.refuse('light', 1) === null;
      },
    ),
  );
  t.pass();
});

test('AdmissionQueue gives two principals that both wait the same work, to within two of the largest requests', (t) => {
  const arrival = fc.record({ who: fc.nat(3), work: fc.integer({ min: 1, max: 50 }), used: fc.nat(100) });
  const event = fc.oneof({ weight: 2, arbitrary: arrival }, { weight: 1, arbitrary: fc.constant(null) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(event, { minLength: 20, maxLength: 200 }), (seats, events) => {
      const queue = queueOf(seats);
      const running: Entry[] = [];
      const given = new Map<string, number>();
      // Work given to each pair since both have been waiting without a pause.
      const since = new Map<string, number>();
      for (const each of events) {
        if (each) queue.add(entry(`p${each.who}`, each.work));
        else {
          const done = running.shift();
          if (done) queue.release(done, 0);
        }
        const waitingBefore = new Set(queue.entries.map(({ principal }) => principal!));
        for (const got of admitted(queue)) {
          running.push(got);
          given.set(got.principal!, (given.get(got.principal!) ?? 0) + got.work);
        }
        const waitingAfter = new Set(queue.entries.map(({ principal }) => principal!));
        for (const a of ['p0', 'p1', 'p2', 'p3'])
          for (const b of ['p0', 'p1', 'p2', 'p3']) {
            if (a >= b) continue;
            const isBoth = [a, b].every((who) => waitingBefore.has(who) && waitingAfter.has(who));
            const ahead = (given.get(a) ?? 0) - (given.get(b) ?? 0);
            if (!isBoth) since.delete(a + b);
            else if (!since.has(a + b)) since.set(a + b, ahead);
            else if (Math.abs(ahead - since.get(a + b)!) > 2 * 50) return false;
          }
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});

test('AdmissionQueue counts everybody once and forgets who has nothing pending', (t) => {
  const step = fc.record({ what: fc.nat(3), who: fc.constantFrom('a', 'b', 'c', null), pick: fc.nat(9) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 120 }), (seats, steps) => {
      const queue = queueOf(seats);
      const waiting: Entry[] = [];
      const running: Entry[] = [];
      for (const { what, who, pick } of steps) {
        if (what === 0) {
          const added = entry(who, pick + 1);
          waiting.push(added);
          queue.add(added);
        } else if (what === 1) {
          for (const got of admitted(queue, ({ work }) => work > 2 || pick > 4)) {
            waiting.splice(waiting.indexOf(got), 1);
            running.push(got);
          }
        } else if (what === 2 && waiting.length > 0) {
          const [gone] = waiting.splice(pick % waiting.length, 1);
          if (!queue.remove(gone!) || queue.remove(gone!)) return false;
        } else if (running.length > 0) {
          const [done] = running.splice(pick % running.length, 1);
          queue.release(done!, pick % done!.work);
        }
        if (queue.waiting !== waiting.length || queue.running !== running.length) return false;
        if (queue.running > seats || queue.entries.length !== waiting.length) return false;
      }
      for (const gone of waiting) queue.remove(gone);
      for (const done of running) queue.release(done, 0);
      admitted(queue);
      return queue.waiting + queue.running + queue.lanes + queue.anonymousRunning === 0;
    }),
    { numRuns: 500 },
  );
  t.pass();
});
