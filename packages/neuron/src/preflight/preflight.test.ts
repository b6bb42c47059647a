import { createArchitectureRegistry, nullBackend } from '@helexa/graph';
import test from 'ava';
import { tinyArchitecture, tinyModelPath } from '../testing/tiny-architecture.js';
import { preflight } from './preflight.js';

const registry = createArchitectureRegistry([tinyArchitecture]);

test('preflight adds up what a model needs without reading a weight', async (t) => {
  const report = await preflight({
    path: tinyModelPath,
    registry,
    backend: nullBackend(),
    ranks: 2,
    limits: { maxContext: 1000 },
  });
  t.like(report, { ok: true, architecture: 'tiny', backend: 'null', modelContext: 4096, context: 1000, refusals: [] });
  // 4 layers, 2 heads of 32, keys and values of 2 bytes.
  t.is(report.kvBytesPerToken, 4 * 2 * 2 * 32 * 2);
  t.is(report.formats.BF16, report.parameters);
  t.is(report.ranks.length, 2);
  t.true(report.ranks.every((rank) => rank.totalBytes > rank.weightBytes && rank.weightBytes > 0));
});

test('preflight reports a refusal in the words of the load', async (t) => {
  const unknown = await preflight({
    path: tinyModelPath,
    registry: createArchitectureRegistry([]),
    backend: nullBackend(),
    ranks: 1,
    limits: {},
  });
  t.false(unknown.ok);
  t.like(unknown.refusals[0], { code: 'architecture_unknown' });
  const uneven = await preflight({ path: tinyModelPath, registry, backend: nullBackend(), ranks: 5, limits: {} });
  t.like(uneven.refusals[0], { code: 'cannot_shard' });
});
