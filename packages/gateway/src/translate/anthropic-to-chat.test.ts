import { anthropicCountRequest, anthropicMessagesRequest, CortexError, chatCompletionRequest } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import { anthropicToChat } from './anthropic-to-chat.js';
import { withoutBillingHeader } from './billing-header.js';
import { signThoughts } from './signature.js';

const translate = (fields: Record<string, unknown>) => {
  const request = anthropicMessagesRequest.parse({ model: 'm', max_tokens: 64, messages: [], ...fields });
  const translation = anthropicToChat(request);
  // What leaves must be what a neuron takes.
  chatCompletionRequest.parse(translation.body);
  return translation;
};
const user = { role: 'user', content: 'hi' };
const messagesOf = (messages: unknown[], rest: Record<string, unknown> = {}) =>
  translate({ messages, ...rest }).body.messages;

test('anthropicToChat adds no system prompt when the caller sent none', (t) => {
  t.deepEqual(messagesOf([user]), [user as never]);
  t.deepEqual(messagesOf([user], { system: [] }), [user as never]);
});

test('anthropicToChat makes one leading system message of all forms, in the order and words of the caller', (t) => {
  t.deepEqual(messagesOf([user], { system: 'Be  brief.\n' })[0], { role: 'system', content: 'Be  brief.\n' });
  const blocks = ['You are an agent.', ' Rules: 1, 2 '].map((text) => ({
    type: 'text',
    text,
    cache_control: { type: 'ephemeral' },
  }));
  const late = [user, { role: 'system', content: 'Late.' }, { role: 'user', content: 'more' }];
  t.deepEqual(messagesOf(late, { system: blocks }), [
    { role: 'system', content: 'You are an agent.\n Rules: 1, 2 \n\nLate.' },
    { role: 'user', content: 'hi' },
    { role: 'user', content: 'more' },
  ]);
});

test('anthropicToChat says the second turn of a coding agent: thoughts, parallel calls, results before the next words', (t) => {
  const thoughts = 'Two files are wanted.';
  const turns = [
    { role: 'user', content: [{ type: 'text', text: 'Read a and b' }] },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: thoughts, signature: signThoughts(thoughts) },
        { type: 'text', text: 'I read both.' },
        { type: 'tool_use', id: 'toolu_1', name: 'Read', input: { path: 'a' } },
        { type: 'tool_use', id: 'toolu_2', name: 'Read', input: { path: 'b', limit: 3 } },
      ],
    },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Go on', cache_control: { type: 'ephemeral' } },
        { type: 'tool_result', tool_use_id: 'toolu_1', content: 'A' },
        {
          type: 'tool_result',
          tool_use_id: 'toolu_2',
          is_error: true,
          content: [
            { type: 'text', text: 'no ' },
            { type: 'text', text: 'file' },
          ],
        },
      ],
    },
  ];
  t.deepEqual(messagesOf(turns), [
    { role: 'user', content: 'Read a and b' },
    {
      role: 'assistant',
      content: 'I read both.',
      reasoning_content: thoughts,
      tool_calls: [
        { id: 'toolu_1', type: 'function', function: { name: 'Read', arguments: '{"path":"a"}' } },
        { id: 'toolu_2', type: 'function', function: { name: 'Read', arguments: '{"path":"b","limit":3}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'toolu_1', content: 'A' },
    { role: 'tool', tool_call_id: 'toolu_2', content: 'Error: no file' },
    { role: 'user', content: 'Go on' },
  ]);
});

test('anthropicToChat takes its own thoughts back, and leaves foreign and changed ones out', (t) => {
  const turn = (block: object) => [user, { role: 'assistant', content: [block, { type: 'text', text: 'x' }] }, user];
  const own = { type: 'thinking', thinking: 'mine', signature: signThoughts('mine') };
  t.is(messagesOf(turn(own))[1]?.reasoning_content, 'mine');
  for (const foreign of [
    { ...own, signature: 'EqQBCkYIBBgCKkA=' },
    { ...own, thinking: 'changed' },
    { type: 'redacted_thinking', data: 'EmwKAhgB' },
  ]) {
    const { body, ignored } = translate({ messages: turn(foreign) });
    t.is(body.messages[1]?.reasoning_content, undefined);
    t.deepEqual(ignored, [`messages.${foreign.type}`]);
  }
});

test('anthropicToChat keeps images, also beside calls and inside tool results, in their order', (t) => {
  const image = { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } };
  const link = { type: 'image', source: { type: 'url', url: 'https://x/y.png' } };
  const [result, rest] = messagesOf([
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'see' }, image] },
        { type: 'text', text: 'and' },
        link,
      ],
    },
  ]);
  const part = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } };
  t.deepEqual(result?.content, [{ type: 'text', text: 'see' }, part]);
  t.deepEqual(rest?.content, [
    { type: 'text', text: 'and' },
    { type: 'image_url', image_url: { url: 'https://x/y.png' } },
  ]);
});

