import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cutLayers, findSize } from '../random-model/published-size.js';
import { writeModel } from '../random-model/write-model.js';
import { architectures } from '../shared/architectures.js';

/** A random model of a published size; `layers` cuts it to what a small machine holds. */
export interface BenchModel {
  readonly like: string;
  readonly quant: string;
  readonly layers?: number;
}

export const modelName = ({ like, quant, layers }: BenchModel): string =>
  `${like}${layers === undefined ? '' : `, ${layers} layers,`} ${quant}`;

/** Path of the model's file in `folder`; a missing one is written, whole or not at all. */
export function findOrWriteModel({ like, quant, layers }: BenchModel, folder: string): string {
  const whole = findSize(architectures, like);
  const size = layers === undefined ? whole : cutLayers(whole, layers);
  const path = join(folder, `${size.size.name}-${quant}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const partial = `${path}.${process.pid}.gguf`;
  writeModel(size, quant, 1, partial);
  renameSync(partial, path);
  return path;
}
