import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CortexError, gatewayConfigSchema } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { KeyRing, type Principal } from '../keys/key-ring.js';
import { noRedis, type RedisServer, startRedis } from '../testing/redis-server.js';
import type { Ledger } from './ledger.js';
import { createLedger } from './open-ledger.js';
import { sqliteStore } from './sqlite-store.js';

type LedgerConfig = Parameters<typeof createLedger>[0];

const principalOf = (more: object = {}): Principal => {
  const keys = [{ key: 'sk-someone', account_id: 'someone', key_id: 'laptop', ...more }];
  const { entitlements } = gatewayConfigSchema.parse({ entitlements: { keys } });
  return new KeyRing(entitlements).resolve({ 'x-api-key': 'sk-someone' }) as Principal;
};

let redis: RedisServer | undefined;
test.before(async () => {
  redis = await startRedis();
});
test.after.always(() => redis?.close());

let ids = 0;
const openLedger = async (t: ExecutionContext, config: LedgerConfig, clock: FakeClock): Promise<Ledger> => {
  const makeId = (): string => `id-${process.pid}-${++ids}`;
  const ledger = createLedger(config, { clock, makeId, onError: (error) => t.log(String(error)) });
  await ledger.open();
  return ledger;
};

const folderOf = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'ledger-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
};

/** Every kind of ledger; undefined where this machine cannot have it. */
const kinds: Readonly<Record<LedgerConfig['kind'], (t: ExecutionContext) => Promise<LedgerConfig | undefined>>> = {
  memory: async () => ({ kind: 'memory' }),
  sqlite: async (t) => ({ kind: 'sqlite', file: join(await folderOf(t), 'deep', 'budgets.db') }),
  redis: async (t) => {
    if (!redis) t.log(noRedis);
    return redis && { kind: 'redis', url: redis.url, prefix: `${t.title}:` };
  },
};

const refusal = async (run: Promise<unknown>): Promise<readonly unknown[]> => {
  try {
    await run;
    return [];
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    return [error.code, (error.details as { retryAfterSeconds?: number }).retryAfterSeconds];
  }
};

const tokens = (most: number, least = 1) => ({ most, least });

for (const [kind, configOf] of Object.entries(kinds)) {
  const open = async (t: ExecutionContext, clock: FakeClock) => {
    const config = await configOf(t);
    if (!config) return undefined;
    const ledger = await openLedger(t, config, clock);
    return { ledger, config, close: () => ledger.close() };
  };

  test(`Ledger ${kind}: a balance counts what is set aside, is settled once, and does not come back`, async (t) => {
    const clock = new FakeClock();
    const opened = await open(t, clock);
    if (!opened) return void t.pass();
    const { ledger, close } = opened;
    const principal = principalOf({ hard_cap: 100 });
    const first = await ledger.reserve(principal, tokens(60));
    t.deepEqual(await refusal(ledger.reserve(principal, tokens(41))), ['insufficient_quota', undefined]);
    first.settle(10);
    first.settle(1000);
    t.like(await ledger.usage(principal), { spent: 10, reserved: 0 });
    (await ledger.reserve(principal, tokens(90))).settle(90);
    await ledger.usage(principal);
    const error = await t.throwsAsync(ledger.reserve(principal, tokens(1)), { instanceOf: CortexError });
    t.deepEqual(error?.details, { requested: 1, available: 0 });
    await close();
  });

  test(`Ledger ${kind}: a rolling window says when it starts anew, and does`, async (t) => {
    const clock = new FakeClock();
    const opened = await open(t, clock);
    if (!opened) return void t.pass();
    const { ledger, close } = opened;
    const principal = principalOf({ hard_cap: 100, window: { kind: 'rolling', seconds: 60 } });
    const late = await ledger.reserve(principal, tokens(40));
    (await ledger.reserve(principal, tokens(60))).settle(60);
    await ledger.usage(principal);
    await clock.advance(20_500);
    t.deepEqual(await refusal(ledger.reserve(principal, tokens(1))), ['rate_limit_exceeded', 40]);
    await clock.advance(39_500);
    // What ends in a later window is charged there.
    t.deepEqual(await refusal(ledger.reserve(principal, tokens(61))), ['rate_limit_exceeded', 60]);
    late.settle(30);
    t.like(await ledger.usage(principal), { spent: 30, reserved: 0 });
    t.deepEqual(await refusal(ledger.reserve(principal, tokens(70))), []);
    await close();
  });

  test(`Ledger ${kind}: a rate lets its requests through at once and the next ones at its pace`, async (t) => {
    const clock = new FakeClock();
    const opened = await open(t, clock);
    if (!opened) return void t.pass();
    const { ledger, close } = opened;
    const principal = principalOf({ requests_per_minute: 3 });
    for (let request = 0; request < 3; request++) await ledger.admit(principal);
    t.deepEqual(await refusal(ledger.admit(principal)), ['rate_limit_exceeded', 20]);
    await clock.advance(20_000);
    t.deepEqual(await refusal(ledger.admit(principal)), []);
    t.deepEqual(await refusal(ledger.admit(principal)), ['rate_limit_exceeded', 20]);
    await close();
  });

  test(`Ledger ${kind}: a key without a budget is counted and never refused`, async (t) => {
    const opened = await open(t, new FakeClock());
    if (!opened) return void t.pass();
    const { ledger, close } = opened;
    const principal = principalOf();
    const reservations = await Promise.all([1, 2, 3].map(() => ledger.reserve(principal, tokens(2 ** 40))));
    for (const reservation of reservations) reservation.settle(7);
    await ledger.usage(principal);
    t.is((await ledger.usage(principal)).spent, 21);
    await close();
  });

  if (kind === 'memory') continue;

  test(`Ledger ${kind}: what was used is known after an orderly end`, async (t) => {
    const clock = new FakeClock();
    const opened = await open(t, clock);
    if (!opened) return void t.pass();
    const [capped, free] = [principalOf({ hard_cap: 100 }), principalOf({ key_id: 'other' })];
    for (const used of [10, 20, 30]) (await opened.ledger.reserve(capped, tokens(used))).settle(used);
    (await opened.ledger.reserve(free, tokens(5))).settle(5);
    await opened.close();
    const again = await openLedger(t, opened.config, clock);
    t.like(await again.usage(capped), { spent: 60, reserved: 0 });
    t.is((await again.usage(free)).spent, 5);
    await again.close();
  });
}

