import { CortexError, type ModelsConfig, modelsConfigSchema, type NeuronHealth, type NeuronModel } from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import { type Catalogue, createCatalogue } from '../catalogue/catalogue.js';
import { applyLookTo, createFleet, type Fleet } from '../fleet/fleet.js';
import { Broker, type BrokerSettings } from '../router/broker.js';
import type { Outcome, RouterEffects, RouterEvent } from '../router/effects.js';

/** One card with this much memory; models take what `sizes` says, whatever the catalogue declares. */
export interface FakeNode {
  readonly totalMb: number;
  models: NeuronModel[];
  isUp: boolean;
}

export type LoadScript = (node: string, model: string) => Outcome | 'hang' | undefined;

export interface WorldOptions {
  readonly nodes: Readonly<Record<string, number>>;
  readonly models?: readonly Partial<ModelsConfig['models'][number]>[];
  readonly sizes?: Readonly<Record<string, number>>;
  readonly loadMs?: number | ((node: string, model: string) => number);
  readonly settings?: Partial<BrokerSettings>;
  /** Ends a load otherwise than well. */
  readonly onLoad?: LoadScript;
  readonly onUnload?: LoadScript;
}

export const catalogueOf = (models: readonly unknown[], aliases: Record<string, string> = {}): Catalogue =>
  createCatalogue(modelsConfigSchema.parse({ models, aliases }));

/** A broker in front of neurons that exist only here, in virtual time; every effect is written down. */
export class FakeWorld {
  readonly clock = new FakeClock();
  readonly log: string[] = [];
  readonly events: RouterEvent[] = [];
  readonly nodes: Record<string, FakeNode> = {};
  readonly broker: Broker;
  readonly sizes: Readonly<Record<string, number>>;
  /** What a node says of its load instead of what it has. */
  healthOf: ((name: string) => NeuronHealth | undefined) | undefined;
  fleet: Fleet;
  catalogue: Catalogue;

  constructor({ nodes, models = [], sizes = {}, loadMs = 10_000, settings = {}, onLoad, onUnload }: WorldOptions) {
    this.sizes = sizes;
    for (const [name, totalMb] of Object.entries(nodes)) this.nodes[name] = { totalMb, models: [], isUp: true };
    this.fleet = createFleet(Object.keys(nodes).map((name) => ({ name, endpoint: `http://${name}` })));
    this.catalogue = catalogueOf(models);
    const script = (what: string, given: LoadScript | undefined, done: (node: string, model: string) => Outcome) => {
      return async (name: string, model: string, delayMs: number): Promise<Outcome> => {
        this.log.push(`${what} ${name} ${model}`);
        const scripted = given?.(name, model);
        if (scripted === 'hang') return await new Promise<Outcome>(() => {});
        await new Promise<void>((resolve) => this.clock.after(delayMs, resolve));
        return scripted ?? done(name, model);
      };
    };
    const load = script('load', onLoad, (name, model) => this.#load(name, model));
    const unload = script('unload', onUnload, (name, model) => {
      this.nodes[name]!.models = this.nodes[name]!.models.filter(({ id }) => id !== model);
      return { ok: true };
    });
    const effects: RouterEffects = {
      load: (node, entry) =>
        load(node.name, entry.id, typeof loadMs === 'number' ? loadMs : loadMs(node.name, entry.id)),
      unload: (node, model) => unload(node.name, model, 100),
      look: async (name) => this.look(name),
      now: () => this.clock.now(),
      after: (delayMs, run) => this.clock.after(delayMs, run),
      report: (event) => void this.events.push(event),
    };
    this.broker = new Broker({
      effects,
      fleet: () => this.fleet,
      catalogue: () => this.catalogue,
      settings: {
        waitMs: 300_000,
        loadTimeoutMs: 1_800_000,
        unloadTimeoutMs: 60_000,
        residencyMs: 20_000,
        patienceMs: 30_000,
        strategy: 'priority',
        idleTtlMs: 0,
        defragAfterCycles: 0,
        ...settings,
      },
    });
    for (const name of Object.keys(nodes)) this.look(name);
  }

  /** Memory of a node that its models take. */
  usedMb(name: string): number {
    return this.nodes[name]!.models.reduce((sum, { id }) => sum + (this.sizes[id] ?? 0), 0);
  }

  #load(name: string, model: string): Outcome {
    const node = this.nodes[name]!;
    if (node.models.some(({ id }) => id === model)) return { ok: true };
    const size = this.sizes[model] ?? 0;
    if (this.usedMb(name) + size > node.totalMb) {
      const error = new CortexError('model_load_failed', { model, reason: 'out of memory' });
      return { ok: false, error, requiredMb: size };
    }
    node.models.push({ id: model, status: 'loaded', vram_used_mb: size, devices: [0] });
    return { ok: true };
  }

  /** Puts a model on a node without any load. */
  put(name: string, ...ids: string[]): void {
    for (const id of ids) this.#load(name, id);
    this.look(name);
  }

  look(name: string): void {
    const node = this.nodes[name]!;
    this.fleet = applyLookTo(
      this.fleet,
      name,
      node.isUp
        ? {
            ok: true,
            models: [...node.models],
            health: this.healthOf?.(name) ?? {
              uptime_secs: 1,
              devices: [{ index: 0, vram_free_mb: node.totalMb - this.usedMb(name) }],
            },
            discovery: { hostname: name, devices: [{ index: 0, vram_total_mb: node.totalMb }] },
          }
        : { ok: false, reason: 'it is down' },
    );
    this.broker?.looked(name, false);
  }

  /** Three looks in vain. */
  kill(name: string): void {
    this.nodes[name]!.isUp = false;
    this.nodes[name]!.models = [];
    for (let look = 0; look < 3; look++) this.look(name);
  }
}
