import { loadTokenizer } from '@helexa/neuron';
import type { ParityModel } from './parity-cases.js';

/** Names of the tokenizer cases that differ. Expected ids may have been made with or without the sequence's own tokens. */
export function failedTokenizerCases({ path, tokenizer }: ParityModel): string[] {
  const loaded = loadTokenizer(path);
  const failures = [false, true].map((special) =>
    tokenizer
      .filter(({ text, ids }) => loaded.encode(text, { special }).join() !== ids.join())
      .map(({ text }) => JSON.stringify(text)),
  );
  return failures.find((failed) => failed.length === 0) ?? failures[0]!;
}
