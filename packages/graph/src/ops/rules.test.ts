import { CortexError } from '@helexa/core';
import test from 'ava';
import { describeState, mirrored, partial, type ShardState, split } from '../op.js';
import { type OpName, type OpSignature, opcodes } from '../opcodes.js';
import type { Weight } from '../value.js';
import { ops } from './index.js';

const weight = (rows: readonly number[], cols: number | null, cut: Weight['cut'] = null, once = false): Weight => ({
  slot: 'w',
  segments: rows.map((count, index) => ({ name: `s${index}`, rows: count, tensor: index })),
  cols,
  cut,
  once,
});

const rowsCut = { axis: 'rows', name: 'heads' } as const;
const colsCut = { axis: 'cols', name: 'heads' } as const;
const heads = split('heads');

/** What an op answers of its outputs, in words: states, the input to gather, or the refusal. */
function shard(
  op: OpName,
  inputs: readonly ShardState[],
  weights: Record<string, Weight> = {},
  attributes = {},
): string {
  const result = ops[op].shard({
    name: op,
    inputs,
    weights,
    attributes,
    rank: 1,
    ranks: 2,
    rowStart: () => 40,
  });
  if ('refuse' in result) return `refused: ${result.refuse.have}; ${result.refuse.want}`;
  if ('gather' in result) return `gather ${result.gather}`;
  return result.outputs.map(describeState).join(', ');
}

test('linear takes whole rows to split columns, and split columns to a partial sum', (t) => {
  t.is(shard('linear', [mirrored], { matrix: weight([4], 8) }), 'mirrored');
  t.is(shard('linear', [mirrored], { matrix: weight([4], 8, rowsCut) }), "split by 'heads'");
  t.is(shard('linear', [heads], { matrix: weight([4], 8, colsCut) }), 'partial');
});

test('linear refuses what does not fit, naming both', (t) => {
  t.regex(shard('linear', [heads], { matrix: weight([4], 8) }), /'x' is split by 'heads', 'w' is whole/);
  t.regex(shard('linear', [heads], { matrix: weight([4], 8, rowsCut) }), /'w' is cut in rows by 'heads'/);
  t.regex(shard('linear', [mirrored], { matrix: weight([4], 8, colsCut) }), /'x' is mirrored/);
  t.regex(shard('linear', [split('inter')], { matrix: weight([4], 8, colsCut) }), /'inter'.*'heads'/);
});

test('linear wants a bias that the sum over ranks carries once', (t) => {
  const rows = weight([4], 8, rowsCut);
  const cols = weight([4], 8, colsCut);
  t.is(shard('linear', [mirrored], { matrix: rows, bias: weight([4], null, rowsCut) }), "split by 'heads'");
  t.regex(shard('linear', [mirrored], { matrix: rows, bias: weight([4], null) }), /^refused/);
  t.is(shard('linear', [heads], { matrix: cols, bias: weight([4], null, null, true) }), 'partial');
  t.regex(shard('linear', [heads], { matrix: cols, bias: weight([4], null) }), /only rank 0 holds/);
});

test('embed sums the ranks of a cut vocabulary and says where each begins', (t) => {
  t.is(shard('embed', [], { table: weight([80], 4) }), 'mirrored');
  t.is(shard('embed', [], { table: weight([80], 4, rowsCut) }), 'partial');
  t.regex(shard('embed', [], { table: weight([80], 4, colsCut) }), /^refused/);
  const context = { name: 'e', inputs: [], attributes: {}, rank: 1, ranks: 2, rowStart: () => 40 };
  const result = ops.embed.shard({ ...context, weights: { table: weight([80], 4, rowsCut) } });
  t.deepEqual('attributes' in result ? result.attributes : null, { vocabStart: 40 });
});

test('elementwise ops keep the state that all their inputs have', (t) => {
  for (const op of ['add', 'mul', 'swiglu'] as const) {
    t.is(shard(op, [heads, heads]), "split by 'heads'");
    t.is(shard(op, [mirrored, mirrored]), 'mirrored');
    t.regex(shard(op, [mirrored, heads]), /^refused: '\w+' is mirrored, '\w+' is split by 'heads'/);
    t.regex(shard(op, [split('inter'), heads]), /^refused/);
  }
  t.is(shard('add', [partial, partial]), 'partial');
});

