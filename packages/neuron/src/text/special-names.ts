import { isRecord } from './json.js';

/** Spelling of a token that tokenizer_config.json names: a string, or an object with `content`. */
export function tokenName(config: unknown, key: string): string | null {
  const value = isRecord(config) ? config[key] : undefined;
  if (typeof value === 'string') return value;
  const content = isRecord(value) ? value['content'] : undefined;
  return typeof content === 'string' ? content : null;
}
