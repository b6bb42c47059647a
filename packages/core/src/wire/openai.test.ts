import test from 'ava';
import { chatChunks, completionChunks } from './chat-chunks.js';
import { chatCompletionChunk, chatCompletionRequest } from './openai-chat.js';
import { completionChunk, completionRequest } from './openai-completions.js';

const request = (more: Record<string, unknown> = {}) => ({
  model: 'm',
  messages: [{ role: 'user', content: 'hi' }],
  ...more,
});

test('chatCompletionRequest takes what clients really send', (t) => {
  const parsed = chatCompletionRequest.parse(
    request({
      messages: [
        { role: 'developer', content: [{ type: 'text', text: 'be brief' }] },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'look' },
            { type: 'image_url', image_url: { url: 'data:x' } },
          ],
        },
        {
          role: 'assistant',
          content: null,
          reasoning_content: 'hm',
          tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'c', content: [] },
      ],
      stop: ['a', 'b'],
      temperature: null,
      max_completion_tokens: 5,
      stream_options: { include_usage: true },
      chat_template_kwargs: { enable_thinking: false },
      top_k: 20,
      a_field_of_tomorrow: { x: 1 },
    }),
  );
  t.is(parsed.messages.length, 4);
  t.false('a_field_of_tomorrow' in parsed);
  t.deepEqual([parsed.stop, parsed.temperature, parsed.top_k], [['a', 'b'], null, 20]);
});

test('chatCompletionRequest keeps the kind of a part that it does not know, and refuses a broken one that it does', (t) => {
  const parts = (part: unknown) =>
    chatCompletionRequest.safeParse(request({ messages: [{ role: 'user', content: [part] }] }));
  t.deepEqual(parts({ type: 'input_audio', input_audio: {} }).data?.messages[0]?.content, [
    { type: 'unsupported', kind: 'input_audio' },
  ]);
  t.false(parts({ type: 'text' }).success);
  t.false(parts({ type: 'image_url', image_url: 'http://x' }).success);
});

test('chatCompletionRequest refuses wrong types and names the field', (t) => {
  for (const [more, field] of [
    [{ messages: [] }, 'messages'],
    [{ messages: 'hi' }, 'messages'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ max_tokens: 1.5 }, 'max_tokens'],
    [{ logit_bias: [1] }, 'logit_bias'],
    [{ model: 7 }, 'model'],
  ] as const) {
    const { error } = chatCompletionRequest.safeParse(request(more));
    t.is(error?.issues[0]?.path[0], field);
  }
});

test('completionRequest takes a prompt as text, texts, ids or lists of ids', (t) => {
  for (const prompt of ['a', ['a', 'b'], [1, 2], [[1], [2]]])
    t.deepEqual(completionRequest.parse({ model: 'm', prompt }).prompt, prompt);
  t.false(completionRequest.safeParse({ model: 'm', prompt: [-1] }).success);
});

test('chatChunks builds events of the shape that strict clients read', (t) => {
  const chunks = chatChunks({ id: 'i', created: 1, model: 'm' });
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  const all = [
    chunks.role(),
    chunks.reasoning('r'),
    chunks.content('c'),
    chunks.toolCall({ index: 0, id: 'c1', name: 'f' }),
    chunks.toolArguments({ index: 0, fragment: '{}' }),
    chunks.finish('tool_calls'),
    chunks.usage(usage),
  ];
  for (const chunk of all) t.deepEqual(chatCompletionChunk.parse(chunk), chunk);
  t.deepEqual(all.at(-1)?.choices, []);
  t.true(all.slice(0, -2).every(({ choices }) => choices[0]?.finish_reason === null));
  t.deepEqual(all[3]!.choices[0]!.delta.tool_calls, [
    { index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '' } },
  ]);
  t.deepEqual(all[4]!.choices[0]!.delta.tool_calls, [{ index: 0, function: { arguments: '{}' } }]);
});

test('completionChunks builds events of the plain shape', (t) => {
  const chunks = completionChunks({ id: 'i', created: 1, model: 'm' });
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  for (const chunk of [chunks.text('a'), chunks.finish('length'), chunks.usage(usage)])
    t.deepEqual(completionChunk.parse(chunk), chunk);
});
