import { join } from 'node:path';
import { type Checkpoint, type CheckpointFolder, CortexError } from '@helexa/core';
import { isRecord } from '../text/json.js';

/** How a model makes one vector of a text: it takes the row of the last token, brought to unit length. */
export interface Pooling {
  /** Lengths that vectors may be cut to; null: any. */
  readonly dimensions: readonly number[] | null;
}

/** Longer than any honest file of a few settings. */
const longestBytes = 1024 * 1024;
const modulesFile = 'modules.json';
/** What stands for the last token in GGUF files. */
const ggufLastToken = 3;

/**
 * Reads how a model pools, from the files that sentence encoders are published with or from GGUF metadata; null for a model
 * that generates text. Throws `model_config_invalid` for a way of pooling that is not served.
 */
export async function readPooling(checkpoint: Checkpoint, folder: CheckpointFolder): Promise<Pooling | null> {
  if (checkpoint.kind === 'gguf') return ggufPooling(checkpoint);
  if (!folder.names.includes(modulesFile)) return null;
  const modules = await readJson(folder, modulesFile);
  const file = join(folder.path, modulesFile);
  if (!Array.isArray(modules)) throw refusal(file, 'a list of modules is wanted');
  const kinds = (modules as unknown[]).map((module) => {
    const type = isRecord(module) ? module['type'] : undefined;
    return typeof type === 'string' ? type.split('.').at(-1)! : 'unknown';
  });
  const other = kinds.find((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (other !== undefined) throw refusal(file, `module '${other}' is not served`);
  const pooling = (modules as unknown[])[kinds.indexOf('Pooling')];
  const path = isRecord(pooling) ? pooling['path'] : undefined;
  if (typeof path !== 'string' || !/^\w[\w.-]*$/.test(path)) throw refusal(file, 'it has no module that pools');
  await checkPooling(folder, `${path}/config.json`);
  const dimensions = isRecord(checkpoint.config) ? checkpoint.config['matryoshka_dimensions'] : undefined;
  return {
    dimensions: Array.isArray(dimensions)
      ? dimensions.filter((each): each is number => Number.isSafeInteger(each))
      : null,
  };
}

async function checkPooling(folder: CheckpointFolder, name: string): Promise<void> {
  const config = await readJson(folder, name);
  const file = join(folder.path, name);
  if (!isRecord(config)) throw refusal(file, 'an object is wanted');
  const modes = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const only = modes.length === 1 ? modes[0] : undefined;
  if (only !== 'pooling_mode_lasttoken')
    throw refusal(
      file,
      `it pools by ${modes.map((mode) => `'${mode}'`).join(', ') || 'nothing'}; 'pooling_mode_lasttoken' is served`,
    );
}

function ggufPooling({ metadata, path }: Checkpoint): Pooling | null {
  const kind = metadata.get(`${String(metadata.get('general.architecture'))}.pooling_type`);
  if (kind === undefined || kind === 0) return null;
  if (kind !== ggufLastToken)
    throw refusal(path, `its pooling type is ${String(kind)}; ${ggufLastToken} (last token) is served`);
  return { dimensions: null };
}

async function readJson(folder: CheckpointFolder, name: string): Promise<unknown> {
  const file = join(folder.path, name);
  const bytes = await folder.withFile(name, (source) => {
    if (source.size > longestBytes)
      throw refusal(file, `it has ${source.size} bytes; at most ${longestBytes} are read`);
    return source.read(0, source.size);
  });
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown;
  } catch (cause) {
    throw new CortexError('model_config_invalid', { file, reason: 'it is not JSON' }, { cause });
  }
}

const refusal = (file: string, reason: string): CortexError =>
  new CortexError('model_config_invalid', { file, reason });
