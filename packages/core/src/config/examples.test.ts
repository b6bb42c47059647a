import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { parse } from 'smol-toml';
import type { z } from 'zod';
import { gatewayConfigSchema } from './gateway-config.js';
import { modelsConfigSchema } from './models-config.js';
import { neuronConfigSchema } from './neuron-config.js';
import { keysAt, schemaAt } from './schema-keys.js';

const examples = join(import.meta.dirname, '..', '..', '..', '..', 'examples');

/** Every key of a schema, with its path; items of an array count as the first one. */
const allKeys = (schema: z.ZodType, path: readonly (string | number)[] = []): string[] => {
  const keys = keysAt(schema, path);
  const inner =
    keys.length > 0 ? keys.map((key) => [...path, key]) : schemaAt(schema, [...path, 0]) ? [[...path, 0]] : [];
  const here = path.length > 0 && typeof path.at(-1) === 'string' ? [path.join('.')] : [];
  return [...here, ...inner.flatMap((each) => allKeys(schema, each))];
};

/** Whether a document has a value at a path; of an array any item may have it. */
const has = (document: unknown, path: string): boolean => {
  const [step, ...rest] = path.split('.') as [string, ...string[]];
  if (typeof document !== 'object' || document === null) return false;
  if (Array.isArray(document) && rest.length > 0) return document.some((item) => has(item, rest.join('.')));
  if (!Object.hasOwn(document, step)) return false;
  return rest.length === 0 || has((document as Record<string, unknown>)[step], rest.join('.'));
};

const files = [
  ['cortex.toml', gatewayConfigSchema],
  ['neuron.toml', neuronConfigSchema],
  ['models.toml', modelsConfigSchema],
] as const;

for (const [name, schema] of files.slice(0, 2)) {
  test(`examples/${name} loads, and its values are the defaults`, async (t) => {
    const document = parse(await readFile(join(examples, name), 'utf8'));
    const { neurons: _, ...values } = schema.parse(document) as Record<string, unknown>;
    const { neurons: __, ...defaults } = schema.parse({}) as Record<string, unknown>;
    t.deepEqual(values, defaults);
  });
}

for (const [name, schema] of files) {
  test(`examples/${name} documents every key of the schema, each with a value that is accepted`, async (t) => {
    const text = await readFile(join(examples, name), 'utf8');
    const document = parse(text.replace(/^# (?=\[\[|[a-z_]+ = )/gm, ''));
    t.notThrows(() => schema.parse(document));
    t.deepEqual(
      allKeys(schema).filter((key) => !has(document, key)),
      [],
    );
  });
}
