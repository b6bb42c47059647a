import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { CortexError, openCheckpoint } from '@helexa/core';
import {
  type Architecture,
  type Builder,
  compile,
  createArchitectureRegistry,
  header,
  patchPlace,
  referenceBackend,
  type StepLimits,
  type VisionTower,
  type WeightRow,
} from '@helexa/graph';
import { asOnes, asZeros, builderWith, fillDevice } from '@helexa/graph/conformance';
import test from 'ava';
import { architectures } from './index.js';
import { qwen35 } from './qwen3-next.js';
import { parseVisionConfig } from './vision.js';

const folder = fileURLToPath(new URL('../fixtures/dense', import.meta.url));
const [gridHeight, gridWidth, size, merge] = [8, 12, 16, 2];
const patches = gridHeight * gridWidth;
/** Values are around 1; float32 sums in another order differ by some 1e-6. */
const bound = 1e-4;

type Place = readonly [y: number, x: number];

/** Patches in the order of the tower: block by block, row by row within a block. */
const places: readonly Place[] = Array.from({ length: patches }, (_, patch): Place => {
  const [block, inner] = [Math.floor(patch / merge ** 2), patch % merge ** 2];
  const [row, column] = [Math.floor(block / (gridWidth / merge)), block % (gridWidth / merge)];
  return [row * merge + Math.floor(inner / merge), column * merge + (inner % merge)];
});

const features = (): Float32Array => {
  const bytes = readFileSync(`${folder}/expected/image-0.features.f32`);
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
};

function pixels(): Float32Array {
  const image = readFileSync(`${folder}/expected/image-0.rgb`);
  const values: number[] = [];
  for (const [y, x] of places)
    for (let channel = 0; channel < 3; channel++)
      for (let frame = 0; frame < 2; frame++)
        for (let row = 0; row < size; row++)
          for (let column = 0; column < size; column++)
            values.push(image[((y * size + row) * gridWidth * size + x * size + column) * 3 + channel]! / 127.5 - 1);
  return Float32Array.from(values);
}

/** Largest difference from the expected features when the tower runs as given. */
async function apart(options: {
  readonly tower?: (tower: VisionTower) => VisionTower;
  readonly places?: readonly Place[];
  readonly ranks?: number;
}): Promise<number> {
  const { tower: change = (tower: VisionTower) => tower, ranks = 1 } = options;
  const checkpoint = await openCheckpoint(folder);
  const { architecture, config } = createArchitectureRegistry(architectures).forCheckpoint(checkpoint);
  const changed: Architecture = { ...architecture, vision: (parsed) => change(architecture.vision!(parsed)!) };
  const { vocab } = architecture.facts(config);
  const limits: StepLimits = {
    maxRows: 4,
    maxSequences: 1,
    maxSampled: 4,
    maxContext: 64,
    pages: 1,
    vocab,
    maxBias: 0,
    maxTopLogprobs: 0,
    exposeLogits: false,
    vision: { maxPatches: patches, patchWidth: 2 * 3 * size ** 2, maxFeatures: patches / 4, featureWidth: 64 },
  };
  const backend = referenceBackend();
  const compiled = compile({ architecture: changed, config, checkpoint, ranks, backend, limits });
  const devices = compiled.programs.map(() => 0);
  const model = await backend.load({ programs: compiled.programs, devices, limits, kvFormat: 'F32' });
  await fillDevice(model, compiled);
  const { layout } = model;
  const [i32, f32] = [new Int32Array(model.buffer), new Float32Array(model.buffer)];
  for (const [patch, [y, x]] of (options.places ?? places).entries())
    for (const [what, value] of Object.entries({ image: 0, y, x, gridHeight, gridWidth }))
      i32[layout.patches + patchPlace[what as keyof typeof patchPlace] * patches + patch] = value;
  f32.set(pixels(), layout.pixels);
  i32[layout.header + header.patches] = patches;
  i32[layout.header + header.features] = patches / 4;
  await model.step();
  const worst = features().reduce((most, value, at) => Math.max(most, Math.abs(value - f32[layout.features + at]!)), 0);
  await backend.dispose();
  return worst;
}

