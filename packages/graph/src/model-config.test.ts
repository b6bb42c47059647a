import type { CortexError, GgufValue } from '@helexa/core';
import test from 'ava';
import { ggufReader, parseModelConfig, requireConfig } from './model-config.js';

test('parseModelConfig names every field that does not fit, and the file', (t) => {
  const issues = [
    { path: ['rope', 'factor'], message: 'expected number' },
    { path: [], message: 'expected object' },
  ];
  const schema = { safeParse: () => ({ success: false, error: { issues } }) as const };
  const error = t.throws(() => parseModelConfig(schema, {}, 'config.json')) as CortexError;
  t.is(error.message, "Cannot use model config 'config.json': 'rope.factor': expected number; expected object");
  t.is(parseModelConfig({ safeParse: () => ({ success: true, data: 7 }) }, {}, 'x'), 7);
});

test('requireConfig throws only when what it requires does not hold', (t) => {
  t.notThrows(() => requireConfig(true, 'f', 'r'));
  t.throws(() => requireConfig(false, 'f', 'r'), { message: "Cannot use model config 'f': r" });
});

test('ggufReader reads under its prefix, and a per-layer list only when all layers agree', (t) => {
  const metadata = new Map<string, GgufValue>([
    ['a.heads', [8, 8]],
    ['a.mixed', [8, 4]],
    ['a.name', 'x'],
    ['b.heads', 2],
  ]);
  const read = ggufReader(metadata, 'a');
  t.deepEqual([read.number('heads'), read.number('mixed'), read.number('name')], [8, undefined, undefined]);
  t.deepEqual(
    [read.string('name'), read.string('heads'), read.has('heads'), read.has('none')],
    ['x', undefined, true, false],
  );
});
