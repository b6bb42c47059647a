import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { CortexError } from '../errors/cortex-error.js';
import { type ByteSource, fileReason, withFile } from './byte-source.js';
import type { Checkpoint, TensorEntry } from './checkpoint.js';
import { type GgufHeader, parseGgufHeader } from './gguf.js';
import { withEntries } from './gguf-metadata.js';
import { quoted, refuse, utf8 } from './header-checks.js';
import { findJsonKeyProblem } from './json-keys.js';
import { readSafetensorsHeader } from './safetensors.js';

const indexName = 'model.safetensors.index.json';
const longestJsonBytes = 64_000_000;
const deepestJson = 64;
const mostShards = 10_000;

/** Headers that are read at a time: they are small, and a wide model has more shards than file handles. */
const headersAtATime = 8;

/** A folder of files that need not lie on this machine. */
export interface CheckpointFolder {
  /** Absolute path that the folder has, or will have, here. */
  readonly path: string;
  readonly names: readonly string[];
  /** Opens a file of the folder, lends its ranges to `use`, and closes it. */
  withFile<Result>(name: string, use: (source: ByteSource) => Promise<Result>): Promise<Result>;
}

/** `name-00002-of-00005.gguf`, in parts. */
const shardPattern = /^(?<stem>.+)-(?<number>\d{5})-of-(?<count>\d{5})(?<extension>\.gguf|\.safetensors)$/;

/** A GGUF file that is no model: a vision tower, or what a quantiser measured. */
export const isGgufCompanion = (name: string): boolean => /(?:^|[-._])(?:mmproj|imatrix)(?:[-._]|$)/i.test(name);

/** Formats of a tower, best first: weights are published in BF16, so F32 adds nothing and F16 rounds. */
const towerFormats = ['bf16', 'f32', 'f16', 'q8_0'];

/** The vision tower that belongs to the models of a folder; of several formats the most exact. */
const towerIn = (names: ReadonlySet<string>): string | undefined => {
  const rank = (name: string): number => {
    const found = towerFormats.findIndex((format) => new RegExp(`(?:^|[-._])${format}\\b`, 'i').test(name));
    return found < 0 ? towerFormats.length : found;
  };
  return [...names]
    .filter((name) => /\.gguf$/i.test(name) && /(?:^|[-._])mmproj(?:[-._]|$)/i.test(name))
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1))[0];
};

const readJson = async (folder: CheckpointFolder, name: string): Promise<unknown> => {
  const file = join(folder.path, name);
  const bytes = await folder.withFile(name, (source) => {
    if (source.size > longestJsonBytes)
      refuse(file, `it has ${source.size} bytes; at most ${longestJsonBytes} are accepted`);
    return source.read(0, source.size);
  });
  const text = utf8(bytes, file, 'it');
  const problem = findJsonKeyProblem(text, deepestJson);
  if (problem?.kind === 'deep') refuse(file, `it is nested ${problem.depth} deep; at most ${deepestJson} is wanted`);
  try {
    return JSON.parse(text);
  } catch (error) {
    return refuse(file, `it is not JSON: ${(error as Error).message}`, error);
  }
};

/** Names of all parts of a split file, given one of them. */
const shardNames = (name: string, present: ReadonlySet<string>, folder: string): string[] => {
  const parts = shardPattern.exec(name)?.groups;
  if (!parts) return [name];
  const count = Number(parts['count']);
  if (count < 1 || count > mostShards)
    return refuse(join(folder, name), `its name says ${count} parts; 1 to ${mostShards} are accepted`);
  const names: string[] = [];
  for (let number = 1; number <= count; number++) {
    const shard = `${parts['stem']}-${String(number).padStart(5, '0')}-of-${parts['count']}${parts['extension']}`;
    if (!present.has(shard)) refuse(join(folder, shard), `it is absent; all ${count} parts are wanted`);
    names.push(shard);
  }
  return names;
};

/** File of every tensor, from the index of a sharded checkpoint; a name that leaves the folder is refused. */
const readIndex = async (folder: CheckpointFolder): Promise<ReadonlyMap<string, string>> => {
  const file = join(folder.path, indexName);
  const index = await readJson(folder, indexName);
  const map = (index as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== 'object' || map === null || Array.isArray(map))
    return refuse(file, "it has no object 'weight_map'");
  const fileOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(map)) {
    if (
      typeof shard !== 'string' ||
      shard === '' ||
      shard !== basename(shard) ||
      /[\\\0]/.test(shard) ||
      shard.startsWith('..')
    ) {
      return refuse(
        file,
        `tensor ${quoted(tensor)} is in ${quoted(String(shard))}; the name of a file in the same folder is wanted`,
      );
    }
    fileOf.set(tensor, shard);
  }
  return fileOf;
};

const joinTensors = (headers: readonly { tensors: ReadonlyMap<string, TensorEntry> }[]): Map<string, TensorEntry> => {
  const joined = new Map<string, TensorEntry>();
  for (const { tensors } of headers) {
    for (const [name, entry] of tensors) {
      const other = joined.get(name);
      if (other) refuse(entry.file, `tensor ${quoted(name)} is also in '${other.file}'`);
      joined.set(name, entry);
    }
  }
  return joined;
};

const readHeaders = async <Header>(
  folder: CheckpointFolder,
  names: readonly string[],
  read: (source: ByteSource) => Promise<Header>,
): Promise<Header[]> => {
  const headers: Header[] = [];
  for (let first = 0; first < names.length; first += headersAtATime) {
    const group = names.slice(first, first + headersAtATime).map((name) => folder.withFile(name, read));
    // No file is in use any more when one of them has failed.
    const failed = (await Promise.allSettled(group)).find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
    headers.push(...(await Promise.all(group)));
  }
  return headers;
};

