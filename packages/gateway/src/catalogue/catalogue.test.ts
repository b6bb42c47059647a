import { modelsConfigSchema } from '@helexa/core';
import test from 'ava';
import { createCatalogue, resolveAlias } from './catalogue.js';

test('createCatalogue knows a model of another source as its neurons list it, and its id alone as another name', (t) => {
  const catalogue = createCatalogue(
    modelsConfigSchema.parse({
      models: [
        { id: 'org/far', source: 'lan' },
        { id: 'org/near', source: 'huggingface' },
      ],
      aliases: { far: 'org/far', near: 'org/near' },
    }),
  );
  t.deepEqual([...catalogue.entries.keys()], ['lan:org/far', 'org/near']);
  t.is(resolveAlias(catalogue, 'org/far'), 'lan:org/far');
  t.is(resolveAlias(catalogue, 'far'), 'lan:org/far');
  t.is(resolveAlias(catalogue, 'near'), 'org/near');
});

test('modelsConfigSchema refuses two sources of one model, and a harness that is not there', (t) => {
  t.false(modelsConfigSchema.safeParse({ models: [{ id: 'lan:org/m', source: 'lan' }] }).success);
  t.false(modelsConfigSchema.safeParse({ models: [{ id: 'org/m', harness: 'other' }] }).success);
});
