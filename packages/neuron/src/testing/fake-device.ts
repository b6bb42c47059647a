import { type DeviceModel, header, layoutStep, pageTokens, type StepLimits, sampled, sampling } from '@helexa/graph';

/** What a fake device does beside its arithmetic. */
export interface FakeDeviceScript {
  /** Runs at the start of each step, before anything is read; a throw makes the step reject. */
  readonly onStep?: (step: number) => void | Promise<void>;
  /** Replaces the token that the arithmetic gives. */
  readonly token?: (tokens: readonly number[], counter: number) => number;
}

export const fakeLimits: StepLimits = {
  maxRows: 128,
  maxSequences: 4,
  maxSampled: 4,
  maxContext: 512,
  pages: 24,
  vocab: 1000,
  maxBias: 16,
  maxTopLogprobs: 20,
  exposeLogits: false,
};

/**
 * A device without a model: its "keys and values" are the tokens themselves, and the next token is a hash of all of them
 * read back through the page table. A wrong page, position, slot or a page shared while it is written changes the output.
 */
export function fakeDevice(
  limits: StepLimits = fakeLimits,
  script: FakeDeviceScript = {},
): DeviceModel & { readonly steps: number } {
  const layout = layoutStep(limits);
  const buffer = new ArrayBuffer(layout.size * 4);
  const int = new Int32Array(buffer);
  const float = new Float32Array(buffer);
  const cache = new Int32Array(limits.pages * pageTokens).fill(-1);
  let steps = 0;
  const place = (slot: number, position: number) =>
    int[layout.pageTable + slot * layout.pagesPerSlot + Math.floor(position / pageTokens)]! * pageTokens +
    (position % pageTokens);

  return {
    layout,
    buffer,
    memory: [],
    get steps() {
      return steps;
    },
    upload: async () => {},
    seal: async () => {},
    dispose: async () => {},
    async step() {
      steps += 1;
      await script.onStep?.(steps);
      const sequences = int[layout.header + header.sequences]!;
      const lengthOf = new Map<number, number>();
      for (let index = 0; index < sequences; index++) {
        const slot = int[layout.sequenceSlot + index]!;
        const first = int[layout.sequenceRow + index]!;
        const rows = int[layout.sequenceRows + index]!;
        const length = int[layout.sequenceLength + index]!;
        lengthOf.set(slot, length);
        for (let row = 0; row < rows; row++) {
          const position = int[layout.positions + first + row]!;
          cache[place(slot, position)] = int[layout.tokens + first + row]!;
        }
      }
      const samples = int[layout.header + header.sampled]!;
      for (let index = 0; index < samples; index++) {
        const slot = int[layout.sampleSlot + index]!;
        const counter = int[layout.sampleCounter + index]!;
        const tokens = Array.from({ length: lengthOf.get(slot)! }, (_, position) => cache[place(slot, position)]!);
        const at = layout.sampling + slot * sampling.size;
        const isGreedy = float[at + sampling.temperature]! <= 0;
        const seed = isGreedy ? 0 : int[at + sampling.seedLow]! ^ int[at + sampling.seedHigh]!;
        const token = script.token?.(tokens, counter) ?? fakeToken(tokens, seed, isGreedy ? 0 : counter, limits.vocab);
        const out = layout.output + index * sampled.size;
        int[out + sampled.token] = token;
        int[out + sampled.flags] = token < 0 ? 1 : 0;
        float[out + sampled.logprob] = -token / limits.vocab;
        for (let rank = 0; rank < Math.max(0, int[at + sampling.topLogprobs]!); rank++) {
          int[layout.topToken + index * limits.maxTopLogprobs + rank] = (token + rank) % limits.vocab;
          float[layout.topLogprob + index * limits.maxTopLogprobs + rank] = -token / limits.vocab - rank;
        }
      }
      return { deviceNs: 1000 };
    },
  };
}

/** The token that a fake device answers after `tokens`. */
export function fakeToken(tokens: readonly number[], seed: number, counter: number, vocab: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (const token of tokens) hash = Math.imul(hash ^ (token + 1), 0x01000193);
  hash = Math.imul(hash ^ counter, 0x85ebca6b);
  return ((hash ^ (hash >>> 15)) >>> 0) % vocab;
}