test('only ops that commute with a sum accept partial inputs', (t) => {
  const accepting = (Object.keys(ops) as OpName[]).filter((op) => {
    const { inputs }: OpSignature = opcodes[op];
    return inputs.length > 0 && ops[op].acceptsPartial(inputs.map(() => partial));
  });
  t.deepEqual(accepting.sort(), ['add', 'all_reduce', 'gather_rows', 'scale']);
  t.false(ops.add.acceptsPartial([mirrored, partial]));
  t.true(ops.sigmoid_mul.acceptsPartial([partial, mirrored]));
});

test('sigmoid_mul gates a split or partial x by a mirrored column', (t) => {
  t.is(shard('sigmoid_mul', [heads, mirrored], {}, { broadcast: 1 }), "split by 'heads'");
  t.is(shard('sigmoid_mul', [partial, mirrored], {}, { broadcast: 1 }), 'partial');
  t.is(shard('sigmoid_mul', [heads, heads], {}, { broadcast: 0 }), "split by 'heads'");
  t.regex(shard('sigmoid_mul', [heads, mirrored], {}, { broadcast: 0 }), /^refused/);
  t.regex(shard('sigmoid_mul', [heads, heads], {}, { broadcast: 1 }), /^refused/);
});

test('ops of whole heads run on split heads, ops of whole rows do not', (t) => {
  const vector = { weight: weight([4], null), inverseFrequency: weight([2], null) };
  for (const op of ['head_norm', 'rope', 'attend'] as const) t.is(shard(op, [heads], vector), "split by 'heads'");
  t.is(shard('kv_append', [heads, heads]), '');
  t.regex(shard('kv_append', [heads, mirrored]), /^refused/);
  for (const op of ['rms_norm', 'layer_norm', 'router_topk'] as const) t.regex(shard(op, [heads], vector), /^refused/);
  t.regex(shard('rms_norm', [mirrored], { weight: weight([4], null, rowsCut) }), /^refused/);
});

test('sample gathers split logits', (t) => {
  t.is(shard('sample', [split('vocab')]), 'gather 0');
  t.is(shard('sample', [mirrored]), '');
  t.is(shard('gather', [split('vocab')]), 'mirrored');
  t.is(shard('all_reduce', [partial]), 'mirrored');
});

test('experts are cut inside each expert, and their sum is partial', (t) => {
  const gateUp = weight([16, 16], 8, rowsCut);
  t.is(shard('moe_gate_up', [mirrored, mirrored], { matrix: gateUp }), "split by 'heads'");
  t.is(shard('moe_down', [heads, mirrored], { matrix: weight([32], 4, colsCut) }), 'partial');
  t.regex(shard('moe_gate_up', [mirrored, heads], { matrix: gateUp }), /the choice is divided/);
  t.regex(shard('moe_down', [mirrored, mirrored], { matrix: weight([32], 4, rowsCut) }), /^refused/);
});

test('recurrent ops run on split heads whose weights are cut alike', (t) => {
  const cut = weight([4], null, rowsCut);
  t.is(shard('conv1d_silu', [heads], { kernel: weight([8], 4, rowsCut) }), "split by 'heads'");
  t.regex(shard('conv1d_silu', [heads], { kernel: weight([8], 4) }), /^refused/);
  t.is(shard('delta_gates', [heads, heads], { decay: cut, dtBias: cut }), "split by 'heads', split by 'heads'");
  t.regex(shard('delta_gates', [heads, heads], { decay: cut, dtBias: weight([4], null) }), /^refused/);
  t.is(shard('gated_delta', [heads, heads, heads]), "split by 'heads'");
  t.regex(shard('gated_delta', [heads, heads, mirrored]), /^refused/);
});

const rowsOf = (...segments: number[]) => ({ rows: 'rows', segments }) as const;

