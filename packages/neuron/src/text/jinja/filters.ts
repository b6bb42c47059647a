import { capitalise, MethodArguments, replaceText, strip, titleCase } from './methods.js';
import { formatPercent } from './operators.js';
import type { Runtime } from './runtime.js';
import { tests } from './tests.js';
import { compactStyle, toJson } from './to-json.js';
import {
  compareValues,
  FloatValue,
  float,
  isDict,
  isEqual,
  isList,
  isTrue,
  isUndefined,
  itemsOf,
  numberOf,
  reprOf,
  Tuple,
  textOf,
  typeName,
  UndefinedValue,
  type Value,
} from './values.js';

export type Filter = (value: Value, args: MethodArguments, runtime: Runtime) => Value;

const text =
  (change: (text: string) => string): Filter =>
  (value, _, runtime) =>
    runtime.text(change(runtime.text(textOf(value, runtime))));

/** Member of an item by the name of an attribute, or an index; dots go deeper. */
function memberOf(item: Value, path: Value, runtime: Runtime): Value {
  let current = item;
  for (const step of typeof path === 'string' ? path.split('.') : [path]) {
    const key = typeof step === 'string' && /^\d+$/.test(step) ? Number(step) : step;
    if (isDict(current) && current.has(step)) current = current.get(step)!;
    else if (isList(current) && typeof key === 'number') current = key in current ? current[key]! : missing(step);
    else if (isUndefined(current)) throw runtime.fail(current.reason);
    else current = missing(step);
  }
  return current;
}

const missing = (step: Value) => new UndefinedValue(`there is no attribute '${String(step)}'`);

function chooser(keeps: boolean, byAttribute: boolean): Filter {
  return (value, args, runtime) => {
    const shift = byAttribute ? 1 : 0;
    const path = byAttribute ? args.required(0, 'attribute') : null;
    const name = args.value(shift, 'test');
    const test = name === undefined ? null : tests.get(String(name));
    if (test === undefined) throw runtime.fail(`the test '${String(name)}' is not known`);
    const rest = args.all.positional.slice(shift + 1);
    return runtime.list(
      itemsOf(value, runtime).filter((item) => {
        runtime.spend();
        const subject = path === null ? item : memberOf(item, path, runtime);
        return (test === null ? isTrue(subject) : test(subject, rest, runtime)) === keeps;
      }),
    );
  };
}

const map: Filter = (value, args, runtime) => {
  const items = itemsOf(value, runtime);
  runtime.spend(items.length);
  const attribute = args.all.named.get('attribute');
  if (attribute !== undefined) {
    const fallback = args.all.named.get('default');
    return items.map((item) => {
      const member = memberOf(item, attribute, runtime);
      return isUndefined(member) && fallback !== undefined ? fallback : member;
    });
  }
  const name = args.text(0, 'filter');
  const filter = filters.get(name);
  if (filter === undefined) throw runtime.fail(`the filter '${name}' is not known`);
  const rest = new MethodArguments(name, { ...args.all, positional: args.all.positional.slice(1) }, runtime);
  return items.map((item) => filter(item, rest, runtime));
};

/** Sorting and its kin fold case unless they are told not to. */
const sortKey = (item: Value, path: Value | undefined, folds: boolean, runtime: Runtime): Value => {
  const key = path === undefined || path === null ? item : memberOf(item, path, runtime);
  return folds && typeof key === 'string' ? key.toLowerCase() : key;
};

function sorted(items: readonly Value[], path: Value | undefined, folds: boolean, reverse: boolean, runtime: Runtime) {
  const keyed = items.map((item) => ({ item, key: sortKey(item, path, folds, runtime) }));
  const sign = reverse ? -1 : 1;
  return runtime.list(keyed.sort((a, b) => sign * compareValues(a.key, b.key, runtime)).map(({ item }) => item));
}

const best =
  (sign: number): Filter =>
  (value, args, runtime) => {
    const items = itemsOf(value, runtime);
    const folds = !isTrue(args.value(0, 'case_sensitive') ?? false);
    const key = (item: Value) => sortKey(item, args.value(1, 'attribute'), folds, runtime);
    if (items.length === 0) return new UndefinedValue('the sequence is empty');
    return items.reduce((found, item) => (sign * compareValues(key(item), key(found), runtime) > 0 ? item : found));
  };

const length: Filter = (value, _, runtime) => {
  if (typeof value === 'string') return [...runtime.text(value)].length;
  if (isDict(value)) return value.size;
  if (isList(value)) return value.length;
  if (isUndefined(value)) return 0;
  throw runtime.fail(`'${typeName(value)}' has no length`);
};

const join: Filter = (value, args, runtime) => {
  const separator = textOf(args.value(0, 'd') ?? '', runtime);
  const path = args.value(1, 'attribute');
  const parts = itemsOf(value, runtime).map((item) =>
    textOf(path === undefined || path === null ? item : memberOf(item, path, runtime), runtime),
  );
  runtime.reserve(parts.reduce((sum, part) => sum + part.length + separator.length, 0));
  return runtime.text(parts.join(separator));
};

