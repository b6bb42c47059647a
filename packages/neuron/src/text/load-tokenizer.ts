import { type Checkpoint, CortexError } from '@helexa/core';
import { ModelFiles } from './model-files.js';
import { tokenName } from './special-names.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';
import { tokenizerFromGguf } from './tokenizer/tokenizer-gguf.js';
import { tokenizerFromJson } from './tokenizer/tokenizer-json.js';

/**
 * Loads a model's tokenizer: out of a GGUF file's own metadata, or from tokenizer.json in a folder.
 *
 * @example loadTokenizer(await openCheckpoint('models/qwen3-0.6b'))
 */
export function loadTokenizer(source: Checkpoint | string): Tokenizer {
  if (typeof source !== 'string' && source.metadata.has('tokenizer.ggml.model')) {
    return tokenizerFromGguf(source.metadata, source.path);
  }
  const files = ModelFiles.of(source);
  const json = files.json('tokenizer.json');
  if (json === undefined) {
    throw new CortexError('tokenizer_invalid', { file: files.path('tokenizer.json'), reason: 'there is no such file' });
  }
  const config = files.json('tokenizer_config.json');
  const names = { bosToken: tokenName(config, 'bos_token'), eosToken: tokenName(config, 'eos_token') };
  return tokenizerFromJson(json, names, files.path('tokenizer.json'));
}
