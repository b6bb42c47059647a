import { type Clock, CortexError, type NeuronConfig, type QuantFormat } from '@helexa/core';
import type { ArchitectureRegistry, Backend } from '@helexa/graph';
import type { Logger } from 'pino';
import type { ReuseScope } from '../engine/block-manager.js';
import { type StepSummary, systemEffects } from '../engine/effects.js';
import { Engine } from '../engine/engine.js';
import { loadModelText, type ModelText, OutputStream } from '../text/index.js';
import { type LoadedModel, loadModel } from './loader.js';
import type { ModelSpec, OpenHooks } from './model-table.js';
import { requestedLimits } from './requested-limits.js';
import type { ChatPrompt, ModelDescription, ServedModel, SinkOptions } from './served-model.js';

export interface OpenModelOptions extends OpenHooks {
  readonly spec: ModelSpec;
  /** Matrices of floats become this as they are read; null: they stay as they are. */
  readonly quant: QuantFormat | null;
  readonly registry: ArchitectureRegistry;
  readonly backend: Backend;
  readonly config: NeuronConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onStep: (step: StepSummary) => void;
  readonly newCallId: () => string;
}

/** Sequences that may wait for each one that can run. */
const waitingPerSlot = 32;
/** Events of one request that its reader may be behind. */
const maxBufferedEvents = 256;
/** Beyond any honest step, also of the reference backend. */
const stepTimeoutMs = 600_000;

/** Loads a model with its text and starts its engine. */
export async function openModel(options: OpenModelOptions): Promise<ServedModel> {
  const { spec, quant, registry, backend, config, signal, onProgress, log, clock } = options;
  const loaded = await loadModel({
    path: spec.path,
    registry,
    backend,
    ranks: spec.tensorParallel,
    kvFormat: config.engine.kv_format,
    quant,
    limits: requestedLimits(config),
    threads: config.threads,
    onProgress,
    signal,
  });
  try {
    const text = loadModelText(loaded.checkpoint, { now: () => new Date(clock.unixMs()) });
    for (const warning of text.warnings) log.warn({ model: spec.id }, warning);
    const maxWaiting = waitingPerSlot * loaded.layout.limits.maxSequences;
    const engine = new Engine({
      modelId: spec.id,
      device: loaded.device,
      vision: loaded.images?.facts ?? null,
      reuse: reuseOf(loaded, config.engine.prefix_cache),
      maxWaiting,
      maxBufferedEvents,
      stepTimeoutMs,
      effects: systemEffects(clock, { onStep: options.onStep, onFailed: options.onFailed }),
    });
    return new OpenedModel(spec.id, engine, loaded, text, options.newCallId);
  } catch (error) {
    await loaded.dispose();
    throw error;
  }
}

/** A recurrent state cannot be cut at a page: without room for snapshots of it no prefix can be shared. */
function reuseOf({ facts, layout }: LoadedModel, isCached: boolean): ReuseScope {
  if (facts.state.some((layer) => layer.kind === 'recurrent') && !layout.limits.snapshots) return 'none';
  return isCached ? 'shared' : 'group';
}

class OpenedModel implements ServedModel {
  readonly id: string;
  readonly engine: Engine;
  readonly facts: ModelDescription;
  readonly #loaded: LoadedModel;
  readonly #text: ModelText;
  readonly #newCallId: () => string;

  constructor(id: string, engine: Engine, loaded: LoadedModel, text: ModelText, newCallId: () => string) {
    this.id = id;
    this.engine = engine;
    this.#loaded = loaded;
    this.#text = text;
    this.#newCallId = newCallId;
    const { ranks } = loaded.compiled.plan;
    const { limits } = loaded.layout;
    const { reasoning, tools } = text.format;
    this.facts = {
      architecture: loaded.architecture.name,
      capabilities: loaded.images ? ['text', 'vision'] : ['text'],
      toolCalls: text.template !== null && tools !== null,
      reasoning: reasoning && { open: reasoning.open, close: reasoning.close },
      vocab: loaded.facts.vocab,
      maxBias: limits.maxBias,
      maxTopLogprobs: limits.maxTopLogprobs,
      devices: loaded.devices,
      residentBytes: ranks.reduce((sum, rank) => sum + rank.totalBytes, 0),
      kvBytesPerToken: ranks.reduce((sum, rank) => sum + rank.kvBytesPerToken, 0),
      maxWaiting: waitingPerSlot * limits.maxSequences,
      notes: loaded.notes,
    };
  }

  get images() {
    return this.#loaded.images;
  }

  get tokenizer() {
    return this.#text.tokenizer;
  }

  get stopTokens() {
    return this.#text.stopTokens;
  }

  get samplingDefaults() {
    return this.#text.samplingDefaults;
  }

  encodeChat({ messages, tools, variables }: ChatPrompt): number[] {
    const { template, tokenizer } = this.#text;
    if (!template) {
      const reason = 'it has no chat template; plain completions are served';
      throw new CortexError('wrong_modality', { model: this.id, reason });
    }
    const ids = tokenizer.encode(template.render({ messages, tools, ...variables }), { special: false });
    const foreign = ids.find((id) => id >= this.facts.vocab);
    if (foreign === undefined) return ids;
    const reason = `token ${foreign} is outside of the model's vocabulary of ${this.facts.vocab}`;
    throw new CortexError('invalid_request_body', { param: 'messages', reason });
  }

  openSink({ stops, chat }: SinkOptions): OutputStream {
    const { tokenizer, format } = this.#text;
    return new OutputStream({ tokenizer, stops, chat: chat && { ...chat, format, newCallId: this.#newCallId } });
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.#loaded.dispose();
  }
}
