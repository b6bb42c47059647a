import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { cp, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DaemonProcess } from './daemon-process.js';
import { ask, followLoad, get, heldBy, load, post, stream, watchLoad } from './requests.js';
import { type Rig, until } from './rig.js';

/** Notes what did not hold; a case goes on after it. */
export type Expect = (holds: boolean, words: string) => void;

export interface FaultCase {
  readonly name: string;
  run(rig: Rig, expect: Expect): Promise<void>;
}

const model = 'org/model';
const prompt = 'The cortex of a neuron is '.repeat(60);

/** The answer that a neuron without faults gives. */
async function wellAnswer(rig: Rig): Promise<string> {
  const neuron = await rig.startNeuron();
  await load(neuron.url, model);
  const { text } = await ask(neuron.url, model);
  neuron.kill('SIGTERM');
  await neuron.ended;
  return text;
}

/** Starts a neuron again on the cache of the rig and holds it against the right answer. */
async function servesAgain(rig: Rig, expect: Expect, expected: string): Promise<void> {
  const neuron = await rig.startNeuron();
  const loaded = await load(neuron.url, model);
  expect(loaded.status === 200, `the load after a restart answers ${loaded.status} (${loaded.code})`);
  const { text } = await ask(neuron.url, model);
  expect(text === expected && text !== '', 'the answer after a restart is that of a neuron without faults');
  neuron.kill('SIGTERM');
  expect((await neuron.ended) === 0, 'it ends in order');
}

/** Runs something against a loaded neuron, after which it must hold what it held before. */
async function leavesNothing(neuron: DaemonProcess, expect: Expect, run: () => Promise<void>): Promise<void> {
  await ask(neuron.url, model);
  // The counts of a process at rest, once what it opens on demand is open.
  await until(async () => (await heldBy(neuron)) === 0);
  const before = neuron.counts();
  await run();
  await load(neuron.url, model);
  expect((await ask(neuron.url, model)).status === 200, 'it serves afterwards');
  expect(await until(async () => (await heldBy(neuron)) === 0), 'no request, slot or page is held afterwards');
  const isAsBefore = () => {
    const { threads, files } = neuron.counts();
    return threads <= before.threads && files <= before.files;
  };
  await until(isAsBefore, 10_000);
  const after = neuron.counts();
  expect(
    isAsBefore(),
    `threads and files: ${before.threads} and ${before.files} before, ${after.threads} and ${after.files} after`,
  );
}

/** The cached blobs of the model that are not whole. */
const partial = (rig: Rig): string[] => {
  const blobs = join(rig.folder, 'cache/models--org--model/blobs');
  return existsSync(blobs) ? readdirSync(blobs).filter((name) => name.endsWith('.incomplete')) : [];
};

const killed = (title: string, reach: (rig: Rig, neuron: DaemonProcess) => Promise<boolean>): FaultCase => ({
  name: `kill -9 during ${title}, then a restart`,
  async run(rig, expect) {
    const expected = await wellAnswer(rig);
    const neuron = await rig.startNeuron();
    expect(await reach(rig, neuron), `the neuron was killed during ${title}`);
    expect((await neuron.ended) === 'SIGKILL', 'it was killed');
    expect(partial(rig).length === 0, 'the cache has no half file');
    await servesAgain(rig, expect, expected);
  },
});

/** Kills at the first event of a stream that satisfies. */
const killInStream =
  (isEnough: (events: number) => boolean) =>
  async (_: Rig, neuron: DaemonProcess): Promise<boolean> => {
    await load(neuron.url, model);
    let isKilled = false;
    const end = await stream(neuron.url, { model, prompt, max_tokens: 500, ignore_eos: true }, (events) => {
      if (isKilled || !isEnough(events)) return;
      isKilled = true;
      neuron.kill('SIGKILL');
    });
    if (!isKilled) neuron.kill('SIGKILL');
    return isKilled && end === 'cut';
  };

/** A stream under which its neuron gets one SIGTERM, at its end at the latest; several events may come at once. */
async function terminated(neuron: DaemonProcess, maxTokens: number): Promise<string> {
  let isSent = false;
  const terminate = () => {
    if (!isSent) neuron.kill('SIGTERM');
    isSent = true;
  };
  const wish = { model, prompt, max_tokens: maxTokens, ignore_eos: true };
  const end = await stream(neuron.url, wish, (events) => {
    if (events >= 2) terminate();
  });
  terminate();
  return end;
}

