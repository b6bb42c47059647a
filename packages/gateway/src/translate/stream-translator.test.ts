import type Anthropic from '@anthropic-ai/sdk';
import { MessageStream } from '@anthropic-ai/sdk/lib/MessageStream';
import type { AnthropicMessage, ResponsesResponse } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { arbitraryAnswer } from '../testing/arbitrary-answer.js';
import { problemsOfAnthropic } from '../testing/legal-anthropic.js';
import { problemsOfResponses } from '../testing/legal-responses.js';
import { bytesOf, chunksOf, identity, type NeuronAnswer, usageOf, wholeOf } from '../testing/neuron-answer.js';
import { cutBytes, readFrames, translateBytes } from '../testing/translate-bytes.js';
import { anthropic, responses } from '../testing/translators.js';
import { toolUseId } from './anthropic-events.js';
import { signThoughts } from './signature.js';

/** What Anthropic's own client makes of the events. */
const accumulate = (events: readonly unknown[]): Promise<Anthropic.Message> =>
  MessageStream.fromReadableStream(
    new Blob([events.map((event) => `${JSON.stringify(event)}\n`).join('')]).stream() as ReadableStream,
  ).finalMessage();

/** The answer as an Anthropic client has to see it. */
const expectedMessage = (answer: NeuronAnswer, showsThinking = true) => {
  const reasoning = answer.reasoning.join('');
  const text = answer.text.join('');
  const calls = answer.calls.map(({ id, name, arguments: parts }) => ({
    type: 'tool_use',
    id: toolUseId(id),
    name,
    input: JSON.parse(parts.join('')) as unknown,
  }));
  const stop = answer.finish === 'length' ? 'max_tokens' : calls.length > 0 ? 'tool_use' : 'end_turn';
  return {
    id: `msg_${identity.id}`,
    model: identity.model,
    content: [
      ...(reasoning && showsThinking
        ? [{ type: 'thinking', thinking: reasoning, signature: signThoughts(reasoning) }]
        : []),
      ...(text ? [{ type: 'text', text }] : []),
      ...calls,
    ],
    stop_reason: answer.stopString === null ? stop : 'stop_sequence',
    stop_sequence: answer.stopString,
  };
};

const seen = ({ id, model, content, stop_reason, stop_sequence }: Anthropic.Message | AnthropicMessage) => ({
  id,
  model,
  content: JSON.parse(JSON.stringify(content)) as unknown,
  stop_reason,
  stop_sequence,
});

const cuts = fc.array(fc.nat(4000), { maxLength: 12 });
const style = fc.record({
  lineBreak: fc.constantFrom('\n', '\r\n', '\r'),
  comment: fc.constantFrom('', 'keep-alive'),
  usageWithFinish: fc.boolean(),
  interleavesCalls: fc.boolean(),
  sendsRole: fc.boolean(),
});

test('anthropicTranslator gives the official client what the neuron said, however its stream is cut', async (t) => {
  await fc.assert(
    fc.asyncProperty(arbitraryAnswer, style, cuts, fc.boolean(), async (answer, how, at, showsThinking) => {
      const bytes = bytesOf(chunksOf(answer, how), how.lineBreak, how.comment);
      const events = translateBytes(anthropic({ showsThinking }), cutBytes(bytes, at));
      t.deepEqual(problemsOfAnthropic(events), []);
      const message = await accumulate(events);
      t.deepEqual(seen(message), expectedMessage(answer, showsThinking));
      if (!answer.usage) return;
      const cached = answer.usage.prompt_tokens_details?.cached_tokens ?? 0;
      t.is(message.usage.input_tokens + (message.usage.cache_read_input_tokens ?? 0), answer.usage.prompt_tokens);
      t.is(message.usage.cache_read_input_tokens, cached);
      t.is(message.usage.output_tokens, answer.usage.completion_tokens);
    }),
    { numRuns: 60 },
  );
});

