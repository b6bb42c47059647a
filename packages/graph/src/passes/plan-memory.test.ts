import type { CortexError } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { GraphWriter } from '../graph-writer.js';
import type { Graph, Value } from '../value.js';
import { planMemory, verifyPlan } from './plan-memory.js';

const limits = { maxRows: 5, maxSampled: 3 };

/** Any graph: each node reads some of the values before it, or a segment of one. */
const graphs = fc
  .array(
    fc.record({
      widths: fc.array(fc.integer({ min: 1, max: 70 }), { minLength: 1, maxLength: 3 }),
      sampled: fc.boolean(),
      reads: fc.array(fc.nat(), { maxLength: 4 }),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((nodes): Graph => {
    const writer = new GraphWriter();
    const values: Value[] = [];
    for (const [index, { widths, sampled, reads }] of nodes.entries()) {
      const inputs = values.length === 0 ? [] : reads.map((read) => values[read % values.length]!);
      const node = { op: 'add', name: `n${index}`, inputs, weights: {}, attributes: {} };
      const [made] = writer.node(node, [{ rows: sampled ? 'sampled' : 'rows', segments: widths }]).outputs;
      values.push(made!, writer.view(made!, 0, 'view'));
    }
    return writer.graph();
  });

/** Replays a plan element by element: a value must still hold what its node wrote when it is read. */
function survives(graph: Graph): boolean {
  const plan = planMemory(graph, limits);
  verifyPlan(plan);
  const arena = new Int32Array(plan.arenaElements).fill(-1);
  const regionOf = (value: Value) => plan.regions.get(value.view?.of ?? value)!;
  for (const node of graph.nodes) {
    for (const output of node.outputs) {
      const { offset, size } = regionOf(output);
      arena.fill(output.id, offset, offset + size);
    }
    for (const input of node.inputs) {
      const { offset, size, value } = regionOf(input);
      if (arena.subarray(offset, offset + size).some((owner) => owner !== value.id)) return false;
    }
  }
  return true;
}

test('planMemory keeps every value until its last reader, in any graph', (t) => {
  fc.assert(fc.property(graphs, survives), { numRuns: 300 });
  t.pass();
});

test('planMemory reuses memory that nothing needs any more', (t) => {
  const writer = new GraphWriter();
  let inputs: readonly Value[] = [];
  for (let index = 0; index < 20; index++) {
    const node = { op: 'silu', name: `n${index}`, inputs, weights: {}, attributes: {} };
    inputs = writer.node(node, [{ rows: 'rows', segments: [16] }]).outputs;
  }
  t.is(planMemory(writer.graph(), limits).arenaElements, 2 * 16 * limits.maxRows);
});

test('verifyPlan refuses regions that share memory while both are needed, and regions outside the arena', (t) => {
  const writer = new GraphWriter();
  const node = (name: string, inputs: readonly Value[]) =>
    writer.node({ op: 'add', name, inputs, weights: {}, attributes: {} }, [{ rows: 'rows', segments: [16] }])
      .outputs[0]!;
  const a = node('a', []);
  const b = node('b', []);
  node('c', [a, b]);
  const plan = planMemory(writer.graph(), limits);
  const moved = new Map(plan.regions).set(b, { ...plan.regions.get(b)!, offset: plan.regions.get(a)!.offset });
  const error = t.throws(() => verifyPlan({ ...plan, regions: moved })) as CortexError;
  t.is(error.code, 'graph_invalid');
  t.regex(error.message, /shares memory with/u);
  t.throws(() => verifyPlan({ ...plan, arenaElements: plan.arenaElements - 1 }), { message: /does not fit/u });
});

test('planMemory refuses rows that a step has no limit of', (t) => {
  const writer = new GraphWriter();
  writer.node({ op: 'silu', name: 'p', inputs: [], weights: {}, attributes: {} }, [{ rows: 'patches', segments: [4] }]);
  t.throws(() => planMemory(writer.graph(), limits), { message: /no limit of 'patches'/u });
});
