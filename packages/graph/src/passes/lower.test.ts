import test from 'ava';
import fc from 'fast-check';
import { nullBackend } from '../backends/null.js';
import { GraphWriter } from '../graph-writer.js';
import type { Shape } from '../op.js';
import { type OpName, opcodes } from '../opcodes.js';
import { ops } from '../ops/index.js';
import { instructionWords, type Program, word } from '../program.js';
import { opOfCode } from '../program-text.js';
import { compileTiny, tinyLimits } from '../testing/tiny-model.js';
import type { Attributes, Value, Weight } from '../value.js';
import { lower } from './lower.js';
import { planMemory } from './plan-memory.js';

const instructionsOf = ({ words }: Program): Int32Array[] =>
  Array.from({ length: words.length / instructionWords }, (_, index) =>
    words.subarray(index * instructionWords, (index + 1) * instructionWords),
  );

/** Elements of the arena that an instruction's operands may touch, as [start, end). */
function spans(instruction: Int32Array, first: number, count: number): [number, number][] {
  const rows = instruction[word.rows] === 0 ? tinyLimits.maxRows : tinyLimits.maxSampled;
  return Array.from({ length: count }, (_, index) => [
    instruction[first + 2 * index]!,
    instruction[first + 2 * index + 1]!,
  ])
    .filter(([offset]) => offset! >= 0)
    .map(([offset, stride]) => [offset!, offset! + (rows - 1) * stride! + 1]);
}

const overlap = (a: [number, number], b: [number, number]): boolean => a[0] < b[1] && b[0] < a[1];
const meet = (a: [number, number][], b: [number, number][]): boolean => a.some((x) => b.some((y) => overlap(x, y)));

test('lower puts a barrier before every instruction that touches what another wrote since the last', (t) => {
  fc.assert(
    fc.property(
      fc.record({ bias: fc.boolean(), norms: fc.boolean(), ranks: fc.constantFrom(1, 2), plain: fc.boolean() }),
      ({ bias, norms, ranks, plain }) => {
        const backend = nullBackend(plain ? { fusions: [] } : {});
        for (const program of compileTiny({ config: { bias, norms }, ranks, backend }).programs) {
          let reads: [number, number][] = [];
          let writes: [number, number][] = [];
          let appended = false;
          for (const instruction of instructionsOf(program)) {
            const op = opOfCode(instruction[word.opcode]!)![0];
            if (instruction[word.barrier] === 1) [reads, writes, appended] = [[], [], false];
            const inputs = spans(instruction, word.inputs, 4);
            const outputs = spans(instruction, word.outputs, 3);
            if (meet(inputs, writes) || meet(outputs, writes) || meet(outputs, reads)) return false;
            if (op === 'attend' && appended) return false;
            reads.push(...inputs);
            writes.push(...outputs);
            appended ||= op === 'kv_append' || op === 'qk_norm_rope_append';
          }
        }
        return true;
      },
    ),
    { numRuns: 16 },
  );
  t.pass();
});

test('lower lets instructions that share nothing run without a barrier between them', (t) => {
  const backend = nullBackend({ fusions: [] });
  const { text } = compileTiny({ backend, config: { norms: false } }).programs[0]!;
  const barriers = text
    .split('\n')
    .filter((line) => / rope /u.test(line))
    .map((line) => line.split(' ')[1]);
  // Queries wait for the projection; keys read the same rows and write others.
  t.deepEqual(barriers, ['*', '-', '*', '-']);
});

