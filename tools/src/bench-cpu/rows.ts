import { type BenchModel, findOrWriteModel, modelName } from './bench-model.js';
import { interleave, perSlice, ratios, type Samples, type Slice } from './interleave.js';
import { openOwnEngine } from './own-engine.js';
import { bundleCli, llamaBenchSpeed, llamaBenchStart, ownStart } from './run-program.js';

/** One line of the table. */
export interface Figure {
  readonly what: string;
  /** What a value is: `x` a quotient of speeds, `read` a share of read bandwidth, `%` a share of time, `/s` a speed. */
  readonly unit: 'x' | 'read' | '%' | '/s';
  readonly samples: Samples;
  /** Wanted at least (`%`: at most); absent from lines that only inform. */
  readonly must?: number;
  readonly aim?: number;
}

/** Everything a row needs from outside. */
export interface BenchContext {
  readonly folder: string;
  readonly threads: number;
  /** A llama-bench to compare with, and one that was built for AVX2 alone. */
  readonly other: string | undefined;
  readonly otherAvx2: string | undefined;
  readonly probe: () => Promise<number>;
  /** Ends the rounds of a part of the row when its share of the time is over. */
  readonly isDone: () => (rounds: number) => boolean;
}

type Row = (context: BenchContext) => AsyncGenerator<Figure>;

interface Goals {
  readonly must: number;
  readonly aim: number;
}

const small = 'Qwen3-0.6B';
const large = 'Qwen3-1.7B';
const promptTokens = 512;
const generateTokens = 32;

const perSecond = (count: number, wallNs: number): number => (count * 1e9) / wallNs;
const speed = (slices: readonly Slice[], side: number): Samples => perSlice(slices, side, (value) => value);

/** Ours and, where there is one, the other engine's run of the same test. */
const sidesOf = (
  ours: () => Promise<number>,
  other: string | undefined,
  theirs: (program: string) => Promise<number>,
) => (other === undefined ? [ours] : [ours, () => theirs(other)]);

/** Speeds of both sides and their quotient. */
function* compared(what: string, slices: readonly Slice[], other: string | undefined, goals: Goals): Generator<Figure> {
  yield { what: `${what}, tokens/s`, unit: '/s', samples: speed(slices, 0) };
  if (other === undefined) return;
  yield { what: `${what}, the other's tokens/s`, unit: '/s', samples: speed(slices, 1) };
  yield { what: `${what}, vs the other`, unit: 'x', samples: ratios(slices), ...goals };
}

interface Test {
  readonly model: BenchModel;
  readonly isa?: string;
  readonly other: string | undefined;
  readonly name: string;
}

/** A prompt of 512 tokens. */
async function* prefillOf({ model, isa = 'auto', other, name }: Test, context: BenchContext, goals: Goals) {
  const { folder, threads, probe } = context;
  const path = findOrWriteModel(model, folder);
  const engine = await openOwnEngine({ model: path, threads, isa, context: promptTokens, batch: 1 });
  try {
    const driver = engine.driver(1);
    const ours = async () => perSecond(promptTokens, (await driver.prefill(0, promptTokens)).wallNs);
    const theirs = (program: string) =>
      llamaBenchSpeed(program, { model: path, threads, prompt: promptTokens, generate: 0 });
    await ours();
    const slices = await interleave(sidesOf(ours, other, theirs), probe, context.isDone());
    yield* compared(`${name} ${promptTokens}, ${modelName(model)}`, slices, other, goals);
  } finally {
    await engine.close();
  }
}

/** Tokens one by one from an empty cache; `fraction` is wanted of read bandwidth. */
async function* decodeOf(
  { model, isa = 'auto', other, name }: Test,
  context: BenchContext,
  fraction: Goals | null,
  ratio: Goals | null,
) {
  const { folder, threads, probe } = context;
  const path = findOrWriteModel(model, folder);
  const engine = await openOwnEngine({ model: path, threads, isa, context: generateTokens, batch: 1 });
  try {
    const driver = engine.driver(1);
    const ours = async () => {
      await driver.prefill(0, 1);
      return perSecond(generateTokens, (await driver.decode(0, generateTokens)).wallNs);
    };
    const theirs = (program: string) =>
      llamaBenchSpeed(program, { model: path, threads, prompt: 0, generate: generateTokens });
    await ours();
    const slices = await interleave(sidesOf(ours, other, theirs), probe, context.isDone());
    const bytes = engine.stepBytes(1, generateTokens / 2);
    const what = `${name}, ${modelName(model)}`;
    const share = perSlice(slices, 0, (value, bandwidth) => (value * bytes) / bandwidth);
    yield { what: `${what}, of read bandwidth`, unit: 'read', samples: share, ...fraction } satisfies Figure;
    for (const figure of compared(what, slices, other, { must: 0, aim: 0 }))
      yield figure.unit === 'x'
        ? ({ what: figure.what, unit: 'x', samples: figure.samples, ...ratio } satisfies Figure)
        : figure;
  } finally {
    await engine.close();
  }
}

