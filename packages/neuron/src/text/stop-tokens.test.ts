import test from 'ava';
import { loadTokenizer } from './load-tokenizer.js';
import { stopTokenIds } from './stop-tokens.js';

const tokenizer = loadTokenizer(new URL('../../fixtures/tiny', import.meta.url).pathname);

test('stopTokenIds joins every source with the turn ends of the vocabulary', (t) => {
  const ids = stopTokenIds({
    tokenizer,
    generationConfig: { eos_token_id: [5, 6] },
    modelConfig: { eos_token_id: 7, text_config: { eos_token_id: 8 } },
  });
  t.deepEqual(
    [...ids].sort((a, b) => a - b),
    [5, 6, 7, 8, tokenizer.idOf('<|endoftext|>')!, tokenizer.idOf('<|im_end|>')!],
  );
});

test('stopTokenIds ignores ids that are no numbers', (t) => {
  const ids = stopTokenIds({ tokenizer, generationConfig: { eos_token_id: ['x', null] }, modelConfig: null });
  t.is(ids.size, 2);
});
