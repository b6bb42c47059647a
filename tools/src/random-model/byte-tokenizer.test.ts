import test from 'ava';
import { makeByteVocabulary } from './byte-tokenizer.js';

test('makeByteVocabulary fills every id once, with the special tokens where the config wants them', (t) => {
  const { tokens, merges, special } = makeByteVocabulary(12_000, 11_000, 11_002);
  t.is(tokens.length, 12_000);
  t.is(new Set(tokens).size, 12_000);
  t.is(tokens[11_000], '<|endoftext|>');
  t.is(tokens[11_002], '<|im_end|>');
  t.is(tokens[special.get('<|im_start|>')!], '<|im_start|>');
  const known = new Set(tokens);
  for (const [left, right] of merges.slice(0, 500))
    t.true(known.has(left) && known.has(right) && known.has(left + right));
});