const decodeGoals: Readonly<Record<string, Goals>> = {
  Q4_K_M: { must: 0.7, aim: 0.9 },
  Q8_0: { must: 0.8, aim: 0.94 },
  BF16: { must: 0.85, aim: 0.95 },
};
const prefillGoals: Readonly<Record<string, Goals>> = {
  Q4_K_M: { must: 1.6, aim: 2.5 },
  Q8_0: { must: 1.6, aim: 2.5 },
  BF16: { must: 1.2, aim: 1.8 },
};
const dense: readonly BenchModel[] = [
  { like: small, quant: 'Q4_K_M' },
  { like: small, quant: 'Q8_0' },
  { like: small, quant: 'BF16' },
  { like: large, quant: 'Q4_K_M' },
  { like: large, quant: 'Q8_0' },
];
const hybrid: BenchModel = { like: 'Qwen3.5-0.8B', quant: 'Q4_K_M' };
const mixture: BenchModel = { like: 'Qwen3-30B-A3B', quant: 'Q4_K_M', layers: 4 };

/** Eight sequences at once over one, both of ours. */
async function* batchRow({ folder, threads, probe, isDone }: BenchContext): AsyncGenerator<Figure> {
  const batch = 8;
  for (const quant of ['Q4_K_M', 'Q8_0']) {
    const model = { like: small, quant };
    const path = findOrWriteModel(model, folder);
    const engine = await openOwnEngine({ model: path, threads, isa: 'auto', context: generateTokens, batch });
    try {
      const of = (sequences: number) => async () => {
        // Slots are opened anew: each number of sequences divides the pages its own way.
        const driver = engine.driver(sequences);
        await driver.prefill(0, 1);
        return perSecond(generateTokens * sequences, (await driver.decode(0, generateTokens)).wallNs);
      };
      await of(batch)();
      const slices = await interleave([of(batch), of(1)], probe, isDone());
      const what = `decode, ${batch} sequences, ${modelName(model)}`;
      yield { what: `${what}, tokens/s`, unit: '/s', samples: speed(slices, 0) };
      const goals = quant === 'Q4_K_M' ? { must: 4, aim: 6 } : {};
      yield { what: `${what}, vs one`, unit: 'x', samples: ratios(slices), ...goals };
    } finally {
      await engine.close();
    }
  }
}

/** Bytes per second that decoding reads behind 8192 tokens, over those behind none. */
async function* depthRow({ folder, threads, probe, isDone }: BenchContext): AsyncGenerator<Figure> {
  const depth = 8192;
  const model = { like: small, quant: 'Q4_K_M' };
  const path = findOrWriteModel(model, folder);
  const context = depth + generateTokens;
  const engine = await openOwnEngine({ model: path, threads, isa: 'auto', context, batch: 1 });
  try {
    const driver = engine.driver(1);
    await driver.prefill(0, depth);
    const at = (from: number) => async () =>
      perSecond(
        generateTokens * engine.stepBytes(1, from + generateTokens / 2),
        (await driver.decode(from, generateTokens)).wallNs,
      );
    // Tokens behind position 0 of the cache are overwritten by each run of theirs, those of the depth stay.
    const slices = await interleave([at(depth), at(0)], probe, isDone());
    const what = `decode behind ${depth} tokens, ${modelName(model)}`;
    const share = perSlice(slices, 0, (value, bandwidth) => value / bandwidth);
    yield { what: `${what}, of read bandwidth`, unit: 'read', samples: share };
    yield { what: `${what}, bytes/s over depth 0`, unit: 'x', samples: ratios(slices), must: 0.9, aim: 0.97 };
  } finally {
    await engine.close();
  }
}

