import { seededRandom } from '@helexa/core/testing';
import test from 'ava';
import fc from 'fast-check';
import type { MarkerPair, ToolFormat } from '../text/output-format.js';
import { bareJson } from '../text/tool-dialects/bare-json.js';
import { markedJson } from '../text/tool-dialects/marked-json.js';
import { markedParameters } from '../text/tool-dialects/marked-parameters.js';
import { type AnswerOpening, answerGrammar } from './answer-grammar.js';
import type { ToolGrammar } from './calls-node.js';
import { makeGrammar } from './grammar-compiler.js';
import type { CompiledGrammar } from './matcher.js';
import { strangersValidator } from './random-schema.fixture.js';
import {
  closeToken,
  endToken,
  openToken,
  runWhole,
  smallTables,
  smallVocabulary,
  textOf,
} from './small-vocabulary.fixture.js';
import type { WantedAnswer } from './wanted-answer.js';
import { writtenTokens } from './written.fixture.js';

const { trie, characters } = smallTables();
const plainOpening: AnswerOpening = { reasoning: 'none', marks: null, hasLeadingSpace: false };

function grammarOf(wanted: WantedAnswer, tools: ToolFormat | null, opening = plainOpening): CompiledGrammar {
  return runWhole(
    makeGrammar(
      () => answerGrammar(wanted, tools, opening),
      trie,
      characters,
      (reason) => {
        throw new Error(reason);
      },
    ),
  );
}

/** The marks as single tokens, or spelled out. */
const marksOf = (open: string, close: string, areTokens: boolean): MarkerPair => ({
  open,
  close,
  openId: areTokens ? openToken : null,
  closeId: areTokens ? closeToken : null,
});

const tokenMarks = { open: '<mark>', close: '</mark>' };
const withTokens = <Dialect extends typeof markedJson>(dialect: Dialect): ToolFormat => ({
  kind: 'marked',
  dialect: {
    ...dialect,
    ...tokenMarks,
    syntax: {
      ...dialect.syntax,
      begin: dialect.syntax.begin.replace(dialect.open, tokenMarks.open),
      end: dialect.syntax.end.replace(dialect.close, tokenMarks.close),
    },
  },
  marks: marksOf(tokenMarks.open, tokenMarks.close, true),
});
const asText = (dialect: typeof markedJson): ToolFormat => ({
  kind: 'marked',
  dialect,
  marks: marksOf(dialect.open, dialect.close, false),
});

const formats: readonly (readonly [string, ToolFormat])[] = [
  ['JSON between marks that are tokens', withTokens(markedJson)],
  ['JSON between marks that are text', asText(markedJson)],
  ['parameters between marks that are tokens', withTokens(markedParameters)],
  ['parameters between marks that are text', asText(markedParameters)],
  ['bare JSON', { kind: 'bare', dialect: bareJson, tagId: null }],
];

const parameters = {
  type: 'object',
  properties: {
    city: { type: 'string', minLength: 1, maxLength: 6 },
    days: { type: 'integer', minimum: 1, maximum: 31 },
    unit: { type: 'string', enum: ['C', 'F'] },
    note: { type: ['string', 'null'], maxLength: 5 },
    tags: { type: 'array', items: { type: 'string', maxLength: 3 }, maxItems: 2 },
    exact: { type: 'boolean' },
  },
  required: ['city', 'unit', 'exact'],
  additionalProperties: false,
};
const held = (name: string, how: ToolGrammar['held']): ToolGrammar => ({ name, parameters, held: how, param: 'tools' });
const tools = [held('weather', 'strict'), held('time', 'wanted')];
const calls = (more: Partial<WantedAnswer & { kind: 'calls' }> = {}): WantedAnswer => ({
  kind: 'calls',
  tools,
  isRequired: true,
  isSingle: false,
  otherwise: null,
  ...more,
});

/** The calls in a text, as the dialect's own parser reads them. */
function parsed(text: string, { dialect }: ToolFormat): { name: string; arguments: string }[] {
  if (dialect.kind === 'bare')
    return text.split('; {').flatMap((part, index) => dialect.parse(index > 0 ? `{${part}` : part, tools) ?? []);
  const bodies = text
    .split(dialect.open)
    .slice(1)
    .map((part) => part.slice(0, part.indexOf(dialect.close)));
  return bodies.flatMap((body) => [...(dialect.parse(body, tools) ?? [])]);
}

// Mutations that break it: a value without the newline before its close, a raw text that may hold a close, an enum of strings
// written as JSON where strings are raw.
for (const [name, format] of formats) {
  test(`answerGrammar: required calls are read by their own parser and meet their schema: ${name}`, (t) => {
    const validator = strangersValidator();
    const grammars = [grammarOf(calls(), format), grammarOf(calls({ isSingle: true }), format)];
    let read = 0;
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, isSingle) => {
        const output = writtenTokens(grammars[isSingle ? 1 : 0]!, seededRandom(seed), 400);
        if (output === null) return;
        const text = textOf(output);
        const found = parsed(text, format);
        if (found.length === 0 || (isSingle && found.length > 1)) throw new Error(`${found.length} calls in ${text}`);
        for (const call of found) {
          read++;
          if (!tools.some((tool) => tool.name === call.name)) throw new Error(`'${call.name}' is called in ${text}`);
          if (!validator.validate(parameters, JSON.parse(call.arguments))) {
            throw new Error(`${call.arguments} of ${text}: ${validator.errorsText()}`);
          }
        }
      }),
      { numRuns: 16, seed: 7 },
    );
    t.true(read >= 10, `${read} calls`);
  });
}

