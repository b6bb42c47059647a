import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { architectureSuite, type Mutation, mutateConfig, mutateRow, swapped } from '@helexa/graph/conformance';
import test from 'ava';
import { hybridMutations, uniformCut } from './mutations.fixture.js';
import { qwen3Next, qwen35, qwen35Moe } from './qwen3-next.js';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const textOf = (name: string): object =>
  (JSON.parse(readFileSync(`${fixture(name)}/config.json`, 'utf8')) as { text_config: object }).text_config;

/** A change one level down, where a wrapper of text and vision keeps the keys. */
const inText = (name: string, change: object) => ({ text_config: { ...textOf(name), ...change } });

const sharedSwap = mutateRow('gate and up of the shared expert swapped', 'sharedGateUp', swapped(0, 1));
const expertSwap = mutateRow('gate and up of the experts swapped', 'expertGateUp', swapped(0, 1));
const rope = { rope_type: 'default', partial_rotary_factor: 0.25 };

architectureSuite(test, {
  architecture: qwen3Next,
  fixture: fixture('next'),
  refused: [
    { change: { hidden_act: 'gelu' }, names: "'hidden_act'" },
    { change: { attention_bias: true }, names: "'attention_bias'" },
    { change: { layer_types: ['full_attention', 'sliding_attention'] }, names: "'layer_types.1'" },
    { change: { layer_types: ['full_attention'] }, names: "'layer_types' has 1 entries for 4 layers" },
    { change: { linear_num_value_heads: 3 }, names: "'linear_num_value_heads' is 3" },
    { change: { num_key_value_heads: 3 }, names: "'num_attention_heads' is 4" },
    { change: { num_experts_per_tok: 9 }, names: "'num_experts_per_tok' is 9" },
    { change: { mlp_only_layers: [1], intermediate_size: null }, names: "'intermediate_size' is missing" },
    { change: { rope_parameters: { rope_type: 'dynamic', factor: 2 } }, names: 'dynamic' },
    { change: { rope_parameters: { ...rope, partial_rotary_factor: 1.5 } }, names: 'partial_rotary_factor' },
    { change: { rope_parameters: { ...rope, partial_rotary_factor: 0.1 } }, names: 'an even number is wanted' },
    { change: { quantization_config: { quant_method: 'fp8' } }, names: "'quantization_config'" },
    { change: { hidden_size: undefined }, names: "'hidden_size'" },
  ],
  mutations: [
    ...hybridMutations,
    expertSwap,
    sharedSwap,
    mutateConfig('value heads of a key head are not neighbours', { tiledValueHeads: true }),
    mutateConfig('weights of experts are not renormalised', { norm_topk_prob: false }),
    mutateConfig('half of a head is rotated', {
      rope_parameters: { ...rope, rope_theta: 10000000, partial_rotary_factor: 0.5 },
    }),
    mutateConfig('another rotary base', { rope_parameters: { ...rope, rope_theta: 10000 } }),
  ],
});

architectureSuite(test, {
  architecture: qwen35,
  fixture: fixture('dense'),
  refused: [
    { change: { text_config: {} }, names: "'vocab_size'" },
    { change: inText('dense', { attn_output_gate: false }), names: "'attn_output_gate'" },
    { change: inText('dense', { linear_num_key_heads: 4 }), names: "'linear_num_value_heads' is 6" },
    {
      change: inText('dense', { rope_parameters: { ...rope, mrope_section: [3, 3, 3], mrope_interleaved: true } }),
      names: 'a sum of 8 is wanted',
    },
    {
      change: inText('dense', { rope_parameters: { ...rope, mrope_section: [3, 3, 2], mrope_interleaved: false } }),
      names: 'mrope_interleaved',
    },
  ],
  mutations: [
    ...hybridMutations,
    uniformCut,
    mutateRow('gate and up swapped', 'gateUp', swapped(0, 1)),
    mutateConfig('value heads of a key head are not neighbours', inText('dense', { tiledValueHeads: true })),
  ],
});

/** The weights of the chosen experts are probabilities among all. */
const notRenormalised: Mutation = mutateConfig(
  'weights of experts are not renormalised',
  inText('moe', { norm_topk_prob: false }),
);

architectureSuite(test, {
  architecture: qwen35Moe,
  fixture: fixture('moe'),
  refused: [
    { change: inText('moe', { moe_intermediate_size: undefined }), names: "'moe_intermediate_size' is missing" },
  ],
  mutations: [...hybridMutations, uniformCut, expertSwap, sharedSwap, notRenormalised],
});
