import type { CompiledGrammar } from './matcher.js';
import { endToken, smallVocabulary, textOf } from './small-vocabulary.fixture.js';

const allows = (mask: Int32Array, token: number): boolean => ((mask[token >>> 5]! >>> (token & 31)) & 1) === 1;
const closers = new Set(['"', '}', ']', '"}', '"]', '}}', '"]}', '<', '/', '\n', '</mark>']);

/**
 * Writes with tokens of the small vocabulary drawn from the masks; a leaning to close what is open lets it end. Null: it was
 * not done in `maxTokens`. Throws when nothing may follow, or when mask and matcher disagree about any token at all.
 */
export function writtenTokens(grammar: CompiledGrammar, draw: () => number, maxTokens = 600): number[] | null {
  const matcher = grammar.open();
  const output: number[] = [];
  for (let step = 0; step < maxTokens; step++) {
    const mask = matcher.mask();
    const every = Array.from({ length: smallVocabulary.size }, (_, token) => token);
    const allowed = mask === null ? every : every.filter((token) => allows(mask, token));
    if (allowed.length === 0) throw new Error(`nothing may follow '${textOf(output)}'`);
    const closing = allowed.filter((token) => token === endToken || closers.has(textOf([token])));
    const among = closing.length > 0 && draw() < Math.min(0.9, 0.2 + step / 200) ? closing : allowed;
    const token = among[Math.floor(draw() * among.length)]!;
    if (step === 2 || step === 25) checkMask(grammar, output, new Set(allowed));
    if (!matcher.accept(token))
      throw new Error(`the mask allows '${textOf([token])}' after '${textOf(output)}', the matcher does not`);
    if (token === endToken) return output;
    output.push(token);
    if (matcher.isComplete) return output;
  }
  return null;
}

/** Asks a fresh matcher for every token: the mask must say the same. */
function checkMask(grammar: CompiledGrammar, output: readonly number[], allowed: ReadonlySet<number>): void {
  for (let token = 0; token < smallVocabulary.size; token++) {
    const matcher = grammar.open();
    for (const each of output) matcher.accept(each);
    if (matcher.accept(token) !== allowed.has(token)) {
      throw new Error(`mask and matcher disagree about '${textOf([token])}' after '${textOf(output)}'`);
    }
  }
}
