import { CortexError, checkpointHeader, type StreamResume } from '@helexa/core';
import { modelOn, type NodeState } from '../fleet/fleet.js';
import { errorEvent } from '../http/respond.js';
import type { Exchange } from '../http/router.js';
import type { AnswerSink } from '../proxy/answer-sink.js';
import { type AttemptResult, attempt } from '../proxy/attempt.js';
import { TokenObserver } from '../proxy/token-observer.js';
import { affinityKey } from '../router/affinity.js';
import type { Lease } from '../router/broker.js';
import { WaitLedger } from '../router/wait-ledger.js';
import type { Inference, InferenceOptions } from './inference.js';

/** Neurons answer this without a run of their device: it costs no tokens. */
export const freePath = '/tokenize';

/** Tokens of a request that nobody has counted. */
export const promptEstimate = (body: Buffer): number => Math.max(1, Math.ceil(body.length / 4));

type Labels = Readonly<Record<'model' | 'node' | 'key', string>>;

/** What the client has of an answer whose neuron failed. */
interface Begun {
  readonly resume: StreamResume;
  readonly farewell: Buffer | string;
}

/**
 * One request on its way through the fleet: waits for a place, is answered there, and where that fails, elsewhere. Before the
 * first byte the next node begins anew; after it the next node goes on from the last checkpoint, into the same sink.
 */
class FleetRelay {
  readonly #options: InferenceOptions;
  readonly #exchange: Exchange;
  readonly #inference: Inference;
  readonly #charge: (tokens: number) => void;
  readonly #ledger: WaitLedger;
  readonly #exclude = new Set<string>();
  #sink: AnswerSink | undefined;
  #observer: TokenObserver | undefined;
  #begun: Begun | undefined;
  #bytes = 0;
  #begunLabels: Labels | undefined;
  #isRetried = false;

  constructor(options: InferenceOptions, exchange: Exchange, inference: Inference, charge: (tokens: number) => void) {
    this.#options = options;
    this.#exchange = exchange;
    this.#inference = inference;
    this.#charge = charge;
    this.#ledger = new WaitLedger(() => options.clock.now());
  }

