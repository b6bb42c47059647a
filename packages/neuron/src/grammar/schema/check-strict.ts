import { isRecord } from '../../text/json.js';
import { below, type RefuseKeyword } from './refuse-keyword.js';

/** Keywords whose values are schemas: one, a list, or by name. */
const one = ['items', 'additionalItems', 'contains', 'not', 'if', 'then', 'else', 'propertyNames'];
const lists = ['allOf', 'anyOf', 'oneOf', 'prefixItems', 'items'];
const named = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];

/** Refuses a schema that OpenAI would refuse as `strict`: every object names all its properties and requires them. */
export function checkStrict(schema: unknown, refuse: RefuseKeyword, path = '#'): void {
  if (!isRecord(schema)) return;
  const { properties, required, type } = schema;
  const isObject = type === 'object' || (Array.isArray(type) && type.includes('object')) || properties !== undefined;
  if (isObject && schema['additionalProperties'] !== false) {
    refuse('additionalProperties', path, "a strict schema wants 'false'");
  }
  const missing = isRecord(properties)
    ? Object.keys(properties).find((key) => !Array.isArray(required) || !required.includes(key))
    : undefined;
  if (missing !== undefined)
    refuse('required', path, `a strict schema requires every property; '${missing}' is not named`);
  for (const keyword of one) if (isRecord(schema[keyword])) checkStrict(schema[keyword], refuse, below(path, keyword));
  for (const keyword of lists) {
    const list = schema[keyword];
    if (Array.isArray(list))
      for (const [index, each] of list.entries()) checkStrict(each, refuse, below(path, keyword, index));
  }
  for (const keyword of named) {
    const members = schema[keyword];
    if (isRecord(members))
      for (const [key, each] of Object.entries(members)) checkStrict(each, refuse, below(path, keyword, key));
  }
}
