import { CortexError } from '@helexa/core';
import { answerGrammar } from '../../../packages/neuron/dist/grammar/answer-grammar.js';
import { buildCharacterTable } from '../../../packages/neuron/dist/grammar/character-table.js';
import { makeGrammar } from '../../../packages/neuron/dist/grammar/grammar-compiler.js';
import { buildTokenTrie, type GrammarVocabulary } from '../../../packages/neuron/dist/grammar/token-trie.js';

const vocabularySize = 150_000;

const schema = {
  type: 'object',
  properties: {
    title: { type: 'string', maxLength: 80 },
    summary: { type: 'string' },
    score: { type: 'number', minimum: 0, maximum: 1 },
    tags: { type: 'array', items: { type: 'string', pattern: '^[a-z][a-z0-9-]*$' }, maxItems: 5 },
    author: {
      type: 'object',
      properties: {
        name: { type: 'string' },
        email: { type: 'string', format: 'email' },
        age: { type: 'integer', minimum: 0 },
      },
      required: ['name', 'email'],
      additionalProperties: false,
    },
    kind: { enum: ['article', 'note', 'reference'] },
    meta: { type: 'object', additionalProperties: { type: ['string', 'number', 'null'] } },
  },
  required: ['title', 'summary', 'score', 'tags', 'author', 'kind'],
  additionalProperties: false,
};

const text = JSON.stringify({
  title: 'A gateway for a fleet of hosts',
  summary: 'Requests are routed to a neuron that serves the model, "quickly" and in order.\nEvery answer is measured.',
  score: 0.875,
  tags: ['routing', 'gpu', 'open-weights'],
  author: { name: 'Zoë Müller', email: 'zoe@example.org', age: 41 },
  kind: 'article',
  meta: { words: 120, source: null, lang: 'en' },
});

/** Lines on the cost of tables, grammars and masks, in milliseconds of processor time. */
export function measureCosts(): string[] {
  const vocabulary = wordVocabulary();
  const tables = timed(() => {
    const trie = longest(buildTokenTrie(vocabulary));
    const characters = longest(buildCharacterTable(trie.result));
    return { trie: trie.result, characters: characters.result };
  });
  const { trie, characters } = tables.result;
  const refuse = (reason: string): never => {
    throw new CortexError('grammar_unusable', { param: 'schema', reason });
  };
  const opening = { reasoning: 'none', marks: null, hasLeadingSpace: false } as const;
  const make = () =>
    makeGrammar(
      () => answerGrammar({ kind: 'schema', schema, param: 'schema' }, null, opening),
      trie,
      characters,
      refuse,
    );
  const compiled = timed(() => longest(make()));
  const grammar = compiled.result.result;
  const costs: number[] = [];
  const runs = 3;
  const tokens = spelled(vocabulary);
  for (let run = 0; run < runs; run++) {
    const matcher = grammar.open();
    for (const token of tokens) {
      costs.push(timed(() => matcher.mask()).ms * 1000);
      matcher.accept(token);
    }
  }
  const first = costs.slice(0, costs.length / runs).sort((a, b) => a - b);
  const later = costs.slice(-costs.length / runs).sort((a, b) => a - b);
  const at = (values: readonly number[], share: number): string =>
    values[Math.min(values.length - 1, Math.floor(values.length * share))]!.toFixed(0);
  return [
    `tables of ${vocabularySize} tokens (${trie.nodes} nodes): ${tables.ms.toFixed(0)} ms once per model, in slices`,
    `a grammar of ${grammar.machine.automaton.states.length} states: ${compiled.ms.toFixed(0)} ms, the longest slice ${compiled.result.longestMs.toFixed(1)} ms`,
    `masks, first answer: median ${at(first, 0.5)} us, 95 % ${at(first, 0.95)} us, most ${at(first, 1)} us`,
    `masks, third answer: median ${at(later, 0.5)} us, 95 % ${at(later, 0.95)} us, most ${at(later, 1)} us`,
  ];
}

function timed<Result>(run: () => Result): { readonly result: Result; readonly ms: number } {
  const before = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(before);
  return { result, ms: (user + system) / 1000 };
}

/** Runs to the end, and finds the longest stretch between two turns. */
function longest<Result>(steps: Generator<void, Result, void>): {
  readonly result: Result;
  readonly longestMs: number;
} {
  let longestMs = 0;
  for (;;) {
    const { result: step, ms } = timed(() => steps.next());
    longestMs = Math.max(longestMs, ms);
    if (step.done) return { result: step.value, longestMs };
  }
}

/** Every byte, then made-up words with and without a space, runs of blanks, and pieces of code as large vocabularies have them. */
function wordVocabulary(): GrammarVocabulary {
  const utf8 = new TextEncoder();
  const seen = new Set<string>();
  const tokens: Uint8Array[] = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  const add = (word: string): void => {
    if (seen.has(word) || tokens.length >= vocabularySize - 1) return;
    seen.add(word);
    tokens.push(utf8.encode(word));
  };
  for (const word of ['":', '": "', '", "', '"}', '{"', '"],', '":"', '","', '})', ' = ', '\n\n', '();\n']) add(word);
  for (let length = 2; length <= 80; length++) add(' '.repeat(length));
  for (const word of text.match(/ ?[\p{L}]+/gu) ?? []) add(word);
  const syllables = [
    'an',
    'be',
    'cor',
    'de',
    'el',
    'fi',
    'ga',
    'hu',
    'in',
    'jo',
    'ka',
    'li',
    'mo',
    'ne',
    'or',
    'pre',
    'qu',
    're',
    'st',
    'te',
    'un',
    'ver',
    'we',
    'x',
    'ya',
    'zi',
    'é',
    'ß',
    '日',
    'い',
  ];
  const ends = ['', '"', ',', '.', '\n', '_', '(', 's'];
  for (let index = 0; tokens.length < vocabularySize - 1; index++) {
    let word = '';
    for (let rest = index; rest > 0 || word === ''; rest = Math.floor(rest / syllables.length))
      word += syllables[rest % syllables.length]!;
    const spelled = `${index % 3 === 0 ? '' : ' '}${index % 7 === 0 ? word[0]!.toUpperCase() + word.slice(1) : word}`;
    add(spelled);
    if (index % 5 === 0) add(spelled + ends[index % ends.length]!);
  }
  const end = tokens.length;
  return {
    size: vocabularySize,
    marks: new Set([end]),
    stopTokens: new Set([end]),
    bytesOf: (token) => tokens[token] ?? new Uint8Array(0),
  };
}

/** The text in tokens, the longest first. */
function spelled(vocabulary: GrammarVocabulary): number[] {
  const ids = new Map<string, number>();
  for (let token = 0; token < vocabulary.size - 1; token++)
    ids.set(Buffer.from(vocabulary.bytesOf(token)).toString('latin1'), token);
  const bytes = Buffer.from(text).toString('latin1');
  const found: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    let length = Math.min(16, bytes.length - at);
    while (length > 1 && !ids.has(bytes.slice(at, at + length))) length--;
    found.push(ids.get(bytes.slice(at, at + length))!);
    at += length;
  }
  return found;
}
