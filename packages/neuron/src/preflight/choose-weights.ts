import { CortexError, editDistance } from '@helexa/core';
import type { Classification, GgufModel } from './classify.js';

/** Which weights of a repository are loaded. */
export type ChosenWeights =
  | { readonly kind: 'safetensors' }
  | { readonly kind: 'gguf'; readonly model: GgufModel; readonly isDefault: boolean };

/** Order in which a quantisation is taken when none is asked for and there are several. */
const preferred = ['q4_k_m', 'q4_k_s', 'q5_k_m', 'q6_k', 'q8_0', 'q4_0', 'bf16', 'f16', 'f32'];

/**
 * Chooses the weights: the safetensors when there are any, unless `quant` names a GGUF file; else the GGUF file that `quant`
 * names, without regard to case. A quantisation that no file of safetensors has is the loader's to make.
 */
export function chooseWeights(model: string, classification: Classification, quant: string | null): ChosenWeights {
  const { format, ggufs } = classification;
  if (format === 'empty') throw new CortexError('empty_repo', { model });
  if (format === 'diffusers')
    throw new CortexError('repo_unsupported', {
      model,
      reason: 'it is a diffusers pipeline; a language model is wanted',
    });
  if (format === 'dense') return { kind: 'safetensors' };
  if (quant) {
    const named = ggufNamed(ggufs, quant);
    if (named) return { kind: 'gguf', model: named, isDefault: false };
    if (format === 'mixed') return { kind: 'safetensors' };
    const available = ggufs.map(({ file }) => file);
    throw new CortexError('quant_not_found', {
      model,
      requested: quant,
      available,
      nearest: nearestQuant(ggufs, quant),
    });
  }
  if (format === 'mixed') return { kind: 'safetensors' };
  const wanted = preferred.map((name) => ggufNamed(ggufs, name)).find((found) => found !== undefined);
  return { kind: 'gguf', model: wanted ?? ggufs[0]!, isDefault: ggufs.length > 1 };
}

/** A quantisation named whole comes before one that only contains the word. */
function ggufNamed(ggufs: readonly GgufModel[], quant: string): GgufModel | undefined {
  const wanted = quant.toLowerCase();
  return (
    ggufs.find((gguf) => quantOf(gguf) === wanted) ?? ggufs.find(({ file }) => file.toLowerCase().includes(wanted))
  );
}

/** The word of a file's name that tells its quantisation: the last one, by dash or dot. */
export const quantOf = ({ file }: GgufModel): string =>
  file
    .toLowerCase()
    .replace(/\.gguf$/, '')
    .replace(/-\d{5}-of-\d{5}$/, '')
    .split(/[-.]/)
    .at(-1)!;

function nearestQuant(ggufs: readonly GgufModel[], quant: string): string | null {
  let best: { readonly name: string; readonly distance: number } | null = null;
  for (const gguf of ggufs) {
    const name = quantOf(gguf);
    const distance = editDistance(quant.toLowerCase().slice(0, 100), name);
    if (!best || distance < best.distance) best = { name, distance };
  }
  return best?.name ?? null;
}
