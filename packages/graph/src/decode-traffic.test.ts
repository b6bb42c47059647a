import test from 'ava';
import { decodeTraffic } from './decode-traffic.js';
import { opcodes } from './opcodes.js';
import { instructionWords, type Program, word } from './program.js';

/** A program of bare instructions: opcode, weights, parameters; the rest stands absent. */
function program(
  instructions: { op: keyof typeof opcodes; weights: number[]; params?: number[] }[],
  extra: Partial<Program> = {},
): Program {
  const words = new Int32Array(instructions.length * instructionWords).fill(-1);
  instructions.forEach(({ op, weights, params = [] }, index) => {
    const at = index * instructionWords;
    words[at + word.opcode] = opcodes[op].code;
    words.set(weights, at + word.weights);
    words.set(params, at + word.params);
  });
  const tensor = (name: string, format: 'F32' | 'Q4_K', rows: number, cols: number) => ({
    name,
    format,
    rows,
    cols,
    lookup: false,
  });
  return {
    rank: 0,
    ranks: 1,
    words,
    tensors: [tensor('table', 'F32', 100, 8), tensor('a', 'F32', 4, 8), tensor('q', 'Q4_K', 10, 512)],
    arenaElements: 0,
    kv: [],
    state: [],
    vocab: 100,
    text: '',
    ...extra,
  };
}

test('decodeTraffic counts each weight once, in its own format, and no embedding look-up', (t) => {
  const traffic = decodeTraffic(
    [
      program([
        { op: 'embed', weights: [0] },
        { op: 'linear', weights: [1] },
        { op: 'linear', weights: [1, 2] },
      ]),
    ],
    'F16',
    1,
    0,
  );
  t.is(traffic.weightBytes, 4 * 8 * 4 + 10 * 288);
});

test('decodeTraffic counts a table that is also the head in full', (t) => {
  const traffic = decodeTraffic(
    [
      program([
        { op: 'embed', weights: [0] },
        { op: 'linear', weights: [0] },
      ]),
    ],
    'F16',
    1,
    0,
  );
  t.is(traffic.weightBytes, 100 * 8 * 4);
});

test('decodeTraffic counts the expected share of experts', (t) => {
  const moe = program([{ op: 'moe_down', weights: [2], params: [2, 8] }]);
  t.is(decodeTraffic([moe], 'F16', 1, 0).weightBytes, Math.round(2880 * 0.25));
  t.is(decodeTraffic([moe], 'F16', 2, 0).weightBytes, Math.round(2880 * (1 - 0.75 ** 2)));
});

test('decodeTraffic adds cache and state of every sequence and rank', (t) => {
  const one = program([], { kv: [{ kvHeads: 2, headDim: 16 }], state: [{ convElements: 3, deltaElements: 5 }] });
  const traffic = decodeTraffic([one, one], 'F16', 3, 10);
  t.is(traffic.kvBytes, 2 * 2 * 16 * 2 * 10 * 3 * 2);
  t.is(traffic.stateBytes, 2 * 4 * 8 * 3 * 2);
});