test('shape rules give segments, and refuse misfits naming the node and both sizes', (t) => {
  const shape = (op: OpName, inputs: readonly { rows: 'rows'; segments: number[] }[], weights = {}, attributes = {}) =>
    ops[op].shape({ name: 'node', inputs, weights, attributes });
  const refuses = (run: () => unknown, message: RegExp) => {
    const error = t.throws(run, { instanceOf: CortexError, message });
    t.is((error as CortexError).code, 'graph_invalid');
  };
  t.deepEqual(shape('linear', [rowsOf(8)], { matrix: weight([4, 2], 8) }), [rowsOf(4, 2)]);
  t.deepEqual(shape('linear_swiglu', [rowsOf(8)], { matrix: weight([4, 4], 8) }), [rowsOf(4)]);
  t.deepEqual(shape('router_topk', [rowsOf(8)], {}, { k: 2 }), [rowsOf(2, 2)]);
  t.deepEqual(shape('gated_delta', [rowsOf(40), rowsOf(4), rowsOf(4)], {}, { keyDim: 2, valueDim: 8 }), [rowsOf(32)]);
  const two = [rowsOf(16), rowsOf(4)];
  t.deepEqual(shape('moe_gate_up', two, { matrix: weight([24, 24], 16) }, { k: 2, experts: 4 }), [rowsOf(6, 6)]);
  t.deepEqual(shape('moe_down', [rowsOf(6, 6), rowsOf(4)], { matrix: weight([64], 6) }, { k: 2, experts: 4 }), [
    rowsOf(16),
  ]);
  refuses(() => shape('linear', [rowsOf(7)], { matrix: weight([4], 8) }), /node.*8 columns; 7/);
  refuses(() => shape('linear', [rowsOf(8)], {}), /'matrix' is missing/);
  refuses(() => shape('add', [rowsOf(8), rowsOf(9)]), /\[rows, 9\]; \[rows, 8\]/);
  refuses(() => shape('rms_norm', [rowsOf(8)], { weight: weight([7], null) }), /7 x 1; a vector of 8/);
  refuses(() => shape('head_norm', [rowsOf(9)], { weight: weight([4], null) }, { headDim: 4 }), /whole heads of 4/);
  const table = { inverseFrequency: weight([2], null) };
  refuses(() => shape('rope', [rowsOf(8)], table, { headDim: 4, rotaryDim: 6 }), /6 rotated dimensions of 4/);
  refuses(() => shape('router_topk', [rowsOf(2)], {}, { k: 3 }), /3 of 2 experts/);
  refuses(() => shape('gather_rows', [{ ...rowsOf(2), rows: 'sampled' as never }]), /'sampled'/);
});

test('costs count multiply-accumulates and the weights that are read', (t) => {
  const cost = (op: OpName, inputs: readonly ReturnType<typeof rowsOf>[], weights = {}, attributes = {}) =>
    ops[op].cost({
      rows: 3,
      cacheTokens: 10,
      inputs,
      outputs: [],
      weights,
      attributes,
      weightBytes: () => 640,
    });
  t.like(cost('linear', [rowsOf(8)], { matrix: weight([4, 2], 8) }), { macs: 3 * 6 * 8, weightBytes: 640 });
  t.like(cost('attend', [rowsOf(8)]), { macs: 2 * 3 * 10 * 8, weightBytes: 0, activationBytes: 4 * 3 * 8 });
  const experts = { k: 2, experts: 64 };
  // Three rows read at most six of the experts.
  const two = { matrix: weight([64 * 5, 64 * 5], 8) };
  t.like(cost('moe_gate_up', [rowsOf(8)], two, experts), { macs: 6 * 10 * 8, weightBytes: 60 });
  t.like(cost('embed', [], { table: weight([16], 4) }), { macs: 0, weightBytes: 120 });
});

test('ops is the list of opcodes, each under its own name', (t) => {
  t.deepEqual(Object.keys(ops).sort(), Object.keys(opcodes).sort());
  for (const [name, definition] of Object.entries(ops)) t.true(definition.name === name);
  const codes = Object.values(opcodes).map((signature) => signature.code);
  t.is(new Set(codes).size, codes.length);
});
