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
import { headersToNeuron } from '../proxy/forwarded-headers.js';
import type { InFlight } from '../proxy/in-flight.js';
import { checkMediaType, readModel } from '../proxy/read-model.js';
import { spliceModel } from '../proxy/splice-model.js';
import type { AffinityTable } from '../router/affinity.js';
import type { Broker } from '../router/broker.js';
import { freePath, promptEstimate, relayToFleet } from './relay-to-fleet.js';

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
  /** A stream that has begun and then sends nothing for this long has died. */
  readonly silenceMs: number;
  /** Called when an attempt at a node failed, so that it is looked at soon. */
  /** Looks at a node again at once; settles when it is known how it is. */
  readonly onFailure: (node: string) => Promise<unknown>;
}

/** A request as neurons get it, and the way of its answer to the client. */
export interface Inference {
  readonly model: string;
  readonly stream: boolean;
  /** Most tokens that the answer may have, where the request says. */
  readonly outputTokens: number | undefined;
  /** What a stream that nobody answers yet is kept alive with; a comment that says how long it may take when absent. */
  readonly silence: (() => string) | undefined;
  /** Path at the neuron. */
  readonly path: string;
  /** Made for this request alone. */
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

/** Sets aside what a request may use at most. */
const reserve = (
  { ledger, fleet }: InferenceOptions,
  principal: Principal,
  { model, body, path, outputTokens }: Pick<Inference, 'model' | 'body' | 'path' | 'outputTokens'>,
): Promise<Reservation> => {
  const limits = fleet().map((node) => modelOn(node, model)?.limit?.output ?? 0);
  const generates = path !== '/v1/embeddings';
  const output = outputTokens ?? (Math.max(...limits, 0) || ordinaryOutputTokens);
  const least = promptEstimate(body);
  // A client may write any number: a sum of many stays exact.
  return ledger.reserve(principal, { most: least + (generates ? Math.min(output, mostOutputTokens) : 0), least });
};

/** The headers of a request with those that say on whose behalf it is made; no client can set them. */
const stamped = (headers: Inference['headers'], { accountId, keyId }: Principal): Inference['headers'] => {
  headers['x-helexa-account-id'] = accountId;
  headers['x-helexa-key-id'] = keyId;
  return headers;
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
    const { stream, outputTokens, silence, path, openSink, startedAt } = inference;
    if (principal && path !== freePath) {
      reservation = await reserve(options, principal, { model, body, path, outputTokens });
    }
    const headers = principal ? stamped(inference.headers, principal) : inference.headers;
    await relayToFleet(
      options,
      exchange,
      { model, stream, outputTokens, silence, path, headers, body, openSink, startedAt },
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

/** Routes that neurons have under the same path, in the same dialect: bytes go through as they are. */
export const inferenceHandler =
  (options: InferenceOptions): Handler =>
  async (exchange: Exchange): Promise<void> => {
    const { request, response, path, id } = exchange;
    const startedAt = options.clock.now();
    checkMediaType(request.headers['content-type']);
    const body = await readBody(exchange, options.bodyLimitBytes);
    const headers = headersToNeuron(request.headers, id);
    const openSink = (): AnswerSink => response;
    const { model, stream, outputTokens } = readModel(body);
    const silence = undefined;
    await relayInference(options, exchange, {
      model,
      stream,
      outputTokens,
      silence,
      path,
      headers,
      body,
      openSink,
      startedAt,
    });
  };
