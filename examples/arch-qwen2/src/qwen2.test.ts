import { fileURLToPath } from 'node:url';
import { architectureSuite, asOnes, mutateConfig, mutateRow, swapped } from '@helexa/graph/conformance';
import test from 'ava';
import { qwen2 } from './qwen2.js';

const zero = (): number => 0;
const noBiases = mutateRow('no biases', 'qkvBias', (row) => ({
  ...row,
  segments: row.segments.map((segment) => ({
    ...segment,
    safetensors: segment.safetensors.map((source) => ({ ...source, map: zero })),
  })),
}));

// Layers 1 and 2 see the last 24 tokens only; the cases have 40 and 70.
architectureSuite(test, {
  architecture: qwen2,
  fixture: fileURLToPath(new URL('../fixtures/tiny', import.meta.url)),
  // Two kv heads: over 4 ranks, two ranks share each.
  ranks: [2, 4],
  refused: [
    { change: { hidden_act: 'gelu' }, names: "'hidden_act'" },
    { change: { sliding_window: null }, names: "no 'sliding_window'" },
    { change: { layer_types: null, max_window_layers: null }, names: "'max_window_layers' is missing" },
    { change: { layer_types: ['full_attention'] }, names: "'layer_types' has 1 entries for 3 layers" },
    { change: { hidden_size: 46 }, names: "'head_dim' is absent" },
    { change: { num_key_value_heads: 3 }, names: "'num_attention_heads' is 4" },
  ],
  mutations: [
    noBiases,
    mutateRow('biases of keys and values swapped', 'qkvBias', swapped(1, 2)),
    mutateRow('keys and values swapped', 'qkv', swapped(1, 2)),
    mutateRow('gate and up swapped', 'gateUp', swapped(0, 1)),
    mutateRow('no weight of the attention norm', 'attnNorm', asOnes),
    mutateRow('no weight of the last norm', 'finalNorm', asOnes),
    mutateConfig('a window one token wider', { sliding_window: 25 }),
    mutateConfig('windows in the lower layers', {
      layer_types: ['sliding_attention', 'sliding_attention', 'full_attention'],
    }),
    mutateConfig('another rotary base', { rope_parameters: { rope_type: 'default', rope_theta: 10000 } }),
  ],
});
