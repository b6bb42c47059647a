import type { CatalogueEntry, CortexError } from '@helexa/core';
import type { NodeState } from '../fleet/fleet.js';

/** How a request to a neuron to load or unload a model ended; a model that was there already is a success. */
export type Outcome =
  | {
      readonly ok: true;
      /** It was there before: this tells nothing of how long a load takes. */
      readonly already?: boolean;
      /** Of the neuron, as this change made it. */
      readonly epoch?: string | undefined;
    }
  | {
      readonly ok: false;
      readonly error: CortexError;
      /** What the neuron says that the model needs, when memory was the reason. */
      readonly requiredMb?: number | undefined;
      /** A model that was to leave is in use by somebody whom this gateway does not know. */
      readonly isInUse?: boolean;
      /** Another gateway has changed what the neuron holds since it was looked at. */
      readonly isStale?: boolean;
    };

/** What happened, for the log and the metrics. */
export type RouterEvent =
  | { readonly kind: 'load_begun'; readonly node: string; readonly model: string; readonly victims: readonly string[] }
  | {
      readonly kind: 'load_ended';
      readonly node: string;
      readonly model: string;
      readonly ms: number;
      readonly error?: CortexError;
    }
  /** `by` is absent when nobody had used it for long. */
  | { readonly kind: 'evicted'; readonly node: string; readonly model: string; readonly by: string | undefined }
  | { readonly kind: 'unload_failed'; readonly node: string; readonly model: string; readonly error: CortexError }
  /** So many models have left a node since it started that its memory may be in pieces. */
  | { readonly kind: 'defrag_advised'; readonly node: string; readonly cycles: number }
  | {
      readonly kind: 'waited';
      readonly model: string;
      readonly ms: number;
      readonly why: string;
      readonly ok: boolean;
    };

/**
 * The only way in which the router touches the world. A load and an unload are fenced by the epoch of the node that they are given.
 * Neither promise needs to obey its signal for the router to go on.
 */
export interface RouterEffects {
  load(
    node: NodeState,
    entry: CatalogueEntry,
    signal: AbortSignal,
    devices?: readonly number[] | undefined,
  ): Promise<Outcome>;
  unload(node: NodeState, model: string, signal: AbortSignal): Promise<Outcome>;
  /** Settles with true when what is known of the node is newer than this call, with false when it could not be asked. */
  look(node: string): Promise<boolean>;
  now(): number;
  after(delayMs: number, run: () => void): () => void;
  report(event: RouterEvent): void;
}
