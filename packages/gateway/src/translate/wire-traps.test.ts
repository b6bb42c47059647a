/** What clients of each dialect are known to choke on, one test each; what the strict checkers hold is not repeated here. */
import type { AnthropicStreamEvent, ResponsesStreamEvent } from '@helexa/core';
import test from 'ava';
import { bytesOf, chunksOf, type NeuronAnswer, usageOf } from '../testing/neuron-answer.js';
import { readFrames, translateBytes } from '../testing/translate-bytes.js';
import { anthropic, responses } from '../testing/translators.js';
import { dialectOf } from './dialect.js';
import { anthropicFault } from './fault.js';

const nothing: NeuronAnswer = { reasoning: [], text: [], calls: [], finish: 'stop', stopString: null, usage: null };
const call = { id: 'call_a', name: 'f', arguments: ['{"a":', '"line\\nbreak"}'] };
const full: NeuronAnswer = {
  ...nothing,
  reasoning: ['thought\n', '\n\n'],
  text: ['data: x\n\n', 'event: error\r\n', '\u2028\u0000'],
  calls: [call],
  usage: usageOf(10, 5, 4, 2),
};

const ofAnthropic = (answer: NeuronAnswer, showsThinking = true) =>
  translateBytes(anthropic({ showsThinking }), [bytesOf(chunksOf(answer))]) as AnthropicStreamEvent[];
const ofResponses = (answer: NeuronAnswer) =>
  translateBytes(responses(), [bytesOf(chunksOf(answer))]) as ResponsesStreamEvent[];
const typesOf = (events: readonly { readonly type: string }[]) => events.map(({ type }) => type);

test('SSE: every event is its name, one line of JSON and a blank line, whatever the text holds', (t) => {
  for (const translator of [anthropic(), responses()]) {
    for (const chunk of [...chunksOf(full).map((each) => JSON.stringify(each)), '[DONE]']) {
      t.regex(translator.event(chunk), /^(?:event: [a-z_.]+\ndata: \{[^\r\n]*\}\n\n)*$/);
    }
  }
});

test('Anthropic: an answer of nothing is still a start, a delta and a stop, with numbers for usage', (t) => {
  const events = ofAnthropic(nothing);
  t.deepEqual(typesOf(events), ['message_start', 'message_delta', 'message_stop']);
  t.like(events[0], { message: { usage: { input_tokens: 0, output_tokens: 0 }, stop_reason: null, content: [] } });
  t.like(events[1], { usage: { output_tokens: 0 } });
});

test('Anthropic: tokens are counted by the deltas when the neuron does not say', (t) => {
  const delta = ofAnthropic({ ...full, usage: null }).find(({ type }) => type === 'message_delta');
  t.like(delta, { usage: { output_tokens: 8 } });
  t.false('input_tokens' in (delta as Extract<AnthropicStreamEvent, { type: 'message_delta' }>).usage);
});

test('Anthropic: cached tokens are not in input_tokens, and all three add up to the prompt', (t) => {
  const delta = ofAnthropic(full).find(({ type }) => type === 'message_delta');
  t.like(delta, {
    usage: { input_tokens: 6, cache_read_input_tokens: 4, cache_creation_input_tokens: 0, output_tokens: 5 },
  });
});

test('Anthropic: thoughts end with a signature, and leave no gap in the indexes when they are not shown', (t) => {
  const shown = ofAnthropic(full);
  const signature = shown.findIndex((event) => JSON.stringify(event).includes('signature_delta'));
  t.is(shown[signature + 1]?.type, 'content_block_stop');
  const starts = ofAnthropic(full, false).filter(({ type }) => type === 'content_block_start');
  t.deepEqual(
    starts.map((event) => (event as { index: number }).index),
    [0, 1],
  );
});

test('Anthropic: the end of a turn with a call is tool_use, whatever reason the neuron gave', (t) => {
  const chunks = chunksOf(full).map((chunk) => JSON.parse(JSON.stringify(chunk).replace('tool_calls"}', 'stop"}')));
  const events = translateBytes(anthropic(), [bytesOf(chunks)]) as AnthropicStreamEvent[];
  t.like(events.at(-2), { delta: { stop_reason: 'tool_use' } });
});

