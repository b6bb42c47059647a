import { CortexError, type GgufMetadata, type GgufValue } from '@helexa/core';
import type { AddedToken } from './added-tokens.js';
import { Bpe } from './bpe.js';
import { MergeTable } from './merge-table.js';
import { compilePattern } from './pattern.js';
import { PipelineTokenizer } from './pipeline-tokenizer.js';
import { gpt2Pattern, type Splitter, splitBy } from './pre-tokeniser.js';
import { byteLevelDecoder, sentencePieceDecoder } from './token-decoder.js';
import type { Tokenizer } from './tokenizer.js';
import { splitMerge } from './tokenizer-json.js';
import { Vocabulary } from './vocabulary.js';

/** How a byte-level GGUF vocabulary splits text; `pre` in the file names one. */
interface Dialect {
  readonly patterns: readonly string[];
  readonly composes: boolean;
  readonly ignoreMerges: boolean;
}

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const tail = '| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

const qwen2Style: Dialect = {
  patterns: [`${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${tail}`],
  composes: true,
  ignoreMerges: false,
};
const qwen35Style: Dialect = {
  patterns: [
    `${contractions}|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  ],
  composes: true,
  ignoreMerges: false,
};
const llama3Style: Dialect = {
  patterns: [`${contractions}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}${tail}`],
  composes: false,
  ignoreMerges: true,
};
const gpt2Style: Dialect = { patterns: [gpt2Pattern], composes: false, ignoreMerges: false };
const digitsThenGpt2: Dialect = { patterns: ['\\p{N}', gpt2Pattern], composes: false, ignoreMerges: false };
const upper = '\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}';
const lower = '\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}';
const gpt4oStyle: Dialect = {
  patterns: [
    `[^\\r\\n\\p{L}\\p{N}]?[${upper}]*[${lower}]+${contractions}?|[^\\r\\n\\p{L}\\p{N}]?[${upper}]+[${lower}]*${contractions}?` +
      '|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+',
  ],
  composes: false,
  ignoreMerges: false,
};

/** Names that llama.cpp's converter writes, and the splitting each stands for. */
const dialects: ReadonlyMap<string, Dialect> = new Map([
  ['gpt-2', gpt2Style],
  ['mpt', gpt2Style],
  ['olmo', gpt2Style],
  ['qwen2', qwen2Style],
  ['deepseek-r1-qwen', qwen2Style],
  ['qwen35', qwen35Style],
  ['llama-bpe', llama3Style],
  ['llama3', llama3Style],
  ['llama-v3', llama3Style],
  ['smollm', digitsThenGpt2],
  ['starcoder', digitsThenGpt2],
  ['refact', digitsThenGpt2],
  ['command-r', digitsThenGpt2],
  ['gpt-4o', gpt4oStyle],
]);

/** Values of `tokenizer.ggml.token_type`. */
const tokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Builds a tokenizer from the metadata of a GGUF file. */
export function tokenizerFromGguf(metadata: GgufMetadata, file: string): Tokenizer {
  const reader = new MetadataReader(metadata, file);
  const model = reader.string('tokenizer.ggml.model');
  if (model === 'gpt2') return byteLevelTokenizer(reader);
  if (model === 'llama') return sentencePieceTokenizer(reader);
  throw reader.unsupported('tokenizer.ggml.model', model, ['gpt2', 'llama']);
}

function byteLevelTokenizer(reader: MetadataReader): Tokenizer {
  const pre = reader.string('tokenizer.ggml.pre', 'gpt-2');
  const dialect = dialects.get(pre);
  if (dialect === undefined) throw reader.unsupported('tokenizer.ggml.pre', pre, [...dialects.keys()]);
  const { vocabulary, added } = readTokens(reader);
  const list = reader.strings('tokenizer.ggml.merges');
  const merges = new MergeTable(list.length);
  list.forEach((merge, rank) => {
    const [left, right] = splitMerge(merge);
    if (left === undefined || right === undefined) throw reader.invalid(`merge ${rank} is not a pair of tokens`);
    vocabulary.addMerge(merges, left, right, rank);
  });
  const splitters: Splitter[] = dialect.patterns.flatMap(
    (pattern) => splitBy(compilePattern(pattern, reader.file), 'Isolated', false).splitters,
  );
  return new PipelineTokenizer({
    vocabulary,
    added,
    normalise: dialect.composes ? (text) => text.normalize('NFC') : null,
    splitters,
    model: new Bpe({
      vocabulary,
      merges,
      byteLevel: true,
      ignoreMerges: dialect.ignoreMerges,
      byteFallback: false,
      unknownId: null,
      fuseUnknown: false,
    }),
    decoder: byteLevelDecoder(),
    ...readEnds(reader, { addBos: false }),
  });
}

function sentencePieceTokenizer(reader: MetadataReader): Tokenizer {
  const { vocabulary, added } = readTokens(reader);
  const scores = reader.numbers('tokenizer.ggml.scores');
  if (scores.length !== vocabulary.size) {
    throw reader.invalid(`there are ${scores.length} scores and ${vocabulary.size} tokens`);
  }
  const addsSpace = reader.boolean('tokenizer.ggml.add_space_prefix', true);
  const unknown = reader.integer('tokenizer.ggml.unknown_token_id');
  return new PipelineTokenizer({
    vocabulary,
    added,
    normalise: (text) => (addsSpace ? ` ${text}` : text).replaceAll(' ', '▁'),
    splitters: [],
    model: new Bpe({
      vocabulary,
      merges: mergesOfScores(vocabulary, scores),
      byteLevel: false,
      ignoreMerges: false,
      byteFallback: true,
      unknownId: unknown,
      fuseUnknown: true,
    }),
    decoder: sentencePieceDecoder(addsSpace ? 1 : 0),
    ...readEnds(reader, { addBos: true }),
  });
}

/** SentencePiece joins the two neighbours whose joint token has the best score: every way to halve a token is a merge. */
function mergesOfScores(vocabulary: Vocabulary, scores: readonly number[]): MergeTable {
  const rankOf = new Map([...new Set(scores)].sort((a, b) => b - a).map((score, rank) => [score, rank]));
  const pairs: [left: number, right: number, rank: number, result: number][] = [];
  for (let id = 0; id < vocabulary.size; id++) {
    const token = vocabulary.tokenOf(id)!;
    if (token.length > maxPieceLength) continue;
    for (let cut = 1; cut < token.length; cut++) {
      const left = vocabulary.idOf(token.slice(0, cut));
      const right = left === undefined ? undefined : vocabulary.idOf(token.slice(cut));
      if (left !== undefined && right !== undefined) pairs.push([left, right, rankOf.get(scores[id]!)!, id]);
    }
  }
  const merges = new MergeTable(pairs.length);
  for (const pair of pairs) merges.add(...pair);
  return merges;
}

/** Longer pieces are not words; halving one costs the square of its length. */
const maxPieceLength = 512;

function readTokens(reader: MetadataReader): { vocabulary: Vocabulary; added: AddedToken[] } {
  const tokens = reader.strings('tokenizer.ggml.tokens');
  const types = reader.has('tokenizer.ggml.token_type') ? reader.numbers('tokenizer.ggml.token_type') : [];
  const vocabulary = new Vocabulary(reader.file);
  const added: AddedToken[] = [];
  tokens.forEach((content, id) => {
    vocabulary.add(content, id);
    const type = types[id] ?? tokenType.normal;
    if (type !== tokenType.control && type !== tokenType.userDefined) return;
    const special = type === tokenType.control;
    added.push({ id, content, special, lstrip: false, rstrip: false, singleWord: false, normalized: false });
  });
  return { vocabulary, added };
}

function readEnds(reader: MetadataReader, defaults: { addBos: boolean }) {
  const bosId = reader.integer('tokenizer.ggml.bos_token_id');
  const eosId = reader.integer('tokenizer.ggml.eos_token_id');
  const prefix = bosId !== null && reader.boolean('tokenizer.ggml.add_bos_token', defaults.addBos) ? [bosId] : [];
  const suffix = eosId !== null && reader.boolean('tokenizer.ggml.add_eos_token', false) ? [eosId] : [];
  return { prefix, suffix, bosId, eosId };
}

class MetadataReader {
  readonly file: string;
  readonly #metadata: GgufMetadata;

  constructor(metadata: GgufMetadata, file: string) {
    this.#metadata = metadata;
    this.file = file;
  }

  has(key: string): boolean {
    return this.#metadata.has(key);
  }

  string(key: string, fallback?: string): string {
    const value = this.#metadata.get(key) ?? fallback;
    if (typeof value !== 'string') throw this.invalid(`'${key}' is not a string`);
    return value;
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.#metadata.get(key) ?? fallback;
    if (typeof value !== 'boolean') throw this.invalid(`'${key}' is not true or false`);
    return value;
  }

  /** A token id, or null when the file does not give one. */
  integer(key: string): number | null {
    const value = this.#metadata.get(key);
    if (value === undefined) return null;
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw this.invalid(`'${key}' is not a token id`);
    return value as number;
  }

  strings(key: string): readonly string[] {
    return this.#list(key, (item) => typeof item === 'string', 'strings') as readonly string[];
  }

  numbers(key: string): readonly number[] {
    return this.#list(key, (item) => typeof item === 'number' && !Number.isNaN(item), 'numbers') as readonly number[];
  }

  invalid(reason: string): CortexError {
    return new CortexError('tokenizer_invalid', { file: this.file, reason });
  }

  unsupported(part: string, value: string, supported: readonly string[]): CortexError {
    return new CortexError('tokenizer_unsupported', { file: this.file, part, value, supported });
  }

  #list(key: string, valid: (item: GgufValue) => boolean, wanted: string): readonly GgufValue[] {
    const value = this.#metadata.get(key);
    if (!Array.isArray(value) || !value.every(valid)) throw this.invalid(`'${key}' is not an array of ${wanted}`);
    return value;
  }
}
