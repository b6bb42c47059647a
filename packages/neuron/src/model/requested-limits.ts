import type { NeuronConfig } from '@helexa/core';
import type { EngineOptions } from '../engine/engine.js';
import type { RequestedLimits } from './limits.js';

/** What the configuration asks of every model. */
export const requestedLimits = ({ engine }: NeuronConfig): RequestedLimits => ({
  maxRows: engine.max_rows,
  maxSequences: engine.max_sequences,
  maxContext: engine.max_context,
  pages: engine.kv_pages,
  maxImagePixels: engine.max_image_pixels,
});

/** What the configuration says about who may come in, and with what. */
export const requestedAdmission = ({
  admission,
  context_limit: limit,
}: NeuronConfig): Pick<EngineOptions, 'admission' | 'prefillTarget'> => ({
  admission: {
    maxWaiting: admission.max_queue_depth,
    maxWaitMs: admission.max_wait_secs * 1000,
    maxKvWaitMs: admission.kv_max_wait_secs * 1000,
    maxPerPrincipal: admission.max_per_principal,
    anonMaxRunning: admission.anon_max_in_flight,
    anonMaxPending: admission.anon_max_pending,
  },
  prefillTarget: limit.enabled
    ? { seconds: limit.target_prefill_latency_secs, assumedTokensPerSecond: limit.bootstrap_prefill_tok_per_sec }
    : null,
});
