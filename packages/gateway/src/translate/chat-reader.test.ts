import test from 'ava';
import fc from 'fast-check';
import { arbitraryAnswer } from '../testing/arbitrary-answer.js';
import { chunksOf, type NeuronAnswer, usageOf } from '../testing/neuron-answer.js';
import type { AnswerEvent } from './answer-event.js';
import { endChatStream, readChatAnswer, readChatEvent, startChatReader } from './chat-reader.js';

/** Events of a stream with these chunks and an end mark; texts stand for themselves. */
const read = (chunks: readonly unknown[], options: { atMostOneCall?: boolean } = {}): AnswerEvent[] => {
  let state = startChatReader({ node: 'a', ...options });
  const events: AnswerEvent[] = [];
  for (const chunk of [...chunks, '[DONE]']) {
    const next = readChatEvent(state, typeof chunk === 'string' ? chunk : JSON.stringify(chunk));
    state = next.state;
    events.push(...next.events);
  }
  return events;
};

const chunk = (delta: object, finish: string | null = null) => ({
  id: 'x',
  model: 'm',
  created: 1,
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const call = (fields: object) => chunk({ tool_calls: [fields] });
const stop = chunk({}, 'stop');
/** What happened after the start, in few words. */
const outline = (events: readonly AnswerEvent[]): string[] =>
  events.slice(1).map((event) => {
    switch (event.type) {
      case 'tool-start':
        return `+${event.name}#${event.id}`;
      case 'tool-delta':
        return event.fragment;
      case 'tool-end':
        return `=${event.arguments}`;
      case 'text-delta':
      case 'reasoning-delta':
        return event.text;
      case 'answer-failed':
        return `!${event.fault.code}`;
      case 'answer-end':
        return event.finish;
      default:
        return event.type;
    }
  });

test('readChatEvent lets calls out one by one though their fragments come mixed', (t) => {
  const events = read([
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{"x"' } }),
    call({ index: 1, id: 'b', function: { name: 'g', arguments: '{"y"' } }),
    call({ index: 0, function: { arguments: ':1' } }),
    call({ index: 1, function: { arguments: ':2}' } }),
    call({ index: 0, function: { arguments: '}' } }),
    stop,
  ]);
  t.deepEqual(outline(events), ['+f#a', '{"x"', ':1', '}', '={"x":1}', '+g#b', '{"y":2}', '={"y":2}', 'tool_calls']);
});

test('readChatEvent does not wait with the next call when the one before is whole', (t) => {
  let state = startChatReader({ node: 'a' });
  const seen: AnswerEvent[] = [];
  for (const each of [
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    call({ index: 1, id: 'b', function: { name: 'g', arguments: '{"y"' } }),
  ]) {
    const next = readChatEvent(state, JSON.stringify(each));
    state = next.state;
    seen.push(...next.events);
  }
  t.deepEqual(outline(seen), ['+f#a', '{}', '={}', '+g#b', '{"y"']);
});

test('readChatEvent takes another id at the same index, or a further name without an index, for another call', (t) => {
  const same = [
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    call({ index: 0, id: 'b', function: { name: 'g', arguments: '{}' } }),
    stop,
  ];
  t.deepEqual(outline(read(same)), ['+f#a', '{}', '={}', '+g#b', '{}', '={}', 'tool_calls']);
  const bare = [
    call({ function: { name: 'f', arguments: '{"a"' } }),
    call({ function: { arguments: ':1}' } }),
    call({ function: { name: 'g', arguments: '{}' } }),
    stop,
  ];
  t.deepEqual(outline(read(bare)), [
    '+f#call_x_0',
    '{"a"',
    ':1}',
    '={"a":1}',
    '+g#call_x_1',
    '{}',
    '={}',
    'tool_calls',
  ]);
});

test('readChatEvent gives every call an id of its own', (t) => {
  const twice = [
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    call({ index: 1, id: 'a', function: { name: 'g', arguments: '{}' } }),
    stop,
  ];
  t.deepEqual(
    outline(read(twice)).filter((line) => line.startsWith('+')),
    ['+f#a', '+g#call_x_1'],
  );
});

test('readChatEvent makes an empty object of a call without arguments', (t) => {
  const events = read([call({ index: 0, id: 'a', function: { name: 'f' } }), stop]);
  t.deepEqual(outline(events), ['+f#a', '{}', '={}', 'tool_calls']);
});

test('readChatEvent fails a call that cannot be told as one: no name, no object, arguments after the end', (t) => {
  const last = (chunks: unknown[]) => outline(read(chunks)).at(-1);
  t.is(last([call({ index: 0, id: 'a', function: { arguments: '{}' } }), stop]), '!upstream_failed');
  for (const text of ['[1]', '"x"', '{"a":', 'null']) {
    t.is(last([call({ index: 0, id: 'a', function: { name: 'f', arguments: text } }), stop]), '!upstream_failed');
  }
  const late = [
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    chunk({ content: 'text' }),
    call({ index: 0, function: { arguments: '{}' } }),
    stop,
  ];
  t.is(last(late), '!upstream_failed');
  late[2] = call({ index: 0, function: { arguments: '\n' } });
  t.is(last(late), 'tool_calls');
});

test('readChatEvent stops at one call when no more are wanted', (t) => {
  const chunks = [
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    call({ index: 1, id: 'b', function: { name: 'g', arguments: '{}' } }),
    chunk({}, 'tool_calls'),
  ];
  t.deepEqual(outline(read(chunks, { atMostOneCall: true })), ['+f#a', '{}', '={}', 'tool_calls']);
});

test('readChatEvent promotes a stop with calls, and never announces calls that are not there', (t) => {
  t.is(outline(read([chunk({ content: 'x' }), chunk({}, 'tool_calls')])).at(-1), 'stop');
  const cut = [call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }), chunk({}, 'length')];
  t.is(outline(read(cut)).at(-1), 'length');
});

test('readChatEvent believes an end mark only after a finish reason, and nothing after it', (t) => {
  t.deepEqual(outline(read([chunk({ content: 'x' })])), ['text-start', 'x', '!stream_interrupted']);
  t.deepEqual(outline(read([stop, '[DONE]', chunk({ content: 'late' })])), ['stop']);
});

test('readChatEvent refuses what is not JSON, not a chunk, or an error', (t) => {
  for (const [data, code] of [
    ['{', 'upstream_failed'],
    ['[]', 'upstream_failed'],
    ['{"choices":7}', 'upstream_failed'],
    ['{"error":{"message":"m","code":"device_failed"}}', 'device_failed'],
  ] as const) {
    t.deepEqual(outline(read([stop, data, chunk({ content: 'late' })])), [`!${code}`]);
  }
});

test('readChatEvent takes usage late, early, with the finish, or not at all, but never half of it', (t) => {
  const usage = usageOf(5, 2);
  const usageIn = (chunks: unknown[]) => {
    const last = read(chunks).at(-1);
    return last?.type === 'answer-end' ? last.usage?.total_tokens : 'failed';
  };
  const only = (value: unknown) => ({ ...chunk({}), choices: [], usage: value });
  t.is(usageIn([stop, only(usage)]), 7);
  t.is(usageIn([only(usage), stop]), 7);
  t.is(usageIn([{ ...stop, usage }]), 7);
  t.is(usageIn([stop]), undefined);
  t.is(usageIn([stop, only({})]), undefined);
  t.is(usageIn([stop, only({ prompt_tokens: 1 })]), undefined);
  t.is(usageIn([stop, only(usage), only(null)]), 7);
});

test('readChatEvent goes on after thoughts between calls, and after other choices', (t) => {
  const events = read([
    chunk({ reasoning_content: 'a' }),
    call({ index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }),
    chunk({ reasoning_content: 'b', content: '' }),
    { ...chunk({ content: 'other' }), choices: [{ index: 1, delta: { content: 'other' }, finish_reason: 'length' }] },
    stop,
  ]);
  t.deepEqual(outline(events), [
    'reasoning-start',
    'a',
    'reasoning-end',
    '+f#a',
    '{}',
    '={}',
    'reasoning-start',
    'b',
    'reasoning-end',
    'tool_calls',
  ]);
});

test('endChatStream fails what has not ended, and says nothing after an end', (t) => {
  const state = startChatReader({ node: 'a' });
  t.is(endChatStream(state).events[0]?.type, 'answer-failed');
  const after = readChatEvent(readChatEvent(state, JSON.stringify(stop)).state, '[DONE]').state;
  t.deepEqual(endChatStream(after).events, []);
});

test('readChatAnswer refuses what is no answer', (t) => {
  for (const value of [null, {}, { choices: [] }, { choices: [{ message: {} }] }]) {
    t.is(readChatAnswer(value, { node: 'a' })[0]?.type, 'answer-failed', JSON.stringify(value));
  }
});

/** Whether events follow the grammar that `AnswerEvent` states. */
const isLegal = (events: readonly AnswerEvent[]): boolean => {
  const letters: Record<string, string> = { start: '(', delta: '.', end: ')' };
  const text = events
    .map(({ type }) =>
      type === 'answer-start'
        ? 'S'
        : type === 'answer-end'
          ? 'E'
          : `${type[0]}${letters[type.split('-')[1] as string]}`,
    )
    .join('');
  return /^S(?:r\((?:r\.)+r\)|t\((?:t\.)+t\))*E$/.test(text);
};

test('readChatEvent follows the grammar of AnswerEvent and keeps every word, whatever the answer', (t) => {
  fc.assert(
    fc.property(arbitraryAnswer, fc.boolean(), (answer: NeuronAnswer, interleavesCalls) => {
      const events = read(chunksOf(answer, { interleavesCalls }));
      t.true(isLegal(events));
      const joined = (type: AnswerEvent['type'], key: 'text' | 'fragment') =>
        events.map((event) => (event.type === type ? (event as Record<string, unknown>)[key] : '')).join('');
      t.is(joined('reasoning-delta', 'text'), answer.reasoning.join(''));
      t.is(joined('text-delta', 'text'), answer.text.join(''));
      t.is(joined('tool-delta', 'fragment'), answer.calls.map(({ arguments: parts }) => parts.join('')).join(''));
    }),
  );
});
