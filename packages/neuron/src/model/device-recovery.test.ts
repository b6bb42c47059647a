import { CortexError } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test from 'ava';
import { pino } from 'pino';
import { fakeModel } from '../testing/fake-model.js';
import { faultScope } from './device-fault.js';
import type { ModelSpec, OpenHooks } from './model-state.js';
import { ModelTable } from './model-table.js';
import { RestartBudget } from './restart-budget.js';

const specOf = (id: string): ModelSpec => ({ id, path: `/models/${id}`, tensorParallel: 1, device: 'auto' });
const lost = () => new CortexError('device_lost', { backend: 'fake', reason: 'error 719' });

/** A table on one fake backend whose opens fail as the test says; every event in order. */
function rig(options: { readonly restarts?: number; readonly rebuild?: () => Promise<void> } = {}) {
  const clock = new FakeClock();
  const events: string[] = [];
  const hooks = new Map<string, OpenHooks>();
  const failures: (CortexError | null)[] = [];
  let jobs = 0;
  const table = new ModelTable({
    clock,
    log: pino({ level: 'silent' }),
    newJobId: () => `load-${++jobs}`,
    process: 'p',
    restarts: new RestartBudget({ restarts: options.restarts ?? 3, windowMs: 600_000 }),
    rebuild: async (backend) => {
      events.push(`rebuild ${backend}`);
      await options.rebuild?.();
    },
    open: async ({ id }, hook) => {
      hook.onBackend('fake');
      const failure = failures.shift();
      events.push(`open ${id}${failure ? ' fails' : ''}`);
      if (failure) throw failure;
      hooks.set(id, hook);
      const model = fakeModel(id);
      return {
        ...model,
        close: async () => {
          events.push(`close ${id}`);
          await model.close();
        },
      };
    },
  });
  return { table, clock, events, failures, fail: (id: string, error: CortexError) => hooks.get(id)!.onFailed(error) };
}
const settle = async () => {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve();
};
const kinds = (table: ModelTable) => Object.fromEntries(table.rows.map(({ spec, state }) => [spec.id, state.kind]));

test('faultScope believes codes and no words, anywhere in the chain of causes', (t) => {
  t.is(faultScope(new CortexError('device_failed', { model: 'a', reason: 'x' }, { cause: lost() })), 'device');
  t.is(faultScope(new CortexError('device_stalled', { model: 'a', timeoutMs: 1 })), 'device');
  t.is(faultScope(new CortexError('out_of_memory', { what: 'x', wantBytes: 2, haveBytes: 1 })), 'model');
  t.is(faultScope(new CortexError('step_invalid', { field: 'x', reason: 'CUDA error: device lost' })), 'none');
  t.is(faultScope(new Error('CUDA_ERROR_LAUNCH_FAILED')), 'none');
});

test('DeviceRecovery frees every model of a lost device, makes the device anew once, and loads the same models', async (t) => {
  const { table, events, fail } = rig();
  await Promise.all([table.load(specOf('a')), table.load(specOf('b'))]);
  fail('a', lost());
  t.deepEqual(kinds(table), { a: 'recovering', b: 'recovering' });
  t.throws(() => table.serve('b'), { code: 'model_not_ready' });
  fail('b', lost());
  await settle();
  t.deepEqual(kinds(table), { a: 'ready', b: 'ready' });
  t.deepEqual(events.slice(2), ['close a', 'close b', 'rebuild fake', 'open a', 'open b']);
  t.like(table.faults[0], { backend: 'fake', state: 'recovered', restarts: 1, reason: lost().message });
  await table.close(0);
});

test('DeviceRecovery loads one model again whose own memory failed, and leaves its neighbours alone', async (t) => {
  const { table, events, fail } = rig();
  await Promise.all([table.load(specOf('a')), table.load(specOf('b'))]);
  fail('a', new CortexError('out_of_memory', { what: 'scratch', wantBytes: 2, haveBytes: 1 }));
  t.deepEqual(kinds(table), { a: 'recovering', b: 'ready' });
  await settle();
  t.deepEqual(events.slice(2), ['close a', 'open a']);
  t.deepEqual(table.faults, []);
  await table.close(0);
});

