import { readFileSync } from 'node:fs';
import test from 'ava';
import { JinjaTemplate } from '../jinja/template.js';
import { chooseDialect, toolDialects } from './choose-dialect.js';
import type { ToolDialect } from './tool-dialect.js';
import { writeCalls } from './write-calls.fixture.js';

const templateOf = (name: string) =>
  readFileSync(new URL(`../../../fixtures/text/templates/${name}.jinja`, import.meta.url), 'utf8');

const published: readonly (readonly [template: string, dialect: string | null, calls: number])[] = [
  ['Qwen-Qwen3-0.6B', 'marked-json', 2],
  ['Qwen3-Coder', 'marked-parameters', 2],
  ['Qwen3.5-4B', 'marked-parameters', 2],
  ['meta-llama-Llama-3.1-8B-Instruct', 'bare-json', 1],
  ['openai-gpt-oss-120b', null, 0],
];

test('chooseDialect tells the dialect from what a template writes', (t) => {
  for (const [name, dialect] of published) t.is(chooseDialect(templateOf(name))?.name ?? null, dialect, name);
  t.is(chooseDialect('{{ messages }}'), null);
});

const tools = ['weather', 'time'].map((name) => ({
  name,
  parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } },
}));
const calls = [
  { name: 'weather', arguments: { city: 'Sofia "old" town\n<b>', days: 3 } },
  { name: 'time', arguments: { city: 'Zürich' } },
];

test('CallSyntax of every dialect is what published templates write of earlier calls', (t) => {
  for (const [name, dialectName, count] of published) {
    const dialect = toolDialects.find((each) => each.name === dialectName);
    if (dialect === undefined) continue;
    const text = new JinjaTemplate(templateOf(name), name).render(
      {
        messages: [
          { role: 'user', content: 'weather?' },
          { role: 'assistant', content: '', tool_calls: calls.slice(0, count).map((call) => ({ function: call })) },
        ],
        tools: null,
        bos_token: '',
      },
      { now: () => new Date(2026, 0, 1) },
    );
    t.true(text.includes(writeCalls(dialect.syntax, calls.slice(0, count))), `${name}\n${text}`);
  }
});

/** What stands between the marks of a written call, or all of it. */
const bodyOf = (dialect: ToolDialect, text: string) =>
  dialect.kind === 'marked' ? text.slice(dialect.open.length, text.length - dialect.close.length) : text;

test('parse of every dialect reads what its syntax writes', (t) => {
  for (const dialect of toolDialects) {
    for (const call of calls) {
      const parsed = [dialect.parse(bodyOf(dialect, writeCalls(dialect.syntax, [call])), tools)].flat();
      t.is(parsed[0]?.name, call.name, dialect.name);
      t.deepEqual(JSON.parse(parsed[0]?.arguments ?? ''), call.arguments, dialect.name);
    }
  }
});
