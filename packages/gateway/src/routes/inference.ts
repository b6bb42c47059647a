import type { Clock, CortexError } from '@helexa/core';
import type { Dispatcher } from 'undici';
import { chooseNodes } from '../fleet/choose-nodes.js';
import { type Fleet, modelOn } from '../fleet/fleet.js';
import { readBody } from '../http/read-body.js';
import type { Exchange, Handler } from '../http/router.js';
import type { Metrics } from '../metrics/metrics.js';
import type { AnswerSink } from '../proxy/answer-sink.js';
import { type AttemptResult, attempt } from '../proxy/attempt.js';
import { headersToNeuron } from '../proxy/forwarded-headers.js';
import type { InFlight } from '../proxy/in-flight.js';
import { checkMediaType, readModel } from '../proxy/read-model.js';

export interface InferenceOptions {
  readonly fleet: () => Fleet;
  readonly inFlight: InFlight;
  readonly dispatcher: Dispatcher;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly bodyLimitBytes: number;
  /** Called when an attempt at a node failed, so that it is looked at soon. */
  readonly onFailure: (node: string) => void;
}

/** A request as neurons get it, and the way of its answer to the client. */
export interface Inference {
  readonly model: string;
  readonly stream: boolean;
  /** Path at the neuron. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body: Buffer;
  /** Where the answer of one attempt goes. */
  readonly openSink: (node: string) => AnswerSink;
  /** Clock reading at which the request came. */
  readonly startedAt: number;
}

/**
 * Routes a request by its model and relays the answer. While no byte of an answer has reached the client, a node that
 * fails is replaced by the next one that has the model; each is tried once.
 */
export const relayInference = async (
  options: InferenceOptions,
  { signal, facts }: Exchange,
  { model, stream, path, headers, body, openSink, startedAt }: Inference,
): Promise<void> => {
  const { fleet, inFlight, dispatcher, metrics, clock } = options;
  // Known to the fleet: what a client merely writes must not become a label.
  if (fleet().some((node) => modelOn(node, model))) facts['model'] = model;
  facts['stream'] = stream;
  const nodes = chooseNodes(fleet(), model, (node) => inFlight.count(node));
  const seconds = (): number => (clock.now() - startedAt) / 1000;
  let lastError: CortexError | undefined;
  for (const node of nodes) {
    facts['node'] = node.name;
    const labels = { model, node: node.name };
    let bytes = 0;
    metrics.requestBytes.inc({ node: node.name }, body.length);
    const onBytes = (count: number): void => {
      if (bytes === 0) metrics.firstByte.observe(labels, seconds());
      bytes += count;
      metrics.responseBytes.inc({ node: node.name }, count);
    };
    const response = openSink(node.name);
    const result: AttemptResult = await inFlight.during(node.name, signal, (attemptSignal) =>
      attempt({ dispatcher, node, path, headers, body, response, signal: attemptSignal, onBytes }),
    );
    facts['bytes'] = bytes;
    if (result.kind === 'abandoned') {
      facts['abandoned'] = true;
      return;
    }
    if (result.error && result.error.code !== 'shutting_down') {
      metrics.upstreamFailures.inc({ node: node.name, code: result.error.code });
      facts['error'] = result.error;
      options.onFailure(node.name);
    }
    if (result.kind === 'answered') {
      metrics.duration.observe(labels, seconds());
      return;
    }
    lastError = result.error;
    if (signal.aborted) break;
  }
  if (lastError) throw lastError;
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
