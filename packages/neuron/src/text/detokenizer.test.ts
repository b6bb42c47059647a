import test from 'ava';
import fc from 'fast-check';
import { Detokenizer } from './detokenizer.js';
import { loadTokenizer } from './load-tokenizer.js';
import type { Tokenizer } from './tokenizer/tokenizer.js';
import { tokenizerFromGguf } from './tokenizer/tokenizer-gguf.js';

const folder = new URL('../../fixtures/tiny', import.meta.url).pathname;

function sentencePiece(): Tokenizer {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
  const tokens = ['<unk>', '<s>', '▁', 'a', '▁a', '▁▁▁', ...bytes];
  return tokenizerFromGguf(
    new Map<string, string | readonly string[] | readonly number[]>([
      ['tokenizer.ggml.model', 'llama'],
      ['tokenizer.ggml.tokens', tokens],
      ['tokenizer.ggml.scores', tokens.map((_, id) => -id)],
      ['tokenizer.ggml.token_type', tokens.map((_, id) => (id < 2 ? 3 : 1))],
    ]),
    'm.gguf',
  );
}

const tokenizers: Readonly<Record<string, Tokenizer>> = {
  'byte-level': loadTokenizer(folder),
  SentencePiece: sentencePiece(),
};

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  test(`Detokenizer gives, piece by piece, what decoding at once gives: ${name}`, (t) => {
    const anyIds = fc.array(fc.nat(tokenizer.vocabSize + 3), { maxLength: 40 });
    fc.assert(
      fc.property(anyIds, fc.boolean(), (ids, skipSpecial) => {
        const detokenizer = new Detokenizer(tokenizer, { skipSpecial });
        const streamed = ids.map((id) => detokenizer.push(id)).join('') + detokenizer.end();
        t.is(streamed, tokenizer.decode(ids, { skipSpecial }));
      }),
      { numRuns: 500 },
    );
  });
}

test('Detokenizer holds a character back until its last byte', (t) => {
  const tokenizer = tokenizers['byte-level']!;
  const ids = [...new TextEncoder().encode('é€😀')].map((byte) => idOfByte(tokenizer, byte));
  const detokenizer = new Detokenizer(tokenizer, { skipSpecial: true });
  t.deepEqual(
    ids.map((id) => detokenizer.push(id)),
    ['', 'é', '', '', '€', '', '', '', '😀'],
  );
  t.is(detokenizer.end(), '');
});

test('Detokenizer ends a cut character as U+FFFD', (t) => {
  const tokenizer = tokenizers['byte-level']!;
  const detokenizer = new Detokenizer(tokenizer, { skipSpecial: true });
  t.is(detokenizer.push(idOfByte(tokenizer, 0xe2)), '');
  t.is(detokenizer.end(), '\ufffd');
});

function idOfByte(tokenizer: Tokenizer, byte: number): number {
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const bytes = tokenizer.bytesOf(id);
    if (bytes.length === 1 && bytes[0] === byte) return id;
  }
  throw new Error(`no token for byte ${byte}`);
}
