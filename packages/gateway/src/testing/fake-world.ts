import {
  CortexError,
  formatEpoch,
  type ModelsConfig,
  modelsConfigSchema,
  type NeuronHealth,
  type NeuronModel,
} from '@helexa/core';
import { FakeClock } from '@helexa/core/testing';
import { type Catalogue, createCatalogue } from '../catalogue/catalogue.js';
import { applyLookTo, createFleet, type Fleet, hasRestarted, type Look, type NodeState } from '../fleet/fleet.js';
import { Broker, type BrokerSettings } from '../router/broker.js';
import type { Outcome, RouterEffects, RouterEvent } from '../router/effects.js';

/** One card with this much memory; models take what `sizes` says, whatever the catalogue declares. */
export interface FakeNode {
  readonly totalMb: number;
  models: NeuronModel[];
  isUp: boolean;
  /** Loads and unloads so far: what the neuron fences by. */
  changes: number;
  /** Processes that it has had: what one began no other ends. */
  process: number;
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
  /** Another gateway before the same neurons, in the same time; its nodes count, not these. */
  readonly beside?: FakeWorld;
}

export const catalogueOf = (models: readonly unknown[], aliases: Record<string, string> = {}): Catalogue =>
  createCatalogue(modelsConfigSchema.parse({ models, aliases }));

/** A broker in front of neurons that exist only here, in virtual time; every effect is written down. */
export class FakeWorld {
  readonly clock: FakeClock;
  readonly log: string[];
  readonly events: RouterEvent[] = [];
  readonly nodes: Record<string, FakeNode>;
  readonly broker: Broker;
  readonly sizes: Readonly<Record<string, number>>;
  /** What a node says of its load instead of what it has. */
  healthOf: ((name: string) => NeuronHealth | undefined) | undefined;
  fleet: Fleet;
  catalogue: Catalogue;

  constructor(options: WorldOptions) {
    const { nodes, models = [], sizes = {}, loadMs = 10_000, settings = {}, onLoad, onUnload, beside } = options;
    this.sizes = sizes;
    this.clock = beside?.clock ?? new FakeClock();
    this.log = beside?.log ?? [];
    this.nodes = beside?.nodes ?? {};
    if (!beside) {
      for (const [name, totalMb] of Object.entries(nodes)) {
        this.nodes[name] = { totalMb, models: [], isUp: true, changes: 0, process: 1 };
      }
    }
    this.fleet = createFleet(Object.keys(nodes).map((name) => ({ name, endpoint: `http://${name}` })));
    this.catalogue = catalogueOf(models);
    const script = (
      what: 'load' | 'unload',
      given: LoadScript | undefined,
      done: (node: string, model: string) => Outcome,
    ) => {
      return async ({ name, epoch }: NodeState, model: string, delayMs: number): Promise<Outcome> => {
        const have = this.#epochOf(name);
        if (epoch !== have) {
          this.log.push(`refused ${what} ${name} ${model}`);
          return { ok: false, isStale: true, error: new CortexError('epoch_stale', { have, want: epoch ?? '' }) };
        }
        this.log.push(`${what} ${name} ${model}`);
        this.nodes[name]!.changes += 1;
        const made = this.#epochOf(name);
        const scripted = given?.(name, model);
        if (scripted === 'hang') return await new Promise<Outcome>(() => {});
        if (!scripted) this.#mark(name, model, `${what}ing`);
        const { process } = this.nodes[name]!;
        await new Promise<void>((resolve) => this.clock.after(delayMs, resolve));
        if (this.nodes[name]!.process !== process) return await new Promise<Outcome>(() => {});
        const outcome = scripted ?? done(name, model);
        return outcome.ok ? { ...outcome, epoch: made } : outcome;
      };
    };
    const load = script('load', onLoad, (name, model) => this.#load(name, model));
    const unload = script('unload', onUnload, (name, model) => {
      this.#drop(name, model);
      return { ok: true };
    });
    const effects: RouterEffects = {
      load: (node, entry) => load(node, entry.id, typeof loadMs === 'number' ? loadMs : loadMs(node.name, entry.id)),
      unload: (node, model) => unload(node, model, 100),
      look: async (name) => {
        this.look(name);
        return this.nodes[name]?.isUp === true;
      },
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
    // The broker's own first look comes later: what is put there until then was there before it.
    for (const name of Object.keys(nodes)) this.fleet = applyLookTo(this.fleet, name, this.#lookAt(name));
  }

  /** Memory of a node that its models take. */
  usedMb(name: string): number {
    return this.nodes[name]!.models.reduce((sum, { id }) => sum + (this.sizes[id] ?? 0), 0);
  }

  #epochOf(name: string): string {
    const { process, changes } = this.nodes[name]!;
    return formatEpoch(`${name}${process}`, changes);
  }

  #drop(name: string, model: string): void {
    this.nodes[name]!.models = this.nodes[name]!.models.filter(({ id }) => id !== model);
  }

  /** What the list says while a load or an unload is under way. */
  #mark(name: string, model: string, status: string): void {
    this.#drop(name, model);
    this.nodes[name]!.models.push({ id: model, status, vram_used_mb: this.sizes[model] ?? 0, devices: [0] });
  }

  #load(name: string, model: string): Outcome {
    const node = this.nodes[name]!;
    this.#drop(name, model);
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
    const look = this.#lookAt(name);
    const before = this.fleet.find((node) => node.name === name) as NodeState;
    this.fleet = applyLookTo(this.fleet, name, look);
    this.broker.looked(name, look.ok && hasRestarted(before, look));
  }

  #lookAt(name: string): Look {
    const node = this.nodes[name]!;
    if (!node.isUp) return { ok: false, reason: 'it is down' };
    const devices = [{ index: 0, vram_free_mb: node.totalMb - this.usedMb(name) }];
    return {
      ok: true,
      models: [...node.models],
      epoch: this.#epochOf(name),
      health: this.healthOf?.(name) ?? { uptime_secs: 1, devices },
      discovery: { hostname: name, devices: [{ index: 0, vram_total_mb: node.totalMb }] },
    };
  }

  /** Three looks in vain. */
  kill(name: string): void {
    this.nodes[name]!.isUp = false;
    this.nodes[name]!.models = [];
    this.nodes[name]!.process += 1;
    for (let look = 0; look < 3; look++) this.look(name);
  }
}
