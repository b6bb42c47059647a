import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ImageSize } from './smart-resize.js';

/** Pixels of red, green and blue bytes, row by row. */
export interface RgbImage extends ImageSize {
  readonly data: Uint8Array;
}

const channels = 3;
/** Weights are whole numbers of this many binary places: results are the same on every machine. */
const weightBits = 22;
/** Multiplications between two turns of the event loop. */
const sliceWork = 4_000_000;

/** How source places become target places along one axis. */
interface Taps {
  /** Most sources of one target. */
  readonly most: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `most` per target. */
  readonly weights: Int32Array;
}

/**
 * Bicubic resampling (a = -0.5) that averages over all the source pixels a target pixel covers, columns first, then rows,
 * each pass rounded to bytes: the arithmetic of the image library that models were trained with.
 */
export async function resample(image: RgbImage, target: ImageSize): Promise<RgbImage> {
  const wide = image.width === target.width ? image : await resampleColumns(image, target.width);
  return wide.height === target.height ? wide : await resampleRows(wide, target.height);
}

async function resampleColumns({ data, height, width }: RgbImage, target: number): Promise<RgbImage> {
  const taps = tapsOf(width, target);
  const out = new Uint8Array(height * target * channels);
  const pause = pauser();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < target; x++) {
      const from = (y * width + taps.first[x]!) * channels;
      gatherPixel(data, from, channels, taps, x, out, (y * target + x) * channels);
    }
    await pause(target * taps.most * channels);
  }
  return { data: out, height, width: target };
}

async function resampleRows({ data, height, width }: RgbImage, target: number): Promise<RgbImage> {
  const taps = tapsOf(height, target);
  const out = new Uint8Array(target * width * channels);
  const pause = pauser();
  for (let y = 0; y < target; y++) {
    for (let x = 0; x < width; x++) {
      const from = (taps.first[y]! * width + x) * channels;
      gatherPixel(data, from, width * channels, taps, y, out, (y * width + x) * channels);
    }
    await pause(width * taps.most * channels);
  }
  return { data: out, height: target, width };
}

/** One target pixel: the weighted sum of source pixels that lie `step` bytes apart. */
function gatherPixel(
  data: Uint8Array,
  from: number,
  step: number,
  { most, count, weights }: Taps,
  place: number,
  out: Uint8Array,
  at: number,
): void {
  const half = 2 ** (weightBits - 1);
  let [red, green, blue] = [half, half, half];
  const first = place * most;
  let source = from;
  for (let tap = 0; tap < count[place]!; tap++, source += step) {
    const weight = weights[first + tap]!;
    red += weight * data[source]!;
    green += weight * data[source + 1]!;
    blue += weight * data[source + 2]!;
  }
  out[at] = toByte(red);
  out[at + 1] = toByte(green);
  out[at + 2] = toByte(blue);
}

const toByte = (sum: number): number => Math.min(255, Math.max(0, Math.floor(sum / 2 ** weightBits)));

function tapsOf(source: number, target: number): Taps {
  const scale = source / target;
  const stretch = Math.max(1, scale);
  const support = 2 * stretch;
  const most = Math.ceil(support) * 2 + 1;
  const taps = {
    most,
    first: new Int32Array(target),
    count: new Int32Array(target),
    weights: new Int32Array(target * most),
  };
  for (let place = 0; place < target; place++) {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(source, Math.trunc(centre + support + 0.5));
    const shares = Array.from({ length: end - first }, (_, tap) => cubic((first + tap - centre + 0.5) / stretch));
    const total = shares.reduce((sum, share) => sum + share, 0);
    taps.first[place] = first;
    taps.count[place] = end - first;
    for (const [tap, share] of shares.entries()) {
      const scaled = (share / total) * 2 ** weightBits;
      taps.weights[place * most + tap] = Math.trunc(scaled + Math.sign(scaled) * 0.5);
    }
  }
  return taps;
}

function cubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** Lets other work run after every so many multiplications. */
function pauser(): (work: number) => Promise<void> | undefined {
  let done = 0;
  return (work) => {
    done += work;
    if (done < sliceWork) return undefined;
    done = 0;
    return nextTurn();
  };
}
