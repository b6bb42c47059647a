import test from 'ava';
import fc from 'fast-check';
import { CortexError } from '../errors/cortex-error.js';
import { makeGguf } from '../testing/make-gguf.js';
import { bytesSource } from './byte-source.js';
import { parseGgufHeader } from './gguf.js';
import { ggufCount, withEntries } from './gguf-metadata.js';

const parse = (bytes: Uint8Array) => parseGgufHeader(bytesSource(bytes, 'x.gguf'));

const valid = makeGguf({
  metadata: {
    'general.architecture': { type: 'string', value: 'llama' },
    'a.u8': { type: 'u8', value: 255 },
    'a.i8': { type: 'i8', value: -1 },
    'a.u16': { type: 'u16', value: 65_535 },
    'a.i16': { type: 'i16', value: -2 },
    'a.u32': { type: 'u32', value: 4_294_967_295 },
    'a.i32': { type: 'i32', value: -3 },
    'a.f32': { type: 'f32', value: 0.5 },
    'a.f64': { type: 'f64', value: 0.1 },
    'a.bool': { type: 'bool', value: true },
    'a.u64': { type: 'u64', value: 9_007_199_254_740_991n },
    'a.big': { type: 'u64', value: 18_446_744_073_709_551_615n },
    'a.i64': { type: 'i64', value: -4n },
    tokens: { type: 'array', of: 'string', value: ['a', 'é', '\ufffd', ''] },
    scores: { type: 'array', of: 'f32', value: [1, 2] },
  },
  tensors: [
    { name: 'w', shape: [3, 256], type: 'Q4_K', bytes: new Uint8Array(432) },
    { name: 'u', shape: [2, 32], type: 'Q4_1', bytes: new Uint8Array(40) },
    { name: 'n', shape: [5], type: 'F32', bytes: new Uint8Array(20) },
  ],
});

test('parseGgufHeader reads every value type, exact integers as numbers and larger ones as bigint', async (t) => {
  const { metadata } = await parse(valid);
  t.deepEqual(Object.fromEntries(metadata), {
    'general.architecture': 'llama',
    'a.u8': 255,
    'a.i8': -1,
    'a.u16': 65_535,
    'a.i16': -2,
    'a.u32': 4_294_967_295,
    'a.i32': -3,
    'a.f32': 0.5,
    'a.f64': 0.1,
    'a.bool': true,
    'a.u64': 9_007_199_254_740_991,
    'a.big': 18_446_744_073_709_551_615n,
    'a.i64': -4,
    tokens: ['a', 'é', '\ufffd', ''],
    scores: [1, 2],
  });
});

test('parseGgufHeader turns shapes slowest first and keeps the names of formats that are not run', async (t) => {
  const { tensors } = await parse(valid);
  const w = tensors.get('w')!;
  t.deepEqual([w.shape, w.format, w.end - w.begin, w.begin % 32], [[3, 256], 'Q4_K', 432, 0]);
  t.deepEqual([tensors.get('u')!.format, tensors.get('u')!.end - tensors.get('u')!.begin], ['Q4_1', 40]);
  t.is(tensors.get('n')!.begin % 32, 0);
});

test('parseGgufHeader reads a header that spans many chunks', async (t) => {
  const tokens = Array.from({ length: 150_000 }, (_, index) => `token-${index}-${'x'.repeat(index % 20)}`);
  const { metadata } = await parse(makeGguf({ metadata: { tokens: { type: 'array', of: 'string', value: tokens } } }));
  t.deepEqual(metadata.get('tokens'), tokens);
});

const words = Array.from({ length: 3000 }, (_, index) => 'é'.repeat(index % 40) + index);
const vocabulary = makeGguf({
  metadata: {
    before: { type: 'u8', value: 1 },
    tokens: { type: 'array', of: 'string', value: words },
    scores: { type: 'array', of: 'f32', value: words.map((_, index) => index / 4) },
    after: { type: 'string', value: 'last' },
  },
});

