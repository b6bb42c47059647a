import type { Runtime } from './runtime.js';

/**
 * Values of a template, with Python's meaning. Integers and broken numbers are JavaScript numbers; a float that happens to be
 * whole is a `FloatValue`, because it prints as `2.0`. Dictionaries are maps, so no template ever reaches a prototype.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | FloatValue
  | UndefinedValue
  | readonly Value[]
  | ReadonlyMap<Value, Value>
  | Namespace
  | Callable;

/** A float without a fraction. */
export class FloatValue {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A name or member that is not there. */
export class UndefinedValue {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A tuple: a list that prints with parentheses. */
export class Tuple extends Array<Value> {
  static override get [Symbol.species]() {
    return Array;
  }

  static make(items: readonly Value[]): Tuple {
    const tuple = new Tuple();
    for (const item of items) tuple.push(item);
    return tuple;
  }
}

/** What `namespace()` gives: the one thing a loop can assign to. */
export class Namespace {
  readonly members: Map<string, Value>;

  constructor(members: Map<string, Value>) {
    this.members = members;
  }
}

/** Arguments of a call, evaluated. */
export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A macro, a global function or a bound method. */
export class Callable {
  readonly name: string;
  readonly call: (args: Arguments) => Value;
  /** What `loop` lets a template read of it. */
  readonly member: (name: string) => Value | undefined;

  constructor(
    name: string,
    call: (args: Arguments) => Value,
    member: (name: string) => Value | undefined = () => undefined,
  ) {
    this.name = name;
    this.call = call;
    this.member = member;
  }
}

export type Dict = ReadonlyMap<Value, Value>;

export const isList = (value: Value): value is readonly Value[] => Array.isArray(value);
export const isDict = (value: Value): value is Dict => value instanceof Map;
export const isUndefined = (value: Value): value is UndefinedValue => value instanceof UndefinedValue;

export const float = (value: number): Value => (Number.isInteger(value) ? new FloatValue(value) : value);

export const isFloat = (value: Value): boolean =>
  value instanceof FloatValue || (typeof value === 'number' && !Number.isInteger(value));

/** Number that a value counts as in arithmetic; true is 1. Null when it is not a number. */
export function numberOf(value: Value): number | null {
  if (typeof value === 'number') return value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value instanceof FloatValue ? value.value : null;
}

/** Python's name of a value's type, for messages. */
export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'string') return 'str';
  if (typeof value === 'boolean') return 'bool';
  if (isFloat(value)) return 'float';
  if (typeof value === 'number') return 'int';
  if (value instanceof Tuple) return 'tuple';
  if (isList(value)) return 'list';
  if (isDict(value)) return 'dict';
  if (isUndefined(value)) return 'Undefined';
  return value instanceof Namespace ? 'Namespace' : 'function';
}

export function isTrue(value: Value): boolean {
  if (value === null || isUndefined(value)) return false;
  if (typeof value === 'object') {
    if (value instanceof FloatValue) return value.value !== 0;
    if (isList(value)) return value.length > 0;
    if (isDict(value)) return value.size > 0;
    return true;
  }
  return Boolean(value) || Number.isNaN(value);
}

/** Text of a value when it is printed. */
export function textOf(value: Value, runtime: Runtime): string {
  if (typeof value === 'string') return value;
  return isUndefined(value) ? '' : reprOf(value, runtime);
}

/** Python's `repr`. */
export function reprOf(value: Value, runtime: Runtime): string {
  runtime.spend();
  if (value === null) return 'None';
  if (typeof value === 'string') return runtime.text(reprOfString(value));
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number') return formatNumber(value);
  if (value instanceof FloatValue) return formatFloat(value.value);
  if (isUndefined(value)) return 'Undefined';
  if (value instanceof Namespace) return '<Namespace>';
  if (value instanceof Callable) return `<function ${value.name}>`;
  return runtime.nested(() => {
    if (isDict(value)) {
      const entries = [...value].map(([key, item]) => `${reprOf(key, runtime)}: ${reprOf(item, runtime)}`);
      return runtime.text(`{${entries.join(', ')}}`);
    }
    const items = value.map((item) => reprOf(item, runtime));
    if (value instanceof Tuple) return runtime.text(items.length === 1 ? `(${items[0]},)` : `(${items.join(', ')})`);
    return runtime.text(`[${items.join(', ')}]`);
  });
}

/** A number as Python prints it: an exponent has a sign and two digits, and begins at 1e16. */
export function formatNumber(value: number): string {
  if (Number.isInteger(value)) return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
  return formatFloat(value);
}