const json: Filter = (value, args, runtime) => {
  const indent = args.value(1, 'indent') ?? null;
  if (indent !== null && typeof indent !== 'number' && typeof indent !== 'string') {
    throw runtime.fail('the indentation of JSON is a number or a text');
  }
  const width = typeof indent === 'number' ? ' '.repeat(Math.min(Math.max(indent, 0), 64)) : indent;
  const separators = args.value(2, 'separators') ?? null;
  const [item, key] = separators === null ? [] : itemsOf(separators, runtime);
  return toJson(
    value,
    {
      indent: width,
      itemSeparator: typeof item === 'string' ? item : width === null ? compactStyle.itemSeparator : ',',
      keySeparator: typeof key === 'string' ? key : compactStyle.keySeparator,
      sortKeys: isTrue(args.value(3, 'sort_keys') ?? false),
      ascii: isTrue(args.value(0, 'ensure_ascii') ?? false),
    },
    runtime,
  );
};

const fallback: Filter = (value, args) => {
  const replaces = isUndefined(value) || (isTrue(args.value(1, 'boolean') ?? false) && !isTrue(value));
  return replaces ? (args.value(0, 'default_value') ?? '') : value;
};

const toInteger: Filter = (value, args) => {
  const number = typeof value === 'string' ? parseNumber(value) : numberOf(value);
  return number === null || !Number.isFinite(number) ? args.integer(0, 'default', 0) : Math.trunc(number);
};

const toFloat: Filter = (value, args) => {
  const number = typeof value === 'string' ? parseNumber(value) : numberOf(value);
  return number === null ? (args.value(0, 'default') ?? new FloatValue(0)) : float(number);
};

const parseNumber = (value: string): number | null =>
  /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(value) ? Number(value) : null;

const round: Filter = (value, args, runtime) => {
  const number = numberOf(value);
  if (number === null) throw runtime.fail(`'${typeName(value)}' cannot be rounded`);
  const method = args.optionalText(1, 'method', 'common');
  const scale = 10 ** args.integer(0, 'precision', 0);
  const scaled = number * scale;
  if (method === 'ceil') return float(Math.ceil(scaled) / scale);
  if (method === 'floor') return float(Math.floor(scaled) / scale);
  const floor = Math.floor(scaled);
  // Python rounds halves to even.
  const isHalf = scaled - floor === 0.5;
  return float((isHalf ? floor + (floor % 2 === 0 ? 0 : 1) : Math.round(scaled)) / scale);
};

const indent: Filter = (value, args, runtime) => {
  const width = args.value(0, 'width') ?? 4;
  const margin = typeof width === 'string' ? width : ' '.repeat(Math.min(args.integer(0, 'width', 4), 256));
  const first = isTrue(args.value(1, 'first') ?? false);
  const blank = isTrue(args.value(2, 'blank') ?? false);
  const lines = textOf(value, runtime).split('\n');
  runtime.reserve(lines.length * margin.length);
  const indented = lines.map((line, index) =>
    (index === 0 ? first : true) && (blank || line !== '') ? margin + line : line,
  );
  return runtime.text(indented.join('\n'));
};

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

const items: Filter = (value, _, runtime) => {
  if (isUndefined(value)) return [];
  if (!isDict(value)) throw runtime.fail(`only a mapping has items, not '${typeName(value)}'`);
  return runtime.list([...value].map(([key, item]) => Tuple.make([key, item])));
};

const unique: Filter = (value, args, runtime) => {
  const folds = !isTrue(args.value(0, 'case_sensitive') ?? false);
  const seen: Value[] = [];
  return itemsOf(value, runtime).filter((item) => {
    const key = sortKey(item, args.value(1, 'attribute'), folds, runtime);
    if (seen.some((other) => isEqual(other, key, runtime))) return false;
    seen.push(key);
    return true;
  });
};

const batch: Filter = (value, args, runtime) => {
  const size = Math.max(1, args.integer(0, 'linecount', 1));
  const all = itemsOf(value, runtime);
  const fill = args.value(1, 'fill_with');
  const batches: Value[] = [];
  for (let start = 0; start < all.length; start += size) {
    const one = all.slice(start, start + size);
    while (fill !== undefined && fill !== null && one.length < size) {
      runtime.spend();
      one.push(fill);
    }
    batches.push(one);
  }
  return batches;
};

const dictsort: Filter = (value, args, runtime) => {
  if (!isDict(value)) throw runtime.fail(`only a mapping is sorted by key, not '${typeName(value)}'`);
  const folds = !isTrue(args.value(0, 'case_sensitive') ?? false);
  const by = args.optionalText(1, 'by', 'key') === 'value' ? 1 : 0;
  const pairs = [...value].map(([key, item]) => Tuple.make([key, item]));
  return sorted(pairs, by, folds, isTrue(args.value(2, 'reverse') ?? false), runtime);
};

