import type { GgufMetadata } from '@helexa/core';
import {
  type Builder,
  fusedRow,
  ggufReader,
  matrixRow,
  parseModelConfig,
  requireConfig,
  type Segment,
  type Source,
  type VisionTower,
  vectorRow,
  type WeightsTable,
} from '@helexa/graph';
import { z } from 'zod';

const count = z.int().positive();

const schema = z.object({
  image_token_id: z.int().nonnegative(),
  vision_config: z.object({
    depth: count,
    hidden_size: count,
    num_heads: count,
    intermediate_size: count,
    hidden_act: z.literal('gelu_pytorch_tanh').default('gelu_pytorch_tanh'),
    in_channels: count.default(3),
    patch_size: count.default(16),
    spatial_merge_size: count.default(2),
    temporal_patch_size: count.default(2),
    out_hidden_size: count,
    num_position_embeddings: count.refine((places) => Number.isInteger(Math.sqrt(places)), 'a square number is wanted'),
    deepstack_visual_indexes: z.array(z.never()).default([]),
    rope_parameters: z.object({ rope_theta: z.number().positive().default(10000) }).default({ rope_theta: 10000 }),
  }),
});

/** The vision tower of one model; null when its config has none. */
export type VisionConfig = z.infer<typeof schema>['vision_config'] & { readonly imageToken: number };

/** Heads are rotated in quarters: half of each by rows, half by columns. */
const headsFit = (vision: Pick<VisionConfig, 'hidden_size' | 'num_heads'>): boolean =>
  (vision.hidden_size / vision.num_heads) % 4 === 0;

/** Reads the tower's part of config.json; a text model has none. */
export function parseVisionConfig(json: unknown, file: string): VisionConfig | null {
  const given = (json as { readonly vision_config?: unknown } | null)?.vision_config;
  if (given === undefined || given === null) return null;
  const { image_token_id: imageToken, vision_config: vision } = parseModelConfig(schema, json, file);
  requireConfig(
    headsFit(vision),
    file,
    `'vision_config.num_heads' is ${vision.num_heads} for a width of ${vision.hidden_size}; heads of a multiple of 4 are wanted`,
  );
  return { ...vision, imageToken };
}

/**
 * The tower's keys out of the `clip.*` metadata of a companion file; none when it is of another kind, or gives features of
 * another width than the model's.
 */
export function ggufVision(metadata: GgufMetadata, hidden: unknown): object {
  const read = ggufReader(metadata, 'clip');
  const kind = read.string('vision.projector_type') ?? read.string('projector_type');
  const [area, size] = [read.number('vision.image_size'), read.number('vision.patch_size')];
  if (kind !== 'qwen3vl_merger' || read.number('vision.projection_dim') !== hidden) return {};
  const tokens = metadata.get('tokenizer.ggml.tokens');
  const imageToken = Array.isArray(tokens) ? tokens.indexOf('<|image_pad|>') : -1;
  if (imageToken < 0) return {};
  const inner = metadata.get('clip.vision.is_deepstack_layers');
  return {
    image_token_id: imageToken,
    vision_config: {
      depth: read.number('vision.block_count'),
      hidden_size: read.number('vision.embedding_length'),
      num_heads: read.number('vision.attention.head_count'),
      intermediate_size: read.number('vision.feed_forward_length'),
      patch_size: size,
      spatial_merge_size: read.number('vision.spatial_merge_size'),
      out_hidden_size: hidden,
      num_position_embeddings: area !== undefined && size ? (area / size) ** 2 : undefined,
      deepstack_visual_indexes: Array.isArray(inner) ? [...inner.keys()].filter((layer) => inner[layer] === true) : [],
    },
  };
}

const layerNormEps = 1e-6;

/** The tower: a transformer over patches, then one feature row for each block of merged patches. */
export function visionTower(config: VisionConfig): VisionTower {
  return {
    facts: {
      patchSize: config.patch_size,
      temporalPatchSize: config.temporal_patch_size,
      channels: config.in_channels,
      merge: config.spatial_merge_size,
      featureWidth: config.out_hidden_size,
      imageToken: config.imageToken,
    },
    weights: visionWeights(config),
    forward: (builder) => visionForward(builder, config),
  };
}