/** Whole processes that make one token. */
async function* startRow({ folder, threads, other, probe, isDone }: BenchContext): AsyncGenerator<Figure> {
  await bundleCli();
  for (const quant of ['Q4_K_M', 'Q8_0']) {
    const model = { like: small, quant };
    const path = findOrWriteModel(model, folder);
    const ours = async () => 1 / (await ownStart(path, threads));
    const theirs = async (program: string) => 1 / (await llamaBenchStart(program, path, threads));
    await ours();
    const slices = await interleave(sidesOf(ours, other, theirs), probe, isDone());
    const what = `process start to first token, ${modelName(model)}`;
    yield { what: `${what}, processes/s`, unit: '/s', samples: speed(slices, 0) };
    if (other === undefined) continue;
    yield { what: `${what}, the other's processes/s`, unit: '/s', samples: speed(slices, 1) };
    yield { what: `${what}, vs the other`, unit: 'x', samples: ratios(slices), must: 1, aim: 2 };
  }
}

/** What a decode step takes beside the device's own time. */
async function* hostRow({ folder, threads, probe, isDone }: BenchContext): AsyncGenerator<Figure> {
  const model = { like: small, quant: 'Q4_K_M' };
  const path = findOrWriteModel(model, folder);
  const engine = await openOwnEngine({ model: path, threads, isa: 'auto', context: generateTokens, batch: 1 });
  try {
    const driver = engine.driver(1);
    const share = async () => {
      const { wallNs, deviceNs } = await driver.decode(0, generateTokens);
      return 100 * (1 - deviceNs / wallNs);
    };
    await share();
    const slices = await interleave([share], probe, isDone());
    const what = `JavaScript and N-API share of a decode step, ${modelName(model)}`;
    yield { what, unit: '%', samples: speed(slices, 0), must: 3, aim: 1 };
  } finally {
    await engine.close();
  }
}

async function* decodeRow(context: BenchContext): AsyncGenerator<Figure> {
  for (const model of dense) {
    const ratio = model.quant === 'Q4_K_M' ? { must: 1.4, aim: 1.9 } : null;
    yield* decodeOf({ model, other: context.other, name: 'decode' }, context, decodeGoals[model.quant]!, ratio);
  }
}

async function* prefillRow(context: BenchContext): AsyncGenerator<Figure> {
  for (const model of dense)
    yield* prefillOf({ model, other: context.other, name: 'prefill' }, context, prefillGoals[model.quant]!);
}

async function* moeRow(context: BenchContext): AsyncGenerator<Figure> {
  yield* prefillOf({ model: mixture, other: context.other, name: 'prefill' }, context, { must: 1.5, aim: 3 });
}

async function* hybridRow(context: BenchContext): AsyncGenerator<Figure> {
  const goals = { must: 1.2, aim: 2 };
  const test = { model: hybrid, other: context.other };
  yield* prefillOf({ ...test, name: 'prefill' }, context, goals);
  yield* decodeOf({ ...test, name: 'decode' }, context, null, goals);
}

async function* avx2Row(context: BenchContext): AsyncGenerator<Figure> {
  const goals = { must: 1, aim: 1.5 };
  const test = { model: { like: small, quant: 'Q4_K_M' }, isa: 'avx2', other: context.otherAvx2 };
  yield* prefillOf({ ...test, name: 'AVX2 prefill' }, context, goals);
  yield* decodeOf({ ...test, name: 'AVX2 decode' }, context, null, goals);
}

/** The rows by name: how many comparisons each makes, and its share of the time. */
export const rows: Readonly<Record<string, { readonly run: Row; readonly tests: number; readonly parts: number }>> = {
  decode: { run: decodeRow, tests: 5, parts: 5 },
  batch8: { run: batchRow, tests: 2, parts: 2 },
  prefill: { run: prefillRow, tests: 5, parts: 7 },
  moe: { run: moeRow, tests: 1, parts: 2 },
  gdn: { run: hybridRow, tests: 2, parts: 3 },
  depth: { run: depthRow, tests: 1, parts: 2 },
  start: { run: startRow, tests: 2, parts: 2 },
  host: { run: hostRow, tests: 1, parts: 1 },
  avx2: { run: avx2Row, tests: 2, parts: 3 },
};
