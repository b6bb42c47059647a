import type { Value, Weight } from './value.js';

/** Rotary embedding of a head, as an op's attributes. */
export interface Rotary {
  readonly headDim: number;
  readonly rotaryDim: number;
  readonly attentionFactor: number;
  /** Sections of interleaved M-RoPE on the height and width axes; absent: plain rotary. */
  readonly sections?: readonly [h: number, w: number];
}

/**
 * The fluent surface that an architecture's forward is written in. Dimensions are global; `weight` names a slot of the
 * table (with its layer inside `layer()`).
 */
export interface Builder {
  /** Runs `body` with names and weights scoped to `layers.<index>`. */
  layer(index: number, body: () => void): void;
  weight(slot: string): Weight;
  has(slot: string): boolean;

  embed(table: Weight): Value;
  rmsNorm(x: Value, weight: Weight, eps: number): Value;
  layerNorm(x: Value, weight: Weight, bias: Weight, eps: number): Value;
  /** `[rows, sum of the weight's segments]`; `segment` takes one of them. */
  linear(x: Value, weight: Weight, bias?: Weight): Value;
  segment(x: Value, index: number): Value;
  add(a: Value, b: Value): Value;
  mul(a: Value, b: Value): Value;
  scale(x: Value, factor: number): Value;
  silu(x: Value): Value;
  gelu(x: Value, tanh: boolean): Value;
  sigmoid(x: Value): Value;
  swiglu(gate: Value, up: Value): Value;
  sigmoidMul(x: Value, gate: Value): Value;
  headNorm(x: Value, weight: Weight, headDim: number, eps: number): Value;
  rope(x: Value, inverseFrequency: Weight, rotary: Rotary): Value;
  /** Appends k and v to the cache of the current layer, then attends. */
  attention(q: Value, k: Value, v: Value, options: { headDim: number; scale: number; window?: number }): Value;
  conv1dSilu(x: Value, kernel: Weight): Value;
  deltaGates(b: Value, a: Value, decay: Weight, dtBias: Weight): { beta: Value; g: Value };
  gatedDelta(qkv: Value, beta: Value, g: Value, options: { keyDim: number; valueDim: number; tiled: boolean }): Value;
  rmsNormGated(x: Value, z: Value, weight: Weight, headDim: number, eps: number): Value;
  routerTopK(logits: Value, k: number, renormalise: boolean): Value;
  moe(x: Value, choice: Value, gateUp: Weight, down: Weight, options: { k: number; experts: number }): Value;
  /** `[patches, width]`: the pixels of each patch of the step's images. */
  loadPatches(width: number): Value;
  /** `[patches, cols]` of a table over side * side places, interpolated where each patch lies in its image. */
  patchPosition(table: Weight, side: number): Value;
  rope2d(x: Value, inverseFrequency: Weight, headDim: number): Value;
  /** Bidirectional attention among the patches of one image. */
  attentionDense(q: Value, k: Value, v: Value, options: { headDim: number; scale: number }): Value;
  /** `[features, width * merge^2]`: the patches of each block side by side. */
  patchMerge(x: Value, merge: number): Value;
  /** Ends the graph of a vision tower: `embed` takes these rows in place of tokens. */
  storeFeatures(x: Value): void;
  /** The rows that are sampled: everything after it runs on them only. */
  gatherRows(x: Value): Value;
  /** Ends the graph: logits of the sampled rows, one token chosen for each. */
  sample(logits: Value): void;
}
