import type { NeuronModel } from '@helexa/core';
import test from 'ava';
import type { Catalogue } from '../catalogue/catalogue.js';
import { applyLookTo, createFleet, type Fleet, type Look } from '../fleet/fleet.js';
import { catalogueOf } from '../testing/fake-world.js';
import { type Decision, decide } from './router.js';
import type { RouterView } from './view.js';

const card = (totalMb: number, freeMb: number) => ({ totalMb, freeMb });

const look = (models: readonly NeuronModel[], cards: readonly { totalMb: number; freeMb: number }[] = []): Look => ({
  ok: true,
  models,
  health: { uptime_secs: 1, devices: cards.map(({ freeMb }, index) => ({ index, vram_free_mb: freeMb })) },
  discovery: { hostname: 'x', devices: cards.map(({ totalMb }, index) => ({ index, vram_total_mb: totalMb })) },
});
const lost: Look = { ok: false, reason: 'it is down' };
const loaded = (id: string, more: Partial<NeuronModel> = {}): NeuronModel => ({ id, status: 'loaded', ...more });

const fleetOf = (looks: Readonly<Record<string, readonly Look[]>>): Fleet => {
  let fleet = createFleet(Object.keys(looks).map((name) => ({ name, endpoint: `http://${name}` })));
  for (const [name, all] of Object.entries(looks)) for (const each of all) fleet = applyLookTo(fleet, name, each);
  return fleet;
};

const viewOf = (fleet: Fleet, catalogue: Catalogue = catalogueOf([]), more: Partial<RouterView> = {}): RouterView => ({
  fleet,
  catalogue,
  nowMs: 100_000,
  residence: () => ({ load: 0, usedMs: undefined, loadedMs: undefined }),
  job: () => undefined,
  unsettled: () => undefined,
  claim: () => undefined,
  setback: () => undefined,
  seenMb: () => undefined,
  residencyMs: 0,
  patienceMs: 0,
  strategy: 'priority',
  idleTtlMs: 0,
  startedMs: 0,
  ...more,
});

const ask = (view: RouterView, more: object = {}): Decision =>
  decide(view, { model: 'm', sinceMs: view.nowMs, exclude: new Set(), preferred: undefined, ...more });

/** A decision in a word and a node. */
const short = (decision: Decision): string => {
  if (decision.kind === 'serve') return `serve ${decision.node.name}`;
  if (decision.kind === 'load') return ['load', decision.node.name, ...decision.victims].join(' ');
  if (decision.kind === 'refuse') return `refuse ${decision.error.code}`;
  return decision.kind === 'wait' ? `wait ${decision.why}` : `claim ${decision.node.name}`;
};

const loads =
  (byNode: Readonly<Record<string, number>>): RouterView['residence'] =>
  (node) => ({ load: byNode[node] ?? 0, usedMs: undefined, loadedMs: undefined });

test('decide takes the least busy node, then the first name', (t) => {
  const fleet = fleetOf({ b: [look([loaded('m')])], a: [look([loaded('m')])], c: [look([loaded('m')])] });
  t.is(short(ask(viewOf(fleet))), 'serve a');
  t.is(short(ask(viewOf(fleet, undefined, { residence: loads({ a: 2, b: 1, c: 1 }) }))), 'serve b');
});

test('decide keeps a conversation where its cache is until another node is much less busy', (t) => {
  const fleet = fleetOf({ a: [look([loaded('m')])], b: [look([loaded('m')])] });
  const at = (load: number) => viewOf(fleet, undefined, { residence: loads({ b: load }) });
  t.is(short(ask(at(1), { preferred: 'b' })), 'serve b');
  t.is(short(ask(at(3), { preferred: 'b' })), 'serve a');
});

test('decide puts nodes that missed a look behind others, and leaves out what says that it cannot serve', (t) => {
  const broken = loaded('m', { servable: { ok: false } });
  t.is(short(ask(viewOf(fleetOf({ a: [look([loaded('m')]), lost], b: [look([loaded('m')])] })))), 'serve b');
  t.is(short(ask(viewOf(fleetOf({ a: [look([broken])], b: [look([loaded('m')])] })))), 'serve b');
  // Nowhere else to go.
  t.is(short(ask(viewOf(fleetOf({ a: [look([broken])] })))), 'serve a');
});

test('decide loads a model elsewhere when its only replica cannot serve', (t) => {
  const fleet = fleetOf({
    a: [look([loaded('m', { servable: { ok: false } })], [card(100, 0)])],
    b: [look([], [card(100, 100)])],
  });
  t.is(short(ask(viewOf(fleet, catalogueOf([{ id: 'm', vram_mb: 10 }])))), 'load b');
});

test('decide places on the named node, where there is room, and where there is most of it', (t) => {
  const fleet = fleetOf({
    a: [look([], [card(100, 50)])],
    b: [look([], [card(100, 60)])],
    c: [look([loaded('x', { vram_used_mb: 100 })], [card(200, 100)])],
  });
  const at = (entry: object) => short(ask(viewOf(fleet, catalogueOf([{ id: 'm', ...entry }]))));
  t.is(at({ vram_mb: 40 }), 'load c');
  t.is(at({ vram_mb: 40, pinned_on: ['a'] }), 'load a');
  t.is(at({ vram_mb: 150 }), 'load c x');
  t.is(at({ vram_mb: 400 }), 'refuse model_unplaceable');
  t.is(at({ pinned_on: ['nobody'] }), 'refuse model_unplaceable');
});

