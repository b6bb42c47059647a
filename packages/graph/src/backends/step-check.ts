import { CortexError } from '@helexa/core';
import { pageTokens } from '../program.js';
import { header, maxCopies, noVision, patchPlace, type StepLayout, sampling, stateCount } from '../step.js';

/** How many rows of each kind a step has. */
export interface StepCounts {
  readonly rows: number;
  readonly sampled: number;
  readonly patches: number;
  readonly features: number;
}

/** Checks everything a step's buffer says before anything is computed; throws `step_invalid` naming the field. */
export function checkStep(layout: StepLayout, i32: Int32Array, f32: Float32Array, vocab: number): StepCounts {
  const { limits } = layout;
  const count = (field: 'rows' | 'sequences' | 'sampled' | 'patches' | 'features', most: number): number =>
    within(`header.${field}`, i32[layout.header + header[field]]!, 0, most);
  const rows = count('rows', limits.maxRows);
  const sequences = count('sequences', limits.maxSequences);
  const sampled = count('sampled', limits.maxSampled);
  const { maxPatches, maxFeatures } = limits.vision ?? noVision;
  const patches = count('patches', maxPatches);
  const features = count('features', maxFeatures);
  checkPatches(layout, i32, patches);
  for (let row = 0; row < rows; row++) within(`tokens[${row}]`, i32[layout.tokens + row]!, -maxFeatures, vocab - 1);
  const copies = within('header.copies', i32[layout.header + header.copies]!, 0, maxCopies(limits));
  for (let word = 0; word < 2 * copies; word++)
    within(`stateCopies[${word}]`, i32[layout.stateCopies + word]!, 0, stateCount(limits) - 1);
  const owner = new Int32Array(rows).fill(-1);
  const slots = new Set<number>();
  for (let s = 0; s < sequences; s++) {
    const slot = within(`sequenceSlot[${s}]`, i32[layout.sequenceSlot + s]!, 0, limits.maxSequences - 1);
    if (slots.has(slot)) refuse(`sequenceSlot[${s}]`, `is ${slot}, which another sequence of the step has`);
    slots.add(slot);
    const first = within(`sequenceRow[${s}]`, i32[layout.sequenceRow + s]!, 0, rows - 1);
    const own = within(`sequenceRows[${s}]`, i32[layout.sequenceRows + s]!, 1, rows - first);
    const length = within(`sequenceLength[${s}]`, i32[layout.sequenceLength + s]!, own, limits.maxContext);
    for (let row = first; row < first + own; row++) {
      if (owner[row] !== -1) refuse(`sequenceRow[${s}]`, `takes row ${row}, which sequence ${owner[row]} has`);
      owner[row] = s;
    }
    for (let page = 0; page < Math.ceil(length / pageTokens); page++) {
      const id = i32[layout.pageTable + slot * layout.pagesPerSlot + page]!;
      within(`pageTable[${slot}][${page}]`, id, 0, limits.pages - 1);
    }
  }
  for (let s = 0; s < sampled; s++) {
    within(`sampleRow[${s}]`, i32[layout.sampleRow + s]!, 0, rows - 1);
    within(`sampleCounter[${s}]`, i32[layout.sampleCounter + s]!, 0, 2 ** 31 - 1);
    const slot = within(`sampleSlot[${s}]`, i32[layout.sampleSlot + s]!, 0, limits.maxSequences - 1);
    within(`sampleMasked[${s}]`, i32[layout.sampleMasked + s]!, 0, 1);
    checkSampling(layout, i32, f32, slot, vocab);
  }
  return { rows, sampled, patches, features };
}

/** Images are counted up one by one, and a patch lies within its grid. */
function checkPatches(layout: StepLayout, i32: Int32Array, patches: number): void {
  const { maxPatches } = layout.limits.vision ?? noVision;
  let image = -1;
  for (let patch = 0; patch < patches; patch++) {
    const at = (axis: keyof typeof patchPlace, low: number, high: number): number =>
      within(`patches[${patch}].${axis}`, i32[layout.patches + patchPlace[axis] * maxPatches + patch]!, low, high);
    image = at('image', Math.max(image, 0), image + 1);
    at('y', 0, at('gridHeight', 1, maxPatches) - 1);
    at('x', 0, at('gridWidth', 1, maxPatches) - 1);
  }
}

function checkSampling(layout: StepLayout, i32: Int32Array, f32: Float32Array, slot: number, vocab: number): void {
  const { limits } = layout;
  const at = layout.sampling + slot * sampling.size;
  const name = (field: string): string => `sampling[${slot}].${field}`;
  const float = (field: keyof typeof sampling, low: number, high: number): number =>
    within(name(field), f32[at + sampling[field]]!, low, high);
  const integer = (field: keyof typeof sampling, low: number, high: number): number =>
    within(name(field), i32[at + sampling[field]]!, low, high);
  const most = 3.5e38;
  float('temperature', -most, most);
  float('topP', 0, 1);
  float('minP', 0, 1);
  float('repetitionPenalty', Number.MIN_VALUE, most);
  float('presencePenalty', -most, most);
  float('frequencyPenalty', -most, most);
  integer('topK', 0, 2 ** 31 - 1);
  integer('topLogprobs', -1, limits.maxTopLogprobs);
  const biases = integer('biasCount', 0, limits.maxBias);
  const length = integer('historyLength', 0, limits.maxContext);
  integer('promptLength', 0, length);
  for (let i = 0; i < length; i++) {
    within(`history[${slot}][${i}]`, i32[layout.history + slot * limits.maxContext + i]!, 0, vocab - 1);
  }
  for (let i = 0; i < biases; i++) {
    within(`biasToken[${slot}][${i}]`, i32[layout.biasToken + slot * limits.maxBias + i]!, 0, vocab - 1);
    within(`biasValue[${slot}][${i}]`, f32[layout.biasValue + slot * limits.maxBias + i]!, -most, most);
  }
}

function within(field: string, value: number, low: number, high: number): number {
  if (!(value >= low && value <= high)) refuse(field, `is ${value}; between ${low} and ${high} is wanted`);
  return value;
}

function refuse(field: string, reason: string): never {
  throw new CortexError('step_invalid', { field, reason });
}
