import test from 'ava';
import { BareCalls, type Piece } from './bare-calls.js';
import { bareJson } from './bare-json.js';

const tools = [{ name: 'f' }, { name: 'brave_search', parameters: { properties: { limit: { type: 'integer' } } } }];
const tag = bareJson.tag;

/** Pieces of an answer, neighbouring text joined; the tag in the text stands for its token. */
function pieces(answer: string): Piece[] {
  const calls = new BareCalls(bareJson, tools);
  const found = answer.split(tag).flatMap((text, index) => [...(index > 0 ? calls.tag() : []), ...calls.push(text)]);
  const joined: Piece[] = [];
  for (const piece of [...found, ...calls.end()]) {
    const last = joined.at(-1);
    if (last?.type !== 'text' || piece.type !== 'text') joined.push(piece);
    else joined[joined.length - 1] = { type: 'text', text: last.text + piece.text };
  }
  return joined;
}

const call = (name: string, text: string): Piece => ({ type: 'call', call: { name, arguments: text } });
const textOf = (found: readonly Piece[]) => found.map((piece) => (piece.type === 'text' ? piece.text : '#')).join('');

test('BareCalls takes an object that names an offered tool, and several of them', (t) => {
  t.deepEqual(pieces('{"name": "f", "parameters": {"a": [1, "}"]}}'), [call('f', '{"a": [1, "}"]}')]);
  t.deepEqual(pieces('\n{"type": "function", "name": "f", "arguments": {}}\n'), [call('f', '{}')]);
  const one = '{"name": "f", "parameters": {}}';
  for (const between of ['; ', ', ', '\n', ';', '']) {
    t.deepEqual(pieces(one + between + one), [call('f', '{}'), call('f', '{}')], between);
  }
});

test('BareCalls leaves every other answer as it is', (t) => {
  for (const answer of [
    'no call',
    'Sure: {"name": "f", "parameters": {}}',
    '{"name": "g", "parameters": {}}',
    '{"name": "f", "parameters": {}, "why": 1}',
    '{"name": "f", "parameters": [1]}',
    '{"name": "f", "parameters": {}',
    '{name: "f"}',
    '{"city": "Sofia", "nested": {"name": "f"}}',
    '[{"name": "f"}]',
    '{}',
    '{]',
    '}{"name": "f"}',
    '  \n',
  ]) {
    t.is(textOf(pieces(answer)), answer);
  }
});

test('BareCalls shows an object as soon as it has a member that a call has not', (t) => {
  const calls = new BareCalls(bareJson, tools);
  t.deepEqual(calls.push('{"name": "Ann", "age'), []);
  t.is(textOf(calls.push('": 5')), '{"name": "Ann", "age": 5');
});

test('BareCalls keeps what follows a call', (t) => {
  const one = '{"name": "f", "parameters": {}}';
  t.is(textOf(pieces(`${one} as you see ${one}`)), `# as you see ${one}`);
  t.is(textOf(pieces(`${one};`)), '#;');
  t.is(textOf(pieces(`${one};; ${one}`)), `#;; ${one}`);
  t.is(textOf(pieces(`${one}; {"name": "g"}`)), '#; {"name": "g"}');
});

test('BareCalls takes what follows the tag: objects, and built-in calls', (t) => {
  t.deepEqual(pieces(`I look. ${tag}{"name": "f", "parameters": {}}; {"name": "f", "parameters": {"a":1}}`), [
    { type: 'text', text: 'I look. ' },
    call('f', '{}'),
    call('f', '{"a":1}'),
  ]);
  t.deepEqual(pieces(`${tag}brave_search.call(query="say "hi", then {", limit="3")`), [
    call('brave_search', String.raw`{"query": "say \"hi\", then {", "limit": 3}`),
  ]);
  t.deepEqual(pieces(`${tag}brave_search.call()`), [call('brave_search', '{}')]);
  t.deepEqual(pieces(`{"name": "f"}${tag}{"name": "f"}`), [call('f', '{}'), call('f', '{}')]);
  t.deepEqual(pieces(`{"name": "f"${tag}{"name": "f"}`), [{ type: 'text', text: '{"name": "f"' }, call('f', '{}')]);
});

test('BareCalls gives back the tag of what is no call', (t) => {
  for (const answer of [
    `${tag}print(1)`,
    `${tag}other.call(query="a")`,
    `${tag}brave_search.call(query=1)`,
    `a ${tag}{"name": "g", "parameters": {}}`,
    `${tag}`,
    `${tag}${tag}\n{"a`,
  ]) {
    t.is(textOf(pieces(answer)), answer);
  }
});
