import test from 'ava';
import fc from 'fast-check';
import { CortexError } from '../errors/cortex-error.js';
import { makeSafetensors, safetensorsFile } from '../testing/make-safetensors.js';
import { bytesSource } from './byte-source.js';
import { parseSafetensorsHeader, readSafetensorsHeader } from './safetensors.js';

const valid = makeSafetensors(
  [
    { name: 'a', dtype: 'F32', shape: [2, 3], bytes: new Uint8Array(24) },
    { name: 'b', dtype: 'BF16', shape: [4], bytes: new Uint8Array(8) },
    { name: '__proto__x', dtype: 'F4', shape: [2, 4], bytes: new Uint8Array(4) },
  ],
  { format: 'pt' },
);

const parse = (bytes: Uint8Array) => parseSafetensorsHeader(bytes, bytes.length, 'x.safetensors');

test('parseSafetensorsHeader finds shapes, formats and absolute byte ranges', (t) => {
  const { tensors, metadata } = parse(valid);
  const a = tensors.get('a')!;
  const dataBegin = valid.length - 36;
  t.deepEqual(a, {
    name: 'a',
    format: 'F32',
    shape: [2, 3],
    file: 'x.safetensors',
    begin: dataBegin,
    end: dataBegin + 24,
  });
  t.is(tensors.get('__proto__x')!.end, valid.length);
  t.is(metadata.get('format'), 'pt');
});

test('readSafetensorsHeader reads the header and nothing behind it', async (t) => {
  const ranges: [number, number][] = [];
  const source = bytesSource(valid, 'x');
  await readSafetensorsHeader({
    ...source,
    read: (begin, end) => {
      ranges.push([begin, end]);
      return source.read(begin, end);
    },
  });
  t.true(ranges.every(([, end]) => end <= valid.length - 36));
});

test('readSafetensorsHeader refuses a header length beyond the file before reading it', async (t) => {
  for (const length of [200n, 100_000_001n, 2n ** 63n]) {
    const bytes = Buffer.alloc(100);
    bytes.writeBigUInt64LE(length);
    let furthest = 0;
    const error = await t.throwsAsync(
      readSafetensorsHeader({
        file: 'x',
        size: bytes.length,
        read: async (begin, end) => {
          furthest = Math.max(furthest, end);
          return bytes.subarray(begin, end);
        },
      }),
      { instanceOf: CortexError },
    );
    t.is(error?.code, 'checkpoint_invalid');
    t.is(furthest, 8);
  }
});

const entry = (fields: string) => `{"t":{${fields}}}`;
const refused: readonly [string, string, RegExp, number?][] = [
  [
    'a key given twice',
    '{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    /twice/,
    1,
  ],
  [
    'a key given twice in other spelling',
    '{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0074":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
    /twice/,
    1,
  ],
  ['a field given twice', entry('"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]'), /twice/, 1],
  [
    'overlapping tensors',
    '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}',
    /overlap/,
    7,
  ],
  [
    'a hole',
    '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}',
    /belong to no tensor/,
    3,
  ],
  ['bytes after the last tensor', entry('"dtype":"U8","shape":[1],"data_offsets":[0,1]'), /belong to no tensor/, 2],
  ['an offset beyond the file', entry('"dtype":"U8","shape":[9],"data_offsets":[0,9]'), /the data has 4 bytes/, 4],
  ['an end before its begin', entry('"dtype":"U8","shape":[0],"data_offsets":[2,1]'), /lies at bytes/, 4],
  ['too few bytes for the shape', entry('"dtype":"F32","shape":[2],"data_offsets":[0,4]'), /wants 8/, 4],
  [
    'a shape whose product overflows',
    entry('"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]'),
    /more elements/,
    4,
  ],
  [
    'a shape that overflows before a zero',
    entry('"dtype":"F32","shape":[4294967296,4294967296,4294967296,0],"data_offsets":[0,0]'),
    /more elements/,
  ],
  ['a fractional dimension', entry('"dtype":"U8","shape":[1.5],"data_offsets":[0,1]'), /shape/, 1],
  ['a negative dimension', entry('"dtype":"U8","shape":[-1],"data_offsets":[0,1]'), /shape/, 1],
  ['an unknown dtype', entry('"dtype":"F13","shape":[1],"data_offsets":[0,1]'), /unknown dtype 'F13'/, 1],
  ['an unknown key', entry('"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":1'), /unknown key 'extra'/, 1],
  ['a tensor that is null', '{"t":null}', /not an object/],
  ['a header that is a list', '[]', /not a JSON object/],
  ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, /deep/],
  ['half a header', '{"t":', /not JSON/],
];
for (const [what, header, reason, dataBytes = 0] of refused) {
  test(`parseSafetensorsHeader refuses ${what}`, (t) => {
    const error = t.throws(() => parse(safetensorsFile(header, new Uint8Array(dataBytes))), {
      instanceOf: CortexError,
    });
    t.is(error?.code, 'checkpoint_invalid');
    t.regex(error?.message ?? '', reason);
    t.regex(error?.message ?? '', /x\.safetensors/);
  });
}

test('parseSafetensorsHeader takes a tensor named __proto__ as any other', (t) => {
  const { tensors } = parse(
    safetensorsFile('{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', new Uint8Array(1)),
  );
  t.deepEqual([...tensors.keys()], ['__proto__']);
});

test('parseSafetensorsHeader answers 10,000 random and 10,000 mutated files with a header or a typed error', (t) => {
  let refusals = 0;
  const survive = (bytes: Uint8Array): void => {
    try {
      parse(bytes);
    } catch (error) {
      if (!CortexError.isInstance(error) || error.code !== 'checkpoint_invalid') throw error;
      refusals++;
    }
  };
  const json = fc.oneof(
    fc.json(),
    fc.string(),
    fc.dictionary(fc.string(), fc.object({ maxDepth: 2 })).map((value) => JSON.stringify(value)),
  );
  fc.assert(
    fc.property(json, fc.uint8Array({ maxLength: 32 }), (header, data) => survive(safetensorsFile(header, data))),
    { numRuns: 10_000 },
  );
  const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(edits, fc.nat(valid.length), (changes, cut) => {
      const bytes = Uint8Array.from(valid);
      for (const [at, value] of changes) bytes[at] = value;
      survive(cut % 3 === 0 ? bytes.subarray(0, cut) : bytes);
    }),
    { numRuns: 10_000 },
  );
  t.true(refusals > 10_000, `${refusals} refusals`);
});
