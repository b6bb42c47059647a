import type { GgufMetadata } from '@helexa/core';
import type { Builder } from './builder.js';
import type { WeightsTable } from './weights.js';

/** Version of this contract; a plugin that speaks another is refused by name. */
export const contractVersion = 1;

/** What a model keeps per sequence, layer by layer; the scheduler reads this and never learns the family's name. */
export type LayerState =
  | { readonly kind: 'kv'; readonly kvHeads: number; readonly headDim: number }
  | { readonly kind: 'recurrent'; readonly convElements: number; readonly deltaElements: number };

/** Numbers every model has, whatever its family: what the engine and preflight ask. */
export interface ModelFacts {
  readonly vocab: number;
  readonly hidden: number;
  readonly layers: number;
  /** Longest context the model was made for, in tokens. */
  readonly maxContext: number;
  /** Per layer, in layer order. */
  readonly state: readonly LayerState[];
}

/** What a vision tower takes and gives: what image preprocessing and the step buffers ask. */
export interface VisionFacts {
  /** Pixels of a patch's side. */
  readonly patchSize: number;
  /** Copies of a still image that stand in a patch. */
  readonly temporalPatchSize: number;
  readonly channels: number;
  /** Patches of a block's side: a block becomes one feature row. */
  readonly merge: number;
  readonly featureWidth: number;
  /** The placeholder that a prompt holds for an image; one for each feature row once it is expanded. */
  readonly imageToken: number;
}

/** A vision tower: its rows of the weights table, and its graph from `loadPatches` to `storeFeatures`. */
export interface VisionTower {
  readonly facts: VisionFacts;
  readonly weights: WeightsTable;
  forward(builder: Builder): void;
}

export interface Capabilities {
  /** True, or the sentence why not. */
  readonly tensorParallel: true | string;
  /** Sequences can be rewound to any token (false: only to snapshots). */
  readonly rewind: boolean;
  readonly vision: boolean;
}

/** A named published size of the family, for benchmarks: the config.json of a checkpoint that can be made at random. */
export interface PublishedSize {
  readonly name: string;
  readonly config: unknown;
}

/**
 * One model family: what a plugin package supplies.
 *
 * @example export const qwen3 = defineArchitecture({ name: 'qwen3', ... });
 */
export interface Architecture<Config = unknown> {
  readonly name: string;
  readonly contractVersion: number;
  /** Values of `model_type` in config.json, and of `general.architecture` in a GGUF file, that it answers to. */
  readonly modelTypes: readonly string[];
  readonly ggufArchitectures: readonly string[];
  readonly capabilities: Capabilities;
  /** Parses config.json; throws `model_config_invalid` naming the field. */
  parseConfig(json: unknown, file: string): Config;
  /** The same config out of GGUF metadata, as config.json would spell it; `parseConfig` reads the result. */
  ggufConfig(metadata: GgufMetadata): unknown;
  facts(config: Config): ModelFacts;
  weights(config: Config): WeightsTable;
  /** Builds the graph in global dimensions. */
  forward(builder: Builder, config: Config): void;
  /** The tower of a model that sees; null when this one has none. */
  vision?(config: Config): VisionTower | null;
  readonly sizes: readonly PublishedSize[];
}

/** Keeps the config type of one family together and gives the list type that hosts hold. */
export function defineArchitecture<Config>(architecture: Architecture<Config>): Architecture {
  return architecture as Architecture;
}
