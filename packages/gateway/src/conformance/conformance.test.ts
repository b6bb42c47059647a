import { readFileSync } from 'node:fs';
import { type ChatCompletionResponse, encodeSse } from '@helexa/core';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { arbitraryAnswer } from '../testing/arbitrary-answer.js';
import { bytesOf, chunksOf, type NeuronAnswer, usageOf } from '../testing/neuron-answer.js';
import { cutBytes } from '../testing/translate-bytes.js';
import { anthropic, responses } from '../testing/translators.js';
import { toolUseId } from '../translate/anthropic-events.js';
import type { AnswerTranslator } from '../translate/stream-translator.js';
import { distinct, everyChunking } from './chunkings.js';
import { type Client, chatClients, messagesClients, responsesClients } from './clients.js';
import { type Heard, heardOf } from './heard.js';
import { servedBytes } from './served-bytes.js';
import { readAsCodex } from './strict-codex.js';
import { readAsZed } from './strict-zed.js';

interface Dialect {
  readonly translator: () => AnswerTranslator | undefined;
  readonly clients: Readonly<Record<string, Client>>;
  readonly idOf?: (id: string) => string;
}

const dialects: Readonly<Record<string, Dialect>> = {
  chat: {
    translator: () => undefined,
    clients: { ...chatClients, 'strict as Zed': async (writes) => readAsZed(writes) },
  },
  responses: {
    translator: responses,
    clients: { ...responsesClients, 'strict as Codex': async (writes) => readAsCodex(writes) },
  },
  messages: {
    translator: anthropic,
    clients: messagesClients,
    idOf: toolUseId,
  },
};

const served = ({ translator }: Dialect, reads: readonly Buffer[]): Buffer[] => {
  const made = translator();
  made?.begin('a');
  return servedBytes(reads, made);
};

/** What no word of a dialect can say, or a client does not keep, is not asked for. */
const comparable = (client: string, heard: Heard): Heard => ({
  ...heard,
  // Its chat model knows no thoughts.
  reasoning: client === '@ai-sdk/openai chat' ? '' : heard.reasoning,
});

const agree = async (
  t: ExecutionContext,
  name: string,
  dialect: Dialect,
  reads: readonly Buffer[],
  answer: NeuronAnswer,
) => {
  const writes = served(dialect, reads);
  for (const [client, listen] of Object.entries(dialect.clients)) {
    const heard = await listen(writes);
    const said = heardOf(answer, dialect.idOf);
    // Where a neuron does not say what it used, other dialects have to say some number.
    const expected = said.tokens || name === 'chat' ? said : { ...said, tokens: heard.tokens };
    t.deepEqual(comparable(client, heard), comparable(client, expected), `${client} of ${name}`);
  }
};

const answer: NeuronAnswer = {
  reasoning: ['Hm', ', ü?'],
  text: ['Grüße', ' 👋 data: [DONE]'],
  calls: [
    { id: 'call_0', name: 'weather', arguments: ['{"city":', '"Zürich"}'] },
    { id: 'call_1', name: 'read_file', arguments: ['{}'] },
  ],
  finish: 'stop',
  stopString: null,
  usage: usageOf(12, 7, 4, 2),
};

/** A conversation of an agent with a neuron that served the demonstration model: each answer as a stream, and in one piece. */
const conversation = JSON.parse(
  readFileSync(new URL('../../fixtures/agent-conversation.json', import.meta.url), 'utf8'),
) as { readonly turns: readonly { readonly stream: string; readonly whole: ChatCompletionResponse }[] };

/** What a client hears of an answer in one piece; identities of calls are those of its stream. */
const heardOfWhole = ({ choices, usage }: ChatCompletionResponse, ids: readonly string[]): Heard => {
  const { message, finish_reason: finish } = choices[0] as ChatCompletionResponse['choices'][number];
  return {
    text: message.content ?? '',
    reasoning: message.reasoning_content ?? '',
    calls: (message.tool_calls ?? []).map(({ function: { name, arguments: input } }, index) => ({
      id: ids[index] ?? '',
      name,
      input: JSON.parse(input) as unknown,
    })),
    isCutByLength: finish === 'length',
    tokens: usage && [usage.prompt_tokens, usage.completion_tokens],
  };
};

for (const [name, dialect] of Object.entries(dialects)) {
  test(`conformance of ${name}: a recorded conversation with a tool is heard as its answers in one piece say`, async (t) => {
    t.timeout(120_000);
    const random = fc.sample(fc.array(fc.nat(6000), { minLength: 1, maxLength: 20 }), { seed: 3, numRuns: 4 });
    let calls = 0;
    for (const { stream, whole } of conversation.turns) {
      const bytes = Buffer.from(stream);
      const idOf = dialect.idOf ?? ((id: string) => id);
      const ids = readAsZed([bytes]).calls.map(({ id }) => idOf(id));
      calls += ids.length;
      for (const cuts of random) {
        const writes = served(dialect, cutBytes(bytes, cuts));
        for (const [client, listen] of Object.entries(dialect.clients)) {
          t.deepEqual(await listen(writes), heardOfWhole(whole, ids), `${client} of ${name}`);
        }
      }
    }
    t.true(calls > 0);
  });

  test(`conformance of ${name}: clients hear what the neuron said, however it comes`, async (t) => {
    t.timeout(120_000);
    const style = fc.record({
      lineBreak: fc.constantFrom('\n', '\r\n'),
      comment: fc.constantFrom('', 'keep-alive'),
      // Two marks of usage are legal of a neuron; chat clients are asked for what passes.
      usageWithFinish: name === 'chat' ? fc.constant(false) : fc.boolean(),
      interleavesCalls: name === 'chat' ? fc.constant(false) : fc.boolean(),
    });
    const cuts = fc.array(fc.nat(4000), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(arbitraryAnswer, style, cuts, async (said, { lineBreak, comment, ...how }, at) => {
        await agree(t, name, dialect, cutBytes(bytesOf(chunksOf(said, how), lineBreak, comment), at), said);
      }),
      { seed: 11, numRuns: 25 },
    );
  });

  test(`conformance of ${name}: every cut in two, byte by byte and merged gives the same`, async (t) => {
    t.timeout(120_000);
    for (const lineBreak of ['\n', '\r\n']) {
      const bytes = bytesOf(chunksOf(answer), lineBreak, 'k');
      const all = [...everyChunking(bytes)];
      const whole = Buffer.concat(served(dialect, [bytes]));
      for (const reads of all) t.true(Buffer.concat(served(dialect, reads)).equals(whole));
      for (const reads of distinct(all.map((each) => served(dialect, each)))) {
        for (const [client, listen] of Object.entries(dialect.clients)) {
          const expected = comparable(client, heardOf(answer, dialect.idOf));
          t.deepEqual(comparable(client, await listen(reads)), expected, client);
        }
      }
    }
  });

  test(`conformance of ${name}: no client takes an answer that ends in an error for whole`, async (t) => {
    t.timeout(120_000);
    const chunks = chunksOf(answer);
    const error = { message: 'the device is lost', type: 'api_error', code: 'device_lost', param: null };
    for (let count = 1; count < chunks.length - 1; count++) {
      const begun = chunks.slice(0, count).map((chunk) => encodeSse(JSON.stringify(chunk)));
      const writes = served(dialect, [Buffer.from([...begun, encodeSse(JSON.stringify({ error }))].join(''))]);
      for (const [client, listen] of Object.entries(dialect.clients)) {
        const expected = { message: /device is lost|device_lost/ };
        await t.throwsAsync(listen(writes), expected, `${client} after ${count} chunks of ${name}`);
      }
    }
  });
}
