import type { Runtime } from './runtime.js';
import {
  type Arguments,
  Callable,
  type Dict,
  isDict,
  isEqual,
  isList,
  itemsOf,
  Tuple,
  typeName,
  type Value,
} from './values.js';

type Method<Self> = (self: Self, args: MethodArguments, runtime: Runtime) => Value;

/** Typed access to a call's arguments by position or name. */
export class MethodArguments {
  readonly #args: Arguments;
  readonly #runtime: Runtime;
  readonly #name: string;

  constructor(name: string, args: Arguments, runtime: Runtime) {
    this.#name = name;
    this.#args = args;
    this.#runtime = runtime;
  }

  get count(): number {
    return this.#args.positional.length;
  }

  get all(): Arguments {
    return this.#args;
  }

  value(index: number, name: string): Value | undefined {
    return index < this.count ? this.#args.positional[index] : this.#args.named.get(name);
  }

  required(index: number, name: string): Value {
    const value = this.value(index, name);
    if (value === undefined) throw this.#runtime.fail(`'${this.#name}' lacks its argument '${name}'`);
    return value;
  }

  text(index: number, name: string): string {
    const value = this.required(index, name);
    if (typeof value !== 'string') throw this.#wrong(name, 'a text', value);
    return value;
  }

  /** A text; the fallback when it is absent or none. */
  optionalText<T>(index: number, name: string, fallback: T): string | T {
    const value = this.value(index, name);
    if (value === undefined || value === null) return fallback;
    if (typeof value !== 'string') throw this.#wrong(name, 'a text', value);
    return value;
  }

  integer(index: number, name: string, fallback: number): number {
    const value = this.value(index, name);
    if (value === undefined || value === null) return fallback;
    const number = typeof value === 'boolean' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isInteger(number)) throw this.#wrong(name, 'an integer', value);
    return number;
  }

  #wrong(name: string, wanted: string, value: Value): Error {
    return this.#runtime.fail(`'${this.#name}' wants ${wanted} as '${name}', not '${typeName(value)}'`);
  }
}

/** The method of a value, bound to it; undefined when its type has none of that name. */
export function methodOf(value: Value, name: string, runtime: Runtime): Callable | undefined {
  if (typeof value === 'string') return bind(stringMethods, value, name, runtime);
  if (isDict(value)) return bind(dictMethods, value, name, runtime);
  if (isList(value)) return bind(listMethods, value, name, runtime);
  return undefined;
}

function bind<Self>(methods: ReadonlyMap<string, Method<Self>>, self: Self, name: string, runtime: Runtime) {
  const method = methods.get(name);
  if (method === undefined) return undefined;
  return new Callable(name, (args) => {
    runtime.touch(self);
    return method(self, new MethodArguments(name, args, runtime), runtime);
  });
}

const result = (text: string, runtime: Runtime): string => runtime.text(text);

/** White space that Python strips: JavaScript's, the separators U+001C to U+001F and U+0085, without U+FEFF. */
const isSpace = (char: string): boolean => {
  const code = char.charCodeAt(0);
  if (code < 0x80) return code === 0x20 || (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x1f);
  return code === 0x85 || (code !== 0xfeff && /\s/.test(char));
};

export function strip(text: string, characters: string | null, left: boolean, right: boolean): string {
  const set = characters === null ? null : new Set(characters);
  const isStripped = (char: string) => (set === null ? isSpace(char) : set.has(char));
  const points = set !== null && /[\ud800-\udfff]/.test(characters!) ? [...text] : text;
  let start = 0;
  let end = points.length;
  while (left && start < end && isStripped(points[start]!)) start++;
  while (right && end > start && isStripped(points[end - 1]!)) end--;
  return typeof points === 'string' ? points.slice(start, end) : points.slice(start, end).join('');
}

