import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint } from '@helexa/core';
import { paperCheckpoint } from '../checkpoint-tensors.js';
import type { WeightsTable } from '../weights.js';

/**
 * A checkpoint of a table in float32 whose tensors hold numbers of a fixed sequence in [-scale, scale).
 */
export async function writeRandomCheckpoint(
  folder: string,
  table: WeightsTable,
  config: unknown,
  scale = 0.5,
): Promise<Checkpoint> {
  const paper = paperCheckpoint(table, { format: () => 'F32', config });
  const file = join(folder, 'weights');
  const size = Math.max(...[...paper.tensors.values()].map((entry) => entry.end));
  let state = 1;
  const values = Float32Array.from({ length: size / 4 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return 2 * scale * (state / 2 ** 32 - 0.5);
  });
  await writeFile(file, new Uint8Array(values.buffer));
  return { ...paper, tensors: new Map([...paper.tensors].map(([name, entry]) => [name, { ...entry, file }])) };
}
