import { type Clock, CortexError } from '@helexa/core';
import type { Dispatcher } from 'undici';
import { type Catalogue, resolveAlias } from '../catalogue/catalogue.js';
import { type Fleet, modelOn } from '../fleet/fleet.js';
import { readBody } from '../http/read-body.js';
import type { Exchange, Handler } from '../http/router.js';
import { checkScope, type Principal } from '../keys/key-ring.js';
import type { Ledger, Reservation } from '../ledger/ledger.js';
import type { Metrics } from '../metrics/metrics.js';
import type { AnswerSink } from '../proxy/answer-sink.js';
import { type AttemptResult, attempt } from '../proxy/attempt.js';
import { headersToNeuron } from '../proxy/forwarded-headers.js';
import type { InFlight } from '../proxy/in-flight.js';
import { checkMediaType, readModel } from '../proxy/read-model.js';
import { spliceModel } from '../proxy/splice-model.js';
import { TokenObserver } from '../proxy/token-observer.js';
import { type AffinityTable, affinityKey } from '../router/affinity.js';
import type { Broker, Lease } from '../router/broker.js';

export interface InferenceOptions {
  readonly fleet: () => Fleet;
  readonly catalogue: () => Catalogue;
  readonly broker: Broker;
  readonly affinity: AffinityTable;
  readonly ledger: Ledger;
  readonly inFlight: InFlight;
  readonly dispatcher: Dispatcher;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly bodyLimitBytes: number;
  /** A stream that waits for its model says so this often. */
  readonly keepAliveMs: number;
  /** Called when an attempt at a node failed, so that it is looked at soon. */
  readonly onFailure: (node: string) => void;
}

/** A request as neurons get it, and the way of its answer to the client. */
export interface Inference {
  readonly model: string;
  readonly stream: boolean;
  /** What a stream that nobody answers yet is kept alive with; a comment that says how long it may take when absent. */
  readonly silence?: () => string;
  /** Path at the neuron. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
  /** Where the answer of one attempt goes. */
  readonly openSink: (node: string) => AnswerSink;
  /** Clock reading at which the request came. */
  readonly startedAt: number;
}

/** Tokens that an answer may have when neither the request nor the model says. */
const ordinaryOutputTokens = 4096;
/** More than any model's context. */
const mostOutputTokens = 2 ** 40;
/** Neurons answer this without a run of their device: it costs no tokens. */
const freePath = '/tokenize';

const promptEstimate = (body: Buffer): number => Math.max(1, Math.ceil(body.length / 4));

/** Sets aside what a request may use at most. */
const reserve = (
  { ledger, fleet }: InferenceOptions,
  principal: Principal,
  { model, body, path }: Pick<Inference, 'model' | 'body' | 'path'>,
): Promise<Reservation> => {
  // Inside a string of JSON a quote has a backslash before it: only a key can match.
  const asked = /"max_(?:completion_|output_)?tokens":\s*(\d+)/.exec(body.toString('latin1'))?.[1];
  const limits = fleet().map((node) => modelOn(node, model)?.limit?.output ?? 0);
  const generates = path !== '/v1/embeddings';
  const output = asked === undefined ? Math.max(...limits, 0) || ordinaryOutputTokens : Number(asked);
  const least = promptEstimate(body);
  // A client may write any number: a sum of many stays exact.
  return ledger.reserve(principal, { most: least + (generates ? Math.min(output, mostOutputTokens) : 0), least });
};

/** Waits for a place; a client that asked for a stream hears meanwhile that it is waited for. */
const acquire = async (
  { broker, clock, keepAliveMs, metrics }: InferenceOptions,
  { response, signal, facts, principal }: Exchange,
  { model, stream, silence }: Inference,
  { preferred, exclude }: { preferred: string | undefined; exclude: ReadonlySet<string> },
): Promise<Lease> => {
  const beganMs = clock.now();
  let cancel = (): void => {};
  const tell = (): void => {
    cancel = clock.after(keepAliveMs, () => {
      const progress = broker.progressOf(model);
      const seconds = (ms = 0): number => Math.round(ms / 1000);
      const about = `waiting for the model, ${seconds(progress?.waitedMs)} s; about ${seconds(progress?.expectedMs)} s more`;
      response.keepAlive(silence?.() ?? `: ${about}\n\n`);
      tell();
    });
  };
  if (stream) tell();
  try {
    const lease = await broker.acquire({ model, signal, exclude, preferred });
    const waitedMs = clock.now() - beganMs;
    metrics.queue.observe({ model, node: lease.node.name, key: principal?.keyId ?? '' }, waitedMs / 1000);
    if (lease.hasWaited) metrics.coldStarts.inc({ model, node: lease.node.name });
    if (exclude.size === 0) facts['queue_ms'] = Math.round(waitedMs);
    return lease;
  } finally {
    cancel();
  }
};