function split(text: string, separator: string | null, limit: number, runtime: Runtime): Value[] {
  runtime.spend(text.length >> 6);
  if (separator === '') throw runtime.fail('the separator is empty');
  const parts: Value[] = [];
  let rest = separator === null ? strip(text, null, true, false) : text;
  let from = 0;
  while (limit < 0 || parts.length < limit) {
    if (separator !== null) {
      const at = rest.indexOf(separator, from);
      if (at < 0) break;
      parts.push(rest.slice(from, at));
      from = at + separator.length;
      continue;
    }
    let end = from;
    while (end < rest.length && !isSpace(rest[end]!)) end++;
    if (end === rest.length) break;
    parts.push(rest.slice(from, end));
    from = end;
    while (from < rest.length && isSpace(rest[from]!)) from++;
  }
  rest = rest.slice(from);
  if (separator !== null) parts.push(rest);
  else if (limit >= 0 && parts.length === limit ? rest !== '' : rest !== '') parts.push(rest);
  return runtime.list(parts);
}

function splitRight(text: string, separator: string | null, limit: number, runtime: Runtime): Value[] {
  if (limit < 0) return split(text, separator, -1, runtime);
  const all = split(text, separator, -1, runtime) as string[];
  if (all.length <= limit + 1) return all;
  if (separator === null) throw runtime.fail("'rsplit' with a limit wants a separator");
  const kept = all.length - limit;
  return [all.slice(0, kept).join(separator), ...all.slice(kept)];
}

export function replaceText(text: string, from: string, to: string, count: number, runtime: Runtime): string {
  const parts = split(text, from === '' ? null : from, -1, runtime) as string[];
  if (from === '') {
    const spread = [...text];
    runtime.reserve(text.length + (spread.length + 1) * to.length);
    const limit = count < 0 ? spread.length + 1 : count;
    const out = spread.map((char, index) => (index < limit ? to + char : char)).join('');
    return result(spread.length < limit ? out + to : out, runtime);
  }
  const replaced = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  runtime.reserve(text.length + replaced * Math.max(0, to.length - from.length));
  const head = parts.slice(0, replaced + 1).join(to);
  return result([head, ...parts.slice(replaced + 1)].join(from), runtime);
}

export const capitalise = (text: string): string => {
  const [first = '', ...rest] = text;
  return first.toUpperCase() + rest.join('').toLowerCase();
};

export const titleCase = (text: string): string =>
  text.replace(/\p{L}+/gu, (word) => {
    const [first = '', ...rest] = word;
    return first.toUpperCase() + rest.join('').toLowerCase();
  });

/** True when `text` starts (or ends) with one of the texts of a string or tuple. */
function hasEdge(text: string, edges: Value, atEnd: boolean, runtime: Runtime): boolean {
  for (const edge of edges instanceof Tuple ? edges : [edges]) {
    if (typeof edge !== 'string') throw runtime.fail(`'${typeName(edge)}' is not a text to begin or end with`);
    if (atEnd ? text.endsWith(edge) : text.startsWith(edge)) return true;
  }
  return false;
}

const isAll = (text: string, pattern: RegExp): boolean => text !== '' && pattern.test(text);
const isCased = (text: string): boolean => /[\p{Lu}\p{Ll}\p{Lt}]/u.test(text);

/** Index in code points of a UTF-16 index. */
const pointIndex = (text: string, at: number): number => (at < 0 ? -1 : [...text.slice(0, at)].length);

