import test from 'ava';
import type { RunningNeuron } from '../daemon.js';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';

let neuron: RunningNeuron;
test.before(async () => {
  neuron = await startTinyNeuron();
});
test.after.always(() => neuron?.close());

const messages = [{ role: 'user', content: 'Hello, world!' }];
const format = (schema: object) => ({ type: 'json_schema', json_schema: { name: 'answer', schema } });

interface Answer {
  readonly choices: readonly {
    readonly message: { readonly content: string };
    readonly text: string;
    readonly finish_reason: string;
  }[];
}

const ask = async (path: string, body: object): Promise<Answer> => {
  const response = await post(neuron, path, { model: 'tiny', max_tokens: 120, ...body });
  return (await response.json()) as Answer;
};

const schema = {
  type: 'object',
  properties: { colour: { enum: ['red', 'green'] }, count: { type: 'integer', minimum: 10, maximum: 99 } },
  required: ['colour', 'count'],
  additionalProperties: false,
};

// Mutation that breaks it: masks that are not written for every sampled row of a step.
test('chat answers meet the schema of their response_format, beside others that are free', async (t) => {
  const asks = [0, 0.7, 1.5, 4].map((temperature, seed) =>
    ask('/v1/chat/completions', { messages, temperature, seed, n: 2, response_format: format(schema) }),
  );
  const free = ask('/v1/chat/completions', { messages, temperature: 0, max_tokens: 30 });
  const alone = await ask('/v1/chat/completions', { messages, temperature: 0, max_tokens: 30 });
  for (const { choices } of await Promise.all(asks)) {
    t.is(choices.length, 2);
    for (const { message, finish_reason: reason } of choices) {
      const { colour, count, ...rest } = JSON.parse(message.content) as { colour: string; count: number };
      t.true(
        ['red', 'green'].includes(colour) && Number.isInteger(count) && count >= 10 && count <= 99,
        message.content,
      );
      t.deepEqual([rest, reason], [{}, 'stop']);
    }
  }
  t.is((await free).choices[0]?.message.content, alone.choices[0]?.message.content, 'a mask stays in its own row');
});

test('a json_object answer that ends is an object, in plain completions too', async (t) => {
  const { choices } = await ask('/v1/completions', {
    prompt: 'x',
    temperature: 1,
    response_format: format({
      type: 'object',
      maxProperties: 1,
      additionalProperties: { type: 'boolean' },
      propertyNames: { maxLength: 4 },
    }),
  });
  t.is(choices[0]?.finish_reason, 'stop');
  t.is(typeof JSON.parse(choices[0]!.text), 'object');
  const cut = await ask('/v1/chat/completions', { messages, max_tokens: 1, response_format: { type: 'json_object' } });
  t.is(cut.choices[0]?.finish_reason, 'length');
  t.is(cut.choices[0]?.message.content.trimStart()[0], '{');
});
