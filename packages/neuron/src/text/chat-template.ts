import type { Checkpoint } from '@helexa/core';
import { JinjaTemplate } from './jinja/template.js';
import { ModelFiles } from './model-files.js';
import { tokenName } from './special-names.js';
import { findTemplates, type TemplateSources } from './template-source.js';

/** Variables that every rendering has unless the caller sets them: the model's own tokens. */
export type TemplateVariables = Readonly<Record<string, unknown>>;

export interface ChatTemplateOptions {
  /** Read by templates that print today's date. */
  readonly now: () => Date;
}

/**
 * A model's chat template.
 *
 * @example template.render({ messages: [{ role: 'user', content: 'Hello' }] })
 */
export class ChatTemplate {
  /** Text of every template of the model: what it says about tool calls and reasoning is read from here. */
  readonly text: string;
  readonly #templates: ReadonlyMap<string, JinjaTemplate>;
  readonly #variables: TemplateVariables;
  readonly #now: () => Date;

  /** Throws `template_invalid` when a template cannot be read. */
  constructor(sources: TemplateSources, variables: TemplateVariables, options: ChatTemplateOptions) {
    this.#templates = new Map(
      [...sources.templates].map(([name, text]) => [name, new JinjaTemplate(text, sources.source)]),
    );
    this.text = [...sources.templates.values()].join('\n');
    this.#variables = variables;
    this.#now = options.now;
  }

  /** The template of a checkpoint or model folder; null when it has none. */
  static fromCheckpoint(source: Checkpoint | string, options: ChatTemplateOptions): ChatTemplate | null {
    const files = ModelFiles.of(source);
    const sources = findTemplates(source, files);
    return sources === null ? null : new ChatTemplate(sources, tokensOf(source, files), options);
  }

  /**
   * Renders a conversation. `messages`, `tools` and any further variables are the template's own; a generation prompt is
   * added unless `add_generation_prompt` is false. Throws `template_render_failed`.
   */
  render(variables: TemplateVariables): string {
    const { tools } = variables;
    const name = Array.isArray(tools) && tools.length > 0 && this.#templates.has('tool_use') ? 'tool_use' : 'default';
    return this.#templates
      .get(name)!
      .render(
        { ...this.#variables, tools: null, documents: null, add_generation_prompt: true, ...variables },
        { now: this.#now },
      );
  }
}

const tokenKeys = ['bos_token', 'eos_token', 'pad_token', 'unk_token'] as const;
const ggufIds = {
  bos_token: 'tokenizer.ggml.bos_token_id',
  eos_token: 'tokenizer.ggml.eos_token_id',
  pad_token: 'tokenizer.ggml.padding_token_id',
  unk_token: 'tokenizer.ggml.unknown_token_id',
} as const;

function tokensOf(source: Checkpoint | string, files: ModelFiles): TemplateVariables {
  const variables: Record<string, string> = {};
  if (typeof source !== 'string' && source.kind === 'gguf') {
    const tokens = source.metadata.get('tokenizer.ggml.tokens');
    for (const key of tokenKeys) {
      const id = source.metadata.get(ggufIds[key]);
      const token = Array.isArray(tokens) && typeof id === 'number' ? (tokens[id] as unknown) : undefined;
      if (typeof token === 'string') variables[key] = token;
    }
    return variables;
  }
  const config = files.json('tokenizer_config.json');
  for (const key of tokenKeys) {
    const token = tokenName(config, key);
    if (token !== null) variables[key] = token;
  }
  return variables;
}
