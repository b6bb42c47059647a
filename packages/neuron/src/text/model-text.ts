import type { Checkpoint } from '@helexa/core';
import { ChatTemplate } from './chat-template.js';
import { type GenerationDefaults, parseGenerationConfig } from './generation-defaults.js';
import { loadTokenizer } from './load-tokenizer.js';
import { ModelFiles } from './model-files.js';
import { detectOutputFormat, type OutputFormat } from './output-format.js';
import { stopTokenIds } from './stop-tokens.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';

/** Everything about a model's text: made once per load. */
export interface ModelText {
  readonly tokenizer: Tokenizer;
  /** Null when the model has no chat template: it serves plain completions only. */
  readonly template: ChatTemplate | null;
  readonly format: OutputFormat;
  readonly samplingDefaults: GenerationDefaults;
  readonly stopTokens: ReadonlySet<number>;
  /** Sentences on values of the model's files that are not used. */
  readonly warnings: readonly string[];
}

/** Loads a model's tokenizer, chat template, stop tokens and sampling defaults. */
export function loadModelText(checkpoint: Checkpoint, options: { readonly now: () => Date }): ModelText {
  const tokenizer = loadTokenizer(checkpoint);
  const template = ChatTemplate.fromCheckpoint(checkpoint, options);
  const generationConfig = ModelFiles.of(checkpoint).json('generation_config.json');
  const { defaults, warnings } = parseGenerationConfig(generationConfig);
  return {
    tokenizer,
    template,
    format: detectOutputFormat(tokenizer, template?.text ?? ''),
    samplingDefaults: defaults,
    stopTokens: stopTokenIds({ tokenizer, generationConfig, modelConfig: checkpoint.config }),
    warnings,
  };
}