/** Notes what an answer was seen to hold; returns the tokens it is charged with. */
const countTokens = (
  { metrics }: InferenceOptions,
  labels: { readonly model: string; readonly node: string; readonly key: string },
  observer: TokenObserver,
  { startedAt, wasAsked, body }: { readonly startedAt: number; readonly wasAsked: boolean; readonly body: Buffer },
): number => {
  const { usage, deltas, firstMs, lastMs } = observer.seen;
  const completion = usage?.completion ?? deltas;
  if (usage) metrics.promptTokens.inc(labels, usage.prompt);
  if (usage) metrics.promptSize.observe(labels, usage.prompt);
  if (usage) metrics.cachedTokens.inc(labels, usage.cached);
  metrics.completionTokens.inc(labels, completion);
  metrics.completionSize.observe(labels, completion);
  if (firstMs !== undefined) metrics.firstToken.observe(labels, (firstMs - startedAt) / 1000);
  const decodeMs = (lastMs ?? 0) - (firstMs ?? 0);
  // The first token belongs to the prefill: what follows it is the pace.
  if (decodeMs >= 100 && deltas > 1) metrics.tokenRate.observe(labels, (completion - 1) / (decodeMs / 1000));
  if (usage) return usage.prompt + usage.completion;
  return wasAsked ? promptEstimate(body) + deltas : deltas;
};

/**
 * Routes a request by its model and relays the answer, once the model is ready. While no byte of an answer has reached the
 * client, a node that fails or has no room is replaced by another one that has the model; each is tried once.
 */
export const relayInference = async (
  options: InferenceOptions,
  exchange: Exchange,
  inference: Inference,
): Promise<void> => {
  const { metrics, ledger, catalogue } = options;
  const { facts, principal } = exchange;
  const model = resolveAlias(catalogue(), inference.model);
  // Known to the fleet or the catalogue: what a client merely writes must not become a label.
  const isKnown = catalogue().entries.has(model) || options.fleet().some((node) => modelOn(node, model));
  if (isKnown) facts['model'] = model;
  facts['stream'] = inference.stream;
  if (principal) facts['key'] = principal.keyId;
  let reservation: Reservation | undefined;
  let used = 0;
  try {
    checkScope(principal, inference.model, model);
    if (principal) await ledger.admit(principal);
    const body = model === inference.model ? inference.body : spliceModel(inference.body, model);
    if (principal && inference.path !== freePath)
      reservation = await reserve(options, principal, { model, body, path: inference.path });
    const stamp: Record<string, string> = principal
      ? { 'x-helexa-account-id': principal.accountId, 'x-helexa-key-id': principal.keyId }
      : {};
    await relayToFleet(
      options,
      exchange,
      { ...inference, model, body, headers: { ...inference.headers, ...stamp } },
      (tokens) => {
        used += tokens;
      },
    );
  } catch (error) {
    const code = CortexError.isInstance(error) ? error.code : 'internal_error';
    if (!exchange.signal.aborted)
      metrics.rejections.inc({ model: isKnown ? model : '', key: principal?.keyId ?? '', code });
    throw error;
  } finally {
    reservation?.settle(used);
    if (principal && used > 0) metrics.spend.inc({ account: principal.accountId, key: principal.keyId }, used);
  }
};

