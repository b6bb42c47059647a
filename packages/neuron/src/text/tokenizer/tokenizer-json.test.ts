import { readFileSync } from 'node:fs';
import { CortexError, type GgufMetadata, type GgufValue } from '@helexa/core';
import { Tokenizer as ReferenceTokenizer } from '@huggingface/tokenizers';
import test from 'ava';
import fc from 'fast-check';
import { tokenizerFromGguf } from './tokenizer-gguf.js';
import { tokenizerFromJson } from './tokenizer-json.js';

type Json = Record<string, unknown> & { model: Record<string, unknown>; added_tokens: Record<string, unknown>[] };

const fixture = (name: string) => readFileSync(new URL(`../../../fixtures/${name}`, import.meta.url), 'utf8');
const tiny = (): Json => JSON.parse(fixture('tiny/tokenizer.json')) as Json;
const names = { bosToken: null, eosToken: '<|im_end|>' };
const load = (json: unknown) => tokenizerFromJson(json, names, 'tokenizer.json');

interface Reference {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
}
const reference = (json: unknown) =>
  new (ReferenceTokenizer as unknown as new (json: unknown, config: unknown) => Reference)(json, {
    clean_up_tokenization_spaces: false,
  });

/** Words that splitting, normalising and added tokens trip over. */
const pieces = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: 'grapheme', maxLength: 6 }) },
  fc.string({ unit: 'binary', maxLength: 4 }).filter((text) => !/\p{Cs}/u.test(text)),
  fc.constantFrom(
    "it's",
    "WE'LL",
    ' ',
    '  ',
    '\n',
    '\r\n',
    '\t',
    '123456',
    '中文字',
    'é',
    'e\u0301',
    '👩‍👩‍👧',
    '🇳🇱',
    '\u0000',
    '\ufeff',
    '<|im_start|>',
    '<|im_end|>',
    '<|im_',
    '<think>',
    '</think>',
    '<think',
    '\u0085',
    '\u00a0',
    'ﬁ',
    'ß',
    '٣',
    '!!!',
    'ſ',
  ),
);
const texts = fc.array(pieces, { maxLength: 12 }).map((parts) => parts.join(''));

/**
 * The reference library reads white space and digits of these parts as JavaScript does (U+0085 is none, U+FEFF is one, only
 * ASCII digits are) and lowers a sigma by its place in the word, while the native one that models were made with, and ours,
 * go by Unicode, character by character.
 */
const isDisputed = (char: string) =>
  /[\u0085\ufeff]|(?![0-9])\p{N}/u.test(char) || char.normalize('NFKC').toUpperCase().includes('Σ');