test('Anthropic: pings come after the start and do not change what follows', (t) => {
  const translator = anthropic();
  const texts = [translator.silence()];
  for (const chunk of chunksOf(full)) texts.push(translator.event(JSON.stringify(chunk)), translator.silence());
  texts.push(translator.event('[DONE]'));
  const events = readFrames(texts.join('')) as AnthropicStreamEvent[];
  t.is(events[0]?.type, 'message_start');
  const rest = events.filter(({ type }) => type !== 'ping').slice(1);
  t.deepEqual(rest, ofAnthropic(full).slice(1));
  t.is(translator.silence(), '');
});

test('Anthropic: every status of an error has the type that its client knows', (t) => {
  const types = [400, 401, 403, 404, 405, 413, 415, 422, 429, 500, 502, 503].map((status) => {
    const fault = { message: 'm', type: 'api_error', code: 'c', extra: {} };
    return [status, anthropicFault(fault, status, 'r').error.type];
  });
  t.deepEqual(types, [
    [400, 'invalid_request_error'],
    [401, 'authentication_error'],
    [403, 'permission_error'],
    [404, 'not_found_error'],
    [405, 'invalid_request_error'],
    [413, 'request_too_large'],
    [415, 'invalid_request_error'],
    [422, 'invalid_request_error'],
    [429, 'rate_limit_error'],
    [500, 'api_error'],
    [502, 'api_error'],
    [503, 'overloaded_error'],
  ]);
});

test('Responses: the name is in the data too, and the numbers have no gap', (t) => {
  const events = ofResponses(full);
  t.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, at) => at),
  );
});

test('Responses: reasoning, text and calls come in the order that is written down, the message closed last', (t) => {
  const types = typesOf(ofResponses(full)).map((type) => type.replace('response.', ''));
  t.deepEqual(
    types.filter((type, at) => type !== types[at - 1]),
    [
      'created',
      'in_progress',
      'output_item.added',
      'reasoning_summary_part.added',
      'reasoning_summary_text.delta',
      'reasoning_summary_text.done',
      'reasoning_summary_part.done',
      'output_item.done',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_item.added',
      'function_call_arguments.delta',
      'function_call_arguments.done',
      'output_item.done',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ],
  );
});

const outputOf = (answer: NeuronAnswer) => {
  const last = ofResponses(answer).at(-1);
  return last && 'response' in last ? last.response.output.map(({ type }) => type) : [];
};

test('Responses: items are numbered by what was announced: thoughts then text, thoughts only, thoughts then a call', (t) => {
  t.deepEqual(outputOf({ ...full, calls: [] }), ['reasoning', 'message']);
  t.deepEqual(outputOf({ ...full, calls: [], text: [] }), ['reasoning', 'message']);
  t.deepEqual(outputOf({ ...full, text: [] }), ['reasoning', 'message', 'function_call']);
  t.deepEqual(outputOf(nothing), ['message']);
});

test('Responses: details of the usage are whole, or the usage is null', (t) => {
  const usageIn = (answer: NeuronAnswer) => {
    const last = ofResponses(answer).at(-1);
    return last && 'response' in last ? last.response.usage : undefined;
  };
  t.deepEqual(usageIn(full), {
    input_tokens: 10,
    input_tokens_details: { cached_tokens: 4 },
    output_tokens: 5,
    output_tokens_details: { reasoning_tokens: 2 },
    total_tokens: 15,
  });
  t.is(usageIn({ ...full, usage: null }), null);
});

test('Responses: a neuron that dies before its first word still makes a start and a failure', (t) => {
  t.deepEqual(typesOf(translateBytes(responses(), []) as ResponsesStreamEvent[]), [
    'response.created',
    'response.failed',
  ]);
});

test('errors have the dialect of the path, and of the header where the path is shared', (t) => {
  const dialect = (path: string, headers = {}) => dialectOf(path, headers);
  const version = { 'anthropic-version': '2023-06-01' };
  for (const path of ['/v1/messages', '/v1/messages/count_tokens', '/v1/messages/batches']) {
    t.is(dialect(path), 'anthropic');
  }
  for (const path of ['/v1/models', '/nope', '/v1/responses-of-others']) {
    t.is(dialect(path), 'openai');
    t.is(dialect(path, version), 'anthropic');
  }
  for (const path of ['/v1/responses', '/v1/responses/input_tokens', '/v1/chat/completions', '/v1/completions']) {
    t.is(dialect(path, version), 'openai');
  }
  t.is(dialect('/v1/messagesx'), 'openai');
});