/** Sends a request to one node after the other until one answers. */
const relayToFleet = async (
  options: InferenceOptions,
  exchange: Exchange,
  inference: Inference,
  charge: (tokens: number) => void,
): Promise<void> => {
  const { broker, affinity, metrics } = options;
  const { signal, facts, request } = exchange;
  const { model } = inference;
  const key = affinityKey(request.headers, model, inference.body);
  const exclude = new Set<string>();
  let lastError: CortexError | undefined;
  let isRetried = false;
  for (;;) {
    if (lastError && (signal.aborted || !broker.hasOther(model, exclude))) throw lastError;
    let lease: Lease;
    try {
      lease = await acquire(options, exchange, inference, { preferred: affinity.get(key), exclude });
    } catch (error) {
      if (signal.aborted && !CortexError.isInstance(error)) {
        facts['abandoned'] = true;
        return;
      }
      throw error;
    }
    const { name } = lease.node;
    facts['node'] = name;
    let result: AttemptResult;
    try {
      result = await attemptAt(options, exchange, inference, lease, exclude, charge);
    } finally {
      lease.release();
    }
    if (result.kind === 'abandoned') {
      facts['abandoned'] = true;
      return;
    }
    if (result.kind === 'answered') {
      affinity.set(key, name);
      return;
    }
    lastError = result.error;
    // An idle connection may have been closed at its other end: where nobody else can answer, a new one is tried once.
    const isStale = result.isSilent === true && !isRetried && !broker.hasOther(model, new Set([...exclude, name]));
    if (isStale) isRetried = true;
    else exclude.add(name);
    const reason = result.isBusy ? 'busy' : isStale ? 'stale_connection' : 'failed';
    if (!signal.aborted && broker.hasOther(model, exclude)) metrics.retries.inc({ node: name, reason });
  }
};

/** One attempt at one node. */
const attemptAt = async (
  options: InferenceOptions,
  { signal, facts, principal }: Exchange,
  { model, path, headers, body, openSink, startedAt }: Inference,
  { node }: Lease,
  exclude: ReadonlySet<string>,
  charge: (tokens: number) => void,
): Promise<AttemptResult> => {
  const { broker, inFlight, dispatcher, metrics, clock } = options;
  const labels = { model, node: node.name, key: principal?.keyId ?? '' };
  const seconds = (): number => (clock.now() - startedAt) / 1000;
  let bytes = 0;
  metrics.requestBytes.inc({ node: node.name }, body.length);
  const onBytes = (count: number): void => {
    if (bytes === 0) metrics.firstByte.observe(labels, seconds());
    bytes += count;
    metrics.responseBytes.inc({ node: node.name }, count);
  };
  const gap = metrics.gap.labels(labels);
  const observer = new TokenObserver({ now: () => clock.now(), onGap: (ms) => gap.observe(ms / 1000) });
  const hasOther = (): boolean => broker.hasOther(model, new Set([...exclude, node.name]));
  const response = openSink(node.name);
  const result: AttemptResult = await inFlight.during(node.name, signal, (attemptSignal) =>
    attempt({ dispatcher, node, path, headers, body, response, signal: attemptSignal, onBytes, observer, hasOther }),
  );
  facts['bytes'] = bytes;
  if (path !== freePath) {
    // A client that left has had its prompt read; a neuron that refused or failed at once has done nothing.
    const wasAsked = result.kind === 'abandoned' || (result.kind === 'answered' && result.status < 400);
    charge(countTokens(options, labels, observer, { startedAt, wasAsked, body }));
  }
  if (result.kind !== 'abandoned' && result.error && result.error.code !== 'shutting_down') {
    metrics.upstreamFailures.inc({ node: node.name, code: result.error.code });
    if (result.kind === 'answered' || !result.isBusy) facts['error'] = result.error;
    options.onFailure(node.name);
  }
  if (result.kind === 'answered') metrics.duration.observe(labels, seconds());
  return result;
};

/** Routes that neurons have under the same path, in the same dialect: bytes go through as they are. */
export const inferenceHandler =
  (options: InferenceOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const { request, response, path, id } = exchange;
    const startedAt = options.clock.now();
    checkMediaType(request.headers['content-type']);
    const body = await readBody(request, response, options.bodyLimitBytes);
    const headers = headersToNeuron(request.headers, id);
    const openSink = (): AnswerSink => response;
    await relayInference(options, exchange, { ...readModel(body), path, headers, body, openSink, startedAt });
  };