test('parseGgufHeader gives long arrays when they are asked for, in the order of the file, wherever chunks end', async (t) => {
  for (const chunkBytes of [1, 7, 1000, 1 << 20]) {
    const { metadata } = await parseGgufHeader({ ...bytesSource(vocabulary, 'x.gguf'), chunkBytes });
    t.deepEqual([...metadata.keys()], ['before', 'tokens', 'scores', 'after']);
    t.deepEqual(
      [ggufCount(metadata, 'tokens'), ggufCount(metadata, 'before'), ggufCount(metadata, 'none')],
      [3000, undefined, undefined],
    );
    t.deepEqual(metadata.get('tokens'), words);
    t.is(metadata.get('tokens'), metadata.get('tokens'));
    t.deepEqual(
      [...metadata].map(([key, value]) => [key, Array.isArray(value) ? value.length : value]),
      [
        ['before', 1],
        ['tokens', 3000],
        ['scores', 3000],
        ['after', 'last'],
      ],
    );
    const more = withEntries(metadata, [['clip.x', 2]]);
    t.deepEqual([ggufCount(more, 'scores'), more.get('clip.x'), more.size], [3000, 2, 5]);
  }
});

test('parseGgufHeader refuses a long array beyond its file at once, and text that is no UTF-8 when it is asked for', async (t) => {
  const at = Buffer.from(vocabulary).indexOf('é2499');
  const spoilt = Buffer.from(vocabulary);
  spoilt[at] = 0xff;
  const { metadata } = await parse(spoilt);
  t.is(ggufCount(metadata, 'tokens'), 3000);
  t.throws(() => metadata.get('tokens'), { code: 'checkpoint_invalid', message: /'tokens' is not UTF-8/ });
  const long = Buffer.from(vocabulary);
  long.writeUInt32LE(1 << 30, at - Buffer.byteLength('é'.repeat((2499 % 40) - 1)) - 8);
  await t.throwsAsync(parse(long), { code: 'checkpoint_invalid', message: /says it has 1073741824 bytes/ });
});

test('parseGgufHeader keeps an alignment that the file names', async (t) => {
  const bytes = makeGguf({
    alignment: 128,
    metadata: { 'general.alignment': { type: 'u32', value: 128 } },
    tensors: [{ name: 'n', shape: [1], type: 'F32', bytes: new Uint8Array(4) }],
  });
  t.is((await parse(bytes)).tensors.get('n')!.begin % 128, 0);
});

const u32 = (value: number) => {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value >>> 0);
  return buffer;
};
const u64 = (value: bigint) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(value);
  return buffer;
};
const text = (value: string | Buffer) => Buffer.concat([u64(BigInt(Buffer.byteLength(value))), Buffer.from(value)]);
const header = (tensors: bigint, fields: bigint, ...rest: Buffer[]) =>
  Buffer.concat([Buffer.from('GGUF'), u32(3), u64(tensors), u64(fields), ...rest]);
const tensor = (name: string, dims: bigint[], type: number, offset: bigint) =>
  Buffer.concat([text(name), u32(dims.length), ...dims.map(u64), u32(type), u64(offset)]);
const filler = Buffer.alloc(4096);

