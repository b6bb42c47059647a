import type { NeuronModel } from '@helexa/core';
import test from 'ava';
import { emptyCatalogue } from '../catalogue/catalogue.js';
import { catalogueOf } from '../testing/fake-world.js';
import { describeHealth } from './describe-health.js';
import { applyLook, applyLookTo, createFleet, type Fleet, type Look } from './fleet.js';
import { type ListOptions, listModels } from './list-models.js';
import { refusal } from './refusal.js';

const model = (id: string, more: Partial<NeuronModel> = {}): NeuronModel => ({ id, status: 'loaded', ...more });
const seen = (...models: NeuronModel[]): Look => ({ ok: true, models });
const listOptions: ListOptions = { catalogue: emptyCatalogue, feasibleOn: () => [], jobs: [], createdSeconds: 0 };
const lost: Look = { ok: false, reason: 'the connection was refused' };

/** A fleet of nodes that were looked at in this order. */
const fleetOf = (looks: Record<string, Look[]>): Fleet => {
  let fleet = createFleet(Object.keys(looks).map((name) => ({ name, endpoint: `http://${name}` })));
  for (const [name, all] of Object.entries(looks)) for (const look of all) fleet = applyLookTo(fleet, name, look);
  return fleet;
};

test('applyLook keeps a node up through two lost answers and its last models through a third', (t) => {
  let [node] = fleetOf({ a: [seen(model('m'))] });
  node = applyLook(applyLook(node!, lost), lost);
  t.is(node.healthy, true);
  node = applyLook(node, lost);
  t.is(node.healthy, false);
  t.deepEqual(node.models, [model('m')]);
  t.is(applyLook(node, seen()).healthy, true);
});

test('applyLook calls a node that never answered unhealthy', (t) => {
  t.is(fleetOf({ a: [lost] })[0]!.healthy, false);
});

test('applyLook forgets the discovery of a neuron whose uptime went back', (t) => {
  const discovery = { hostname: 'h' };
  const first: Look = { ok: true, models: [], health: { uptime_secs: 100 }, discovery };
  const [node] = fleetOf({ a: [first, { ok: true, models: [], health: { uptime_secs: 101 } }] });
  t.is(node!.discovery, discovery);
  t.is(applyLook(node!, { ok: true, models: [], health: { uptime_secs: 3 } }).discovery, undefined);
});

test('refusal says why no node can answer', (t) => {
  t.is(refusal([], 'm').code, 'no_healthy_node');
  t.is(refusal(fleetOf({ a: [lost] }), 'm').code, 'no_healthy_node');
  const absent = refusal(fleetOf({ a: [seen(model('y'), model('x'))], b: [lost] }), 'm');
  t.is(absent.code, 'model_not_found');
  t.is(absent.suggestion, 'Available models: x, y');
  const unloaded = refusal(fleetOf({ a: [seen(model('m', { status: 'unloaded' }))] }), 'm');
  t.is(unloaded.code, 'model_not_loaded');
  t.regex(unloaded.message, /'a'/);
  t.is(
    refusal(
      fleetOf({ a: [seen(model('m', { status: 'poisoned' }))], b: [seen(model('m', { status: 'loading' }))] }),
      'm',
    ).code,
    'model_not_ready',
  );
  t.is(refusal(fleetOf({ a: [seen(model('m', { status: 'poisoned' }))] }), 'm').code, 'model_failed');
  t.is(refusal(fleetOf({ a: [seen(model('m', { status: 'a word of tomorrow' }))] }), 'm').code, 'model_failed');
  t.is(refusal(fleetOf({ a: [seen(model('m')), lost, lost, lost], b: [seen()] }), 'm').code, 'model_unreachable');
});

test('listModels joins the nodes by id, with the tightest limit and what any of them can do', (t) => {
  const fleet = fleetOf({
    b: [seen(model('m', { limit: { context: 100, input: 90, output: 10 }, capabilities: ['vision', 'text'] }))],
    a: [
      seen(
        model('z'),
        model('m', { limit: { context: 50 }, capabilities: ['text'], tool_call: true, status: 'loading' }),
      ),
    ],
    c: [seen(model('gone')), lost, lost, lost],
  });
  const { data } = listModels(fleet, { ...listOptions, createdSeconds: 7 });
  t.deepEqual(
    data.map(({ id, loaded }) => [id, loaded]),
    [
      ['gone', false],
      ['m', true],
      ['z', true],
    ],
  );
  t.deepEqual(data[0]!.locations, [{ node: 'c', status: 'unreachable', vram_estimate_mb: null }]);
  t.deepEqual(data[1], {
    id: 'm',
    object: 'model',
    created: 7,
    owned_by: 'helexa',
    loaded: true,
    feasible_on: [],
    locations: [
      { node: 'a', status: 'loading', vram_estimate_mb: null },
      { node: 'b', status: 'loaded', vram_estimate_mb: null },
    ],
    capabilities: ['text', 'vision'],
    tool_call: true,
    limit: { context: 50 },
    max_model_len: 50,
  });
});

test('listModels adds the catalogue, loads under way and aliases, and what no neuron says of a model', (t) => {
  const catalogue = catalogueOf(
    [
      { id: 'm', vram_mb: 9, cost: { input: 1 }, limit: { context: 99 }, capabilities: ['text'] },
      { id: 'cold', cost: {} },
    ],
    { nick: 'm', dead: 'nowhere', cold2: 'cold' },
  );
  const { data } = listModels(fleetOf({ a: [seen(model('m', { limit: { context: 50 } }))] }), {
    catalogue,
    feasibleOn: ({ id }) => (id === 'cold' ? ['a'] : []),
    jobs: [{ node: 'a', model: 'cold' }],
    createdSeconds: 0,
  });
  t.deepEqual(
    data.map(({ id }) => id),
    ['cold', 'cold2', 'm', 'nick'],
  );
  const [cold, , m, nick] = data;
  t.deepEqual(cold!.locations, [{ node: 'a', status: 'loading', vram_estimate_mb: null }]);
  t.deepEqual([cold!.loaded, cold!.feasible_on, cold!.cost], [false, ['a'], { input: 0, output: 0 }]);
  t.deepEqual([m!.limit, m!.capabilities, m!.cost], [{ context: 50 }, ['text'], { input: 1, output: 0 }]);
  t.deepEqual(m!.locations, [{ node: 'a', status: 'loaded', vram_estimate_mb: 9 }]);
  t.deepEqual({ ...nick, id: 'm' }, m);
});

test('describeHealth tells a fleet that is whole from one that is not', (t) => {
  t.is(describeHealth([]).status, 'down');
  t.is(describeHealth(fleetOf({ a: [lost] })).status, 'down');
  t.is(describeHealth(fleetOf({ a: [seen()], b: [lost] })).status, 'degraded');
  t.is(describeHealth(fleetOf({ a: [seen(model('m'))] })).status, 'ok');
  const impaired = describeHealth(
    fleetOf({ a: [seen(model('m', { servable: { ok: false, reason: 'insufficient_vram' } }))] }),
  );
  t.is(impaired.status, 'impaired');
  t.deepEqual(impaired.unservable, [{ node: 'a', model: 'm', reason: 'insufficient_vram' }]);
});
