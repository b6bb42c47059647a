import { fileURLToPath } from 'node:url';
import {
  architectureSuite,
  asZeros,
  decoderMutations,
  mutateConfig,
  mutateRow,
  swapped,
  wrongHeadRepeat,
} from '@helexa/graph/conformance';
import test from 'ava';
import { llama } from './llama.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));

architectureSuite(test, {
  architecture: llama,
  fixture: fixture('tiny'),
  // Two kv heads: over 4 ranks, two ranks share each.
  ranks: [2, 4],
  refused: [
    { change: { hidden_act: 'gelu' }, names: "'hidden_act'" },
    { change: { rope_parameters: { rope_type: 'dynamic', factor: 2 } }, names: 'dynamic' },
    { change: { rope_parameters: { rope_type: 'llama3', factor: -1 } }, names: "'rope_parameters.factor' is -1" },
    { change: { rope_parameters: { partial_rotary_factor: 0.5 } }, names: 'partial_rotary_factor' },
    { change: { quantization_config: { quant_method: 'gptq' } }, names: "'quantization_config'" },
    { change: { num_key_value_heads: 3 }, names: "'num_attention_heads' is 4" },
    { change: { vocab_size: '640' }, names: "'vocab_size'" },
  ],
  mutations: [
    ...decoderMutations(32),
    wrongHeadRepeat,
    mutateRow('gate and up swapped', 'gateUp', swapped(0, 1)),
    mutateConfig('another rotary base', {
      rope_parameters: { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 128, rope_theta: 10000 },
    }),
    mutateConfig('rotary scaling forgotten', { rope_parameters: { rope_type: 'default', rope_theta: 500000 } }),
  ],
});

architectureSuite((title, body) => test(`with biases: ${title}`, body), {
  architecture: llama,
  fixture: fixture('bias'),
  ranks: [2],
  refused: [{ change: { mlp_bias: 1 }, names: "'mlp_bias'" }],
  mutations: [
    ...decoderMutations(16),
    mutateRow('no bias of the down projection', 'downBias', asZeros),
    mutateRow('no bias of the output of attention', 'attnOutBias', asZeros),
    mutateRow('biases of gate and up swapped', 'gateUpBias', swapped(0, 1)),
    mutateRow('biases of queries and keys swapped', 'qkvBias', swapped(0, 1)),
  ],
});
