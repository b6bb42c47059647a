import type { CortexError } from '@helexa/core';
import test from 'ava';
import type { Architecture } from './architecture.js';
import { nullBackend } from './backends/null.js';
import { listCheckpointTensors } from './checkpoint-tensors.js';
import { compileTiny, tiny, tinyConfig, tinyForward, tinyLimits, tinyWeights } from './testing/tiny-model.js';
import { vectorRow } from './weight-rows.js';

test('compile gives one program and as many fills as tensors for each rank', (t) => {
  const { programs, fills, plan, facts } = compileTiny({ ranks: 2 });
  t.is(programs.length, 2);
  t.deepEqual(
    fills.map((rank) => rank.length),
    programs.map((program) => program.tensors.length),
  );
  t.is(plan.ranks.length, 2);
  t.is(facts.layers, 2);
});

test('compile plans bytes from the program alone', (t) => {
  const [rank] = compileTiny({ kvFormat: 'F32' }).plan.ranks;
  // Two layers, keys and values, 2 heads of 16 elements of 4 bytes.
  t.is(rank!.kvBytesPerToken, 2 * 2 * 2 * 16 * 4);
  t.is(rank!.kvBytes, tinyLimits.pages * 64 * rank!.kvBytesPerToken);
  t.is(
    rank!.totalBytes,
    rank!.weightBytes + rank!.kvBytes + rank!.stateBytes + rank!.activationBytes + rank!.stepBytes,
  );
  t.is(compileTiny({ kvFormat: 'F16' }).plan.ranks[0]!.kvBytes, rank!.kvBytes / 2);
});

test('compile refuses an op that the backend does not have, a row nobody reads and another vocabulary', (t) => {
  const codeOf = (run: () => unknown) => (t.throws(run) as CortexError).code;
  const backend = nullBackend();
  const ops = new Set([...backend.ops].filter((op) => op !== 'attend'));
  t.is(
    codeOf(() => compileTiny({ backend: { ...backend, ops } })),
    'op_unsupported',
  );
  const idle: Architecture = {
    ...tiny,
    weights: () => {
      const table = tinyWeights(tinyConfig);
      return { ...table, rows: [...table.rows, vectorRow('idle', 4, { safetensors: [{ tensor: 'idle' }], gguf: [] })] };
    },
  };
  t.throws(() => compileTiny({ architecture: idle }), { message: /'idle': no node of the forward graph reads/u });
  t.is(
    codeOf(() => compileTiny({ limits: { ...tinyLimits, vocab: 51 } })),
    'graph_invalid',
  );
});

test('compile refuses a graph whose widths do not fit or whose values nobody reads', (t) => {
  const forward = (body: Architecture['forward']): Architecture => ({ ...tiny, forward: body });
  t.throws(
    () => compileTiny({ architecture: forward((b) => b.rmsNorm(b.embed(b.weight('embed')), b.weight('head'), 1)) }),
    { message: /graph/u },
  );
  const dead = forward((b) => {
    b.silu(b.embed(b.weight('embed')));
    tinyForward(b);
  });
  t.throws(() => compileTiny({ architecture: dead }), { message: /nothing reads its output/u });
  const unknown = forward((b) => void b.weight('nope'));
  t.throws(() => compileTiny({ architecture: unknown }), { message: /no row of the weights table has this slot/u });
});

test('listCheckpointTensors names each tensor once, with the shape it has in its file', (t) => {
  const tensors = listCheckpointTensors(tinyWeights(tinyConfig), 'gguf');
  t.is(new Set(tensors.map((tensor) => tensor.name)).size, tensors.length);
  t.deepEqual(
    tensors.find((tensor) => tensor.name === 'blk.1.q.weight'),
    { name: 'blk.1.q.weight', shape: [64, 64], slot: 'layers.1.qkv', vector: false, exact: false },
  );
  // Embedding, head, last norm, and eleven tensors in each of two layers.
  t.is(tensors.length, 3 + 2 * 11);
});

test('compileFromConfig refuses a format whose blocks do not fill a row', (t) => {
  const error = t.throws(() => compileTiny({ format: () => 'Q4_K' })) as CortexError;
  t.is(error.code, 'tensor_format');
  t.notThrows(() => compileTiny({ format: () => 'Q8_0' }));
});