/** Variants of one vocabulary: each pipeline that published models use. */
const variants: Readonly<Record<string, (json: Json) => void>> = {
  'as it is': () => {},
  'runs of digits and whole words first': (json) => {
    json['normalizer'] = null;
    json.model['ignore_merges'] = true;
    json['pre_tokenizer'] = {
      type: 'Sequence',
      pretokenizers: [
        {
          type: 'Split',
          pattern: {
            Regex:
              "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
          },
          behavior: 'Isolated',
          invert: false,
        },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    };
  },
  'the pattern of GPT-2 with a prefix space': (json) => {
    json['normalizer'] = null;
    json['pre_tokenizer'] = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
  },
  'digits apart, then the pattern of GPT-2': (json) => {
    json['normalizer'] = { type: 'Sequence', normalizers: [{ type: 'NFKC' }, { type: 'Lowercase' }] };
    json['pre_tokenizer'] = {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Digits', individual_digits: true },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      ],
    };
  },
};

for (const [name, change] of Object.entries(variants)) {
  test(`tokenizerFromJson encodes like the reference library: ${name}`, (t) => {
    const json = tiny();
    change(json);
    const [ours, theirs] = [load(json), reference(json)];
    fc.assert(
      fc.property(texts, (any) => {
        const text = name.includes('GPT-2') ? [...any].filter((char) => !isDisputed(char)).join('') : any;
        t.deepEqual(
          ours.encode(text, { special: false }),
          theirs.encode(text, { add_special_tokens: false }).ids,
          JSON.stringify(text),
        );
      }),
      { numRuns: 400 },
    );
  });
}

test('tokenizerFromJson gives the ids that were recorded, and their text back', (t) => {
  const cases = JSON.parse(fixture('text/tokenizer-cases.json')) as { text: string; ids: number[] }[];
  const tokenizer = load(tiny());
  t.true(cases.length > 10);
  for (const { text, ids } of cases) {
    t.deepEqual(tokenizer.encode(text, { special: false }), ids, text);
    t.is(tokenizer.decode(ids), text.normalize('NFC'));
  }
});

test('tokenizerFromJson decodes what it encoded, whatever the text', (t) => {
  const json = tiny();
  json['normalizer'] = null;
  const tokenizer = load(json);
  fc.assert(
    fc.property(texts, (text) => {
      t.is(tokenizer.decode(tokenizer.encode(text, { special: false })), text);
    }),
  );
});

test('tokenizerFromGguf gives the ids of the tokenizer.json that the metadata came from', (t) => {
  const json = tiny();
  const vocab = Object.entries(json.model['vocab'] as Record<string, number>);
  const tokens: string[] = [];
  const types: number[] = [];
  for (const [token, id] of vocab) [tokens[id], types[id]] = [token, 1];
  for (const { content, id, special } of json.added_tokens as { content: string; id: number; special: boolean }[]) {
    [tokens[id], types[id]] = [content, special ? 3 : 4];
  }
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'qwen2'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.token_type', types],
    ['tokenizer.ggml.merges', (json.model['merges'] as string[][]).map((pair) => pair.join(' '))],
    ['tokenizer.ggml.eos_token_id', 629],
  ]);
  const [fromJson, fromGguf] = [load(json), tokenizerFromGguf(metadata, 'm.gguf')];
  t.deepEqual(fromGguf.specialIds, fromJson.specialIds);
  t.is(fromGguf.eosId, 629);
  fc.assert(
    fc.property(texts, (text) => {
      const ids = fromGguf.encode(text, { special: false });
      t.deepEqual(ids, fromJson.encode(text, { special: false }));
      t.is(fromGguf.decode(ids), fromJson.decode(ids));
    }),
    { numRuns: 100 },
  );
});

test('tokenizerFromGguf names a pre-tokeniser that it does not know', (t) => {
  const metadata: GgufMetadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'martian'],
  ]);
  const error = t.throws(() => tokenizerFromGguf(metadata, 'm.gguf'), { instanceOf: CortexError }) as CortexError;
  t.is(error.code, 'tokenizer_unsupported');
  t.regex(error.message, /'martian'/);
});

test('tokenizerFromGguf joins SentencePiece tokens by score and falls back to bytes', (t) => {
  const tokens = [
    '<unk>',
    '<s>',
    '</s>',
    '▁',
    'a',
    'b',
    'ab',
    '▁ab',
    ...Array.from({ length: 256 }, (_, b) => byteToken(b)),
  ];
  const types = [2, 3, 3, 1, 1, 1, 1, 1, ...Array.from({ length: 256 }, () => 6)];
  const tokenizer = tokenizerFromGguf(
    new Map<string, GgufValue>([
      ['tokenizer.ggml.model', 'llama'],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.token_type', types],
      ['tokenizer.ggml.scores', tokens.map((_, id) => -id)],
      ['tokenizer.ggml.bos_token_id', 1],
      ['tokenizer.ggml.eos_token_id', 2],
      ['tokenizer.ggml.unknown_token_id', 0],
    ]),
    'm.gguf',
  );
  t.deepEqual(tokenizer.encode('ab b', { special: true }), [1, 7, 3, 5]);
  const euro = tokenizer.encode('€', { special: false });
  t.deepEqual(euro, [3, 8 + 0xe2, 8 + 0x82, 8 + 0xac]);
  t.is(tokenizer.decode(euro), '€');
  t.is(tokenizer.decode(tokenizer.encode('ab b', { special: true }), { skipSpecial: true }), 'ab b');
});

