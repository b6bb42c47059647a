import type { Checkpoint } from '@helexa/core';
import { isRecord } from './json.js';
import type { ModelFiles } from './model-files.js';

/** Chat templates of a model by name; `default` is the one for plain conversations. */
export interface TemplateSources {
  /** File or key that the templates came from, for errors. */
  readonly source: string;
  readonly templates: ReadonlyMap<string, string>;
}

const ggufKey = 'tokenizer.chat_template';

/**
 * Finds a model's chat templates: a GGUF file's own first, then `chat_template.jinja` (with `additional_chat_templates/`),
 * `chat_template.json`, and the field of tokenizer_config.json. Null when the model has none.
 */
export function findTemplates(source: Checkpoint | string, files: ModelFiles): TemplateSources | null {
  return (typeof source === 'string' ? null : fromGguf(source)) ?? fromFiles(files);
}

function fromGguf(checkpoint: Checkpoint): TemplateSources | null {
  const templates = new Map<string, string>();
  for (const key of checkpoint.metadata.keys()) {
    if (!key.startsWith(ggufKey)) continue;
    const value = checkpoint.metadata.get(key);
    if (typeof value !== 'string') continue;
    if (key === ggufKey) templates.set('default', value);
    else if (key.startsWith(`${ggufKey}.`)) templates.set(key.slice(ggufKey.length + 1), value);
  }
  return withDefault(`${checkpoint.path}: ${ggufKey}`, templates);
}

function fromFiles(files: ModelFiles): TemplateSources | null {
  const main = files.text('chat_template.jinja');
  if (main !== undefined) {
    const templates = new Map([['default', main]]);
    for (const name of additionalNames(files)) {
      const text = files.text(`additional_chat_templates/${name}.jinja`);
      if (text !== undefined) templates.set(name, text);
    }
    return { source: files.path('chat_template.jinja'), templates };
  }
  for (const name of ['chat_template.json', 'tokenizer_config.json']) {
    const json = files.json(name);
    const field = isRecord(json) ? json['chat_template'] : undefined;
    const found = withDefault(files.path(name), readField(field));
    if (found !== null) return found;
  }
  return null;
}

function additionalNames(files: ModelFiles): string[] {
  return files
    .names('additional_chat_templates')
    .filter((name) => name.endsWith('.jinja'))
    .map((name) => name.slice(0, -'.jinja'.length))
    .sort();
}

/** The field is one template, or a list of named ones. */
function readField(field: unknown): Map<string, string> {
  const templates = new Map<string, string>();
  if (typeof field === 'string') templates.set('default', field);
  if (!Array.isArray(field)) return templates;
  for (const entry of field as unknown[]) {
    if (!isRecord(entry)) continue;
    const { name, template } = entry;
    if (typeof name === 'string' && typeof template === 'string') templates.set(name, template);
  }
  return templates;
}

/** Without one called `default`, the first serves as it. */
function withDefault(source: string, templates: Map<string, string>): TemplateSources | null {
  const [first] = templates.values();
  if (first === undefined) return null;
  if (!templates.has('default')) templates.set('default', first);
  return { source, templates };
}