const checkAgainstIndex = (
  index: string,
  fileOf: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, TensorEntry>,
): void => {
  for (const [name, shard] of fileOf) {
    const entry = tensors.get(name);
    if (!entry || basename(entry.file) !== shard)
      refuse(index, `tensor ${quoted(name)} is not in '${shard}', where the index has it`);
  }
  for (const entry of tensors.values()) {
    if (!fileOf.has(entry.name)) refuse(entry.file, `tensor ${quoted(entry.name)} is not in the index`);
  }
};

const openSafetensors = async (folder: CheckpointFolder, names: ReadonlySet<string>): Promise<Checkpoint> => {
  const { path } = folder;
  const config = await readJson(folder, 'config.json');
  const shared = { kind: 'safetensors', path, config, metadata: new Map() } as const;
  if (!names.has('model.safetensors') && names.has(indexName)) {
    const fileOf = await readIndex(folder);
    const files = [...new Set(fileOf.values())].sort();
    const tensors = joinTensors(await readHeaders(folder, files, readSafetensorsHeader));
    checkAgainstIndex(join(path, indexName), fileOf, tensors);
    return { ...shared, tensors };
  }
  const candidates = [...names].filter((name) => name.endsWith('.safetensors')).sort();
  const first = names.has('model.safetensors') ? 'model.safetensors' : (candidates[0] as string);
  const chosen = shardNames(first, names, path);
  if (first !== 'model.safetensors' && candidates.length > chosen.length) {
    return refuse(
      path,
      `it has ${candidates.length} safetensors files (${candidates.slice(0, 3).join(', ')}) and no '${indexName}'`,
    );
  }
  return { ...shared, tensors: joinTensors(await readHeaders(folder, chosen, readSafetensorsHeader)) };
};

const checkSplit = (headers: readonly GgufHeader[], files: readonly string[], total: number): void => {
  headers.forEach(({ metadata }, index) => {
    const file = files[index] as string;
    const count = metadata.get('split.count') ?? 1;
    const number = metadata.get('split.no') ?? 0;
    if (count !== files.length) {
      refuse(file, `'split.count' is ${count}; the name of the file says ${files.length}`);
    }
    if (number !== index) refuse(file, `'split.no' is ${number}; the name of the file says ${index}`);
  });
  const wanted = headers[0]?.metadata.get('split.tensors.count');
  if (wanted !== undefined && wanted !== total)
    refuse(files[0] as string, `'split.tensors.count' is ${wanted}; ${total} tensors are there`);
};

const openGguf = async (folder: CheckpointFolder, name: string, names: ReadonlySet<string>): Promise<Checkpoint> => {
  const shards = shardNames(name, names, folder.path);
  const files = shards.map((shard) => join(folder.path, shard));
  const headers = await readHeaders(folder, shards, parseGgufHeader);
  const tensors = joinTensors(headers);
  if (files.length > 1 || headers[0]?.metadata.has('split.count')) checkSplit(headers, files, tensors.size);
  const model = { kind: 'gguf', path: files[0] as string, config: null } as const;
  const metadata = headers[0]?.metadata ?? new Map();
  const companion = towerIn(names);
  if (companion === undefined) return { ...model, tensors, metadata };
  const tower = await folder.withFile(companion, parseGgufHeader);
  return {
    ...model,
    companion: join(folder.path, companion),
    tensors: joinTensors([...headers, tower]),
    metadata: withEntries(
      metadata,
      [...tower.metadata].filter(([key]) => key.startsWith('clip.')),
    ),
  };
};

/** Opens the model of a folder that need not lie here: its safetensors, else its one GGUF model; or the GGUF file of this name. */
export const openCheckpointIn = async (folder: CheckpointFolder, gguf?: string): Promise<Checkpoint> => {
  const names = new Set(folder.names);
  if (gguf !== undefined) return openGguf(folder, gguf, names);
  if (names.has(indexName) || [...names].some((name) => name.endsWith('.safetensors')))
    return openSafetensors(folder, names);
  const models = [...names].filter((name) => name.endsWith('.gguf') && !isGgufCompanion(name)).sort();
  const first = models[0];
  if (first === undefined) {
    throw new CortexError('checkpoint_missing', {
      path: folder.path,
      reason: 'it has no .safetensors and no .gguf file',
    });
  }
  if (models.length > shardNames(first, names, folder.path).length) {
    return refuse(
      folder.path,
      `it has ${models.length} models (${models.slice(0, 3).join(', ')}); the path of one .gguf file is wanted`,
    );
  }
  return openGguf(folder, first, names);
};

/** A folder of this machine. */
export const diskFolder = async (path: string): Promise<CheckpointFolder> => ({
  path,
  names: await readdir(path).catch((error: unknown) => {
    throw new CortexError('checkpoint_missing', { path, reason: fileReason(error) }, { cause: error });
  }),
  withFile: (name, use) => withFile(join(path, name), use),
});

/**
 * Opens a model by its headers: a folder with safetensors, a folder with one GGUF model, or a .gguf file.
 *
 * @example
 * const checkpoint = await openCheckpoint('/models/Qwen3-8B');
 */
export const openCheckpoint = async (path: string): Promise<Checkpoint> => {
  const absolute = resolve(path);
  const stats = await stat(absolute).catch((error: unknown) => {
    throw new CortexError('checkpoint_missing', { path: absolute, reason: fileReason(error) }, { cause: error });
  });
  if (stats.isDirectory()) return openCheckpointIn(await diskFolder(absolute));
  if (!absolute.endsWith('.gguf')) return refuse(absolute, 'a .gguf file or a folder is wanted');
  return openCheckpointIn(await diskFolder(dirname(absolute)), basename(absolute));
};
