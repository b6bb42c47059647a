import type { Shape } from './op.js';
import { type OpName, opcodes } from './opcodes.js';
import type { Attributes, Graph, Node, Value, Weight } from './value.js';

/** Appends nodes to a graph and numbers them: what the builder and every rewriting pass write with. */
export class GraphWriter {
  readonly #nodes: Node[] = [];
  #values = 0;

  node(
    node: {
      readonly op: string;
      readonly name: string;
      readonly inputs: readonly Value[];
      readonly weights: Readonly<Record<string, Weight | undefined>>;
      readonly attributes: Attributes;
    },
    shapes: readonly Shape[],
    names?: readonly string[],
  ): Node {
    const outputs: Value[] = [];
    const { op, name, inputs, weights, attributes } = node;
    const made: Node = { id: this.#nodes.length, op, name, inputs, weights, attributes, outputs };
    for (const [output, { rows, segments }] of shapes.entries()) {
      const role = opcodes[op as OpName].outputs[output]?.replace('?', '');
      const valueName = names?.[output] ?? (output === 0 ? name : `${name}.${role}`);
      outputs.push({ id: this.#values++, name: valueName, rows, segments, node: made, output });
    }
    this.#nodes.push(made);
    return made;
  }

  /** One segment of a value; the value itself when it has only one. */
  view(of: Value, index: number, name: string): Value {
    if (of.segments.length === 1) return of;
    return { ...of, id: this.#values++, name, segments: [of.segments[index]!], view: { of, index } };
  }

  graph(): Graph {
    return { nodes: [...this.#nodes] };
  }
}

/** The value whose memory a value lies in: itself, or the one it is a segment of. */
export const rootOf = (value: Value): Value => (value.view ? rootOf(value.view.of) : value);

/** First column of a value within its root. */
export function columnOf(value: Value): number {
  if (!value.view) return 0;
  const before = value.view.of.segments.slice(0, value.view.index);
  return columnOf(value.view.of) + before.reduce((sum, columns) => sum + columns, 0);
}

/** Values of a graph being rewritten and what each became; segments follow their roots. */
export class ValueMap {
  readonly #made = new Map<Value, Value>();
  readonly #writer: GraphWriter;

  constructor(writer: GraphWriter) {
    this.#writer = writer;
  }

  /** What `old` is from here on, and with it every segment of it. */
  set(old: Value, made: Value): void {
    for (const known of this.#made.keys()) if (known.view && rootOf(known) === old) this.#made.delete(known);
    this.#made.set(old, made);
  }

  get(old: Value): Value {
    const known = this.#made.get(old);
    if (known) return known;
    const made = this.#writer.view(this.get(old.view!.of), old.view!.index, old.name);
    this.#made.set(old, made);
    return made;
  }
}