export const faultCases: readonly FaultCase[] = [
  {
    name: 'kill -9 during a download, then a restart that goes on with it',
    async run(rig, expect) {
      const { registry } = rig;
      const half = Math.floor(registry.weightBytes / 2);
      registry.hold(half);
      const neuron = await rig.startNeuron();
      const reached = followLoad(neuron.url, model, ({ phase, bytes }) => phase === 'downloading' && bytes >= half);
      expect(await reached, 'half of the weights came');
      neuron.kill('SIGKILL');
      await neuron.ended;
      expect(partial(rig).length === 1, 'the half file is known as such');
      const cache = join(rig.folder, 'cache/models--org--model');
      expect(!existsSync(join(cache, 'refs/main')), 'no reference names a model that is not whole');
      registry.hold(null);
      const before = registry.sentBytes;
      const expected = await wellAnswer(rig);
      expect(expected !== '', 'the model answers');
      const again = registry.sentBytes - before;
      expect(again <= registry.weightBytes - half + 2 ** 20, `${again} bytes came again of ${registry.weightBytes}`);
      expect(partial(rig).length === 0, 'the cache has no half file');
      await servesAgain(rig, expect, expected);
    },
  },
  killed('a load', async (_, neuron) => {
    const wanted = new Set(['uploading', 'warming']);
    let isReached = false;
    // A small model may be ready between two looks: then it is loaded again.
    for (let round = 0; round < 50 && !isReached; round++) {
      if (round > 0) await post(neuron.url, '/models/unload', { model_id: model });
      isReached = await watchLoad(neuron.url, model, ({ phase }) => wanted.has(phase));
    }
    neuron.kill('SIGKILL');
    return isReached;
  }),
  killed(
    'prefill',
    killInStream(() => true),
  ),
  killed(
    'decode',
    killInStream((events) => events >= 8),
  ),
  {
    name: 'a neuron that stands still is seen by the gateway, and serves when it goes on',
    async run(rig, expect) {
      const neuron = await rig.startNeuron();
      await load(neuron.url, model);
      const gateway = await rig.startGateway(neuron.url);
      const serves = async () => (await ask(gateway.url, model)).status === 200;
      expect(await until(serves), 'the gateway serves the model');
      neuron.kill('SIGSTOP');
      const isDown = async () => (await get<{ status: string }>(gateway.url, '/health')).status === 'down';
      expect(await until(isDown), 'the gateway says that it is down');
      const refused = await ask(gateway.url, model);
      expect(refused.status === 503 && refused.code !== null, `a request gets ${refused.status} (${refused.code})`);
      neuron.kill('SIGCONT');
      expect(await until(serves), 'the gateway serves it again');
      expect(await until(async () => (await heldBy(neuron)) === 0), 'the neuron holds nothing');
    },
  },
  {
    name: 'a disk that fills up during a download ends it with a type, and room lets it go on',
    async run(rig, expect) {
      const cache = join(rig.folder, 'small');
      try {
        execFileSync('mkdir', ['-p', cache]);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m', 'tmpfs', cache], { stdio: 'ignore' });
      } catch {
        console.log('  (no small disk could be mounted here: left out)');
        return;
      }
      try {
        const { registry } = rig;
        const half = Math.floor(registry.weightBytes / 2);
        registry.hold(half);
        const neuron = await rig.startNeuron({ cache: 'small' });
        const loading = load(neuron.url, model);
        await until(() => registry.sentBytes >= half);
        execFileSync('sh', ['-c', `head -c 400000000 /dev/zero > ${cache}/filler 2>/dev/null || true`]);
        registry.hold(null);
        const refused = await loading;
        expect(refused.code === 'disk_full', `the load ends with ${refused.status} (${refused.code})`);
        await rm(join(cache, 'filler'));
        const sent = registry.sentBytes;
        expect((await load(neuron.url, model)).status === 200, 'the next load goes on');
        expect(registry.sentBytes - sent < registry.weightBytes, 'with what had come');
        neuron.kill('SIGKILL');
        await neuron.ended;
      } finally {
        execFileSync('umount', ['-l', cache]);
      }
    },
  },
  {
    name: 'a truncated file of weights is refused by name, in a folder and in the cache',
    async run(rig, expect) {
      const expected = await wellAnswer(rig);
      const folders = join(rig.folder, 'models');
      await cp(rig.modelFolder, join(folders, 'torn'), { recursive: true });
      await truncate(join(folders, 'torn/model.safetensors'), 5_000_000);
      const neuron = await rig.startNeuron({ modelsFolder: folders });
      const refused = await load(neuron.url, 'torn');
      expect(refused.code === 'checkpoint_invalid', `the torn folder gets ${refused.status} (${refused.code})`);
      const snapshots = join(rig.folder, 'cache/models--org--model/snapshots');
      await truncate(join(snapshots, readdirSync(snapshots)[0]!, 'model.safetensors'), 5_000_000);
      const mended = await load(neuron.url, model);
      expect(mended.status === 200, `the torn cache is fetched again: ${mended.status} (${mended.code})`);
      expect((await ask(neuron.url, model)).text === expected, 'and answers as it should');
    },
  },
  {
    name: 'an unload during a load ends both, and nothing stays behind',
    async run(rig, expect) {
      const neuron = await rig.startNeuron();
      await load(neuron.url, model);
      await leavesNothing(neuron, expect, async () => {
        for (let round = 0; round < 10; round++) {
          await post(neuron.url, '/models/unload', { model_id: model });
          const loading = load(neuron.url, model);
          const unloaded = await post(neuron.url, '/models/unload', { model_id: model });
          const loaded = await loading;
          const isTyped = loaded.status === 200 || loaded.code === 'request_cancelled';
          expect(isTyped, `the load ends with ${loaded.status} (${loaded.code})`);
          expect([200, 404].includes(unloaded.status), `the unload answers ${unloaded.status}`);
          await load(neuron.url, model);
        }
      });
    },
  },
  {
    name: 'two hundred loads of one id are one load',
    async run(rig, expect) {
      const neuron = await rig.startNeuron();
      await load(neuron.url, model);
      await leavesNothing(neuron, expect, async () => {
        await post(neuron.url, '/models/unload', { model_id: model });
        const spelled = (index: number) => (index % 2 ? model : `huggingface:${model}`);
        const loads = await Promise.all(Array.from({ length: 200 }, (_, index) => load(neuron.url, spelled(index))));
        expect(
          loads.every(({ status }) => status === 200),
          'all of them are answered',
        );
        const { jobs } = await get<{ jobs: unknown[] }>(neuron.url, '/jobs');
        expect(jobs.length === 2, `${jobs.length - 1} loads were made`);
      });
    },
  },
  {
    name: 'clients that leave and devices that are unloaded under them leave nothing behind',
    async run(rig, expect) {
      const neuron = await rig.startNeuron();
      await load(neuron.url, model);
      await leavesNothing(neuron, expect, async () => {
        const streams = Array.from({ length: 12 }, () =>
          stream(neuron.url, { model, prompt, max_tokens: 400, ignore_eos: true }, () => {}),
        );
        await until(async () => (await heldBy(neuron)) > 0);
        const refused = await post(neuron.url, '/models/unload', { model_id: model });
        expect(refused.status === 409, `an unload in use answers ${refused.status}`);
        const forced = await post(neuron.url, '/models/unload', { model_id: model, force: true });
        expect(forced.status === 200, `a forced one answers ${forced.status}`);
        const ends = new Set(await Promise.all(streams));
        ends.delete('done');
        ends.delete('shutting_down');
        expect(ends.size === 0, `streams end whole or with a type: ${[...ends].join(', ')}`);
      });
    },
  },
  {
    name: 'a second neuron fetches the demonstration model from the first',
    async run(rig, expect) {
      const expected = await wellAnswer(rig);
      const first = await rig.startNeuron({ serve: true });
      const sent = rig.registry.sentBytes;
      const second = await rig.startNeuron({ cache: 'second', endpoint: first.url });
      const loaded = await load(second.url, model);
      expect(loaded.status === 200, `it loads: ${loaded.status} (${loaded.code})`);
      expect((await ask(second.url, model)).text === expected, 'it answers as the first');
      expect(rig.registry.sentBytes === sent, 'the registry sent nothing');
    },
  },
  {
    name: 'SIGTERM ends a stream with a type and the process in order; a second one ends it at once',
    async run(rig, expect) {
      const slow = await rig.startNeuron({ drainMs: 50 });
      await load(slow.url, model);
      const begun = Date.now();
      const end = terminated(slow, 1000);
      const ending = await slow.ended;
      expect(ending === 0, `it ends with ${ending}`);
      expect(['done', 'shutting_down'].includes(await end), `the stream ends with '${await end}'`);
      expect(Date.now() - begun < 20_000, 'within its limit');

      const patient = await rig.startNeuron({ drainMs: 600_000 });
      await load(patient.url, model);
      const cut = terminated(patient, 1500);
      const isDraining = () => patient.stderr.includes('neuron is shutting down');
      expect(await until(isDraining), 'the first signal begins an orderly end');
      await new Promise((resolve) => setTimeout(resolve, 400));
      patient.kill('SIGTERM');
      const second = await patient.ended;
      expect(second === 143 || second === 0, `the second one ends it with ${second}`);
      await cut;
      await writeFile(join(rig.folder, 'ended'), '');
    },
  },
];
