import { settle } from '@helexa/core/testing';
import { type Backend, referenceBackend } from '@helexa/graph';
import test, { type ExecutionContext } from 'ava';
import { post, readEvents, startTinyNeuron, type TinyNeuronOptions } from '../testing/tiny-neuron.js';

const chat = { model: 'tiny', messages: [{ role: 'user', content: 'Hello, world!' }], max_tokens: 3, temperature: 0 };
const path = '/v1/chat/completions';
const as = (account: string) => ({
  headers: { 'content-type': 'application/json', 'x-helexa-account-id': account, 'x-helexa-key-id': 'k' },
});

/** The reference backend, whose steps and answers about itself can be held back for ever. */
function heldBackend() {
  const base = referenceBackend();
  let held: Promise<void> | null = null;
  let letGo = () => {};
  let heldSteps = 0;
  const backend: Backend = {
    ...base,
    discover: async () => {
      await held;
      return await base.discover();
    },
    load: async (spec) => {
      const device = await base.load(spec);
      return {
        layout: device.layout,
        buffer: device.buffer,
        memory: device.memory,
        upload: (...tensor) => device.upload(...tensor),
        seal: () => device.seal(),
        dispose: () => device.dispose(),
        step: async () => {
          if (held) {
            heldSteps += 1;
            await held;
            heldSteps -= 1;
          }
          return await device.step();
        },
      };
    },
  };
  return {
    backend,
    hold: () => {
      held = new Promise((resolve) => {
        letGo = resolve;
      });
    },
    release: () => {
      held = null;
      letGo();
    },
    heldSteps: () => heldSteps,
  };
}

async function startHeld(t: ExecutionContext, config: TinyNeuronOptions['config'] = {}) {
  const device = heldBackend();
  const neuron = await startTinyNeuron({ backends: [device.backend], config });
  t.teardown(async () => {
    device.release();
    await neuron.close();
  });
  const pendingStep = async () => {
    while (device.heldSteps() === 0) await settle(1);
  };
  return { neuron, ...device, pendingStep };
}

test('a neuron says how it is and begins its stream while its device does not answer', async (t) => {
  const { neuron, hold, release, heldSteps, pendingStep } = await startHeld(t);
  hold();
  const response = await post(neuron, path, { ...chat, stream: true });
  const reader = response.body!.getReader();
  const first = new TextDecoder().decode((await reader.read()).value);
  t.true(first.startsWith('data: ') && first.includes('"role":"assistant"'), 'the role does not wait for the device');
  await pendingStep();
  for (const route of ['/health', '/models', '/discovery', '/version', '/v1/models', '/v1/models/tiny', '/metrics']) {
    const answer = await fetch(`${neuron.url}${route}`);
    t.is(answer.status, 200, route);
    await answer.text();
  }
  t.is(heldSteps(), 1, 'the device has not answered since');
  const health = (await (await fetch(`${neuron.url}/health`)).json()) as { models: object[] };
  t.like(health.models[0], { in_flight: 1, queue_depth: 0, rejected_queue_full: 0, anon_in_flight: 1 });
  release();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    rest += new TextDecoder().decode(value);
  }
  t.true(rest.endsWith('data: [DONE]\n\n'));
});

test('a neuron turns requests away at once while its device is busy, and says when to come back', async (t) => {
  const { neuron, hold, release, pendingStep } = await startHeld(t, {
    engine: { max_sequences: 2 },
    admission: { max_queue_depth: 2, max_wait_secs: 30, kv_max_wait_secs: 240, max_per_principal: 2 },
  });
  hold();
  const kept = [post(neuron, path, chat, as('a')), post(neuron, path, chat)];
  await pendingStep();
  const pending = async (count: number) => {
    for (;;) {
      const { in_flight, queue_depth } = await load(neuron.url);
      if (in_flight + queue_depth === count) return;
      await settle(1);
    }
  };
  await pending(2);
  const refusal = async (init: RequestInit) => {
    const response = await post(neuron, path, { ...chat, stream: true }, init);
    const { error } = (await response.json()) as { error: { code: string; type: string } };
    t.is(error.code, 'rate_limit_exceeded');
    t.is(error.type, 'rate_limit_error');
    t.regex(response.headers.get('retry-after')!, /^[1-9]\d*$/);
    return response.status;
  };
  kept.push(post(neuron, path, chat, as('a')));
  await pending(3);
  t.is(await refusal(as('a')), 429, 'its own bound');
  kept.push(post(neuron, path, chat, as('b')));
  await pending(4);
  t.is(await refusal(as('c')), 503, 'the queue is full');
  const { rejected_per_principal, rejected_queue_full } = await load(neuron.url);
  t.deepEqual([rejected_per_principal, rejected_queue_full], [1, 1]);
  release();
  for (const response of await Promise.all(kept)) {
    t.is(response.status, 200);
    t.regex(response.headers.get('server-timing')!, /^queue;dur=\d+, prefill;dur=\d+, decode;dur=\d+$/);
    await response.text();
  }
  const metrics = await (await fetch(`${neuron.url}/metrics`)).text();
  t.regex(metrics, /^cortex_neuron_rejections_total\{model="tiny",reason="queue_full"\} 1$/m);
  t.regex(metrics, /^cortex_neuron_rejections_total\{model="tiny",reason="per_principal"\} 1$/m);
});