  /** Only neurons count tokens. */
  #excludeForeign(): void {
    const { fleet, catalogue } = this.#options;
    const { model } = this.#inference;
    const holders = fleet().filter((node) => node.healthy && modelOn(node, model));
    const isForeign = ({ kind }: NodeState): boolean => kind === 'openai';
    if (holders.length > 0 && holders.every(isForeign) && !catalogue().entries.has(model)) {
      throw new CortexError('tokens_uncountable', { model });
    }
    for (const { name } of holders.filter(isForeign)) this.#exclude.add(name);
  }

  async run(): Promise<void> {
    const { affinity, broker } = this.#options;
    if (this.#inference.path === freePath) this.#excludeForeign();
    const { signal, facts, request } = this.#exchange;
    const { model, body } = this.#inference;
    const key = affinityKey(request.headers, model, body);
    for (;;) {
      const lease = await this.#acquire(affinity.get(key));
      if (lease === undefined) return;
      const { name } = lease.node;
      facts['node'] = name;
      let result: AttemptResult;
      try {
        result = await this.#attemptAt(lease);
      } finally {
        lease.release();
      }
      if (result.kind === 'abandoned') facts['abandoned'] = true;
      if (result.kind === 'answered') affinity.set(key, name);
      if (result.kind === 'abandoned' || result.kind === 'answered') return;
      await this.#failed(name, result);
      if (signal.aborted || !broker.hasOther(model, this.#exclude, result.kind === 'cut')) {
        this.#giveUp(result.error);
        return;
      }
    }
  }

  /** Ends what has been begun with its error; without a byte at the client the error is the answer. */
  #giveUp(error: CortexError): void {
    if (!this.#begun) throw error;
    this.#chargeBegun();
    const { facts, signal } = this.#exchange;
    facts['error'] = error;
    if (signal.aborted && !CortexError.isInstance(signal.reason)) facts['abandoned'] = true;
    // An exchange that is ended from outside says why.
    else this.#sink?.end(signal.aborted ? errorEvent(signal.reason) : this.#begun.farewell);
  }

  /** A node that added nothing is not the one that the stream ended for. */
  #cut({ resume, farewell }: Begun): void {
    const isOlder = this.#begun?.resume.tokens.length === resume.tokens.length;
    this.#begun = { resume, farewell: isOlder ? (this.#begun?.farewell ?? farewell) : farewell };
  }

  /** Notes a failed attempt; its node is not asked again, unless the fault was of the connection and nobody else is ready. */
  async #failed(name: string, result: AttemptResult & { readonly kind: 'failed' | 'cut' }): Promise<void> {
    const { broker, metrics } = this.#options;
    const { model } = this.#inference;
    this.#ledger.failed(name);
    // A node that took the stream on and added nothing would do so again.
    const hasAdded = result.kind === 'cut' && this.#begun?.resume.tokens.length !== result.resume.tokens.length;
    if (result.kind === 'cut') this.#cut(result);
    const isSilent = result.kind === 'failed' && result.isSilent === true;
    const isLast = !this.#isRetried && !broker.hasOther(model, new Set([...this.#exclude, name]));
    // An idle connection may have been closed at its other end: where nobody else can answer, a new one is tried once.
    const isStale = isLast && (isSilent || (hasAdded && (await this.#isStillReady(name))));
    if (isStale) this.#isRetried = true;
    else this.#exclude.add(name);
    const isBusy = result.kind === 'failed' && result.isBusy;
    const reason = result.kind === 'cut' ? 'resumed' : isBusy ? 'busy' : isStale ? 'stale_connection' : 'failed';
    if (!this.#exchange.signal.aborted && broker.hasOther(model, this.#exclude, result.kind === 'cut')) {
      metrics.retries.inc({ node: name, reason });
    }
  }

  /** Whether a node that a stream was cut at has the model all the same, by a new look; nobody is looked for who has left. */
  async #isStillReady(name: string): Promise<boolean> {
    const { signal } = this.#exchange;
    if (signal.aborted) return false;
    const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await Promise.race([this.#options.onFailure(name), ended]);
    const node = this.#options.fleet().find((each) => each.name === name);
    return node?.healthy === true && node.failures === 0 && modelOn(node, this.#inference.model)?.status === 'loaded';
  }

  /** Waits for a place; a client that asked for a stream hears meanwhile that it is waited for. Undefined when it left. */
  async #acquire(preferred: string | undefined): Promise<Lease | undefined> {
    const { broker, clock, keepAliveMs, metrics } = this.#options;
    const { response, signal, facts } = this.#exchange;
    const { model, stream, silence } = this.#inference;
    const beganMs = clock.now();
    let cancel = (): void => {};
    const tell = (): void => {
      cancel = clock.after(keepAliveMs, () => {
        const progress = broker.progressOf(model);
        const seconds = (ms = 0): number => Math.round(ms / 1000);
        const about = `waiting for the model, ${seconds(progress?.waitedMs)} s; about ${seconds(progress?.expectedMs)} s more`;
        // A stream that has begun has its own way of being quiet in other dialects; a comment is none of its events.
        if (this.#begun) this.#sink?.write(Buffer.from(`: ${about}\n\n`));
        else response.keepAlive(silence?.() ?? `: ${about}\n\n`);
        tell();
      });
    };
    if (stream) tell();
    try {
      const lease = await broker.acquire({ model, signal, exclude: this.#exclude, preferred });
      const waitedMs = clock.now() - beganMs;
      metrics.queue.observe(this.#labels(lease.node), waitedMs / 1000);
      if (lease.hasWaited) metrics.coldStarts.inc({ model, node: lease.node.name });
      if (this.#exclude.size === 0) facts['queue_ms'] = Math.round(waitedMs);
      this.#ledger.waited(lease.waits);
      return lease;
    } catch (error) {
      if (CortexError.isInstance(error)) {
        this.#giveUp(error);
        return undefined;
      }
      if (!signal.aborted) throw error;
      if (this.#begun) this.#chargeBegun();
      facts['abandoned'] = true;
      return undefined;
    } finally {
      cancel();
    }
  }

  #labels(node: NodeState): Labels {
    return { model: this.#inference.model, node: node.name, key: this.#exchange.principal?.keyId ?? '' };
  }

  /** One attempt at one node. */
  async #attemptAt({ node }: Lease): Promise<AttemptResult> {
    const { broker, inFlight, dispatcher, metrics, clock, silenceMs } = this.#options;
    const { signal, facts } = this.#exchange;
    const { model, path, headers, body, openSink, startedAt, stream } = this.#inference;
    const labels = this.#labels(node);
    const begun = this.#begun;
    const seconds = (): number => (clock.now() - startedAt) / 1000;
    if (!begun || !this.#sink || !this.#observer) {
      this.#sink = openSink(node.name);
      const gap = metrics.gap.labels(labels);
      this.#observer = new TokenObserver({ now: () => clock.now(), onGap: (ms) => gap.observe(ms / 1000) });
      this.#bytes = 0;
    }
    const [response, observer] = [this.#sink, this.#observer];
    metrics.requestBytes.inc({ node: node.name }, body.length);
    const received = metrics.responseBytes.labels({ node: node.name });
    const onBytes = (count: number): void => {
      if (this.#bytes === 0) metrics.firstByte.observe(labels, seconds());
      this.#bytes += count;
      received.inc(count);
    };
    const wish = begun ? 'resume' : 'send';
    this.#ledger.asked();
    const running = inFlight.begin(node.name, path === freePath ? undefined : model, signal);
    let result: AttemptResult;
    try {
      result = await attempt({
        dispatcher,
        node,
        path,
        headers: stream && node.kind === 'neuron' ? { ...headers, [checkpointHeader]: wish } : headers,
        body,
        response,
        signal: running.signal,
        onBytes,
        observer,
        hasOther: () => broker.hasOther(model, new Set([...this.#exclude, node.name])),
        resume: begun?.resume,
        clock,
        silenceMs,
        onHead: () => this.#ledger.answered(),
        timing: () => this.#ledger.header(),
      });
    } finally {
      running.end();
    }
    facts['bytes'] = this.#bytes;
    this.#account(result, observer, labels);
    if (result.kind === 'answered') metrics.duration.observe(labels, seconds());
    return result;
  }

  /** Charges and reports what an attempt came to; a stream that may go on elsewhere is counted when it ends. */
  #account(result: AttemptResult, observer: TokenObserver, labels: Labels): void {
    if (result.kind === 'cut') this.#begunLabels = labels;
    const { metrics, onFailure } = this.#options;
    const { facts } = this.#exchange;
    const { path } = this.#inference;
    const mayGoOn = result.kind === 'cut' || (result.kind === 'failed' && this.#begun !== undefined);
    if (path !== freePath && !mayGoOn) {
      // A client that left has had its prompt read; a neuron that refused or failed at once has done nothing.
      const isAnswer = result.kind === 'answered' && result.status < 400;
      this.#charge(this.#countTokens(observer, labels, isAnswer || result.kind === 'abandoned'));
    }
    if (result.kind === 'abandoned' || !result.error || result.error.code === 'shutting_down') return;
    metrics.upstreamFailures.inc({ node: labels.node, code: result.error.code });
    if (result.kind === 'answered' || (result.kind === 'failed' && !result.isBusy)) facts['error'] = result.error;
    void onFailure(labels.node);
  }

  /** Charges a stream that was begun and does not go on. */
  #chargeBegun(): void {
    const labels = this.#begunLabels;
    if (this.#observer && labels) this.#charge(this.#countTokens(this.#observer, labels, true));
  }

  /** Notes what an answer was seen to hold; returns the tokens it is charged with. */
  #countTokens(observer: TokenObserver, labels: Labels, wasAsked: boolean): number {
    const { metrics } = this.#options;
    const { startedAt, body } = this.#inference;
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
  }
}

/**
 * Sends a request to one node after the other until one answers; settles when the client has its answer, or has left. Throws what
 * ended it while the client had nothing.
 */
export const relayToFleet = (
  options: InferenceOptions,
  exchange: Exchange,
  inference: Inference,
  charge: (tokens: number) => void,
): Promise<void> => new FleetRelay(options, exchange, inference, charge).run();
