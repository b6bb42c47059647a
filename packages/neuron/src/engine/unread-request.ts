import type { GenerationRequest } from './generation.js';
import type { SamplingParameters } from './step-writer.js';

/** Always the likeliest token, and nothing else. */
export const greedySampling: SamplingParameters = {
  temperature: 0,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  bias: [],
  topLogprobs: null,
};

/** A request whose text nobody reads: for a model that answers with rows, or to see that a device computes. */
export const unreadRequest = (
  given: Pick<GenerationRequest, 'prompt' | 'maxTokens' | 'signal'> & { readonly principal: string | null },
): GenerationRequest => ({
  ...given,
  choices: 1,
  sampling: greedySampling,
  seed: 0n,
  stopTokens: new Set(),
  openSink: () => ({ reasoningTokens: 0, push: () => ({ events: [], isStopped: false }), end: () => [] }),
});
