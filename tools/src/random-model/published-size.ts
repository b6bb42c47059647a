import { CortexError } from '@helexa/core';
import type { Architecture, PublishedSize } from '@helexa/graph';

export interface NamedSize {
  readonly architecture: Architecture;
  readonly size: PublishedSize;
}

/** A published size by its name, in any case. */
export function findSize(architectures: readonly Architecture[], name: string): NamedSize {
  const all = architectures.flatMap((architecture) => architecture.sizes.map((size) => ({ architecture, size })));
  const found = all.find(({ size }) => size.name.toLowerCase() === name.toLowerCase());
  if (found === undefined) {
    throw new CortexError('model_not_found', { model: name, available: all.map(({ size }) => size.name) });
  }
  return found;
}

/** The same model with fewer layers of the published width. */
export function cutLayers({ architecture, size }: NamedSize, layers: number): NamedSize {
  return {
    architecture,
    size: { name: `${size.name}-cut-${layers}L`, config: { ...(size.config as object), num_hidden_layers: layers } },
  };
}
