import { CortexError, openCheckpointIn, toOpenAiError, type WeightFormat } from '@helexa/core';
import type { ArchitectureRegistry, Backend, KvFormat } from '@helexa/graph';
import { fitsContext, type RequestedLimits } from '../model/limits.js';
import { type PlannedModel, type PlanOptions, planModel } from '../model/loader.js';
import type { DownloadPlan, ModelSources } from '../sources/model-sources.js';
import { type ChosenModel, chooseModel, chooseOnDisk, type ModelReference, quantToMake } from './choose-model.js';
import type { RepositoryFormat } from './classify.js';
import { type DeviceRates, predictSpeed, type SpeedForecast } from './predict-speed.js';
import { findRemedies } from './remedies.js';
import { weightFiles } from './weight-files.js';

export interface PreflightOptions {
  /** Folder or file of a model on this machine. */
  readonly path?: string;
  /** A repository instead, with where repositories come from. */
  readonly source?: { readonly id: string; readonly sources: ModelSources };
  readonly registry: ArchitectureRegistry;
  readonly backend: Backend;
  readonly ranks: number;
  readonly kvFormat?: KvFormat;
  readonly limits: RequestedLimits;
  /** Worker threads that the model would have, where a backend has such. */
  readonly threads?: number | undefined;
  /** Names a GGUF file of the repository, or what safetensors become as they are read. */
  readonly quant?: string | null;
  /** Free memory of each rank's device, for devices that are not here. */
  readonly deviceMemory?: readonly number[];
  /** What the devices can do, for a forecast of speed. */
  readonly rates?: DeviceRates;
  readonly signal?: AbortSignal;
}

/** What one rank would take on its device. */
export interface PreflightRank {
  readonly device: number;
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
  readonly activationBytes: number;
  readonly stepBytes: number;
  readonly totalBytes: number;
}

/** A reason against a load, as it would stand in the error of the load. */
export interface PreflightRefusal {
  readonly code: string;
  readonly message: string;
  readonly suggestion?: string;
  /** `kind` of the error's body, and the other keys beside it. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** Whether a model can be loaded here and what it would need, from one listing and headers alone. */
export interface PreflightReport {
  readonly ok: boolean;
  /** Id of a repository; the path of a model on disk. */
  readonly model: string;
  readonly path: string;
  readonly backend: string;
  readonly format: RepositoryFormat | null;
  /** The GGUF file in use; null for safetensors. */
  readonly gguf: string | null;
  readonly architecture: string | null;
  readonly parameters: number;
  /** Parameters by the format they are stored in. */
  readonly formats: Readonly<Partial<Record<WeightFormat, number>>>;
  readonly ranks: readonly PreflightRank[];
  readonly kvBytesPerToken: number;
  /** Longest context of the model, and the longest that fits here. */
  readonly modelContext: number;
  readonly context: number;
  readonly sequences: number;
  readonly availableBytes: number;
  /** Bytes with one sequence of each length, and whether they fit. */
  readonly contexts: readonly { readonly tokens: number; readonly totalBytes: number; readonly fits: boolean }[];
  /** Null for a model of this machine's disk. */
  readonly download: DownloadPlan | null;
  /** Null when nothing is known of the devices. */
  readonly speed: SpeedForecast | null;
  readonly notes: readonly string[];
  /** Why it would be refused at load, in the same words. */
  readonly refusals: readonly PreflightRefusal[];
}

/** Context lengths that a person asks about. */
const askedContexts = [2048, 8192, 32_768, 131_072, 262_144];

/** Checks a model and adds up what it needs; a refusal is part of the report, not an error. */
export async function preflight(options: PreflightOptions): Promise<PreflightReport> {
  const { path, source, quant = null, signal } = options;
  const reference: ModelReference = source
    ? { kind: 'registry', id: source.id }
    : { kind: 'disk', id: path ?? '.', path: path ?? '.' };
  let report = emptyReport(reference.id, path ?? reference.id, options.backend.name);
  try {
    const chosen = source
      ? await chooseModel(reference, quant, source.sources, signal)
      : await chooseOnDisk(reference.id, path ?? '.', quant);
    const { id, gguf = null, classification, notes, repository } = chosen;
    report = { ...report, model: id, path: chosen.path, format: classification.format, gguf, notes };
    const checkpoint = await openCheckpointIn(chosen.folder, chosen.gguf);
    if (source && repository) {
      const download = await source.sources.planDownload(repository, weightFiles(checkpoint), signal);
      report = { ...report, download };
    }
    const inPlace = quantToMake(chosen, quant);
    const plan: PlanOptions = { ...planOptions(options), path: chosen.path, checkpoint, quant: inPlace };
    const planned = await planOrRemedies(plan, chosen);
    const quantised = inPlace === null ? [] : [`The weights are quantised to ${inPlace} as they are read`];
    const own = notesOn(planned, options);
    return { ...report, ...describePlan(planned, options), notes: [...notes, ...quantised, ...own] };
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code === 'internal_error') throw error;
    return { ...report, refusals: [describeRefusal(error)] };
  }
}

