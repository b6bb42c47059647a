import { CortexError } from '@helexa/core';
import type { Builder, Rotary } from './builder.js';
import { GraphWriter } from './graph-writer.js';
import type { OpDefinition } from './op.js';
import type { OpName } from './opcodes.js';
import { type Attributes, type Graph, type Value, type Weight, widthOf } from './value.js';

/** What a builder needs to know of the weights: which slots there are. */
export type WeightLookup = ReadonlyMap<string, Weight>;

/**
 * Writes down the nodes of a forward graph in the order they are asked for. Shapes come from the op definitions, so a
 * misfit is an error at the line that made it.
 */
export class GraphBuilder implements Builder {
  readonly #definitions: Readonly<Record<OpName, OpDefinition>>;
  readonly #weights: WeightLookup;
  readonly #writer = new GraphWriter();
  readonly #names = new Map<string, number>();
  /** Model layers that keep keys and values, and those that keep recurrent state: their order is their index on the device. */
  readonly #kvLayers: number[] = [];
  readonly #stateLayers: number[] = [];
  #layer: number | null = null;

  constructor(weights: WeightLookup, definitions: Readonly<Record<OpName, OpDefinition>>) {
    this.#weights = weights;
    this.#definitions = definitions;
  }

  /** The graph as written so far. */
  build(): Graph {
    return this.#writer.graph();
  }

