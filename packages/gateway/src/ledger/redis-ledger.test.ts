import { CortexError } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Redis } from 'ioredis';
import type { Principal } from '../keys/key-ring.js';
import { noRedis, startRedis } from '../testing/redis-server.js';
import type { Ledger, Reservation } from './ledger.js';
import { createLedger, optionalLibrary } from './open-ledger.js';
import { reserveScript, settleScript, usageScript } from './redis-scripts.js';

const capped: Principal = {
  accountId: 'someone',
  keyId: 'laptop',
  isAdmin: false,
  allowedModels: [],
  hardCap: 100,
  windowSeconds: undefined,
  requestsPerMinute: undefined,
};
const free: Principal = { ...capped, keyId: 'free', hardCap: undefined };

let ids = 0;
const begin = async (t: ExecutionContext) => {
  const server = await startRedis();
  if (!server) {
    t.log(noRedis);
    t.pass();
    return undefined;
  }
  t.teardown(() => server.close());
  const clock = new FakeClock();
  const errors: string[] = [];
  const open = async (prefix = 'test:'): Promise<Ledger> => {
    const ledger = createLedger(
      { kind: 'redis', url: server.url, prefix },
      { clock, makeId: () => `id-${++ids}`, onError: (error) => errors.push((error as Error).message) },
    );
    await ledger.open();
    t.teardown(() => ledger.close());
    return ledger;
  };
  return { server, clock, errors, open };
};

const codeOf = async (run: Promise<unknown>): Promise<string> => {
  try {
    await run;
    return 'ok';
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    return error.code;
  }
};

/** Looks again until something of the real world has come about. */
const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await new Promise((resolve) => setTimeout(resolve, 10));
};

test('RedisLedger: two gateways see what each other has set aside', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const [one, other] = [await world.open(), await world.open()];
  const reservation = await one.reserve(capped, { most: 60, least: 1 });
  t.is(await codeOf(other.reserve(capped, { most: 41, least: 1 })), 'insufficient_quota');
  reservation.settle(10);
  await one.usage(capped);
  t.is(await codeOf(other.reserve(capped, { most: 90, least: 1 })), 'ok');
  t.is(await codeOf(one.reserve(capped, { most: 1, least: 1 })), 'insufficient_quota');
});

test('RedisLedger G1: what a gateway had set aside is charged its least once it is not heard of any more', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const [dead, other] = [await world.open(), await world.open()];
  await dead.reserve(capped, { most: 90, least: 7 });
  await dead.close();
  t.is(await codeOf(other.reserve(capped, { most: 11, least: 1 })), 'insufficient_quota');
  await world.clock.advance(60_000);
  t.like(await other.usage(capped), { spent: 7, reserved: 0 });
});

test('RedisLedger keeps what a long request has set aside', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const [one, other] = [await world.open(), await world.open()];
  const long = await one.reserve(capped, { most: 90, least: 7 });
  for (let minute = 0; minute < 3; minute++) {
    await world.clock.advance(20_000);
    // The renewal of this minute has arrived when an answer behind it has.
    await one.usage(free);
  }
  t.like(await other.usage(capped), { spent: 0, reserved: 90 });
  long.settle(80);
  await one.usage(capped);
  t.like(await other.usage(capped), { spent: 80, reserved: 0 });
});

test('RedisLedger fails closed for keys with a budget while Redis is away, and tells it afterwards what was used', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const { server, clock, errors } = world;
  const ledger = await world.open();
  t.true(ledger.isReachable);
  const before = await ledger.reserve(capped, { most: 50, least: 1 });
  server.freeze();
  const late = ledger.reserve(capped, { most: 5, least: 1 });
  // Nobody else waits for Redis.
  (await ledger.reserve(free, { most: 5, least: 1 })).settle(3);
  const error = await t.throwsAsync(late, { instanceOf: CortexError });
  t.deepEqual(
    [error?.code, (error?.details as { retryAfterSeconds?: number } | undefined)?.retryAfterSeconds],
    ['rate_limit_exceeded', 5],
  );
  before.settle(20);
  server.thaw();
  await until(async () => {
    await clock.advance(500);
    const [{ spent, reserved }, other] = [await ledger.usage(capped), await ledger.usage(free)];
    return spent === 20 && reserved === 0 && other.spent === 3;
  });
  await server.stop();
  await until(() => !ledger.isReachable);
  t.true(errors.some((message) => message.includes('the connection was lost')));
  t.is(await codeOf(ledger.reserve(capped, { most: 5, least: 1 })), 'rate_limit_exceeded');
  t.is(await codeOf(ledger.admit({ ...capped, requestsPerMinute: 5 })), 'rate_limit_exceeded');
  (await ledger.reserve(free, { most: 5, least: 1 })).settle(4);
  await server.start();
  await until(() => ledger.isReachable);
  await until(async () => {
    await clock.advance(500);
    return (await ledger.usage(free)).spent === 4;
  });
});

