import { isRecord } from './json.js';
import type { ToolSchema } from './output-event.js';
import type { ToolStyle } from './output-format.js';

/** A tool call as a model wrote it. */
export interface ParsedCall {
  readonly name: string;
  /** A JSON object as text. */
  readonly arguments: string;
}

/** Reads what stands between the marks of a tool call; null when it is not a call in either style. */
export function parseToolCall(body: string, style: ToolStyle, tools: readonly ToolSchema[]): ParsedCall | null {
  const json = () => parseJsonCall(body);
  const xml = () => parseXmlCall(body, tools);
  return style === 'json' ? (json() ?? xml()) : (xml() ?? json());
}

/** `{"name": ..., "arguments": {...}}`. The arguments keep the model's own spelling, so no number loses a digit. */
export function parseJsonCall(body: string): ParsedCall | null {
  const text = body.trim();
  const call = parseJson(text);
  if (!isRecord(call)) return null;
  const { name } = call;
  if (typeof name !== 'string' || name === '') return null;
  const key = call['arguments'] !== undefined ? 'arguments' : 'parameters';
  const value = call[key];
  if (value === undefined || value === null) return { name, arguments: '{}' };
  if (typeof value === 'string') return isRecord(parseJson(value)) ? { name, arguments: value } : null;
  if (!isRecord(value)) return null;
  return { name, arguments: memberText(text, key) ?? JSON.stringify(value) };
}

/** `<function=NAME><parameter=KEY>value</parameter>...</function>` */
export function parseXmlCall(body: string, tools: readonly ToolSchema[]): ParsedCall | null {
  const head = /<function=([^>\n]+)(?:>|\n)/.exec(body);
  const name = head?.[1]?.trim() ?? '';
  if (head === null || name === '') return null;
  const schema = tools.find((tool) => tool.name === name)?.parameters;
  const properties = isRecord(schema) && isRecord(schema['properties']) ? schema['properties'] : {};
  const members: string[] = [];
  const seen = new Set<string>();
  const open = '<parameter=';
  let at = body.indexOf(open, head.index + head[0].length);
  while (at >= 0) {
    const keyEnd = body.indexOf('>', at);
    if (keyEnd < 0) return null;
    const key = body.slice(at + open.length, keyEnd).trim();
    const { text, end } = parameterText(body, keyEnd + 1);
    const declared = Object.hasOwn(properties, key) ? properties[key] : undefined;
    // The same key twice would make two members of one object: the first stands.
    if (!seen.has(key)) members.push(`${JSON.stringify(key)}: ${coerce(text, declared)}`);
    seen.add(key);
    at = body.indexOf(open, end);
  }
  return { name, arguments: `{${members.join(', ')}}` };
}

/** The value ends at its close; where that is missing, at the next parameter or the end of the function. */
function parameterText(body: string, start: number): { text: string; end: number } {
  const close = '</parameter>';
  const closeAt = body.indexOf(close, start);
  const nextAt = body.indexOf('\n<parameter=', start);
  if (closeAt >= 0 && (nextAt < 0 || closeAt < nextAt)) return { text: body.slice(start, closeAt), end: closeAt };
  const functionAt = body.lastIndexOf('</function>');
  const end = nextAt >= 0 ? nextAt : functionAt >= start ? functionAt : body.length;
  return { text: body.slice(start, end), end };
}

/** JSON text of a value that was written as plain text, by the type that the tool's schema declares. */
function coerce(text: string, declared: unknown): string {
  // The format puts each value on lines of its own; only that newline is not the value's.
  const value = text.replace(/^\r?\n/, '').replace(/\r?\n$/, '');
  const types = typesOf(declared);
  const asText = JSON.stringify(value);
  if (types.size === 1 && types.has('string')) return asText;
  const trimmed = value.trim();
  const parsed = parseJson(trimmed);
  if (parsed === undefined) return asText;
  if (types.size === 0) return trimmed;
  const kind = parsed === null ? 'null' : Array.isArray(parsed) ? 'array' : typeof parsed;
  const fits = types.has(kind) || (kind === 'number' && types.has('integer') && Number.isInteger(parsed as number));
  return fits ? trimmed : asText;
}

const jsonTypes = ['string', 'integer', 'number', 'boolean', 'object', 'array', 'null'] as const;

/** Types that a schema allows, through `anyOf`, `oneOf` and lists of types; none when it does not say. */
function typesOf(schema: unknown, depth = 0): ReadonlySet<string> {
  const types = new Set<string>();
  if (!isRecord(schema) || depth > 8) return types;
  const declared = Array.isArray(schema['type']) ? (schema['type'] as unknown[]) : [schema['type']];
  for (const type of jsonTypes) if (declared.includes(type)) types.add(type);
  for (const key of ['anyOf', 'oneOf']) {
    const options = schema[key];
    if (!Array.isArray(options)) continue;
    for (const option of options as unknown[]) for (const type of typesOf(option, depth + 1)) types.add(type);
  }
  if (types.size === 0 && Array.isArray(schema['enum']) && schema['enum'].every((v) => typeof v === 'string')) {
    types.add('string');
  }
  return types;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Text of a member of a valid JSON object, the last of equal keys; undefined when its key is spelled with escapes. */
function memberText(object: string, wanted: string): string | undefined {
  let found: string | undefined;
  let depth = 0;
  let key: string | null = null;
  let start = 0;
  for (let at = 0; at < object.length; at++) {
    const char = object[at]!;
    if (char === '"') {
      const end = stringEnd(object, at);
      if (depth === 1 && key === null) key = object.slice(at + 1, end);
      at = end;
    } else if (char === '{' || char === '[') depth++;
    else if (char === ':' && depth === 1) start = at + 1;
    else if (char === '}' || char === ']') depth--;
    if (key !== null && ((char === ',' && depth === 1) || (char === '}' && depth === 0))) {
      if (key === wanted) found = object.slice(start, at).trim();
      key = null;
    }
  }
  return found;
}

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at;
}
