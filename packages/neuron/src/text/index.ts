export { Detokenizer } from './detokenizer.js';
export { StopMatcher, type StopResult } from './stop-matcher.js';
export type { Tokenizer } from './tokenizer.js';
