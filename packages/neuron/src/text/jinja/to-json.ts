import type { Runtime } from './runtime.js';
import { FloatValue, formatFloat, formatNumber, isDict, isList, isUndefined, typeName, type Value } from './values.js';

export interface JsonStyle {
  /** Text of one level of indentation; null writes everything on one line. */
  readonly indent: string | null;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
  readonly ascii: boolean;
}

export const compactStyle: JsonStyle = {
  indent: null,
  itemSeparator: ', ',
  keySeparator: ': ',
  sortKeys: false,
  ascii: false,
};

/** JSON as the reference writes it: key order kept, nothing escaped for HTML, a space after each separator. */
export function toJson(value: Value, style: JsonStyle, runtime: Runtime, margin = '\n'): string {
  runtime.spend();
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'string') return quote(value, style.ascii, runtime);
  if (typeof value === 'number') return formatNumber(value).replace('inf', 'Infinity').replace('nan', 'NaN');
  if (value instanceof FloatValue) return formatFloat(value.value);
  return runtime.nested(() => {
    const inner = style.indent === null ? margin : margin + style.indent;
    if (isList(value)) {
      const items = value.map((item) => toJson(item, style, runtime, inner));
      return runtime.text(wrap('[', items, ']', style, margin, inner));
    }
    if (isDict(value)) {
      const entries = [...value].map(([key, item]) => [keyText(key, runtime), item] as const);
      if (style.sortKeys) entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
      const items = entries.map(
        ([key, item]) => quote(key, style.ascii, runtime) + style.keySeparator + toJson(item, style, runtime, inner),
      );
      return runtime.text(wrap('{', items, '}', style, margin, inner));
    }
    throw runtime.fail(
      isUndefined(value) ? value.reason : `a value of type '${typeName(value)}' cannot be written as JSON`,
    );
  });
}

function wrap(open: string, items: string[], close: string, style: JsonStyle, margin: string, inner: string): string {
  if (items.length === 0) return open + close;
  if (style.indent === null) return open + items.join(style.itemSeparator) + close;
  return open + inner + items.join(style.itemSeparator + inner) + margin + close;
}

function keyText(key: Value, runtime: Runtime): string {
  if (typeof key === 'string') return key;
  if (key === null || typeof key !== 'object') return toJson(key, compactStyle, runtime);
  throw runtime.fail(`keys of JSON are not of type '${typeName(key)}'`);
}

function quote(text: string, ascii: boolean, runtime: Runtime): string {
  // JSON.stringify escapes what Python escapes, and lone surrogates besides.
  const quoted = JSON.stringify(runtime.text(text));
  if (!ascii) return quoted;
  return quoted.replace(/[\u007f-\uffff]/g, (char) =>
    char === '\u007f' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
