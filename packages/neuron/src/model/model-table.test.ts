import { CortexError } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { fakeModel } from '../testing/fake-model.js';
import type { ModelSpec, OpenHooks } from './model-state.js';
import { ModelTable, type ModelTableOptions } from './model-table.js';
import type { ServedModel } from './served-model.js';

const specOf = (id: string, rest: Partial<ModelSpec> = {}): ModelSpec => ({
  id,
  path: `/models/${id}`,
  tensorParallel: 1,
  device: 'auto',
  ...rest,
});

/** A table whose opens the test settles by hand. */
function tableOf(options: Partial<ModelTableOptions> = {}) {
  const opens: { id: string; hooks: OpenHooks; ready: (model: ServedModel) => void; fail: (error: unknown) => void }[] =
    [];
  const table = new ModelTable({
    clock: new FakeClock(),
    log: pino({ level: 'silent' }),
    newJobId: () => `load-${opens.length + 1}`,
    process: 'p',
    open: ({ id }, hooks) =>
      new Promise((ready, fail) => {
        hooks.signal.addEventListener('abort', () => fail(hooks.signal.reason));
        opens.push({ id, hooks, ready, fail });
      }),
    ...options,
  });
  return { table, opens };
}
const turns = async () => {
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
};

test('ModelTable opens a model once for all who load it at the same time', async (t) => {
  const { table, opens } = tableOf();
  const loads = [table.load(specOf('a')), table.load(specOf('a'))];
  await turns();
  t.is(opens.length, 1);
  opens[0]!.ready(fakeModel('a'));
  t.deepEqual(await Promise.all(loads), [{ already: false }, { already: false }]);
  t.deepEqual(await table.load(specOf('a')), { already: true });
  await table.close(0);
});

test('ModelTable loads different models side by side', async (t) => {
  const { table, opens } = tableOf();
  const first = table.load(specOf('a'));
  const second = table.load(specOf('b'));
  await turns();
  t.deepEqual(
    opens.map((open) => open.id),
    ['a', 'b'],
  );
  opens[1]!.ready(fakeModel('b'));
  await second;
  t.throws(() => table.serve('a'), { code: 'model_not_ready' });
  t.is(table.serve('b').id, 'b');
  opens[0]!.ready(fakeModel('a'));
  await first;
  await table.close(0);
});

test('ModelTable shows progress while a model loads', async (t) => {
  const { table, opens } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  opens[0]!.hooks.onPhase('uploading');
  opens[0]!.hooks.onProgress({ bytes: 5, totalBytes: 10 });
  const [job] = table.jobs.jobs;
  t.like(job!.view(), { state: 'running', phase: 'uploading', bytes: 5, total_bytes: 10 });
  opens[0]!.ready(fakeModel('a'));
  await loading;
  t.like(job!.view(), { state: 'loaded', phase: 'ready' });
  await table.close(0);
});

test('ModelTable keeps a failed load visible with its reason, and loads it anew when asked', async (t) => {
  const { table, opens } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  opens[0]!.fail(new CortexError('checkpoint_invalid', { file: 'x', reason: 'it is torn' }));
  await t.throwsAsync(loading, { code: 'checkpoint_invalid' });
  t.throws(() => table.serve('a'), { code: 'model_failed', message: /it is torn/ });
  const again = table.load(specOf('a'));
  while (opens.length < 2) await turns();
  opens[1]!.ready(fakeModel('a'));
  await again;
  t.is(table.serve('a').id, 'a');
  await table.close(0);
});

test('ModelTable reports a model whose device failed, and leaves the others alone', async (t) => {
  const { table, opens } = tableOf();
  const loads = Promise.all([table.load(specOf('a')), table.load(specOf('b'))]);
  await turns();
  opens[0]!.ready(fakeModel('a'));
  opens[1]!.ready(fakeModel('b'));
  await loads;
  opens[0]!.hooks.onFailed(new CortexError('device_failed', { model: 'a', reason: 'gone' }));
  t.throws(() => table.serve('a'), { code: 'model_failed' });
  t.is(table.serve('b').id, 'b');
  await table.close(0);
});

test('ModelTable gives up a load when the model is unloaded meanwhile', async (t) => {
  const { table } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  const failed = t.throwsAsync(loading, { code: 'request_cancelled' });
  await table.unload('a');
  await failed;
  t.is(table.row('a'), null);
});

test('ModelTable refuses to load a model again in another shape', async (t) => {
  const { table, opens } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  await t.throwsAsync(table.load(specOf('a', { tensorParallel: 2 })), { code: 'model_spec_conflict' });
  opens[0]!.ready(fakeModel('a'));
  await loading;
  await table.close(0);
});

