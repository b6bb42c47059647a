import { CortexError, type LoadJobView, loadJobView } from '@helexa/core';
import test, { type ExecutionContext } from 'ava';
import type { RunningNeuron } from './daemon.js';
import { type FaultPoint, type FaultyBackend, faultyBackend } from './testing/faulty-backend.js';
import { post, readEvents, startTinyNeuron, type TinyNeuronOptions } from './testing/tiny-neuron.js';

const lost = () => new CortexError('device_lost', { backend: 'fake', reason: 'error 719' });
const until = async (isTrue: () => boolean | Promise<boolean>) => {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
};
const getJson = async (neuron: RunningNeuron, path: string) => (await (await fetch(neuron.url + path)).json()) as never;
const statusOf = async (neuron: RunningNeuron): Promise<string> => {
  const models = (await getJson(neuron, '/models')) as { id: string; status: string }[];
  return models.find(({ id }) => id === 'tiny')!.status;
};
const ask = (neuron: RunningNeuron) =>
  post(neuron, '/v1/completions', { model: 'tiny', prompt: [1, 2, 3], max_tokens: 4, temperature: 0 });

/** A neuron without models on a fake device that fails as told. */
async function startFaulty(
  t: ExecutionContext,
  at: (point: FaultPoint) => void | Promise<void>,
  options: TinyNeuronOptions = {},
): Promise<{ neuron: RunningNeuron; backends: FaultyBackend[] }> {
  const backends = [faultyBackend(at)];
  const neuron = await startTinyNeuron({
    isLoaded: false,
    config: { device: 'auto' },
    backends,
    reopen: () => {
      backends.push(faultyBackend());
      return backends.at(-1)!;
    },
    ...options,
  });
  t.teardown(() => neuron.close());
  return { neuron, backends };
}

const firstOf = (wanted: FaultPoint) => (point: FaultPoint) => {
  if (point === wanted) throw lost();
};

// The second look at a device is the choice of it, the third the plan; two steps warm a model up.
for (const [point, code] of [
  ['discover 3', 'device_lost'],
  ['load 1', 'device_lost'],
  ['upload 1', 'device_lost'],
  ['upload 7', 'device_lost'],
  ['seal 1', 'device_lost'],
  ['step 1', 'device_failed'],
  ['step 2', 'device_failed'],
] as const) {
  test(`a device that is lost at '${point}' of a load is made anew, and the model is served after all`, async (t) => {
    const { neuron, backends } = await startFaulty(t, firstOf(point));
    const loaded = await post(neuron, '/models/load', { model_id: 'tiny' });
    t.is(((await loaded.json()) as { error: { code: string } }).error.code, code);
    await until(async () => (await statusOf(neuron)) === 'loaded');
    t.is(backends.length, 2);
    t.is(backends[0]!.live, 0);
    t.true(backends[0]!.isDisposed);
    t.is((await ask(neuron)).status, 200);
    t.is(backends[1]!.live, 1);
  });
}

test('a device that cannot be asked refuses the load with a type, and nothing is left of it', async (t) => {
  const { neuron, backends } = await startFaulty(t, firstOf('discover 2'));
  const loaded = await post(neuron, '/models/load', { model_id: 'tiny' });
  t.is(((await loaded.json()) as { error: { code: string } }).error.code, 'backend_unavailable');
  t.is(await statusOf(neuron), 'failed');
  t.is((await post(neuron, '/models/load', { model_id: 'tiny' })).status, 200);
  t.is(backends.length, 1);
});

