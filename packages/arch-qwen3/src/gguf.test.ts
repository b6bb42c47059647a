import type { GgufValue } from '@helexa/core';
import { listCheckpointTensors } from '@helexa/graph';
import test from 'ava';

import { qwen3 } from './qwen3.js';

const metadata = new Map<string, GgufValue>([
  ['general.architecture', 'qwen3'],
  ['qwen3.block_count', 1],
  ['qwen3.context_length', 40960],
  ['qwen3.embedding_length', 64],
  ['qwen3.feed_forward_length', 192],
  ['qwen3.vocab_size', 640],
  ['qwen3.attention.head_count', 4],
  ['qwen3.attention.head_count_kv', 2],
  ['qwen3.attention.key_length', 32],
  ['qwen3.attention.layer_norm_rms_epsilon', 1e-6],
  ['qwen3.rope.freq_base', 1000000],
]);

test('ggufConfig reads the head width from its key, else from hidden size and heads', (t) => {
  t.like(qwen3.parseConfig(qwen3.ggufConfig(metadata), 'm.gguf'), { head_dim: 32, rope: { theta: 1000000 } });
  const without = new Map([...metadata].filter(([key]) => key !== 'qwen3.attention.key_length'));
  t.like(qwen3.parseConfig(qwen3.ggufConfig(without), 'm.gguf'), { head_dim: 16 });
});

test('ggufConfig turns scaling keys into yarn, and a missing key is refused by its config name', (t) => {
  const scaled = new Map([
    ...metadata,
    ['qwen3.rope.scaling.type', 'yarn'],
    ['qwen3.rope.scaling.factor', 4],
    ['qwen3.rope.scaling.original_context_length', 32768],
  ] as const);
  t.like(qwen3.parseConfig(qwen3.ggufConfig(scaled), 'm.gguf'), {
    rope: { scaling: { type: 'yarn', factor: 4, originalContext: 32768 } },
  });
  const without = new Map([...metadata].filter(([key]) => key !== 'qwen3.block_count'));
  t.throws(() => qwen3.parseConfig(qwen3.ggufConfig(without), 'm.gguf'), { message: /m\.gguf.*'num_hidden_layers'/u });
});

test('qwen3 names its tensors as a GGUF file does', (t) => {
  const config = qwen3.parseConfig(
    { ...(qwen3.ggufConfig(metadata) as object), attention_bias: false, tie_word_embeddings: true },
    'm.gguf',
  );
  const names = listCheckpointTensors(qwen3.weights(config), 'gguf').map((tensor) => tensor.name);
  t.deepEqual(names.sort(), [
    'blk.0.attn_k.weight',
    'blk.0.attn_k_norm.weight',
    'blk.0.attn_norm.weight',
    'blk.0.attn_output.weight',
    'blk.0.attn_q.weight',
    'blk.0.attn_q_norm.weight',
    'blk.0.attn_v.weight',
    'blk.0.ffn_down.weight',
    'blk.0.ffn_gate.weight',
    'blk.0.ffn_norm.weight',
    'blk.0.ffn_up.weight',
    'output_norm.weight',
    'token_embd.weight',
  ]);
});