test('responsesTranslator leaves only legal sequences whose last event holds what the neuron said', (t) => {
  fc.assert(
    fc.property(arbitraryAnswer, style, cuts, (answer, how, at) => {
      const bytes = bytesOf(chunksOf(answer, how), how.lineBreak, how.comment);
      const events = translateBytes(responses(), cutBytes(bytes, at));
      t.deepEqual(problemsOfResponses(events), []);
      const { response } = events.at(-1) as { response: ResponsesResponse };
      t.is(response.status, answer.finish === 'length' ? 'incomplete' : 'completed');
      const output = response.output.map((item) =>
        item.type === 'message'
          ? item.content[0]?.text
          : item.type === 'reasoning'
            ? item.summary[0]?.text
            : [item.call_id, item.name, item.arguments],
      );
      t.deepEqual(output, [
        ...(answer.reasoning.length > 0 ? [answer.reasoning.join('')] : []),
        answer.text.join(''),
        ...answer.calls.map(({ id, name, arguments: parts }) => [id, name, parts.join('')]),
      ]);
      t.is(response.usage?.total_tokens, answer.usage?.total_tokens);
    }),
    { numRuns: 60 },
  );
});

const example: NeuronAnswer = {
  reasoning: ['Let me ', 'think 🤔.'],
  text: ['Grüße, ', '東京! '],
  calls: [
    { id: 'call_a', name: 'weather', arguments: ['{"city":', '"Sofia","note":"🌦"}'] },
    { id: 'call_b', name: 'weather', arguments: ['{}'] },
  ],
  finish: 'stop',
  stopString: null,
  usage: usageOf(812, 44, 800, 9),
};

/** Few bytes, with every kind of block and characters of several bytes. */
const short: NeuronAnswer = {
  ...example,
  reasoning: ['🤔'],
  text: ['ü'],
  calls: [{ id: 'c', name: 'f', arguments: ['{"a":"', '京"}'] }],
};

test('both translators make the same of a stream that is cut before every byte, and of its bytes one by one', (t) => {
  for (const lineBreak of ['\n', '\r\n']) {
    const bytes = bytesOf(chunksOf(short), lineBreak);
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    const whole = [translateBytes(anthropic(), [bytes]), translateBytes(responses(), [bytes])];
    t.deepEqual([translateBytes(anthropic(), single), translateBytes(responses(), single)], whole);
    for (let at = 1; at < bytes.length; at++) {
      const pieces = [bytes.subarray(0, at), bytes.subarray(at)];
      if (JSON.stringify(translateBytes(anthropic(), pieces)) !== JSON.stringify(whole[0])) t.fail(`cut at ${at}`);
      if (JSON.stringify(translateBytes(responses(), pieces)) !== JSON.stringify(whole[1])) t.fail(`cut at ${at}`);
    }
  }
});

test('an answer in one piece becomes what its stream becomes, in both dialects', async (t) => {
  await fc.assert(
    fc.asyncProperty(arbitraryAnswer, async (answer) => {
      const withUsage = { ...answer, usage: answer.usage ?? usageOf(1, 2) };
      const bytes = [bytesOf(chunksOf(withUsage))];
      const whole = anthropic().whole(wholeOf(withUsage)) as { body: AnthropicMessage };
      const streamed = await accumulate(translateBytes(anthropic(), bytes));
      t.deepEqual(seen(whole.body), seen(streamed));
      t.deepEqual(whole.body.usage, JSON.parse(JSON.stringify(streamed.usage)) as AnthropicMessage['usage']);
      const last = translateBytes(responses(), bytes).at(-1) as { response: ResponsesResponse };
      t.deepEqual(responses().whole(wholeOf(withUsage)), { body: last.response });
    }),
    { numRuns: 60 },
  );
});

test('a stream that is cut anywhere ends with an error in both dialects, never as if it were whole', (t) => {
  const bytes = bytesOf(chunksOf(short));
  const endMark = bytes.indexOf('data: [DONE]');
  for (let end = 0; end <= endMark + 'data: [DONE]'.length; end++) {
    const cut = [bytes.subarray(0, end)];
    const events = translateBytes(anthropic(), cut);
    if (problemsOfAnthropic(events).length > 0) t.fail(JSON.stringify(problemsOfAnthropic(events)));
    if ((events.at(-1) as { type: string }).type !== 'error') t.fail(`cut at ${end} looks whole`);
    const items = translateBytes(responses(), cut);
    if (problemsOfResponses(items).length > 0) t.fail(JSON.stringify(problemsOfResponses(items)));
    if ((items.at(-1) as { type: string }).type !== 'response.failed') t.fail(`cut at ${end} looks whole`);
  }
  t.pass();
});

