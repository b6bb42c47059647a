import { isRecord } from '../../text/json.js';
import { jsonTypes, standingOf } from './keywords.js';

/** Says of an object that it has not got these properties: ours alone, since schemas cannot say it plainly. */
export const forbiddenKeyword = Symbol('forbidden');

/** Says of a string that it does not match; likewise. */
export const notPatternKeyword = Symbol('not pattern');

/** Says of a value that it is none of these; likewise. */
export const notEnumKeyword = Symbol('not enum');

/**
 * A schema for everything that another one does not admit, or the keyword for which there is none. Nothing is widened: a
 * value that meets the result fails the schema.
 */
export function negateSchema(schema: unknown): { readonly schema: unknown } | { readonly keyword: string } {
  if (schema === true) return { schema: false };
  if (schema === false) return { schema: true };
  if (!isRecord(schema)) return { keyword: 'not' };
  const options: unknown[] = [];
  for (const [keyword, value] of Object.entries(schema)) {
    if (standingOf(keyword) === 'annotation') continue;
    const negated = negateKeyword(keyword, value, schema);
    if (negated === null) return { keyword };
    options.push(...negated);
  }
  return { schema: options.length === 1 ? options[0] : { anyOf: options } };
}

/** Alternatives to one keyword; null when there are none that can be said. */
function negateKeyword(keyword: string, value: unknown, schema: Readonly<Record<string, unknown>>): unknown[] | null {
  switch (keyword) {
    case 'type': {
      const types = (Array.isArray(value) ? value : [value]) as unknown[];
      // Numbers that are no integers cannot be told from those that are by their spelling alone.
      if (types.includes('integer') && !types.includes('number')) return null;
      const left = jsonTypes.filter((type) => type !== 'integer' && !types.includes(type));
      return left.length === 0 ? [false] : [{ type: left }];
    }
    case 'const':
      return [{ [notEnumKeyword]: [value] }];
    case 'enum':
      return Array.isArray(value) ? [{ [notEnumKeyword]: value }] : null;
    case 'required':
      return Array.isArray(value) ? value.map((key) => ({ type: 'object', [forbiddenKeyword]: [key] })) : null;
    case 'properties': {
      if (!isRecord(value)) return null;
      const options: unknown[] = [];
      for (const [key, each] of Object.entries(value)) {
        const negated = negateSchema(each);
        if ('keyword' in negated) return null;
        options.push({ type: 'object', required: [key], properties: { [key]: negated.schema } });
      }
      return options;
    }
    case 'pattern':
      return [{ type: 'string', [notPatternKeyword]: [value] }];
    case 'minLength':
      return value === 0 ? [false] : [{ type: 'string', maxLength: Number(value) - 1 }];
    case 'maxLength':
      return [{ type: 'string', minLength: Number(value) + 1 }];
    case 'minimum':
      return [{ type: 'number', exclusiveMaximum: value }];
    case 'maximum':
      return [{ type: 'number', exclusiveMinimum: value }];
    case 'exclusiveMinimum':
      return [{ type: 'number', maximum: value }];
    case 'exclusiveMaximum':
      return [{ type: 'number', minimum: value }];
    case 'minItems':
      return value === 0 ? [false] : [{ type: 'array', maxItems: Number(value) - 1 }];
    case 'maxItems':
      return [{ type: 'array', minItems: Number(value) + 1 }];
    case 'not':
      return [value];
    case 'anyOf':
    case 'allOf': {
      if (!Array.isArray(value)) return null;
      const all = value.map(negateSchema);
      const schemas = all.flatMap((each) => ('keyword' in each ? [] : [each.schema]));
      if (schemas.length < all.length) return null;
      return keyword === 'anyOf' ? [{ allOf: schemas }] : schemas;
    }
    // These say nothing without `if`, which is not negated here.
    case 'then':
    case 'else':
      return 'if' in schema ? null : [];
    default:
      return null;
  }
}
