import { blockOf, rowBytes, type WeightFormat } from '@helexa/core';
import {
  type Backend,
  type Compiled,
  compile,
  type DeviceModel,
  type Fill,
  listCheckpointTensors,
  paperCheckpoint,
  type StepLimits,
  type TensorSpec,
} from '@helexa/graph';
import { mixtureOf } from '../random-model/mixture.js';
import { cutLayers, findSize } from '../random-model/published-size.js';
import { blockFiller } from '../random-model/random-blocks.js';
import { RandomWords } from '../random-model/random-words.js';
import { architectures } from '../shared/architectures.js';

/** A model of a published size that lies on a device and nowhere else. Owner: who loaded it. */
export interface RandomModel {
  readonly device: DeviceModel;
  readonly compiled: Compiled;
  readonly uploadedBytes: number;
}

export interface RandomModelOptions {
  readonly like: string;
  readonly quant: string;
  /** Layers at most. */
  readonly layers: number;
  readonly limits: Omit<StepLimits, 'vocab' | 'maxBias' | 'maxTopLogprobs' | 'exposeLogits'>;
}

const chunkBytes = 64 * 2 ** 20;

/** Loads a model with random weights straight onto a device. The same few megabytes fill every matrix of a format. */
export async function loadRandom(backend: Backend, options: RandomModelOptions): Promise<RandomModel> {
  const { architecture, size } = sizeOf(options);
  const json = size.config as Readonly<Record<string, unknown>>;
  const config = architecture.parseConfig(json, `${size.name}/config.json`);
  const facts = architecture.facts(config);
  const isTied = json['tie_word_embeddings'] === true;
  const { kind, formatOf } = mixtureOf(options.quant, facts.layers, isTied, false);
  const paper = paperCheckpoint(architecture.weights(config), { kind, format: () => 'BF16' });
  const listed = new Map(
    listCheckpointTensors(architecture.weights(config), kind).map((tensor) => [tensor.name, tensor]),
  );
  const tensors = new Map(
    [...paper.tensors].map(([name, entry]) => {
      const tensor = listed.get(name)!;
      return [name, { ...entry, format: tensor.vector || tensor.exact ? ('F32' as const) : formatOf(tensor) }];
    }),
  );
  const limits = { ...options.limits, vocab: facts.vocab, maxBias: 0, maxTopLogprobs: 0, exposeLogits: false };
  const checkpoint = { ...paper, tensors };
  const compiled = compile({ architecture, config, checkpoint, ranks: 1, backend, limits, kvFormat: 'F16' });
  const device = await backend.load({ programs: compiled.programs, devices: [0], limits, kvFormat: 'F16' });
  try {
    return { device, compiled, uploadedBytes: await fillRandom(device, compiled) };
  } catch (error) {
    await device.dispose();
    throw error;
  }
}

function sizeOf({ like, layers }: RandomModelOptions): ReturnType<typeof findSize> {
  const whole = findSize(architectures, like);
  const published = Number((whole.size.config as Readonly<Record<string, unknown>>)['num_hidden_layers']);
  // Layers of a nested text config are not cut.
  return Number.isFinite(published) && published > layers ? cutLayers(whole, layers) : whole;
}

async function fillRandom(device: DeviceModel, { programs, fills }: Compiled): Promise<number> {
  const random = new RandomWords(1);
  const chunks = new Map<string, Uint8Array>();
  /** Random rows of one width and format, `chunkBytes` of them at most; made once. */
  const chunkOf = ({ format, cols }: TensorSpec): Uint8Array => {
    const key = `${format} ${cols}`;
    const made = chunks.get(key) ?? randomRows(format, cols, random);
    chunks.set(key, made);
    return made;
  };
  let total = 0;
  for (const [tensor, spec] of programs[0]!.tensors.entries()) {
    const width = rowBytes(spec.format, spec.cols);
    const bytes = spec.cols === 1 ? vectorBytes(spec, fills[0]![tensor]!) : chunkOf(spec);
    const rows = Math.floor(bytes.length / width);
    for (let row = 0; row < spec.rows; row += rows) {
      const count = Math.min(rows, spec.rows - row);
      await device.upload(0, tensor, row, bytes.subarray(0, count * width));
    }
    total += spec.rows * width;
  }
  await device.seal();
  return total;
}

function randomRows(format: WeightFormat, cols: number, random: RandomWords): Uint8Array {
  const width = rowBytes(format, cols);
  const bytes = new Uint8Array(Math.max(1, Math.floor(chunkBytes / 16 / width)) * width);
  const whole = bytes.subarray(0, Math.floor(bytes.length / blockOf[format].bytes) * blockOf[format].bytes);
  blockFiller(format, { center: 0, reach: Math.sqrt(3 / cols) }, random)(whole);
  const copies = Math.max(1, Math.floor(chunkBytes / bytes.length));
  const chunk = new Uint8Array(copies * bytes.length);
  for (let copy = 0; copy < copies; copy++) chunk.set(bytes, copy * bytes.length);
  return chunk;
}

/** Norms of one, biases of zero, decays below zero: a state must not grow without end. */
function vectorBytes(spec: TensorSpec, fill: Fill): Uint8Array {
  const values = new Float32Array(spec.rows);
  if (fill.kind === 'constant')
    values.set(
      fill.values(fill.factors && new Float32Array(fill.factors.reduce((end, { rows }) => end + rows, 0)).fill(1)),
    );
  else if (fill.kind === 'read') {
    const name = fill.ranges[0]!.entry.name;
    values.fill(name.endsWith('.bias') ? 0 : name.endsWith('.ssm_a') ? -1 : 1);
    if (fill.map) values.set(values.map(fill.map));
  }
  return new Uint8Array(values.buffer);
}
