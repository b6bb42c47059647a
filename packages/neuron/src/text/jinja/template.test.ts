import { readFileSync } from 'node:fs';
import { CortexError } from '@helexa/core';
import test from 'ava';
import { JinjaTemplate } from './template.js';

const fixture = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../fixtures/text/${name}`, import.meta.url), 'utf8'));

const now = () => new Date(2026, 6, 26, 9, 5, 7);
const render = (template: string, variables: Record<string, unknown> = {}) =>
  new JinjaTemplate(template, 'test').render(variables, { now });

interface Recorded {
  readonly template: string;
  readonly expected?: string;
  readonly error?: string;
}

test('JinjaTemplate renders and refuses what the reference renders and refuses', (t) => {
  const { context, cases } = fixture('jinja-cases.json') as { context: Record<string, unknown>; cases: Recorded[] };
  t.true(cases.length > 100);
  for (const { template, expected, error } of cases) {
    if (error === undefined) t.is(render(template, context), expected ?? '', template);
    else {
      const thrown = t.throws(() => render(template, context), { instanceOf: CortexError }, template) as CortexError;
      t.regex(thrown.code, /^template_(?:invalid|render_failed)$/, template);
    }
  }
});

test('JinjaTemplate renders published chat templates byte for byte', (t) => {
  const cases = fixture('templates/cases.json') as (Recorded & { context: Record<string, unknown> })[];
  t.true(cases.length > 30);
  for (const { template, context, expected, error } of cases) {
    const file = new URL(`../../../fixtures/text/templates/${template}.jinja`, import.meta.url);
    const compiled = new JinjaTemplate(readFileSync(file, 'utf8'), template);
    if (error === undefined) t.is(compiled.render(context, { now }), expected ?? '', template);
    else t.throws(() => compiled.render(context, { now }), { instanceOf: CortexError }, template);
  }
});

test('JinjaTemplate names the line of a mistake and of a failure', (t) => {
  const syntax = t.throws(() => new JinjaTemplate('a\n{% if %}', 'chat'), { instanceOf: CortexError }) as CortexError;
  t.is(syntax.code, 'template_invalid');
  t.regex(syntax.message, /'chat' at line 2/);
  const failure = t.throws(() => render("a\n\n{{ raise_exception('no') }}"), {
    instanceOf: CortexError,
  }) as CortexError;
  t.is(failure.code, 'template_render_failed');
  t.regex(failure.message, /line 3: no$/);
});

test('JinjaTemplate prints the time it is given', (t) => {
  t.is(
    render("{{ strftime_now('%d %b %Y %H:%M:%S %A %-d %j %y %p %%') }}"),
    '26 Jul 2026 09:05:07 Sunday 26 207 26 AM %',
  );
});

test('JinjaTemplate ends hostile templates in bounded time', (t) => {
  const hostile = [
    '{% for i in range(10**9) %}x{% endfor %}',
    '{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}',
    "{{ 'x' * 10**9 }}",
    "{{ 'x'.ljust(10**9) }}{{ 'x'.zfill(10**9) }}",
    '{{ [0] * 10**9 }}',
    "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s + ns.s %}{% endfor %}{{ ns.s }}",
    "{% set ns = namespace(s='x') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('x', 'xx') %}{% endfor %}{{ ns.s }}",
    '{% set ns = namespace(l=[1]) %}{% for i in range(99) %}{% set ns.l = ns.l + ns.l %}{% endfor %}',
    '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}',
    '{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}',
    '{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l }}',
    `{{ ${'('.repeat(9999)}1${')'.repeat(9999)} }}`,
    `{{ ${'-'.repeat(9999)}1 }}`,
    `{{ ${'not '.repeat(9999)}1 }}`,
    `${'{% if true %}'.repeat(9999)}${'{% endif %}'.repeat(9999)}`,
    `{{ x${'[0]'.repeat(99999)} }}`,
    `{{ 1${' + 1'.repeat(99999)} }}`,
    'x'.repeat(2_000_000),
  ];
  for (const template of hostile) {
    const error = t.throws(() => render(template), { instanceOf: CortexError }, template.slice(0, 60)) as CortexError;
    t.regex(error.code, /^template_(?:invalid|render_failed)$/);
  }
});

test('JinjaTemplate reaches no prototype', (t) => {
  for (const name of ['constructor', '__proto__', 'prototype', 'toString', 'valueOf', 'hasOwnProperty']) {
    for (const object of ['x', 'd', 'l', 's', 'm', 'ns', 'range', 'loop']) {
      const template = `{% macro m() %}{% endmacro %}{% set ns = namespace() %}{{ ${object}.${name} is defined }}`;
      t.is(render(template, { x: {}, d: { a: 1 }, l: [1], s: 'a', loop: 1 }), 'False', `${object}.${name}`);
    }
  }
  t.is(render('{{ x.__proto__ }}', JSON.parse('{"x": {"__proto__": "mine"}}') as Record<string, unknown>), 'mine');
});

test('JinjaTemplate renders a long conversation far below its limits', (t) => {
  const messages = Array.from({ length: 2000 }, (_, i) => ({
    role: i % 2 ? 'assistant' : 'user',
    content: 'x'.repeat(500),
  }));
  const file = new URL('../../../fixtures/text/templates/Qwen3.5-4B.jinja', import.meta.url);
  const text = new JinjaTemplate(readFileSync(file, 'utf8'), 'long').render(
    { messages, add_generation_prompt: true },
    { now },
  );
  t.true(text.length > 1_000_000);
});
