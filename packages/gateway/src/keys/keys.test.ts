import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CortexError, gatewayConfigSchema } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { budgetJournal, memoryBudgets } from './budget-store.js';
import { Budgets } from './budgets.js';
import { checkScope, KeyRing, type Principal } from './key-ring.js';

const ringOf = (keys: readonly object[], require_auth = false): KeyRing =>
  new KeyRing(gatewayConfigSchema.parse({ entitlements: { require_auth, keys } }).entitlements);

const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as CortexError).code;
  }
};

const someone = { key: 'sk-someone', account_id: 'someone', key_id: 'laptop' };

test('KeyRing finds a key in either header, and one that only its hash was given of', (t) => {
  const key = `sha256:${createHash('sha256').update('sk-secret').digest('hex')}`;
  const ring = ringOf([someone, { key, account_id: 'other' }]);
  t.is(ring.resolve({ authorization: 'bearer sk-someone' })?.keyId, 'laptop');
  t.is(ring.resolve({ 'x-api-key': 'sk-secret' })?.keyId, 'other');
});

test('KeyRing serves unknown keys as nobody, unless somebody has to be named', (t) => {
  const open = ringOf([someone]);
  t.is(open.resolve({ authorization: 'Bearer not-needed' }), undefined);
  t.is(open.resolve({}), undefined);
  const closed = ringOf([someone], true);
  for (const headers of [{}, { authorization: 'Bearer not-needed' }, { authorization: 'Basic sk-someone' }]) {
    t.is(
      codeOf(() => closed.resolve(headers)),
      'invalid_api_key',
    );
  }
  t.is(closed.resolve({ authorization: 'Bearer sk-someone' })?.accountId, 'someone');
});

test('KeyRing keeps admin and inference apart', (t) => {
  const ring = ringOf([someone, { key: 'sk-admin-1', account_id: 'root', admin: true }]);
  const admin = ring.resolveAdmin({ authorization: 'Bearer sk-admin-1' });
  t.is(
    codeOf(() => checkScope(admin, 'm', 'm')),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => ring.resolveAdmin({ authorization: 'Bearer sk-someone' })),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => ring.resolveAdmin({})),
    'invalid_api_key',
  );
});

test('checkScope takes a model by its id or by the alias that was asked for', (t) => {
  const principal = ringOf([{ ...someone, allowed_models: ['org/m'] }]).resolve({ 'x-api-key': 'sk-someone' });
  t.is(
    codeOf(() => checkScope(principal, 'alias', 'org/m')),
    undefined,
  );
  t.is(
    codeOf(() => checkScope(principal, 'org/n', 'org/n')),
    'key_not_allowed',
  );
  t.is(
    codeOf(() => checkScope(undefined, 'org/n', 'org/n')),
    undefined,
  );
});

const principalOf = (more: object): Principal => {
  const principal = ringOf([{ ...someone, ...more }]).resolve({ 'x-api-key': 'sk-someone' });
  return principal as Principal;
};

test('Budgets: a balance counts what is set aside, and does not come back', (t) => {
  const clock = new FakeClock();
  const budgets = new Budgets({ store: memoryBudgets(), clock });
  const principal = principalOf({ hard_cap: 100 });
  const first = budgets.reserve(principal, 60);
  t.is(
    codeOf(() => budgets.reserve(principal, 41)),
    'insufficient_quota',
  );
  first.settle(10);
  first.settle(1000);
  t.is(budgets.spent(principal), 10);
  budgets.reserve(principal, 90).settle(90);
  const error = t.throws(() => budgets.reserve(principal, 1), { instanceOf: CortexError });
  t.deepEqual(error?.details, { requested: 1, available: 0 });
});

test('Budgets: a rolling window says when it starts anew, and does', async (t) => {
  const clock = new FakeClock();
  const budgets = new Budgets({ store: memoryBudgets(), clock });
  const principal = principalOf({ hard_cap: 100, window: { kind: 'rolling', seconds: 60 } });
  budgets.reserve(principal, 100).settle(100);
  await clock.advance(20_500);
  const error = t.throws(() => budgets.reserve(principal, 1), { instanceOf: CortexError });
  t.deepEqual(
    [error?.code, (error?.details as { retryAfterSeconds: number } | undefined)?.retryAfterSeconds],
    ['rate_limit_exceeded', 40],
  );
  await clock.advance(39_500);
  t.is(
    codeOf(() => budgets.reserve(principal, 100)),
    undefined,
  );
});

test('Budgets: a rate lets its requests through at once and the next ones at its pace', async (t) => {
  const clock = new FakeClock();
  const budgets = new Budgets({ store: memoryBudgets(), clock });
  const principal = principalOf({ requests_per_minute: 3 });
  for (let request = 0; request < 3; request++) budgets.admit(principal);
  t.is(
    codeOf(() => budgets.admit(principal)),
    'rate_limit_exceeded',
  );
  await clock.advance(20_000);
  t.is(
    codeOf(() => budgets.admit(principal)),
    undefined,
  );
  t.is(
    codeOf(() => budgets.admit(principal)),
    'rate_limit_exceeded',
  );
});

const inFolder = async (t: ExecutionContext): Promise<string> => {
  const folder = await mkdtemp(join(tmpdir(), 'budgets-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, 'deep', 'budgets.jsonl');
};

test('budgetJournal G1: what was used is known after a start, half a line at the end or not', async (t) => {
  const file = await inFolder(t);
  const clock = new FakeClock();
  const principal = principalOf({ hard_cap: 100 });
  const store = budgetJournal({ file, onError: (error) => t.fail(String(error)) });
  const budgets = new Budgets({ store, clock });
  await budgets.open();
  for (const tokens of [10, 20, 30]) budgets.reserve(principal, tokens).settle(tokens);
  await store.close();
  await writeFile(file, `${await readFile(file, 'utf8')}{"keyId":"lap`);
  const again = new Budgets({ store: budgetJournal({ file, onError: () => t.fail() }), clock });
  await again.open();
  t.is(again.spent(principal), 60);
  t.is((await readFile(file, 'utf8')).trim().split('\n').length, 1);
});

test('budgetJournal refuses a file that is no journal, naming the line', async (t) => {
  const file = await inFolder(t);
  await budgetJournal({ file, onError: () => t.fail() }).load();
  await writeFile(file, '{"keyId":"a","spent":1,"windowStartMs":1}\nnonsense\n{}\n');
  const error = await t.throwsAsync(budgetJournal({ file, onError: () => t.fail() }).load(), {
    instanceOf: CortexError,
  });
  t.is((error?.details as { line?: number } | undefined)?.line, 2);
});

test('budgetJournal G2: a disk that takes nothing is reported, and the rows are kept for the next try', async (t) => {
  const file = await inFolder(t);
  const errors: unknown[] = [];
  const store = budgetJournal({ file, onError: (error) => errors.push(error) });
  // The folder is not there yet.
  store.put({ keyId: 'a', spent: 1, windowStartMs: 1 });
  await store.close();
  t.true(errors.length > 0);
  const text = await readFile(file, 'utf8').catch(() => '');
  t.is(text, '');
  await budgetJournal({ file, onError: () => t.fail() }).load();
  store.put({ keyId: 'b', spent: 2, windowStartMs: 1 });
  await store.close();
  t.deepEqual(
    (await budgetJournal({ file, onError: () => t.fail() }).load()).map(({ keyId }) => keyId),
    ['a', 'b'],
  );
});
