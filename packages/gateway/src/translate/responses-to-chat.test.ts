import { chatCompletionRequest, responsesRequest } from '@helexa/core';
import test from 'ava';
import { responsesToChat } from './responses-to-chat.js';
import { signThoughts } from './signature.js';

const translate = (fields: Record<string, unknown>) => {
  const translation = responsesToChat(responsesRequest.parse({ model: 'm', ...fields }));
  // What leaves must be what a neuron takes.
  chatCompletionRequest.parse(translation.body);
  return translation;
};
const messagesOf = (input: unknown, rest: Record<string, unknown> = {}) => translate({ input, ...rest }).body.messages;

test('responsesToChat makes a user message of a text, and adds no system prompt', (t) => {
  t.deepEqual(messagesOf('hi'), [{ role: 'user', content: 'hi' }]);
  t.deepEqual(messagesOf('hi', { instructions: '' }), [{ role: 'user', content: 'hi' }]);
});

test('responsesToChat merges instructions, system and developer items into one leading message, in their order', (t) => {
  const input = [
    { role: 'developer', content: [{ type: 'input_text', text: 'B' }] },
    { role: 'user', content: 'hi' },
    { type: 'message', role: 'system', content: 'C' },
  ];
  t.deepEqual(messagesOf(input, { instructions: 'A' }), [
    { role: 'system', content: 'A\n\nB\n\nC' },
    { role: 'user', content: 'hi' },
  ]);
});

test('responsesToChat takes items without a type and without content', (t) => {
  const input = [{ role: 'user', content: 'a' }, { role: 'assistant' }, { role: 'user', content: null }];
  t.deepEqual(messagesOf(input), [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: '' },
    { role: 'user', content: '' },
  ]);
});

test('responsesToChat says the second turn of a coding agent: parallel calls are one turn, whatever stands between them', (t) => {
  const thoughts = 'Both at once.';
  const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'shell', arguments: `{"c":"${id}"}` });
  const message = (text: string) => ({
    type: 'message',
    role: 'assistant',
    content: [{ type: 'output_text', text, annotations: [] }],
  });
  const output = (id: string, value: unknown) => ({ type: 'function_call_output', call_id: id, output: value });
  const toolCall = (id: string) => ({
    id,
    type: 'function' as const,
    function: { name: 'shell', arguments: `{"c":"${id}"}` },
  });
  const input = [
    { role: 'user', content: [{ type: 'input_text', text: 'ls' }] },
    {
      type: 'reasoning',
      id: 'rs_1',
      summary: [{ type: 'summary_text', text: thoughts }],
      encrypted_content: signThoughts(thoughts),
    },
    call('a'),
    call('b'),
    message(''),
    output('a', 'A'),
    output('b', { exit: 0 }),
    message('Done.'),
    message('Really.'),
    { role: 'user', content: 'thanks' },
  ];
  t.deepEqual(messagesOf(input), [
    { role: 'user', content: 'ls' },
    { role: 'assistant', content: null, reasoning_content: thoughts, tool_calls: [toolCall('a'), toolCall('b')] },
    { role: 'tool', tool_call_id: 'a', content: 'A' },
    { role: 'tool', tool_call_id: 'b', content: '{"exit":0}' },
    { role: 'assistant', content: 'Done.' },
    { role: 'assistant', content: 'Really.' },
    { role: 'user', content: 'thanks' },
  ]);
});

test('responsesToChat leaves unknown items, parts, tools and foreign thoughts out, by name', (t) => {
  const { body, ignored } = translate({
    input: [
      { type: 'reasoning', id: 'rs', summary: [{ type: 'summary_text', text: 'x' }], encrypted_content: 'gAAAA' },
      { type: 'web_search_call', id: 'ws', status: 'completed' },
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }, { type: 'sparkle' }] },
    ],
    tools: [
      { type: 'function', name: 'f', parameters: { type: 'object' }, strict: false },
      { type: 'function', function: { name: 'g' } },
      { type: 'namespace', name: 'n' },
      { type: 'web_search' },
      { type: 'image_generation' },
      { type: 'custom', name: 'apply_patch', format: { type: 'grammar' } },
    ],
  });
  t.deepEqual(body.messages, [{ role: 'user', content: 'hi' }]);
  t.deepEqual(body.tools, [
    { type: 'function', function: { name: 'f', parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'g' } },
  ]);
  t.deepEqual([...ignored].sort(), [
    'input.reasoning',
    'input.sparkle',
    'input.web_search_call',
    'tools.custom',
    'tools.image_generation',
    'tools.namespace',
    'tools.web_search',
  ]);
});

