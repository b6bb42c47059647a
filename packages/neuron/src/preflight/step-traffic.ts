import { rowBytes } from '@helexa/core';
import { instructionWords, opcodes, type Program, word } from '@helexa/graph';

/** What one rank reads and computes, from its program alone. */
export interface StepTraffic {
  /** Weight bytes that a step of one token reads: all but looked-up tables and experts that are not chosen. */
  readonly bytesPerToken: number;
  /** Multiplications and additions of weights with one row. */
  readonly operationsPerRow: number;
}

type Signature = (typeof opcodes)[keyof typeof opcodes];
const byCode: ReadonlyMap<number, Signature> = new Map(Object.values(opcodes).map((op) => [op.code, op]));

/** Row symbols of a program's text part; the others are of a vision tower, which a token does not run. */
const textRows = 2;

/** Adds up the weights that every instruction of a program touches for one row. */
export function stepTraffic(program: Program): StepTraffic {
  let bytesPerToken = 0;
  let operationsPerRow = 0;
  for (let at = 0; at < program.words.length; at += instructionWords) {
    const signature = byCode.get(program.words[at + word.opcode]!);
    if (!signature || program.words[at + word.rows]! >= textRows) continue;
    const share = shareOf(signature, program.words.subarray(at + word.params, at + instructionWords));
    for (let index = word.weights; index < word.params; index++) {
      const tensor = program.tensors[program.words[at + index]!];
      if (!tensor) continue;
      const rows = signature === opcodes.embed ? 1 : tensor.rows * share;
      bytesPerToken += rows * rowBytes(tensor.format, tensor.cols);
      if (signature !== opcodes.embed) operationsPerRow += 2 * rows * tensor.cols;
    }
  }
  return { bytesPerToken, operationsPerRow };
}

/** Share of a weight's rows that one row of the step touches: `k` of `experts` where the op has them. */
function shareOf(signature: Signature, params: Int32Array): number {
  const names = signature.params.map(([name]) => name);
  const experts = names.indexOf('experts');
  return experts === -1 ? 1 : params[names.indexOf('k')]! / params[experts]!;
}