export function formatFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const magnitude = Math.abs(value);
  if (value !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string];
    const sign = exponent.startsWith('-') ? '-' : '+';
    return `${digits}e${sign}${exponent.replace(/^[+-]/, '').padStart(2, '0')}`;
  }
  if (Object.is(value, -0)) return '-0.0';
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const namedEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t', '\\': '\\\\' };
const unprintable = /[\\\p{C}\p{Zl}\p{Zp}\p{Zs}]/gu;

function reprOfString(value: string): string {
  const quote = value.includes("'") && !value.includes('"') ? '"' : "'";
  const escaped = value.replace(unprintable, (char) => {
    if (char === ' ') return char;
    const named = namedEscapes[char];
    if (named !== undefined) return named;
    const point = char.codePointAt(0)!;
    if (point < 0x100) return `\\x${point.toString(16).padStart(2, '0')}`;
    return point < 0x10000 ? `\\u${point.toString(16).padStart(4, '0')}` : `\\U${point.toString(16).padStart(8, '0')}`;
  });
  return quote + (quote === "'" ? escaped.replaceAll("'", "\\'") : escaped) + quote;
}

/** Python's `==`. */
export function isEqual(a: Value, b: Value, runtime: Runtime): boolean {
  runtime.spend();
  if (typeof a === 'string' && typeof b === 'string') {
    if (a.length !== b.length) return false;
    runtime.touch(a);
    return a === b;
  }
  if (a === b) return true;
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x === y;
  if (isUndefined(a) && isUndefined(b)) return true;
  if (isList(a) && isList(b)) {
    if (a.length !== b.length || a instanceof Tuple !== b instanceof Tuple) return false;
    return runtime.nested(() => a.every((item, index) => isEqual(item, b[index]!, runtime)));
  }
  if (isDict(a) && isDict(b)) {
    if (a.size !== b.size) return false;
    return runtime.nested(() => [...a].every(([key, item]) => b.has(key) && isEqual(item, b.get(key)!, runtime)));
  }
  return false;
}

/** Python's order of two values: negative, zero or positive; values without an order fail. */
export function compareValues(a: Value, b: Value, runtime: Runtime): number {
  runtime.spend();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x - y;
  if (typeof a === 'string' && typeof b === 'string') {
    runtime.touch(a.length < b.length ? a : b);
    return comparePoints(a, b);
  }
  if (isList(a) && isList(b) && a instanceof Tuple === b instanceof Tuple) {
    return runtime.nested(() => {
      for (let i = 0; i < Math.min(a.length, b.length); i++) {
        if (!isEqual(a[i]!, b[i]!, runtime)) return compareValues(a[i]!, b[i]!, runtime);
      }
      return a.length - b.length;
    });
  }
  for (const value of [a, b]) if (isUndefined(value)) throw runtime.fail(value.reason);
  throw runtime.fail(`'${typeName(a)}' and '${typeName(b)}' have no order`);
}

/** Order by code point; JavaScript's own is by UTF-16 unit. */
function comparePoints(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; ) {
    const [x, y] = [a.codePointAt(i)!, b.codePointAt(i)!];
    if (x !== y) return x - y;
    i += x > 0xffff ? 2 : 1;
  }
  return a.length - b.length;
}

/** Items that a `for` or a filter goes over; a string gives its characters, a dictionary its keys. */
export function itemsOf(value: Value, runtime: Runtime): readonly Value[] {
  runtime.touch(value);
  if (isList(value)) return value;
  if (typeof value === 'string') return runtime.list([...runtime.text(value)]);
  if (isDict(value)) return runtime.list([...value.keys()]);
  if (isUndefined(value)) return [];
  throw runtime.fail(`'${typeName(value)}' is not iterable`);
}

const maxInputDepth = 200;

/** Brings plain JSON-like data into the template's world; what is not data is refused. */
export function fromData(data: unknown, runtime: Runtime, depth = 0): Value {
  if (data === null || typeof data === 'boolean' || typeof data === 'number' || typeof data === 'string') return data;
  if (data === undefined) return null;
  if (depth > maxInputDepth) throw runtime.fail(`its input is nested more than ${maxInputDepth} deep`);
  if (Array.isArray(data)) return data.map((item) => fromData(item, runtime, depth + 1));
  if (typeof data !== 'object') throw runtime.fail(`its input holds a ${typeof data}`);
  const dict = new Map<Value, Value>();
  for (const [key, item] of Object.entries(data)) {
    if (item !== undefined) dict.set(key, fromData(item, runtime, depth + 1));
  }
  return dict;
}
