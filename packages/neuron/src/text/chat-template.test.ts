import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Checkpoint, GgufValue } from '@helexa/core';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { ChatTemplate } from './chat-template.js';

const options = { now: () => new Date(2026, 0, 1) };

function withFolder(files: Readonly<Record<string, unknown>>, run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'cortex-template-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
    }
    run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const config = (template: unknown) => ({ chat_template: template, bos_token: '<s>', eos_token: { content: '</s>' } });
const rendered = (folder: string, variables: Record<string, unknown> = {}) =>
  ChatTemplate.fromCheckpoint(folder, options)!.render({ messages: [], ...variables });

test('ChatTemplate takes the .jinja file before the .json file before the tokenizer config', (t) => {
  const files = {
    'chat_template.jinja': 'one',
    'chat_template.json': config('two'),
    'tokenizer_config.json': config('three'),
  };
  withFolder(files, (folder) => {
    t.is(rendered(folder), 'one');
    rmSync(join(folder, 'chat_template.jinja'));
    t.is(rendered(folder), 'two');
    rmSync(join(folder, 'chat_template.json'));
    t.is(rendered(folder), 'three');
    rmSync(join(folder, 'tokenizer_config.json'));
    t.is(ChatTemplate.fromCheckpoint(folder, options), null);
  });
});

test("ChatTemplate gives templates the model's own tokens and a generation prompt, which the caller overrides", (t) => {
  const template = '{{ bos_token }}{{ eos_token }}{{ add_generation_prompt }}{{ tools }}{{ extra }}';
  withFolder({ 'tokenizer_config.json': config(template) }, (folder) => {
    t.is(rendered(folder), '<s></s>TrueNone');
    t.is(rendered(folder, { add_generation_prompt: false, bos_token: 'B', extra: 1 }), 'B</s>FalseNone1');
  });
});

test('ChatTemplate takes the named template for tools only when there are tools', (t) => {
  const named = [
    { name: 'default', template: 'plain' },
    { name: 'tool_use', template: 'tools {{ tools|length }}' },
  ];
  withFolder({ 'tokenizer_config.json': config(named) }, (folder) => {
    t.is(rendered(folder), 'plain');
    t.is(rendered(folder, { tools: [] }), 'plain');
    t.is(rendered(folder, { tools: [{}] }), 'tools 1');
  });
  const files = { 'chat_template.jinja': 'plain', 'additional_chat_templates/tool_use.jinja': 'extra' };
  withFolder(files, (folder) => t.is(rendered(folder, { tools: [{}] }), 'extra'));
});

test("ChatTemplate takes a GGUF file's own template and tokens", (t) => {
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.chat_template', '{{ bos_token }}|{{ messages|length }}'],
    ['tokenizer.ggml.tokens', ['a', '<s>']],
    ['tokenizer.ggml.bos_token_id', 1],
  ]);
  const checkpoint: Checkpoint = { kind: 'gguf', path: '/none/m.gguf', tensors: new Map(), config: null, metadata };
  t.is(ChatTemplate.fromCheckpoint(checkpoint, options)!.render({ messages: [1] }), '<s>|1');
});

test('ChatTemplate refuses a template that cannot be read, naming its file', (t) => {
  withFolder({ 'chat_template.jinja': '{% if %}' }, (folder) => {
    const error = t.throws(() => ChatTemplate.fromCheckpoint(folder, options), {
      instanceOf: CortexError,
    }) as CortexError;
    t.is(error.code, 'template_invalid');
    t.regex(error.message, /chat_template\.jinja/);
  });
});
