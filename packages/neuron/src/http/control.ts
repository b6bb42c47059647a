import { arch, hostname, type as osType, platform, release } from 'node:os';
import { type Clock, CortexError, type ModelEntry, type ModelLimit } from '@helexa/core';
import type { DeviceInfo } from '@helexa/graph';
import { z } from 'zod';
import { checkModelId } from '../model/model-locator.js';
import { scanModels } from '../model/model-scan.js';
import type { ModelRow, ModelTable } from '../model/model-table.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import { defaultMaxTokens } from './sampling-request.js';

/** A device with the backend it belongs to. */
export interface NamedDevice extends DeviceInfo {
  readonly backend: string;
}

/** Where the models of the configuration stand. */
export interface Activation {
  readonly state: 'pre_warming' | 'ready';
  readonly pending: readonly string[];
  readonly completed: readonly string[];
  readonly failed: readonly { readonly model_id: string; readonly error: string }[];
}

export interface ControlContext {
  readonly table: ModelTable;
  readonly folders: readonly string[];
  /** Ids of the models that the caches of registries hold. */
  readonly cached: () => Promise<readonly string[]>;
  readonly version: string;
  readonly clock: Clock;
  readonly startedMs: number;
  readonly url: () => string;
  /** As last refreshed: a control route never waits for a device. */
  readonly devices: () => readonly NamedDevice[];
  readonly activation: () => Activation;
  readonly load: (
    id: string,
    options: { tensorParallel?: number | undefined; device?: string | undefined; quant?: string | undefined },
  ) => Promise<{ already: boolean }>;
}

/** Longest body of a control request. */
const controlBodyBytes = 65_536;
const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);

const loadBody = z.object({
  model_id: z.string().min(1),
  tensor_parallel: z.int().min(1).max(64).nullish(),
  device: z.string().nullish(),
  quant: z.string().nullish(),
  devices: z.array(z.int()).nullish(),
});
const unloadBody = z.object({ model_id: z.string().min(1), force: z.boolean().nullish() });

/** `POST /models/load`: answers when the model is ready. */
export async function loadModelRoute(exchange: Exchange, context: ControlContext): Promise<void> {
  const body = await readBody(exchange, loadBody, controlBodyBytes);
  if (body.devices != null) {
    const value = JSON.stringify(body.devices);
    throw new CortexError('unsupported_parameter', { parameter: 'devices', value, supported: 'null is' });
  }
  const { already } = await context.load(body.model_id, {
    tensorParallel: body.tensor_parallel ?? undefined,
    device: body.device ?? undefined,
    quant: body.quant ?? undefined,
  });
  sendJson(exchange, 200, { status: 'loaded', ...(already ? { already: true } : {}) });
}

/** `POST /models/unload`: refused while requests run, unless `force`. */
export async function unloadModelRoute(exchange: Exchange, context: ControlContext): Promise<void> {
  const { model_id: id, force } = await readBody(exchange, unloadBody, controlBodyBytes);
  checkModelId(id);
  const state = context.table.row(id)?.state;
  if (state?.kind === 'ready' && !force) {
    const { running, waiting } = state.model.engine.load;
    if (running + waiting > 0) throw new CortexError('model_in_use', { model: id, inFlight: running + waiting });
  }
  await context.table.unload(id);
  sendJson(exchange, 200, { status: 'unloaded' });
}

/** `GET /models`: what is held here, then what lies on disk. */
export async function listModels(exchange: Exchange, context: ControlContext): Promise<void> {
  const held = context.table.rows.map(describeRow);
  const ids = new Set(held.map((row) => row.id));
  const onDisk = [...(await scanModels(context.folders)).map(({ id }) => id), ...(await context.cached())];
  const others = [...new Set(onDisk)].filter((id) => !ids.has(id));
  sendJson(exchange, 200, [...held, ...others.map((id) => ({ id, harness: 'cortex', status: 'unloaded' }))]);
}

function describeRow({ spec, state }: ModelRow) {
  const quant = spec.quant ? { quant: spec.quant } : {};
  const row = { id: spec.id, harness: 'cortex', tensor_parallel: spec.tensorParallel, ...quant };
  switch (state.kind) {
    case 'loading': {
      const { bytes, totalBytes } = state.progress;
      return { ...row, status: 'loading', progress: { bytes, total_bytes: totalBytes } };
    }
    case 'failed':
      return { ...row, status: 'failed', error: { code: state.error.code, message: state.error.message } };
    case 'unloading':
      return { ...row, status: 'unloading' };
    case 'ready': {
      const { facts, engine } = state.model;
      return {
        ...row,
        status: 'loaded',
        architecture: facts.architecture,
        devices: facts.devices,
        vram_used_mb: mebibytes(facts.residentBytes),
        capabilities: facts.capabilities,
        limit: limitOf(engine.maxContext),
        tool_call: facts.toolCalls,
        reasoning: facts.reasoning !== null,
        servable: { ok: true },
        ...(facts.notes.length > 0 ? { notes: facts.notes } : {}),
      };
    }
  }
}