test('decide compares what one device holds, not their sum', (t) => {
  const fleet = fleetOf({ a: [look([], [card(100, 80), card(100, 50), card(100, 90)])] });
  const at = (entry: object) => short(ask(viewOf(fleet, catalogueOf([{ id: 'm', ...entry }]))));
  t.is(at({ vram_mb: 120 }), 'refuse model_unplaceable');
  t.is(at({ vram_mb: 120, min_devices: 2 }), 'load a');
  t.is(at({ vram_mb: 170, min_devices: 2 }), 'refuse no_room_for_model');
  t.is(at({ vram_mb: 170, min_devices: 2, min_device_vram_mb: 101 }), 'refuse model_unplaceable');
});

test('decide evicts from the devices that are wanted only', (t) => {
  const there = [loaded('x', { vram_used_mb: 60, devices: [0] }), loaded('y', { vram_used_mb: 60, devices: [1] })];
  const fleet = fleetOf({ a: [look(there, [card(60, 0), card(100, 40)])] });
  t.is(short(ask(viewOf(fleet, catalogueOf([{ id: 'm', vram_mb: 90 }])))), 'load a y');
});

test('decide counts what a node is known to hold when its reading is older', (t) => {
  const fleet = fleetOf({ a: [look([loaded('x', { vram_used_mb: 80 })], [card(100, 100)])] });
  t.is(short(ask(viewOf(fleet, catalogueOf([{ id: 'm', vram_mb: 50 }])))), 'load a x');
});

test('decide tells a neuron that is away from one that never could', (t) => {
  const fleet = fleetOf({ a: [look([], [card(100, 100)]), lost, lost, lost], b: [look([], [card(10, 10)])] });
  t.is(short(ask(viewOf(fleet, catalogueOf([{ id: 'm', vram_mb: 50 }])))), 'refuse placement_unavailable');
});

test('decide S4: models of higher priority that fill every node are named as the reason', (t) => {
  const pinned = { id: 'x', vram_mb: 80, pinned_on: ['a'] };
  const fleet = fleetOf({ a: [look([loaded('x')], [card(100, 20)])] });
  const catalogue = catalogueOf([{ id: 'm', vram_mb: 50 }, pinned]);
  t.is(short(ask(viewOf(fleet, catalogue))), 'refuse no_room_for_model');
  const equal = catalogueOf([{ id: 'm', vram_mb: 50, residency_priority: 1000 }, pinned]);
  t.is(short(ask(viewOf(fleet, equal))), 'load a x');
});

test('decide waits for what somebody loads, and starts no second copy of what recovers', (t) => {
  const catalogue = catalogueOf([{ id: 'm', vram_mb: 10 }]);
  const at = (status: string) =>
    short(ask(viewOf(fleetOf({ a: [look([{ id: 'm', status }])], b: [look([], [card(100, 100)])] }), catalogue)));
  t.is(at('loading'), 'wait loading');
  t.is(at('recovering'), 'refuse model_not_ready');
  // A status that this gateway does not know is no reason to send anything there.
  t.is(at('poisoned'), 'load b');
});

test('decide waits for what another gateway frees or loads, and takes it neither for room nor for being in the way', (t) => {
  const catalogue = catalogueOf([
    { id: 'm', vram_mb: 80 },
    { id: 'x', vram_mb: 80, residency_priority: 1000 },
  ]);
  const at = (model: NeuronModel) => short(ask(viewOf(fleetOf({ a: [look([model], [card(100, 20)])] }), catalogue)));
  const used = { vram_used_mb: 80 };
  t.is(at({ id: 'm', status: 'unloading', ...used }), 'wait node_loading');
  t.is(at({ id: 'n', status: 'unloading', ...used }), 'wait node_loading');
  t.is(at({ id: 'n', status: 'loading', ...used }), 'wait node_loading');
  t.is(at({ id: 'x', status: 'unloading', ...used }), 'wait node_loading');
  // What is there for good and may not be displaced is no reason to wait.
  t.is(at({ id: 'x', status: 'loaded', ...used }), 'refuse no_room_for_model');
});

test('decide sends nothing new to a model that leaves', (t) => {
  const fleet = fleetOf({ a: [look([loaded('m')], [card(100, 0)])] });
  const job = { node: 'a', model: 'n', victims: ['m'], startedMs: 0 };
  t.is(short(ask(viewOf(fleet, catalogueOf([{ id: 'm' }]), { job: () => job }))), 'wait node_loading');
  for (const size of [{}, { vram_mb: 80 }]) {
    const catalogue = catalogueOf([{ id: 'm', ...size }]);
    t.is(short(ask(viewOf(fleet, catalogue, { claim: () => job }))), 'wait claimed');
  }
});

test('decide names the devices of a load where the node has a choice, the first that have room', (t) => {
  const catalogue = catalogueOf([{ id: 'm', vram_mb: 50 }]);
  const cards = [
    { totalMb: 100, freeMb: 10 },
    { totalMb: 100, freeMb: 90 },
    { totalMb: 100, freeMb: 100 },
  ];
  const decision = ask(viewOf(fleetOf({ a: [look([], cards)] }), catalogue));
  t.deepEqual(decision.kind === 'load' && decision.devices, [1]);
  const pair = catalogueOf([{ id: 'm', vram_mb: 100, min_devices: 2 }]);
  const two = ask(viewOf(fleetOf({ a: [look([], cards)] }), pair));
  t.deepEqual(two.kind === 'load' && two.devices, [1, 2]);
  const single = ask(viewOf(fleetOf({ a: [look([], [{ totalMb: 100, freeMb: 100 }])] }), catalogue));
  t.is(single.kind === 'load' ? single.devices : 'none', undefined);
});

test('decide loads nothing at a server of another make', (t) => {
  const fleet = createFleet([{ name: 'far', endpoint: 'http://far', kind: 'openai' }]);
  const view = viewOf(applyLookTo(fleet, 'far', look([])), catalogueOf([{ id: 'm' }]));
  t.is(short(ask(view)), 'refuse model_unplaceable');
});
