import { rowBytes } from '@helexa/core';
import type { KvFormat } from './backend.js';
import { type OpName, opcodes } from './opcodes.js';
import { instructionWords, type Program, word } from './program.js';

/** Bytes that one decode step must read from memory, whatever the kernels do. */
export interface Traffic {
  readonly weightBytes: number;
  readonly kvBytes: number;
  readonly stateBytes: number;
}

const names = new Map<number, OpName>(
  (Object.entries(opcodes) as [OpName, { code: number }][]).map(([name, { code }]) => [code, name]),
);
const kvBytesOf: Readonly<Record<KvFormat, number>> = { F32: 4, F16: 2, BF16: 2 };

/** Part of a tensor that an instruction reads in a step of `batch` rows. */
function shareRead(name: OpName, words: Int32Array, at: number, batch: number): number {
  if (name === 'embed') return 0;
  if (name !== 'moe_gate_up' && name !== 'moe_down') return 1;
  const chosen = words[at + word.params]!;
  const experts = words[at + word.params + 1]!;
  // Expected share of experts that at least one row chose, when rows choose alike and apart from one another.
  return 1 - (1 - chosen / experts) ** batch;
}

/**
 * Counts the bytes one decode step reads over all ranks: every weight that an instruction names, once; chosen experts only;
 * the keys and values of `contextTokens` tokens of each sequence; the recurrent state, read and written. The few rows of an
 * embedding look-up are left out.
 */
export function decodeTraffic(
  programs: readonly Program[],
  kvFormat: KvFormat,
  batch: number,
  contextTokens: number,
): Traffic {
  let weightBytes = 0;
  let kvBytes = 0;
  let stateBytes = 0;
  for (const program of programs) {
    const shares = new Map<number, number>();
    for (let at = 0; at < program.words.length; at += instructionWords) {
      const name = names.get(program.words[at + word.opcode]!);
      if (name === undefined) continue;
      for (let index = word.weights; index <= word.bias; index++) {
        const tensor = program.words[at + index]!;
        if (tensor >= 0)
          shares.set(tensor, Math.max(shares.get(tensor) ?? 0, shareRead(name, program.words, at, batch)));
      }
    }
    for (const [index, share] of shares) {
      const tensor = program.tensors[index];
      if (tensor) weightBytes += share * rowBytes(tensor.format, tensor.cols) * tensor.rows;
    }
    for (const layer of program.kv)
      kvBytes += 2 * layer.kvHeads * layer.headDim * kvBytesOf[kvFormat] * contextTokens * batch;
    for (const layer of program.state) stateBytes += 2 * 4 * (layer.convElements + layer.deltaElements) * batch;
  }
  return { weightBytes: Math.round(weightBytes), kvBytes: Math.round(kvBytes), stateBytes };
}
