import type { GgufMetadata } from '@helexa/core';
import {
  type DecoderConfig,
  ggufDecoder,
  ggufReader,
  parseDecoder,
  parseModelConfig,
  requireConfig,
} from '@helexa/graph';
import { z } from 'zod';

const count = z.int().positive();

/** Keys of config.json beside those of a dense decoder. */
const schema = z.object({
  moe_intermediate_size: count,
  num_experts: count.nullish(),
  /** Another spelling of `num_experts`. */
  num_local_experts: count.nullish(),
  num_experts_per_tok: count.default(8),
  norm_topk_prob: z.boolean().default(false),
  /** Every so many layers are sparse, counted from the end of the first run. */
  decoder_sparse_step: count.default(1),
  /** Layers that are dense all the same. */
  mlp_only_layers: z.array(z.int().nonnegative()).nullish(),
});

type Fields = z.infer<typeof schema>;

/** The config of one sparse model with what follows from it. */
export interface Qwen3MoeConfig extends Fields, DecoderConfig {
  readonly num_experts: number;
  readonly sparseLayers: readonly number[];
  readonly denseLayers: readonly number[];
}

/** Parses config.json of a sparse model, refusing by name what the reference would compute and this architecture does not. */
export function parseMoeConfig(json: unknown, file: string): Qwen3MoeConfig {
  const decoder = parseDecoder(json, file, { window: 'upper' });
  const fields = parseModelConfig(schema, json, file);
  const { num_local_experts: local, num_experts: named } = fields;
  const experts = named ?? local ?? undefined;
  requireConfig(experts !== undefined, file, "'num_experts' is missing");
  requireConfig(
    (local ?? experts) === experts,
    file,
    `'num_experts' is ${experts} and 'num_local_experts' ${local}; they mean the same`,
  );
  const chosen = fields.num_experts_per_tok;
  requireConfig(chosen <= experts, file, `'num_experts_per_tok' is ${chosen}; there are ${experts} experts`);
  const isSparse = (layer: number): boolean =>
    !fields.mlp_only_layers?.includes(layer) && (layer + 1) % fields.decoder_sparse_step === 0;
  const layers = [...decoder.windows.keys()];
  return Object.freeze({
    ...decoder,
    ...fields,
    num_experts: experts,
    sparseLayers: layers.filter(isSparse),
    denseLayers: layers.filter((layer) => !isSparse(layer)),
  });
}

/** The same keys out of GGUF metadata. Such a file does not say how weights are made: all published models renormalise. */
export function ggufMoeConfig(metadata: GgufMetadata): unknown {
  const read = ggufReader(metadata, 'qwen3moe');
  const renormalises = metadata.get('qwen3moe.expert_weights_norm');
  return {
    ...ggufDecoder(metadata, 'qwen3moe'),
    moe_intermediate_size: read.number('expert_feed_forward_length'),
    num_experts: read.number('expert_count'),
    num_experts_per_tok: read.number('expert_used_count'),
    norm_topk_prob: renormalises ?? true,
    mlp_only_layers: Array.from({ length: read.number('leading_dense_block_count') ?? 0 }, (_, layer) => layer),
  };
}
