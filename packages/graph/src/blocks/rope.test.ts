import type { CortexError } from '@helexa/core';
import test from 'ava';
import { attentionFactorOf, inverseFrequencies, parseRope, type Rope } from './rope.js';

// Expected values: the published formulas in float32, computed with numpy.
const plainAt1e6 = [
  1.0, 0.17782793939113617, 0.03162277862429619, 0.005623413249850273, 0.0010000000474974513, 0.00017782794020604342,
  3.162277425872162e-5, 5.62341347176698e-6,
];
const llama3At5e5 = [
  1.0, 0.193922758102417, 0.03760603070259094, 0.00729266507551074, 0.0005248460220173001, 3.428102354519069e-5,
  6.647870577580761e-6, 1.289173155782919e-6,
];
const yarnAt1e6 = [
  1.0, 0.4216965138912201, 0.17782793939113617, 0.07498941570520401, 0.03162277862429619, 0.01333521492779255,
  0.00477990135550499, 0.001659961650148034, 0.0005499999970197678, 0.00016867861268110573, 4.4456985051510856e-5,
  1.8747356079984456e-5, 7.905693564680405e-6, 3.333803988425643e-6, 1.405853367941745e-6, 5.928434347879374e-7,
];

/** Two float32 roundings; a forgotten ramp or smoothing is off by more than a tenth. */
const bound = 2.5e-7;

const isClose = (actual: Float32Array, expected: readonly number[]): boolean =>
  actual.length === expected.length &&
  expected.every((value, index) => Math.abs(actual[index]! - value) <= bound * Math.abs(value));

const rope = (config: object): Rope => parseRope({ max_position_embeddings: 32768, ...config }, 'config.json');

test('inverseFrequencies gives the plain table in both spellings', (t) => {
  t.true(isClose(inverseFrequencies(rope({ rope_theta: 1e6 }), 16, null), plainAt1e6));
  const nested = { rope_parameters: { rope_type: 'default', rope_theta: 1e6 } };
  t.deepEqual(rope(nested), rope({ rope_theta: 1e6, rope_scaling: null }));
});

test('inverseFrequencies scales as llama3 does', (t) => {
  const scaling = { rope_type: 'llama3', factor: 8, original_max_position_embeddings: 8192 };
  const table = inverseFrequencies(rope({ rope_theta: 5e5, rope_scaling: scaling }), 16, null);
  t.true(isClose(table, llama3At5e5));
  t.false(isClose(inverseFrequencies(rope({ rope_theta: 5e5 }), 16, null), llama3At5e5));
});

test('inverseFrequencies scales as yarn does, under its legacy key too, and attention is scaled with it', (t) => {
  const yarn = rope({ rope_theta: 1e6, rope_scaling: { type: 'yarn', factor: 4 } });
  t.true(isClose(inverseFrequencies(yarn, 32, null), yarnAt1e6));
  t.true(Math.abs(attentionFactorOf(yarn) - 1.138629436111989) < 1e-12);
  const scaled = rope({ rope_theta: 1e6, rope_scaling: { type: 'yarn', factor: 4, attention_factor: 1.5 } });
  t.is(attentionFactorOf(scaled), 1.5);
});

test('inverseFrequencies divides all of them by a linear factor, and each by the factors of a file', (t) => {
  const linear = inverseFrequencies(rope({ rope_theta: 1e6, rope_scaling: { type: 'linear', factor: 4 } }), 16, null);
  t.true(
    isClose(
      linear,
      plainAt1e6.map((value) => value / 4),
    ),
  );
  const factors = Float32Array.from([1, 1, 2, 2, 4, 4, 8, 8]);
  t.true(
    isClose(
      inverseFrequencies(rope({ rope_theta: 1e6 }), 16, factors),
      plainAt1e6.map((value, index) => value / factors[index]!),
    ),
  );
});

test('parseRope refuses what no table can express, by name and file', (t) => {
  const refusal = (config: object): string => (t.throws(() => rope(config)) as CortexError).message;
  t.is(
    refusal({ rope_scaling: { type: 'dynamic', factor: 2 } }),
    `Cannot use model config 'config.json': 'rope_scaling.rope_type' is "dynamic"; supported are 'default', 'linear', 'llama3', 'yarn'`,
  );
  t.regex(
    refusal({ rope_parameters: { rope_type: 'linear' } }),
    /'rope_parameters\.factor' is missing; a positive number/u,
  );
  t.regex(refusal({ rope_parameters: { partial_rotary_factor: 0.25 } }), /only 1 is supported/u);
});