test('a device that is lost under a request ends it with a type, shows its recovery, and serves again', async (t) => {
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const backends: FaultyBackend[] = [faultyBackend(firstOf('step 4'))];
  const { neuron } = await startFaulty(t, () => {}, {
    backends,
    reopen: () => {
      backends.push(faultyBackend((point) => (point === 'load 1' ? gate : undefined)));
      return backends.at(-1)!;
    },
  });
  t.is((await post(neuron, '/models/load', { model_id: 'tiny' })).status, 200);
  const answer = await post(neuron, '/v1/completions', { model: 'tiny', prompt: [1, 2], max_tokens: 9, stream: true });
  const events = await readEvents(answer);
  t.not(events.at(-1), '[DONE]');
  t.is((JSON.parse(events.at(-1)!) as { error: { code: string } }).error.code, 'device_failed');

  await until(async () => (await statusOf(neuron)) === 'recovering');
  const refused = await ask(neuron);
  t.is(refused.status, 503);
  t.is(refused.headers.get('retry-after'), '2');
  const health = (await getJson(neuron, '/health')) as { status: string; device_faults: { state: string }[] };
  t.is(health.status, 'recovering');
  t.like(health.device_faults[0], { backend: 'fake', state: 'recovering', restarts: 1 });
  const discovery = (await getJson(neuron, '/discovery')) as { device_faults: { reason: string }[] };
  t.regex(discovery.device_faults[0]!.reason, /error 719/);

  goOn();
  await until(async () => (await statusOf(neuron)) === 'loaded');
  t.is((await ask(neuron)).status, 200);
  t.like(await getJson(neuron, '/health'), { status: 'ok', device_faults: [{ state: 'recovered' }] });
  t.is(backends[0]!.live, 0);
});

test('a device that is lost again and again leaves its model failed with the reason', async (t) => {
  const everyFourth = () => {
    let steps = 0;
    return faultyBackend((point) => {
      if (point.startsWith('step') && ++steps > 2) throw lost();
    });
  };
  const { neuron } = await startFaulty(t, () => {}, { backends: [everyFourth()], reopen: everyFourth });
  t.is((await post(neuron, '/models/load', { model_id: 'tiny' })).status, 200);
  for (let round = 0; round < 4; round++) {
    const answer = await ask(neuron);
    t.is(answer.status, 500, await answer.text());
    await until(async () => (await statusOf(neuron)) !== 'recovering');
  }
  const refused = (await (await ask(neuron)).json()) as { error: { code: string; message: string } };
  t.is(refused.error.code, 'model_failed');
  t.regex(refused.error.message, /3 restarts within 600000 ms did not help/);
  t.like(await getJson(neuron, '/health'), { status: 'failed', device_faults: [{ state: 'failed', restarts: 3 }] });
  // An operator acts: the load finds the device lost, and counts anew.
  t.is((await post(neuron, '/models/load', { model_id: 'tiny' })).status, 500);
  await until(async () => (await statusOf(neuron)) === 'loaded');
});

test('an unload during which the device is lost ends with a type, and the model is gone', async (t) => {
  const { neuron, backends } = await startFaulty(t, firstOf('dispose 1'));
  await post(neuron, '/models/load', { model_id: 'tiny' });
  const unloaded = await post(neuron, '/models/unload', { model_id: 'tiny' });
  t.is(((await unloaded.json()) as { error: { code: string } }).error.code, 'device_lost');
  t.is(await statusOf(neuron), 'unloaded');
  t.is(backends.length, 1);
});

test('POST /models/load gives a job at once when asked to, which any number of callers watch and one cancels', async (t) => {
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { neuron, backends } = await startFaulty(t, (point) => (point === 'upload 3' ? gate : undefined));
  const begun = await post(neuron, '/models/load', { model_id: 'tiny', wait: false });
  t.is(begun.status, 202);
  const path = begun.headers.get('location')!;
  const streams = [1, 2].map(async () =>
    readEvents(await fetch(neuron.url + path, { headers: { accept: 'text/event-stream' } })),
  );
  await until(async () => ((await getJson(neuron, path)) as LoadJobView).phase === 'uploading');
  const again = await post(neuron, '/models/load', { model_id: 'tiny', wait: false });
  t.is(again.headers.get('location'), path);
  const cancelling = fetch(neuron.url + path, { method: 'DELETE' });
  await new Promise((resolve) => setImmediate(resolve));
  goOn();
  const cancelled = loadJobView.parse(await (await cancelling).json());
  t.like(cancelled, { state: 'cancelled', phase: 'uploading', error: { code: 'request_cancelled' } });
  for (const events of await Promise.all(streams)) {
    const views = events.slice(0, -1).map((event) => loadJobView.parse(JSON.parse(event)));
    t.is(views.at(-1)!.state, 'cancelled');
    t.is((JSON.parse(events.at(-1)!) as { error: { code: string } }).error.code, 'request_cancelled');
  }
  t.is(backends[0]!.live, 0);
  t.is(await statusOf(neuron), 'unloaded');
  t.is((await fetch(`${neuron.url}/jobs/load-none`)).status, 404);
});

