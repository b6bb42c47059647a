import { type Clock, CortexError, type NeuronConfig, type QuantFormat } from '@helexa/core';
import type { ArchitectureRegistry, Backend } from '@helexa/graph';
import type { Logger } from 'pino';
import type { ReuseScope } from '../engine/block-manager.js';
import { type EngineObserver, systemEffects } from '../engine/effects.js';
import { Engine } from '../engine/engine.js';
import type { TokenConstraint } from '../engine/generation.js';
import { AnswerConstraints } from '../grammar/answer-constraints.js';
import type { ConstrainedChat, WantedAnswer } from '../grammar/wanted-answer.js';
import { loadModelText, type ModelText, OutputStream } from '../text/index.js';
import { type LoadedModel, loadModel } from './loader.js';
import type { ModelSpec, OpenHooks } from './model-state.js';
import { requestedAdmission, requestedLimits } from './requested-limits.js';
import type { ChatPrompt, ModelDescription, ServedModel, SinkOptions } from './served-model.js';
import { warmUp } from './warm-up.js';
import { freeMs, within } from './within.js';

export interface OpenModelOptions extends OpenHooks {
  readonly spec: ModelSpec;
  /** Matrices of floats become this as they are read; null: they stay as they are. */
  readonly quant: QuantFormat | null;
  readonly registry: ArchitectureRegistry;
  readonly backend: Backend;
  readonly config: NeuronConfig;
  readonly clock: Clock;
  readonly log: Logger;
  readonly observer: EngineObserver;
  readonly newCallId: () => string;
}

/** Events of one request that its reader may be behind. */
const maxBufferedEvents = 256;
/** Beyond any honest step, also of the reference backend. */
const stepTimeoutMs = 600_000;

/** Loads a model with its text and starts its engine. */
export async function openModel(options: OpenModelOptions): Promise<ServedModel> {
  const { spec, quant, registry, backend, config, signal, onPhase, onProgress, log, clock } = options;
  onPhase(quant === null ? 'uploading' : 'quantising');
  const loaded = await loadModel({
    path: spec.path,
    registry,
    backend,
    ranks: spec.tensorParallel,
    devices: spec.devices,
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
    const engine = new Engine({
      modelId: spec.id,
      device: loaded.device,
      vision: loaded.images?.facts ?? null,
      rowWidth: loaded.pooling ? loaded.facts.hidden : null,
      reuse: reuseOf(loaded, config.engine.prefix_cache),
      ...requestedAdmission(config),
      maxBufferedEvents,
      stepTimeoutMs,
      effects: systemEffects(clock, { ...options.observer, onFailed: options.onFailed }),
    });
    const { target_prefill_latency_secs, bootstrap_prefill_tok_per_sec, enabled } = config.context_limit;
    log.info(
      {
        model: spec.id,
        limit: engine.limit,
        model_context: loaded.facts.maxContext,
        cache_context: loaded.layout.limits.maxContext,
        ...(enabled ? { target_prefill_latency_secs, bootstrap_prefill_tok_per_sec } : {}),
      },
      'context limit derived',
    );
    onPhase('warming');
    await warmUp(engine, signal);
    const { newCallId } = options;
    const nowMs = () => clock.now();
    return new OpenedModel({ id: spec.id, backend: backend.name, engine, loaded, text, newCallId, nowMs });
  } catch (error) {
    if ((await within(clock, freeMs, loaded.dispose())) === 'late')
      log.error({ model: spec.id }, 'model that was not opened does not let go of its device');
    throw error;
  }
}

/** A recurrent state cannot be cut at a page: without room for snapshots of it no prefix can be shared. */
function reuseOf({ facts, layout }: LoadedModel, isCached: boolean): ReuseScope {
  if (facts.state.some((layer) => layer.kind === 'recurrent') && !layout.limits.snapshots) return 'none';
  return isCached ? 'shared' : 'group';
}

interface OpenedParts {
  readonly id: string;
  readonly backend: string;
  readonly engine: Engine;
  readonly loaded: LoadedModel;
  readonly text: ModelText;
  readonly newCallId: () => string;
  readonly nowMs: () => number;
}

class OpenedModel implements ServedModel {
  readonly id: string;
  readonly engine: Engine;
  readonly facts: ModelDescription;
  readonly #loaded: LoadedModel;
  readonly #text: ModelText;
  readonly #newCallId: () => string;
  readonly #answers: AnswerConstraints;
  #closing: Promise<void> | null = null;

  constructor({ id, backend, engine, loaded, text, newCallId, nowMs }: OpenedParts) {
    this.id = id;
    this.engine = engine;
    this.#loaded = loaded;
    this.#text = text;
    this.#newCallId = newCallId;
    const { ranks } = loaded.compiled.plan;
    const { limits } = loaded.layout;
    const { reasoning, tools } = text.format;
    this.#answers = new AnswerConstraints({ modelId: id, vocab: loaded.facts.vocab, text, nowMs });
    this.facts = {
      architecture: loaded.architecture.name,
      backend,
      capabilities: loaded.pooling ? ['embedding'] : loaded.images ? ['text', 'vision'] : ['text'],
      toolCalls: !loaded.pooling && text.template !== null && tools !== null,
      reasoning: loaded.pooling ? null : reasoning && { open: reasoning.open, close: reasoning.close },
      vocab: loaded.facts.vocab,
      maxBias: limits.maxBias,
      maxTopLogprobs: limits.maxTopLogprobs,
      devices: loaded.devices,
      residentBytes: ranks.reduce((sum, rank) => sum + rank.totalBytes, 0),
      kvBytesPerToken: ranks.reduce((sum, rank) => sum + rank.kvBytesPerToken, 0),
      notes: loaded.notes,
    };
  }

  get images() {
    return this.#loaded.images;
  }

  get embedding() {
    const { pooling, facts } = this.#loaded;
    return pooling && { width: facts.hidden, dimensions: pooling.dimensions };
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

  constrain(wanted: WantedAnswer, chat: ConstrainedChat | null): Promise<() => TokenConstraint> {
    return this.#answers.constrain(wanted, chat);
  }

  openSink({ stops, chat }: SinkOptions): OutputStream {
    const { tokenizer, format } = this.#text;
    return new OutputStream({ tokenizer, stops, chat: chat && { ...chat, format, newCallId: this.#newCallId } });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.engine.close();
    await this.#loaded.dispose();
  }
}
