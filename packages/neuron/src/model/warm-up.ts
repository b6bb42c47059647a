import type { Engine } from '../engine/engine.js';

/** A token that every vocabulary has. */
const anyToken = 0;

/**
 * Runs one short generation, a prompt and a step behind it: a device that cannot compute this model fails its load, and not the
 * first request.
 */
export async function warmUp(engine: Engine, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const generation = engine.generate({
    principal: 'warm-up',
    prompt: [anyToken],
    maxTokens: 2,
    choices: 1,
    sampling: {
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      bias: [],
      topLogprobs: null,
    },
    seed: 0n,
    stopTokens: new Set(),
    openSink: () => ({ reasoningTokens: 0, push: () => ({ events: [], isStopped: false }), end: () => [] }),
    signal,
  });
  try {
    for await (const _ of generation);
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}
