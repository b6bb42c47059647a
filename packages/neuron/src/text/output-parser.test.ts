import test from 'ava';
import fc from 'fast-check';
import type { OutputEvent } from './output-event.js';
import type { OutputFormat } from './output-format.js';
import { OutputParser } from './output-parser.js';
import { markedJson } from './tool-dialects/marked-json.js';

const plainMarks: OutputFormat = {
  reasoning: { open: '<think>', close: '</think>', openId: null, closeId: null },
  tools: {
    kind: 'marked',
    dialect: markedJson,
    marks: { open: '<tool_call>', close: '</tool_call>', openId: null, closeId: null },
  },
};

const parser = (options: Partial<ConstructorParameters<typeof OutputParser>[0]> = {}) => {
  let calls = 0;
  return new OutputParser({
    format: plainMarks,
    startsInReasoning: false,
    tools: [],
    newCallId: () => `call_${calls++}`,
    ...options,
  });
};

/** Joins neighbouring texts of one kind: how they were cut does not matter. */
function joined(events: readonly OutputEvent[]): OutputEvent[] {
  const out: OutputEvent[] = [];
  for (const event of events) {
    const last = out.at(-1);
    if (last !== undefined && last.type !== 'tool-call' && event.type === last.type) {
      out[out.length - 1] = { ...last, text: last.text + (event as { text: string }).text };
    } else out.push(event);
  }
  return out;
}

const parse = (chunks: readonly string[], options: Parameters<typeof parser>[0] = {}) => {
  const one = parser(options);
  return joined([...chunks.flatMap((chunk) => one.push(chunk)), ...one.end()]);
};

test('OutputParser tells reasoning, answer and calls apart, without the newlines of the format', (t) => {
  const text =
    '<think>\nLet me see\n\nsure\n</think>\n\nOK.\n<tool_call>\n{"name":"f","arguments":{"a":1}}\n</tool_call>\n' +
    '<tool_call>\n{"name":"g"}\n</tool_call>';
  t.deepEqual(parse([text]), [
    { type: 'reasoning', text: 'Let me see\n\nsure' },
    { type: 'content', text: 'OK.' },
    { type: 'tool-call', index: 0, id: 'call_0', name: 'f', arguments: '{"a":1}' },
    { type: 'tool-call', index: 1, id: 'call_1', name: 'g', arguments: '{}' },
  ]);
});

test('OutputParser starts in reasoning when the prompt opened it', (t) => {
  t.deepEqual(parse(['\nhm\n</think>\n\nyes'], { startsInReasoning: true }), [
    { type: 'reasoning', text: 'hm' },
    { type: 'content', text: 'yes' },
  ]);
  t.deepEqual(parse(['never closed\n'], { startsInReasoning: true }), [{ type: 'reasoning', text: 'never closed\n' }]);
});

test('OutputParser loses nothing of a call that is not one, or was not finished', (t) => {
  t.deepEqual(parse(['a\n<tool_call>\nnot json\n</tool_call> b']), [
    { type: 'content', text: 'a\n<tool_call>\nnot json\n</tool_call> b' },
  ]);
  t.deepEqual(parse(['a <tool_call>\n{"name":']), [{ type: 'content', text: 'a <tool_call>\n{"name":' }]);
});

test('OutputParser leaves marks of reasoning inside of a call to the call', (t) => {
  const text = '<tool_call>{"name":"f","arguments":{"text":"<think>a</think>"}}</tool_call>';
  t.deepEqual(parse([text]), [
    { type: 'tool-call', index: 0, id: 'call_0', name: 'f', arguments: '{"text":"<think>a</think>"}' },
  ]);
});

test('OutputParser leaves calls alone when the request offers no tools', (t) => {
  const text = '<tool_call>\n{"name":"f"}\n</tool_call>';
  t.deepEqual(parse([text], { tools: null }), [{ type: 'content', text }]);
});

test('OutputParser shows a lone beginning of a mark at the end', (t) => {
  t.deepEqual(parse(['1 <th', 'ree']), [{ type: 'content', text: '1 <three' }]);
  t.deepEqual(parse(['1 <thi']), [{ type: 'content', text: '1 <thi' }]);
});

test('OutputParser gives the same events however the text is cut', (t) => {
  const words = fc.constantFrom(
    '<think>',
    '</think>',
    '<tool_call>',
    '</tool_call>',
    '\n',
    '\n\n',
    'a',
    ' ',
    '<',
    '<t',
    '{"name":"f"}',
    '</',
  );
  fc.assert(
    fc.property(
      fc.array(words, { maxLength: 14 }),
      fc.array(fc.nat(), { maxLength: 10 }),
      fc.boolean(),
      (parts, cuts, starts) => {
        const text = parts.join('');
        const places = [...new Set(cuts.map((cut) => cut % (text.length + 1)))].sort((a, b) => a - b);
        const chunks = [...places, text.length].map((end, index) => text.slice(places[index - 1] ?? 0, end));
        t.deepEqual(parse(chunks, { startsInReasoning: starts }), parse([text], { startsInReasoning: starts }));
      },
    ),
    { numRuns: 1500 },
  );
});
