import {
  type Clock,
  checkpointHeader,
  encodeCheckpoint,
  encodeSse,
  epochHeader,
  formatEpoch,
  type StreamResume,
  sseDone,
  sseHeaders,
} from '@helexa/core';
import { Dispatcher } from 'undici';

/**
 * What a neuron does to one inference request instead of answering well; `after` counts the tokens before it happens. `slow` only
 * comes late, `false` is an error under status 200, `broken` an event, or an answer in one piece, that is no JSON.
 */
export type Mishap =
  | { readonly kind: 'status'; readonly status: number }
  | { readonly kind: 'reset' | 'hang' | 'slow' | 'false' }
  | { readonly kind: 'cut' | 'stop' | 'silent' | 'error' | 'torn' | 'broken'; readonly after: number };

/** What becomes of one load: `lost` goes on without its answer, `vanish` is unloaded by somebody else when it is done. */
export type LoadMishap = 'out_of_memory' | 'fail' | 'refuse' | 'hang' | 'slow' | 'lost' | 'vanish';
export type UnloadMishap = 'hang' | 'busy' | 'fail' | 'slow';
/** What one look is answered with. */
export type LookMishap = 'garbage' | 'other_shape' | 'status';

/** One request at a neuron, and its answer, over a connection that exists only here. */
class MemoryExchange {
  readonly path: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #isOld: boolean;
  /** True while nothing that is sent arrives. */
  readonly #isMuted: () => boolean;
  #isPaused = false;
  #queue: (() => void)[] = [];
  isOver = false;
  onGone: () => void = () => {};
  /** Told what the neuron answered, when it has arrived as a whole; else the error that the connection went with. */
  onOutcome: (status: number | Error, body: string) => void = () => {};
  #status = 0;
  #said = '';

