import { openBenchDriver } from '@helexa/cortex/bench';
import { type Backend, decodeTraffic, pageTokens } from '@helexa/graph';
import type { Finding, Measured } from './finding.js';
import { loadRandom, type RandomModel } from './random-device.js';

interface Goal {
  readonly must?: number;
  readonly aim?: number;
}

/** Steps of decoding; goals are tokens per second, or shares of copy bandwidth. */
interface DecodeRow {
  readonly batch: number;
  readonly goal?: Goal;
  readonly shareGoal?: Goal;
}

/** One model of the table and what is measured with it. Goals are those of one H200. */
interface FigureGroup {
  readonly like: string;
  readonly quant: string;
  readonly decode: readonly DecodeRow[];
  /** Milliseconds from a prompt of this many tokens to the first that follows it. */
  readonly prompts: readonly (Goal & { readonly tokens: number })[];
  readonly load?: Goal;
}

export const figureGroups: Readonly<Record<string, FigureGroup>> = {
  bf16: {
    like: 'Qwen3-8B',
    quant: 'BF16',
    decode: [
      { batch: 1, shareGoal: { must: 0.7, aim: 0.9 } },
      { batch: 32, goal: { must: 4300, aim: 6000 } },
      { batch: 64, goal: { must: 7200, aim: 10_500 } },
      { batch: 256, goal: { must: 14_500, aim: 20_000 } },
    ],
    prompts: [
      { tokens: 128, must: 14, aim: 6 },
      { tokens: 1024, must: 34, aim: 24 },
      { tokens: 8192, must: 254, aim: 200 },
    ],
    load: { must: 8, aim: 2.5 },
  },
  quantised: {
    like: 'Qwen3-8B',
    quant: 'Q4_K_M',
    decode: [{ batch: 1, goal: { must: 300, aim: 560 } }, { batch: 32 }],
    prompts: [{ tokens: 1024 }],
  },
  hybrid: {
    like: 'Qwen3.5-9B',
    quant: 'BF16',
    decode: [{ batch: 1, shareGoal: { must: 0.5, aim: 0.8 } }],
    prompts: [{ tokens: 1024 }, { tokens: 8192 }],
  },
};

/** Tokens in each cache when decoding is measured, and steps of it: the first three find and capture their graph. */
const depth = 64;
const steps = 64;

export interface FigureOptions {
  /** Layers at most. */
  readonly layers: number;
  /** Bytes per second that the device copies, read and written together; NaN: not known. */
  readonly copyBandwidth: number;
  /** Tokens that prompts are cut to, and sequences. */
  readonly most: number;
  readonly tell: (finding: Finding) => void;
  /** Nanoseconds. */
  readonly now: () => bigint;
}

/** Loads the model of a group with random weights on a backend and tells its figures, the quickest to have first. */
export async function measureFigures(group: FigureGroup, backend: Backend, options: FigureOptions): Promise<void> {
  const { like, quant } = group;
  const { layers, most, now } = options;
  const decode = group.decode.filter(({ batch }) => batch <= most);
  const prompts = group.prompts.map((row) => ({ ...row, tokens: Math.min(row.tokens, most) }));
  const pagesPerSlot = Math.ceil(Math.max(depth + steps, ...prompts.map(({ tokens }) => tokens)) / pageTokens);
  const pagesEach = Math.ceil((depth + steps) / pageTokens);
  const sequences = Math.max(...decode.map(({ batch }) => batch));
  const figure = (what: string, measured: Measured, text = '') =>
    options.tell({ what: `${like} ${quant}: ${what}`, verdict: 'figure', text, measured });
  const begun = now();
  const model = await loadRandom(backend, {
    like,
    quant,
    layers,
    limits: {
      maxRows: Math.min(2048, most),
      maxSequences: sequences,
      maxSampled: sequences,
      maxContext: pagesPerSlot * pageTokens,
      pages: Math.max(pagesPerSlot, sequences * pagesEach),
    },
  });
  try {
    const first = openBenchDriver(model, 1, now);
    await first.prefill(0, Math.min(8, most));
    const loaded = `${(model.uploadedBytes / 1e9).toFixed(2)} GB out of host memory, compiling and the first token included`;
    figure('load', { value: Number(now() - begun) / 1e9, unit: 's', ...group.load }, loaded);
    for (const row of decode) await measureDecode(row, model, options, figure);
    for (const { tokens, ...goal } of prompts) {
      await first.prefill(0, tokens);
      const { wallNs } = await first.prefill(0, tokens);
      const text = `${((tokens * 1e9) / wallNs).toFixed(0)} tokens/s`;
      figure(`first token after ${tokens}`, { value: wallNs / 1e6, unit: 'ms', ...goal }, text);
    }
  } finally {
    await model.device.dispose();
  }
}

async function measureDecode(
  { batch, goal, shareGoal }: DecodeRow,
  model: RandomModel,
  { copyBandwidth, now }: FigureOptions,
  figure: (what: string, measured: Measured, text?: string) => void,
): Promise<void> {
  const driver = openBenchDriver(model, batch, now);
  await driver.prefill(0, depth);
  await driver.decode(depth, 3);
  const { wallNs, deviceNs } = await driver.decode(depth, steps);
  const traffic = decodeTraffic(model.compiled.programs, 'F16', batch, depth + steps / 2);
  const bytes = (traffic.weightBytes + traffic.kvBytes + traffic.stateBytes) * steps;
  const share = bytes / (wallNs / 1e9) / copyBandwidth;
  const milliseconds = (nanoseconds: number) => (nanoseconds / 1e6 / steps).toFixed(3);
  const text = `${milliseconds(deviceNs)} ms of ${milliseconds(wallNs)} ms per step on the device`;
  const known = Number.isFinite(share) ? { share } : {};
  const speed = (batch * steps * 1e9) / wallNs;
  figure(`decode, ${batch} at once`, { value: speed, unit: 'tokens/s', ...known, ...goal }, text);
  if (shareGoal && Number.isFinite(share))
    figure(`decode, ${batch} at once, of the limit`, { value: share, unit: 'share', ...shareGoal });
}
