import { CortexError } from '@helexa/core';
import type { AddedToken } from './added-tokens.js';
import { Bpe } from './bpe.js';
import { JsonReader } from './json-reader.js';
import { MergeTable } from './merge-table.js';
import { readNormaliser } from './normaliser.js';
import { PipelineTokenizer } from './pipeline-tokenizer.js';
import { readPreTokeniser } from './pre-tokeniser.js';
import { readTokenDecoder } from './token-decoder.js';
import type { Tokenizer } from './tokenizer.js';
import { Vocabulary } from './vocabulary.js';

/** Names of the sequence's own tokens, as tokenizer_config.json gives them. */
export interface SpecialNames {
  readonly bosToken: string | null;
  readonly eosToken: string | null;
}

/** Builds a tokenizer from a parsed tokenizer.json. */
export function tokenizerFromJson(json: unknown, names: SpecialNames, file: string): Tokenizer {
  const root = new JsonReader(json, file, 'tokenizer');
  const model = root.object('model');
  if (model.string('type', 'BPE') !== 'BPE') throw model.unsupported('type', ['BPE']);
  for (const key of ['continuing_subword_prefix', 'end_of_word_suffix'] as const) {
    if (model.has(key) && model.string(key) !== '') throw model.unsupported(key, ["''"]);
  }
  if (model.has('dropout') && model.raw('dropout') !== 0) throw model.unsupported('dropout', ['null', '0']);

  const vocabulary = readVocabulary(model);
  const preTokeniser = root.has('pre_tokenizer') ? readPreTokeniser(root.object('pre_tokenizer')) : null;
  const added = readAddedTokens(root);
  const idOf = (name: string | null) =>
    name === null ? null : (added.find((token) => token.content === name)?.id ?? vocabulary.idOf(name) ?? null);
  const ends = root.has('post_processor') ? readPostProcessor(root.object('post_processor'), 0) : noEnds;
  if (!root.has('decoder')) throw root.unsupported('decoder', ['ByteLevel', 'Sequence', 'Metaspace']);
  return new PipelineTokenizer({
    vocabulary,
    added,
    normalise: root.has('normalizer') ? readNormaliser(root.object('normalizer')) : null,
    splitters: preTokeniser?.splitters ?? [],
    model: new Bpe({
      vocabulary,
      merges: readMerges(model, vocabulary),
      byteLevel: preTokeniser?.byteLevel ?? false,
      ignoreMerges: model.boolean('ignore_merges', false),
      byteFallback: model.boolean('byte_fallback', false),
      unknownId: model.has('unk_token') ? (idOf(model.string('unk_token')) ?? null) : null,
      fuseUnknown: model.boolean('fuse_unk', false),
    }),
    decoder: readTokenDecoder(root.object('decoder')),
    ...ends,
    bosId: idOf(names.bosToken),
    eosId: idOf(names.eosToken),
  });
}

function readVocabulary(model: JsonReader): Vocabulary {
  const vocabulary = new Vocabulary(model.file);
  model.object('vocab').forEach((token, id) => {
    vocabulary.add(token, id);
  });
  return vocabulary;
}

function readMerges(model: JsonReader, vocabulary: Vocabulary): MergeTable {
  const list = model.array('merges');
  const merges = new MergeTable(list.length);
  list.forEach((entry, rank) => {
    const pair = typeof entry === 'string' ? splitMerge(entry) : entry;
    if (!Array.isArray(pair) || pair.length !== 2 || typeof pair[0] !== 'string' || typeof pair[1] !== 'string') {
      throw model.invalid(`has a merge at ${rank} that is not a pair of tokens`);
    }
    vocabulary.addMerge(merges, pair[0], pair[1], rank);
  });
  return merges;
}

/** Two tokens joined by one space; tokens of this form hold no space of their own. */
export function splitMerge(merge: string): readonly string[] {
  const space = merge.indexOf(' ', 1);
  return space < 0 ? [merge] : [merge.slice(0, space), merge.slice(space + 1)];
}

function readAddedTokens(root: JsonReader): AddedToken[] {
  if (!root.has('added_tokens')) return [];
  return root.objects('added_tokens').map((token) => {
    const id = token.integer('id');
    if (id > 4_194_303) throw token.invalid(`has the id ${id}, which is beyond any vocabulary`);
    const special = token.boolean('special', false);
    return {
      id,
      content: token.string('content'),
      special,
      lstrip: token.boolean('lstrip', false),
      rstrip: token.boolean('rstrip', false),
      singleWord: token.boolean('single_word', false),
      normalized: token.boolean('normalized', !special),
    };
  });
}

interface SequenceEnds {
  readonly prefix: readonly number[];
  readonly suffix: readonly number[];
}

const noEnds: SequenceEnds = { prefix: [], suffix: [] };

const postProcessors = ['TemplateProcessing', 'ByteLevel', 'Sequence', 'BertProcessing', 'RobertaProcessing'] as const;

/** What a sequence is wrapped in. */
function readPostProcessor(part: JsonReader, depth: number): SequenceEnds {
  switch (part.string('type')) {
    case 'ByteLevel':
      return noEnds;
    case 'TemplateProcessing':
      return readTemplate(part);
    case 'BertProcessing':
    case 'RobertaProcessing':
      return { prefix: [namedId(part, 'cls')], suffix: [namedId(part, 'sep')] };
    case 'Sequence': {
      if (depth > 16) throw part.invalid('is nested too deep');
      const ends = part.objects('processors').map((step) => readPostProcessor(step, depth + 1));
      return {
        prefix: ends.flatMap((end) => end.prefix),
        suffix: ends.flatMap((end) => end.suffix),
      };
    }
    default:
      throw part.unsupported('type', postProcessors);
  }
}

function namedId(part: JsonReader, key: string): number {
  const id = part.array(key)[1];
  if (!Number.isSafeInteger(id)) throw part.invalid(`.${key} is not a pair of a token and its id`);
  return id as number;
}

function readTemplate(part: JsonReader): SequenceEnds {
  const specials = part.object('special_tokens');
  const prefix: number[] = [];
  const suffix: number[] = [];
  let ends = prefix;
  for (const piece of part.objects('single')) {
    if (piece.has('Sequence')) {
      ends = suffix;
      continue;
    }
    const name = piece.object('SpecialToken').string('id');
    const ids = specials.object(name).array('ids');
    if (!ids.every((id) => Number.isSafeInteger(id))) {
      throw new CortexError('tokenizer_invalid', { file: part.file, reason: `template token '${name}' has no ids` });
    }
    ends.push(...(ids as number[]));
  }
  return { prefix, suffix };
}
