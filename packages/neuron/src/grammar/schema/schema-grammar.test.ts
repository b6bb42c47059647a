import test from 'ava';
import fc from 'fast-check';
import { makeGrammar } from '../grammar-compiler.js';
import type { GrammarNode } from '../grammar-node.js';
import type { CompiledGrammar } from '../matcher.js';
import { randomSchemas, strangersValidator } from '../random-schema.fixture.js';
import { endToken, runWhole, smallTables, smallVocabulary, textOf } from '../small-vocabulary.fixture.js';
import { refuseKeyword } from './refuse-keyword.js';
import { addSchema } from './schema-grammar.js';

const { trie, characters } = smallTables();

function grammarOf(schema: unknown): CompiledGrammar {
  const source = function* () {
    const rules = new Map<string, GrammarNode>();
    return { start: yield* addSchema(schema, rules, 'schema', refuseKeyword('schema')), rules };
  };
  return runWhole(
    makeGrammar(source, trie, characters, (reason) => {
      throw new Error(reason);
    }),
  );
}

const utf8 = new TextEncoder();

/** Whether a text is admitted, byte by byte. */
function admits(grammar: CompiledGrammar, text: string): boolean {
  const matcher = grammar.open();
  return [...utf8.encode(text)].every((byte) => matcher.accept(byte)) && matcher.isAccepting;
}

const allows = (mask: Int32Array, token: number): boolean => ((mask[token >>> 5]! >>> (token & 31)) & 1) === 1;
const closers = new Set(['"', '}', ']', '"}', '"]', '}}', '"]}'].map((each) => each));

/** Writes with tokens drawn from the masks; a leaning to close what is open lets it end. Null: it was not done in time. */
function write(grammar: CompiledGrammar, draw: () => number): string | null {
  const matcher = grammar.open();
  const output: number[] = [];
  for (let step = 0; step < 600; step++) {
    const mask = matcher.mask();
    const allowed = Array.from({ length: smallVocabulary.size }, (_, token) => token).filter((token) =>
      allows(mask, token),
    );
    if (allowed.length === 0) throw new Error(`nothing may follow '${textOf(output)}'`);
    const closing = allowed.filter((token) => token === endToken || closers.has(textOf([token])));
    const among = closing.length > 0 && draw() < Math.min(0.9, 0.2 + step / 200) ? closing : allowed;
    const token = among[Math.floor(draw() * among.length)]!;
    if (!matcher.accept(token))
      throw new Error(`the mask allows '${textOf([token])}' after '${textOf(output)}', the matcher does not`);
    if (token === endToken) return textOf(output);
    output.push(token);
    if (matcher.isComplete) return textOf(output);
  }
  return null;
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = Math.imul(state ^ (state >>> 15), state | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

// Mutations that break it: counting UTF-16 units instead of characters, a maximum without its last digit, a comma after the
// last member, the mask of a state without what follows its rule.
test('addSchema: whatever is written within the masks is JSON that meets the schema', (t) => {
  const validator = strangersValidator();
  let finished = 0;
  fc.assert(
    fc.property(randomSchemas(2), fc.integer(), ({ schema }, seed) => {
      const text = write(grammarOf(schema), randomOf(seed));
      if (text === null) return;
      finished++;
      const isValid = validator.validate(schema, JSON.parse(text));
      if (!isValid) throw new Error(`${text} fails ${JSON.stringify(schema)}: ${validator.errorsText()}`);
    }),
    { numRuns: 120, seed: 4 },
  );
  t.log(`${finished} texts were finished`);
  t.true(finished > 100);
});

test('addSchema admits every value that meets the schema, compact and indented', (t) => {
  const validator = strangersValidator();
  fc.assert(
    fc.property(
      randomSchemas(2).chain((sample) =>
        fc.tuple(fc.constant(sample.schema), fc.array(sample.values, { maxLength: 4 })),
      ),
      ([schema, values]) => {
        const grammar = grammarOf(schema);
        for (const value of values) {
          if (!validator.validate(schema, value))
            throw new Error(
              `bad sample ${JSON.stringify(value)} of ${JSON.stringify(schema)}: ${validator.errorsText()}`,
            );
          for (const text of [JSON.stringify(value), JSON.stringify(value, null, 2)])
            if (!admits(grammar, text)) throw new Error(`${text} is refused by ${JSON.stringify(schema)}`);
        }
      },
    ),
    { numRuns: 120, seed: 5 },
  );
  t.pass();
});
