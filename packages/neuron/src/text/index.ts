export { Detokenizer } from './detokenizer.js';
export {
  chooseSampling,
  fallbackSampling,
  type GenerationDefaults,
  type ParsedGenerationConfig,
  parseGenerationConfig,
  type SamplingChoice,
} from './generation-defaults.js';
export type { OutputEvent, ToolSchema } from './output-event.js';
export { StopMatcher, type StopResult } from './stop-matcher.js';
export type { Tokenizer } from './tokenizer.js';
