import { rootOf } from '../graph-writer.js';
import type { FusedOp } from '../opcodes.js';
import { type Attributes, type Node, type Value, type Weight, widthOf } from '../value.js';

/** Who reads each value, by the value itself and by its root. */
export interface Uses {
  /** Nodes that read exactly this value. */
  of(value: Value): readonly Node[];
  /** Nodes that read it or any segment of it. */
  ofRoot(value: Value): readonly Node[];
}

/** Nodes that one fused instruction replaces. */
export interface Match {
  /** All of them, and the one in whose place the fused node stands. */
  readonly nodes: readonly Node[];
  readonly at: Node;
  readonly inputs: readonly Value[];
  readonly weights: Readonly<Record<string, Weight | undefined>>;
  readonly attributes: Attributes;
  /** What the fused node's outputs replace, in order. */
  readonly outputs: readonly Value[];
}

export interface Fusion {
  readonly op: FusedOp;
  /** The node that a match is looked for from. */
  readonly from: string;
  match(node: Node, uses: Uses): Match | null;
}

const only = (nodes: readonly Node[]): Node | undefined => (nodes.length === 1 ? nodes[0] : undefined);

/** silu(x . gate^T) * (x . up^T) with both products in one linear. */
const linearSwiglu: Fusion = {
  op: 'linear_swiglu',
  from: 'swiglu',
  match(node, uses) {
    const [gate, up] = node.inputs as [Value, Value];
    const linear = gate.node;
    const fits =
      linear.op === 'linear' &&
      up.node === linear &&
      gate.view?.index === 0 &&
      up.view?.index === 1 &&
      linear.outputs[0]!.segments.length === 2 &&
      linear.weights['bias'] === undefined &&
      only(uses.ofRoot(linear.outputs[0]!)) === node;
    if (!fits) return null;
    const { inputs, weights } = linear;
    return { nodes: [linear, node], at: node, inputs, weights, attributes: {}, outputs: node.outputs };
  },
};

/** A projection added to the residual it was made from. */
const linearAdd: Fusion = {
  op: 'linear_add',
  from: 'add',
  match(node, uses) {
    if (rootOf(node.inputs[0]!) === rootOf(node.inputs[1]!)) return null;
    const side = [1, 0].find((index) => isOwnLinear(node.inputs[index]!, node, uses));
    if (side === undefined) return null;
    const linear = node.inputs[side]!.node;
    const inputs = [linear.inputs[0]!, node.inputs[1 - side]!];
    return { nodes: [linear, node], at: node, inputs, weights: linear.weights, attributes: {}, outputs: node.outputs };
  },
};

const isOwnLinear = (value: Value, reader: Node, uses: Uses): boolean =>
  value.node.op === 'linear' && !value.view && only(uses.ofRoot(value)) === reader;

/** A sum and its norm, both of which are read on. */
const addRmsNorm: Fusion = {
  op: 'add_rms_norm',
  from: 'rms_norm',
  match(node) {
    const sum = node.inputs[0]!;
    const add = sum.node;
    if (add.op !== 'add' || sum.view) return null;
    return {
      nodes: [add, node],
      at: add,
      inputs: add.inputs,
      weights: node.weights,
      attributes: node.attributes,
      outputs: [add.outputs[0]!, node.outputs[0]!],
    };
  },
};

/** Norm and rotation of queries and keys, and the append of keys and values. */
const qkNormRopeAppend: Fusion = {
  op: 'qk_norm_rope_append',
  from: 'kv_append',
  match(append, uses) {
    const [k, v] = append.inputs as [Value, Value];
    const key = rotated(k, uses);
    if (!key || only(uses.ofRoot(k)) !== append) return null;
    const query = uses
      .ofRoot(rootOf(key.x))
      .map((reader) => partnerOf(reader, uses))
      .find((candidate) => candidate && candidate.rope !== key.rope && sameRotation(candidate, key));
    if (!query || uses.ofRoot(query.rope.outputs[0]!).some((reader) => reader.id < append.id)) return null;
    const norms = [query.norm, key.norm].filter((norm) => norm !== undefined);
    return {
      nodes: [...norms, query.rope, key.rope, append],
      at: append,
      inputs: [query.x, key.x, v],
      weights: {
        qNorm: query.norm?.weights['weight'],
        kNorm: key.norm?.weights['weight'],
        inverseFrequency: key.rope.weights['inverseFrequency'],
      },
      attributes: {
        ...key.rope.attributes,
        layer: append.attributes['layer']!,
        eps: key.norm?.attributes['eps'] ?? 0,
      },
      outputs: query.rope.outputs,
    };
  },
};

interface Rotated {
  readonly x: Value;
  readonly norm: Node | undefined;
  readonly rope: Node;
}

/** A rotated value and what it was before its norm and rotation, when nothing else reads what lies between. */
function rotated(value: Value, uses: Uses): Rotated | null {
  const rope = value.node;
  if (rope.op !== 'rope') return null;
  const x = rope.inputs[0]!;
  if (x.node.op !== 'head_norm') return { x, norm: undefined, rope };
  if (only(uses.ofRoot(x)) !== rope) return null;
  return { x: x.node.inputs[0]!, norm: x.node, rope };
}

function partnerOf(reader: Node, uses: Uses): Rotated | null {
  if (reader.op === 'rope') return rotated(reader.outputs[0]!, uses);
  if (reader.op !== 'head_norm') return null;
  const rope = only(uses.ofRoot(reader.outputs[0]!));
  return rope ? rotated(rope.outputs[0]!, uses) : null;
}

function sameRotation(a: Rotated, b: Rotated): boolean {
  const same = (left: Attributes, right: Attributes): boolean =>
    Object.keys(left).every((name) => left[name] === right[name]);
  return (
    a.rope.weights['inverseFrequency']?.slot === b.rope.weights['inverseFrequency']?.slot &&
    same(a.rope.attributes, b.rope.attributes) &&
    (a.norm === undefined) === (b.norm === undefined) &&
    (a.norm === undefined || same(a.norm.attributes, b.norm!.attributes)) &&
    a.x.rows === b.x.rows &&
    widthOf(a.x) >= widthOf(b.x)
  );
}

/** In the order they are tried: a node belongs to the first that takes it. */
export const fusions: readonly Fusion[] = [linearSwiglu, qkNormRopeAppend, linearAdd, addRmsNorm];