test('POST /models/load streams every phase of the load to its end', async (t) => {
  const { neuron } = await startFaulty(t, () => {});
  const answer = await post(
    neuron,
    '/models/load',
    { model_id: 'tiny' },
    {
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    },
  );
  const events = await readEvents(answer);
  t.is(events.at(-1), '[DONE]');
  const last = loadJobView.parse(JSON.parse(events.at(-2)!));
  t.like(last, { state: 'loaded', phase: 'ready', backend: 'fake' });
  t.deepEqual(
    last.phases.map(({ phase }) => phase),
    ['resolving', 'uploading', 'warming', 'ready'],
  );
  t.true(last.phases[1]!.bytes > 0);
});

test('two hundred loads of one model at once are one load', async (t) => {
  const { neuron, backends } = await startFaulty(t, () => {});
  const loads = await Promise.all(
    Array.from({ length: 200 }, () => post(neuron, '/models/load', { model_id: 'tiny' })),
  );
  t.true(loads.every(({ status }) => status === 200));
  t.is(backends[0]!.calls.filter((call) => call.startsWith('load')).length, 1);
  t.is(((await getJson(neuron, '/jobs')) as { jobs: unknown[] }).jobs.length, 1);
  await Promise.all(loads.map((load) => load.text()));
});

test('POST /models/unload waits for requests as long as it is told, and then refuses or ends them', async (t) => {
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { neuron } = await startFaulty(t, (point) => (point === 'step 4' ? gate : undefined));
  await post(neuron, '/models/load', { model_id: 'tiny' });
  const running = ask(neuron);
  await until(
    async () => ((await getJson(neuron, '/health')) as { models: { in_flight: number }[] }).models[0]!.in_flight > 0,
  );
  t.is((await post(neuron, '/models/unload', { model_id: 'tiny' })).status, 409);
  t.is((await post(neuron, '/models/unload', { model_id: 'tiny', wait_secs: 0.01 })).status, 409);
  const unloading = post(neuron, '/models/unload', { model_id: 'tiny', wait_secs: 60 });
  await until(async () => (await statusOf(neuron)) === 'unloading');
  goOn();
  t.is((await unloading).status, 200);
  t.is((await running).status, 200);
  t.is(await statusOf(neuron), 'unloaded');
});

test('POST /models/load takes one device for each rank, and refuses any other number and devices that are not there', async (t) => {
  const { neuron } = await startFaulty(t, () => {});
  const load = async (devices: number[]) => {
    const answer = await post(neuron, '/models/load', { model_id: 'tiny', tensor_parallel: 2, devices });
    const { error } = (await answer.json()) as { error?: { kind: string } };
    return [answer.status, error?.kind];
  };
  t.deepEqual(await load([0]), [422, 'device_count_mismatch']);
  t.deepEqual(await load([0, 7]), [422, 'device_not_found']);
  t.deepEqual(await load([0, 0]), [200, undefined]);
  t.is((await post(neuron, '/models/load', { model_id: 'tiny', tensor_parallel: 2 })).status, 200);
});

test('POST /models/load takes a model that is here for one on the devices that it is on, however it was loaded', async (t) => {
  const { neuron } = await startFaulty(t, () => {});
  const load = (wanted: object) => post(neuron, '/models/load', { model_id: 'tiny', ...wanted });
  t.is((await load({})).status, 200);
  t.like(await (await load({ devices: [0] })).json(), { already: true });
  const other = await load({ devices: [1] });
  t.is(other.status, 409);
  t.regex(
    ((await other.json()) as { error: { message: string } }).error.message,
    /on 'auto' \[1\]: .* on 'auto' \[0\]/,
  );
});

test('GET /ready answers 503 until the models of the configuration were tried; one that fails impairs the neuron', async (t) => {
  let goOn = () => {};
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const { neuron } = await startFaulty(t, (point) => (point === 'load 1' ? gate : undefined), {
    config: { default_models: [{ model_id: 'tiny' }, { model_id: 'absent' }] },
  });
  const ready = () => fetch(`${neuron.url}/ready`);
  const early = await ready();
  t.is(early.status, 503);
  t.is(early.headers.get('retry-after'), '2');
  goOn();
  await until(async () => (await ready()).status === 200);
  t.like(await getJson(neuron, '/health'), { status: 'impaired', activation: { completed: ['tiny'] } });
});