  constructor(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler, isMuted: () => boolean) {
    this.path = options.path;
    this.#isMuted = isMuted;
    this.method = options.method;
    this.headers = (options.headers ?? {}) as Record<string, string>;
    this.body = String(options.body ?? '');
    this.#handler = handler;
    this.#isOld = handler.onRequestStart === undefined;
    const abort = (reason?: Error): void => this.fail(reason ?? new DOMException('aborted', 'AbortError'));
    const resume = (): void => {
      this.#isPaused = false;
      this.flush();
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
    if (this.#isPaused || this.#isMuted() || this.#queue.length > 0) this.#queue.push(run);
    else if (!this.isOver) run();
  }

  /** Lets arrive what was held back, in its order. */
  flush(): void {
    while (!this.#isPaused && !this.#isMuted() && !this.isOver) {
      const run = this.#queue.shift();
      if (!run) return;
      run();
    }
  }

  head(status: number, headers: Readonly<Record<string, string>>): void {
    this.#when(() => {
      this.#status = status;
      const raw = Object.entries(headers).flatMap(([name, value]) => [Buffer.from(name), Buffer.from(value)]);
      if (this.#isOld) this.#handler.onHeaders?.(status, raw, this.#resume, '');
      else this.#handler.onResponseStart?.(this.#controller, status, { ...headers }, '');
    });
  }

  data(bytes: string | Buffer): void {
    this.#when(() => {
      const chunk = Buffer.from(bytes as string);
      if (this.#status !== 0 && this.path.startsWith('/models')) this.#said += String(bytes);
      if (!this.#isOld) this.#handler.onResponseData?.(this.#controller, chunk);
      else if (this.#handler.onData?.(chunk) === false) this.#isPaused = true;
    });
  }

  end(): void {
    this.#when(() => {
      this.isOver = true;
      this.onOutcome(this.#status, this.#said);
      if (this.#isOld) this.#handler.onComplete?.([]);
      else this.#handler.onResponseEnd?.(this.#controller, {});
    });
  }

  fail(error: Error): void {
    if (this.isOver) return;
    this.isOver = true;
    this.onOutcome(error, '');
    this.onGone();
    if (this.#isOld) this.#handler.onError?.(error);
    else this.#handler.onResponseError?.(this.#controller, error);
  }
}

/** With these the gateway knows that its request did not come to the neuron. */
const neverArrived = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EMFILE', 'UND_ERR_CONNECT_TIMEOUT']);

const lost = (code: string): Error => Object.assign(new Error(code), { code });

/** How many tokens the answer to a body has, in whatever dialect it is: as many as its text asks for. */
export const tokensOf = (body: string): number => Number(/count (\d+)/.exec(body)?.[1] ?? 1);

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
  /** Mishaps of the next requests, first one first; and of the next loads, unloads and looks. */
  readonly mishaps: Mishap[] = [];
  readonly loadMishaps: LoadMishap[] = [];
  readonly unloadMishaps: UnloadMishap[] = [];
  readonly lookMishaps: LookMishap[] = [];
  /** Memory that models need here, where that is not what is usual. */
  readonly ownSizes = new Map<string, number>();
  /** Requests of others that a model answers. */
  readonly strangers = new Map<string, number>();
  /** What it says that is free beyond what is. */
  boastMb = 0;
  state: 'up' | 'frozen' | 'down' = 'up';
  /** Loads that were asked for without room for them. */
  overcommitted = 0;
  /** Unloads that were asked for while the model answered somebody. */
  evictedBusy = 0;
  /** True where several gateways use it, and one cannot know what it does for another. */
  isShared = false;
  /** Streams that it went on with. */
  resumed = 0;
  #bootMs = 0;
  #epoch = 0;
  /** Loads begun and models let go: who wants to change that has to know of all of them. */
  #changes = 0;

  constructor(options: MemoryNeuronOptions) {
    this.#options = options;
  }

  /** Loses everything; comes back as a new process when told to. */
  crash(): void {
    this.state = 'down';
    this.#epoch += 1;
    this.models.clear();
    this.strangers.clear();
    for (const { exchange } of [...this.streams]) exchange.fail(lost('ECONNRESET'));
    this.streams.clear();
  }

  revive(): void {
    if (this.state === 'down') this.#bootMs = this.#options.clock.now();
    this.state = 'up';
  }

  /** Goes on as if nothing had been the matter, now and later. */
  heal(): void {
    this.revive();
    this.boastMb = 0;
    this.strangers.clear();
    for (const mishaps of [this.mishaps, this.loadMishaps, this.unloadMishaps, this.lookMishaps]) mishaps.length = 0;
    for (const [id, status] of this.models) if (status === 'loading') this.models.delete(id);
    this.#loads.clear();
  }

  sizeOf(model: string): number {
    return this.ownSizes.get(model) ?? this.#options.sizes[model] ?? 0;
  }

  get totalMb(): number {
    return this.#options.totalMb;
  }

  /** Somebody else has a model unloaded, or loaded; a neuron refuses what cannot be. */
  unloadByOthers(model: string): void {
    if (this.state !== 'down' && !this.#isBusy(model)) this.#remove(model);
  }

  loadByOthers(model: string): void {
    if (this.state === 'down' || this.models.has(model) || this.usedMb + this.sizeOf(model) > this.totalMb) return;
    this.#begin(model);
    this.#later(this.#options.loadMs, () => {
      if (this.models.has(model)) this.models.set(model, 'loaded');
    });
  }

  #isBusy(model: string): boolean {
    return (this.strangers.get(model) ?? 0) > 0 || [...this.streams].some((stream) => stream.model === model);
  }

