import type { CortexError } from '@helexa/core';
import type { LoadJob, LoadPhase, LoadProgress } from './load-job.js';
import type { ServedModel } from './served-model.js';

/** How one model is to be loaded. */
export interface ModelSpec {
  readonly id: string;
  /** Folder or file of the checkpoint. */
  readonly path: string;
  readonly tensorParallel: number;
  readonly device: string;
  /** Index of the device of each rank; null or absent: in the backend's own order. */
  readonly devices?: readonly number[] | null;
  /** Whether it comes from a registry; `path` is its id then. */
  readonly isRemote?: boolean;
  /** Names the GGUF file of several, or a quantisation to be made; null or absent: as the files are. */
  readonly quant?: string | null;
}

/** Where a model is in its life here. */
export type ModelState =
  | { readonly kind: 'loading'; readonly job: LoadJob }
  | { readonly kind: 'ready'; readonly model: ServedModel }
  /** Its device failed; it is being loaded again. */
  | { readonly kind: 'recovering'; readonly job: LoadJob; readonly error: CortexError }
  | { readonly kind: 'unloading'; readonly done: Promise<void> }
  /** `model` is what is still to be freed. */
  | { readonly kind: 'failed'; readonly error: CortexError; readonly model: ServedModel | null }
  /** It did not let go of its device in time; the row goes when it does. */
  | { readonly kind: 'stuck'; readonly error: CortexError };

export interface ModelRow {
  readonly spec: ModelSpec;
  readonly state: ModelState;
}

/** What an opening model tells and hears. */
export interface OpenHooks {
  readonly signal: AbortSignal;
  readonly onBackend: (name: string) => void;
  readonly onPhase: (phase: LoadPhase) => void;
  readonly onProgress: (progress: LoadProgress) => void;
  /** Once, when the model has been opened and fails later. */
  readonly onFailed: (error: CortexError) => void;
}

/** What an unload does with requests under way: refuses because of them, or gives them time, then refuses or ends them. */
export interface UnloadManner {
  readonly waitMs: number;
  readonly isForced: boolean;
  /** What the caller takes the table's epoch for; with another one nothing is done. */
  readonly epoch?: string | undefined;
}