/** Room for the answer is part of the context, but never more than half of it. */
export function limitOf(context: number): Required<Pick<ModelLimit, 'context'>> & ModelLimit {
  const output = Math.min(defaultMaxTokens, Math.floor(context / 2));
  return { context, input: context - output, output };
}

/** `GET /v1/models`: the models that answer now. */
export function listOpenAiModels(exchange: Exchange, context: ControlContext): void {
  sendJson(exchange, 200, { object: 'list', data: context.table.ready.map((model) => openAiEntry(model.id, context)) });
}

/** `GET /v1/models/:id`. */
export function openAiModel(exchange: Exchange, context: ControlContext): void {
  const { id } = context.table.serve(exchange.params['id']!);
  sendJson(exchange, 200, openAiEntry(id, context));
}

function openAiEntry(id: string, { table, clock, startedMs }: ControlContext): ModelEntry {
  const { engine, facts } = table.serve(id);
  const limit = limitOf(engine.maxContext);
  return {
    id,
    object: 'model',
    created: Math.floor((clock.unixMs() - (clock.now() - startedMs)) / 1000),
    owned_by: 'helexa',
    loaded: true,
    capabilities: [...facts.capabilities],
    limit,
    tool_call: facts.toolCalls,
    reasoning: facts.reasoning !== null,
    max_model_len: limit.context,
    ...(limit.input === undefined ? {} : { max_input_tokens: limit.input }),
    ...(limit.output === undefined ? {} : { max_output_tokens: limit.output }),
  };
}

/** `GET /models/:id/endpoint`. */
export function modelEndpoint(exchange: Exchange, context: ControlContext): void {
  const id = exchange.params['id']!;
  if (context.table.row(id)?.state.kind !== 'ready') throw new CortexError('model_not_found', { model: id });
  sendJson(exchange, 200, { url: context.url() });
}

/** `GET /models/:id/capabilities`: of a loaded model only; unknown is 404 and never an empty list. */
export function modelCapabilities(exchange: Exchange, context: ControlContext): void {
  const id = exchange.params['id']!;
  const state = context.table.row(id)?.state;
  if (state?.kind !== 'ready') throw new CortexError('model_not_found', { model: id });
  sendJson(exchange, 200, { capabilities: state.model.facts.capabilities });
}

/** `GET /discovery`: facts of this host. */
export function discovery(exchange: Exchange, context: ControlContext): void {
  const contexts = context.table.ready.map((model) => limitOf(model.engine.maxContext).input ?? 0);
  sendJson(exchange, 200, {
    hostname: hostname(),
    os: `${osType()} ${arch()}`,
    kernel: release(),
    platform: platform(),
    devices: context.devices().map(({ index, name, memoryBytes, capability, backend }) => ({
      index,
      name,
      backend,
      vram_total_mb: mebibytes(memoryBytes),
      compute_capability: capability,
    })),
    harnesses: ['cortex'],
    max_prompt_tokens: Math.max(0, ...contexts),
  });
}

/** `GET /health`: the load of every model and the memory of every device. */
export function health(exchange: Exchange, context: ControlContext): void {
  sendJson(exchange, 200, {
    uptime_secs: Math.floor((context.clock.now() - context.startedMs) / 1000),
    devices: context.devices().map(({ index, backend, memoryBytes, freeBytes }) => ({
      index,
      backend,
      vram_used_mb: mebibytes(memoryBytes - freeBytes),
      vram_free_mb: mebibytes(freeBytes),
    })),
    activation: context.activation(),
    models: context.table.ready.map(({ id, engine, facts }) => {
      const { running, waiting, slots, pages } = engine.load;
      const pageBytes = facts.kvBytesPerToken * 64;
      const total = pages.free + pages.cached + pages.used;
      return {
        id,
        in_flight: running,
        queue_depth: waiting,
        max_in_flight: slots,
        max_queue_depth: facts.maxWaiting,
        kv_budget_mb: mebibytes(total * pageBytes),
        kv_available_mb: mebibytes((total - pages.used - pages.reserved) * pageBytes),
        kv_pages: { total, ...pages },
      };
    }),
  });
}

/** `GET /version`. */
export function version(exchange: Exchange, context: ControlContext): void {
  sendJson(exchange, 200, {
    package_version: context.version,
    git_sha: 'unknown',
    target: `${arch()}-${platform()}`,
    node_version: process.versions.node,
  });
}
