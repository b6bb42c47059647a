import { isRecord } from '../../text/json.js';
import type { FactsSource } from './exclusion.js';
import { type Facts, isSame } from './facts.js';
import type { Located } from './refuse-keyword.js';
import { meets } from './string-node.js';

/** Whether a value meets what schemas say; used for values that are written out in a schema. */
export function holds(value: unknown, facts: Facts, source: FactsSource): boolean {
  const { types, values, notValues } = facts;
  if (values && !values.some((each) => isSame(each, value))) return false;
  if (notValues.some((each) => isSame(each, value))) return false;
  if (value === null) return types.has('null');
  if (typeof value === 'boolean') return types.has('boolean');
  if (typeof value === 'string') {
    const { min, max, conditions } = facts.string;
    const length = [...value].length;
    const isLong = length >= min && (max === null || length <= max);
    return (
      types.has('string') && isLong && conditions.every((condition) => meets(value, condition) !== condition.isNegated)
    );
  }
  if (typeof value === 'number') return numberHolds(value, facts);
  if (Array.isArray(value)) return arrayHolds(value, facts, source);
  return isRecord(value) && objectHolds(value, facts, source);
}

const anyHolds = (value: unknown, schemas: readonly Located[], source: FactsSource): boolean =>
  source.factsOf(schemas).some((facts) => holds(value, facts, source));

function numberHolds(value: number, { types, number: { min, max, multiplesOf } }: Facts): boolean {
  const isOfType = types.has('number') || (types.has('integer') && Number.isInteger(value));
  const isWithin = (min === null || value >= min) && (max === null || value <= max);
  return (
    isOfType &&
    isWithin &&
    multiplesOf.every((multiple) => Number.isInteger(Number((value / multiple).toPrecision(15))))
  );
}

function arrayHolds(value: readonly unknown[], { types, array }: Facts, source: FactsSource): boolean {
  const isLong = value.length >= array.min && (array.max === null || value.length <= array.max);
  const isUnique =
    array.unique === null || value.every((each, index) => !value.slice(0, index).some((other) => isSame(each, other)));
  return (
    types.has('array') &&
    isLong &&
    isUnique &&
    value.every((each, index) => anyHolds(each, array.prefix[index] ?? array.rest ?? [], source)) &&
    array.contains.every((wanted) => value.some((each) => anyHolds(each, [wanted], source)))
  );
}

function objectHolds(value: Readonly<Record<string, unknown>>, { types, object }: Facts, source: FactsSource): boolean {
  const keys = Object.keys(value);
  const schemasOf = (key: string): readonly Located[] => {
    const own = object.properties.get(key);
    if (own) return own;
    const matched = object.patterns.filter(({ pattern }) => meets(key, pattern)).flatMap(({ schemas }) => schemas);
    return matched.length > 0 ? matched : (object.rest ?? []);
  };
  return (
    types.has('object') &&
    keys.length >= object.min &&
    (object.max === null || keys.length <= object.max) &&
    [...object.required].every((key) => Object.hasOwn(value, key)) &&
    keys.every((key) => object.names.every((names) => anyHolds(key, [names], source))) &&
    keys.every((key) => anyHolds(value[key], schemasOf(key), source))
  );
}