  layer(index: number, body: () => void): void {
    if (this.#layer !== null) this.#refuse(`layers.${index}`, `layer ${this.#layer} is still open`);
    this.#layer = index;
    body();
    this.#layer = null;
  }

  weight(slot: string): Weight {
    const found = this.#find(slot);
    if (!found) this.#refuse(this.#scoped(slot), 'no row of the weights table has this slot');
    return found;
  }

  has(slot: string): boolean {
    return this.#find(slot) !== undefined;
  }

  embed(table: Weight): Value {
    return this.#one('embed', table.slot, [], { table }, { vocabStart: 0 });
  }

  rmsNorm(x: Value, weight: Weight, eps: number): Value {
    return this.#one('rms_norm', weight.slot, [x], { weight }, { eps });
  }

  layerNorm(x: Value, weight: Weight, bias: Weight, eps: number): Value {
    return this.#one('layer_norm', weight.slot, [x], { weight, bias }, { eps });
  }

  linear(x: Value, weight: Weight, bias?: Weight): Value {
    return this.#one('linear', weight.slot, [x], { matrix: weight, bias }, {});
  }

  segment(x: Value, index: number): Value {
    const columns = x.segments[index];
    if (columns === undefined) this.#refuse(x.name, `it has ${x.segments.length} segments; segment ${index} is wanted`);
    const matrix = x.node.weights['matrix'];
    return this.#writer.view(x, index, `${x.name}.${matrix?.segments[index]?.name ?? index}`);
  }

  add(a: Value, b: Value): Value {
    return this.#one('add', this.#scoped('add'), [a, b], {}, {});
  }

  mul(a: Value, b: Value): Value {
    return this.#one('mul', this.#scoped('mul'), [a, b], {}, {});
  }

  scale(x: Value, factor: number): Value {
    return this.#one('scale', this.#scoped('scale'), [x], {}, { factor });
  }

  silu(x: Value): Value {
    return this.#one('silu', this.#scoped('silu'), [x], {}, {});
  }

  gelu(x: Value, tanh: boolean): Value {
    return this.#one('gelu', this.#scoped('gelu'), [x], {}, { tanh: tanh ? 1 : 0 });
  }

  sigmoid(x: Value): Value {
    return this.#one('sigmoid', this.#scoped('sigmoid'), [x], {}, {});
  }

  swiglu(gate: Value, up: Value): Value {
    return this.#one('swiglu', this.#scoped('swiglu'), [gate, up], {}, {});
  }

  sigmoidMul(x: Value, gate: Value): Value {
    const broadcast = widthOf(gate) === 1 && widthOf(x) !== 1 ? 1 : 0;
    return this.#one('sigmoid_mul', this.#scoped('sigmoidMul'), [x, gate], {}, { broadcast });
  }

  headNorm(x: Value, weight: Weight, headDim: number, eps: number): Value {
    return this.#one('head_norm', weight.slot, [x], { weight }, { headDim, eps });
  }

  rope(x: Value, inverseFrequency: Weight, rotary: Rotary): Value {
    const { headDim, rotaryDim, attentionFactor, sections } = rotary;
    const [sectionH, sectionW] = sections ?? [0, 0];
    const attributes = { headDim, rotaryDim, attentionFactor, sectionH, sectionW };
    return this.#one('rope', `${x.name}.rope`, [x], { inverseFrequency }, attributes);
  }

  attention(q: Value, k: Value, v: Value, options: { headDim: number; scale: number; window?: number }): Value {
    const layer = this.#ordinal(this.#kvLayers);
    const { headDim, scale, window = 0 } = options;
    this.#node('kv_append', this.#scoped('kvAppend'), [k, v], {}, { layer, headDim });
    return this.#one('attend', this.#scoped('attend'), [q], {}, { layer, headDim, scale, window });
  }

  conv1dSilu(x: Value, kernel: Weight): Value {
    return this.#one('conv1d_silu', kernel.slot, [x], { kernel }, { layer: this.#ordinal(this.#stateLayers) });
  }

  deltaGates(b: Value, a: Value, decay: Weight, dtBias: Weight): { beta: Value; g: Value } {
    const [beta, g] = this.#node('delta_gates', this.#scoped('deltaGates'), [b, a], { decay, dtBias }, {});
    return { beta: beta!, g: g! };
  }

  gatedDelta(qkv: Value, beta: Value, g: Value, options: { keyDim: number; valueDim: number; tiled: boolean }): Value {
    const attributes = {
      layer: this.#ordinal(this.#stateLayers),
      keyDim: options.keyDim,
      valueDim: options.valueDim,
      tiled: options.tiled ? 1 : 0,
    };
    return this.#one('gated_delta', this.#scoped('gatedDelta'), [qkv, beta, g], {}, attributes);
  }

  rmsNormGated(x: Value, z: Value, weight: Weight, headDim: number, eps: number): Value {
    return this.#one('rms_norm_gated', weight.slot, [x, z], { weight }, { headDim, eps });
  }

  routerTopK(logits: Value, k: number, renormalise: boolean): Value {
    const attributes = { k, renormalise: renormalise ? 1 : 0 };
    return this.#one('router_topk', this.#scoped('routerTopK'), [logits], {}, attributes);
  }

  moe(x: Value, choice: Value, gateUp: Weight, down: Weight, options: { k: number; experts: number }): Value {
    const attributes = { k: options.k, experts: options.experts };
    const inner = this.#one('moe_gate_up', gateUp.slot, [x, choice], { matrix: gateUp }, attributes);
    return this.#one('moe_down', down.slot, [inner, choice], { matrix: down }, attributes);
  }

  loadPatches(width: number): Value {
    return this.#one('load_patches', this.#scoped('patches'), [], {}, { width });
  }

  patchPosition(table: Weight, side: number): Value {
    return this.#one('patch_position', table.slot, [], { table }, { side });
  }

  rope2d(x: Value, inverseFrequency: Weight, headDim: number): Value {
    return this.#one('rope_2d', `${x.name}.rope`, [x], { inverseFrequency }, { headDim });
  }

  attentionDense(q: Value, k: Value, v: Value, options: { headDim: number; scale: number }): Value {
    return this.#one('attend_dense', this.#scoped('attendDense'), [q, k, v], {}, options);
  }

  patchMerge(x: Value, merge: number): Value {
    return this.#one('patch_merge', this.#scoped('patchMerge'), [x], {}, { merge });
  }

  storeFeatures(x: Value): void {
    this.#node('store_features', this.#scoped('storeFeatures'), [x], {}, {});
  }

  gatherRows(x: Value): Value {
    return this.#one('gather_rows', this.#scoped('gatherRows'), [x], {}, {});
  }

  sample(logits: Value): void {
    this.#node('sample', this.#scoped('sample'), [logits], {}, {});
  }

  #one(
    op: OpName,
    name: string,
    inputs: readonly Value[],
    weights: Readonly<Record<string, Weight | undefined>>,
    attributes: Attributes,
  ): Value {
    return this.#node(op, name, inputs, weights, attributes)[0]!;
  }

  #node(
    op: OpName,
    wanted: string,
    inputs: readonly Value[],
    weights: Readonly<Record<string, Weight | undefined>>,
    attributes: Attributes,
  ): readonly Value[] {
    const name = this.#unique(wanted);
    const shapes = this.#definitions[op].shape({ name, inputs, weights, attributes });
    return this.#writer.node({ op, name, inputs, weights, attributes }, shapes).outputs;
  }

  #find(slot: string): Weight | undefined {
    return (this.#layer === null ? undefined : this.#weights.get(this.#scoped(slot))) ?? this.#weights.get(slot);
  }

  #scoped(name: string): string {
    return this.#layer === null ? name : `layers.${this.#layer}.${name}`;
  }

  #unique(name: string): string {
    const uses = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, uses);
    return uses === 1 ? name : `${name}.${uses}`;
  }

  #ordinal(layers: number[]): number {
    const layer = this.#layer ?? -1;
    if (!layers.includes(layer)) layers.push(layer);
    return layers.indexOf(layer);
  }

  #refuse(node: string, reason: string): never {
    throw new CortexError('graph_invalid', { node, reason });
  }
}