test('a stream whose wait ends at its deadline says why and has no proper end; one that was not begun has its status', async (t) => {
  const { neuron, hold, release, pendingStep } = await startHeld(t, {
    engine: { max_sequences: 1 },
    admission: { max_wait_secs: 0.05, kv_max_wait_secs: 240, max_per_principal: 0 },
  });
  hold();
  const first = post(neuron, path, chat, as('a'));
  await pendingStep();
  const events = await readEvents(await post(neuron, path, { ...chat, stream: true }, as('b')));
  t.is(events.length, 2);
  t.true(events[0]!.includes('"role":"assistant"'));
  t.regex(events[1]!, /^\{"error":\{.*"code":"rate_limit_exceeded"/);
  const whole = await post(neuron, path, chat, as('b'));
  t.is(whole.status, 503);
  t.regex(whole.headers.get('retry-after')!, /^[1-9]\d*$/);
  const { error } = (await whole.json()) as { error: { message: string } };
  t.regex(error.message, /^Cannot serve request: model 'tiny' was busy for the \d+ ms that it waited/);
  t.like(await load(neuron.url), { in_flight: 1, queue_depth: 0, rejected_timeout: 2 });
  release();
  t.is((await first).status, 200);
});

test('metrics have buckets for waits, tokens and batches, and count what prefixes were found', async (t) => {
  const neuron = await startTinyNeuron();
  t.teardown(() => neuron.close());
  const long = { ...chat, messages: [{ role: 'user', content: 'the same beginning '.repeat(20) }] };
  for (const _ of [1, 2]) await readEvents(await post(neuron, path, { ...long, stream: true }));
  const text = await (await fetch(`${neuron.url}/metrics`)).text();
  for (const [name, bound] of [
    ['queue_wait_seconds', 0.001],
    ['time_to_first_token_seconds', 0.01],
    ['inter_token_seconds', 0.001],
    ['batch_sequences', 8],
  ] as const) {
    t.regex(text, new RegExp(`^cortex_neuron_${name}_bucket\\{le="${bound}",model="tiny"\\} \\d+$`, 'm'));
  }
  const value = (line: string) => Number(new RegExp(`^cortex_neuron_${line} (\\d+)$`, 'm').exec(text)?.[1]);
  // Two requests and the warm-up at load; the second request finds what the first computed.
  t.is(value('prefix_lookups_total\\{model="tiny",result="hit"\\}'), 1);
  t.is(value('prefix_lookups_total\\{model="tiny",result="miss"\\}'), 2);
  t.true(value('prompt_tokens_total\\{model="tiny",source="cached"\\}') >= 64);
  // Each request has three tokens and so two gaps, the warm-up one.
  t.is(value('inter_token_seconds_count\\{model="tiny"\\}'), 5);
  t.is(value('kv_pages_used\\{model="tiny"\\}'), 0);
});

interface Load {
  readonly in_flight: number;
  readonly queue_depth: number;
  readonly rejected_per_principal: number;
  readonly rejected_queue_full: number;
  readonly rejected_timeout: number;
}

async function load(url: string): Promise<Load> {
  const { models } = (await (await fetch(`${url}/health`)).json()) as { models: Load[] };
  return models[0]!;
}
