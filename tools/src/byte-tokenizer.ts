import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The printable character that stands for each byte in a byte-level vocabulary (the table GPT-2 introduced). */
function byteCharacters(): string[] {
  const isPrintable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}

/**
 * Gives a checkpoint without one a tokenizer of 256 bytes and an end token, and a plain chat template: enough to serve a
 * random model whose text means nothing.
 */
export async function writeByteTokenizer(folder: string): Promise<void> {
  const vocab = Object.fromEntries(byteCharacters().map((character, byte) => [character, byte]));
  const end = {
    id: 256,
    content: '<|end|>',
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  };
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  await writeFile(
    join(folder, 'tokenizer.json'),
    JSON.stringify({
      version: '1.0',
      added_tokens: [end],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: { type: 'BPE', vocab, merges: [] },
    }),
  );
  await writeFile(
    join(folder, 'tokenizer_config.json'),
    JSON.stringify({
      tokenizer_class: 'PreTrainedTokenizerFast',
      eos_token: end.content,
      chat_template: '{% for message in messages %}{{ message.content }}{% endfor %}',
    }),
  );
}