test('ModelTable closes every model, gives up loads, and refuses everything afterwards', async (t) => {
  const { table, opens } = tableOf();
  let closed = 0;
  const loads = [table.load(specOf('a')), table.load(specOf('b'))];
  await turns();
  const model = fakeModel('a');
  opens[0]!.ready({
    ...model,
    close: async () => {
      closed += 1;
      await model.close();
    },
  });
  await loads[0];
  const given = t.throwsAsync(loads[1]!, { code: 'request_cancelled' });
  await table.close(0);
  await given;
  t.is(closed, 1);
  t.deepEqual(table.rows, []);
  t.throws(() => table.serve('a'), { code: 'shutting_down' });
  await t.throwsAsync(table.load(specOf('a')), { code: 'shutting_down' });
});

test('ModelTable gives up a model that does not close, at its deadline', async (t) => {
  const clock = new FakeClock();
  const model = { ...fakeModel('a'), close: () => new Promise<void>(() => {}) };
  const { table } = tableOf({ clock, open: async () => model });
  await table.load(specOf('a'));
  let isClosed = false;
  const closing = table.close(0).then(() => {
    isClosed = true;
  });
  await clock.advance(19_999);
  t.false(isClosed);
  await clock.advance(1);
  await closing;
  t.true(isClosed);
});

test('ModelTable has one load for two hundred callers at once, whatever they spell', async (t) => {
  const { table, opens } = tableOf({ canonical: (id) => id.replace(/^huggingface:/, '') });
  const loads = Array.from({ length: 200 }, () => table.load(specOf('org/a')));
  await turns();
  t.is(opens.length, 1);
  t.is(table.jobs.jobs.length, 1);
  opens[0]!.ready(fakeModel('org/a'));
  t.true((await Promise.all(loads)).every(({ already }) => !already));
  t.is(table.serve('huggingface:org/a').id, 'org/a');
  await table.close(0);
});

test('ModelTable has one load for all who wait for the same unload', async (t) => {
  let closed = () => {};
  const { table, opens } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  opens[0]!.ready({
    ...fakeModel('a'),
    close: () =>
      new Promise((resolve) => {
        closed = resolve;
      }),
  });
  await loading;
  const unloading = table.unload('a');
  const loads = Array.from({ length: 20 }, () => table.load(specOf('a')));
  await turns();
  t.is(opens.length, 1);
  closed();
  await unloading;
  while (opens.length < 2) await turns();
  await turns();
  t.is(opens.length, 2);
  opens[1]!.ready(fakeModel('a'));
  await Promise.all(loads);
  await table.close(0);
});

test('ModelTable cancels a load for all who wait for it, and says so in the job', async (t) => {
  const { table } = tableOf();
  const job = (await table.start(specOf('a')))!;
  const waiting = t.throwsAsync(table.load(specOf('a')), { code: 'request_cancelled' });
  await table.cancel(job);
  await waiting;
  t.is(table.row('a'), null);
  t.like(job.view(), { state: 'cancelled', error: { code: 'request_cancelled' } });
  await table.cancel(job);
});

test('ModelTable closes a model that was opened although its load was given up', async (t) => {
  let isClosed = false;
  const { table } = tableOf({
    open: async (_, hooks) => {
      await new Promise<void>((resolve) => hooks.signal.addEventListener('abort', () => resolve()));
      return {
        ...fakeModel('a'),
        close: async () => {
          isClosed = true;
        },
      };
    },
  });
  const loading = t.throwsAsync(table.load(specOf('a')), { code: 'request_cancelled' });
  await turns();
  await table.unload('a');
  await loading;
  t.true(isClosed);
  t.deepEqual(table.rows, []);
});

/** A table with the model `a`, whose fake device steps only when the test lets it. */
async function busyTable() {
  const clock = new FakeClock();
  const { table, opens } = tableOf({ clock });
  const loading = table.load(specOf('a'));
  await turns();
  const model = fakeModel('a');
  let goOn = () => {};
  const stepping = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  Object.defineProperty(model.engine, 'idle', { value: () => stepping });
  let running = 1;
  Object.defineProperty(model.engine, 'load', { get: () => ({ running, waiting: 0 }) });
  opens[0]!.ready(model);
  await loading;
  return {
    table,
    clock,
    finish: () => {
      running = 0;
      goOn();
    },
  };
}

test('ModelTable refuses to unload a model in use, unless it is told to', async (t) => {
  const { table } = await busyTable();
  await t.throwsAsync(table.unload('a', { waitMs: 0, isForced: false }), { code: 'model_in_use' });
  t.is(table.serve('a').id, 'a');
  await table.unload('a', { waitMs: 0, isForced: true });
  t.deepEqual(table.rows, []);
});

