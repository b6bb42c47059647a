import { CortexError } from '@helexa/core';

/** What a model takes now, in tokens: as advertised, and as enforced. */
export interface ContextLimit {
  /** Prompt and output together. */
  readonly context: number;
  /** Longest prompt of a request that does not say how much it wants to hear. */
  readonly input: number;
  /** Room kept for an answer. */
  readonly output: number;
}

/** How long a prompt may keep its caller waiting; what is not measured yet is assumed. */
export interface PrefillTarget {
  readonly seconds: number;
  readonly assumedTokensPerSecond: number;
}

/** Output tokens of a request that does not say, and the most room that is kept for them. */
export const defaultOutputTokens = 8192;
const unit = 1024;

/**
 * The limit that follows from the memory there is and the speed there is. `maxContext` is what pages and model allow; a prompt
 * that would be computed for longer than the target is beyond the limit, in whole units of 1024 tokens and at least one.
 */
export function contextLimit(
  maxContext: number,
  target: PrefillTarget | null,
  measuredTokensPerSecond: number | null,
): ContextLimit {
  const tokensInTime = target
    ? target.seconds * (measuredTokensPerSecond ?? target.assumedTokensPerSecond)
    : Number.POSITIVE_INFINITY;
  const context =
    tokensInTime < maxContext
      ? Math.min(maxContext, Math.max(unit, Math.floor(tokensInTime / unit) * unit))
      : maxContext;
  // Room for the answer is part of the context, but never more than half of it.
  const output = Math.min(defaultOutputTokens, Math.floor(context / 2));
  return { context, input: context - output, output };
}

/** Refuses a prompt that leaves no room for the output asked for, or for the advertised output when more is asked for. */
export function refusePrompt(limit: ContextLimit, promptTokens: number, maxTokens: number): void {
  const max = limit.context - Math.min(maxTokens, limit.output);
  if (promptTokens > max) throw new CortexError('context_length_exceeded', { prompt_len: promptTokens, max });
}
