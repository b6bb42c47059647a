import { isRecord, parseJson } from '../json.js';

/** Schemas of the arguments that a tool declares. */
export function propertiesOf(schema: unknown): ReadonlyMap<string, unknown> {
  const properties = isRecord(schema) ? schema['properties'] : undefined;
  return new Map(isRecord(properties) ? Object.entries(properties) : []);
}

/**
 * JSON text of an argument that was written as plain text, by the type that the tool's schema declares. A value that is not of
 * a declared type stays the text that it is; one without a declared type is JSON where it reads as JSON.
 *
 * @example jsonOfText('42', { type: 'integer' }, schema) // '42'
 */
export function jsonOfText(text: string, declared: unknown, schema: unknown): string {
  const types = typesOf(declared, schema);
  const asText = JSON.stringify(text);
  if (types.size === 1 && types.has('string')) return asText;
  const trimmed = text.trim();
  const value = parseJson(trimmed);
  if (value === undefined) return asText;
  return types.size === 0 || fits(value, types) ? trimmed : asText;
}

function fits(value: unknown, types: ReadonlySet<string>): boolean {
  if (value === null) return types.has('null');
  if (typeof value === 'number') return types.has('number') || types.has('integer');
  if (typeof value === 'object') return types.has('object') || types.has('array');
  return types.has(typeof value) && typeof value !== 'string';
}

const jsonTypes = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'] as const;
/** Deeper references than any honest schema has; also the end of a circle of them. */
const maxDepth = 8;

/** Types that a schema allows, through references, alternatives and lists of types; none when it does not say. */
function typesOf(schema: unknown, root: unknown, depth = 0): ReadonlySet<string> {
  if (!isRecord(schema) || depth > maxDepth) return new Set();
  const declared = Array.isArray(schema['type']) ? (schema['type'] as unknown[]) : [schema['type']];
  const own = jsonTypes.filter((type) => declared.includes(type));
  if (own.length > 0) return new Set(own);
  const within = (part: unknown) => typesOf(part, root, depth + 1);
  const reference = schema['$ref'];
  if (typeof reference === 'string') return within(resolve(reference, root));
  for (const key of ['anyOf', 'oneOf', 'allOf']) {
    const parts = schema[key];
    if (!Array.isArray(parts)) continue;
    const found = new Set((parts as unknown[]).flatMap((part) => [...within(part)]));
    if (found.size > 0) return found;
  }
  const values = Array.isArray(schema['enum']) ? (schema['enum'] as unknown[]) : [schema['const']];
  return new Set(values.length > 0 && values.every((value) => typeof value === 'string') ? ['string'] : []);
}

/** What a reference within the same schema points at. */
function resolve(reference: string, root: unknown): unknown {
  if (!reference.startsWith('#/')) return undefined;
  return reference
    .slice(2)
    .split('/')
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce<unknown>((value, step) => (isRecord(value) && Object.hasOwn(value, step) ? value[step] : undefined), root);
}
