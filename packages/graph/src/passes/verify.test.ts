import type { CortexError } from '@helexa/core';
import test from 'ava';
import { GraphWriter } from '../graph-writer.js';
import { ops } from '../ops/index.js';
import type { Graph, Node, Value, Weight } from '../value.js';
import { verify } from './verify.js';

const table: Weight = { slot: 'embed', segments: [{ name: 'embed', rows: 10, tensor: 0 }], cols: 8, cut: null };

/** embed -> silu -> sample, with one node changed. */
function graphWith(change: (node: Node) => Partial<Node>): Graph {
  const writer = new GraphWriter();
  const add = (op: string, inputs: readonly Value[], weights: Node['weights'], attributes: Node['attributes']) => {
    const node = { op, name: op, inputs, weights, attributes };
    const shapes = ops[op as 'silu'].shape({ ...node, inputs });
    return writer.node(node, shapes).outputs;
  };
  const x = add('embed', [], { table }, { vocabStart: 0 });
  const rows = add('gather_rows', add('silu', x, {}, {}), {}, {});
  add('sample', rows, {}, {});
  return { nodes: writer.graph().nodes.map((node) => ({ ...node, ...change(node) })) };
}

/** A verified graph reads values by identity, so a change must keep the outputs. */
const messageOf = (op: string, change: Partial<Node>): string => {
  const graph = graphWith((node) => (node.op === op ? change : {}));
  return (errorOf(() => verify(graph, ops)) as CortexError).message;
};

function errorOf(run: () => void): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return { message: 'accepted' };
}

test('verify accepts a sound graph', (assert) => {
  assert.is(messageOf('none', {}), 'accepted');
});

test('verify names the node and what is wrong with it', (assert) => {
  assert.regex(messageOf('silu', { op: 'relu' }), /at 'silu': there is no op 'relu'/u);
  assert.regex(messageOf('silu', { inputs: [] }), /has 0 inputs; it takes 1 to 1/u);
  assert.regex(messageOf('silu', { weights: { bias: table } }), /takes no weight 'bias'/u);
  assert.regex(messageOf('embed', { weights: {} }), /its weight 'table' is missing/u);
  assert.regex(messageOf('embed', { attributes: {} }), /its attribute 'vocabStart' is missing/u);
  assert.regex(messageOf('embed', { attributes: { vocabStart: 0.5 } }), /'vocabStart' is 0\.5, not an integer/u);
  assert.regex(
    messageOf('embed', { weights: { table: { ...table, cols: 9 } } }),
    /output 0 is 8 columns; its op makes 9/u,
  );
});

test('verify refuses a value that is read before it is made, and one that nobody reads', (assert) => {
  const { nodes } = graphWith(() => ({}));
  const [embed, silu, ...rest] = nodes as [Node, Node, ...Node[]];
  const message = (graph: Graph) => (errorOf(() => verify(graph, ops)) as CortexError).message;
  assert.regex(message({ nodes: [silu, embed, ...rest] }), /'embed' is read before it is made/u);
  assert.regex(message({ nodes: [embed, silu] }), /at 'silu': nothing reads its output/u);
});
