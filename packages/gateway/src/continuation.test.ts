import test from 'ava';
import { post, runGateway } from './testing/running-gateway.js';

const models = [{ id: 'm', status: 'loaded' }];
const words = ['one', ' two', ' three', ' four', ' five'];
const texts = words.map((text) => ({ text }));

const requests = {
  '/v1/chat/completions': { model: 'm', stream: true, stream_options: { include_usage: true } },
  '/v1/completions': { model: 'm', stream: true, prompt: 'x' },
  '/v1/messages': { model: 'm', stream: true, max_tokens: 9, messages: [{ role: 'user', content: 'x' }] },
  '/v1/responses': { model: 'm', stream: true, input: 'x' },
} as const;

/** Without what depends on the run. */
const comparable = (text: string): string => text.replace(/"(id|item_id|created_at|created)":("[^"]*"|\d+)/g, '"$1":0');

for (const [path, body] of Object.entries(requests)) {
  test(`F1 and F3: a stream of ${path} whose neuron dies after any token goes on elsewhere with the next byte`, async (t) => {
    const { gateway, neurons } = await runGateway(t, { a: { models }, b: { models } });
    for (const neuron of Object.values(neurons)) neuron.setAnswer(() => ({ steps: texts }));
    const ask = async () => await (await post(gateway, body, {}, path)).text();
    const undisturbed = comparable(await ask());
    for (const end of ['die', 'stop'] as const) {
      for (let count = 1; count <= words.length; count++) {
        const last = end === 'die' ? { die: true as const } : { stop: true as const };
        for (const neuron of Object.values(neurons)) {
          neuron.setAnswer(({ headers }) => ({
            steps: headers['x-cortex-checkpoints'] === 'resume' ? texts : [...texts.slice(0, count), last],
          }));
        }
        t.is(comparable(await ask()), undisturbed, `${end} after ${count}`);
      }
    }
    const metrics = await (await fetch(`${gateway.metricsUrl}/metrics`)).text();
    t.regex(metrics, /cortex_retries_total\{node="[ab]",reason="resumed"\} \d/);
    t.regex(metrics, /cortex_completion_tokens_total\{model="m",node="[ab]"/);
  });
}

test('a stream that no other neuron can take on ends with an error, and never as if it were whole', async (t) => {
  const { gateway, neurons } = await runGateway(t, {
    a: { models, answer: () => ({ steps: [{ text: 'one' }, { die: true }] }) },
    b: { models, checkpoints: false, answer: () => ({ steps: texts }) },
  });
  const text = await (await post(gateway, { model: 'm', stream: true }, { 'x-session-id': 's' })).text();
  t.regex(text, /one.*"code":"stream_interrupted"/s);
  t.notRegex(text, /two|DONE/);
  // The other one did not say that it went on, so that nothing of its answer was taken.
  t.is(neurons['b']!.requests.length, 1);
  t.is(JSON.parse(neurons['b']!.requests[0]!.body.toString()).cortex_resume.tokens.length, 1);
});

test('a client can neither ask for checkpoints nor bring tokens of its own', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models, answer: () => ({ steps: texts }) } });
  const forged = { tokens: [0, 1], id: 'x', created: 1 };
  const text = await (
    await post(gateway, { model: 'm', stream: true, cortex_resume: forged }, { 'x-cortex-checkpoints': 'resume' })
  ).text();
  t.regex(text, /one.*two.*DONE/s);
  t.notRegex(text, /cortex-checkpoint/);
  t.is(neurons['a']!.requests[0]!.headers['x-cortex-checkpoints'], 'send');
});

test('an answer says where its time went, and behind whom', async (t) => {
  const { gateway } = await runGateway(t, { a: { models } });
  const response = await post(gateway, { model: 'm' });
  t.regex(response.headers.get('server-timing') ?? '', /^connect;dur=[\d.]+, first-byte;dur=[\d.]+$/);
});

test('a stream whose only neuron cuts it and is well goes on there, once', async (t) => {
  const { gateway, neurons } = await runGateway(t, { a: { models } });
  const answers = [[...texts.slice(0, 2), { die: true as const }], texts];
  neurons['a']!.setAnswer(() => ({ steps: answers.shift() ?? [{ die: true }] }));
  t.regex(await (await post(gateway, { model: 'm', stream: true })).text(), /one.*two.*three.*five.*DONE/s);
  t.is(neurons['a']!.requests.length, 2);
  answers.push([...texts.slice(0, 2), { die: true as const }], [...texts.slice(0, 3), { die: true as const }], texts);
  const text = await (await post(gateway, { model: 'm', stream: true })).text();
  t.regex(text, /three.*"code":"stream_interrupted"/s);
  t.is(neurons['a']!.requests.length, 4);
});