/** Anything at all, and things that look like chunks. */
const junk = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.record(
    {
      id: fc.constantFrom('x', null),
      choices: fc.array(
        fc.record(
          {
            index: fc.constantFrom(0, 1, null),
            delta: fc.record(
              {
                content: fc.constantFrom('a', '', null),
                reasoning_content: fc.constantFrom('b', '', null),
                tool_calls: fc.array(
                  fc.record(
                    {
                      index: fc.constantFrom(0, 1, 2, null),
                      id: fc.constantFrom('call_1', 'call_2', '', null),
                      function: fc.record(
                        {
                          name: fc.constantFrom('f', '', null),
                          arguments: fc.constantFrom('{', '}', '{}', '"a":1', ' ', '[]', ''),
                        },
                        { requiredKeys: [] },
                      ),
                    },
                    { requiredKeys: [] },
                  ),
                  { maxLength: 3 },
                ),
              },
              { requiredKeys: [] },
            ),
            finish_reason: fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter', 'new', null),
            stop_reason: fc.constantFrom('x', 7, null),
          },
          { requiredKeys: [] },
        ),
        { maxLength: 2 },
      ),
      usage: fc.constantFrom(null, {}, { prompt_tokens: 1 }, { prompt_tokens: 1, completion_tokens: 2 }),
    },
    { requiredKeys: [] },
  ),
);

test('neither translator can be brought to an illegal sequence by what a neuron sends', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.option(junk, { nil: '[DONE]' }), { maxLength: 12 }),
      fc.boolean(),
      (inputs, atMostOneCall) => {
        const a = anthropic({ atMostOneCall });
        const r = responses({ atMostOneCall });
        const datas = inputs.map((input) => (input === '[DONE]' ? input : JSON.stringify(input)));
        const bytes = Buffer.from(datas.map((data) => `data: ${data}\n\n`).join(''));
        t.deepEqual(problemsOfAnthropic(translateBytes(a, [bytes])), []);
        t.deepEqual(problemsOfResponses(translateBytes(r, [bytes])), []);
      },
    ),
    { numRuns: 600 },
  );
});

test('the checkers refuse illegal sequences: each change to a legal one is a problem', (t) => {
  const events = translateBytes(anthropic(), [bytesOf(chunksOf(example))]);
  const items = translateBytes(responses(), [bytesOf(chunksOf(example))]);
  for (const [list, problems] of [
    [events, problemsOfAnthropic],
    [items, problemsOfResponses],
  ] as const) {
    t.deepEqual(problems(list), []);
    for (let at = 0; at < list.length; at++) {
      const isOptional = /"(?:text|thinking|input_json)_delta"/.test(JSON.stringify(list[at]));
      if (!isOptional) t.true(problems(list.toSpliced(at, 1)).length > 0, `without ${JSON.stringify(list[at])}`);
      const isRepeatable = isOptional;
      if (!isRepeatable)
        t.true(problems(list.toSpliced(at, 0, list[at])).length > 0, `twice ${JSON.stringify(list[at])}`);
    }
  }
});

test('the client accumulates an error that comes in the middle as an error', async (t) => {
  const fault = { error: { message: 'the device is gone', type: 'api_error', code: 'device_failed', param: null } };
  const bytes = bytesOf([...chunksOf(example).slice(0, 3), fault]);
  const events = translateBytes(anthropic(), [bytes]);
  t.deepEqual(problemsOfAnthropic(events), []);
  t.deepEqual(events.at(-1), {
    type: 'error',
    error: { type: 'api_error', message: 'the device is gone' },
    request_id: 'r-1',
  });
  const last = translateBytes(responses(), [bytes]).at(-1) as { response: ResponsesResponse };
  t.deepEqual(last.response.error, { code: 'device_failed', message: 'the device is gone' });
});

test('what was said while nobody had answered stands: a start and pings, then the answer of whoever answers', (t) => {
  const translator = anthropic();
  const waiting = translator.silence() + translator.silence();
  translator.begin('a');
  translator.begin('b');
  const bytes = bytesOf(chunksOf(short));
  const events = [...readFrames(waiting), ...translateBytes(translator, [bytes])];
  t.deepEqual(problemsOfAnthropic(events), []);
  t.like(events[0], { type: 'message_start', message: { id: 'msg_r-1', model: 'm' } });
  const fault = { message: 'Cannot load', type: 'api_error', code: 'out_of_memory', extra: {} };
  const failing = anthropic();
  t.deepEqual(problemsOfAnthropic(readFrames(failing.silence() + failing.fail(fault))), []);
  const items = readFrames(responses().fail(fault));
  t.deepEqual(problemsOfResponses(items), []);
  t.like(items.at(-1), { response: { status: 'failed', error: { code: 'out_of_memory', message: 'Cannot load' } } });
});
