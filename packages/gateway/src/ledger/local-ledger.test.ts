import { FakeClock, settle } from '@helexa/core/testing';
import test from 'ava';
import type { Principal } from '../keys/key-ring.js';
import type { LedgerChange, LedgerStore } from './ledger-store.js';
import { LocalLedger } from './local-ledger.js';

const principal: Principal = {
  accountId: 'someone',
  keyId: 'laptop',
  isAdmin: false,
  allowedModels: [],
  hardCap: 100,
  windowSeconds: undefined,
  requestsPerMinute: undefined,
};

/** A store that keeps changes until it is told to fail. */
const begin = async (kept: Awaited<ReturnType<LedgerStore['open']>> = { accounts: [], reservations: [] }) => {
  const changes: LedgerChange[] = [];
  const errors: unknown[] = [];
  const state = { isFull: false };
  const store: LedgerStore = {
    open: async () => kept,
    write: async (change) => {
      if (state.isFull) throw new TypeError('disk full');
      changes.push(change);
    },
    close: async () => {},
  };
  const clock = new FakeClock();
  let id = 0;
  const makeId = (): string => `r${++id}`;
  const ledger = new LocalLedger({ clock, store, makeId, onError: (error) => errors.push(error) });
  await ledger.open();
  return { ledger, clock, changes, errors, state };
};

test('LocalLedger writes nothing before its pause is over, and a request that came and went only as its sum', async (t) => {
  const { ledger, clock, changes } = await begin();
  for (const used of [1, 2, 3]) (await ledger.reserve(principal, { most: 10, least: 1 })).settle(used);
  await settle();
  t.is(changes.length, 0);
  await clock.advance(100);
  const windowStartMs = clock.unixMs() - 100;
  t.deepEqual(changes, [{ accounts: [{ keyId: 'laptop', spent: 6, windowStartMs }], opened: [], closed: [] }]);
  t.is(clock.pending, 0);
});

test('LocalLedger G1: what was under way at a sudden death is charged its least', async (t) => {
  const before = await begin();
  await before.ledger.reserve(principal, { most: 40, least: 4 });
  await before.clock.advance(100);
  t.deepEqual(before.changes.at(-1)?.opened, [{ id: 'r1', keyId: 'laptop', least: 4 }]);
  const reservations = before.changes.at(-1)?.opened ?? [];
  const after = await begin({ accounts: [{ keyId: 'laptop', spent: 9, windowStartMs: 1 }], reservations });
  t.like(await after.ledger.usage(principal), { spent: 13, reserved: 0 });
  await after.clock.advance(100);
  t.deepEqual(after.changes, [
    { accounts: [{ keyId: 'laptop', spent: 13, windowStartMs: 1 }], opened: [], closed: ['r1'] },
  ]);
});

test('LocalLedger G2: a disk that takes nothing is reported, and everything is tried again', async (t) => {
  const { ledger, clock, changes, errors, state } = await begin();
  const first = await ledger.reserve(principal, { most: 10, least: 1 });
  await clock.advance(100);
  state.isFull = true;
  first.settle(5);
  const second = await ledger.reserve(principal, { most: 10, least: 2 });
  await ledger.reserve(principal, { most: 10, least: 3 });
  await clock.advance(100);
  t.is(errors.length, 1);
  second.settle(6);
  state.isFull = false;
  await clock.advance(100);
  const { accounts, opened, closed } = changes.at(-1) as LedgerChange;
  t.is(accounts[0]?.spent, 11);
  t.deepEqual(opened, [{ id: 'r3', keyId: 'laptop', least: 3 }]);
  t.deepEqual(closed, ['r1']);
  t.is((await ledger.usage(principal)).reserved, 10);
});

test('LocalLedger writes what is left when it closes', async (t) => {
  const { ledger, clock, changes } = await begin();
  (await ledger.reserve(principal, { most: 10, least: 1 })).settle(5);
  await ledger.close();
  t.is(changes[0]?.accounts[0]?.spent, 5);
  t.is(clock.pending, 0);
});