test('RedisLedger opens without a Redis, and refuses what it cannot answer for', async (t) => {
  const world = await begin(t);
  if (!world) return;
  await world.server.stop();
  const ledger = await world.open();
  t.false(ledger.isReachable);
  t.is(await codeOf(ledger.reserve(capped, { most: 1, least: 1 })), 'rate_limit_exceeded');
  await world.server.start();
  await until(() => ledger.isReachable);
  t.is(await codeOf(ledger.reserve(capped, { most: 1, least: 1 })), 'ok');
});

test('settleScript counts once what arrives twice', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const client = new Redis(world.server.url);
  t.teardown(() => client.disconnect());
  const keys = ['a:account', 'a:open', 'a:gateway'] as const;
  await client.eval(reserveScript, 2, keys[0], keys[1], 1000, 0, 100, 61_000, 'r1|40|4');
  const batch = [1000, 0, 61_000, 1, 7, 1, 'r1|40|4', 30];
  await client.eval(settleScript, 3, ...keys, ...batch);
  await client.eval(settleScript, 3, ...keys, ...batch);
  t.deepEqual(await client.eval(usageScript, 2, keys[0], keys[1], 1000, 0), ['37', '0', '1000']);
  // The same reservation in a later batch is as much over as before.
  await client.eval(settleScript, 3, ...keys, 1000, 0, 61_000, 2, 1, 1, 'r1|40|4', 30);
  t.deepEqual(await client.eval(usageScript, 2, keys[0], keys[1], 1000, 0), ['38', '0', '1000']);
});

type Step =
  | { readonly kind: 'reserve'; readonly at: 0 | 1; readonly most: number }
  | { readonly kind: 'settle'; readonly which: number; readonly part: number }
  | { readonly kind: 'die'; readonly at: 0 | 1 };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('reserve'), at: fc.constantFrom(0, 1), most: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('settle'), which: fc.nat(), part: fc.nat(100) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die'), at: fc.constantFrom(0, 1) }) },
) as fc.Arbitrary<Step>;

test('RedisLedger: two gateways never overspend a budget together, and lose no token of it', async (t) => {
  const world = await begin(t);
  if (!world) return;
  const { clock } = world;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(step, { maxLength: 6 }), { maxLength: 6 }), async (rounds) => {
      const prefix = `run-${++run}:`;
      const gateways = [await world.open(prefix), await world.open(prefix)] as [Ledger, Ledger];
      const open: { at: 0 | 1; most: number; reservation: Reservation }[] = [];
      let used = 0;
      let lost = 0;
      const apply = async (each: Step): Promise<void> => {
        if (each.kind === 'reserve') {
          const estimate = { most: each.most, least: Math.min(2, each.most) };
          const reservation = await gateways[each.at].reserve(capped, estimate).catch(() => undefined);
          if (reservation) open.push({ at: each.at, most: each.most, reservation });
        } else if (each.kind === 'settle' && open.length > 0) {
          const [{ most, reservation }] = open.splice(each.which % open.length, 1) as [(typeof open)[number]];
          const tokens = Math.floor((most * each.part) / 100);
          used += tokens;
          reservation.settle(tokens);
        }
      };
      for (const round of rounds) {
        // The steps of a round race.
        await Promise.all(round.map(apply));
        for (const { at } of round.filter(({ kind }) => kind === 'die') as { at: 0 | 1 }[]) {
          await gateways[at].close();
          for (const each of open.filter((one) => one.at === at)) lost += Math.min(2, each.most);
          open.splice(0, open.length, ...open.filter((one) => one.at !== at));
          gateways[at] = await world.open(prefix);
        }
        t.true(used + lost + open.reduce((sum, { most }) => sum + most, 0) <= 100);
      }
      for (const { reservation } of open) reservation.settle(0);
      await gateways[0].usage(capped);
      await gateways[1].usage(capped);
      await clock.advance(60_001);
      t.like(await gateways[0].usage(capped), { spent: used + lost, reserved: 0 });
      await Promise.all(gateways.map((gateway) => gateway.close()));
    }),
    { numRuns: 20 },
  );
});

test('optionalLibrary says which library is missing', async (t) => {
  const name = 'no-such-library';
  const error = await t.throwsAsync(
    optionalLibrary(name, () => import(name)),
    { instanceOf: CortexError },
  );
  t.is(error?.code, 'library_missing');
  t.regex(error?.suggestion ?? '', /npm install no-such-library/);
  await t.throwsAsync(
    optionalLibrary(name, () => Promise.reject(new TypeError('broken'))),
    { instanceOf: TypeError },
  );
});
