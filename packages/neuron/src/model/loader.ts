import { dirname } from 'node:path';
import {
  type Checkpoint,
  type CheckpointFolder,
  CortexError,
  diskFolder,
  openCheckpoint,
  type QuantFormat,
} from '@helexa/core';
import {
  type Architecture,
  type ArchitectureRegistry,
  type Backend,
  type Compiled,
  compile,
  type DeviceInfo,
  type DeviceModel,
  type KvFormat,
  type MemoryPlan,
  type ModelFacts,
  measuredPlan,
  pageTokens,
  planBytes,
  type StepLayout,
  type StepLimits,
} from '@helexa/graph';
import { chooseVision } from '../vision/choose-vision.js';
import type { ImageParameters } from '../vision/image-parameters.js';
import { openFileReader } from './file-reader.js';
import { freeBytesOf, readHostMemory } from './host-memory.js';
import { type DecidedLimits, draftLimits, fitDevices, type RankGroup, type RequestedLimits } from './limits.js';
import { type Pooling, readPooling } from './pooling.js';
import { type UploadProgress, uploadWeights } from './upload.js';

export interface LoadModelOptions {
  /** Folder or file of the checkpoint. */
  readonly path: string;
  readonly registry: ArchitectureRegistry;
  readonly backend: Backend;
  readonly ranks?: number;
  /** Index of the device of each rank; null and absent: in the backend's own order. */
  readonly devices?: readonly number[] | null | undefined;
  readonly kvFormat?: KvFormat;
  /** Matrices of floats become this as they are read; null and absent: they stay as they are. */
  readonly quant?: QuantFormat | null | undefined;
  readonly limits?: RequestedLimits;
  readonly threads?: number | undefined;
  readonly onProgress?: (progress: UploadProgress) => void;
  readonly signal?: AbortSignal;
}

/** A model on its device, ready to step. Owner: whoever loaded it. */
export interface LoadedModel {
  readonly device: DeviceModel;
  readonly compiled: Compiled;
  readonly facts: ModelFacts;
  readonly architecture: Architecture;
  readonly config: unknown;
  /** How images become patches; null: the model takes text only. */
  readonly images: ImageParameters | null;
  /** How a text becomes one vector; null: the model generates text. */
  readonly pooling: Pooling | null;
  readonly checkpoint: Checkpoint;
  readonly layout: StepLayout;
  /** Device index of each rank. */
  readonly devices: readonly number[];
  /** Checkpoint bytes that each rank read. */
  readonly bytesRead: readonly number[];
  /** Sentences on what is less than the model or the operator would have. */
  readonly notes: readonly string[];
  dispose(): Promise<void>;
}

/** A model compiled for its devices, with limits that fit; nothing of its weights has been read. */
export interface PlannedModel {
  readonly checkpoint: Checkpoint;
  readonly architecture: Architecture;
  readonly config: unknown;
  /** How images become patches; null: the model takes text only. */
  readonly images: ImageParameters | null;
  /** How a text becomes one vector; null: the model generates text. */
  readonly pooling: Pooling | null;
  readonly compiled: Compiled;
  readonly decided: DecidedLimits;
  readonly devices: readonly number[];
  /** Free memory of the devices in use; 0: unknown. */
  readonly availableBytes: number;
  /** The ranks of each device, with its free memory. */
  readonly groups: readonly RankGroup[];
}

/** Reads in flight and their size: 64 MB in all, enough to keep a disk busy. */
const loadBuffers = { concurrency: 8, bufferBytes: 8 * 2 ** 20 };

export interface PlanOptions
  extends Pick<
    LoadModelOptions,
    'path' | 'registry' | 'backend' | 'ranks' | 'devices' | 'kvFormat' | 'limits' | 'quant' | 'threads'
  > {
  /** Headers that were read already, perhaps of files that are not here yet. */
  readonly checkpoint?: Checkpoint;
  /** The folder that they are of, when it is not here yet. */
  readonly folder?: CheckpointFolder;
  /** Free memory of each rank's device, instead of what the backend finds. */
  readonly deviceMemory?: readonly number[];
}

