/**
 * Qwen3-Next, and Qwen3.5 (also 3.6) with and without experts: hybrids of gated delta nets and gated attention.
 *
 * Reference: transformers, models/qwen3_next, qwen3_5 and qwen3_5_moe. Images come through the tower of `vision.ts`, from
 * safetensors or the companion (mmproj) of a GGUF file; tensors of multi-token prediction are not read. Refused by name: biases of attention, other activations,
 * dynamic rotary scaling, M-RoPE that is not interleaved, features of inner layers of the tower, quantised safetensors.
 */
import { type Architecture, contractVersion, defineArchitecture, type PublishedSize } from '@helexa/graph';
import { ggufConfig, type HybridConfig, parseConfig } from './config.js';
import { hybridFacts, hybridForward } from './hybrid.js';
import { qwen3NextSizes, qwen35MoeSizes, qwen35Sizes } from './sizes.js';
import { visionTower } from './vision.js';
import { hybridWeights, type TensorNaming } from './weights.js';

const text: TensorNaming = { prefixes: ['model.', 'model.language_model.'], grouped: true };
const wrapped: TensorNaming = { prefixes: ['model.language_model.', 'model.'], grouped: false };

interface Family {
  readonly name: string;
  readonly modelTypes: readonly string[];
  readonly ggufArchitectures: readonly string[];
  readonly naming: TensorNaming;
  readonly vision: boolean;
  readonly sizes: readonly PublishedSize[];
}

const hybrid = ({ naming, vision, ...family }: Family): Architecture =>
  defineArchitecture<HybridConfig>({
    ...family,
    contractVersion,
    capabilities: { tensorParallel: true, rewind: false, vision },
    parseConfig,
    ggufConfig,
    facts: hybridFacts,
    weights: (config) => hybridWeights(config, naming),
    forward: hybridForward,
    vision: (config) => config.vision && visionTower(config.vision),
  });

/** Qwen3-Next. */
export const qwen3Next = hybrid({
  name: 'qwen3_next',
  modelTypes: ['qwen3_next'],
  ggufArchitectures: ['qwen3next'],
  naming: text,
  vision: false,
  sizes: qwen3NextSizes,
});

/** Qwen3.5, dense. */
export const qwen35 = hybrid({
  name: 'qwen3_5',
  modelTypes: ['qwen3_5', 'qwen3_5_text'],
  ggufArchitectures: ['qwen35'],
  naming: wrapped,
  vision: true,
  sizes: qwen35Sizes,
});

/** Qwen3.5 with experts. */
export const qwen35Moe = hybrid({
  name: 'qwen3_5_moe',
  modelTypes: ['qwen3_5_moe', 'qwen3_5_moe_text'],
  ggufArchitectures: ['qwen35moe'],
  naming: wrapped,
  vision: true,
  sizes: qwen35MoeSizes,
});
