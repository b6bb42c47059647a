import { CortexError, type WeightFormat } from '@helexa/core';
import type { KvFormat, ModelSpec } from '../backend.js';
import type { Program } from '../program.js';
import { layoutFields, noVision, type StepLayout } from '../step.js';
import type { NativeProgram, NativeSpec } from './binding.js';

/** Order of `Format` in native/cortex/program/format.h. */
export const weightFormats = [
  'F32',
  'F16',
  'BF16',
  'Q8_0',
  'Q4_0',
  'Q4_K',
  'Q5_K',
  'Q6_K',
] as const satisfies readonly WeightFormat[];
/** Order of `KvFormat` in native/cortex/program/kv_format.h. */
export const kvFormats = ['F32', 'F16', 'BF16'] as const satisfies readonly KvFormat[];

const refuse = (reason: string): never => {
  throw new CortexError('program_invalid', { instruction: -1, reason });
};

/** Int32 of values that are whole and fit: typed arrays would wrap the others in silence. */
function int32(what: string, values: readonly number[]): Int32Array {
  for (const value of values)
    if ((value | 0) !== value) refuse(`${what} holds ${value}; a 32-bit whole number is wanted`);
  return Int32Array.from(values);
}

function indexOf<T>(what: string, names: readonly T[], name: T): number {
  const index = names.indexOf(name);
  return index >= 0 ? index : refuse(`${what} '${name}' is not served; ${names.join(', ')} are`);
}

function nativeProgram(program: Program, index: number, ranks: number): NativeProgram {
  if (program.rank !== index || program.ranks !== ranks)
    refuse(`program ${index} of ${ranks} is made for rank ${program.rank} of ${program.ranks}`);
  const tensors = program.tensors.flatMap(({ format, rows, cols, lookup }) => [
    indexOf('weight format', weightFormats, format),
    rows,
    cols,
    lookup ? 1 : 0,
  ]);
  return {
    rank: index,
    words: program.words,
    tensors: int32('a tensor', tensors),
    kv: int32(
      'a cache layer',
      program.kv.flatMap(({ kvHeads, headDim }) => [kvHeads, headDim]),
    ),
    state: int32(
      'a state layer',
      program.state.flatMap(({ convElements, deltaElements }) => [convElements, deltaElements]),
    ),
    arenaElements: program.arenaElements,
    vocab: int32('the vocabulary', [program.vocab])[0]!,
  };
}

/** A model spec as native code reads it; throws `program_invalid` for what cannot be said in its terms. */
export function nativeSpec(
  { programs, devices, limits, kvFormat }: ModelSpec,
  layout: StepLayout,
  { kernels, threads }: { readonly kernels: string; readonly threads: number },
): NativeSpec {
  const { maxPatches, patchWidth, maxFeatures, featureWidth } = limits.vision ?? noVision;
  return {
    programs: programs.map((program, index) => nativeProgram(program, index, programs.length)),
    limits: int32('the limits', [
      limits.maxRows,
      limits.maxSequences,
      limits.maxSampled,
      limits.maxContext,
      limits.pages,
      limits.vocab,
      limits.maxBias,
      limits.maxTopLogprobs,
      limits.exposeLogits ? 1 : 0,
      limits.snapshots ?? 0,
      maxPatches,
      patchWidth,
      maxFeatures,
      featureWidth,
    ]),
    offsets: Float64Array.from(layoutFields, (field) => layout[field]),
    stepWords: layout.size,
    kvFormat: indexOf('cache format', kvFormats, kvFormat),
    threads: int32('the thread count', [threads])[0]!,
    devices: int32('the devices', devices),
    kernels,
  };
}