test('anthropicToChat refuses by name what a model would have to see and cannot', (t) => {
  const refuse = (block: object, parameter: string) => {
    const error = t.throws(() => messagesOf([{ role: 'user', content: [block] }]), { instanceOf: Error });
    t.true(CortexError.isInstance(error) && error.code === 'unsupported_parameter');
    t.is((error as unknown as CortexError<'unsupported_parameter'>).details.parameter, parameter);
  };
  refuse({ type: 'image', source: { type: 'file', file_id: 'f' } }, 'messages[0].content[0].source.type');
  refuse(
    { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AA' } },
    'messages[0].content[0].source.type',
  );
  t.throws(() => messagesOf([user, { role: 'assistant', content: 'Prefilled {' }]), { code: 'unsupported_parameter' });
});

test('anthropicToChat takes documents of text, and says unknown blocks of a result as JSON', (t) => {
  const document = (source: object) => ({ type: 'document', source, title: 't' });
  const [result, rest] = messagesOf([
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'x', content: [{ type: 'tool_reference', tool_name: 'Grep' }] },
        document({ type: 'text', media_type: 'text/plain', data: 'one ' }),
        document({ type: 'content', content: [{ type: 'text', text: 'two' }] }),
      ],
    },
  ]);
  t.is(result?.content, '{"type":"tool_reference","tool_name":"Grep"}');
  t.is(rest?.content, 'one two');
  t.is(messagesOf([{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'x' }] }])[0]?.content, '');
});

test('anthropicToChat wraps functions, takes those that are wrapped, and leaves tools of other servers out by name', (t) => {
  const { body, ignored } = translate({
    messages: [user],
    tools: [
      {
        name: 'Read',
        description: 'Reads',
        input_schema: { type: 'object', properties: { p: {} } },
        defer_loading: true,
        eager_input_streaming: true,
        cache_control: { type: 'ephemeral' },
      },
      { type: 'custom', name: 'Bare' },
      { type: 'function', function: { name: 'Wrapped', parameters: { type: 'object' } } },
      { type: 'web_search_20250305', name: 'web_search', max_uses: 5 },
    ],
    tool_choice: { type: 'auto', disable_parallel_tool_use: true },
  });
  t.deepEqual(body.tools, [
    {
      type: 'function',
      function: { name: 'Read', description: 'Reads', parameters: { type: 'object', properties: { p: {} } } },
    },
    { type: 'function', function: { name: 'Bare', parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'Wrapped', parameters: { type: 'object' } } },
  ]);
  t.deepEqual(ignored, ['tools.web_search_20250305']);
  t.is(body.tool_choice, 'auto');
});

test('anthropicToChat maps every choice of tools', (t) => {
  const tools = [{ name: 'f', input_schema: { type: 'object' } }];
  const choose = (choice: object | undefined) => translate({ messages: [user], tools, tool_choice: choice });
  t.is(choose({ type: 'auto' }).body.tool_choice, 'auto');
  t.is(choose({ type: 'any' }).body.tool_choice, 'required');
  t.is(choose({ type: 'none' }).body.tool_choice, 'none');
  t.deepEqual(choose({ type: 'tool', name: 'f' }).body.tool_choice, { type: 'function', function: { name: 'f' } });
  t.is(choose(undefined).body.tool_choice, undefined);
  t.true(choose({ type: 'any', disable_parallel_tool_use: true }).atMostOneCall);
  t.false(choose({ type: 'auto' }).atMostOneCall);
});