const writeForEver = `
  const { sqliteStore } = await import(process.argv[1]);
  const store = sqliteStore({ file: process.argv[2] });
  await store.open();
  for (let spent = 1; ; spent++) {
    const opened = [{ id: 'r' + spent, keyId: 'a', least: 1 }];
    const closed = ['r' + (spent - 1)];
    await store.write({ accounts: [{ keyId: 'a', spent, windowStartMs: 1 }], opened, closed });
    process.stdout.write(spent + '\\n');
  }
`;

test('sqliteStore G1: what was written before a kill -9 is there, each change whole', async (t) => {
  const file = join(await folderOf(t), 'budgets.db');
  const library = new URL('./sqlite-store.js', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', writeForEver, library, file]);
  let seen = 0;
  for await (const chunk of child.stdout) {
    seen = Number(String(chunk).trim().split('\n').at(-1));
    if (seen >= 50) break;
  }
  child.kill('SIGKILL');
  await once(child, 'close');
  const store = sqliteStore({ file });
  const { accounts, reservations } = await store.open();
  await store.close();
  const spent = accounts[0]?.spent ?? 0;
  t.true(spent >= seen, `${spent} of ${seen}`);
  t.deepEqual(
    reservations.map(({ id }) => id),
    [`r${spent}`],
  );
});

test('Ledger sqlite: a second gateway with the same file is refused', async (t) => {
  const file = join(await folderOf(t), 'budgets.db');
  const first = await openLedger(t, { kind: 'sqlite', file }, new FakeClock());
  const error = await t.throwsAsync(openLedger(t, { kind: 'sqlite', file }, new FakeClock()), {
    instanceOf: CortexError,
  });
  t.is(error?.code, 'ledger_unavailable');
  t.regex(error?.message ?? '', /another process has it open/);
  await first.close();
  t.is((await stat(file)).mode & 0o777, 0o600);
});

test('Ledger sqlite: a file that is no database is refused, and so is a place where none can be', async (t) => {
  const folder = await folderOf(t);
  const file = join(folder, 'text');
  await writeFile(file, 'keyId,spent\n'.repeat(100));
  t.deepEqual(await refusal(openLedger(t, { kind: 'sqlite', file }, new FakeClock())), [
    'ledger_unavailable',
    undefined,
  ]);
  t.deepEqual(await refusal(openLedger(t, { kind: 'sqlite', file: join(file, 'x.db') }, new FakeClock())), [
    'ledger_unavailable',
    undefined,
  ]);
});

test('sqliteStore says which library is missing', async (t) => {
  const store = sqliteStore({ file: join(await folderOf(t), 'x.db'), library: 'no-such-library' });
  const error = await t.throwsAsync(store.open(), { instanceOf: CortexError });
  t.deepEqual(error?.details, { library: 'no-such-library', setting: 'entitlements.ledger' });
  await store.close();
});

test('sqliteStore G2: a write that fails keeps nothing of itself', async (t) => {
  const file = join(await folderOf(t), 'x.db');
  const store = sqliteStore({ file });
  await store.open();
  const account = { keyId: 'a', spent: 1, windowStartMs: 1 };
  // A column that wants a number refuses text: the second row takes the first one with it.
  const broken = { keyId: 'b', spent: 'many' as unknown as number, windowStartMs: 1 };
  await t.throwsAsync(store.write({ accounts: [account, broken], opened: [], closed: [] }), {
    instanceOf: CortexError,
  });
  await store.write({ accounts: [{ ...account, keyId: 'c' }], opened: [], closed: [] });
  await store.close();
  const again = sqliteStore({ file });
  t.deepEqual(
    (await again.open()).accounts.map(({ keyId }) => keyId),
    ['c'],
  );
  await again.close();
});
