export { Engine, type EngineEffects, type EngineLoad, type EngineOptions, type StepSummary } from './engine/engine.js';
export type { FinishReason, GenerationEvent, Timing, TokenLogprob, ToolCall, Usage } from './engine/events.js';
export type { Generation, GenerationRequest, TextSink } from './engine/generation.js';
export type { SamplingParameters } from './engine/step-writer.js';
