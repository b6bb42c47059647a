/** A byte-level vocabulary of any size: the 256 bytes, then pairs and triples of printable ASCII with their merges. */
export interface ByteVocabulary {
  /** Spelling of every id, in the byte alphabet. */
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [left: string, right: string])[];
  /** Control tokens and their ids. */
  readonly special: ReadonlyMap<string, number>;
  readonly bos: number;
  readonly eos: number;
}

/** A ChatML template: what the random model is served with. */
export const chatTemplate =
  '{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

/** `bos` and `eos` are the ids that the model's config names. */
export function makeByteVocabulary(size: number, bos: number, eos: number): ByteVocabulary {
  const taken = new Set([bos, eos]);
  let start = Math.min(size - 1, Math.max(bos, eos) + 1);
  while (taken.has(start)) start--;
  const special = new Map([
    ['<|endoftext|>', bos],
    ['<|im_end|>', eos],
    ['<|im_start|>', start],
  ]);
  const specialById = new Map([...special].map(([token, id]) => [id, token]));
  const tokens: string[] = [];
  const merges: (readonly [string, string])[] = [];
  const names = spellings(merges);
  for (let id = 0; id < size; id++) tokens.push(specialById.get(id) ?? names.next().value!);
  return { tokens, merges, special, bos, eos };
}

function* spellings(merges: (readonly [string, string])[]): Generator<string, string> {
  let next = 256;
  const alphabet: string[] = [];
  for (let byte = 0; byte < 256; byte++) {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    alphabet.push(String.fromCharCode(isPrintable ? byte : next++));
  }
  yield* alphabet;
  const printable = alphabet.slice(32, 127);
  const pairs: string[] = [];
  for (const left of printable) {
    for (const right of printable) {
      merges.push([left, right]);
      pairs.push(left + right);
      yield left + right;
    }
  }
  for (const left of pairs) {
    for (const right of printable) {
      merges.push([left, right]);
      yield left + right;
    }
  }
  return '';
}

const splitPattern =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/** The vocabulary as tokenizer.json. */
export function tokenizerJson(vocabulary: ByteVocabulary): unknown {
  const { tokens, merges, special } = vocabulary;
  const specialIds = new Set(special.values());
  return {
    version: '1.0',
    added_tokens: [...special].map(([content, id]) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: { type: 'NFC' },
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: splitPattern }, behavior: 'Isolated', invert: false },
        { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      vocab: Object.fromEntries(tokens.flatMap((token, id) => (specialIds.has(id) ? [] : [[token, id]]))),
      merges,
    },
  };
}
