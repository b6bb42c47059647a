import { rowBytes, type TensorEntry, type WeightFormat } from '@helexa/core';
import {
  convertWeights,
  type FileRows,
  type Fill,
  type Program,
  quantise,
  type ReadRange,
  type TensorSpec,
} from '@helexa/graph';
import test from 'ava';
import type { FileReader } from './file-reader.js';
import { type UploadOptions, uploadWeights } from './upload.js';

const file = new Uint8Array(4096).map((_, index) => (index * 7) % 251);

/** A reader over bytes in memory that remembers which bytes were read. */
function memoryReader(): FileReader & { readonly touched: Set<number> } {
  const touched = new Set<number>();
  return {
    touched,
    async read(_, target, position) {
      for (let index = 0; index < target.length; index++) touched.add(position + index);
      target.set(file.subarray(position, position + target.length));
    },
    close: async () => {},
  };
}

const entry = (format: string, shape: readonly number[]): TensorEntry => ({
  name: 'w',
  format,
  shape,
  file: 'f',
  begin: 0,
  end: 4096,
});
const spec = (format: TensorSpec['format'], rows: number, cols: number): TensorSpec => ({
  name: 'w',
  format,
  rows,
  cols,
  lookup: false,
});
const program = (...tensors: TensorSpec[]): Program => ({
  rank: 0,
  ranks: 1,
  words: new Int32Array(0),
  tensors,
  arenaElements: 0,
  kv: [],
  state: [],
  vocab: 1,
  text: '',
});
const range = (rest: Partial<ReadRange>): ReadRange => ({
  entry: entry('F32', [8, 8]),
  rowStart: 0,
  rows: 8,
  offset: 0,
  rowBytes: 32,
  strideBytes: 32,
  rowByte: 0,
  ...rest,
});

/** What arrives at a device: rows of each tensor of each rank, every one at most once. */
function memoryDevice(programs: readonly Program[]) {
  const rows = new Map<string, Uint8Array>();
  return {
    rows,
    device: {
      async upload(rank: number, tensor: number, rowStart: number, bytes: Uint8Array) {
        const { format, cols } = programs[rank]!.tensors[tensor]!;
        const width = rowBytes(format, cols);
        for (let row = 0; row * width < bytes.length; row++) {
          const key = `${rank}.${tensor}.${rowStart + row}`;
          if (rows.has(key)) throw new Error(`row ${key} was filled twice`);
          rows.set(key, bytes.slice(row * width, (row + 1) * width));
        }
      },
    },
  };
}

async function run(
  programs: readonly Program[],
  fills: readonly (readonly Fill[])[],
  rest: Partial<UploadOptions> = {},
) {
  const reader = memoryReader();
  const { rows, device } = memoryDevice(programs);
  const bytesRead = await uploadWeights({ device, programs, fills, reader, concurrency: 3, bufferBytes: 100, ...rest });
  return { rows, touched: reader.touched, bytesRead };
}

test('uploadWeights fills every row once, in pieces that fit the buffer', async (t) => {
  const { rows, bytesRead } = await run([program(spec('F32', 8, 8))], [[{ kind: 'read', ranges: [range({})] }]]);
  t.is(rows.size, 8);
  t.deepEqual(rows.get('0.0.5'), file.slice(5 * 32, 6 * 32));
  t.deepEqual(bytesRead, [256]);
});

test('uploadWeights reads only the bytes of a column cut, and nothing between the rows', async (t) => {
  const half = (rank: number): Fill => ({ kind: 'read', ranges: [range({ offset: rank * 16, rowBytes: 16 })] });
  const programs = [program(spec('F32', 8, 4)), program(spec('F32', 8, 4))];
  const { rows, bytesRead } = await run(programs, [[half(0)], [half(1)]]);
  t.deepEqual(bytesRead, [128, 128]);
  t.deepEqual(rows.get('1.0.3'), file.slice(3 * 32 + 16, 4 * 32));
  const alone = await run([programs[1]!], [[half(1)]]);
  t.true([...alone.touched].every((position) => position % 32 >= 16));
});

test('uploadWeights puts column groups of one row side by side', async (t) => {
  const ranges = [range({ rowBytes: 8, rowByte: 0 }), range({ rowBytes: 8, rowByte: 8, offset: 16 })];
  const { rows } = await run([program(spec('F32', 8, 4))], [[{ kind: 'read', ranges }]]);
  t.deepEqual(rows.get('0.0.2'), new Uint8Array([...file.slice(64, 72), ...file.slice(80, 88)]));
});