test('anthropicToChat gives every knob its name: caps, sampling, stops, thinking, streams with usage', (t) => {
  const { body } = translate({
    messages: [user],
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    stop_sequences: ['END'],
    thinking: { type: 'enabled', budget_tokens: 1024 },
    stream: true,
    metadata: { user_id: 'u' },
    service_tier: 'auto',
    context_management: { edits: [] },
  });
  t.deepEqual(body, {
    model: 'm',
    messages: [{ role: 'user', content: 'hi' }],
    max_tokens: 64,
    temperature: 0.5,
    top_p: 0.9,
    top_k: 40,
    stop: ['END'],
    chat_template_kwargs: { enable_thinking: true },
    stream: true,
    stream_options: { include_usage: true },
  });
  const off = translate({ messages: [user], thinking: { type: 'disabled' } }).body;
  t.deepEqual(off.chat_template_kwargs, { enable_thinking: false });
  t.is(translate({ messages: [user] }).body.chat_template_kwargs, undefined);
  const adaptive = translate({ messages: [user], thinking: { type: 'adaptive' } }).body;
  t.deepEqual(adaptive.chat_template_kwargs, { enable_thinking: true });
  const format = { type: 'json_schema', schema: { type: 'object' } };
  for (const fields of [{ output_format: format }, { output_config: { format } }]) {
    t.is(translate({ messages: [user], ...fields }).body.response_format?.type, 'json_schema');
  }
});

test('a token count is of the same prompt as the answer, whatever the conversation', (t) => {
  const text = fc.string({ maxLength: 5 });
  const block = fc.oneof(
    text.map((value) => ({ type: 'text', text: value })),
    text.map((id) => ({ type: 'tool_use', id: `t${id}`, name: 'f', input: { id } })),
    text.map((value) => ({ type: 'thinking', thinking: value, signature: signThoughts(value) })),
  );
  const turn = fc.record({
    role: fc.constant('assistant'),
    content: fc.oneof(text, fc.array(block, { maxLength: 3 })),
  });
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 3 }), (turns) => {
      const request = { model: 'm', messages: [...turns, user], tools: [{ name: 'f' }], system: 's' };
      const counted = anthropicToChat(anthropicCountRequest.parse(request)).body;
      const { max_tokens: _, ...answered } = anthropicToChat(
        anthropicMessagesRequest.parse({ ...request, max_tokens: 9 }),
      ).body;
      t.deepEqual(counted, answered);
    }),
  );
});

test('anthropicMessagesRequest refuses what has a meaning and a wrong shape, and takes blocks of unknown kinds', (t) => {
  const isGood = (fields: object) =>
    anthropicMessagesRequest.safeParse({ model: 'm', max_tokens: 1, messages: [user], ...fields }).success;
  t.true(isGood({}));
  t.true(isGood({ messages: [{ role: 'user', content: [{ type: 'container_upload', file_id: 'f' }] }] }));
  t.true(isGood({ system: null, stop_sequences: null, tools: null, thinking: null }));
  for (const fields of [
    { max_tokens: undefined },
    { max_tokens: 0 },
    { messages: [] },
    { messages: [{ role: 'user' }] },
    { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
    { messages: [{ role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'f', input: 'text' }] }] },
    { messages: [{ role: 'user', content: [{ type: 'tool_result' }] }] },
    { tool_choice: { type: 'tool' } },
    { temperature: 'hot' },
  ]) {
    t.false(isGood(fields), JSON.stringify(fields));
  }
});

test('withoutBillingHeader takes away a first block of exactly that shape, and nothing else', (t) => {
  const line = 'x-anthropic-billing-header: cc_version=2.1.100.abc; cc_entrypoint=cli; cch=00000;';
  const block = (text: string) => ({ type: 'text' as const, text });
  t.deepEqual(withoutBillingHeader({ system: [block(line), block('You are')] }), {
    request: { system: [block('You are')] },
    isStripped: true,
  });
  for (const system of [
    undefined,
    null,
    [],
    line,
    [block('You are'), block(line)],
    [block(`${line}\nYou are`)],
    [block(` ${line}`)],
    [block('x-anthropic-billing-headers: a')],
  ]) {
    t.deepEqual(withoutBillingHeader({ system }), { request: { system }, isStripped: false });
  }
});
