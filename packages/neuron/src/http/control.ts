import { type Clock, CortexError, epochHeader, type ModelEntry } from '@helexa/core';
import type { DeviceInfo } from '@helexa/graph';
import { z } from 'zod';
import type { LoadJob } from '../model/load-job.js';
import { checkModelId } from '../model/model-locator.js';
import type { ModelRow } from '../model/model-state.js';
import type { ModelTable } from '../model/model-table.js';
import { type Exchange, readBody, sendJson } from './exchange.js';
import { streamJob, wantsEvents } from './jobs.js';

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
  /** Ids of the models that lie in folders and caches of this host. */
  readonly onDisk: () => Promise<readonly string[]>;
  readonly version: string;
  readonly clock: Clock;
  readonly startedMs: number;
  readonly url: () => string;
  /** As last refreshed: a control route never waits for a device. */
  readonly devices: () => readonly NamedDevice[];
  readonly activation: () => Activation;
  /** Begins a load or joins it; null when the model is loaded. */
  readonly startLoad: (id: string, wanted: LoadWish) => Promise<LoadJob | null>;
}

/** What a load may ask for beyond the model; absent is decided by the configuration. */
export interface LoadWish {
  readonly tensorParallel?: number | undefined;
  readonly device?: string | undefined;
  readonly quant?: string | undefined;
  /** Index of the device of each rank. */
  readonly devices?: readonly number[] | undefined;
  /** What the caller takes the table's epoch for; with another one nothing is begun. */
  readonly epoch?: string | undefined;
}

/** Longest body of a control request. */
const controlBodyBytes = 65_536;
export const mebibytes = (bytes: number): number => Math.floor(bytes / 2 ** 20);

const loadBody = z.object({
  model_id: z.string().min(1),
  tensor_parallel: z.int().min(1).max(64).nullish(),
  device: z.string().nullish(),
  quant: z.string().nullish(),
  devices: z.array(z.int().min(0)).nullish(),
  /** Whether to answer when the model is ready, or at once with the job. */
  wait: z.boolean().nullish(),
  epoch: z.string().nullish(),
});
const unloadBody = z.object({
  model_id: z.string().min(1),
  force: z.boolean().nullish(),
  /** Time for requests under way to end. */
  wait_secs: z.number().min(0).max(3600).nullish(),
  epoch: z.string().nullish(),
});

/** `POST /models/load`: answers when the model is ready; with `wait: false` or as a stream of events it gives the job. */
export async function loadModelRoute(exchange: Exchange, context: ControlContext): Promise<void> {
  const body = await readBody(exchange, loadBody, controlBodyBytes);
  const job = await context.startLoad(body.model_id, {
    tensorParallel: body.tensor_parallel ?? undefined,
    device: body.device ?? undefined,
    quant: body.quant ?? undefined,
    devices: body.devices ?? undefined,
    epoch: body.epoch ?? undefined,
  });
  if (!job) return sendJson(exchange, 200, { status: 'loaded', already: true });
  if (wantsEvents(exchange)) return await streamJob(exchange, job, context.clock);
  if (body.wait === false) {
    sendJson(exchange, 202, { status: 'loading', job: job.view() }, { location: `/jobs/${job.id}` });
    return;
  }
  await job.outcome();
  sendJson(exchange, 200, { status: 'loaded', job: job.view() });
}

/** `POST /models/unload`: refused while requests run, unless they end within `wait_secs` or `force` ends them. */
export async function unloadModelRoute(exchange: Exchange, context: ControlContext): Promise<void> {
  const body = await readBody(exchange, unloadBody, controlBodyBytes);
  const { model_id: id, force, wait_secs: waitSecs } = body;
  checkModelId(id);
  const manner = { waitMs: (waitSecs ?? 0) * 1000, isForced: force === true, epoch: body.epoch ?? undefined };
  sendJson(exchange, 200, { status: 'unloaded', epoch: await context.table.unload(id, manner) });
}

/** `GET /models`: what is held here, then what lies on disk. */
export async function listModels(exchange: Exchange, context: ControlContext): Promise<void> {
  const onDisk = await context.onDisk();
  // Nothing is awaited from here on: the epoch is that of these rows.
  const { epoch, rows } = context.table;
  const held = rows.map(describeRow);
  const ids = new Set(held.map((row) => row.id));
  const others = onDisk.filter((id) => !ids.has(id));
  const unloaded = others.map((id) => ({ id, harness: 'cortex', status: 'unloaded' }));
  sendJson(exchange, 200, [...held, ...unloaded], { [epochHeader]: epoch });
}

const errorOf = ({ code, message }: CortexError) => ({ code, message });

function describeRow({ spec, state }: ModelRow) {
  const quant = spec.quant ? { quant: spec.quant } : {};
  const row = { id: spec.id, harness: 'cortex', tensor_parallel: spec.tensorParallel, ...quant };
  switch (state.kind) {
    case 'loading':
    case 'recovering': {
      const job = state.job.view();
      const progress = {
        phase: job.phase,
        bytes: job.bytes,
        total_bytes: job.total_bytes,
        bytes_per_second: job.bytes_per_second,
        eta_seconds: job.eta_seconds,
      };
      const error = state.kind === 'recovering' ? { error: errorOf(state.error) } : {};
      return { ...row, status: state.kind, job_id: job.id, progress, ...error };
    }
    case 'failed':
    case 'stuck':
      return { ...row, status: 'failed', error: errorOf(state.error) };
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
        limit: engine.limit,
        tool_call: facts.toolCalls,
        reasoning: facts.reasoning !== null,
        servable: { ok: true },
        ...(facts.notes.length > 0 ? { notes: facts.notes } : {}),
      };
    }
  }
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
  const { limit } = engine;
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
    max_input_tokens: limit.input,
    max_output_tokens: limit.output,
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
