import { neuronConfigSchema } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import test, { type ExecutionContext } from 'ava';
import { pino } from 'pino';
import { fakeModel } from '../testing/fake-model.js';
import { startMockRegistry } from '../testing/mock-registry.js';
import { openTestSources } from '../testing/test-sources.js';
import { DefaultModels } from './default-models.js';
import { ModelTable } from './model-table.js';

/** Default models whose opening asks a registry for a listing, as a real one does; time stands still. */
async function rig(t: ExecutionContext) {
  const registry = await startMockRegistry({});
  t.teardown(() => registry.close());
  const { sources, close } = await openTestSources(registry.url);
  t.teardown(close);
  const clock = new FakeClock();
  const lines: { msg: string; reason?: string; detail?: string }[] = [];
  const log = pino({ level: 'warn' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const table = new ModelTable({
    clock,
    log: pino({ level: 'silent' }),
    newJobId: () => 'load-1',
    process: 'p',
    open: async ({ id }) => {
      await sources.repository(id);
      return fakeModel(id);
    },
  });
  const stop = new AbortController();
  const config = neuronConfigSchema.parse({ default_models: [{ model_id: 'huggingface:org/name' }] });
  const models = new DefaultModels({ config, table, sources, clock, log, signal: stop.signal });
  return { registry, clock, lines, models, stop, table };
}

/** Lets network and timers go on until the condition holds. */
async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await new Promise((resolve) => setImmediate(resolve));
}

test('DefaultModels asks a registry that is down again, and then loads', async (t) => {
  const { registry, clock, lines, models } = await rig(t);
  registry.fault = () => ({ kind: 'status', status: 503 });
  t.deepEqual(models.activation.pending, ['org/name']);
  const loading = models.loadAll();
  for (const seconds of [10, 20]) {
    await until(() => clock.pending === 1);
    t.deepEqual(models.activation.pending, ['org/name']);
    registry.repositories.set('org/name', { files: {} });
    if (seconds === 20) registry.fault = () => null;
    await clock.advance(seconds * 1000);
  }
  await loading;
  t.deepEqual(models.activation, { state: 'ready', pending: [], completed: ['org/name'], failed: [] });
  t.is(lines.length, 2);
  t.regex(lines[0]?.msg ?? '', /^reason=repo_fetch_failed detail=Cannot fetch model 'org\/name': .*status 503/);
});

test('DefaultModels gives up at once on what no waiting cures, with reason and detail in the log', async (t) => {
  const { clock, lines, models, registry } = await rig(t);
  await models.loadAll();
  t.is(clock.pending, 0);
  t.is(registry.requests.length, 1);
  t.is(models.activation.state, 'ready');
  t.is(models.activation.failed[0]?.model_id, 'org/name');
  t.regex(lines.at(-1)?.msg ?? '', /reason=repo_not_found detail=Cannot find model 'org\/name'/);
  t.is(lines.at(-1)?.reason, 'repo_not_found');
});

test('DefaultModels stops waiting when the neuron ends', async (t) => {
  const { registry, clock, models, stop } = await rig(t);
  registry.fault = () => ({ kind: 'status', status: 503 });
  const loading = models.loadAll();
  await until(() => clock.pending === 1);
  stop.abort(new Error('the end'));
  await loading;
  t.is(clock.pending, 0);
  t.is(models.activation.pending.length, 0);
});
