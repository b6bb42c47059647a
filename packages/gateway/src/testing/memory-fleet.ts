import {
  type Clock,
  checkpointHeader,
  encodeCheckpoint,
  encodeSse,
  type StreamResume,
  sseDone,
  sseHeaders,
} from '@helexa/core';
import { Dispatcher } from 'undici';

/** What a neuron does to one inference request instead of answering well; `after` counts the tokens before it happens. */
export type Mishap =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'reset' | 'hang' }
  | { readonly kind: 'cut' | 'stop' | 'silent' | 'error' | 'torn'; readonly after: number };

/** One request at a neuron, and its answer, over a connection that exists only here. */
class MemoryExchange {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #isOld: boolean;
  #isPaused = false;
  #queue: (() => void)[] = [];
  isOver = false;
  onGone: () => void = () => {};

  constructor(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) {
    this.path = options.path;
    this.method = options.method;
    this.headers = (options.headers ?? {}) as Record<string, string>;
    this.body = String(options.body ?? '');
    this.#handler = handler;
    this.#isOld = handler.onRequestStart === undefined;
    const abort = (reason?: Error): void => this.fail(reason ?? new DOMException('aborted', 'AbortError'));
    const resume = (): void => {
      this.#isPaused = false;
      for (const run of this.#queue.splice(0)) this.#when(run);
    };
    this.#resume = resume;
    const controller = {
      get aborted() {
        return false;
      },
      get paused() {
        return false;
      },
      get reason() {
        return null;
      },
      abort,
      pause: () => {
        this.#isPaused = true;
      },
      resume,
    };
    this.#controller = controller as unknown as Dispatcher.DispatchController;
    if (this.#isOld) handler.onConnect?.(abort as never);
    else handler.onRequestStart?.(this.#controller, {});
  }

  readonly #controller: Dispatcher.DispatchController;
  readonly #resume: () => void;

  #when(run: () => void): void {
    if (this.#isPaused) this.#queue.push(() => run());
    else if (!this.isOver) run();
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#when(() => {
      const raw = Object.entries(headers).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)]);
      if (this.#isOld) this.#handler.onHeaders?.(status, raw, this.#resume, '');
      else this.#handler.onResponseStart?.(this.#controller, status, { ...headers }, '');
    });
  }

  data(bytes: string | Buffer): void {
    this.#when(() => {
      const chunk = Buffer.from(bytes as string);
      if (!this.#isOld) this.#handler.onResponseData?.(this.#controller, chunk);
      else if (this.#handler.onData?.(chunk) === false) this.#isPaused = true;
    });
  }

  end(): void {
    this.#when(() => {
      this.isOver = true;
      if (this.#isOld) this.#handler.onComplete?.([]);
      else this.#handler.onResponseEnd?.(this.#controller, {});
    });
  }

  fail(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onGone();
    if (this.#isOld) this.#handler.onError?.(error);
    else this.#handler.onResponseError?.(this.#controller, error);
  }
}

const lost = (code: string): Error => Object.assign(new Error(code), { code });

/** How many tokens the answer to a body has: the same at every neuron. */
export const tokensOf = (body: { readonly user?: string }): number => 1 + (Number(body.user ?? '0') % 6);

