import { seededRandom } from '@helexa/core/testing';
import test from 'ava';
import fc from 'fast-check';
import { makeGrammar } from '../grammar-compiler.js';
import type { GrammarNode } from '../grammar-node.js';
import type { CompiledGrammar } from '../matcher.js';
import { randomSchemas, strangersValidator } from '../random-schema.fixture.js';
import { runWhole, smallTables, textOf } from '../small-vocabulary.fixture.js';
import { writtenTokens } from '../written.fixture.js';
import { jsonRuleNodes } from './json-nodes.js';
import { refuseKeyword } from './refuse-keyword.js';
import { addSchema } from './schema-grammar.js';

const { trie, characters } = smallTables();

function grammarOf(schema: unknown): CompiledGrammar {
  const source = function* () {
    const rules = new Map<string, GrammarNode>(jsonRuleNodes());
    return { start: yield* addSchema(schema, rules, { prefix: 'schema', refuse: refuseKeyword('schema') }), rules };
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

/** A text written within the masks; null: it was not done in time. */
const written = (grammar: CompiledGrammar, seed: number): string | null => {
  const output = writtenTokens(grammar, seededRandom(seed));
  return output && textOf(output);
};

// Mutations that break it: counting UTF-16 units instead of characters, a maximum without its last digit, a comma after the
// last member, the mask of a state without what follows its rule.
test('addSchema: whatever is written within the masks is JSON that meets the schema', (t) => {
  const validator = strangersValidator();
  let finished = 0;
  fc.assert(
    fc.property(randomSchemas(2), fc.integer(), ({ schema }, seed) => {
      const text = written(grammarOf(schema), seed);
      if (text === null) return;
      finished++;
      const isValid = validator.validate(schema, JSON.parse(text));
      if (!isValid) throw new Error(`${text} fails ${JSON.stringify(schema)}: ${validator.errorsText()}`);
    }),
    { numRuns: 90, seed: 4 },
  );
  t.log(`${finished} texts were finished`);
  t.true(finished > 60);
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
    { numRuns: 90, seed: 5 },
  );
  t.pass();
});
