export { Detokenizer } from './detokenizer.js';
export {
  chooseSampling,
  fallbackSampling,
  type GenerationDefaults,
  type ParsedGenerationConfig,
  parseGenerationConfig,
  type SamplingChoice,
} from './generation-defaults.js';
export { loadTokenizer } from './load-tokenizer.js';
export type { OutputEvent, ToolSchema } from './output-event.js';
export { StopMatcher, type StopResult } from './stop-matcher.js';
export { type StopTokenSources, stopTokenIds } from './stop-tokens.js';
export type { Tokenizer } from './tokenizer/tokenizer.js';