  #begin(model: string): void {
    this.models.set(model, 'loading');
    this.#changes += 1;
  }

  /** A load of it ends with it. */
  #remove(model: string): void {
    if (this.models.delete(model)) this.#changes += 1;
    this.#loads.get(model)?.();
  }

  /** What ends a load before its time. */
  readonly #loads = new Map<string, () => void>();

  handle(exchange: MemoryExchange): void {
    if (this.state === 'down') return void exchange.fail(lost('ECONNREFUSED'));
    if (this.state === 'frozen') return;
    const { path, body } = exchange;
    const look = path === '/models' ? this.lookMishaps.shift() : undefined;
    if (look === 'status') return void this.#json(exchange, 500, {});
    if (look === 'garbage') return void this.#text(exchange, 200, '[{"id":');
    if (look === 'other_shape') return void this.#json(exchange, 200, { models: [] });
    if (path === '/models') {
      const rows = [...this.models].map(([id, status]) => this.#entry(id, status));
      return void this.#text(exchange, 200, JSON.stringify(rows), { [epochHeader]: this.epoch });
    }
    if (path === '/health') return void this.#json(exchange, 200, this.#health());
    if (path === '/discovery') {
      const devices = [{ index: 0, vram_total_mb: this.#options.totalMb }];
      return void this.#json(exchange, 200, { hostname: this.#options.name, devices });
    }
    const fields = JSON.parse(body) as Fields;
    const isStale = path.startsWith('/models/') && fields.epoch !== undefined && fields.epoch !== this.epoch;
    if (isStale) return void this.#json(exchange, 409, { error: { code: 'epoch_stale', epoch: this.epoch } });
    if (path === '/models/load') return void this.#load(exchange, fields.model_id ?? '');
    if (path === '/models/unload') return void this.#unload(exchange, fields.model_id ?? '');
    if (path === '/tokenize') {
      return void this.#json(exchange, 200, { count: tokensOf(body), max_model_len: 100, tokens: [] });
    }
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
    return { id, status, vram_used_mb: this.sizeOf(id), devices: [0] };
  }

  get usedMb(): number {
    return [...this.models.keys()].reduce((sum, id) => sum + this.sizeOf(id), 0);
  }

  #health() {
    const { clock, totalMb } = this.#options;
    const live = [...this.streams];
    return {
      uptime_secs: Math.floor((clock.now() - this.#bootMs) / 1000),
      devices: [{ index: 0, vram_free_mb: totalMb - this.usedMb + this.boastMb }],
      models: [...this.models.keys()].map((id) => ({
        id,
        in_flight: live.filter(({ model }) => model === id).length + (this.strangers.get(id) ?? 0),
        queue_depth: 0,
        max_in_flight: 8,
      })),
    };
  }

  get epoch(): string {
    return formatEpoch(`${this.#options.name}${this.#epoch}`, this.#changes);
  }

  #text(exchange: MemoryExchange, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
    exchange.head(status, { 'content-type': 'application/json', ...headers });
    exchange.data(text);
    exchange.end();
  }

  #json(exchange: MemoryExchange, status: number, value: unknown): void {
    this.#text(exchange, status, JSON.stringify(value));
  }

  #load(exchange: MemoryExchange, model: string): void {
    const { loadMs } = this.#options;
    if (this.models.get(model) === 'loaded') return void this.#json(exchange, 200, {});
    const mishap = this.loadMishaps.shift();
    const size = this.sizeOf(model);
    if (mishap === 'fail') return void this.#json(exchange, 500, { error: { code: 'device_failed' } });
    if (mishap === 'refuse') return void this.#json(exchange, 422, { error: { code: 'repo_unsupported' } });
    const isNew = !this.models.has(model);
    const isTight = isNew && this.usedMb + size > this.totalMb;
    if (isTight) this.overcommitted += 1;
    if (isTight || mishap === 'out_of_memory') {
      const error = { code: 'model_does_not_fit', message: 'no room', required_mb: size };
      return void this.#json(exchange, 422, { error });
    }
    if (isNew) this.#begin(model);
    // A load outlives whoever asked for it.
    exchange.onGone = () => {};
    if (mishap === 'lost') exchange.fail(lost('ECONNRESET'));
    if (mishap === 'hang') return;
    this.#loads.set(model, () => this.#json(exchange, 409, { error: { code: 'request_cancelled' } }));
    this.#later(mishap === 'slow' ? loadMs * 8 : loadMs, () => {
      if (!this.models.has(model)) return;
      this.#loads.delete(model);
      if (mishap === 'vanish') this.#remove(model);
      else this.models.set(model, 'loaded');
      this.#json(exchange, 200, {});
    });
  }

  #unload(exchange: MemoryExchange, model: string): void {
    const mishap = this.unloadMishaps.shift();
    if (mishap === 'hang') return;
    if (mishap === 'fail') return void this.#json(exchange, 500, { error: { code: 'unload_stalled' } });
    const isBusy = this.#isBusy(model);
    // What others do is not this gateway's to know.
    if (isBusy && (this.strangers.get(model) ?? 0) === 0 && !this.isShared) this.evictedBusy += 1;
    if (isBusy || mishap === 'busy') return void this.#json(exchange, 409, { error: { code: 'model_in_use' } });
    this.#later(mishap === 'slow' ? 20_000 : 0, () => {
      this.#remove(model);
      this.#json(exchange, 200, { epoch: this.epoch });
    });
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
    if (mishap?.kind === 'false') {
      return void this.#json(exchange, 200, { error: { code: 'scripted', message: 'scripted', type: 'api_error' } });
    }
    const stream = { exchange, model };
    if (mishap?.kind === 'hang') return;
    this.streams.add(stream);
    const over = (): void => void this.streams.delete(stream);
    exchange.onGone = over;
    const count = tokensOf(exchange.body);
    const begin = (): void => {
      if (exchange.isOver) over();
      else if (fields.stream === true) this.#stream(exchange, fields, count, mishap, over);
      else this.#later(this.#options.stepMs * count, () => this.#whole(exchange, model, count, mishap, over));
    };
    if (mishap?.kind === 'slow') this.#later(4000, begin);
    else begin();
  }

  #whole(exchange: MemoryExchange, model: string, count: number, mishap: Mishap | undefined, over: () => void): void {
    over();
    if (exchange.isOver) return;
    if (mishap?.kind === 'broken') return void this.#text(exchange, 200, '{"id":"x","choices":[{"index"');
    if (mishap && mishap.kind !== 'slow') return void exchange.fail(lost('ECONNRESET'));
    const message = { role: 'assistant', content: expectedText(model, count) };
    this.#json(exchange, 200, {
      id: 'x',
      object: 'chat.completion',
      created: 1,
      model,
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: count, total_tokens: 3 + count },
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
      const event = at < count ? delta(identity, { content: texts[at] }) : '';
      const isBroken = mishap?.kind === 'broken' && at === after;
      if (at === after && !isBroken) return void this.#fault(exchange, mishap?.kind ?? '', event, over);
      if (at < count) {
        exchange.data((isBroken ? 'data: {"id":"half\n\n' : event) + mark(at));
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

  /** `next` is the event that was to come: a torn stream has it, without the checkpoint that makes it certain. */
  #fault(exchange: MemoryExchange, kind: string, next: string, over: () => void): void {
    if (kind === 'silent') return;
    over();
    if (kind === 'torn') exchange.data(`${next}data: {"id":"half`);
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
  readonly epoch?: string;
  readonly stream?: boolean;
  readonly cortex_resume?: StreamResume;
}

