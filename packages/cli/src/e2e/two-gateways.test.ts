import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { qwen3 } from '@helexa/arch-qwen3';
import { epochHeader, gatewayConfigSchema, neuronConfigSchema } from '@helexa/core';
import { startGateway } from '@helexa/gateway';
import { type Backend, nullBackend } from '@helexa/graph';
import { startNeuron } from '@helexa/neuron';
import test from 'ava';
import { pino } from 'pino';
import { demonstrationPlaces } from '../find-model.js';

const mebibyte = 2 ** 20;

/** A device that has room for one of the two models at a time, and computes nothing. */
const smallDevice = (): Backend => ({
  ...nullBackend(),
  discover: async () => [
    { index: 0, name: 'null', memoryBytes: 350 * mebibyte, freeBytes: 350 * mebibyte, capability: 'none' },
  ],
});

test('two gateways over one neuron: each gets its model, one after the other, and nothing is loaded twice', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cortex-two-'));
  t.teardown(() => rm(folder, { recursive: true }));
  for (const id of ['m', 'n']) await symlink(demonstrationPlaces[0]!, join(folder, id));
  const catalogue = join(folder, 'models.toml');
  await writeFile(catalogue, ['m', 'n'].map((id) => `[[models]]\nid = "${id}"\nvram_mb = 200\n`).join('\n'));
  const neuron = await startNeuron({
    config: neuronConfigSchema.parse({
      listen: '127.0.0.1:0',
      models_dir: [folder],
      drain_ms: 200,
      engine: { max_rows: 64, max_sequences: 4, max_context: 512, kv_pages: 1200 },
    }),
    architectures: [qwen3],
    backends: [smallDevice()],
  });
  t.teardown(() => neuron.close());
  const gateways = await Promise.all(
    [0, 1].map(() =>
      startGateway({
        config: gatewayConfigSchema.parse({
          gateway: { listen: '127.0.0.1:0', metrics_listen: '127.0.0.1:0', poll_interval_ms: 50 },
          models_config: catalogue,
          loading: { residency_ms: 100, patience_ms: 100 },
          neurons: [{ name: 'a', endpoint: neuron.url }],
        }),
        firstLookMs: 20_000,
        logger: pino({ level: 'silent' }),
      }),
    ),
  );
  t.teardown(() => Promise.all(gateways.map((gateway) => gateway.close())));
  const ask = async (which: number, model: string): Promise<number> => {
    const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${gateways[which]!.url}/v1/chat/completions`, { method: 'POST', headers, body });
    const text = await response.text();
    if (response.status !== 200) t.log(text);
    return response.status;
  };
  // Each wants what the other has, and both want the same.
  t.deepEqual(await Promise.all([ask(0, 'm'), ask(1, 'n'), ask(1, 'm'), ask(0, 'n')]), [200, 200, 200, 200]);
  const jobs = ((await (await fetch(`${neuron.url}/jobs`)).json()) as { jobs: { model: string; phase: string }[] })
    .jobs;
  t.deepEqual(
    jobs.filter(({ phase }) => phase === 'failed'),
    [],
  );
  t.true(jobs.length >= 2 && jobs.length <= 4, JSON.stringify(jobs));
  const models = await fetch(`${neuron.url}/models`);
  const held = ((await models.json()) as { status: string; vram_used_mb?: number }[]).filter(
    ({ status }) => status === 'loaded',
  );
  t.is(held.length, 1, JSON.stringify(held));
  // Every load and every unload was one change: all that came were counted, and nobody came in between.
  t.is(Number(models.headers.get(epochHeader)?.split('.')[1]), jobs.length + jobs.length - held.length);
});
