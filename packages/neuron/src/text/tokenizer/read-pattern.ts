import type { JsonReader } from './json-reader.js';
import { compilePattern, literalPattern } from './pattern.js';

/** Reads a `{"String": ...}` or `{"Regex": ...}` field; a global pattern either way. */
export function readPattern(part: JsonReader, key: string): RegExp {
  const pattern = part.object(key);
  if (pattern.has('String')) return literalPattern(pattern.string('String'));
  return compilePattern(pattern.string('Regex'), part.file);
}