const groupby: Filter = (value, args, runtime) => {
  const path = args.required(0, 'attribute');
  const groups: { key: Value; items: Value[] }[] = [];
  for (const item of sorted(itemsOf(value, runtime), path, true, false, runtime)) {
    const key = memberOf(item, path, runtime);
    const last = groups.at(-1);
    if (last !== undefined && isEqual(last.key, key, runtime)) last.items.push(item);
    else groups.push({ key, items: [item] });
  }
  return groups.map((group) => Tuple.make([group.key, group.items]));
};

const reverse: Filter = (value, _, runtime) =>
  typeof value === 'string'
    ? runtime.text([...value].reverse().join(''))
    : runtime.list([...itemsOf(value, runtime)].reverse());

const sum: Filter = (value, args, runtime) => {
  const path = args.value(0, 'attribute');
  let total = numberOf(args.value(1, 'start') ?? 0) ?? 0;
  for (const item of itemsOf(value, runtime)) {
    const number = numberOf(path === undefined || path === null ? item : memberOf(item, path, runtime));
    if (number === null) throw runtime.fail(`'${typeName(item)}' cannot be summed`);
    total += number;
  }
  return total;
};

const truncate: Filter = (value, args, runtime) => {
  const limit = args.integer(0, 'length', 255);
  const end = args.optionalText(2, 'end', '...');
  const whole = textOf(value, runtime);
  if (whole.length <= limit + args.integer(3, 'leeway', 5)) return whole;
  const cut = whole.slice(0, Math.max(0, limit - end.length));
  if (isTrue(args.value(1, 'killwords') ?? false)) return cut + end;
  const space = cut.lastIndexOf(' ');
  return (space < 0 ? cut : cut.slice(0, space)) + end;
};

const escapeHtml: Filter = text((value) => value.replace(/[&<>"']/g, (char) => entities[char]!));
const identity: Filter = (value, _, runtime) => textOf(value, runtime);
const end =
  (index: number): Filter =>
  (value, _, runtime) => {
    const item = itemsOf(value, runtime).at(index);
    return item === undefined ? new UndefinedValue('the sequence is empty') : item;
  };

/** What may follow `|`. */
export const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ['tojson', json],
  [
    'trim',
    (value, args, runtime) =>
      runtime.text(strip(textOf(value, runtime), args.optionalText(0, 'chars', null), true, true)),
  ],
  ['string', identity],
  ['safe', identity],
  ['forceescape', escapeHtml],
  ['escape', escapeHtml],
  ['e', escapeHtml],
  ['items', items],
  ['join', join],
  ['length', length],
  ['count', length],
  ['select', chooser(true, false)],
  ['reject', chooser(false, false)],
  ['selectattr', chooser(true, true)],
  ['rejectattr', chooser(false, true)],
  ['map', map],
  ['first', end(0)],
  ['last', end(-1)],
  ['list', (value, _, runtime) => runtime.list([...itemsOf(value, runtime)])],
  ['upper', text((value) => value.toUpperCase())],
  ['lower', text((value) => value.toLowerCase())],
  ['capitalize', text(capitalise)],
  ['title', text(titleCase)],
  ['wordcount', (value, _, runtime) => (textOf(value, runtime).match(/[\p{L}\p{N}_]+/gu) ?? []).length],
  [
    'replace',
    (value, args, runtime) =>
      replaceText(
        textOf(value, runtime),
        args.text(0, 'old'),
        args.text(1, 'new'),
        args.integer(2, 'count', -1),
        runtime,
      ),
  ],
  ['default', fallback],
  ['d', fallback],
  ['int', toInteger],
  ['float', toFloat],
  [
    'abs',
    (value, _, runtime) => {
      const number = numberOf(value);
      if (number === null) throw runtime.fail(`'${typeName(value)}' has no absolute value`);
      return value instanceof FloatValue ? float(Math.abs(number)) : Math.abs(number);
    },
  ],
  ['round', round],
  [
    'sort',
    (value, args, runtime) =>
      sorted(
        itemsOf(value, runtime),
        args.value(2, 'attribute'),
        !isTrue(args.value(1, 'case_sensitive') ?? false),
        isTrue(args.value(0, 'reverse') ?? false),
        runtime,
      ),
  ],
  ['reverse', reverse],
  ['unique', unique],
  ['sum', sum],
  ['min', best(-1)],
  ['max', best(1)],
  ['indent', indent],
  ['batch', batch],
  ['dictsort', dictsort],
  ['groupby', groupby],
  ['truncate', truncate],
  ['format', (value, args, runtime) => formatPercent(textOf(value, runtime), Tuple.make(args.all.positional), runtime)],
  ['attr', (value, args, runtime) => memberOf(value, args.text(0, 'name'), runtime)],
  ['pprint', (value, _, runtime) => reprOf(value, runtime)],
]);
