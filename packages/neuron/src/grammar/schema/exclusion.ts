import type { Facts } from './facts.js';
import { holds } from './holds.js';
import type { JsonType } from './keywords.js';
import type { Located } from './refuse-keyword.js';

/** Follows what schemas say into their alternatives. */
export interface FactsSource {
  factsOf(schemas: readonly Located[]): readonly Facts[];
}

/** Properties are compared this deep: schemas may go round in circles. */
const maxDepth = 4;

/** Whether no value that one of two alternatives writes is admitted by the other. */
export const excludesEachOther = (a: Facts, b: Facts, source: FactsSource, depth = 0): boolean =>
  excludes(a, b, source, depth) && excludes(b, a, source, depth);

/** Whether nothing that `written` writes meets `other`; not knowing is no. */
function excludes(written: Facts, other: Facts, source: FactsSource, depth: number): boolean {
  if (written.values)
    return written.values.every((value) => !holds(value, written, source) || !holds(value, other, source));
  if (other.values)
    return other.values.every((value) => !holds(value, other, source) || !holds(value, written, source));
  return commonTypes(written, other).every((type) => {
    switch (type) {
      case 'object':
        return objectsExclude(written, other, source, depth);
      case 'array':
        return isApart(written.array.min, written.array.max, other.array.min, other.array.max);
      case 'string':
        return isApart(written.string.min, written.string.max, other.string.min, other.string.max);
      case 'number':
      case 'integer':
        return isApart(written.number.min, written.number.max, other.number.min, other.number.max);
      default:
        return false;
    }
  });
}

function commonTypes(a: Facts, b: Facts): JsonType[] {
  const has = (facts: Facts, type: JsonType): boolean =>
    facts.types.has(type) || (type === 'integer' && facts.types.has('number'));
  return [...new Set([...a.types, ...b.types])].filter((type) => has(a, type) && has(b, type));
}

const isApart = (minA: number | null, maxA: number | null, minB: number | null, maxB: number | null): boolean =>
  (maxA !== null && minB !== null && maxA < minB) || (maxB !== null && minA !== null && maxB < minA);

function objectsExclude(written: Facts, other: Facts, source: FactsSource, depth: number): boolean {
  const [a, b] = [written.object, other.object];
  const isClosed =
    a.patterns.length === 0 &&
    (a.rest === null ? a.properties.size > 0 : a.rest.some(({ schema }) => schema === false));
  return [...b.required].some((key) => {
    const own = a.properties.get(key);
    if (!own) return isClosed;
    if (own.some(({ schema }) => schema === false)) return true;
    if (!a.required.has(key) || depth >= maxDepth) return false;
    const others = source.factsOf(b.properties.get(key) ?? []);
    return source
      .factsOf(own)
      .every((mine) => others.every((theirs) => excludesEachOther(mine, theirs, source, depth + 1)));
  });
}