/** What a neuron has told a gateway, or the gateway has made of it: what it has to know of the memory there. */
interface Known {
  models: Map<string, number>;
  /** What the list of this moment took the place of: whoever has not read the new one is fenced by the epoch of this one. */
  before: { readonly models: ReadonlyMap<string, number>; readonly atMs: number };
  /** Loads without an answer yet. */
  readonly running: Set<string>;
  /** Loads that ended without an answer, until a look that begins later, by the number of the message. */
  readonly unknown: Map<string, number>;
  /** The look that began last. */
  look: KnownLook | undefined;
}

/** One look at a neuron, in several messages. Its list counts when all have ended: until then the epoch of the one before fences. */
interface KnownLook {
  readonly begun: number;
  readonly open: Set<MemoryExchange>;
  told: Map<string, number> | undefined;
}

/** The way of one gateway to neurons in memory, with a delay and no sockets. */
export class MemoryNetwork extends Dispatcher {
  readonly #neurons: ReadonlyMap<string, MemoryNeuron>;
  readonly #clock: Clock;
  readonly #known: ReadonlyMap<string, Known>;
  readonly #open = new Set<{ readonly name: string; readonly exchange: MemoryExchange }>();
  /** Neurons that nothing reaches. */
  readonly partitioned = new Set<string>();
  /** Neurons that are reached, and whose answers wait until the way back is open again. */
  readonly muted = new Set<string>();
  /** Codes with which connections to a neuron fail. */
  readonly failing = new Map<string, string>();
  /** How long a request is on its way; one of two never arrives, and is told so after five seconds. */
  readonly lossy = new Map<string, number>();
  /** Loads that this gateway asked for although it had to know that there was no room. */
  readonly overcommits: string[] = [];
  #messages = 0;