/** Compiles a model and fits its limits into the devices' memory, from headers alone. */
export async function planModel(options: PlanOptions): Promise<PlannedModel> {
  const { registry, backend, ranks = 1, kvFormat = 'F16', limits: requested = {} } = options;
  const checkpoint = options.checkpoint ?? (await openCheckpoint(options.path));
  const { architecture, config } = registry.forCheckpoint(checkpoint);
  const pooling = await readPooling(checkpoint, options.folder ?? (await diskFolder(folderOf(checkpoint))));
  const vision = chooseVision({ architecture, config, checkpoint, backend }, requested.maxImagePixels);
  // The rows of a model that pools are read where others expose their logits.
  const exposed = pooling ? { ...requested, exposeLogits: true } : requested;
  const draft = draftLimits(architecture.facts(config), exposed, vision);
  const quant = options.quant ?? undefined;
  const { limits } = draft;
  const answers = pooling ? 'rows' : 'tokens';
  const compiled = compile({ architecture, config, checkpoint, ranks, backend, limits, kvFormat, quant, answers });
  const found = await backend.discover();
  const { deviceMemory } = options;
  const devices = deviceMemory
    ? Array.from({ length: ranks }, (_, rank) => rank)
    : chooseDevices(backend.name, found, ranks, options.devices ?? null);
  const groups = [...new Set(devices)].map(
    (device): RankGroup => ({
      ranks: devices.flatMap((each, rank) => (each === device ? [rank] : [])),
      freeBytes: deviceMemory ? (deviceMemory[device] ?? 0) : freeBytesOf(found, [device], readHostMemory()),
    }),
  );
  const availableBytes = groups.reduce((sum, group) => sum + group.freeBytes, 0);
  const { programs } = compiled;
  const { threads } = options;
  const planAt = (at: StepLimits): MemoryPlan => {
    // Ranks may be meant for devices that are elsewhere: they are measured as if they were here.
    const here = programs.map(() => found[0]?.index ?? 0);
    const spec = { programs, devices: here, limits: at, kvFormat, ...(threads === undefined ? {} : { threads }) };
    const measured = backend.measureMemory?.(spec);
    const plan = planBytes(programs, at, kvFormat);
    return measured ? measuredPlan(plan, measured) : plan;
  };
  // One context's pages: a pool that no memory holds may be more than a backend can count.
  const onePool = { ...limits, pages: Math.ceil(limits.maxContext / pageTokens) };
  const decided = fitDevices(draft, planAt(onePool), groups, requested);
  const plan = planAt(decided.limits);
  const { images } = vision;
  return {
    checkpoint,
    architecture,
    config,
    images,
    pooling,
    compiled: { ...compiled, plan },
    decided,
    devices,
    availableBytes,
    groups,
  };
}

const folderOf = ({ kind, path }: Checkpoint): string => (kind === 'gguf' ? dirname(path) : path);

/** The device of each rank: as named, else in turn. */
function chooseDevices(
  backend: string,
  found: readonly DeviceInfo[],
  ranks: number,
  named: readonly number[] | null,
): readonly number[] {
  if (!named) return Array.from({ length: ranks }, (_, rank) => found[rank % found.length]?.index ?? 0);
  if (named.length !== ranks) throw new CortexError('device_count_mismatch', { ranks, devices: named });
  const known = found.map(({ index }) => index);
  const unknown = named.find((index) => !known.includes(index));
  if (unknown !== undefined) throw new CortexError('device_not_found', { device: unknown, backend, known });
  return named;
}

/** Loads a model onto its devices, each rank from its own bytes only. On any failure nothing of it is left. */
export async function loadModel(options: LoadModelOptions): Promise<LoadedModel> {
  const { backend, kvFormat = 'F16', threads, onProgress, signal } = options;
  const { checkpoint, architecture, config, images, pooling, compiled, decided, devices } = await planModel(options);
  signal?.throwIfAborted();
  const device = await backend.load({
    programs: compiled.programs,
    devices,
    limits: decided.limits,
    kvFormat,
    ...(threads === undefined ? {} : { threads }),
  });
  const reader = openFileReader();
  try {
    const bytesRead = await uploadWeights({
      device,
      programs: compiled.programs,
      fills: compiled.fills,
      reader,
      convertWeights: backend.convertWeights?.bind(backend),
      ...loadBuffers,
      ...(onProgress ? { onProgress } : {}),
      ...(signal ? { signal } : {}),
    });
    await device.seal();
    return {
      device,
      compiled,
      facts: compiled.facts,
      architecture,
      config,
      images,
      pooling,
      checkpoint,
      layout: device.layout,
      devices,
      bytesRead,
      notes: decided.notes,
      dispose: () => device.dispose(),
    };
  } catch (error) {
    await device.dispose();
    throw error;
  } finally {
    await reader.close();
  }
}
