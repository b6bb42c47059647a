export { type NeuronOptions, type NeuronSummary, type RunningNeuron, startNeuron } from './daemon.js';
export type { PageCounts, ReuseScope } from './engine/block-manager.js';
export { type EngineEffects, type StepSummary, systemEffects } from './engine/effects.js';
export { Engine, type EngineLoad, type EngineOptions } from './engine/engine.js';
export type { FinishReason, GenerationEvent, Timing, TokenLogprob, ToolCall, Usage } from './engine/events.js';
export { FlightImages } from './engine/flight-images.js';
export type { Generation, GenerationRequest, TextSink } from './engine/generation.js';
export * from './loading.js';
export type { DeviceRates, SpeedForecast } from './preflight/predict-speed.js';
export {
  type PreflightOptions,
  type PreflightRank,
  type PreflightRefusal,
  type PreflightReport,
  preflight,
} from './preflight/preflight.js';
export {
  type DownloadPlan,
  type DownloadProgress,
  ModelSources,
  type ModelSourcesOptions,
} from './sources/model-sources.js';
export * from './text/index.js';
export { decodeImage } from './vision/decode-image.js';
export type { ImageParameters } from './vision/image-parameters.js';
export { prepareRgb } from './vision/prepare-image.js';
export { expandPrompt } from './vision/visual-prompt.js';