function visionWeights(config: VisionConfig): WeightsTable {
  const { hidden_size: hidden, intermediate_size: inner, out_hidden_size: features } = config;
  const { in_channels: channels, temporal_patch_size: frames, patch_size: size } = config;
  const layers = Array.from({ length: config.depth }, (_, layer) => layer);
  const merged = hidden * config.spatial_merge_size ** 2;
  const angles = hidden / config.num_heads / 4;
  const theta = config.rope_parameters.rope_theta;
  const from = (
    name: string,
    companion: string,
    differs: Omit<Source, 'tensor'> = {},
  ): Pick<Segment, 'safetensors' | 'gguf'> => ({
    safetensors: ['model.visual.', 'visual.'].map((prefix) => ({ tensor: `${prefix}${name}`, ...differs })),
    gguf: [{ tensor: companion, ...differs }],
  });
  const product = (slot: string, [name, companion]: readonly [string, string], rows: number, cols: number) => {
    const rest = name.includes('{layer}') ? { layers } : {};
    return [
      matrixRow(slot, [rows, cols], from(`${name}.weight`, `${companion}.weight`), { ...rest, exact: true }),
      vectorRow(`${slot}Bias`, rows, from(`${name}.bias`, `${companion}.bias`), rest),
    ];
  };
  const norm = (slot: string, [name, companion]: readonly [string, string]) => {
    const rest = name.includes('{layer}') ? { layers } : {};
    return [
      vectorRow(slot, hidden, from(`${name}.weight`, `${companion}.weight`), rest),
      vectorRow(`${slot}Bias`, hidden, from(`${name}.bias`, `${companion}.bias`), rest),
    ];
  };
  const ofLayer = (name: string, companion: string) =>
    [`blocks.{layer}.${name}`, `v.blk.{layer}.${companion}`] as const;
  const third = (name: string, index: number): Segment => ({
    name,
    rows: hidden,
    ...from('blocks.{layer}.attn.qkv.weight', 'v.blk.{layer}.attn_qkv.weight', {
      shape: [3 * hidden, hidden],
      row: (row) => index * hidden + row,
    }),
  });
  // A companion file has one tensor per frame, each of whole channels.
  const patches = {
    ...from('patch_embed.proj.weight', '', { shape: [hidden, channels, frames, size, size] }),
    gguf: [
      {
        tensor: 'v.patch_embd.weight',
        shape: [hidden, channels, size, size],
        interleaved: {
          with: Array.from({ length: frames - 1 }, (_, frame) => `v.patch_embd.weight.${frame + 1}`),
          columns: size * size,
        },
      },
    ],
  };
  return {
    rows: [
      matrixRow('vision.patches', [hidden, channels * frames * size * size], patches, { exact: true }),
      vectorRow('vision.patchesBias', hidden, from('patch_embed.proj.bias', 'v.patch_embd.bias')),
      matrixRow(
        'vision.positions',
        [config.num_position_embeddings, hidden],
        from('pos_embed.weight', 'v.position_embd.weight'),
        { lookup: true, exact: true },
      ),
      vectorRow(
        'vision.inverseFrequency',
        angles,
        { safetensors: [], gguf: [] },
        { compute: () => Float32Array.from({ length: angles }, (_, i) => theta ** (-i / angles)) },
      ),
      ...norm('vision.attentionNorm', ofLayer('norm1', 'ln1')),
      fusedRow('vision.qkv', hidden, [third('q', 0), third('k', 1), third('v', 2)], { layers, exact: true }),
      vectorRow('vision.qkvBias', 3 * hidden, from('blocks.{layer}.attn.qkv.bias', 'v.blk.{layer}.attn_qkv.bias'), {
        layers,
      }),
      ...product('vision.attentionOut', ofLayer('attn.proj', 'attn_out'), hidden, hidden),
      ...norm('vision.mlpNorm', ofLayer('norm2', 'ln2')),
      ...product('vision.up', ofLayer('mlp.linear_fc1', 'ffn_up'), inner, hidden),
      ...product('vision.down', ofLayer('mlp.linear_fc2', 'ffn_down'), hidden, inner),
      ...norm('vision.mergerNorm', ['merger.norm', 'v.post_ln']),
      ...product('vision.mergerUp', ['merger.linear_fc1', 'mm.0'], merged, merged),
      ...product('vision.mergerDown', ['merger.linear_fc2', 'mm.2'], features, merged),
    ],
    ignored: [],
  };
}

function visionForward(b: Builder, config: VisionConfig): void {
  const { in_channels: channels, temporal_patch_size: frames, patch_size: size } = config;
  const headDim = config.hidden_size / config.num_heads;
  const weights = (slot: string) => [b.weight(`vision.${slot}`), b.weight(`vision.${slot}Bias`)] as const;
  const side = Math.sqrt(config.num_position_embeddings);
  const pixels = b.loadPatches(channels * frames * size * size);
  let x = b.add(b.linear(pixels, ...weights('patches')), b.patchPosition(b.weight('vision.positions'), side));
  for (let layer = 0; layer < config.depth; layer++)
    b.layer(layer, () => {
      const qkv = b.linear(b.layerNorm(x, ...weights('attentionNorm'), layerNormEps), ...weights('qkv'));
      const turned = (index: number) => b.rope2d(b.segment(qkv, index), b.weight('vision.inverseFrequency'), headDim);
      const attended = b.attentionDense(turned(0), turned(1), b.segment(qkv, 2), {
        headDim,
        scale: 1 / Math.sqrt(headDim),
      });
      x = b.add(x, b.linear(attended, ...weights('attentionOut')));
      const up = b.linear(b.layerNorm(x, ...weights('mlpNorm'), layerNormEps), ...weights('up'));
      x = b.add(x, b.linear(b.gelu(up, true), ...weights('down')));
    });
  const merged = b.patchMerge(b.layerNorm(x, ...weights('mergerNorm'), layerNormEps), config.spatial_merge_size);
  // The tower's own layers use the tanh approximation; here it is the error function.
  const inner = b.gelu(b.linear(merged, ...weights('mergerUp')), false);
  b.storeFeatures(b.linear(inner, ...weights('mergerDown')));
}
