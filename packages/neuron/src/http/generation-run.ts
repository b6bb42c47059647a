import type { Clock } from '@helexa/core';
import { CortexError, type Usage as WireUsage } from '@helexa/core';
import type { GenerationEvent, Timing, Usage } from '../engine/events.js';
import type { Generation } from '../engine/generation.js';
import type { ServedModel } from '../model/served-model.js';
import type { Exchange } from './exchange.js';
import type { NeuronMetrics } from './metrics.js';
import { principalOf } from './principal.js';

/** What inference handlers need beside the exchange. */
export interface InferenceContext {
  /** A model that is ready; throws the error that says why it is not. */
  readonly modelOf: (id: string) => ServedModel;
  readonly metrics: NeuronMetrics;
  readonly clock: Clock;
  readonly bodyLimitBytes: number;
  /** A fresh id with this prefix. */
  readonly newId: (prefix: string) => string;
}

/** `usage` as it leaves, with this engine's timing. */
export type TimedUsage = WireUsage & {
  readonly helexa_timing: {
    readonly queue_ms: number;
    readonly prefill_ms: number;
    readonly decode_ms: number;
    /** Prompt tokens that were computed, not found. */
    readonly prefill_tokens: number;
  };
};

/** Usage in the one form that every answer has; details are absent at zero. */
export function toWireUsage(usage: Usage, timing: Timing): TimedUsage {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    ...(usage.cachedTokens > 0 ? { prompt_tokens_details: { cached_tokens: usage.cachedTokens } } : {}),
    ...(usage.reasoningTokens > 0 ? { completion_tokens_details: { reasoning_tokens: usage.reasoningTokens } } : {}),
    helexa_timing: {
      queue_ms: Math.round(timing.queueMs),
      prefill_ms: Math.round(timing.prefillMs),
      decode_ms: Math.round(timing.decodeMs),
      prefill_tokens: timing.prefillTokens,
    },
  };
}

/** The header that tells a client, and its developer tools, where the time of a whole answer went. */
export function serverTiming(usage: Partial<TimedUsage> | null | undefined): Record<string, string> {
  if (!usage?.helexa_timing) return {};
  const { queue_ms: queue, prefill_ms: prefill, decode_ms: decode } = usage.helexa_timing;
  return { 'server-timing': `queue;dur=${queue}, prefill;dur=${prefill}, decode;dur=${decode}` };
}

/** Adds usages of the prompts of one request. */
export function addUsage(a: TimedUsage, b: TimedUsage): TimedUsage {
  const cached = (a.prompt_tokens_details?.cached_tokens ?? 0) + (b.prompt_tokens_details?.cached_tokens ?? 0);
  return {
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    total_tokens: a.total_tokens + b.total_tokens,
    ...(cached > 0 ? { prompt_tokens_details: { cached_tokens: cached } } : {}),
    helexa_timing: {
      queue_ms: Math.max(a.helexa_timing.queue_ms, b.helexa_timing.queue_ms),
      prefill_ms: Math.max(a.helexa_timing.prefill_ms, b.helexa_timing.prefill_ms),
      decode_ms: Math.max(a.helexa_timing.decode_ms, b.helexa_timing.decode_ms),
      prefill_tokens: a.helexa_timing.prefill_tokens + b.helexa_timing.prefill_tokens,
    },
  };
}

/**
 * Passes a generation's events on, and writes the one terminal log line and the metrics of every generation, whichever way
 * it ends.
 */
export async function* observed(
  generation: Generation,
  exchange: Exchange,
  model: ServedModel,
  { metrics, clock }: InferenceContext,
): AsyncGenerator<GenerationEvent, void, void> {
  const startedMs = clock.now();
  const reasons: string[] = [];
  let outcome = 'client_gone';
  let totals: { usage: Usage; timing: Timing } | null = null;
  try {
    for await (const event of generation) {
      if (event.type === 'prefill-end')
        metrics.timeToFirstToken.observe({ model: model.id }, (clock.now() - startedMs) / 1000);
      if (event.type === 'choice-end') reasons[event.choice] = event.reason;
      if (event.type === 'generation-end') {
        totals = event;
        outcome = 'finished';
      }
      yield event;
    }
  } catch (error) {
    const isGone = exchange.signal.aborted;
    outcome = isGone ? 'client_gone' : CortexError.isInstance(error) ? error.code : 'internal_error';
    throw error;
  } finally {
    metrics.generations.inc({ model: model.id, outcome });
    if (totals) {
      metrics.tokens.inc({ model: model.id, kind: 'prompt' }, totals.usage.promptTokens);
      metrics.tokens.inc({ model: model.id, kind: 'cached' }, totals.usage.cachedTokens);
      metrics.tokens.inc({ model: model.id, kind: 'completion' }, totals.usage.completionTokens);
    }
    const line = {
      model: model.id,
      principal: principalOf(exchange.request),
      outcome,
      finish: reasons.join(','),
      ...totals?.usage,
      ...totals?.timing,
      client_gone: outcome === 'client_gone',
    };
    if (outcome === 'finished') exchange.log.info(line, 'generation ended');
    else exchange.log.warn(line, 'generation ended without a finish');
  }
}
