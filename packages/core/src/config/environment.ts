import { parse } from 'smol-toml';
import { z } from 'zod';
import { CortexError } from '../errors/cortex-error.js';
import { nearestOf } from '../text/nearest.js';
import { keysAt, schemaAt } from './schema-keys.js';

export interface EnvironmentValue {
  readonly path: readonly string[];
  readonly value: unknown;
  readonly name: string;
}

/** A TOML literal when the text is one, else the text itself. */
const literal = (text: string): unknown => {
  try {
    const document = parse(`value = ${text}`);
    // A line break could smuggle in further keys.
    return Object.keys(document).length === 1 ? document['value'] : text;
  } catch {
    return text;
  }
};

/** A literal in the type the schema wants: `NAME=12` may be meant as text. */
const valueFor = (schema: z.core.$ZodType | undefined, text: string): unknown => {
  const value = literal(text);
  return schema instanceof z.ZodString && typeof value !== 'string' ? text : value;
};

/**
 * Values that the environment sets: `PREFIX_A__B` is key `a.b`.
 *
 * A single name that is no top-level key belongs to somebody else and is left alone; a path with a double underscore
 * can only be meant for us, so an unknown one is an error.
 */
export const environmentValues = (
  schema: z.core.$ZodType,
  prefix: string,
  environment: Readonly<Record<string, string | undefined>>,
): EnvironmentValue[] => {
  const values: EnvironmentValue[] = [];
  for (const name of Object.keys(environment).sort()) {
    const text = environment[name];
    if (!name.startsWith(prefix) || text === undefined) continue;
    const path = name.slice(prefix.length).toLowerCase().split('__');
    const known = path.every((_, depth) => keysAt(schema, path.slice(0, depth)).includes(path[depth] as string));
    if (known) {
      values.push({ path, value: valueFor(schemaAt(schema, path), text), name });
    } else if (path.length > 1) {
      const depth = path.findIndex((step, index) => !keysAt(schema, path.slice(0, index)).includes(step));
      const nearest = nearestOf(path[depth] as string, keysAt(schema, path.slice(0, depth)));
      throw new CortexError('config_invalid', {
        where: name,
        reason: `key '${path.join('.')}' is unknown`,
        ...(nearest ? { nearest: prefix + [...path.slice(0, depth), nearest].join('__').toUpperCase() } : {}),
      });
    }
  }
  return values;
};
