import type { Checkpoint, CortexError } from '@helexa/core';
import test from 'ava';
import type { Architecture } from './architecture.js';
import { nullBackend } from './backends/null.js';
import type { Builder } from './builder.js';
import { paperCheckpoint } from './checkpoint-tensors.js';
import { compile } from './compile.js';
import { tiny, tinyConfig, tinyForward, tinyLimits, tinyWeights } from './testing/tiny-model.js';
import type { Value } from './value.js';

const limits = { ...tinyLimits, vocab: 80, exposeLogits: true };
const config = { ...tinyConfig, vocab: 80 };
const paper = paperCheckpoint(tinyWeights(config), { format: () => 'F16' });

const compileRows = (checkpoint: Checkpoint, rest: object = {}) =>
  compile({
    architecture: tiny,
    config,
    checkpoint,
    ranks: 1,
    backend: nullBackend(),
    limits,
    answers: 'rows',
    ...rest,
  });

/** The same tensors under other names. */
const renamed = (rename: (name: string) => string | null): Checkpoint => ({
  ...paper,
  tensors: new Map(
    [...paper.tensors].flatMap(([name, entry]) => {
      const other = rename(name);
      return other === null ? [] : [[other, { ...entry, name: other }] as const];
    }),
  ),
});

test('compile leaves the head out of a model that answers with rows, on every rank', (t) => {
  for (const ranks of [1, 2]) {
    const whole = compileRows(paper, { ranks, answers: 'tokens' });
    const { programs } = compileRows(paper, { ranks });
    for (const [rank, program] of programs.entries()) {
      const names = program.tensors.map(({ name }) => name);
      t.false(names.includes('head'));
      t.is(whole.programs[rank]!.tensors.length, names.length + 1);
      const text = program.text;
      t.regex(text, /expose_rows/);
      t.notRegex(text, /\bsample\b/);
    }
  }
});

test('compile needs no head in the checkpoint, and takes names without their first part', (t) => {
  const { programs } = compileRows(paper);
  const names = programs[0]!.tensors.map(({ name }) => name);
  for (const rename of [
    (name: string) => (name === 'head' ? null : name),
    (name: string) => (name === 'head' ? null : name.replace(/^l\./, '')),
  ]) {
    const other = compileRows(renamed(rename));
    t.deepEqual(
      other.programs[0]!.tensors.map(({ name }) => name),
      names,
    );
  }
  const error = t.throws(() => compileRows(renamed((name) => name.replace(/^l\.1/, '')))) as CortexError;
  t.is(error.code, 'tensor_missing');
});

/** A builder that samples twice the logits. */
const doubling = (b: Builder): Builder =>
  new Proxy(b, {
    get(target, key) {
      if (key === 'sample') return (logits: Value) => target.sample(target.add(logits, logits));
      const member: unknown = Reflect.get(target, key);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });

test('compile refuses rows that the step has no room for, and a head that is not one product', (t) => {
  t.throws(() => compileRows(paper, { limits: { ...limits, exposeLogits: false } }), { message: /room for 0/ });
  const scaled: Architecture = { ...tiny, forward: (b) => tinyForward(doubling(b)) };
  t.throws(() => compileRows(paper, { architecture: scaled }), { message: /whose head is one matrix is wanted/ });
});