const stringMethods: ReadonlyMap<string, Method<string>> = new Map<string, Method<string>>([
  ['strip', (s, a, r) => result(strip(s, a.optionalText(0, 'chars', null), true, true), r)],
  ['lstrip', (s, a, r) => result(strip(s, a.optionalText(0, 'chars', null), true, false), r)],
  ['rstrip', (s, a, r) => result(strip(s, a.optionalText(0, 'chars', null), false, true), r)],
  ['split', (s, a, r) => split(s, a.optionalText(0, 'sep', null), a.integer(1, 'maxsplit', -1), r)],
  ['rsplit', (s, a, r) => splitRight(s, a.optionalText(0, 'sep', null), a.integer(1, 'maxsplit', -1), r)],
  [
    'splitlines',
    (s, _, r) => r.list(s.replace(/(?:\r\n|\r|\n)$/, '').split(/\r\n|\r|\n/)).filter((l) => s !== '' || l !== ''),
  ],
  ['startswith', (s, a, r) => hasEdge(s, a.required(0, 'prefix'), false, r)],
  ['endswith', (s, a, r) => hasEdge(s, a.required(0, 'suffix'), true, r)],
  ['removeprefix', (s, a) => (s.startsWith(a.text(0, 'prefix')) ? s.slice(a.text(0, 'prefix').length) : s)],
  ['removesuffix', (s, a) => (s.endsWith(a.text(0, 'suffix')) ? s.slice(0, s.length - a.text(0, 'suffix').length) : s)],
  ['replace', (s, a, r) => replaceText(s, a.text(0, 'old'), a.text(1, 'new'), a.integer(2, 'count', -1), r)],
  ['upper', (s, _, r) => result(s.toUpperCase(), r)],
  ['lower', (s, _, r) => result(s.toLowerCase(), r)],
  ['capitalize', (s, _, r) => result(capitalise(s), r)],
  ['title', (s, _, r) => result(titleCase(s), r)],
  ['find', (s, a) => pointIndex(s, s.indexOf(a.text(0, 'sub')))],
  ['rfind', (s, a) => pointIndex(s, s.lastIndexOf(a.text(0, 'sub')))],
  [
    'index',
    (s, a, r) => {
      const at = s.indexOf(a.text(0, 'sub'));
      if (at < 0) throw r.fail('the text to find is not there');
      return pointIndex(s, at);
    },
  ],
  ['count', (s, a, r) => (a.text(0, 'sub') === '' ? [...s].length + 1 : split(s, a.text(0, 'sub'), -1, r).length - 1)],
  [
    'join',
    (s, a, r) => {
      const items = itemsOf(a.required(0, 'iterable'), r).map((item) => {
        if (typeof item !== 'string') throw r.fail(`'join' wants texts, not '${typeName(item)}'`);
        return item;
      });
      r.reserve(items.reduce((sum, item) => sum + item.length + s.length, 0));
      return result(items.join(s), r);
    },
  ],
  ['isdigit', (s) => isAll(s, /^\p{Nd}+$/u)],
  ['isnumeric', (s) => isAll(s, /^\p{N}+$/u)],
  ['isalpha', (s) => isAll(s, /^\p{L}+$/u)],
  ['isalnum', (s) => isAll(s, /^[\p{L}\p{N}]+$/u)],
  ['isspace', (s) => s !== '' && [...s].every(isSpace)],
  ['isupper', (s) => isCased(s) && s === s.toUpperCase()],
  ['islower', (s) => isCased(s) && s === s.toLowerCase()],
  ['zfill', (s, a, r) => pad(s, a.integer(0, 'width', 0), '0', true, r)],
  ['ljust', (s, a, r) => pad(s, a.integer(0, 'width', 0), a.optionalText(1, 'fillchar', ' '), false, r)],
  ['rjust', (s, a, r) => pad(s, a.integer(0, 'width', 0), a.optionalText(1, 'fillchar', ' '), true, r)],
]);

function pad(text: string, width: number, fill: string, atStart: boolean, runtime: Runtime): string {
  runtime.reserve(width);
  return result(atStart ? text.padStart(width, fill) : text.padEnd(width, fill), runtime);
}

const dictMethods: ReadonlyMap<string, Method<Dict>> = new Map<string, Method<Dict>>([
  ['items', (dict, _, r) => r.list([...dict].map(([key, value]) => Tuple.make([key, value])))],
  ['keys', (dict, _, r) => r.list([...dict.keys()])],
  ['values', (dict, _, r) => r.list([...dict.values()])],
  [
    'get',
    (dict, a) => {
      const value = dict.get(a.required(0, 'key'));
      return value === undefined ? (a.value(1, 'default') ?? null) : value;
    },
  ],
  ['copy', (dict, _, r) => new Map(r.list([...dict]))],
]);

const listMethods: ReadonlyMap<string, Method<readonly Value[]>> = new Map<string, Method<readonly Value[]>>([
  ['copy', (list, _, r) => r.list([...list])],
  ['count', (list, a, r) => list.filter((item) => isEqual(item, a.required(0, 'value'), r)).length],
  [
    'index',
    (list, a, r) => {
      const at = list.findIndex((item) => isEqual(item, a.required(0, 'value'), r));
      if (at < 0) throw r.fail('the item to find is not in the list');
      return at;
    },
  ],
]);
