import { columnOf, rootOf } from '../graph-writer.js';
import type { OpDefinition } from '../op.js';
import { type OpName, type OpSignature, opcodes } from '../opcodes.js';
import { instructionWords, type KvLayer, type Program, type StateLayer, type TensorSpec, word } from '../program.js';
import { type OperandNames, programText } from '../program-text.js';
import { type Graph, type Node, type RowSymbol, type Value, widthOf } from '../value.js';
import type { ArenaPlan, Region } from './plan-memory.js';

export interface LowerOptions {
  readonly rank: number;
  readonly ranks: number;
  readonly definitions: Readonly<Record<OpName, OpDefinition>>;
  readonly tensors: readonly TensorSpec[];
  readonly vocab: number;
}

export const rowSymbols: readonly RowSymbol[] = ['rows', 'sampled', 'patches', 'features'];

/** Writes a planned graph down as the flat program that backends run. */
export function lower(graph: Graph, plan: ArenaPlan, options: LowerOptions): Program {
  const words = new Int32Array(graph.nodes.length * instructionWords);
  const names: OperandNames[] = [];
  const hazards = new Hazards(plan, options.definitions);
  for (const [index, node] of graph.nodes.entries()) {
    const instruction = words.subarray(index * instructionWords, (index + 1) * instructionWords);
    writeInstruction(instruction, node, plan);
    instruction[word.barrier] = hazards.needsBarrier(node) ? 1 : 0;
    names.push({
      inputs: node.inputs.map((input) => input.name),
      outputs: node.outputs.map((output) => output.name),
    });
  }
  const { rank, ranks, tensors, vocab } = options;
  const program = { rank, ranks, words, tensors, arenaElements: plan.arenaElements, vocab, ...stateOf(graph, options) };
  return { ...program, text: programText(program, names) };
}

function writeInstruction(words: Int32Array, node: Node, plan: ArenaPlan): void {
  const signature: OpSignature = opcodes[node.op as OpName];
  const floats = new Float32Array(words.buffer, words.byteOffset, words.length);
  const main = node.outputs[0] ?? node.inputs[0];
  words.fill(-1, word.inputs, word.params);
  words[word.opcode] = signature.code;
  words[word.rows] = main ? rowSymbols.indexOf(main.rows) : 0;
  words[word.n] = main ? widthOf(main) : 0;
  words[word.k] = node.inputs[0] ? widthOf(node.inputs[0]) : 0;
  for (const [index, input] of node.inputs.entries()) writeOperand(words, word.inputs + 2 * index, input, plan);
  for (const [index, output] of node.outputs.entries()) writeOperand(words, word.outputs + 2 * index, output, plan);
  writeWeights(words, node, signature);
  for (const [index, [name, type]] of signature.params.entries()) {
    const value = node.attributes[name]!;
    if (type === 'f32') floats[word.params + index] = value;
    else words[word.params + index] = value;
  }
}

function writeOperand(words: Int32Array, at: number, value: Value, plan: ArenaPlan): void {
  const region = plan.regions.get(rootOf(value))!;
  words[at] = region.offset + columnOf(value);
  words[at + 1] = region.stride;
}

function writeWeights(words: Int32Array, node: Node, signature: OpSignature): void {
  let at: number = word.weights;
  for (const spelled of signature.weights) {
    const weight = node.weights[spelled.replace(/\?|\.\.\./u, '')];
    const tensors = [...new Set(weight?.segments.map((segment) => segment.tensor))];
    for (const [index, tensor] of tensors.entries()) words[at + index] = tensor;
    at = spelled.endsWith('...') ? word.bias : at + 1;
  }
}

/** Layers of cache and state, in the order of the `layer` attribute, from the nodes that write them. */
function stateOf(graph: Graph, options: LowerOptions): { kv: readonly KvLayer[]; state: readonly StateLayer[] } {
  const kv: KvLayer[] = [];
  const state: { convElements: number; deltaElements: number }[] = [];
  for (const node of graph.nodes) {
    const kept = options.definitions[node.op as OpName].state;
    const layer = node.attributes['layer'];
    if (!kept || layer === undefined) continue;
    const cache = kept.kvLayer?.(node);
    if (cache) kv[layer] = cache;
    const elements = kept.elements?.(node);
    if (elements === undefined) continue;
    const known = state[layer] ?? { convElements: 0, deltaElements: 0 };
    state[layer] = kept.kind === 'conv' ? { ...known, convElements: elements } : { ...known, deltaElements: elements };
  }
  return { kv, state };
}

interface Touch {
  readonly start: number;
  readonly end: number;
}

const overlaps = (a: Touch, b: Touch): boolean => a.start < b.end && b.start < a.end;
const spanOf = ({ offset, size }: Region): Touch => ({ start: offset, end: offset + size });

/**
 * Memory touched since the last barrier. Some ops divide their work by rows and some by columns, so any overlap of a
 * write with another touch counts, whatever part of it a worker sees.
 */
class Hazards {
  readonly #plan: ArenaPlan;
  readonly #definitions: LowerOptions['definitions'];
  #reads: Touch[] = [];
  #writes: Touch[] = [];
  readonly #stateReads = new Set<string>();
  readonly #stateWrites = new Set<string>();

  constructor(plan: ArenaPlan, definitions: LowerOptions['definitions']) {
    this.#plan = plan;
    this.#definitions = definitions;
  }

  /** Whether a barrier must come before this node; notes what the node touches. */
  needsBarrier(node: Node): boolean {
    const touch = (value: Value): Touch => spanOf(this.#plan.regions.get(rootOf(value))!);
    const reads = node.inputs.map(touch);
    const writes = node.outputs.map(touch);
    const state = this.#definitions[node.op as OpName].state;
    const key = state ? `${state.kind}.${node.attributes['layer'] ?? ''}` : '';
    const meet = (left: readonly Touch[], right: readonly Touch[]): boolean =>
      left.some((a) => right.some((b) => overlaps(a, b)));
    const barrier =
      meet(reads, this.#writes) ||
      meet(writes, this.#writes) ||
      meet(writes, this.#reads) ||
      (state !== undefined && this.#stateWrites.has(key)) ||
      (state !== undefined && state.access !== 'reads' && this.#stateReads.has(key));
    if (barrier) {
      this.#reads = [];
      this.#writes = [];
      this.#stateReads.clear();
      this.#stateWrites.clear();
    }
    this.#reads.push(...reads);
    this.#writes.push(...writes);
    if (state && state.access !== 'writes') this.#stateReads.add(key);
    if (state && state.access !== 'reads') this.#stateWrites.add(key);
    return barrier;
  }
}