test('uploadWeights converts whole rows of floats where a tensor wants blocks, each once and where it is told to', async (t) => {
  const values = Float32Array.from({ length: 8 * 32 }, (_, index) => Math.sin(index));
  file.set(quantise('BF16', values), 1024);
  const ranges = [0, 1].map((half) =>
    range({
      entry: entry('BF16', [8, 32]),
      offset: 1024 + half * 32,
      rowBytes: 32,
      strideBytes: 64,
      rowByte: half * 32,
    }),
  );
  const fills: Fill[][] = [[{ kind: 'read', ranges }]];
  const programs = [program(spec('Q8_0', 8, 32))];
  const wanted = convertWeights('BF16', 'Q8_0', quantise('BF16', values));
  const calls: string[] = [];
  const elsewhere = async (from: WeightFormat, to: WeightFormat, bytes: Uint8Array) => {
    calls.push(`${from} to ${to}: ${bytes.length}`);
    return convertWeights(from, to, bytes);
  };
  for (const rest of [{}, { convertWeights: elsewhere }]) {
    const { rows } = await run(programs, fills, rest);
    for (let row = 0; row < 8; row++)
      t.deepEqual(rows.get(`0.0.${row}`), wanted.slice(row * 34, (row + 1) * 34), `${row}`);
  }
  t.deepEqual(
    calls,
    Array.from({ length: 8 }, () => 'BF16 to Q8_0: 64'),
  );
});

test('uploadWeights names the tensor whose values cannot be converted', async (t) => {
  file.set(quantise('F32', new Float32Array(32).fill(Number.NaN)), 3000);
  const ranges = [range({ entry: entry('F32', [1, 32]), rows: 1, offset: 3000, rowBytes: 128, strideBytes: 128 })];
  await t.throwsAsync(run([program(spec('Q8_0', 1, 32))], [[{ kind: 'read', ranges }]]), {
    code: 'upload_invalid',
    message: /'w'.*not finite/u,
  });
});

test('uploadWeights decodes a vector to float32 and applies its change', async (t) => {
  const values = new Float32Array([1, 2, -3, 0.5]);
  file.set(quantise('BF16', values), 2000);
  const ranges = [range({ entry: entry('BF16', [4]), rows: 4, offset: 2000, rowBytes: 2, strideBytes: 2 })];
  const { rows } = await run([program(spec('F32', 4, 1))], [[{ kind: 'read', ranges, map: (value) => 1 + value }]]);
  const read = [0, 1, 2, 3].map((row) => new Float32Array(rows.get(`0.0.${row}`)!.buffer)[0]);
  t.deepEqual(read, [2, 3, -2, 1.5]);
});

test('uploadWeights computes constants, from factors when the checkpoint has them, and zeros', async (t) => {
  const specs = [spec('F32', 2, 1), spec('F32', 2, 1)];
  const fills: Fill[] = [
    { kind: 'constant', factors: null, values: (factors) => new Float32Array(factors ? [9, 9] : [4, 5]) },
    { kind: 'zeros' },
  ];
  const { rows, bytesRead } = await run([program(...specs)], [fills]);
  t.is(new Float32Array(rows.get('0.0.1')!.buffer)[0], 5);
  t.is(new Float32Array(rows.get('0.1.1')!.buffer)[0], 0);
  t.deepEqual(bytesRead, [0]);
});

test('uploadWeights reports bytes and total as it goes', async (t) => {
  const seen: number[] = [];
  await run([program(spec('F32', 8, 8))], [[{ kind: 'read', ranges: [range({})] }]], {
    onProgress: ({ bytes, totalBytes }) => {
      t.is(totalBytes, 256);
      seen.push(bytes);
    },
  });
  t.is(seen.at(-1), 256);
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
});

test('uploadWeights leaves whole rows to a device that reads files, and gives it the rest', async (t) => {
  const programs = [program(spec('F32', 8, 8), spec('F32', 8, 4), spec('F32', 4, 1))];
  const [{ device, rows }, parts, seen] = [memoryDevice(programs), [] as FileRows[], [] as number[]];
  const reader = memoryReader();
  const bytesRead = await uploadWeights({
    device: {
      ...device,
      async uploadFiles(some) {
        parts.push(...some);
      },
    },
    programs,
    fills: [
      [
        { kind: 'read', ranges: [range({ rows: 6 }), range({ rowStart: 6, rows: 2, offset: 512 })] },
        { kind: 'read', ranges: [range({ rowBytes: 16 })] },
        { kind: 'zeros' },
      ],
    ],
    reader,
    concurrency: 3,
    bufferBytes: 100,
    onProgress: ({ bytes }) => seen.push(bytes),
  });
  t.deepEqual(parts, [
    { rank: 0, tensor: 0, rowStart: 0, rows: 6, file: 'f', offset: 0 },
    { rank: 0, tensor: 0, rowStart: 6, rows: 2, file: 'f', offset: 512 },
  ]);
  t.deepEqual([...new Set([...rows.keys()].map((key) => key.slice(0, 3)))].sort(), ['0.1', '0.2']);
  t.false(reader.touched.has(512));
  t.deepEqual([bytesRead, seen.at(-1)], [[8 * 32 + 8 * 16], 384]);
});

test('uploadWeights stops when it is aborted, and rejects with the failure of a read', async (t) => {
  const fills: Fill[][] = [[{ kind: 'read', ranges: [range({})] }]];
  const programs = [program(spec('F32', 8, 8))];
  await t.throwsAsync(run(programs, fills, { signal: AbortSignal.abort(new Error('no longer wanted')) }), {
    message: 'no longer wanted',
  });
  const reader: FileReader = { read: () => Promise.reject(new Error('bad disk')), close: async () => {} };
  await t.throwsAsync(run(programs, fills, { reader }), { message: 'bad disk' });
});
