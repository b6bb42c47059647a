import { blockOf, CortexError, type WeightFormat } from '@helexa/core';
import { type CheckpointTensor, weightFormats } from '@helexa/graph';

/** Formats that a whole model can be made in; `Q4_K_M` and `Q5_K_M` are the usual mixtures. */
export const quantNames = [...weightFormats, 'Q4_K_M', 'Q5_K_M'] as const;

export interface Mixture {
  readonly kind: 'safetensors' | 'gguf';
  readonly formatOf: (tensor: CheckpointTensor) => WeightFormat;
}

/** How each tensor of a model is stored under a quantisation name; plain floats go where `isGguf` says. */
export function mixtureOf(quant: string, layers: number, isTied: boolean, isGguf: boolean): Mixture {
  const mixed = /^(Q[45]_K)_M$/.exec(quant)?.[1] as WeightFormat | undefined;
  const plain = weightFormats.find((format) => format === quant);
  const base = mixed ?? plain;
  if (base === undefined) {
    throw new CortexError('tensor_format', { tensor: '*', format: quant, supported: [...quantNames] });
  }
  if (blockOf[base].elements === 1 && !isGguf) return { kind: 'safetensors', formatOf: () => base };
  return {
    kind: 'gguf',
    formatOf: (tensor) => {
      if (tensor.vector || tensor.exact) return 'F32';
      const wanted = mixed !== undefined && takesMoreBits(tensor.name, layers, isTied) ? 'Q6_K' : base;
      // Rows that are not whole super-blocks fall back to a format of small blocks.
      return tensor.shape.at(-1)! % blockOf[wanted].elements === 0 ? wanted : 'Q8_0';
    },
  };
}

/** The mixture of llama.cpp: the output, and values and down projections of the first, last and every third layer between. */
function takesMoreBits(name: string, layers: number, isTied: boolean): boolean {
  if (name === 'output.weight') return true;
  if (name === 'token_embd.weight') return isTied;
  const match = /^blk\.(\d+)\.(?:attn_v|ffn_down)\.weight$/.exec(name);
  if (match === null) return false;
  const layer = Number(match[1]);
  const eighth = Math.floor(layers / 8);
  return layer < eighth || layer >= layers - eighth || (layer - eighth) % 3 === 2;
}