test('responsesToChat keeps images in their order, also in tool outputs, and joins text with blank lines', (t) => {
  const image = { type: 'input_image', image_url: 'data:image/png;base64,AA', detail: 'auto' };
  const part = { type: 'image_url', image_url: { url: 'data:image/png;base64,AA' } };
  const text = (value: string) => ({ type: 'input_text', text: value });
  t.deepEqual(messagesOf([{ role: 'user', content: [text('a'), text('b')] }])[0]?.content, 'a\n\nb');
  t.deepEqual(messagesOf([{ role: 'user', content: [text('a'), image] }])[0]?.content, [
    { type: 'text', text: 'a' },
    part as never,
  ]);
  const output = [text('a'), image];
  t.deepEqual(messagesOf([{ type: 'function_call_output', call_id: 'c', output }])[0]?.content, [
    { type: 'text', text: 'a' },
    part as never,
  ]);
});

test('responsesToChat tells the neuron that one call at most is wanted, where there are tools', (t) => {
  const tools = [{ type: 'function', name: 'f', parameters: {} }];
  t.is(translate({ input: 'hi', tools, parallel_tool_calls: false }).body.parallel_tool_calls, false);
  t.is(translate({ input: 'hi', tools, parallel_tool_calls: true }).body.parallel_tool_calls, undefined);
  t.is(translate({ input: 'hi', parallel_tool_calls: false }).body.parallel_tool_calls, undefined);
});

test('responsesToChat gives every knob its name', (t) => {
  const { body, atMostOneCall } = translate({
    input: 'hi',
    max_output_tokens: 9,
    temperature: 0.1,
    top_p: 0.2,
    top_k: 3,
    seed: 4,
    presence_penalty: 0.5,
    frequency_penalty: 0.6,
    reasoning: { effort: 'high', summary: 'auto' },
    text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true }, verbosity: 'low' },
    parallel_tool_calls: false,
    stream: true,
    store: false,
    include: ['reasoning.encrypted_content'],
    prompt_cache_key: 'k',
    client_metadata: { a: 'b' },
    previous_response_id: null,
  });
  t.deepEqual(body, {
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 9,
    temperature: 0.1,
    top_p: 0.2,
    top_k: 3,
    seed: 4,
    presence_penalty: 0.5,
    frequency_penalty: 0.6,
    reasoning_effort: 'high',
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
    stream: true,
    stream_options: { include_usage: true },
  });
  t.true(atMostOneCall);
  t.is(translate({ input: 'hi', reasoning: {} }).body.reasoning_effort, 'medium');
  t.is(translate({ input: 'hi', text: { format: { type: 'text' } } }).body.response_format, undefined);
});

test('responsesToChat maps every choice of tools', (t) => {
  const tools = [{ type: 'function', name: 'f' }];
  const choose = (choice: unknown) => translate({ input: 'hi', tools, tool_choice: choice }).body.tool_choice;
  for (const choice of ['none', 'auto', 'required']) t.is(choose(choice), choice as 'none');
  t.deepEqual(choose({ type: 'function', name: 'f' }), { type: 'function', function: { name: 'f' } });
  t.throws(() => choose({ type: 'custom', name: 'f' }), { code: 'unsupported_parameter' });
});

test('responsesToChat answers the probe with an empty input', (t) => {
  t.deepEqual(messagesOf([], { max_output_tokens: 1 }), [{ role: 'user', content: '' }]);
});

test('responsesToChat refuses by name what needs a memory, and what a model would have to see and cannot', (t) => {
  for (const fields of [
    { previous_response_id: 'resp_1' },
    { conversation: 'conv_1' },
    { prompt: { id: 'p' } },
    { background: true },
    { top_logprobs: 3 },
    { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'f' }] }] },
    { input: [{ role: 'user', content: [{ type: 'input_image', file_id: 'f' }] }] },
    { text: { format: { type: 'grammar' } } },
  ]) {
    t.throws(() => translate({ input: 'hi', ...fields }), { code: 'unsupported_parameter' }, JSON.stringify(fields));
  }
});