  constructor(neurons: ReadonlyMap<string, MemoryNeuron>, clock: Clock) {
    super();
    this.#neurons = neurons;
    this.#clock = clock;
    this.#known = new Map(
      [...neurons.keys()].map((name) => [
        name,
        {
          models: new Map(),
          before: { models: new Map(), atMs: -1 },
          running: new Set(),
          unknown: new Map(),
          look: undefined,
        },
      ]),
    );
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const name = new URL(String(options.origin)).hostname;
    const exchange = new MemoryExchange(options, handler, () => this.muted.has(name));
    const neuron = this.#neurons.get(name) as MemoryNeuron;
    const open = { name, exchange };
    this.#open.add(open);
    const note = this.#noter(neuron, name, exchange);
    exchange.onOutcome = (status, body) => {
      this.#open.delete(open);
      note(status, body);
    };
    const message = this.#messages++;
    const code = this.failing.get(name);
    const delayMs = this.lossy.get(name) ?? 1;
    const isLost = this.lossy.has(name) && message % 2 === 0;
    this.#clock.after(isLost ? 5000 : delayMs, () => {
      if (exchange.isOver || this.partitioned.has(name)) return;
      if (isLost || code !== undefined) exchange.fail(lost(code ?? 'UND_ERR_CONNECT_TIMEOUT'));
      else neuron.handle(exchange);
    });
    return true;
  }

  /** The way to a neuron, or to all, is open again. */
  heal(name?: string): void {
    for (const fault of [this.partitioned, this.muted, this.failing, this.lossy]) {
      if (name === undefined) fault.clear();
      else fault.delete(name);
    }
    for (const { exchange } of [...this.#open]) exchange.flush();
  }

  /** Keeps what the gateway knows of a neuron's memory by this exchange, and notes a load that cannot fit by it. */
  #noter(neuron: MemoryNeuron, name: string, exchange: MemoryExchange): (status: number | Error, body: string) => void {
    const known = this.#known.get(name) as Known;
    if (!exchange.path.startsWith('/models/') && exchange.method === 'GET') return this.#lookNoter(known, exchange);
    const model = exchange.path.startsWith('/models/') ? (JSON.parse(exchange.body) as Fields).model_id : undefined;
    if (model === undefined) return () => {};
    if (exchange.path === '/models/unload') {
      return (status) => {
        if (status !== 200 && status !== 404) return;
        known.models.delete(model);
        known.look?.told?.delete(model);
      };
    }
    const beside = (models: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
      const all = new Map(models);
      for (const id of [...known.running, ...known.unknown.keys()]) all.set(id, neuron.sizeOf(id));
      all.delete(model);
      return all;
    };
    const fits = (others: ReadonlyMap<string, number>): boolean =>
      [...others.values()].reduce((sum, mb) => sum + mb, neuron.sizeOf(model)) <= neuron.totalMb;
    const others = beside(known.models);
    const { before } = known;
    const isRoom = fits(others) || (before.atMs === this.#clock.now() && fits(beside(before.models)));
    // A model that needs more here than elsewhere surprises everybody.
    const isKnown = ![...this.#neurons.values()].some(({ ownSizes }) => ownSizes.has(model));
    if (!isRoom && isKnown) {
      this.overcommits.push(`${model} on ${name} beside ${[...others.keys()].join(', ')} at ${this.#clock.now()}`);
    }
    known.running.add(model);
    return (status) => {
      known.running.delete(model);
      if (status instanceof Error) {
        if (!neverArrived.has((status as { code?: string }).code ?? '')) known.unknown.set(model, this.#messages);
      } else if (status < 300) {
        known.models.set(model, neuron.sizeOf(model));
        known.look?.told?.set(model, neuron.sizeOf(model));
      }
    };
  }

  /** What a look tells, with its first message asking for the list. */
  #lookNoter(known: Known, exchange: MemoryExchange): (status: number | Error, body: string) => void {
    const isList = exchange.path === '/models';
    if (isList) known.look = { begun: this.#messages, open: new Set(), told: undefined };
    const look = known.look;
    look?.open.add(exchange);
    return (status, body) => {
      if (!look) return;
      look.open.delete(exchange);
      if (isList && status === 200 && body.endsWith(']')) {
        const told = JSON.parse(body) as readonly { readonly id: string; readonly vram_used_mb: number }[];
        look.told = new Map(told.map(({ id, vram_used_mb: mb }) => [id, mb]));
      }
      if (look.open.size > 0 || look.told === undefined) return;
      known.before = { models: known.models, atMs: this.#clock.now() };
      known.models = look.told;
      look.told = undefined;
      for (const [model, since] of known.unknown) if (since <= look.begun) known.unknown.delete(model);
    };
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