test('DeviceRecovery leaves a failure that is no fault of a device to the operator', async (t) => {
  const { table, events, fail } = rig();
  await table.load(specOf('a'));
  fail('a', new CortexError('step_invalid', { field: 'rows', reason: 'is 0' }));
  await settle();
  t.deepEqual(kinds(table), { a: 'failed' });
  t.deepEqual(events, ['open a']);
  await table.close(0);
});

test('DeviceRecovery gives up after its restarts with the reason, until an operator loads the model again', async (t) => {
  const { table, events, fail, clock } = rig({ restarts: 2 });
  await table.load(specOf('a'));
  for (let round = 0; round < 2; round++) {
    fail('a', lost());
    await settle();
    t.deepEqual(kinds(table), { a: 'ready' });
    await clock.advance(1000);
  }
  fail('a', lost());
  await settle();
  t.deepEqual(kinds(table), { a: 'failed' });
  const refused = t.throws(() => table.serve('a'), { code: 'model_failed' });
  t.regex(refused!.message, /2 restarts within 600000 ms did not help: .*error 719/);
  t.like(table.faults[0], { state: 'failed' });
  await table.load(specOf('a'));
  fail('a', lost());
  await settle();
  t.deepEqual(kinds(table), { a: 'ready' });
  t.is(events.filter((event) => event === 'rebuild fake').length, 3);
  await table.close(0);
});

test('DeviceRecovery counts restarts of the last while only', async (t) => {
  const { table, fail, clock } = rig({ restarts: 1 });
  await table.load(specOf('a'));
  for (let round = 0; round < 3; round++) {
    fail('a', lost());
    await settle();
    t.deepEqual(kinds(table), { a: 'ready' });
    await clock.advance(600_000);
  }
  await table.close(0);
});

test('DeviceRecovery tries again when the device is lost during the new load, and stops at its bound', async (t) => {
  const { table, events, failures, fail } = rig({ restarts: 3 });
  await table.load(specOf('a'));
  failures.push(lost(), lost());
  fail('a', lost());
  await settle();
  t.deepEqual(kinds(table), { a: 'ready' });
  t.is(events.filter((event) => event.startsWith('rebuild')).length, 3);
  await table.close(0);
});

test('DeviceRecovery takes over a load during which the device was lost; its caller hears of the loss', async (t) => {
  const { table, failures } = rig();
  failures.push(lost());
  await t.throwsAsync(table.load(specOf('a')), { code: 'device_lost' });
  await settle();
  t.deepEqual(kinds(table), { a: 'ready' });
  t.deepEqual(
    table.jobs.jobs.map((job) => job.view().state),
    ['loaded', 'failed'],
  );
  await table.close(0);
});

test('DeviceRecovery ends with the reason when the device cannot be made anew', async (t) => {
  const { table, fail } = rig({
    rebuild: async () => {
      throw new CortexError('backend_unavailable', { backend: 'fake', reason: 'it fell off the bus' });
    },
  });
  await table.load(specOf('a'));
  fail('a', lost());
  await settle();
  t.throws(() => table.serve('a'), { code: 'model_failed', message: /fell off the bus/ });
  t.like(table.faults[0], { state: 'failed' });
  await table.close(0);
});

test('DeviceRecovery lets go of a model that is unloaded while it recovers', async (t) => {
  let goOn = () => {};
  const { table, events, fail } = rig({
    rebuild: () =>
      new Promise((resolve) => {
        goOn = resolve;
      }),
  });
  await table.load(specOf('a'));
  fail('a', lost());
  await settle();
  const unloading = table.unload('a');
  goOn();
  await unloading;
  t.deepEqual(kinds(table), {});
  t.false(events.slice(1).includes('open a'));
  await table.close(0);
});

test('DeviceRecovery abandons a model that does not let go of a stalled device, and goes on without it', async (t) => {
  const { table, clock, fail, events } = rig();
  const model = await table.load(specOf('a')).then(() => table.serve('a'));
  model.engine.close = () => new Promise(() => {});
  fail('a', new CortexError('device_stalled', { model: 'a', timeoutMs: 1 }));
  await settle();
  t.deepEqual(kinds(table), { a: 'recovering' });
  await clock.advance(20_000);
  await settle();
  t.deepEqual(kinds(table), { a: 'ready' });
  t.deepEqual(events, ['open a', 'close a', 'rebuild fake', 'open a']);
  await table.close(0);
});