const words = (model: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${model}${at} é `);

const delta = (identity: object, value: object, finish: string | null = null): string =>
  encodeSse(JSON.stringify({ ...identity, choices: [{ index: 0, delta: value, finish_reason: finish }] }));

/** The stream of a whole answer, without checkpoints. */
export const expectedStream = (model: string, count: number, id: string): string => {
  const identity = { id, object: 'chat.completion.chunk', created: 1, model };
  const pieces = words(model, count).map((content) => delta(identity, { content }));
  return [
    delta(identity, { role: 'assistant', content: '' }),
    ...pieces,
    delta(identity, {}, 'stop'),
    encodeSse(sseDone),
  ].join('');
};

export const expectedText = (model: string, count: number): string => words(model, count).join('');

export interface MemoryNeuronOptions {
  readonly name: string;
  readonly totalMb: number;
  readonly sizes: Readonly<Record<string, number>>;
  readonly clock: Clock;
  readonly loadMs: number;
  readonly stepMs: number;
}

/** A neuron in memory and virtual time. */
export class MemoryNeuron {
  readonly #options: MemoryNeuronOptions;
  readonly models = new Map<string, 'loading' | 'loaded'>();
  readonly streams = new Set<{ readonly exchange: MemoryExchange; readonly model: string }>();
  /** Mishaps of the next requests, first one first. */
  readonly mishaps: Mishap[] = [];
  state: 'up' | 'frozen' | 'down' = 'up';
  /** Loads that were asked for without room for them. */
  overcommitted = 0;
  /** Unloads that were asked for while the model answered somebody. */
  evictedBusy = 0;
  /** Streams that it went on with. */
  resumed = 0;
  #bootMs = 0;
  #epoch = 0;

  constructor(options: MemoryNeuronOptions) {
    this.#options = options;
  }

  /** Loses everything; comes back as a new process when told to. */
  crash(): void {
    this.state = 'down';
    this.#epoch += 1;
    this.models.clear();
    for (const { exchange } of [...this.streams]) exchange.fail(lost('ECONNRESET'));
    this.streams.clear();
  }

  revive(): void {
    if (this.state === 'down') this.#bootMs = this.#options.clock.now();
    this.state = 'up';
  }

  handle(exchange: MemoryExchange): void {
    if (this.state === 'down') return void exchange.fail(lost('ECONNREFUSED'));
    if (this.state === 'frozen') return;
    const { path, body } = exchange;
    if (path === '/models')
      return void this.#json(
        exchange,
        200,
        [...this.models].map(([id, status]) => this.#entry(id, status)),
      );
    if (path === '/health') return void this.#json(exchange, 200, this.#health());
    if (path === '/discovery') {
      const devices = [{ index: 0, vram_total_mb: this.#options.totalMb }];
      return void this.#json(exchange, 200, { hostname: this.#options.name, devices });
    }
    const fields = JSON.parse(body) as Fields;
    if (path === '/models/load') return void this.#load(exchange, fields.model_id ?? '');
    if (path === '/models/unload') return void this.#unload(exchange, fields.model_id ?? '');
    this.#answer(exchange, fields);
  }

  #later(delayMs: number, run: () => void): void {
    const epoch = this.#epoch;
    // A process that is gone does nothing more; one that was stopped goes on later.
    const turn = (): void => {
      if (epoch !== this.#epoch) return;
      if (this.state === 'frozen') this.#options.clock.after(500, turn);
      else run();
    };
    this.#options.clock.after(delayMs, turn);
  }

  #entry(id: string, status: string) {
    return { id, status, vram_used_mb: this.#options.sizes[id] ?? 0, devices: [0] };
  }

  get usedMb(): number {
    return [...this.models.keys()].reduce((sum, id) => sum + (this.#options.sizes[id] ?? 0), 0);
  }

  #health() {
    const { clock, totalMb } = this.#options;
    const live = [...this.streams];
    return {
      uptime_secs: Math.floor((clock.now() - this.#bootMs) / 1000),
      devices: [{ index: 0, vram_free_mb: totalMb - this.usedMb }],
      models: [...this.models.keys()].map((id) => ({
        id,
        in_flight: live.filter(({ model }) => model === id).length,
        queue_depth: 0,
        max_in_flight: 8,
      })),
    };
  }

  #json(exchange: MemoryExchange, status: number, value: unknown): void {
    exchange.head(status, { 'content-type': 'application/json' });
    exchange.data(JSON.stringify(value));
    exchange.end();
  }

  #load(exchange: MemoryExchange, model: string): void {
    if (this.models.has(model)) return void this.#json(exchange, 200, {});
    const size = this.#options.sizes[model] ?? 0;
    if (this.usedMb + size > this.#options.totalMb) {
      this.overcommitted += 1;
      const error = { code: 'model_does_not_fit', message: 'no room', required_mb: size };
      return void this.#json(exchange, 422, { error });
    }
    this.models.set(model, 'loading');
    exchange.onGone = () => {};
    this.#later(this.#options.loadMs, () => {
      this.models.set(model, 'loaded');
      this.#json(exchange, 200, {});
    });
  }

  #unload(exchange: MemoryExchange, model: string): void {
    if ([...this.streams].some((stream) => stream.model === model)) {
      this.evictedBusy += 1;
      return void this.#json(exchange, 409, { error: { code: 'model_in_use' } });
    }
    this.models.delete(model);
    this.#json(exchange, 200, {});
  }

  #answer(exchange: MemoryExchange, fields: Fields): void {
    const mishap = this.mishaps.shift();
    const model = fields.model ?? '';
    if (this.models.get(model) !== 'loaded') {
      return void this.#json(exchange, 404, {
        error: { code: 'model_not_loaded', message: 'not here', type: 'x', param: null },
      });
    }
    if (mishap?.kind === 'status') {
      const type = mishap.status === 400 ? 'invalid_request_error' : 'api_error';
      return void this.#json(exchange, mishap.status, {
        error: { code: 'scripted', message: 'scripted', type, param: null },
      });
    }
    if (mishap?.kind === 'reset') return void exchange.fail(lost('ECONNRESET'));
    const stream = { exchange, model };
    if (mishap?.kind === 'hang') return;
    this.streams.add(stream);
    const over = (): void => void this.streams.delete(stream);
    exchange.onGone = over;
    const count = tokensOf(fields);
    if (fields.stream === true) this.#stream(exchange, fields, count, mishap, over);
    else
      this.#later(this.#options.stepMs * count, () => {
        over();
        if (mishap) return void exchange.fail(lost('ECONNRESET'));
        const message = { role: 'assistant', content: expectedText(model, count) };
        this.#json(exchange, 200, {
          id: 'x',
          object: 'chat.completion',
          created: 1,
          model,
          choices: [{ index: 0, message, finish_reason: 'stop' }],
        });
      });
  }

  #stream(exchange: MemoryExchange, fields: Fields, count: number, mishap: Mishap | undefined, over: () => void): void {
    const wish = exchange.headers[checkpointHeader];
    const resume = wish === 'resume' ? fields.cortex_resume : undefined;
    if (resume) this.resumed += 1;
    const identity = {
      id: resume?.id ?? `chatcmpl-${this.#options.name}-${this.#epoch}`,
      object: 'chat.completion.chunk',
      created: 1,
      model: fields.model ?? '',
    };
    exchange.head(200, { ...sseHeaders, ...(wish ? { [checkpointHeader]: wish } : {}) });
    const mark = (...tokens: number[]): string => (wish ? encodeCheckpoint(tokens) : '');
    if (!resume) exchange.data(delta(identity, { role: 'assistant', content: '' }) + mark());
    const texts = words(identity.model, count);
    const after = mishap && 'after' in mishap ? mishap.after : undefined;
    const step = (at: number): void => {
      if (exchange.isOver) return void over();
      if (at === after) return void this.#fault(exchange, mishap?.kind ?? '', over);
      if (at < count) {
        exchange.data(delta(identity, { content: texts[at] }) + mark(at));
        this.#later(this.#options.stepMs, () => step(at + 1));
        return;
      }
      over();
      exchange.data(delta(identity, {}, 'stop'));
      exchange.data(encodeSse(sseDone));
      exchange.end();
    };
    this.#later(this.#options.stepMs, () => step(resume?.tokens.length ?? 0));
  }

  #fault(exchange: MemoryExchange, kind: string, over: () => void): void {
    if (kind === 'silent') return;
    over();
    if (kind === 'torn') exchange.data('data: {"id":"half');
    if (kind === 'error') {
      exchange.data(
        encodeSse(JSON.stringify({ error: { code: 'device_failed', type: 'api_error', message: 'x', param: null } })),
      );
    }
    if (kind === 'stop' || kind === 'error') exchange.end();
    else exchange.fail(lost('ECONNRESET'));
  }
}

