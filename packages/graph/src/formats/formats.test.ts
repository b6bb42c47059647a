import { blockOf, CortexError, type WeightFormat } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { randomValues } from '../conformance/random.js';
import { decodeInto, decodeRow, fromBfloat, fromHalf, quantise, toBfloat, toHalf, weightFormats } from './index.js';
import { publishedBlocks, publishedRows } from './published-blocks.fixture.js';

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

/** Random blocks as the `gguf` Python package decodes them: some elements, and the sum of all of them. */
const known: Partial<
  Record<WeightFormat, { hex: string; values: readonly (readonly [number, number])[]; sum: number }>
> = {
  Q8_0: {
    hex: 'c028402210fae920677a0dcc8aacd07f7c640c97decbfb99d3eb50b6b02958078df1',
    values: [
      [0, 2.375],
      [1, 1.26171875],
      [15, 3.7109375],
      [16, 0.4453125],
      [31, -0.556640625],
    ],
    sum: -0.66796875,
  },
  Q4_0: {
    hex: 'c028de255437c866d33c9fed358a398c3715',
    values: [
      [0, 0.22265625],
      [1, -0.111328125],
      [15, -0.111328125],
      [16, 0.185546875],
      [31, -0.259765625],
    ],
    sum: -0.556640625,
  },
  Q4_K: {
    hex: [
      'c028023394dd382159d022c14ca7c5f2b1f3bcfa5cc3339f90244bde5655765e3b394f25db74ea82d58a98716313b0a9132f',
      '9afe77a37a46ff5910db28e051237eec05597ef6bcc9d764643f51c09cabc2a78075bf7c2b8302b7f7f099a315d19eded3d6',
      '6232908c37e375fb00281dfbdf35972268bb5a342a1af14ee745c18d1ba3e8d200d4ce7bdb05d8fb8c38705a',
    ].join(''),
    values: [
      [0, -4.732666015625],
      [31, 1.204833984375],
      [33, 12.638671875],
      [64, -1.21142578125],
      [100, 8.353271484375],
      [127, 12.027099609375],
      [128, -1.1142578125],
      [161, 7.70849609375],
      [199, -1.8857421875],
      [255, -13.425537109375],
    ],
    sum: 593.8671875,
  },
  Q5_K: {
    hex: [
      'c028023332ca72970aef84b896b33c3cf5638e97b3275dcd883ffee2579209de5118a3f7d064f620514a5ac7131c92773db7',
      '89afb9f7f2464307bb03d3274715d90601f92e9b5ce58e7aad4d131e116e91f5ac3dd718cf256d6c85dbb67961ac966a9f13',
      'fa6dc43331215090ea2fc4e641c1f7fe370797375ffc899c2c95770805fcaf2c1c986533717a2771c2ee8258995d1cba8a5d',
      '0a78ee99c956876bf8e7732717a09d4186b2e233f4be04b8dd56',
    ].join(''),
    values: [
      [0, 51.61865234375],
      [31, 53.47412109375],
      [33, -0.273193359375],
      [64, 30.6669921875],
      [100, -1.16796875],
      [127, -0.314453125],
      [128, 1.814208984375],
      [161, 40.071533203125],
      [199, 17.272705078125],
      [255, 0.499267578125],
    ],
    sum: 3028.3203125,
  },
  Q6_K: {
    hex: [
      '2cf02ce4ae105204b18c8a4ea334ea281ae30601ea6b16ffc288fe164bf2af758370d4d1f0fde7b071124bdbdfb9fe0d77c0',
      '487fe284b70855e0043107418cd8b1d7bb124d6e7f965eb428050b9a074f43c6c9ee69983f51e5bd1e4fb140d816298a52c6',
      '3113342c5905b97f6f464b06407aa505d5e2d0d60e5b010276a55f7738675e6dcc5e902004bc1aa57b483fbdac2829fcc94d',
      '1632a10f59ec2801da0f1a042a24a339309910d506de486150e5d8de6ebd6ec3e5064c97d46a69641dcec6ce2a8772fbae30',
      '1ff04dae3763c8174ca2',
    ].join(''),
    values: [
      [0, -14.266357421875],
      [31, 12.91351318359375],
      [33, 8.2646484375],
      [64, -25.2366943359375],
      [100, 31.26300048828125],
      [127, 11.21630859375],
      [128, -0.381256103515625],
      [161, 5.68194580078125],
      [199, 4.734954833984375],
      [255, -6.505950927734375],
    ],
    sum: 72.08200073242188,
  },
};

