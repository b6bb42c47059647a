import type { ReferenceContext } from '../op.js';
import type { SamplingParameters } from '../sampler.js';
import { sampling } from '../step.js';

/** What a slot keeps for sampling, read out of the slot table. */
export function readSampling({ layout, i32, f32 }: ReferenceContext['step'], slot: number): SamplingParameters {
  const at = layout.sampling + slot * sampling.size;
  const { maxBias, maxContext } = layout.limits;
  const biases = i32[at + sampling.biasCount]!;
  const history = layout.history + slot * maxContext;
  return {
    temperature: f32[at + sampling.temperature]!,
    topK: i32[at + sampling.topK]!,
    topP: f32[at + sampling.topP]!,
    minP: f32[at + sampling.minP]!,
    repetitionPenalty: f32[at + sampling.repetitionPenalty]!,
    presencePenalty: f32[at + sampling.presencePenalty]!,
    frequencyPenalty: f32[at + sampling.frequencyPenalty]!,
    seedLow: i32[at + sampling.seedLow]! >>> 0,
    seedHigh: i32[at + sampling.seedHigh]! >>> 0,
    topLogprobs: i32[at + sampling.topLogprobs]!,
    biasToken: i32.subarray(layout.biasToken + slot * maxBias, layout.biasToken + slot * maxBias + biases),
    biasValue: f32.subarray(layout.biasValue + slot * maxBias, layout.biasValue + slot * maxBias + biases),
    history: i32.subarray(history, history + i32[at + sampling.historyLength]!),
    promptLength: i32[at + sampling.promptLength]!,
  };
}
