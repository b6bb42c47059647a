import { CortexError } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { fakeModel } from '../testing/fake-model.js';
import { type ModelSpec, ModelTable, type OpenHooks } from './model-table.js';
import type { ServedModel } from './served-model.js';

const specOf = (id: string, rest: Partial<ModelSpec> = {}): ModelSpec => ({
  id,
  path: `/models/${id}`,
  tensorParallel: 1,
  device: 'auto',
  ...rest,
});

/** A table whose opens the test settles by hand. */
function tableOf() {
  const opens: { id: string; hooks: OpenHooks; ready: (model: ServedModel) => void; fail: (error: unknown) => void }[] =
    [];
  const table = new ModelTable({
    clock: new FakeClock(),
    log: pino({ level: 'silent' }),
    open: ({ id }, hooks) =>
      new Promise((ready, fail) => {
        hooks.signal.addEventListener('abort', () => fail(hooks.signal.reason));
        opens.push({ id, hooks, ready, fail });
      }),
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
  opens[0]!.hooks.onProgress({ bytes: 5, totalBytes: 10 });
  t.like(table.row('a')!.state, { kind: 'loading', progress: { bytes: 5, totalBytes: 10 } });
  opens[0]!.ready(fakeModel('a'));
  await loading;
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
  const table = new ModelTable({ clock, log: pino({ level: 'silent' }), open: async () => model });
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
