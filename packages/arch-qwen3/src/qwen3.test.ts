import { fileURLToPath } from 'node:url';
import {
  architectureSuite,
  asOnes,
  decoderMutations,
  mutateConfig,
  mutateRow,
  swapped,
  wrongHeadRepeat,
} from '@helexa/graph/conformance';
import test from 'ava';
import { qwen3 } from './qwen3.js';

architectureSuite(test, {
  architecture: qwen3,
  fixture: fileURLToPath(new URL('../fixtures/tiny', import.meta.url)),
  // Two kv heads: over 4 ranks, two ranks share each.
  ranks: [2, 4],
  quantisedRanks: [2],
  refused: [
    { change: { hidden_act: 'gelu' }, names: "'hidden_act'" },
    {
      change: { use_sliding_window: true, sliding_window: 32, max_window_layers: null, layer_types: null },
      names: "'max_window_layers'",
    },
    {
      change: { layer_types: ['full_attention', 'sliding_attention', 'full_attention', 'full_attention'] },
      names: "no 'sliding_window'",
    },
    { change: { layer_types: ['full_attention'] }, names: "'layer_types' has 1 entries" },
    { change: { rope_parameters: { rope_type: 'dynamic', factor: 2 } }, names: 'dynamic' },
    { change: { quantization_config: { quant_method: 'fp8' } }, names: "'quantization_config'" },
    { change: { num_key_value_heads: 3 }, names: "'num_attention_heads' is 4" },
    { change: { head_dim: 31 }, names: "'head_dim'" },
    { change: { hidden_size: undefined }, names: "'hidden_size'" },
  ],
  mutations: [
    ...decoderMutations(32),
    wrongHeadRepeat,
    mutateRow('no norm of query heads', 'qNorm', asOnes),
    mutateRow('no norm of key heads', 'kNorm', asOnes),
    mutateRow('gate and up swapped', 'gateUp', swapped(0, 1)),
    mutateConfig('another rotary base', { rope_parameters: { rope_type: 'default', rope_theta: 10000 } }),
    mutateConfig('another epsilon', { rms_norm_eps: 0.1 }),
  ],
});
