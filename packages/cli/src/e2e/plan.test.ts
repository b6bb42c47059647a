import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gatewayConfigSchema } from '@helexa/core';
import { startFakeNeuron } from '@helexa/core/testing';
import { startGateway } from '@helexa/gateway';
import test from 'ava';
import { pino } from 'pino';
import { runCortex } from '../testing/index.js';

test('cortex plan says what a request would cause, as text and as JSON, and does none of it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-plan-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'models.toml');
  const pinned = '[[models]]\nid = "far"\npinned_on = ["nowhere"]\n';
  await writeFile(file, `[[models]]\nid = "org/m"\n${pinned}[aliases]\nsmall = "org/m"\n`);
  const neuron = await startFakeNeuron({ models: [{ id: 'here', status: 'loaded' }] });
  t.teardown(() => neuron.close());
  const config = gatewayConfigSchema.parse({
    gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0' },
    models_config: file,
    neurons: [{ name: 'a', endpoint: neuron.url }],
  });
  const gateway = await startGateway({ config, firstLookMs: 20_000, logger: pino({ level: 'silent' }) });
  t.teardown(() => gateway.close());
  const plan = (...args: string[]) => runCortex(['plan', ...args, '--endpoint', gateway.url]);
  const text = await plan('small');
  t.deepEqual([text.code, text.stdout.split('\n')[0]], [0, 'org/m: would be loaded on a'], text.stderr);
  const ready = JSON.parse((await plan('here', '--json')).stdout) as object;
  t.like(ready, { action: 'serve', node: 'a', ready_on: ['a'], expected_ms: 0, refusal: null });
  const never = await plan('far', '--json');
  t.is(never.code, 69);
  t.like(JSON.parse(never.stdout), { action: 'refuse', refusal: { status: 422, code: 'model_unplaceable' } });
  t.deepEqual(
    neuron.looks.filter((path) => path.startsWith('/models/')),
    [],
  );
});