for (const [format, { hex, values, sum }] of Object.entries(known)) {
  test(`decodeRow reads a known block of ${format} to the bit`, (t) => {
    const { elements } = blockOf[format as WeightFormat];
    const row = decodeRow(format as WeightFormat, bytesOf(hex), elements);
    for (const [index, value] of values) t.is(row[index], value, `element ${index}`);
    t.is(
      row.reduce((total, value) => total + value, 0),
      sum,
    );
  });
}

/** 64ths, encoded by the same package. */
const sixtyFourths = [
  16, -35, 5, 12, -31, 43, -17, 1, 28, -60, 8, 20, -48, 65, -25, 1, 41, -85, 11, 27, -66, 87, -33, 1, 53, -109, 14, 35,
  -83, 110, -41, 1,
];
const encoded: Partial<Record<WeightFormat, string>> = {
  Q8_0: 'ee2212d8060edc32ec0120bb0917c94be3012f9e0d1fb464da013d821028a07fd101',
  Q4_0: 'e0b257eb7867da25a98846fc7757eb03ba88',
};

for (const [format, hex] of Object.entries(encoded)) {
  test(`quantise writes a known block of ${format} to the byte`, (t) => {
    const values = Float32Array.from(sixtyFourths, (value) => value / 64);
    t.deepEqual(quantise(format as WeightFormat, values), bytesOf(hex));
  });
}

test('quantise rounds a tie of Q8_0 away from zero', (t) => {
  const values = new Float32Array(32).fill(2.5);
  values[0] = 127;
  values[1] = -2.5;
  const bytes = quantise('Q8_0', values);
  t.deepEqual([...bytes.subarray(2, 5)], [127, 256 - 3, 3]);
});

/**
 * Relative root mean square error of uniform values. Uniform over [-1, 1] with L levels errs by about 1 / L of a deviation;
 * a nibble taken from the wrong half, or a scale of another sub-block, errs by more than 0.5.
 */
const errorBounds: Readonly<Record<WeightFormat, number>> = {
  F32: 0,
  F16: 2.5e-4,
  BF16: 2e-3,
  Q8_0: 5e-3,
  Q4_0: 0.09,
  Q4_K: 0.07,
  Q5_K: 0.035,
  Q6_K: 0.02,
};

for (const format of weightFormats) {
  test(`quantise and decodeRow keep ${format} within its error`, (t) => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: -3, max: 6 }), (stream, exponent) => {
        const x = randomValues(`${stream}`, 512).map((value) => value * 2 ** exponent);
        const y = decodeRow(format, quantise(format, x), x.length);
        let error = 0;
        let size = 0;
        for (const [index, value] of x.entries()) {
          error += (y[index]! - value) ** 2;
          size += value * value;
        }
        return Math.sqrt(error) <= errorBounds[format] * Math.sqrt(size);
      }),
      { numRuns: 25, seed: 1 },
    );
    t.pass();
  });

  test(`quantise keeps zeros of ${format}`, (t) => {
    const zeros = new Float32Array(512);
    t.deepEqual(
      decodeRow(format, quantise(format, zeros), 512).map((value) => value + 0),
      zeros,
    );
  });
}

const rowsAsPublished = (): Float32Array => {
  const bytes = bytesOf(publishedRows);
  return Float32Array.from({ length: bytes.length / 2 }, (_, i) =>
    fromBfloat(bytes[2 * i]! | (bytes[2 * i + 1]! << 8)),
  );
};

