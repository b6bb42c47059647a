import { CortexError } from '@helexa/core';
import test from 'ava';
import { compilePattern } from './pattern.js';

const matches = (pattern: string, text: string) => text.match(compilePattern(pattern, 'test')) ?? [];

test('compilePattern folds case only inside (?i:...)', (t) => {
  t.deepEqual(matches("(?i:'s|'ll)|x", "'S 'lL X x"), ["'S", "'lL", 'x']);
});

test('compilePattern folds the long s and the kelvin sign as Unicode does', (t) => {
  t.deepEqual(matches('(?i:s|k)', 'ſ\u212A'), ['ſ', '\u212A']);
});

test('compilePattern gives white space its Unicode meaning, not that of JavaScript', (t) => {
  t.deepEqual(matches('\\s', '\u0085\u2003\ufeff'), ['\u0085', '\u2003']);
  t.deepEqual(matches('[^\\s]', '\u0085\ufeff'), ['\ufeff']);
});

test('compilePattern never gives back what a possessive quantifier took', (t) => {
  t.deepEqual(matches('a++b?a', 'aaa'), []);
  t.deepEqual(matches('a+b?a', 'aaa'), ['aaa']);
  t.deepEqual(matches('\\p{N}{1,3}+x', '1234x'), ['1234x']);
});

test('compilePattern takes atomic groups, intersections and scripts', (t) => {
  t.deepEqual(matches('(?>ab|a)c', 'ac abc'), ['ac', 'abc']);
  t.deepEqual(matches('[\\p{L}&&[^\\p{Han}]]+', 'ab中cd'), ['ab', 'cd']);
  t.deepEqual(matches('\\p{Han}', 'a中'), ['中']);
  t.deepEqual(matches('[a\\-\\]"/]+', 'a-]"/'), ['a-]"/']);
});

test('compilePattern anchors ^ and $ at lines', (t) => {
  t.deepEqual(matches('^a$', 'a\nb\na'), ['a', 'a']);
});

test('compilePattern refuses an unbounded repetition that may take exponential time', (t) => {
  for (const pattern of ['(a+)+b', '(?:a|a)*b', '(a*)*']) {
    const error = t.throws(() => compilePattern(pattern, 'test'), { instanceOf: CortexError }) as CortexError;
    t.is(error.code, 'tokenizer_unsupported');
  }
});

test('compilePattern turns every malformed pattern into a typed error', (t) => {
  const malformed = [
    '(',
    ')',
    '[',
    '[b-a]',
    '*',
    'a|+',
    '\\',
    '(?',
    '(?<',
    '\\p{Nope}',
    '\\q',
    '('.repeat(5000),
    '\\1',
  ];
  for (const pattern of malformed) {
    const error = t.throws(() => compilePattern(pattern, 'test'), { instanceOf: CortexError }, pattern) as CortexError;
    t.regex(error.code, /^tokenizer_(?:invalid|unsupported)$/);
  }
});
