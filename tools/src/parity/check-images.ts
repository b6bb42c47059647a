import { readFileSync } from 'node:fs';
import type { DeviceModel } from '@helexa/graph';
import { decodeImage, expandPrompt, FlightImages, type ImageParameters, prepareRgb, StepWriter } from '@helexa/neuron';
import type { ImageCase, ParityCase } from './parity-cases.js';

/** One thing compared on the way from an image to its logits. */
export interface ImageFinding {
  readonly what: 'pixels' | 'positions' | 'features';
  readonly isGood: boolean;
  readonly text: string;
}

/** Pixels are bytes over 255, halved and centred: one byte apart is 0.0078. */
const pixelBound = 1e-6;
/** Of values around 1; float32 products in another order differ by some 1e-6. */
const featureBound = 1e-4;

/**
 * Reads the images of a case as a request's are read, and makes their features on the device. What follows is compared as
 * text is: the answer is a case for that.
 */
export async function checkImages(
  one: ImageCase,
  device: DeviceModel,
  parameters: ImageParameters,
): Promise<{ readonly findings: readonly ImageFinding[]; readonly prompt: ParityCase }> {
  const images = [];
  for (const file of one.images) images.push(await prepareRgb(await decodeImage(readFileSync(file)), parameters));
  const { prompt, visual } = expandPrompt(one.idsBeforeExpansion, images, parameters.facts);
  const flight = new FlightImages(visual);
  const writer = new StepWriter(device.layout, device.buffer);
  const rows: number[] = [];
  for (const placed of visual.images) {
    writer.writeImage(placed.image, parameters.facts.merge);
    await device.step();
    const features = writer.readFeatures(placed.image.features);
    flight.put(placed, features);
    for (const value of features) rows.push(value);
  }
  const isPlaced =
    isSame(prompt, one.ids) &&
    visual.positions.every((axis, index) => isSame([...axis], one.positions[index]!)) &&
    visual.positionDelta === one.positionDelta &&
    images.every(
      ({ grid }, index) => grid.height === one.grids[index]!.height && grid.width === one.grids[index]!.width,
    );
  const pixels = images.flatMap((image) => [...image.pixels()]);
  return {
    findings: [
      compare('pixels', pixels, one.pixels, pixelBound),
      { what: 'positions', isGood: isPlaced, text: `${prompt.length} tokens, delta ${visual.positionDelta}` },
      compare('features', rows, one.features, featureBound),
    ],
    prompt: { ...one, ids: prompt, visual: flight },
  };
}

const isSame = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);

function compare(
  what: ImageFinding['what'],
  actual: readonly number[],
  expected: Float32Array,
  bound: number,
): ImageFinding {
  let worst = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  for (const [index, value] of expected.entries()) {
    const apart = Math.abs(value - (actual[index] ?? Number.NaN));
    worst = Math.max(worst, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart);
  }
  return { what, isGood: worst <= bound, text: `${expected.length} values  max|d| ${worst.toExponential(2)}` };
}
