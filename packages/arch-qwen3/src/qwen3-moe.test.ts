import { fileURLToPath } from 'node:url';
import type { GgufValue } from '@helexa/core';
import { compile, listCheckpointTensors, nullBackend, paperCheckpoint } from '@helexa/graph';
import {
  architectureSuite,
  asOnes,
  decoderMutations,
  mutateConfig,
  mutateRow,
  readingRows,
  swapped,
  wrongHeadRepeat,
} from '@helexa/graph/conformance';
import test from 'ava';
import { qwen3Moe } from './qwen3-moe.js';

architectureSuite(test, {
  architecture: qwen3Moe,
  fixture: fileURLToPath(new URL('../fixtures/moe', import.meta.url)),
  // Two kv heads: over 4 ranks, two ranks share each.
  ranks: [2, 4],
  refused: [
    { change: { num_experts: null, num_local_experts: null }, names: "'num_experts' is missing" },
    { change: { num_experts: 4 }, names: "'num_local_experts' 8" },
    { change: { num_experts_per_tok: 9 }, names: 'there are 8 experts' },
    { change: { moe_intermediate_size: null }, names: "'moe_intermediate_size'" },
    { change: { mlp_only_layers: [-1] }, names: "'mlp_only_layers.0'" },
    { change: { head_dim: null, num_attention_heads: 6 }, names: "'head_dim' is absent" },
    {
      change: { use_sliding_window: true, sliding_window: 32, max_window_layers: null, layer_types: null },
      names: "'max_window_layers'",
    },
    { change: { quantization_config: { quant_method: 'fp8' } }, names: "'quantization_config'" },
  ],
  mutations: [
    ...decoderMutations(32),
    wrongHeadRepeat,
    mutateConfig('weights of the chosen not divided by their sum', { norm_topk_prob: false }),
    mutateConfig('one expert fewer', { num_experts_per_tok: 2 }),
    mutateConfig('one expert more', { num_experts_per_tok: 4 }),
    mutateRow('gate and up of experts swapped', 'expertGateUp', swapped(0, 1)),
    mutateRow(
      'experts shifted by one',
      'router',
      readingRows((row) => (row + 1) % 8),
    ),
    mutateRow(
      'router in reverse order',
      'router',
      readingRows((row) => 7 - row),
    ),
    mutateRow(
      'rows of a down projection off by one',
      'expertDown',
      readingRows((row) => (row + 1) % 64),
    ),
    mutateRow('no norm of query heads', 'qNorm', asOnes),
  ],
});

const metadata = new Map<string, GgufValue>([
  ['general.architecture', 'qwen3moe'],
  ['qwen3moe.block_count', 2],
  ['qwen3moe.context_length', 40960],
  ['qwen3moe.embedding_length', 512],
  ['qwen3moe.feed_forward_length', 512],
  ['qwen3moe.vocab_size', 64],
  ['qwen3moe.attention.head_count', 4],
  ['qwen3moe.attention.head_count_kv', 2],
  ['qwen3moe.attention.key_length', 128],
  ['qwen3moe.attention.layer_norm_rms_epsilon', 1e-6],
  ['qwen3moe.rope.freq_base', 1000000],
  ['qwen3moe.expert_count', 6],
  ['qwen3moe.expert_used_count', 2],
  ['qwen3moe.expert_feed_forward_length', 256],
  ['qwen3moe.leading_dense_block_count', 1],
]);
const ggufModel = () => qwen3Moe.parseConfig(qwen3Moe.ggufConfig(metadata), 'm.gguf');
const limits = {
  maxRows: 8,
  maxSequences: 1,
  maxSampled: 1,
  maxContext: 64,
  pages: 1,
  vocab: 64,
  maxBias: 0,
  maxTopLogprobs: 0,
  exposeLogits: false,
};

test('qwen3Moe reads experts out of GGUF metadata, and renormalises unless the file says otherwise', (t) => {
  t.like(ggufModel(), { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 256, norm_topk_prob: true });
  t.like(ggufModel(), { denseLayers: [0], sparseLayers: [1] });
  const says = new Map([...metadata, ['qwen3moe.expert_weights_norm', false] as const]);
  t.like(qwen3Moe.parseConfig(qwen3Moe.ggufConfig(says), 'm.gguf'), { norm_topk_prob: false });
});

test('qwen3Moe names the tensors of its experts as a GGUF file does', (t) => {
  const tensors = listCheckpointTensors(qwen3Moe.weights(ggufModel()), 'gguf');
  t.deepEqual(
    tensors.filter(({ name }) => /^blk\..\.ffn/u.test(name)).map(({ name, shape }) => [name, shape]),
    [
      ['blk.0.ffn_norm.weight', [512]],
      ['blk.0.ffn_gate.weight', [512, 512]],
      ['blk.0.ffn_up.weight', [512, 512]],
      ['blk.0.ffn_down.weight', [512, 512]],
      ['blk.1.ffn_norm.weight', [512]],
      ['blk.1.ffn_gate_inp.weight', [6, 512]],
      ['blk.1.ffn_gate_exps.weight', [6, 256, 512]],
      ['blk.1.ffn_up_exps.weight', [6, 256, 512]],
      ['blk.1.ffn_down_exps.weight', [6, 512, 256]],
    ],
  );
});

test('qwen3Moe refuses to part the blocks of a down projection, naming it', (t) => {
  const config = ggufModel();
  const checkpoint = paperCheckpoint(qwen3Moe.weights(config), { kind: 'gguf', format: () => 'Q4_K' });
  const target = { architecture: qwen3Moe, config, checkpoint, backend: nullBackend(), limits };
  t.notThrows(() => compile({ ...target, ranks: 1 }));
  const error = t.throws(() => compile({ ...target, ranks: 2 }));
  t.regex(error.message, /'layers\.1\.expertDown'.*128 columns of format Q4_K.*whole blocks of 256/u);
});

test('qwen3Moe is sparse every so many layers, but where it is told to be dense', (t) => {
  const json = { ...(qwen3Moe.ggufConfig(metadata) as object), num_hidden_layers: 7, decoder_sparse_step: 2 };
  t.like(qwen3Moe.parseConfig({ ...json, mlp_only_layers: [3] }, 'config.json'), {
    sparseLayers: [1, 5],
    denseLayers: [0, 2, 3, 4, 6],
  });
});