const planOptions = ({ registry, backend, ranks, kvFormat, limits, threads, deviceMemory }: PreflightOptions) => ({
  registry,
  backend,
  ranks,
  limits,
  threads,
  ...(kvFormat === undefined ? {} : { kvFormat }),
  ...(deviceMemory === undefined ? {} : { deviceMemory }),
});

/** Plans the model; when it does not fit, the refusal also says what would. */
export async function planOrRemedies(options: PlanOptions, chosen: ChosenModel): Promise<PlannedModel> {
  const plan = { ...options, folder: chosen.folder };
  try {
    return await planModel(plan);
  } catch (error) {
    if (!CortexError.isInstance(error) || error.code !== 'model_does_not_fit') throw error;
    const { classification, repository } = chosen;
    const remedies = await findRemedies({ plan, classification, files: repository?.files ?? [] });
    const details = error.details as { what: string; wantBytes: number; haveBytes: number };
    throw new CortexError('model_does_not_fit', { ...details, remedies }, { cause: error });
  }
}

function describePlan(planned: PlannedModel, { rates }: PreflightOptions): Partial<PreflightReport> {
  const { architecture, checkpoint, compiled, decided, devices, availableBytes, groups } = planned;
  const formats: Partial<Record<WeightFormat, number>> = {};
  for (const { format, shape } of checkpoint.tensors.values()) {
    const known = format as WeightFormat;
    formats[known] = (formats[known] ?? 0) + shape.reduce((product, length) => product * length, 1);
  }
  const { plan, facts, programs } = compiled;
  const kvBytesPerToken = plan.ranks.reduce((sum, rank) => sum + rank.kvBytesPerToken, 0);
  const fixedBytes = plan.ranks.reduce((sum, rank) => sum + rank.totalBytes - rank.kvBytes, 0);
  const lengths = [...askedContexts.filter((tokens) => tokens < facts.maxContext), facts.maxContext];
  return {
    ok: true,
    architecture: architecture.name,
    parameters: Object.values(formats).reduce((sum, count) => sum + count, 0),
    formats,
    ranks: plan.ranks.map((rank, index) => ({
      device: devices[index]!,
      weightBytes: rank.weightBytes,
      kvBytes: rank.kvBytes,
      stateBytes: rank.stateBytes,
      activationBytes: rank.activationBytes,
      stepBytes: rank.stepBytes,
      totalBytes: rank.totalBytes,
    })),
    kvBytesPerToken,
    modelContext: facts.maxContext,
    context: decided.limits.maxContext,
    sequences: decided.limits.maxSequences,
    availableBytes,
    contexts: lengths.map((tokens) => ({
      tokens,
      totalBytes: fixedBytes + tokens * kvBytesPerToken,
      fits: fitsContext(plan, groups, tokens),
    })),
    speed: rates ? predictSpeed(programs, plan, [0, ...lengths], decided.limits.maxRows, rates) : null,
  };
}

function notesOn({ checkpoint, decided }: PlannedModel, { ranks }: PreflightOptions): string[] {
  const isSharded = checkpoint.kind === 'gguf' && ranks > 1;
  const sharded = isSharded ? [`The GGUF file is divided over ${ranks} ranks by the architecture's own table`] : [];
  return [...sharded, ...decided.notes];
}

function describeRefusal(error: CortexError): PreflightRefusal {
  const { message, suggestion } = error;
  const {
    type: _,
    code: __,
    param: ___,
    src: ____,
    message: _____,
    suggestion: ______,
    ...details
  } = toOpenAiError(error, 'neuron').body.error;
  return { code: error.code, message, ...(suggestion ? { suggestion } : {}), details };
}

const emptyReport = (model: string, path: string, backend: string): PreflightReport => ({
  ok: false,
  model,
  path,
  backend,
  format: null,
  gguf: null,
  architecture: null,
  parameters: 0,
  formats: {},
  ranks: [],
  kvBytesPerToken: 0,
  modelContext: 0,
  context: 0,
  sequences: 0,
  availableBytes: 0,
  contexts: [],
  download: null,
  speed: null,
  notes: [],
  refusals: [],
});
