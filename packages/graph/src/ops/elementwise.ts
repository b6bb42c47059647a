import type { Matrix, OpDefinition, ReferenceContext, ShardState } from '../op.js';
import { type OpName, type OpSignature, opcodes } from '../opcodes.js';
import { alikeShape, elementCost, neverPartial, shardAlike } from './rules.js';

/** An op that computes each element from the same element of its inputs. Reading and writing in place is allowed. */
export function elementwise(options: {
  readonly name: OpName;
  readonly macs: number;
  /** When set, sums over ranks commute with it and it runs on partial inputs. */
  readonly acceptsPartial?: (inputs: readonly ShardState[]) => boolean;
  /** The function of one element, made once per instruction. */
  readonly element: (context: ReferenceContext) => (a: number, b: number) => number;
}): OpDefinition {
  const { inputs }: OpSignature = opcodes[options.name];
  return {
    name: options.name,
    shape: (node) => [alikeShape(node, inputs.length)],
    shard: (node) => shardAlike(node, inputs, 1),
    acceptsPartial: options.acceptsPartial ?? neverPartial,
    cost: elementCost(options.macs),
    reference(context) {
      const a = context.input(inputs[0]!);
      const b = inputs[1] === undefined ? a : context.input(inputs[1]);
      const y = context.output('y');
      const f = options.element(context);
      forEachRow(context.rows, y, (row, at) => {
        const aAt = a.offset + row * a.stride;
        const bAt = b.offset + row * b.stride;
        for (let c = 0; c < y.width; c++) y.data[at + c] = f(a.data[aAt + c]!, b.data[bAt + c]!);
      });
    },
  };
}

/** Runs `body` for each row with the index of its first element. */
export function forEachRow(rows: number, matrix: Matrix, body: (row: number, at: number) => void): void {
  for (let row = 0; row < rows; row++) body(row, matrix.offset + row * matrix.stride);
}