const refused: readonly [string, Buffer, RegExp][] = [
  ['an empty file', Buffer.alloc(0), /header/],
  ['another magic', Buffer.concat([Buffer.from('GGML'), filler]), /magic/],
  ['version 1', Buffer.concat([Buffer.from('GGUF'), u32(1), filler]), /version 1/],
  ['version 4', Buffer.concat([Buffer.from('GGUF'), u32(4), filler]), /version 4/],
  ['a big-endian file', Buffer.concat([Buffer.from('GGUF'), u32(0x0300_0000), filler]), /big-endian/],
  ['more tensors than the file has bytes for', header(2n ** 40n, 0n), /tensors/],
  ['more metadata than the file has bytes for', header(0n, 2n ** 63n), /metadata entries/],
  ['a key longer than the file', header(0n, 1n, u64(2n ** 62n), filler), /are left in the file/],
  ['a string longer than the file', header(0n, 1n, text('k'), u32(8), u64(5000n), filler), /are left in the file/],
  ['an array longer than the file', header(0n, 1n, text('k'), u32(9), u32(8), u64(100_000n), filler), /items/],
  ['an array longer than any number', header(0n, 1n, text('k'), u32(9), u32(0), u64(2n ** 64n - 1n), filler), /items/],
  ['an array of arrays', header(0n, 1n, text('k'), u32(9), u32(9), u64(1n), filler), /array of arrays/],
  ['an array of an unknown type', header(0n, 1n, text('k'), u32(9), u32(13), u64(1n), filler), /unknown value type 13/],
  ['an unknown value type', header(0n, 1n, text('k'), u32(99), filler), /unknown value type 99/],
  ['a boolean of 2', header(0n, 1n, text('k'), u32(7), Buffer.from([2]), filler), /boolean/],
  ['a key that is not UTF-8', header(0n, 1n, text(Buffer.from([0xff, 0xfe])), u32(0), filler), /UTF-8/],
  [
    'a key given twice',
    header(0n, 2n, text('k'), u32(0), Buffer.from([1]), text('k'), u32(0), Buffer.from([1]), filler),
    /twice/,
  ],
  ['an alignment of 0', header(0n, 1n, text('general.alignment'), u32(4), u32(0), filler), /power of two/],
  ['an alignment of 3', header(0n, 1n, text('general.alignment'), u32(4), u32(3), filler), /power of two/],
  ['an alignment that is text', header(0n, 1n, text('general.alignment'), u32(8), text('32'), filler), /power of two/],
  ['five dimensions', header(1n, 0n, tensor('t', [1n, 1n, 1n, 1n, 1n], 0, 0n), filler), /5 dimensions/],
  [
    'dimensions whose product overflows',
    header(1n, 0n, tensor('t', [2n ** 32n, 2n ** 32n], 0, 0n), filler),
    /more elements/,
  ],
  [
    'a dimension that is no exact number',
    header(1n, 0n, tensor('t', [2n ** 64n - 1n], 0, 0n), filler),
    /more elements/,
  ],
  ['rows that are no whole blocks', header(1n, 0n, tensor('t', [100n, 2n], 12, 0n), filler), /whole blocks of 256/],
  ['an unknown tensor type', header(1n, 0n, tensor('t', [32n], 77, 0n), filler), /unknown type 77/],
  ['an offset that is not aligned', header(1n, 0n, tensor('t', [4n], 0, 8n), filler), /multiple of 32/],
  ['an offset beyond the file', header(1n, 0n, tensor('t', [4n], 0, 8192n), filler), /the file has/],
  ['an offset near 2^64', header(1n, 0n, tensor('t', [4n], 0, 2n ** 64n - 32n), filler), /the file has/],
  ['overlapping tensors', header(2n, 0n, tensor('a', [64n], 0, 0n), tensor('b', [4n], 0, 32n), filler), /overlap/],
  ['a tensor given twice', header(2n, 0n, tensor('a', [4n], 0, 0n), tensor('a', [4n], 0, 32n), filler), /twice/],
];
for (const [what, bytes, reason] of refused) {
  test(`parseGgufHeader refuses ${what}`, async (t) => {
    const error = await t.throwsAsync(parse(bytes), { instanceOf: CortexError });
    t.is(error?.code, 'checkpoint_invalid');
    t.regex(error?.message ?? '', reason);
    t.regex(error?.message ?? '', /x\.gguf/);
  });
}

test('parseGgufHeader answers 10,000 random and 10,000 mutated files with a header or a typed error', async (t) => {
  let refusals = 0;
  let largestRead = 0;
  const survive = async (bytes: Uint8Array): Promise<void> => {
    const source = bytesSource(bytes, 'x.gguf');
    try {
      await parseGgufHeader({
        ...source,
        read: (begin, end) => {
          largestRead = Math.max(largestRead, end - begin);
          if (end > bytes.length || begin < 0 || end < begin) throw new RangeError(`read ${begin} to ${end}`);
          return source.read(begin, end);
        },
      });
    } catch (error) {
      if (!CortexError.isInstance(error) || error.code !== 'checkpoint_invalid') throw error;
      refusals++;
    }
  };
  const start = Buffer.concat([Buffer.from('GGUF'), u32(3)]);
  const counts = fc.tuple(fc.nat(3), fc.nat(3)).map(([a, b]) => Buffer.concat([start, u64(BigInt(a)), u64(BigInt(b))]));
  await fc.assert(
    fc.asyncProperty(counts, fc.uint8Array({ maxLength: 200 }), (head, rest) => survive(Buffer.concat([head, rest]))),
    { numRuns: 10_000 },
  );
  const edits = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(edits, fc.nat(valid.length), (changes, cut) => {
      const bytes = Uint8Array.from(valid);
      for (const [at, value] of changes) bytes[at] = value;
      return survive(cut % 3 === 0 ? bytes.subarray(0, cut) : bytes);
    }),
    { numRuns: 10_000 },
  );
  t.true(refusals > 10_000, `${refusals} refusals`);
  t.true(largestRead <= valid.length);
});