interface Fields {
  readonly model?: string;
  readonly model_id?: string;
  readonly stream?: boolean;
  readonly user?: string;
  readonly cortex_resume?: StreamResume;
}

/** The way to neurons in memory, with a delay and no sockets. */
export class MemoryNetwork extends Dispatcher {
  readonly #neurons: ReadonlyMap<string, MemoryNeuron>;
  readonly #clock: Clock;
  /** Neurons that nothing reaches. */
  readonly partitioned = new Set<string>();

  constructor(neurons: ReadonlyMap<string, MemoryNeuron>, clock: Clock) {
    super();
    this.#neurons = neurons;
    this.#clock = clock;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const exchange = new MemoryExchange(options, handler);
    const name = new URL(String(options.origin)).hostname;
    this.#clock.after(1, () => {
      if (!exchange.isOver && !this.partitioned.has(name)) this.#neurons.get(name)?.handle(exchange);
    });
    return true;
  }

  override close(): Promise<void>;
  override close(callback: () => void): void;
  override close(callback?: () => void): Promise<void> | void {
    return callback ? callback() : Promise.resolve();
  }

  override destroy(): Promise<void>;
  override destroy(error: Error | null): Promise<void>;
  override destroy(callback: () => void): void;
  override destroy(): Promise<void> | void {
    return Promise.resolve();
  }
}