test('lower writes operands, weights and parameters where the instruction format says', (t) => {
  const program = compileTiny({ config: { bias: true } }).programs[0]!;
  const code = (op: OpName) => opcodes[op].code;
  const find = (op: OpName) => instructionsOf(program).find((words) => words[word.opcode] === code(op))!;
  const name = (tensor: number) => program.tensors[tensor]?.name;
  const linear = find('linear');
  t.deepEqual([linear[word.n], linear[word.k]], [128, 64]);
  t.deepEqual([...linear.subarray(word.weights, word.bias)].map(name), [
    'layers.0.qkv.q',
    'layers.0.qkv.k',
    'layers.0.qkv.v',
    undefined,
  ]);
  t.is(name(linear[word.bias]!), 'layers.0.qkvBias');
  t.deepEqual([...linear.subarray(word.inputs + 2, word.outputs)], [-1, -1, -1, -1, -1, -1]);
  const append = find('qk_norm_rope_append');
  const [q, qStride, k, kStride, v] = append.subarray(word.inputs);
  t.deepEqual([k! - q!, v! - q!, qStride, kStride], [64, 96, 128, 128]);
  const floats = new Float32Array(append.buffer, append.byteOffset, append.length);
  t.is(floats[word.params + 1], Math.fround(1e-6));
  t.deepEqual([append[word.params], append[word.params + 2]], [0, 16]);
  t.is(find('sample')[word.rows], 1);
});

test('lower gives the same text for the same model', (t) => {
  t.is(compileTiny().programs[0]!.text, compileTiny().programs[0]!.text);
  t.is(
    compileTiny().programs[0]!.text.split('\n')[3],
    '2 * linear rows 128x64 y=layers.0.qkv@0/128 <- x=layers.0.attnNorm@1536/64 | matrix=layers.0.qkv.q,layers.0.qkv.k,layers.0.qkv.v',
  );
});

test('lower puts a barrier between the append of keys and the attention that reads them, whatever the arena', (t) => {
  const writer = new GraphWriter();
  const table: Weight = { slot: 'embed', segments: [{ name: 'embed', rows: 4, tensor: 0 }], cols: 16, cut: null };
  const add = (op: string, name: string, inputs: readonly Value[], attributes: Attributes, shapes: readonly Shape[]) =>
    writer.node({ op, name, inputs, weights: op === 'embed' ? { table } : {}, attributes }, shapes).outputs[0]!;
  const shape: Shape = { rows: 'rows', segments: [16] };
  const x = add('embed', 'x', [], { vocabStart: 0 }, [shape]);
  const attend = (layer: number, q: Value) =>
    add('attend', `attend${layer}`, [q], { layer, headDim: 16, scale: 1, window: 0 }, [shape]);
  const append = (layer: number) => add('kv_append', `append${layer}`, [x, x], { layer, headDim: 16 }, []);
  append(0);
  append(1);
  attend(0, x);
  attend(1, x);
  append(0);
  const graph = writer.graph();
  const { regions } = planMemory(graph, tinyLimits);
  // No two values share memory: only the cache can ask for a barrier.
  const apart = new Map([...regions].map(([value, region], index) => [value, { ...region, offset: index * 4096 }]));
  const options = { rank: 0, ranks: 1, definitions: ops, tensors: [], vocab: 4 };
  const { words } = lower(graph, { regions: apart, arenaElements: 4096 * apart.size }, options);
  const barriers = graph.nodes.map((_, index) => words[index * instructionWords + word.barrier]);
  t.deepEqual(barriers, [0, 1, 0, 1, 0, 1]);
});

test('lower puts a barrier between two writes of the same memory, read or not', (t) => {
  const writer = new GraphWriter();
  const table: Weight = { slot: 'embed', segments: [{ name: 'embed', rows: 4, tensor: 0 }], cols: 16, cut: null };
  for (const name of ['a', 'b']) {
    const node = { op: 'embed', name, inputs: [], weights: { table }, attributes: { vocabStart: 0 } };
    writer.node(node, [{ rows: 'rows', segments: [16] }]);
  }
  const graph = writer.graph();
  const barrierOf = (offset: number): number => {
    const { regions } = planMemory(graph, tinyLimits);
    const placed = new Map(
      [...regions].map(([value, region]) => [value, { ...region, offset: value.name === 'b' ? offset : 0 }]),
    );
    const options = { rank: 0, ranks: 1, definitions: ops, tensors: [], vocab: 4 };
    return lower(graph, { regions: placed, arenaElements: 4096 }, options).words[instructionWords + word.barrier]!;
  };
  const size = 16 * tinyLimits.maxRows;
  t.deepEqual([barrierOf(0), barrierOf(size - 16), barrierOf(size)], [1, 1, 0]);
});