/**
 * Error of our encoding over that of the published one, root mean square. A scale taken from the extremes without a search
 * errs by 1.06 (Q6_K) to 1.5 (Q4_K) times as much.
 */
const publishedBounds = { Q8_0: 1, Q4_0: 1.001, Q4_K: 1.02, Q5_K: 1.02, Q6_K: 1.03 } as const;

for (const [format, bound] of Object.entries(publishedBounds) as [keyof typeof publishedBounds, number][]) {
  test(`quantise rounds weights to ${format} as well as the published quantiser does`, (t) => {
    const x = rowsAsPublished();
    const published = bytesOf(publishedBlocks[format]);
    const error = (bytes: Uint8Array): number =>
      Math.sqrt(decodeRow(format, bytes, x.length).reduce((sum, y, i) => sum + (y - x[i]!) ** 2, 0));
    const ours = quantise(format, x);
    t.true(error(ours) <= bound * error(published), `${error(ours)} of ${error(published)}`);
    // A published build fuses the product and the sum that Q4_0 rounds: one level in thousands differs.
    if (format === 'Q8_0') t.deepEqual(ours, published);
  });
}

test('decodeInto decodes rows that follow each other into their place', (t) => {
  const values = Float32Array.from({ length: 64 }, (_, index) => index - 32);
  const out = new Float32Array(70).fill(9);
  decodeInto('Q8_0', quantise('Q8_0', values), out, 3);
  t.deepEqual(out.subarray(3, 67), decodeRow('Q8_0', quantise('Q8_0', values), 64));
  t.deepEqual([...out.subarray(0, 3), ...out.subarray(67)], [9, 9, 9, 9, 9, 9]);
});

test('toHalf and toBfloat give back every number that their formats hold', (t) => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 65536; bits++) {
    if (!Number.isNaN(fromHalf(bits)) && toHalf(fromHalf(bits)) !== bits) wrong.push(bits);
    if (!Number.isNaN(fromBfloat(bits)) && toBfloat(fromBfloat(bits)) !== bits) wrong.push(bits);
  }
  t.deepEqual(wrong, []);
});

test('toHalf rounds to nearest, ties to even, and overflows to infinity', (t) => {
  const rounded = (value: number): number => fromHalf(toHalf(value));
  t.is(rounded(2049), 2048);
  t.is(rounded(2051), 2052);
  t.is(rounded(65519), 65504);
  t.is(rounded(65520), Number.POSITIVE_INFINITY);
  t.is(rounded(-1e9), Number.NEGATIVE_INFINITY);
  t.is(rounded(2 ** -25), 0);
  t.is(rounded(1.001 * 2 ** -25), 2 ** -24);
  t.is(rounded(3 * 2 ** -25), 2 ** -23);
  t.true(Number.isNaN(rounded(Number.NaN)));
});

test('toBfloat rounds to nearest, ties to even', (t) => {
  t.is(toBfloat(1 + 2 ** -8), 0x3f80);
  t.is(toBfloat(1 + 3 * 2 ** -8), 0x3f82);
  t.is(toBfloat(3.4e38), 0x7f80);
  t.is(toBfloat(-0), 0x8000);
  t.true(Number.isNaN(fromBfloat(toBfloat(Number.NaN))));
});

test('weight formats refuse bytes and values that are not whole blocks, and infinities in blocks', (t) => {
  const code = { instanceOf: CortexError, message: /multiple of|are wanted/ };
  t.is(t.throws(() => decodeRow('Q4_0', new Uint8Array(17), 32), code)?.code, 'weight_bytes');
  t.is(t.throws(() => decodeInto('Q4_K', new Uint8Array(145), new Float32Array(512), 0), code)?.code, 'weight_bytes');
  t.is(t.throws(() => quantise('Q8_0', new Float32Array(33)), code)?.code, 'weight_bytes');
  const infinite = new Float32Array(32).fill(Number.POSITIVE_INFINITY);
  t.throws(() => quantise('Q8_0', infinite), { instanceOf: CortexError, message: /not finite/ });
});
