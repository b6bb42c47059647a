import { truncateSync } from 'node:fs';
import { CortexError, type WeightFormat } from '@helexa/core';
import type { Backend, Compiled, DeviceModel, FileRows } from '@helexa/graph';
import { tensorBytes } from '@helexa/graph/conformance';
import test from 'ava';
import { addonUnderTest } from './addon.fixture.js';
import { cpuBackend } from './index.js';
import {
  RandomModel,
  type RandomModelConfig,
  randomCheckpoint,
  randomTokens,
  recurrentModel,
  smallModel,
  sparseModel,
} from './random-model.fixture.js';

/** Where the rows of every tensor lie, in parts of `most` rows; what is no plain range of a file is answered beside them. */
function partsOf({ programs, fills }: Compiled, most: number) {
  const parts: FileRows[] = [];
  const others: [rank: number, tensor: number][] = [];
  for (const [rank, program] of programs.entries())
    for (const [tensor, { format }] of program.tensors.entries()) {
      const fill = fills[rank]![tensor]!;
      const isPlain =
        fill.kind === 'read' &&
        fill.map === undefined &&
        fill.ranges.every((range) => range.entry.format === format && range.strideBytes === range.rowBytes);
      if (!isPlain) others.push([rank, tensor]);
      else
        for (const { rowStart, rows, offset, rowBytes, entry } of fill.ranges)
          for (let row = 0; row < rows; row += most)
            parts.push({
              rank,
              tensor,
              rowStart: rowStart + row,
              rows: Math.min(most, rows - row),
              file: entry.file,
              offset: offset + row * rowBytes,
            });
    }
  return { parts, others };
}

const fillFromFiles =
  (most: number, change: (parts: readonly FileRows[]) => readonly FileRows[] = (same) => same) =>
  async (device: DeviceModel, compiled: Compiled): Promise<void> => {
    const { parts, others } = partsOf(compiled, most);
    for (const [rank, tensor] of others) {
      const spec = compiled.programs[rank]!.tensors[tensor]!;
      await device.upload(rank, tensor, 0, await tensorBytes(spec, compiled.fills[rank]![tensor]!));
    }
    const changed = change(parts);
    const half = Math.ceil(changed.length / 2);
    await Promise.all([device.uploadFiles!(changed.slice(0, half)), device.uploadFiles!(changed.slice(half))]);
    await device.seal();
  };

const kinds: readonly [string, RandomModelConfig, number, number][] = [
  ...(['F16', 'BF16', 'Q8_0', 'Q4_K', 'Q6_K'] as const satisfies readonly WeightFormat[]).map(
    (format): [string, RandomModelConfig, number, number] => [format, { ...smallModel, format }, 1, 2],
  ),
  ['experts', sparseModel, 1, 2],
  ['recurrent states', recurrentModel, 1, 3],
];

for (const [what, config, ranks, threads] of kinds) {
  test(`uploadFiles gives every step the bits that upload gives: ${what}`, async (t) => {
    const { checkpoint, dispose } = randomCheckpoint(config);
    const backend = cpuBackend(addonUnderTest());
    try {
      const load = (fill?: (device: DeviceModel, compiled: Compiled) => Promise<unknown>) =>
        RandomModel.load({ config, checkpoint, backend, ranks, threads, ...(fill ? { fill } : {}) });
      const tokens = randomTokens(40, config.vocab);
      const whole = await load();
      const wanted = await whole.prefill(tokens, 13);
      // Parts that end inside a strip of 16 rows, and the first step out of the files.
      const parted = await load(fillFromFiles(23));
      t.deepEqual(await parted.prefill(tokens, 13), wanted);
      const oneRow = await load(fillFromFiles(64));
      const first = await oneRow.step([{ slot: 0, tokens: tokens.slice(0, 1), past: 0 }]);
      t.deepEqual(first[0], wanted[0]);
    } finally {
      await backend.dispose();
      dispose();
    }
  });
}

const refusal = async (change: (parts: readonly FileRows[]) => readonly FileRows[], use?: (file: string) => void) => {
  const { checkpoint, dispose } = randomCheckpoint(smallModel);
  const backend: Backend = cpuBackend(addonUnderTest());
  try {
    const options = { config: smallModel, checkpoint, backend, threads: 2 };
    const model = await RandomModel.load({ ...options, fill: fillFromFiles(64, change) });
    use?.(checkpoint.path);
    for (let past = 0; past < 2; past++) await model.step([{ slot: 0, tokens: [1], past }]);
    return null;
  } catch (error) {
    if (!CortexError.isInstance(error)) throw error;
    return { code: error.code, message: error.message };
  } finally {
    await backend.dispose();
    dispose();
  }
};

test('uploadFiles refuses what a file does not have, rows that came already and rows that are nowhere', async (t) => {
  t.is(await refusal((same) => same), null);
  const code = 'checkpoint_invalid';
  const beyond = await refusal((parts) => parts.with(0, { ...parts[0]!, offset: 2 ** 40 }));
  t.is(beyond?.code, code);
  t.regex(beyond!.message, /it ends at byte \d+; its header promised more/);
  t.is((await refusal((parts) => parts.with(0, { ...parts[0]!, file: '/nowhere/weights.bin' })))?.code, code);
  t.is((await refusal((parts) => [...parts, parts[0]!]))?.code, 'upload_invalid');
  t.is((await refusal((parts) => parts.with(0, { ...parts[0]!, rowStart: 2 ** 30 })))?.code, 'upload_invalid');
  t.is((await refusal((parts) => parts.with(0, { ...parts[0]!, rows: 2 ** 31 })))?.code, 'upload_invalid');
  t.is((await refusal((parts) => parts.slice(1)))?.code, 'upload_invalid');
});

test('step says which file was cut short since the load', async (t) => {
  const failed = await refusal(
    (same) => same,
    (file) => truncateSync(file, 100),
  );
  t.is(failed?.code, 'checkpoint_invalid');
  t.regex(failed!.message, /weights\.bin.*it ends at byte/);
});
