import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { PinnedProcess } from '../bench-gateway/pinned-process.js';
import { soak } from './soak.js';

const run = process.platform === 'linux' ? test : test.skip;

run('soak ends every request with the events that the neuron said, and leaves no descriptor behind', async (t) => {
  t.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), 'cortex-soak-test-'));
  const running: PinnedProcess[] = [];
  t.teardown(async () => {
    for (const each of running.reverse()) await each.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const start = (name: string, ...rest: string[]): PinnedProcess => {
    const file = fileURLToPath(new URL(`../bench-gateway/${name}.js`, import.meta.url));
    const command = [process.execPath, '--expose-gc', file, ...rest];
    running.push(PinnedProcess.start(undefined, command, join(folder, 'log')));
    return running.at(-1) as PinnedProcess;
  };
  const upstream = await start('upstream').told<{ url: string }>();
  const gateway = start('gateway-process', upstream.url);
  const { url } = await gateway.told<{ url: string }>();
  const options = { url, gateway, requests: 200, concurrency: 8, abortShare: 0.3, seed: 5, onProgress: () => {} };
  const { counts, descriptors } = await soak(options);
  t.deepEqual([counts.wrong, counts.failed, counts.hung], [0, 0, 0]);
  t.true(counts.left > 20 && counts.streamed > 20 && counts.translated > 10 && counts.whole > 20);
  t.is(descriptors.after, descriptors.before);
});
