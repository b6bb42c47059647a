import { CheckpointFilter, checkpointHeader, withResume } from '@helexa/core';
import test from 'ava';
import fc from 'fast-check';
import type { RunningNeuron } from '../daemon.js';
import { post, startTinyNeuron } from '../testing/tiny-neuron.js';

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'Hello, world!' }], max_tokens: 24 };
const plain = { model: 'tiny', prompt: 'Hello', max_tokens: 24 };
const routes = [
  ['/v1/chat/completions', { ...chat, temperature: 0 }],
  ['/v1/chat/completions', { ...chat, temperature: 1, seed: 7 }],
  ['/v1/chat/completions', { ...chat, temperature: 0, frequency_penalty: 1.5, repetition_penalty: 1.3 }],
  ['/v1/chat/completions', { ...chat, temperature: 0, stop: ['zz', 'qq'], stream_options: { include_usage: true } }],
  ['/v1/completions', { ...plain, temperature: 0 }],
] as const;

let one: RunningNeuron;
let other: RunningNeuron;
test.before(async () => {
  [one, other] = await Promise.all([startTinyNeuron(), startTinyNeuron()]);
});
test.after.always(() => Promise.all([one?.close(), other?.close()]));

const ask = async (neuron: RunningNeuron, path: string, body: Buffer, wish?: string): Promise<Response> =>
  await fetch(neuron.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(wish ? { [checkpointHeader]: wish } : {}) },
    body: new Uint8Array(body),
  });

const bytesOf = async (response: Response): Promise<Buffer> => Buffer.from(await response.arrayBuffer());

/** Without what depends on the run: ids, clock readings, what the cache had, and how long it was silent. */
const comparable = (text: string): string =>
  text
    .replaceAll(': keep-alive\n\n', '')
    .replace(/"id":"[^"]*"/g, '"id":""')
    .replace(/"created":\d+/g, '"created":0')
    .replace(/,"prompt_tokens_details":\{[^}]*\}/g, '')
    .replace(/,"helexa_timing":\{[^}]*\}/g, '');

for (const [path, fields] of routes) {
  const name = `${path} ${JSON.stringify(fields).slice(-60)}`;
  test(`a stream that goes on elsewhere from any byte is the stream as it would have been: ${name}`, async (t) => {
    const body = Buffer.from(JSON.stringify({ ...fields, stream: true }));
    const undisturbed = comparable((await bytesOf(await ask(one, path, body))).toString());
    const first = await ask(one, path, body, 'send');
    t.is(first.headers.get(checkpointHeader), 'send');
    const bytes = await bytesOf(first);
    const cuts = [...Array(bytes.length).keys()].filter((cut) => cut % 211 === 0 || bytes[cut - 1] === 0x0a);
    let resumed = 0;
    for (const cut of cuts) {
      const filter = new CheckpointFilter();
      // Only whole events come to the filter.
      const whole = bytes.subarray(0, bytes.lastIndexOf('\n\n', cut - 2) + 2);
      const shown = filter.push(whole) ?? Buffer.alloc(0);
      const { resume } = filter;
      if (cut < 2 || !resume) continue;
      const rest = await ask(other, path, withResume(body, resume), 'resume');
      t.is(rest.headers.get(checkpointHeader), 'resume', `${cut}: ${rest.status}`);
      const next = new CheckpointFilter(resume);
      const tail = next.push(await bytesOf(rest)) ?? Buffer.alloc(0);
      t.is(comparable(Buffer.concat([shown, tail, next.rest()]).toString()), undisturbed, `cut at ${cut}`);
      resumed += 1;
    }
    t.true(resumed > 20, `${resumed} cuts`);
  });
}

test('a stream with several choices or with log-probabilities has no checkpoints', async (t) => {
  for (const more of [{ n: 2 }, { logprobs: true }]) {
    const body = Buffer.from(JSON.stringify({ ...chat, ...more, stream: true }));
    const response = await ask(one, '/v1/chat/completions', body, 'send');
    t.is(response.headers.get(checkpointHeader), null);
    t.notRegex(await response.text(), /cortex-checkpoint/);
  }
});

test('what cannot be gone on with is refused, and nothing is kept of it', async (t) => {
  const own = await startTinyNeuron();
  t.teardown(() => own.close());
  const resume = { tokens: [1], id: 'x', created: 1 };
  for (const cortex_resume of [
    undefined,
    { ...resume, tokens: [1e9] },
    { ...resume, tokens: Array(24).fill(1) },
    { tokens: [1] },
  ]) {
    const body = Buffer.from(JSON.stringify({ ...chat, stream: true, cortex_resume }));
    const response = await ask(own, '/v1/chat/completions', body, 'resume');
    t.is(response.status, 400);
  }
  // Without the header it is a key like any other that nobody knows.
  t.is((await post(own, '/v1/chat/completions', { ...chat, cortex_resume: 3 })).status, 200);
  const health = (await (await fetch(`${own.url}/health`)).json()) as { models: { in_flight: number }[] };
  t.is(health.models[0]!.in_flight, 0);
});

test('CheckpointFilter gives out what a checkpoint followed, however the bytes were cut into events', (t) => {
  const event = fc.constantFrom('data: {"id":"a","created":1,"x":": cortex-checkpoint 9"}\n\n', ': keep-alive\n\n');
  const group = fc.tuple(fc.array(event, { maxLength: 3 }), fc.array(fc.nat(99), { maxLength: 3 }));
  fc.assert(
    fc.property(
      fc.array(group, { maxLength: 5 }),
      fc.array(event, { maxLength: 2 }),
      fc.array(fc.nat(30)),
      (groups, rest, cuts) => {
        const frames = groups.flatMap(([events, tokens]) => [
          ...events,
          `${[': cortex-checkpoint', ...tokens].join(' ')}\n\n`,
        ]);
        const all = [...frames, ...rest];
        const marks = [...new Set([...cuts.map((cut) => cut % (all.length + 1)), all.length])].sort((a, b) => a - b);
        const filter = new CheckpointFilter({ tokens: [], id: 'a', created: 1 });
        const out = marks.map((mark, index) =>
          filter.push(Buffer.from(all.slice(marks[index - 1] ?? 0, mark).join(''))),
        );
        t.is(
          Buffer.concat(out.flatMap((part) => part ?? [])).toString(),
          groups.flatMap(([events]) => events).join(''),
        );
        t.deepEqual(
          filter.resume?.tokens,
          groups.flatMap(([, tokens]) => tokens),
        );
        t.is(filter.rest().toString(), rest.join(''));
      },
    ),
  );
});
