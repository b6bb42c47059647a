import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QuantFormat } from '@helexa/core';
import { referenceBackend } from '@helexa/graph';
import { largestDifference, ScriptedModel, writeRandomCheckpoint } from '@helexa/graph/conformance';
import test from 'ava';
import { qwen3 } from './qwen3.js';

const quantFormats: readonly QuantFormat[] = ['Q4_0', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'];

/** Every rank of two has whole blocks of 256 columns. */
const config = qwen3.parseConfig(
  {
    vocab_size: 96,
    hidden_size: 256,
    intermediate_size: 512,
    num_hidden_layers: 1,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    head_dim: 64,
    max_position_embeddings: 64,
    rms_norm_eps: 1e-6,
    tie_word_embeddings: true,
  },
  'config.json',
);
const ids = [5, 90, 17, 3];

/** Float64 sums in another order. Blocks of other bytes move logits by over 1e-5. */
const bound = 1e-8;

for (const quant of quantFormats)
  test(`qwen3 quantised to ${quant} by each of two ranks is what it is quantised whole, its tied head untouched`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'cortex-quantised-'));
    try {
      const checkpoint = await writeRandomCheckpoint(folder, qwen3.weights(config), config, 0.1);
      const run = async (ranks: number, format?: QuantFormat) => {
        const backend = referenceBackend();
        const options = { architecture: qwen3, config, checkpoint, backend, ranks };
        const model = await ScriptedModel.load(format ? { ...options, quant: format } : options);
        const logits = await model.prefill(ids);
        const formats = model.compiled.programs[0]!.tensors.map((tensor) => [tensor.name, tensor.format] as const);
        await model.dispose();
        return { logits, formats: new Map(formats) };
      };
      const [whole, halves, plain] = [await run(1, quant), await run(2, quant), await run(1)];
      t.true(largestDifference(whole.logits, halves.logits) <= bound);
      t.true(largestDifference(whole.logits, plain.logits) > 1e-5, 'rounding must show');
      for (const { formats } of [whole, halves]) {
        t.is(formats.get('layers.0.down'), quant);
        t.is(formats.get('embed'), 'F32');
        t.false([...formats.keys()].some((name) => name.startsWith('head')));
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