/** The tower with some of the builder's methods replaced. */
const building =
  (replace: (real: Builder) => Partial<Builder>) =>
  (tower: VisionTower): VisionTower => ({ ...tower, forward: (real) => tower.forward(builderWith(real, replace)) });

/** The tower with one row of its table changed. */
const reading =
  (slot: string, change: (row: WeightRow) => WeightRow) =>
  (tower: VisionTower): VisionTower => ({
    ...tower,
    weights: {
      ...tower.weights,
      rows: tower.weights.rows.map((row) => (row.slot === `vision.${slot}` ? change(row) : row)),
    },
  });

/** The tower with every rotation by no angle. */
const still = reading('inverseFrequency', (row) => ({ ...row, compute: () => new Float32Array(3) }));

test('visionTower gives the features that the reference has', async (t) => {
  t.true((await apart({})) <= bound);
});

test('visionTower gives the same features over two ranks', async (t) => {
  t.true((await apart({ ranks: 2 })) <= bound);
});

const mutations: readonly (readonly [name: string, options: Parameters<typeof apart>[0]])[] = [
  [
    'places are counted row by row',
    { places: places.map((_, i): Place => [Math.floor(i / gridWidth), i % gridWidth]) },
  ],
  ['nothing is rotated', { tower: still }],
  ["the merger's activation is the tanh approximation", { tower: building((b) => ({ gelu: (x) => b.gelu(x, true) })) }],
  ["the layers' activation is the error function", { tower: building((b) => ({ gelu: (x) => b.gelu(x, false) })) }],
  [
    'there are no positions',
    { tower: building((b) => ({ patchPosition: (table, side) => b.scale(b.patchPosition(table, side), 0) })) },
  ],
  ['a norm has no weight', { tower: reading('mlpNorm', asOnes) }],
  ['a norm has no bias', { tower: reading('mergerNormBias', asZeros) }],
  ['queries and keys have no bias', { tower: reading('qkvBias', asZeros) }],
  ['a product adds no bias', { tower: reading('mergerUpBias', asZeros) }],
  [
    'queries and keys are exchanged with values',
    { tower: building((b) => ({ attentionDense: (q, k, v, options) => b.attentionDense(q, v, k, options) })) },
  ],
];

for (const [name, options] of mutations)
  test(`visionTower's bound catches that ${name}`, async (t) => {
    const worst = await apart(options);
    t.true(worst > bound, `the largest difference is ${worst}`);
  });

test('parseVisionConfig refuses what the tower does not compute, by name', (t) => {
  const config = JSON.parse(readFileSync(`${folder}/config.json`, 'utf8')) as { vision_config: object };
  const parse = (change: object) =>
    t.throws(() => parseVisionConfig({ ...config, vision_config: { ...config.vision_config, ...change } }, 'c.json'), {
      instanceOf: CortexError,
    })?.message ?? '';
  t.regex(parse({ hidden_act: 'relu' }), /vision_config\.hidden_act/);
  t.regex(parse({ deepstack_visual_indexes: [3] }), /deepstack_visual_indexes/);
  t.regex(parse({ num_position_embeddings: 63 }), /num_position_embeddings/);
  t.regex(parse({ num_heads: 5 }), /heads of a multiple of 4 are wanted/);
  t.is(parseVisionConfig({}, 'c.json'), null);
});

test('qwen35 leaves its tower unread when a step has no limits for images', async (t) => {
  const checkpoint = await openCheckpoint(folder);
  const config = qwen35.parseConfig(checkpoint.config, 'config.json');
  const { vocab } = qwen35.facts(config);
  const limits = { maxRows: 4, maxSequences: 1, maxSampled: 4, maxContext: 64, pages: 1, vocab, maxBias: 0 };
  const { programs } = compile({
    architecture: qwen35,
    config,
    checkpoint,
    ranks: 1,
    backend: referenceBackend(),
    limits: { ...limits, maxTopLogprobs: 0, exposeLogits: false },
  });
  t.false(programs[0]!.tensors.some(({ name }) => name.includes('vision')));
});
