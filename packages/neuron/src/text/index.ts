export { ChatTemplate, type ChatTemplateOptions, type TemplateVariables } from './chat-template.js';
export { Detokenizer } from './detokenizer.js';
export {
  chooseSampling,
  fallbackSampling,
  type GenerationDefaults,
  type ParsedGenerationConfig,
  parseGenerationConfig,
  type SamplingChoice,
} from './generation-defaults.js';
export { JinjaTemplate } from './jinja/template.js';
export { loadTokenizer } from './load-tokenizer.js';
export { loadModelText, type ModelText } from './model-text.js';
export type { OutputEvent, ToolSchema } from './output-event.js';
export {
  detectOutputFormat,
  type MarkerPair,
  type OutputFormat,
  opensReasoning,
  type ToolFormat,
} from './output-format.js';
export { type Marker, OutputParser, type OutputParserOptions } from './output-parser.js';
export { type OutputStep, OutputStream, type OutputStreamOptions } from './output-stream.js';
export { StopMatcher, type StopResult } from './stop-matcher.js';
export { type StopTokenSources, stopTokenIds } from './stop-tokens.js';
export type { Tokenizer } from './tokenizer/tokenizer.js';
export { chooseDialect, toolDialects } from './tool-dialects/choose-dialect.js';
export type {
  BareDialect,
  CallSyntax,
  JsonCallSyntax,
  MarkedDialect,
  ParameterCallSyntax,
  ParsedCall,
  ToolDialect,
} from './tool-dialects/tool-dialect.js';