const utf8 = new TextEncoder();
const bytesOf = (text: string): number[] => [...utf8.encode(text)];
const takes = (grammar: CompiledGrammar, tokens: readonly number[]): boolean => {
  const matcher = grammar.open();
  return tokens.every((token) => matcher.accept(token));
};

test('answerGrammar leaves text free until a call begins, and holds the call then', (t) => {
  const format = withTokens(markedJson);
  const grammar = grammarOf(calls({ isRequired: false }), format);
  t.is(grammar.open().mask(), null, 'no mask while anything may follow');
  const call = [
    openToken,
    ...bytesOf('\n{"name": "weather", "arguments": {"city": "Rome", "unit": "C", "exact": true}}\n'),
    closeToken,
  ];
  t.true(takes(grammar, [...bytesOf('Let me see {'), ...call, ...bytesOf(' and '), ...call, endToken]));
  t.false(takes(grammar, [openToken, ...bytesOf('\n{"name": "other')]));
  t.false(takes(grammar, [openToken, endToken]));
  const single = grammarOf(calls({ isRequired: false, isSingle: true }), format);
  t.true(takes(single, [...call, endToken]));
  t.false(takes(single, [...call, openToken]));
});

test('answerGrammar finds a mark that is text wherever it ends', (t) => {
  const grammar = grammarOf(calls({ isRequired: false }), asText(markedJson));
  t.true(takes(grammar, [...bytesOf('a <tool <tool_cal'), endToken]));
  t.true(takes(grammar, bytesOf('a <<tool_call>\n{"name": "time", "arguments": {"city"')));
  t.false(takes(grammar, bytesOf('a <<tool_call>\n{"name": "dice"')));
});

test('answerGrammar takes calls or what an answer without them has to be', (t) => {
  const grammar = grammarOf(calls({ isRequired: false, otherwise: { kind: 'object' } }), withTokens(markedJson));
  t.true(takes(grammar, bytesOf('{"answer": 1}').concat(endToken)));
  t.true(takes(grammar, [openToken, ...bytesOf('\n{"name": "weather"')]));
  t.false(takes(grammar, bytesOf('Hello')));
});

test('answerGrammar begins after reasoning, which may not end the answer', (t) => {
  const marks = marksOf('<mark>', '</mark>', true);
  const possible = grammarOf({ kind: 'object' }, null, { ...plainOpening, reasoning: 'possible', marks });
  t.true(takes(possible, bytesOf('{}').concat(endToken)));
  t.true(takes(possible, [openToken, ...bytesOf('Hm, "{'), closeToken, ...bytesOf('\n\n{"a": 1}'), endToken]));
  t.false(takes(possible, [openToken, ...bytesOf('Hm'), endToken]));
  t.false(takes(possible, [closeToken]));
  const open = grammarOf({ kind: 'object' }, null, { ...plainOpening, reasoning: 'open', marks });
  t.true(takes(open, [...bytesOf('Hm'), closeToken, ...bytesOf('{}')]));
  const spelled = grammarOf({ kind: 'object' }, null, {
    ...plainOpening,
    reasoning: 'open',
    marks: marksOf('<think>', '</think>', false),
  });
  t.true(takes(spelled, bytesOf('Hm </thin </think>\n{"a":2}').concat(endToken)));
  t.false(takes(spelled, bytesOf('Hm </think>\nNo')));
  t.false(takes(spelled, bytesOf('Hm').concat(endToken)));
});

test('answerGrammar holds arguments of a tool to an object when its schema cannot be enforced and was not promised', (t) => {
  const odd = {
    name: 'odd',
    parameters: { type: 'object', properties: { a: { type: 'string', pattern: '(?=x)' } } },
    param: 'tools',
  };
  const wanted = grammarOf(calls({ tools: [{ ...odd, held: 'wanted' }] }), withTokens(markedJson));
  t.true(
    takes(wanted, [
      openToken,
      ...bytesOf('\n{"name": "odd", "arguments": {"a": "y", "b": [1]}}\n'),
      closeToken,
      endToken,
    ]),
  );
  t.throws(() => grammarOf(calls({ tools: [{ ...odd, held: 'strict' }] }), withTokens(markedJson)), {
    message:
      "Cannot enforce 'pattern' at '#/properties/a' of field 'tools': it has a look-around or modifier, which is not supported at character 3",
  });
});

test('smallVocabulary has every byte, so that no grammar comes to a dead end', (t) => {
  t.true(Array.from({ length: 256 }, (_, byte) => byte).every((byte) => trie.isSpellable(byte)));
  t.is(smallVocabulary.bytesOf(endToken + 100).length, 0);
});
