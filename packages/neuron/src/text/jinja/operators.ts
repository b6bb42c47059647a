import type { BinaryOperator, Comparison } from './ast.js';
import type { Runtime } from './runtime.js';
import {
  compareValues,
  float,
  isDict,
  isEqual,
  isFloat,
  isList,
  isUndefined,
  itemsOf,
  numberOf,
  reprOf,
  Tuple,
  textOf,
  typeName,
  type Value,
} from './values.js';

/** Applies an arithmetic or joining operator. */
export function applyBinary(operator: BinaryOperator, left: Value, right: Value, runtime: Runtime): Value {
  if (operator === '~') return join(textOf(left, runtime), textOf(right, runtime), runtime);
  for (const side of [left, right]) if (isUndefined(side)) throw runtime.fail(side.reason);
  if (operator === '+') {
    if (typeof left === 'string' && typeof right === 'string') return join(left, right, runtime);
    if (isList(left) && isList(right) && left instanceof Tuple === right instanceof Tuple) {
      const items = runtime.list([...left, ...right]);
      return left instanceof Tuple ? Tuple.make(items) : items;
    }
  }
  if (operator === '*') {
    const repeated = repeat(left, right, runtime) ?? repeat(right, left, runtime);
    if (repeated !== null) return repeated;
  }
  if (operator === '%' && typeof left === 'string') return formatPercent(left, right, runtime);
  const [x, y] = [numberOf(left), numberOf(right)];
  if (x === null || y === null) {
    throw runtime.fail(`'${operator}' does not take '${typeName(left)}' and '${typeName(right)}'`);
  }
  return arithmetic(operator, x, y, isFloat(left) || isFloat(right), runtime);
}

/** Ropes make joining cheap, so only the length counts. */
function join(left: string, right: string, runtime: Runtime): string {
  runtime.reserve(left.length + right.length);
  return left + right;
}

function repeat(value: Value, times: Value, runtime: Runtime): Value | null {
  if (typeof times !== 'number' || !Number.isInteger(times)) return null;
  const count = Math.max(0, times);
  if (typeof value === 'string') {
    runtime.reserve(value.length * count);
    return runtime.text(value.repeat(count));
  }
  if (!isList(value)) return null;
  runtime.spend((value.length * count) >> 3);
  runtime.reserve(value.length * count);
  const items: Value[] = [];
  for (let i = 0; i < count; i++) for (const item of value) items.push(item);
  return value instanceof Tuple ? Tuple.make(items) : items;
}

function arithmetic(operator: BinaryOperator, x: number, y: number, floats: boolean, runtime: Runtime): Value {
  const result = (value: number): Value => (floats ? float(value) : value);
  switch (operator) {
    case '+':
      return result(x + y);
    case '-':
      return result(x - y);
    case '*':
      return result(x * y);
    case '**':
      return floats || y < 0 ? float(x ** y) : x ** y;
  }
  if (y === 0) throw runtime.fail('division by zero');
  if (operator === '/') return float(x / y);
  // Python floors: the remainder has the divisor's sign.
  if (operator === '//') return result(Math.floor(x / y));
  const remainder = x % y;
  return result(remainder !== 0 && remainder < 0 !== y < 0 ? remainder + y : remainder);
}

/** Applies a comparison. */
export function applyComparison(operator: Comparison, left: Value, right: Value, runtime: Runtime): boolean {
  switch (operator) {
    case '==':
      return isEqual(left, right, runtime);
    case '!=':
      return !isEqual(left, right, runtime);
    case 'in':
      return contains(right, left, runtime);
    case 'not in':
      return !contains(right, left, runtime);
    case '<':
      return compareValues(left, right, runtime) < 0;
    case '<=':
      return compareValues(left, right, runtime) <= 0;
    case '>':
      return compareValues(left, right, runtime) > 0;
    case '>=':
      return compareValues(left, right, runtime) >= 0;
  }
}

/** Python's `item in container`. */
export function contains(container: Value, item: Value, runtime: Runtime): boolean {
  if (typeof container === 'string') {
    if (typeof item !== 'string') throw runtime.fail(`a text holds texts only, not '${typeName(item)}'`);
    runtime.spend(container.length >> 6);
    return container.includes(item);
  }
  if (isDict(container)) return container.has(item);
  return itemsOf(container, runtime).some((member) => isEqual(member, item, runtime));
}

/** Python's `%` on a string, for the directives that templates use. */
export function formatPercent(format: string, value: Value, runtime: Runtime): string {
  const values = value instanceof Tuple ? value : [value];
  let next = 0;
  const text = format.replace(
    /%(?:\((\w+)\))?(-?)(0?)(\d{0,3})(?:\.(\d{1,2}))?([a-zA-Z%])/g,
    (_, key: string | undefined, left: string, zero: string, width: string, digits: string, directive: string) => {
      if (directive === '%') return '%';
      const item = key === undefined ? values[next++] : isDict(value) ? value.get(key) : undefined;
      if (item === undefined) throw runtime.fail('the format wants more values than there are');
      const body = formatDirective(directive, item, digits === undefined ? null : Number(digits), runtime);
      if (left === '-') return body.padEnd(Number(width));
      return body.padStart(Number(width), zero === '0' ? '0' : ' ');
    },
  );
  return runtime.text(text);
}

function formatDirective(directive: string, item: Value, digits: number | null, runtime: Runtime): string {
  if (directive === 's') return textOf(item, runtime);
  if (directive === 'r') return reprOf(item, runtime);
  const number = numberOf(item);
  if (number === null) throw runtime.fail(`the format '%${directive}' wants a number, not '${typeName(item)}'`);
  if (directive === 'd' || directive === 'i') return String(Math.trunc(number));
  if (directive === 'f') return number.toFixed(digits ?? 6);
  if (directive === 'x') return Math.trunc(number).toString(16);
  throw runtime.fail(`the format '%${directive}' is not known`);
}
