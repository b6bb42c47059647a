import { CortexError } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { canonicalModelId, formatSourceId, isSourceId, parseSourceId } from './source-id.js';

test('parseSourceId takes org/name with and without a scheme', (t) => {
  t.deepEqual(parseSourceId('Qwen/Qwen3-8B', 'huggingface'), {
    scheme: 'huggingface',
    repository: 'Qwen/Qwen3-8B',
    revision: 'main',
  });
  t.deepEqual(parseSourceId('lan:a/b.c_d', 'huggingface'), { scheme: 'lan', repository: 'a/b.c_d', revision: 'main' });
  t.is(parseSourceId('a/b@v1.0', 'huggingface').revision, 'v1.0');
  t.is(parseSourceId(`lan:a/b@${'c'.repeat(40)}`, 'huggingface').revision, 'c'.repeat(40));
});

test('parseSourceId refuses what no registry has, a path above all', (t) => {
  const bad = [
    '',
    'a',
    '/a/b',
    'a/b/c',
    'a/',
    '/b',
    '../b',
    'a/..',
    'a/b..c',
    'a/.b',
    ':a/b',
    'x:a/b',
    'lan:',
    'lan:a',
    'a/b@',
    'a/b@x/y',
    'a/b@x@y',
    'a/b@..',
    'a/b@a..b',
    'a@x/b',
  ];
  bad.push(
    'LAN:a/b',
    'a:b:c/d',
    'lan:/b',
    'a/b:c',
    'a\\b/c',
    'a/b\0',
    'a/b c',
    'a/b%2f',
    'a/b--c',
    'a/b?x',
    'a/b#x',
    'ä/b',
  );
  bad.push(`a/${'b'.repeat(97)}`);
  for (const id of bad) {
    const error = t.throws(() => parseSourceId(id, 'huggingface'), { instanceOf: CortexError }, JSON.stringify(id));
    t.is((error as CortexError).code, 'model_id_invalid', id);
    t.false(isSourceId(id, 'huggingface'));
  }
});

test('parseSourceId gives only repositories that stay below the folder they name, whatever is asked', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('.', '/', '-', 'a', ':', '\\', '~', ' ', '@') }), (id) => {
      if (!isSourceId(id, 'huggingface')) return true;
      const { repository, revision } = parseSourceId(id, 'huggingface');
      return (
        !/\/|^\.|\.\./.test(revision) && repository.split('/').length === 2 && !/(?:^|\/)\.|\.\.|--/.test(repository)
      );
    }),
  );
  t.pass();
});

test('an id has one spelling: neither the default scheme nor the main revision is written', (t) => {
  t.is(canonicalModelId('huggingface:a/b', 'huggingface'), 'a/b');
  t.is(canonicalModelId('lan:a/b', 'huggingface'), 'lan:a/b');
  t.is(canonicalModelId('a/b', 'huggingface'), 'a/b');
  t.is(canonicalModelId('huggingface:a/b@main', 'huggingface'), 'a/b');
  t.is(canonicalModelId('a/b@dev', 'huggingface'), 'a/b@dev');
  for (const id of ['a/b', 'lan:a/b', 'huggingface:a/b', 'a/b@main', 'lan:a/b@v1', 'huggingface:a/b@v1'])
    t.is(formatSourceId(parseSourceId(id, 'huggingface'), 'huggingface'), canonicalModelId(id, 'huggingface'));
});
