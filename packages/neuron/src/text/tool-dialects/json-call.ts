import { isRecord, parseJson } from '../json.js';
import type { ParsedCall } from './tool-dialect.js';

/** `{"name": ..., "arguments": {...}}`, or `parameters` for the arguments; null when it is anything else. The arguments keep the model's own spelling, so no number loses a digit. */
export function parseJsonCall(body: string): ParsedCall | null {
  const text = body.trim();
  const call = parseJson(text);
  if (!isRecord(call)) return null;
  const { name } = call;
  if (typeof name !== 'string' || name === '') return null;
  const key = call['arguments'] === undefined || call['arguments'] === null ? 'parameters' : 'arguments';
  const value = call[key];
  if (value === undefined || value === null) return { name, arguments: '{}' };
  if (typeof value === 'string') return isRecord(parseJson(value)) ? { name, arguments: value } : null;
  if (!isRecord(value)) return null;
  return { name, arguments: memberText(text, key) ?? JSON.stringify(value) };
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