test('ModelTable waits for requests before an unload and takes no new ones meanwhile', async (t) => {
  const { table, finish } = await busyTable();
  const unloading = table.unload('a', { waitMs: 5000, isForced: false });
  await turns();
  t.throws(() => table.serve('a'), { code: 'model_not_ready', message: /'unloading'/ });
  finish();
  await unloading;
  t.deepEqual(table.rows, []);
});

test('ModelTable serves again when requests outlast the wait of an unload', async (t) => {
  const { table, clock, finish } = await busyTable();
  const unloading = t.throwsAsync(table.unload('a', { waitMs: 5000, isForced: false }), { code: 'model_in_use' });
  await turns();
  await clock.advance(5000);
  await unloading;
  t.is(table.serve('a').id, 'a');
  finish();
  await table.close(0);
});

test('ModelTable ends an unload within its bound and keeps a model that does not let go in sight until it does', async (t) => {
  const clock = new FakeClock();
  let letGo = () => {};
  const { table } = tableOf({
    clock,
    open: async () => ({
      ...fakeModel('a'),
      close: () =>
        new Promise((resolve) => {
          letGo = resolve;
        }),
    }),
  });
  await table.load(specOf('a'));
  const unloading = t.throwsAsync(table.unload('a'), { code: 'unload_stalled' });
  await turns();
  await clock.advance(20_000);
  await unloading;
  t.is(table.row('a')!.state.kind, 'stuck');
  await t.throwsAsync(table.load(specOf('a')), { code: 'unload_stalled' });
  letGo();
  await turns();
  t.deepEqual(table.rows, []);
  await table.load(specOf('a'));
  t.is(table.serve('a').id, 'a');
});

test('ModelTable ends the unload of a load that hears nothing, within its bound', async (t) => {
  const clock = new FakeClock();
  const { table } = tableOf({ clock, open: () => new Promise(() => {}) });
  const job = (await table.start(specOf('a')))!;
  const unloading = t.throwsAsync(table.cancel(job), { code: 'unload_stalled' });
  await turns();
  await clock.advance(20_000);
  await unloading;
  t.is(table.row('a')!.state.kind, 'stuck');
});

test('ModelTable: a change for an epoch that has passed is refused, what is there already is joined', async (t) => {
  const { table, opens } = tableOf();
  const [empty] = [table.epoch];
  const first = await table.start(specOf('a'), empty);
  t.not(table.epoch, empty);
  // Somebody who still believes in the empty table: nothing is begun, nothing leaves.
  await t.throwsAsync(table.start(specOf('b'), empty), { code: 'epoch_stale' });
  await t.throwsAsync(table.unload('a', { waitMs: 0, isForced: true, epoch: empty }), { code: 'epoch_stale' });
  t.is(await table.start(specOf('a'), empty), first);
  opens[0]!.ready(fakeModel('a'));
  await first?.outcome();
  t.is(await table.start(specOf('a'), empty), null);
  t.is(opens.length, 1);
});

test('ModelTable.unload gives the epoch that it made, not one that another change made meanwhile', async (t) => {
  const { table, opens } = tableOf();
  const loading = table.load(specOf('a'));
  await turns();
  opens[0]!.ready(fakeModel('a'));
  await loading;
  const before = table.epoch;
  const unloading = table.unload('a', { waitMs: 0, isForced: false, epoch: before });
  const made = table.epoch;
  t.not(made, before);
  // A second one who wants it gone by the same look comes too late.
  await t.throwsAsync(table.unload('a', { waitMs: 0, isForced: false, epoch: before }), { code: 'epoch_stale' });
  const other = await table.start(specOf('b'), made);
  t.is(await unloading, made);
  await t.throwsAsync(table.start(specOf('c'), made), { code: 'epoch_stale' });
  t.truthy(await table.start(specOf('c'), table.epoch));
  t.is(table.jobs.jobs.length, 3);
  other?.cancel('the test ends');
});

test('ModelTable: an unload that is refused because requests run changes no epoch', async (t) => {
  const { table } = await busyTable();
  const { epoch } = table;
  await t.throwsAsync(table.unload('a', { waitMs: 0, isForced: false, epoch }), { code: 'model_in_use' });
  t.is(table.epoch, epoch);
});

test('ModelTable: a failed model is loaded anew by the epoch that it is seen in', async (t) => {
  const { table, opens } = tableOf();
  const loading = t.throwsAsync(table.load(specOf('a')));
  await turns();
  opens[0]!.fail(new CortexError('internal_error', { reason: 'x' }));
  await loading;
  await t.throwsAsync(table.start(specOf('a'), 'p.0'), { code: 'epoch_stale' });
  t.truthy(await table.start(specOf('a'), table.epoch));
});