const byteToken = (byte: number) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;

test('tokenizerFromJson wraps a sequence as the post-processor says, only when asked', (t) => {
  const json = tiny();
  json['post_processor'] = {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: '<|im_start|>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    pair: [],
    special_tokens: { '<|im_start|>': { id: '<|im_start|>', ids: [628], tokens: ['<|im_start|>'] } },
  };
  const tokenizer = load(json);
  t.deepEqual(tokenizer.encode('a', { special: true }), [628, 64]);
  t.deepEqual(tokenizer.encode('a', { special: false }), [64]);
});

test('tokenizerFromJson lets added tokens strip, and keeps single words whole', (t) => {
  const json = tiny();
  json.added_tokens.push(
    { id: 640, content: '[S]', special: true, lstrip: true, rstrip: true, single_word: false, normalized: false },
    { id: 641, content: 'cat', special: false, lstrip: false, rstrip: false, single_word: true, normalized: false },
  );
  const tokenizer = load(json);
  t.deepEqual(tokenizer.encode('a  [S] \n a', { special: false }), [64, 640, 64]);
  t.true(tokenizer.encode('a cat', { special: false }).includes(641));
  t.false(tokenizer.encode('concat', { special: false }).includes(641));
});

test('tokenizerFromJson turns what is malformed or unknown into a typed error', (t) => {
  const hostile: ((json: Json) => unknown)[] = [
    () => null,
    () => [],
    () => ({ model: 1 }),
    (json) => Object.assign(json, { model: { ...json.model, type: 'Unigram' } }),
    (json) => Object.assign(json, { model: { ...json.model, vocab: { a: -1 } } }),
    (json) => Object.assign(json, { model: { ...json.model, vocab: { a: 1e12 } } }),
    (json) => Object.assign(json, { model: { ...json.model, merges: ['a'] } }),
    (json) => Object.assign(json, { model: { ...json.model, merges: [['nope', 'never']] } }),
    (json) => Object.assign(json, { model: { ...json.model, merges: 5 } }),
    (json) => Object.assign(json, { normalizer: { type: 'Precompiled' } }),
    (json) => Object.assign(json, { pre_tokenizer: { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' } }),
    (json) => Object.assign(json, { pre_tokenizer: nested('Sequence', 'pretokenizers', 100) }),
    (json) => Object.assign(json, { decoder: null }),
    (json) => Object.assign(json, { decoder: { type: 'WordPiece' } }),
    (json) => Object.assign(json, { added_tokens: [{ id: 'x', content: 'y' }] }),
    (json) => Object.assign(json, { post_processor: { type: 'TemplateProcessing', single: [{ SpecialToken: {} }] } }),
  ];
  for (const [index, change] of hostile.entries()) {
    const error = t.throws(() => load(change(tiny())), { instanceOf: CortexError }, `case ${index}`) as CortexError;
    t.regex(error.code, /^tokenizer_(?:invalid|unsupported)$/);
  }
});

function nested(type: string, key: string, depth: number): unknown {
  return depth === 0 ? { type: 'Whitespace' } : { type, [key]: [nested(type, key, depth - 1)] };
}

test('tokenizerFromJson encodes one very long word by the same merges as its repetitions', (t) => {
  const tokenizer = load(tiny());
  const word = 'abcdefgh'.repeat(50_000);
  const ids = tokenizer.encode(word, { special: false });
  t.is(tokenizer.decode(ids), word);
  t.true(ids.length <= word.length);
});

test('tokenizer refuses a text that no context could hold', (t) => {
  const tokenizer = load(tiny());
  const error = t.throws(() => tokenizer.encode('a'.repeat(5_000_000), { special: false }), {
    instanceOf: CortexError,
  });
  t.is((error as CortexError).code, 'text_too_long');
});
